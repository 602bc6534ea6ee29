/* Element-wise kernels and per-channel sums over rows. Read first: compute.h, vec.h. */
#include "compute/isa/vec.h"

ALWAYS_INLINE void act_span(elem *y, const elem *x, size_t n, int act) {
    size_t i = 0;
    for (; i + VF_N <= n; i += VF_N) ve_store(y + i, vf_act(ve_load(x + i), act));
    if (i < n) ve_storen(y + i, vf_act(ve_loadn(x + i, (int)(n - i)), act), (int)(n - i));
}

ALWAYS_INLINE void act_backward_span(elem *dx, const elem *dy, const elem *x, size_t n, int act) {
    size_t i = 0;
    for (; i + VF_N <= n; i += VF_N)
        ve_store(dx + i, vf_act_grad(ve_load(dy + i), ve_load(x + i), act));
    if (i < n) {
        int m = (int)(n - i);
        ve_storen(dx + i, vf_act_grad(ve_loadn(dy + i, m), ve_loadn(x + i, m), act), m);
    }
}

/* the activation becomes a constant of the inlined body */
#define EACH_ACT(CALL)                                                                             \
    switch (act) {                                                                                 \
    case EG_KACT_RELU:                                                                             \
        CALL(EG_KACT_RELU);                                                                        \
        break;                                                                                     \
    case EG_KACT_RELU6:                                                                            \
        CALL(EG_KACT_RELU6);                                                                       \
        break;                                                                                     \
    case EG_KACT_SILU:                                                                             \
        CALL(EG_KACT_SILU);                                                                        \
        break;                                                                                     \
    case EG_KACT_SIGMOID:                                                                          \
        CALL(EG_KACT_SIGMOID);                                                                     \
        break;                                                                                     \
    case EG_KACT_HARDSWISH:                                                                        \
        CALL(EG_KACT_HARDSWISH);                                                                   \
        break;                                                                                     \
    case EG_KACT_HARDSIGMOID:                                                                      \
        CALL(EG_KACT_HARDSIGMOID);                                                                 \
        break;                                                                                     \
    case EG_KACT_GELU:                                                                             \
        CALL(EG_KACT_GELU);                                                                        \
        break;                                                                                     \
    default:                                                                                       \
        CALL(EG_KACT_NONE);                                                                        \
        break;                                                                                     \
    }

void KERNEL(act)(void *y, const void *x, size_t n, int act) {
#define CALL(A) act_span(y, x, n, A)
    EACH_ACT(CALL)
#undef CALL
}

void KERNEL(act_backward)(void *dx, const void *dy, const void *x, size_t n, int act) {
#define CALL(A) act_backward_span(dx, dy, x, n, A)
    EACH_ACT(CALL)
#undef CALL
}

void KERNEL(add)(void *out, const void *left, const void *right, size_t n) {
    elem *y = out;
    const elem *a = left, *b = right;
    size_t i = 0;
    for (; i + VF_N <= n; i += VF_N) ve_store(y + i, vf_add(ve_load(a + i), ve_load(b + i)));
    for (; i < n; i++) y[i] = elem_of(elem_get(a[i]) + elem_get(b[i]));
}

void KERNEL(widen)(float *y, const void *values, size_t n) {
    const elem *x = values;
    size_t i = 0;
    for (; i + VF_N <= n; i += VF_N) vf_store(y + i, ve_load(x + i));
    for (; i < n; i++) y[i] = elem_get(x[i]);
}

void KERNEL(narrow)(void *values, const float *x, size_t n) {
    elem *y = values;
    size_t i = 0;
    for (; i + VF_N <= n; i += VF_N) ve_store(y + i, vf_load(x + i));
    for (; i < n; i++) y[i] = elem_of(x[i]);
}

/* a channel block stays in a register over all rows; rows are read in four independent sums */
void KERNEL(sum_rows)(float *out, const void *values, size_t rows, int C) {
    const elem *x = values;
    for (int c = 0; c < C; c += VF_N) {
        int n = C - c < VF_N ? C - c : VF_N;
        vf s0 = vf_set(0), s1 = vf_set(0), s2 = vf_set(0), s3 = vf_set(0);
        const elem *p = x + c;
        size_t r = 0;
        for (; r + 4 <= rows; r += 4, p += 4 * (size_t)C) {
            s0 = vf_add(s0, ve_loadn(p, n));
            s1 = vf_add(s1, ve_loadn(p + C, n));
            s2 = vf_add(s2, ve_loadn(p + 2 * (size_t)C, n));
            s3 = vf_add(s3, ve_loadn(p + 3 * (size_t)C, n));
        }
        for (; r < rows; r++, p += C) s0 = vf_add(s0, ve_loadn(p, n));
        vf_storen(out + c, vf_add(vf_add(s0, s1), vf_add(s2, s3)), n);
    }
}

void KERNEL(sum_rows_product)(float *out, const void *left, const void *right, size_t rows, int C) {
    const elem *a = left, *b = right;
    for (int c = 0; c < C; c += VF_N) {
        int n = C - c < VF_N ? C - c : VF_N;
        vf s0 = vf_set(0), s1 = vf_set(0);
        const elem *p = a + c, *q = b + c;
        size_t r = 0;
        for (; r + 2 <= rows; r += 2, p += 2 * (size_t)C, q += 2 * (size_t)C) {
            s0 = vf_fma(ve_loadn(p, n), ve_loadn(q, n), s0);
            s1 = vf_fma(ve_loadn(p + C, n), ve_loadn(q + C, n), s1);
        }
        if (r < rows) s0 = vf_fma(ve_loadn(p, n), ve_loadn(q, n), s0);
        vf_storen(out + c, vf_add(s0, s1), n);
    }
}

void KERNEL(scale_rows)(void *out, const void *values, size_t rows, int C, const float *s) {
    elem *y = out;
    const elem *x = values;
    for (size_t r = 0; r < rows; r++, x += C, y += C)
        for (int c = 0; c < C; c += VF_N) {
            int n = C - c < VF_N ? C - c : VF_N;
            ve_storen(y + c, vf_mul(ve_loadn(x + c, n), vf_loadn(s + c, n)), n);
        }
}

void KERNEL(scale_shift_rows)(void *out, const void *values, size_t rows, int C, const float *s,
                              const float *t) {
    elem *y = out;
    const elem *x = values;
    for (size_t r = 0; r < rows; r++, x += C, y += C)
        for (int c = 0; c < C; c += VF_N) {
            int n = C - c < VF_N ? C - c : VF_N;
            ve_storen(y + c, vf_fma(ve_loadn(x + c, n), vf_loadn(s + c, n), vf_loadn(t + c, n)), n);
        }
}
