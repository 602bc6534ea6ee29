/* Intervals of one proportion and of a mean: SciPy, published examples, exact coverage. */
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

/* Coverage exactly, no simulation: the probability, over all counts, that the interval holds the truth. Wilson is the
 * interval of every accuracy and sensitivity: 93 to 97 % at the sizes and shares that are reported. Clopper-Pearson
 * never falls below 95 %. */
static void test_coverage(void **unused) {
    (void)unused;
    static const int64_t size[] = {100, 234, 390, 624};
    static const double truth[] = {0.6, 0.9, 0.97};
    for (size_t s = 0; s < LENGTH(size); s++) {
        for (size_t t = 0; t < LENGTH(truth); t++) {
            double wilson = 0, exact = 0, before = 0, p = truth[t];
            for (int64_t k = 0; k <= size[s]; k++) {
                double up_to = eg_binomial_cdf(k, size[s], p), mass = up_to - before, ci[2];
                before = up_to;
                if (mass < 1e-9) continue;
                eg_wilson(ci, k, size[s], 0.95);
                wilson += ci[0] <= p && p <= ci[1] ? mass : 0;
                eg_clopper_pearson(ci, k, size[s], 0.95);
                exact += ci[0] <= p && p <= ci[1] ? mass : 0;
            }
            assert_true(wilson >= 0.93 && wilson <= 0.97);
            assert_true(exact >= 0.95 && exact <= 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scipy), cmocka_unit_test(test_newcombe_single),
        cmocka_unit_test(test_mean), cmocka_unit_test(test_senseless),
        cmocka_unit_test(test_coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
