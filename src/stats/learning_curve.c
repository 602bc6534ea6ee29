/* Learning curve: error against the number of training images as a + b n^-c (Hestness et al. 2017; the inverse power
 * law of Figueroa et al. 2012), and what it says about more data. Few points and three constants: the interval of a
 * forecast is the message, not its middle. */
#include "stats/resample.h"

#include <math.h>

enum { CURVE_STREAM = 0x63757276 /* "curv" */, GRID = 120, DEFAULT_DRAWS = 1000 };
static const double LEAST_C = 0.01, MOST_C = 3;

typedef struct {
    const double *size, *error, *sigma; /* (m); sigma may be NULL */
    size_t m;
    double unit; /* smallest size: sizes are counted in it, so that n^-c is near 1 */
} curve;

static double weight_at(const curve *c, size_t i) {
    return c->sigma ? 1 / (c->sigma[i] * c->sigma[i]) : 1;
}

static double residual_of(const curve *c, double a, double b, double exponent) {
    double sum = 0;
    for (size_t i = 0; i < c->m; i++) {
        double r = c->error[i] - a - b * pow(c->size[i] / c->unit, -exponent);
        sum += weight_at(c, i) * r * r;
    }
    return sum;
}

/* Best a >= 0 and b >= 0 for this exponent: the free solution of the normal equations, or the better of the two edges. */
static double solve_linear(double *a, double *b, const curve *c, double exponent) {
    double w = 0, wu = 0, wuu = 0, wy = 0, wuy = 0;
    for (size_t i = 0; i < c->m; i++) {
        double v = weight_at(c, i), u = pow(c->size[i] / c->unit, -exponent), y = c->error[i];
        w += v;
        wu += v * u;
        wuu += v * u * u;
        wy += v * y;
        wuy += v * u * y;
    }
    double det = w * wuu - wu * wu;
    if (det > 1e-14 * w * wuu) {
        *a = (wuu * wy - wu * wuy) / det;
        *b = (w * wuy - wu * wy) / det;
        if (*a >= 0 && *b >= 0) return residual_of(c, *a, *b, exponent);
    }
    double flat = fmax(wy / w, 0), steep = fmax(wuy / wuu, 0);
    double of_flat = residual_of(c, flat, 0, exponent),
           of_steep = residual_of(c, 0, steep, exponent);
    *a = of_flat <= of_steep ? flat : 0;
    *b = of_flat <= of_steep ? 0 : steep;
    return fmin(of_flat, of_steep);
}

/* The residual as a function of the exponent alone: the best point of a logarithmic grid, then golden section between
 * its neighbours. */
static void fit(eg_power_law *out, const curve *c) {
    double a, b, step = log(MOST_C / LEAST_C) / GRID, best = INFINITY;
    int at = 0;
    for (int g = 0; g <= GRID; g++) {
        double r = solve_linear(&a, &b, c, LEAST_C * exp(step * g));
        if (r < best) best = r, at = g;
    }
    double low = log(LEAST_C) + step * (at > 0 ? at - 1 : 0);
    double high = log(LEAST_C) + step * (at < GRID ? at + 1 : GRID);
    const double golden = 0.5 * (sqrt(5) - 1);
    for (int k = 0; k < 60; k++) {
        double left = high - golden * (high - low), right = low + golden * (high - low);
        if (solve_linear(&a, &b, c, exp(left)) <= solve_linear(&a, &b, c, exp(right)))
            high = right;
        else
            low = left;
    }
    out->c = exp(0.5 * (low + high));
    out->residual = solve_linear(&out->a, &b, c, out->c);
    out->b = b * pow(c->unit, out->c);
}

static eg_status inputs_check(const curve *c, eg_error *err) {
    bool differ = false;
    if (c->m < 3)
        return eg_fail(err, EG_ERR_INPUT, "learning curve: %zu sizes, expected at least 3", c->m);
    for (size_t i = 0; i < c->m; i++) {
        bool sigma = !c->sigma || (c->sigma[i] > 0 && isfinite(c->sigma[i]));
        if (!(c->size[i] > 0) || !isfinite(c->size[i]) || !isfinite(c->error[i]) || !sigma)
            return eg_fail(err, EG_ERR_INPUT,
                           "learning curve: point %zu: size %g, error %g, sd %g: expected positive "
                           "numbers",
                           i, c->size[i], c->error[i], c->sigma ? c->sigma[i] : 1);
        differ = differ || c->size[i] != c->size[0];
    }
    return differ
               ? EG_OK
               : eg_fail(err, EG_ERR_INPUT, "learning curve: all %zu points have the same size %g",
                         c->m, c->size[0]);
}

static double smallest(const double *x, size_t n) {
    double least = INFINITY;
    for (size_t i = 0; i < n; i++) least = fmin(least, x[i]);
    return least;
}

eg_status eg_power_law_fit(eg_power_law *out, const double *size, const double *error,
                           const double *sigma, size_t m, eg_error *err) {
    curve c = {size, error, sigma, m, smallest(size, m)};
    EG_TRY(inputs_check(&c, err));
    fit(out, &c);
    return EG_OK;
}

double eg_power_law_at(const eg_power_law *law, double size) {
    return law->a + law->b * pow(size, -law->c);
}

eg_status eg_power_law_predict(eg_resampled *out, const double *size, const double *error,
                               const double *sigma, size_t m, double at,
                               const eg_resample_options *o, eg_error *err) {
    eg_power_law law, drawn;
    EG_TRY(eg_power_law_fit(&law, size, error, sigma, m, err));
    size_t r = o->n_resamples > 0 ? (size_t)o->n_resamples : DEFAULT_DRAWS;
    double level = o->level > 0 && o->level < 1 ? o->level : 0.95;
    /* without a known spread the residuals must tell it, which takes more points than constants */
    double spread = m > 3 ? sqrt(law.residual / (double)(m - 3)) : NAN;
    if (!sigma && isnan(spread))
        return eg_fail(err, EG_ERR_INPUT,
                       "learning curve: 3 points leave nothing to see their spread by - give it, "
                       "or a fourth point");
    double *value = eg_malloc((r + m) * sizeof *value);
    uint32_t *order = eg_malloc(2 * r * sizeof *order);
    eg_status status = EG_OK;
    if (value && order) {
        curve c = {size, value + r, sigma, m, smallest(size, m)};
        for (size_t k = 0; k < r; k++) {
            eg_random random = eg_random_make(o->seed, (uint32_t)k, 0, CURVE_STREAM);
            for (size_t i = 0; i < m; i++)
                value[r + i] = eg_power_law_at(&law, size[i]) +
                               (sigma ? sigma[i] : spread) * eg_random_normal(&random);
            fit(&drawn, &c);
            value[k] = eg_power_law_at(&drawn, at);
        }
        *out = (eg_resampled){.estimate = eg_power_law_at(&law, at)};
        eg_stats_summarise(out, value, r, order, NAN, level, false);
    } else {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "learning curve: no memory for %zu draws", r);
    }
    eg_free(value);
    eg_free(order);
    return status;
}
