/* Linear CKA against its definition with centring matrices, by cases and by features; what it does not see; edges. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_CAUSES
#include "data/stats/stats_golden.h"

static void test_golden(void **unused) {
    (void)unused;
    double v;
    assert_int_equal(eg_cka_linear(&v, golden_cka_cases_x, 20, golden_cka_cases_y, 15, 12, NULL),
                     EG_OK);
    assert_close(v, golden_cka_cases[0], 1e-12);
    assert_int_equal(
        eg_cka_linear(&v, golden_cka_features_x, 6, golden_cka_features_y, 9, 40, NULL), EG_OK);
    assert_close(v, golden_cka_features[0], 1e-12);
}

/* Scaling, shifting and turning the features change nothing; features that say nothing of each other come near 0. */
static void test_invariance(void **unused) {
    (void)unused;
    enum { N = 400 };
    static float x[2 * N], y[2 * N], noise[2 * N];
    double same, apart;
    for (int i = 0; i < N; i++) {
        eg_random random = eg_random_make(2, (uint32_t)i, 0, 0);
        for (int k = 0; k < 2; k++) {
            x[2 * i + k] = (float)eg_random_normal(&random);
            noise[2 * i + k] = (float)eg_random_normal(&random);
        }
        y[2 * i] = 5 + 3 * (0.6f * x[2 * i] - 0.8f * x[2 * i + 1]);
        y[2 * i + 1] = -7 + 3 * (0.8f * x[2 * i] + 0.6f * x[2 * i + 1]);
    }
    assert_int_equal(eg_cka_linear(&same, x, 2, y, 2, N, NULL), EG_OK);
    assert_int_equal(eg_cka_linear(&apart, x, 2, noise, 2, N, NULL), EG_OK);
    assert_close(same, 1, 1e-6);
    assert_true(apart < 0.03);
}

static void test_refused(void **unused) {
    (void)unused;
    const float x[4] = {1, 2, 3, 4}, constant[4] = {2, 2, 2, 2};
    double v = 7;
    eg_error err;
    assert_int_equal(eg_cka_linear(&v, x, 1, x, 1, 1, &err), EG_ERR_INPUT);
    for (uint64_t k = 1; k <= 3; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_cka_linear(&v, x, 1, x, 1, 4, &err), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
    }
    assert_true(v == 7);
    assert_int_equal(eg_cka_linear(&v, x, 1, constant, 1, 4, &err), EG_OK);
    assert_true(isnan(v));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),
                                       cmocka_unit_test(test_invariance),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
