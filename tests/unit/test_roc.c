/* Areas under ROC curves: scikit-learn, DeLong by its definition, degenerate samples,
 * invariances, coverage. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_ROC
#define GOLDEN_PR
#define GOLDEN_DELONG
#include "data/stats/stats_golden.h"

static void test_golden(void **unused) {
    (void)unused;
    for (size_t c = 0; c < LENGTH(golden_roc); c++) {
        double auc, variance, ci[2];
        eg_auc_delong(&auc, &variance, ci, golden_roc[c].score, golden_roc[c].label,
                      golden_roc[c].n, 0.95);
        assert_close(auc, golden_roc[c].auc, 1e-12);
        assert_close(eg_auc(golden_roc[c].score, golden_roc[c].label, golden_roc[c].n),
                     golden_roc[c].auc, 1e-12);
        assert_close(variance, golden_roc[c].variance, 1e-12);
        assert_close(ci[0], golden_roc[c].ci[0], 1e-9);
        assert_close(ci[1], golden_roc[c].ci[1], 1e-9);
        assert_close(
            eg_average_precision(golden_roc[c].score, golden_roc[c].label, golden_roc[c].n),
            golden_roc[c].ap, 1e-12);
    }
}

static void test_curve(void **unused) {
    (void)unused;
    for (size_t c = 0; c < LENGTH(golden_roc); c++) {
        double fpr[64], tpr[64], threshold[64];
        assert_true(golden_roc[c].n + 1 <= LENGTH(fpr));
        size_t points = eg_roc_curve(fpr, tpr, threshold, golden_roc[c].score, golden_roc[c].label,
                                     golden_roc[c].n);
        assert_int_equal(points, golden_roc[c].points);
        for (size_t i = 0; i < points; i++) {
            assert_close(fpr[i], golden_roc[c].curve[3 * i], 1e-15);
            assert_close(tpr[i], golden_roc[c].curve[3 * i + 1], 1e-15);
            assert_close(threshold[i], golden_roc[c].curve[3 * i + 2], 0);
        }
    }
}

static void test_pr_curve(void **unused) {
    (void)unused;
    enum { N = LENGTH(golden_pr_label) };
    double precision[N + 1], recall[N + 1], threshold[N + 1], ci[2];
    size_t points = eg_pr_curve(precision, recall, threshold, golden_pr_score, golden_pr_label, N);
    assert_int_equal(points, LENGTH(golden_pr) / 3);
    for (size_t i = 0; i < points; i++) {
        assert_close(precision[i], golden_pr[3 * i], 1e-15);
        assert_close(recall[i], golden_pr[3 * i + 1], 1e-15);
        assert_close(threshold[i], golden_pr[3 * i + 2], 0);
    }
    double ap = eg_average_precision(golden_pr_score, golden_pr_label, N);
    size_t n1 = 0;
    for (size_t i = 0; i < N; i++) n1 += golden_pr_label[i] == 1;
    eg_average_precision_interval(ci, ap, n1, 0.95);
    assert_close(ap, golden_ap[0], 1e-12);
    assert_close(ci[0], golden_ap[1], 1e-9);
    assert_close(ci[1], golden_ap[2], 1e-9);
    double exact[2];
    eg_average_precision_interval(ci, 1, n1, 0.95);
    eg_clopper_pearson(exact, (int64_t)n1, (int64_t)n1, 0.95);
    assert_true(ci[0] == exact[0] && ci[1] == 1);
    eg_average_precision_interval(ci, NAN, n1, 0.95);
    assert_true(isnan(ci[0]) && isnan(ci[1]));
}

/* pROC's own example (its areas, variance, and the test its documentation prints). */
static void test_proc_example(void **unused) {
    (void)unused;
    size_t n = LENGTH(golden_asah_label);
    double auc, variance, ci[2], d, p;
    eg_auc_delong(&auc, &variance, ci, golden_asah_s100b, golden_asah_label, n, 0.95);
    assert_close(auc, golden_asah[0], 1e-12);
    assert_close(variance, golden_asah[2], 1e-12);
    eg_auc_delong(&auc, &variance, ci, golden_asah_wfns, golden_asah_label, n, 0.95);
    assert_close(auc, golden_asah[1], 1e-12);
    assert_close(variance, golden_asah[3], 1e-12);
    eg_auc_delong_paired(&d, ci, &p, golden_asah_s100b, golden_asah_wfns, golden_asah_label, n,
                         0.95);
    assert_close(d, golden_asah[4], 1e-12);
    assert_close(ci[0], -0.17421442, 5e-9);
    assert_close(ci[1], -0.01040618, 5e-9);
    assert_close(p, 0.02718, 5e-6);
    assert_close(p, golden_asah[7], 1e-12);
}

static void test_paired(void **unused) {
    (void)unused;
    size_t n = LENGTH(golden_paired_label);
    double d, ci[2], p, back, back_ci[2], back_p;
    eg_auc_delong_paired(&d, ci, &p, golden_paired_a, golden_paired_b, golden_paired_label, n,
                         0.95);
    assert_close(d, golden_paired[0], 1e-12);
    assert_close(ci[0], golden_paired[1], 1e-12);
    assert_close(ci[1], golden_paired[2], 1e-12);
    assert_close(p, golden_paired[3], 1e-12);
    eg_auc_delong_paired(&back, back_ci, &back_p, golden_paired_b, golden_paired_a,
                         golden_paired_label, n, 0.95);
    assert_close(back, -d, 0);
    assert_close(back_ci[0], -ci[1], 1e-15);
    assert_close(back_p, p, 1e-15);
}

/* A sample without spread must not be sold as certainty. */
static void test_degenerate(void **unused) {
    (void)unused;
    double score[40], constant[40], d, ci[2], p, auc, variance;
    int32_t label[40];
    for (int i = 0; i < 40; i++) {
        label[i] = i >= 15;
        score[i] = i;
        constant[i] = 3;
    }
    eg_auc_delong(&auc, &variance, ci, score, label, 40, 0.95);
    assert_true(auc == 1 && variance == 0 && ci[1] == 1);
    assert_close(ci[0], pow(0.025, 1.0 / 15), 1e-12); /* min(n0, n1) = 15 */
    for (int i = 0; i < 40; i++) score[i] = -i;
    eg_auc_delong(&auc, &variance, ci, score, label, 40, 0.95);
    assert_true(auc == 0 && ci[0] == 0);
    assert_close(ci[1], 1 - pow(0.025, 1.0 / 15), 1e-12);
    eg_auc_delong(&auc, &variance, ci, constant, label, 40, 0.95);
    assert_true(auc == 0.5 && variance == 0 && ci[0] < 0.3 && ci[1] > 0.7);
    /* the same ranking twice: no difference; perfect against constant: no p, a wide interval */
    eg_auc_delong_paired(&d, ci, &p, golden_paired_a, golden_paired_a, golden_paired_label,
                         LENGTH(golden_paired_label), 0.95);
    assert_true(d == 0 && ci[0] == 0 && ci[1] == 0 && p == 1);
    for (int i = 0; i < 40; i++) score[i] = i;
    eg_auc_delong_paired(&d, ci, &p, score, constant, label, 40, 0.95);
    assert_true(d == 0.5 && ci[0] < 0.25 && ci[1] > 0.7 && ci[1] <= 1 && isnan(p));
    eg_auc_delong_paired(&d, ci, &p, score, score, label, 40, 0.95);
    assert_true(d == 0 && ci[0] < -0.1 && ci[1] > 0.1 && p == 1);
}

static void test_nan(void **unused) {
    (void)unused;
    double score[4] = {0.1, NAN, 0.3, 0.4}, x[5], y[5], t[5], d, ci[2], p;
    int32_t label[4] = {0, 1, 0, 1};
    assert_true(isnan(eg_auc(score, label, 4)) && isnan(eg_average_precision(score, label, 4)));
    assert_int_equal(eg_roc_curve(x, y, t, score, label, 4), 0);
    assert_true(isnan(eg_auc(score, label, 0)));
    double good[4] = {0.1, 0.2, 0.3, 0.4};
    eg_auc_delong_paired(&d, ci, &p, good, score, label, 4, 0.95);
    assert_true(isnan(d) && isnan(ci[0]) && isnan(p));
}

/* Against the definition, all pairs, on many small samples with ties; and monotone maps change
 * nothing. */
static void test_definition(void **unused) {
    (void)unused;
    for (uint32_t r = 0; r < 200; r++) {
        eg_random random = eg_random_make(11, r, 0, 0);
        size_t n = 2 + eg_random_below(&random, 30);
        double score[32], mapped[32], wins = 0, pairs = 0;
        int32_t label[32];
        for (size_t i = 0; i < n; i++) {
            label[i] = (int32_t)eg_random_below(&random, 2);
            score[i] = eg_random_below(&random, 8);
            mapped[i] = exp(score[i]) - 100;
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                if (label[i] != 1 || label[j] != 0) continue;
                pairs++;
                wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
            }
        double expected = pairs > 0 ? wins / pairs : NAN;
        assert_close(eg_auc(score, label, n), expected, 1e-15);
        assert_close(eg_auc(mapped, label, n), expected, 1e-15);
    }
}

/* Binormal scores, 50 + 50 cases: coverage of the area and of the paired difference. */
static void test_coverage(void **unused) {
    (void)unused;
    enum { REPLICATES = 600, N = 100 };
    const double shift_a = 1.2, shift_b = 0.8, noise = 0.7;
    double sd = sqrt(1 + noise * noise);
    double truth_a = eg_normal_cdf(shift_a / sd / sqrt(2));
    double truth_b = eg_normal_cdf(shift_b / sd / sqrt(2));
    int area = 0, difference = 0, rejected = 0;
    for (uint32_t r = 0; r < REPLICATES; r++) {
        eg_random random = eg_random_make(77, r, 0, 0);
        double a[N], b[N], same[N], auc, variance, ci[2], d, p;
        int32_t label[N];
        for (int i = 0; i < N; i++) {
            double shared = eg_random_normal(&random);
            label[i] = i % 2;
            a[i] = shift_a * label[i] + shared + noise * eg_random_normal(&random);
            b[i] = shift_b * label[i] + shared + noise * eg_random_normal(&random);
            same[i] = shift_a * label[i] + shared + noise * eg_random_normal(&random);
        }
        eg_auc_delong(&auc, &variance, ci, a, label, N, 0.95);
        area += ci[0] <= truth_a && truth_a <= ci[1];
        eg_auc_delong_paired(&d, ci, &p, a, b, label, N, 0.95);
        difference += ci[0] <= truth_a - truth_b && truth_a - truth_b <= ci[1];
        eg_auc_delong_paired(&d, ci, &p, a, same, label, N, 0.95);
        rejected += p < 0.05;
    }
    assert_in_range(area, 0.92 * REPLICATES, 0.98 * REPLICATES);
    assert_in_range(difference, 0.92 * REPLICATES, 0.98 * REPLICATES);
    assert_in_range(rejected, 0.02 * REPLICATES, 0.08 * REPLICATES);
}

/* Every allocation failing in turn: NaN or a count of 0, nothing leaked. */
static void test_no_memory(void **unused) {
    (void)unused;
    size_t before = eg_memory_stats_get().bytes_now, n = golden_roc[0].n;
    double d, ci[2], p, x[64], y[64], t[64];
    for (uint64_t k = 1; k <= 4; k++) {
        eg_memory_fail_at(k);
        eg_auc_delong_paired(&d, ci, &p, golden_paired_a, golden_paired_b, golden_paired_label,
                             LENGTH(golden_paired_label), 0.95);
        eg_memory_fail_at(0);
        assert_true(isnan(d) && isnan(ci[0]) && isnan(p));
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    eg_memory_fail_at(1);
    assert_int_equal(eg_roc_curve(x, y, t, golden_roc[0].score, golden_roc[0].label, n), 0);
    eg_memory_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_curve),
        cmocka_unit_test(test_paired),       cmocka_unit_test(test_pr_curve),
        cmocka_unit_test(test_proc_example), cmocka_unit_test(test_degenerate),
        cmocka_unit_test(test_nan),          cmocka_unit_test(test_definition),
        cmocka_unit_test(test_coverage),     cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
