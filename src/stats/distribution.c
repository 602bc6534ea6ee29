/* Distribution functions: normal, chi-square, Student's t, binomial, from the two incomplete
 * integrals (gamma, beta). Accuracy against SciPy: 1e-12 relative for ordinary arguments; with
 * shape parameters around 1e5 the prefactor's lgamma costs digits and 1e-10 is left. Quantiles
 * are found from the distribution functions by bisection or Halley steps, so that a quantile and
 * its function cannot disagree. No memory, no state. */
#include "stats/stats.h"

#include <float.h>
#include <math.h>

static const double SQRT2 = 1.41421356237309504880;
static const double SQRT_2PI = 2.50662827463100050242;
enum { MAX_TERMS = 1000000 };

/* lgamma without the global signgam, for x > 0. */
static double log_gamma(double x) {
    int sign;
    return lgamma_r(x, &sign);
}

double eg_normal_cdf(double z) {
    return 0.5 * erfc(-z / SQRT2);
}

/* Acklam's (2003) rational start, relative error 1e-9, for p in (0, 0.5]. */
static double normal_quantile_start(double p) {
    static const double a[6] = {-3.969683028665376e+01, 2.209460984245205e+02,
                                -2.759285104469687e+02, 1.383577518672690e+02,
                                -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[5] = {-5.447609879822406e+01, 1.615858368580409e+02,
                                -1.556989798598866e+02, 6.680131188771972e+01,
                                -1.328068155288572e+01};
    static const double c[6] = {-7.784894002430293e-03, -3.223964580411365e-01,
                                -2.400758277161838e+00, -2.549732539343734e+00,
                                4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[4] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                                3.754408661907416e+00};
    if (p < 0.02425) {
        double q = sqrt(-2 * log(p));
        return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
               ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    }
    double q = p - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

double eg_normal_quantile(double p) {
    if (!(p >= 0 && p <= 1)) return NAN;
    if (p == 0) return -INFINITY;
    if (p == 1) return INFINITY;
    if (p > 0.5) return -eg_normal_quantile(1 - p); /* the lower tail keeps its relative accuracy */
    double z = normal_quantile_start(p);
    for (int step = 0; step < 2; step++) { /* Halley: each step triples the correct digits */
        double u = (eg_normal_cdf(z) - p) * SQRT_2PI * exp(0.5 * z * z);
        z -= u / (1 + 0.5 * z * u);
    }
    return z;
}

/* Regularised lower incomplete gamma P(a, x): series below a + 1, Lentz's continued fraction
 * above. */
static double gamma_lower(double a, double x) {
    double front = exp(a * log(x) - x - log_gamma(a));
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int k = 1; k < MAX_TERMS && term > sum * DBL_EPSILON; k++) {
            term *= x / (a + k);
            sum += term;
        }
        return sum * front;
    }
    double b = x + 1 - a, c = 1 / DBL_MIN, d = 1 / b, h = d;
    for (int k = 1; k < MAX_TERMS; k++) {
        double an = -k * (k - a);
        b += 2;
        d = an * d + b;
        if (fabs(d) < DBL_MIN) d = DBL_MIN;
        c = b + an / c;
        if (fabs(c) < DBL_MIN) c = DBL_MIN;
        d = 1 / d;
        h *= d * c;
        if (fabs(d * c - 1) < DBL_EPSILON) break;
    }
    return 1 - front * h;
}

double eg_chi2_cdf(double x, double df) {
    if (isnan(x) || !(df > 0)) return NAN;
    if (x <= 0) return 0;
    if (isinf(x)) return 1;
    return gamma_lower(0.5 * df, 0.5 * x);
}

/* Continued fraction of the incomplete beta (Abramowitz & Stegun 26.5.8) by Lentz's method; fast
 * for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x) {
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (fabs(d) < DBL_MIN) d = DBL_MIN;
    d = 1 / d;
    double h = d;
    for (int m = 1; m < MAX_TERMS; m++) {
        double change = 1;
        for (int odd = 0; odd < 2; odd++) {
            double t = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                           : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + t * d;
            if (fabs(d) < DBL_MIN) d = DBL_MIN;
            c = 1 + t / c;
            if (fabs(c) < DBL_MIN) c = DBL_MIN;
            d = 1 / d;
            change = d * c;
            h *= change;
        }
        if (fabs(change - 1) < DBL_EPSILON) break;
    }
    return h;
}

/* Regularised incomplete beta I_x(a, b). The caller gives y = 1 - x too: near 1 the difference
 * would be lost. */
static double beta_lower(double a, double b, double x, double y) {
    if (x <= 0) return 0;
    if (y <= 0) return 1;
    double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log(y));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, y) / b;
}

/* P(T > t) for t >= 0. */
static double t_upper_tail(double t, double df) {
    double s = df + t * t;
    return 0.5 * beta_lower(0.5 * df, 0.5, df / s, t * t / s);
}

double eg_t_quantile(double p, double df) {
    if (!(p >= 0 && p <= 1) || !(df > 0)) return NAN;
    if (p == 0) return -INFINITY;
    if (p == 1) return INFINITY;
    if (p == 0.5) return 0;
    if (df > 1e10) return eg_normal_quantile(p);
    double tail = p < 0.5 ? p : 1 - p, lo = 0, hi = 1;
    while (hi < 1e300 && t_upper_tail(hi, df) > tail) hi *= 2;
    for (int step = 0; step < 2000; step++) { /* ends when no double lies between */
        double mid = 0.5 * (lo + hi);
        if (mid <= lo || mid >= hi) break;
        if (t_upper_tail(mid, df) > tail)
            lo = mid;
        else
            hi = mid;
    }
    return p < 0.5 ? -hi : hi;
}

double eg_binomial_cdf(int64_t k, int64_t n, double p) {
    if (n < 0 || !(p >= 0 && p <= 1)) return NAN;
    if (k < 0) return 0;
    if (k >= n) return 1;
    return beta_lower((double)(n - k), (double)k + 1, 1 - p, p);
}
