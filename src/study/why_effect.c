/* Effects of `why` in points of accuracy, with interval and p. Cases are images, drawn by patients, because the images of one
 * patient are wrong together. Knows no cause. Read first: why.h, stats.h (eg_resample). */
#include "study/why.h"

#include <math.h>
#include <string.h>

/* Enough for p < 0.05 after Holm's correction over some thirty rows: the smallest p is 2 / 4001. */
enum { RESAMPLES = 4000, HANDFUL = 20 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the statistics of why");
}

void eg_study_why_right(double *right, const double *prob, const int32_t *label, size_t n,
                        int n_classes) {
    for (size_t i = 0; i < n; i++) {
        const double *row = prob + i * (size_t)n_classes;
        int best = 0;
        for (int k = 1; k < n_classes; k++)
            if (row[k] > row[best] || (n_classes == 2 && k == 1 && row[1] >= row[0])) best = k;
        right[i] = best == label[i];
    }
}

typedef struct {
    const double *a, *b;
    size_t n_a;
} two_sets;

/* Mean of the cases below n_a minus that of the others (0 without others). */
static void difference_of(void *context, double *value, const uint32_t *indices, size_t m) {
    const two_sets *s = context;
    double sum[2] = {0}, count[2] = {0};
    for (size_t i = 0; i < m; i++) {
        const bool second = indices[i] >= s->n_a;
        sum[second] += second ? s->b[indices[i] - s->n_a] : s->a[indices[i]];
        count[second]++;
    }
    *value = count[0] > 0 ? sum[0] / count[0] - (count[1] > 0 ? sum[1] / count[1] : 0) : NAN;
}

/* stratum: the set, so that the bootstrap keeps the sizes. */
static eg_status resample(eg_why_effect *out, two_sets *s, const uint32_t *cluster_a,
                          const uint32_t *cluster_b, size_t n_b, uint64_t seed, eg_error *err) {
    const size_t n = s->n_a + n_b;
    int32_t *stratum = eg_malloc((n + 1) * sizeof *stratum);
    int32_t *cluster = eg_malloc((n + 1) * sizeof *cluster);
    eg_status status = stratum && cluster ? EG_OK : no_memory(err);
    for (size_t i = 0; status == EG_OK && i < n; i++) {
        const bool second = i >= s->n_a;
        stratum[i] = second;
        /* a patient on both sides is two clusters: the sets are drawn apart */
        cluster[i] = (int32_t)(2 * (second ? cluster_b[i - s->n_a] : cluster_a[i]) + second);
    }
    eg_resampled r = {0};
    const eg_resample_options o = {
        .stratum = stratum, .cluster = cluster, .n_resamples = RESAMPLES, .seed = seed};
    if (status == EG_OK) status = eg_resample(&r, 1, difference_of, s, n, &o, err);
    eg_free(stratum);
    eg_free(cluster);
    EG_TRY(status);
    *out = (eg_why_effect){100 * r.estimate, {100 * r.ci[0], 100 * r.ci[1]}, isnan(r.p) ? 1 : r.p};
    return EG_OK;
}

eg_status eg_study_why_mean(eg_why_effect *out, const double *value, const uint32_t *cluster,
                            size_t n, uint64_t seed, eg_error *err) {
    int64_t up = 0, down = 0;
    for (size_t i = 0; i < n; i++) {
        up += value[i] > 0;
        down += value[i] < 0;
    }
    if (up + down == 0) { /* nothing changed at all */
        *out = (eg_why_effect){0, {0, 0}, 1};
        return EG_OK;
    }
    two_sets s = {value, NULL, n};
    EG_TRY(resample(out, &s, cluster, NULL, 0, seed, err));
    if (up + down >= HANDFUL) return EG_OK;
    /* sign test: of the cases that changed, half would go either way */
    double sign = 2 * eg_binomial_cdf(up < down ? up : down, up + down, 0.5);
    out->p = fmin(1, fmax(out->p, sign));
    return EG_OK;
}

eg_status eg_study_why_difference(eg_why_effect *out, const double *a, const uint32_t *cluster_a,
                                  size_t n_a, const double *b, const uint32_t *cluster_b,
                                  size_t n_b, uint64_t seed, eg_error *err) {
    if (n_a == 0 || n_b == 0)
        return eg_fail(err, EG_ERR_INPUT, "a difference of %zu and %zu cases", n_a, n_b);
    two_sets s = {a, b, n_a};
    EG_TRY(resample(out, &s, cluster_a, cluster_b, n_b, seed, err));
    /* the same guard as above: a normal test that takes the variance as at least that of one more case off */
    double mean[2] = {0}, variance = 0;
    for (size_t i = 0; i < n_a; i++) mean[0] += a[i] / (double)n_a;
    for (size_t i = 0; i < n_b; i++) mean[1] += b[i] / (double)n_b;
    for (int side = 0; side < 2; side++) {
        const double *x = side ? b : a, m = mean[side];
        const double n = (double)(side ? n_b : n_a);
        double square = 1;
        for (size_t i = 0; i < (side ? n_b : n_a); i++) square += (x[i] - m) * (x[i] - m);
        variance += square / (n * n);
    }
    double z = fabs(mean[0] - mean[1]) / sqrt(variance);
    out->p = fmin(1, fmax(out->p, 2 * (1 - eg_normal_cdf(z))));
    return EG_OK;
}
