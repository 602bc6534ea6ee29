/* Private to codec: the .npy header, and an .npz from memory (the door opens files only; tests and
 * the fuzz target need bytes). */
#ifndef EG_CODEC_NPY_H
#define EG_CODEC_NPY_H

#include "codec/codec.h"

/* What a .npy header says. */
typedef struct {
    char descr[16]; /* "<f4", "|u1", "<U12" */
    size_t item_bytes;
    int n_dims;
    int64_t dims[EG_MAX_DIMS];
    size_t data_offset; /* of the first element, from the start of the file */
    size_t n_bytes;     /* of all elements */
} eg_codec_npy_header;

/* Bytes of an element of a dtype that is on the allow-list; 0: not on it. */
size_t eg_codec_npy_item_bytes(const char *descr);
/* Parse the header of `size` bytes of a .npy file and check that exactly its data follow. Errors
 * have offsets. */
eg_status eg_codec_npy_parse(eg_codec_npy_header *out, const uint8_t *data, size_t size,
                             eg_error *err);
/* The same of a file of `size` bytes whose first `have` are at `data` (10,012 hold every header). */
eg_status eg_codec_npy_parse_head(eg_codec_npy_header *out, const uint8_t *data, size_t have,
                                  size_t size, eg_error *err);
enum { EG_NPY_HEAD_BYTES = 10012 };
/* Write the header (a multiple of 64 bytes long) of an array to `out`; n_bytes must fit dims and
 * dtype. */
eg_status eg_codec_npy_header_write(eg_buffer *out, const eg_npy_array *array, eg_error *err);

/* eg_npz_read of bytes in memory, which stay the caller's and must outlive *out. */
eg_status eg_codec_npz_decode(eg_npz **out, const void *data, size_t size, eg_error *err);

#endif
