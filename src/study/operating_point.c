/* --operating-point and --calibration of eval: what is chosen on validation predictions and then used on others. The
 * formulas are the stats room's (threshold.c, calibration.c); here are the words, what they refuse, and their JSON. There is
 * no way to hand in a threshold: it comes from validation or it is 0.5. Read first: evaluation.h.                 */
#include "study/evaluation.h"

#include <math.h>
#include <string.h>

typedef enum { POINT_NONE, POINT_ACCURACY, POINT_YOUDEN, POINT_COST, POINT_SENSITIVITY } point_rule;
typedef struct {
    point_rule rule;
    double c_fp, c_fn; /* of one false alarm and one miss */
    double target;     /* sensitivity */
} point;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the operating point");
}

/* "FP:FN", both above 0. */
static bool parse_cost(point *out, const char *text) {
    char first[32];
    const char *colon = strchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof first) return false;
    memcpy(first, text, (size_t)(colon - text));
    first[colon - text] = '\0';
    return eg_parse_real(&out->c_fp, first) && eg_parse_real(&out->c_fn, colon + 1) &&
           out->c_fp > 0 && out->c_fn > 0;
}

static eg_status parse_point(point *out, const char *word, eg_error *err) {
    *out = (point){0};
    if (!word || !*word || strcmp(word, "none") == 0) return EG_OK;
    bool ok = true;
    if (strcmp(word, "accuracy") == 0) {
        out->rule = POINT_ACCURACY;
    } else if (strcmp(word, "youden") == 0) {
        out->rule = POINT_YOUDEN;
    } else if (strncmp(word, "cost=", 5) == 0) {
        out->rule = POINT_COST;
        ok = parse_cost(out, word + 5);
    } else if (strncmp(word, "sensitivity=", 12) == 0) {
        out->rule = POINT_SENSITIVITY;
        ok = eg_parse_real(&out->target, word + 12) && out->target > 0 && out->target <= 1;
    } else {
        ok = false;
    }
    return ok ? EG_OK
              : eg_fail(err, EG_ERR_USAGE,
                        "--operating-point %s: expected none, accuracy, youden, cost=FP:FN (both "
                        "above 0, as cost=1:5) or sensitivity=S (above 0, at most 1, as "
                        "sensitivity=.95)",
                        word);
}

/* The kind that --calibration names; false: none. The option table has checked the word. */
static bool parse_calibration(eg_calibration_kind *out, const char *word) {
    static const struct {
        const char *word;
        eg_calibration_kind kind;
    } KINDS[] = {{"temperature", EG_CALIBRATION_TEMPERATURE},
                 {"platt", EG_CALIBRATION_PLATT},
                 {"isotonic", EG_CALIBRATION_ISOTONIC}};
    for (size_t i = 0; word && i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(word, KINDS[i].word) != 0) continue;
        *out = KINDS[i].kind;
        return true;
    }
    return false;
}

eg_status eg_study_choice_check(const eg_options *o, const char *split, int n_classes,
                                eg_error *err) {
    point p;
    eg_calibration_kind kind = EG_CALIBRATION_TEMPERATURE;
    EG_TRY(parse_point(&p, o->operating_point, err));
    const bool calibrates = parse_calibration(&kind, o->calibration);
    if (p.rule == POINT_NONE && !calibrates) return EG_OK;
    if (split && strcmp(split, "val") == 0)
        return eg_fail(err, EG_ERR_USAGE,
                       "--split val with %s: it is chosen on validation, and the images it is "
                       "chosen on cannot also be scored with it - use --split test",
                       calibrates ? "--calibration" : "--operating-point");
    if (n_classes > 2 && p.rule != POINT_NONE)
        return eg_fail(err, EG_ERR_USAGE,
                       "--operating-point %s: a threshold needs two classes, these are %d - leave "
                       "it out: the class with the highest probability is then predicted",
                       o->operating_point, n_classes);
    if (n_classes > 2 && kind != EG_CALIBRATION_TEMPERATURE)
        return eg_fail(err, EG_ERR_USAGE,
                       "--calibration %s: needs two classes, these are %d - use temperature",
                       o->calibration, n_classes);
    return EG_OK;
}

/* {"kind", its numbers, "fitted_on", "n"} */
static json_t *calibration_json(const eg_calibration *c, const char *word, size_t n) {
    json_t *json =
        json_pack("{s:s, s:s, s:I}", "kind", word, "fitted_on", "val", "n", (json_int_t)n);
    bool ok = json != NULL;
    if (ok && c->kind == EG_CALIBRATION_TEMPERATURE)
        ok = json_object_set_new(json, "temperature", eg_json_real(c->temperature)) == 0;
    if (ok && c->kind == EG_CALIBRATION_PLATT)
        ok = json_object_set_new(json, "slope", eg_json_real(c->slope)) == 0 &&
             json_object_set_new(json, "intercept", eg_json_real(c->intercept)) == 0;
    if (ok && c->kind == EG_CALIBRATION_ISOTONIC)
        ok = json_object_set_new(json, "points", json_integer((json_int_t)c->n_points)) == 0;
    if (ok) return json;
    json_decref(json);
    return NULL;
}

eg_status eg_study_calibrate(json_t **out, eg_scores *val, eg_scores *scored, const eg_options *o,
                             eg_error *err) {
    eg_calibration_kind kind;
    eg_calibration c;
    *out = NULL;
    if (parse_calibration(&kind, o->calibration)) {
        eg_status status =
            eg_calibration_fit(&c, kind, val->prob, val->label, val->n, val->n_classes, err);
        if (status != EG_OK) return eg_error_in(err, status, "--calibration on validation");
        eg_calibration_apply(&c, val->prob, val->n, val->n_classes);
        eg_calibration_apply(&c, scored->prob, scored->n, scored->n_classes);
        *out = calibration_json(&c, o->calibration, val->n);
        eg_calibration_free(&c);
    } else {
        *out = json_null();
    }
    return *out ? EG_OK : no_memory(err);
}

static double threshold_of(const point *p, const double *positive, const eg_scores *val) {
    switch (p->rule) {
    case POINT_ACCURACY:
        return eg_threshold_accuracy(positive, val->label, val->n);
    case POINT_YOUDEN:
        return eg_threshold_youden(positive, val->label, val->n);
    case POINT_COST:
        return eg_threshold_cost(positive, val->label, val->n, p->c_fp, p->c_fn, NAN);
    case POINT_SENSITIVITY:
        return eg_threshold_sensitivity(positive, val->label, val->n, p->target);
    case POINT_NONE:
        break;
    }
    return NAN;
}

eg_status eg_study_operating_point(double *threshold, json_t **out, const eg_scores *val,
                                   const eg_options *o, eg_error *err) {
    point p;
    *threshold = NAN;
    *out = NULL;
    EG_TRY(parse_point(&p, o->operating_point, err));
    if (p.rule == POINT_NONE) {
        *out = json_null();
        return EG_OK;
    }
    double *positive = eg_study_scores_positive(val);
    if (!positive) return no_memory(err);
    double t = threshold_of(&p, positive, val);
    eg_free(positive);
    if (isnan(t))
        return eg_fail(err, EG_ERR_INPUT,
                       "--operating-point %s: the %zu validation images give no threshold - both "
                       "classes must be among them",
                       o->operating_point, val->n);
    /* an end beyond every score ("call none positive") as a number that a document can hold */
    *threshold = t > 1 ? nextafter(1, 2) : t < 0 ? 0 : t;
    *out = json_pack("{s:s, s:o, s:s, s:I}", "rule", o->operating_point, "threshold",
                     eg_json_real(*threshold), "chosen_on", "val", "n", (json_int_t)val->n);
    return *out ? EG_OK : no_memory(err);
}
