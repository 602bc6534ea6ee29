/* DeLong for many scores: the published example of DeLong et al. (1988) as SAS prints it; agreement with the paired
 * test for two; scores that repeat each other cost a degree of freedom. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_DELONG
#include "data/stats/stats_golden.h"

enum { N = LENGTH(golden_ovarian_label) };

static void test_published(void **unused) {
    (void)unused;
    const double *score[3] = {golden_ovarian_score, golden_ovarian_score + N,
                              golden_ovarian_score + 2 * N};
    double auc[3], covariance[9];
    eg_auc_test test;
    assert_int_equal(
        eg_auc_delong_many(auc, covariance, &test, score, 3, golden_ovarian_label, N, NULL), EG_OK);
    for (int i = 0; i < 3; i++) assert_close(auc[i], golden_ovarian[i], 1e-12);
    for (int i = 0; i < 9; i++) assert_close(covariance[i], golden_ovarian[3 + i], 1e-12);
    assert_close(test.chi2, golden_ovarian[12], 1e-9);
    assert_close(test.p, golden_ovarian[13], 1e-9);
    assert_true(test.df == 2);
    assert_close(test.chi2, 2.5340, 5e-5); /* as printed */
    assert_close(test.p, 0.2817, 5e-5);
    /* the order of the scores does not matter, nor does a score given twice */
    const double *mixed[4] = {score[2], score[0], score[0], score[1]};
    double auc4[4], covariance4[16];
    eg_auc_test again;
    assert_int_equal(
        eg_auc_delong_many(auc4, covariance4, &again, mixed, 4, golden_ovarian_label, N, NULL),
        EG_OK);
    assert_close(again.chi2, test.chi2, 1e-9);
    assert_true(again.df == 2);
}

static void test_two(void **unused) {
    (void)unused;
    const double *score[2] = {golden_ovarian_score, golden_ovarian_score + N};
    double auc[2], covariance[4], d, ci[2], p;
    eg_auc_test test;
    assert_int_equal(
        eg_auc_delong_many(auc, covariance, &test, score, 2, golden_ovarian_label, N, NULL), EG_OK);
    eg_auc_delong_paired(&d, ci, &p, score[0], score[1], golden_ovarian_label, N, 0.95);
    assert_close(auc[0] - auc[1], d, 1e-14);
    assert_close(test.p, p, 1e-10);
    score[1] = score[0];
    assert_int_equal(
        eg_auc_delong_many(auc, covariance, &test, score, 2, golden_ovarian_label, N, NULL), EG_OK);
    assert_true(test.df == 0 && isnan(test.p)); /* one score twice: nothing to test */
}

static void test_refused(void **unused) {
    (void)unused;
    const double *score[2] = {golden_ovarian_score, golden_ovarian_score + N};
    const int32_t ones[3] = {1, 1, 1};
    double auc[2] = {7, 7}, covariance[4];
    eg_auc_test test;
    eg_error err;
    assert_int_equal(eg_auc_delong_many(auc, covariance, &test, score, 2, ones, 3, &err),
                     EG_ERR_INPUT);
    assert_true(auc[0] == 7);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 6; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(
            eg_auc_delong_many(auc, covariance, &test, score, 2, golden_ovarian_label, N, &err),
            EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published), cmocka_unit_test(test_two),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
