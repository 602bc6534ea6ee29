/* The torch container before 1.6: pickles one behind the other, then the raw storages (formats.md
 * 1.4).
 *
 *   magic number | protocol 1001 | system info | the object | sorted list of storage keys |
 *   int64 numel and data of each key
 *
 * It has no checksum: a flipped bit in the data cannot be noticed by anyone. Storages begin at any
 * address, so tensors are often copied. Read pickle.h first. */
#include "codec/torch_tree.h"
#include "codec/utf8.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t magic[] = {0x80, 2,    0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
static const uint8_t protocol[] = {0x80, 2, 0x4d, 0xe9, 0x03, 0x2e};

typedef struct {
    const eg_pickle_value *key; /* TEXT */
    size_t bytes_offset;        /* of the data in the file */
    const eg_pickle_storage *mention;
} stored;

typedef struct {
    const uint8_t *data;
    size_t size;
    eg_pickle *pickle;
    stored *storages; /* sorted by key */
    size_t n;
} reader;

/* Keys are compared as bytes; a prefix comes first. */
static int compare_text(const char *a, size_t n_a, const char *b, size_t n_b) {
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order != 0 ? order : (n_a > n_b) - (n_a < n_b);
}

static int compare_stored(const void *a, const void *b) {
    const eg_pickle_value *x = ((const stored *)a)->key, *y = ((const stored *)b)->key;
    return compare_text(x->as.text, x->size, y->as.text, y->size);
}

/* Place of the storage that a pickle mentions; NULL when the list does not have it. */
static stored *find_stored(const reader *r, const eg_pickle_storage *s) {
    eg_pickle_value key = {
        .kind = EG_PICKLE_TEXT, .size = (uint32_t)s->key_length, .as.text = s->key};
    stored wanted = {.key = &key};
    return r->n > 0 ? bsearch(&wanted, r->storages, r->n, sizeof wanted, compare_stored) : NULL;
}

/* Value of a text key; NULL when there is none, or when `dict` is no dict. */
static const eg_pickle_value *dict_get(const eg_pickle_value *dict, const char *key) {
    if (dict->kind != EG_PICKLE_DICT) return NULL;
    for (size_t i = 0; i < dict->as.items->n; i += 2)
        if (eg_codec_pickle_is_text(&dict->as.items->v[i], key)) return &dict->as.items->v[i + 1];
    return NULL;
}

/* sizes[type] == bytes */
static bool has_size(const eg_pickle_value *sizes, const char *type, int64_t bytes) {
    const eg_pickle_value *v = sizes != NULL ? dict_get(sizes, type) : NULL;
    return v != NULL && v->kind == EG_PICKLE_INT && v->as.integer == bytes;
}

/* Who wrote the file: byte order and type sizes must be ours. */
eg_status eg_codec_torch_check_system(const eg_pickle_value *info, int64_t version, size_t offset,
                                      eg_error *err) {
    const eg_pickle_value *little = dict_get(info, "little_endian"),
                          *number = dict_get(info, "protocol_version"),
                          *sizes = dict_get(info, "type_sizes");
    if (little == NULL || little->kind != EG_PICKLE_BOOL || number == NULL ||
        number->kind != EG_PICKLE_INT || number->as.integer != version)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)offset,
                          "the system information of torch's old format is damaged, at byte %zu: "
                          "expected protocol %lld",
                          offset, (long long)version);
    if (!little->as.boolean)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)offset,
                          "numbers are big endian, says the system information at byte %zu - save "
                          "the file on a little endian machine",
                          offset);
    if (!has_size(sizes, "short", 2) || !has_size(sizes, "int", 4) ||
        !(has_size(sizes, "long", 4) || has_size(sizes, "long", 8)))
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)offset,
                          "number types of an unknown machine, at byte %zu", offset);
    return EG_OK;
}

/* The key list becomes a sorted table; each key is text, once. */
static eg_status read_keys(reader *r, const eg_pickle_value *list, size_t offset, eg_error *err) {
    if (list->kind != EG_PICKLE_LIST)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)offset, "no list of storages at byte %zu",
                          offset);
    r->n = list->as.items->n;
    if (r->n == 0) return EG_OK;
    r->storages = eg_calloc(r->n, sizeof *r->storages);
    if (r->storages == NULL)
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the list of storages");
    for (size_t i = 0; i < r->n; i++) {
        r->storages[i].key = &list->as.items->v[i];
        if (r->storages[i].key->kind != EG_PICKLE_TEXT)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)offset,
                              "a storage key in the list at byte %zu is not text", offset);
    }
    qsort(r->storages, r->n, sizeof *r->storages, compare_stored);
    for (size_t i = 1; i < r->n; i++)
        if (compare_stored(&r->storages[i - 1], &r->storages[i]) == 0)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)offset,
                              "a storage key is twice in the list at byte %zu", offset);
    return EG_OK;
}

/* Every mention of a storage in the object must be in the list, and mentions of one key must
 * agree. */
static eg_status match_mentions(reader *r, eg_error *err) {
    for (size_t i = 0; i < eg_codec_pickle_n_storages(r->pickle); i++) {
        const eg_pickle_storage *s = eg_codec_pickle_storage_at(r->pickle, i);
        stored *found = find_stored(r, s);
        if (found == NULL)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)s->position,
                              "the storage at byte %zu is not in the file", s->position);
        if (found->mention == NULL) found->mention = s;
        if (found->mention->dtype != s->dtype || found->mention->root_numel != s->root_numel)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)s->position,
                              "the storage at byte %zu was declared differently before",
                              s->position);
    }
    return EG_OK;
}

/* The raw data, in the order of the list; must end with the file. */
static eg_status place_data(reader *r, const eg_pickle_value *list, size_t at, eg_error *err) {
    eg_cursor c = {.data = r->data, .size = r->size, .pos = at};
    for (size_t i = 0; i < r->n; i++) {
        stored wanted = {.key = &list->as.items->v[i]};
        stored *s = bsearch(&wanted, r->storages, r->n, sizeof wanted, compare_stored);
        uint64_t numel;
        at = c.pos;
        if (s == NULL || s->mention == NULL)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                              "the storage at byte %zu belongs to no tensor", at);
        if (!eg_cursor_u64le(&c, &numel))
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at, "the file is cut off at byte %zu",
                              at);
        if (numel != (uint64_t)s->mention->root_numel)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                              "the storage at byte %zu has %llu elements, but its tensors say %lld",
                              at, (unsigned long long)numel, (long long)s->mention->root_numel);
        s->bytes_offset = c.pos;
        if (!eg_cursor_skip(&c, (size_t)numel * eg_dtype_bytes(s->mention->dtype)))
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                              "the file is cut off in the storage at byte %zu", at);
    }
    if (c.pos != c.size)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)c.pos,
                          "something follows the last storage, at byte %zu", c.pos);
    return EG_OK;
}

/* Every mention was matched before, so a failure here is our own mistake. */
static eg_status resolve(const uint8_t **bytes, void *context, const eg_pickle_storage *s,
                         eg_error *err) {
    const reader *r = context;
    const stored *found = find_stored(r, s);
    if (found == NULL) return eg_fail(err, EG_ERR_INTERNAL, "a storage was lost");
    *bytes = r->data + found->bytes_offset;
    return EG_OK;
}

/* The parts in their order in the file; `source.start` walks along. */
static eg_status read_all(reader *r, eg_state_dict *sd, eg_error *err) {
    eg_pickle_source source = {.data = r->data, .size = r->size, .where = "pickle", .legacy = true};
    eg_pickle_value info, root, keys;
    size_t at;
    if (r->size < sizeof magic || memcmp(r->data, magic, sizeof magic) != 0) {
        /* A plain pickle. Reading it first lets the message name a dangerous global. */
        EG_TRY(eg_codec_pickle_read(r->pickle, &root, &at, &source, err));
        return eg_fail_at(err, EG_ERR_INPUT, 0,
                          "a pickle, but not of torch.save: its magic number is missing");
    }
    at = sizeof magic;
    if (r->size - at < sizeof protocol || memcmp(r->data + at, protocol, sizeof protocol) != 0)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "torch's legacy format of an unknown protocol at byte %zu, expected 1001",
                          at);
    size_t system_at = at + sizeof protocol, object_at, keys_at;
    source.start = system_at;
    EG_TRY(eg_codec_pickle_read(r->pickle, &info, &object_at, &source, err));
    EG_TRY(eg_codec_torch_check_system(&info, 1001, system_at, err));
    source.start = object_at;
    EG_TRY(eg_codec_pickle_read(r->pickle, &root, &keys_at, &source, err));
    source.start = keys_at;
    EG_TRY(eg_codec_pickle_read(r->pickle, &keys, &at, &source, err));
    EG_TRY(read_keys(r, &keys, keys_at, err));
    EG_TRY(match_mentions(r, err));
    EG_TRY(place_data(r, &keys, at, err));
    return eg_codec_torch_collect(sd, r->pickle, &root, resolve, r, 4 * r->size, err);
}

eg_status eg_codec_torch_legacy_read(eg_state_dict *sd, const uint8_t *data, size_t size,
                                     eg_error *err) {
    eg_codec_sd_set_container(sd, "torch legacy");
    reader r = {.data = data, .size = size, .pickle = eg_codec_pickle_new()};
    if (r.pickle == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to read the pickle");
    eg_status status = read_all(&r, sd, err);
    eg_free(r.storages);
    eg_codec_pickle_free(r.pickle);
    return status;
}
