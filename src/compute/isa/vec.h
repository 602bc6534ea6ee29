/* The small vector vocabulary that kernel bodies are written in, one spelling an instruction set: `vf` holds VF_N
 * floats. Included by isa/kern_*.c only, each compiled once per set with ENGRAFT_ISA_<set> defined. Tails: vf_loadn
 * and vf_storen touch the first n floats only.                                                                */
#ifndef EG_VEC_H
#define EG_VEC_H

#include "compute/compute.h"
#include <math.h>
#include <string.h>

#define EG_KERN_CAT2(a, b)              eg_kern_##a##_##b
#define EG_KERN_CAT(a, b)               EG_KERN_CAT2(a, b)
#define KERNEL(name)                    EG_KERN_CAT(name, ENGRAFT_ISA_NAME)
#define EG_KERNEL_DECLARE(name, params) void KERNEL(name) params;
EG_KERNEL_LIST(EG_KERNEL_DECLARE)

/* Values (activations and their gradients) are `elem`s in memory and floats in registers: kernels read and write them by
 * ve_*, and parameters and sums, float always, by vf_*. A source that has values is compiled for each format. */
#if defined(ENGRAFT_VALUE_bf16)
typedef uint16_t elem;
#else
typedef float elem;
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline, unused))

#if defined(ENGRAFT_ISA_avx512)
#    include <immintrin.h>
enum { VF_N = 16 };
typedef __m512 vf;
ALWAYS_INLINE vf vf_load(const float *p) {
    return _mm512_loadu_ps(p);
}
ALWAYS_INLINE void vf_store(float *p, vf v) {
    _mm512_storeu_ps(p, v);
}
ALWAYS_INLINE __mmask16 vf_tail(int n) {
    return (__mmask16)((1u << n) - 1u);
}
ALWAYS_INLINE vf vf_loadn(const float *p, int n) {
    return _mm512_maskz_loadu_ps(vf_tail(n), p);
}
ALWAYS_INLINE void vf_storen(float *p, vf v, int n) {
    _mm512_mask_storeu_ps(p, vf_tail(n), v);
}
ALWAYS_INLINE vf vf_set(float x) {
    return _mm512_set1_ps(x);
}
ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}
ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}
ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}
ALWAYS_INLINE vf vf_div(vf a, vf b) {
    return _mm512_div_ps(a, b);
}
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}
/* maxps and minps keep the second operand when one is NaN: NaN stays visible with the value second */
ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}
ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}
/* where a > b: v, else 0 */
ALWAYS_INLINE vf vf_where_gt(vf a, vf b, vf v) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), v);
}
ALWAYS_INLINE vf vf_round(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a * 2^n for integral-valued n in [-126, 127] */
ALWAYS_INLINE vf vf_ldexp(vf a, vf n) {
    return _mm512_scalef_ps(a, n);
}
/* 1 / d for positive d: 14 bits by table, doubled by Newton's step; 14 bits will do for values of 8 */
ALWAYS_INLINE vf vf_inverse(vf d) {
    vf r = _mm512_rcp14_ps(d);
#    if defined(ENGRAFT_VALUE_bf16)
    return r;
#    else
    return _mm512_fmadd_ps(r, _mm512_fnmadd_ps(d, r, _mm512_set1_ps(1.0f)), r);
#    endif
}
/* sum of all lanes */
ALWAYS_INLINE float vf_total(vf a) {
    return _mm512_reduce_add_ps(a);
}
#    if defined(ENGRAFT_VALUE_bf16)
ALWAYS_INLINE vf from_bf16(__m256i h) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
#        if defined(__AVX512BF16__)
ALWAYS_INLINE __m256i to_bf16(vf v) {
    __m256bh h = _mm512_cvtneps_pbh(v); /* denormals become 0 */
    __m256i bits;
    memcpy(&bits, &h, sizeof bits);
    return bits;
}
#        else
/* round to nearest even: add half a unit, less one bit where the last kept bit is 0 */
ALWAYS_INLINE __m256i to_bf16(vf v) {
    __m512i u = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    u = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    u = _mm512_mask_mov_epi32(u, nan, _mm512_set1_epi32(0x7fc00000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(u, 16));
}
#        endif
ALWAYS_INLINE vf ve_load(const elem *p) {
    return from_bf16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
ALWAYS_INLINE vf ve_loadn(const elem *p, int n) {
    return from_bf16(_mm256_maskz_loadu_epi16(vf_tail(n), p));
}
ALWAYS_INLINE void ve_store(elem *p, vf v) {
    _mm256_storeu_si256((__m256i *)(void *)p, to_bf16(v));
}
ALWAYS_INLINE void ve_storen(elem *p, vf v, int n) {
    _mm256_mask_storeu_epi16(p, vf_tail(n), to_bf16(v));
}
#    endif

#elif defined(ENGRAFT_ISA_avx2)
#    include <immintrin.h>
enum { VF_N = 8 };
typedef __m256 vf;
ALWAYS_INLINE vf vf_load(const float *p) {
    return _mm256_loadu_ps(p);
}
ALWAYS_INLINE void vf_store(float *p, vf v) {
    _mm256_storeu_ps(p, v);
}
ALWAYS_INLINE __m256i vf_tail(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
ALWAYS_INLINE vf vf_loadn(const float *p, int n) {
    return _mm256_maskload_ps(p, vf_tail(n));
}
ALWAYS_INLINE void vf_storen(float *p, vf v, int n) {
    _mm256_maskstore_ps(p, vf_tail(n), v);
}
ALWAYS_INLINE vf vf_set(float x) {
    return _mm256_set1_ps(x);
}
ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}
ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}
ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}
ALWAYS_INLINE vf vf_div(vf a, vf b) {
    return _mm256_div_ps(a, b);
}
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}
ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}
ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}
ALWAYS_INLINE vf vf_where_gt(vf a, vf b, vf v) {
    return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ), v);
}
ALWAYS_INLINE vf vf_round(vf a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
ALWAYS_INLINE vf vf_ldexp(vf a, vf n) {
    __m256i e =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(a, _mm256_castsi256_ps(e));
}
ALWAYS_INLINE float vf_total(vf a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
#    if defined(ENGRAFT_VALUE_bf16)
ALWAYS_INLINE vf from_bf16(__m128i h) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
ALWAYS_INLINE __m128i to_bf16(vf v) {
    __m256i u = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    u = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    u = _mm256_blendv_epi8(u, _mm256_set1_epi32(0x7fc00000), nan);
    u = _mm256_srli_epi32(u, 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(u), _mm256_extracti128_si256(u, 1));
}
ALWAYS_INLINE vf ve_load(const elem *p) {
    return from_bf16(_mm_loadu_si128((const __m128i *)(const void *)p));
}
ALWAYS_INLINE vf ve_loadn(const elem *p, int n) {
    if (n == VF_N) return ve_load(p);
    elem whole[VF_N] = {0};
    memcpy(whole, p, (size_t)n * sizeof *p);
    return ve_load(whole);
}
ALWAYS_INLINE void ve_store(elem *p, vf v) {
    _mm_storeu_si128((__m128i *)(void *)p, to_bf16(v));
}
ALWAYS_INLINE void ve_storen(elem *p, vf v, int n) {
    elem whole[VF_N];
    if (n == VF_N) {
        ve_store(p, v);
        return;
    }
    ve_store(whole, v);
    memcpy(p, whole, (size_t)n * sizeof *p);
}
#    endif

#else
enum { VF_N = 1 };
typedef float vf;
ALWAYS_INLINE vf vf_load(const float *p) {
    return *p;
}
ALWAYS_INLINE void vf_store(float *p, vf v) {
    *p = v;
}
ALWAYS_INLINE vf vf_loadn(const float *p, int n) {
    return n > 0 ? *p : 0;
}
ALWAYS_INLINE void vf_storen(float *p, vf v, int n) {
    if (n > 0) *p = v;
}
ALWAYS_INLINE vf vf_set(float x) {
    return x;
}
ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return a + b;
}
ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return a - b;
}
ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return a * b;
}
ALWAYS_INLINE vf vf_div(vf a, vf b) {
    return a / b;
}
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return a * b + c;
}
ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return a > b ? a : b;
}
ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return a < b ? a : b;
}
ALWAYS_INLINE vf vf_where_gt(vf a, vf b, vf v) {
    return a > b ? v : 0;
}
ALWAYS_INLINE vf vf_round(vf a) {
    return rintf(a);
}
ALWAYS_INLINE vf vf_ldexp(vf a, vf n) {
    return ldexpf(a, (int)n);
}
ALWAYS_INLINE float vf_total(vf a) {
    return a;
}
#endif

/* one value at a time, for code that the compiler vectorises itself, and all there is in scalar */
#if defined(ENGRAFT_VALUE_bf16)
ALWAYS_INLINE float elem_get(elem h) {
    uint32_t u = (uint32_t)h << 16;
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}
ALWAYS_INLINE elem elem_of(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    u = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    return v != v ? 0x7fc0u : (elem)u;
}
#else
ALWAYS_INLINE float elem_get(elem v) {
    return v;
}
ALWAYS_INLINE elem elem_of(float v) {
    return v;
}
ALWAYS_INLINE vf ve_load(const elem *p) {
    return vf_load(p);
}
ALWAYS_INLINE vf ve_loadn(const elem *p, int n) {
    return vf_loadn(p, n);
}
ALWAYS_INLINE void ve_store(elem *p, vf v) {
    vf_store(p, v);
}
ALWAYS_INLINE void ve_storen(elem *p, vf v, int n) {
    vf_storen(p, v, n);
}
#endif
#if defined(ENGRAFT_VALUE_bf16) && !defined(ENGRAFT_ISA_avx512) && !defined(ENGRAFT_ISA_avx2)
ALWAYS_INLINE vf ve_load(const elem *p) {
    return elem_get(*p);
}
ALWAYS_INLINE vf ve_loadn(const elem *p, int n) {
    return n > 0 ? elem_get(*p) : 0;
}
ALWAYS_INLINE void ve_store(elem *p, vf v) {
    *p = elem_of(v);
}
ALWAYS_INLINE void ve_storen(elem *p, vf v, int n) {
    if (n > 0) *p = elem_of(v);
}
#endif

#if !defined(ENGRAFT_ISA_avx512)
ALWAYS_INLINE vf vf_inverse(vf d) {
    return vf_div(vf_set(1.0f), d);
}
#endif

/* e^x = 2^n e^r with r = x - n ln 2 in [-ln 2 / 2, ln 2 / 2], ln 2 in two parts, the first so short that its product with n is
 * exact. e^r: minimax polynomials with p(0) = 1 (Lawson's weights, relative error): 9e-8, and 3e-6 where values have 8
 * bits. Clamped to where the result is a normal float.                                                         */
ALWAYS_INLINE vf vf_exp(vf x) {
    x = vf_min(vf_set(88.0f), vf_max(vf_set(-87.0f), x));
    vf n = vf_round(vf_mul(x, vf_set(1.44269504088896341f)));
#if defined(ENGRAFT_VALUE_bf16)
    vf r = vf_fma(n, vf_set(-0.69314718f), x);
    vf p = vf_fma(r, vf_set(0.041513849049806595f), vf_set(0.16787473857402802f));
    p = vf_fma(p, r, vf_set(0.5000301599502563f));
    p = vf_fma(p, r, vf_set(0.9999668598175049f));
#else
    vf r = vf_fma(n, vf_set(-0.693359375f), x);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf p = vf_fma(r, vf_set(0.008290315046906471f), vf_set(0.04189793020486832f));
    p = vf_fma(p, r, vf_set(0.1666763573884964f));
    p = vf_fma(p, r, vf_set(0.4999915063381195f));
    p = vf_fma(p, r, vf_set(0.9999997019767761f));
#endif
    return vf_ldexp(vf_fma(p, r, vf_set(1.0f)), n);
}
/* 1 / (1 + 2^n 2^r) with n + r = -x log2(e): as vf_exp, in fewer steps, since an error of e^-x counts less in the sum. The
 * magic number makes the addition round to integers. 2^r: minimax with p(0) = 1, 9e-8, and
 * 3e-6 where values have 8 bits.                                                                              */
ALWAYS_INLINE vf vf_sigmoid(vf x) {
    x = vf_min(vf_set(87.0f), vf_max(vf_set(-87.0f), x));
    vf magic = vf_set(12582912.0f), slope = vf_set(-1.44269504088896341f);
    vf t = vf_fma(x, slope, magic), n = vf_sub(t, magic);
#if defined(ENGRAFT_ISA_avx512) || defined(ENGRAFT_ISA_avx2)
    vf r = vf_fma(x, slope, vf_sub(vf_set(0.0f), n));
#    if !defined(ENGRAFT_VALUE_bf16)
    r = vf_fma(x, vf_set(-1.925963033500011e-08f), r); /* what the constant lost */
#    endif
#else /* without a fused multiply-add the product's rounding would be in r */
    vf r = (x + n * 0.693359375f - n * 2.12194440e-4f) * slope;
#endif
#if defined(ENGRAFT_VALUE_bf16)
    vf p = vf_fma(r, vf_set(0.009582852944731712f), vf_set(0.055906426161527634f));
    p = vf_fma(p, r, vf_set(0.24024099111557007f));
    p = vf_fma(p, r, vf_set(0.6931241750717163f));
#else
    vf p = vf_fma(r, vf_set(0.001326472731307149f), vf_set(0.009671512991189957f));
    p = vf_fma(p, r, vf_set(0.05550733581185341f));
    p = vf_fma(p, r, vf_set(0.24022242426872253f));
    p = vf_fma(p, r, vf_set(0.6931470036506653f));
#endif
    p = vf_fma(p, r, vf_set(1.0f));
    return vf_inverse(vf_add(vf_set(1.0f), vf_ldexp(p, n)));
}

/* Phi(z) = (1 + erf(z / sqrt 2)) / 2, error at most 2e-7, in the lower tail relative to Phi itself; *density gets
 * sqrt(2 pi) phi(z) = e^(-z^2/2). With a = |z|, u = pa / (1 + pa): Phi(-a) = e^(-a^2/2) (1 - u) g(u), where g is a minimax fit of
 * e^(a^2/2) Phi(-a) (1 + pa) over a < 13 (Lawson's weights, against scipy's erfcx; fit error 8e-8). In u, not in
 * 1 - u, because rounding would move 1 - u where Phi is steepest.                                              */
ALWAYS_INLINE vf vf_phi(vf z, vf *density) {
    vf one = vf_set(1.0f), zero = vf_set(0.0f);
    vf a = vf_min(vf_set(40.0f), vf_max(z, vf_sub(zero, z)));
    vf pa = vf_mul(a, vf_set(0.23334524035453796f));
    vf t = vf_div(one, vf_add(one, pa)), u = vf_mul(pa, t);
    vf g = vf_set(0.06796425580978394f);
    g = vf_fma(g, u, vf_set(-0.24440626800060272f));
    g = vf_fma(g, u, vf_set(0.21690669655799866f));
    g = vf_fma(g, u, vf_set(0.40908148884773254f));
    g = vf_fma(g, u, vf_set(-1.3185222148895264f));
    g = vf_fma(g, u, vf_set(1.6718173027038574f));
    g = vf_fma(g, u, vf_set(-1.209658145904541f));
    g = vf_fma(g, u, vf_set(0.4999999701976776f));
    *density = vf_exp(vf_mul(a, vf_mul(a, vf_set(-0.5f))));
    vf low = vf_mul(vf_mul(g, t), *density); /* Phi(-a) */
    return vf_add(low, vf_where_gt(z, zero, vf_sub(one, vf_add(low, low))));
}

/* act(z), the kind a compile-time constant after inlining */
ALWAYS_INLINE vf vf_act(vf z, int act) {
    vf zero = vf_set(0.0f);
    switch (act) {
    case EG_KACT_RELU:
        return vf_max(zero, z);
    case EG_KACT_RELU6:
        return vf_min(vf_set(6.0f), vf_max(zero, z));
    case EG_KACT_SILU:
        return vf_mul(z, vf_sigmoid(z));
    case EG_KACT_SIGMOID:
        return vf_sigmoid(z);
    case EG_KACT_HARDSWISH: {
        vf t = vf_min(vf_set(6.0f), vf_max(zero, vf_add(z, vf_set(3.0f))));
        return vf_mul(z, vf_mul(t, vf_set(1.0f / 6.0f)));
    }
    case EG_KACT_HARDSIGMOID: {
        vf t = vf_min(vf_set(6.0f), vf_max(zero, vf_add(z, vf_set(3.0f))));
        return vf_mul(t, vf_set(1.0f / 6.0f));
    }
    case EG_KACT_GELU: {
        vf density;
        return vf_mul(z, vf_phi(z, &density));
    }
    default:
        return z;
    }
}
/* g * act'(z). ReLU, ReLU6 and hard sigmoid have derivative 0 at the kinks, as PyTorch's. */
ALWAYS_INLINE vf vf_act_grad(vf g, vf z, int act) {
    vf zero = vf_set(0.0f), one = vf_set(1.0f);
    switch (act) {
    case EG_KACT_RELU:
        return vf_where_gt(z, zero, g);
    case EG_KACT_RELU6:
        return vf_where_gt(z, zero, vf_where_gt(vf_set(6.0f), z, g));
    case EG_KACT_SILU: {
        vf s = vf_sigmoid(z);
        return vf_mul(g, vf_mul(s, vf_fma(z, vf_sub(one, s), one)));
    }
    case EG_KACT_SIGMOID: {
        vf s = vf_sigmoid(z);
        return vf_mul(g, vf_mul(s, vf_sub(one, s)));
    }
    case EG_KACT_HARDSWISH: { /* 0 below -3, 1 above 3, (2 z + 3) / 6 between */
        vf slope = vf_fma(z, vf_set(1.0f / 3.0f), vf_set(0.5f));
        vf middle = vf_where_gt(vf_set(3.0f), z, vf_mul(g, slope));
        vf high = vf_sub(g, vf_where_gt(vf_set(3.0f), z, g));
        return vf_add(vf_where_gt(z, vf_set(-3.0f), middle), high);
    }
    case EG_KACT_HARDSIGMOID: {
        vf middle = vf_where_gt(vf_set(3.0f), z, vf_mul(g, vf_set(1.0f / 6.0f)));
        return vf_where_gt(z, vf_set(-3.0f), middle);
    }
    case EG_KACT_GELU: { /* Phi(z) + z phi(z) */
        vf density, below = vf_phi(z, &density);
        vf inverse = vf_set(0.3989422804014327f); /* 1 / sqrt(2 pi) */
        return vf_mul(g, vf_fma(vf_mul(z, inverse), density, below));
    }
    default:
        return g;
    }
}

#endif
