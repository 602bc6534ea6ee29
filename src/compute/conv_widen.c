/* bf16 convolutions where the backend has none (plain C; oneDNN below AVX-512): the f32 convolution between two
 * conversions, in scratch of the caller. Slow, and there so that --dtype bf16 means the same everywhere. Scratch: src and
 * dst in float, then the inner convolution's own. Read first: backend.h.                                       */
#include "compute/backend.h"

enum { GRAIN = 4096, PIECES = 32 };

static size_t count_src(const eg_conv_shape *s) {
    return (size_t)s->N * (size_t)s->H * (size_t)s->W * (size_t)s->C;
}

static size_t count_dst(const eg_conv_shape *s) {
    return (size_t)s->N * (size_t)s->P * (size_t)s->Q * (size_t)s->K;
}

/* 64-byte steps, as oneDNN's scratch wants */
static size_t padded(size_t floats) {
    return (floats + 15) & ~(size_t)15;
}

typedef struct {
    float *wide;
    void *out;
    const void *narrow;
    size_t n, piece;
} convert_job;

static void convert_piece(void *context, int i) {
    const convert_job *j = context;
    const eg_kernels *k = eg_kernels_for(EG_TYPE_BF16);
    size_t at = (size_t)i * j->piece, n = j->n - at < j->piece ? j->n - at : j->piece;
    if (j->out)
        k->narrow(eg_value_to(j->out, at, EG_TYPE_BF16), j->wide + at, n);
    else
        k->widen(j->wide + at, eg_value_at(j->narrow, at, EG_TYPE_BF16), n);
}

static void convert(convert_job j) {
    j.piece = (j.n / PIECES + GRAIN) / GRAIN * GRAIN;
    eg_pool_run(convert_piece, &j, (int)((j.n + j.piece - 1) / j.piece));
}

static void widen(float *to, const void *from, size_t n) {
    convert((convert_job){.wide = to, .narrow = from, .n = n});
}

static void narrow(void *to, float *from, size_t n) {
    convert((convert_job){.wide = from, .out = to, .n = n});
}

eg_conv_shape eg_compute_widened(const eg_conv_shape *s) {
    eg_conv_shape wide = *s;
    wide.type = EG_TYPE_F32;
    return wide;
}

size_t eg_compute_widened_bytes(const eg_conv_shape *s, const eg_conv *inner) {
    return (padded(count_src(s)) + padded(count_dst(s))) * sizeof(float) +
           eg_conv_scratch_bytes(inner);
}

/* every layout is a permutation with zeros between: rounding the packed copy rounds the weights */
eg_status eg_compute_widened_pack(const eg_conv *inner, void *packed, const float *weights,
                                  eg_error *err) {
    EG_TRY(eg_conv_pack(inner, packed, weights, err));
    const eg_kernels *k = eg_kernels_for(EG_TYPE_BF16);
    float *w = packed;
    uint16_t some[256];
    size_t n = eg_conv_packed_bytes(inner) / sizeof *w;
    for (size_t i = 0; i < n; i += 256) {
        size_t m = n - i < 256 ? n - i : 256;
        k->narrow(some, w + i, m);
        k->widen(w + i, some, m);
    }
    return EG_OK;
}

eg_status eg_compute_widened_forward(const eg_conv *inner, const eg_conv_shape *s, bool add,
                                     void *dst, const void *src, const void *packed,
                                     const float *bias, void *scratch, eg_error *err) {
    float *in = scratch, *out = in + padded(count_src(s));
    widen(in, src, count_src(s));
    if (add) widen(out, dst, count_dst(s));
    EG_TRY(eg_conv_forward(inner, out, in, packed, bias, out + padded(count_dst(s)), err));
    narrow(dst, out, count_dst(s));
    return EG_OK;
}

eg_status eg_compute_widened_data(const eg_conv *inner, const eg_conv_shape *s, void *dsrc,
                                  const void *ddst, const void *packed, void *scratch,
                                  eg_error *err) {
    float *in = scratch, *out = in + padded(count_src(s));
    widen(out, ddst, count_dst(s));
    EG_TRY(eg_conv_backward_data(inner, in, out, packed, out + padded(count_dst(s)), err));
    narrow(dsrc, in, count_src(s));
    return EG_OK;
}

eg_status eg_compute_widened_weights(const eg_conv *inner, const eg_conv_shape *s, float *dweights,
                                     float *dbias, const void *src, const void *ddst, void *packed,
                                     void *scratch, eg_error *err) {
    float *in = scratch, *out = in + padded(count_src(s));
    widen(in, src, count_src(s));
    widen(out, ddst, count_dst(s));
    return eg_conv_backward_weights(inner, dweights, dbias, in, out, packed,
                                    out + padded(count_dst(s)), err);
}
