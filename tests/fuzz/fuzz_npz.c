/* Fuzz target: .npz, and the same bytes as a bare .npy header. Every byte of an array that is found
 * is read. */
#include "codec/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char digest[65];
    eg_error err = {0};
    eg_codec_npy_header header;
    if (eg_codec_npy_parse(&header, data, size, &err) == EG_OK) {
        eg_sha256_hex(digest, data + header.data_offset, header.n_bytes);
    }
    eg_npz *npz = NULL;
    if (eg_codec_npz_decode(&npz, data, size, &err) != EG_OK) return 0;
    for (size_t i = 0; i < eg_npz_count(npz); i++) {
        const eg_npy_array *array;
        const char *name = eg_npz_at(npz, i)->name;
        if (eg_npz_get(&array, npz, name, &err) == EG_OK)
            eg_sha256_hex(digest, array->data, array->n_bytes);
        else if (err.text[0] == 0)
            __builtin_trap(); /* a refusal without a reason */
    }
    eg_npz_free(npz);
    return 0;
}
