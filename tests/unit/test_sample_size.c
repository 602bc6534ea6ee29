/* Sample sizes: Connor's formula by SciPy, the power it promises by simulation, the scaled form, senseless input. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_SIZES
#include "data/stats/stats_golden.h"

static void test_golden(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_sizes); i += 4) {
        const double *g = golden_sizes + i;
        assert_true(eg_sample_size_paired(g[0], g[1], 0.95, g[2]) == g[3]);
        assert_true(eg_sample_size_paired(g[0], -g[1], 0.95, g[2]) == g[3]);
    }
}

/* McNemar's exact test on that many pairs finds the difference in about 80 % of the samples (a little less: it is
 * exact, the formula is normal). */
static void test_power(void **unused) {
    (void)unused;
    enum { REPLICATES = 600, MOST = 2000 };
    static uint8_t a[MOST], b[MOST];
    int n = (int)eg_sample_size_paired(0.1, 0.03, 0.95, 0.8), found = 0;
    assert_in_range(n, 500, MOST);
    for (uint32_t r = 0; r < REPLICATES; r++) {
        eg_random random = eg_random_make(71, r, 0, 0);
        for (int i = 0; i < n; i++) {
            double u = eg_random_uniform(&random); /* only a .065, only b .035, both .9 */
            a[i] = u >= 0.035;
            b[i] = u < 0.935;
        }
        eg_paired p;
        eg_mcnemar(&p, a, b, (size_t)n, 0.95);
        found += p.p < 0.05;
    }
    assert_in_range(found, 0.72 * REPLICATES, 0.85 * REPLICATES);
}

static void test_scaled(void **unused) {
    (void)unused;
    double n = eg_sample_size_scaled(0.02, 0.01, 624, 0.95, 0.8);
    /* at that n the standard error is 0.01 sqrt(624 / n), and the power is 80 % */
    assert_close(eg_power_scaled(0.02, 0.01 * sqrt(624 / n), 0.95), 0.8, 2e-3);
    assert_close(eg_power_scaled(0, 0.01, 0.95), 0.05, 1e-12);
    assert_true(isnan(eg_sample_size_scaled(0, 0.01, 624, 0.95, 0.8)));
    assert_true(isnan(eg_sample_size_scaled(0.02, 0, 624, 0.95, 0.8)));
    assert_true(
        isnan(eg_sample_size_paired(0.02, 0.03, 0.95, 0.8))); /* differ by more than differ */
    assert_true(isnan(eg_sample_size_paired(0.02, 0, 0.95, 0.8)));
    assert_true(isnan(eg_sample_size_paired(0.02, 0.01, 0.95, 1)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_power),
                                       cmocka_unit_test(test_scaled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
