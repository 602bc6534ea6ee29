/* LogME against the evidence by its definition, maximised numerically (make_stats_golden.py), for
 * tall, wide, square and rank-deficient features; its invariances; what it refuses; and that better
 * features get a better value. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_LOGME
#include "data/stats/stats_golden.h"

static void golden(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_logme); i++) {
        double value;
        eg_error err = {0};
        if (eg_logme(&value, golden_logme[i].x, golden_logme[i].label, golden_logme[i].n,
                     golden_logme[i].D, golden_logme[i].n_classes, &err) != EG_OK)
            fail_msg("%s: %s", golden_logme[i].name, err.text);
        print_message("%s: %.9f, expected %.9f\n", golden_logme[i].name, value,
                      golden_logme[i].value);
        assert_close(value, golden_logme[i].value, 1e-6);
    }
}

enum { N = 90, D = 150 };

/* Features of which the first `signal` columns move with the class. */
static void make(float *x, int32_t *y, size_t n, size_t d, size_t signal, uint64_t seed) {
    eg_random r = eg_random_make(seed, 0, 0, 0);
    for (size_t i = 0; i < n; i++) {
        y[i] = (int32_t)(i % 2);
        for (size_t k = 0; k < d; k++) {
            double v = eg_random_normal(&r) + (k < signal ? 1.5 * (double)y[i] : 0);
            x[i * d + k] = (float)v;
        }
    }
}

static double value_of(const float *x, const int32_t *y, size_t n, size_t d) {
    double value;
    eg_error err = {0};
    if (eg_logme(&value, x, y, n, d, 2, &err) != EG_OK) fail_msg("%s", err.text);
    return value;
}

/* both sides of n < D are the same formula: a zero column more changes the path, not the value */
static void wide_and_tall_agree(void **unused) {
    (void)unused;
    static float x[N * N], padded[N * (N + 1)];
    int32_t y[N];
    make(x, y, N, N, 3, 5);
    for (size_t i = 0; i < N; i++) memcpy(padded + i * (N + 1), x + i * N, N * sizeof *x);
    double tall = value_of(x, y, N, N), wide = value_of(padded, y, N, N + 1);
    assert_close(wide, tall, 1e-7);
}

/* the order of samples and of features, and the names of the classes, do not matter */
static void invariances(void **unused) {
    (void)unused;
    static float x[N * D], other[N * D];
    int32_t y[N], swapped[N];
    make(x, y, N, D, 4, 6);
    for (size_t i = 0; i < N; i++) {
        swapped[N - 1 - i] = 1 - y[i];
        for (size_t k = 0; k < D; k++) other[(N - 1 - i) * D + (D - 1 - k)] = x[i * D + k];
    }
    assert_close(value_of(other, swapped, N, D), value_of(x, y, N, D), 1e-8);
}

static void better_features_are_better(void **unused) {
    (void)unused;
    static float none[N * 20], some[N * 20], most[N * 20];
    int32_t y[N];
    make(none, y, N, 20, 0, 7);
    make(some, y, N, 20, 2, 7);
    make(most, y, N, 20, 10, 7);
    double a = value_of(none, y, N, 20), b = value_of(some, y, N, 20), c = value_of(most, y, N, 20);
    assert_true(a < b && b < c);
}

/* all features zero: nothing is explained, and nothing is infinite */
static void empty_features(void **unused) {
    (void)unused;
    static float zero[N * 4];
    static float x[N * 4];
    int32_t y[N];
    make(x, y, N, 4, 2, 8);
    double value = value_of(zero, y, N, 4);
    assert_true(isfinite(value));
    assert_true(value < value_of(x, y, N, 4));
}

/* a class of which no sample is here says nothing: the value is that of the others */
static void class_without_samples(void **unused) {
    (void)unused;
    static float x[N * 4];
    int32_t y[N];
    double with_third;
    make(x, y, N, 4, 2, 9);
    assert_int_equal(eg_logme(&with_third, x, y, N, 4, 3, NULL), EG_OK);
    assert_close(with_third, value_of(x, y, N, 4), 1e-12);
}

static void refusals(void **unused) {
    (void)unused;
    float x[] = {1, 2, 3, 4};
    int32_t y[] = {0, 1}, bad[] = {0, 2};
    double value;
    eg_error err;
    assert_int_equal(eg_logme(&value, x, y, 1, 2, 2, &err), EG_ERR_INPUT);
    assert_int_equal(eg_logme(&value, x, y, 2, 2, 1, &err), EG_ERR_INPUT);
    assert_int_equal(eg_logme(&value, x, bad, 2, 2, 2, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "label 2 of sample 1"));
    x[3] = NAN;
    assert_int_equal(eg_logme(&value, x, y, 2, 2, 2, &err), EG_ERR_INPUT);
    x[3] = 4;
    for (uint64_t k = 1; k <= 3; k++) {
        size_t before = eg_memory_stats_get().bytes_now;
        eg_memory_fail_at(k);
        assert_int_equal(eg_logme(&value, x, y, 2, 2, 2, &err), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),         cmocka_unit_test(wide_and_tall_agree),
        cmocka_unit_test(invariances),    cmocka_unit_test(better_features_are_better),
        cmocka_unit_test(empty_features), cmocka_unit_test(class_without_samples),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
