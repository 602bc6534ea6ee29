/* What validation data could do for a run without training: calibrations of its probabilities (temperature, Platt,
 * isotonic) and operating points (accuracy, Youden, 95 % sensitivity, a miss that costs five false alarms), all fitted on
 * validation and scored on test. Nothing here is chosen on test. The formulas are the stats room's. */
#include "study/compare.h"

#include <math.h>
#include <string.h>

/* {"loss", "brier", "ece"} of probabilities, and with `sides` {"accuracy", "sensitivity", "specificity"}. */
static json_t *figures_json(const double *prob, const eg_scores *s, double threshold, bool sides) {
    eg_metrics m;
    if (eg_metrics_compute(&m, prob, s->label, s->n, s->n_classes, threshold, NULL) != EG_OK)
        return NULL;
    json_t *json =
        sides ? json_pack("{s:o, s:o, s:o, s:o}", "threshold", eg_json_real(threshold), "accuracy",
                          eg_json_real(m.accuracy), "sensitivity", eg_json_real(m.sensitivity),
                          "specificity", eg_json_real(m.specificity))
              : json_pack("{s:o, s:o, s:o}", "loss", eg_json_real(m.loss), "brier",
                          eg_json_real(m.brier), "ece", eg_json_real(m.ece));
    eg_metrics_free(&m);
    return json;
}

/* One calibration, fitted on val, applied to a copy of test; null where it cannot be fitted (one class, K classes). */
static json_t *calibrated_json(eg_calibration_kind kind, const eg_scores *val,
                               const eg_scores *test) {
    eg_calibration c;
    size_t values = test->n * (size_t)test->n_classes;
    eg_status status =
        eg_calibration_fit(&c, kind, val->prob, val->label, val->n, val->n_classes, NULL);
    if (status != EG_OK) return status == EG_ERR_INPUT ? json_null() : NULL;
    double *prob = eg_malloc(values * sizeof *prob);
    json_t *json = NULL;
    if (prob) {
        memcpy(prob, test->prob, values * sizeof *prob);
        eg_calibration_apply(&c, prob, test->n, test->n_classes);
        json = figures_json(prob, test, NAN, false);
    }
    bool ok = json && (kind != EG_CALIBRATION_TEMPERATURE ||
                       json_object_set_new(json, "temperature", eg_json_real(c.temperature)) == 0);
    eg_free(prob);
    eg_calibration_free(&c);
    if (ok) return json;
    json_decref(json);
    return NULL;
}

json_t *eg_study_calibration_json(const eg_scores *val, const eg_scores *test) {
    static const struct {
        const char *name;
        eg_calibration_kind kind;
    } KINDS[] = {{"temperature", EG_CALIBRATION_TEMPERATURE},
                 {"platt", EG_CALIBRATION_PLATT},
                 {"isotonic", EG_CALIBRATION_ISOTONIC}};
    if (val->n == 0 || test->n == 0) return json_null();
    json_t *json = json_object();
    bool ok =
        json && json_object_set_new(json, "none", figures_json(test->prob, test, NAN, false)) == 0;
    for (size_t k = 0; ok && k < sizeof KINDS / sizeof *KINDS; k++)
        ok = json_object_set_new(json, KINDS[k].name, calibrated_json(KINDS[k].kind, val, test)) ==
             0;
    if (ok) return json;
    json_decref(json);
    return NULL;
}

json_t *eg_study_operating_points_json(const eg_scores *val, const eg_scores *test) {
    if (val->n == 0 || test->n == 0 || val->n_classes != 2) return json_null();
    double *score = eg_study_scores_positive(val);
    json_t *json = score ? json_object() : NULL;
    if (!json) {
        eg_free(score);
        return NULL;
    }
    const struct {
        const char *name;
        double threshold;
    } points[] = {{"half", 0.5},
                  {"accuracy", eg_threshold_accuracy(score, val->label, val->n)},
                  {"youden", eg_threshold_youden(score, val->label, val->n)},
                  {"sensitivity_95", eg_threshold_sensitivity(score, val->label, val->n, 0.95)},
                  {"miss_costs_5", eg_threshold_cost(score, val->label, val->n, 1, 5, NAN)}};
    bool ok = true;
    for (size_t k = 0; ok && k < sizeof points / sizeof *points; k++) {
        json_t *one = isnan(points[k].threshold)
                          ? json_null() /* a class is missing in validation */
                          : figures_json(test->prob, test, points[k].threshold, true);
        ok = json_object_set_new(json, points[k].name, one) == 0;
    }
    eg_free(score);
    if (ok) return json;
    json_decref(json);
    return NULL;
}
