/* Private to stats: limits of a bootstrap distribution, apart from how it was drawn, so that a test can check them on
 * stored values. See bootstrap.c. */
#ifndef EG_STATS_RESAMPLE_H
#define EG_STATS_RESAMPLE_H

#include "stats/stats.h"

/* Quantile by linear interpolation between order statistics (NumPy's default, Hyndman & Fan type 7); n >= 1.
 *   order   (n) of eg_stats_order(x) */
double eg_stats_quantile(const double *x, const uint32_t *order, size_t n, double p);
/* Bias-corrected and accelerated limits (Efron 1987; SciPy's bootstrap method "BCa") of `n` values. NaN when all of
 * them lie on one side of the estimate. */
void eg_stats_bca(double ci[2], const double *value, const uint32_t *order, size_t n,
                  double estimate, double acceleration, double level);
/* Interval, spread and p of `r` resampled values; undefined ones (NaN: an AUC of one class) are left out.
 *   out     estimate is read, the rest written
 *   value   (r) overwritten
 *   order   (2 r) room */
void eg_stats_summarise(eg_resampled *out, double *value, size_t r, uint32_t *order,
                        double acceleration, double level, bool bca);

#endif
