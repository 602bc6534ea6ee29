/* Channels put together, taken apart and reordered: concat, slice, channel shuffle (Zhang et al. 2018). Copies within the
 * rows of NHWC, spans of rows in parallel; gradients are the same copies the other way. Read first: exec.h.      */
#include "net/exec.h"
#include <string.h>

/* One kind of job for all three: rows of `in` to rows of `out`, with distances of their own. Chunks are spans of rows, each
 * row has one writer, and nothing is summed: threads change no bits. */
typedef struct {
    float *out;
    const float *in;
    size_t out_row, in_row; /* floats from one row to the next */
    size_t n;               /* floats copied, or the channels of a shuffle */
    size_t groups; /* shuffle: rows of the (groups, n / groups) matrix that is transposed */
    size_t first;  /* slice: zeros before it in the input's gradient */
} row_job;

static void copy_span(void *context, size_t begin, size_t end) {
    const row_job *j = context;
    for (size_t r = begin; r < end; r++)
        memcpy(j->out + r * j->out_row, j->in + r * j->in_row, j->n * sizeof *j->out);
}

/* ---- concat: each input is copied to its columns of the output rows, each gradient out of them ---- */

/* an input after the other, so that a thread reads and writes runs that lie together */
static eg_status concat_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    size_t C = (size_t)s->node->C;
    float *y = eg_step_y(plan, s);
    for (int k = 0; k < s->n_inputs; k++) {
        size_t part = (size_t)eg_step_from(plan, s, k)->C;
        row_job j = {y, eg_step_x(plan, s, k), C, part, part, 1, 0};
        eg_span_run(copy_span, &j, eg_step_rows(plan, s->node), 1);
        y += part;
    }
    return EG_OK;
}

static eg_status concat_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    size_t C = (size_t)s->node->C;
    const float *dy = eg_plan_at(plan, s->dy[0]);
    for (int k = 0; k < s->n_inputs; k++) {
        size_t part = (size_t)eg_step_from(plan, s, k)->C;
        row_job j = {eg_plan_at(plan, s->dx[k]), dy, part, C, part, 1, 0};
        /* an input that needs no gradient still has its columns in dy */
        if (j.out) eg_span_run(copy_span, &j, eg_step_rows(plan, s->node), 1);
        dy += part;
    }
    return EG_OK;
}

const eg_op eg_op_concat = {.name = "concat",
                            .prepare = eg_op_no_needs,
                            .forward = concat_forward,
                            .backward = concat_backward};

/* ---- slice: columns [first, first + C) of the input's rows ---- */

static eg_status slice_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    size_t n = (size_t)s->node->C;
    row_job j = {eg_step_y(plan, s),
                 (const float *)eg_step_x(plan, s, 0) + s->node->first,
                 n,
                 (size_t)eg_step_from(plan, s, 0)->C,
                 n,
                 1,
                 0};
    eg_span_run(copy_span, &j, eg_step_rows(plan, s->node), 1);
    return EG_OK;
}

/* channels outside the slice have gradient 0 */
static void spread_span(void *context, size_t begin, size_t end) {
    const row_job *j = context;
    for (size_t r = begin; r < end; r++) {
        float *row = j->out + r * j->out_row;
        memset(row, 0, j->first * sizeof *row);
        memcpy(row + j->first, j->in + r * j->in_row, j->n * sizeof *row);
        memset(row + j->first + j->n, 0, (j->out_row - j->first - j->n) * sizeof *row);
    }
}

static eg_status slice_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    size_t n = (size_t)s->node->C;
    row_job j = {eg_plan_at(plan, s->dx[0]),
                 eg_plan_at(plan, s->dy[0]),
                 (size_t)eg_step_from(plan, s, 0)->C,
                 n,
                 n,
                 1,
                 (size_t)s->node->first};
    eg_span_run(spread_span, &j, eg_step_rows(plan, s->node), 1);
    return EG_OK;
}

const eg_op eg_op_slice = {.name = "slice",
                           .prepare = eg_op_no_needs,
                           .forward = slice_forward,
                           .backward = slice_backward};

/* ---- shuffle: each row, seen as (groups, n / groups), transposed ---- */

static void transpose_span(void *context, size_t begin, size_t end) {
    const row_job *j = context;
    size_t each = j->n / j->groups;
    for (size_t r = begin; r < end; r++) {
        const float *in = j->in + r * j->n;
        float *out = j->out + r * j->n;
        if (j->groups == 2) { /* ShuffleNet V2: a loop the compiler makes vectors of */
            for (size_t i = 0; i < each; i++) {
                out[2 * i] = in[i];
                out[2 * i + 1] = in[each + i];
            }
        } else {
            for (size_t i = 0; i < each; i++)
                for (size_t g = 0; g < j->groups; g++) out[i * j->groups + g] = in[g * each + i];
        }
    }
}

static void shuffle(const eg_plan *plan, const eg_step *s, float *out, const float *in,
                    size_t groups) {
    size_t n = (size_t)s->node->C;
    row_job j = {out, in, n, n, n, groups, 0};
    eg_span_run(transpose_span, &j, eg_step_rows(plan, s->node), 1);
}

static eg_status shuffle_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    shuffle(plan, s, eg_step_y(plan, s), eg_step_x(plan, s, 0), (size_t)s->node->groups);
    return EG_OK;
}

static eg_status shuffle_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    /* the way back is the shuffle with n / groups groups */
    shuffle(plan, s, eg_plan_at(plan, s->dx[0]), eg_plan_at(plan, s->dy[0]),
            (size_t)(s->node->C / s->node->groups));
    return EG_OK;
}

const eg_op eg_op_shuffle = {.name = "shuffle",
                             .prepare = eg_op_no_needs,
                             .forward = shuffle_forward,
                             .backward = shuffle_backward};
