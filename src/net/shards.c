/* Convolutions over the batch in fixed shards, each on one thread (--deterministic), or in one shard on all threads.
 * A shard has an eg_conv of its own even where two have the same shape: an eg_conv runs one call at a time. Packed weights
 * are shared by shards of the same size. oneDNN asks OpenMP for the number of threads both when a primitive is made, to
 * choose blocks and copies of gradients by it, and when it runs: both happen between eg_pool_single_begin and _end.
 * Read first: shards.h.                                                                                        */
#include "net/shards.h"

struct eg_shards {
    eg_conv_pass pass;
    bool single;    /* one thread a shard */
    int n, samples; /* shards; samples a shard, of which the last may have fewer */
    bool odd_last;  /* it has */
    eg_conv *conv[EG_SHARDS];
    size_t src_bytes, dst_bytes;         /* of one sample */
    size_t weight_floats, bias_channels; /* of the gradient */
};

/* ---- layout of packed weights and scratch ---- */

/* Offset of shard i's packed weights: the same for all of one size, as they only read them. Gradients: one each. */
static size_t packed_at(const eg_shards *s, int i) {
    size_t each = eg_align64(eg_conv_packed_bytes(s->conv[0]));
    if (s->pass == EG_CONV_BACKWARD_WEIGHTS) return (size_t)i * each;
    return s->odd_last && i == s->n - 1 ? each : 0;
}

size_t eg_net_shards_packed_bytes(const eg_shards *s) {
    return packed_at(s, s->n - 1) + eg_align64(eg_conv_packed_bytes(s->conv[s->n - 1]));
}

static size_t scratch_at(const eg_shards *s, int i) {
    return (size_t)i * eg_align64(eg_conv_scratch_bytes(s->conv[0]));
}

static size_t work_bytes(const eg_shards *s) {
    return scratch_at(s, s->n - 1) + eg_align64(eg_conv_scratch_bytes(s->conv[s->n - 1]));
}

static size_t weight_bytes(const eg_shards *s) {
    return eg_align64(s->weight_floats * sizeof(float));
}

static size_t gradient_bytes(const eg_shards *s) {
    return weight_bytes(s) + eg_align64(s->bias_channels * sizeof(float));
}

size_t eg_net_shards_scratch_bytes(const eg_shards *s) {
    size_t bytes = work_bytes(s);
    if (s->pass == EG_CONV_BACKWARD_WEIGHTS) bytes += (size_t)(s->n - 1) * gradient_bytes(s);
    return bytes;
}

/* ---- making ---- */

static eg_status make_convs(eg_shards *s, const eg_conv_shape *shape, const eg_conv_epilogue *e,
                            eg_error *err) {
    for (int i = 0; i < s->n; i++) {
        eg_conv_shape part = *shape;
        int left = shape->N - i * s->samples;
        part.N = left < s->samples ? left : s->samples;
        EG_TRY(eg_conv_new(&s->conv[i], &part, s->pass, e, err));
        s->odd_last = part.N != s->samples;
    }
    return EG_OK;
}

eg_status eg_net_shards_new(eg_shards **out, const eg_plan *plan, const eg_conv_shape *shape,
                            eg_conv_pass pass, const eg_conv_epilogue *e, eg_error *err) {
    eg_shards *s = eg_calloc(1, sizeof *s);
    if (!s) return eg_fail(err, EG_ERR_NO_MEMORY, "convolution: out of memory");
    size_t value = eg_type_bytes(shape->type);
    s->pass = pass;
    s->single = plan->options.deterministic;
    s->samples = s->single ? (shape->N + EG_SHARDS - 1) / EG_SHARDS : shape->N;
    s->n = (shape->N + s->samples - 1) / s->samples;
    s->src_bytes = (size_t)shape->H * (size_t)shape->W * (size_t)shape->C * value;
    s->dst_bytes = (size_t)shape->P * (size_t)shape->Q * (size_t)shape->K * value;
    s->weight_floats =
        (size_t)shape->K * (size_t)(shape->C / shape->groups) * (size_t)shape->R * (size_t)shape->S;
    s->bias_channels = (size_t)shape->K;
    int before = s->single ? eg_pool_single_begin() : 0;
    eg_status status = make_convs(s, shape, e, err);
    if (s->single) eg_pool_single_end(before);
    if (status == EG_OK)
        *out = s;
    else
        eg_net_shards_free(s);
    return status;
}

void eg_net_shards_free(eg_shards *s) {
    if (!s) return;
    for (int i = 0; i < s->n; i++) eg_conv_free(s->conv[i]);
    eg_free(s);
}

/* ---- running ---- */

typedef struct {
    const eg_shards *s;
    const void *in;  /* src, or ddst in the data pass */
    const void *in2; /* weights pass: ddst */
    void *out;       /* dst or dsrc */
    const float *bias;
    float *dweights[EG_SHARDS], *dbias[EG_SHARDS];
    uint8_t *packed, *scratch;
    eg_status status[EG_SHARDS];
    eg_error error[EG_SHARDS];
} shards_job;

static eg_status run_pass(const shards_job *j, int i, eg_error *err) {
    const eg_shards *s = j->s;
    size_t first = (size_t)i * (size_t)s->samples;
    size_t src = first * s->src_bytes, dst = first * s->dst_bytes;
    uint8_t *packed = j->packed + packed_at(s, i), *scratch = j->scratch;
    if (scratch) scratch += scratch_at(s, i);
    const uint8_t *in = j->in, *in2 = j->in2;
    uint8_t *out = j->out;
    if (s->pass == EG_CONV_FORWARD)
        return eg_conv_forward(s->conv[i], out + dst, in + src, packed, j->bias, scratch, err);
    if (s->pass == EG_CONV_BACKWARD_DATA)
        return eg_conv_backward_data(s->conv[i], out + src, in + dst, packed, scratch, err);
    return eg_conv_backward_weights(s->conv[i], j->dweights[i], j->dbias[i], in + src, in2 + dst,
                                    packed, scratch, err);
}

/* On a thread of the pool OpenMP gives others one thread anyway; not so when the pool runs its tasks here (one shard, or
 * one thread). */
static void run_shard(void *context, int i) {
    shards_job *j = context;
    int before = j->s->single ? eg_pool_single_begin() : 0;
    j->status[i] = run_pass(j, i, &j->error[i]);
    if (j->s->single) eg_pool_single_end(before);
}

/* the first failure in order of shards */
static eg_status run_all(shards_job *j, eg_error *err) {
    eg_pool_run(run_shard, j, j->s->n);
    for (int i = 0; i < j->s->n; i++) {
        if (j->status[i] == EG_OK) continue;
        if (err) *err = j->error[i];
        return j->status[i];
    }
    return EG_OK;
}

eg_status eg_net_shards_pack(const eg_shards *s, void *packed, const float *weights,
                             eg_error *err) {
    EG_TRY(eg_conv_pack(s->conv[0], packed, weights, err));
    int last = s->n - 1;
    if (!s->odd_last) return EG_OK;
    /* another shape may ask for another layout */
    return eg_conv_pack(s->conv[last], (uint8_t *)packed + packed_at(s, last), weights, err);
}

eg_status eg_net_shards_forward(const eg_shards *s, void *dst, const void *src, void *packed,
                                const float *bias, void *scratch, eg_error *err) {
    shards_job j = {
        .s = s, .out = dst, .in = src, .packed = packed, .bias = bias, .scratch = scratch};
    return run_all(&j, err);
}

eg_status eg_net_shards_backward_data(const eg_shards *s, void *dsrc, const void *ddst,
                                      void *packed, void *scratch, eg_error *err) {
    shards_job j = {.s = s, .out = dsrc, .in = ddst, .packed = packed, .scratch = scratch};
    return run_all(&j, err);
}

/* ---- the sum of gradients ---- */

static void sum_span(void *context, size_t begin, size_t end) {
    const shards_job *j = context;
    float *const *g = j->dweights;
    for (int step = 1; step < j->s->n; step *= 2)
        for (int i = 0; i + step < j->s->n; i += 2 * step)
            eg_kernels_get()->add(g[i] + begin, g[i] + begin, g[i + step] + begin, end - begin);
}

static void sum_bias(const shards_job *j) {
    float *const *g = j->dbias;
    for (int step = 1; step < j->s->n; step *= 2)
        for (int i = 0; i + step < j->s->n; i += 2 * step)
            eg_kernels_get()->add(g[i], g[i], g[i + step], j->s->bias_channels);
}

eg_status eg_net_shards_backward_weights(const eg_shards *s, float *dweights, float *dbias,
                                         const void *src, const void *ddst, void *packed,
                                         void *scratch, eg_error *err) {
    shards_job j = {.s = s, .in = src, .in2 = ddst, .packed = packed, .scratch = scratch};
    j.dweights[0] = dweights;
    j.dbias[0] = dbias;
    for (int i = 1; i < s->n; i++) {
        uint8_t *at = j.scratch + work_bytes(s) + (size_t)(i - 1) * gradient_bytes(s);
        j.dweights[i] = (float *)(void *)at;
        j.dbias[i] = dbias ? (float *)(void *)(at + weight_bytes(s)) : NULL;
    }
    EG_TRY(run_all(&j, err));
    if (s->n == 1) return EG_OK;
    eg_span_run(sum_span, &j, s->weight_floats, 1024);
    if (dbias) sum_bias(&j);
    return EG_OK;
}

eg_status eg_net_gemm(const eg_plan *plan, float *c, const float *a, const float *b, int m, int n,
                      int k, bool transpose_a, bool transpose_b, bool accumulate, eg_error *err) {
    bool single = plan->options.deterministic;
    int before = single ? eg_pool_single_begin() : 0;
    eg_status status = eg_gemm(c, a, b, m, n, k, transpose_a, transpose_b, accumulate, err);
    if (single) eg_pool_single_end(before);
    return status;
}
