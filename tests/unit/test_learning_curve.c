/* Learning curve: SciPy's curve_fit, exact recovery of a planted curve, edges of the range, coverage of a forecast. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_CAUSES
#include "data/stats/stats_golden.h"

enum { M = LENGTH(golden_curve_size) };

static void test_scipy(void **unused) {
    (void)unused;
    eg_power_law law;
    assert_int_equal(
        eg_power_law_fit(&law, golden_curve_size, golden_curve_error, golden_curve_sigma, M, NULL),
        EG_OK);
    assert_close(law.a, golden_curve[0], 1e-6); /* both search: no closed form */
    assert_close(law.b, golden_curve[1], 1e-5);
    assert_close(law.c, golden_curve[2], 1e-6);
    assert_close(eg_power_law_at(&law, 6400), golden_curve[3], 1e-7);
}

static void test_recovers(void **unused) {
    (void)unused;
    const double size[4] = {50, 100, 400, 1000};
    double error[4];
    eg_power_law law;
    for (int i = 0; i < 4; i++) error[i] = 0.08 + 3 * pow(size[i], -0.5);
    assert_int_equal(eg_power_law_fit(&law, size, error, NULL, 4, NULL), EG_OK);
    assert_close(law.a, 0.08, 1e-6);
    assert_close(law.b, 3, 1e-4);
    assert_close(law.c, 0.5, 1e-5);
    /* flat, and rising: b stays 0, the best constant is taken */
    const double flat[4] = {0.2, 0.2, 0.2, 0.2}, rising[4] = {0.1, 0.2, 0.3, 0.4};
    assert_int_equal(eg_power_law_fit(&law, size, flat, NULL, 4, NULL), EG_OK);
    assert_close(eg_power_law_at(&law, 1e6), 0.2, 1e-6);
    assert_int_equal(eg_power_law_fit(&law, size, rising, NULL, 4, NULL), EG_OK);
    assert_true(law.b == 0);
    assert_close(law.a, 0.25, 1e-12);
    /* falling as a pure power: a is 0, not below */
    for (int i = 0; i < 4; i++) error[i] = pow(size[i], -0.3) - 0.05;
    assert_int_equal(eg_power_law_fit(&law, size, error, NULL, 4, NULL), EG_OK);
    assert_true(law.a == 0);
}

/* The interval of the error at twice the largest size holds the truth in about 95 %. */
static void test_forecast(void **unused) {
    (void)unused;
    enum { REPLICATES = 120 };
    const double size[6] = {100, 200, 400, 800, 1600, 3200};
    int inside = 0;
    double truth = 0.05 + 2 * pow(6400, -0.6);
    for (uint32_t r = 0; r < REPLICATES; r++) {
        eg_random random = eg_random_make(41, r, 0, 0);
        double error[6], sigma[6];
        for (int i = 0; i < 6; i++) {
            sigma[i] = 0.006;
            error[i] = 0.05 + 2 * pow(size[i], -0.6) + sigma[i] * eg_random_normal(&random);
        }
        eg_resampled out;
        eg_resample_options o = {.n_resamples = 150, .seed = r};
        assert_int_equal(eg_power_law_predict(&out, size, error, sigma, 6, 6400, &o, NULL), EG_OK);
        inside += out.ci[0] <= truth && truth <= out.ci[1];
    }
    assert_in_range(inside, 0.88 * REPLICATES, REPLICATES);
}

static void test_refused(void **unused) {
    (void)unused;
    const double size[4] = {50, 100, 400, 1000}, same[3] = {5, 5, 5}, error[4] = {.3, .2, .15, .1};
    const double zero[4] = {0.1, 0, 0.1, 0.1};
    eg_power_law law;
    eg_resampled out;
    eg_error err;
    eg_resample_options o = {.n_resamples = 10};
    assert_int_equal(eg_power_law_fit(&law, size, error, NULL, 2, &err), EG_ERR_INPUT);
    assert_int_equal(eg_power_law_fit(&law, same, error, NULL, 3, &err), EG_ERR_INPUT);
    assert_int_equal(eg_power_law_fit(&law, size, error, zero, 4, &err), EG_ERR_INPUT);
    assert_int_equal(eg_power_law_predict(&out, size, error, NULL, 3, 2000, &o, &err),
                     EG_ERR_INPUT); /* no spread to be had */
    assert_int_equal(eg_power_law_predict(&out, size, error, NULL, 4, 2000, &o, &err), EG_OK);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 2; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_power_law_predict(&out, size, error, NULL, 4, 2000, &o, &err),
                         EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scipy), cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_forecast), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
