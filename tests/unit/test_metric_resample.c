/* Bootstrap of all metrics: estimates are those of metrics.c, intervals near the closed ones, a difference of a
 * classifier with itself is 0, patients widen the interval, refused input. */
#include "stats_close.h"

#include "stats/stats.h"

enum { N = 240 };
static double prob[2 * N], other[2 * N];
static int32_t label[N], patient[N];

/* Six images a patient: its images share half of their score's error. */
static int setup(void **state) {
    (void)state;
    for (int i = 0; i < N; i++) {
        eg_random one = eg_random_make(5, (uint32_t)i, 0, 0);
        eg_random shared = eg_random_make(5, (uint32_t)(i / 6), 1, 0);
        patient[i] = i / 6;
        label[i] = (i / 6) % 2;
        double z = 2.0 * label[i] - 1 + 1.5 * eg_random_normal(&shared) + eg_random_normal(&one);
        prob[2 * i + 1] = 1 / (1 + exp(-z));
        other[2 * i + 1] = 1 / (1 + exp(-z + 0.4 * eg_random_normal(&one)));
        prob[2 * i] = 1 - prob[2 * i + 1];
        other[2 * i] = 1 - other[2 * i + 1];
    }
    return 0;
}

static void test_figures(void **unused) {
    (void)unused;
    eg_predictions p = {prob, label, N, 2, NAN};
    eg_resampled out[EG_METRIC_COUNT], grouped[EG_METRIC_COUNT];
    eg_resample_options o = {.stratum = label, .n_resamples = 1000, .seed = 1};
    assert_int_equal(eg_metrics_resample(out, NULL, &p, 1, &o, NULL), EG_OK);
    eg_metrics m;
    assert_int_equal(eg_metrics_compute(&m, prob, label, N, 2, NAN, NULL), EG_OK);
    assert_true(out[EG_METRIC_ACCURACY].estimate == m.accuracy);
    assert_true(out[EG_METRIC_ECE].estimate == m.ece && out[EG_METRIC_AP].estimate == m.ap);
    for (int e = 0; e < 2; e++) {
        assert_close(out[EG_METRIC_ACCURACY].ci[e], m.accuracy_ci[e], 0.02);
        assert_close(out[EG_METRIC_AUC].ci[e], m.auc_ci[e], 0.02);
        assert_close(out[EG_METRIC_SENSITIVITY].ci[e], m.sensitivity_ci[e], 0.03);
        assert_close(out[EG_METRIC_KAPPA].ci[e], m.kappa_ci[e], 0.04);
        assert_close(out[EG_METRIC_PPV].ci[e], m.ppv_ci[e], 0.04);
    }
    eg_metrics_free(&m);
    o.cluster = patient; /* 40 patients know less than 240 images */
    assert_int_equal(eg_metrics_resample(grouped, NULL, &p, 1, &o, NULL), EG_OK);
    double ratio = grouped[EG_METRIC_AUC].standard_error / out[EG_METRIC_AUC].standard_error;
    assert_true(ratio > 1.4 && ratio < 3);
    assert_string_equal(eg_metric_name(EG_METRIC_BALANCED_ACCURACY), "balanced_accuracy");
    assert_string_equal(eg_metric_name(EG_METRIC_COUNT), "");
}

static void test_difference(void **unused) {
    (void)unused;
    const eg_predictions a = {prob, label, N, 2, NAN}, b = {other, label, N, 2, NAN};
    const eg_predictions p3[3] = {a, b, a};
    eg_resampled each[3 * EG_METRIC_COUNT], pairs[3 * EG_METRIC_COUNT];
    eg_resampled *d = pairs, *same = pairs + EG_METRIC_COUNT, *back = pairs + 2 * EG_METRIC_COUNT;
    eg_resample_options o = {.stratum = label, .n_resamples = 1000, .seed = 2};
    assert_int_equal(eg_metrics_resample(each, pairs, p3, 3, &o, NULL), EG_OK);
    for (int v = 0; v < EG_METRIC_COUNT; v++) {
        assert_true(same[v].estimate == 0 && same[v].ci[0] == 0 && same[v].ci[1] == 0 &&
                    same[v].p == 1);
        assert_true(each[v].ci[0] == each[2 * EG_METRIC_COUNT + v].ci[0]);
    }
    double score_a[N], score_b[N], difference, ci[2], p;
    for (int i = 0; i < N; i++) score_a[i] = prob[2 * i + 1], score_b[i] = other[2 * i + 1];
    eg_auc_delong_paired(&difference, ci, &p, score_a, score_b, label, N, 0.95);
    assert_close(d[EG_METRIC_AUC].estimate, difference, 1e-13);
    assert_close(d[EG_METRIC_AUC].ci[0], ci[0], 0.005);
    assert_close(d[EG_METRIC_AUC].ci[1], ci[1], 0.005);
    assert_close(d[EG_METRIC_AUC].p, p, 0.06);
    for (int v = 0; v < EG_METRIC_COUNT; v++) {
        assert_close(back[v].estimate, -d[v].estimate, 1e-15);
        assert_close(back[v].ci[0], -d[v].ci[1], 1e-12);
        assert_close(back[v].p, d[v].p, 1e-15);
    }
}

static void test_refused(void **unused) {
    (void)unused;
    const eg_predictions a = {prob, label, N, 2, NAN}, b = {other, label, N - 1, 2, NAN};
    const eg_predictions unlike[2] = {a, b}, alike[2] = {a, a};
    eg_resampled each[2 * EG_METRIC_COUNT], pair[EG_METRIC_COUNT];
    eg_error err;
    eg_resample_options o = {.n_resamples = 3};
    assert_int_equal(eg_metrics_resample(each, pair, unlike, 2, &o, &err), EG_ERR_MISMATCH);
    const double bad[4] = {0.5, 0.5, NAN, 0.5};
    eg_predictions c = {bad, label, 2, 2, NAN};
    assert_int_equal(eg_metrics_resample(each, NULL, &c, 1, &o, &err), EG_ERR_INPUT);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 40; k++) {
        eg_memory_fail_at(k);
        eg_status status = eg_metrics_resample(each, pair, alike, 2, &o, &err);
        eg_memory_fail_at(0);
        assert_true(status == EG_OK || status == EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_figures),
                                       cmocka_unit_test(test_difference),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
