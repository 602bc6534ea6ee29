/* The plain-C twin of onednn.c: the same functions, the same numbers up to rounding, no library; slow. Built when
 * ENGRAFT_ONEDNN is off. Weights are packed to (R, S, C/G, K) so that the inner loop runs over output channels.
 * Parallel over samples (forward, data gradient) or input taps (weight gradient): every output has one writer.   */
#include "compute/backend.h"
#if !ENGRAFT_ONEDNN
#    include <math.h>
#    include <string.h>

struct eg_conv {
    eg_conv_shape shape;
    eg_conv_pass pass;
    eg_conv_epilogue epilogue;
    eg_conv *wide; /* bf16: the f32 convolution that does the work (conv_widen.c) */
};

typedef struct {
    const eg_conv *conv;
    float *out;
    const float *a, *b, *bias;
} job;

void eg_compute_backend_cap(eg_isa cap) {
    (void)cap; /* one code path */
}

const char *eg_compute_backend(void) {
    return "plain C";
}

eg_status eg_conv_new(eg_conv **out, const eg_conv_shape *s, eg_conv_pass pass,
                      const eg_conv_epilogue *e, eg_error *err) {
    eg_conv *c = eg_calloc(1, sizeof *c);
    if (!c) return eg_fail(err, EG_ERR_NO_MEMORY, "convolution: out of memory");
    c->shape = *s;
    c->pass = pass;
    if (e) c->epilogue = *e;
    if (s->type == EG_TYPE_BF16) {
        eg_conv_shape wide = eg_compute_widened(s);
        eg_status status = eg_conv_new(&c->wide, &wide, pass, e, err);
        if (status != EG_OK) {
            eg_conv_free(c);
            return status;
        }
    }
    *out = c;
    return EG_OK;
}

void eg_conv_free(eg_conv *c) {
    if (c) eg_conv_free(c->wide);
    eg_free(c);
}

static size_t weight_count(const eg_conv_shape *s) {
    return (size_t)s->K * (size_t)(s->C / s->groups) * (size_t)s->R * (size_t)s->S;
}

size_t eg_conv_packed_bytes(const eg_conv *c) {
    return weight_count(&c->shape) * sizeof(float);
}

size_t eg_conv_scratch_bytes(const eg_conv *c) {
    return c->wide ? eg_compute_widened_bytes(&c->shape, c->wide) : 0;
}

/* index in packed weights of tap (r, t), input channel c of the group, output channel k */
static size_t packed_at(const eg_conv_shape *s, int r, int t, int c, int k) {
    return (((size_t)r * (size_t)s->S + (size_t)t) * (size_t)(s->C / s->groups) + (size_t)c) *
               (size_t)s->K +
           (size_t)k;
}

eg_status eg_conv_pack(const eg_conv *conv, void *packed, const float *weights, eg_error *err) {
    if (conv->wide) return eg_compute_widened_pack(conv->wide, packed, weights, err);
    const eg_conv_shape *s = &conv->shape;
    float *out = packed;
    int D = s->C / s->groups;
    for (int k = 0; k < s->K; k++)
        for (int c = 0; c < D; c++)
            for (int r = 0; r < s->R; r++)
                for (int t = 0; t < s->S; t++)
                    out[packed_at(s, r, t, c, k)] =
                        weights[(((size_t)k * (size_t)D + (size_t)c) * (size_t)s->R + (size_t)r) *
                                    (size_t)s->S +
                                (size_t)t];
    return EG_OK;
}

/* reuses the kernel so that the epilogue's arithmetic is the vector kernels' own */
static void finish_pixel(float *y, const eg_conv *c) {
    if (c->epilogue.act != EG_KACT_NONE)
        eg_kernels_get()->act(y, y, (size_t)c->shape.K, c->epilogue.act);
}

/* y[group's outputs] += x[group's inputs] * packed tap */
static void tap_forward(float *y, const float *x, const float *w, const eg_conv_shape *s, int r,
                        int t) {
    int D = s->C / s->groups, E = s->K / s->groups;
    for (int g = 0; g < s->groups; g++)
        for (int c = 0; c < D; c++) {
            float v = x[g * D + c];
            const float *wr = w + packed_at(s, r, t, c, g * E);
            for (int k = 0; k < E; k++) y[g * E + k] += v * wr[k];
        }
}

static void forward_row(void *context, int i) {
    const job *j = context;
    const eg_conv_shape *s = &j->conv->shape;
    int n = i / s->P, p = i % s->P;
    for (int q = 0; q < s->Q; q++) {
        float *y = j->out + (((size_t)n * (size_t)s->P + (size_t)p) * (size_t)s->Q + (size_t)q) *
                                (size_t)s->K;
        if (!j->conv->epilogue.add) memset(y, 0, (size_t)s->K * sizeof *y);
        if (j->bias)
            for (int k = 0; k < s->K; k++) y[k] += j->bias[k];
        for (int r = 0; r < s->R; r++)
            for (int t = 0; t < s->S; t++) {
                int h = p * s->stride - s->pad_before + r, w = q * s->stride - s->pad_left + t;
                if (h < 0 || h >= s->H || w < 0 || w >= s->W) continue;
                const float *x =
                    j->a + (((size_t)n * (size_t)s->H + (size_t)h) * (size_t)s->W + (size_t)w) *
                               (size_t)s->C;
                tap_forward(y, x, j->b, s, r, t);
            }
        finish_pixel(y, j->conv);
    }
}

eg_status eg_conv_forward(const eg_conv *c, void *dst, const void *src, const void *packed,
                          const float *bias, void *scratch, eg_error *err) {
    if (c->wide)
        return eg_compute_widened_forward(c->wide, &c->shape, c->epilogue.add, dst, src, packed,
                                          bias, scratch, err);
    job j = {c, dst, src, packed, c->epilogue.bias ? bias : NULL};
    eg_pool_run(forward_row, &j, c->shape.N * c->shape.P);
    return EG_OK;
}

static void data_row(void *context, int i) {
    const job *j = context;
    const eg_conv_shape *s = &j->conv->shape;
    int n = i / s->H, h = i % s->H, D = s->C / s->groups, E = s->K / s->groups;
    for (int w = 0; w < s->W; w++) {
        float *dx = j->out + (((size_t)n * (size_t)s->H + (size_t)h) * (size_t)s->W + (size_t)w) *
                                 (size_t)s->C;
        memset(dx, 0, (size_t)s->C * sizeof *dx);
        for (int r = 0; r < s->R; r++)
            for (int t = 0; t < s->S; t++) {
                int p = h + s->pad_before - r, q = w + s->pad_left - t;
                if (p < 0 || q < 0 || p % s->stride || q % s->stride || p / s->stride >= s->P ||
                    q / s->stride >= s->Q)
                    continue;
                const float *dy =
                    j->a + (((size_t)n * (size_t)s->P + (size_t)(p / s->stride)) * (size_t)s->Q +
                            (size_t)(q / s->stride)) *
                               (size_t)s->K;
                for (int c = 0; c < s->C; c++) {
                    int g = c / D;
                    const float *wr = j->b + packed_at(s, r, t, c % D, g * E);
                    float sum = 0;
                    for (int k = 0; k < E; k++) sum += dy[g * E + k] * wr[k];
                    dx[c] += sum;
                }
            }
    }
}

eg_status eg_conv_backward_data(const eg_conv *c, void *dsrc, const void *ddst, const void *packed,
                                void *scratch, eg_error *err) {
    if (c->wide)
        return eg_compute_widened_data(c->wide, &c->shape, dsrc, ddst, packed, scratch, err);
    job j = {c, dsrc, ddst, packed, NULL};
    eg_pool_run(data_row, &j, c->shape.N * c->shape.H);
    return EG_OK;
}

/* all of one tap (r, t): packed gradient (C/G, K); sums one image row at a time so that float loses little */
static void weights_tap(void *context, int i) {
    const job *j = context;
    const eg_conv_shape *s = &j->conv->shape;
    int r = i / s->S, t = i % s->S, D = s->C / s->groups, E = s->K / s->groups;
    for (int n = 0; n < s->N; n++)
        for (int p = 0; p < s->P; p++)
            for (int q = 0; q < s->Q; q++) {
                int h = p * s->stride - s->pad_before + r, w = q * s->stride - s->pad_left + t;
                if (h < 0 || h >= s->H || w < 0 || w >= s->W) continue;
                const float *x =
                    j->a + (((size_t)n * (size_t)s->H + (size_t)h) * (size_t)s->W + (size_t)w) *
                               (size_t)s->C;
                const float *dy =
                    j->b + (((size_t)n * (size_t)s->P + (size_t)p) * (size_t)s->Q + (size_t)q) *
                               (size_t)s->K;
                for (int c = 0; c < s->C; c++) {
                    int g = c / D;
                    float *out = j->out + packed_at(s, r, t, c % D, g * E);
                    for (int k = 0; k < E; k++) out[k] += x[c] * dy[g * E + k];
                }
            }
}

eg_status eg_conv_backward_weights(const eg_conv *c, float *dweights, float *dbias, const void *src,
                                   const void *ddst, void *packed, void *scratch, eg_error *err) {
    if (c->wide)
        return eg_compute_widened_weights(c->wide, &c->shape, dweights, dbias, src, ddst, packed,
                                          scratch, err);
    const eg_conv_shape *s = &c->shape;
    float *sum = packed;
    memset(packed, 0, weight_count(s) * sizeof *sum);
    job j = {c, packed, src, ddst, NULL};
    eg_pool_run(weights_tap, &j, s->R * s->S);
    int D = s->C / s->groups;
    for (int k = 0; k < s->K; k++)
        for (int d = 0; d < D; d++)
            for (int r = 0; r < s->R; r++)
                for (int t = 0; t < s->S; t++)
                    dweights[(((size_t)k * (size_t)D + (size_t)d) * (size_t)s->R + (size_t)r) *
                                 (size_t)s->S +
                             (size_t)t] = sum[packed_at(s, r, t, d, k)];
    if (c->epilogue.bias && dbias)
        eg_kernels_get()->sum_rows(dbias, ddst, (size_t)s->N * (size_t)s->P * (size_t)s->Q, s->K);
    return EG_OK;
}

typedef struct {
    float *c;
    const float *a, *b;
    int m, n, k;
    bool transpose_a, transpose_b, accumulate;
} product;

static void product_row(void *context, int i) {
    const product *x = context;
    float *out = x->c + (size_t)i * (size_t)x->n;
    for (int col = 0; col < x->n; col++) {
        double sum = x->accumulate ? (double)out[col] : 0;
        for (int d = 0; d < x->k; d++) {
            float a = x->transpose_a ? x->a[(size_t)d * (size_t)x->m + (size_t)i]
                                     : x->a[(size_t)i * (size_t)x->k + (size_t)d];
            float b = x->transpose_b ? x->b[(size_t)col * (size_t)x->k + (size_t)d]
                                     : x->b[(size_t)d * (size_t)x->n + (size_t)col];
            sum += (double)a * (double)b;
        }
        out[col] = (float)sum;
    }
}

eg_status eg_gemm(float *c, const float *a, const float *b, int m, int n, int k, bool transpose_a,
                  bool transpose_b, bool accumulate, eg_error *err) {
    (void)err;
    product x = {c, a, b, m, n, k, transpose_a, transpose_b, accumulate};
    eg_pool_run(product_row, &x, m);
    return EG_OK;
}

#endif
