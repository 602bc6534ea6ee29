/* Reliability and calibration: scikit-learn's curve, Platt and isotonic fits, SciPy's temperature; planted
 * miscalibration is undone; what is refused. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_CALIBRATION
#include "data/stats/stats_golden.h"

enum { N = LENGTH(golden_cal_label), BINS = 8 };

static void check_curve(bool equal_mass, const double *golden, size_t points) {
    eg_reliability_bin bins[BINS];
    uint8_t outcome[N];
    for (int i = 0; i < N; i++) outcome[i] = golden_cal_label[i] == 1;
    double error = eg_reliability(bins, BINS, equal_mass, golden_cal_p, outcome, N), sum = 0;
    size_t at = 0;
    int64_t n = 0;
    for (int b = 0; b < BINS; b++) { /* scikit-learn leaves empty bins out */
        n += bins[b].n;
        if (bins[b].n == 0) {
            assert_true(isnan(bins[b].rate) && isnan(bins[b].ci[0]));
            continue;
        }
        assert_true(at < points);
        assert_close(bins[b].rate, golden[2 * at], 1e-12);
        assert_close(bins[b].mean, golden[2 * at + 1], 1e-12);
        assert_true(bins[b].ci[0] <= bins[b].rate && bins[b].rate <= bins[b].ci[1]);
        sum += (double)bins[b].n / N * fabs(bins[b].rate - bins[b].mean);
        at++;
    }
    assert_int_equal(at, points);
    assert_int_equal(n, N);
    assert_close(error, sum, 1e-13);
}

static void test_reliability(void **unused) {
    (void)unused;
    check_curve(false, golden_cal_width, LENGTH(golden_cal_width) / 2);
    check_curve(true, golden_cal_mass, LENGTH(golden_cal_mass) / 2);
    eg_reliability_bin bins[2];
    const double bad[1] = {1.5}, edge[3] = {0, 0.5, 1};
    const uint8_t outcome[3] = {0, 1, 1};
    assert_true(isnan(eg_reliability(bins, 2, false, bad, outcome, 1)));
    assert_true(isnan(eg_reliability(bins, 2, false, edge, outcome, 0)));
    assert_close(eg_reliability(bins, 2, false, edge, outcome, 3), 0.5 / 3, 1e-15);
    assert_true(bins[0].n == 2 && bins[1].n == 1); /* (low, high] */
}

static void as_rows(double *prob, const double *p, size_t n) {
    for (size_t i = 0; i < n; i++) prob[2 * i + 1] = p[i], prob[2 * i] = 1 - p[i];
}

static void test_platt(void **unused) {
    (void)unused;
    double prob[2 * N];
    eg_calibration c;
    as_rows(prob, golden_cal_p, N);
    assert_int_equal(
        eg_calibration_fit(&c, EG_CALIBRATION_PLATT, prob, golden_cal_label, N, 2, NULL), EG_OK);
    assert_close(c.slope, golden_cal_platt[0], 1e-9);
    assert_close(c.intercept, golden_cal_platt[1], 1e-9);
    eg_calibration_apply(&c, prob, N, 2);
    for (int i = 0; i < 5; i++) {
        assert_close(prob[2 * i + 1], golden_cal_platt[2 + i], 1e-9);
        assert_close(prob[2 * i] + prob[2 * i + 1], 1, 1e-15);
    }
    eg_calibration_free(&c);
}

static void test_isotonic(void **unused) {
    (void)unused;
    double prob[2 * N], probe[41], rows[82];
    eg_calibration c;
    as_rows(prob, golden_cal_p, N);
    assert_int_equal(
        eg_calibration_fit(&c, EG_CALIBRATION_ISOTONIC, prob, golden_cal_label, N, 2, NULL), EG_OK);
    for (int i = 0; i <= 40; i++) probe[i] = i / 40.0;
    as_rows(rows, probe, 41);
    eg_calibration_apply(&c, rows, 41, 2);
    for (int i = 0; i <= 40; i++) assert_close(rows[2 * i + 1], golden_cal_isotonic[i], 1e-9);
    for (size_t i = 1; i < c.n_points; i++)
        assert_true(c.x[i] > c.x[i - 1] && c.y[i] >= c.y[i - 1]);
    eg_calibration_free(&c);
    eg_calibration_free(NULL);
}

static void test_temperature(void **unused) {
    (void)unused;
    enum { M = LENGTH(golden_temp_label) };
    double prob[3 * M];
    eg_calibration c;
    memcpy(prob, golden_temp_prob, sizeof prob);
    assert_int_equal(
        eg_calibration_fit(&c, EG_CALIBRATION_TEMPERATURE, prob, golden_temp_label, M, 3, NULL),
        EG_OK);
    assert_close(c.temperature, golden_temp[0], 1e-9);
    eg_calibration_apply(&c, prob, M, 3);
    for (int k = 0; k < 3; k++) assert_close(prob[k], golden_temp[1 + k], 1e-9);
    /* the fit of what is calibrated already is 1 */
    assert_int_equal(
        eg_calibration_fit(&c, EG_CALIBRATION_TEMPERATURE, prob, golden_temp_label, M, 3, NULL),
        EG_OK);
    assert_close(c.temperature, 1, 1e-9);
    /* everything right, always surer is better: the end of the range; always wrong: the other end */
    const double sure[4] = {0.9, 0.1, 0.2, 0.8};
    const int32_t right[2] = {0, 1}, wrong[2] = {1, 0};
    eg_calibration_fit(&c, EG_CALIBRATION_TEMPERATURE, sure, right, 2, 2, NULL);
    assert_close(c.temperature, 0.01, 1e-12);
    eg_calibration_fit(&c, EG_CALIBRATION_TEMPERATURE, sure, wrong, 2, 2, NULL);
    assert_close(c.temperature, 100, 1e-12);
}

static void test_refused(void **unused) {
    (void)unused;
    const double three[3] = {0.2, 0.3, 0.5}, two[4] = {0.5, 0.5, 0.4, 0.6}, bad[2] = {0.5, NAN};
    const int32_t label[2] = {0, 0}, out_of_range[2] = {0, 2}, both[2] = {0, 1};
    eg_calibration c = {.temperature = 7};
    eg_error err;
    const eg_calibration_kind T = EG_CALIBRATION_TEMPERATURE, P = EG_CALIBRATION_PLATT;
    assert_int_equal(eg_calibration_fit(&c, P, three, label, 1, 3, &err), EG_ERR_INPUT);
    assert_int_equal(eg_calibration_fit(&c, P, two, label, 2, 2, &err), EG_ERR_INPUT);
    assert_int_equal(eg_calibration_fit(&c, T, two, out_of_range, 2, 2, &err), EG_ERR_INPUT);
    assert_int_equal(eg_calibration_fit(&c, T, bad, label, 1, 2, &err), EG_ERR_INPUT);
    assert_int_equal(eg_calibration_fit(&c, T, two, label, 0, 2, &err), EG_ERR_INPUT);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 4; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_calibration_fit(&c, EG_CALIBRATION_ISOTONIC, two, both, 2, 2, &err),
                         EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    assert_true(c.temperature == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reliability), cmocka_unit_test(test_platt),
        cmocka_unit_test(test_isotonic), cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
