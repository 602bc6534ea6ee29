/* Task E on predictions made by hand: the gap, the operating point, and verdicts that follow the
 * numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/run.h"
#include <string.h>

enum { N = 100 };
static char *files[N], *CLASSES[] = {NULL, NULL};
static int32_t labels[N];
static double val_prob[2 * N], test_prob[2 * N];

static void set(double *prob, int i, double positive) {
    prob[2 * i + 1] = positive;
    prob[2 * i] = 1 - positive;
}

/* Half negatives. Validation: 2 errors. Test: ranking perfect, but half of the negatives above 0.5.
 * */
static int setup(void **state) {
    (void)state;
    CLASSES[0] = (char *)"A";
    CLASSES[1] = (char *)"B";
    for (int i = 0; i < N; i++) {
        files[i] = (char *)"f";
        labels[i] = i >= N / 2;
        set(val_prob, i, i < 2 ? 0.9 : labels[i] ? 0.8 : 0.2);
        set(test_prob, i, labels[i] ? 0.9 : i < N / 4 ? 0.7 : 0.1);
    }
    return 0;
}

static json_t *metrics(double *prob) {
    eg_scores s = {N, 2, files, labels, prob};
    json_t *m = NULL;
    eg_error err = {0};
    if (eg_study_metrics_json(&m, &s, CLASSES, NAN, &err) != EG_OK) fail_msg("%s", err.text);
    return m;
}

static json_t *explain(double *train_prob) {
    json_t *why = NULL;
    eg_error err = {0};
    json_t *data =
        json_pack("{s:[s,s], s:s, s:s, s:{s:{s:i,s:i}, s:{s:i,s:i}, s:{s:i,s:i}}, "
                  "s:{s:i,s:i,s:i,s:i,s:i,s:i}}",
                  "classes", "A", "B", "positive", "B", "patient_rule", "kermany", "splits",
                  "train", "A", 25, "B", 75, "val", "A", 50, "B", 50, "test", "A", 50, "B", 50,
                  "patients", "train", 9, "val", 3, "test", 4, "shared_train_val", 0,
                  "shared_train_test", 0, "apparent_shared_train_test", 17);
    eg_finished_run run = {.name = "r",
                           .summary =
                               json_pack("{s:o, s:o, s:o}", "train", metrics(train_prob), "val",
                                         metrics(val_prob), "test", metrics(test_prob)),
                           .config = json_pack("{s:{s:s}}", "settings", "class-weights", "none"),
                           .val = {N, 2, files, labels, val_prob},
                           .test = {N, 2, files, labels, test_prob}};
    assert_non_null(data);
    if (eg_study_why(&why, &run, 1, data, &err) != EG_OK) fail_msg("%s", err.text);
    json_decref(run.summary);
    json_decref(run.config);
    json_decref(data);
    return why;
}

static const json_t *first(const json_t *why, const char *key) {
    return json_array_get(json_object_get(why, key), 0);
}

static bool says(const json_t *why, const char *text) {
    size_t i;
    json_t *sentence;
    json_array_foreach(json_object_get(why, "text"), i, sentence) {
        if (strstr(json_string_value(sentence), text)) return true;
    }
    return false;
}

static void figures(void **state) {
    (void)state;
    json_t *why = explain(val_prob);
    const json_t *gap = first(why, "gap"), *point = first(why, "operating_point"),
                 *fit = first(why, "fit");
    assert_float_equal(eg_study_number(gap, "difference"), 0.98 - 0.75, 1e-12);
    assert_string_equal(json_string_value(json_object_get(gap, "verdict")), "test is harder");
    assert_float_equal(eg_study_number(point, "test_accuracy_half"), 0.75, 1e-12);
    assert_float_equal(eg_study_number(point, "test_specificity_half"), 0.5, 1e-12);
    assert_float_equal(eg_study_number(point, "test_sensitivity_half"), 1, 1e-12);
    assert_float_equal(eg_study_number(point, "oracle_accuracy"), 1, 1e-12);
    /* from 75 % to 50 % positives the odds of 0.7 shrink by three, to 0.4375: those negatives come
     * right */
    assert_float_equal(eg_study_number(point, "prior_corrected_accuracy"), 1, 1e-12);
    assert_string_equal(json_string_value(json_object_get(fit, "verdict")), "neither");
    const json_t *balance = json_object_get(why, "balance");
    assert_float_equal(eg_study_number(balance, "train_positive"), 0.75, 1e-12);
    assert_float_equal(eg_study_number(balance, "majority_test"), 0.5, 1e-12);
    assert_true(says(why, "one-sided"));
    assert_true(says(why, "17 shared patients"));
    assert_false(says(why, "flattered"));
    json_decref(why);
}

static void fit_verdicts(void **state) {
    (void)state;
    static double train[2 * N];
    double keep[2 * N];
    /* training perfect, validation at 80 %: overfitting */
    memcpy(keep, val_prob, sizeof keep);
    for (int i = 0; i < N; i++) {
        set(train, i, labels[i] ? 0.99 : 0.01);
        if (i < 20) set(val_prob, i, 0.9);
    }
    json_t *why = explain(train);
    assert_string_equal(json_string_value(json_object_get(first(why, "fit"), "verdict")),
                        "overfitting");
    json_decref(why);
    memcpy(val_prob, keep, sizeof keep);
    /* training no better than the larger class's 75 %: underfitting */
    for (int i = 0; i < N; i++)
        set(train, i, i % 4 == 0 ? 0.6 - 0.2 * labels[i] : 0.4 + 0.2 * labels[i]);
    why = explain(train);
    assert_string_equal(json_string_value(json_object_get(first(why, "fit"), "verdict")),
                        "underfitting");
    json_decref(why);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures),
        cmocka_unit_test(fit_verdicts),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
