/* Differences of proportions: Tango's interval by search, Newcombe's printed table, McNemar and Holm by SciPy,
 * coverage. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_PAIRED
#define GOLDEN_TANGO
#include "data/stats/stats_golden.h"

enum { MAX_CASES = 700 };

/* e both right, f only a, g only b, h none. */
static eg_paired from_table(int e, int f, int g, int h) {
    uint8_t a[MAX_CASES], b[MAX_CASES];
    int n = e + f + g + h;
    assert_true(n <= MAX_CASES);
    for (int i = 0; i < n; i++) {
        a[i] = i < e + f;
        b[i] = i < e || (i >= e + f && i < e + f + g);
    }
    eg_paired out;
    eg_mcnemar(&out, a, b, (size_t)n, 0.95);
    return out;
}

/* Tango's interval against the restricted likelihood maximised numerically (to 1e-7: that is a search). */
static void test_tango(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_tango); i += 5) {
        const double *g = golden_tango + i;
        int f = (int)g[0], c = (int)g[1], n = (int)g[2];
        if (n > MAX_CASES) continue;
        eg_paired r = from_table(n - f - c, f, c, 0), back = from_table(0, c, f, n - f - c);
        assert_close(r.ci[0], g[3], 1e-7);
        assert_close(r.ci[1], g[4], 1e-7);
        assert_int_equal(r.only_a, f);
        assert_int_equal(r.only_b, c);
        assert_close(r.difference, (double)(f - c) / n, 1e-15);
        /* turned round, and with the pairs that agree wrong instead of right */
        assert_close(back.ci[0], -r.ci[1], 1e-13);
        assert_close(back.p, r.p, 0);
    }
    /* no pair disagrees: z^2 / (n + z^2); all pairs: up to 1 */
    eg_paired none = from_table(20, 0, 0, 5), all = from_table(0, 30, 0, 0);
    double z = eg_normal_quantile(0.975);
    assert_close(none.ci[1], z * z / (25 + z * z), 1e-12);
    assert_close(none.ci[0], -none.ci[1], 1e-12);
    assert_true(all.difference == 1 && all.ci[1] == 1);
    assert_close(all.ci[0], (30 - z * z) / (30 + z * z), 1e-9);
}

/* Newcombe (1998), Statistics in Medicine 17:873-890, table II, method 10. */
static void test_newcombe_independent(void **unused) {
    (void)unused;
    static const struct {
        int k1, n1, k2, n2;
        double low, high;
    } rows[] = {
        {56, 70, 48, 80, .0524, .3339}, {9, 10, 3, 10, .1705, .8090},
        {6, 7, 2, 7, .0582, .8062},     {5, 56, 0, 29, -.0381, .1926},
        {0, 10, 0, 20, -.1611, .2775},  {0, 10, 0, 10, -.2775, .2775},
        {10, 10, 0, 20, .6791, 1},      {10, 10, 0, 10, .6075, 1},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        double d, ci[2];
        eg_difference_independent(&d, ci, rows[i].k1, rows[i].n1, rows[i].k2, rows[i].n2, 0.95);
        assert_close(d, (double)rows[i].k1 / rows[i].n1 - (double)rows[i].k2 / rows[i].n2, 1e-15);
        assert_close(ci[0], rows[i].low, 5.001e-5);
        assert_close(ci[1], rows[i].high, 5.001e-5);
    }
    double d, ci[2];
    eg_difference_independent(&d, ci, 0, 0, 3, 10, 0.95);
    assert_true(isnan(d) && isnan(ci[0]) && isnan(ci[1]));
}

static void test_mcnemar(void **unused) {
    (void)unused;
    for (size_t i = 0; i < LENGTH(golden_mcnemar); i += 3) {
        const double *g = golden_mcnemar + i;
        eg_paired r = from_table(30, (int)g[0], (int)g[1], 4);
        assert_close_relative(r.p, g[2], 1e-11);
    }
    eg_paired none = from_table(0, 0, 0, 0);
    assert_true(none.n == 0 && isnan(none.difference) && isnan(none.ci[0]) && isnan(none.p));
}

static void test_holm(void **unused) {
    (void)unused;
    double p[LENGTH(golden_holm_p)];
    memcpy(p, golden_holm_p, sizeof p);
    eg_holm(p, LENGTH(p));
    for (size_t i = 0; i < LENGTH(p); i++) assert_close_relative(p[i], golden_holm[i], 1e-14);
    double with_nan[4] = {0.02, NAN, 0.01, 0.0};
    eg_holm(with_nan, 4);
    assert_close(with_nan[0], 0.02, 1e-15);
    assert_true(isnan(with_nan[1]));
    assert_close(with_nan[2], 0.02, 1e-15);
    assert_true(with_nan[3] == 0 && !signbit(with_nan[3]));
    eg_holm(p, 0);
}

/* 100 cases on which two correlated classifiers are right in 85 % and 78 %; and two samples of
 * 100. */
static void test_coverage(void **unused) {
    (void)unused;
    enum { REPLICATES = 1000, N = 100 };
    int paired = 0, independent = 0, rejected = 0;
    for (uint32_t r = 0; r < REPLICATES; r++) {
        eg_random random = eg_random_make(31, r, 0, 0);
        uint8_t a[N], b[N], same[N];
        int64_t k1 = 0, k2 = 0;
        for (int i = 0; i < N; i++) {
            double u = eg_random_uniform(&random); /* both .72, a .13, b .06, none .09 */
            a[i] = u < 0.85;
            b[i] = u < 0.72 || (u >= 0.85 && u < 0.91);
            same[i] = u < 0.72 || (u >= 0.85 && u < 0.98); /* 85 % too */
            k1 += eg_random_uniform(&random) < 0.9;
            k2 += eg_random_uniform(&random) < 0.8;
        }
        eg_paired p;
        double d, ci[2];
        eg_mcnemar(&p, a, b, N, 0.95);
        paired += p.ci[0] <= 0.07 && 0.07 <= p.ci[1];
        eg_mcnemar(&p, a, same, N, 0.95);
        rejected += p.p < 0.05;
        eg_difference_independent(&d, ci, k1, N, k2, N, 0.95);
        independent += ci[0] <= 0.1 && 0.1 <= ci[1];
    }
    assert_in_range(paired, 0.92 * REPLICATES, 0.98 * REPLICATES);
    assert_in_range(independent, 0.92 * REPLICATES, 0.98 * REPLICATES);
    assert_in_range(rejected, 1, 0.06 * REPLICATES); /* exact: at most 5 %, usually less */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tango),
                                       cmocka_unit_test(test_newcombe_independent),
                                       cmocka_unit_test(test_mcnemar), cmocka_unit_test(test_holm),
                                       cmocka_unit_test(test_coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
