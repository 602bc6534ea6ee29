/* The choice of an operating point: the threshold on a score (predicted positive: score >= threshold) that is best by
 * accuracy, Youden's J, expected cost, or that just reaches a sensitivity. To be chosen on validation data; what it
 * does on test is metrics.c's to say. NaN scores, a missing class or no memory give NaN. */
#include "stats/order.h"
#include "stats/stats.h"

#include <math.h>

/* A threshold between `below` and `above` (predicted positive: score >= threshold); `above`
 * itself when no double lies between them. */
static double midpoint(double below, double above) {
    double mid = below + 0.5 * (above - below);
    return mid > below && mid <= above ? mid : above;
}

/* The threshold under which exactly the `k` lowest scores are predicted negative. The ends,
 * where a neighbour is missing, borrow 0 and 1 as neighbours: scores are probabilities. */
static double threshold_at(const double *score, const uint32_t *order, size_t n, size_t k) {
    double low = score[order[0]], high = score[order[n - 1]];
    if (k == 0) return low > 0 ? midpoint(0, low) : low;
    if (k == n) return high < 1 ? midpoint(high, 1) : nextafter(high, INFINITY);
    return midpoint(score[order[k - 1]], score[order[k]]);
}

static uint32_t *order_of(const double *score, size_t n) {
    uint32_t *order = n > 0 && n <= UINT32_MAX / 2 ? eg_malloc(2 * n * sizeof *order) : NULL;
    if (order) eg_stats_order(order, order + n, score, n);
    return order;
}

/* Try every cut between distinct scores and both ends; keep the largest weight1 * TP + weight0 *
 * TN, and among equals the one nearest to 0.5. Whole weights give exact sums, so that equals are equal. */
static double threshold_best(const double *score, const int32_t *label, size_t n, double weight1,
                             double weight0) {
    uint32_t *order = order_of(score, n);
    if (!order) return NAN;
    double tp = 0, tn = 0, best = NAN, best_gain = -INFINITY;
    for (size_t i = 0; i < n; i++) tp += label[i] == 1;
    for (size_t k = 0; k <= n; k++) {
        if (k > 0 && label[order[k - 1]] == 1)
            tp--;
        else if (k > 0)
            tn++;
        if (k > 0 && k < n && score[order[k]] == score[order[k - 1]]) continue;
        double t = threshold_at(score, order, n, k), gain = weight1 * tp + weight0 * tn;
        if (gain > best_gain || (gain == best_gain && fabs(t - 0.5) < fabs(best - 0.5))) best = t;
        if (gain > best_gain) best_gain = gain;
    }
    eg_free(order);
    return best;
}

static bool any_nan(const double *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (isnan(x[i])) return true;
    return false;
}

static size_t positives(const int32_t *label, size_t n) {
    size_t n1 = 0;
    for (size_t i = 0; i < n; i++) n1 += label[i] == 1;
    return n1;
}

double eg_threshold_accuracy(const double *score, const int32_t *label, size_t n) {
    return any_nan(score, n) ? NAN : threshold_best(score, label, n, 1, 1);
}

/* Sensitivity + specificity times n1 * n0 is n0 TP + n1 TN. */
double eg_threshold_youden(const double *score, const int32_t *label, size_t n) {
    size_t n1 = positives(label, n);
    if (n1 == 0 || n1 == n || any_nan(score, n)) return NAN;
    return threshold_best(score, label, n, (double)(n - n1), (double)n1);
}

/* Cost saved against answering wrongly always: c_fn prevalence TPR + c_fp (1 - prevalence) TNR. With these data's own
 * prevalence it is, times n, c_fn TP + c_fp TN: exact for whole costs. */
double eg_threshold_cost(const double *score, const int32_t *label, size_t n, double c_fp,
                         double c_fn, double prevalence) {
    size_t n1 = positives(label, n);
    bool costs = c_fp >= 0 && c_fn >= 0 && c_fp + c_fn > 0 && isfinite(c_fp) && isfinite(c_fn);
    if (n1 == 0 || n1 == n || !costs || any_nan(score, n)) return NAN;
    if (isnan(prevalence)) return threshold_best(score, label, n, c_fn, c_fp);
    if (!(prevalence >= 0 && prevalence <= 1)) return NAN;
    return threshold_best(score, label, n, c_fn * prevalence / (double)n1,
                          c_fp * (1 - prevalence) / (double)(n - n1));
}

double eg_threshold_sensitivity(const double *score, const int32_t *label, size_t n,
                                double target) {
    size_t n1 = positives(label, n), found = 0;
    if (n1 == 0 || !(target >= 0 && target <= 1) || any_nan(score, n)) return NAN;
    /* TP needed: the share is compared as a count, safe from 0.95 not being a double */
    size_t needed = (size_t)ceil(target * (double)n1 - 1e-9);
    uint32_t *order = order_of(score, n);
    if (!order) return NAN;
    double t = NAN;
    for (size_t k = n; isnan(t); k--) { /* k lowest are negative; at k = 0 all n1 are found */
        bool cut = k == 0 || k == n || score[order[k - 1]] != score[order[k]];
        if (cut && found >= needed) t = threshold_at(score, order, n, k);
        if (k > 0) found += label[order[k - 1]] == 1;
    }
    eg_free(order);
    return t;
}
