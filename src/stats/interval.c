/* Intervals of one proportion (Wilson, Clopper-Pearson) and of a mean (t). Differences of
 * proportions live in paired.c, areas under ROC curves in roc.c. Counts that make no sense (n <
 * 1, k outside [0, n]) give NaN. */
#include "stats/stats.h"

#include <math.h>

static bool proportion_makes_sense(int64_t k, int64_t n, double level) {
    return n >= 1 && k >= 0 && k <= n && level > 0 && level < 1;
}

void eg_wilson(double ci[2], int64_t k, int64_t n, double level) {
    ci[0] = ci[1] = NAN;
    if (!proportion_makes_sense(k, n, level)) return;
    double z = eg_normal_quantile(0.5 + 0.5 * level), nn = (double)n, p = (double)k / nn;
    double scale = 1 / (1 + z * z / nn);
    double centre = (p + z * z / (2 * nn)) * scale;
    double half = z * scale * sqrt(p * (1 - p) / nn + z * z / (4 * nn * nn));
    /* At the ends the formula gives 0 and 1 up to rounding; they are exact. */
    ci[0] = k == 0 ? 0 : centre - half;
    ci[1] = k == n ? 1 : centre + half;
}

/* The p at which P(X <= k | n, p), which falls with p, equals `target`; by bisection to the last
 * bit. */
static double binomial_p_at(int64_t k, int64_t n, double target) {
    double lo = 0, hi = 1;
    for (int step = 0; step < 2000; step++) {
        double mid = 0.5 * (lo + hi);
        if (mid <= lo || mid >= hi) break;
        if (eg_binomial_cdf(k, n, mid) > target)
            lo = mid;
        else
            hi = mid;
    }
    return 0.5 * (lo + hi);
}

/* Clopper & Pearson (1934): each tail, given its limit as the truth, has probability (1 - level)
 * / 2. */
void eg_clopper_pearson(double ci[2], int64_t k, int64_t n, double level) {
    ci[0] = ci[1] = NAN;
    if (!proportion_makes_sense(k, n, level)) return;
    double tail = 0.5 * (1 - level);
    ci[0] = k == 0 ? 0 : binomial_p_at(k - 1, n, 1 - tail);
    ci[1] = k == n ? 1 : binomial_p_at(k, n, tail);
}

void eg_mean_interval(double *mean, double ci[2], const double *x, size_t n, double level) {
    *mean = ci[0] = ci[1] = NAN;
    if (n == 0) return;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    double m = sum / (double)n;
    *mean = m;
    if (n < 2 || !(level > 0 && level < 1)) return; /* one value says nothing about its spread */
    for (size_t i = 0; i < n; i++) squares += (x[i] - m) * (x[i] - m);
    double error = sqrt(squares / (double)(n - 1) / (double)n);
    double half = eg_t_quantile(0.5 + 0.5 * level, (double)(n - 1)) * error;
    ci[0] = m - half;
    ci[1] = m + half;
}
