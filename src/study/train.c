/* eg_train: one run as a command, new or continued (--resume). The work is in run.c. */
#include "study/memory_limit.h"
#include "study/recipe.h"
#include <string.h>

static eg_status finish_doc(eg_doc **out, json_t *summary, const char *kind, eg_error *err) {
    eg_doc *doc = eg_doc_new(summary, kind);
    if (!doc) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    *out = doc;
    return EG_OK;
}

static eg_status run_new(json_t **summary, const char *dir, eg_settings *s, const eg_options *o,
                         const eg_events *ev, eg_error *err) {
    eg_data_stage data;
    char *run_dir = o->out && *o->out
                        ? eg_strdup(o->out)
                        : eg_format("runs/%s-%s", s->arch->name, eg_study_mode_name(s->mode));
    if (!run_dir) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    /* refuse a taken directory before minutes of decoding, but touch it only when the data are
     * sound */
    eg_status status = EG_OK;
    if (!o->overwrite || !eg_path_exists(run_dir))
        status = eg_study_dir_prepare(run_dir, false, err);
    if (status == EG_OK)
        status = eg_study_data_open(&data, dir, &s->o, &s->preprocess, NULL, ev, err);
    if (status == EG_OK) {
        status = eg_study_settings_fit(s, data.ds, ev, err);
        if (status == EG_OK) status = eg_study_memory_settle(s, data.ds, false, ev, err);
        if (status == EG_OK) status = eg_study_dir_prepare(run_dir, o->overwrite, err);
        eg_run run = {.s = s, .data = &data, .dir = run_dir, .ev = ev};
        if (status == EG_OK)
            status = o->find_lr ? eg_study_find_lr(summary, &run, err)
                                : eg_study_run_execute(summary, &run, err);
        eg_study_data_free(&data);
    }
    eg_free(run_dir);
    return status;
}

/* The data and weights must be those of the run: otherwise the continued run would be neither one
 * nor the other. */
static eg_status check_same(const json_t *config, const eg_settings *s, const eg_data_stage *data,
                            eg_error *err) {
    const char *was =
        json_string_value(json_object_get(json_object_get(config, "data"), "fingerprint"));
    const char *now = data->ds->fingerprint;
    if (!was || strcmp(was, now) != 0)
        return eg_fail(err, EG_ERR_MISMATCH,
                       "%s: not the data this run was started on (fingerprint %.12s..., was "
                       "%.12s...) - start a new "
                       "run with another --out",
                       data->ds->root, now, was ? was : "unknown");
    char hash[65];
    if (!s->o.weights) return EG_OK;
    EG_TRY(eg_sha256_file(hash, s->o.weights, err));
    if (strcmp(hash, s->weights_sha256) != 0)
        return eg_fail(err, EG_ERR_MISMATCH,
                       "%s: not the weights this run was started from (sha256 differs)",
                       s->o.weights);
    return EG_OK;
}

static eg_status resume_with(json_t **summary, const char *dir, const json_t *config,
                             const eg_options *o, const eg_events *ev, eg_error *err) {
    eg_settings s;
    eg_data_stage data;
    EG_TRY(eg_study_settings_read(&s, json_object_get(config, "settings"), err));
    s.o.workers = o->workers; /* how fast, not what */
    s.o.max_memory = o->max_memory;
    s.o.feature_cache = o->feature_cache;
    s.o.no_feature_cache = o->no_feature_cache;
    s.o.cache = o->cache;
    s.o.patient_salt = o->patient_salt;
    eg_study_settings_say(&s, NULL, ev);
    eg_status status = eg_study_data_open(&data, dir, &s.o, &s.preprocess, o->resume, ev, err);
    if (status == EG_OK) {
        status = check_same(config, &s, &data, err);
        if (status == EG_OK) status = eg_study_memory_settle(&s, data.ds, true, ev, err);
        eg_run run = {.s = &s, .data = &data, .dir = o->resume, .ev = ev, .resume = true};
        if (status == EG_OK) status = eg_study_run_execute(summary, &run, err);
        eg_study_data_free(&data);
    }
    eg_study_settings_free(&s);
    return status;
}

static eg_status resume_run(json_t **summary, const char *dir, const eg_options *o,
                            const eg_events *ev, eg_error *err) {
    json_t *config = NULL;
    char *done = eg_path_join(o->resume, "summary.json"),
         *start = eg_path_join(o->resume, "config.json");
    eg_status status = EG_OK;
    if (!done || !start) {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    } else if (!eg_path_exists(start)) {
        status = eg_fail(err, EG_ERR_NOT_FOUND,
                         "--resume %s: no run was started there (no config.json)", o->resume);
    } else if (eg_path_exists(done)) {
        eg_study_note(ev, "%s is complete already: nothing to do", o->resume);
        status = eg_json_read(summary, done, err);
    } else {
        status = eg_json_read(&config, start, err);
        if (status == EG_OK) status = resume_with(summary, dir, config, o, ev, err);
    }
    json_decref(config);
    eg_free(done);
    eg_free(start);
    return status;
}

eg_status eg_train(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                   eg_error *err) {
    json_t *summary = NULL;
    if (o->resume && *o->resume) {
        EG_TRY(resume_run(&summary, dir, o, ev, err));
        return finish_doc(out, summary, "train", err);
    }
    if (o->seeds > 1 && !o->find_lr) return eg_study_seeds(out, dir, o, ev, err);
    eg_settings s;
    EG_TRY(eg_study_settings_resolve(&s, o, o->model, o->mode, err));
    eg_study_settings_say(&s, NULL, ev);
    if (o->find_lr && s.lbfgs) {
        eg_study_settings_free(&s);
        return eg_fail(
            err, EG_ERR_USAGE,
            "--find-lr: the last layer is solved exactly here, without a learning rate - "
            "use it with --mode finetune, or with --head recipe");
    }
    eg_status status = run_new(&summary, dir, &s, o, ev, err);
    eg_study_settings_free(&s);
    return status == EG_OK ? finish_doc(out, summary, o->find_lr ? "lr_finder" : "train", err)
                           : status;
}
