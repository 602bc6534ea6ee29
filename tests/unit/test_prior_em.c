/* Class shares by EM: the likelihood maximised another way, recovery of a planted shift, refused input. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_CAUSES
#include "data/stats/stats_golden.h"

static void test_likelihood(void **unused) {
    (void)unused;
    const double from[3] = {0.2, 0.3, 0.5};
    eg_resampled out[3];
    eg_resample_options o = {.n_resamples = 20};
    assert_int_equal(
        eg_prior_estimate(out, golden_prior_prob, LENGTH(golden_prior_prob) / 3, 3, from, &o, NULL),
        EG_OK);
    for (int k = 0; k < 3; k++) assert_close(out[k].estimate, golden_prior[k], 1e-7);
}

/* Made for shares 3 to 1, met with 1 to 1: the interval holds one half and not three quarters. */
static void test_shift(void **unused) {
    (void)unused;
    enum { N = 624 };
    static double prob[2 * N];
    const double from[2] = {0.25, 0.75};
    for (int i = 0; i < N; i++) {
        eg_random random = eg_random_make(6, (uint32_t)i, 0, 0);
        double z = 2.0 * (2 * (i % 2) - 1) + 2 * eg_random_normal(&random) + log(3);
        prob[2 * i + 1] = 1 / (1 + exp(-z));
        prob[2 * i] = 1 - prob[2 * i + 1];
    }
    eg_resampled out[2];
    eg_resample_options o = {.n_resamples = 200, .seed = 1};
    assert_int_equal(eg_prior_estimate(out, prob, N, 2, from, &o, NULL), EG_OK);
    assert_true(out[1].ci[0] < 0.5 && out[1].ci[1] > 0.5 && out[1].ci[1] < 0.6);
    assert_close(out[0].estimate + out[1].estimate, 1, 1e-12);
}

static void test_refused(void **unused) {
    (void)unused;
    const double prob[2] = {0.5, 0.5}, bad[2] = {0.5, NAN}, from[2] = {0.5, 0.6};
    const double even[2] = {0.5, 0.5};
    eg_resampled out[2];
    eg_error err;
    eg_resample_options o = {.n_resamples = 5};
    assert_int_equal(eg_prior_estimate(out, prob, 1, 2, from, &o, &err), EG_ERR_INPUT);
    assert_int_equal(eg_prior_estimate(out, bad, 1, 2, even, &o, &err), EG_ERR_INPUT);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 10; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_prior_estimate(out, prob, 1, 2, even, &o, &err), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_likelihood),
                                       cmocka_unit_test(test_shift),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
