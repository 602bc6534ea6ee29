/* Linear centred kernel alignment of two feature matrices of the same cases (Kornblith, Norouzi, Lee & Hinton 2019):
 * |Y'X|^2 / (|X'X| |Y'Y|) in Frobenius norms of centred columns. Each norm is a sum of squared dot products, between
 * columns or, when there are fewer cases than features, between cases; nothing of that size is stored. */
#include "stats/stats.h"

#include <math.h>

typedef struct {
    const double *a, *b, *c, *d; /* row i of a dot row j of b, times row i of c dot row j of d */
    size_t rows, others, width_ab, width_cd;
    double *part; /* (rows) */
} pairs;

/* Four sums at once: a single one would wait for each addition. */
static double dot(const double *x, const double *y, size_t n) {
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++) sum[k] += x[i + k] * y[i + k];
    for (; i < n; i++) sum[0] += x[i] * y[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void row_sum(void *context, int i) {
    pairs *p = context;
    double sum = 0;
    for (size_t j = 0; j < p->others; j++) {
        double ab = dot(p->a + (size_t)i * p->width_ab, p->b + j * p->width_ab, p->width_ab);
        double cd = p->c == p->a && p->d == p->b
                        ? ab
                        : dot(p->c + (size_t)i * p->width_cd, p->d + j * p->width_cd, p->width_cd);
        sum += ab * cd;
    }
    p->part[i] = sum;
}

/* Rows in parallel, added in order: same bits for any number of threads. */
static double pairs_sum(pairs p) {
    double sum = 0;
    eg_pool_run(row_sum, &p, (int)p.rows);
    for (size_t i = 0; i < p.rows; i++) sum += p.part[i];
    return sum;
}

/* Centred copy, (n, d) or transposed (d, n). */
static void centre(double *out, const float *x, size_t n, size_t d, bool transposed) {
    for (size_t k = 0; k < d; k++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) mean += x[i * d + k];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++)
            out[transposed ? k * n + i : i * d + k] = x[i * d + k] - mean;
    }
}

eg_status eg_cka_linear(double *out, const float *x, size_t d1, const float *y, size_t d2, size_t n,
                        eg_error *err) {
    if (n < 2 || d1 == 0 || d2 == 0 || n > INT32_MAX || d1 > INT32_MAX || d2 > INT32_MAX)
        return eg_fail(err, EG_ERR_INPUT,
                       "CKA: %zu cases of %zu and %zu features, expected at least 2 and 1", n, d1,
                       d2);
    size_t most = n > d1 ? n : d1;
    double *cx = eg_malloc(n * d1 * sizeof *cx), *cy = eg_malloc(n * d2 * sizeof *cy);
    double *part = eg_malloc((most > d2 ? most : d2) * sizeof *part);
    if (!cx || !cy || !part) {
        eg_free(cx);
        eg_free(cy);
        eg_free(part);
        return eg_fail(err, EG_ERR_NO_MEMORY, "CKA: no memory for %zu cases", n);
    }
    bool by_case = n <= d1 && n <= d2;
    centre(cx, x, n, d1, !by_case);
    centre(cy, y, n, d2, !by_case);
    double xy, xx, yy;
    if (by_case) {
        xy = pairs_sum((pairs){cx, cx, cy, cy, n, n, d1, d2, part});
        xx = pairs_sum((pairs){cx, cx, cx, cx, n, n, d1, d1, part});
        yy = pairs_sum((pairs){cy, cy, cy, cy, n, n, d2, d2, part});
    } else {
        xy = pairs_sum((pairs){cx, cy, cx, cy, d1, d2, n, n, part});
        xx = pairs_sum((pairs){cx, cx, cx, cx, d1, d1, n, n, part});
        yy = pairs_sum((pairs){cy, cy, cy, cy, d2, d2, n, n, part});
    }
    *out = xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
    eg_free(cx);
    eg_free(cy);
    eg_free(part);
    return EG_OK;
}
