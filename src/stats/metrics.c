/* Figures of one classifier from its class probabilities: loss, accuracy, recalls, areas,
 * calibration, confusion; the correction of probabilities for another class mix. Definitions are scikit-learn's, except that what it reports as 0 with a warning (a
 * ratio 0/0) is NaN here. Read first: roc.c (areas), interval.c (Wilson). Not here: the choice of a
 * threshold (threshold.c), intervals by resampling (metric_resample.c). */
#include "stats/stats.h"

#include <math.h>

enum { ECE_BINS = 15 };

static double ratio(int64_t a, int64_t b) {
    return b > 0 ? (double)a / (double)b : NAN;
}

static eg_status inputs_check(const double *prob, const int32_t *label, size_t n, int n_classes,
                              eg_error *err) {
    if (n == 0 || n_classes < 2)
        return eg_fail(err, EG_ERR_INPUT,
                       "metrics: %zu cases and %d classes, expected at least one case and two "
                       "classes",
                       n, n_classes);
    for (size_t i = 0; i < n; i++) {
        if (label[i] < 0 || label[i] >= n_classes)
            return eg_fail(err, EG_ERR_INPUT, "metrics: case %zu: label %d, expected 0 to %d", i,
                           label[i], n_classes - 1);
        for (int k = 0; k < n_classes; k++) {
            double p = prob[i * (size_t)n_classes + (size_t)k];
            if (p >= 0 && p <= 1 + 1e-6) continue;
            return eg_fail(err, EG_ERR_INPUT,
                           "metrics: case %zu, class %d: probability %g, expected 0 to 1 - did "
                           "training diverge?",
                           i, k, p);
        }
    }
    return EG_OK;
}

static int predict(const double *row, int n_classes, double threshold) {
    if (n_classes == 2 && !isnan(threshold)) return row[1] >= threshold;
    int best = 0;
    for (int k = 1; k < n_classes; k++)
        if (row[k] > row[best]) best = k;
    return best;
}

/* One pass over the cases: loss, Brier score, calibration, confusion, number right. The Brier
 * score is scikit-learn's: (p1 - y)^2 for two classes, the sum over the classes for more.
 * Calibration (Guo et al. 2017): bins (lo, hi] of the predicted class's probability, |accuracy -
 * confidence| weighted by the bin's share. */
static void cases_sum(eg_metrics *m, const double *prob, const int32_t *label, double threshold) {
    int K = m->n_classes;
    double confidence[ECE_BINS] = {0}, right[ECE_BINS] = {0}, loss = 0, brier = 0, gap = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const double *row = prob + i * K;
        int guess = predict(row, K, threshold), truth = label[i];
        loss -= log(fmax(row[truth], 1e-12));
        double squares = 0;
        for (int k = 0; k < K; k++) {
            double d = row[k] - (k == truth);
            squares += d * d;
        }
        brier += K == 2 ? (row[1] - truth) * (row[1] - truth) : squares;
        int bin = (int)ceil(row[guess] * ECE_BINS) - 1;
        bin = bin < 0 ? 0 : bin >= ECE_BINS ? ECE_BINS - 1 : bin;
        confidence[bin] += row[guess];
        right[bin] += guess == truth;
        m->correct += guess == truth;
        m->confusion[truth * K + guess]++;
    }
    for (int b = 0; b < ECE_BINS; b++) gap += fabs(right[b] - confidence[b]);
    double n = (double)m->n;
    m->loss = loss / n;
    m->brier = brier / n;
    m->ece = gap / n;
}

/* Mean recall over the classes that have cases; macro F1 over the classes that occur as truth or
 * prediction. */
static void classes_average(eg_metrics *m) {
    int K = m->n_classes, with_recall = 0, with_f1 = 0;
    double recall = 0, f1 = 0;
    for (int k = 0; k < K; k++) {
        int64_t hit = m->confusion[k * K + k], truth = 0, guess = 0;
        for (int j = 0; j < K; j++) {
            truth += m->confusion[k * K + j];
            guess += m->confusion[j * K + k];
        }
        if (truth > 0) recall += ratio(hit, truth), with_recall++;
        if (truth + guess > 0) f1 += ratio(2 * hit, truth + guess), with_f1++;
    }
    m->balanced_accuracy = with_recall ? recall / with_recall : NAN;
    m->f1 = with_f1 ? f1 / with_f1 : NAN;
}

static void binary_figures(eg_metrics *m) {
    int64_t tn = m->confusion[0], fp = m->confusion[1], fn = m->confusion[2], tp = m->confusion[3];
    m->sensitivity = ratio(tp, tp + fn);
    m->specificity = ratio(tn, tn + fp);
    eg_wilson(m->sensitivity_ci, tp, tp + fn, 0.95);
    eg_wilson(m->specificity_ci, tn, tn + fp, 0.95);
    m->ppv = ratio(tp, tp + fp);
    m->npv = ratio(tn, tn + fn);
    eg_wilson(m->ppv_ci, tp, tp + fp, 0.95);
    eg_wilson(m->npv_ci, tn, tn + fn, 0.95);
    m->f1 = ratio(2 * tp, 2 * tp + fp + fn);
    double margins =
        sqrt((double)(tp + fp) * (double)(tp + fn)) * sqrt((double)(tn + fp) * (double)(tn + fn));
    double cross = (double)tp * (double)tn - (double)fp * (double)fn;
    m->mcc = margins > 0 ? cross / margins : NAN;
}

/* Two classes: DeLong and average precision. More: mean of the one-against-rest areas, NaN unless
 * every class has cases. False: no memory. */
static bool areas_compute(eg_metrics *m, const double *prob, const int32_t *label) {
    size_t n = (size_t)m->n, n1 = 0;
    if (m->n_classes > 2) {
        eg_auc_rest rest;
        if (eg_auc_one_vs_rest(&rest, prob, label, n, m->n_classes, 0.95, NULL) != EG_OK)
            return false;
        m->auc = rest.macro;
        for (int e = 0; e < 2; e++) m->auc_ci[e] = rest.macro_ci[e];
        return true;
    }
    double *score = eg_malloc(n * sizeof *score), variance;
    if (!score) return false;
    for (size_t i = 0; i < n; i++) {
        score[i] = prob[2 * i + 1];
        n1 += label[i] == 1;
    }
    eg_auc_delong(&m->auc, &variance, m->auc_ci, score, label, n, 0.95);
    m->ap = eg_average_precision(score, label, n);
    eg_average_precision_interval(m->ap_ci, m->ap, n1, 0.95);
    eg_free(score);
    /* NaN with both classes there, or with a positive one: no memory */
    return (!isnan(m->auc) || n1 == 0 || n1 == n) && (!isnan(m->ap) || n1 == 0);
}

eg_status eg_metrics_compute(eg_metrics *out, const double *prob, const int32_t *label, size_t n,
                             int n_classes, double threshold, eg_error *err) {
    EG_TRY(inputs_check(prob, label, n, n_classes, err));
    eg_metrics m = {.n = (int64_t)n, .n_classes = n_classes};
    m.sensitivity = m.specificity = m.ppv = m.npv = m.mcc = m.auc = m.ap = NAN;
    for (int e = 0; e < 2; e++) {
        m.auc_ci[e] = m.sensitivity_ci[e] = m.specificity_ci[e] = NAN;
        m.ppv_ci[e] = m.npv_ci[e] = m.ap_ci[e] = NAN;
    }
    m.confusion = eg_calloc((size_t)n_classes * (size_t)n_classes, sizeof *m.confusion);
    if (!m.confusion || !areas_compute(&m, prob, label)) {
        eg_metrics_free(&m);
        return eg_fail(err, EG_ERR_NO_MEMORY, "metrics: no memory for %zu cases", n);
    }
    cases_sum(&m, prob, label, threshold);
    classes_average(&m);
    m.accuracy = ratio(m.correct, m.n);
    eg_wilson(m.accuracy_ci, m.correct, m.n, 0.95);
    eg_kappa(&m.kappa, m.kappa_ci, m.confusion, n_classes, 0.95);
    if (n_classes == 2) binary_figures(&m);
    *out = m;
    return EG_OK;
}

void eg_metrics_free(eg_metrics *m) {
    if (!m) return;
    eg_free(m->confusion);
    m->confusion = NULL;
}

/* Saerens, Latinne & Decaestecker (2002), eq. 4. A class without share in `from` keeps
 * probability 0; a row in which nothing is left stays as it was. */
void eg_prior_shift(double *prob, size_t n, int n_classes, const double *from, const double *to) {
    size_t K = (size_t)n_classes;
    for (size_t i = 0; i < n; i++) {
        double *row = prob + i * K, sum = 0;
        for (size_t k = 0; k < K; k++) sum += from[k] > 0 ? row[k] * to[k] / from[k] : 0;
        if (!(sum > 0)) continue;
        for (size_t k = 0; k < K; k++) row[k] = from[k] > 0 ? row[k] * to[k] / from[k] / sum : 0;
    }
}
