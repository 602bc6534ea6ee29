/* Task E, first form: why the test set is harder than validation, in numbers. The gap with its
 * interval, class balance, patients, the operating point, and fit (over or under). Sentences only
 * where a number supports them. What is computed with the test labels (prior correction, best
 * threshold) is a diagnosis and never used for a headline figure. */
#include "study/run.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const json_t *metrics_of(const eg_finished_run *run, const char *split) {
    return json_object_get(run->summary, split);
}

static double accuracy_of(const eg_finished_run *run, const char *split) {
    return eg_study_number(metrics_of(run, split), "accuracy");
}

static json_t *interval(const double ci[2]) {
    if (isnan(ci[0]) || isnan(ci[1])) return json_null();
    return json_pack("[o,o]", eg_json_real(ci[0]), eg_json_real(ci[1]));
}

/* Correct and total of a metrics object. */
static void counts(int64_t *correct, int64_t *n, const json_t *metrics) {
    *n = (int64_t)json_integer_value(json_object_get(metrics, "n"));
    double accuracy = eg_study_number(metrics, "accuracy");
    *correct = isnan(accuracy) ? 0 : llround(accuracy * (double)*n);
}

/* Difference of accuracies a - b on different images, with its interval; NaN when one is missing.
 * */
static void difference(double *d, double ci[2], const json_t *a, const json_t *b) {
    int64_t correct_a, n_a, correct_b, n_b;
    counts(&correct_a, &n_a, a);
    counts(&correct_b, &n_b, b);
    *d = ci[0] = ci[1] = NAN;
    if (n_a > 0 && n_b > 0) eg_difference_independent(d, ci, correct_a, n_a, correct_b, n_b, 0.95);
}

static const char *gap_verdict(const double ci[2]) {
    if (isnan(ci[0])) return "no test split";
    return ci[0] > 0 ? "test is harder" : ci[1] < 0 ? "test is easier" : "no gap beyond chance";
}

static bool add_gap(json_t *list, json_t *text, const eg_finished_run *run) {
    double d, ci[2];
    difference(&d, ci, metrics_of(run, "val"), metrics_of(run, "test"));
    const char *verdict = gap_verdict(ci);
    bool ok = json_array_append_new(
                  list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "run", run->name, "train",
                                  eg_json_real(accuracy_of(run, "train")), "val",
                                  eg_json_real(accuracy_of(run, "val")), "test",
                                  eg_json_real(accuracy_of(run, "test")), "difference",
                                  eg_json_real(d), "ci", interval(ci), "verdict", verdict)) == 0;
    if (isnan(d)) return ok;
    return ok &&
           eg_study_say(
               text,
               "%s: accuracy %.3f on validation and %.3f on test, a gap of %.1f points (95 %% "
               "interval %.1f to %.1f): %s.",
               run->name, accuracy_of(run, "val"), accuracy_of(run, "test"), 100 * d, 100 * ci[0],
               100 * ci[1], verdict);
}

/* ---- class balance and patients ---- */

/* Share of the positive class of a split (binary), and of its largest class; NaN for an empty
 * split. */
static void shares(double *positive, double *largest, const json_t *data, const char *split) {
    json_t *classes = json_object_get(data, "classes");
    json_t *counted = json_object_get(json_object_get(data, "splits"), split);
    double total = 0, most = 0, second = 0;
    size_t k;
    json_t *name;
    json_array_foreach(classes, k, name) {
        double count = eg_study_number(counted, json_string_value(name));
        if (isnan(count)) count = 0;
        total += count;
        most = fmax(most, count);
        if (k == 1) second = count;
    }
    *positive = total > 0 && json_array_size(classes) == 2 ? second / total : NAN;
    *largest = total > 0 ? most / total : NAN;
}

static json_t *balance_json(json_t *text, const json_t *data) {
    double train, val, test, ignored, majority;
    shares(&train, &ignored, data, "train");
    shares(&val, &ignored, data, "val");
    shares(&test, &majority, data, "test");
    const char *positive = json_string_value(json_object_get(data, "positive"));
    if (positive && !isnan(test) &&
        !eg_study_say(text,
                      "%s makes up %.1f %% of training and %.1f %% of test images; answering with "
                      "the larger class "
                      "always would score %.3f on test.",
                      positive, 100 * train, 100 * test, majority))
        return NULL;
    return json_pack("{s:o, s:o, s:o, s:o}", "train_positive", eg_json_real(train), "val_positive",
                     eg_json_real(val), "test_positive", eg_json_real(test), "majority_test",
                     eg_json_real(majority));
}

static bool say_patients(json_t *text, const json_t *data) {
    const json_t *patients = json_object_get(data, "patients");
    const char *rule = json_string_value(json_object_get(data, "patient_rule"));
    double shared = eg_study_number(patients, "shared_train_test");
    double apparent = eg_study_number(patients, "apparent_shared_train_test");
    if (!rule || strcmp(rule, "none") == 0)
        return eg_study_say(
            text,
            "File names give no patients, so it is not known whether one is in training and test.");
    if (!(eg_study_number(patients, "test") > 0)) return true;
    bool ok =
        shared > 0
            ? eg_study_say(text,
                           "%.0f patients are in training and in test: test accuracy is flattered.",
                           shared)
            : eg_study_say(
                  text,
                  "No patient is in training and in test, so leakage does not explain the test "
                  "figures.");
    if (shared == 0 && apparent > 0)
        ok =
            ok &&
            eg_study_say(
                text,
                "Counting personN alone would report %.0f shared patients; those numbers are given "
                "once a subtype, so that reading is false.",
                apparent);
    return ok;
}

/* ---- operating point ---- */

typedef struct {
    double accuracy, sensitivity, specificity;
} point;

static eg_status point_at(point *out, const eg_scores *s, double threshold, eg_error *err) {
    eg_metrics m;
    EG_TRY(eg_metrics_compute(&m, s->prob, s->label, s->n, s->n_classes, threshold, err));
    *out = (point){m.accuracy, m.sensitivity, m.specificity};
    eg_metrics_free(&m);
    return EG_OK;
}

/* Shares of the classes the network was trained to expect: even ones when the loss was balanced. */
static void trained_prior(double prior[2], const eg_finished_run *run, const json_t *data) {
    const char *weights = json_string_value(
        json_object_get(json_object_get(run->config, "settings"), "class-weights"));
    double positive, ignored;
    shares(&positive, &ignored, data, "train");
    if ((weights && strcmp(weights, "balanced") == 0) || isnan(positive)) positive = 0.5;
    prior[1] = positive;
    prior[0] = 1 - positive;
}

static eg_status prior_corrected(double *accuracy, const eg_finished_run *run, const json_t *data,
                                 eg_error *err) {
    double from[2], to[2], ignored;
    const eg_scores *test = &run->test;
    trained_prior(from, run, data);
    shares(&to[1], &ignored, data, "test");
    to[0] = 1 - to[1];
    double *prob = eg_malloc(2 * test->n * sizeof *prob);
    if (!prob) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    memcpy(prob, test->prob, 2 * test->n * sizeof *prob);
    eg_prior_shift(prob, test->n, 2, from, to);
    eg_scores shifted = *test;
    shifted.prob = prob;
    point p;
    eg_status status = point_at(&p, &shifted, NAN, err);
    eg_free(prob);
    if (status == EG_OK) *accuracy = p.accuracy;
    return status;
}

static bool say_point(json_t *text, const eg_finished_run *run, double threshold, const point *half,
                      const point *moved, double oracle) {
    double auc = eg_study_number(metrics_of(run, "test"), "auc");
    bool ok = true;
    if (fabs(half->sensitivity - half->specificity) > 0.1)
        ok = eg_study_say(
            text,
            "%s: errors on test are one-sided at 0.5, sensitivity %.3f against specificity %.3f.",
            run->name, half->sensitivity, half->specificity);
    return ok &&
           eg_study_say(
               text,
               "%s: the threshold that is best on validation (%.3f) moves test accuracy from %.3f "
               "to "
               "%.3f; the best threshold on test, which nobody knows beforehand, would give %.3f "
               "(AUC %.3f).",
               run->name, threshold, half->accuracy, moved->accuracy, oracle, auc);
}

static eg_status add_point(json_t *list, json_t *text, const eg_finished_run *run,
                           const json_t *data, eg_error *err) {
    if (run->test.n == 0 || run->test.n_classes != 2) return EG_OK;
    double threshold = eg_study_scores_threshold(&run->val), corrected = NAN;
    double oracle_threshold = eg_study_scores_threshold(&run->test);
    point val, half, moved, oracle;
    EG_TRY(point_at(&val, &run->val, threshold, err));
    EG_TRY(point_at(&half, &run->test, NAN, err));
    EG_TRY(point_at(&moved, &run->test, threshold, err));
    EG_TRY(point_at(&oracle, &run->test, oracle_threshold, err));
    EG_TRY(prior_corrected(&corrected, run, data, err));
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "run", run->name,
        "threshold_val", eg_json_real(threshold), "val_accuracy", eg_json_real(val.accuracy),
        "test_accuracy_half", eg_json_real(half.accuracy), "test_accuracy_threshold",
        eg_json_real(moved.accuracy), "test_sensitivity_half", eg_json_real(half.sensitivity),
        "test_specificity_half", eg_json_real(half.specificity), "test_sensitivity_threshold",
        eg_json_real(moved.sensitivity), "test_specificity_threshold",
        eg_json_real(moved.specificity), "prior_corrected_accuracy", eg_json_real(corrected),
        "oracle_accuracy", eg_json_real(oracle.accuracy));
    if (json_array_append_new(list, json) != 0 ||
        !say_point(text, run, threshold, &half, &moved, oracle.accuracy))
        return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    return EG_OK;
}

/* ---- fit ---- */

/* Overfitting: training accuracy is above validation's beyond chance. Underfitting: no such gap,
 * and training accuracy is not above that of always answering the larger class, beyond chance. */
static bool add_fit(json_t *list, json_t *text, const eg_finished_run *run, const json_t *data) {
    const json_t *train = metrics_of(run, "train"), *val = metrics_of(run, "val");
    double d, ci[2], positive, majority;
    difference(&d, ci, train, val);
    shares(&positive, &majority, data, "train");
    double low = json_number_value(json_array_get(json_object_get(train, "accuracy_ci"), 0));
    double train_loss = eg_study_number(train, "loss"), val_loss = eg_study_number(val, "loss");
    const char *verdict = "neither";
    char sentence[400];
    if (ci[0] > 0 && val_loss > train_loss) {
        verdict = "overfitting";
        snprintf(sentence, sizeof sentence,
                 "%s: training accuracy is %.1f points above validation (95 %% interval %.1f to "
                 "%.1f) and its loss %.3f "
                 "against %.3f: overfitting.",
                 run->name, 100 * d, 100 * ci[0], 100 * ci[1], train_loss, val_loss);
    } else if (low <= majority) {
        verdict = "underfitting";
        snprintf(sentence, sizeof sentence,
                 "%s: training accuracy %.3f is not above that of always answering the larger "
                 "class (%.3f): underfitting.",
                 run->name, accuracy_of(run, "train"), majority);
    } else {
        snprintf(sentence, sizeof sentence,
                 "%s: training and validation accuracy differ by %.1f points (95 %% interval %.1f "
                 "to %.1f): neither "
                 "overfitting nor underfitting shows between these two.",
                 run->name, 100 * d, 100 * ci[0], 100 * ci[1]);
    }
    return eg_study_say(text, "%s", sentence) &&
           json_array_append_new(list,
                                 json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:s}", "run", run->name,
                                           "train_loss", eg_json_real(train_loss), "val_loss",
                                           eg_json_real(val_loss), "train_accuracy",
                                           eg_json_real(accuracy_of(run, "train")), "val_accuracy",
                                           eg_json_real(accuracy_of(run, "val")), "verdict",
                                           verdict, "text", sentence)) == 0;
}

eg_status eg_study_why(json_t **out, const eg_finished_run *runs, size_t n, const json_t *data,
                       eg_error *err) {
    json_t *gap = json_array(), *points = json_array(), *fit = json_array(), *text = json_array();
    bool ok = gap && points && fit && text;
    eg_status status = EG_OK;
    for (size_t i = 0; ok && i < n; i++) ok = add_gap(gap, text, &runs[i]);
    json_t *balance = ok ? balance_json(text, data) : NULL;
    ok = ok && balance && say_patients(text, data);
    for (size_t i = 0; ok && status == EG_OK && i < n; i++)
        status = add_point(points, text, &runs[i], data, err);
    for (size_t i = 0; ok && status == EG_OK && i < n; i++) ok = add_fit(fit, text, &runs[i], data);
    if (ok && status == EG_OK) {
        *out = json_pack("{s:O, s:O, s:O, s:O, s:O, s:O}", "gap", gap, "balance", balance,
                         "patients", json_object_get(data, "patients"), "operating_point", points,
                         "fit", fit, "text", text);
        ok = *out != NULL;
    }
    json_decref(gap);
    json_decref(balance);
    json_decref(points);
    json_decref(fit);
    json_decref(text);
    if (status != EG_OK) return status;
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
