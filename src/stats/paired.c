/* Two classifiers on the same cases, two independent proportions, and the correction for many
 * tests. Paired: Tango's score interval (1998, Statistics in Medicine 17:891-908), whose test of 0
 * is McNemar's and which keeps its 95 % where few cases disagree, as Newcombe's method 10 does not
 * (docs/figures.md). Independent: Newcombe (1998, the same volume, 873-890), method 10, Wilson
 * limits combined by square-and-add. */
#include "stats/stats.h"

#include <math.h>

/* Tango's (1998) score statistic for a difference of `d` when b cases are right only by a, c only by b: the observed
 * difference minus d over its standard error at the most likely shares that have the difference d. Falls with d. */
static double score_statistic(double b, double c, double n, double d) {
    double B = (2 * n - b + c) * d - b - c, C = -c * d * (1 - d);
    double root = sqrt(fmax(B * B - 8 * n * C, 0));
    double q = B > 0 ? -2 * C / (root + B) : (root - B) / (4 * n); /* share of "only b" */
    double variance = n * (2 * q + d * (1 - d));
    return variance > 0 ? (b - c - n * d) / sqrt(variance) : 0;
}

/* The d in (low, high) at which the statistic passes `target`, by bisection to the last bit. */
static double score_limit(double b, double c, double n, double low, double high, double target) {
    for (int step = 0; step < 200; step++) {
        double mid = 0.5 * (low + high);
        if (mid <= low || mid >= high) break;
        if (score_statistic(b, c, n, mid) > target)
            low = mid;
        else
            high = mid;
    }
    return 0.5 * (low + high);
}

/* P(this split of `differ` discordant cases or a more uneven one | a fair coin), both sides. */
static double mcnemar_exact(int64_t only_a, int64_t only_b) {
    int64_t small = only_a < only_b ? only_a : only_b;
    double p = 2 * eg_binomial_cdf(small, only_a + only_b, 0.5);
    return p < 1 ? p : 1;
}

void eg_mcnemar(eg_paired *out, const uint8_t *correct_a, const uint8_t *correct_b, size_t n,
                double level) {
    *out = (eg_paired){.n = (int64_t)n, .difference = NAN, .ci = {NAN, NAN}, .p = NAN};
    if (n == 0) return;
    for (size_t i = 0; i < n; i++) {
        bool a = correct_a[i] != 0, b = correct_b[i] != 0;
        out->only_a += a && !b;
        out->only_b += b && !a;
    }
    double b = (double)out->only_a, c = (double)out->only_b, nn = (double)n;
    double z = eg_normal_quantile(0.5 + 0.5 * level);
    out->difference = (b - c) / nn;
    out->ci[0] = score_limit(b, c, nn, -1, out->difference, z);
    out->ci[1] = score_limit(b, c, nn, out->difference, 1, -z);
    out->p = mcnemar_exact(out->only_a, out->only_b);
}

void eg_difference_independent(double *difference, double ci[2], int64_t k1, int64_t n1, int64_t k2,
                               int64_t n2, double level) {
    double c1[2], c2[2];
    eg_wilson(c1, k1, n1, level);
    eg_wilson(c2, k2, n2, level);
    *difference = ci[0] = ci[1] = NAN;
    if (isnan(c1[0]) || isnan(c2[0])) return;
    double p1 = (double)k1 / (double)n1, p2 = (double)k2 / (double)n2;
    *difference = p1 - p2;
    ci[0] = *difference - hypot(p1 - c1[0], c2[1] - p2);
    ci[1] = *difference + hypot(c1[1] - p1, p2 - c2[0]);
}

/* Step-down Bonferroni: the i-th smallest p times (n - i), made monotone, at most 1. NaN (no
 * test was possible) stays NaN and does not count as a test. A family of tests is a handful, so
 * ranking by comparison, O(n^2), is enough and needs no memory that could be missing. Values
 * already adjusted wait with their sign bit set. */
void eg_holm(double *p, size_t n) {
    size_t tests = 0, done = 0;
    for (size_t i = 0; i < n; i++) tests += !isnan(p[i]);
    double running = 0;
    while (done < tests) {
        double next = INFINITY;
        for (size_t i = 0; i < n; i++)
            if (!signbit(p[i]) && p[i] < next) next = p[i];
        running = fmax(running, fmin(next * (double)(tests - done), 1));
        size_t before = done;
        for (size_t i = 0; i < n; i++) {
            if (signbit(p[i]) || p[i] != next) continue;
            p[i] = -running;
            done++;
        }
        if (done == before) break; /* only infinities left: not p-values */
    }
    for (size_t i = 0; i < n; i++) p[i] = fabs(p[i]);
}
