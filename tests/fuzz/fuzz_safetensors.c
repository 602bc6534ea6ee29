/* Any bytes as a safetensors file, past the dispatch of the door. */
#include "codec/torch_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint32_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    eg_error err = {0};
    eg_state_dict *sd = eg_codec_sd_new("");
    if (sd == NULL) return 0;
    eg_status status = eg_codec_safetensors_read(sd, data, size, &err);
    if (status == EG_OK) status = eg_codec_sd_seal(sd, &err);
    if (status != EG_OK && err.text[0] == 0) __builtin_trap();
    for (size_t i = 0; status == EG_OK && i < eg_state_dict_count(sd); i++) {
        const eg_tensor *t = eg_state_dict_at(sd, i);
        for (size_t b = 0; b < t->n_bytes; b++) sink += ((const uint8_t *)t->data)[b];
    }
    eg_state_dict_free(sd);
    return 0;
}
