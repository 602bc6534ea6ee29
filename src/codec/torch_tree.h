/* From a pickled object to a state dict; shared by the three torch containers. Private to the codec
 * room. */
#ifndef EG_CODEC_TORCH_TREE_H
#define EG_CODEC_TORCH_TREE_H

#include "codec/pickle.h"
#include "codec/state_dict.h"

/* Gives the raw bytes of a storage's key: at least root_numel elements. They must stay as long as
 * the state dict. */
typedef eg_status (*eg_torch_resolve_fn)(const uint8_t **bytes, void *context,
                                         const eg_pickle_storage *storage, eg_error *err);

/* Find the one dict of tensors in `root`, unwrapping {'state_dict': ...}, and add its tensors to
 * `sd`, with a note of what was unwrapped or left out. `max_bytes`: views may not multiply the
 * file's data beyond it. EG_ERR_INPUT: no such dict or several; EG_ERR_LIMIT. */
eg_status eg_codec_torch_collect(eg_state_dict *sd, const eg_pickle *p, const eg_pickle_value *root,
                                 eg_torch_resolve_fn resolve, void *context, size_t max_bytes,
                                 eg_error *err);

/* Byte order and type sizes in the dict that both old containers begin with; `version` is the
 * protocol it must name, `offset` where it begins (torch_legacy.c). */
eg_status eg_codec_torch_check_system(const eg_pickle_value *info, int64_t version, size_t offset,
                                      eg_error *err);

/* torch_zip.c, torch_legacy.c, torch_tar.c: fill `sd` from the whole file `data`, which `sd`
 * owns. */
eg_status eg_codec_torch_zip_read(eg_state_dict *sd, const uint8_t *data, size_t size,
                                  eg_error *err);
eg_status eg_codec_torch_legacy_read(eg_state_dict *sd, const uint8_t *data, size_t size,
                                     eg_error *err);
eg_status eg_codec_torch_tar_read(eg_state_dict *sd, const uint8_t *data, size_t size,
                                  eg_error *err);
/* Globals of all pickles of a tar container, readable or not, as far as its storages and tensors can
 * be stepped over. An allowed name is given once for a row of equal ones. */
eg_status eg_codec_torch_tar_scan(const uint8_t *data, size_t size, eg_pickle_scan_fn fn,
                                  void *context, eg_error *err);
/* safetensors.c */
eg_status eg_codec_safetensors_read(eg_state_dict *sd, const uint8_t *data, size_t size,
                                    eg_error *err);

#endif
