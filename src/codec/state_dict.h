/* How the readers of weights files fill a state dict. Private to the codec room; readers of a state
 * dict need codec.h only. A state dict owns the bytes of its file (a mapping, or heap), so that
 * tensors can point into them without a copy. */
#ifndef EG_CODEC_STATE_DICT_H
#define EG_CODEC_STATE_DICT_H

#include "codec/codec.h"

/* NULL: no memory. `container` is static text. */
eg_state_dict *eg_codec_sd_new(const char *container);
void eg_codec_sd_set_container(eg_state_dict *sd, const char *container);
/* The state dict closes the mapping when it is freed. */
void eg_codec_sd_own_file(eg_state_dict *sd, eg_file_view view);
/* The state dict frees the heap block `p` when it is freed; on failure (no memory) `p` is freed at
 * once. */
bool eg_codec_sd_own_block(eg_state_dict *sd, void *p);

/* A tensor whose layout in `storage` (borrowed bytes owned by `sd`) is given in elements; all of it
 * was checked to lie inside. Contiguous and aligned data is pointed at, everything else copied. */
typedef struct {
    eg_dtype dtype;
    int n_dims;
    int64_t dims[EG_MAX_DIMS], strides[EG_MAX_DIMS];
    const uint8_t *bytes; /* of the element with all indices 0 */
} eg_codec_layout;
eg_status eg_codec_sd_add(eg_state_dict *sd, const char *name, size_t name_length,
                          const eg_codec_layout *layout, eg_error *err);
eg_status eg_codec_sd_add_metadata(eg_state_dict *sd, const char *key, const char *value,
                                   eg_error *err);
eg_status eg_codec_sd_add_global(eg_state_dict *sd, const char *name, eg_error *err);
/* Add a sentence to the note; sentences are joined with "; ". False: no memory. */
bool eg_codec_sd_note(eg_state_dict *sd, const char *format, ...) EG_PRINTF(2, 3);
/* After the last add: strips a `module.` that every name has, refuses names given twice, builds the
 * index, and gives the file back when no tensor points into it. */
eg_status eg_codec_sd_seal(eg_state_dict *sd, eg_error *err);
/* What a caller gives to a writer: sizes that fit the shapes, names that are UTF-8, not empty, and not
 * given twice. EG_ERR_INTERNAL: our own mistake, named so that it is found. */
eg_status eg_codec_tensors_check(const eg_tensor *tensors, size_t n, eg_error *err);
/* Dense row-major strides of `dims`. */
void eg_codec_dense_strides(int64_t *strides, const int64_t *dims, int n_dims);

#endif
