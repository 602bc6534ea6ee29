/* ROC curves: area, DeLong's variance and paired test, curve points, average precision. One sort
 * each, O(n log n). Everything rests on "placements": for a positive case the number of
 * negatives it beats, ties half; for a negative the number of positives that beat it. They are
 * whole multiples of 1/2, so sums and comparisons of them are exact in double, and a variance of
 * zero is exactly zero. NaN scores, a missing class or no memory give NaN. Read first: Sun & Xu
 * (2014), IEEE Signal Processing Letters 21(11):1389, whose midrank difference this is. */
#include "stats/order.h"
#include "stats/placements.h"

#include <math.h>

typedef eg_stats_placements placing;

/* Ascending order of the scores (eg_free), or NULL: NaN among them, n too large, or no memory. */
static uint32_t *order_of(const double *score, size_t n) {
    if (n == 0 || n > UINT32_MAX / 2) return NULL;
    for (size_t i = 0; i < n; i++)
        if (isnan(score[i])) return NULL;
    uint32_t *order = eg_malloc(2 * n * sizeof *order);
    if (order) eg_stats_order(order, order + n, score, n);
    return order;
}

static void placements_fill(placing *p, const uint32_t *order, const double *score,
                            const int32_t *label, size_t n) {
    double below1 = 0, below0 = 0, sum = 0;
    for (size_t start = 0, end; start < n; start = end) {
        double tied1 = 0, tied0 = 0;
        for (end = start; end < n && score[order[end]] == score[order[start]]; end++) {
            if (label[order[end]] == 1)
                tied1++;
            else
                tied0++;
        }
        for (size_t k = start; k < end; k++) {
            bool positive = label[order[k]] == 1;
            p->v[order[k]] = positive ? below0 + 0.5 * tied0 : p->n1 - below1 - 0.5 * tied1;
        }
        sum += tied1 * (below0 + 0.5 * tied0);
        below1 += tied1;
        below0 += tied0;
    }
    p->auc = sum / (p->n1 * p->n0);
}

bool eg_stats_placements_make(placing *p, const double *score, const int32_t *label, size_t n) {
    *p = (placing){.auc = NAN};
    for (size_t i = 0; i < n; i++) {
        if (label[i] == 1)
            p->n1++;
        else
            p->n0++;
    }
    if (p->n1 == 0 || p->n0 == 0) return false;
    uint32_t *order = order_of(score, n);
    p->v = order ? eg_malloc(n * sizeof *p->v) : NULL;
    if (p->v) placements_fill(p, order, score, label, n);
    eg_free(order);
    return p->v != NULL;
}

double eg_auc(const double *score, const int32_t *label, size_t n) {
    placing p;
    if (!eg_stats_placements_make(&p, score, label, n)) return NAN;
    eg_free(p.v);
    return p.auc;
}

/* DeLong's variance of the area that belongs to v (or, with w, of the difference of the areas of
 * v and w): the sample variance of the placements in each class over the class's size. Taking
 * the difference first avoids the cancellation of s_aa + s_bb - 2 s_ab. NaN with fewer than two
 * cases in a class. */
static double delong_variance(const placing *p, const double *w, const int32_t *label, size_t n) {
    if (p->n1 < 2 || p->n0 < 2) return NAN;
    double mean[2] = {0, 0}, squares[2] = {0, 0};
    for (size_t i = 0; i < n; i++) mean[label[i] == 1] += p->v[i] - (w ? w[i] : 0);
    mean[1] /= p->n1;
    mean[0] /= p->n0;
    for (size_t i = 0; i < n; i++) {
        double d = p->v[i] - (w ? w[i] : 0) - mean[label[i] == 1];
        squares[label[i] == 1] += d * d;
    }
    return squares[1] / (p->n1 - 1) / p->n1 / (p->n0 * p->n0) +
           squares[0] / (p->n0 - 1) / p->n0 / (p->n1 * p->n1);
}

/* Interval of one area. In general Wald on the logit scale, sd / (auc (1 - auc)). When the
 * variance is 0 or undefined (perfect separation, all scores equal, a class of one) that would
 * be a point or nothing; then Clopper-Pearson with m = min(n1, n0) trials stands in, limits
 * taken at floor and ceiling of auc * m. For auc = 1 this is exact: among the pairs, m share no
 * case, so P(every pair is right) <= AUC^m, and AUC < (alpha/2)^(1/m), about 1 - 3.7 / m, is
 * refuted at alpha/2. Elsewhere it is on the wide side. */
static void area_interval(double ci[2], const placing *p, double variance, double level) {
    ci[0] = ci[1] = NAN;
    if (!(level > 0 && level < 1)) return;
    if (variance > 0 && p->auc > 0 && p->auc < 1) {
        double z = eg_normal_quantile(0.5 + 0.5 * level);
        double logit = log(p->auc / (1 - p->auc));
        double half = z * sqrt(variance) / (p->auc * (1 - p->auc));
        ci[0] = 1 / (1 + exp(half - logit));
        ci[1] = 1 / (1 + exp(-half - logit));
        return;
    }
    double m = p->n1 < p->n0 ? p->n1 : p->n0, limits[2];
    eg_clopper_pearson(limits, (int64_t)floor(p->auc * m), (int64_t)m, level);
    ci[0] = limits[0];
    eg_clopper_pearson(limits, (int64_t)ceil(p->auc * m), (int64_t)m, level);
    ci[1] = limits[1];
}

void eg_auc_delong(double *auc, double *variance, double ci[2], const double *score,
                   const int32_t *label, size_t n, double level) {
    placing p;
    *auc = *variance = ci[0] = ci[1] = NAN;
    if (!eg_stats_placements_make(&p, score, label, n)) return;
    *auc = p.auc;
    *variance = delong_variance(&p, NULL, label, n);
    area_interval(ci, &p, *variance, level);
    eg_free(p.v);
}

/* The difference has no spread in this sample. When both scores place every case alike, they are
 * one ranking and the interval is a point. Otherwise (one of them separates perfectly, or is
 * constant) the single intervals are added as if independent (Newcombe's square-and-add), and p
 * is unknown unless the areas are equal. */
static void paired_without_spread(double ci[2], double *p, const placing *a, const placing *b,
                                  double variance_a, double variance_b, size_t n, double level) {
    bool same = true;
    for (size_t i = 0; i < n && same; i++) same = a->v[i] == b->v[i];
    bool separated = a->auc == 0 || a->auc == 1; /* alike in sample, not in truth */
    double d = a->auc - b->auc;
    if (same && !separated) {
        ci[0] = ci[1] = 0;
        *p = 1;
        return;
    }
    double ca[2], cb[2];
    area_interval(ca, a, variance_a, level);
    area_interval(cb, b, variance_b, level);
    ci[0] = d - hypot(a->auc - ca[0], cb[1] - b->auc);
    ci[1] = d + hypot(ca[1] - a->auc, b->auc - cb[0]);
    *p = d == 0 ? 1 : NAN;
}

static void paired_compute(double ci[2], double *p, const placing *a, const placing *b,
                           const int32_t *label, size_t n, double level) {
    double d = a->auc - b->auc, variance = delong_variance(a, b->v, label, n);
    if (variance > 0) {
        double sd = sqrt(variance), z = eg_normal_quantile(0.5 + 0.5 * level);
        ci[0] = d - z * sd;
        ci[1] = d + z * sd;
        *p = 2 * eg_normal_cdf(-fabs(d) / sd);
    } else if (variance == 0) {
        paired_without_spread(ci, p, a, b, delong_variance(a, NULL, label, n),
                              delong_variance(b, NULL, label, n), n, level);
    }
    if (ci[0] < -1) ci[0] = -1;
    if (ci[1] > 1) ci[1] = 1;
}

void eg_auc_delong_paired(double *difference, double ci[2], double *p, const double *a,
                          const double *b, const int32_t *label, size_t n, double level) {
    placing pa, pb = {.v = NULL};
    *difference = ci[0] = ci[1] = *p = NAN;
    if (!eg_stats_placements_make(&pa, a, label, n)) return;
    if (eg_stats_placements_make(&pb, b, label, n)) {
        *difference = pa.auc - pb.auc;
        paired_compute(ci, p, &pa, &pb, label, n, level);
    }
    eg_free(pa.v);
    eg_free(pb.v);
}

/* Every distinct score is a point, as scikit-learn's roc_curve(drop_intermediate=False). The
 * axis of a missing class is NaN. Returns 0 when a score is NaN, n is 0, or memory runs out. */
size_t eg_roc_curve(double *fpr, double *tpr, double *threshold, const double *score,
                    const int32_t *label, size_t n) {
    uint32_t *order = order_of(score, n);
    if (!order) return 0;
    double n1 = 0, tp = 0, fp = 0;
    for (size_t i = 0; i < n; i++) n1 += label[i] == 1;
    double n0 = (double)n - n1;
    size_t count = 1;
    fpr[0] = n0 > 0 ? 0 : NAN;
    tpr[0] = n1 > 0 ? 0 : NAN;
    threshold[0] = INFINITY;
    for (size_t k = n; k-- > 0;) {
        if (label[order[k]] == 1)
            tp++;
        else
            fp++;
        double s = score[order[k]];
        if (k > 0 && score[order[k - 1]] == s) continue; /* a point only where a tie group ends */
        fpr[count] = n0 > 0 ? fp / n0 : NAN;
        tpr[count] = n1 > 0 ? tp / n1 : NAN;
        threshold[count++] = s;
    }
    eg_free(order);
    return count;
}

double eg_average_precision(const double *score, const int32_t *label, size_t n) {
    double n1 = 0, tp = 0, seen = 0, group = 0, sum = 0;
    for (size_t i = 0; i < n; i++) n1 += label[i] == 1;
    if (n1 == 0) return NAN;
    uint32_t *order = order_of(score, n);
    if (!order) return NAN;
    for (size_t k = n; k-- > 0;) {
        seen++;
        group += label[order[k]] == 1;
        if (k > 0 && score[order[k - 1]] == score[order[k]]) continue;
        tp += group;
        sum += group / n1 * (tp / seen); /* step of recall times the precision reached */
        group = 0;
    }
    eg_free(order);
    return sum;
}

/* Boyd, Eng & Page (2013): logit scale, standard error 1 / sqrt(n1 ap (1 - ap)). */
void eg_average_precision_interval(double ci[2], double ap, size_t n_positive, double level) {
    ci[0] = ci[1] = NAN;
    if (!(ap >= 0 && ap <= 1) || n_positive == 0 || !(level > 0 && level < 1)) return;
    if (ap == 0 || ap == 1) {
        eg_clopper_pearson(ci, (int64_t)(ap * (double)n_positive), (int64_t)n_positive, level);
        return;
    }
    double half = eg_normal_quantile(0.5 + 0.5 * level) / sqrt((double)n_positive * ap * (1 - ap));
    double logit = log(ap / (1 - ap));
    ci[0] = 1 / (1 + exp(half - logit));
    ci[1] = 1 / (1 + exp(-half - logit));
}

/* Every distinct score is a point, as scikit-learn's precision_recall_curve turned round. Recall is NaN without
 * positives. Returns 0 when a score is NaN, n is 0, or memory runs out. */
size_t eg_pr_curve(double *precision, double *recall, double *threshold, const double *score,
                   const int32_t *label, size_t n) {
    uint32_t *order = order_of(score, n);
    if (!order) return 0;
    double n1 = 0, tp = 0;
    for (size_t i = 0; i < n; i++) n1 += label[i] == 1;
    size_t count = 1;
    precision[0] = 1;
    recall[0] = n1 > 0 ? 0 : NAN;
    threshold[0] = INFINITY;
    for (size_t k = n; k-- > 0;) {
        tp += label[order[k]] == 1;
        if (k > 0 && score[order[k - 1]] == score[order[k]]) continue;
        precision[count] = tp / (double)(n - k);
        recall[count] = n1 > 0 ? tp / n1 : NAN;
        threshold[count++] = score[order[k]];
    }
    eg_free(order);
    return count;
}
