/* Depthwise convolution 3x3, 5x5, 7x7 (any side up to 7) forward, input gradient, weight gradient, of one
 * NHWC sample. A channel vector is the unit; a strip of outputs shares each weight load. Rows outside the image are
 * skipped, columns outside are handled by clipping the range of outputs a tap reaches. Read first: compute.h, vec.h. */
#include "compute/isa/vec.h"

enum { STRIP = 8, MAX_SIDE = 7 };

/* one strip of `m` outputs (q .. q+m) that no tap leaves on either side */
ALWAYS_INLINE void strip_inside(vf *acc, const elem *x, const float *w, int C, int n, int stride,
                                int r0, int r1, int R, size_t line, int m) {
    for (int r = r0; r < r1; r++)
        for (int s = 0; s < R; s++) {
            vf wv = vf_loadn(w + (size_t)(r * R + s) * (size_t)C, n);
            const elem *p = x + (size_t)(r - r0) * line + (size_t)s * (size_t)C;
            for (int i = 0; i < m; i++)
                acc[i] = vf_fma(ve_loadn(p + (size_t)(i * stride) * (size_t)C, n), wv, acc[i]);
        }
}

ALWAYS_INLINE vf output_at_edge(const elem *x, const float *w, const eg_dw_shape *s, int n, int r0,
                                int r1, int h0, int q, vf acc) {
    int w0 = q * s->stride - s->pad;
    for (int r = r0; r < r1; r++)
        for (int t = 0; t < s->R; t++) {
            if (w0 + t < 0 || w0 + t >= s->W) continue;
            size_t at = ((size_t)(h0 + r) * (size_t)s->W + (size_t)(w0 + t)) * (size_t)s->C;
            acc = vf_fma(ve_loadn(x + at, n),
                         vf_loadn(w + (size_t)(r * s->R + t) * (size_t)s->C, n), acc);
        }
    return acc;
}

ALWAYS_INLINE void forward_channels(elem *y, const elem *x, const float *w, const float *bias,
                                    int act, const eg_dw_shape *s, int p, int c, int n, int R,
                                    int stride) {
    int h0 = p * stride - s->pad;
    int r0 = h0 < 0 ? -h0 : 0, r1 = s->H - h0 < R ? s->H - h0 : R;
    if (r1 < r0) r1 = r0;
    int inside0 = (s->pad + stride - 1) / stride, inside1 = (s->W - R + s->pad) / stride + 1;
    if (s->W - R + s->pad < 0) inside1 = 0;
    if (inside1 > s->Q) inside1 = s->Q;
    if (inside0 > s->Q) inside0 = s->Q;
    if (inside1 < inside0) inside1 = inside0;
    size_t C = (size_t)s->C, line = (size_t)s->W * C;
    vf b = bias ? vf_loadn(bias + c, n) : vf_set(0);
    elem *yr = y + (size_t)p * (size_t)s->Q * C + c;
    for (int q = 0; q < inside0; q++)
        ve_storen(yr + (size_t)q * C,
                  vf_act(output_at_edge(x + c, w + c, s, n, r0, r1, h0, q, b), act), n);
    int q = inside0;
    for (; q + STRIP <= inside1; q += STRIP) {
        vf acc[STRIP];
        for (int i = 0; i < STRIP; i++) acc[i] = b;
        const elem *from = x + (size_t)(h0 + r0) * line + (size_t)(q * stride - s->pad) * C + c;
        strip_inside(acc, from, w + c, s->C, n, stride, r0, r1, R, line, STRIP);
        for (int i = 0; i < STRIP; i++) ve_storen(yr + (size_t)(q + i) * C, vf_act(acc[i], act), n);
    }
    for (; q < s->Q; q++)
        ve_storen(yr + (size_t)q * C,
                  vf_act(output_at_edge(x + c, w + c, s, n, r0, r1, h0, q, b), act), n);
}

ALWAYS_INLINE void forward_rows(elem *y, const elem *x, const float *w, const float *bias, int act,
                                const eg_dw_shape *s, int p0, int p1, int R, int stride) {
    for (int p = p0; p < p1; p++) {
        int c = 0;
        for (; c + VF_N <= s->C; c += VF_N)
            forward_channels(y, x, w, bias, act, s, p, c, VF_N, R, stride);
        if (c < s->C) forward_channels(y, x, w, bias, act, s, p, c, s->C - c, R, stride);
    }
}

void KERNEL(dw_forward)(void *y, const void *x, const float *w, const float *bias, int act,
                        const eg_dw_shape *s, int p0, int p1) {
    if (s->R == 3 && s->stride == 1)
        forward_rows(y, x, w, bias, act, s, p0, p1, 3, 1);
    else if (s->R == 3 && s->stride == 2)
        forward_rows(y, x, w, bias, act, s, p0, p1, 3, 2);
    else if (s->R == 5 && s->stride == 1)
        forward_rows(y, x, w, bias, act, s, p0, p1, 5, 1);
    else if (s->R == 5 && s->stride == 2)
        forward_rows(y, x, w, bias, act, s, p0, p1, 5, 2);
    else if (s->R == 7 && s->stride == 1) /* ConvNeXt */
        forward_rows(y, x, w, bias, act, s, p0, p1, 7, 1);
    else
        forward_rows(y, x, w, bias, act, s, p0, p1, s->R, s->stride);
}

/* dx[h, v] = sum over taps (r, t) with h + pad - r = p * stride, v + pad - t = q * stride of dy[p, q] w[r, t] */
ALWAYS_INLINE void backward_data_row(elem *dx, const elem *dy, const float *w, const eg_dw_shape *s,
                                     int h, int c, int n, int R, int stride) {
    size_t C = (size_t)s->C;
    elem *out = dx + (size_t)h * (size_t)s->W * C + c;
    for (int v = 0; v < s->W; v++) {
        vf acc = vf_set(0);
        for (int r = 0; r < R; r++) {
            int hp = h + s->pad - r;
            if (hp < 0 || hp % stride || hp / stride >= s->P) continue;
            const elem *row = dy + (size_t)(hp / stride) * (size_t)s->Q * C + c;
            for (int t = (v + s->pad) % stride; t < R; t += stride) {
                int vq = v + s->pad - t;
                if (vq < 0 || vq / stride >= s->Q) continue;
                acc = vf_fma(ve_loadn(row + (size_t)(vq / stride) * C, n),
                             vf_loadn(w + (size_t)(r * R + t) * C + c, n), acc);
            }
        }
        ve_storen(out + (size_t)v * C, acc, n);
    }
}

/* stride 1: the same strips as forward, on the flipped kernel with padding R - 1 - pad */
ALWAYS_INLINE void backward_data_stride1(elem *dx, const elem *dy, const float *w,
                                         const eg_dw_shape *s, int h, int c, int n, int R) {
    size_t C = (size_t)s->C, line = (size_t)s->Q * C;
    int inside0 = R - 1 - s->pad, inside1 = s->Q - s->pad; /* v with every column tap inside dy */
    if (inside1 > s->W) inside1 = s->W;
    if (inside0 < 0) inside0 = 0;
    int r0 = h + s->pad - (s->P - 1) > 0 ? h + s->pad - (s->P - 1) : 0;
    int r1 = h + s->pad + 1 < R ? h + s->pad + 1 : R;
    elem *out = dx + (size_t)h * (size_t)s->W * C + c;
    int v = 0;
    while (v < s->W) {
        bool strip = v >= inside0 && v + STRIP <= inside1;
        int m = strip ? STRIP : 1;
        vf acc[STRIP];
        for (int i = 0; i < STRIP; i++) acc[i] = vf_set(0);
        for (int r = r0; r < r1; r++) {
            const elem *row = dy + (size_t)(h + s->pad - r) * line + c;
            for (int t = 0; t < R; t++) {
                int q = v + s->pad - t;
                if (!strip && (q < 0 || q >= s->Q)) continue;
                vf wv = vf_loadn(w + (size_t)(r * R + t) * C + c, n);
                const elem *from = row + (ptrdiff_t)q * (ptrdiff_t)C;
                if (strip)
                    for (int i = 0; i < STRIP; i++)
                        acc[i] = vf_fma(ve_loadn(from + (size_t)i * C, n), wv, acc[i]);
                else
                    acc[0] = vf_fma(ve_loadn(from, n), wv, acc[0]);
            }
        }
        for (int i = 0; i < m; i++) ve_storen(out + (size_t)(v + i) * C, acc[i], n);
        v += m;
    }
}

ALWAYS_INLINE void backward_data_rows(elem *dx, const elem *dy, const float *w,
                                      const eg_dw_shape *s, int h0, int h1, int R, int stride) {
    for (int h = h0; h < h1; h++)
        for (int c = 0; c < s->C; c += VF_N) {
            bool whole = s->C - c >= VF_N;
            if (stride == 1) {
                if (whole)
                    backward_data_stride1(dx, dy, w, s, h, c, VF_N, R);
                else
                    backward_data_stride1(dx, dy, w, s, h, c, s->C - c, R);
            } else if (whole)
                backward_data_row(dx, dy, w, s, h, c, VF_N, R, stride);
            else
                backward_data_row(dx, dy, w, s, h, c, s->C - c, R, stride);
        }
}

void KERNEL(dw_backward_data)(void *dx, const void *dy, const float *w, const eg_dw_shape *s,
                              int h0, int h1) {
    if (s->R == 3 && s->stride == 1)
        backward_data_rows(dx, dy, w, s, h0, h1, 3, 1);
    else if (s->R == 3 && s->stride == 2)
        backward_data_rows(dx, dy, w, s, h0, h1, 3, 2);
    else if (s->R == 5 && s->stride == 1)
        backward_data_rows(dx, dy, w, s, h0, h1, 5, 1);
    else if (s->R == 5 && s->stride == 2)
        backward_data_rows(dx, dy, w, s, h0, h1, 5, 2);
    else if (s->R == 7 && s->stride == 1) /* ConvNeXt */
        backward_data_rows(dx, dy, w, s, h0, h1, 7, 1);
    else
        backward_data_rows(dx, dy, w, s, h0, h1, s->R, s->stride);
}

/* R accumulators (one line of taps) live in registers over an output row */
ALWAYS_INLINE void weights_row(float *dw, const elem *x, const elem *dy, const eg_dw_shape *s,
                               int p, int c, int n, int R, int stride) {
    size_t C = (size_t)s->C, line = (size_t)s->W * C;
    int inside0 = (s->pad + stride - 1) / stride, inside1 = (s->W - R + s->pad) / stride + 1;
    if (s->W - R + s->pad < 0) inside1 = 0;
    if (inside1 > s->Q) inside1 = s->Q;
    if (inside0 > s->Q) inside0 = s->Q;
    const elem *dyr = dy + (size_t)p * (size_t)s->Q * C + c;
    for (int r = 0; r < R; r++) {
        int h = p * stride - s->pad + r;
        if (h < 0 || h >= s->H) continue;
        vf acc[MAX_SIDE];
        for (int t = 0; t < R; t++) acc[t] = vf_set(0);
        const elem *xr = x + (size_t)h * line + c;
        for (int q = 0; q < s->Q; q++) {
            vf g = ve_loadn(dyr + (size_t)q * C, n);
            int w0 = q * stride - s->pad;
            if (q >= inside0 && q < inside1) {
                const elem *from = xr + (size_t)w0 * C;
                for (int t = 0; t < R; t++)
                    acc[t] = vf_fma(ve_loadn(from + (size_t)t * C, n), g, acc[t]);
            } else {
                for (int t = 0; t < R; t++)
                    if (w0 + t >= 0 && w0 + t < s->W)
                        acc[t] = vf_fma(ve_loadn(xr + (size_t)(w0 + t) * C, n), g, acc[t]);
            }
        }
        for (int t = 0; t < R; t++) {
            float *out = dw + (size_t)(r * R + t) * C + c;
            vf_storen(out, vf_add(vf_loadn(out, n), acc[t]), n);
        }
    }
}

ALWAYS_INLINE void weights_rows(float *dw, const elem *x, const elem *dy, const eg_dw_shape *s,
                                int p0, int p1, int R, int stride) {
    for (int p = p0; p < p1; p++) {
        int c = 0;
        for (; c + VF_N <= s->C; c += VF_N) weights_row(dw, x, dy, s, p, c, VF_N, R, stride);
        if (c < s->C) weights_row(dw, x, dy, s, p, c, s->C - c, R, stride);
    }
}

void KERNEL(dw_backward_weights)(float *dw, const void *x, const void *dy, const eg_dw_shape *s,
                                 int p0, int p1) {
    if (s->R == 3 && s->stride == 1)
        weights_rows(dw, x, dy, s, p0, p1, 3, 1);
    else if (s->R == 3 && s->stride == 2)
        weights_rows(dw, x, dy, s, p0, p1, 3, 2);
    else if (s->R == 5 && s->stride == 1)
        weights_rows(dw, x, dy, s, p0, p1, 5, 1);
    else if (s->R == 5 && s->stride == 2)
        weights_rows(dw, x, dy, s, p0, p1, 5, 2);
    else if (s->R == 7 && s->stride == 1) /* ConvNeXt */
        weights_rows(dw, x, dy, s, p0, p1, 7, 1);
    else
        weights_rows(dw, x, dy, s, p0, p1, s->R, s->stride);
}
