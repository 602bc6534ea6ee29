/* Layer norm over the channels of each pixel, and layer scale (Touvron et al. 2021), a trained factor a channel, both as
 * ConvNeXt has them. Parameter gradients: channel_sums.c. Read first: exec.h; the passes: compute/isa/kern_layer_norm.c. */
#include "net/exec.h"

typedef struct {
    float *y;
    const float *x, *dy, *weight, *bias;
    float *stats; /* (rows, 2), or NULL */
    size_t C;
    float epsilon;
} norm_job;

/* ---- layer norm: statistics are saved, (mean, 1 / std) a pixel, because to find them again takes two passes ---- */

static eg_status norm_prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->has_backward) {
        s->saved_bytes = 2 * eg_step_rows(plan, s->node) * sizeof(float);
        s->backward_bytes = eg_channel_sums_bytes(2 * (size_t)s->node->C);
    }
    s->keep_x = true;
    s->dx_in_place[0] = true;
    return EG_OK;
}

/* for both ops: layer scale has no bias and saves nothing */
static norm_job make_job(const eg_plan *plan, const eg_step *s) {
    const eg_net_tensor *weight = eg_step_tensor(plan, s->node, 0),
                        *bias = eg_step_tensor(plan, s->node, 1);
    return (norm_job){.x = eg_step_x(plan, s, 0),
                      .weight = weight->data,
                      .bias = bias ? bias->data : NULL,
                      .stats = eg_plan_at(plan, s->saved),
                      .C = (size_t)s->node->C,
                      .epsilon = s->node->epsilon};
}

/* rows [begin, end) of pixels; a row is C floats */
static void norm_span(void *context, size_t begin, size_t end) {
    const norm_job *j = context;
    eg_kernels_get()->ln_forward(j->y + begin * j->C, j->stats ? j->stats + 2 * begin : NULL,
                                 j->x + begin * j->C, end - begin, (int)j->C, j->weight, j->bias,
                                 j->epsilon);
}

static eg_status norm_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    norm_job j = make_job(plan, s);
    j.y = eg_step_y(plan, s);
    eg_span_run(norm_span, &j, eg_step_rows(plan, s->node), 1);
    return EG_OK;
}

/* `sums` (2, C): of dweight, then of dbias; dx in dy's place, row by row */
static void norm_backward_rows(void *context, float *sums, size_t begin, size_t end) {
    const norm_job *j = context;
    eg_kernels_get()->ln_backward(j->y ? j->y + begin * j->C : NULL, sums, j->dy + begin * j->C,
                                  j->x + begin * j->C, j->stats + 2 * begin, end - begin, (int)j->C,
                                  j->weight);
}

static eg_status norm_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    norm_job j = make_job(plan, s);
    j.dy = eg_plan_at(plan, s->dy[0]);
    j.y = eg_plan_at(plan, s->dx[0]); /* dy's own buffer, or NULL */
    const double *sums = eg_channel_sums_run(norm_backward_rows, &j, eg_step_rows(plan, s->node),
                                             2 * j.C, eg_plan_at(plan, s->backward_work));
    /* written whether trained or not: the sums came with dx, and the optimiser takes what is trainable */
    eg_channel_sums_store(eg_step_tensor(plan, s->node, 0)->grad, sums, j.C);
    eg_channel_sums_store(eg_step_tensor(plan, s->node, 1)->grad, sums + j.C, j.C);
    return EG_OK;
}

const eg_op eg_op_layer_norm = {.name = "layer_norm",
                                .prepare = norm_prepare,
                                .forward = norm_forward,
                                .backward = norm_backward};

/* ---- layer scale: y = x * factor of the channel; dfactor = sum of dy x over all pixels ---- */

static eg_status scale_prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)plan;
    (void)err;
    /* the factor's sum needs x again; it is not worth a batch-sized copy of anything else */
    if (s->has_backward) s->backward_bytes = eg_channel_sums_bytes((size_t)s->node->C);
    s->keep_x = true;
    s->dx_in_place[0] = true;
    return EG_OK;
}

static void scale_span(void *context, size_t begin, size_t end) {
    const norm_job *j = context;
    eg_kernels_get()->scale_rows(j->y + begin * j->C, j->x + begin * j->C, end - begin, (int)j->C,
                                 j->weight);
}

static eg_status scale_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    norm_job j = make_job(plan, s);
    j.y = eg_step_y(plan, s);
    eg_span_run(scale_span, &j, eg_step_rows(plan, s->node), 1);
    return EG_OK;
}

/* both in one pass over dy: the factor's gradient, then dx in dy's place */
static void scale_backward_rows(void *context, float *sums, size_t begin, size_t end) {
    const norm_job *j = context;
    const float *dy = j->dy + begin * j->C;
    eg_kernels_get()->sum_rows_product(sums, dy, j->x + begin * j->C, end - begin, (int)j->C);
    if (j->y)
        eg_kernels_get()->scale_rows(j->y + begin * j->C, dy, end - begin, (int)j->C, j->weight);
}

static eg_status scale_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    norm_job j = make_job(plan, s);
    j.dy = eg_plan_at(plan, s->dy[0]);
    j.y = eg_plan_at(plan, s->dx[0]);
    const double *sums = eg_channel_sums_run(scale_backward_rows, &j, eg_step_rows(plan, s->node),
                                             j.C, eg_plan_at(plan, s->backward_work));
    eg_channel_sums_store(eg_step_tensor(plan, s->node, 0)->grad, sums, j.C);
    return EG_OK;
}

const eg_op eg_op_layer_scale = {.name = "layer_scale",
                                 .prepare = scale_prepare,
                                 .forward = scale_forward,
                                 .backward = scale_backward};
