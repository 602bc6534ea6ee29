/* Bootstrap: near the t interval for a mean, same seed same bits, NaN dropped, refused input,
 * coverage. */
#include "stats_close.h"

#include "stats/stats.h"

enum { N = 100 };

static double mean_of(void *context, const uint32_t *indices, size_t n) {
    const double *x = context;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(indices[i] < n);
        sum += x[indices[i]];
    }
    return sum / (double)n;
}

static void sample(double *x, uint32_t number) {
    eg_random random = eg_random_make(8, number, 0, 0);
    for (int i = 0; i < N; i++) x[i] = 2 + eg_random_normal(&random);
}

static void test_mean(void **unused) {
    (void)unused;
    double x[N], ci[2], again[2], other[2], mean, t[2];
    sample(x, 0);
    eg_mean_interval(&mean, t, x, N, 0.95);
    assert_int_equal(eg_bootstrap(ci, mean_of, x, N, 4000, 1, 0.95, NULL), EG_OK);
    assert_close(ci[0], t[0], 0.01);
    assert_close(ci[1], t[1], 0.01);
    assert_int_equal(eg_bootstrap(again, mean_of, x, N, 4000, 1, 0.95, NULL), EG_OK);
    assert_memory_equal(ci, again, sizeof ci);
    assert_int_equal(eg_bootstrap(other, mean_of, x, N, 4000, 2, 0.95, NULL), EG_OK);
    assert_memory_not_equal(ci, other, sizeof ci);
    /* one resample: both limits are that resample's value; one case: the case itself */
    assert_int_equal(eg_bootstrap(ci, mean_of, x, N, 1, 1, 0.95, NULL), EG_OK);
    assert_true(ci[0] == ci[1]);
    assert_int_equal(eg_bootstrap(ci, mean_of, x, 1, 50, 1, 0.95, NULL), EG_OK);
    assert_true(ci[0] == x[0] && ci[1] == x[0]);
}

/* 0, 1, 2, ... in turn, every second NaN: the limits are quantiles of what is left. */
static double counting(void *context, const uint32_t *indices, size_t n) {
    (void)indices;
    (void)n;
    int *calls = context;
    int k = (*calls)++;
    return k % 2 ? NAN : k / 2;
}

static double always_nan(void *context, const uint32_t *indices, size_t n) {
    (void)context;
    (void)indices;
    (void)n;
    return NAN;
}

static void test_quantiles(void **unused) {
    (void)unused;
    int calls = 0;
    double ci[2];
    assert_int_equal(eg_bootstrap(ci, counting, &calls, 5, 202, 1, 0.95, NULL), EG_OK);
    assert_int_equal(calls, 202);
    assert_close(ci[0], 2.5, 1e-12); /* 0..100 */
    assert_close(ci[1], 97.5, 1e-12);
    assert_int_equal(eg_bootstrap(ci, always_nan, NULL, 5, 20, 1, 0.95, NULL), EG_OK);
    assert_true(isnan(ci[0]) && isnan(ci[1]));
}

static void test_refused(void **unused) {
    (void)unused;
    double x[N] = {0}, ci[2] = {7, 7};
    eg_error err;
    assert_int_equal(eg_bootstrap(ci, mean_of, x, 0, 10, 1, 0.95, &err), EG_ERR_INPUT);
    assert_int_equal(eg_bootstrap(ci, mean_of, x, N, 0, 1, 0.95, &err), EG_ERR_INPUT);
    assert_int_equal(eg_bootstrap(ci, mean_of, x, N, 10, 1, 1, &err), EG_ERR_INPUT);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 3; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_bootstrap(ci, mean_of, x, N, 10, 1, 0.95, &err), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    assert_true(ci[0] == 7 && ci[1] == 7);
}

static void test_coverage(void **unused) {
    (void)unused;
    int inside = 0;
    for (uint32_t r = 0; r < 400; r++) {
        double x[N], ci[2];
        sample(x, r);
        assert_int_equal(eg_bootstrap(ci, mean_of, x, N, 400, r, 0.95, NULL), EG_OK);
        inside += ci[0] <= 2 && 2 <= ci[1];
    }
    assert_in_range(inside, 0.91 * 400, 0.98 * 400); /* a percentile interval is a little short */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean), cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
