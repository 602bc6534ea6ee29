/* Depthwise convolution in training, by our own kernels. Rows of all samples are cut into fixed tasks; the weight gradient
 * sums into one buffer a sample, added up in order, so that threads do not change its bits.                     */
#include "net/exec.h"
#include <string.h>

enum { ROWS = 8 }; /* output rows a task */

typedef struct {
    eg_dw_shape shape;
    int per_sample; /* tasks */
    eg_type type;   /* of values */
    void *out;      /* values, or the float sums of the weight gradient */
    int act;        /* forward */
    const void *x, *dy;
    const float *w, *bias;
    size_t x_size, y_size, w_size; /* values a sample; of the weights */
} dw_job;

static dw_job make_job(const eg_node *node, const eg_node *from, eg_type type) {
    dw_job j = {.shape = eg_window_shape(node, from), .type = type};
    j.x_size = (size_t)from->H * (size_t)from->W * (size_t)from->C;
    j.y_size = (size_t)node->H * (size_t)node->W * (size_t)node->C;
    j.w_size = (size_t)node->kernel * (size_t)node->kernel * (size_t)node->C;
    return j;
}

void eg_dwconv_pack(float *packed, const float *weights, int C, int taps) {
    for (int c = 0; c < C; c++)
        for (int t = 0; t < taps; t++)
            packed[(size_t)t * (size_t)C + (size_t)c] =
                weights[(size_t)c * (size_t)taps + (size_t)t];
}

static void unpack(float *weights, const float *packed, int C, int taps) {
    for (int c = 0; c < C; c++)
        for (int t = 0; t < taps; t++)
            weights[(size_t)c * (size_t)taps + (size_t)t] =
                packed[(size_t)t * (size_t)C + (size_t)c];
}

static eg_status prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    dw_job j = make_job(s->node, eg_step_from(plan, s, 0), s->type);
    size_t w = eg_align64(j.w_size * sizeof(float));
    s->forward_bytes = w;
    s->keep_x = eg_step_tensor(plan, s->node, 0)->trainable;
    s->backward_bytes =
        w * (1 + (size_t)plan->options.batch); /* packed weights; a gradient a sample */
    size_t bias = eg_channel_sums_bytes((size_t)s->node->C);
    /* the bias gradient is done and stored before the space is used for the others */
    if (eg_step_tensor(plan, s->node, 1) && s->backward_bytes < bias) s->backward_bytes = bias;
    return EG_OK;
}

/* ROWS output rows of one sample */
static void forward_task(void *context, int i) {
    const dw_job *j = context;
    size_t n = (size_t)(i / j->per_sample);
    int p0 = i % j->per_sample * ROWS, p1 = p0 + ROWS < j->shape.P ? p0 + ROWS : j->shape.P;
    eg_kernels_for(j->type)->dw_forward(eg_value_to(j->out, n * j->y_size, j->type),
                                        eg_value_at(j->x, n * j->x_size, j->type), j->w, j->bias,
                                        j->act, &j->shape, p0, p1);
}

void eg_dwconv_run(const eg_plan *plan, const eg_node *node, const eg_node *from, void *y,
                   const void *x, const float *w, const float *bias, int act, eg_type type) {
    dw_job j = make_job(node, from, type);
    j.out = y;
    j.x = x;
    j.w = w;
    j.bias = bias;
    j.act = act;
    j.per_sample = (j.shape.P + ROWS - 1) / ROWS;
    eg_pool_run(forward_task, &j, j.per_sample * plan->options.batch);
}

static eg_status forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    float *w = eg_plan_at(plan, s->forward_work);
    const eg_net_tensor *bias = eg_step_tensor(plan, s->node, 1);
    eg_dwconv_pack(w, eg_step_tensor(plan, s->node, 0)->data, s->node->C,
                   s->node->kernel * s->node->kernel);
    eg_dwconv_run(plan, s->node, eg_step_from(plan, s, 0), eg_step_y(plan, s),
                  eg_step_x(plan, s, 0), w, bias ? bias->data : NULL, EG_KACT_NONE, s->type);
    return EG_OK;
}

/* ROWS rows of the input gradient: gathered, not scattered, so that tasks do not meet */
static void data_task(void *context, int i) {
    const dw_job *j = context;
    size_t n = (size_t)(i / j->per_sample);
    int h0 = i % j->per_sample * ROWS, h1 = h0 + ROWS < j->shape.H ? h0 + ROWS : j->shape.H;
    eg_kernels_for(j->type)->dw_backward_data(eg_value_to(j->out, n * j->x_size, j->type),
                                              eg_value_at(j->dy, n * j->y_size, j->type), j->w,
                                              &j->shape, h0, h1);
}

void eg_dwconv_data_run(const eg_plan *plan, const eg_node *node, const eg_node *from, void *dx,
                        const void *dy, const float *w, eg_type type) {
    dw_job j = make_job(node, from, type);
    j.out = dx;
    j.dy = dy;
    j.w = w;
    j.per_sample = (j.shape.H + ROWS - 1) / ROWS;
    eg_pool_run(data_task, &j, j.per_sample * plan->options.batch);
}

static void bias_rows(void *context, float *sums, size_t begin, size_t end) {
    const dw_job *j = context;
    size_t C = (size_t)j->shape.C;
    eg_kernels_for(j->type)->sum_rows(sums, eg_value_at(j->dy, begin * C, j->type), end - begin,
                                      (int)C);
}

/* a whole sample: its gradient is a few kilobytes, and as many copies as threads would tie the bits to their number */
static void weights_task(void *context, int n) {
    const dw_job *j = context;
    float *sums = j->out;
    float *sum = sums + (size_t)n * eg_align64(j->w_size * sizeof(float)) / sizeof(float);
    memset(sum, 0, j->w_size * sizeof *sum);
    eg_kernels_for(j->type)->dw_backward_weights(
        sum, eg_value_at(j->x, (size_t)n * j->x_size, j->type),
        eg_value_at(j->dy, (size_t)n * j->y_size, j->type), &j->shape, 0, j->shape.P);
}

static eg_status backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    dw_job j = make_job(s->node, eg_step_from(plan, s, 0), s->type);
    eg_net_tensor *weight = eg_step_tensor(plan, s->node, 0),
                  *bias = eg_step_tensor(plan, s->node, 1);
    float *w = eg_plan_at(plan, s->backward_work);
    size_t stride = eg_align64(j.w_size * sizeof(float)) / sizeof(float);
    j.dy = eg_plan_at(plan, s->dy[0]);
    if (bias && bias->trainable)
        eg_channel_sums_store(
            bias->grad,
            eg_channel_sums_run(bias_rows, &j, eg_step_rows(plan, s->node), (size_t)s->node->C, w),
            (size_t)s->node->C);
    if (weight->trainable) {
        float *sums = w + stride;
        j.x = eg_step_x(plan, s, 0);
        j.out = sums;
        eg_pool_run(weights_task, &j, plan->options.batch);
        for (int n = 1; n < plan->options.batch; n++)
            eg_kernels_get()->add(sums, sums, sums + (size_t)n * stride, j.w_size);
        unpack(weight->grad, sums, s->node->C, j.shape.R * j.shape.R);
    }
    if (s->dx[0] < 0) return EG_OK;
    eg_dwconv_pack(w, weight->data, s->node->C, j.shape.R * j.shape.R);
    eg_dwconv_data_run(plan, s->node, eg_step_from(plan, s, 0), eg_plan_at(plan, s->dx[0]), j.dy, w,
                       s->type);
    return EG_OK;
}

const eg_op eg_op_dwconv = {
    .name = "dwconv", .prepare = prepare, .forward = forward, .backward = backward};
