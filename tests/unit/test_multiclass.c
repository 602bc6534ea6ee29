/* Kappa and one-against-rest areas: scikit-learn, intervals by another way; two classes agree with DeLong. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_MULTICLASS
#define GOLDEN_ROC
#include "data/stats/stats_golden.h"

static void test_golden(void **unused) {
    (void)unused;
    double kappa, ci[2];
    eg_auc_rest rest;
    eg_kappa(&kappa, ci, golden_four_confusion, 4, 0.95);
    assert_close(kappa, golden_four[0], 1e-12);
    assert_close(ci[0], golden_four[1], 1e-9);
    assert_close(ci[1], golden_four[2], 1e-9);
    assert_int_equal(eg_auc_one_vs_rest(&rest, golden_four_prob, golden_four_label,
                                        LENGTH(golden_four_label), 4, 0.95, NULL),
                     EG_OK);
    assert_close(rest.macro, golden_four[3], 1e-12);
    assert_close(rest.macro_ci[0], golden_four[4], 1e-9);
    assert_close(rest.macro_ci[1], golden_four[5], 1e-9);
    assert_close(rest.micro, golden_four[6], 1e-12);
    assert_close(rest.micro_ci[0], golden_four[7], 1e-9);
    assert_close(rest.micro_ci[1], golden_four[8], 1e-9);
}

/* With two classes both areas are the ordinary one, and the interval is DeLong's up to n / (n - 1). */
static void test_two_classes(void **unused) {
    (void)unused;
    size_t n = golden_roc[0].n;
    double prob[128];
    eg_auc_rest rest;
    for (size_t i = 0; i < n; i++) {
        prob[2 * i + 1] = 1 / (1 + exp(-golden_roc[0].score[i]));
        prob[2 * i] = 1 - prob[2 * i + 1];
    }
    assert_int_equal(eg_auc_one_vs_rest(&rest, prob, golden_roc[0].label, n, 2, 0.95, NULL), EG_OK);
    assert_close(rest.macro, golden_roc[0].auc, 1e-12);
    for (int e = 0; e < 2; e++) assert_close(rest.macro_ci[e], golden_roc[0].ci[e], 0.004);
}

static void test_edges(void **unused) {
    (void)unused;
    const int64_t right[4] = {5, 0, 0, 7}, one[4] = {5, 0, 0, 0}, none[4] = {0};
    const int64_t against[4] = {0, 5, 5, 0};
    double kappa, ci[2];
    eg_kappa(&kappa, ci, right, 2, 0.95);
    assert_true(kappa == 1 && ci[1] == 1);
    eg_kappa(&kappa, ci, against, 2, 0.95);
    assert_close(kappa, -1, 1e-15);
    eg_kappa(&kappa, ci, one, 2, 0.95);
    assert_true(isnan(kappa) && isnan(ci[0]));
    eg_kappa(&kappa, ci, none, 2, 0.95);
    assert_true(isnan(kappa));
    const double prob[6] = {0.2, 0.3, 0.5, 0.6, 0.3, 0.1};
    const int32_t label[2] = {2, 0};
    eg_auc_rest rest;
    eg_error err;
    assert_int_equal(eg_auc_one_vs_rest(&rest, prob, label, 2, 3, 0.95, &err), EG_OK);
    assert_true(isnan(rest.macro) && isnan(rest.macro_ci[0])); /* class 1 has no case */
    assert_true(rest.micro == 1);
    assert_int_equal(eg_auc_one_vs_rest(&rest, prob, label, 0, 3, 0.95, &err), EG_ERR_INPUT);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 12; k++) {
        eg_memory_fail_at(k);
        eg_status status = eg_auc_one_vs_rest(&rest, golden_four_prob, golden_four_label,
                                              LENGTH(golden_four_label), 4, 0.95, &err);
        eg_memory_fail_at(0);
        assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),
                                       cmocka_unit_test(test_two_classes),
                                       cmocka_unit_test(test_edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
