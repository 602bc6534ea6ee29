/* Distribution functions against SciPy, their identities, and their answers to arguments that
 * make no sense. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_DISTRIBUTION
#include "data/stats/stats_golden.h"

static void test_normal(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_normal_cdf); i += 2)
        assert_close_relative(eg_normal_cdf(golden_normal_cdf[i]), golden_normal_cdf[i + 1], 1e-12);
    for (size_t i = 0; i < LENGTH(golden_normal_quantile); i += 2)
        assert_close(eg_normal_quantile(golden_normal_quantile[i]), golden_normal_quantile[i + 1],
                     1e-13);
    for (double p = 0.001; p < 1; p += 0.001)
        assert_close(eg_normal_cdf(eg_normal_quantile(p)), p, 1e-14);
}

static void test_chi2(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_chi2_cdf); i += 3) {
        const double *g = golden_chi2_cdf + i;
        assert_close_relative(eg_chi2_cdf(g[0], g[1]), g[2], 1e-11);
    }
    /* one degree of freedom is a squared normal */
    for (double z = 0.1; z < 6; z += 0.1)
        assert_close(eg_chi2_cdf(z * z, 1), 1 - 2 * eg_normal_cdf(-z), 1e-14);
}

static void test_t(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_t_quantile); i += 3) {
        const double *g = golden_t_quantile + i;
        assert_close_relative(eg_t_quantile(g[0], g[1]), g[2], 1e-10);
    }
    assert_close(eg_t_quantile(0.5, 3), 0, 0);
    assert_close(eg_t_quantile(0.975, 1e12), eg_normal_quantile(0.975), 1e-12);
}

static void test_binomial(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_binomial_cdf); i += 4) {
        const double *g = golden_binomial_cdf + i;
        assert_close_relative(eg_binomial_cdf((int64_t)g[0], (int64_t)g[1], g[2]), g[3], 1e-10);
    }
    /* against the sum of the terms themselves */
    double term = pow(0.7, 20), sum = 0;
    for (int k = 0; k <= 20; k++) {
        sum += term;
        assert_close(eg_binomial_cdf(k, 20, 0.3), sum, 1e-13);
        term *= (20.0 - k) / (k + 1) * 0.3 / 0.7;
    }
}

static void test_senseless(void **unused) {
    (void)unused;
    assert_true(isnan(eg_normal_quantile(-0.1)) && isnan(eg_normal_quantile(NAN)));
    assert_true(eg_normal_quantile(0) == -INFINITY && eg_normal_quantile(1) == INFINITY);
    assert_true(isnan(eg_chi2_cdf(1, 0)) && isnan(eg_chi2_cdf(NAN, 1)));
    assert_true(eg_chi2_cdf(-1, 2) == 0 && eg_chi2_cdf(INFINITY, 2) == 1);
    assert_true(isnan(eg_t_quantile(0.3, 0)) && isnan(eg_t_quantile(1.1, 3)));
    assert_true(eg_t_quantile(0, 3) == -INFINITY && eg_t_quantile(1, 3) == INFINITY);
    assert_true(isnan(eg_binomial_cdf(1, -1, 0.5)) && isnan(eg_binomial_cdf(1, 2, 1.5)));
    assert_true(eg_binomial_cdf(-1, 4, 0.5) == 0 && eg_binomial_cdf(4, 4, 0.5) == 1);
    assert_true(eg_binomial_cdf(2, 4, 0) == 1 && eg_binomial_cdf(2, 4, 1) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_normal), cmocka_unit_test(test_chi2),
                                       cmocka_unit_test(test_t), cmocka_unit_test(test_binomial),
                                       cmocka_unit_test(test_senseless)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
