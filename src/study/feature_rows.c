/* Features of images through the cache on disk: what is there is read, the rest computed and kept. The key
 * holds all that the bits of a feature depend on, so that a run with the cache gives what one without it gives.
 * How rows lie on disk: feature_cache.c. Read first: feature_cache.h. */
#include "study/feature_cache.h"
#include <string.h>

/* Raise when features change without the key's other parts changing. */
enum { FEATURES_VERSION = 1 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for features");
}

/* ---- the key ---- */

typedef struct {
    const eg_net_tensor *tensors;
    char (*hash)[65]; /* (n); "": of no account for features */
} tensor_hashes;

/* The last layer comes after the features, and counters of batches nobody reads. */
static void hash_tensor(void *context, int i) {
    const tensor_hashes *h = context;
    const eg_net_tensor *t = &h->tensors[i];
    h->hash[i][0] = '\0';
    if (!t->is_head && t->role != EG_TENSOR_COUNTER)
        eg_sha256_hex(h->hash[i], t->data, t->count * sizeof *t->data);
}

/* One line a tensor of the trunk, as it is in memory: what the file was like does not matter. */
static bool add_trunk(eg_buffer *text, eg_network *net) {
    size_t n;
    tensor_hashes h = {.tensors = eg_network_tensors(net, &n)};
    h.hash = eg_calloc(n, sizeof *h.hash);
    if (!h.hash) return false;
    eg_pool_run(hash_tensor, &h, (int)n);
    for (size_t i = 0; i < n; i++)
        if (h.hash[i][0]) eg_buffer_printf(text, "%s %s\n", h.tensors[i].name, h.hash[i]);
    eg_free(h.hash);
    return true;
}

/* This code, and the machine: oneDNN and its choice of kernels, the processor. The number of threads moves the
 * bits of some kernels, unless they are asked to be deterministic. */
static bool add_machine(eg_buffer *text, bool deterministic) {
    char build[65];
    json_t *machine = eg_study_machine_json(false);
    if (deterministic) json_object_del(machine, "threads");
    char *json = machine ? eg_json_text(machine, true) : NULL;
    eg_build_id(build);
    eg_buffer_printf(text, "engraft %s build %s\nmachine %s\n", ENGRAFT_VERSION, build,
                     json ? json : "");
    json_decref(machine);
    bool ok = json != NULL;
    eg_free(json);
    return ok;
}

/* An augmented view is drawn by seed and place in the data set, so these belong to it too. */
static void add_augment(eg_buffer *text, const eg_scorer_options *o) {
    const eg_augment *a = o->augment;
    const double values[] = {a->crop_min, a->flip, a->jitter, a->rotate, a->translate,  a->zoom,
                             a->gamma_by, a->blur, a->noise,  a->cutout, a->randaugment};
    eg_buffer_printf(text, "seed %llu of %s augment", (unsigned long long)o->seed,
                     o->ds->fingerprint);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        eg_buffer_printf(text, " %a", values[i]);
    eg_buffer_printf(text, "\n");
}

static eg_status make_key(char key[EG_ROW_KEY], eg_network *net, const eg_scorer_options *o,
                          eg_error *err) {
    const eg_preprocess *p = &o->preprocess;
    eg_buffer text = {0};
    eg_buffer_printf(&text, "features %d\nmodel %s side %d\n", FEATURES_VERSION,
                     eg_network_info(net)->name, eg_network_side(net));
    eg_buffer_printf(&text, "fit %d resize %d crop %d filter %d mean %a %a %a std %a %a %a\n",
                     (int)p->fit, p->resize, p->crop, (int)p->interp, (double)p->mean[0],
                     (double)p->mean[1], (double)p->mean[2], (double)p->std[0], (double)p->std[1],
                     (double)p->std[2]);
    /* view 0: the image itself; augmented views count from 1 */
    eg_buffer_printf(&text, "view %u batch %d %s%s\n", (unsigned)o->view, o->batch,
                     o->bf16 ? "bf16" : "f32", o->deterministic ? " deterministic" : "");
    if (o->augment) add_augment(&text, o);
    if (o->ds->image_options.min_side > 0) /* --decode fast */
        eg_buffer_printf(&text, "decode %d\n", o->ds->image_options.min_side);
    bool ok = add_machine(&text, o->deterministic) && add_trunk(&text, net) && !text.failed;
    if (ok) eg_study_row_key(key, text.data);
    eg_buffer_free(&text);
    return ok ? EG_OK : no_memory(err);
}

/* ---- computing what is missing ---- */

typedef struct {
    eg_image_rows *all;
    eg_row_cache *cache;
    const char *key;
    uint32_t *missing; /* (n) positions in `all` */
    size_t n, done, kept;
} extraction;

/* Keep what has come since the last time. */
static void keep(extraction *x) {
    eg_study_rows_keep(x->cache, x->key, x->all, x->missing + x->kept, x->done - x->kept);
    x->kept = x->done;
}

static void take(void *context, const float *rows, size_t n) {
    extraction *x = context;
    const size_t width = x->all->width;
    for (size_t i = 0; i < n; i++)
        memcpy(x->all->rows + x->missing[x->done + i] * width, rows + i * width,
               width * sizeof *rows);
    x->done += n;
    if (x->done - x->kept >= eg_study_rows_per_file(width)) keep(x);
}

/* A run that is stopped keeps what it has: the next one goes on from there. */
static eg_status compute(size_t *arena_bytes, bool *bf16, extraction *x, eg_network *net,
                         const eg_scorer_options *o, const eg_events *ev, eg_error *err) {
    eg_scorer scorer = {0};
    eg_scorer_options some = *o;
    uint32_t *indices = eg_malloc(x->n * sizeof *indices);
    if (!indices) return no_memory(err);
    for (size_t i = 0; i < x->n; i++) indices[i] = o->indices[x->missing[i]];
    some.indices = indices;
    some.n = x->n;
    eg_status status = eg_study_scorer_open(&scorer, net, &some, err);
    if (status == EG_OK) {
        *arena_bytes = eg_plan_arena_bytes(scorer.plan);
        *bf16 = eg_plan_is_bf16(scorer.plan);
        status = eg_study_scorer_each(take, x, &scorer, "features", ev, err);
        keep(x);
    }
    eg_study_scorer_close(&scorer);
    eg_free(indices);
    return status;
}

static eg_status get(eg_feature_store *store, eg_image_rows *all, eg_network *net,
                     const eg_scorer_options *o, eg_row_cache *cache, const eg_events *ev,
                     eg_error *err) {
    char key[EG_ROW_KEY] = "";
    if (cache->folder) EG_TRY(make_key(key, net, o, err));
    EG_TRY(eg_study_rows_find(&store->n_cached, all, cache, key, err));
    if (store->n_cached > 0)
        eg_study_note(ev, "features: %zu of %zu from the cache (%s)", store->n_cached, all->n,
                      cache->folder);
    if (store->n_cached == all->n) return EG_OK;
    extraction x = {.all = all, .cache = cache, .key = key};
    x.missing = eg_malloc((all->n - store->n_cached) * sizeof *x.missing);
    if (!x.missing) return no_memory(err);
    for (size_t i = 0; i < all->n; i++)
        if (!all->have[i]) x.missing[x.n++] = (uint32_t)i;
    eg_status status = compute(&store->arena_bytes, &store->bf16, &x, net, o, ev, err);
    eg_free(x.missing);
    return status;
}

eg_status eg_study_features_get(eg_feature_store *out, eg_network *net, const eg_scorer_options *o,
                                eg_row_cache *cache, const eg_events *ev, eg_error *err) {
    double start = eg_time_now();
    size_t width = (size_t)eg_network_features(net);
    eg_feature_store store = {.width = width, .n = o->n, .bf16 = o->bf16};
    eg_image_rows all = {.ds = o->ds, .indices = o->indices, .n = o->n, .width = width};
    size_t bytes;
    if (eg_mul(&bytes, o->n * sizeof(float), width)) all.rows = eg_malloc(bytes);
    all.have = eg_calloc(o->n, sizeof *all.have);
    eg_status status =
        all.rows && all.have ? get(&store, &all, net, o, cache, ev, err) : no_memory(err);
    eg_free(all.have);
    if (status != EG_OK) {
        eg_free(all.rows);
        return status;
    }
    store.rows = all.rows;
    store.seconds = eg_time_now() - start;
    *out = store;
    return EG_OK;
}
