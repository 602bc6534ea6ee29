/* Any bytes as a weights file: dispatch, zip, legacy, safetensors; every byte of what is read is
 * touched. Checksums stop most changes inside an archive: the pickle and the JSON header have
 * targets of their own. */
#include "codec/codec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint32_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    eg_error err = {0};
    eg_state_dict *sd = NULL;
    if (eg_weights_decode(&sd, data, size, &err) != EG_OK) {
        if (err.text[0] == 0) __builtin_trap(); /* a refusal without a reason */
        return 0;
    }
    for (size_t i = 0; i < eg_state_dict_count(sd); i++) {
        const eg_tensor *t = eg_state_dict_at(sd, i);
        if (eg_state_dict_find(sd, t->name) != t) __builtin_trap();
        for (size_t b = 0; b < t->n_bytes; b++) sink += ((const uint8_t *)t->data)[b];
    }
    const char *note = eg_state_dict_note(sd);
    if (note != NULL) sink += (uint32_t)strlen(note);
    eg_state_dict_free(sd);
    return 0;
}
