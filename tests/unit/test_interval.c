/* Intervals of one proportion and of a mean: SciPy, published examples, coverage by simulation. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_INTERVAL
#include "data/stats/stats_golden.h"

static void test_scipy(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_proportion); i += 7) {
        const double *g = golden_proportion + i;
        double ci[2];
        eg_wilson(ci, (int64_t)g[0], (int64_t)g[1], g[2]);
        assert_close(ci[0], g[3], 1e-12);
        assert_close(ci[1], g[4], 1e-12);
        eg_clopper_pearson(ci, (int64_t)g[0], (int64_t)g[1], g[2]);
        assert_close(ci[0], g[5], 1e-9);
        assert_close(ci[1], g[6], 1e-9);
    }
}

/* Newcombe (1998), Statistics in Medicine 17:857-872, table I: methods 3 (Wilson) and 5
 * (Clopper-Pearson). */
static void test_newcombe_single(void **unused) {
    (void)unused;
    static const double rows[][6] = {{81, 263, .2553, .3662, .2527, .3676},
                                     {15, 148, .0624, .1605, .0578, .1617},
                                     {0, 20, .0000, .1611, .0000, .1684},
                                     {1, 29, .0061, .1718, .0009, .1776}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        double ci[2];
        eg_wilson(ci, (int64_t)rows[i][0], (int64_t)rows[i][1], 0.95);
        assert_close(ci[0], rows[i][2], 5.001e-5);
        assert_close(ci[1], rows[i][3], 5.001e-5);
        eg_clopper_pearson(ci, (int64_t)rows[i][0], (int64_t)rows[i][1], 0.95);
        assert_close(ci[0], rows[i][4], 5.001e-5);
        assert_close(ci[1], rows[i][5], 5.001e-5);
    }
}

static void test_mean(void **unused) {
    (void)unused;
    double mean, ci[2];
    eg_mean_interval(&mean, ci, golden_mean_x, LENGTH(golden_mean_x), 0.95);
    assert_close(mean, golden_mean[0], 1e-13);
    assert_close(ci[0], golden_mean[1], 1e-11);
    assert_close(ci[1], golden_mean[2], 1e-11);
    eg_mean_interval(&mean, ci, golden_mean_x, 1, 0.95);
    assert_true(mean == golden_mean_x[0] && isnan(ci[0]) && isnan(ci[1]));
    eg_mean_interval(&mean, ci, golden_mean_x, 0, 0.95);
    assert_true(isnan(mean) && isnan(ci[0]));
}

static void test_senseless(void **unused) {
    (void)unused;
    static const int64_t bad[][2] = {{0, 0}, {-1, 5}, {6, 5}, {0, -3}};
    double ci[2];
    for (size_t i = 0; i < LENGTH(bad); i++) {
        eg_wilson(ci, bad[i][0], bad[i][1], 0.95);
        assert_true(isnan(ci[0]) && isnan(ci[1]));
        eg_clopper_pearson(ci, bad[i][0], bad[i][1], 0.95);
        assert_true(isnan(ci[0]) && isnan(ci[1]));
    }
    eg_wilson(ci, 1, 2, 1);
    assert_true(isnan(ci[0]));
}

/* 95 % intervals of proportions must hold the truth in about 95 % of samples of 100; Clopper-
 * Pearson in more. */
static void test_coverage(void **unused) {
    (void)unused;
    static const double truth[] = {0.5, 0.8, 0.93};
    enum { REPLICATES = 1000 };
    for (size_t t = 0; t < LENGTH(truth); t++) {
        int wilson = 0, exact = 0;
        for (uint32_t r = 0; r < REPLICATES; r++) {
            eg_random random = eg_random_make(5, r, (uint32_t)t, 0);
            int64_t k = 0;
            double ci[2];
            for (int i = 0; i < 100; i++) k += eg_random_uniform(&random) < truth[t];
            eg_wilson(ci, k, 100, 0.95);
            wilson += ci[0] <= truth[t] && truth[t] <= ci[1];
            eg_clopper_pearson(ci, k, 100, 0.95);
            exact += ci[0] <= truth[t] && truth[t] <= ci[1];
        }
        assert_in_range(wilson, 0.92 * REPLICATES, 0.98 * REPLICATES);
        assert_in_range(exact, 0.935 * REPLICATES, REPLICATES);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scipy), cmocka_unit_test(test_newcombe_single),
        cmocka_unit_test(test_mean), cmocka_unit_test(test_senseless),
        cmocka_unit_test(test_coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
