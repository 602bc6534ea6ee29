/* The hot loops of the resize: one pass over the columns and one over the rows, for 8-bit pixels
 * with coefficients in fixed point (Pillow Resample.c, 8-bit path) and for 16-bit pixels with
 * sums in double (its path of mode I;16). Each pass rounds to the pixel's depth. Which pass comes
 * first and over what is decided in resize.c. Read resize.h first. */
#include "data/resize.h"

#include <math.h>
#include <string.h>

#define LANES EG_DATA_RESIZE_LANES
#define HALF  (1 << (EG_DATA_RESIZE_BITS - 1))

/* ---- 8 bit ---- */

typedef int32_t lanes8 __attribute__((vector_size(32)));
typedef uint8_t bytes8 __attribute__((vector_size(8)));

/* sum += k * the 16 bytes at p, in two halves. A macro: vectors as arguments would tie the code
 * to one ABI. */
#define ADD_16(low, high, p, k)                                                                    \
    do {                                                                                           \
        bytes8 p_low, p_high;                                                                      \
        memcpy(&p_low, (p), 8);                                                                    \
        memcpy(&p_high, (p) + 8, 8);                                                               \
        (low) += __builtin_convertvector(p_low, lanes8) * (k);                                     \
        (high) += __builtin_convertvector(p_high, lanes8) * (k);                                   \
    } while (0)

/* sum >> 22, clipped to 0..255, 8 bytes to p. A comparison gives -1 where true. */
#define STORE_8(p, sum)                                                                            \
    do {                                                                                           \
        lanes8 value = (sum) >> EG_DATA_RESIZE_BITS;                                               \
        value &= value > 0;                                                                        \
        lanes8 over = value > 255;                                                                 \
        value = (value & ~over) | (over & 255);                                                    \
        bytes8 value_bytes = __builtin_convertvector(value, bytes8);                               \
        memcpy((p), &value_bytes, 8);                                                              \
    } while (0)

/* STORE_8 for one value. */
static inline uint8_t clip8(int32_t sum) {
    int32_t value = sum >> EG_DATA_RESIZE_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Sixteen rows are turned at a time, so that one coefficient meets sixteen neighbouring bytes. */
static inline __attribute__((always_inline)) void
columns_body(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride, int n_rows,
             size_t n_ch, const eg_data_axis *a, uint8_t *block) {
    const int first_column = a->first[0];
    const size_t n_bytes = (size_t)eg_data_axis_extent(a) * n_ch;
    for (int row = 0; row < n_rows; row += LANES) {
        int count = n_rows - row < LANES ? n_rows - row : LANES;
        for (int r = 0; r < LANES; r++) { // lanes beyond the last row repeat it
            const uint8_t *line = src + (size_t)(row + (r < count ? r : count - 1)) * src_stride;
            for (size_t j = 0; j < n_bytes; j++) block[j * LANES + (size_t)r] = line[j];
        }
        for (int i = 0; i < a->n; i++) {
            const int32_t *k = a->k + (size_t)i * (size_t)a->max_taps;
            const int taps = a->n_taps[i];
            const uint8_t *from = block + (size_t)(a->first[i] - first_column) * n_ch * LANES;
            for (size_t c = 0; c < n_ch; c++) {
                lanes8 low = {0}, high = {0};
                low += HALF;
                high += HALF;
                for (int t = 0; t < taps; t++)
                    ADD_16(low, high, from + ((size_t)t * n_ch + c) * LANES, k[t]);
                uint8_t out[LANES];
                STORE_8(out, low);
                STORE_8(out + 8, high);
                uint8_t *to = dst + (size_t)row * dst_stride + (size_t)i * n_ch + c;
                for (int r = 0; r < count; r++) to[(size_t)r * dst_stride] = out[r];
            }
        }
    }
}

static inline __attribute__((always_inline)) void rows_body(uint8_t *dst, size_t dst_stride,
                                                            const uint8_t *src, size_t src_stride,
                                                            size_t n, const eg_data_axis *a) {
    for (int i = 0; i < a->n; i++) {
        const int32_t *k = a->k + (size_t)i * (size_t)a->max_taps;
        const uint8_t *from = src + (size_t)(a->first[i] - a->first[0]) * src_stride;
        uint8_t *to = dst + (size_t)i * dst_stride;
        const int taps = a->n_taps[i];
        size_t j = 0;
        for (; j + LANES <= n; j += LANES) {
            lanes8 low = {0}, high = {0};
            low += HALF;
            high += HALF;
            for (int t = 0; t < taps; t++)
                ADD_16(low, high, from + (size_t)t * src_stride + j, k[t]);
            STORE_8(to + j, low);
            STORE_8(to + j + 8, high);
        }
        for (; j < n; j++) {
            int32_t sum = HALF;
            for (int t = 0; t < taps; t++) sum += k[t] * from[(size_t)t * src_stride + j];
            to[j] = clip8(sum);
        }
    }
}

/* The same code for AVX2 where the processor has it: integers, so the bits are the same. */
#ifdef __x86_64__
#    define FOR_AVX2 __attribute__((target("avx2")))

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") != 0;
}
#else
#    define FOR_AVX2

static bool has_avx2(void) {
    return false;
}
#endif

FOR_AVX2 static void columns_avx2(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                  size_t src_stride, int n_rows, size_t n_ch, const eg_data_axis *a,
                                  uint8_t *block) {
    columns_body(dst, dst_stride, src, src_stride, n_rows, n_ch, a, block);
}

static void columns_plain(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride,
                          int n_rows, size_t n_ch, const eg_data_axis *a, uint8_t *block) {
    columns_body(dst, dst_stride, src, src_stride, n_rows, n_ch, a, block);
}

FOR_AVX2 static void rows_avx2(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                               size_t src_stride, size_t n, const eg_data_axis *a) {
    rows_body(dst, dst_stride, src, src_stride, n, a);
}

static void rows_plain(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride,
                       size_t n, const eg_data_axis *a) {
    rows_body(dst, dst_stride, src, src_stride, n, a);
}

/* ---- 16 bit ---- */

/* Pillow's ROUND_UP, then clipped to the full scale. The sums are not far outside it. */
static inline uint16_t clip16(double sum) {
    double value = sum >= 0.0 ? floor(sum + 0.5) : -floor(fabs(sum) + 0.5);
    return (uint16_t)(value < 0 ? 0 : value > 65535 ? 65535 : value);
}

/* Row r of rows that lie `stride` bytes apart; the pixels are uint16_t and aligned so. */
static inline const uint16_t *deep_row(const void *pixels, size_t stride, size_t r) {
    return (const uint16_t *)(const void *)((const uint8_t *)pixels + r * stride);
}

static void deep_columns(void *dst, size_t dst_stride, const void *src, size_t src_stride,
                         int n_rows, size_t n_ch, const eg_data_axis *a) {
    for (int row = 0; row < n_rows; row++) {
        const uint16_t *line = deep_row(src, src_stride, (size_t)row);
        uint16_t *to = (uint16_t *)(void *)((uint8_t *)dst + (size_t)row * dst_stride);
        for (int i = 0; i < a->n; i++) {
            const double *k = a->k_deep + (size_t)i * (size_t)a->max_taps;
            const uint16_t *from = line + (size_t)(a->first[i] - a->first[0]) * n_ch;
            for (size_t c = 0; c < n_ch; c++) {
                double sum = 0.0;
                for (int t = 0; t < a->n_taps[i]; t++) sum += from[(size_t)t * n_ch + c] * k[t];
                *to++ = clip16(sum);
            }
        }
    }
}

/* Sixteen sums side by side, each in the order of its taps. */
static void deep_rows(void *dst, size_t dst_stride, const void *src, size_t src_stride, size_t n,
                      const eg_data_axis *a) {
    for (int i = 0; i < a->n; i++) {
        const double *k = a->k_deep + (size_t)i * (size_t)a->max_taps;
        uint16_t *to = (uint16_t *)(void *)((uint8_t *)dst + (size_t)i * dst_stride);
        for (size_t j = 0; j < n; j += LANES) {
            const size_t count = n - j < LANES ? n - j : LANES;
            double sum[LANES] = {0};
            for (int t = 0; t < a->n_taps[i]; t++) {
                const uint16_t *line =
                    deep_row(src, src_stride, (size_t)(a->first[i] - a->first[0] + t)) + j;
                for (size_t l = 0; l < count; l++) sum[l] += line[l] * k[t];
            }
            for (size_t l = 0; l < count; l++) to[j + l] = clip16(sum[l]);
        }
    }
}

/* ---- both ---- */

void eg_data_pass_columns(void *dst, size_t dst_stride, const void *src, size_t src_stride,
                          int n_rows, size_t n_ch, const eg_data_axis *a, uint8_t *block) {
    if (a->k_deep)
        deep_columns(dst, dst_stride, src, src_stride, n_rows, n_ch, a);
    else if (has_avx2())
        columns_avx2(dst, dst_stride, src, src_stride, n_rows, n_ch, a, block);
    else
        columns_plain(dst, dst_stride, src, src_stride, n_rows, n_ch, a, block);
}

void eg_data_pass_rows(void *dst, size_t dst_stride, const void *src, size_t src_stride, size_t n,
                       const eg_data_axis *a) {
    if (a->k_deep)
        deep_rows(dst, dst_stride, src, src_stride, n, a);
    else if (has_avx2())
        rows_avx2(dst, dst_stride, src, src_stride, n, a);
    else
        rows_plain(dst, dst_stride, src, src_stride, n, a);
}
