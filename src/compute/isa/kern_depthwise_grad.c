/* Gradients of the depthwise convolution of one NHWC sample: input with stride 2 (each line and column of dx meets every
 * second tap only), and weights. Tiles as in the forward pass: kern_depthwise.c, read it first.                  */
#include "compute/isa/tile.h"

/* ---- input ----
 * dx[h, v] = sum of dy[p, q] w[r, t] over p stride + r = h + pad, q stride + t = v + pad. Of stride 2, with u = h + pad
 * and z = v + pad even, lines u and u + 1 read lines u / 2 - d of dy with r = 2 d and r = 2 d + 1, columns alike. */

typedef struct {
    elem *dx;
    const elem *dy;
    const float *w;
    int h0, h1; /* lines of dx wanted */
} data_job;

/* lines u, u + 1 and columns z .. z + 3, both counted with the padding; what is no pixel of dx is left out */
ALWAYS_INLINE void data_tile(const data_job *d, const eg_dw_shape *s, int u, int z, int n, int R,
                             bool inside) {
    enum { PAIRS = TILE_Q / 2 };
    size_t C = (size_t)s->C;
    vf acc[TILE_P * TILE_Q];
    UNROLL for (int i = 0; i < TILE_P * TILE_Q; i++) acc[i] = vf_set(0);
    UNROLL for (int i = 0; i <= (R - 1) / 2; i++) {
        int p = u / 2 - i;
        if (!inside && !covers(s->P, p, 1)) continue;
        const elem *row = d->dy + (ptrdiff_t)p * (ptrdiff_t)((size_t)s->Q * C);
        UNROLL for (int e = 0; e < (R - 1) / 2 + PAIRS; e++) {
            int q = z / 2 + PAIRS - 1 - e;
            if (!inside && !covers(s->Q, q, 1)) continue;
            vf g = ve_loadn(row + (ptrdiff_t)q * (ptrdiff_t)C, n);
            UNROLL for (int m = 0; m < TILE_P; m++) UNROLL for (int k = 0; k < TILE_Q; k++) {
                int r = 2 * i + m, t = 2 * (k / 2 - (PAIRS - 1) + e) + k % 2;
                if (r < R && t >= 0 && t < R)
                    acc[m * TILE_Q + k] =
                        vf_fma(g, vf_loadn(d->w + (size_t)(r * R + t) * C, n), acc[m * TILE_Q + k]);
            }
        }
    }
    UNROLL for (int m = 0; m < TILE_P; m++) UNROLL for (int k = 0; k < TILE_Q; k++) {
        int h = u + m - s->pad, v = z + k - s->pad;
        if (inside || (h >= d->h0 && h < d->h1 && covers(s->W, v, 1)))
            tile_store(d->dx + ((ptrdiff_t)h * s->W + v) * (ptrdiff_t)C, acc[m * TILE_Q + k], n);
    }
}

ALWAYS_INLINE void data_tiles(const data_job *d, const eg_dw_shape *s, int R) {
    int half = (R - 1) / 2, pad = s->pad;
    for (int c0 = 0; c0 < s->C; c0 += BLOCK * VF_N)
        for (int u = (d->h0 + pad) / 2 * 2; u < d->h1 + pad; u += TILE_P)
            for (int z = pad / 2 * 2; z < s->W + pad; z += TILE_Q) {
                bool inside = u >= d->h0 + pad && u + TILE_P <= d->h1 + pad && z >= pad &&
                              z + TILE_Q <= s->W + pad && covers(s->P, u / 2 - half, half + 1) &&
                              covers(s->Q, z / 2 - half, half + TILE_Q / 2);
#define TILE(c, n, inside)                                                                         \
    do {                                                                                           \
        data_job at = {d->dx + (c), d->dy + (c), d->w + (c), d->h0, d->h1};                        \
        data_tile(&at, s, u, z, n, R, inside);                                                     \
    } while (0)
                EACH_VECTOR(s->C, c0, inside, TILE)
#undef TILE
            }
}

/* any side and stride: one pixel at a time */
static void data_any(const data_job *d, const eg_dw_shape *s) {
    size_t C = (size_t)s->C;
    for (int h = d->h0; h < d->h1; h++)
        for (int v = 0; v < s->W; v++)
            for (int c = 0; c < s->C; c += VF_N) {
                int n = s->C - c < VF_N ? s->C - c : VF_N;
                vf acc = vf_set(0);
                for (int tap = 0; tap < s->R * s->R; tap++) {
                    int a = h + s->pad - tap / s->R, b = v + s->pad - tap % s->R;
                    if (a % s->stride || b % s->stride || !covers(s->P, a / s->stride, 1) ||
                        !covers(s->Q, b / s->stride, 1) || a < 0 || b < 0)
                        continue;
                    size_t at =
                        ((size_t)(a / s->stride) * (size_t)s->Q + (size_t)(b / s->stride)) * C;
                    acc = vf_fma(ve_loadn(d->dy + at + c, n),
                                 vf_loadn(d->w + (size_t)tap * C + c, n), acc);
                }
                ve_storen(d->dx + ((size_t)h * (size_t)s->W + (size_t)v) * C + c, acc, n);
            }
}

void KERNEL(dw_backward_data)(void *dx, const void *dy, const float *w, const eg_dw_shape *s,
                              int h0, int h1) {
    data_job d = {dx, dy, w, h0, h1};
    if (VF_N == 1)
        data_any(&d, s);
    else if (s->stride == 1)
        KERNEL(dw_data_stride1)(dx, dy, w, s, h0, h1);
    else if (s->R == 3 && s->stride == 2)
        data_tiles(&d, s, 3);
    else if (s->R == 5 && s->stride == 2)
        data_tiles(&d, s, 5);
    else
        data_any(&d, s);
}

/* ---- weights ----
 * dw[r, t] += sum over p, q of x[p stride + r - pad, q stride + t - pad] dy[p, q]. A tile of dy stays in registers, the
 * lines of dw come and go: each is summed while the lines of x that meet it pass by. */

typedef struct {
    float *dw;
    const elem *x, *dy;
    int p1; /* lines of dy end here */
} weights_job;

ALWAYS_INLINE void weights_tile(const weights_job *d, const eg_dw_shape *s, int p, int q, int n,
                                int R, int stride, bool inside) {
    size_t C = (size_t)s->C, line = (size_t)s->W * C;
    int h0 = p * stride - s->pad, w0 = q * stride - s->pad;
    vf g[TILE_P * TILE_Q], acc[MAX_SIDE * MAX_SIDE];
    UNROLL for (int m = 0; m < TILE_P; m++) UNROLL for (int k = 0; k < TILE_Q; k++) {
        bool is = inside || (p + m < d->p1 && q + k < s->Q);
        size_t at = ((size_t)(p + m) * (size_t)s->Q + (size_t)(q + k)) * C;
        g[m * TILE_Q + k] = is ? ve_loadn(d->dy + at, n) : vf_set(0);
    }
    UNROLL for (int i = 0; i < (TILE_P - 1) * stride + R; i++) {
        /* line i of x meets lines i and i - stride of dw: the first begins here, the second ends here */
        UNROLL for (int t = 0; t < R; t++) if (i < R) acc[i * R + t] =
            vf_loadn(d->dw + (size_t)(i * R + t) * C, n);
        bool here = inside || covers(s->H, h0 + i, 1);
        const elem *row = d->x + (ptrdiff_t)(h0 + i) * (ptrdiff_t)line;
        UNROLL for (int j = 0; j < (TILE_Q - 1) * stride + R; j++) {
            if (!here || (!inside && !covers(s->W, w0 + j, 1))) continue;
            vf v = ve_loadn(row + (ptrdiff_t)(w0 + j) * (ptrdiff_t)C, n);
            UNROLL for (int m = 0; m < TILE_P; m++) UNROLL for (int k = 0; k < TILE_Q; k++) {
                int r = i - m * stride, t = j - k * stride;
                if (r >= 0 && r < R && t >= 0 && t < R)
                    acc[r * R + t] = vf_fma(v, g[m * TILE_Q + k], acc[r * R + t]);
            }
        }
        int done = i - (TILE_P - 1) * stride;
        UNROLL for (int t = 0; t < R; t++) if (done >= 0)
            vf_storen(d->dw + (size_t)(done * R + t) * C, acc[done * R + t], n);
    }
}

ALWAYS_INLINE void weights_tiles(const weights_job *d, const eg_dw_shape *s, int p0, int R,
                                 int stride) {
    for (int c0 = 0; c0 < s->C; c0 += BLOCK * VF_N)
        for (int p = p0; p < d->p1; p += TILE_P)
            for (int q = 0; q < s->Q; q += TILE_Q) {
                bool inside = tile_is_inside(s, p, q, d->p1, R, stride);
#define TILE(c, n, inside)                                                                         \
    do {                                                                                           \
        weights_job at = {d->dw + (c), d->x + (c), d->dy + (c), d->p1};                            \
        weights_tile(&at, s, p, q, n, R, stride, inside);                                          \
    } while (0)
                EACH_VECTOR(s->C, c0, inside, TILE)
#undef TILE
            }
}

/* any side and stride: one tap at a time */
static void weights_any(const weights_job *d, const eg_dw_shape *s, int p0) {
    size_t C = (size_t)s->C;
    for (int tap = 0; tap < s->R * s->R; tap++)
        for (int c = 0; c < s->C; c += VF_N) {
            int n = s->C - c < VF_N ? s->C - c : VF_N;
            float *out = d->dw + (size_t)tap * C + c;
            vf acc = vf_loadn(out, n);
            for (int p = p0; p < d->p1; p++)
                for (int q = 0; q < s->Q; q++) {
                    int h = p * s->stride - s->pad + tap / s->R,
                        v = q * s->stride - s->pad + tap % s->R;
                    if (!covers(s->H, h, 1) || !covers(s->W, v, 1)) continue;
                    acc = vf_fma(
                        ve_loadn(d->x + ((size_t)h * (size_t)s->W + (size_t)v) * C + c, n),
                        ve_loadn(d->dy + ((size_t)p * (size_t)s->Q + (size_t)q) * C + c, n), acc);
                }
            vf_storen(out, acc, n);
        }
}

void KERNEL(dw_backward_weights)(float *dw, const void *x, const void *dy, const eg_dw_shape *s,
                                 int p0, int p1) {
    weights_job d = {dw, x, dy, p1};
    if (VF_N == 1) /* tiles are for vectors */
        weights_any(&d, s, p0);
    else if (s->R == 3 && s->stride == 1)
        weights_tiles(&d, s, p0, 3, 1);
    else if (s->R == 3 && s->stride == 2)
        weights_tiles(&d, s, p0, 3, 2);
    else if (s->R == 5 && s->stride == 1)
        weights_tiles(&d, s, p0, 5, 1);
    else if (s->R == 5 && s->stride == 2)
        weights_tiles(&d, s, p0, 5, 2);
    else if (s->R == 7 && s->stride == 1) /* ConvNeXt */
        weights_tiles(&d, s, p0, 7, 1);
    else
        weights_any(&d, s, p0);
}
