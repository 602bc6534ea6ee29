/* LogME: how well a linear model on given features explains the labels, before anything is trained
 * (You, Liu, Wang, Long 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer
 * Learning", ICML). For each class, the log evidence of Bayesian linear regression of its 0/1
 * labels, maximised over prior precision alpha and noise precision beta, per sample, mean over the
 * classes that have samples. Higher is better; comparable between networks on the same images only.
 *
 * The evidence needs of the SVD of the features only the squared singular values and the labels'
 * projections, so no eigenvector is ever formed: the rotations of the symmetric eigenproblem are
 * applied to the K label columns alone, and no further library is needed. */
#include "stats/stats.h"
#include <math.h>
#include <string.h>

/* QL converges in 2 or 3 sweeps an eigenvalue. The authors' code stops the fixed point after 11
 * steps; here it goes on until nothing moves, since a step costs only O(m). */
enum { MAX_SWEEPS = 60, MAX_FIXED_POINT = 200, PIECE = 16 };
#define FIXED_POINT_TOLERANCE 1e-9
#define TINY                  1e-12 /* keeps precisions finite when a fit is exact or empty */

/* The symmetric matrix of a problem of size m and the K columns that are carried along. */
typedef struct {
    size_t m, K;
    double *a; /* (m, m), both triangles kept: rows are then contiguous for every loop */
    double *b; /* (m, K) */
    double *d, *e, *v, *p; /* (m) diagonal, off-diagonal, reflector, work */
} problem;

/* ---- Gram matrix ---- */

typedef struct {
    problem *q;
    const float *x;
    size_t n, D;
    bool wide; /* n < D: X X' (n, n) instead of X' X (D, D) */
} gram_job;

/* Rows [i * PIECE, ...) of the lower triangle. Every sum is by one task in a fixed order: the bits
 * do not depend on the number of threads. */
static void gram_rows(void *context, int piece) {
    const gram_job *j = context;
    size_t m = j->q->m, begin = (size_t)piece * PIECE, end = begin + PIECE < m ? begin + PIECE : m;
    if (j->wide) {
        for (size_t r = begin; r < end; r++) {
            for (size_t c = 0; c <= r; c++) {
                const float *u = j->x + r * j->D, *w = j->x + c * j->D;
                double s[4] = {0};
                size_t k = 0;
                for (; k + 4 <= j->D; k += 4)
                    for (size_t l = 0; l < 4; l++) s[l] += (double)u[k + l] * (double)w[k + l];
                for (; k < j->D; k++) s[0] += (double)u[k] * (double)w[k];
                j->q->a[r * m + c] = (s[0] + s[1]) + (s[2] + s[3]);
            }
        }
        return;
    }
    for (size_t r = begin; r < end; r++) memset(j->q->a + r * m, 0, (r + 1) * sizeof(double));
    for (size_t i = 0; i < j->n; i++) {
        const float *row = j->x + i * j->D;
        for (size_t r = begin; r < end; r++) {
            double *to = j->q->a + r * m, f = (double)row[r];
            if (f == 0) continue; /* features after a ReLU are half zeros */
            for (size_t c = 0; c <= r; c++) to[c] += f * (double)row[c];
        }
    }
}

static int pieces(size_t m) {
    return (int)((m + PIECE - 1) / PIECE);
}

static void mirror(problem *q) {
    for (size_t r = 0; r < q->m; r++)
        for (size_t c = 0; c < r; c++) q->a[c * q->m + r] = q->a[r * q->m + c];
}

/* ---- tridiagonal form by Householder reflections (Golub & Van Loan 8.3.1) ---- */

typedef struct {
    problem *q;
    size_t from;
} step_job;

/* p = A v over the trailing block that starts at `from` */
static void multiply_rows(void *context, int piece) {
    const step_job *j = context;
    const problem *q = j->q;
    size_t begin = j->from + (size_t)piece * PIECE,
           end = begin + PIECE < q->m ? begin + PIECE : q->m;
    for (size_t r = begin; r < end; r++) {
        const double *row = q->a + r * q->m;
        double s[4] = {0};
        size_t c = j->from;
        for (; c + 4 <= q->m; c += 4)
            for (size_t l = 0; l < 4; l++) s[l] += row[c + l] * q->v[c + l];
        for (; c < q->m; c++) s[0] += row[c] * q->v[c];
        q->p[r] = (s[0] + s[1]) + (s[2] + s[3]);
    }
}

/* A -= v p' + p v', both triangles, so that it stays symmetric to the last bit */
static void update_rows(void *context, int piece) {
    const step_job *j = context;
    const problem *q = j->q;
    size_t begin = j->from + (size_t)piece * PIECE,
           end = begin + PIECE < q->m ? begin + PIECE : q->m;
    for (size_t r = begin; r < end; r++) {
        double *row = q->a + r * q->m, vr = q->v[r], pr = q->p[r];
        for (size_t c = j->from; c < q->m; c++) row[c] -= vr * q->p[c] + pr * q->v[c];
    }
}

/* The reflector of column k below the diagonal into q->v[k + 1 ..]; false: nothing to reflect. */
static bool reflector(problem *q, size_t k, double *tau) {
    double norm = 0, scale = 0, first = q->a[(k + 1) * q->m + k];
    for (size_t i = k + 1; i < q->m; i++) scale = fmax(scale, fabs(q->a[i * q->m + k]));
    q->e[k] = first;
    if (scale == 0) return false;
    for (size_t i = k + 1; i < q->m; i++) {
        q->v[i] = q->a[i * q->m + k] / scale;
        norm += q->v[i] * q->v[i];
    }
    norm = copysign(sqrt(norm), -first);
    q->v[k + 1] -= norm; /* signs differ: no cancellation */
    q->e[k] = norm * scale;
    double squares = 0;
    for (size_t i = k + 1; i < q->m; i++) squares += q->v[i] * q->v[i];
    if (squares == 0) return false;
    *tau = 2 / squares;
    return true;
}

static void tridiagonalise(problem *q) {
    for (size_t k = 0; k + 1 < q->m; k++) {
        double tau, dot = 0;
        if (!reflector(q, k, &tau)) continue;
        step_job j = {q, k + 1};
        eg_pool_run(multiply_rows, &j, pieces(q->m - k - 1));
        for (size_t i = k + 1; i < q->m; i++) dot += (q->p[i] *= tau) * q->v[i];
        for (size_t i = k + 1; i < q->m; i++) q->p[i] -= 0.5 * tau * dot * q->v[i];
        eg_pool_run(update_rows, &j, pieces(q->m - k - 1));
        for (size_t c = 0; c < q->K; c++) { /* B = H B */
            double s = 0;
            for (size_t i = k + 1; i < q->m; i++) s += q->v[i] * q->b[i * q->K + c];
            for (size_t i = k + 1; i < q->m; i++) q->b[i * q->K + c] -= tau * s * q->v[i];
        }
    }
    for (size_t k = 0; k < q->m; k++) q->d[k] = q->a[k * q->m + k];
    q->e[q->m - 1] = 0;
}

/* ---- eigenvalues of the tridiagonal matrix, implicit QL (EISPACK tql2; Golub & Van Loan 8.3.3) ----
 */

static void rotate_rows(problem *q, size_t i, double c, double s) {
    double *x = q->b + i * q->K, *y = x + q->K;
    for (size_t k = 0; k < q->K; k++) {
        double f = y[k];
        y[k] = s * x[k] + c * f;
        x[k] = c * x[k] - s * f;
    }
}

/* One sweep from row `end` up to `l`; the rotations go to the label columns too. */
static void sweep(problem *q, size_t l, size_t end) {
    double *d = q->d, *e = q->e;
    double g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot(g, 1), s = 1, c = 1, p = 0;
    g = d[end] - d[l] + e[l] / (g + copysign(r, g));
    for (size_t i = end; i-- > l;) {
        double f = s * e[i], b = c * e[i];
        e[i + 1] = r = hypot(f, g);
        if (r == 0) { /* an eigenvalue fell off early: the next call goes on */
            d[i + 1] -= p;
            e[end] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        d[i + 1] = g + (p = s * r);
        g = c * r - b;
        rotate_rows(q, i, c, s);
    }
    d[l] -= p;
    e[l] = g;
    e[end] = 0;
}

static bool diagonalise(problem *q) {
    for (size_t l = 0; l < q->m; l++) {
        for (int n = 0;; n++) {
            size_t end = l;
            for (; end + 1 < q->m; end++) {
                double size = fabs(q->d[end]) + fabs(q->d[end + 1]);
                if (fabs(q->e[end]) <= 0x1p-53 * size) break;
            }
            if (end == l) break;
            if (n == MAX_SWEEPS) return false;
            sweep(q, l, end);
        }
    }
    return true;
}

/* ---- the evidence ---- */

/* Log evidence a sample of one class at its best alpha and beta. sigma (m): eigenvalues of X'X;
 * z2 (m): squared projections of X'y on its eigenvectors; yy = y'y. Written without a division by
 * sigma, so that features of deficient rank are no special case. D - m further eigenvalues are 0.
 */
static double evidence(const double *sigma, const double *z2, size_t m, double yy, size_t n,
                       size_t D) {
    double alpha = 1, beta = 1, value = NAN;
    for (int step = 0; step < MAX_FIXED_POINT; step++) {
        double t = alpha / beta, gamma = 0, m2 = 0, res2 = yy, logs = 0;
        for (size_t i = 0; i < m; i++) {
            double u = sigma[i] + t;
            gamma += sigma[i] / u;
            m2 += z2[i] / (u * u);
            res2 -= z2[i] * (2 * t + sigma[i]) / (u * u);
        }
        if (res2 < 0) res2 = 0; /* rounding of an exact fit */
        alpha = (gamma + TINY) / (m2 + TINY);
        beta = ((double)n - gamma) / (res2 + TINY);
        for (size_t i = 0; i < m; i++) logs += log(alpha + beta * sigma[i]);
        logs += (double)(D - m) * log(alpha);
        value = 0.5 *
                ((double)D * log(alpha) + (double)n * log(beta) - logs - beta * res2 - alpha * m2 -
                 (double)n * log(2 * M_PI)) /
                (double)n;
        if (!(fabs(alpha / beta - t) > FIXED_POINT_TOLERANCE * t)) break;
    }
    return value;
}

static void class_columns(problem *q, const float *x, const int32_t *label, size_t n, size_t D,
                          bool wide) {
    memset(q->b, 0, q->m * q->K * sizeof *q->b);
    for (size_t i = 0; i < n; i++) {
        size_t k = (size_t)label[i];
        if (wide) {
            q->b[i * q->K + k] = 1;
            continue;
        }
        for (size_t d = 0; d < D; d++) q->b[d * q->K + k] += (double)x[i * D + d];
    }
}

static eg_status solve(double *out, problem *q, const float *x, const int32_t *label, size_t n,
                       size_t D, eg_error *err) {
    gram_job job = {q, x, n, D, n < D};
    eg_pool_run(gram_rows, &job, pieces(q->m));
    mirror(q);
    class_columns(q, x, label, n, D, job.wide);
    tridiagonalise(q);
    if (!diagonalise(q))
        return eg_fail(err, EG_ERR_DIVERGED, "LogME: the eigenvalues did not converge");
    double sum = 0;
    size_t n_present = 0; /* n >= 2: at least one */
    for (size_t k = 0; k < q->K; k++) {
        size_t in_class = 0;
        for (size_t i = 0; i < n; i++) in_class += (size_t)label[i] == k;
        if (in_class == 0)
            continue; /* "never" is explained without end: the evidence has no maximum */
        n_present++;
        for (size_t i = 0; i < q->m; i++) {
            double sigma = q->d[i] = fmax(q->d[i], 0), z = q->b[i * q->K + k];
            q->v[i] = job.wide ? sigma * z * z : z * z;
        }
        sum += evidence(q->d, q->v, q->m, (double)in_class, n, D);
    }
    *out = sum / (double)n_present;
    return EG_OK;
}

eg_status eg_logme(double *out, const float *x, const int32_t *label, size_t n, size_t D,
                   int n_classes, eg_error *err) {
    if (n < 2 || D < 1 || n_classes < 2)
        return eg_fail(err, EG_ERR_INPUT,
                       "LogME: %zu samples of %zu features in %d classes, expected at least 2, 1 "
                       "and 2",
                       n, D, n_classes);
    for (size_t i = 0; i < n; i++)
        if (label[i] < 0 || label[i] >= n_classes)
            return eg_fail(err, EG_ERR_INPUT, "LogME: label %d of sample %zu, expected 0 to %d",
                           label[i], i, n_classes - 1);
    for (size_t i = 0; i < n * D; i++)
        if (!isfinite(x[i]))
            return eg_fail(err, EG_ERR_INPUT, "LogME: feature %zu of sample %zu is %g", i % D,
                           i / D, (double)x[i]);
    problem q = {.m = n < D ? n : D, .K = (size_t)n_classes};
    q.a = eg_malloc(q.m * q.m * sizeof *q.a);
    q.b = eg_malloc(q.m * q.K * sizeof *q.b);
    q.d = eg_malloc(4 * q.m * sizeof *q.d);
    eg_status status;
    if (q.a && q.b && q.d) {
        q.e = q.d + q.m;
        q.v = q.e + q.m;
        q.p = q.v + q.m;
        status = solve(out, &q, x, label, n, D, err);
    } else {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "LogME: out of memory for a matrix of %zu x %zu",
                         q.m, q.m);
    }
    eg_free(q.a);
    eg_free(q.b);
    eg_free(q.d);
    return status;
}
