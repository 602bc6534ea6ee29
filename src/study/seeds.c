/* --seeds K: the same run K times, each with its own seed, hence its own head, order, augmentation and, where validation is
 * drawn, its own split. The spread of what comes out is what a single figure hides. Each run is one of train.c in its own
 * folder; this file starts them and sums up. Read first: recipe.h. */
#include "study/recipe.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the summary of the seeds");
}

/* Mean, standard deviation, t interval and range of one figure over the runs; null where a run has none. */
static json_t *spread(const json_t *runs, const char *split, const char *figure) {
    size_t i, n = 0;
    json_t *run;
    double *x = eg_malloc((json_array_size(runs) + 1) * sizeof *x);
    if (!x) return NULL;
    double low = INFINITY, high = -INFINITY, mean, ci[2], squares = 0;
    json_array_foreach(runs, i, run) {
        double v = eg_study_number(json_object_get(run, split), figure);
        if (!isfinite(v)) continue;
        x[n++] = v;
        low = fmin(low, v);
        high = fmax(high, v);
    }
    if (n == 0 || n < json_array_size(runs)) {
        eg_free(x);
        return json_null();
    }
    eg_mean_interval(&mean, ci, x, n, 0.95);
    for (i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    eg_free(x);
    return json_pack("{s:o, s:o, s:[o, o], s:o, s:o}", "mean", eg_json_real(mean), "sd",
                     eg_json_real(n > 1 ? sqrt(squares / (double)(n - 1)) : NAN), "ci",
                     eg_json_real(ci[0]), eg_json_real(ci[1]), "min", eg_json_real(low), "max",
                     eg_json_real(high));
}

static json_t *spreads(const json_t *runs, const char *split) {
    static const char *const FIGURES[] = {"accuracy", "balanced_accuracy", "auc",
                                          "loss",     "sensitivity",       "specificity"};
    json_t *object = json_object();
    bool ok = object != NULL;
    for (size_t i = 0; ok && i < sizeof FIGURES / sizeof *FIGURES; i++)
        ok = json_object_set_new(object, FIGURES[i], spread(runs, split, FIGURES[i])) == 0;
    if (ok) return object;
    json_decref(object);
    return NULL;
}

/* The figures of a run that its row keeps: R has them all. */
static json_t *row_of(const json_t *summary, int64_t seed, const char *name) {
    json_t *val = json_object_get(summary, "val"), *test = json_object_get(summary, "test");
    return json_pack("{s:I, s:s, s:O, s:O, s:O, s:O}", "seed", (json_int_t)seed, "run", name,
                     "best_epoch", json_object_get(summary, "best_epoch"), "train_seconds",
                     json_object_get(summary, "train_seconds"), "val", val, "test", test);
}

static eg_status run_one(json_t *runs, const char *dir, const char *out, const eg_options *o,
                         int64_t seed, const eg_events *ev, eg_error *err) {
    char name[40];
    eg_doc *doc = NULL;
    eg_options one = *o;
    snprintf(name, sizeof name, "seed-%lld", (long long)seed);
    char *path = eg_path_join(out, name);
    if (!path) return no_memory(err);
    one.seeds = 1;
    one.seed = seed;
    one.out = path;
    eg_study_note(ev, "seed %lld: %lld of %lld runs", (long long)seed,
                  (long long)(seed - o->seed + 1), (long long)o->seeds);
    eg_status status = eg_train(&doc, dir, &one, ev, err);
    if (status == EG_OK && json_array_append_new(runs, row_of(doc->root, seed, name)) != 0)
        status = no_memory(err);
    eg_doc_free(doc);
    eg_free(path);
    return status;
}

static eg_status sum_up(json_t **out, const json_t *runs, const char *folder, const eg_options *o,
                        eg_error *err) {
    json_t *val = spreads(runs, "val"), *test = spreads(runs, "test");
    json_t *json = val && test ? json_pack("{s:s, s:s, s:I, s:O, s:O, s:O}", "model", o->model,
                                           "mode", o->mode ? o->mode : "finetune", "seeds",
                                           (json_int_t)json_array_size(runs), "runs", runs, "val",
                                           val, "test", test)
                               : NULL;
    json_decref(val);
    json_decref(test);
    if (!json) return no_memory(err);
    eg_status status = eg_study_file_write(folder, "seeds.json", json, err);
    if (status == EG_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}

eg_status eg_study_seeds(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                         eg_error *err) {
    json_t *runs = json_array(), *json = NULL;
    char *folder = o->out && *o->out ? eg_strdup(o->out)
                                     : eg_format("runs/%s-%s", o->model ? o->model : "",
                                                 o->mode ? o->mode : "finetune");
    eg_status status = runs && folder ? eg_dir_make(folder, err) : no_memory(err);
    for (int64_t k = 0; status == EG_OK && k < o->seeds; k++)
        status = run_one(runs, dir, folder, o, o->seed + k, ev, err);
    if (status == EG_OK) status = sum_up(&json, runs, folder, o, err);
    json_decref(runs);
    eg_free(folder);
    EG_TRY(status);
    *out = eg_doc_new(json, "seeds");
    return *out ? EG_OK : no_memory(err);
}
