/* Label noise: cleanlab's joint; planted flips are found and placed, overlap without flips is not called noise. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_CAUSES
#include "data/stats/stats_golden.h"

enum { N = 3000 };
static double prob[2 * N], score[N];
static int32_t label[N];

/* Two classes at distance 2 in one score with its true probabilities, then a share of the labels of class 1 flipped. */
static void sample(uint32_t number, double flipped) {
    for (int i = 0; i < N; i++) {
        eg_random random = eg_random_make(77, (uint32_t)i, number, 0);
        int truth = i % 2;
        double z = 2 * (2 * truth - 1) + 2 * eg_random_normal(&random); /* logit of class 1: z */
        score[i] = prob[2 * i + 1] = 1 / (1 + exp(-z));
        prob[2 * i] = 1 - prob[2 * i + 1];
        label[i] = truth == 1 && eg_random_uniform(&random) < flipped ? 0 : truth;
    }
}

static void test_joint(void **unused) {
    (void)unused;
    eg_confident c;
    size_t n = LENGTH(golden_noise_label), suspects = 0;
    eg_resample_options o = {.n_resamples = 50};
    assert_int_equal(eg_confident_learn(&c, golden_noise_prob, golden_noise_label, n, 3, &o, NULL),
                     EG_OK);
    double sum = 0, off = 0;
    for (int i = 0; i < 9; i++) {
        assert_close(c.joint[i], golden_noise_joint[i], 1e-12);
        sum += c.joint[i];
        off += i % 4 ? c.joint[i] : 0;
    }
    for (size_t i = 0; i < n; i++) suspects += c.suspect[i];
    assert_close(sum, 1, 1e-12);
    assert_close(c.noise_rate, off, 1e-15);
    assert_true(suspects > 0 && suspects < n / 2);
    eg_confident_free(&c);
    eg_confident_free(NULL);
}

static void test_flips(void **unused) {
    (void)unused;
    eg_flip_rates f;
    int named = 0;
    for (uint32_t r = 0; r < 20; r++) { /* overlap only: p below 0.05 in a few of 20 at most */
        sample(r, 0);
        assert_int_equal(eg_flip_rates_fit(&f, score, label, N, NULL), EG_OK);
        named += f.p < 0.05;
    }
    assert_in_range(named, 0, 3);
    sample(100, 0.1); /* a tenth of class 1 is labelled 0 */
    assert_int_equal(eg_flip_rates_fit(&f, score, label, N, NULL), EG_OK);
    assert_true(f.p < 1e-6);
    assert_close(f.e1, 0.1, 0.03);
    assert_close(f.e0, 0, 0.02);
    assert_close(f.slope, 1, 0.2);
    /* the same cases for confident learning: more off the diagonal than the probabilities of clean labels give */
    eg_confident c;
    eg_resample_options o = {.n_resamples = 100, .seed = 4};
    assert_int_equal(eg_confident_learn(&c, prob, label, N, 2, &o, NULL), EG_OK);
    assert_true(c.p < 0.02 && c.noise_rate > c.null_ci[1]);
    assert_true(c.joint[1] > 1.4 * c.joint[2]); /* given 0, likely 1 */
    eg_confident_free(&c);
    sample(100, 0);
    assert_int_equal(eg_confident_learn(&c, prob, label, N, 2, &o, NULL), EG_OK);
    assert_true(c.p > 0.02);
    eg_confident_free(&c);
}

static void test_refused(void **unused) {
    (void)unused;
    sample(1, 0.1);
    eg_confident c;
    eg_flip_rates f;
    eg_error err;
    eg_resample_options o = {.n_resamples = 5};
    const int32_t bad[2] = {0, 2}, ones[2] = {1, 1};
    const double nan[2] = {NAN, 0.5};
    assert_int_equal(eg_confident_learn(&c, prob, bad, 2, 2, &o, &err), EG_ERR_INPUT);
    assert_int_equal(eg_confident_learn(&c, prob, label, 0, 2, &o, &err), EG_ERR_INPUT);
    assert_int_equal(eg_flip_rates_fit(&f, score, ones, 2, &err), EG_ERR_INPUT);
    assert_int_equal(eg_flip_rates_fit(&f, nan, label, 2, &err), EG_ERR_INPUT);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 5; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_confident_learn(&c, prob, label, 40, 2, &o, &err), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_joint), cmocka_unit_test(test_flips),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
