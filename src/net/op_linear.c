/* Dense layer y = x W^T + b on (N, D) rows; weight (K, D) as in PyTorch. At every pixel instead: eg_graph_pointwise,
 * which is a convolution. Read first: exec.h; eg_net_gemm: shards.h.                                            */
#include "net/shards.h"
#include <string.h>

static eg_status prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    const eg_node *from = eg_step_from(plan, s, 0);
    if (from->H != 1 || from->W != 1)
        return eg_fail(err, EG_ERR_INTERNAL, "'%s': a dense layer needs a flat input",
                       s->node->name);
    s->keep_x = eg_step_tensor(plan, s->node, 0)->trainable;
    return EG_OK;
}

static eg_status forward(eg_plan *plan, eg_step *s, eg_error *err) {
    const eg_net_tensor *weight = eg_step_tensor(plan, s->node, 0),
                        *bias = eg_step_tensor(plan, s->node, 1);
    int N = plan->options.batch, D = eg_step_from(plan, s, 0)->C, K = s->node->C;
    float *y = eg_step_y(plan, s);
    /* the product is added to the bias rather than the bias to it: no pass of its own */
    for (int n = 0; n < N; n++)
        memcpy(y + (size_t)n * (size_t)K, bias->data, (size_t)K * sizeof *y);
    return eg_net_gemm(plan, y, eg_step_x(plan, s, 0), weight->data, N, K, D, false, true, true,
                       err);
}

static eg_status backward(eg_plan *plan, eg_step *s, eg_error *err) {
    eg_net_tensor *weight = eg_step_tensor(plan, s->node, 0),
                  *bias = eg_step_tensor(plan, s->node, 1);
    int N = plan->options.batch, D = eg_step_from(plan, s, 0)->C, K = s->node->C;
    const float *dy = eg_plan_at(plan, s->dy[0]);
    if (weight->trainable) { /* dW (K, D) = dy^T x */
        EG_TRY(eg_net_gemm(plan, weight->grad, dy, eg_step_x(plan, s, 0), K, D, N, true, false,
                           false, err));
        eg_kernels_get()->sum_rows(bias->grad, dy, (size_t)N, K);
    }
    if (s->dx[0] < 0) return EG_OK; /* dx (N, D) = dy W */
    return eg_net_gemm(plan, eg_plan_at(plan, s->dx[0]), dy, weight->data, N, D, K, false, false,
                       false, err);
}

const eg_op eg_op_linear = {
    .name = "linear", .prepare = prepare, .forward = forward, .backward = backward};
