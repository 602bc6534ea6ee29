/* Batch norm: statistics, apply with residual and activation, and the two backward passes. Each pass touches a float
 * once: these tensors are larger than any cache, so passes are what costs. Rows are NHWC pixels, C floats each.
 * Sums: float over 64 rows, then double, so that 10^6 rows lose nothing. Read first: compute.h, vec.h.          */
#include "compute/isa/vec.h"

enum { SUM_ROWS = 64 };

/* four rows a turn: the per-channel accumulators (L1) are read and written once for four loads of x */
void KERNEL(bn_sums)(double *sums, const void *values, size_t rows, int C, const float *pivot,
                     float *scratch) {
    const elem *x = values;
    float *s1 = scratch, *s2 = scratch + C;
    for (size_t start = 0; start < rows; start += SUM_ROWS) {
        size_t end = start + SUM_ROWS < rows ? start + SUM_ROWS : rows;
        memset(scratch, 0, 2 * (size_t)C * sizeof *scratch);
        size_t r = start;
        for (; r + 4 <= end; r += 4) {
            const elem *x0 = x + r * (size_t)C, *x1 = x0 + C, *x2 = x1 + C, *x3 = x2 + C;
            for (int c = 0; c < C; c += VF_N) {
                int n = C - c < VF_N ? C - c : VF_N;
                vf k = vf_loadn(pivot + c, n);
                vf a = vf_sub(ve_loadn(x0 + c, n), k), b = vf_sub(ve_loadn(x1 + c, n), k);
                vf d = vf_sub(ve_loadn(x2 + c, n), k), e = vf_sub(ve_loadn(x3 + c, n), k);
                vf_storen(s1 + c, vf_add(vf_loadn(s1 + c, n), vf_add(vf_add(a, b), vf_add(d, e))),
                          n);
                vf q = vf_fma(a, a, vf_mul(b, b));
                q = vf_add(q, vf_fma(d, d, vf_mul(e, e)));
                vf_storen(s2 + c, vf_add(vf_loadn(s2 + c, n), q), n);
            }
        }
        for (; r < end; r++)
            for (int c = 0; c < C; c++) {
                float a = elem_get(x[r * (size_t)C + (size_t)c]) - pivot[c];
                s1[c] += a;
                s2[c] += a * a;
            }
        for (int c = 0; c < 2 * C; c++) sums[c] += (double)scratch[c];
    }
}

ALWAYS_INLINE void apply_rows(elem *y, const elem *x, size_t rows, int C, const eg_bn_apply *a,
                              int act, bool residual, bool scaled) {
    const elem *from = a->residual;
    vf s = vf_set(a->row_scale);
    for (size_t r = 0; r < rows; r++) {
        const elem *xr = x + r * (size_t)C;
        const elem *rr = residual ? from + r * (size_t)C : NULL;
        elem *yr = y + r * (size_t)C;
        int c = 0;
        for (; c + VF_N <= C; c += VF_N) {
            vf z = vf_fma(ve_load(xr + c), vf_load(a->scale + c), vf_load(a->shift + c));
            if (scaled) z = vf_mul(z, s);
            if (residual) z = vf_add(z, ve_load(rr + c));
            ve_store(yr + c, vf_act(z, act));
        }
        if (c < C) {
            int n = C - c;
            vf z =
                vf_fma(ve_loadn(xr + c, n), vf_loadn(a->scale + c, n), vf_loadn(a->shift + c, n));
            if (scaled) z = vf_mul(z, s);
            if (residual) z = vf_add(z, ve_loadn(rr + c, n));
            ve_storen(yr + c, vf_act(z, act), n);
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

void KERNEL(bn_apply)(void *y, const void *x, size_t rows, int C, const eg_bn_apply *a) {
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
ALWAYS_INLINE void reduce_vector(elem *dy, const elem *dy2, const elem *x, const elem *y, float *s1,
                                 float *s2, const eg_bn_reduce *a, int c, int n, int act) {
    vf g = ve_loadn(dy + c, n), xv = ve_loadn(x + c, n);
    if (dy2) g = vf_add(g, ve_loadn(dy2 + c, n));
    if (act != EG_KACT_NONE) {
        vf z = y ? ve_loadn(y + c, n)
                 : vf_fma(xv, vf_loadn(a->scale + c, n), vf_loadn(a->shift + c, n));
        g = vf_act_grad(g, z, act);
    }
    if (act != EG_KACT_NONE || dy2) ve_storen(dy + c, g, n);
    g = vf_mul(g, vf_set(a->row_scale));
    vf_storen(s1 + c, vf_add(vf_loadn(s1 + c, n), g), n);
    vf_storen(s2 + c, vf_fma(g, vf_sub(xv, vf_loadn(a->mean + c, n)), vf_loadn(s2 + c, n)), n);
}

ALWAYS_INLINE void reduce_rows(double *sums, elem *dy, const elem *x, size_t rows, int C,
                               const eg_bn_reduce *a, float *scratch, int act) {
    const elem *dy2 = a->dy2, *y = a->y;
    for (size_t start = 0; start < rows; start += SUM_ROWS) {
        size_t end = start + SUM_ROWS < rows ? start + SUM_ROWS : rows;
        memset(scratch, 0, 2 * (size_t)C * sizeof *scratch);
        for (size_t r = start; r < end; r++) {
            size_t o = r * (size_t)C;
            const elem *d2 = dy2 ? dy2 + o : NULL, *yr = y ? y + o : NULL;
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

void KERNEL(bn_reduce)(double *sums, void *dy, const void *x, size_t rows, int C,
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

void KERNEL(bn_dx)(void *out, const void *gradient, const void *values, size_t rows, int C,
                   const float *const coefficients[4], float row_scale) {
    elem *dx = out;
    const elem *g = gradient, *x = values;
    const float *a = coefficients[0], *b = coefficients[1], *c0 = coefficients[2],
                *mean = coefficients[3];
    vf s = vf_set(row_scale);
    for (size_t r = 0; r < rows; r++) {
        size_t o = r * (size_t)C;
        for (int c = 0; c < C; c += VF_N) {
            int n = C - c < VF_N ? C - c : VF_N;
            vf gs = vf_mul(ve_loadn(g + o + c, n), s);
            vf centred = vf_sub(ve_loadn(x + o + c, n), vf_loadn(mean + c, n));
            vf t = vf_fma(centred, vf_loadn(b + c, n), vf_loadn(c0 + c, n));
            ve_storen(dx + o + c, vf_fma(gs, vf_loadn(a + c, n), t), n);
        }
    }
}
