/* The exact head: L2-penalised logistic regression on cached features, solved to the minimum
 * instead of by epochs. The objective is scikit-learn's LogisticRegression, 0.5 |w|^2 + C sum_i
 * s_i loss_i with a free intercept.
 *
 * One evaluation reads the features once: rows are cut into a fixed number of chunks; a chunk
 * takes four rows at a time, computes their logits, then adds residual x row to its own gradient
 * while the rows are still in cache. The chunks' sums are added in order, so the bits do not
 * depend on the number of threads.
 *
 * Features are pooled activations: positive, far from centred, of different widths. Centring
 * them only moves the (free) intercept, b' = b + w . mean, and removes the one large eigenvalue
 * that slows every method down; widths go into the first inverse Hessian. Both leave the
 * objective untouched. Read first: lbfgs.h. */
#include "stats/lbfgs.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

enum { N_CHUNKS = 32, ROWS = 4, HISTORY = 20 };

typedef struct {
    const float *x;       /* (n, D) borrowed */
    const int32_t *label; /* (n) borrowed */
    size_t n, D, R;       /* rows of coef: 1 for two classes, else K */
    int K;
    const eg_logistic_options *o;
    double *cost;  /* (K) C times the class's weight */
    double *mean;  /* (D) weighted column means */
    double *scale; /* (R*D + R) first inverse Hessian: weights, then intercepts */
    double
        *theta; /* (R*D + R) weights, then intercepts of the centred features: what L-BFGS moves */
    double *bias; /* (R) intercepts of the features as they are */
    double *part; /* (N_CHUNKS, stride) per chunk: gradient (R*D + R), then logits (ROWS, R) */
    size_t stride;
    const double *w;       /* (R, D) weights of the evaluation under way */
    double loss[N_CHUNKS]; /* per chunk */
    double total;          /* sum of C s_i */
} fit;

/* ---- one pass over the rows ---- */

typedef double v2 __attribute__((vector_size(16)));
typedef float v2f __attribute__((vector_size(8)));

static inline v2 load2(const float *x) {
    v2f f;
    memcpy(&f, x, sizeof f);
    return __builtin_convertvector(f, v2);
}

/* Dot products of four rows of x with w; four partial sums a row. */
static void dot_rows4(double z[ROWS], const float *x, size_t D, const double *w) {
    v2 sum[ROWS][2] = {{{0}}};
    size_t j = 0;
    for (; j + 4 <= D; j += 4) {
        v2 w0, w1;
        memcpy(&w0, w + j, sizeof w0);
        memcpy(&w1, w + j + 2, sizeof w1);
        for (int r = 0; r < ROWS; r++) {
            const float *row = x + (size_t)r * D + j;
            sum[r][0] += load2(row) * w0;
            sum[r][1] += load2(row + 2) * w1;
        }
    }
    for (int r = 0; r < ROWS; r++) {
        z[r] = (sum[r][0][0] + sum[r][0][1]) + (sum[r][1][0] + sum[r][1][1]);
        for (size_t k = j; k < D; k++) z[r] += (double)x[(size_t)r * D + k] * w[k];
    }
}

/* g += sum of four rows, each times its factor. */
static void add_rows4(double *restrict g, const float *restrict x, size_t D, const double c[ROWS]) {
    const float *x0 = x, *x1 = x + D, *x2 = x + 2 * D, *x3 = x + 3 * D;
    for (size_t j = 0; j < D; j++)
        g[j] += (c[0] * x0[j] + c[1] * x1[j]) + (c[2] * x2[j] + c[3] * x3[j]);
}

static double dot_row(const float *x, size_t D, const double *w) {
    double z = 0;
    for (size_t j = 0; j < D; j++) z += (double)x[j] * w[j];
    return z;
}

static void add_row(double *restrict g, const float *restrict x, size_t D, double c) {
    for (size_t j = 0; j < D; j++) g[j] += c * x[j];
}

/* Turn the logits z (R) of one case into residuals times cost; returns cost times loss. */
static double residuals(const fit *f, double *z, int32_t label) {
    double cost = f->cost[label];
    if (f->R == 1) {
        /* log(1 + exp(m)) for m = -z or z, without overflow */
        double m = label ? -z[0] : z[0], e = exp(-fabs(m));
        double p = m > 0 ? 1 / (1 + e) : e / (1 + e); /* probability of the wrong class */
        z[0] = cost * (label ? -p : p);
        return cost * ((m > 0 ? m : 0) + log1p(e));
    }
    double top = z[0], sum = 0, own = z[label];
    for (size_t r = 1; r < f->R; r++) top = fmax(top, z[r]);
    for (size_t r = 0; r < f->R; r++) sum += z[r] = exp(z[r] - top);
    for (size_t r = 0; r < f->R; r++) z[r] = cost * (z[r] / sum - ((int32_t)r == label));
    return cost * (log(sum) + top - own);
}

/* `m` rows (ROWS, or fewer at the end of a chunk) starting at row i. */
static double rows_add(const fit *f, double *g, double *logits, size_t i, size_t m) {
    size_t D = f->D, R = f->R;
    const float *x = f->x + i * D;
    double loss = 0, column[ROWS];
    for (size_t r = 0; r < R; r++) {
        const double *w = f->w + r * D;
        if (m == ROWS)
            dot_rows4(column, x, D, w);
        else
            for (size_t k = 0; k < m; k++) column[k] = dot_row(x + k * D, D, w);
        for (size_t k = 0; k < m; k++) logits[k * R + r] = column[k] + f->bias[r];
    }
    for (size_t k = 0; k < m; k++) loss += residuals(f, logits + k * R, f->label[i + k]);
    for (size_t r = 0; r < R; r++) {
        for (size_t k = 0; k < m; k++) column[k] = logits[k * R + r];
        if (m == ROWS)
            add_rows4(g + r * D, x, D, column);
        else
            for (size_t k = 0; k < m; k++) add_row(g + r * D, x + k * D, D, column[k]);
        for (size_t k = 0; k < m; k++) g[R * D + r] += column[k];
    }
    return loss;
}

static void chunk_run(void *context, int c) {
    fit *f = context;
    size_t lo = f->n * (size_t)c / N_CHUNKS, hi = f->n * ((size_t)c + 1) / N_CHUNKS;
    size_t N = f->R * f->D + f->R;
    double *g = f->part + (size_t)c * f->stride, loss = 0;
    memset(g, 0, N * sizeof *g);
    for (size_t i = lo; i < hi; i += ROWS)
        loss += rows_add(f, g, g + N, i, hi - i < ROWS ? hi - i : ROWS);
    f->loss[c] = loss;
}

/* ---- the objective, for L-BFGS ---- */

/* Intercepts for the features as they are: b = b' - w . mean. */
static void bias_set(fit *f, const double *theta) {
    for (size_t r = 0; r < f->R; r++) {
        double shift = 0;
        for (size_t j = 0; j < f->D; j++) shift += theta[r * f->D + j] * f->mean[j];
        f->bias[r] = theta[f->R * f->D + r] - shift;
    }
}

/* `measure` is the largest gradient entry in the features' own coordinates over max(1, sum C
 * s_i). */
static double evaluate(void *context, double *g, double *measure, const double *theta) {
    fit *f = context;
    size_t W = f->R * f->D, N = W + f->R;
    f->w = theta;
    bias_set(f, theta);
    eg_pool_run(chunk_run, f, N_CHUNKS);
    double objective = 0, penalty = 0, largest = 0;
    memset(g, 0, N * sizeof *g);
    for (size_t c = 0; c < N_CHUNKS; c++) {
        objective += f->loss[c];
        for (size_t j = 0; j < N; j++) g[j] += f->part[c * f->stride + j];
    }
    for (size_t j = 0; j < W; j++) {
        penalty += theta[j] * theta[j];
        g[j] += theta[j];
    }
    for (size_t j = 0; j < N; j++) largest = g[j] == g[j] ? fmax(largest, fabs(g[j])) : INFINITY;
    for (size_t r = 0; r < f->R; r++) /* chain rule of the centring */
        for (size_t j = 0; j < f->D; j++) g[r * f->D + j] -= f->mean[j] * g[W + r];
    *measure = largest / fmax(1, f->total);
    return objective + 0.5 * penalty;
}

static bool iterated(void *context, int iteration, const double *theta, double objective) {
    fit *f = context;
    bias_set(f, theta);
    return f->o->iteration(f->o->context, iteration, theta, f->bias, objective);
}

/* ---- setting up ---- */

static eg_status inputs_check(const fit *f, eg_error *err) {
    if (f->K < 2 || f->D == 0 || f->n == 0 || !(f->o->C > 0) || !isfinite(f->o->C))
        return eg_fail(err, EG_ERR_INPUT,
                       "logistic: %zu cases, %zu features, %d classes, C %g: expected at least one "
                       "case and feature, two classes, and C above 0",
                       f->n, f->D, f->K, f->o->C);
    for (size_t i = 0; i < f->n; i++)
        if (f->label[i] < 0 || f->label[i] >= f->K)
            return eg_fail(err, EG_ERR_INPUT, "logistic: case %zu: label %d, expected 0 to %d", i,
                           f->label[i], f->K - 1);
    for (int k = 0; k < f->K; k++) {
        double s = f->o->class_weight ? f->o->class_weight[k] : 1;
        size_t cases = 0;
        for (size_t i = 0; i < f->n; i++) cases += f->label[i] == k;
        if (cases > 0 && s > 0 && isfinite(s)) continue;
        return eg_fail(err, EG_ERR_INPUT,
                       "logistic: class %d has %zu cases and weight %g: every class needs at least "
                       "one case and a weight above 0, else its intercept has no optimum",
                       k, cases, s);
    }
    return EG_OK;
}

/* One block for all arrays of `f`, freed by eg_free(f->part). */
static bool buffers_make(fit *f) {
    size_t N, N1, parts, all;
    if (!eg_mul(&N1, f->R, f->D) || !eg_add(&N, N1, f->R)) return false;
    if (!eg_add(&f->stride, N, ROWS * f->R + 8)) return false;
    f->stride &= ~(size_t)7; /* whole cache lines: chunks do not share one */
    if (!eg_mul(&parts, f->stride, N_CHUNKS) || !eg_mul(&all, N, 2)) return false;
    if (!eg_add(&all, all, parts) || !eg_add(&all, all, f->D + f->R + (size_t)f->K + 8))
        return false;
    size_t bytes;
    if (!eg_mul(&bytes, all, sizeof(double))) return false;
    f->part = eg_malloc(bytes);
    if (!f->part) return false;
    f->scale = f->part + parts;
    f->theta = f->scale + N;
    f->mean = f->theta + N;
    f->bias = f->mean + f->D;
    f->cost = f->bias + f->R;
    return true;
}

/* Weighted mean of every column, and 1 / (bound of the Hessian's diagonal): 1 + C sum s_i q (x -
 * mean)^2 with q = 1/4 for two classes, (K - 1) / K^2 for more, which is p (1 - p) at equal
 * probabilities. */
static eg_status columns_measure(fit *f, eg_error *err) {
    size_t D = f->D, W = f->R * D;
    double *squares = f->scale; /* becomes the scale of row 0, then is copied to the others */
    memset(f->mean, 0, D * sizeof *f->mean);
    memset(squares, 0, D * sizeof *squares);
    for (size_t i = 0; i < f->n; i++) f->total += f->cost[f->label[i]];
    for (size_t i = 0; i < f->n; i++)
        add_row(f->mean, f->x + i * D, D, f->cost[f->label[i]] / f->total);
    for (size_t j = 0; j < D; j++)
        if (!isfinite(f->mean[j]))
            return eg_fail(err, EG_ERR_INPUT,
                           "logistic: feature %zu is not finite in some case - were the features "
                           "made by a diverged network?",
                           j);
    for (size_t i = 0; i < f->n; i++) {
        const float *row = f->x + i * D;
        double s = f->cost[f->label[i]];
        for (size_t j = 0; j < D; j++) {
            double d = row[j] - f->mean[j];
            squares[j] += s * (d * d);
        }
    }
    double q = f->K == 2 ? 0.25 : (f->K - 1.0) / ((double)f->K * f->K);
    for (size_t j = 0; j < D; j++) f->scale[j] = 1 / (1 + q * squares[j]);
    for (size_t r = 1; r < f->R; r++) memcpy(f->scale + r * D, f->scale, D * sizeof *f->scale);
    for (size_t r = 0; r < f->R; r++) f->scale[W + r] = 1 / (q * f->total);
    return EG_OK;
}

static eg_status solve(fit *f, int *iterations, eg_error *err) {
    const eg_logistic_options *o = f->o;
    for (int k = 0; k < f->K; k++) f->cost[k] = o->C * (o->class_weight ? o->class_weight[k] : 1);
    EG_TRY(columns_measure(f, err));
    memset(f->theta, 0, (f->R * f->D + f->R) * sizeof *f->theta);
    double tolerance = o->tolerance > 0 ? o->tolerance : 1e-8, measure;
    eg_stats_lbfgs_problem problem = {
        .n = f->R * f->D + f->R,
        .history = HISTORY,
        .max_iterations = o->max_iterations > 0 ? o->max_iterations : 1000,
        .tolerance = tolerance,
        .scale = f->scale,
        .evaluate = evaluate,
        .iteration = o->iteration ? iterated : NULL,
        .context = f,
    };
    switch (eg_stats_lbfgs(f->theta, iterations, &measure, &problem)) {
    case EG_STATS_LBFGS_CONVERGED:
    case EG_STATS_LBFGS_STOPPED:
        return EG_OK;
    case EG_STATS_LBFGS_NO_MEMORY:
        return eg_fail(err, EG_ERR_NO_MEMORY, "logistic: no memory for %zu coefficients",
                       problem.n);
    case EG_STATS_LBFGS_STALLED:
        if (measure < 1e-6) return EG_OK; /* as far as float64 goes */
        break;
    case EG_STATS_LBFGS_EXHAUSTED:
    case EG_STATS_LBFGS_NOT_FINITE:
        break;
    }
    return eg_fail(err, EG_ERR_DIVERGED,
                   "logistic: not converged after %d iterations: relative gradient %.3g, expected "
                   "%.3g - allow more iterations, lower C, or scale the features",
                   *iterations, measure, tolerance);
}

eg_status eg_logistic_fit(double *coef, double *intercept, int *n_iterations, const float *x,
                          const int32_t *label, size_t n, size_t D, int n_classes,
                          const eg_logistic_options *o, eg_error *err) {
    fit f = {.x = x, .label = label, .n = n, .D = D, .K = n_classes, .o = o};
    EG_TRY(inputs_check(&f, err));
    f.R = n_classes == 2 ? 1 : (size_t)n_classes;
    if (!buffers_make(&f))
        return eg_fail(err, EG_ERR_NO_MEMORY, "logistic: no memory for %zu features x %d classes",
                       D, n_classes);
    int iterations = 0;
    eg_status status = solve(&f, &iterations, err);
    if (status == EG_OK) {
        bias_set(&f, f.theta);
        memcpy(coef, f.theta, f.R * D * sizeof *coef);
        memcpy(intercept, f.bias, f.R * sizeof *intercept);
        if (n_iterations) *n_iterations = iterations;
    }
    eg_free(f.part);
    return status;
}
