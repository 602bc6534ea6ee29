/* Batch norm: statistics, apply with residual and activation, and the two backward passes. Each pass touches a float
 * once: these tensors are larger than any cache, so passes are what costs. Rows are NHWC pixels, C floats each.
 * Sums: float over 64 rows, then double, so that 10^6 rows lose nothing. Read first: compute.h, vec.h.          */
#include "compute/isa/vec.h"

enum { SUM_ROWS = 64 };

/* four rows a turn: the per-channel accumulators (L1) are read and written once for four loads of x */
void KERNEL(bn_sums)(double *sums, const float *x, size_t rows, int C, const float *pivot,
                     float *scratch) {
    float *s1 = scratch, *s2 = scratch + C;
    for (size_t start = 0; start < rows; start += SUM_ROWS) {
        size_t end = start + SUM_ROWS < rows ? start + SUM_ROWS : rows;
        memset(scratch, 0, 2 * (size_t)C * sizeof *scratch);
        size_t r = start;
        for (; r + 4 <= end; r += 4) {
            const float *x0 = x + r * (size_t)C, *x1 = x0 + C, *x2 = x1 + C, *x3 = x2 + C;
            for (int c = 0; c < C; c += VF_N) {
                int n = C - c < VF_N ? C - c : VF_N;
                vf k = vf_loadn(pivot + c, n);
                vf a = vf_sub(vf_loadn(x0 + c, n), k), b = vf_sub(vf_loadn(x1 + c, n), k);
                vf d = vf_sub(vf_loadn(x2 + c, n), k), e = vf_sub(vf_loadn(x3 + c, n), k);
                vf_storen(s1 + c, vf_add(vf_loadn(s1 + c, n), vf_add(vf_add(a, b), vf_add(d, e))),
                          n);
                vf q = vf_fma(a, a, vf_mul(b, b));
                q = vf_add(q, vf_fma(d, d, vf_mul(e, e)));
                vf_storen(s2 + c, vf_add(vf_loadn(s2 + c, n), q), n);
            }
        }
        for (; r < end; r++)
            for (int c = 0; c < C; c++) {
                float a = x[r * (size_t)C + (size_t)c] - pivot[c];
                s1[c] += a;
                s2[c] += a * a;
            }
        for (int c = 0; c < 2 * C; c++) sums[c] += (double)scratch[c];
    }
}

ALWAYS_INLINE void apply_rows(float *y, const float *x, size_t rows, int C, const eg_bn_apply *a,
                              int act, bool residual, bool scaled) {
    vf s = vf_set(a->row_scale);
    for (size_t r = 0; r < rows; r++) {
        const float *xr = x + r * (size_t)C;
        const float *rr = residual ? a->residual + r * (size_t)C : NULL;
        float *yr = y + r * (size_t)C;
        int c = 0;
        for (; c + VF_N <= C; c += VF_N) {
            vf z = vf_fma(vf_load(xr + c), vf_load(a->scale + c), vf_load(a->shift + c));
            if (scaled) z = vf_mul(z, s);
            if (residual) z = vf_add(z, vf_load(rr + c));
            vf_store(yr + c, vf_act(z, act));
        }
        if (c < C) {
            int n = C - c;
            vf z =
                vf_fma(vf_loadn(xr + c, n), vf_loadn(a->scale + c, n), vf_loadn(a->shift + c, n));
            if (scaled) z = vf_mul(z, s);
            if (residual) z = vf_add(z, vf_loadn(rr + c, n));
            vf_storen(yr + c, vf_act(z, act), n);
        }
    }
}

/* the activation becomes a constant of the inlined body */
#define APPLY(ACT)                                                                                 \
    case ACT:                                                                                      \
        if (a->residual) {                                                                         \
            if (a->row_scale == 1.0f)                                                              \
                apply_rows(y, x, rows, C, a, ACT, true, false);                                    \
            else                                                                                   \
                apply_rows(y, x, rows, C, a, ACT, true, true);                                     \
        } else if (a->row_scale == 1.0f)                                                           \
            apply_rows(y, x, rows, C, a, ACT, false, false);                                       \
        else                                                                                       \
            apply_rows(y, x, rows, C, a, ACT, false, true);                                        \
        break;

void KERNEL(bn_apply)(float *y, const float *x, size_t rows, int C, const eg_bn_apply *a) {
    switch (a->act) {
        APPLY(EG_KACT_RELU)
        APPLY(EG_KACT_RELU6)
        APPLY(EG_KACT_SILU)
        APPLY(EG_KACT_SIGMOID)
        APPLY(EG_KACT_HARDSWISH)
        APPLY(EG_KACT_HARDSIGMOID)
        APPLY(EG_KACT_GELU)
    default:
        APPLY(EG_KACT_NONE)
    }
}

/* one vector of the first backward pass: returns g and adds to the two accumulators */
ALWAYS_INLINE void reduce_vector(float *dy, const float *dy2, const float *x, const float *y,
                                 float *s1, float *s2, const eg_bn_reduce *a, int c, int n,
                                 int act) {
    vf g = vf_loadn(dy + c, n), xv = vf_loadn(x + c, n);
    if (dy2) g = vf_add(g, vf_loadn(dy2 + c, n));
    if (act != EG_KACT_NONE) {
        vf z = y ? vf_loadn(y + c, n)
                 : vf_fma(xv, vf_loadn(a->scale + c, n), vf_loadn(a->shift + c, n));
        g = vf_act_grad(g, z, act);
    }
    if (act != EG_KACT_NONE || dy2) vf_storen(dy + c, g, n);
    g = vf_mul(g, vf_set(a->row_scale));
    vf_storen(s1 + c, vf_add(vf_loadn(s1 + c, n), g), n);
    vf_storen(s2 + c, vf_fma(g, vf_sub(xv, vf_loadn(a->mean + c, n)), vf_loadn(s2 + c, n)), n);
}

ALWAYS_INLINE void reduce_rows(double *sums, float *dy, const float *x, size_t rows, int C,
                               const eg_bn_reduce *a, float *scratch, int act) {
    for (size_t start = 0; start < rows; start += SUM_ROWS) {
        size_t end = start + SUM_ROWS < rows ? start + SUM_ROWS : rows;
        memset(scratch, 0, 2 * (size_t)C * sizeof *scratch);
        for (size_t r = start; r < end; r++) {
            size_t o = r * (size_t)C;
            const float *d2 = a->dy2 ? a->dy2 + o : NULL, *yr = a->y ? a->y + o : NULL;
            int c = 0;
            for (; c + VF_N <= C; c += VF_N)
                reduce_vector(dy + o, d2, x + o, yr, scratch, scratch + C, a, c, VF_N, act);
            if (c < C) reduce_vector(dy + o, d2, x + o, yr, scratch, scratch + C, a, c, C - c, act);
        }
        for (int c = 0; c < 2 * C; c++) sums[c] += (double)scratch[c];
    }
}

#define REDUCE(ACT)                                                                                \
    case ACT:                                                                                      \
        reduce_rows(sums, dy, x, rows, C, a, scratch, ACT);                                        \
        break;

void KERNEL(bn_reduce)(double *sums, float *dy, const float *x, size_t rows, int C,
                       const eg_bn_reduce *a, float *scratch) {
    switch (a->act) {
        REDUCE(EG_KACT_RELU)
        REDUCE(EG_KACT_RELU6)
        REDUCE(EG_KACT_SILU)
        REDUCE(EG_KACT_SIGMOID)
        REDUCE(EG_KACT_HARDSWISH)
        REDUCE(EG_KACT_HARDSIGMOID)
        REDUCE(EG_KACT_GELU)
    default:
        REDUCE(EG_KACT_NONE)
    }
}

void KERNEL(bn_dx)(float *dx, const float *g, const float *x, size_t rows, int C,
                   const float *const coefficients[4], float row_scale) {
    const float *a = coefficients[0], *b = coefficients[1], *c0 = coefficients[2],
                *mean = coefficients[3];
    vf s = vf_set(row_scale);
    for (size_t r = 0; r < rows; r++) {
        size_t o = r * (size_t)C;
        for (int c = 0; c < C; c += VF_N) {
            int n = C - c < VF_N ? C - c : VF_N;
            vf gs = vf_mul(vf_loadn(g + o + c, n), s);
            vf centred = vf_sub(vf_loadn(x + o + c, n), vf_loadn(mean + c, n));
            vf t = vf_fma(centred, vf_loadn(b + c, n), vf_loadn(c0 + c, n));
            vf_storen(dx + o + c, vf_fma(gs, vf_loadn(a + c, n), t), n);
        }
    }
}
