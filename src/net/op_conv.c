/* Dense convolution in training: forward, data gradient, weight gradient as three passes of shards.c. Weights are packed anew
 * at each use, because the optimiser has changed them; the packed copy lives in work space. Prediction: op_folded.c. */
#include "net/shards.h"

typedef struct {
    eg_shards *forward, *data, *weights;
} conv_state;

eg_conv_shape eg_conv_shape_of(const eg_plan *plan, const eg_node *node, const eg_node *from) {
    return (eg_conv_shape){.N = plan->options.batch,
                           .H = from->H,
                           .W = from->W,
                           .C = from->C,
                           .K = node->C,
                           .P = node->H,
                           .Q = node->W,
                           .R = node->kernel,
                           .S = node->kernel_w,
                           .stride = node->stride,
                           .pad_before = node->pad_before,
                           .pad_after = node->pad_after,
                           .pad_left = node->pad_left,
                           .pad_right = node->pad_right,
                           .groups = node->groups,
                           .type = plan->type};
}

/* work space: packed weights, then the pass's scratch */
static size_t work_bytes(const eg_shards *c) {
    return c ? eg_net_shards_packed_bytes(c) + eg_net_shards_scratch_bytes(c) : 0;
}

static void *scratch_of(const eg_shards *c, uint8_t *work) {
    return work + eg_net_shards_packed_bytes(c);
}

/* weight and bias of a layer are trained together or not at all (eg_network_set_trainable) */
static bool trains(const eg_plan *plan, const eg_node *node) {
    return eg_step_tensor(plan, node, 0)->trainable;
}

static eg_status prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    conv_state *c = s->state = eg_calloc(1, sizeof *c);
    if (!c) return eg_fail(err, EG_ERR_NO_MEMORY, "plan: out of memory");
    eg_conv_shape shape = eg_conv_shape_of(plan, s->node, eg_step_from(plan, s, 0));
    eg_conv_epilogue e = {.bias = eg_step_tensor(plan, s->node, 1) != NULL};
    EG_TRY(eg_net_shards_new(&c->forward, plan, &shape, EG_CONV_FORWARD, &e, err));
    s->forward_bytes = work_bytes(c->forward);
    if (!s->has_backward) return EG_OK;
    if (trains(plan, s->node)) {
        EG_TRY(eg_net_shards_new(&c->weights, plan, &shape, EG_CONV_BACKWARD_WEIGHTS, &e, err));
        s->keep_x = true;
    }
    /* set by the plan before this: steps come in order, so what is trained below is known */
    if (s->needs_dx[0])
        EG_TRY(eg_net_shards_new(&c->data, plan, &shape, EG_CONV_BACKWARD_DATA, NULL, err));
    /* one pass after the other, so they share the space */
    size_t a = work_bytes(c->weights), b = work_bytes(c->data);
    s->backward_bytes = a > b ? a : b;
    return EG_OK;
}

static eg_status forward(eg_plan *plan, eg_step *s, eg_error *err) {
    conv_state *c = s->state;
    uint8_t *work = eg_plan_at(plan, s->forward_work);
    const eg_net_tensor *bias = eg_step_tensor(plan, s->node, 1);
    EG_TRY(eg_net_shards_pack(c->forward, work, eg_step_tensor(plan, s->node, 0)->data, err));
    return eg_net_shards_forward(c->forward, eg_step_y(plan, s), eg_step_x(plan, s, 0), work,
                                 bias ? bias->data : NULL, scratch_of(c->forward, work), err);
}

static eg_status backward(eg_plan *plan, eg_step *s, eg_error *err) {
    conv_state *c = s->state;
    uint8_t *work = eg_plan_at(plan, s->backward_work);
    const void *dy = eg_plan_at(plan, s->dy[0]);
    eg_net_tensor *weight = eg_step_tensor(plan, s->node, 0),
                  *bias = eg_step_tensor(plan, s->node, 1);
    if (c->weights)
        EG_TRY(eg_net_shards_backward_weights(c->weights, weight->grad, bias ? bias->grad : NULL,
                                              eg_step_x(plan, s, 0), dy, work,
                                              scratch_of(c->weights, work), err));
    if (!c->data || s->dx[0] < 0) return EG_OK;
    EG_TRY(eg_net_shards_pack(c->data, work, weight->data, err));
    return eg_net_shards_backward_data(c->data, eg_plan_at(plan, s->dx[0]), dy, work,
                                       scratch_of(c->data, work), err);
}

static void release(eg_step *s) {
    conv_state *c = s->state;
    if (!c) return;
    eg_net_shards_free(c->forward);
    eg_net_shards_free(c->data);
    eg_net_shards_free(c->weights);
    eg_free(c);
}

const eg_op eg_op_conv = {.name = "conv",
                          .prepare = prepare,
                          .forward = forward,
                          .backward = backward,
                          .release = release};
