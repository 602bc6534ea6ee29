/* eg_eval: a run's best checkpoint on a split of a data set. On the run's own data its split.csv says
 * what is train, val and test; on others validation is drawn with the options saved in config.json when
 * the set has none. With --predictions a file instead (rescore.c). Trains nothing; writes the ledger's line and what --out
 * asks for. What is made of the predictions is evaluation.c's. */
#include "study/evaluation.h"
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
                   "%s: its %d classes (%s, ...) are not the run's %d (%s, ...)", ds->path,
                   ds->n_classes, ds->classes[0], run->n_classes, run->classes[0]);
}

/* What config.json of the run says about its data. */
typedef struct {
    eg_settings settings;
    bool have; /* a run folder, not a checkpoint alone */
} run_options;

static void take_run_options(run_options *saved, const char *run) {
    json_t *config = NULL;
    saved->have = false;
    if (!eg_path_is_dir(run) || eg_study_file_read(&config, run, "config.json", NULL) != EG_OK)
        return;
    const json_t *settings = json_object_get(config, "settings");
    saved->have = eg_study_settings_read(&saved->settings, settings, NULL) == EG_OK;
    json_decref(config);
}

/* The options that open the data and draw their split: the run's for what decides the split, this command's for the rest. */
static eg_options data_options(const run_options *saved, const eg_options *o, const eg_events *ev) {
    eg_options merged = *o;
    if (!saved->have) return merged;
    const eg_options *from = &saved->settings.o;
    merged.patients = from->patients;
    merged.val_by = from->val_by;
    merged.val_share = from->val_share;
    merged.folds = from->folds;
    merged.fold = from->fold;
    merged.seed = from->seed;
    merged.allow_shared_patients = o->allow_shared_patients || from->allow_shared_patients;
    if (!merged.columns) merged.columns = from->columns;
    if (from->decode && o->decode && strcmp(from->decode, o->decode) != 0)
        eg_study_note(ev,
                      "the run was trained with --decode %s: give that here for the same figures",
                      from->decode);
    return merged;
}

/* The run's own split where these are the run's data; else the set's, or one drawn as the run would have. */
static eg_status split_indices(uint32_t **indices, size_t *n, eg_dataset *ds, const char *run,
                               eg_split split, const eg_options *o, eg_error *err) {
    const bool from_file = o->split_file && *o->split_file;
    bool restored = false, bare = !from_file;
    if (!from_file) EG_TRY(eg_study_split_restore(&restored, ds, run, err));
    for (size_t i = 0; i < ds->n_samples; i++) bare = bare && ds->samples[i].split == EG_SPLIT_ALL;
    if (restored) return eg_dataset_indices(indices, n, ds, split, err);
    if (bare && split == EG_SPLIT_TEST)
        return eg_dataset_indices(indices, n, ds, EG_SPLIT_ALL, err);
    for (size_t i = 0; i < ds->n_samples; i++) {
        if (ds->samples[i].split == EG_SPLIT_ALL) ds->samples[i].split = EG_SPLIT_TRAIN;
    }
    const bool draw = split != EG_SPLIT_TEST && !ds->has_val;
    if (draw)
        EG_TRY(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                &(eg_split_rule){.by = o->val_by,
                                                 .share = o->val_share,
                                                 .folds = (int)o->folds,
                                                 .fold = (int)o->fold,
                                                 .seed = (uint64_t)o->seed},
                                err));
    if ((draw || from_file) && !o->allow_shared_patients) EG_TRY(eg_dataset_refuse_shared(ds, err));
    return eg_dataset_indices(indices, n, ds, split, err);
}

/* Numbers of the patients of the scored images, eg_free; *out NULL: not known for all, or one image each. */
static eg_status patients_of(int32_t **out, const eg_dataset *ds, const uint32_t *indices, size_t n,
                             eg_error *err) {
    json_t *number = json_object();
    int32_t *patient = eg_malloc((n + 1) * sizeof *patient);
    bool ok = number && patient, known = true;
    for (size_t i = 0; ok && known && i < n; i++) {
        const char *name = ds->samples[indices[i]].patient;
        known = name && *name;
        if (!known) break;
        json_t *seen = json_object_get(number, name);
        const json_int_t at =
            seen ? json_integer_value(seen) : (json_int_t)json_object_size(number);
        patient[i] = (int32_t)at;
        if (!seen) ok = json_object_set_new(number, name, json_integer(at)) == 0;
    }
    known = known && json_object_size(number) < n;
    json_decref(number);
    *out = known && ok ? patient : NULL;
    if (!*out) eg_free(patient);
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for patients");
}

/* What is being evaluated. */
typedef struct {
    eg_opened_run *run;
    eg_dataset *ds;
    const char *run_dir;
    eg_split split;
    const eg_options *o;
} job;

/* The predictions that are chosen on, eg_free; NULL: a checkpoint alone has none (or no memory: refused alike). */
static char *val_path_of(const char *run, const eg_options *o) {
    if (o->val_predictions && *o->val_predictions) return eg_strdup(o->val_predictions);
    return eg_path_is_dir(run) ? eg_path_join(run, "predictions-val.csv") : NULL;
}

/* The document of scores that are there, the look at test counted before anything is shown or written. */
static eg_status describe(json_t **out, eg_scores *scores, const job *j, const uint32_t *indices,
                          eg_error *err) {
    int32_t *patient;
    char *val = val_path_of(j->run_dir, j->o);
    eg_status status = patients_of(&patient, j->ds, indices, scores->n, err);
    const eg_evaluation e = {.scored = scores,
                             .classes = j->run->classes,
                             .split = eg_split_name(j->split),
                             .val_path = val,
                             .patient = patient,
                             .o = j->o};
    if (status == EG_OK) status = eg_study_evaluation_json(out, &e, err);
    if (status == EG_OK && j->split == EG_SPLIT_TEST)
        status = eg_study_ledger_note(*out, j->run_dir,
                                      &(eg_test_look){"eval", j->ds->fingerprint, "metrics"}, err);
    eg_free(patient);
    eg_free(val);
    return status;
}

static eg_status score_split(json_t **out, const job *j, const eg_events *ev, eg_error *err) {
    json_t *bad = NULL;
    eg_dtype_choice dtype;
    uint32_t *indices = NULL;
    size_t n = 0;
    eg_scores scores;
    eg_opened_run *run = j->run;
    const eg_options *o = j->o;
    EG_TRY(check_classes(j->ds, run, err));
    EG_TRY(eg_study_choice_check(o, eg_split_name(j->split), run->n_classes, err));
    EG_TRY(eg_study_dtype_of_run(&dtype, run, o->dtype, ev, err));
    EG_TRY(eg_study_data_check(&bad, j->ds, o, ev, err));
    json_decref(bad);
    EG_TRY(split_indices(&indices, &n, j->ds, j->run_dir, j->split, o, err));
    eg_status status = EG_OK;
    if (n == 0)
        status =
            eg_fail(err, EG_ERR_INPUT, "%s: no image in split %s - choose another with --split",
                    j->ds->path, eg_split_name(j->split));
    eg_scorer_options options = {.ds = j->ds,
                                 .indices = indices,
                                 .n = n,
                                 .preprocess = run->preprocess,
                                 .batch = (int)(o->batch_size > 0 ? o->batch_size : 16),
                                 .workers = (int)o->workers,
                                 .deterministic = o->deterministic,
                                 .bf16 = dtype.bf16,
                                 .tta = o->tta > 0 ? (int)o->tta : run->tta};
    if (status == EG_OK)
        status = eg_study_memory_predict(&options.batch, run->net, &options, (size_t)o->max_memory,
                                         ev, err);
    if (status == EG_OK)
        status = eg_study_scores_of(&scores, run->net, &options, eg_split_name(j->split), ev, err);
    if (status == EG_OK) {
        status = describe(out, &scores, j, indices, err);
        if (status == EG_OK &&
            (json_object_set_new(*out, "dtype", json_string(eg_study_dtype_name(dtype.bf16))) !=
                 0 ||
             json_object_set_new(*out, "tta", json_integer(options.tta)) != 0))
            status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
        if (status == EG_OK)
            status = eg_study_evaluation_out_write(*out, &scores, run->classes, o, err);
        eg_study_scores_free(&scores);
    }
    eg_free(indices);
    return status;
}

static eg_status score_run(json_t **json, const char *run, const char *dir, const eg_options *o,
                           const eg_events *ev, eg_error *err) {
    eg_opened_run opened;
    run_options saved = {0};
    eg_dataset *ds = NULL;
    eg_split split;
    if (!eg_study_split_parse(&split, o->split ? o->split : "test"))
        return eg_fail(err, EG_ERR_USAGE, "--split %s: expected test, val, train or all", o->split);
    EG_TRY(eg_study_choice_check(o, eg_split_name(split), 0, err));
    char *val = val_path_of(run, o);
    eg_status ready = eg_study_choice_ready(o, val, err);
    eg_free(val);
    EG_TRY(ready);
    EG_TRY(eg_study_run_open(&opened, run, err));
    take_run_options(&saved, run);
    const eg_options merged = data_options(&saved, o, ev);
    eg_status status = eg_study_dataset_open(&ds, dir, &merged, &opened.preprocess, ev, err);
    const job j = {&opened, ds, run, split, &merged};
    if (status == EG_OK) status = score_split(json, &j, ev, err);
    eg_dataset_free(ds);
    if (saved.have) eg_study_settings_free(&saved.settings);
    eg_study_run_close(&opened);
    return status;
}

eg_status eg_eval(eg_doc **out, const char *run, const char *dir, const eg_options *o,
                  const eg_events *ev, eg_error *err) {
    json_t *json = NULL;
    const bool file = o->predictions && *o->predictions;
    if (file && (run || dir))
        return eg_fail(err, EG_ERR_USAGE,
                       "--predictions %s: is scored instead of a run - leave out RUN and DIR",
                       o->predictions);
    if (!file && (!run || !dir))
        return eg_fail(err, EG_ERR_USAGE, "eval: a run and a data set, or --predictions FILE");
    EG_TRY(eg_study_evaluation_out_check(o, err));
    eg_status status =
        file ? eg_study_rescore(&json, o, ev, err) : score_run(&json, run, dir, o, ev, err);
    if (status != EG_OK) {
        json_decref(json);
        return status;
    }
    *out = eg_doc_new(json, "metrics");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
