/* eg_study: tasks A to E in one call. The data are checked and split once; every model x mode that
 * makes sense is a full run directory; then the runs are compared and explained, and all of it is
 * written to study.json. Runs that are complete with the same settings, data and machine are kept,
 * so that an interrupted study goes on where it stopped. One run is in run.c; planning of the pairs
 * in study_plan.c. */
#include "study/evaluation.h"
#include "study/memory_limit.h"
#include "study/study_plan.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    const eg_options *o;
    const eg_events *ev;
    const char *dir;
    eg_study_plan plan;
    eg_data_stage data;
    eg_finished_run *runs; /* (plan.n_runs) */
} study;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

static bool has_file(const char *dir, const char *name) {
    char *path = eg_path_join(dir, name);
    bool there = path && eg_path_exists(path);
    eg_free(path);
    return there;
}

static eg_status prepare_dir(const char *dir, eg_error *err) {
    /* an earlier study may be continued; anything else in the way is the user's */
    if (eg_path_is_dir(dir) && (has_file(dir, "study.json") || has_file(dir, "runs"))) return EG_OK;
    return eg_study_dir_prepare(dir, false, err);
}

/* ---- runs ---- */

typedef enum { RUN_START, RUN_CONTINUE, RUN_KEEP } run_state;

/* What is in a run directory already, compared with the configuration wanted now (as text: numbers
 * on disk are rounded). */
static eg_status look_at(run_state *state, const char *dir, const json_t *config, bool overwrite,
                         eg_error *err) {
    *state = RUN_START;
    if (overwrite || !has_file(dir, "config.json")) return EG_OK;
    json_t *saved = NULL;
    EG_TRY(eg_study_file_read(&saved, dir, "config.json", err));
    char *was = eg_json_text(saved, true), *now = eg_json_text(config, true);
    bool known = was && now, same = known && strcmp(was, now) == 0;
    eg_free(was);
    eg_free(now);
    json_decref(saved);
    if (!known) return no_memory(err);
    if (!same)
        return eg_fail(err, EG_ERR_USAGE,
                       "%s: holds a run with other options, data, weights or machine - choose "
                       "another --out, or replace "
                       "it with --overwrite",
                       dir);
    if (has_file(dir, "summary.json"))
        *state = RUN_KEEP;
    else if (has_file(dir, "resume/state.json"))
        *state = RUN_CONTINUE;
    return EG_OK;
}

static eg_status execute(study *st, const eg_settings *s, const char *dir, run_state state,
                         eg_error *err) {
    json_t *summary = NULL;
    eg_run run = {
        .s = s, .data = &st->data, .dir = dir, .ev = st->ev, .resume = state == RUN_CONTINUE};
    if (state == RUN_START) EG_TRY(eg_study_dir_prepare(dir, true, err));
    eg_status status = eg_study_run_execute(&summary, &run, err);
    json_decref(summary);
    if (status == EG_ERR_INTERRUPTED && err) {
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used,
                 "; or run the same engraft study command again: finished runs are kept");
    }
    return status;
}

/* Read a run back from its files, kept or new alike, so that both count the same digits. */
static eg_status read_back(eg_finished_run *run, study *st, const char *dir, eg_error *err) {
    char *const *classes = st->data.ds->classes;
    int n_classes = st->data.ds->n_classes;
    EG_TRY(eg_study_file_read(&run->summary, dir, "summary.json", err));
    EG_TRY(eg_study_file_read(&run->config, dir, "config.json", err));
    char *val = eg_path_join(dir, "predictions-val.csv"),
         *test = eg_path_join(dir, "predictions-test.csv");
    eg_status status = val && test ? eg_study_scores_read(&run->val, val, classes, n_classes, err)
                                   : no_memory(err);
    if (status == EG_OK && st->data.n_test > 0)
        status = eg_study_scores_read(&run->test, test, classes, n_classes, err);
    eg_free(val);
    eg_free(test);
    run->name = json_string_value(json_object_get(run->summary, "name"));
    if (status == EG_OK && !run->name)
        status = eg_fail(err, EG_ERR_INPUT, "%s/summary.json: no name", dir);
    return status;
}

static eg_status do_run(study *st, size_t i, eg_error *err) {
    const eg_settings *s = &st->plan.runs[i];
    run_state state = RUN_START;
    char *dir = eg_format("%s/runs/%s-%s", st->dir, s->arch->name, eg_study_mode_name(s->mode));
    json_t *config = eg_study_config_json(s, st->data.json);
    eg_status status =
        dir && config ? look_at(&state, dir, config, st->o->overwrite, err) : no_memory(err);
    if (status == EG_OK) {
        eg_study_note(st->ev, "run %zu of %zu: %s-%s%s", i + 1, st->plan.n_runs, s->arch->name,
                      eg_study_mode_name(s->mode),
                      state == RUN_KEEP
                          ? ": complete from earlier with the same options and data, kept"
                          : "");
        if (state != RUN_KEEP) status = execute(st, s, dir, state, err);
    }
    if (status == EG_OK) status = read_back(&st->runs[i], st, dir, err);
    json_decref(config);
    eg_free(dir);
    return status;
}

/* ---- study.json ---- */

static eg_status models_json(json_t **out, study *st, eg_error *err) {
    json_t *list = json_array();
    if (!list) return no_memory(err);
    for (size_t i = 0; i < st->plan.n_models; i++) {
        json_t *model = NULL;
        eg_status status = EG_OK;
        if (eg_study_stopped(st->ev))
            status = eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while measuring networks");
        eg_study_note(st->ev, "measuring %s on this machine", st->plan.models[i]->name);
        if (status == EG_OK) status = eg_study_model_json(&model, st->plan.models[i], st->o, err);
        if (status == EG_OK && json_array_append_new(list, model) != 0) status = no_memory(err);
        if (status != EG_OK) {
            json_decref(list);
            return status;
        }
    }
    *out = list;
    return EG_OK;
}

/* {mode: settings}, of the first run of each mode, without what belongs to one model (the number
 * format too: not every network can be computed in bf16). */
static json_t *recipe_json(const study *st) {
    static const char *const OF_MODEL[] = {"model", "weights", "weights-sha256", "img-size",
                                           "dtype"};
    json_t *recipe = json_object();
    for (size_t i = 0; recipe && i < st->plan.n_runs; i++) {
        const eg_settings *s = &st->plan.runs[i];
        const char *mode = eg_study_mode_name(s->mode);
        if (json_object_get(recipe, mode)) continue;
        json_t *settings = eg_study_settings_json(s);
        for (size_t k = 0; settings && k < sizeof OF_MODEL / sizeof *OF_MODEL; k++)
            json_object_del(settings, OF_MODEL[k]);
        if (json_object_set_new(recipe, mode, settings) != 0) {
            json_decref(recipe);
            recipe = NULL;
        }
    }
    return recipe;
}

static json_t *runs_json(const study *st) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < st->plan.n_runs; i++) {
        if (json_array_append(list, st->runs[i].summary) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* "test_looks" of every run's test figures as its ledger counts them now, and their sum. A run folder that is gone leaves
 * the number that the document has. */
static eg_status set_looks(json_t *json, const char *folder, eg_error *err) {
    json_int_t sum = 0;
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(json, "runs"), i, run) {
        const char *name = json_string_value(json_object_get(run, "name"));
        json_t *test = json_object_get(run, "test");
        int64_t n = 0;
        char *dir = name ? eg_format("%s/runs/%s", folder, name) : NULL;
        eg_status status =
            dir && eg_path_is_dir(dir) ? eg_study_ledger_count(&n, dir, NULL, err) : EG_OK;
        eg_free(dir);
        EG_TRY(status);
        if (n > 0 && json_is_object(test) &&
            json_object_set_new(test, "test_looks", json_integer((json_int_t)n)) != 0)
            return no_memory(err);
        sum += json_integer_value(json_object_get(test, "test_looks"));
    }
    return json_object_set_new(json, "test_looks", json_integer(sum)) == 0 ? EG_OK : no_memory(err);
}

static eg_status study_json(json_t **out, study *st, eg_error *err) {
    json_t *models = NULL, *comparisons = NULL, *why = NULL;
    eg_status status = models_json(&models, st, err);
    if (status == EG_OK) status = eg_study_compare(&comparisons, st->runs, st->plan.n_runs, err);
    if (status == EG_OK) status = eg_study_why(&why, st->runs, st->plan.n_runs, st->data.json, err);
    if (status == EG_OK) {
        json_t *machine = eg_study_machine_json(false);
        *out = json_pack(
            "{s:s, s:s, s:I, s:O, s:O, s:O, s:O, s:o, s:O, s:o, s:O, s:o, s:O, s:O}", "schema",
            "engraft.study/1", "engraft", ENGRAFT_VERSION, "seed", (json_int_t)st->o->seed,
            "threads", json_object_get(machine, "threads"), "isa", json_object_get(machine, "isa"),
            "cpu", json_object_get(machine, "cpu"), "data", st->data.json, "recipe",
            recipe_json(st), "models", models, "choice", eg_study_choice(models), "skipped",
            st->plan.skipped, "runs", runs_json(st), "comparisons", comparisons, "why", why);
        json_decref(machine);
        if (!*out) status = no_memory(err);
        if (status == EG_OK) status = set_looks(*out, st->dir, err);
    }
    json_decref(models);
    json_decref(comparisons);
    json_decref(why);
    return status;
}

static eg_status run_study(json_t **out, study *st, const char *data_dir, eg_error *err) {
    EG_TRY(eg_study_plan_make(&st->plan, st->o, st->ev, err));
    EG_TRY(prepare_dir(st->dir, err));
    /* decoded once for all: as large as the network with the largest input needs it */
    const eg_preprocess *largest = &st->plan.runs[0].preprocess;
    for (size_t i = 1; i < st->plan.n_runs; i++)
        if (st->plan.runs[i].preprocess.resize > largest->resize)
            largest = &st->plan.runs[i].preprocess;
    EG_TRY(
        eg_study_data_open(&st->data, data_dir, &st->plan.runs[0].o, largest, NULL, st->ev, err));
    for (size_t i = 0; i < st->plan.n_runs; i++) {
        EG_TRY(eg_study_settings_fit(&st->plan.runs[i], st->data.ds, st->ev, err));
        EG_TRY(eg_study_memory_settle(&st->plan.runs[i], st->data.ds, false, st->ev, err));
    }
    st->runs = eg_calloc(st->plan.n_runs, sizeof *st->runs);
    if (!st->runs) return no_memory(err);
    for (size_t i = 0; i < st->plan.n_runs; i++) EG_TRY(do_run(st, i, err));
    json_t *json = NULL;
    EG_TRY(study_json(&json, st, err));
    eg_status status = eg_study_file_write(st->dir, "study.json", json, err);
    if (status == EG_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}

eg_status eg_study(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                   eg_error *err) {
    study st = {.o = o, .ev = ev, .dir = o->out && *o->out ? o->out : "study"};
    json_t *json = NULL;
    eg_status status = run_study(&json, &st, dir, err);
    for (size_t i = 0; st.runs && i < st.plan.n_runs; i++) {
        json_decref(st.runs[i].summary);
        json_decref(st.runs[i].config);
        eg_study_scores_free(&st.runs[i].val);
        eg_study_scores_free(&st.runs[i].test);
    }
    eg_free(st.runs);
    eg_study_data_free(&st.data);
    eg_study_plan_free(&st.plan);
    EG_TRY(status);
    *out = eg_doc_new(json, "study");
    return *out ? EG_OK : no_memory(err);
}

eg_status eg_study_load(eg_doc **out, const char *study_dir, eg_error *err) {
    json_t *json = NULL;
    if (!has_file(study_dir, "study.json"))
        return eg_fail(err, EG_ERR_NOT_FOUND,
                       "%s: no study.json there - give the directory engraft study wrote",
                       study_dir);
    EG_TRY(eg_study_file_read(&json, study_dir, "study.json", err));
    const char *schema = json_string_value(json_object_get(json, "schema"));
    if (!schema || strcmp(schema, "engraft.study/1") != 0) {
        eg_status status =
            eg_fail(err, EG_ERR_INPUT, "%s/study.json: schema is %s, expected engraft.study/1",
                    study_dir, schema ? schema : "missing");
        json_decref(json);
        return status;
    }
    eg_status counted = set_looks(json, study_dir, err); /* also of looks since it was written */
    if (counted != EG_OK) {
        json_decref(json);
        return counted;
    }
    *out = eg_doc_new(json, "study");
    return *out ? EG_OK : no_memory(err);
}
