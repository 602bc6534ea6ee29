/* eg_eval: a run's best checkpoint on a split of a data set. Validation is drawn as in training,
 * with the options saved in config.json, when the tree has no split of its own. Trains nothing,
 * writes nothing. */
#include "study/memory_limit.h"
#include <math.h>
#include <string.h>

/* Class folders must be the run's classes, in the same order: an index mix-up would give a silent
 * wrong answer. */
static eg_status check_classes(const eg_dataset *ds, const eg_opened_run *run, eg_error *err) {
    bool same = ds->n_classes == run->n_classes;
    for (int k = 0; same && k < ds->n_classes; k++)
        same = strcmp(ds->classes[k], run->classes[k]) == 0;
    if (same) return EG_OK;
    return eg_fail(err, EG_ERR_MISMATCH,
                   "%s: its %d classes (%s, ...) are not the run's %d (%s, ...)", ds->root,
                   ds->n_classes, ds->classes[0], run->n_classes, run->classes[0]);
}

/* Data options of the run, where config.json has them: the same patients rule, share and seed give
 * the same split. */
static void take_run_options(eg_settings *saved, bool *have, const char *run) {
    json_t *config = NULL;
    *have = false;
    if (!eg_path_is_dir(run) || eg_study_file_read(&config, run, "config.json", NULL) != EG_OK)
        return;
    *have = eg_study_settings_read(saved, json_object_get(config, "settings"), NULL) == EG_OK;
    json_decref(config);
}

static eg_status split_indices(uint32_t **indices, size_t *n, eg_dataset *ds, const char *run,
                               eg_split split, const eg_options *o, eg_error *err) {
    bool bare = !ds->has_test && !ds->has_val;
    for (size_t i = 0; i < ds->n_samples; i++) bare = bare && ds->samples[i].split == EG_SPLIT_ALL;
    if (bare && split == EG_SPLIT_TEST)
        return eg_dataset_indices(indices, n, ds, EG_SPLIT_ALL, err);
    for (size_t i = 0; i < ds->n_samples; i++) {
        if (ds->samples[i].split == EG_SPLIT_ALL) ds->samples[i].split = EG_SPLIT_TRAIN;
    }
    if (split != EG_SPLIT_TEST) {
        eg_settings saved;
        bool have;
        take_run_options(&saved, &have, run);
        const eg_options *from = have ? &saved.o : o;
        eg_status status =
            eg_dataset_split_val(ds, from->val_share, from->val_by, (uint64_t)from->seed, err);
        if (have) eg_study_settings_free(&saved);
        EG_TRY(status);
    }
    return eg_dataset_indices(indices, n, ds, split, err);
}

static eg_status open_dataset(eg_dataset **ds, const char *run, const char *dir,
                              const eg_options *o, eg_error *err) {
    eg_settings saved;
    bool have;
    take_run_options(&saved, &have, run);
    eg_status status = eg_dataset_open(ds, dir, have ? saved.o.patients : o->patients, err);
    if (have) eg_study_settings_free(&saved);
    return status;
}

static eg_status score_split(json_t **out, eg_opened_run *run, eg_dataset *ds, const char *run_dir,
                             eg_split split, const eg_options *o, const eg_events *ev,
                             eg_error *err) {
    json_t *bad = NULL;
    eg_dtype_choice dtype;
    uint32_t *indices = NULL;
    size_t n = 0;
    eg_scores scores;
    EG_TRY(check_classes(ds, run, err));
    EG_TRY(eg_study_dtype_of_run(&dtype, run, o->dtype, ev, err));
    EG_TRY(eg_study_data_check(&bad, ds, o, ev, err));
    json_decref(bad);
    EG_TRY(split_indices(&indices, &n, ds, run_dir, split, o, err));
    eg_status status = EG_OK;
    if (n == 0)
        status =
            eg_fail(err, EG_ERR_INPUT, "%s: no image in split %s - choose another with --split",
                    ds->root, eg_split_name(split));
    eg_scorer_options options = {.ds = ds,
                                 .indices = indices,
                                 .n = n,
                                 .preprocess = run->preprocess,
                                 .batch = (int)(o->batch_size > 0 ? o->batch_size : 16),
                                 .workers = (int)o->workers,
                                 .deterministic = o->deterministic,
                                 .bf16 = dtype.bf16};
    if (status == EG_OK)
        status = eg_study_memory_predict(&options.batch, run->net, &options, (size_t)o->max_memory,
                                         ev, err);
    if (status == EG_OK)
        status = eg_study_scores_of(&scores, run->net, &options, eg_split_name(split), ev, err);
    if (status == EG_OK) {
        status = eg_study_metrics_json(out, &scores, run->classes, NAN, err);
        eg_study_scores_free(&scores);
    }
    if (status == EG_OK &&
        json_object_set_new(*out, "dtype", json_string(eg_study_dtype_name(dtype.bf16))) != 0)
        status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    eg_free(indices);
    return status;
}

eg_status eg_eval(eg_doc **out, const char *run, const char *dir, const eg_options *o,
                  const eg_events *ev, eg_error *err) {
    eg_opened_run opened;
    eg_dataset *ds = NULL;
    eg_split split;
    json_t *json = NULL;
    if (!eg_study_split_parse(&split, o->split ? o->split : "test"))
        return eg_fail(err, EG_ERR_USAGE, "--split %s: expected test, val, train or all", o->split);
    EG_TRY(eg_study_run_open(&opened, run, err));
    eg_status status = open_dataset(&ds, run, dir, o, err);
    if (status == EG_OK) status = score_split(&json, &opened, ds, run, split, o, ev, err);
    eg_dataset_free(ds);
    eg_study_run_close(&opened);
    EG_TRY(status);
    *out = eg_doc_new(json, "metrics");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
