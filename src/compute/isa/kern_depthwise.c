/* Depthwise convolution of one NHWC sample: forward, and the input gradient with stride 1, which is the forward pass on the
 * flipped kernel. A tile of 2 x 4 outputs of one channel vector stays in registers: each value read serves every output
 * that it reaches. Sides 3, 5 and 7 have tiles, others run an output at a time. The gradients: kern_depthwise_grad.c.
 * Read first: compute.h, vec.h, tile.h.                                                                          */
#include "compute/isa/tile.h"

/* arrays from channel c on, of n channels */
typedef struct {
    elem *y;
    const elem *x;
    const float *w, *bias; /* bias NULL = 0 */
    int act;
    int p1; /* rows of y end here */
} forward_data;

ALWAYS_INLINE void store_tile(const forward_data *d, const eg_dw_shape *s, int p, int q, int n,
                              const vf *acc, bool inside) {
    size_t C = (size_t)s->C;
    UNROLL for (int m = 0; m < TILE_P; m++)
        UNROLL for (int k = 0; k < TILE_Q; k++) if (inside || (p + m < d->p1 && q + k < s->Q))
            tile_store(d->y + ((size_t)(p + m - s->y_row0) * (size_t)s->Q + (size_t)(q + k)) * C,
                       acc[m * TILE_Q + k], n);
}

/* Outputs (p, q) to (p + 1, q + 3) of n channels. `inside`: no tap leaves the image and every output exists. `flip`: the
 * kernel turned by 180 degrees. */
ALWAYS_INLINE void forward_tile(const forward_data *d, const eg_dw_shape *s, int p, int q, int n,
                                int R, int stride, bool inside, bool flip) {
    size_t C = (size_t)s->C, line = (size_t)s->W * C;
    int h0 = p * stride - s->pad, w0 = q * stride - s->pad;
    vf acc[TILE_P * TILE_Q], b = d->bias ? vf_loadn(d->bias, n) : vf_set(0);
    UNROLL for (int i = 0; i < TILE_P * TILE_Q; i++) acc[i] = b;
    /* lines that only an output row behind p1 reads need not be there */
    int lines = d->p1 - p < TILE_P ? R : (TILE_P - 1) * stride + R;
    UNROLL for (int i = 0; i < (TILE_P - 1) * stride + R; i++) {
        if (!inside && (i >= lines || !covers(s->H, h0 + i, 1))) continue;
        vf w[TILE_P * MAX_SIDE]; /* the lines of weights that this line of values meets */
        UNROLL for (int m = 0; m < TILE_P; m++) UNROLL for (int t = 0; t < R; t++) {
            int r = i - m * stride, tap = flip ? R * R - 1 - (r * R + t) : r * R + t;
            if (r >= 0 && r < R) w[m * MAX_SIDE + t] = vf_loadn(d->w + (size_t)tap * C, n);
        }
        const elem *row = d->x + (ptrdiff_t)(h0 + i - s->x_row0) * (ptrdiff_t)line;
        UNROLL for (int j = 0; j < (TILE_Q - 1) * stride + R; j++) {
            if (!inside && !covers(s->W, w0 + j, 1)) continue;
            vf v = ve_loadn(row + (ptrdiff_t)(w0 + j) * (ptrdiff_t)C, n);
            UNROLL for (int m = 0; m < TILE_P; m++) UNROLL for (int k = 0; k < TILE_Q; k++) {
                int r = i - m * stride, t = j - k * stride;
                if (r >= 0 && r < R && t >= 0 && t < R)
                    acc[m * TILE_Q + k] = vf_fma(v, w[m * MAX_SIDE + t], acc[m * TILE_Q + k]);
            }
        }
    }
    if (tile_act_is_far(d->act)) {
        vf far[TILE_P * TILE_Q];
        UNROLL for (int i = 0; i < TILE_P * TILE_Q; i++) far[i] = acc[i];
        tile_act_far(far, TILE_P * TILE_Q, d->act);
        store_tile(d, s, p, q, n, far, inside);
    } else {
        tile_act_near(acc, TILE_P * TILE_Q, d->act);
        store_tile(d, s, p, q, n, acc, inside);
    }
}

static forward_data from_channel(const forward_data *d, int c) {
    return (forward_data){d->y + c, d->x + c, d->w + c, d->bias ? d->bias + c : NULL,
                          d->act,   d->p1};
}

ALWAYS_INLINE void forward_tiles(const forward_data *d, const eg_dw_shape *s, int p0, int R,
                                 int stride, bool flip) {
    for (int c0 = 0; c0 < s->C; c0 += BLOCK * VF_N)
        for (int p = p0; p < d->p1; p += TILE_P)
            for (int q = 0; q < s->Q; q += TILE_Q) {
                bool inside = tile_is_inside(s, p, q, d->p1, R, stride);
#define TILE(c, n, inside)                                                                         \
    do {                                                                                           \
        forward_data at = from_channel(d, c);                                                      \
        forward_tile(&at, s, p, q, n, R, stride, inside, flip);                                    \
    } while (0)
                EACH_VECTOR(s->C, c0, inside, TILE)
#undef TILE
            }
}

/* any side and stride: one output at a time */
static void forward_any(const forward_data *d, const eg_dw_shape *s, int p0, bool flip) {
    size_t C = (size_t)s->C;
    int R = s->R;
    for (int p = p0; p < d->p1; p++)
        for (int q = 0; q < s->Q; q++)
            for (int c = 0; c < s->C; c += VF_N) {
                int n = s->C - c < VF_N ? s->C - c : VF_N;
                vf acc = d->bias ? vf_loadn(d->bias + c, n) : vf_set(0);
                for (int tap = 0; tap < R * R; tap++) {
                    int h = p * s->stride - s->pad + tap / R, v = q * s->stride - s->pad + tap % R;
                    if (!covers(s->H, h, 1) || !covers(s->W, v, 1)) continue;
                    size_t at =
                        ((size_t)(h - s->x_row0) * (size_t)s->W + (size_t)v) * C + (size_t)c;
                    const float *w = d->w + (size_t)(flip ? R * R - 1 - tap : tap) * C + c;
                    acc = vf_fma(ve_loadn(d->x + at, n), vf_loadn(w, n), acc);
                }
                vf one[1] = {acc};
                if (tile_act_is_far(d->act))
                    tile_act_far(one, 1, d->act);
                else
                    tile_act_near(one, 1, d->act);
                ve_storen(d->y + ((size_t)(p - s->y_row0) * (size_t)s->Q + (size_t)q) * C + c,
                          one[0], n);
            }
}

void KERNEL(dw_forward)(void *y, const void *x, const float *w, const float *bias, int act,
                        const eg_dw_shape *s, int p0, int p1) {
    forward_data d = {y, x, w, bias, act, p1};
    if (VF_N == 1) /* tiles are for vectors */
        forward_any(&d, s, p0, false);
    else if (s->R == 3 && s->stride == 1)
        forward_tiles(&d, s, p0, 3, 1, false);
    else if (s->R == 3 && s->stride == 2)
        forward_tiles(&d, s, p0, 3, 2, false);
    else if (s->R == 5 && s->stride == 1)
        forward_tiles(&d, s, p0, 5, 1, false);
    else if (s->R == 5 && s->stride == 2)
        forward_tiles(&d, s, p0, 5, 2, false);
    else if (s->R == 7 && s->stride == 1) /* ConvNeXt */
        forward_tiles(&d, s, p0, 7, 1, false);
    else
        forward_any(&d, s, p0, false);
}

/* dx (H, W) from dy (P, Q): a convolution of dy to the size of x, R - 1 - pad rows and columns of zeros before it */
void KERNEL(dw_data_stride1)(void *dx, const void *dy, const float *w, const eg_dw_shape *s, int h0,
                             int h1) {
    eg_dw_shape back = {.H = s->P,
                        .W = s->Q,
                        .C = s->C,
                        .P = s->H,
                        .Q = s->W,
                        .R = s->R,
                        .stride = 1,
                        .pad = s->R - 1 - s->pad};
    forward_data d = {dx, dy, w, NULL, EG_KACT_NONE, h1};
    if (VF_N == 1)
        forward_any(&d, &back, h0, true);
    else if (s->R == 3)
        forward_tiles(&d, &back, h0, 3, 1, true);
    else if (s->R == 5)
        forward_tiles(&d, &back, h0, 5, 1, true);
    else if (s->R == 7)
        forward_tiles(&d, &back, h0, 7, 1, true);
    else
        forward_any(&d, &back, h0, true);
}
