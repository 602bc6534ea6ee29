/* Predictions to CSV and back, with names that need quoting, and the figures computed from them. */
#include "study/run.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PATH TEST_BINARY_DIR "/test_scores.csv"

#define TEXT(literal) ((char *)(literal)) /* scores own their names, tests lend them */
static char *CLASSES[] = {TEXT("NORMAL"), TEXT("a,\"b\"")};

/* six images: three of each class, one error of each kind at 0.5 */
static void fill(eg_scores *s) {
    static char *files[] = {TEXT("x/a.png"), TEXT("x/b,c.png"), TEXT("x/d \"e\".png"),
                            TEXT("y/f.png"), TEXT("y/g.png"),   TEXT("y/h.png")};
    static int32_t labels[] = {0, 0, 0, 1, 1, 1};
    static double prob[] = {0.9,  0.1,  0.75,  0.25,  0.4,    0.6,
                            0.55, 0.45, 0.125, 0.875, 0.0625, 0.9375};
    *s = (eg_scores){6, 2, files, labels, prob};
}

static void csv_round_trip(void **state) {
    (void)state;
    eg_scores s, back;
    eg_error err = {0};
    fill(&s);
    assert_int_equal(eg_study_scores_write(&s, PATH, CLASSES, &err), EG_OK);
    if (eg_study_scores_read(&back, PATH, CLASSES, 2, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(back.n, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(back.file[i], s.file[i]);
        assert_int_equal(back.label[i], s.label[i]);
    }
    assert_memory_equal(back.prob, s.prob, 12 * sizeof(double)); /* short decimals: exact */
    eg_study_scores_free(&back);
}

static void refuse(const char *text, const char *expected) {
    eg_scores s;
    eg_error err = {0};
    eg_part part = {text, strlen(text)};
    char *classes[] = {TEXT("A"), TEXT("B")};
    assert_int_equal(eg_file_write_atomic(PATH, &part, 1, &err), EG_OK);
    assert_int_equal(eg_study_scores_read(&s, PATH, classes, 2, &err), EG_ERR_INPUT);
    if (!strstr(err.text, expected)) fail_msg("\"%s\" does not say \"%s\"", err.text, expected);
}

static void damaged_csv(void **state) {
    (void)state;
    refuse("file,label,p_A,p_C\n", "first line");
    refuse("file,label,p_A,p_B\nx.png,C,0.5,0.5\n", "row 2: unknown label");
    refuse("file,label,p_A,p_B\nx.png,A,0.5,0.5\ny.png,A,0.5,1.5\n", "row 3: probability 2");
    refuse("file,label,p_A,p_B\nx.png,A,0.5\n", "line 2: 3 fields");
}

static double number(const json_t *m, const char *key) {
    return eg_study_number(m, key);
}

static void metrics_by_hand(void **state) {
    (void)state;
    eg_scores s;
    eg_error err = {0};
    json_t *m = NULL;
    fill(&s);
    assert_int_equal(eg_study_metrics_json(&m, &s, CLASSES, NAN, &err), EG_OK);
    assert_float_equal(number(m, "accuracy"), 4.0 / 6, 1e-12);
    assert_float_equal(number(m, "sensitivity"), 2.0 / 3, 1e-12);
    assert_float_equal(number(m, "specificity"), 2.0 / 3, 1e-12);
    /* of nine pairs one is the wrong way round (0.6 of a negative above 0.45 of a positive) */
    assert_float_equal(number(m, "auc"), 8.0 / 9, 1e-12);
    double loss = -(log(0.9) + log(0.75) + log(0.4) + log(0.45) + log(0.875) + log(0.9375)) / 6;
    assert_float_equal(number(m, "loss"), loss, 1e-12);
    const json_t *row = json_array_get(json_object_get(m, "confusion"), 0);
    assert_int_equal(json_integer_value(json_array_get(row, 0)), 2);
    assert_int_equal(json_integer_value(json_array_get(row, 1)), 1);
    assert_int_equal(json_array_size(json_object_get(m, "classes")), 2);
    json_decref(m);
    /* 5 of 6 is the best: between 0.25 and 0.45, or between 0.6 and 0.875 */
    double t = eg_study_scores_threshold(&s);
    assert_true((t > 0.25 && t <= 0.45) || (t > 0.6 && t <= 0.875));
    assert_int_equal(eg_study_metrics_json(&m, &s, CLASSES, t, &err), EG_OK);
    assert_float_equal(number(m, "accuracy"), 5.0 / 6, 1e-12);
    json_decref(m);
}

static void roc_is_thinned(void **state) {
    (void)state;
    enum { N = 1000 };
    static char *files[N];
    static int32_t labels[N];
    static double prob[2 * N];
    for (int i = 0; i < N; i++) {
        files[i] = TEXT("x");
        labels[i] = (i * 7919) % 3 == 0;
        prob[2 * i + 1] = (i + 0.5) / N;
        prob[2 * i] = 1 - prob[2 * i + 1];
    }
    eg_scores s = {N, 2, files, labels, prob};
    eg_error err = {0};
    json_t *m = NULL;
    assert_int_equal(eg_study_metrics_json(&m, &s, CLASSES, NAN, &err), EG_OK);
    json_t *roc = json_object_get(m, "roc");
    assert_int_equal(json_array_size(roc), 200);
    const json_t *first = json_array_get(roc, 0), *last = json_array_get(roc, 199);
    assert_true(json_number_value(json_array_get(first, 0)) == 0);
    assert_true(json_number_value(json_array_get(last, 0)) == 1);
    assert_true(json_number_value(json_array_get(last, 1)) == 1);
    json_decref(m);
}

/* three classes: figures of two classes only are null */
static void more_classes(void **state) {
    (void)state;
    char *files[] = {TEXT("a"), TEXT("b"), TEXT("c")};
    char *classes[] = {TEXT("A"), TEXT("B"), TEXT("C")};
    int32_t labels[] = {0, 1, 2};
    double prob[] = {0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.6, 0.2, 0.2};
    eg_scores s = {3, 3, files, labels, prob};
    eg_error err = {0};
    json_t *m = NULL;
    assert_int_equal(eg_study_metrics_json(&m, &s, classes, NAN, &err), EG_OK);
    assert_float_equal(number(m, "accuracy"), 2.0 / 3, 1e-12);
    assert_true(json_is_null(json_object_get(m, "sensitivity")));
    assert_true(json_is_null(json_object_get(m, "roc")));
    assert_true(json_is_null(json_object_get(m, "threshold")));
    assert_int_equal(json_array_size(json_object_get(m, "confusion")), 3);
    assert_true(eg_study_scores_threshold(&s) == 0.5);
    json_decref(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_round_trip),  cmocka_unit_test(damaged_csv),
        cmocka_unit_test(metrics_by_hand), cmocka_unit_test(roc_is_thinned),
        cmocka_unit_test(more_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
