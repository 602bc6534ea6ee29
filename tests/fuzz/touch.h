/* What the targets of weights readers do with what was read: look at every byte of it, so that a
 * sanitizer sees a pointer that leads nowhere. Header only: each target is one program. */
#ifndef EG_FUZZ_TOUCH_H
#define EG_FUZZ_TOUCH_H

#include "codec/state_dict.h"

#include <string.h>

static volatile uint32_t touched; /* what no compiler may leave out */

/* Every element, name, shape and note of a sealed state dict. */
static inline void touch(const eg_state_dict *sd) {
    for (size_t i = 0; i < eg_state_dict_count(sd); i++) {
        const eg_tensor *t = eg_state_dict_at(sd, i);
        if (eg_state_dict_find(sd, t->name) != t) __builtin_trap();
        if (t->n_bytes != eg_tensor_count(t) * eg_dtype_bytes(t->dtype)) __builtin_trap();
        for (size_t b = 0; b < t->n_bytes; b++) touched += ((const uint8_t *)t->data)[b];
    }
    const char *note = eg_state_dict_note(sd);
    if (note != NULL) touched += (uint32_t)strlen(note);
}

/* One container's reader on `data`, past the dispatch of the door. */
static inline void touch_read(eg_status (*read)(eg_state_dict *, const uint8_t *, size_t,
                                                eg_error *),
                              const uint8_t *data, size_t size) {
    eg_error err = {0};
    eg_state_dict *sd = eg_codec_sd_new("");
    if (sd == NULL) return;
    eg_status status = read(sd, data, size, &err);
    if (status == EG_OK) status = eg_codec_sd_seal(sd, &err);
    if (status != EG_OK && err.text[0] == 0) __builtin_trap(); /* a refusal without a reason */
    if (status == EG_OK) touch(sd);
    eg_state_dict_free(sd);
}

#endif
