/* Moving pixels without arithmetic, as Swin needs it: "canvas" adds zero rows and columns at the bottom and the right, or
 * cuts them off (windows must divide the image); "patch_merge" puts the four pixels of a 2x2 square into one pixel of 4C
 * channels, in torchvision's order (0,0) (1,0) (0,1) (1,1). Each is the other direction's gradient.             */
#include "net/exec.h"
#include <string.h>

typedef struct {
    const eg_node *small, *large; /* patch_merge: merged, unmerged */
    const eg_node *from, *to;     /* canvas */
    float *out;
    const float *in;
    bool back;
} patch_job;

/* ---- canvas ---- */

static void canvas_sample(void *context, int n) {
    const patch_job *j = context;
    size_t C = (size_t)j->to->C, W = (size_t)j->to->W, from_W = (size_t)j->from->W;
    size_t shared = from_W < W ? from_W : W;
    float *out = j->out + (size_t)n * eg_node_size(j->to);
    const float *in = j->in + (size_t)n * eg_node_size(j->from);
    for (int h = 0; h < j->to->H; h++, out += W * C, in += from_W * C) {
        size_t copied = h < j->from->H ? shared * C : 0;
        if (copied) memcpy(out, in, copied * sizeof *out);
        memset(out + copied, 0, (W * C - copied) * sizeof *out);
    }
}

static eg_status canvas_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    patch_job j = {.from = eg_step_from(plan, s, 0),
                   .to = s->node,
                   .out = eg_step_y(plan, s),
                   .in = eg_step_x(plan, s, 0)};
    eg_pool_run(canvas_sample, &j, plan->options.batch);
    return EG_OK;
}

static eg_status canvas_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    patch_job j = {.from = s->node,
                   .to = eg_step_from(plan, s, 0),
                   .out = eg_plan_at(plan, s->dx[0]),
                   .in = eg_plan_at(plan, s->dy[0])};
    eg_pool_run(canvas_sample, &j, plan->options.batch);
    return EG_OK;
}

const eg_op eg_op_canvas = {.name = "canvas",
                            .prepare = eg_op_no_needs,
                            .forward = canvas_forward,
                            .backward = canvas_backward};

/* ---- patch merge ---- */

static void merge_sample(void *context, int n) {
    const patch_job *j = context;
    size_t C = (size_t)j->large->C, W = (size_t)j->large->W,
           at = (size_t)n * eg_node_size(j->large);
    size_t merged = at; /* both sides hold the same floats */
    for (int p = 0; p < j->small->H; p++)
        for (int q = 0; q < j->small->W; q++)
            for (size_t part = 0; part < 4; part++, merged += C) {
                size_t row = 2 * (size_t)p + part % 2, column = 2 * (size_t)q + part / 2;
                size_t apart = at + (row * W + column) * C;
                memcpy(j->out + (j->back ? apart : merged), j->in + (j->back ? merged : apart),
                       C * sizeof *j->out);
            }
}

static eg_status merge_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    patch_job j = {.small = s->node,
                   .large = eg_step_from(plan, s, 0),
                   .out = eg_step_y(plan, s),
                   .in = eg_step_x(plan, s, 0)};
    eg_pool_run(merge_sample, &j, plan->options.batch);
    return EG_OK;
}

static eg_status merge_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    patch_job j = {.small = s->node,
                   .large = eg_step_from(plan, s, 0),
                   .out = eg_plan_at(plan, s->dx[0]),
                   .in = eg_plan_at(plan, s->dy[0]),
                   .back = true};
    eg_pool_run(merge_sample, &j, plan->options.batch);
    return EG_OK;
}

const eg_op eg_op_patch_merge = {.name = "patch_merge",
                                 .prepare = eg_op_no_needs,
                                 .forward = merge_forward,
                                 .backward = merge_backward};
