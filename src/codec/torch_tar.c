/* The torch container of 2016 and 2017 (torch <= 0.1.1): a tar archive of four members (formats.md
 * 1.4; legacy_load in torch/serialization.py).
 *
 *   sys_info   who wrote the file        storages  number | class, numel, data of each | views
 *   pickle     the object; ids of tensors  tensors   number | class, sizes, strides, offset of each
 *
 * Tar is read here by hand (POSIX 1003.1 ustar, and the pax headers that Python writes for times):
 * exactly the four members, each once, and nothing that two readers could understand differently.
 * There is a sum over each header, but none over the data: a flipped bit there cannot be noticed.
 * Read pickle.h first. */
#include "codec/torch_tree.h"
#include "codec/utf8.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 512,
    NAME_BYTES = 100,
    SIZE_AT = 124,
    SUM_AT = 148,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    MAX_PAX_BYTES = 64 << 10,
    MAX_THINGS = 100000 /* storages, views, tensors: as many as a zip may have members */
};

typedef enum { SYS_INFO, PICKLE, STORAGES, TENSORS, N_MEMBERS } member_id;
static const char *const member_names[N_MEMBERS] = {"sys_info", "pickle", "storages", "tensors"};

typedef struct {
    size_t begin, end; /* of the data in the file; begin 0: absent (a header comes first) */
} member;

/* A storage or a view of one, under its number (in 2017 an address). */
typedef struct {
    eg_pickle_storage storage; /* first, so that resolve() finds the rest */
    int64_t number;
    size_t bytes_at; /* of the root's first element in the file */
} tar_storage;

typedef struct {
    eg_pickle_tensor tensor;
    int64_t number;
} tar_tensor;

typedef struct {
    const uint8_t *data;
    size_t size;
    member members[N_MEMBERS];
    eg_pickle *pickle;
    tar_storage *storages; /* sorted by number; views behind the roots until they are sorted in */
    size_t n_storages;
    tar_tensor *tensors; /* sorted by number */
    size_t n_tensors;
} reader;

/* ---- the archive ---- */

static eg_status refuse(eg_error *err, size_t at, const char *rule) {
    return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at, "tar: %s, at byte %zu", rule, at);
}

/* An octal field: blanks, digits, then NUL or a blank. GNU's binary numbers (files of 8 GiB and
 * more) are not read. */
static bool take_octal(size_t *out, const uint8_t *field, size_t n) {
    size_t i = 0, value = 0, n_digits = 0;
    while (i < n && field[i] == ' ') i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++, n_digits++)
        value = value << 3 | (size_t)(field[i] - '0');
    if (n_digits == 0 || n_digits > 12) return false;
    for (; i < n; i++)
        if (field[i] != 0 && field[i] != ' ') return false;
    *out = value;
    return true;
}

/* The sum of all bytes of the header, those of the sum itself counted as blanks. */
static bool sum_is_right(const uint8_t *h) {
    size_t wanted, sum = 0;
    if (!take_octal(&wanted, h + SUM_AT, 8)) return false;
    for (size_t i = 0; i < BLOCK; i++) sum += i >= SUM_AT && i < SUM_AT + 8 ? ' ' : h[i];
    return sum == wanted;
}

static bool is_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0) return false;
    return true;
}

/* Records "LENGTH KEY=VALUE\n" of a pax header. Times, owners and comments may stand there; a path, a
 * size or anything else would make the member another one than its header says. */
static eg_status check_pax(const uint8_t *text, size_t n, size_t file_at, eg_error *err) {
    static const char *const harmless[] = {
        "mtime=", "atime=", "ctime=", "uid=", "gid=", "uname=", "gname=", "comment="};
    for (size_t at = 0; at < n;) {
        size_t length = 0, i = at;
        for (; i < n && i - at < 6 && text[i] >= '0' && text[i] <= '9'; i++)
            length = 10 * length + (size_t)(text[i] - '0');
        if (i == at || i == n || text[i] != ' ' || length <= i - at || length > n - at ||
            text[at + length - 1] != '\n')
            return refuse(err, file_at + at, "a pax record is damaged");
        const uint8_t *key = text + i + 1;
        size_t left = at + length - i - 1;
        bool known = false;
        for (size_t k = 0; k < sizeof harmless / sizeof *harmless && !known; k++)
            known =
                left > strlen(harmless[k]) && memcmp(key, harmless[k], strlen(harmless[k])) == 0;
        if (!known)
            return refuse(err, file_at + at, "a pax record changes more than times and owners");
        at += length;
    }
    return EG_OK;
}

/* A header that is no pax header: one of the four members, a plain file, once. */
static eg_status place_member(reader *r, const uint8_t *h, size_t at, size_t n_bytes,
                              eg_error *err) {
    char name[NAME_BYTES + 1] = {0}, shown[NAME_BYTES + 1];
    memcpy(name, h, NAME_BYTES);
    eg_codec_printable(shown, sizeof shown, name, strlen(name));
    if (h[TYPE_AT] != '0' && h[TYPE_AT] != 0)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "tar: member '%s' at byte %zu is no plain file (a link or a folder)",
                          shown, at);
    int id = 0;
    while (id < N_MEMBERS && strcmp(name, member_names[id]) != 0) id++;
    if (id == N_MEMBERS || h[PREFIX_AT] != 0)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "a tar archive, but not torch's: member '%s' at byte %zu - unpack it if "
                          "the weights are inside",
                          shown, at);
    if (r->members[id].begin != 0)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "tar: member '%s' at byte %zu is there twice", shown, at);
    r->members[id] = (member){at + BLOCK, at + BLOCK + n_bytes};
    return EG_OK;
}

/* Headers and data follow each other in blocks of 512 bytes, up to two blocks of zeros and nothing
 * behind them but more zeros. */
static eg_status read_directory(reader *r, eg_error *err) {
    size_t at = 0;
    for (;;) {
        const uint8_t *h = r->data + at;
        if (r->size - at < BLOCK) return refuse(err, at, "the archive is cut off");
        if (is_zero(h, BLOCK)) break;
        size_t n_bytes, left = r->size - at - BLOCK;
        if (memcmp(h + MAGIC_AT, "ustar", 5) != 0 || !sum_is_right(h))
            return refuse(err, at, "a member's header is damaged (its sum is wrong)");
        if (!take_octal(&n_bytes, h + SIZE_AT, 12))
            return refuse(err, at, "a member's size is no octal number below 8 GiB");
        if (n_bytes > left) return refuse(err, at, "a member runs over the end of the file");
        if (h[TYPE_AT] == 'x' || h[TYPE_AT] == 'g') {
            if (n_bytes > MAX_PAX_BYTES) return refuse(err, at, "a pax header of more than 64 KiB");
            EG_TRY(check_pax(h + BLOCK, n_bytes, at + BLOCK, err));
        } else {
            EG_TRY(place_member(r, h, at, n_bytes, err));
        }
        size_t padded = (n_bytes + BLOCK - 1) / BLOCK * BLOCK;
        if (padded > left) return refuse(err, at, "the archive is cut off in this member");
        at += BLOCK + padded;
    }
    if (r->size - at < 2 * BLOCK || !is_zero(r->data + at, r->size - at))
        return refuse(err, at, "the archive does not end with two blocks of zeros, and them alone");
    for (int i = 0; i < N_MEMBERS; i++)
        if (r->members[i].begin == 0)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                              "a tar archive, but not torch's: it ends at byte %zu without member "
                              "'%s'",
                              at, member_names[i]);
    return EG_OK;
}

/* ---- storages ---- */

/* One pickle of member `id` at c->pos, which moves behind it. */
static eg_status read_pickle(eg_pickle_value *out, reader *r, member_id id, eg_cursor *c,
                             eg_error *err) {
    eg_pickle_source source = {
        .data = c->data, .size = c->size, .start = c->pos, .where = member_names[id], .tar = true};
    return eg_codec_pickle_read(r->pickle, out, &c->pos, &source, err);
}

static eg_cursor open_member(const reader *r, member_id id) {
    return (eg_cursor){.data = r->data, .size = r->members[id].end, .pos = r->members[id].begin};
}

/* The number of things that follow, each of which takes at least `min_bytes`: what is claimed is
 * bounded before room for it is taken. */
static eg_status read_count(size_t *out, reader *r, member_id id, eg_cursor *c, size_t min_bytes,
                            eg_error *err) {
    eg_pickle_value count;
    size_t at = c->pos;
    EG_TRY(read_pickle(&count, r, id, c, err));
    if (count.kind != EG_PICKLE_INT || count.as.integer < 0 ||
        (uint64_t)count.as.integer > (c->size - c->pos) / min_bytes)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "%s: no number of entries that could follow, at byte %zu",
                          member_names[id], at);
    if (count.as.integer > MAX_THINGS)
        return eg_fail_at(err, EG_ERR_LIMIT, (int64_t)at,
                          "%s: %lld entries at byte %zu, more than %d", member_names[id],
                          (long long)count.as.integer, at, MAX_THINGS);
    *out = (size_t)count.as.integer;
    return EG_OK;
}

/* Tuple of exactly n values; NULL when `v` is none. */
static const eg_pickle_value *tuple_of(const eg_pickle_value *v, size_t n) {
    return v->kind == EG_PICKLE_TUPLE && v->as.items->n == n ? v->as.items->v : NULL;
}

/* pickle (number, location, class), int64 numel, numel elements. */
static eg_status read_storage(reader *r, eg_cursor *c, eg_error *err) {
    size_t at = c->pos;
    eg_pickle_value value;
    eg_dtype dtype;
    uint64_t numel;
    EG_TRY(read_pickle(&value, r, STORAGES, c, err));
    const eg_pickle_value *v = tuple_of(&value, 3);
    if (v == NULL || v[0].kind != EG_PICKLE_INT || v[1].kind != EG_PICKLE_TEXT ||
        !eg_codec_pickle_storage_class(&dtype, &v[2]))
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "storages: not (number, location, class) at byte %zu", at);
    at = c->pos;
    if (!eg_cursor_u64le(c, &numel) || numel > (c->size - c->pos) / eg_dtype_bytes(dtype))
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "storages: the storage at byte %zu runs over the end of its member", at);
    r->storages[r->n_storages++] =
        (tar_storage){.storage = {.key = member_names[STORAGES],
                                  .key_length = strlen(member_names[STORAGES]),
                                  .dtype = dtype,
                                  .root_numel = (int64_t)numel,
                                  .numel = (int64_t)numel,
                                  .position = at},
                      .number = v[0].as.integer,
                      .bytes_at = c->pos};
    return eg_cursor_skip(c, (size_t)numel * eg_dtype_bytes(dtype)) ? EG_OK : EG_ERR_INTERNAL;
}

static int compare_storages(const void *a, const void *b) {
    int64_t x = ((const tar_storage *)a)->number, y = ((const tar_storage *)b)->number;
    return (x > y) - (x < y);
}

static int compare_tensors(const void *a, const void *b) {
    int64_t x = ((const tar_tensor *)a)->number, y = ((const tar_tensor *)b)->number;
    return (x > y) - (x < y);
}

/* NULL: no such storage among the first n. */
static const tar_storage *find_storage(const reader *r, size_t n, int64_t number) {
    tar_storage wanted = {.number = number};
    return n > 0 ? bsearch(&wanted, r->storages, n, sizeof wanted, compare_storages) : NULL;
}

/* Sorted, so that numbers given twice are neighbours. */
static eg_status sort_storages(reader *r, eg_error *err) {
    if (r->n_storages > 0) qsort(r->storages, r->n_storages, sizeof *r->storages, compare_storages);
    for (size_t i = 1; i < r->n_storages; i++)
        if (r->storages[i].number == r->storages[i - 1].number)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)r->storages[i].storage.position,
                              "storages: a number is given twice, at byte %zu",
                              r->storages[i].storage.position);
    return EG_OK;
}

/* (number, number of the root, first element, elements): a window into a root, never into another
 * view. */
static bool read_view(tar_storage *out, const reader *r, const eg_pickle_value *value,
                      size_t n_roots) {
    const eg_pickle_value *v = tuple_of(value, 4);
    for (int i = 0; i < 4; i++)
        if (v == NULL || v[i].kind != EG_PICKLE_INT) return false;
    const tar_storage *root = find_storage(r, n_roots, v[1].as.integer);
    int64_t start = v[2].as.integer, numel = v[3].as.integer;
    if (root == NULL || start < 0 || numel < 0 || start > root->storage.numel ||
        numel > root->storage.numel - start)
        return false;
    *out = *root;
    out->number = v[0].as.integer;
    out->storage.start = start;
    out->storage.numel = numel;
    return true;
}

/* All of member "storages". The views stand behind the data, so room for them is taken last. */
static eg_status read_storages(reader *r, eg_error *err) {
    eg_cursor c = open_member(r, STORAGES);
    size_t n_roots, at;
    EG_TRY(read_count(&n_roots, r, STORAGES, &c, 16, err));
    r->storages = eg_calloc(n_roots + 1, sizeof *r->storages);
    if (r->storages == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the storages");
    for (size_t i = 0; i < n_roots; i++) EG_TRY(read_storage(r, &c, err));
    EG_TRY(sort_storages(r, err));
    eg_pickle_value views;
    at = c.pos;
    EG_TRY(read_pickle(&views, r, STORAGES, &c, err));
    if (views.kind != EG_PICKLE_LIST || views.as.items->n > MAX_THINGS)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at, "storages: no list of views at byte %zu",
                          at);
    if (c.pos != c.size)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)c.pos,
                          "storages: something follows the list of views, at byte %zu", c.pos);
    size_t n_views = views.as.items->n;
    if (n_views == 0) return EG_OK;
    tar_storage *grown =
        eg_realloc(r->storages, (n_roots + 1) * sizeof *grown, (n_roots + n_views) * sizeof *grown);
    if (grown == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the views");
    r->storages = grown;
    for (size_t i = 0; i < n_views; i++) {
        tar_storage *view = &r->storages[r->n_storages];
        if (!read_view(view, r, &views.as.items->v[i], n_roots))
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                              "storages: view %zu of the list at byte %zu lies in no storage", i,
                              at);
        view->storage.position = at;
        r->n_storages++;
    }
    return sort_storages(r, err);
}

/* ---- tensors ---- */

/* int32 number of dimensions, 4 bytes of no meaning (it was written as a long), sizes, strides, and
 * the offset, int64 each. */
static bool take_layout(eg_pickle_tensor *t, eg_cursor *c) {
    uint32_t n;
    uint64_t v;
    if (!eg_cursor_u32le(c, &n) || n > EG_MAX_DIMS || !eg_cursor_skip(c, 4)) return false;
    t->n_dims = (int)n;
    for (uint32_t i = 0; i < 2 * n; i++) {
        if (!eg_cursor_u64le(c, &v)) return false;
        *(i < n ? &t->dims[i] : &t->strides[i - n]) = (int64_t)v;
    }
    if (!eg_cursor_u64le(c, &v)) return false;
    t->offset = (int64_t)v;
    return true;
}

/* pickle (number, number of the storage, class) and the layout. */
static eg_status read_tensor(reader *r, eg_cursor *c, eg_error *err) {
    size_t at = c->pos;
    eg_pickle_value value;
    eg_dtype dtype;
    EG_TRY(read_pickle(&value, r, TENSORS, c, err));
    const eg_pickle_value *v = tuple_of(&value, 3);
    if (v == NULL || v[0].kind != EG_PICKLE_INT || v[1].kind != EG_PICKLE_INT ||
        !eg_codec_pickle_tensor_class(&dtype, &v[2]))
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "tensors: not (number, storage, class) at byte %zu", at);
    const tar_storage *s = find_storage(r, r->n_storages, v[1].as.integer);
    tar_tensor *t = &r->tensors[r->n_tensors];
    if (s == NULL || s->storage.dtype != dtype)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "tensors: the tensor at byte %zu has no storage of its type", at);
    t->number = v[0].as.integer;
    t->tensor.storage = &s->storage;
    if (!take_layout(&t->tensor, c))
        return eg_fail_at(
            err, EG_ERR_INPUT, (int64_t)at,
            "tensors: the tensor at byte %zu is cut off or has more than 8 dimensions", at);
    if (!eg_codec_pickle_tensor_fits(&t->tensor))
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                          "tensors: the tensor at byte %zu does not fit into its storage", at);
    r->n_tensors++;
    return EG_OK;
}

/* All of member "tensors". */
static eg_status read_tensors(reader *r, eg_error *err) {
    eg_cursor c = open_member(r, TENSORS);
    size_t n;
    EG_TRY(read_count(&n, r, TENSORS, &c, 24, err));
    r->tensors = eg_calloc(n + 1, sizeof *r->tensors);
    if (r->tensors == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the tensors");
    for (size_t i = 0; i < n; i++) EG_TRY(read_tensor(r, &c, err));
    if (c.pos != c.size)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)c.pos,
                          "tensors: something follows the last tensor, at byte %zu", c.pos);
    if (n > 0) qsort(r->tensors, n, sizeof *r->tensors, compare_tensors);
    for (size_t i = 1; i < n; i++)
        if (r->tensors[i].number == r->tensors[i - 1].number)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)r->members[TENSORS].begin,
                              "tensors: number %lld is given twice in the member at byte %zu",
                              (long long)r->tensors[i].number, r->members[TENSORS].begin);
    return EG_OK;
}

/* ---- the object ---- */

/* A tensor's number, or a storage's: a storage saved by itself is no tensor, and is left out. */
static bool lookup(eg_pickle_value *out, void *context, int64_t number) {
    const reader *r = context;
    tar_tensor wanted = {.number = number};
    const tar_tensor *t = NULL;
    if (r->n_tensors > 0)
        t = bsearch(&wanted, r->tensors, r->n_tensors, sizeof wanted, compare_tensors);
    if (t != NULL) {
        *out = (eg_pickle_value){.kind = EG_PICKLE_TENSOR, .as.tensor = &t->tensor};
        return true;
    }
    const tar_storage *s = find_storage(r, r->n_storages, number);
    if (s == NULL) return false;
    *out = (eg_pickle_value){.kind = EG_PICKLE_STORAGE, .as.storage = &s->storage};
    return true;
}

/* Where the root's elements are; the window's first one is added by the caller. */
static eg_status resolve(const uint8_t **bytes, void *context, const eg_pickle_storage *s,
                         eg_error *err) {
    (void)err;
    const reader *r = context;
    *bytes = r->data + ((const tar_storage *)(const void *)s)->bytes_at;
    return EG_OK;
}

static eg_status read_all(reader *r, eg_state_dict *sd, eg_error *err) {
    eg_pickle_value info, root;
    EG_TRY(read_directory(r, err));
    eg_cursor c = open_member(r, SYS_INFO);
    size_t at = c.pos;
    EG_TRY(read_pickle(&info, r, SYS_INFO, &c, err));
    EG_TRY(eg_codec_torch_check_system(&info, 1000, at, err));
    if (c.pos != c.size) return refuse(err, c.pos, "something follows the system information");
    EG_TRY(read_storages(r, err));
    EG_TRY(read_tensors(r, err));
    const member *m = &r->members[PICKLE];
    eg_pickle_source source = {.data = r->data,
                               .size = m->end,
                               .start = m->begin,
                               .where = member_names[PICKLE],
                               .tar = true,
                               .lookup = lookup,
                               .context = r};
    EG_TRY(eg_codec_pickle_read(r->pickle, &root, &at, &source, err));
    if (at != m->end)
        return refuse(err, at, "something follows the object's pickle: a second, hidden one?");
    return eg_codec_torch_collect(sd, r->pickle, &root, resolve, r, 4 * r->size, err);
}

eg_status eg_codec_torch_tar_read(eg_state_dict *sd, const uint8_t *data, size_t size,
                                  eg_error *err) {
    eg_codec_sd_set_container(sd, "torch tar");
    reader r = {.data = data, .size = size, .pickle = eg_codec_pickle_new()};
    if (r.pickle == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to read the pickle");
    eg_status status = read_all(&r, sd, err);
    eg_free(r.storages);
    eg_free(r.tensors);
    eg_codec_pickle_free(r.pickle);
    return status;
}

/* ---- scan ---- */

typedef struct {
    eg_pickle_scan_fn fn;
    void *context;
    char last[80];  /* allowed name given last */
    eg_dtype dtype; /* of the last class named; COUNT: none since it was reset */
} scan;

static bool see(void *context, const char *name, size_t position, bool allowed) {
    scan *s = context;
    const char *point = strrchr(name, '.');
    eg_pickle_value value = {.kind = EG_PICKLE_NONE};
    if (allowed && point != NULL)
        value = eg_codec_pickle_global_value(eg_codec_pickle_global_find(
            name, (size_t)(point - name), point + 1, strlen(point + 1)));
    if (!eg_codec_pickle_storage_class(&s->dtype, &value))
        (void)eg_codec_pickle_tensor_class(&s->dtype, &value);
    if (allowed && strcmp(name, s->last) == 0) return true;
    if (allowed) snprintf(s->last, sizeof s->last, "%s", name);
    return s->fn(s->context, name, position, allowed);
}

/* Pickle after pickle; behind one that names a class, what belongs to it is stepped over. */
static void scan_member(scan *s, const reader *r, member_id id) {
    eg_cursor c = open_member(r, id);
    for (int i = 0; i <= 2 * MAX_THINGS && c.pos < c.size; i++) {
        size_t at = c.pos;
        s->dtype = EG_DTYPE_COUNT;
        c.pos = eg_codec_pickle_scan(c.data, c.size, at, see, s);
        if (c.pos == at || c.data[c.pos - 1] != '.') return;
        if (s->dtype == EG_DTYPE_COUNT) continue;
        uint64_t numel;
        eg_pickle_tensor unused;
        if (id == TENSORS && !take_layout(&unused, &c)) return;
        if (id == STORAGES &&
            (!eg_cursor_u64le(&c, &numel) || numel > c.size / eg_dtype_bytes(s->dtype) ||
             !eg_cursor_skip(&c, (size_t)numel * eg_dtype_bytes(s->dtype))))
            return;
    }
}

eg_status eg_codec_torch_tar_scan(const uint8_t *data, size_t size, eg_pickle_scan_fn fn,
                                  void *context, eg_error *err) {
    reader r = {.data = data, .size = size};
    scan s = {.fn = fn, .context = context};
    EG_TRY(read_directory(&r, err));
    for (int id = 0; id < N_MEMBERS; id++) scan_member(&s, &r, (member_id)id);
    return EG_OK;
}
