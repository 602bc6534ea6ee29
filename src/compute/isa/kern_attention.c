/* Kernels of attention, on one thread and small matrices that stay in cache: a matrix product whose first factor may have
 * any strides (so that it can be read transposed), softmax of rows, and its gradient. Rows of the second factor and of
 * results are padded to whole groups of EG_LANES floats, so that no loop has a tail. Read first: compute.h, vec.h. */
#include "compute/isa/vec.h"

/* Accumulators of one block: ROWS x WIDE vectors and what feeds them must fit the registers (32, or 16 for AVX2). */
#if defined(ENGRAFT_ISA_avx2)
enum { ROWS = 6, WIDE = 2 };
#else
enum { ROWS = 6, WIDE = 4 };
#endif

/* `rows` x `wide` vectors of C; both constants after inlining */
ALWAYS_INLINE void block(float *c, const float *a, const float *b, const eg_small_product *s,
                         int rows, int wide) {
    vf acc[ROWS][WIDE];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < wide; j++)
            acc[i][j] = s->add ? vf_load(c + (size_t)i * s->c_row + j * VF_N) : vf_set(0);
    for (int k = 0; k < s->k; k++) {
        const float *ak = a + (size_t)k * s->a_column, *bk = b + (size_t)k * s->b_row;
        vf bv[WIDE];
        for (int j = 0; j < wide; j++) bv[j] = vf_load(bk + j * VF_N);
        for (int i = 0; i < rows; i++) {
            vf av = vf_set(ak[(size_t)i * s->a_row]);
            for (int j = 0; j < wide; j++) acc[i][j] = vf_fma(av, bv[j], acc[i][j]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < wide; j++) vf_store(c + (size_t)i * s->c_row + j * VF_N, acc[i][j]);
}

/* Blocks of ROWS rows, then of two and one, so that each block's size is a constant to the compiler.
 * All rows of `wide` vectors of columns: B's part is read again for each block of rows, from cache */
ALWAYS_INLINE void columns(float *c, const float *a, const float *b, const eg_small_product *s,
                           int wide) {
    int i = 0;
    for (; i + ROWS <= s->m; i += ROWS)
        block(c + (size_t)i * s->c_row, a + (size_t)i * s->a_row, b, s, ROWS, wide);
    for (; i + 2 <= s->m; i += 2)
        block(c + (size_t)i * s->c_row, a + (size_t)i * s->a_row, b, s, 2, wide);
    if (i < s->m) block(c + (size_t)i * s->c_row, a + (size_t)i * s->a_row, b, s, 1, wide);
}

/* Order of additions: over k, from the first to the last, in every element, whatever block it falls into. */
void KERNEL(small_product)(float *c, const float *a, const float *b, const eg_small_product *s) {
    int left = s->n / VF_N;
    while (left > 0) {
        int wide = left >= WIDE ? WIDE : left >= 2 ? 2 : 1;
        if (wide == WIDE)
            columns(c, a, b, s, WIDE);
        else if (wide == 2)
            columns(c, a, b, s, 2);
        else
            columns(c, a, b, s, 1);
        c += wide * VF_N;
        b += wide * VF_N;
        left -= wide;
    }
}

/* lane by lane, in order: the same on every compiler */
ALWAYS_INLINE float add_lanes(vf v) {
    float lane[VF_N], total = 0;
    vf_store(lane, v);
    for (int i = 0; i < VF_N; i++) total += lane[i];
    return total;
}

static float largest(const float *x, int n) {
    float lane[VF_N], top = x[0];
    int i = 0;
    if (n >= VF_N) {
        vf v = vf_load(x);
        for (i = VF_N; i + VF_N <= n; i += VF_N) v = vf_max(v, vf_load(x + i));
        vf_store(lane, v);
        for (int k = 0; k < VF_N; k++) top = lane[k] > top ? lane[k] : top;
    }
    for (; i < n; i++) top = x[i] > top ? x[i] : top;
    return top;
}

/* The largest is taken off first, so that no exponential overflows. */
static void softmax_row(float *x, int n, int padded) {
    float top = largest(x, n);
    vf shift = vf_set(top), sum = vf_set(0);
    int i = 0;
    for (; i + VF_N <= n; i += VF_N) {
        vf e = vf_exp(vf_sub(vf_load(x + i), shift));
        vf_store(x + i, e);
        sum = vf_add(sum, e);
    }
    /* the padding of the row may hold anything: it is neither counted nor kept */
    float tail = 0;
    if (i < n) {
        float lane[VF_N];
        vf_store(lane, vf_exp(vf_sub(vf_loadn(x + i, n - i), shift)));
        for (int k = 0; i < n; i++, k++) tail += x[i] = lane[k];
    }
    for (i = n; i < padded; i++) x[i] = 0;
    vf scale = vf_set(1.0f / (add_lanes(sum) + tail));
    for (i = 0; i < padded; i += VF_N) vf_store(x + i, vf_mul(vf_load(x + i), scale));
}

void KERNEL(softmax_rows)(float *x, size_t rows, int n) {
    int padded = (n + EG_LANES - 1) / EG_LANES * EG_LANES;
    for (size_t r = 0; r < rows; r++) softmax_row(x + r * (size_t)padded, n, padded);
}

/* dx_i = p_i (dp_i - sum_j p_j dp_j); p is 0 in the padding, so dx is too */
void KERNEL(softmax_backward_rows)(float *dp, const float *p, size_t rows, int n) {
    size_t padded = (size_t)((n + EG_LANES - 1) / EG_LANES * EG_LANES);
    for (size_t r = 0; r < rows; r++, dp += padded, p += padded) {
        vf sum = vf_set(0);
        for (size_t i = 0; i < padded; i += VF_N)
            sum = vf_fma(vf_load(p + i), vf_load(dp + i), sum);
        vf mean = vf_set(add_lanes(sum));
        for (size_t i = 0; i < padded; i += VF_N)
            vf_store(dp + i, vf_mul(vf_load(p + i), vf_sub(vf_load(dp + i), mean)));
    }
}
