/* What all causes of `why` look at: the run, its data with the run's own split, its probabilities of validation and test,
 * and, when a cause asks, still features and the pass over the images. Measures nothing itself. Read first: why.h. */
#include "study/feature_cache.h"
#include "study/why.h"

#include <math.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for why");
}

/* ---- the run ---- */

static eg_status read_config(eg_why_case *c, eg_error *err) {
    json_t *config = NULL;
    if (!eg_path_is_dir(c->run_dir))
        return eg_fail(err, EG_ERR_NOT_FOUND,
                       "%s: no such run folder - give the folder that engraft train wrote",
                       c->run_dir);
    EG_TRY(eg_study_file_read(&config, c->run_dir, "config.json", err));
    eg_status status =
        eg_study_settings_read(&c->settings, json_object_get(config, "settings"), err);
    json_decref(config);
    EG_TRY(status);
    return eg_study_file_read(&c->summary, c->run_dir, "summary.json", err);
}

/* The run's options open the data, so that its split is made again should these not be its data; the rest is the command's. */
static void opening_options(eg_why_case *c) {
    const eg_options *o = c->o;
    c->opening = c->settings.o;
    c->opening.cache = o->cache;
    c->opening.torch_cache = o->torch_cache;
    c->opening.feature_cache = o->feature_cache;
    c->opening.no_feature_cache = o->no_feature_cache;
    c->opening.workers = o->workers;
    c->opening.max_memory = o->max_memory;
    c->opening.skip_bad = o->skip_bad || c->settings.o.skip_bad;
    c->opening.allow_shared_patients = true; /* a cause to be measured, not an error */
    c->opening.patient_salt = o->patient_salt;
    c->opening.split_file = c->opening.save_split = NULL;
    c->opening.out = NULL;
    c->opening.model = NULL;
}

static eg_status check_classes(const eg_why_case *c, eg_error *err) {
    const eg_dataset *ds = c->data.ds;
    bool same = ds->n_classes == c->run.n_classes;
    for (int k = 0; same && k < ds->n_classes; k++)
        same = strcmp(ds->classes[k], c->run.classes[k]) == 0;
    if (same) return EG_OK;
    return eg_fail(err, EG_ERR_MISMATCH,
                   "%s: its %d classes (%s, ...) are not the run's %d (%s, ...)", ds->path,
                   ds->n_classes, ds->classes[0], c->run.n_classes, c->run.classes[0]);
}

/* ---- probabilities ---- */

/* The run's own file, when its rows are these images in this order; *taken false else. */
static eg_status take_predictions(bool *taken, eg_scores *out, const eg_why_case *c,
                                  const char *name, const uint32_t *indices, size_t n,
                                  eg_error *err) {
    char *path = eg_path_join(c->run_dir, name);
    eg_scores s = {0};
    *taken = false;
    if (!path) return no_memory(err);
    eg_status status = EG_OK;
    if (c->own_data && eg_path_exists(path))
        status = eg_study_scores_read(&s, path, c->run.classes, c->run.n_classes, err);
    eg_free(path);
    EG_TRY(status);
    bool same = s.n == n && n > 0;
    for (size_t i = 0; same && i < n; i++)
        same = strcmp(s.file[i], c->data.ds->samples[indices[i]].file) == 0;
    *taken = same;
    if (same)
        *out = s;
    else
        eg_study_scores_free(&s);
    return EG_OK;
}

static eg_status get_scores(eg_scores *out, eg_why_case *c, const char *name,
                            const uint32_t *indices, size_t n, const char *stage, eg_error *err) {
    bool taken;
    EG_TRY(take_predictions(&taken, out, c, name, indices, n, err));
    if (taken) return EG_OK;
    const eg_scorer_options o = {.ds = c->data.ds,
                                 .indices = indices,
                                 .n = n,
                                 .preprocess = c->run.preprocess,
                                 .batch = (int)c->settings.o.batch_size,
                                 .workers = (int)c->o->workers,
                                 .bf16 = c->settings.bf16,
                                 .tta = c->run.tta};
    return eg_study_scores_of(out, c->run.net, &o, stage, c->ev, err);
}

static uint32_t *units_of(const eg_why_case *c, const uint32_t *indices, size_t n) {
    uint32_t *unit = eg_malloc((n + 1) * sizeof *unit);
    for (size_t i = 0; unit && i < n; i++) unit[i] = c->facts.unit[indices[i]];
    return unit;
}

static eg_status take_scores(eg_why_case *c, eg_error *err) {
    const eg_data_stage *d = &c->data;
    EG_TRY(get_scores(&c->val, c, "predictions-val.csv", d->val, d->n_val, "validation", err));
    EG_TRY(get_scores(&c->test, c, "predictions-test.csv", d->test, d->n_test, "test", err));
    c->train_unit = units_of(c, d->train, d->n_train);
    c->val_unit = units_of(c, d->val, d->n_val);
    c->test_unit = units_of(c, d->test, d->n_test);
    c->val_right = eg_malloc((d->n_val + 1) * sizeof *c->val_right);
    c->test_right = eg_malloc((d->n_test + 1) * sizeof *c->test_right);
    if (!c->train_unit || !c->val_unit || !c->test_unit || !c->val_right || !c->test_right)
        return no_memory(err);
    eg_study_why_right(c->val_right, c->val.prob, c->val.label, c->val.n, c->val.n_classes);
    eg_study_why_right(c->test_right, c->test.prob, c->test.label, c->test.n, c->test.n_classes);
    return EG_OK;
}

static eg_status open_into(eg_why_case *c, eg_error *err) {
    EG_TRY(read_config(c, err));
    EG_TRY(eg_study_run_open(&c->run, c->run_dir, err));
    opening_options(c);
    EG_TRY(eg_study_data_open(&c->data, c->dir, &c->opening, &c->run.preprocess, c->run_dir, c->ev,
                              err));
    EG_TRY(check_classes(c, err));
    if (c->data.n_test == 0)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: no test split - why asks what lies between validation and test; "
                       "engraft data %s examines a set without one",
                       c->dir, c->dir);
    const char *from =
        json_string_value(json_object_get(json_object_get(c->data.json, "split_from"), "test"));
    c->own_data = from && strcmp(from, "run") == 0;
    if (!c->own_data)
        eg_study_note(c->ev, "%s are not the data of the run: validation is drawn as the run did",
                      c->dir);
    c->facts = (eg_data_case){.ds = c->data.ds, .o = &c->opening, .ev = c->ev};
    EG_TRY(eg_study_data_units(&c->facts, err));
    EG_TRY(take_scores(c, err));
    c->rows = json_array();
    c->explained = eg_calloc((size_t)c->run.n_classes, sizeof *c->explained);
    return c->rows && c->explained ? EG_OK : no_memory(err);
}

eg_status eg_study_why_open(eg_why_case *c, const char *run, const char *dir, const eg_options *o,
                            const eg_events *ev, eg_error *err) {
    *c = (eg_why_case){.run_dir = run, .dir = dir, .o = o, .ev = ev};
    eg_status status = open_into(c, err);
    if (status != EG_OK) eg_study_why_close(c);
    return status;
}

void eg_study_why_close(eg_why_case *c) {
    c->facts.ds = NULL;       /* of c->data */
    c->facts.features = NULL; /* of c */
    eg_study_data_case_free(&c->facts);
    json_decref(c->found);
    json_decref(c->rows);
    json_decref(c->summary);
    eg_study_why_cross_free(&c->by_patient);
    eg_study_why_views_free(&c->views);
    eg_study_scores_free(&c->val);
    eg_study_scores_free(&c->test);
    eg_free(c->val_right);
    eg_free(c->test_right);
    eg_free(c->train_unit);
    eg_free(c->val_unit);
    eg_free(c->test_unit);
    eg_free(c->features);
    eg_free(c->explained);
    eg_free(c->x);
    eg_free(c->run_right);
    eg_free(c->label);
    eg_study_data_free(&c->data);
    eg_study_run_close(&c->run);
    eg_study_settings_free(&c->settings);
    *c = (eg_why_case){0};
}

/* ---- features ---- */

/* The network as the run found it: features of one that was fine-tuned on these very labels would make every held-out
 * training image look easy. A frozen run's trunk is the same, bit by bit, so its cached features serve. */
static eg_status pretrained(eg_network **net, const eg_why_case *c, eg_error *err) {
    eg_state_dict *sd = NULL;
    bool head;
    EG_TRY(eg_network_new(net, c->settings.arch->name, c->data.ds->n_classes,
                          c->run.preprocess.crop, err));
    EG_TRY(eg_weights_read(&sd, c->settings.o.weights, err));
    eg_status status = eg_network_load(*net, sd, &head, err);
    if (status != EG_OK) status = eg_error_in(err, status, c->settings.o.weights);
    eg_state_dict_free(sd);
    return status;
}

static eg_status compute_features(eg_why_case *c, eg_network *net, eg_error *err) {
    uint32_t *all = NULL;
    eg_feature_store store = {0};
    eg_row_cache cache = eg_study_row_cache(&c->opening, c->ev);
    eg_scorer_options o = {.ds = c->data.ds,
                           .preprocess = c->run.preprocess,
                           .batch = (int)c->settings.o.batch_size,
                           .workers = (int)c->o->workers,
                           .bf16 = c->settings.bf16,
                           .features = true};
    EG_TRY(eg_dataset_indices(&all, &o.n, c->data.ds, EG_SPLIT_ALL, err));
    o.indices = all;
    eg_status status = eg_study_features_get(&store, net, &o, &cache, c->ev, err);
    eg_free(all);
    EG_TRY(status);
    c->features = store.rows;
    c->width = store.width;
    return EG_OK;
}

static eg_status take_rows(eg_why_case *c, eg_error *err) {
    const eg_data_stage *d = &c->data;
    c->x = eg_malloc((d->n_train * c->width + 1) * sizeof *c->x);
    c->label = eg_malloc((d->n_train + 1) * sizeof *c->label);
    if (!c->x || !c->label) return no_memory(err);
    for (size_t i = 0; i < d->n_train; i++) {
        c->label[i] = d->ds->samples[d->train[i]].label;
        memcpy(c->x + i * c->width, c->features + d->train[i] * c->width, c->width * sizeof *c->x);
    }
    const double chosen = eg_study_number(json_object_get(c->summary, "penalty"), "C");
    c->run_C = !c->settings.lbfgs || c->settings.o.C > 0 ? c->settings.o.C : chosen;
    if (!(c->run_C > 0)) c->run_C = 0.01;
    c->C = c->run_C;
    return EG_OK;
}

eg_status eg_study_why_features(eg_why_case *c, eg_error *err) {
    eg_network *net = NULL;
    if (c->features_tried) return EG_OK;
    c->features_tried = true;
    const char *weights = c->settings.o.weights;
    if (!weights || !*weights) {
        c->no_features = "the run began without pretrained weights, so there are no features that "
                         "have not seen these labels";
        return EG_OK;
    }
    if (!eg_path_exists(weights)) {
        c->no_features = "the pretrained weights the run began with are not where they were";
        eg_study_note(c->ev, "%s: not there, so nothing is measured on features", weights);
        return EG_OK;
    }
    eg_status status = pretrained(&net, c, err);
    if (status == EG_OK) status = compute_features(c, net, err);
    eg_network_free(net);
    return status == EG_OK ? take_rows(c, err) : status;
}

/* ---- the pass over the images ---- */

eg_status eg_study_why_scan(eg_why_case *c, eg_error *err) {
    if (c->found) return EG_OK;
    json_t *found = json_object();
    if (!found) return no_memory(err);
    eg_free(c->facts.unit); /* the scan may leave images out: then they are numbered anew */
    c->facts.unit = NULL;
    const size_t n = c->data.ds->n_samples;
    eg_status status = eg_study_data_scan(&c->facts, err);
    if (status == EG_OK) status = eg_study_data_units(&c->facts, err);
    if (status == EG_OK && c->data.ds->n_samples != n)
        status = eg_fail(err, EG_ERR_INPUT, "%s: images changed while they were read", c->dir);
    c->facts.features = c->features;
    c->facts.n_features = c->width;
    c->facts.model = c->settings.arch->name;
    if (status == EG_OK) status = eg_study_data_duplicates(found, &c->facts, err);
    if (status == EG_OK) status = eg_study_data_drift(found, &c->facts, err);
    if (status == EG_OK)
        c->found = found;
    else
        json_decref(found);
    return status;
}
