/* Ops that work element by element and are seldom left after fusion: activation, add, stochastic depth, dropout. Random
 * draws are Philox streams of (seed, step, node, sample), so neither threads nor order change them.             */
#include "net/exec.h"
#include <string.h>

enum { GRAIN = 1024 };

typedef struct {
    void *y;
    const void *a, *b;
    int act;
    eg_type type;
} span_job;

static span_job make_job(const eg_step *s, void *y, const void *a, const void *b) {
    return (span_job){y, a, b, (int)s->node->act, s->type};
}

/* ---- activation ---- */

static eg_status act_prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)plan;
    (void)err;
    s->keep_x = true;
    s->dx_in_place[0] = true;
    return EG_OK;
}

static void act_span(void *context, size_t begin, size_t end) {
    const span_job *j = context;
    eg_kernels_for(j->type)->act(eg_value_to(j->y, begin, j->type),
                                 eg_value_at(j->a, begin, j->type), end - begin, j->act);
}

static eg_status act_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    span_job j = make_job(s, eg_step_y(plan, s), eg_step_x(plan, s, 0), NULL);
    eg_span_run(act_span, &j, eg_step_count(plan, s->node), GRAIN);
    return EG_OK;
}

/* dy becomes dx; the derivative is taken at the input, which tells for every kind of activation */
static void act_backward_span(void *context, size_t begin, size_t end) {
    const span_job *j = context;
    eg_kernels_for(j->type)->act_backward(eg_value_to(j->y, begin, j->type),
                                          eg_value_at(j->a, begin, j->type),
                                          eg_value_at(j->b, begin, j->type), end - begin, j->act);
}

static eg_status act_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    void *dy = eg_plan_at(plan, s->dy[0]);
    span_job j = make_job(s, dy, dy, eg_step_x(plan, s, 0));
    eg_span_run(act_backward_span, &j, eg_step_count(plan, s->node), GRAIN);
    return EG_OK;
}

const eg_op eg_op_act = {
    .name = "act", .prepare = act_prepare, .forward = act_forward, .backward = act_backward};

/* ---- add ---- */

static eg_status add_prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)plan;
    (void)err;
    /* one branch takes dy itself, the other a copy: each may be overwritten by its own backward pass */
    s->dx_in_place[0] = s->needs_dx[0];
    s->dx_in_place[1] = !s->needs_dx[0];
    return EG_OK;
}

static void add_span(void *context, size_t begin, size_t end) {
    const span_job *j = context;
    eg_kernels_for(j->type)->add(eg_value_to(j->y, begin, j->type),
                                 eg_value_at(j->a, begin, j->type),
                                 eg_value_at(j->b, begin, j->type), end - begin);
}

static eg_status add_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    span_job j = make_job(s, eg_step_y(plan, s), eg_step_x(plan, s, 0), eg_step_x(plan, s, 1));
    eg_span_run(add_span, &j, eg_step_count(plan, s->node), GRAIN);
    return EG_OK;
}

static eg_status add_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[1] >= 0 && s->dx[1] != s->dy[0])
        memcpy(eg_plan_at(plan, s->dx[1]), eg_plan_at(plan, s->dy[0]), eg_step_bytes(plan, s));
    return EG_OK;
}

const eg_op eg_op_add = {
    .name = "add", .prepare = add_prepare, .forward = add_forward, .backward = add_backward};

/* ---- stochastic depth (Huang et al. 2016), torchvision's "row" mode: a whole sample is dropped or scaled ---- */

/* `purpose` keeps the two ops apart, should they ever share a step's number */
static eg_random stream_of(const eg_plan *plan, const eg_step *s, uint32_t purpose) {
    return eg_random_make(plan->options.seed, (uint32_t)plan->step_key, (uint32_t)s->index,
                          purpose);
}

void eg_drop_path_factors(float *factor, const eg_plan *plan, const eg_step *s, int n) {
    eg_random r = stream_of(plan, s, 1);
    double rate = (double)s->node->rate;
    for (int i = 0; i < n; i++)
        factor[i] = eg_random_uniform(&r) < rate ? 0.0f : (float)(1.0 / (1.0 - rate));
}

static eg_status drop_path_prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    s->saved_bytes = (size_t)plan->options.batch * sizeof(float);
    s->dx_in_place[0] = true;
    return EG_OK;
}

typedef struct {
    void *y;
    const void *x;
    const float *factor; /* one a sample */
    size_t each;         /* values a sample */
    eg_type type;
} sample_job;

/* one factor for n values: rows of as many channels as fit, then what is left of a row */
static void scale_all(void *y, const void *x, size_t n, float factor, eg_type type) {
    enum { WIDE = 64 };
    const eg_kernels *k = eg_kernels_for(type);
    float s[WIDE];
    for (int i = 0; i < WIDE; i++) s[i] = factor;
    size_t whole = n / WIDE * WIDE;
    k->scale_rows(y, x, n / WIDE, WIDE, s);
    k->scale_rows(eg_value_to(y, whole, type), eg_value_at(x, whole, type), n > whole,
                  (int)(n - whole), s);
}

static void scale_span(void *context, size_t begin, size_t end) {
    const sample_job *j = context;
    while (begin < end) { /* cut where a new sample begins */
        size_t n = begin / j->each, stop = (n + 1) * j->each < end ? (n + 1) * j->each : end;
        scale_all(eg_value_to(j->y, begin, j->type), eg_value_at(j->x, begin, j->type),
                  stop - begin, j->factor[n], j->type);
        begin = stop;
    }
}

static void scale_samples(const eg_plan *plan, const eg_step *s, void *y, const void *x) {
    sample_job j = {y, x, eg_plan_at(plan, s->saved), eg_node_size(s->node), s->type};
    eg_span_run(scale_span, &j, eg_step_count(plan, s->node), GRAIN);
}

static eg_status drop_path_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    float *factor = eg_plan_at(plan, s->saved);
    if (plan->options.stochastic) /* training: prediction has no such step (plan.c) */
        eg_drop_path_factors(factor, plan, s, plan->options.batch);
    else
        for (int n = 0; n < plan->options.batch; n++) factor[n] = 1;
    scale_samples(plan, s, eg_step_y(plan, s), eg_step_x(plan, s, 0));
    return EG_OK;
}

static eg_status drop_path_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    void *dy = eg_plan_at(plan, s->dy[0]);
    scale_samples(plan, s, dy, dy);
    return EG_OK;
}

const eg_op eg_op_drop_path = {.name = "drop_path",
                               .prepare = drop_path_prepare,
                               .forward = drop_path_forward,
                               .backward = drop_path_backward};

/* ---- dropout: saved factors, 0 or 1 / (1 - rate) ---- */

/* --dropout replaces every dropout layer's own rate */
static double rate_of(const eg_plan *plan, const eg_step *s) {
    if (!plan->options.stochastic) return 0;
    return plan->options.dropout >= 0 ? plan->options.dropout : (double)s->node->rate;
}

static eg_status dropout_prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (rate_of(plan, s) > 0) s->saved_bytes = eg_step_count(plan, s->node) * sizeof(float);
    s->dx_in_place[0] = true;
    return EG_OK;
}

/* y = x times a factor each: one row of as many channels */
static void scale_span_each(void *context, size_t begin, size_t end) {
    const sample_job *j = context;
    eg_kernels_for(j->type)->scale_rows(eg_value_to(j->y, begin, j->type),
                                        eg_value_at(j->x, begin, j->type), 1, (int)(end - begin),
                                        j->factor + begin);
}

static eg_status dropout_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    double rate = rate_of(plan, s);
    size_t n = eg_step_count(plan, s->node);
    void *y = eg_step_y(plan, s);
    const void *x = eg_step_x(plan, s, 0);
    float *factor = eg_plan_at(plan, s->saved);
    if (rate <= 0) { /* stochastic off, or --dropout 0 */
        memcpy(y, x, eg_step_bytes(plan, s));
        return EG_OK;
    }
    /* one stream in order of elements: on one thread, for dropout stands where values are few, near a head */
    eg_random r = stream_of(plan, s, 2);
    float keep = rate < 1 ? (float)(1.0 / (1.0 - rate)) : 0;
    for (size_t i = 0; i < n; i++) factor[i] = eg_random_uniform(&r) < rate ? 0 : keep;
    sample_job j = {y, x, factor, 1, s->type};
    eg_span_run(scale_span_each, &j, n, GRAIN);
    return EG_OK;
}

static eg_status dropout_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    void *dy = eg_plan_at(plan, s->dy[0]);
    sample_job j = {dy, dy, eg_plan_at(plan, s->saved), 1, s->type};
    if (j.factor) eg_span_run(scale_span_each, &j, eg_step_count(plan, s->node), GRAIN);
    return EG_OK;
}

const eg_op eg_op_dropout = {.name = "dropout",
                             .prepare = dropout_prepare,
                             .forward = dropout_forward,
                             .backward = dropout_backward};
