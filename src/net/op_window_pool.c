/* Means over windows: avg_pool, whose padding counts as zeros (torch's default), and adaptive_pool, whose cell i of n pixels
 * covers floor(i n / cells) up to ceil((i + 1) n / cells), so that cells may overlap. The first is a depthwise convolution
 * with the weight 1 / R^2 everywhere and runs as one. Read first: exec.h; max and global pools: op_pool.c.       */
#include "net/exec.h"

/* ---- avg pool: (H,W,C) -> (P,Q,C); count_include_pad as torch's default, so the divisor is always R^2 ---- */

static size_t weight_count(const eg_node *node) {
    return (size_t)node->kernel * (size_t)node->kernel * (size_t)node->C;
}

static eg_status avg_prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)plan;
    (void)err;
    /* nothing is kept for the backward pass: the gradient is the same whatever x was */
    s->forward_bytes = s->backward_bytes = weight_count(s->node) * sizeof(float);
    return EG_OK;
}

/* (R*R, C) as the depthwise kernels read them. Written at each use: a fill of so few bytes costs nothing beside the pass
 * over the pixels, and work space is free for others in between. */
static const float *constant_weights(float *w, const eg_node *node) {
    for (size_t i = 0; i < weight_count(node); i++)
        w[i] = 1.0f / (float)(node->kernel * node->kernel);
    return w;
}

static eg_status avg_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    eg_dwconv_run(
        plan, s->node, eg_step_from(plan, s, 0), eg_step_y(plan, s), eg_step_x(plan, s, 0),
        constant_weights(eg_plan_at(plan, s->forward_work), s->node), NULL, EG_KACT_NONE, s->type);
    return EG_OK;
}

static eg_status avg_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    eg_dwconv_data_run(plan, s->node, eg_step_from(plan, s, 0), eg_plan_at(plan, s->dx[0]),
                       eg_plan_at(plan, s->dy[0]),
                       constant_weights(eg_plan_at(plan, s->backward_work), s->node), s->type);
    return EG_OK;
}

const eg_op eg_op_avg_pool = {
    .name = "avg_pool", .prepare = avg_prepare, .forward = avg_forward, .backward = avg_backward};

/* ---- adaptive pool: (H,W,C) -> (side,side,C), side above H too: cells then repeat pixels ---- */

typedef struct {
    const eg_node *cells, *pixels;
    eg_type type; /* of both */
    void *out;
    const void *in;
} cell_job;

/* first pixel of cell i of `cells` over n pixels, and the end of cell i */
static int cell_begin(int i, int n, int cells) {
    return i * n / cells;
}
static int cell_end(int i, int n, int cells) {
    return ((i + 1) * n + cells - 1) / cells;
}

typedef struct {
    int begin, end;
} range;

/* along one side: the pixels of cell i, or, back, the cells that cover pixel i, which follow one another */
static range meets(int i, int n, int cells, bool back) {
    range r = {cell_begin(i, n, cells), cell_end(i, n, cells)};
    if (!back) return r;
    r = (range){0, 0};
    while (cell_end(r.begin, n, cells) <= i) r.begin++;
    for (r.end = r.begin; r.end < cells && cell_begin(r.end, n, cells) <= i; r.end++) continue;
    return r;
}

enum { BLOCK = 64 }; /* channels summed at a time, in float */

/* Output (a, b), channels [c, c + n): forward the mean of a cell's pixels; back the sum over a pixel's cells of their
 * gradients, each over the size of the cell. */
static void adaptive_sum(const cell_job *j, int sample, bool back, const int at[2], size_t c,
                         size_t n) {
    const eg_node *from = back ? j->cells : j->pixels, *to = back ? j->pixels : j->cells;
    const eg_kernels *k = eg_kernels_for(j->type);
    range rows = meets(at[0], j->pixels->H, j->cells->H, back),
          columns = meets(at[1], j->pixels->W, j->cells->W, back);
    float sum[BLOCK] = {0}, value[BLOCK];
    for (int h = rows.begin; h < rows.end; h++)
        for (int w = columns.begin; w < columns.end; w++) {
            int p = back ? h : at[0], q = back ? w : at[1];
            int high =
                cell_end(p, j->pixels->H, j->cells->H) - cell_begin(p, j->pixels->H, j->cells->H);
            int wide =
                cell_end(q, j->pixels->W, j->cells->W) - cell_begin(q, j->pixels->W, j->cells->W);
            float part = 1.0f / (float)(high * wide);
            size_t pixel = (size_t)h * (size_t)from->W + (size_t)w;
            size_t i = (size_t)sample * eg_node_size(from) + pixel * (size_t)from->C + c;
            k->widen(value, eg_value_at(j->in, i, j->type), n);
            for (size_t x = 0; x < n; x++) sum[x] += value[x] * part;
        }
    size_t pixel = (size_t)at[0] * (size_t)to->W + (size_t)at[1];
    size_t i = (size_t)sample * eg_node_size(to) + pixel * (size_t)to->C + c;
    k->narrow(eg_value_to(j->out, i, j->type), sum, n);
}

/* A sample is one task; every output has one writer and is rounded once. */
static void adaptive_sample(const cell_job *j, int sample, bool back) {
    const eg_node *to = back ? j->pixels : j->cells;
    size_t C = (size_t)to->C;
    for (int at[2] = {0, 0}; at[0] < to->H; at[0]++)
        for (at[1] = 0; at[1] < to->W; at[1]++)
            for (size_t c = 0; c < C; c += BLOCK)
                adaptive_sum(j, sample, back, at, c, C - c < BLOCK ? C - c : BLOCK);
}

static void adaptive_forward_sample(void *context, int n) {
    adaptive_sample(context, n, false);
}

static eg_status adaptive_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    cell_job j = {s->node, eg_step_from(plan, s, 0), s->type, eg_step_y(plan, s),
                  eg_step_x(plan, s, 0)};
    eg_pool_run(adaptive_forward_sample, &j, plan->options.batch);
    return EG_OK;
}

static void adaptive_backward_sample(void *context, int n) {
    adaptive_sample(context, n, true);
}

static eg_status adaptive_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    cell_job j = {s->node, eg_step_from(plan, s, 0), s->type, eg_plan_at(plan, s->dx[0]),
                  eg_plan_at(plan, s->dy[0])};
    eg_pool_run(adaptive_backward_sample, &j, plan->options.batch);
    return EG_OK;
}

const eg_op eg_op_adaptive_pool = {.name = "adaptive_pool",
                                   .prepare = eg_op_no_needs,
                                   .forward = adaptive_forward,
                                   .backward = adaptive_backward};
