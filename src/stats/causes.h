/* Part of the door of the stats room, included by stats.h and by nothing else: how many cases would tell, what printed
 * figures can be, and the statistics of `why` (learning curve, label noise, similarity of features, class shares).
 * The same rules hold: arrays in, numbers out, undefined is NaN.                                              */
#ifndef EG_STATS_CAUSES_H
#define EG_STATS_CAUSES_H

#include "stats/stats.h"

/* ---- how many cases would tell (sample_size.c); NaN when no number does ---- */
/* Paired proportions (Connor 1987): share of discordant pairs, difference of the two proportions. */
double eg_sample_size_paired(double discordant, double difference, double level, double power);
/* Any difference whose standard error on n cases is se: n ((z_a + z_b) se / difference)^2. For two areas: DeLong's. */
double eg_sample_size_scaled(double difference, double se, size_t n, double level, double power);
double eg_power_scaled(double difference, double se, double level); /* power at that n */

/* ---- audit of printed figures (audit.c) ---- */
/* A share as printed, exactly: percent = value / 10^decimals. */
typedef struct {
    int64_t value;
    int decimals;
} eg_printed;
/* "82.45%", "82.45" (percent) or "0.8245" (share, when it has a point and is at most 1). false: not such a number. */
bool eg_audit_parse(eg_printed *out, const char *text);
/* Is it k / n for a whole k, rounded half up or half to even? *k: the smallest such k. */
bool eg_audit_possible(int64_t *k, eg_printed p, int64_t n);
/* Smallest n in [from, to] for which all m are possible; 0: none. */
int64_t eg_audit_smallest_n(const eg_printed *p, size_t m, int64_t from, int64_t to);
/* Can it be the mean of the accuracies of batches of `batch` of n cases, the last one smaller and counted like the rest? */
bool eg_audit_possible_batches(eg_printed p, int64_t n, int64_t batch);
/* Least mean cross-entropy that goes with this accuracy: each wrong case costs at least ln 2. */
double eg_audit_loss_floor(double accuracy);

/* ---- why (learning_curve.c, confident.c, cka.c, prior_em.c) ---- */
/* error(n) = a + b n^-c, a >= 0, b >= 0, 0.01 <= c <= 3. */
typedef struct {
    double a, b, c, residual; /* weighted sum of squares */
} eg_power_law;
/* Least squares weighted by 1 / sigma^2 (sigma NULL: 1), c by search, a and b exact given c. m >= 3 sizes. */
eg_status eg_power_law_fit(eg_power_law *out, const double *size, const double *error,
                           const double *sigma, size_t m, eg_error *err);
double eg_power_law_at(const eg_power_law *law, double size);
/* The fit's error at `size` with an interval from refits to errors drawn about the fit (normal, sd sigma). */
eg_status eg_power_law_predict(eg_resampled *out, const double *size, const double *error,
                               const double *sigma, size_t m, double at,
                               const eg_resample_options *o, eg_error *err);
/* Confident learning (Northcutt, Jiang & Chuang 2021) on out-of-sample probabilities. */
typedef struct {
    double *joint; /* (K, K) share of cases: row = given label, column = likely label; sums to 1 */
    uint8_t *suspect;  /* (n) off the diagonal of the count matrix */
    double noise_rate; /* off-diagonal mass of `joint` */
    double null_mean, null_ci[2],
        p; /* of noise_rate when labels are drawn from the probabilities */
} eg_confident;
eg_status eg_confident_learn(eg_confident *out, const double *prob, const int32_t *label, size_t n,
                             int n_classes, const eg_resample_options *o, eg_error *err);
void eg_confident_free(eg_confident *c);
/* Share of labels of each class flipped, as the floor and ceiling that the class probability keeps however sure the
 * score is: P(1 | z) = e0 + (1 - e0 - e1) sigmoid(a z + b), z = logit of `score`, by maximum likelihood (a "lapse rate",
 * Wichmann & Hill 2001). p: likelihood ratio against e0 = e1 = 0: at the edge of the range, 1/2 chi-square(1) + 1/4 chi-square(2). */
typedef struct {
    double e0, e1, slope, intercept, log_ratio, p;
} eg_flip_rates;
eg_status eg_flip_rates_fit(eg_flip_rates *out, const double *score, const int32_t *label, size_t n,
                            eg_error *err);
/* Linear centred kernel alignment (Kornblith et al. 2019) of x (n, d1) and y (n, d2), in [0, 1]; NaN: one is constant.
 * Same bits for any number of threads. */
eg_status eg_cka_linear(double *out, const float *x, size_t d1, const float *y, size_t d2, size_t n,
                        eg_error *err);
/* Class shares of the cases behind prob (n, K) from a classifier made for the shares `from` (K), by EM (Saerens et al.
 * 2002): out (K) with bootstrap intervals. No label is looked at. */
eg_status eg_prior_estimate(eg_resampled *out, const double *prob, size_t n, int n_classes,
                            const double *from, const eg_resample_options *o, eg_error *err);

#endif
