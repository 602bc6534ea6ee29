/* Door of the compute room: kernels on plain arrays of float or bfloat16. Dense convolutions and matrix products (oneDNN, or a plain-C
 * fallback with the same numbers), and our own vector kernels behind one table. Knows no network and allocates nothing
 * while it runs: callers bring packed weights and scratch. Activations are NHWC.
 * Letters: N batch, H W C input, K P Q output, R kernel side (R S where it is not square),
 * M rows = N*H*W.                                                                                             */
#ifndef EG_COMPUTE_H
#define EG_COMPUTE_H

#include "base/base.h"

/* ---- instruction sets (dispatch.c) ---- */

/* AVX512BF16: the processor multiplies and rounds to bf16 itself; in f32 the same kernels as AVX512 */
typedef enum { EG_ISA_SCALAR, EG_ISA_AVX2, EG_ISA_AVX512, EG_ISA_AVX512BF16, EG_ISA_COUNT } eg_isa;
const char *eg_isa_name(eg_isa isa);
eg_isa eg_isa_best(void); /* what processor and operating system can run */
eg_isa eg_isa_now(void);  /* in use: the best, or the cap */
eg_status eg_isa_cap(const char *name,
                     eg_error *err); /* before the first kernel call; EG_ERR_USAGE unknown name */

/* ---- number formats of activations and their gradients ---- */

/* BF16: the upper half of an IEEE float, rounded to nearest even; NaN stays NaN. Parameters, statistics and sums are float
 * in either format. */
typedef enum { EG_TYPE_F32, EG_TYPE_BF16, EG_TYPE_COUNT } eg_type;
static inline size_t eg_type_bytes(eg_type type) {
    return type == EG_TYPE_BF16 ? 2 : 4;
}
/* the i-th value of an array of `type` */
static inline void *eg_value_to(void *p, size_t i, eg_type type) {
    return (uint8_t *)p + i * eg_type_bytes(type);
}
static inline const void *eg_value_at(const void *p, size_t i, eg_type type) {
    return (const uint8_t *)p + i * eg_type_bytes(type);
}
/* The processor multiplies bf16 itself (AVX512-BF16 or AMX), and the cap lets it. */
bool eg_bf16_is_native(void);

/* ---- our kernels: one list, read by declaration, table, tests and `version --kernels` ---- */

/* Activations as the kernels know them; net's eg_act has the same order (asserted in ops.c). */
enum {
    EG_KACT_NONE,
    EG_KACT_RELU,
    EG_KACT_RELU6,
    EG_KACT_SILU,
    EG_KACT_SIGMOID,
    EG_KACT_HARDSWISH,
    EG_KACT_HARDSIGMOID,
    EG_KACT_GELU,
    EG_KACT_COUNT
};

/* Affine batch norm of rows x C: y = act(row_scale * (x * scale + shift) + residual). */
typedef struct {
    const float *scale, *shift; /* (C) */
    const void *residual;       /* values (rows, C) or NULL */
    float row_scale;            /* drop path's factor of this sample; 1 = none */
    int act;
} eg_bn_apply;
/* First backward pass: g = (dy + dy2) * act'(.), written over dy; per channel sum of s*g and s*g*(x - mean),
 * s = row_scale. The derivative is recomputed from x, or read from the output y where there was a residual.    */
typedef struct {
    const void *dy2; /* second gradient contribution, values (rows, C) or NULL */
    const void *y;   /* output, when act is RELU or RELU6 and there was a residual; else NULL */
    const float *scale, *shift, *mean; /* (C) */
    float row_scale;
    int act;
} eg_bn_reduce;
/* Depthwise convolution of one sample; weights are (R*R, C). */
typedef struct {
    int H, W, C, P, Q, R, stride, pad; /* pad = before; rows and columns outside read as 0 */
    int x_row0, y_row0; /* dw_forward: the rows that x and y begin with; others need not be there */
} eg_dw_shape;
/* 1x1 convolution of rows: y (rows, K) = act(x (rows, C) W + bias [+ residual]), no gaps between rows. */
typedef struct {
    size_t rows;
    int C, K, act;
    const float *bias;    /* (K) */
    const void *residual; /* values (rows, K) or NULL; may be y */
} eg_pointwise;
/* What pw_pack reads: weights (K, C) as PyTorch has them; outputs [k0, k1), both multiples of EG_PW_BLOCK or K. */
enum { EG_PW_BLOCK = 64 };
typedef struct {
    int C, K, k0, k1;
} eg_pointwise_weights;
/* bytes of W as pw_pack leaves it, enough for any instruction set and type */
static inline size_t eg_pointwise_packed_bytes(int C, int K) {
    return ((size_t)C + 1) * (((size_t)K + EG_PW_BLOCK - 1) / EG_PW_BLOCK * EG_PW_BLOCK) *
           sizeof(float);
}

/* C (m,n) = A B [+ C] of small matrices in cache: element (i,k) of A at i * a_row + k * a_column, rows of B (k,n) and of C
 * b_row and c_row floats apart. n is a multiple of EG_LANES: rows are padded, with zeros where it matters. */
enum { EG_LANES = 16 };
typedef struct {
    int m, n, k;
    size_t a_row, a_column, b_row, c_row;
    bool add;
} eg_small_product;

/* X(name, parameters): every kernel runs on one thread and writes only its outputs. These exist for values in f32 and in
 * bf16: a void pointer is an array of values, a float pointer is float in both tables.                           */
#define EG_VALUE_KERNEL_LIST(X)                                                                                         \
    /* sums (2,C) double: += sum of (x - pivot) and of its square; scratch (2,C) float */                               \
    X(bn_sums,                                                                                                          \
      (double *sums, const void *x, size_t rows, int C, const float *pivot, float *scratch))                            \
    X(bn_apply, (void *y, const void *x, size_t rows, int C, const eg_bn_apply *a))                                     \
    /* sums (2,C) double: += ; scratch (2,C) float */                                                                   \
    X(bn_reduce, (double *sums, void *dy, const void *x, size_t rows, int C,                                            \
                  const eg_bn_reduce *a, float *scratch))                                                               \
    /* dx = row_scale * g * a + (x - mean) * b + c, coefficients (4,C): a, b, c, mean; dx may be g */                   \
    X(bn_dx, (void *dx, const void *g, const void *x, size_t rows, int C,                                               \
              const float *const coefficients[4], float row_scale))                                                     \
    X(act, (void *y, const void *x, size_t n, int act))                                                                 \
    /* dx = dy * act'(x); dx may be dy */                                                                               \
    X(act_backward, (void *dx, const void *dy, const void *x, size_t n, int act))                                       \
    X(add, (void *y, const void *a, const void *b, size_t n)) /* y may be a */                                          \
    /* values to float and back; f32: a copy */                                                                         \
    X(widen, (float *y, const void *x, size_t n))                                                                       \
    X(narrow, (void *y, const float *x, size_t n))                                                                      \
    /* out (C) float: sum over rows of x */                                                                             \
    X(sum_rows, (float *out, const void *x, size_t rows, int C))                                                        \
    /* out (C) float: sum over rows of a * b */                                                                         \
    X(sum_rows_product, (float *out, const void *a, const void *b, size_t rows, int C))                                 \
    /* y = x * s per channel; y may be x */                                                                             \
    X(scale_rows, (void *y, const void *x, size_t rows, int C, const float *s))                                         \
    /* y = x * s + t per channel; y may be x */                                                                         \
    X(scale_shift_rows,                                                                                                 \
      (void *y, const void *x, size_t rows, int C, const float *s, const float *t))                                     \
    /* output rows [p0, p1) of one sample; y = act(conv + bias), bias NULL = 0 */                                       \
    X(dw_forward, (void *y, const void *x, const float *w, const float *bias, int act,                                  \
                   const eg_dw_shape *s, int p0, int p1))                                                               \
    /* weights into the order of pointwise, for values of this type */                                                  \
    X(pw_pack, (void *packed, const float *w, const eg_pointwise_weights *s))                                           \
    X(pointwise, (void *y, const void *x, const void *packed, const eg_pointwise *p))                                   \
    /* input-gradient rows [h0, h1) of one sample */                                                                    \
    X(dw_backward_data,                                                                                                 \
      (void *dx, const void *dy, const float *w, const eg_dw_shape *s, int h0, int h1))                                 \
    /* dw (R*R, C) += of output rows [p0, p1) */                                                                        \
    X(dw_backward_weights,                                                                                              \
      (float *dw, const void *x, const void *dy, const eg_dw_shape *s, int p0, int p1))                                 \
    /* output rows [p0, p1) of one sample; index: tap of the maximum, (P,Q,C) or NULL */                                \
    X(max_pool, (void *y, uint8_t *index, const void *x, const eg_dw_shape *s, int p0, int p1))                         \
    /* input-gradient rows [h0, h1) of one sample, from the taps that max_pool kept */                                  \
    X(max_pool_backward,                                                                                                \
      (void *dx, const void *dy, const uint8_t *index, const eg_dw_shape *s, int h0, int h1))                           \
    /* the arithmetic limit of products of this type. out: the mean of all lanes, 5.5 at first; near 2 after some 30  \
     * rounds, or, where bf16 is multiplied natively, more by 1/512 a round; flops: operations done */ \
    X(fma_chains, (float *out, double *flops, size_t rounds))

/* in f32 only: transformers compute in float throughout */
#define EG_FLOAT_KERNEL_LIST(X)                                                                    \
    /* layer norm: y = (x - mean) / std * gamma + beta, over the C of each row; y may be x; \
     * stats (rows,2): mean, 1 / std = 1 / sqrt(var + epsilon), or NULL */      \
    X(ln_forward, (float *y, float *stats, const float *x, size_t rows, int C, const float *gamma, \
                   const float *beta, float epsilon))                                              \
    /* sums (2,C): sum of dy * normalised x, and of dy; dx may be dy, NULL = not wanted */         \
    X(ln_backward, (float *dx, float *sums, const float *dy, const float *x, const float *stats,   \
                    size_t rows, int C, const float *gamma))                                       \
    X(small_product, (float *c, const float *a, const float *b, const eg_small_product *s))        \
    /* each row of n floats, padded to EG_LANES: softmax in place, padding becomes 0 */            \
    X(softmax_rows, (float *x, size_t rows, int n))                                                \
    /* dp becomes the gradient of the softmax's input; p: its output; padded alike */              \
    X(softmax_backward_rows, (float *dp, const float *p, size_t rows, int n))

#define EG_KERNEL_LIST(X) EG_VALUE_KERNEL_LIST(X) EG_FLOAT_KERNEL_LIST(X)

#define EG_KERNEL_MEMBER(name, params) void(*name) params;
typedef struct {
    EG_KERNEL_LIST(EG_KERNEL_MEMBER)
} eg_kernels;
/* The f32 table in use; total for every instruction set. */
const eg_kernels *eg_kernels_get(void);
/* The table for values of `type`; in bf16 the members of EG_FLOAT_KERNEL_LIST are NULL. */
const eg_kernels *eg_kernels_for(eg_type type);
/* The table of one instruction set (tests); NULL when this processor cannot run it. */
const eg_kernels *eg_kernels_of(eg_isa isa, eg_type type);

/* ---- dense convolution (onednn.c, or conv_plain.c) ---- */

typedef struct {
    int N, H, W, C, K, P, Q, R, S, stride;
    int pad_before, pad_after; /* rows above and below */
    int pad_left, pad_right;   /* columns */
    int groups;
    eg_type type; /* of src and dst and their gradients; weights, bias and their gradients: float */
} eg_conv_shape;
typedef enum { EG_CONV_FORWARD, EG_CONV_BACKWARD_DATA, EG_CONV_BACKWARD_WEIGHTS } eg_conv_pass;
/* Forward epilogue: dst = act([dst +] conv + bias). */
typedef struct {
    bool bias; /* FORWARD: add a (K) bias; BACKWARD_WEIGHTS: also give its gradient */
    bool add;  /* add what dst holds before the call */
    int act;
} eg_conv_epilogue;
typedef struct eg_conv eg_conv; /* one pass of one shape, made once, run many times */
eg_status eg_conv_new(eg_conv **out, const eg_conv_shape *s, eg_conv_pass pass,
                      const eg_conv_epilogue *e, eg_error *err);
void eg_conv_free(eg_conv *conv);
size_t eg_conv_packed_bytes(
    const eg_conv *conv); /* weights (or their gradient) in the layout the pass works on */
size_t eg_conv_scratch_bytes(const eg_conv *conv);
/* weights: PyTorch's (K, C/groups, R, S). 64-byte aligned buffers throughout. EG_ERR_INTERNAL on a library failure. */
eg_status eg_conv_pack(const eg_conv *conv, void *packed, const float *weights, eg_error *err);
eg_status eg_conv_forward(const eg_conv *conv, void *dst, const void *src, const void *packed,
                          const float *bias, void *scratch, eg_error *err);
eg_status eg_conv_backward_data(const eg_conv *conv, void *dsrc, const void *ddst,
                                const void *packed, void *scratch, eg_error *err);
/* dweights in PyTorch's order, overwritten; dbias NULL unless asked for in the epilogue. */
eg_status eg_conv_backward_weights(const eg_conv *conv, float *dweights, float *dbias,
                                   const void *src, const void *ddst, void *packed, void *scratch,
                                   eg_error *err);
/* Row-major C (m,n) = A B [+ C]: A (m,k) or, transposed, stored (k,m); B (k,n) or stored (n,k). */
eg_status eg_gemm(float *c, const float *a, const float *b, int m, int n, int k, bool transpose_a,
                  bool transpose_b, bool accumulate, eg_error *err);
/* "oneDNN 2.6.3" or "plain C"; static storage. */
const char *eg_compute_backend(void);

#endif
