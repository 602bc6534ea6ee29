/* Agreement and areas for any number of classes: Cohen's kappa, one-against-rest areas with intervals. The figures of
 * one class against the rest come from roc.c's placements; what is new here is that one case enters the area of every
 * class, so that errors add up case by case, not class by class. Read first: placements.h. */
#include "stats/placements.h"

#include <math.h>
#include <string.h>

/* Kappa = (po - pe) / (1 - pe). Variance: Fleiss, Cohen & Everitt (1969), eq. 13, by the delta method on the
 * multinomial counts: the influence of a case in cell (i, j). NaN: no case, or all in one class by both. */
void eg_kappa(double *kappa, double ci[2], const int64_t *confusion, int n_classes, double level) {
    size_t K = (size_t)n_classes;
    double n = 0, po = 0, pe = 0;
    *kappa = ci[0] = ci[1] = NAN;
    for (size_t i = 0; i < K * K; i++) n += (double)confusion[i];
    if (!(n > 0)) return;
    double first = 0, second = 0;
    for (size_t i = 0; i < K; i++) {
        double row = 0, column = 0;
        for (size_t j = 0; j < K; j++) {
            row += (double)confusion[i * K + j];
            column += (double)confusion[j * K + i];
        }
        po += (double)confusion[i * K + i] / n;
        pe += row / n * (column / n);
    }
    if (!(pe < 1)) return;
    *kappa = (po - pe) / (1 - pe);
    for (size_t i = 0; i < K; i++) {
        for (size_t j = 0; j < K; j++) {
            /* d kappa / d p_ij, up to a constant: [i = j] (1 - pe) - (column i + row j) (1 - po) */
            double margins = 0;
            for (size_t k = 0; k < K; k++)
                margins += (double)(confusion[k * K + i] + confusion[j * K + k]) / n;
            double d = (i == j) * (1 - pe) - margins * (1 - po);
            first += (double)confusion[i * K + j] / n * d * d;
        }
    }
    second = po * pe - 2 * pe + po;
    double variance = (first - second * second) / (n * pow(1 - pe, 4));
    double half = eg_normal_quantile(0.5 + 0.5 * level) * sqrt(fmax(variance, 0));
    ci[0] = fmax(*kappa - half, -1);
    ci[1] = fmin(*kappa + half, 1);
}

/* ---- areas ---- */

/* Interval on the logit scale from a sum of squared influences; the whole range where it has no spread. */
static void logit_interval(double ci[2], double area, double variance, double level) {
    ci[0] = ci[1] = NAN;
    if (isnan(area) || isnan(variance) || !(level > 0 && level < 1)) return;
    if (!(variance > 0) || area <= 0 || area >= 1) {
        ci[0] = area <= 0 || variance > 0 ? 0 : area;
        ci[1] = area >= 1 || variance > 0 ? 1 : area;
        return;
    }
    double z = eg_normal_quantile(0.5 + 0.5 * level), logit = log(area / (1 - area));
    double half = z * sqrt(variance) / (area * (1 - area));
    ci[0] = 1 / (1 + exp(half - logit));
    ci[1] = 1 / (1 + exp(-half - logit));
}

/* Add what each of the m scored things moves the area by, times n_things, to the case it belongs to (thing / per_case).
 * Positives: (placement / n0 - area) m / n1, negatives the same with n1: the first-order (Hajek) terms whose sample
 * variance is DeLong's. */
static void influence_add(double *influence, const eg_stats_placements *p, const int32_t *label,
                          size_t m, size_t per_case, double weight) {
    for (size_t i = 0; i < m; i++) {
        bool positive = label[i] == 1;
        double own = positive ? p->n1 : p->n0, other = positive ? p->n0 : p->n1;
        influence[i / per_case] += weight * (p->v[i] / other - p->auc) / own;
    }
}

static double variance_of(const double *influence, size_t n) {
    double squares = 0;
    for (size_t i = 0; i < n; i++) squares += influence[i] * influence[i];
    return n > 1 ? squares * (double)n / (double)(n - 1) : NAN;
}

static bool class_absent(const int32_t *label, size_t n, int32_t k) {
    for (size_t i = 0; i < n; i++)
        if (label[i] == k) return false;
    return true;
}

/* score, is_class: room for n K; influence: n. False: no memory. */
static bool rest_compute(eg_auc_rest *out, double *score, int32_t *is_class, double *influence,
                         const double *prob, const int32_t *label, size_t n, size_t K,
                         double level) {
    eg_stats_placements p;
    double sum = 0;
    bool whole = true;
    memset(influence, 0, n * sizeof *influence);
    for (size_t k = 0; k < K; k++) {
        for (size_t i = 0; i < n; i++) {
            score[i] = prob[i * K + k];
            is_class[i] = label[i] == (int32_t)k;
        }
        if (!eg_stats_placements_make(&p, score, is_class, n)) {
            bool absent = class_absent(label, n, (int32_t)k) || p.n0 == 0;
            if (!absent) return false;
            whole = false;
            continue;
        }
        influence_add(influence, &p, is_class, n, 1, 1 / (double)K);
        sum += p.auc / (double)K;
        eg_free(p.v);
    }
    out->macro = whole ? sum : NAN;
    logit_interval(out->macro_ci, out->macro, variance_of(influence, n), level);

    memset(influence, 0, n * sizeof *influence);
    for (size_t i = 0; i < n * K; i++) {
        score[i] = prob[i];
        is_class[i] = label[i / K] == (int32_t)(i % K);
    }
    if (!eg_stats_placements_make(&p, score, is_class, n * K)) return false;
    influence_add(influence, &p, is_class, n * K, K, 1);
    out->micro = p.auc;
    eg_free(p.v);
    logit_interval(out->micro_ci, out->micro, variance_of(influence, n), level);
    return true;
}

eg_status eg_auc_one_vs_rest(eg_auc_rest *out, const double *prob, const int32_t *label, size_t n,
                             int n_classes, double level, eg_error *err) {
    size_t K = (size_t)n_classes, all = 0;
    if (n == 0 || n_classes < 2 || !eg_mul(&all, n, K))
        return eg_fail(err, EG_ERR_INPUT,
                       "areas: %zu cases of %d classes, expected 1 and 2 or more", n, n_classes);
    for (size_t i = 0; i < all; i++) {
        if (!isnan(prob[i])) continue;
        return eg_fail(err, EG_ERR_INPUT, "areas: case %zu: a probability is not a number", i / K);
    }
    double *score = eg_malloc(all * sizeof *score), *influence = eg_malloc(n * sizeof *influence);
    int32_t *is_class = eg_malloc(all * sizeof *is_class);
    eg_auc_rest result = {0};
    bool ok = score && influence && is_class &&
              rest_compute(&result, score, is_class, influence, prob, label, n, K, level);
    eg_free(score);
    eg_free(influence);
    eg_free(is_class);
    if (!ok) return eg_fail(err, EG_ERR_NO_MEMORY, "areas: no memory for %zu cases", n);
    *out = result;
    return EG_OK;
}
