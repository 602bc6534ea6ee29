/* Door of the stats room: arrays in, numbers out. Metrics with intervals, paired tests, the exact logistic head.
 * Knows no image and no network. Sources of formulas stand at the functions. All double; every interval 95 % unless
 * said. Undefined figures are NaN.                                                                            */
#ifndef EG_STATS_H
#define EG_STATS_H

#include "base/base.h"

/* ---- distributions (distribution.c) ---- */
double eg_normal_cdf(double z);
double eg_normal_quantile(double p);
double eg_chi2_cdf(double x, double df);
double eg_t_quantile(double p, double df);
double eg_binomial_cdf(int64_t k, int64_t n, double p);

/* ---- proportions (interval.c) ---- */
/* Wilson score interval (Wilson 1927) of k successes in n. */
void eg_wilson(double ci[2], int64_t k, int64_t n, double level);
/* Clopper-Pearson exact interval. */
void eg_clopper_pearson(double ci[2], int64_t k, int64_t n, double level);
/* Mean of n values with its t interval. */
void eg_mean_interval(double *mean, double ci[2], const double *x, size_t n, double level);

/* ---- ROC (roc.c): scores of the positive class, labels 0/1 ---- */
/* Area under the ROC curve = Mann-Whitney, ties count half. NaN when a class is absent. */
double eg_auc(const double *score, const int32_t *label, size_t n);
/* DeLong (1988) variance, by Sun & Xu's (2014) midranks; logit-transformed interval kept inside [0, 1]. */
void eg_auc_delong(double *auc, double *variance, double ci[2], const double *score,
                   const int32_t *label, size_t n, double level);
/* Paired DeLong test of two scores on the same labels: difference a - b, its interval, two-sided p. */
void eg_auc_delong_paired(double *difference, double ci[2], double *p, const double *a,
                          const double *b, const int32_t *label, size_t n, double level);
/* ROC points (fpr, tpr, threshold) from strictest to loosest, starting (0,0,inf); arrays of at least n + 1. Returns count. */
size_t eg_roc_curve(double *fpr, double *tpr, double *threshold, const double *score,
                    const int32_t *label, size_t n);
/* Average precision (step-wise, as scikit-learn). */
double eg_average_precision(const double *score, const int32_t *label, size_t n);

/* ---- classification metrics (metrics.c) ---- */
typedef struct {
    int64_t n, correct;
    int n_classes;
    double loss;                     /* mean cross-entropy, nats, plain */
    double accuracy, accuracy_ci[2]; /* Wilson */
    double balanced_accuracy;        /* mean recall */
    double auc, auc_ci[2]; /* binary: DeLong; K classes: macro one-against-rest, interval NaN */
    double sensitivity, sensitivity_ci[2], specificity,
        specificity_ci[2];    /* binary only (class 1 positive), else NaN */
    double ppv, npv, f1, mcc; /* binary; f1 macro for K classes */
    double brier,
        ece; /* mean squared error of probabilities; expected calibration error, 15 bins */
    int64_t *confusion; /* (K, K) row = truth, column = prediction; eg_free */
} eg_metrics;
/* prob (n, K) row-stochastic, label (n). Predicted class = argmax, or, binary, prob[1] >= threshold when threshold is
 * not NaN. `loss` clips probabilities at 1e-12.                                                              */
eg_status eg_metrics_compute(eg_metrics *out, const double *prob, const int32_t *label, size_t n,
                             int n_classes, double threshold, eg_error *err);
void eg_metrics_free(eg_metrics *m);
/* Threshold on the positive class's probability that maximises accuracy / Youden's J on these data (validation!);
 * midpoint between neighbouring scores, smallest distance to 0.5 among equals.                                */
double eg_threshold_accuracy(const double *score, const int32_t *label, size_t n);
double eg_threshold_youden(const double *score, const int32_t *label, size_t n);
/* Prior correction of probabilities (Saerens et al. 2002) from class shares `from` to `to`; in place, (n, K). */
void eg_prior_shift(double *prob, size_t n, int n_classes, const double *from, const double *to);

/* ---- paired comparison of two classifiers on the same cases (paired.c) ---- */
typedef struct {
    int64_t n, only_a, only_b; /* cases that only a / only b gets right */
    double difference,
        ci[2]; /* accuracy a - b; interval: Newcombe (1998) paired score, method 10 */
    double p;  /* McNemar, exact binomial, two-sided; 1 when they never differ */
} eg_paired;
void eg_mcnemar(eg_paired *out, const uint8_t *correct_a, const uint8_t *correct_b, size_t n,
                double level);
/* Difference of two independent proportions k1/n1 - k2/n2 with Newcombe's (1998) hybrid score interval, method 10's
 * unpaired sibling. For the validation-test gap.                                                            */
void eg_difference_independent(double *difference, double ci[2], int64_t k1, int64_t n1, int64_t k2,
                               int64_t n2, double level);
/* Holm (1979) adjusted p-values, in place, order kept. */
void eg_holm(double *p, size_t n);
/* Percentile bootstrap over cases of a mean difference etc.: resamples indices with replacement, seeded; statistic(ctx,
 * indices, n) is called n_resamples times. NaN results are dropped.                                         */
eg_status eg_bootstrap(double ci[2],
                       double (*statistic)(void *context, const uint32_t *indices, size_t n),
                       void *context, size_t n, int n_resamples, uint64_t seed, double level,
                       eg_error *err);

/* ---- exact logistic head (logistic.c): L2-penalised, L-BFGS with strong-Wolfe line search ---- */
typedef struct {
    double
        C; /* inverse penalty: minimise 0.5 |w|^2 + C sum_i s_i loss_i (scikit-learn's LogisticRegression) */
    int max_iterations;         /* default 1000 when 0 */
    double tolerance;           /* max |gradient| / max(1, sum C s_i), default 1e-8 when 0 */
    const double *class_weight; /* (K) or NULL = 1 */
    /* called after each iteration with the current coefficients; may be NULL; true = stop */
    bool (*iteration)(void *context, int iteration, const double *coef, const double *intercept,
                      double objective);
    void *context;
} eg_logistic_options;
/* x (n, D) float, label (n) in [0, K). K = 2: one weight vector, coef (1, D), intercept (1), logit of class 1.
 * K > 2: multinomial, coef (K, D), intercept (K). The intercept is not penalised. All sums in double, in fixed chunks:
 * same bits for any number of threads. EG_ERR_DIVERGED when it does not converge.                            */
eg_status eg_logistic_fit(double *coef, double *intercept, int *n_iterations, const float *x,
                          const int32_t *label, size_t n, size_t D, int n_classes,
                          const eg_logistic_options *o, eg_error *err);

/* ---- transferability of features (logme.c) ---- */

/* LogME (You et al. 2021, ICML): log evidence a sample of Bayesian linear regression of each class's 0/1 labels on
 * x (n, D), at its best prior and noise, mean over the classes. Higher: a linear head explains the labels better.
 * Takes min(n, D)^2 doubles. Same bits for any number of threads. EG_ERR_INPUT: fewer than 2 samples or classes, a
 * label out of range, a feature that is not finite; EG_ERR_NO_MEMORY; EG_ERR_DIVERGED.                        */
eg_status eg_logme(double *out, const float *x, const int32_t *label, size_t n, size_t D,
                   int n_classes, eg_error *err);

#endif
