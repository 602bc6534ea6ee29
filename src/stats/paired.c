/* Two classifiers on the same cases, two independent proportions, and the correction for many
 * tests. Newcombe's two 1998 papers in Statistics in Medicine: 17:873-890 (independent samples,
 * method 10) and 17:2635-2650 (paired, method 10). Read interval.c first: both combine Wilson
 * limits by square-and-add. */
#include "stats/stats.h"

#include <math.h>

/* Correlation of the two right/wrong indicators with Newcombe's continuity correction: a
 * positive e h - f g is drawn towards 0 by n / 2, never past it; 0 when a margin is empty. */
static double corrected_phi(double both, double only_a, double only_b, double none) {
    double n = both + only_a + only_b + none;
    double margins =
        sqrt((both + only_a) * (only_b + none)) * sqrt((both + only_b) * (only_a + none));
    double cross = both * none - only_a * only_b;
    if (cross > 0) cross = fmax(cross - 0.5 * n, 0);
    return margins > 0 ? cross / margins : 0;
}

static double square_and_add(double d, double e, double phi) {
    return sqrt(fmax(d * d - 2 * phi * d * e + e * e, 0));
}

/* P(this split of `differ` discordant cases or a more uneven one | a fair coin), both sides. */
static double mcnemar_exact(int64_t only_a, int64_t only_b) {
    int64_t small = only_a < only_b ? only_a : only_b;
    double p = 2 * eg_binomial_cdf(small, only_a + only_b, 0.5);
    return p < 1 ? p : 1;
}

void eg_mcnemar(eg_paired *out, const uint8_t *correct_a, const uint8_t *correct_b, size_t n,
                double level) {
    int64_t both = 0;
    *out = (eg_paired){.n = (int64_t)n, .difference = NAN, .ci = {NAN, NAN}, .p = NAN};
    if (n == 0) return;
    for (size_t i = 0; i < n; i++) {
        bool a = correct_a[i] != 0, b = correct_b[i] != 0;
        both += a && b;
        out->only_a += a && !b;
        out->only_b += b && !a;
    }
    int64_t none = out->n - both - out->only_a - out->only_b;
    double pa = (double)(both + out->only_a) / (double)n;
    double pb = (double)(both + out->only_b) / (double)n;
    double ca[2], cb[2];
    eg_wilson(ca, both + out->only_a, out->n, level);
    eg_wilson(cb, both + out->only_b, out->n, level);
    double phi =
        corrected_phi((double)both, (double)out->only_a, (double)out->only_b, (double)none);
    out->difference = (double)(out->only_a - out->only_b) / (double)n;
    out->ci[0] = fmax(out->difference - square_and_add(pa - ca[0], cb[1] - pb, phi), -1);
    out->ci[1] = fmin(out->difference + square_and_add(ca[1] - pa, pb - cb[0], phi), 1);
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
    ci[0] = *difference - square_and_add(p1 - c1[0], c2[1] - p2, 0);
    ci[1] = *difference + square_and_add(c1[1] - p1, p2 - c2[0], 0);
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
