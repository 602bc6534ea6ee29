/* eg_features: pooled features of every image of a tree (all splits, or a bare class tree) into an
 * .npz, in evaluation mode with the weights as they are in the file. Trains nothing. */
#include "study/feature_cache.h"
#include "study/memory_limit.h"
#include <math.h>

typedef struct {
    eg_dataset *ds;
    eg_network *net;
    uint32_t *all;
    eg_feature_store store;
} extraction;

static eg_status load(extraction *x, const eg_settings *s, eg_error *err) {
    eg_state_dict *sd = NULL;
    bool head;
    EG_TRY(eg_network_new(&x->net, s->arch->name, x->ds->n_classes, s->preprocess.crop, err));
    EG_TRY(eg_weights_read(&sd, s->o.weights, err));
    eg_status status = eg_network_load(x->net, sd, &head, err);
    if (status != EG_OK) status = eg_error_in(err, status, s->o.weights);
    eg_state_dict_free(sd);
    return status;
}

static eg_status extract(extraction *x, const char *dir, eg_settings *s, const eg_events *ev,
                         eg_error *err) {
    json_t *bad = NULL;
    EG_TRY(eg_study_dataset_open(&x->ds, dir, &s->o, &s->preprocess, ev, err));
    EG_TRY(load(x, s, err)); /* before the images: a wrong weights file shows at once */
    EG_TRY(eg_study_data_check(&bad, x->ds, &s->o, ev, err));
    json_decref(bad);
    EG_TRY(eg_study_settings_fit(s, x->ds, ev, err));
    EG_TRY(eg_study_memory_settle(s, x->ds, false, ev, err));
    eg_row_cache cache = eg_study_row_cache(&s->o, ev);
    eg_scorer_options o = {.ds = x->ds,
                           .preprocess = s->preprocess,
                           .batch = s->score_batch,
                           .workers = (int)s->o.workers,
                           .deterministic = s->o.deterministic,
                           .bf16 = s->bf16,
                           .features = true};
    EG_TRY(eg_dataset_indices(&x->all, &o.n, x->ds, EG_SPLIT_ALL, err));
    o.indices = x->all;
    return eg_study_features_get(&x->store, x->net, &o, &cache, ev, err);
}

static eg_status run(json_t **out, const char *dir, eg_settings *s, const char *path,
                     const eg_events *ev, eg_error *err) {
    extraction x = {0};
    double start = eg_time_now();
    eg_status status = extract(&x, dir, s, ev, err);
    double seconds = eg_time_now() - start;
    const eg_feature_store *store = &x.store;
    if (status == EG_OK)
        status = eg_study_features_write(path, store->rows, store->width, x.ds,
                                         s->o.split_file && *s->o.split_file, err);
    if (status == EG_OK) {
        size_t computed = store->n - store->n_cached;
        *out = json_pack(
            "{s:s, s:I, s:I, s:s, s:s, s:I, s:o, s:o}", "file", path, "n", (json_int_t)store->n,
            "features", (json_int_t)store->width, "model", s->arch->name, "dtype",
            eg_study_dtype_name(store->bf16), "cached", (json_int_t)store->n_cached, "seconds",
            eg_json_real(seconds), "images_per_second",
            eg_json_real(computed > 0 && seconds > 0 ? (double)computed / seconds : NAN));
        if (!*out) status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    eg_free(x.store.rows);
    eg_free(x.all);
    eg_network_free(x.net);
    eg_dataset_free(x.ds);
    return status;
}

eg_status eg_features(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                      eg_error *err) {
    eg_settings s;
    json_t *json = NULL;
    const char *path = o->out && *o->out ? o->out : "features.npz";
    if (eg_path_is_dir(path))
        return eg_fail(err, EG_ERR_USAGE, "--out %s: is a directory; name a .npz file", path);
    if (eg_path_exists(path) && !o->overwrite)
        return eg_fail(err, EG_ERR_USAGE,
                       "--out %s: exists - choose another name, or replace it with --overwrite",
                       path);
    EG_TRY(eg_study_settings_resolve(&s, o, o->model, "frozen", err));
    eg_study_settings_say(&s, NULL, ev);
    eg_status status = run(&json, dir, &s, path, ev, err);
    eg_study_settings_free(&s);
    EG_TRY(status);
    *out = eg_doc_new(json, "features");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
