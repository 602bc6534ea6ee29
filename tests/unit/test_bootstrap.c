/* Bootstrap: near the t interval for a mean, same seed same bits, NaN dropped, refused input,
 * coverage. */
#include "stats_close.h"

#include "stats/order.h"
#include "stats/resample.h"

#define GOLDEN_RESAMPLE
#include "data/stats/stats_golden.h"

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
    assert_int_equal(calls,
                     203); /* the sample itself, then 1, 2, ... of which the odd ones are NaN */
    assert_close(ci[0], 1 + 0.025 * 100, 1e-12); /* 1..101 */
    assert_close(ci[1], 1 + 0.975 * 100, 1e-12);
    assert_int_equal(eg_bootstrap(ci, always_nan, NULL, 5, 20, 1, 0.95, NULL), EG_OK);
    assert_true(isnan(ci[0]) && isnan(ci[1]));
}

/* BCa limits as SciPy computes them from given values and leave-one-out means. */
static void test_bca(void **unused) {
    (void)unused;
    enum { M = LENGTH(golden_bca_values) };
    uint32_t order[2 * M];
    double ci[2];
    eg_stats_order(order, order + M, golden_bca_values, M);
    eg_stats_bca(ci, golden_bca_values, order, M, golden_bca[0], golden_bca[1], 0.95);
    assert_close(ci[0], golden_bca[2], 1e-9);
    assert_close(ci[1], golden_bca[3], 1e-9);
    /* without bias and acceleration they are the percentile limits */
    double even[101];
    for (int i = 0; i <= 100; i++) even[i] = i;
    eg_stats_order(order, order + M, even, 101);
    eg_stats_bca(ci, even, order, 101, 50, 0, 0.9);
    assert_close(ci[0], 5, 1e-9);
    assert_close(ci[1], 95, 1e-9);
}

static void mean_value(void *context, double *value, const uint32_t *indices, size_t n) {
    const double *x = context;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[indices[i]];
    value[0] = sum / (double)n;
    value[1] = (double)n;
    value[2] = -value[0];
}

/* All values of one call, and the acceleration of the jackknife inside: same limits as from the outside. */
static void test_resample(void **unused) {
    (void)unused;
    enum { M = LENGTH(golden_bca_x), R = 500 };
    eg_resampled plain[3], bca[3];
    eg_resample_options o = {.n_resamples = R, .seed = 3};
    assert_int_equal(
        eg_resample(plain, 3, mean_value, (void *)(uintptr_t)golden_bca_x, M, &o, NULL), EG_OK);
    o.bca = true;
    assert_int_equal(eg_resample(bca, 3, mean_value, (void *)(uintptr_t)golden_bca_x, M, &o, NULL),
                     EG_OK);
    assert_close(plain[0].estimate, golden_bca[0], 1e-14);
    assert_true(plain[0].kept == R && plain[1].estimate == M && plain[1].ci[0] == M);
    assert_close(plain[0].p, 2.0 / (R + 1), 1e-15); /* all means are above 0 */
    assert_close(plain[2].p, 2.0 / (R + 1), 1e-15);
    assert_close(plain[2].ci[0], -plain[0].ci[1], 1e-14);
    double spread = 0;
    for (int i = 0; i < M; i++) spread += pow(golden_bca_x[i] - golden_bca[0], 2) / (M * M);
    assert_close(plain[0].standard_error / sqrt(spread), 1, 0.1);
    /* gamma data lean to the right: BCa moves both limits up */
    assert_true(bca[0].ci[0] > plain[0].ci[0] && bca[0].ci[1] > plain[0].ci[1]);
    assert_close(bca[2].ci[1], -bca[0].ci[0], 1e-12);
}

typedef struct {
    const int32_t *stratum, *cluster;
    int in_stratum[3]; /* as in the sample */
} drawn_rules;

/* Every resample keeps the strata's sizes, and a cluster comes whole, as often as it was drawn. */
static void check_draw(void *context, double *value, const uint32_t *indices, size_t n) {
    const drawn_rules *rules = context;
    int in_stratum[3] = {0}, times[12] = {0};
    for (size_t i = 0; i < n; i++) {
        in_stratum[rules->stratum[indices[i]]]++;
        times[indices[i]]++;
    }
    for (int s = 0; s < 3 && !rules->cluster; s++)
        assert_int_equal(in_stratum[s], rules->in_stratum[s]);
    for (int i = 0; i < 12 && rules->cluster; i++)
        for (int k = 0; k < 12; k++)
            if (rules->cluster[i] == rules->cluster[k]) assert_int_equal(times[i], times[k]);
    if (rules->cluster) /* clusters of stratum 0 hold 2 cases each, those of 1 and 2 one or three */
        assert_int_equal(in_stratum[0], rules->in_stratum[0]);
    *value = (double)n;
}

static void test_strata_and_clusters(void **unused) {
    (void)unused;
    const int32_t stratum[12] = {0, 1, 0, 1, 2, 0, 1, 2, 0, 1, 1, 2};
    const int32_t cluster[12] = {7, 3, 7, 4, -5, 9, 4, 6, 9, 4, 8, 6};
    drawn_rules rules = {stratum, NULL, {4, 5, 3}};
    eg_resampled out;
    eg_resample_options o = {.stratum = stratum, .n_resamples = 300, .seed = 1};
    assert_int_equal(eg_resample(&out, 1, check_draw, &rules, 12, &o, NULL), EG_OK);
    assert_true(out.ci[0] == 12 && out.ci[1] == 12);
    rules.cluster = o.cluster = cluster;
    assert_int_equal(eg_resample(&out, 1, check_draw, &rules, 12, &o, NULL), EG_OK);
    assert_true(out.ci[0] < 12 && out.ci[1] > 12); /* numbers of cases vary */
}

static void test_refused(void **unused) {
    (void)unused;
    double x[N] = {0}, ci[2] = {7, 7};
    eg_error err;
    assert_int_equal(eg_bootstrap(ci, mean_of, x, 0, 10, 1, 0.95, &err), EG_ERR_INPUT);
    assert_int_equal(eg_bootstrap(ci, mean_of, x, N, 0, 1, 0.95, &err), EG_ERR_INPUT);
    assert_int_equal(eg_bootstrap(ci, mean_of, x, N, 10, 1, 1, &err), EG_ERR_INPUT);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 12; k++) {
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mean),
                                       cmocka_unit_test(test_quantiles),
                                       cmocka_unit_test(test_bca),
                                       cmocka_unit_test(test_resample),
                                       cmocka_unit_test(test_strata_and_clusters),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
