/* What the depthwise kernels share: the size of the register tile, unrolling, the call of a body once a block of channels.
 * Included by isa/kern_depthwise*.c, and for its activations and
 * unrolling by kern_pointwise.c. Read first: vec.h.                                                     */
#ifndef EG_TILE_H
#define EG_TILE_H

#include "compute/isa/vec.h"

/* A tile of outputs in registers: two rows share each line of values, four columns each weight. 8 sums, 10 weights and
 * one value fit the 32 registers of AVX-512; more of either spills. */
enum { TILE_P = 2, TILE_Q = 4, MAX_SIDE = 7 };
enum { MAX_TILE = 24 }; /* sums that any tile has */
/* channel vectors a block: its weights (25 taps, 6 KiB) and a tile's lines stay in L1, and lines are read in runs */
enum { BLOCK = 4 };

/* Bodies are written with loops whose bounds are constants after inlining; the registers are only found when every one of
 * them is unrolled. */
#if defined(__clang__)
#    define UNROLL _Pragma("unroll")
#else
#    define UNROLL _Pragma("GCC unroll 24")
#endif

/* Activations of registers' worth of sums. ReLU and ReLU6 are an instruction or two; the others go through memory and one
 * copy of their code a file, which is a small part of their time and of the compiler's. */
#define TILE_ACT(A)                                                                                \
case A:                                                                                            \
    for (int i = 0; i < n; i++) acc[i] = vf_act(acc[i], A);                                        \
    break;
__attribute__((noinline, unused)) static void tile_act_far(vf *acc, int n, int act) {
    switch (act) {
        TILE_ACT(EG_KACT_SILU)
        TILE_ACT(EG_KACT_SIGMOID)
        TILE_ACT(EG_KACT_HARDSWISH)
        TILE_ACT(EG_KACT_HARDSIGMOID)
        TILE_ACT(EG_KACT_GELU)
    default:
        break;
    }
}
ALWAYS_INLINE bool tile_act_is_far(int act) {
    return act > EG_KACT_RELU6;
}
/* the others, in registers */
ALWAYS_INLINE void tile_act_near(vf *acc, int n, int act) {
    if (act == EG_KACT_NONE) return;
    vf top = vf_set(act == EG_KACT_RELU6 ? 6.0f : INFINITY);
    UNROLL for (int i = 0; i < n; i++) acc[i] = vf_min(top, vf_max(vf_set(0.0f), acc[i]));
}

ALWAYS_INLINE void tile_store(elem *p, vf v, int n) {
    if (n == VF_N)
        ve_store(p, v);
    else
        ve_storen(p, v, n);
}

/* CALL(c, n, inside): n channels from c on. Whole vectors inside the image get constants; a mask and tests at every line
 * are the price of all others. */
#define EACH_VECTOR(C, c0, inside, CALL)                                                           \
    for (int c = (c0); c < (C) && c < (c0) + BLOCK * VF_N; c += VF_N) {                            \
        int n = (C)-c < VF_N ? (C)-c : VF_N;                                                       \
        if ((inside) && n == VF_N)                                                                 \
            CALL(c, VF_N, true);                                                                   \
        else                                                                                       \
            CALL(c, n, false);                                                                     \
    }

/* part of dw_backward_data: stride 1 is a forward pass (kern_depthwise.c) */
void KERNEL(dw_data_stride1)(void *dx, const void *dy, const float *w, const eg_dw_shape *s, int h0,
                             int h1);

/* [0, size) covers [at, at + span) */
ALWAYS_INLINE bool covers(int size, int at, int span) {
    return at >= 0 && at + span <= size;
}

/* no tap of the outputs (p, q) to (p + 1, q + 3) leaves the image, and all of them exist, lines ending at p1 */
ALWAYS_INLINE bool tile_is_inside(const eg_dw_shape *s, int p, int q, int p1, int R, int stride) {
    return p + TILE_P <= p1 && q + TILE_Q <= s->Q &&
           covers(s->H, p * stride - s->pad, (TILE_P - 1) * stride + R) &&
           covers(s->W, q * stride - s->pad, (TILE_Q - 1) * stride + R);
}

#endif
