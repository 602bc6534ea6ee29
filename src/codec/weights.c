/* Door of the weights readers: which format is it, and what to say when it is none.
 *
 * Formats are told by their first bytes, never by the file's name. The readers are torch_zip.c,
 * torch_legacy.c, torch_tar.c and safetensors.c; a state dict owns the file's bytes, so that most tensors are
 * never copied. */
#include "codec/torch_tree.h"
#include "codec/zip_directory.h"

#include <string.h>

/* Far above any network of today, far below what makes sizes overflow. */
static const size_t max_file_bytes = (size_t)1 << 38;

typedef enum { FORMAT_NONE, FORMAT_ZIP, FORMAT_PICKLE, FORMAT_TAR, FORMAT_SAFETENSORS } format;

static bool starts(const uint8_t *data, size_t size, const char *magic, size_t n) {
    return size >= n && memcmp(data, magic, n) == 0;
}

static bool any_global(void *context, const char *name, size_t position, bool allowed) {
    (void)name, (void)position, (void)allowed;
    *(bool *)context = true;
    return true;
}

/* torch writes protocol 2 (0x80 first). A pickle of the old text protocols begins like any text: it
 * must name a global and come to its STOP. */
static bool is_pickle(const uint8_t *data, size_t size) {
    if (size > 1 && data[0] == 0x80 && data[1] <= 5) return true;
    if (size == 0 || (data[0] != 'c' && data[0] != '(')) return false;
    bool found = false;
    size_t end = eg_codec_pickle_scan(data, size, 0, any_global, &found);
    return found && data[end - 1] == '.';
}

/* A plausible header length, then the object; the reference reader allows blanks before it. */
static bool is_safetensors(const uint8_t *data, size_t size) {
    eg_cursor c = {.data = data, .size = size};
    uint64_t n;
    if (!eg_cursor_u64le(&c, &n) || n > 100000000) return false;
    while (c.pos < size && strchr(" \t\r\n", data[c.pos]) != NULL && data[c.pos] != 0) c.pos++;
    return c.pos < size && data[c.pos] == '{';
}

/* The magic of POSIX's tar and of GNU's, behind the first member's name. */
static bool is_tar(const uint8_t *data, size_t size) {
    return size >= 262 && memcmp(data + 257, "ustar", 5) == 0;
}

/* The order is that of the strongest magic. */
static format recognise(const uint8_t *data, size_t size) {
    if (starts(data, size, "PK\3\4", 4)) return FORMAT_ZIP;
    if (is_tar(data, size)) return FORMAT_TAR;
    if (is_pickle(data, size)) return FORMAT_PICKLE;
    return is_safetensors(data, size) ? FORMAT_SAFETENSORS : FORMAT_NONE;
}

/* What a file is that is no weights file we read: the usual mistakes by name. */
static eg_status say_what_it_is(const uint8_t *data, size_t size, eg_error *err) {
    const char *text = "not a weights file: expected PyTorch's .pth or safetensors";
    if (size == 0)
        text = "the file is empty - get it again";
    else if (starts(data, size, "PYTORCH1", 8))
        text = "PyTorch's preview container of 2018 is not supported - re-save with torch.save";
    else if (starts(data, size, "\x89HDF", 4))
        text = "an HDF5 file (Keras?): expected PyTorch's .pth or safetensors";
    else if (starts(data, size, "version https://git-lfs", 23))
        text = "a pointer of Git LFS, not the weights - run `git lfs pull`";
    else if (starts(data, size, "<", 1))
        text = "a web page, not weights - the download failed, get the file again";
    else if (starts(data, size, "\x1f\x8b", 2))
        text = "compressed with gzip - unpack it first";
    return eg_fail_at(err, EG_ERR_INPUT, 0, "%s", text);
}

/* Read the bytes, which `sd` owns already. */
static eg_status read_into(eg_state_dict *sd, const uint8_t *data, size_t size, eg_error *err) {
    switch (recognise(data, size)) {
    case FORMAT_ZIP:
        EG_TRY(eg_codec_torch_zip_read(sd, data, size, err));
        break;
    case FORMAT_PICKLE:
        EG_TRY(eg_codec_torch_legacy_read(sd, data, size, err));
        break;
    case FORMAT_TAR:
        EG_TRY(eg_codec_torch_tar_read(sd, data, size, err));
        break;
    case FORMAT_SAFETENSORS:
        EG_TRY(eg_codec_safetensors_read(sd, data, size, err));
        break;
    case FORMAT_NONE:
        return say_what_it_is(data, size, err);
    }
    return eg_codec_sd_seal(sd, err);
}

/* The mapping lives as long as the state dict. A file that is replaced by renaming (as ours are)
 * does not disturb it. */
eg_status eg_weights_read(eg_state_dict **out, const char *path, eg_error *err) {
    eg_file_view view = {0};
    EG_TRY(eg_file_open(&view, path, max_file_bytes, err)); /* its errors name the path */
    eg_state_dict *sd = eg_codec_sd_new("");
    if (sd == NULL) {
        eg_file_close(&view);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", path);
    }
    eg_codec_sd_own_file(sd, view);
    eg_status status = read_into(sd, view.data, view.size, err);
    if (status == EG_OK) {
        *out = sd;
        return EG_OK;
    }
    eg_state_dict_free(sd);
    return eg_error_in(err, status, path);
}

/* One copy of the bytes, owned by the state dict, and then the same path as for a file. */
eg_status eg_weights_decode(eg_state_dict **out, const void *data, size_t size, eg_error *err) {
    if (size == 0) return say_what_it_is(data, size, err);
    eg_state_dict *sd = eg_codec_sd_new("");
    uint8_t *copy = eg_malloc(size);
    if (sd == NULL || copy == NULL || !eg_codec_sd_own_block(sd, copy)) {
        if (sd == NULL) eg_free(copy); /* a failed own_block has freed it */
        eg_state_dict_free(sd);
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for %zu bytes of weights", size);
    }
    memcpy(copy, data, size);
    eg_status status = read_into(sd, copy, size, err);
    if (status == EG_OK)
        *out = sd;
    else
        eg_state_dict_free(sd);
    return status;
}

/* ---- globals of files that need not be readable ---- */

typedef struct {
    json_t *list;
    bool failed;
} collector;

/* One global into the JSON list; false stops the scan when memory is out. */
static bool collect(void *context, const char *name, size_t position, bool allowed) {
    collector *c = context;
    json_t *item = json_object();
    if (item == NULL || json_object_set_new(item, "name", json_string(name)) != 0 ||
        json_object_set_new(item, "offset", json_integer((json_int_t)position)) != 0 ||
        json_object_set_new(item, "allowed", json_boolean(allowed)) != 0) {
        json_decref(item);
        c->failed = true;
    } else if (json_array_append_new(c->list, item) != 0) {
        c->failed = true;
    }
    return !c->failed;
}

/* Pickles one behind the other: the legacy container has five, a hostile file may hide one behind
 * the first. */
static void scan_stack(collector *c, const uint8_t *data, size_t size) {
    size_t at = 0;
    for (int i = 0; i < 5 && at < size && !c->failed; i++) {
        size_t end = eg_codec_pickle_scan(data, size, at, collect, c);
        if (end == at || data[end - 1] != '.') break;
        at = end;
    }
}

/* Every member that could be a pickle, not only the one that torch reads. */
static eg_status scan_zip(collector *c, const uint8_t *data, size_t size, eg_error *err) {
    eg_zip_directory *zip = NULL;
    EG_TRY(eg_codec_zip_open(&zip, data, size, err));
    eg_status status = eg_codec_zip_bound(zip, size, err);
    for (size_t i = 0; i < zip->n && status == EG_OK; i++) {
        const eg_zip_member *m = &zip->members[i];
        size_t length = strlen(m->name);
        if (length < 4 || strcmp(m->name + length - 4, ".pkl") != 0) continue;
        if (m->n_bytes > EG_PICKLE_MAX_BYTES) continue;
        const uint8_t *bytes = NULL;
        void *block = NULL;
        status = eg_codec_zip_unpack(&bytes, &block, m, err);
        if (status == EG_OK) scan_stack(c, bytes, m->n_bytes);
        eg_free(block);
    }
    eg_codec_zip_close(zip);
    return status;
}

/* Containers are named as in eg_state_dict_container. */
static eg_status scan_bytes(collector *c, const char **container, const uint8_t *data, size_t size,
                            eg_error *err) {
    switch (recognise(data, size)) {
    case FORMAT_ZIP:
        *container = "torch zip";
        return scan_zip(c, data, size, err);
    case FORMAT_PICKLE:
        *container = "torch legacy";
        scan_stack(c, data, size);
        return EG_OK;
    case FORMAT_TAR:
        *container = "torch tar";
        return eg_codec_torch_tar_scan(data, size, collect, c, err);
    case FORMAT_SAFETENSORS:
        *container = "safetensors";
        return EG_OK; /* has none */
    case FORMAT_NONE:
        break;
    }
    return say_what_it_is(data, size, err);
}

eg_status eg_weights_scan(json_t **globals, const char **container, const char *path,
                          eg_error *err) {
    eg_file_view view = {0};
    EG_TRY(eg_file_open(&view, path, max_file_bytes, err));
    collector c = {.list = json_array()};
    const char *name = "";
    eg_status status = EG_ERR_NO_MEMORY;
    if (c.list != NULL) status = scan_bytes(&c, &name, view.data, view.size, err);
    if (c.list == NULL || c.failed)
        status = eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the globals");
    eg_file_close(&view);
    if (status == EG_OK) {
        *globals = c.list;
        *container = name;
        return EG_OK;
    }
    json_decref(c.list);
    return eg_error_in(err, status, path);
}
