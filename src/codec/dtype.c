/* Number types of tensors: sizes, names, and conversion to f32.
 *
 * Quantised, complex and 8-bit float types are not here on purpose: no network of this program uses
 * them, and a reader that meets one says so. Conversions round to nearest even; f16 and bf16 are
 * exact. */
#include "codec/codec.h"

#include <string.h>

static const struct {
    const char *name; /* safetensors' spelling */
    size_t bytes;
} dtypes[EG_DTYPE_COUNT] = {
    [EG_DTYPE_F32] = {"F32", 4},   [EG_DTYPE_F64] = {"F64", 8}, [EG_DTYPE_F16] = {"F16", 2},
    [EG_DTYPE_BF16] = {"BF16", 2}, [EG_DTYPE_I64] = {"I64", 8}, [EG_DTYPE_I32] = {"I32", 4},
    [EG_DTYPE_I16] = {"I16", 2},   [EG_DTYPE_I8] = {"I8", 1},   [EG_DTYPE_U8] = {"U8", 1},
    [EG_DTYPE_BOOL] = {"BOOL", 1},
};

/* Sizes and names tolerate any value: they are asked while messages about nonsense are made. */
size_t eg_dtype_bytes(eg_dtype dtype) {
    return (unsigned)dtype < EG_DTYPE_COUNT ? dtypes[dtype].bytes : 0;
}

const char *eg_dtype_name(eg_dtype dtype) {
    return (unsigned)dtype < EG_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

/* Readers have checked that the product fits. */
size_t eg_tensor_count(const eg_tensor *t) {
    size_t n = 1;
    for (int i = 0; i < t->n_dims; i++) n *= (size_t)t->dims[i];
    return n;
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE binary16 to binary32, exact; the payload of a NaN is kept. */
static float from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31, mantissa = half & 0x3FF;
    if (exponent == 31) return from_bits(sign | 0x7F800000 | mantissa << 13);
    if (exponent != 0) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    /* subnormal: mantissa x 2^-24, which binary32 holds as a normal number */
    float value = (float)mantissa * 0x1p-24f;
    return sign ? -value : value;
}

#define CONVERT(type, expression)                                                                  \
    do {                                                                                           \
        const type *x = t->data;                                                                   \
        for (size_t i = 0; i < n; i++) out[i] = (expression);                                      \
        return true;                                                                               \
    } while (0)

/* Integers beyond 2^24 round to nearest even, f64 beyond the range of f32 becomes infinite. BOOL is
 * refused: whether true is 1.0 is for the caller to say. */
bool eg_tensor_to_f32(float *out, const eg_tensor *t) {
    size_t n = eg_tensor_count(t);
    switch (t->dtype) {
    case EG_DTYPE_F32:
        if (n != 0) memcpy(out, t->data, n * sizeof *out);
        return true;
    case EG_DTYPE_F64:
        CONVERT(double, (float)x[i]);
    case EG_DTYPE_F16:
        CONVERT(uint16_t, from_f16(x[i]));
    case EG_DTYPE_BF16:
        CONVERT(uint16_t, from_bits((uint32_t)x[i] << 16));
    case EG_DTYPE_I64:
        CONVERT(int64_t, (float)x[i]);
    case EG_DTYPE_I32:
        CONVERT(int32_t, (float)x[i]);
    case EG_DTYPE_I16:
        CONVERT(int16_t, (float)x[i]);
    case EG_DTYPE_I8:
        CONVERT(int8_t, (float)x[i]);
    case EG_DTYPE_U8:
        CONVERT(uint8_t, (float)x[i]);
    case EG_DTYPE_BOOL:
    case EG_DTYPE_COUNT:
        break;
    }
    return false;
}
