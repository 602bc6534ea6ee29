/* Squeeze-excite (Hu et al. 2018) as one op: z = mean over pixels of u; a = act(W1 z + b1); s = gate(W2 a + b2),
 * a sigmoid or its hard twin;
 * y = u s. The pixel passes run a sample a task, so that a sample's u is still in cache when it is scaled.
 * Backward: dpixel sum of dy u gives ds; du = dy s + dz / pixels, left in dy's place.                           */
#include "net/shards.h"
#include <string.h>

/* saved, (N, .) each: z (C), h1 = W1 z + b1 (S), a (S), h2 (C), s (C) */
typedef struct {
    float *z, *h1, *a, *h2, *s;
} se_values;

static size_t span(size_t floats) {
    return eg_align64(floats * sizeof(float)) / sizeof(float);
}

static se_values values_of(const eg_plan *plan, const eg_step *step) {
    size_t N = (size_t)plan->options.batch, C = span(N * (size_t)step->node->C),
           S = span(N * (size_t)step->node->squeeze);
    float *p = eg_plan_at(plan, step->saved);
    return (se_values){p, p + C, p + C + S, p + C + 2 * S, p + 2 * C + 2 * S};
}

static eg_status prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    size_t N = (size_t)plan->options.batch, C = span(N * (size_t)s->node->C),
           S = span(N * (size_t)s->node->squeeze);
    s->saved_bytes = (3 * C + 2 * S) * sizeof(float);
    s->backward_bytes = (2 * C + S) * sizeof(float); /* dh2, dz, dh1 */
    s->keep_x = true;
    s->dx_in_place[0] = true;
    return EG_OK;
}

/* rows: pixels of a sample; u, y, dy (N, rows, C); factor, shift, sum (N, C) */
typedef struct {
    size_t rows, C;
    eg_type type; /* of u, y and dy */
    const void *u, *dy;
    const float *factor, *shift;
    void *y;
    float *sum;
} se_job;

/* sample n of values */
static const void *sample_at(const se_job *j, const void *p, int n) {
    return eg_value_at(p, (size_t)n * j->rows * j->C, j->type);
}

static se_job make_job(const eg_plan *plan, const eg_step *s) {
    return (se_job){.rows = (size_t)s->node->H * (size_t)s->node->W,
                    .C = (size_t)s->node->C,
                    .type = s->type,
                    .u = eg_step_x(plan, s, 0)};
}

static void squeeze_sample(void *context, int n) {
    const se_job *j = context;
    float *z = j->sum + (size_t)n * j->C;
    eg_kernels_for(j->type)->sum_rows(z, sample_at(j, j->u, n), j->rows, (int)j->C);
    for (size_t c = 0; c < j->C; c++) z[c] /= (float)j->rows;
}

static void scale_sample(void *context, int n) {
    const se_job *j = context;
    size_t at = (size_t)n * j->rows * j->C;
    eg_kernels_for(j->type)->scale_rows(eg_value_to(j->y, at, j->type), sample_at(j, j->u, n),
                                        j->rows, (int)j->C, j->factor + (size_t)n * j->C);
}

/* out (N, K) = in (N, D) W^T + b */
static eg_status dense(const eg_plan *plan, float *out, const float *in, const eg_net_tensor *w,
                       const eg_net_tensor *b, int N, int D, int K, eg_error *err) {
    for (int n = 0; n < N; n++)
        memcpy(out + (size_t)n * (size_t)K, b->data, (size_t)K * sizeof *out);
    return eg_net_gemm(plan, out, in, w->data, N, K, D, false, true, true, err);
}

static eg_status forward(eg_plan *plan, eg_step *s, eg_error *err) {
    const eg_node *node = s->node;
    int N = plan->options.batch, C = node->C, S = node->squeeze;
    se_values v = values_of(plan, s);
    se_job j = make_job(plan, s);
    j.sum = v.z;
    eg_pool_run(squeeze_sample, &j, N);
    EG_TRY(dense(plan, v.h1, v.z, eg_step_tensor(plan, node, 0), eg_step_tensor(plan, node, 1), N,
                 C, S, err));
    eg_kernels_get()->act(v.a, v.h1, (size_t)N * (size_t)S, (int)node->act);
    EG_TRY(dense(plan, v.h2, v.a, eg_step_tensor(plan, node, 2), eg_step_tensor(plan, node, 3), N,
                 S, C, err));
    eg_kernels_get()->act(v.s, v.h2, (size_t)N * (size_t)C, (int)node->gate);
    j.factor = v.s;
    j.y = eg_step_y(plan, s);
    eg_pool_run(scale_sample, &j, N);
    return EG_OK;
}

/* the same y from u and the gate that was saved */
static void again(eg_plan *plan, eg_step *s) {
    se_job j = make_job(plan, s);
    j.factor = values_of(plan, s).s;
    j.y = eg_plan_at(plan, s->y_again);
    eg_pool_run(scale_sample, &j, plan->options.batch);
}

static void gate_gradient_sample(void *context, int n) {
    const se_job *j = context;
    eg_kernels_for(j->type)->sum_rows_product(j->sum + (size_t)n * j->C, sample_at(j, j->dy, n),
                                              sample_at(j, j->u, n), j->rows, (int)j->C);
}

static void input_gradient_sample(void *context, int n) {
    const se_job *j = context;
    size_t at = (size_t)n * j->rows * j->C, c = (size_t)n * j->C;
    eg_kernels_for(j->type)->scale_shift_rows(eg_value_to(j->y, at, j->type),
                                              sample_at(j, j->dy, n), j->rows, (int)j->C,
                                              j->factor + c, j->shift + c);
}

/* gradients of one dense layer: weights and bias, then the input; all (N, .) */
static eg_status dense_backward(const eg_plan *plan, float *din, const float *dout, const float *in,
                                eg_net_tensor *w, eg_net_tensor *b, int N, int D, int K,
                                eg_error *err) {
    if (w->trainable) { /* else no weight of this layer is: the input's gradient alone */
        EG_TRY(eg_net_gemm(plan, w->grad, dout, in, K, D, N, true, false, false, err));
        eg_kernels_get()->sum_rows(b->grad, dout, (size_t)N, K);
    }
    return eg_net_gemm(plan, din, dout, w->data, N, D, K, false, false, false, err);
}

static eg_status backward(eg_plan *plan, eg_step *s, eg_error *err) {
    const eg_node *node = s->node;
    int N = plan->options.batch, C = node->C, S = node->squeeze;
    se_values v = values_of(plan, s);
    float *dh2 = eg_plan_at(plan, s->backward_work);
    float *dz = dh2 + span((size_t)N * (size_t)C), *dh1 = dz + span((size_t)N * (size_t)C);
    se_job j = make_job(plan, s);
    j.dy = eg_plan_at(plan, s->dy[0]);
    j.sum = dh2;
    eg_pool_run(gate_gradient_sample, &j, N);
    const eg_kernels *k = eg_kernels_get();
    k->act_backward(dh2, dh2, v.h2, (size_t)N * (size_t)C, (int)node->gate);
    EG_TRY(dense_backward(plan, dh1, dh2, v.a, eg_step_tensor(plan, node, 2),
                          eg_step_tensor(plan, node, 3), N, S, C, err));
    k->act_backward(dh1, dh1, v.h1, (size_t)N * (size_t)S, (int)node->act);
    EG_TRY(dense_backward(plan, dz, dh1, v.z, eg_step_tensor(plan, node, 0),
                          eg_step_tensor(plan, node, 1), N, C, S, err));
    if (s->dx[0] < 0) return EG_OK;
    for (size_t i = 0; i < (size_t)N * (size_t)C; i++) dz[i] /= (float)j.rows;
    j.factor = v.s;
    j.shift = dz;
    j.y = eg_plan_at(plan, s->dx[0]);
    eg_pool_run(input_gradient_sample, &j, N);
    return EG_OK;
}

const eg_op eg_op_se = {
    .name = "se", .prepare = prepare, .forward = forward, .backward = backward, .again = again};
