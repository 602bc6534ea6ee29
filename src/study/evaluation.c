/* What eval makes of predictions: choices taken from validation, figures, an interval for each, and the files of --out. The
 * closed intervals (Wilson, DeLong, logit) are in M already; here the bootstrap fills in those of the figures that have
 * none, and where patients are known it gives all of them again with a patient's images drawn together. Network and images
 * are evaluate.c's, files from elsewhere rescore.c's. Read first: evaluation.h.                                   */
#include "study/evaluation.h"

#include <math.h>
#include <string.h>

/* Resamples: as many as probabilities looked at stay below a bound of some seconds of work, within these limits. */
enum { MOST_RESAMPLES = 2000, LEAST_RESAMPLES = 200 };
static const double most_probabilities = 4e7;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for figures");
}

/* ---- validation ---- */

/* The rule of the sealed test, checked on names: no image is both chosen on and scored. */
static eg_status refuse_common(const eg_scores *val, const eg_scores *scored, const char *val_path,
                               eg_error *err) {
    json_t *names = json_object();
    bool ok = names != NULL;
    const char *common = NULL;
    for (size_t i = 0; ok && i < val->n; i++)
        ok = json_object_set_new(names, val->file[i], json_true()) == 0;
    for (size_t i = 0; ok && !common && i < scored->n; i++)
        if (json_object_get(names, scored->file[i])) common = scored->file[i];
    json_decref(names);
    if (!ok) return no_memory(err);
    if (!common) return EG_OK;
    return eg_fail(err, EG_ERR_MISMATCH,
                   "%s: %s is also among the images that are scored - threshold and calibration "
                   "are chosen on validation images only, never on those they are scored on",
                   val_path, common);
}

static bool is_asked(const char *word) {
    return word && *word && strcmp(word, "none") != 0;
}

static bool chooses(const eg_options *o) {
    return is_asked(o->operating_point) || is_asked(o->calibration);
}

eg_status eg_study_choice_ready(const eg_options *o, const char *val_path, eg_error *err) {
    if (!chooses(o) || (val_path && eg_path_exists(val_path))) return EG_OK;
    return eg_fail(err, EG_ERR_NOT_FOUND,
                   "%s: no validation predictions to choose --operating-point or --calibration "
                   "on - give a run folder, or --val-predictions FILE",
                   val_path ? val_path : "a checkpoint or a file alone");
}

static eg_status read_val(eg_scores *val, const eg_evaluation *e, eg_error *err) {
    EG_TRY(eg_study_choice_ready(e->o, e->val_path, err));
    EG_TRY(eg_study_scores_read(val, e->val_path, e->classes, e->scored->n_classes, err));
    return refuse_common(val, e->scored, e->val_path, err);
}

typedef struct {
    double threshold; /* NaN: argmax */
    json_t *calibration, *point;
} choice;

static eg_status choose(choice *out, const eg_evaluation *e, eg_error *err) {
    eg_scores val = {0};
    EG_TRY(eg_study_choice_check(e->o, e->split, e->scored->n_classes, err));
    eg_status status = EG_OK;
    if (chooses(e->o)) {
        status = read_val(&val, e, err);
        /* the threshold belongs to calibrated probabilities: calibrate first */
        if (status == EG_OK)
            status = eg_study_calibrate(&out->calibration, &val, e->scored, e->o, err);
        if (status == EG_OK)
            status = eg_study_operating_point(&out->threshold, &out->point, &val, e->o, err);
        eg_study_scores_free(&val);
    }
    return status;
}

/* ---- intervals ---- */

static json_t *interval_json(const eg_resampled *r) {
    if (!isfinite(r->ci[0]) || !isfinite(r->ci[1])) return json_null();
    return json_pack("[o,o]", eg_json_real(r->ci[0]), eg_json_real(r->ci[1]));
}

/* "<name>_ci" for every figure that has no closed interval. */
static bool fill_in(json_t *metrics, const eg_resampled *each) {
    bool ok = true;
    for (int m = 0; ok && m < EG_METRIC_COUNT; m++) {
        char *key = eg_format("%s_ci", eg_metric_name((eg_metric)m));
        json_t *there = key ? json_object_get(metrics, key) : NULL;
        ok = key != NULL;
        if (ok && (!there || json_is_null(there)))
            ok = json_object_set_new(metrics, key, interval_json(&each[m])) == 0;
        eg_free(key);
    }
    return ok;
}

static json_t *bootstrap_json(const eg_resampled *each, const eg_evaluation *e, int resamples) {
    json_t *ci = json_object();
    bool ok = ci != NULL;
    for (int m = 0; ok && m < EG_METRIC_COUNT; m++)
        ok = json_object_set_new(ci, eg_metric_name((eg_metric)m), interval_json(&each[m])) == 0;
    if (ok)
        return json_pack("{s:s, s:i, s:o}", "by", e->patient ? "patient" : "image", "resamples",
                         resamples, "ci", ci);
    json_decref(ci);
    return NULL;
}

static eg_status add_intervals(json_t *metrics, const eg_evaluation *e, double threshold,
                               eg_error *err) {
    const eg_scores *s = e->scored;
    eg_resampled each[EG_METRIC_COUNT];
    const double affordable = most_probabilities / ((double)s->n * s->n_classes + 1);
    const int resamples = (int)fmin(MOST_RESAMPLES, fmax(LEAST_RESAMPLES, affordable));
    const eg_predictions p = {s->prob, s->label, s->n, s->n_classes, threshold};
    const eg_resample_options o = {
        .stratum = s->label, .cluster = e->patient, .n_resamples = resamples};
    EG_TRY(eg_metrics_resample(each, NULL, &p, 1, &o, err));
    json_t *bootstrap = fill_in(metrics, each) ? bootstrap_json(each, e, resamples) : NULL;
    return bootstrap && json_object_set_new(metrics, "bootstrap", bootstrap) == 0 ? EG_OK
                                                                                  : no_memory(err);
}

/* ---- the document ---- */

static json_t *or_null(json_t *json) {
    return json ? json_incref(json) : json_null();
}

eg_status eg_study_evaluation_json(json_t **out, const eg_evaluation *e, eg_error *err) {
    choice c = {.threshold = NAN};
    json_t *metrics = NULL;
    eg_status status = choose(&c, e, err);
    if (status == EG_OK)
        status = eg_study_metrics_json(&metrics, e->scored, e->classes, c.threshold, err);
    if (status == EG_OK) status = add_intervals(metrics, e, c.threshold, err);
    if (status == EG_OK &&
        (json_object_set_new(metrics, "split", e->split ? json_string(e->split) : json_null()) !=
             0 ||
         json_object_set_new(metrics, "operating_point", or_null(c.point)) != 0 ||
         json_object_set_new(metrics, "calibration", or_null(c.calibration)) != 0))
        status = no_memory(err);
    json_decref(c.point);
    json_decref(c.calibration);
    if (status == EG_OK)
        *out = metrics;
    else
        json_decref(metrics);
    return status;
}

/* ---- --out ---- */

static bool has(const char *dir, const char *name) {
    char *path = eg_path_join(dir, name);
    bool there = path && eg_path_exists(path);
    eg_free(path);
    return there;
}

eg_status eg_study_evaluation_out_check(const eg_options *o, eg_error *err) {
    if (!o->out || !*o->out) return EG_OK;
    if (eg_path_exists(o->out) && !eg_path_is_dir(o->out))
        return eg_fail(err, EG_ERR_USAGE, "--out %s: is a file; give a folder", o->out);
    if (has(o->out, "config.json") || has(o->out, "study.json"))
        return eg_fail(err, EG_ERR_USAGE,
                       "--out %s: is the folder of a run or a study, whose files would be replaced "
                       "- give another folder",
                       o->out);
    if (has(o->out, "metrics.json") && !o->overwrite)
        return eg_fail(err, EG_ERR_USAGE,
                       "--out %s: has a metrics.json - choose another folder, or replace it with "
                       "--overwrite",
                       o->out);
    return EG_OK;
}

eg_status eg_study_evaluation_out_write(const json_t *json, const eg_scores *s,
                                        char *const *classes, const eg_options *o, eg_error *err) {
    if (!o->out || !*o->out) return EG_OK;
    EG_TRY(eg_dir_make(o->out, err));
    char *path = eg_path_join(o->out, "predictions.csv");
    eg_status status = path ? eg_study_scores_write(s, path, classes, err) : no_memory(err);
    eg_free(path);
    return status == EG_OK ? eg_study_file_write(o->out, "metrics.json", json, err) : status;
}
