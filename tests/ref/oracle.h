/* What the reference tests of kernels and convolutions share: activations and their slopes in double, values of either type
 * in memory, and the one rule of comparison. A kernel computes in float and rounds once at the end. So, with `error` a
 * bound of what float arithmetic did to the true value before that, its output lies between the roundings of (true - error)
 * and (true + error), because rounding is monotonic: exact in f32 and in bf16, with no allowance for the output's format
 * (half a unit of bf16 is 2^-9 to 2^-8 of a value, which would hide every mistake of a unit).                      */
#ifndef TEST_ORACLE_H
#define TEST_ORACLE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "compute/compute.h"

/* half a unit in the last place of a float, relative: what one operation costs at most */
#define FLOAT_ROUNDING 0x1p-24
#define LEAST_NORMAL   0x1p-126

/* ---- values in memory ---- */

/* v as the type has it, ties to even; bf16 straight from double, since rounding twice is not rounding */
static inline double round_to(double v, eg_type type) {
    if (type == EG_TYPE_F32) return (double)(float)v;
    if (!isfinite(v) || v == 0) return v;
    int e;
    frexp(v, &e);
    if (e < -125) e = -125; /* denormals: steps of 2^-133 */
    double step = ldexp(1, e - 8), r = nearbyint(v / step) * step;
    return fabs(r) >= 0x1p128 ? copysign(INFINITY, v) : r;
}

static inline double value_get(const void *p, size_t i, eg_type type) {
    if (type == EG_TYPE_F32) return (double)((const float *)p)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return (double)v;
}

static inline void value_set(void *p, size_t i, eg_type type, double v) {
    float f = (float)round_to(v, type);
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (type == EG_TYPE_F32)
        ((float *)p)[i] = f;
    else
        ((uint16_t *)p)[i] = (uint16_t)(bits >> 16);
}

/* Is `got` what a float within `error` of `want` is rounded to? The processor's own conversion to bf16 takes denormals for 0. */
static inline bool is_near(double got, double want, double error, eg_type type) {
    if (isnan(want)) return isnan(got);
    if (got >= round_to(want - error, type) && got <= round_to(want + error, type)) return true;
    return type == EG_TYPE_BF16 && got == 0 && fabs(want) - error < LEAST_NORMAL;
}

static inline const char *type_name(eg_type type) {
    return type == EG_TYPE_BF16 ? "bf16" : "f32";
}

/* ---- activations ---- */

static inline double phi_of(double v) {
    return erfc(-v / sqrt(2)) / 2;
}

static inline double act_of(double v, int act) {
    switch (act) {
    case EG_KACT_RELU:
        return v <= 0 ? 0 : v; /* NaN stays */
    case EG_KACT_RELU6:
        return v <= 0 ? 0 : v > 6 ? 6 : v;
    case EG_KACT_SILU:
        return v / (1 + exp(-v));
    case EG_KACT_SIGMOID:
        return 1 / (1 + exp(-v));
    case EG_KACT_HARDSWISH:
        return v <= -3 ? 0 : v >= 3 ? v : v * (v + 3) / 6;
    case EG_KACT_HARDSIGMOID:
        return v <= -3 ? 0 : v >= 3 ? 1 : (v + 3) / 6;
    case EG_KACT_GELU:
        return v * phi_of(v);
    default:
        return v;
    }
}

/* at the kinks as PyTorch: ReLU, ReLU6 and hard sigmoid 0, hard swish 0 at -3 and 1 at 3 */
static inline double slope_of(double v, int act) {
    double s = 1 / (1 + exp(-v));
    switch (act) {
    case EG_KACT_RELU:
        return v > 0;
    case EG_KACT_RELU6:
        return v > 0 && v < 6;
    case EG_KACT_SILU:
        return s + v * (s / (1 + exp(v)));
    case EG_KACT_SIGMOID:
        return s / (1 + exp(v));
    case EG_KACT_HARDSWISH:
        return v <= -3 ? 0 : v >= 3 ? 1 : (2 * v + 3) / 6;
    case EG_KACT_HARDSIGMOID:
        return v > -3 && v < 3 ? 1.0 / 6 : 0;
    case EG_KACT_GELU:
        return phi_of(v) + v * exp(-v * v / 2) / sqrt(2 * 3.14159265358979323846);
    default:
        return 1;
    }
}

/* is v so near to a kink that `error` may have taken it to the other side? */
static inline bool at_kink(double v, double error, int act) {
    double kink[2] = {0, 6};
    if (act == EG_KACT_HARDSWISH || act == EG_KACT_HARDSIGMOID) kink[0] = -3, kink[1] = 3;
    bool none =
        act == EG_KACT_NONE || act == EG_KACT_SILU || act == EG_KACT_SIGMOID || act == EG_KACT_GELU;
    return !none && (fabs(v - kink[0]) <= error || fabs(v - kink[1]) <= error);
}

/* Relative error of the sigmoid in float: exponential, sum, quotient, each some units. For values in bf16 shorter polynomials
 * (3e-6 of the exponential, and the reduction of an argument of 88 without a fused product 8e-6) and a reciprocal of 14
 * bits are enough (vec.h).                                                                                        */
static inline double sigmoid_error(eg_type type) {
    return type == EG_TYPE_BF16 ? 0x1p-14 + 1.2e-5 : 6e-7;
}

/* Bound of the float arithmetic's error in act(v), v exact. Where e^x ends (87) the sigmoid stops falling
 * or falls to 0. */
static inline double act_error(double v, int act, eg_type type) {
    double y = fabs(act_of(v, act)), a = fabs(v), least = 4 * LEAST_NORMAL;
    switch (act) {
    case EG_KACT_SILU:
        return sigmoid_error(type) * y + a * least;
    case EG_KACT_SIGMOID:
        return sigmoid_error(type) * y + least;
    case EG_KACT_HARDSWISH:
        return 4 * FLOAT_ROUNDING * a;
    case EG_KACT_HARDSIGMOID:
        return 4 * FLOAT_ROUNDING;
    case EG_KACT_GELU: /* relative to Phi in the lower tail */
        if (type == EG_TYPE_BF16) return v < 0 ? 4e-5 * y + a * least : 2e-5 * a;
        return v < 0 ? fmin(2e-7 * a, 5e-6 * y) + a * least : 2e-7 * a;
    default:
        return 0;
    }
}

/* the same of act'(v) */
static inline double slope_error(double v, int act, eg_type type) {
    double s = 1 / (1 + exp(-v)), t = 1 / (1 + exp(v)), a = fabs(v), r = sigmoid_error(type);
    double least = 4 * LEAST_NORMAL;
    /* from 18 on the sigmoid is 1 itself: v times its error is no more */
    double far = a < 18 ? a : 0;
    switch (act) {
    case EG_KACT_SILU:
        return r * s * (1 + a * t + far * s) + 6 * FLOAT_ROUNDING * s * (1 + far) + a * a * least;
    case EG_KACT_SIGMOID:
        return r * s + 2 * FLOAT_ROUNDING;
    case EG_KACT_HARDSWISH:
        return a < 3.5 ? 16 * FLOAT_ROUNDING : 0;
    case EG_KACT_HARDSIGMOID:
        return FLOAT_ROUNDING;
    case EG_KACT_GELU:
        return type == EG_TYPE_BF16 ? 4e-5 : 1.5e-6;
    default:
        return 0;
    }
}

/* the steepest slope, for errors that come in with v */
#define MOST_SLOPE 1.5

#endif
