/* L-BFGS (Nocedal 1980; two-loop recursion of Nocedal & Wright 2006, algorithm 7.4) with a line
 * search for the strong Wolfe conditions (their algorithms 3.5 and 3.6). Near the minimum,
 * differences of function values drown in rounding while slopes are still good, so within that
 * noise the search goes by slopes alone (the approximate Wolfe condition of Hager & Zhang 2005).
 * Serial and deterministic; evaluate() may use threads. */
#include "stats/lbfgs.h"
#include "base/base.h"

#include <math.h>
#include <string.h>

static const double C1 = 1e-4, C2 = 0.9; /* sufficient decrease, curvature */
static const double NOISE = 1e-12; /* relative rounding of a function value that is a long sum */
static const double STEP_MAX = 1e6;
enum { MAX_BRACKET = 40, MAX_ZOOM = 40 };

typedef struct {
    const eg_stats_lbfgs_problem *p;
    double *x, *g;           /* accepted point and its gradient */
    double *trial, *trial_g; /* point being tried */
    double *d;               /* search direction */
    double *s, *y, *rho; /* (history, n) differences of points and gradients, (history) 1 / s.y */
    double *alpha;       /* (history) of the two-loop recursion */
    double f, measure, trial_measure;
    int kept, newest; /* pairs in use; slot of the last one */
} state;

typedef struct {
    double a, f, slope; /* step, value, directional derivative */
} probe;

/* Four partial sums: fixed order, and no chain of dependent additions. */
static double dot(const double *a, const double *b, size_t n) {
    double s[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t l = 0; l < 4; l++) s[l] += a[i + l] * b[i + l];
    for (; i < n; i++) s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static probe try_step(state *t, double a) {
    size_t n = t->p->n;
    for (size_t i = 0; i < n; i++) t->trial[i] = t->x[i] + a * t->d[i];
    probe r = {.a = a};
    r.f = t->p->evaluate(t->p->context, t->trial_g, &t->trial_measure, t->trial);
    r.slope = dot(t->trial_g, t->d, n);
    return r;
}

static bool too_high(const probe *q, const probe *start, double noise) {
    return !(q->f <= start->f + C1 * q->a * start->slope + noise);
}

static bool wolfe(const probe *q, const probe *start, double noise) {
    return !too_high(q, start, noise) && fabs(q->slope) <= -C2 * start->slope;
}

/* Minimiser of the cubic through two values and slopes, kept 10 % away from the ends (Nocedal &
 * Wright eq. 3.59). */
static double cubic_step(const probe *lo, const probe *hi) {
    double width = hi->a - lo->a;
    double d1 = lo->slope + hi->slope - 3 * (lo->f - hi->f) / (lo->a - hi->a);
    double square = d1 * d1 - lo->slope * hi->slope;
    double at = 0.5;
    if (square >= 0 && isfinite(square)) {
        double d2 = copysign(sqrt(square), width);
        double c = hi->a - width * (hi->slope + d2 - d1) / (hi->slope - lo->slope + 2 * d2);
        if (isfinite(c)) at = (c - lo->a) / width;
    }
    return lo->a + width * fmin(fmax(at, 0.1), 0.9);
}

/* `lo` is the better end and slopes towards `hi`; a good step lies between. */
static bool zoom(state *t, probe lo, probe hi, const probe *start, double noise) {
    for (int i = 0; i < MAX_ZOOM; i++) {
        double a = isfinite(hi.f) ? cubic_step(&lo, &hi) : 0.5 * (lo.a + hi.a);
        if (a == lo.a || a == hi.a) return false;
        probe q = try_step(t, a);
        if (wolfe(&q, start, noise)) {
            t->f = q.f;
            return true;
        }
        if (too_high(&q, start, noise) || q.f > lo.f + noise) {
            hi = q;
            continue;
        }
        if (q.slope * (hi.a - lo.a) >= 0) hi = lo;
        lo = q;
    }
    return false;
}

/* A step along d that meets the conditions; the trial point is then that point. False: none was
 * found. */
static bool search(state *t, double first) {
    probe start = {.a = 0, .f = t->f, .slope = dot(t->g, t->d, t->p->n)};
    if (!(start.slope < 0)) return false;
    double noise = NOISE * fabs(start.f);
    probe before = start;
    double a = first;
    for (int i = 0; i < MAX_BRACKET && a <= STEP_MAX; i++) {
        probe q = try_step(t, a);
        if (wolfe(&q, &start, noise)) {
            t->f = q.f;
            return true;
        }
        if (too_high(&q, &start, noise) || (i > 0 && q.f > before.f + noise))
            return zoom(t, before, q, &start, noise);
        if (q.slope >= 0) return zoom(t, q, before, &start, noise);
        before = q;
        a *= 2;
    }
    return false;
}

/* d = -H g by the two-loop recursion; the first inverse Hessian is gamma * scale. */
static void direction(state *t) {
    size_t n = t->p->n;
    int m = t->p->history;
    for (size_t i = 0; i < n; i++) t->d[i] = -t->g[i];
    for (int j = 0; j < t->kept; j++) {
        int slot = (t->newest - j + m) % m;
        const double *s = t->s + (size_t)slot * n, *y = t->y + (size_t)slot * n;
        t->alpha[slot] = t->rho[slot] * dot(s, t->d, n);
        for (size_t i = 0; i < n; i++) t->d[i] -= t->alpha[slot] * y[i];
    }
    double gamma = 1;
    if (t->kept > 0) {
        const double *y = t->y + (size_t)t->newest * n;
        double yy = 0;
        for (size_t i = 0; i < n; i++) yy += y[i] * y[i] * (t->p->scale ? t->p->scale[i] : 1);
        gamma = 1 / (t->rho[t->newest] * yy);
    }
    for (size_t i = 0; i < n; i++) t->d[i] *= gamma * (t->p->scale ? t->p->scale[i] : 1);
    for (int j = t->kept - 1; j >= 0; j--) {
        int slot = (t->newest - j + m) % m;
        const double *s = t->s + (size_t)slot * n, *y = t->y + (size_t)slot * n;
        double beta = t->rho[slot] * dot(y, t->d, n);
        for (size_t i = 0; i < n; i++) t->d[i] += (t->alpha[slot] - beta) * s[i];
    }
}

/* Take the trial point, remembering the pair unless its curvature is lost in rounding. */
static void accept(state *t) {
    size_t n = t->p->n;
    int slot = (t->newest + 1) % t->p->history;
    double *s = t->s + (size_t)slot * n, *y = t->y + (size_t)slot * n;
    for (size_t i = 0; i < n; i++) {
        s[i] = t->trial[i] - t->x[i];
        y[i] = t->trial_g[i] - t->g[i];
    }
    double sy = dot(s, y, n);
    if (sy > 1e-16 * dot(y, y, n) && sy > 0) {
        t->rho[slot] = 1 / sy;
        t->newest = slot;
        if (t->kept < t->p->history) t->kept++;
    }
    memcpy(t->x, t->trial, n * sizeof *t->x);
    memcpy(t->g, t->trial_g, n * sizeof *t->g);
    t->measure = t->trial_measure;
}

/* First step: as long as 1 in the scaled norm at most, since the scale of the curvature is only
 * an estimate. */
static double first_step(const state *t) {
    if (t->kept > 0) return 1;
    double norm = sqrt(dot(t->d, t->d, t->p->n));
    return norm > 1 ? 1 / norm : 1;
}

static eg_stats_lbfgs_end run(state *t, int *iterations) {
    const eg_stats_lbfgs_problem *p = t->p;
    t->f = p->evaluate(p->context, t->g, &t->measure, t->x);
    if (!isfinite(t->f) || !isfinite(t->measure)) return EG_STATS_LBFGS_NOT_FINITE;
    for (*iterations = 0; t->measure > p->tolerance;) {
        if (*iterations >= p->max_iterations) return EG_STATS_LBFGS_EXHAUSTED;
        direction(t);
        bool found = search(t, first_step(t));
        if (!found && t->kept > 0) { /* the memory may mislead: once more along the gradient */
            t->kept = 0;
            direction(t);
            found = search(t, first_step(t));
        }
        if (!found) return EG_STATS_LBFGS_STALLED;
        accept(t);
        ++*iterations;
        if (p->iteration && p->iteration(p->context, *iterations, t->x, t->f))
            return EG_STATS_LBFGS_STOPPED;
    }
    return EG_STATS_LBFGS_CONVERGED;
}

eg_stats_lbfgs_end eg_stats_lbfgs(double *x, int *iterations, double *measure,
                                  const eg_stats_lbfgs_problem *problem) {
    size_t n = problem->n, m = (size_t)problem->history;
    *iterations = 0;
    *measure = NAN;
    double *block = eg_malloc((4 * n + 2 * m * n + 2 * m) * sizeof *block);
    if (!block) return EG_STATS_LBFGS_NO_MEMORY;
    state t = {.p = problem, .x = x, .newest = problem->history - 1};
    t.g = block;
    t.trial = t.g + n;
    t.trial_g = t.trial + n;
    t.d = t.trial_g + n;
    t.s = t.d + n;
    t.y = t.s + m * n;
    t.rho = t.y + m * n;
    t.alpha = t.rho + m;
    eg_stats_lbfgs_end end = run(&t, iterations);
    *measure = t.measure;
    eg_free(block);
    return end;
}
