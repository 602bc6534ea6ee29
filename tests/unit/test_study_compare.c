/* Task D on counts worked out by hand, and the refusal of runs on different images. */
#include "study/run.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { N = 40 };
static char *files[N];
static int32_t labels[N];
static double prob_a[2 * N], prob_b[2 * N];

static void set(double *prob, int i, bool right) {
    double p = labels[i] == right ? 0.75 : 0.25; /* right: the label's side */
    prob[2 * i + 1] = p + 0.001 * i / N;
    prob[2 * i] = 1 - prob[2 * i + 1];
}

/* a errs on 1 of 40, b on the first 11: 10 cases that only a has right, none that only b has */
static int setup(void **state) {
    (void)state;
    for (int i = 0; i < N; i++) {
        files[i] = (char *)"f";
        labels[i] = i % 2;
        set(prob_a, i, i != 0);
        set(prob_b, i, i > 10);
    }
    return 0;
}

static void exact_figures(void **state) {
    (void)state;
    eg_finished_run runs[2] = {{.name = "a", .test = {N, 2, files, labels, prob_a}},
                               {.name = "b", .test = {N, 2, files, labels, prob_b}}};
    json_t *list = NULL;
    eg_error err = {0};
    assert_int_equal(eg_study_compare(&list, runs, 2, &err), EG_OK);
    assert_int_equal(json_array_size(list), 1);
    const json_t *c = json_array_get(list, 0);
    assert_int_equal(json_integer_value(json_object_get(c, "only_a")), 10);
    assert_int_equal(json_integer_value(json_object_get(c, "only_b")), 0);
    assert_float_equal(eg_study_number(c, "difference"), 0.25, 1e-12);
    assert_float_equal(eg_study_number(c, "p"), 2 * pow(0.5, 10), 1e-12); /* two-sided binomial */
    assert_float_equal(eg_study_number(c, "p_holm"), eg_study_number(c, "p"), 1e-15);
    assert_string_equal(json_string_value(json_object_get(c, "verdict")), "distinguishable");
    assert_string_equal(json_string_value(json_object_get(c, "split")), "test");
    json_decref(list);
}

static void equal_runs(void **state) {
    (void)state;
    /* no test split: validation is compared, and said so */
    eg_finished_run runs[3] = {{.name = "a", .val = {N, 2, files, labels, prob_a}},
                               {.name = "b", .val = {N, 2, files, labels, prob_a}},
                               {.name = "c", .val = {N, 2, files, labels, prob_b}}};
    json_t *list = NULL;
    eg_error err = {0};
    assert_int_equal(eg_study_compare(&list, runs, 3, &err), EG_OK);
    assert_int_equal(json_array_size(list), 3);
    const json_t *same = json_array_get(list, 0), *other = json_array_get(list, 1);
    assert_float_equal(eg_study_number(same, "p"), 1, 0);
    assert_string_equal(json_string_value(json_object_get(same, "verdict")), "not distinguishable");
    assert_string_equal(json_string_value(json_object_get(same, "split")), "val");
    /* Holm over three: the two small p-values count threefold */
    assert_float_equal(eg_study_number(other, "p_holm"), 3 * eg_study_number(other, "p"), 1e-12);
    json_decref(list);
}

static void different_images(void **state) {
    (void)state;
    char *others[N];
    for (int i = 0; i < N; i++) others[i] = (char *)(i == 7 ? "g" : "f");
    eg_finished_run runs[2] = {{.name = "a", .test = {N, 2, files, labels, prob_a}},
                               {.name = "b", .test = {N, 2, others, labels, prob_b}}};
    json_t *list = NULL;
    eg_error err = {0};
    assert_int_equal(eg_study_compare(&list, runs, 2, &err), EG_ERR_MISMATCH);
    assert_null(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_figures),
        cmocka_unit_test(equal_runs),
        cmocka_unit_test(different_images),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
