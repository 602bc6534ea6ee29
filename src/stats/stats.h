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
/* Its interval on the logit scale from the number of positive cases (Boyd et al. 2013); Clopper-Pearson at 0 and 1. */
void eg_average_precision_interval(double ci[2], double ap, size_t n_positive, double level);
/* Precision and recall from strictest to loosest threshold, starting (1, 0, inf); arrays of at least n + 1. Count. */
size_t eg_pr_curve(double *precision, double *recall, double *threshold, const double *score,
                   const int32_t *label, size_t n);
/* DeLong for m scores of the same cases (delong_many.c): areas (m), their covariance (m, m), and the test that all
 * areas are equal, chi-square with `df` degrees (the rank of the differences' covariance). NaN: undefined. */
typedef struct {
    double chi2, df, p;
} eg_auc_test;
eg_status eg_auc_delong_many(double *auc, double *covariance, eg_auc_test *test,
                             const double *const *score, size_t m, const int32_t *label, size_t n,
                             eg_error *err);

/* ---- classification metrics (metrics.c) ---- */
typedef struct {
    int64_t n, correct;
    int n_classes;
    double loss;                     /* mean cross-entropy, nats, plain */
    double accuracy, accuracy_ci[2]; /* Wilson */
    double balanced_accuracy;        /* mean recall */
    double auc, auc_ci[2]; /* binary: DeLong; K classes: macro one-against-rest, by influence */
    double sensitivity, sensitivity_ci[2], specificity,
        specificity_ci[2];       /* binary only (class 1 positive), else NaN */
    double ppv, npv, f1, mcc;    /* binary; f1 macro for K classes */
    double ppv_ci[2], npv_ci[2]; /* Wilson, given the number predicted so */
    double ap, ap_ci[2];         /* average precision, binary */
    double kappa, kappa_ci[2];   /* Cohen (1960); interval: Fleiss, Cohen & Everitt (1969) */
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
/* The same for the least expected cost of a case, c_fp (1 - prevalence) FPR + c_fn prevalence FNR; prevalence NaN:
 * that of these data. NaN: a class is missing, or costs and prevalence make no sense. */
double eg_threshold_cost(const double *score, const int32_t *label, size_t n, double c_fp,
                         double c_fn, double prevalence);
/* The largest threshold (most specific) with at least `target` sensitivity on these data. */
double eg_threshold_sensitivity(const double *score, const int32_t *label, size_t n, double target);
/* Prior correction of probabilities (Saerens et al. 2002) from class shares `from` to `to`; in place, (n, K). */
void eg_prior_shift(double *prob, size_t n, int n_classes, const double *from, const double *to);

/* ---- paired comparison of two classifiers on the same cases (paired.c) ---- */
typedef struct {
    int64_t n, only_a, only_b; /* cases that only a / only b gets right */
    double difference, ci[2];  /* accuracy a - b; interval: Tango's (1998) score interval */
    double p;                  /* McNemar, exact binomial, two-sided; 1 when they never differ */
} eg_paired;
void eg_mcnemar(eg_paired *out, const uint8_t *correct_a, const uint8_t *correct_b, size_t n,
                double level);
/* Difference of two independent proportions k1/n1 - k2/n2 with Newcombe's (1998) hybrid score interval, method 10. For the validation-test gap.                                                            */
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

/* ---- resampling (bootstrap.c, metric_resample.c) ---- */
typedef struct {
    const int32_t *stratum; /* (n) or NULL. Each stratum keeps its number of units */
    const int32_t *cluster; /* (n) or NULL. Cases of one cluster (a patient) are drawn together;
                             * a cluster in several strata counts to the lowest of them */
    int n_resamples;        /* 0: 2000 */
    uint64_t seed;
    double level; /* 0: 0.95 */
    bool bca;     /* bias-corrected and accelerated (Efron 1987) instead of percentile limits */
} eg_resample_options;
typedef struct {
    double estimate, standard_error, ci[2];
    double
        p; /* two-sided, that the value is 0: inverted percentile interval, (count + 1) / (R + 1) */
    size_t kept; /* resamples with a value */
} eg_resampled;
/* `n_values` figures of the cases `indices` (m; m != n with clusters); NaN: undefined for them. */
typedef void (*eg_statistic)(void *context, double *value, const uint32_t *indices, size_t m);
eg_status eg_resample(eg_resampled *out, size_t n_values, eg_statistic statistic, void *context,
                      size_t n, const eg_resample_options *o, eg_error *err);

#define EG_METRIC_LIST(X)                                                                          \
    X(ACCURACY, accuracy)                                                                          \
    X(BALANCED_ACCURACY, balanced_accuracy)                                                        \
    X(LOSS, loss)                                                                                  \
    X(AUC, auc)                                                                                    \
    X(AP, ap)                                                                                      \
    X(SENSITIVITY, sensitivity)                                                                    \
    X(SPECIFICITY, specificity)                                                                    \
    X(PPV, ppv)                                                                                    \
    X(NPV, npv)                                                                                    \
    X(F1, f1)                                                                                      \
    X(MCC, mcc)                                                                                    \
    X(KAPPA, kappa)                                                                                \
    X(BRIER, brier)                                                                                \
    X(ECE, ece)
typedef enum {
#define EG_METRIC_ENUM(id, field) EG_METRIC_##id,
    EG_METRIC_LIST(EG_METRIC_ENUM)
#undef EG_METRIC_ENUM
        EG_METRIC_COUNT
} eg_metric;
const char *eg_metric_name(eg_metric metric); /* as in the documents: "balanced_accuracy" */
/* Predictions of one classifier, borrowed. */
typedef struct {
    const double *prob;   /* (n, K) */
    const int32_t *label; /* (n) */
    size_t n;
    int n_classes;
    double threshold; /* NaN: argmax */
} eg_predictions;
/* Every metric of m classifiers on the same cases with bootstrap intervals. each: (m, EG_METRIC_COUNT); pairs, or NULL:
 * differences of 0 - 1, 0 - 2, ... 1 - 2, ... (m (m - 1) / 2, EG_METRIC_COUNT). EG_ERR_MISMATCH: not the same cases. */
eg_status eg_metrics_resample(eg_resampled *each, eg_resampled *pairs, const eg_predictions *p,
                              size_t m, const eg_resample_options *o, eg_error *err);

/* ---- several classes (multiclass.c) ---- */
/* Cohen's kappa of a confusion (K, K) with its interval. */
void eg_kappa(double *kappa, double ci[2], const int64_t *confusion, int n_classes, double level);
/* One-against-rest areas: mean over the classes, and of all n K pairs (score, is it this class) together. Intervals on
 * the logit scale from the influence of each case on both, so that the K pairs of a case count as one case. */
typedef struct {
    double macro, macro_ci[2], micro, micro_ci[2];
} eg_auc_rest;
eg_status eg_auc_one_vs_rest(eg_auc_rest *out, const double *prob, const int32_t *label, size_t n,
                             int n_classes, double level, eg_error *err);

/* ---- calibration (calibration.c) ---- */
typedef struct {
    double low, high;  /* edges; a bin holds (low, high] */
    int64_t n, n_true; /* cases, and those whose outcome is 1 */
    double mean, rate,
        ci[2]; /* mean probability; n_true / n and its Wilson interval; NaN when empty */
} eg_reliability_bin;
/* Bins of equal width, or at quantiles of p (equal mass); edges as scikit-learn's calibration_curve. Returns the
 * expected calibration error, the mean of |rate - mean| weighted by n. NaN: n 0, no memory, p not in [0, 1]. */
double eg_reliability(eg_reliability_bin *bins, int n_bins, bool equal_mass, const double *p,
                      const uint8_t *outcome, size_t n);
typedef enum {
    EG_CALIBRATION_TEMPERATURE, /* softmax(log p / T): Guo et al. 2017; any number of classes */
    EG_CALIBRATION_PLATT, /* sigmoid(slope logit(p) + intercept), Platt's smoothed targets; binary */
    EG_CALIBRATION_ISOTONIC /* pool adjacent violators, linear between its points; binary */
} eg_calibration_kind;
typedef struct {
    eg_calibration_kind kind;
    double temperature; /* in [0.01, 100]; at an end: the data did not bound it */
    double slope, intercept;
    double *x, *y; /* (n_points) */
    size_t n_points;
} eg_calibration;
/* Fit on validation probabilities. EG_ERR_INPUT: a kind that needs two classes, one class only, bad probabilities. */
eg_status eg_calibration_fit(eg_calibration *out, eg_calibration_kind kind, const double *prob,
                             const int32_t *label, size_t n, int n_classes, eg_error *err);
void eg_calibration_apply(const eg_calibration *c, double *prob, size_t n, int n_classes);
void eg_calibration_free(eg_calibration *c);

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

/* ---- telling two kinds of images apart (domain.c) ---- */
typedef struct {
    const float *x;       /* (n, D) features */
    const int32_t *label; /* (n) 0 or 1: the split, or the class */
    const uint32_t *unit; /* (n) below n_units: images of one patient share a number */
    size_t n, D, n_units;
    int n_permutations; /* 0: no p */
    bool with_control;
    uint64_t seed;
} eg_domain_options;
typedef struct {
    double auc; /* of pairs inside a fold; NaN: no such pair */
    double p;   /* (1 + permutations that do as well) / (1 + permutations) */
    double
        control_auc; /* of random halves of the images with label 0, mean of 16; NaN: not asked for */
} eg_domain;
/* Five-fold cross-validated ridge regression of the label, a unit's images in one fold; labels permuted by whole units.
 * `score` (n) gets the held-out scores, NULL: not wanted. Takes 5 D^2 doubles. Same bits for any number of threads.
 * EG_ERR_INPUT: nothing given, a feature that is not finite; EG_ERR_NO_MEMORY. */
eg_status eg_domain_test(eg_domain *out, double *score, const eg_domain_options *o, eg_error *err);

/* ---- sample sizes, audit of printed figures, and the statistics of `why` ---- */
#include "stats/causes.h"

#endif
