/* 1x1 convolution of rows with its epilogue, for blocks of a network that stay in one core's cache (op_mbconv.c): there
 * oneDNN's threads and calls cost more than its kernels gain. 6 rows times 4 vectors of outputs stay in registers; packed
 * weights stream past, one input value at a time, or two where the processor multiplies bf16. Large products alone: eg_conv
 * and eg_gemm. Read first: compute.h, vec.h.                                                                     */
#include "compute/isa/tile.h"

/* vectors of outputs a block has at most, and rows that a tile of so many vectors has: 24 sums, 4 weights and one value fit the
 * 32 registers of AVX-512, 8 sums and as much the 16 of AVX2 */
enum { VECTORS = 4 };
ALWAYS_INLINE int rows_beside(int vectors) {
    return VF_N == 16 ? (vectors > 2 ? 6 : 12) : VF_N == 8 ? (vectors > 2 ? 2 : 4) : 2;
}

/* Weights: blocks of VECTORS * VF_N outputs (the last one: as many vectors as needed), each (C, block) in a row; with pairs
 * (C / 2, block, 2) in bf16. */
#if defined(ENGRAFT_VALUE_bf16) && defined(__AVX512BF16__)
#    define PAIRS 1
typedef uint16_t weight;
#else
#    define PAIRS 0
typedef float weight;
#endif

static int padded_depth(int C) {
    return PAIRS ? (C + 1) / 2 * 2 : C;
}

/* vectors of the block that begins with output k */
static int block_vectors(int K, int k) {
    int n = (K - k + VF_N - 1) / VF_N;
    return n < VECTORS ? n : VECTORS;
}

static weight weight_of(float w) {
    return PAIRS ? (weight)elem_of(w) : (weight)elem_get(elem_of(w));
}

/* place of weight (c, k) in a block of `width` outputs */
static size_t place(int c, int k, int width) {
    return PAIRS ? ((size_t)(c / 2) * (size_t)width + (size_t)k) * 2 + (size_t)(c % 2)
                 : (size_t)c * (size_t)width + (size_t)k;
}

/* inputs [c0, c1) of the block that begins with output k0; 16 lines of the packed block stay in L1 while weights (K, C) are
 * read a line at a time */
static void pack_lines(weight *out, const float *w, const eg_pointwise_weights *s, int k0,
                       int width, int c0, int c1) {
    int n = s->K - k0 < width ? s->K - k0 : width;
    for (int k = 0; k < n; k++)
        for (int c = c0; c < c1; c++)
            out[place(c, k, width)] = weight_of(w[(size_t)(k0 + k) * (size_t)s->C + (size_t)c]);
    for (int c = c0; c < c1; c++)
        for (int k = n; k < width; k++) out[place(c, k, width)] = 0;
}

void KERNEL(pw_pack)(void *packed, const float *w, const eg_pointwise_weights *s) {
    for (int k0 = s->k0; k0 < s->k1; k0 += VECTORS * VF_N) {
        int width = block_vectors(s->K, k0) * VF_N;
        weight *out = (weight *)packed + (size_t)padded_depth(s->C) * (size_t)k0;
        for (int c = 0; c < s->C; c += 16)
            pack_lines(out, w, s, k0, width, c, c + 16 < s->C ? c + 16 : s->C);
        if (padded_depth(s->C) > s->C)
            for (int k = 0; k < width; k++) out[place(s->C, k, width)] = 0;
    }
}

#if PAIRS
/* two products of each lane; `x`: two values for every lane */
ALWAYS_INLINE vf pair_product(__m512i x, __m512i w, vf sum) {
    __m512bh a, b;
    memcpy(&a, &x, sizeof a);
    memcpy(&b, &w, sizeof b);
    return _mm512_dpbf16_ps(sum, a, b);
}
ALWAYS_INLINE __m512i pair_at(const elem *x, int n) {
    uint32_t v = x[0];
    if (n == 2) memcpy(&v, x, sizeof v);
    return _mm512_set1_epi32((int)v);
}

/* values c .. c + n of each row (n is 1 behind the end of an odd C) */
ALWAYS_INLINE void step(vf *acc, const elem *x, const weight *w, size_t C, int c, int n, int rows,
                        int vectors) {
    const weight *at = w + (size_t)c * (size_t)(vectors * VF_N);
    __m512i wv[VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) wv[v] =
        _mm512_loadu_si512((const void *)(at + v * 2 * VF_N));
    UNROLL for (int r = 0; r < rows; r++) {
        __m512i xv = pair_at(x + (size_t)r * C + c, n);
        UNROLL for (int v = 0; v < vectors; v++) acc[r * vectors + v] =
            pair_product(xv, wv[v], acc[r * vectors + v]);
    }
}
#else
ALWAYS_INLINE void step(vf *acc, const elem *x, const weight *w, size_t C, int c, int n, int rows,
                        int vectors) {
    (void)n;
    const weight *at = w + (size_t)c * (size_t)(vectors * VF_N);
    vf wv[VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) wv[v] = vf_load(at + v * VF_N);
    UNROLL for (int r = 0; r < rows; r++) {
        vf xv = vf_set(elem_get(x[(size_t)r * C + (size_t)c]));
        UNROLL for (int v = 0; v < vectors; v++) acc[r * vectors + v] =
            vf_fma(xv, wv[v], acc[r * vectors + v]);
    }
}
#endif

/* outputs k on of `rows` rows; `last`: of the last vector */
ALWAYS_INLINE void store_rows(elem *y, const vf *acc, size_t K, int rows, int vectors, int last) {
    UNROLL for (int r = 0; r < rows; r++) {
        elem *to = y + (size_t)r * K;
        UNROLL for (int v = 0; v < vectors - 1; v++) ve_store(to + v * VF_N, acc[r * vectors + v]);
        tile_store(to + (vectors - 1) * VF_N, acc[r * vectors + vectors - 1], last);
    }
}

ALWAYS_INLINE void finish(elem *y, vf *acc, const eg_pointwise *p, const elem *residual, int k,
                          int rows, int vectors) {
    size_t K = (size_t)p->K;
    int last = p->K - k - (vectors - 1) * VF_N;
    if (last > VF_N) last = VF_N;
    if (residual)
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++)
            acc[r * vectors + v] =
                vf_add(acc[r * vectors + v], ve_loadn(residual + (size_t)r * K + k + v * VF_N,
                                                      v < vectors - 1 ? VF_N : last));
    if (tile_act_is_far(p->act)) {
        vf far[MAX_TILE];
        UNROLL for (int i = 0; i < rows * vectors; i++) far[i] = acc[i];
        tile_act_far(far, rows * vectors, p->act);
        store_rows(y + k, far, K, rows, vectors, last);
    } else {
        tile_act_near(acc, rows * vectors, p->act);
        store_rows(y + k, acc, K, rows, vectors, last);
    }
}

/* `rows` rows from x on, outputs k .. k + vectors * VF_N */
ALWAYS_INLINE void block(elem *y, const elem *x, const weight *w, const eg_pointwise *p,
                         const elem *residual, int k, int rows, int vectors) {
    vf acc[MAX_TILE];
    UNROLL for (int v = 0; v < vectors; v++) {
        int n = p->K - k - v * VF_N < VF_N ? p->K - k - v * VF_N : VF_N;
        vf b = vf_loadn(p->bias + k + v * VF_N, n);
        UNROLL for (int r = 0; r < rows; r++) acc[r * vectors + v] = b;
    }
    size_t C = (size_t)p->C;
    int c = 0, stride = PAIRS ? 2 : 1;
    for (; c + stride <= p->C; c += stride) step(acc, x, w, C, c, stride, rows, vectors);
    if (c < p->C) step(acc, x, w, C, c, 1, rows, vectors);
    finish(y, acc, p, residual, k, rows, vectors);
}

/* all rows against one block of outputs: its weights stay in L1 where C is small, in L2 otherwise */
ALWAYS_INLINE void all_rows(elem *y, const elem *x, const weight *w, const eg_pointwise *p, int k,
                            int vectors) {
    const elem *residual = p->residual;
    size_t C = (size_t)p->C, K = (size_t)p->K, r = 0;
    size_t many = (size_t)rows_beside(vectors);
    for (; r + many <= p->rows; r += many)
        block(y + r * K, x + r * C, w, p, residual ? residual + r * K : NULL, k,
              rows_beside(vectors), vectors);
    for (; r + 2 <= p->rows; r += 2)
        block(y + r * K, x + r * C, w, p, residual ? residual + r * K : NULL, k, 2, vectors);
    if (r < p->rows)
        block(y + r * K, x + r * C, w, p, residual ? residual + r * K : NULL, k, 1, vectors);
}

void KERNEL(pointwise)(void *y, const void *x, const void *packed, const eg_pointwise *p) {
    const weight *w = packed;
    for (int k = 0; k < p->K; k += VECTORS * VF_N) {
        int vectors = block_vectors(p->K, k);
        if (vectors == 4)
            all_rows(y, x, w, p, k, 4);
        else if (vectors == 3)
            all_rows(y, x, w, p, k, 3);
        else if (vectors == 2)
            all_rows(y, x, w, p, k, 2);
        else
            all_rows(y, x, w, p, k, 1);
        w += (size_t)padded_depth(p->C) * (size_t)(vectors * VF_N);
    }
}
