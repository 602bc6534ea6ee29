/* What eval chooses on validation and makes of other images: thresholds by hand, calibration, every figure with an interval,
 * and the refusals that keep the test set sealed. */
#include "study/evaluation.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define VAL TEST_BINARY_DIR "/test_evaluation_val.csv"
enum { N_VAL = 8, N_TEST = 12 };
#define TEXT(literal) ((char *)(uintptr_t)(literal))
static char *CLASSES[] = {TEXT("A"), TEXT("B"), TEXT("C")};

/* Scores of the positive class; files are called after `prefix`. */
static eg_scores make(char prefix, size_t n, const double *positive, const int32_t *label) {
    eg_scores s = {.n = n, .n_classes = 2};
    s.file = eg_calloc(n + 1, sizeof *s.file);
    s.label = eg_calloc(n + 1, sizeof *s.label);
    s.prob = eg_calloc(2 * n + 1, sizeof *s.prob);
    for (size_t i = 0; i < n; i++) {
        s.file[i] = eg_format("%c%zu.png", prefix, i);
        s.label[i] = label[i];
        s.prob[2 * i] = 1 - positive[i];
        s.prob[2 * i + 1] = positive[i];
    }
    return s;
}

static const double VAL_P[N_VAL] = {0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8, 0.9};
static const int32_t VAL_Y[N_VAL] = {0, 0, 0, 0, 1, 1, 1, 1};
static const double TEST_P[N_TEST] = {0.05, 0.15, 0.25, 0.38, 0.45, 0.62,
                                      0.32, 0.41, 0.55, 0.75, 0.85, 0.95};
static const int32_t TEST_Y[N_TEST] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};

static eg_status run(json_t **out, const eg_options *o, const char *split, eg_error *err) {
    eg_scores val = make('v', N_VAL, VAL_P, VAL_Y), test = make('t', N_TEST, TEST_P, TEST_Y);
    assert_int_equal(eg_study_scores_write(&val, VAL, CLASSES, err), EG_OK);
    const eg_evaluation e = {
        .scored = &test, .classes = CLASSES, .split = split, .val_path = VAL, .o = o};
    eg_status status = eg_study_evaluation_json(out, &e, err);
    eg_study_scores_free(&val);
    eg_study_scores_free(&test);
    return status;
}

static void thresholds_of_validation(void **state) {
    (void)state;
    /* negatives of val .1 .2 .3 .6, positives .4 .7 .8 .9: both (.3, .4) and (.6, .7) give 7 of 8 and J = .75; of equals
     * the midpoint nearer to .5 (.35 and .65 are equally near) counts. A miss that costs ten must take .35, a false alarm
     * that costs ten .65; sensitivity 1 needs .4. */
    static const struct {
        const char *word;
        double low, high;
    } cases[] = {{"accuracy", 0.3, 0.7},        {"youden", 0.3, 0.7},
                 {"cost=1:10", 0.3, 0.4},       {"cost=10:1", 0.6, 0.7},
                 {"sensitivity=1", 0.3, 0.4},   {"sensitivity=.75", 0.6, 0.7},
                 {"sensitivity=0.5", 0.7, 0.8}, {"sensitivity=.76", 0.3, 0.4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_options o = {.operating_point = cases[i].word};
        eg_error err = {0};
        json_t *m = NULL;
        if (run(&m, &o, "test", &err) != EG_OK) fail_msg("%s: %s", cases[i].word, err.text);
        const json_t *point = json_object_get(m, "operating_point");
        double t = eg_study_number(point, "threshold");
        if (!(t > cases[i].low && t <= cases[i].high)) fail_msg("%s: %g", cases[i].word, t);
        assert_true(t == eg_study_number(m, "threshold"));
        assert_string_equal(json_string_value(json_object_get(point, "chosen_on")), "val");
        assert_int_equal(json_integer_value(json_object_get(point, "n")), N_VAL);
        /* the figures are those at this threshold, of the other images */
        int correct = 0;
        for (int k = 0; k < N_TEST; k++) correct += (TEST_P[k] >= t) == TEST_Y[k];
        assert_float_equal(eg_study_number(m, "accuracy"), correct / (double)N_TEST, 1e-12);
        json_decref(m);
    }
}

static void every_figure_has_an_interval(void **state) {
    (void)state;
    eg_options o = {0};
    eg_error err = {0};
    json_t *m = NULL;
    assert_int_equal(run(&m, &o, "test", &err), EG_OK);
    for (int i = 0; i < EG_METRIC_COUNT; i++) {
        const char *name = eg_metric_name((eg_metric)i);
        char key[64];
        snprintf(key, sizeof key, "%s_ci", name);
        const json_t *ci = json_object_get(m, key);
        const double value = eg_study_number(m, name);
        if (json_array_size(ci) != 2) fail_msg("%s: no interval", name);
        const double low = json_number_value(json_array_get(ci, 0)),
                     high = json_number_value(json_array_get(ci, 1));
        /* the estimate of ece is biased upwards, so its resamples lie above it: only order then */
        if (!(low < high) || (i != EG_METRIC_ECE && !(low <= value && value <= high)))
            fail_msg("%s: %g not in [%g, %g]", name, value, low, high);
    }
    assert_string_equal(json_string_value(json_object_get(json_object_get(m, "bootstrap"), "by")),
                        "image");
    assert_true(json_is_null(json_object_get(m, "operating_point")));
    assert_true(json_is_null(json_object_get(m, "calibration")));
    assert_true(json_array_size(json_object_get(m, "pr")) > 3);
    json_decref(m);
}

/* Calibration moves probabilities, not their order; the threshold belongs to the moved ones. */
static void calibrated_first(void **state) {
    (void)state;
    static const char *const kinds[] = {"temperature", "platt"};
    for (size_t i = 0; i < 2; i++) {
        eg_options o = {.calibration = kinds[i], .operating_point = "sensitivity=1"};
        eg_options plain = {.operating_point = "sensitivity=1"};
        eg_error err = {0};
        json_t *m = NULL, *before = NULL;
        if (run(&m, &o, "test", &err) != EG_OK) fail_msg("%s", err.text);
        assert_int_equal(run(&before, &plain, "test", &err), EG_OK);
        assert_true(eg_study_number(m, "auc") == eg_study_number(before, "auc"));
        assert_true(eg_study_number(m, "loss") != eg_study_number(before, "loss"));
        assert_true(eg_study_number(m, "threshold") != eg_study_number(before, "threshold"));
        const json_t *c = json_object_get(m, "calibration");
        assert_string_equal(json_string_value(json_object_get(c, "kind")), kinds[i]);
        assert_string_equal(json_string_value(json_object_get(c, "fitted_on")), "val");
        json_decref(m);
        json_decref(before);
    }
}

static void refuse(const eg_options *o, const char *split, eg_status expected, const char *text) {
    eg_error err = {0};
    json_t *m = NULL;
    assert_int_equal(run(&m, o, split, &err), expected);
    if (!strstr(err.text, text)) fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void sealed(void **state) {
    (void)state;
    eg_options youden = {.operating_point = "youden"}, platt = {.calibration = "platt"};
    refuse(&youden, "val", EG_ERR_USAGE, "--split test");
    refuse(&platt, "val", EG_ERR_USAGE, "--split test");
    /* one image on both sides is enough, whatever the files are called */
    double p[N_TEST];
    memcpy(p, TEST_P, sizeof p);
    eg_scores val = make('v', N_VAL, VAL_P, VAL_Y), test = make('t', N_TEST, p, TEST_Y);
    eg_error err = {0};
    json_t *m = NULL;
    eg_free(val.file[3]);
    val.file[3] = eg_strdup("t5.png");
    assert_int_equal(eg_study_scores_write(&val, VAL, CLASSES, &err), EG_OK);
    const eg_evaluation e = {
        .scored = &test, .classes = CLASSES, .split = "test", .val_path = VAL, .o = &youden};
    assert_int_equal(eg_study_evaluation_json(&m, &e, &err), EG_ERR_MISMATCH);
    assert_non_null(strstr(err.text, "t5.png"));
    eg_study_scores_free(&val);
    eg_study_scores_free(&test);
}

static void words_refused(void **state) {
    (void)state;
    static const char *const words[] = {
        "f1",           "cost",          "cost=",  "cost=1:0", "cost=-1:2",      "cost=1:2:3",
        "sensitivity=", "sensitivity=0", "Youden", "youden=1", "sensitivity=1.1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        eg_options o = {.operating_point = words[i]};
        refuse(&o, "test", EG_ERR_USAGE, "cost=FP:FN");
    }
    eg_options o = {.operating_point = "youden"}, platt = {.calibration = "platt"},
               temperature = {.calibration = "temperature"};
    eg_error err = {0};
    assert_int_equal(eg_study_choice_check(&o, "test", 3, &err), EG_ERR_USAGE);
    assert_int_equal(eg_study_choice_check(&platt, "test", 3, &err), EG_ERR_USAGE);
    assert_int_equal(eg_study_choice_check(&temperature, "test", 3, &err), EG_OK);
    assert_int_equal(eg_study_choice_check(&o, "test", 2, &err), EG_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_of_validation),
        cmocka_unit_test(every_figure_has_an_interval),
        cmocka_unit_test(calibrated_first),
        cmocka_unit_test(sealed),
        cmocka_unit_test(words_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
