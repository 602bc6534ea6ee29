/* Percentile bootstrap over cases (Efron 1979). The statistic is a callback on resampled indices
 * and is called on the caller's thread only; every resample has its own random stream, so its
 * indices depend on (seed, number) alone. */
#include "stats/order.h"
#include "stats/stats.h"

#include <math.h>

enum { BOOTSTRAP_STREAM = 0x626f6f74 }; /* "boot": keeps clear of the streams of other rooms */

/* Quantile by linear interpolation between order statistics (NumPy's default, Hyndman & Fan type
 * 7). */
static double quantile(const double *x, const uint32_t *order, size_t n, double p) {
    double at = p * (double)(n - 1);
    size_t low = (size_t)at;
    if (low + 1 >= n) return x[order[n - 1]];
    double a = x[order[low]], b = x[order[low + 1]];
    return a + (at - (double)low) * (b - a);
}

static size_t resample_all(double *value, uint32_t *indices, size_t n, int n_resamples,
                           uint64_t seed,
                           double (*statistic)(void *context, const uint32_t *indices, size_t n),
                           void *context) {
    size_t kept = 0;
    for (int r = 0; r < n_resamples; r++) {
        eg_random random = eg_random_make(seed, (uint32_t)r, 0, BOOTSTRAP_STREAM);
        for (size_t i = 0; i < n; i++) indices[i] = eg_random_below(&random, (uint32_t)n);
        double v = statistic(context, indices, n);
        if (!isnan(v)) value[kept++] = v; /* e.g. an AUC of a resample with one class */
    }
    return kept;
}

eg_status eg_bootstrap(double ci[2],
                       double (*statistic)(void *context, const uint32_t *indices, size_t n),
                       void *context, size_t n, int n_resamples, uint64_t seed, double level,
                       eg_error *err) {
    if (n == 0 || n > UINT32_MAX || n_resamples < 1 || !(level > 0 && level < 1))
        return eg_fail(err, EG_ERR_INPUT,
                       "bootstrap: %zu cases, %d resamples, level %g: expected at least one case "
                       "and resample, and a level in (0, 1)",
                       n, n_resamples, level);
    size_t m = (size_t)n_resamples;
    double *value = eg_malloc(m * sizeof *value);
    uint32_t *indices = eg_malloc(n * sizeof *indices);
    uint32_t *order = eg_malloc(2 * m * sizeof *order);
    eg_status status = EG_OK;
    if (value && indices && order) {
        size_t kept = resample_all(value, indices, n, n_resamples, seed, statistic, context);
        eg_stats_order(order, order + m, value, kept);
        ci[0] = kept ? quantile(value, order, kept, 0.5 * (1 - level)) : NAN;
        ci[1] = kept ? quantile(value, order, kept, 0.5 * (1 + level)) : NAN;
    } else {
        status = eg_fail(err, EG_ERR_NO_MEMORY,
                         "bootstrap: no memory for %d resamples of %zu cases", n_resamples, n);
    }
    eg_free(value);
    eg_free(indices);
    eg_free(order);
    return status;
}
