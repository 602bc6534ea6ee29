/* Thresholds against trying every cut: accuracy, Youden, cost, target sensitivity; where they lie; what is refused. */
#include "stats_close.h"

#include "stats/stats.h"

static double gain(double threshold, const double *score, const int32_t *label, size_t n, double w1,
                   double w0) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        bool guess = score[i] >= threshold;
        if (guess == (label[i] == 1)) sum += guess ? w1 : w0;
    }
    return sum;
}

/* No threshold on a fine grid beats the one found, and among those as good on the grid none that
 * stands for a whole gap between scores is nearer to 0.5 by more than half that gap. */
static void test_threshold_best(void **unused) {
    (void)unused;
    for (uint32_t r = 0; r < 100; r++) {
        eg_random random = eg_random_make(3, r, 0, 0);
        size_t n = 1 + eg_random_below(&random, 25), n1 = 0;
        double score[32];
        int32_t label[32];
        for (size_t i = 0; i < n; i++) {
            label[i] = (int32_t)eg_random_below(&random, 2);
            n1 += (size_t)label[i];
            score[i] = (eg_random_below(&random, 16) + 2.0 * label[i]) / 20;
        }
        double cut = eg_threshold_accuracy(score, label, n);
        double youden = eg_threshold_youden(score, label, n);
        bool both = n1 > 0 && n1 < n;
        assert_int_equal(isnan(youden), !both);
        for (int g = -1; g <= 41; g++) {
            double t = g / 40.0;
            assert_true(gain(t, score, label, n, 1, 1) <= gain(cut, score, label, n, 1, 1));
            if (!both) continue;
            double w1 = (double)(n - n1), w0 = (double)n1;
            assert_true(gain(t, score, label, n, w1, w0) <= gain(youden, score, label, n, w1, w0));
            double cost = eg_threshold_cost(score, label, n, 1, 5, NAN);
            assert_true(gain(t, score, label, n, 5, 1) <= gain(cost, score, label, n, 5, 1));
            /* prevalence 0.1, false alarm 2, miss 7: weights of one case of each class */
            double rare = eg_threshold_cost(score, label, n, 2, 7, 0.1);
            w1 = 0.1 * 7 / (double)n1;
            w0 = 0.9 * 2 / (double)(n - n1);
            assert_true(gain(t, score, label, n, w1, w0) <=
                        gain(rare, score, label, n, w1, w0) + 1e-12);
            for (int s = 0; s <= 10; s++) { /* enough are found, and not with a larger threshold */
                double at = eg_threshold_sensitivity(score, label, n, s / 10.0);
                double found = gain(at, score, label, n, 1, 0);
                assert_true(found >= s * (double)n1 / 10 - 1e-9);
                if (t > at) assert_true(gain(t, score, label, n, 1, 0) <= found);
                if (gain(t, score, label, n, 1, 0) >= s * (double)n1 / 10 - 1e-9)
                    assert_true(gain(t, score, label, n, 0, 1) <= gain(at, score, label, n, 0, 1));
            }
        }
    }
}

static void test_threshold_place(void **unused) {
    (void)unused;
    const double score[4] = {0.1, 0.2, 0.6, 0.9};
    const int32_t apart[4] = {0, 0, 1, 1}, none[4] = {0, 0, 0, 0}, all[4] = {1, 1, 1, 1};
    assert_close(eg_threshold_accuracy(score, apart, 4), 0.4, 1e-15);
    assert_close(eg_threshold_youden(score, apart, 4), 0.4, 1e-15);
    assert_close(eg_threshold_accuracy(score, none, 4), 0.95, 1e-15);
    assert_close(eg_threshold_accuracy(score, all, 4), 0.05, 1e-15);
    /* equals: cuts at 0.15 and 0.75 are equally right; 0.75 is nearer to 0.5 */
    const int32_t mixed[4] = {0, 1, 0, 1};
    assert_close(eg_threshold_accuracy(score, mixed, 4), 0.75, 1e-15);
    /* neighbouring doubles leave no room between them; a score of 1 that must be negative */
    const double tight[2] = {0.5, nextafter(0.5, 1)}, one[2] = {1, 1};
    const int32_t up[2] = {0, 1};
    assert_true(eg_threshold_accuracy(tight, up, 2) == tight[1]);
    assert_true(eg_threshold_accuracy(one, none, 2) > 1);
    const double bad[2] = {0.1, NAN};
    assert_true(isnan(eg_threshold_accuracy(bad, up, 2)) && isnan(eg_threshold_youden(bad, up, 2)));
    assert_true(isnan(eg_threshold_accuracy(score, apart, 0)));
}

/* Youden is the cost rule with costs that undo the prevalence. */
static void test_cost_is_youden(void **unused) {
    (void)unused;
    const double score[6] = {0.1, 0.3, 0.35, 0.4, 0.7, 0.8};
    const int32_t label[6] = {0, 0, 1, 0, 1, 1};
    assert_true(eg_threshold_cost(score, label, 6, 1, 1, 0.5) ==
                eg_threshold_youden(score, label, 6));
    assert_close(eg_threshold_sensitivity(score, label, 6, 1), 0.325, 1e-15);
    assert_close(eg_threshold_sensitivity(score, label, 6, 2.0 / 3), 0.55, 1e-15);
    assert_close(eg_threshold_sensitivity(score, label, 6, 0), 0.9, 1e-15);
    assert_true(isnan(eg_threshold_cost(score, label, 6, -1, 1, NAN)));
    assert_true(isnan(eg_threshold_cost(score, label, 6, 0, 0, NAN)));
    assert_true(isnan(eg_threshold_cost(score, label, 6, 1, 1, 1.5)));
    assert_true(isnan(eg_threshold_cost(score, label, 2, 1, 1, NAN))); /* one class */
    assert_true(isnan(eg_threshold_sensitivity(score, label, 6, 1.01)));
    assert_true(isnan(eg_threshold_sensitivity(score, label, 2, 0.9)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threshold_best),
                                       cmocka_unit_test(test_threshold_place),
                                       cmocka_unit_test(test_cost_is_youden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
