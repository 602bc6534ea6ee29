/* Classification figures against scikit-learn; their intervals; prior shift; refused input. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_METRICS
#include "data/stats/stats_golden.h"

static void test_golden(void **unused) {
    (void)unused;
    for (size_t c = 0; c < LENGTH(golden_metrics); c++) {
        eg_metrics m;
        eg_error err;
        int K = golden_metrics[c].n_classes;
        assert_int_equal(eg_metrics_compute(&m, golden_metrics[c].prob, golden_metrics[c].label,
                                            golden_metrics[c].n, K, golden_metrics[c].threshold,
                                            &err),
                         EG_OK);
        assert_int_equal(m.n, golden_metrics[c].n);
        assert_close(m.loss, golden_metrics[c].loss, 1e-12);
        assert_close(m.accuracy, golden_metrics[c].accuracy, 1e-15);
        assert_close(m.balanced_accuracy, golden_metrics[c].balanced, 1e-14);
        assert_close(m.auc, golden_metrics[c].auc, 1e-12);
        assert_close(m.sensitivity, golden_metrics[c].sens, 1e-15);
        assert_close(m.specificity, golden_metrics[c].spec, 1e-15);
        assert_close(m.ppv, golden_metrics[c].ppv, 1e-15);
        assert_close(m.npv, golden_metrics[c].npv, 1e-15);
        assert_close(m.f1, golden_metrics[c].f1, 1e-14);
        assert_close(m.mcc, golden_metrics[c].mcc, 1e-12);
        assert_close(m.brier, golden_metrics[c].brier, 1e-13);
        assert_close(m.ece, golden_metrics[c].ece, 1e-13);
        /* an area has an interval around it, for any number of classes */
        assert_int_equal(isnan(m.auc), isnan(m.auc_ci[0]));
        if (!isnan(m.auc)) assert_true(m.auc_ci[0] < m.auc && m.auc < m.auc_ci[1]);
        int64_t right = 0;
        for (int k = 0; k < K * K; k++) {
            assert_int_equal(m.confusion[k], golden_metrics[c].confusion[k]);
            if (k % (K + 1) == 0) right += m.confusion[k];
        }
        assert_int_equal(m.correct, right);
        eg_metrics_free(&m);
    }
}

/* The intervals are those of interval.c and roc.c on the same counts and scores. */
static void test_intervals(void **unused) {
    (void)unused;
    eg_metrics m;
    double ci[2], auc, variance, score[128];
    size_t n = golden_metrics[0].n;
    assert_int_equal(
        eg_metrics_compute(&m, golden_metrics[0].prob, golden_metrics[0].label, n, 2, NAN, NULL),
        EG_OK);
    for (size_t i = 0; i < n; i++) score[i] = golden_metrics[0].prob[2 * i + 1];
    eg_auc_delong(&auc, &variance, ci, score, golden_metrics[0].label, n, 0.95);
    assert_true(ci[0] < auc && auc < ci[1] && m.auc_ci[0] == ci[0] && m.auc_ci[1] == ci[1]);
    eg_wilson(ci, m.correct, m.n, 0.95);
    assert_true(m.accuracy_ci[0] == ci[0] && m.accuracy_ci[1] == ci[1]);
    eg_wilson(ci, m.confusion[3], m.confusion[2] + m.confusion[3], 0.95);
    assert_true(m.sensitivity_ci[0] == ci[0] && m.sensitivity_ci[1] == ci[1]);
    eg_wilson(ci, m.confusion[0], m.confusion[0] + m.confusion[1], 0.95);
    assert_true(m.specificity_ci[0] == ci[0] && m.specificity_ci[1] == ci[1]);
    eg_wilson(ci, m.confusion[3], m.confusion[1] + m.confusion[3], 0.95);
    assert_true(m.ppv_ci[0] == ci[0] && m.ppv_ci[1] == ci[1]);
    eg_wilson(ci, m.confusion[0], m.confusion[0] + m.confusion[2], 0.95);
    assert_true(m.npv_ci[0] == ci[0] && m.npv_ci[1] == ci[1]);
    assert_true(m.ap == eg_average_precision(score, golden_metrics[0].label, n));
    assert_true(m.ap_ci[0] < m.ap && m.ap < m.ap_ci[1]);
    assert_true(m.kappa_ci[0] < m.kappa && m.kappa < m.kappa_ci[1]);
    eg_metrics_free(&m);
    eg_metrics_free(NULL);
}

static void test_prior_shift(void **unused) {
    (void)unused;
    /* odds 3 at shares (.5, .5) become odds 3 * (.2 / .8) = .75 */
    double p[6] = {0.25, 0.75, 1, 0, 0, 0};
    const double from[2] = {0.5, 0.5}, to[2] = {0.8, 0.2};
    eg_prior_shift(p, 3, 2, from, to);
    assert_close(p[1], 0.75 / 1.75, 1e-15);
    assert_close(p[0], 1 / 1.75, 1e-15);
    assert_true(p[2] == 1 && p[3] == 0 && p[4] == 0 && p[5] == 0);
    double three[3] = {0.2, 0.3, 0.5};
    const double f3[3] = {0.5, 0.5, 0}, t3[3] = {0.1, 0.2, 0.7};
    eg_prior_shift(three, 1, 3, f3, t3);
    assert_close(three[0], 0.04 / 0.16, 1e-15);
    assert_close(three[1], 0.12 / 0.16, 1e-15);
    assert_true(three[2] == 0);
}

static void test_refused(void **unused) {
    (void)unused;
    double p[4] = {0.5, 0.5, 0.2, 0.8};
    int32_t label[2] = {0, 1};
    eg_metrics m = {.n = -7};
    eg_error err;
    assert_int_equal(eg_metrics_compute(&m, p, label, 0, 2, NAN, &err), EG_ERR_INPUT);
    assert_int_equal(eg_metrics_compute(&m, p, label, 2, 1, NAN, &err), EG_ERR_INPUT);
    label[1] = 2;
    assert_int_equal(eg_metrics_compute(&m, p, label, 2, 2, NAN, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "case 1: label 2"));
    label[1] = 1;
    p[2] = NAN;
    assert_int_equal(eg_metrics_compute(&m, p, label, 2, 2, NAN, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "case 1, class 0"));
    p[2] = -0.1;
    assert_int_equal(eg_metrics_compute(&m, p, label, 2, 2, NAN, NULL), EG_ERR_INPUT);
    assert_int_equal(m.n, -7); /* untouched */
}

static void test_no_memory(void **unused) {
    (void)unused;
    size_t before = eg_memory_stats_get().bytes_now;
    eg_error err;
    for (size_t c = 0; c < LENGTH(golden_metrics); c++) {
        eg_status status = EG_ERR_NO_MEMORY;
        for (uint64_t k = 1; status != EG_OK; k++) {
            eg_metrics m;
            eg_memory_fail_at(k);
            status =
                eg_metrics_compute(&m, golden_metrics[c].prob, golden_metrics[c].label,
                                   golden_metrics[c].n, golden_metrics[c].n_classes, NAN, &err);
            eg_memory_fail_at(0);
            assert_true(k > 3 || status == EG_ERR_NO_MEMORY);
            assert_true(status == EG_OK || status == EG_ERR_NO_MEMORY);
            if (status == EG_OK) assert_close(m.auc, golden_metrics[c].auc, 1e-12);
            if (status == EG_OK) eg_metrics_free(&m);
            assert_int_equal(eg_memory_stats_get().bytes_now, before);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_prior_shift), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
