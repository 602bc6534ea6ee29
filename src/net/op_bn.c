/* Batch norm with what follows it fused in: per-sample drop path, residual add, activation (Ioffe & Szegedy 2015; PyTorch's
 * conventions: biased variance normalises, unbiased goes into the running one). Training reads x twice forward (statistics;
 * normalise) and twice backward (sums; gradient). Modes: batch statistics, or running ones left alone (frozen).
 * Read first: exec.h; the passes: compute/isa/kern_norm.c.                                                     */
#include "net/exec.h"
#include <math.h>
#include <string.h>

/* partial sums: a sample is too coarse, a row too fine; fixed, so that threads change no bits */
enum { CHUNKS = 16 };

/* saved: mean, invstd, scale, shift (C) each, then one drop-path factor a sample */
typedef struct {
    float *mean, *invstd, *scale, *shift, *factor;
} saved_values;

static saved_values saved_of(const eg_plan *plan, const eg_step *s) {
    float *p = eg_plan_at(plan, s->saved);
    size_t C = eg_align64((size_t)s->node->C * sizeof(float)) / sizeof(float);
    return (saved_values){p, p + C, p + 2 * C, p + 3 * C, p + 4 * C};
}

static size_t partial_bytes(const eg_node *node) {
    /* doubles (2, C) and float scratch (2, C) a chunk */
    return eg_align64(2 * (size_t)node->C * (sizeof(double) + sizeof(float)));
}

static eg_status prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    const eg_node *node = s->node;
    size_t C = eg_align64((size_t)node->C * sizeof(float));
    bool residual = s->n_inputs == 2;
    if (residual && node->act > EG_ACT_RELU6)
        return eg_fail(err, EG_ERR_INTERNAL,
                       "'%s': this activation behind a residual cannot be fused", node->name);
    s->saved_bytes = 4 * C + eg_align64((size_t)plan->options.batch * sizeof(float));
    s->forward_bytes = CHUNKS * partial_bytes(node);
    s->backward_bytes = CHUNKS * partial_bytes(node) + 3 * C;
    s->keep_x = true;
    s->keep_y = residual && node->act != EG_ACT_NONE; /* the derivative is read off the output */
    s->takes_two = true;
    /* the residual's gradient is the masked dy itself; then dx needs its own place */
    s->dx_in_place[0] = !residual || !s->needs_dx[1];
    s->dx_in_place[1] = residual;
    return EG_OK;
}

/* ---- work over chunks of rows that never cross a sample when drop path scales samples ---- */

typedef struct {
    const eg_plan *plan;
    const eg_node *node;
    eg_type type; /* of all values */
    const eg_kernels *kernels;
    size_t rows, chunk_rows, sample_rows;
    uint8_t *partial;
    size_t partial_size;
    const void *x, *dy2, *y_mask;
    void *y, *dy;
    const void *residual;
    const float *factor; /* NULL: no drop path */
    const float *pivot;  /* of the statistics */
    eg_bn_apply apply;
    eg_bn_reduce reduce;
    const float *dx[4]; /* coefficients of dx and the mean */
    double momentum;    /* of the running statistics */
} bn_job;

static bn_job make_job(const eg_plan *plan, const eg_step *s) {
    bn_job j = {.plan = plan, .node = s->node, .type = s->type};
    j.kernels = eg_kernels_for(s->type);
    j.rows = eg_step_rows(plan, s->node);
    j.chunk_rows = (j.rows + CHUNKS - 1) / CHUNKS;
    j.sample_rows = (size_t)s->node->H * (size_t)s->node->W;
    j.partial_size = partial_bytes(s->node);
    j.x = eg_step_x(plan, s, 0);
    j.momentum = fmax((double)s->node->momentum, plan->options.bn_momentum);
    return j;
}

static int chunk_count(const bn_job *j) {
    return (int)((j->rows + j->chunk_rows - 1) / j->chunk_rows);
}

/* run `each` over the rows of chunk i, cut at sample borders when there is a factor a sample */
static void over_rows(const bn_job *j, int i,
                      void (*each)(const bn_job *, size_t, size_t, float, int)) {
    size_t begin = (size_t)i * j->chunk_rows, end = begin + j->chunk_rows;
    if (end > j->rows) end = j->rows;
    if (!j->factor) {
        each(j, begin, end, 1.0f, i);
        return;
    }
    while (begin < end) {
        size_t sample = begin / j->sample_rows, stop = (sample + 1) * j->sample_rows;
        if (stop > end) stop = end;
        each(j, begin, stop, j->factor[sample], i);
        begin = stop;
    }
}

/* ---- forward ---- */

static void statistics_chunk(void *context, int i) {
    const bn_job *j = context;
    size_t C = (size_t)j->node->C, begin = (size_t)i * j->chunk_rows;
    size_t n = j->rows - begin < j->chunk_rows ? j->rows - begin : j->chunk_rows;
    double *sums = (double *)(void *)(j->partial + (size_t)i * j->partial_size);
    memset(sums, 0, 2 * C * sizeof *sums);
    j->kernels->bn_sums(sums, eg_value_at(j->x, begin * C, j->type), n, (int)C, j->pivot,
                        (float *)(void *)(sums + 2 * C));
}

static void sum_chunks(const bn_job *j) {
    double *total = (double *)(void *)j->partial;
    for (int i = 1; i < chunk_count(j); i++) {
        const double *part =
            (const double *)(const void *)(j->partial + (size_t)i * j->partial_size);
        for (size_t c = 0; c < 2 * (size_t)j->node->C; c++) total[c] += part[c];
    }
}

static void batch_statistics(const bn_job *j, const saved_values *v, const eg_net_tensor *mean,
                             const eg_net_tensor *var, eg_net_tensor *counter) {
    const double *sums = (const double *)(const void *)j->partial;
    double m = j->momentum, rows = (double)j->rows;
    for (int c = 0; c < j->node->C; c++) {
        double shifted = sums[c] / rows;
        double variance = sums[j->node->C + c] / rows - shifted * shifted;
        if (variance < 0) variance = 0; /* rounding; NaN stays */
        double average = (double)j->pivot[c] + shifted;
        v->mean[c] = (float)average;
        v->invstd[c] = (float)(1.0 / sqrt(variance + (double)j->node->epsilon));
        double unbiased = rows > 1 ? variance * rows / (rows - 1) : variance;
        mean->data[c] = (float)((1 - m) * (double)mean->data[c] + m * average);
        var->data[c] = (float)((1 - m) * (double)var->data[c] + m * unbiased);
    }
    if (counter) *counter->counter += 1;
}

static void apply_span(const bn_job *j, size_t begin, size_t end, float factor, int i) {
    (void)i;
    size_t at = begin * (size_t)j->node->C;
    eg_bn_apply a = j->apply;
    a.row_scale = factor;
    a.residual = j->residual ? eg_value_at(j->residual, at, j->type) : NULL;
    j->kernels->bn_apply(eg_value_to(j->y, at, j->type), eg_value_at(j->x, at, j->type),
                         end - begin, j->node->C, &a);
}

static void apply_chunk(void *context, int i) {
    over_rows(context, i, apply_span);
}

/* tensor 2 is the running mean: fixed, when the layer belongs to a part that training leaves alone */
static bool uses_batch(const eg_plan *plan, const eg_node *node) {
    return plan->options.mode == EG_PLAN_TRAIN && plan->options.bn != EG_BN_FROZEN &&
           !eg_step_tensor(plan, node, 2)->fixed;
}

static bool drops_paths(const eg_plan *plan, const eg_node *node) {
    return node->rate > 0 && plan->options.mode == EG_PLAN_TRAIN && plan->options.stochastic;
}

static eg_status forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    const eg_node *node = s->node;
    saved_values v = saved_of(plan, s);
    const eg_net_tensor *gamma = eg_step_tensor(plan, node, 0),
                        *beta = eg_step_tensor(plan, node, 1);
    const eg_net_tensor *mean = eg_step_tensor(plan, node, 2), *var = eg_step_tensor(plan, node, 3);
    bn_job j = make_job(plan, s);
    j.partial = eg_plan_at(plan, s->forward_work);
    if (uses_batch(plan, node)) {
        /* the first row as pivot keeps the squares small where the mean is far from 0; the place of the means holds it */
        j.kernels->widen(v.mean, j.x, (size_t)node->C);
        j.pivot = v.mean;
        eg_pool_run(statistics_chunk, &j, chunk_count(&j));
        sum_chunks(&j);
        batch_statistics(&j, &v, mean, var, eg_step_tensor(plan, node, 4));
    } else {
        for (int c = 0; c < node->C; c++) {
            v.mean[c] = mean->data[c];
            v.invstd[c] = 1.0f / sqrtf(var->data[c] + node->epsilon);
        }
    }
    for (int c = 0; c < node->C; c++) {
        v.scale[c] = gamma->data[c] * v.invstd[c];
        v.shift[c] = beta->data[c] - v.mean[c] * v.scale[c];
    }
    if (drops_paths(plan, node)) {
        eg_drop_path_factors(v.factor, plan, s, plan->options.batch);
        j.factor = v.factor;
    }
    j.apply = (eg_bn_apply){.scale = v.scale, .shift = v.shift, .act = (int)node->act};
    j.residual = s->n_inputs == 2 ? eg_step_x(plan, s, 1) : NULL;
    j.y = eg_step_y(plan, s);
    eg_pool_run(apply_chunk, &j, chunk_count(&j));
    return EG_OK;
}

/* the same y from what was saved (recompute.c) */
static void again(eg_plan *plan, eg_step *s) {
    saved_values v = saved_of(plan, s);
    bn_job j = make_job(plan, s);
    j.factor = drops_paths(plan, s->node) ? v.factor : NULL;
    j.apply = (eg_bn_apply){.scale = v.scale, .shift = v.shift, .act = (int)s->node->act};
    j.residual = s->n_inputs == 2 ? eg_step_x(plan, s, 1) : NULL;
    j.y = eg_plan_at(plan, s->y_again);
    eg_pool_run(apply_chunk, &j, chunk_count(&j));
}

/* ---- backward ---- */

static void reduce_span(const bn_job *j, size_t begin, size_t end, float factor, int i) {
    size_t C = (size_t)j->node->C, at = begin * C;
    double *sums = (double *)(void *)(j->partial + (size_t)i * j->partial_size);
    eg_bn_reduce r = j->reduce;
    r.row_scale = factor;
    r.dy2 = j->dy2 ? eg_value_at(j->dy2, at, j->type) : NULL;
    r.y = j->y_mask ? eg_value_at(j->y_mask, at, j->type) : NULL;
    j->kernels->bn_reduce(sums, eg_value_to(j->dy, at, j->type), eg_value_at(j->x, at, j->type),
                          end - begin, (int)C, &r, (float *)(void *)(sums + 2 * C));
}

static void reduce_chunk(void *context, int i) {
    const bn_job *j = context;
    memset(j->partial + (size_t)i * j->partial_size, 0, 2 * (size_t)j->node->C * sizeof(double));
    over_rows(j, i, reduce_span);
}

static void dx_span(const bn_job *j, size_t begin, size_t end, float factor, int i) {
    (void)i;
    size_t at = begin * (size_t)j->node->C;
    j->kernels->bn_dx(eg_value_to(j->y, at, j->type), eg_value_at(j->dy, at, j->type),
                      eg_value_at(j->x, at, j->type), end - begin, j->node->C, j->dx, factor);
}

static void dx_chunk(void *context, int i) {
    over_rows(context, i, dx_span);
}

/* dx = gamma invstd (g - mean(g) - xhat mean(g xhat)), written as a g + b (x - mean) + c. Centred, because
 * the sum of dx over rows is zero: a constant that had taken b mean in would leave its rounding in it, the same in every
 * row, and the bias of the layer below sums it up. */
static void coefficients(const eg_plan *plan, const eg_step *s, const double *sums, float *a,
                         float *b, float *c0) {
    const eg_node *node = s->node;
    saved_values v = saved_of(plan, s);
    double rows = (double)eg_step_rows(plan, node);
    for (int c = 0; c < node->C; c++) {
        a[c] = v.scale[c];
        if (!uses_batch(plan, node)) {
            b[c] = c0[c] = 0;
            continue;
        }
        double inv = (double)v.invstd[c], scale = (double)v.scale[c];
        double slope = -scale * inv * inv * sums[node->C + c] / rows;
        b[c] = (float)slope;
        c0[c] = (float)(-scale * sums[c] / rows);
    }
}

static void parameter_gradients(const eg_plan *plan, const eg_step *s, const double *sums) {
    saved_values v = saved_of(plan, s);
    eg_net_tensor *gamma = eg_step_tensor(plan, s->node, 0),
                  *beta = eg_step_tensor(plan, s->node, 1);
    bool train = plan->options.bn != EG_BN_STATS;
    for (int c = 0; c < s->node->C; c++) {
        gamma->grad[c] = train ? (float)(sums[s->node->C + c] * (double)v.invstd[c]) : 0;
        beta->grad[c] = train ? (float)sums[c] : 0;
    }
}

static eg_status backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    saved_values v = saved_of(plan, s);
    bn_job j = make_job(plan, s);
    j.partial = eg_plan_at(plan, s->backward_work);
    j.dy = eg_plan_at(plan, s->dy[0]);
    j.dy2 = s->n_dy > 1 ? eg_plan_at(plan, s->dy[1]) : NULL;
    j.y_mask = s->keep_y ? eg_plan_at(plan, s->y_again >= 0 ? s->y_again : s->y) : NULL;
    j.factor = drops_paths(plan, s->node) ? v.factor : NULL;
    j.reduce = (eg_bn_reduce){
        .scale = v.scale, .shift = v.shift, .mean = v.mean, .act = (int)s->node->act};
    eg_pool_run(reduce_chunk, &j, chunk_count(&j));
    sum_chunks(&j);
    const double *sums = (const double *)(const void *)j.partial;
    parameter_gradients(plan, s, sums);
    if (s->dx[0] < 0) return EG_OK;
    size_t C = eg_align64((size_t)s->node->C * sizeof(float)) / sizeof(float);
    float *a = (float *)(void *)(j.partial + CHUNKS * j.partial_size), *b = a + C, *c0 = b + C;
    coefficients(plan, s, sums, a, b, c0);
    j.dx[0] = a;
    j.dx[1] = b;
    j.dx[2] = c0;
    j.dx[3] = v.mean;
    j.y = eg_plan_at(plan, s->dx[0]);
    eg_pool_run(dx_chunk, &j, chunk_count(&j));
    return EG_OK;
}

const eg_op eg_op_bn = {
    .name = "bn", .prepare = prepare, .forward = forward, .backward = backward, .again = again};
