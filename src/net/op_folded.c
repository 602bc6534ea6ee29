/* Prediction: convolution with the batch norm behind it folded into weights and bias, residual and activation in the same
 * pass. Folded weights are constants of the plan, made anew by eg_plan_refresh.
 * w' = w gamma / sqrt(var + eps), b' = beta - mean gamma / sqrt(var + eps).                                     */
#include "net/shards.h"
#include <math.h>
#include <string.h>

typedef struct {
    eg_shards *conv; /* NULL: our own kernels, depthwise or 1x1 */
    bool rows;       /* 1x1, as a product on rows */
    size_t packed_bytes, scratch_bytes;
} folded_state;

/* constants: packed (or (R*R, C)) weights, then the bias (K) */
static float *bias_of(const eg_plan *plan, const eg_step *s) {
    const folded_state *f = s->state;
    return (float *)(void *)((uint8_t *)eg_plan_at(plan, s->constant) + f->packed_bytes);
}

/* the batch norm of the step; NULL: a convolution alone, or with an activation behind it */
static const eg_node *norm_of(const eg_step *s) {
    return s->node->op == EG_OP_BN ? s->node : NULL;
}

static int act_of(const eg_step *s) {
    return s->node == s->conv ? EG_KACT_NONE : (int)s->node->act;
}

static size_t weight_count(const eg_plan *plan, const eg_step *s) {
    return eg_step_tensor(plan, s->conv, 0)->count;
}

static eg_status prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    folded_state *f = s->state = eg_calloc(1, sizeof *f);
    if (!f) return eg_fail(err, EG_ERR_NO_MEMORY, "plan: out of memory");
    bool residual = s->n_inputs == 2;
    size_t weights = eg_align64(weight_count(plan, s) * sizeof(float));
    f->rows = eg_pointwise_serves(s->conv, act_of(s), s->type);
    if (f->rows) {
        f->packed_bytes =
            eg_align64(eg_pointwise_packed_bytes(eg_step_from(plan, s, 0)->C, s->node->C));
    } else if (s->conv->op == EG_OP_CONV) {
        eg_conv_shape shape = eg_conv_shape_of(plan, s->conv, eg_step_from(plan, s, 0));
        eg_conv_epilogue e = {.bias = true, .add = residual, .act = act_of(s)};
        EG_TRY(eg_net_shards_new(&f->conv, plan, &shape, EG_CONV_FORWARD, &e, err));
        f->packed_bytes = eg_net_shards_packed_bytes(f->conv);
        f->scratch_bytes = eg_net_shards_scratch_bytes(f->conv);
    } else {
        f->packed_bytes = weights;
    }
    /* a block of one convolution adds its own input: that cannot be written while it is read */
    s->y_in_residual = residual && (f->conv || f->rows) && s->input[0] != s->input[1];
    s->constant_bytes = f->packed_bytes + eg_align64((size_t)s->node->C * sizeof(float));
    s->forward_bytes = f->scratch_bytes;
    return EG_OK;
}

void eg_conv_fold(float *w, float *b, const eg_plan *plan, const eg_node *conv,
                  const eg_node *norm) {
    const eg_net_tensor *weight = eg_step_tensor(plan, conv, 0),
                        *bias = eg_step_tensor(plan, conv, 1);
    /* in double, since the folded weights serve for every image from now on */
    int K = conv->C;
    size_t each = weight->count / (size_t)K;
    for (int k = 0; k < K; k++) {
        double scale = 1, shift = 0;
        if (norm) {
            double var = (double)eg_step_tensor(plan, norm, 3)->data[k] + (double)norm->epsilon;
            scale = (double)eg_step_tensor(plan, norm, 0)->data[k] / sqrt(var);
            shift = (double)eg_step_tensor(plan, norm, 1)->data[k] -
                    (double)eg_step_tensor(plan, norm, 2)->data[k] * scale;
        }
        for (size_t i = 0; i < each; i++)
            w[(size_t)k * each + i] = (float)((double)weight->data[(size_t)k * each + i] * scale);
        b[k] = (float)((bias ? (double)bias->data[k] : 0) * scale + shift);
    }
}

static eg_status refresh(eg_plan *plan, eg_step *s, eg_error *err) {
    const folded_state *f = s->state;
    const eg_net_tensor *weight = eg_step_tensor(plan, s->conv, 0);
    /* once a change of weights, not a step: this may come from the heap */
    float *w = eg_malloc(weight->count * sizeof *w);
    if (!w) return eg_fail(err, EG_ERR_NO_MEMORY, "folding '%s': out of memory", s->conv->name);
    eg_conv_fold(w, bias_of(plan, s), plan, s->conv, norm_of(s));
    float *packed = eg_plan_at(plan, s->constant);
    eg_status status = EG_OK;
    if (f->rows) {
        eg_pointwise_pack(packed, w, eg_step_from(plan, s, 0)->C, s->node->C, s->type);
    } else if (f->conv) {
        status = eg_net_shards_pack(f->conv, packed, w, err);
    } else {
        eg_dwconv_pack(packed, w, s->conv->C, s->conv->kernel * s->conv->kernel);
    }
    eg_free(w);
    return status;
}

typedef struct {
    void *y;
    const void *residual;
    int act;
    eg_type type;
} residual_job;

static void residual_span(void *context, size_t begin, size_t end) {
    const residual_job *j = context;
    const eg_kernels *k = eg_kernels_for(j->type);
    void *y = eg_value_to(j->y, begin, j->type);
    k->add(y, y, eg_value_at(j->residual, begin, j->type), end - begin);
    if (j->act != EG_KACT_NONE) k->act(y, y, end - begin, j->act);
}

/* behind a depthwise convolution, whose kernel knows no residual; no network of ours has one there */
static void add_residual(const eg_plan *plan, const eg_step *s, void *y) {
    residual_job j = {y, eg_step_x(plan, s, 1), act_of(s), s->type};
    eg_span_run(residual_span, &j, eg_step_count(plan, s->node), 1024);
}

static void forward_rows(eg_plan *plan, eg_step *s, void *y) {
    const eg_pointwise p = {.rows = eg_step_rows(plan, s->node),
                            .C = eg_step_from(plan, s, 0)->C,
                            .K = s->node->C,
                            .act = act_of(s),
                            .bias = bias_of(plan, s),
                            .residual = s->n_inputs == 2 ? eg_step_x(plan, s, 1) : NULL};
    eg_pointwise_run(y, eg_step_x(plan, s, 0), eg_plan_at(plan, s->constant), &p, s->type);
}

static eg_status forward(eg_plan *plan, eg_step *s, eg_error *err) {
    const folded_state *f = s->state;
    void *y = eg_step_y(plan, s);
    if (f->rows) {
        forward_rows(plan, s, y);
        return EG_OK;
    }
    if (!f->conv) {
        eg_dwconv_run(plan, s->conv, eg_step_from(plan, s, 0), y, eg_step_x(plan, s, 0),
                      eg_plan_at(plan, s->constant), bias_of(plan, s),
                      s->n_inputs == 2 ? EG_KACT_NONE : act_of(s), s->type);
        if (s->n_inputs == 2) add_residual(plan, s, y);
        return EG_OK;
    }
    /* dst is added to: when the residual could not be given up, start from a copy of it */
    if (s->n_inputs == 2 && !s->y_in_residual)
        memcpy(y, eg_step_x(plan, s, 1), eg_step_bytes(plan, s));
    return eg_net_shards_forward(f->conv, y, eg_step_x(plan, s, 0), eg_plan_at(plan, s->constant),
                                 bias_of(plan, s), eg_plan_at(plan, s->forward_work), err);
}

static void release(eg_step *s) {
    folded_state *f = s->state;
    if (!f) return;
    eg_net_shards_free(f->conv);
    eg_free(f);
}

const eg_op eg_op_folded = {.name = "folded conv",
                            .prepare = prepare,
                            .forward = forward,
                            .refresh = refresh,
                            .release = release};
