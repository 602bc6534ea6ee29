/* The op table: which code runs which kind of node. One file an op, or a few of one kind: op_<name>.c. Nothing here
 * computes. Read first: exec.h (what an op consists of), graph.h (EG_OP_LIST).                                 */
#include "net/exec.h"

_Static_assert((int)EG_ACT_RELU == EG_KACT_RELU && (int)EG_ACT_RELU6 == EG_KACT_RELU6 &&
                   (int)EG_ACT_SILU == EG_KACT_SILU && (int)EG_ACT_SIGMOID == EG_KACT_SIGMOID &&
                   (int)EG_ACT_HARDSWISH == EG_KACT_HARDSWISH &&
                   (int)EG_ACT_HARDSIGMOID == EG_KACT_HARDSIGMOID &&
                   (int)EG_ACT_GELU == EG_KACT_GELU,
               "activations of graph and kernels are numbered alike");

static const eg_op *const table[EG_OP_COUNT] = {
    [EG_OP_INPUT] = &eg_op_input,
    [EG_OP_CONV] = &eg_op_conv,
    [EG_OP_DWCONV] = &eg_op_dwconv,
    [EG_OP_BN] = &eg_op_bn,
    [EG_OP_ACT] = &eg_op_act,
    [EG_OP_ADD] = &eg_op_add,
    [EG_OP_DROP_PATH] = &eg_op_drop_path,
    [EG_OP_SE] = &eg_op_se,
    [EG_OP_MAX_POOL] = &eg_op_max_pool,
    [EG_OP_AVG_POOL] = &eg_op_avg_pool,
    [EG_OP_ADAPTIVE_POOL] = &eg_op_adaptive_pool,
    [EG_OP_MEAN_POOL] = &eg_op_mean_pool,
    [EG_OP_CONCAT] = &eg_op_concat,
    [EG_OP_SLICE] = &eg_op_slice,
    [EG_OP_SHUFFLE] = &eg_op_shuffle,
    [EG_OP_LAYER_NORM] = &eg_op_layer_norm,
    [EG_OP_LAYER_SCALE] = &eg_op_layer_scale,
    [EG_OP_TOKENS] = &eg_op_tokens,
    [EG_OP_TOKEN] = &eg_op_token,
    [EG_OP_ATTENTION] = &eg_op_attention,
    [EG_OP_CANVAS] = &eg_op_canvas,
    [EG_OP_PATCH_MERGE] = &eg_op_patch_merge,
    [EG_OP_FLATTEN] = &eg_op_flatten,
    [EG_OP_DROPOUT] = &eg_op_dropout,
    [EG_OP_LINEAR] = &eg_op_linear,
};

const eg_op *eg_op_of(eg_op_kind kind) {
    return table[kind];
}

/* What is large stays in the plan's type; from the pooled or flattened vector on everything is float, logits and loss
 * included. Layer norm, attention and what goes with them know float only: transformers and ConvNeXt compute in float
 * whatever was asked for, and eg_plan_is_bf16 says so. */
bool eg_op_type(eg_type *out, eg_op_kind kind, eg_type type) {
    *out = type;
    switch (kind) {
    case EG_OP_INPUT:
    case EG_OP_CONV:
    case EG_OP_DWCONV:
    case EG_OP_BN:
    case EG_OP_ACT:
    case EG_OP_ADD:
    case EG_OP_DROP_PATH:
    case EG_OP_DROPOUT:
    case EG_OP_SE:
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL:
    case EG_OP_ADAPTIVE_POOL:
    case EG_OP_CONCAT:
    case EG_OP_SLICE:
    case EG_OP_SHUFFLE:
        return true;
    case EG_OP_MEAN_POOL:
    case EG_OP_FLATTEN:
        *out = EG_TYPE_F32;
        return true;
    default:
        return type == EG_TYPE_F32;
    }
}

/* ---- input: filled by the caller in float ---- */

typedef struct {
    void *y;
    const float *x;
} narrow_job;

static void narrow_span(void *context, size_t begin, size_t end) {
    const narrow_job *j = context;
    eg_kernels_for(EG_TYPE_BF16)
        ->narrow(eg_value_to(j->y, begin, EG_TYPE_BF16), j->x + begin, end - begin);
}

static eg_status input_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->type == EG_TYPE_F32) return EG_OK; /* the caller's buffer is the output */
    narrow_job j = {eg_step_y(plan, s), eg_plan_at(plan, plan->input)};
    eg_span_run(narrow_span, &j, eg_step_count(plan, s->node), 1024);
    return EG_OK;
}

eg_status eg_op_no_needs(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)plan;
    (void)s;
    (void)err;
    return EG_OK;
}

/* no backward: nobody asks for the gradient of the images, which ends the search for one (plan.c, wants_gradient) */
const eg_op eg_op_input = {.name = "input", .prepare = eg_op_no_needs, .forward = input_forward};
