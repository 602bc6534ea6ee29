/* Means over windows: avg_pool, whose padding counts as zeros (torch's default), and adaptive_pool, whose cell i of n pixels
 * covers floor(i n / cells) up to ceil((i + 1) n / cells), so that cells may overlap. The first is a depthwise convolution
 * with the weight 1 / R^2 everywhere and runs as one. Read first: exec.h; max and global pools: op_pool.c.       */
#include "net/exec.h"
#include <string.h>

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
    const eg_node *node, *from;
    float *out;
    const float *in;
} cell_job;

/* first pixel of cell i of `cells` over n pixels, and the end of cell i */
static int cell_begin(int i, int n, int cells) {
    return i * n / cells;
}
static int cell_end(int i, int n, int cells) {
    return ((i + 1) * n + cells - 1) / cells;
}

/* A sample is one task, because cells overlap and so backward has several writers a pixel.
 * Every (cell, pixel of it) of sample n: forward adds the pixel to the cell, backward the cell to the pixel, over its size. */
static void adaptive_sample(const cell_job *j, int n, bool back) {
    const eg_node *cells = j->node, *pixels = j->from;
    size_t C = (size_t)cells->C;
    const float *in = j->in + (size_t)n * eg_node_size(back ? cells : pixels);
    float *out = j->out + (size_t)n * eg_node_size(back ? pixels : cells);
    memset(out, 0, eg_node_size(back ? pixels : cells) * sizeof *out);
    for (int p = 0; p < cells->H; p++)
        for (int q = 0; q < cells->W; q++) {
            int h0 = cell_begin(p, pixels->H, cells->H), h1 = cell_end(p, pixels->H, cells->H);
            int w0 = cell_begin(q, pixels->W, cells->W), w1 = cell_end(q, pixels->W, cells->W);
            float part = 1.0f / (float)((h1 - h0) * (w1 - w0));
            size_t cell = ((size_t)p * (size_t)cells->W + (size_t)q) * C;
            for (int h = h0; h < h1; h++)
                for (int w = w0; w < w1; w++) {
                    size_t pixel = ((size_t)h * (size_t)pixels->W + (size_t)w) * C;
                    const float *from = in + (back ? cell : pixel);
                    float *to = out + (back ? pixel : cell);
                    for (size_t c = 0; c < C; c++) to[c] += from[c] * part;
                }
        }
}

static void adaptive_forward_sample(void *context, int n) {
    adaptive_sample(context, n, false);
}

static eg_status adaptive_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    cell_job j = {s->node, eg_step_from(plan, s, 0), eg_step_y(plan, s), eg_step_x(plan, s, 0)};
    eg_pool_run(adaptive_forward_sample, &j, plan->options.batch);
    return EG_OK;
}

static void adaptive_backward_sample(void *context, int n) {
    adaptive_sample(context, n, true);
}

static eg_status adaptive_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    cell_job j = {s->node, eg_step_from(plan, s, 0), eg_plan_at(plan, s->dx[0]),
                  eg_plan_at(plan, s->dy[0])};
    eg_pool_run(adaptive_backward_sample, &j, plan->options.batch);
    return EG_OK;
}

const eg_op eg_op_adaptive_pool = {.name = "adaptive_pool",
                                   .prepare = eg_op_no_needs,
                                   .forward = adaptive_forward,
                                   .backward = adaptive_backward};
