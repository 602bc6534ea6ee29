/* Channels put together, taken apart and reordered: concat, slice, channel shuffle (Zhang et al. 2018). Copies within the
 * rows of NHWC, spans of rows in parallel; gradients are the same copies the other way. Read first: exec.h.      */
#include "net/exec.h"
#include <string.h>

/* One kind of job for all three: rows of `in` to rows of `out`, with distances of their own. Chunks are spans of rows, each
 * row has one writer, and nothing is summed: threads change no bits. Values are only moved, so that their type is a size. */
typedef struct {
    uint8_t *out;
    const uint8_t *in;
    size_t out_row, in_row; /* bytes from one row to the next */
    size_t n;               /* bytes copied, or of a row that is shuffled */
    size_t groups; /* shuffle: rows of the (groups, channels / groups) matrix that is transposed */
    size_t first;  /* slice: bytes of zeros before it in the input's gradient */
    eg_type type;
} row_job;

static void copy_span(void *context, size_t begin, size_t end) {
    const row_job *j = context;
    for (size_t r = begin; r < end; r++)
        memcpy(j->out + r * j->out_row, j->in + r * j->in_row, j->n);
}

/* bytes of a row of input k of the step, and of its output */
static size_t row_in(const eg_plan *plan, const eg_step *s, int k) {
    return (size_t)eg_step_from(plan, s, k)->C * eg_type_bytes(s->type);
}
static size_t row_out(const eg_step *s) {
    return (size_t)s->node->C * eg_type_bytes(s->type);
}

/* ---- concat: each input is copied to its columns of the output rows, each gradient out of them ---- */

/* an input after the other, so that a thread reads and writes runs that lie together */
static eg_status concat_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    uint8_t *y = eg_step_y(plan, s);
    for (int k = 0; k < s->n_inputs; k++) {
        size_t part = row_in(plan, s, k);
        row_job j = {y, eg_step_x(plan, s, k), row_out(s), part, part, 1, 0, s->type};
        eg_span_run(copy_span, &j, eg_step_rows(plan, s->node), 1);
        y += part;
    }
    return EG_OK;
}

static eg_status concat_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    const uint8_t *dy = eg_plan_at(plan, s->dy[0]);
    for (int k = 0; k < s->n_inputs; k++) {
        size_t part = row_in(plan, s, k);
        row_job j = {eg_plan_at(plan, s->dx[k]), dy, part, row_out(s), part, 1, 0, s->type};
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

static size_t first_byte(const eg_step *s) {
    return (size_t)s->node->first * eg_type_bytes(s->type);
}

static eg_status slice_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    size_t n = row_out(s);
    const uint8_t *x = eg_step_x(plan, s, 0);
    row_job j = {eg_step_y(plan, s), x + first_byte(s), n, row_in(plan, s, 0), n, 1, 0, s->type};
    eg_span_run(copy_span, &j, eg_step_rows(plan, s->node), 1);
    return EG_OK;
}

/* channels outside the slice have gradient 0, which is zero bytes in either type */
static void spread_span(void *context, size_t begin, size_t end) {
    const row_job *j = context;
    for (size_t r = begin; r < end; r++) {
        uint8_t *row = j->out + r * j->out_row;
        memset(row, 0, j->first);
        memcpy(row + j->first, j->in + r * j->in_row, j->n);
        memset(row + j->first + j->n, 0, j->out_row - j->first - j->n);
    }
}

static eg_status slice_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    size_t n = row_out(s);
    row_job j = {eg_plan_at(plan, s->dx[0]),
                 eg_plan_at(plan, s->dy[0]),
                 row_in(plan, s, 0),
                 n,
                 n,
                 1,
                 first_byte(s),
                 s->type};
    eg_span_run(spread_span, &j, eg_step_rows(plan, s->node), 1);
    return EG_OK;
}

const eg_op eg_op_slice = {.name = "slice",
                           .prepare = eg_op_no_needs,
                           .forward = slice_forward,
                           .backward = slice_backward};

/* ---- shuffle: each row, seen as (groups, channels / groups), transposed ---- */

/* One row of `each` * `groups` values of a type; two groups (ShuffleNet V2) are a loop the compiler makes vectors of. */
#define TRANSPOSE(type)                                                                            \
    static void transpose_##type(type *out, const type *in, size_t each, size_t groups) {          \
        if (groups == 2) {                                                                         \
            for (size_t i = 0; i < each; i++) {                                                    \
                out[2 * i] = in[i];                                                                \
                out[2 * i + 1] = in[each + i];                                                     \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (size_t i = 0; i < each; i++)                                                          \
            for (size_t g = 0; g < groups; g++) out[i * groups + g] = in[g * each + i];            \
    }
TRANSPOSE(uint16_t)
TRANSPOSE(float)

static void transpose_span(void *context, size_t begin, size_t end) {
    const row_job *j = context;
    size_t each = j->n / eg_type_bytes(j->type) / j->groups;
    for (size_t r = begin; r < end; r++) {
        const void *in = j->in + r * j->n;
        void *out = j->out + r * j->n;
        if (j->type == EG_TYPE_BF16)
            transpose_uint16_t(out, in, each, j->groups);
        else
            transpose_float(out, in, each, j->groups);
    }
}

static void shuffle(const eg_plan *plan, const eg_step *s, void *out, const void *in,
                    size_t groups) {
    size_t n = row_out(s);
    row_job j = {out, in, n, n, n, groups, 0, s->type};
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
