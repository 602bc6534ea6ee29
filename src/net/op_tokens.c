/* A vision transformer's tokens (Dosovitskiy et al. 2020): "tokens" puts the class token in front of the pixels of a patch
 * image and adds the position embedding, (N,h,w,D) -> (N,1,1+hw,D); "token" takes the first one out again.      */
#include "net/exec.h"
#include <string.h>

typedef struct {
    float *out;
    const float *in, *class_token, *positions;
    size_t tokens, D; /* tokens with the class token */
} token_job;

static token_job make_job(const eg_node *many) {
    return (token_job){.tokens = (size_t)many->H * (size_t)many->W, .D = (size_t)many->C};
}

/* ---- tokens ---- */

static void tokens_sample(void *context, int n) {
    const token_job *j = context;
    size_t pixels = (j->tokens - 1) * j->D;
    float *y = j->out + (size_t)n * j->tokens * j->D;
    const eg_kernels *k = eg_kernels_get();
    k->add(y, j->class_token, j->positions, j->D);
    k->add(y + j->D, j->in + (size_t)n * pixels, j->positions + j->D, pixels);
}

static eg_status tokens_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    token_job j = make_job(s->node);
    j.out = eg_step_y(plan, s);
    j.in = eg_step_x(plan, s, 0);
    j.class_token = eg_step_tensor(plan, s->node, 0)->data;
    j.positions = eg_step_tensor(plan, s->node, 1)->data;
    eg_pool_run(tokens_sample, &j, plan->options.batch);
    return EG_OK;
}

static void tokens_back_sample(void *context, int n) {
    const token_job *j = context;
    size_t pixels = (j->tokens - 1) * j->D;
    memcpy(j->out + (size_t)n * pixels, j->in + (size_t)n * j->tokens * j->D + j->D,
           pixels * sizeof *j->out);
}

/* the sum over samples of dy (N, tokens, D), of its first `tokens` tokens */
static void sum_samples(float *grad, const token_job *j, int batch, size_t tokens) {
    memcpy(grad, j->in, tokens * j->D * sizeof *grad);
    for (size_t n = 1; n < (size_t)batch; n++)
        eg_kernels_get()->add(grad, grad, j->in + n * j->tokens * j->D, tokens * j->D);
}

static eg_status tokens_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    eg_net_tensor *class_token = eg_step_tensor(plan, s->node, 0),
                  *positions = eg_step_tensor(plan, s->node, 1);
    token_job j = make_job(s->node);
    j.in = eg_plan_at(plan, s->dy[0]);
    if (class_token->trainable) sum_samples(class_token->grad, &j, plan->options.batch, 1);
    if (positions->trainable) sum_samples(positions->grad, &j, plan->options.batch, j.tokens);
    if (s->dx[0] < 0) return EG_OK;
    j.out = eg_plan_at(plan, s->dx[0]);
    eg_pool_run(tokens_back_sample, &j, plan->options.batch);
    return EG_OK;
}

const eg_op eg_op_tokens = {.name = "tokens",
                            .prepare = eg_op_no_needs,
                            .forward = tokens_forward,
                            .backward = tokens_backward};

/* ---- token ---- */

static eg_status token_forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    token_job j = make_job(eg_step_from(plan, s, 0));
    float *y = eg_step_y(plan, s);
    const float *x = eg_step_x(plan, s, 0);
    for (size_t n = 0; n < (size_t)plan->options.batch; n++)
        memcpy(y + n * j.D, x + n * j.tokens * j.D, j.D * sizeof *y);
    return EG_OK;
}

static eg_status token_backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    if (s->dx[0] < 0) return EG_OK;
    token_job j = make_job(eg_step_from(plan, s, 0));
    float *dx = eg_plan_at(plan, s->dx[0]);
    const float *dy = eg_plan_at(plan, s->dy[0]);
    for (size_t n = 0; n < (size_t)plan->options.batch; n++, dx += j.tokens * j.D) {
        memcpy(dx, dy + n * j.D, j.D * sizeof *dx);
        memset(dx + j.D, 0, (j.tokens - 1) * j.D * sizeof *dx);
    }
    return EG_OK;
}

const eg_op eg_op_token = {.name = "token",
                           .prepare = eg_op_no_needs,
                           .forward = token_forward,
                           .backward = token_backward};
