/* Dense convolutions and matrix products by oneDNN, v2 (Debian 12) and v3 (Debian 13) behind the same functions: v2 has
 * operation descriptors and memory descriptors by value, v3 has neither. Activations stay plain NHWC; weights go into the
 * layout oneDNN asks for (eg_conv_pack). Scratch comes from the caller, so that a step allocates nothing of ours.
 * Read first: compute.h. The plain-C twin: conv_plain.c.                                                       */
#include "compute/backend.h"
#if ENGRAFT_ONEDNN
#    include <dnnl.h>
#    include <stdio.h>
#    include <string.h>

#    define V3 (DNNL_VERSION_MAJOR >= 3)

#    if V3
typedef dnnl_memory_desc_t md_value;
typedef const_dnnl_memory_desc_t md_view;
#        define MD(value) (value)
#    else
typedef dnnl_memory_desc_t md_value;
typedef const dnnl_memory_desc_t *md_view;
#        define MD(value) (&(value))
#    endif

struct eg_conv {
    eg_conv_shape shape;
    eg_conv_pass pass;
    bool bias, add;
    dnnl_primitive_t primitive,
        reorder; /* reorder: plain -> packed weights, or packed gradient -> plain */
    dnnl_memory_t src, dst, packed, plain, bias_memory, scratch;
    size_t packed_bytes, scratch_bytes;
    eg_conv
        *wide; /* bf16 that oneDNN has not: the f32 convolution that does the work (conv_widen.c) */
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static const char *status_name(dnnl_status_t s) {
    switch (s) {
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "not implemented";
    default:
        return "run-time error";
    }
}

#    define DNN_TRY(call, what)                                                                    \
        do {                                                                                       \
            dnnl_status_t dnn_status = (call);                                                     \
            if (dnn_status != dnnl_success)                                                        \
                return eg_fail(                                                                    \
                    err, dnn_status == dnnl_out_of_memory ? EG_ERR_NO_MEMORY : EG_ERR_INTERNAL,    \
                    "oneDNN: %s: %s", what, status_name(dnn_status));                              \
        } while (0)

static eg_status start(eg_error *err) {
    if (!engine) DNN_TRY(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    if (!stream) DNN_TRY(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
    return EG_OK;
}

void eg_compute_backend_cap(eg_isa cap) {
    if (cap == EG_ISA_SCALAR) dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
    if (cap == EG_ISA_AVX2) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    if (cap == EG_ISA_AVX512) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core);
}

const char *eg_compute_backend(void) {
    static char name[48];
    const dnnl_version_t *v = dnnl_version();
    snprintf(name, sizeof name, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return name;
}

/* ---- the differences between v2 and v3 ---- */

static dnnl_data_type_t data_type(eg_type type) {
    return type == EG_TYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

static dnnl_status_t md_make(md_value *md, int n, const dnnl_dim_t *sides, dnnl_data_type_t type,
                             dnnl_format_tag_t tag) {
    dnnl_dims_t dims = {0};
    for (int i = 0; i < n; i++) dims[i] = sides[i];
#    if V3
    return dnnl_memory_desc_create_with_tag(md, n, dims, type, tag);
#    else
    return dnnl_memory_desc_init_by_tag(md, n, dims, type, tag);
#    endif
}

static void md_drop(md_value *md) {
#    if V3
    if (*md) dnnl_memory_desc_destroy(*md);
#    endif
    memset(md, 0, sizeof *md);
}

static md_view pd_md(const_dnnl_primitive_desc_t pd, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha,
                                    float beta) {
#    if V3
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, beta);
#    else
    return dnnl_post_ops_append_eltwise(ops, 1.0f, kind, alpha, beta);
#    endif
}

static dnnl_status_t append_act(dnnl_post_ops_t ops, int act) {
    dnnl_alg_kind_t kind = dnnl_eltwise_relu;
    float alpha = 0, beta = 0;
    if (act == EG_KACT_RELU6) {
        kind = dnnl_eltwise_clip;
        beta = 6.0f;
    } else if (act == EG_KACT_SILU) {
        kind = dnnl_eltwise_swish;
        alpha = 1.0f;
    } else if (act == EG_KACT_SIGMOID) {
        kind = dnnl_eltwise_logistic;
    } else if (act == EG_KACT_HARDSWISH) {
        kind = dnnl_eltwise_hardswish;
        alpha = 1.0f / 6.0f;
        beta = 0.5f;
    } else if (act == EG_KACT_GELU) {
        kind =
            dnnl_eltwise_gelu_erf; /* its erf errs by 1.5e-7 at most (Abramowitz & Stegun 7.1.26) */
    } else if (act == EG_KACT_HARDSIGMOID) {
        /* 2.6 has no hard sigmoid: z / 6 + 1/2, clipped to 0 .. 1 */
        dnnl_status_t s = append_eltwise(ops, dnnl_eltwise_linear, 1.0f / 6.0f, 0.5f);
        if (s != dnnl_success) return s;
        kind = dnnl_eltwise_clip;
        beta = 1.0f;
    }
    return append_eltwise(ops, kind, alpha, beta);
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
#    if V3
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef); /* dst's own type */
#    else
    return dnnl_post_ops_append_sum(ops, 1.0f);
#    endif
}

typedef struct {
    md_value src, weights, bias, dst;
    dnnl_dims_t strides, dilates, before, after;
} conv_mds;

static dnnl_status_t pd_forward(dnnl_primitive_desc_t *pd, const conv_mds *m, bool bias,
                                dnnl_prop_kind_t kind, const_dnnl_primitive_attr_t attr) {
#    if V3
    return dnnl_convolution_forward_primitive_desc_create(
        pd, engine, kind, dnnl_convolution_direct, m->src, m->weights, bias ? m->bias : NULL,
        m->dst, m->strides, m->dilates, m->before, m->after, attr);
#    else
    dnnl_convolution_desc_t d;
    dnnl_status_t s = dnnl_convolution_forward_desc_init(&d, kind, dnnl_convolution_direct, &m->src,
                                                         &m->weights, bias ? &m->bias : NULL,
                                                         &m->dst, m->strides, m->before, m->after);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
#    endif
}

static dnnl_status_t pd_backward(dnnl_primitive_desc_t *pd, const conv_mds *m, eg_conv_pass pass,
                                 bool bias, const_dnnl_primitive_desc_t hint,
                                 const_dnnl_primitive_attr_t attr) {
#    if V3
    if (pass == EG_CONV_BACKWARD_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(
            pd, engine, dnnl_convolution_direct, m->src, m->weights, m->dst, m->strides, m->dilates,
            m->before, m->after, hint, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(
        pd, engine, dnnl_convolution_direct, m->src, m->weights, bias ? m->bias : NULL, m->dst,
        m->strides, m->dilates, m->before, m->after, hint, attr);
#    else
    dnnl_convolution_desc_t d;
    dnnl_status_t s =
        pass == EG_CONV_BACKWARD_DATA
            ? dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &m->src,
                                                       &m->weights, &m->dst, m->strides, m->before,
                                                       m->after)
            : dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &m->src,
                                                          &m->weights, bias ? &m->bias : NULL,
                                                          &m->dst, m->strides, m->before, m->after);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &d, attr, engine, hint);
#    endif
}

/* ---- building ---- */

/* the weight gradient is float in either type: no sum of it is rounded before the optimiser sees it */
static dnnl_status_t make_mds(conv_mds *m, const eg_conv_shape *s, dnnl_data_type_t weights) {
    dnnl_data_type_t value = data_type(s->type);
    dnnl_dim_t src[4] = {s->N, s->C, s->H, s->W}, dst[4] = {s->N, s->K, s->P, s->Q};
    dnnl_dim_t plain[4] = {s->K, s->C, s->R, s->S}, bias[1] = {s->K};
    dnnl_dim_t grouped[5] = {s->groups, s->K / s->groups, s->C / s->groups, s->R, s->S};
    for (int i = 0; i < 2; i++) {
        m->strides[i] = s->stride;
        m->dilates[i] = 0;
        m->before[i] = i == 0 ? s->pad_before : s->pad_left;
        m->after[i] = i == 0 ? s->pad_after : s->pad_right;
    }
    dnnl_status_t e = md_make(&m->src, 4, src, value, dnnl_nhwc);
    if (e == dnnl_success) e = md_make(&m->dst, 4, dst, value, dnnl_nhwc);
    if (e == dnnl_success)
        e = s->groups > 1 ? md_make(&m->weights, 5, grouped, weights, dnnl_format_tag_any)
                          : md_make(&m->weights, 4, plain, weights, dnnl_format_tag_any);
    if (e == dnnl_success) e = md_make(&m->bias, 1, bias, dnnl_f32, dnnl_a);
    return e;
}

static void drop_mds(conv_mds *m) {
    md_drop(&m->src);
    md_drop(&m->dst);
    md_drop(&m->weights);
    md_drop(&m->bias);
}

static dnnl_status_t make_attr(dnnl_primitive_attr_t *attr, const eg_conv_epilogue *e,
                               bool forward) {
    dnnl_status_t s = dnnl_primitive_attr_create(attr);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (s != dnnl_success || !forward || (!e->add && e->act == EG_KACT_NONE)) return s;
    dnnl_post_ops_t ops;
    s = dnnl_post_ops_create(&ops);
    if (s != dnnl_success) return s;
    if (e->add) s = append_sum(ops);
    if (s == dnnl_success && e->act != EG_KACT_NONE) s = append_act(ops, e->act);
    if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(*attr, ops);
    dnnl_post_ops_destroy(ops);
    return s;
}

static dnnl_status_t memory_for(dnnl_memory_t *memory, md_view md) {
    return dnnl_memory_create(memory, md, engine, DNNL_MEMORY_NONE);
}

/* reorder between PyTorch's order and the pass's own, and the memory objects of both */
static dnnl_status_t make_reorder(eg_conv *c, md_view packed) {
    const eg_conv_shape *s = &c->shape;
    dnnl_dim_t plain[4] = {s->K, s->C, s->R, s->S};
    dnnl_dim_t grouped[5] = {s->groups, s->K / s->groups, s->C / s->groups, s->R, s->S};
    md_value md;
    memset(&md, 0, sizeof md);
    dnnl_status_t e = s->groups > 1 ? md_make(&md, 5, grouped, dnnl_f32, dnnl_goihw)
                                    : md_make(&md, 4, plain, dnnl_f32, dnnl_oihw);
    bool to_plain = c->pass == EG_CONV_BACKWARD_WEIGHTS;
    dnnl_primitive_desc_t pd = NULL;
    if (e == dnnl_success)
        e = dnnl_reorder_primitive_desc_create(&pd, to_plain ? packed : MD(md), engine,
                                               to_plain ? MD(md) : packed, engine, NULL);
    if (e == dnnl_success) e = dnnl_primitive_create(&c->reorder, pd);
    if (e == dnnl_success) e = memory_for(&c->plain, MD(md));
    if (e == dnnl_success) e = memory_for(&c->packed, packed);
    if (pd) dnnl_primitive_desc_destroy(pd);
    md_drop(&md);
    return e;
}

static dnnl_status_t finish(eg_conv *c, dnnl_primitive_desc_t pd) {
    bool data = c->pass == EG_CONV_BACKWARD_DATA, weights = c->pass == EG_CONV_BACKWARD_WEIGHTS;
    md_view packed = pd_md(pd, weights ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    md_view scratch = pd_md(pd, dnnl_query_scratchpad_md);
    c->packed_bytes = dnnl_memory_desc_get_size(packed);
    c->scratch_bytes = dnnl_memory_desc_get_size(scratch);
    dnnl_status_t e = dnnl_primitive_create(&c->primitive, pd);
    if (e == dnnl_success)
        e = memory_for(&c->src, pd_md(pd, data ? dnnl_query_diff_src_md : dnnl_query_src_md));
    if (e == dnnl_success)
        e = memory_for(&c->dst, pd_md(pd, c->pass == EG_CONV_FORWARD ? dnnl_query_dst_md
                                                                     : dnnl_query_diff_dst_md));
    if (e == dnnl_success) e = memory_for(&c->scratch, scratch);
    if (e == dnnl_success && c->bias) {
        dnnl_dim_t dims[1] = {c->shape.K};
        md_value md;
        e = md_make(&md, 1, dims, dnnl_f32, dnnl_a);
        if (e == dnnl_success) e = memory_for(&c->bias_memory, MD(md));
        md_drop(&md);
    }
    return e == dnnl_success ? make_reorder(c, packed) : e;
}

static dnnl_status_t build(eg_conv *c, const eg_conv_epilogue *e) {
    conv_mds m, forward; /* forward: with weights in the values' type, for the hint */
    memset(&m, 0, sizeof m);
    memset(&forward, 0, sizeof forward);
    dnnl_data_type_t value = data_type(c->shape.type);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_status_t s =
        make_mds(&m, &c->shape, c->pass == EG_CONV_BACKWARD_WEIGHTS ? dnnl_f32 : value);
    if (s == dnnl_success) s = make_mds(&forward, &c->shape, value);
    if (s == dnnl_success) s = make_attr(&attr, e, c->pass == EG_CONV_FORWARD);
    if (s == dnnl_success) {
        if (c->pass == EG_CONV_FORWARD) {
            s = pd_forward(&pd, &m, e->bias, dnnl_forward_inference, attr);
        } else {
            s = pd_forward(&hint, &forward, e->bias, dnnl_forward_training, NULL);
            if (s == dnnl_success) s = pd_backward(&pd, &m, c->pass, e->bias, hint, attr);
        }
    }
    if (s == dnnl_success) s = finish(c, pd);
    if (hint) dnnl_primitive_desc_destroy(hint);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (attr) dnnl_primitive_attr_destroy(attr);
    drop_mds(&m);
    drop_mds(&forward);
    return s;
}

/* 2.6's weight gradient of a strided 1x1 window writes behind its scratch when there are fewer than 16 input channels: those
 * run as a matrix product on the pixels that the window reads, gathered in scratch (eg_conv_backward_weights). */
static bool gathers(const eg_conv_shape *s, eg_conv_pass pass) {
    return pass == EG_CONV_BACKWARD_WEIGHTS && s->R == 1 && s->S == 1 && s->stride > 1 &&
           s->C < 16 && s->groups == 1 && s->pad_before == 0 && s->pad_left == 0;
}

/* 2.6's bf16 weight gradient leaves taps unwritten that no pixel meets: a window larger than the image, as small images have
 * it in the last layers */
static bool leaves_taps(const eg_conv_shape *s, eg_conv_pass pass) {
    return pass == EG_CONV_BACKWARD_WEIGHTS && (s->H < s->R || s->W < s->S);
}

/* oneDNN 2.6 has bf16 from AVX-512 on */
static bool lacks_bf16(const eg_conv_shape *s, eg_conv_pass pass) {
    return s->type == EG_TYPE_BF16 &&
           (eg_isa_now() < EG_ISA_AVX512 || gathers(s, pass) || leaves_taps(s, pass));
}

static eg_status widen(eg_conv *c, const eg_conv_epilogue *e, eg_error *err) {
    eg_conv_shape wide = eg_compute_widened(&c->shape);
    EG_TRY(eg_conv_new(&c->wide, &wide, c->pass, e, err));
    c->packed_bytes = c->wide->packed_bytes;
    c->scratch_bytes = eg_compute_widened_bytes(&c->shape, c->wide);
    return EG_OK;
}

eg_status eg_conv_new(eg_conv **out, const eg_conv_shape *s, eg_conv_pass pass,
                      const eg_conv_epilogue *e, eg_error *err) {
    static const eg_conv_epilogue plain = {0};
    if (!e) e = &plain;
    EG_TRY(start(err));
    eg_conv *c = eg_calloc(1, sizeof *c);
    if (!c) return eg_fail(err, EG_ERR_NO_MEMORY, "convolution: out of memory");
    c->shape = *s;
    c->pass = pass;
    c->bias = e->bias && pass != EG_CONV_BACKWARD_DATA;
    c->add = e->add;
    if (lacks_bf16(s, pass)) {
        eg_status wide = widen(c, e, err);
        if (wide == EG_OK)
            *out = c;
        else
            eg_conv_free(c);
        return wide;
    }
    if (gathers(s, pass)) {
        c->scratch_bytes =
            (size_t)s->N * (size_t)s->P * (size_t)s->Q * (size_t)s->C * sizeof(float);
        *out = c;
        return EG_OK;
    }
    dnnl_status_t status = build(c, e);
    if (status != dnnl_success) {
        eg_conv_free(c);
        return eg_fail(err, status == dnnl_out_of_memory ? EG_ERR_NO_MEMORY : EG_ERR_INTERNAL,
                       "oneDNN: convolution %dx%d, %d to %d channels, kernel %dx%d, stride %d: %s",
                       s->H, s->W, s->C, s->K, s->R, s->S, s->stride, status_name(status));
    }
    *out = c;
    return EG_OK;
}

void eg_conv_free(eg_conv *c) {
    if (!c) return;
    dnnl_memory_t memories[] = {c->src, c->dst, c->packed, c->plain, c->bias_memory, c->scratch};
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        if (memories[i]) dnnl_memory_destroy(memories[i]);
    if (c->primitive) dnnl_primitive_destroy(c->primitive);
    if (c->reorder) dnnl_primitive_destroy(c->reorder);
    eg_conv_free(c->wide);
    eg_free(c);
}

size_t eg_conv_packed_bytes(const eg_conv *c) {
    return c->packed_bytes;
}

size_t eg_conv_scratch_bytes(const eg_conv *c) {
    return c->scratch_bytes;
}

/* ---- running: oneDNN's memory objects take the pointers of this call; they are never written through const ---- */

static dnnl_status_t point(dnnl_memory_t memory, const void *p) {
    void *handle;
    memcpy(&handle, &p, sizeof handle);
#    if V3
    return dnnl_memory_set_data_handle(memory, handle);
#    else
    return dnnl_memory_set_data_handle_v2(memory, handle, stream);
#    endif
}

static eg_status run_reorder(const eg_conv *c, const void *from, void *to, eg_error *err) {
    bool to_plain = c->pass == EG_CONV_BACKWARD_WEIGHTS;
    dnnl_memory_t source = to_plain ? c->packed : c->plain,
                  target = to_plain ? c->plain : c->packed;
    DNN_TRY(point(source, from), "memory");
    DNN_TRY(point(target, to), "memory");
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}};
    DNN_TRY(dnnl_primitive_execute(c->reorder, stream, 2, args), "reorder");
    DNN_TRY(dnnl_stream_wait(stream), "wait");
    return EG_OK;
}

eg_status eg_conv_pack(const eg_conv *c, void *packed, const float *weights, eg_error *err) {
    if (c->wide) return eg_compute_widened_pack(c->wide, packed, weights, err);
    return run_reorder(c, weights, packed, err);
}

typedef struct {
    int arg;
    dnnl_memory_t memory;
    const void *p;
} argument;

static eg_status execute(const eg_conv *c, const argument *list, int n, eg_error *err) {
    dnnl_exec_arg_t args[6];
    int used = 0;
    for (int i = 0; i < n; i++) {
        if (!list[i].memory) continue;
        DNN_TRY(point(list[i].memory, list[i].p), "memory");
        args[used++] = (dnnl_exec_arg_t){list[i].arg, list[i].memory};
    }
    DNN_TRY(dnnl_primitive_execute(c->primitive, stream, used, args), "convolution");
    DNN_TRY(dnnl_stream_wait(stream), "wait");
    return EG_OK;
}

eg_status eg_conv_forward(const eg_conv *c, void *dst, const void *src, const void *packed,
                          const float *bias, void *scratch, eg_error *err) {
    if (c->wide)
        return eg_compute_widened_forward(c->wide, &c->shape, c->add, dst, src, packed, bias,
                                          scratch, err);
    const argument list[] = {{DNNL_ARG_SRC, c->src, src},
                             {DNNL_ARG_WEIGHTS, c->packed, packed},
                             {DNNL_ARG_BIAS, c->bias_memory, bias},
                             {DNNL_ARG_DST, c->dst, dst},
                             {DNNL_ARG_SCRATCHPAD, c->scratch, scratch}};
    return execute(c, list, 5, err);
}

eg_status eg_conv_backward_data(const eg_conv *c, void *dsrc, const void *ddst, const void *packed,
                                void *scratch, eg_error *err) {
    if (c->wide)
        return eg_compute_widened_data(c->wide, &c->shape, dsrc, ddst, packed, scratch, err);
    const argument list[] = {{DNNL_ARG_DIFF_SRC, c->src, dsrc},
                             {DNNL_ARG_WEIGHTS, c->packed, packed},
                             {DNNL_ARG_DIFF_DST, c->dst, ddst},
                             {DNNL_ARG_SCRATCHPAD, c->scratch, scratch}};
    return execute(c, list, 4, err);
}

static eg_status gathered_weights(const eg_conv *c, float *dweights, float *dbias, const float *src,
                                  const float *ddst, float *pixels, eg_error *err) {
    const eg_conv_shape *s = &c->shape;
    size_t C = (size_t)s->C, rows = (size_t)s->N * (size_t)s->P * (size_t)s->Q;
    float *to = pixels;
    for (size_t n = 0; n < (size_t)s->N; n++)
        for (int p = 0; p < s->P; p++)
            for (int q = 0; q < s->Q; q++, to += C) {
                size_t h = n * (size_t)s->H + (size_t)(p * s->stride);
                memcpy(to, src + (h * (size_t)s->W + (size_t)(q * s->stride)) * C, C * sizeof *to);
            }
    if (c->bias && dbias) eg_kernels_get()->sum_rows(dbias, ddst, rows, s->K);
    return eg_gemm(dweights, ddst, pixels, s->K, s->C, (int)rows, true, false, false, err);
}

eg_status eg_conv_backward_weights(const eg_conv *c, float *dweights, float *dbias, const void *src,
                                   const void *ddst, void *packed, void *scratch, eg_error *err) {
    if (c->wide)
        return eg_compute_widened_weights(c->wide, &c->shape, dweights, dbias, src, ddst, packed,
                                          scratch, err);
    if (!c->primitive) return gathered_weights(c, dweights, dbias, src, ddst, scratch, err);
    const argument list[] = {{DNNL_ARG_SRC, c->src, src},
                             {DNNL_ARG_DIFF_DST, c->dst, ddst},
                             {DNNL_ARG_DIFF_WEIGHTS, c->packed, packed},
                             {DNNL_ARG_DIFF_BIAS, c->bias_memory, dbias},
                             {DNNL_ARG_SCRATCHPAD, c->scratch, scratch}};
    EG_TRY(execute(c, list, 5, err));
    return run_reorder(c, packed, dweights, err);
}

eg_status eg_gemm(float *c, const float *a, const float *b, int m, int n, int k, bool transpose_a,
                  bool transpose_b, bool accumulate, eg_error *err) {
    DNN_TRY(dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a,
                       transpose_a ? m : k, b, transpose_b ? k : n, accumulate ? 1.0f : 0.0f, c, n),
            "matrix product");
    return EG_OK;
}

#endif
