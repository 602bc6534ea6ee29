/* The minimiser alone: Rosenbrock's valley, an ill-conditioned quadratic, stopping, and every
 * way to fail. */
#include "stats_close.h"

#include "base/base.h"
#include "stats/lbfgs.h"

enum { MAX_N = 50 };

typedef struct {
    size_t n;
    double largest; /* eigenvalue of the quadratic; the smallest is 1 */
    int calls, iterations, stop_after;
    double last_f;
} problem;

static double measure_of(const double *g, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = isnan(g[i]) ? INFINITY : fmax(largest, fabs(g[i]));
    return largest;
}

/* Extended Rosenbrock: minimum 0 at (1, ..., 1). */
static double rosenbrock(void *context, double *g, double *measure, const double *x) {
    problem *p = context;
    double f = 0;
    p->calls++;
    for (size_t i = 0; i + 1 < p->n; i += 2) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        f += 100 * a * a + b * b;
        g[i] = -400 * a * x[i] - 2 * b;
        g[i + 1] = 200 * a;
    }
    *measure = measure_of(g, p->n);
    return f;
}

static double quadratic_curvature(const problem *p, size_t i) {
    return pow(p->largest, (double)i / (double)(p->n - 1));
}

/* Minimum at x_i = i, value 1e6, so that differences near it drown in rounding. */
static double quadratic(void *context, double *g, double *measure, const double *x) {
    problem *p = context;
    double f = 1e6;
    p->calls++;
    for (size_t i = 0; i < p->n; i++) {
        double d = x[i] - (double)i;
        g[i] = quadratic_curvature(p, i) * d;
        f += 0.5 * g[i] * d;
    }
    *measure = measure_of(g, p->n);
    return f;
}

/* Finite near 0 only: the first steps must be shortened. Minimum at -1. */
static double walled(void *context, double *g, double *measure, const double *x) {
    (void)context;
    g[0] = 1 - 1 / (x[0] + 2);
    *measure = fabs(g[0]);
    return x[0] > -2 ? x[0] - log(x[0] + 2) : NAN;
}

static double wrong_gradient(void *context, double *g, double *measure, const double *x) {
    double f = quadratic(context, g, measure, x);
    for (size_t i = 0; i < ((problem *)context)->n; i++) g[i] = -g[i];
    return f;
}

static double not_finite(void *context, double *g, double *measure, const double *x) {
    (void)context;
    (void)x;
    g[0] = *measure = 1;
    return NAN;
}

static bool watch(void *context, int iteration, const double *x, double f) {
    problem *p = context;
    (void)x;
    assert_int_equal(iteration, p->iterations + 1);
    assert_true(f <= p->last_f + 1e-9 * fabs(p->last_f));
    p->iterations = iteration;
    p->last_f = f;
    return p->stop_after > 0 && iteration >= p->stop_after;
}

static eg_stats_lbfgs_end minimise(problem *p, double *x, double *measure,
                                   double (*f)(void *, double *, double *, const double *),
                                   const double *scale, double tolerance, int limit) {
    int iterations;
    p->last_f = INFINITY;
    eg_stats_lbfgs_problem q = {.n = p->n,
                                .history = 10,
                                .max_iterations = limit,
                                .tolerance = tolerance,
                                .scale = scale,
                                .evaluate = f,
                                .iteration = watch,
                                .context = p};
    eg_stats_lbfgs_end end = eg_stats_lbfgs(x, &iterations, measure, &q);
    assert_int_equal(iterations, p->iterations);
    return end;
}

static void test_rosenbrock(void **unused) {
    (void)unused;
    for (size_t n = 2; n <= 40; n += 38) {
        problem p = {.n = n};
        double x[MAX_N], measure;
        for (size_t i = 0; i < n; i++) x[i] = i % 2 ? 1 : -1.2;
        assert_int_equal(minimise(&p, x, &measure, rosenbrock, NULL, 1e-10, 500),
                         EG_STATS_LBFGS_CONVERGED);
        for (size_t i = 0; i < n; i++) assert_close(x[i], 1, 1e-9);
        assert_true(measure <= 1e-10 && p.calls < 120);
    }
}

static void test_quadratic(void **unused) {
    (void)unused;
    problem p = {.n = MAX_N, .largest = 1e4};
    double x[MAX_N] = {0}, scale[MAX_N], measure;
    assert_int_equal(minimise(&p, x, &measure, quadratic, NULL, 1e-7, 2000),
                     EG_STATS_LBFGS_CONVERGED);
    for (size_t i = 0; i < p.n; i++) assert_close(x[i], (double)i, 1e-6);
    /* the exact diagonal makes it one Newton step (after the careful first one) */
    problem known = {.n = MAX_N, .largest = 1e4};
    for (size_t i = 0; i < p.n; i++) scale[i] = 1 / quadratic_curvature(&known, i), x[i] = 0;
    assert_int_equal(minimise(&known, x, &measure, quadratic, scale, 1e-7, 2000),
                     EG_STATS_LBFGS_CONVERGED);
    assert_true(known.iterations <= 4 && known.iterations < p.iterations);
}

static void test_ends(void **unused) {
    (void)unused;
    double x[MAX_N] = {0}, measure;
    problem p = {.n = 1};
    assert_int_equal(minimise(&p, x, &measure, walled, NULL, 1e-10, 100), EG_STATS_LBFGS_CONVERGED);
    assert_close(x[0], -1, 1e-9);
    p = (problem){.n = 1};
    assert_int_equal(minimise(&p, x, &measure, not_finite, NULL, 1e-10, 9),
                     EG_STATS_LBFGS_NOT_FINITE);
    p = (problem){.n = 5, .largest = 10};
    x[0] = 9;
    assert_int_equal(minimise(&p, x, &measure, wrong_gradient, NULL, 1e-10, 9),
                     EG_STATS_LBFGS_STALLED);
    assert_true(x[0] == 9);
    p = (problem){.n = 40};
    assert_int_equal(minimise(&p, x, &measure, rosenbrock, NULL, 1e-10, 3),
                     EG_STATS_LBFGS_EXHAUSTED);
    assert_int_equal(p.iterations, 3);
    p = (problem){.n = 40, .stop_after = 2};
    assert_int_equal(minimise(&p, x, &measure, rosenbrock, NULL, 1e-12, 100),
                     EG_STATS_LBFGS_STOPPED);
    assert_int_equal(p.iterations, 2);
    /* already there: no iteration */
    for (int i = 0; i < 40; i++) x[i] = 1;
    p = (problem){.n = 40};
    assert_int_equal(minimise(&p, x, &measure, rosenbrock, NULL, 1e-12, 100),
                     EG_STATS_LBFGS_CONVERGED);
    assert_int_equal(p.calls, 1);
    eg_memory_fail_at(1);
    p = (problem){.n = 40};
    assert_int_equal(minimise(&p, x, &measure, rosenbrock, NULL, 1e-12, 100),
                     EG_STATS_LBFGS_NO_MEMORY);
    eg_memory_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rosenbrock),
                                       cmocka_unit_test(test_quadratic),
                                       cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
