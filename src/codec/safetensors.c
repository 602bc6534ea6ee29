/* safetensors: u64 header length, JSON header, raw data without holes (formats.md 1.6; format
 * README of the project).
 *
 * The reader is as strict as the reference crate and also refuses duplicate keys. The writer is
 * byte-reproducible and adds "engraft.sha256" of the data bytes to `__metadata__`; the reader
 * checks it where it is present, so a checkpoint that was damaged on disk is noticed. Values are
 * not looked at: NaN is a legal number here. */
#include "codec/torch_tree.h"
#include "codec/utf8.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t max_header = 100000000;
static const char sha_key[] = "engraft.sha256";
enum { DATA_ALIGNMENT = 64 }; /* of the data in the file: a cache line */

/* ---- reading ---- */

typedef struct {
    const char *name; /* in the JSON tree */
    eg_codec_layout layout;
    uint64_t begin, end; /* in the data */
} entry;

/* The header's text in the file, for messages. */
typedef struct {
    const uint8_t *text;
    size_t n_bytes;
} header_text;

/* Names the tensor and where its key is in the file: its first mention in quotes. A key with escapes
 * is not found so; then it is the header's own place. */
static eg_status refuse(eg_error *err, const header_text *h, const char *name, const char *rule) {
    char shown[120];
    size_t at = 8, length = strlen(name);
    for (size_t i = 0; i + length + 2 <= h->n_bytes && at == 8; i++)
        if (h->text[i] == '"' && h->text[i + length + 1] == '"' &&
            memcmp(h->text + i + 1, name, length) == 0)
            at = 8 + i;
    return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at, "safetensors header: '%s' at byte %zu: %s",
                      eg_codec_printable(shown, sizeof shown, name, length), at, rule);
}

/* jansson has refused numbers above 2^63 - 1 already. */
static bool take_u64(uint64_t *out, const json_t *value) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* The names are the table of dtype.c; 8-bit floats, unsigned 16 to 64 bits and complex numbers are
 * not in it. */
static bool find_dtype(eg_dtype *out, const json_t *value) {
    const char *text = json_string_value(value);
    for (int i = 0; text != NULL && i < EG_DTYPE_COUNT; i++)
        if (strcmp(text, eg_dtype_name((eg_dtype)i)) == 0) {
            *out = (eg_dtype)i;
            return true;
        }
    return false;
}

/* {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} and nothing else. */
static eg_status read_entry(entry *e, const header_text *h, const char *name, const json_t *value,
                            eg_error *err) {
    const json_t *shape = json_object_get(value, "shape");
    const json_t *offsets = json_object_get(value, "data_offsets");
    *e = (entry){.name = name};
    if (!json_is_object(value) || json_object_size(value) != 3 || !json_is_array(shape) ||
        !json_is_array(offsets) || json_array_size(offsets) != 2)
        return refuse(err, h, name, "expected exactly dtype, shape and data_offsets");
    if (!find_dtype(&e->layout.dtype, json_object_get(value, "dtype")))
        return refuse(err, h, name, "its dtype is not read here - convert it to F32");
    if (json_array_size(shape) > EG_MAX_DIMS)
        return refuse(err, h, name, "more than 8 dimensions are not read");
    size_t bytes = eg_dtype_bytes(e->layout.dtype);
    e->layout.n_dims = (int)json_array_size(shape);
    for (int i = 0; i < e->layout.n_dims; i++) {
        uint64_t dim;
        if (!take_u64(&dim, json_array_get(shape, (size_t)i)))
            return refuse(err, h, name, "a side of its shape is not a count");
        e->layout.dims[i] = (int64_t)dim;
        if (!eg_mul(&bytes, bytes, dim)) return refuse(err, h, name, "its shape overflows");
    }
    if (!take_u64(&e->begin, json_array_get(offsets, 0)) ||
        !take_u64(&e->end, json_array_get(offsets, 1)) || e->begin > e->end)
        return refuse(err, h, name, "its data_offsets are not two counts in order");
    if (e->end - e->begin != bytes)
        return refuse(err, h, name, "its data_offsets do not have the size of its shape and dtype");
    eg_codec_dense_strides(e->layout.strides, e->layout.dims, e->layout.n_dims);
    return EG_OK;
}

/* Empty tensors come before what begins at the same place. */
static int compare_entries(const void *a, const void *b) {
    const entry *const *x = a, *const *y = b;
    if ((*x)->begin != (*y)->begin) return (*x)->begin < (*y)->begin ? -1 : 1;
    return ((*x)->end > (*y)->end) - ((*x)->end < (*y)->end);
}

/* The data is covered from its first byte to its last, without a hole and without an overlap. */
static eg_status check_cover(const entry *entries, size_t n, const header_text *h,
                             size_t data_bytes, eg_error *err) {
    const entry **order = eg_malloc((n > 0 ? n : 1) * sizeof *order);
    if (order == NULL)
        return eg_fail(err, EG_ERR_NO_MEMORY, "safetensors: no memory for %zu tensors", n);
    for (size_t i = 0; i < n; i++) order[i] = &entries[i];
    qsort(order, n, sizeof *order, compare_entries);
    uint64_t at = 0;
    eg_status status = EG_OK;
    for (size_t i = 0; i < n && status == EG_OK; i++) {
        if (order[i]->begin != at)
            status = refuse(err, h, order[i]->name,
                            "its data overlaps another tensor's, or follows a hole");
        at = order[i]->end;
    }
    if (status == EG_OK && at != data_bytes)
        status = eg_fail_at(err, EG_ERR_INPUT, (int64_t)(8 + h->n_bytes),
                            "safetensors: the tensors have %" PRIu64
                            " bytes, the file %zu from byte %zu on - it is cut off, or something "
                            "was appended",
                            at, data_bytes, 8 + h->n_bytes);
    eg_free(order);
    return status;
}

/* Text to text only, as the format says; kept in the order of the file. */
static eg_status read_metadata(eg_state_dict *sd, const header_text *h, json_t *metadata,
                               eg_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return refuse(err, h, "__metadata__", "it is not an object");
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value)) return refuse(err, h, "__metadata__", "a value is not text");
        EG_TRY(eg_codec_sd_add_metadata(sd, key, json_string_value(value), err));
    }
    return EG_OK;
}

/* Files of other programs have no such entry and pass. This guards against damage, not against
 * forgery. */
static eg_status check_sha(const eg_state_dict *sd, const uint8_t *data, size_t n, size_t at,
                           eg_error *err) {
    const char *wanted = eg_state_dict_metadata(sd, sha_key);
    char found[65], shown[80];
    if (wanted == NULL) return EG_OK;
    eg_sha256_hex(found, data, n);
    if (strcmp(found, wanted) == 0) return EG_OK;
    return eg_fail_at(
        err, EG_ERR_INPUT, (int64_t)at,
        "safetensors: the data from byte %zu on has SHA-256 %.16s..., its header says "
        "%.16s...: the file is damaged",
        at, found, eg_codec_printable(shown, sizeof shown, wanted, strlen(wanted)));
}

/* All entries are checked, alone and together, before the first tensor is made. */
static eg_status read_header(eg_state_dict *sd, const header_text *h, json_t *header,
                             const uint8_t *data, size_t n_bytes, eg_error *err) {
    if (!json_is_object(header))
        return eg_fail(err, EG_ERR_INPUT, "safetensors header: not an object");
    size_t n = 0, n_keys = json_object_size(header);
    entry *entries = eg_calloc(n_keys > 0 ? n_keys : 1, sizeof *entries);
    if (entries == NULL)
        return eg_fail(err, EG_ERR_NO_MEMORY, "safetensors: no memory for %zu tensors", n_keys);
    const char *key;
    json_t *value;
    eg_status status = EG_OK;
    json_object_foreach(header, key, value) {
        if (strcmp(key, "__metadata__") == 0)
            status = read_metadata(sd, h, value, err);
        else
            status = read_entry(&entries[n++], h, key, value, err);
        if (status != EG_OK) break;
    }
    if (status == EG_OK) status = check_cover(entries, n, h, n_bytes, err);
    if (status == EG_OK) status = check_sha(sd, data, n_bytes, 8 + h->n_bytes, err);
    for (size_t i = 0; i < n && status == EG_OK; i++) {
        entries[i].layout.bytes = data + entries[i].begin;
        status =
            eg_codec_sd_add(sd, entries[i].name, strlen(entries[i].name), &entries[i].layout, err);
    }
    eg_free(entries);
    return status;
}

eg_status eg_codec_safetensors_read(eg_state_dict *sd, const uint8_t *data, size_t size,
                                    eg_error *err) {
    eg_codec_sd_set_container(sd, "safetensors");
    eg_cursor c = {.data = data, .size = size};
    uint64_t n = 0;
    if (!eg_cursor_u64le(&c, &n))
        return eg_fail_at(err, EG_ERR_INPUT, 0, "safetensors: cut off inside its header length");
    if (n > max_header)
        return eg_fail_at(err, EG_ERR_LIMIT, 0,
                          "safetensors: a header of %" PRIu64 " bytes, more than %" PRIu64, n,
                          max_header);
    const uint8_t *text = eg_cursor_take(&c, (size_t)n);
    if (text == NULL || n == 0)
        return eg_fail_at(err, EG_ERR_INPUT, 8,
                          "safetensors: the header of %" PRIu64 " bytes at byte 8 is cut off", n);
    if (!eg_codec_utf8_valid(text, (size_t)n))
        return eg_fail_at(err, EG_ERR_INPUT, 8, "safetensors: the header at byte 8 is not UTF-8");
    json_t *header = NULL;
    eg_status status = eg_json_parse(&header, (const char *)text, (size_t)n, err);
    if (status != EG_OK) {
        if (err != NULL && err->offset >= 0) err->offset += 8; /* of the file, not of the header */
        return eg_error_in(err, status, "safetensors header at byte 8");
    }
    status =
        read_header(sd, &(header_text){text, (size_t)n}, header, data + c.pos, size - c.pos, err);
    json_decref(header);
    return status;
}

/* ---- writing ---- */

/* The least escaping that JSON asks for; UTF-8 passes as it is. */
static void add_json_text(eg_buffer *b, const char *text) {
    eg_buffer_add(b, "\"", 1);
    for (const char *s = text; *s; s++) {
        uint8_t c = (uint8_t)*s;
        if (c == '"' || c == '\\')
            eg_buffer_printf(b, "\\%c", c);
        else if (c < 0x20)
            eg_buffer_printf(b, "\\u%04x", c);
        else
            eg_buffer_add(b, s, 1);
    }
    eg_buffer_add(b, "\"", 1);
}

/* Order of the format: widest dtype first, so that every tensor is aligned, then by name. */
static int compare_tensors(const void *a, const void *b) {
    const eg_tensor *const *x = a, *const *y = b;
    size_t bytes_x = eg_dtype_bytes((*x)->dtype), bytes_y = eg_dtype_bytes((*y)->dtype);
    if (bytes_x != bytes_y) return bytes_x > bytes_y ? -1 : 1;
    return strcmp((*x)->name, (*y)->name);
}

/* SHA-256 of the parts one behind the other. OpenSSL directly: base hashes one range only, and
 * copying a network into one range just to hash it would double the memory of every checkpoint. */
static bool sha_of_parts(char out[65], const eg_part *parts, size_t n) {
    uint8_t digest[32];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < n && good; i++)
        good = EVP_DigestUpdate(md, parts[i].data, parts[i].size) == 1;
    good = good && EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    for (int i = 0; good && i < 32; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return good;
}

/* Compact JSON, written by hand because its byte order is part of the promise. Blanks at the end
 * bring the data to a cache line. */
static void add_header(eg_buffer *b, const eg_tensor *const *order, size_t n,
                       const eg_text_pair *metadata, size_t n_metadata, const char *sha) {
    eg_buffer_printf(b, "{\"__metadata__\":{");
    for (size_t i = 0; i < n_metadata; i++) {
        add_json_text(b, metadata[i].key);
        eg_buffer_add(b, ":", 1);
        add_json_text(b, metadata[i].value);
        eg_buffer_add(b, ",", 1);
    }
    eg_buffer_printf(b, "\"%s\":\"%s\"}", sha_key, sha);
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        eg_buffer_add(b, ",", 1);
        add_json_text(b, order[i]->name);
        eg_buffer_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", eg_dtype_name(order[i]->dtype));
        for (int d = 0; d < order[i]->n_dims; d++)
            eg_buffer_printf(b, "%s%" PRId64, d > 0 ? "," : "", order[i]->dims[d]);
        eg_buffer_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at,
                         at + order[i]->n_bytes);
        at += order[i]->n_bytes;
    }
    eg_buffer_add(b, "}", 1);
    while (!b->failed && (8 + b->size) % DATA_ALIGNMENT != 0) eg_buffer_add(b, " ", 1);
}

/* What a caller gives must be writable: these are our own mistakes, named so that they are
 * found. */
static eg_status check_input(const eg_tensor *tensors, size_t n, const eg_text_pair *metadata,
                             size_t n_metadata, eg_error *err) {
    EG_TRY(eg_codec_tensors_check(tensors, n, err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(tensors[i].name, "__metadata__") == 0)
            return eg_fail(err, EG_ERR_INTERNAL, "no tensor may be called '__metadata__'");
    for (size_t i = 0; i < n_metadata; i++) {
        if (!eg_codec_utf8_valid(metadata[i].key, strlen(metadata[i].key)) ||
            !eg_codec_utf8_valid(metadata[i].value, strlen(metadata[i].value)))
            return eg_fail(err, EG_ERR_INTERNAL, "metadata %zu is not UTF-8", i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(metadata[i].key, metadata[k].key) == 0)
                return eg_fail(err, EG_ERR_INTERNAL, "metadata '%s' is given twice",
                               metadata[i].key);
        if (strcmp(metadata[i].key, sha_key) == 0)
            return eg_fail(err, EG_ERR_INTERNAL, "metadata '%s' is written by the format itself",
                           sha_key);
    }
    return EG_OK;
}

/* `parts`: room for the length, the header and n tensors; `order`: the sorted tensors. */
static eg_status write_parts(const char *path, eg_part *parts, const eg_tensor *const *order,
                             size_t n, const eg_text_pair *metadata, size_t n_metadata,
                             eg_error *err) {
    char sha[65];
    uint8_t length[8];
    for (size_t i = 0; i < n; i++) parts[2 + i] = (eg_part){order[i]->data, order[i]->n_bytes};
    if (!sha_of_parts(sha, parts + 2, n))
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: SHA-256 failed", path);
    eg_buffer header = {0};
    add_header(&header, order, n, metadata, n_metadata, sha);
    eg_status status;
    if (header.failed || header.size > max_header) {
        status = eg_fail(err, header.failed ? EG_ERR_NO_MEMORY : EG_ERR_LIMIT,
                         "%s: the header does not fit into memory or the format", path);
    } else {
        for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)header.size >> 8 * i);
        parts[0] = (eg_part){length, sizeof length};
        parts[1] = (eg_part){header.data, header.size};
        status = eg_file_write_atomic(path, parts, 2 + n, err);
    }
    eg_buffer_free(&header);
    return status;
}

/* Parts are written from where they are: a network is not copied to be saved. */
eg_status eg_safetensors_write(const char *path, const eg_tensor *tensors, size_t n,
                               const eg_text_pair *metadata, size_t n_metadata, eg_error *err) {
    const eg_tensor **order = eg_malloc((n + 1) * sizeof *order);
    eg_part *parts = eg_calloc(n + 2, sizeof *parts);
    eg_status status = EG_ERR_NO_MEMORY;
    if (order == NULL || parts == NULL) {
        eg_fail(err, status, "%s: no memory to write %zu tensors", path, n);
    } else {
        for (size_t i = 0; i < n; i++) order[i] = &tensors[i];
        qsort(order, n, sizeof *order, compare_tensors);
        status = check_input(tensors, n, metadata, n_metadata, err);
        if (status == EG_OK) status = write_parts(path, parts, order, n, metadata, n_metadata, err);
    }
    eg_free(order);
    eg_free(parts);
    return status;
}
