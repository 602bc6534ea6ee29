/* Finds the state dict in what torch.save was given.
 *
 * Checkpoints of the wild are {'state_dict': {...}, 'epoch': 3, 'optimizer': {...}} under many
 * names. The rule here looks at contents, not at names: the one dict, reached through text keys,
 * most of whose values are tensors. An optimiser's tensors hang below integer keys, so they are
 * never taken for a network. What was taken or left out is said aloud. */
#include "codec/torch_tree.h"

#include "codec/utf8.h"

#include <string.h>

enum { MAX_NEST = 4, MAX_CANDIDATES = 16, MAX_ENTRIES_SEEN = 4000000, PATH_BYTES = 160 };

typedef struct {
    const eg_pickle_items *dict;
    char path[PATH_BYTES]; /* "model.state_dict"; "" for the root */
    size_t n_tensors;
    bool mostly_tensors;
} candidate;

typedef struct {
    candidate found[MAX_CANDIDATES];
    size_t n;
    size_t n_seen; /* dict entries looked at: shared parts make the number of paths explode */
    bool too_many;
} search;

/* Note every dict with tensors at or below `dict`. Depth, candidates and entries are bounded,
 * because dicts may be shared: a kilobyte of pickle can describe 2^40 paths. */
static void look(search *s, const eg_pickle_items *dict, const char *path, int depth) {
    size_t n_tensors = 0, n_pairs = dict->n / 2;
    s->n_seen += n_pairs + 1;
    if (s->n_seen > MAX_ENTRIES_SEEN) {
        s->too_many = true;
        return;
    }
    for (size_t i = 0; i < s->n; i++)
        if (s->found[i].dict == dict) return; /* the same dict under a second key */
    for (size_t i = 0; i < n_pairs; i++)
        n_tensors +=
            dict->v[2 * i].kind == EG_PICKLE_TEXT && dict->v[2 * i + 1].kind == EG_PICKLE_TENSOR;
    if (n_tensors > 0) {
        if (s->n == MAX_CANDIDATES) {
            s->too_many = true;
            return;
        }
        candidate *c = &s->found[s->n++];
        *c = (candidate){dict, "", n_tensors, 2 * n_tensors > n_pairs};
        memcpy(c->path, path, strlen(path) + 1);
    }
    for (size_t i = 0; i < n_pairs && depth < MAX_NEST && !s->too_many; i++) {
        const eg_pickle_value *key = &dict->v[2 * i], *value = key + 1;
        if (key->kind != EG_PICKLE_TEXT || value->kind != EG_PICKLE_DICT) continue;
        char shown[48], below[PATH_BYTES];
        eg_codec_printable(shown, sizeof shown, key->as.text, key->size);
        snprintf(below, sizeof below, "%s%s%s", path, path[0] ? "." : "", shown);
        look(s, value->as.items, below, depth + 1);
    }
}

/* For messages. */
static const char *path_name(const candidate *c) {
    return c->path[0] ? c->path : "(top)";
}

/* Both ways of not finding one, with what was found instead. */
static eg_status none_or_several(const search *s, bool mostly, eg_error *err) {
    if (s->n == 0)
        return eg_fail(err, EG_ERR_INPUT,
                       "holds no tensors under text keys - expected a state dict: save it with "
                       "torch.save(model.state_dict(), FILE)");
    eg_buffer list = {0};
    for (size_t i = 0; i < s->n; i++)
        if (s->found[i].mostly_tensors == mostly)
            eg_buffer_printf(&list, "%s'%s' (%zu tensors)", list.size > 0 ? ", " : "",
                             path_name(&s->found[i]), s->found[i].n_tensors);
    eg_status status = eg_fail(err, EG_ERR_INPUT,
                               "holds several state dicts: %.300s - save the one you want alone",
                               list.data != NULL ? list.data : "");
    eg_buffer_free(&list);
    return status;
}

/* The only dict that is mostly tensors; failing that, the only dict that has any. */
static eg_status choose(const candidate **out, const search *s, eg_error *err) {
    bool any_mostly = false;
    for (size_t i = 0; i < s->n; i++) any_mostly = any_mostly || s->found[i].mostly_tensors;
    size_t n_fit = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->found[i].mostly_tensors != any_mostly) continue;
        n_fit++;
        *out = &s->found[i];
    }
    return n_fit == 1 ? EG_OK : none_or_several(s, any_mostly, err);
}

/* "a, b, ... and 3 more": keys of the root, or what was left out. */
static void list_key(eg_buffer *list, size_t *n, const eg_pickle_value *key) {
    char shown[40];
    if (key->kind == EG_PICKLE_TEXT)
        eg_codec_printable(shown, sizeof shown, key->as.text, key->size);
    else
        snprintf(shown, sizeof shown, "%lld", (long long)key->as.integer);
    if (++*n <= 6) eg_buffer_printf(list, "%s%s", list->size > 0 ? ", " : "", shown);
    if (*n == 7) eg_buffer_printf(list, ", ...");
}

/* The note names the keys of the top dict when something inside was taken, and what was no tensor
 * in what was taken. Taking a part in silence is how the wrong half of a checkpoint gets
 * trained. */
static bool say_what_was_done(eg_state_dict *sd, const eg_pickle_items *root, const candidate *c) {
    bool good = true;
    eg_buffer list = {0};
    size_t n = 0;
    if (c->path[0]) {
        for (size_t i = 0; i < root->n; i += 2) list_key(&list, &n, &root->v[i]);
        good = !list.failed && eg_codec_sd_note(sd, "took '%s' of {%s}", c->path, list.data);
    }
    eg_buffer_free(&list);
    list = (eg_buffer){0};
    n = 0;
    for (size_t i = 0; i < c->dict->n; i += 2)
        if (c->dict->v[i].kind != EG_PICKLE_TEXT || c->dict->v[i + 1].kind != EG_PICKLE_TENSOR)
            list_key(&list, &n, &c->dict->v[i]);
    if (n > 0 && good)
        good = !list.failed &&
               eg_codec_sd_note(sd, "left out %zu that are no tensors: %s", n, list.data);
    eg_buffer_free(&list);
    return good;
}

typedef struct {
    eg_torch_resolve_fn resolve;
    void *context;
    size_t bytes_left;
} materials;

/* One tensor: its share of the budget first, then where its storage is, then its elements. */
static eg_status add_tensor(eg_state_dict *sd, const eg_pickle_value *key,
                            const eg_pickle_tensor *t, materials *m, eg_error *err) {
    eg_codec_layout layout = {.dtype = t->storage->dtype, .n_dims = t->n_dims};
    size_t bytes = eg_dtype_bytes(layout.dtype), total = bytes;
    for (int i = 0; i < t->n_dims; i++) {
        layout.dims[i] = t->dims[i];
        layout.strides[i] = t->strides[i];
        if (!eg_mul(&total, total, (size_t)t->dims[i])) total = SIZE_MAX;
    }
    char shown[80];
    if (total > m->bytes_left) {
        eg_codec_printable(shown, sizeof shown, key->as.text, key->size);
        return eg_fail(
            err, EG_ERR_LIMIT,
            "tensor '%s': with it the tensors are more than 4 times the file's data (its "
            "storage: byte %zu)",
            shown, t->storage->position);
    }
    m->bytes_left -= total;
    const uint8_t *storage;
    EG_TRY(m->resolve(&storage, m->context, t->storage, err));
    if (total > 0) layout.bytes = storage + (size_t)(t->storage->start + t->offset) * bytes;
    return eg_codec_sd_add(sd, key->as.text, key->size, &layout, err);
}

/* Order matters: globals are recorded even when the object turns out to be no state dict. */
eg_status eg_codec_torch_collect(eg_state_dict *sd, const eg_pickle *p, const eg_pickle_value *root,
                                 eg_torch_resolve_fn resolve, void *context, size_t max_bytes,
                                 eg_error *err) {
    for (size_t i = 0; i < eg_codec_pickle_n_globals(p); i++)
        EG_TRY(eg_codec_sd_add_global(sd, eg_codec_pickle_global_at(p, i), err));
    if (root->kind != EG_PICKLE_DICT)
        return eg_fail(
            err, EG_ERR_INPUT,
            "holds a %s, not a state dict - save it with torch.save(model.state_dict(), FILE)",
            root->kind == EG_PICKLE_TENSOR ? "single tensor" : "value that is no dict");
    search s = {.n = 0};
    look(&s, root->as.items, "", 0);
    if (s.too_many)
        return eg_fail(err, EG_ERR_LIMIT,
                       "too many dicts of tensors inside each other (more than %d)",
                       MAX_CANDIDATES);
    const candidate *chosen = NULL;
    EG_TRY(choose(&chosen, &s, err));
    materials m = {resolve, context, max_bytes};
    for (size_t i = 0; i < chosen->dict->n; i += 2) {
        const eg_pickle_value *key = &chosen->dict->v[i], *value = key + 1;
        if (key->kind == EG_PICKLE_TEXT && value->kind == EG_PICKLE_TENSOR)
            EG_TRY(add_tensor(sd, key, value->as.tensor, &m, err));
    }
    if (!say_what_was_done(sd, root->as.items, chosen))
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the note");
    return EG_OK;
}
