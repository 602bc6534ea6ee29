/* The pickle machine, the scan, and the search for the state dict on any bytes. The first byte
 * chooses the container's rules; storages get a block of zeros of the size they claim, up to a
 * limit. */
#include "codec/torch_tree.h"
#include "fuzz/touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ZEROS = 1 << 16 };
static const uint64_t zeros[ZEROS / 8];

static eg_status resolve(const uint8_t **bytes, void *context, const eg_pickle_storage *s,
                         eg_error *err) {
    (void)context;
    if ((uint64_t)s->root_numel > ZEROS / 8) return eg_fail(err, EG_ERR_LIMIT, "too large");
    *bytes = (const uint8_t *)zeros;
    return EG_OK;
}

static bool see(void *context, const char *name, size_t position, bool allowed) {
    (void)context;
    touched += (uint32_t)position + (uint32_t)name[0] + allowed;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    eg_pickle_source source = {
        .data = data + 1, .size = size - 1, .where = "fuzz", .legacy = data[0] & 1};
    if (eg_codec_pickle_scan(source.data, source.size, 0, see, NULL) > source.size)
        __builtin_trap();
    eg_error err = {0};
    eg_pickle *p = eg_codec_pickle_new();
    eg_state_dict *sd = eg_codec_sd_new("");
    eg_pickle_value root;
    size_t end = 0;
    eg_status status = p != NULL && sd != NULL ? eg_codec_pickle_read(p, &root, &end, &source, &err)
                                               : EG_ERR_NO_MEMORY;
    if (status == EG_OK && (end < 3 || end > source.size)) __builtin_trap();
    if (status == EG_OK)
        status = eg_codec_torch_collect(sd, p, &root, resolve, NULL, 1 << 20, &err);
    if (status == EG_OK) status = eg_codec_sd_seal(sd, &err);
    if (status == EG_OK) touch(sd);
    eg_state_dict_free(sd);
    eg_codec_pickle_free(p);
    return 0;
}
