/* Pooling and flattening: max pool (the maximum's tap is kept for the gradient), global mean, and the turn from NHWC to
 * PyTorch's C,H,W order before a dense layer. One task a sample or a few output rows: one writer an output.      */
#include "net/exec.h"
#include <string.h>

typedef struct {
    const eg_node *node, *from;
    eg_dw_shape shape;
    eg_type type; /* of the input's values; output of mean pool and flatten is float */
    void *out;
    const void *in;
    uint8_t *index; /* max pool: (N,P,Q,C), the tap r * R + t of each maximum; NULL: no backward */
} pool_job;

static pool_job make_job(const eg_plan *plan, const eg_step *s) {
    const eg_node *node = s->node, *from = eg_step_from(plan, s, 0);
    return (pool_job){.node = node,
                      .from = from,
                      .type = plan->steps[s->input[0]].type,
                      .shape = eg_window_shape(node, from)};
}

/* ---- max pool ---- */

static eg_status max_prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->has_backward) s->saved_bytes = eg_step_count(plan, s->node);
    return EG_OK;
}

/* task i: output row i % H of sample i / H */
static void max_row(void *context, int i) {
    const pool_job *j = context;
    size_t n = (size_t)(i / j->node->H), y = n * eg_node_size(j->node);
    int p = i % j->node->H;
    eg_kernels_for(j->type)->max_pool(
        eg_value_to(j->out, y, j->type), j->index ? j->index + y : NULL,
        eg_value_at(j->in, n * eg_node_size(j->from), j->type), &j->shape, p, p + 1);
}

static eg_status max_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    pool_job j = make_job(plan, s);
    j.out = eg_step_y(plan, s);
    j.in = eg_step_x(plan, s, 0);
    j.index = eg_plan_at(plan, s->saved);
    eg_pool_run(max_row, &j, plan->options.batch * s->node->H);
    return EG_OK;
}

/* task i: input row i % H of sample i / H. A tap is always inside the image, since the kernel takes the window's first pixel for
 * a start, whatever it holds. */
static void max_back_row(void *context, int i) {
    const pool_job *j = context;
    size_t n = (size_t)(i / j->from->H), y = n * eg_node_size(j->node);
    int h = i % j->from->H;
    eg_kernels_for(j->type)->max_pool_backward(
        eg_value_to(j->out, n * eg_node_size(j->from), j->type), eg_value_at(j->in, y, j->type),
        j->index + y, &j->shape, h, h + 1);
}

static eg_status max_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    pool_job j = make_job(plan, s);
    j.out = eg_plan_at(plan, s->dx[0]);
    j.in = eg_plan_at(plan, s->dy[0]);
    j.index = eg_plan_at(plan, s->saved);
    eg_pool_run(max_back_row, &j, plan->options.batch * j.from->H);
    return EG_OK;
}

const eg_op eg_op_max_pool = {
    .name = "max_pool", .prepare = max_prepare, .forward = max_forward, .backward = max_backward};

/* ---- global mean ---- */

static void mean_sample(void *context, int i) {
    const pool_job *j = context;
    float *y = (float *)j->out + (size_t)i * (size_t)j->node->C;
    size_t rows = (size_t)j->from->H * (size_t)j->from->W;
    eg_kernels_for(j->type)->sum_rows(
        y, eg_value_at(j->in, (size_t)i * eg_node_size(j->from), j->type), rows, j->node->C);
    for (int c = 0; c < j->node->C; c++) y[c] /= (float)rows;
}

static eg_status mean_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    pool_job j = make_job(plan, s);
    j.out = eg_step_y(plan, s);
    j.in = eg_step_x(plan, s, 0);
    eg_pool_run(mean_sample, &j, plan->options.batch);
    return EG_OK;
}

/* the first row is divided in float and brought into the input's type, the others are copies of it */
static void mean_back_sample(void *context, int i) {
    const pool_job *j = context;
    const float *dy = (const float *)j->in + (size_t)i * (size_t)j->node->C;
    size_t rows = (size_t)j->from->H * (size_t)j->from->W, C = (size_t)j->node->C;
    uint8_t *dx = eg_value_to(j->out, (size_t)i * eg_node_size(j->from), j->type);
    float part[64];
    for (size_t c = 0; c < C; c += 64) {
        size_t n = C - c < 64 ? C - c : 64;
        for (size_t k = 0; k < n; k++) part[k] = dy[c + k] / (float)rows;
        eg_kernels_for(j->type)->narrow(eg_value_to(dx, c, j->type), part, n);
    }
    size_t bytes = C * eg_type_bytes(j->type);
    for (size_t r = 1; r < rows; r++) memcpy(dx + r * bytes, dx, bytes);
}

static eg_status mean_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    pool_job j = make_job(plan, s);
    j.out = eg_plan_at(plan, s->dx[0]);
    j.in = eg_plan_at(plan, s->dy[0]);
    eg_pool_run(mean_back_sample, &j, plan->options.batch);
    return EG_OK;
}

const eg_op eg_op_mean_pool = {.name = "mean_pool",
                               .prepare = eg_op_no_needs,
                               .forward = mean_forward,
                               .backward = mean_backward};

/* ---- flatten ---- */

/* What is flattened goes into dense layers, which are float: the values change their type on the way. */

enum { TURN = 64 }; /* channels at a time */

/* sample i from (H,W,C) to (C,H,W) */
static void flatten_sample(void *context, int i) {
    const pool_job *j = context;
    size_t rows = (size_t)j->from->H * (size_t)j->from->W, C = (size_t)j->from->C;
    const void *in = eg_value_at(j->in, (size_t)i * rows * C, j->type);
    float *out = (float *)j->out + (size_t)i * rows * C, some[TURN];
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < C; c += TURN) {
            size_t n = C - c < TURN ? C - c : TURN;
            eg_kernels_for(j->type)->widen(some, eg_value_at(in, r * C + c, j->type), n);
            for (size_t k = 0; k < n; k++) out[(c + k) * rows + r] = some[k];
        }
}

static eg_status flatten_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    pool_job j = make_job(plan, s);
    j.out = eg_step_y(plan, s);
    j.in = eg_step_x(plan, s, 0);
    eg_pool_run(flatten_sample, &j, plan->options.batch);
    return EG_OK;
}

/* and its gradient back */
static void flatten_back_sample(void *context, int i) {
    const pool_job *j = context;
    size_t rows = (size_t)j->from->H * (size_t)j->from->W, C = (size_t)j->from->C;
    const float *in = (const float *)j->in + (size_t)i * rows * C;
    void *out = eg_value_to(j->out, (size_t)i * rows * C, j->type);
    float some[TURN];
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < C; c += TURN) {
            size_t n = C - c < TURN ? C - c : TURN;
            for (size_t k = 0; k < n; k++) some[k] = in[(c + k) * rows + r];
            eg_kernels_for(j->type)->narrow(eg_value_to(out, r * C + c, j->type), some, n);
        }
}

static eg_status flatten_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    pool_job j = make_job(plan, s);
    j.out = eg_plan_at(plan, s->dx[0]);
    j.in = eg_plan_at(plan, s->dy[0]);
    eg_pool_run(flatten_back_sample, &j, plan->options.batch);
    return EG_OK;
}

const eg_op eg_op_flatten = {.name = "flatten",
                             .prepare = eg_op_no_needs,
                             .forward = flatten_forward,
                             .backward = flatten_backward};
