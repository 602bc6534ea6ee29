/* Max pooling of one NHWC sample, and its gradient read back through the taps that were kept, so that every input pixel
 * has one writer and sums in float. Read first: compute.h, vec.h.                                              */
#include "compute/isa/vec.h"

/* b takes the place of a: larger, or no number, which must not get lost (PyTorch's rule) */
static inline bool is_more(elem b, elem a) {
    float v = elem_get(b);
    return v > elem_get(a) || v != v;
}

/* first maximum in row-major order of the window, as PyTorch */
void KERNEL(max_pool)(void *out_values, uint8_t *index, const void *values, const eg_dw_shape *s,
                      int p0, int p1) {
    elem *y = out_values;
    const elem *x = values;
    size_t C = (size_t)s->C;
    for (int p = p0; p < p1; p++)
        for (int q = 0; q < s->Q; q++) {
            elem *out = y + ((size_t)p * (size_t)s->Q + (size_t)q) * C;
            uint8_t *at = index ? index + ((size_t)p * (size_t)s->Q + (size_t)q) * C : NULL;
            bool first = true;
            for (int r = 0; r < s->R; r++)
                for (int t = 0; t < s->R; t++) {
                    int h = p * s->stride - s->pad + r, v = q * s->stride - s->pad + t;
                    if (h < 0 || h >= s->H || v < 0 || v >= s->W) continue;
                    const elem *from = x + ((size_t)h * (size_t)s->W + (size_t)v) * C;
                    uint8_t tap = (uint8_t)(r * s->R + t);
                    if (first) {
                        memcpy(out, from, C * sizeof *out);
                        if (at) memset(at, tap, C);
                        first = false;
                    } else if (at) {
                        for (size_t c = 0; c < C; c++) {
                            bool more = is_more(from[c], out[c]);
                            at[c] = more ? tap : at[c];
                            out[c] = more ? from[c] : out[c];
                        }
                    } else {
                        for (size_t c = 0; c < C; c++)
                            out[c] = is_more(from[c], out[c]) ? from[c] : out[c];
                    }
                }
        }
}

enum { BLOCK = 64 }; /* channels summed at a time */

/* one pixel: windows (p, q) that cover (h, v), in ascending order */
static void pool_pixel(elem *dx, const elem *dy, const uint8_t *index, const eg_dw_shape *s, int h,
                       int v, size_t c0, size_t n) {
    float sum[BLOCK] = {0};
    int p = h + s->pad - s->R + 1, q0 = v + s->pad - s->R + 1;
    p = p > 0 ? (p + s->stride - 1) / s->stride : 0;
    q0 = q0 > 0 ? (q0 + s->stride - 1) / s->stride : 0;
    for (; p < s->P && p * s->stride <= h + s->pad; p++)
        for (int q = q0; q < s->Q && q * s->stride <= v + s->pad; q++) {
            int r = h + s->pad - p * s->stride, t = v + s->pad - q * s->stride;
            size_t at = ((size_t)p * (size_t)s->Q + (size_t)q) * (size_t)s->C + c0;
            uint8_t tap = (uint8_t)(r * s->R + t);
            for (size_t c = 0; c < n; c++) {
                float g = elem_get(dy[at + c]);
                sum[c] += index[at + c] == tap ? g : 0;
            }
        }
    for (size_t c = 0; c < n; c++) dx[c] = elem_of(sum[c]);
}

void KERNEL(max_pool_backward)(void *out, const void *gradient, const uint8_t *index,
                               const eg_dw_shape *s, int h0, int h1) {
    elem *dx = out;
    size_t C = (size_t)s->C;
    for (int h = h0; h < h1; h++)
        for (int v = 0; v < s->W; v++)
            for (size_t c = 0; c < C; c += BLOCK)
                pool_pixel(dx + ((size_t)h * (size_t)s->W + (size_t)v) * C + c, gradient, index, s,
                           h, v, c, C - c < BLOCK ? C - c : BLOCK);
}
