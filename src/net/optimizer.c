/* Optimisers: SGD with momentum, AdamW and RMSprop, with PyTorch's arithmetic (torch/optim/sgd.py, adamw.py, rmsprop.py). One pass over
 * memory a step: gradient in, moments and weight updated. The tensors are cut into fixed chunks when the optimiser is
 * made; chunks run in any order on any thread and touch their own elements only, so the bits never depend on the
 * number of threads. A step takes nothing from the heap. Learning rates: schedule.c.                            */
#include "net/net.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 16384, ALIGN_FLOATS = 64 / sizeof(float) };

typedef struct {
    size_t tensor, begin, n;
} chunk;

struct eg_optimizer {
    eg_opt_options o;
    eg_opt_tensor *tensors;
    size_t n;
    size_t *offset; /* of each tensor in m and v */
    float *m, *v; /* m: velocity (SGD and RMSprop, momentum > 0), first moment (AdamW); v: second */
    float *sum;   /* gathered gradients; NULL: gathers none */
    double gathered; /* their weight */
    chunk *chunks;
    size_t n_chunks;
    double *partial; /* sums of squares, one a chunk */
    int64_t step;    /* steps done */
};

/* ---- making ---- */

static eg_status fail_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "optimizer: out of memory for the moments");
}

static void cut(eg_optimizer *opt) {
    for (size_t i = 0; i < opt->n; i++)
        for (size_t begin = 0; begin < opt->tensors[i].count; begin += CHUNK) {
            size_t left = opt->tensors[i].count - begin;
            opt->chunks[opt->n_chunks++] = (chunk){i, begin, left < CHUNK ? left : CHUNK};
        }
}

static eg_status allocate(eg_optimizer *opt, const eg_opt_tensor *tensors, eg_error *err) {
    size_t n_floats = 0, n_chunks = 0, n = opt->n;
    opt->tensors = eg_calloc(n + 1, sizeof *opt->tensors);
    opt->offset = eg_calloc(n + 1, sizeof *opt->offset);
    if (!opt->tensors || !opt->offset) return fail_memory(err);
    if (n) memcpy(opt->tensors, tensors, n * sizeof *tensors);
    for (size_t i = 0; i < n; i++) {
        opt->offset[i] = n_floats;
        n_floats += (tensors[i].count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
        n_chunks += (tensors[i].count + CHUNK - 1) / CHUNK;
    }
    bool first = opt->o.kind == EG_OPT_ADAMW || opt->o.momentum > 0;
    bool second = opt->o.kind != EG_OPT_SGD;
    opt->chunks = eg_calloc(n_chunks + 1, sizeof *opt->chunks);
    opt->partial = eg_calloc(n_chunks + 1, sizeof *opt->partial);
    if (first) opt->m = eg_calloc(n_floats + 1, sizeof *opt->m);
    if (second) opt->v = eg_calloc(n_floats + 1, sizeof *opt->v);
    if (opt->o.gathers) opt->sum = eg_calloc(n_floats + 1, sizeof *opt->sum);
    bool ok = opt->chunks && opt->partial && (!first || opt->m) && (!second || opt->v) &&
              (!opt->o.gathers || opt->sum);
    if (!ok) return fail_memory(err);
    cut(opt);
    return EG_OK;
}

eg_status eg_optimizer_new(eg_optimizer **out, const eg_opt_tensor *tensors, size_t n,
                           const eg_opt_options *o, eg_error *err) {
    for (size_t i = 0; i < n; i++)
        if (!tensors[i].data || !tensors[i].grad)
            return eg_fail(err, EG_ERR_INTERNAL,
                           "optimizer: tensor %zu has no gradient - make the training plan first",
                           i);
    eg_optimizer *opt = eg_calloc(1, sizeof *opt);
    if (!opt) return fail_memory(err);
    opt->o = *o;
    opt->n = n;
    if (opt->o.beta1 == 0) opt->o.beta1 = 0.9;
    if (opt->o.beta2 == 0) opt->o.beta2 = opt->o.kind == EG_OPT_RMSPROP ? 0.99 : 0.999;
    if (opt->o.epsilon == 0) opt->o.epsilon = 1e-8;
    eg_status status = allocate(opt, tensors, err);
    if (status != EG_OK) {
        eg_optimizer_free(opt);
        return status;
    }
    *out = opt;
    return EG_OK;
}

eg_status eg_optimizer_for(eg_optimizer **out, eg_network *net, const eg_opt_options *o,
                           eg_error *err) {
    size_t n_all, n = 0;
    const eg_net_tensor *all = eg_network_tensors(net, &n_all);
    eg_opt_tensor *list = eg_calloc(n_all + 1, sizeof *list);
    if (!list) return fail_memory(err);
    for (size_t i = 0; i < n_all; i++) {
        const eg_net_tensor *t = &all[i];
        if (t->role != EG_TENSOR_PARAMETER || !t->trainable) continue;
        /* no decay for biases and batch norm: pulling a scale to 0 is not what L2 is for */
        list[n++] = (eg_opt_tensor){t->data, t->grad, t->count, t->n_dims > 1, &t->rate};
    }
    eg_status status = eg_optimizer_new(out, list, n, o, err);
    eg_free(list);
    return status;
}

void eg_optimizer_free(eg_optimizer *opt) {
    if (!opt) return;
    eg_free(opt->tensors);
    eg_free(opt->offset);
    eg_free(opt->m);
    eg_free(opt->v);
    eg_free(opt->sum);
    eg_free(opt->chunks);
    eg_free(opt->partial);
    eg_free(opt);
}

/* Factor on the learning rate of the tensor of a chunk; one that is not moved keeps its moments too. */
static double rate_of(const eg_optimizer *opt, const chunk *c) {
    const double *rate = opt->tensors[c->tensor].rate;
    return rate ? *rate : 1;
}

/* ---- gathering ---- */

typedef struct {
    eg_optimizer *opt;
    float factor;
    bool ends; /* the sum goes back into the gradients */
} gather_job;

static void gather_chunk(void *context, int i) {
    const gather_job *job = context;
    const eg_optimizer *opt = job->opt;
    const chunk *c = &opt->chunks[i];
    float *restrict g = opt->tensors[c->tensor].grad + c->begin;
    float *restrict sum = opt->sum + opt->offset[c->tensor] + c->begin;
    if (job->ends) {
        for (size_t k = 0; k < c->n; k++) g[k] = sum[k] * job->factor;
        memset(sum, 0, c->n * sizeof *sum);
    } else {
        for (size_t k = 0; k < c->n; k++) sum[k] += g[k] * job->factor;
    }
}

void eg_optimizer_gather(eg_optimizer *opt, double weight) {
    gather_job job = {opt, (float)weight, false};
    eg_pool_run(gather_chunk, &job, (int)opt->n_chunks);
    opt->gathered += weight;
}

void eg_optimizer_gathered(eg_optimizer *opt) {
    gather_job job = {opt, (float)(1 / opt->gathered), true};
    eg_pool_run(gather_chunk, &job, (int)opt->n_chunks);
    opt->gathered = 0;
}

/* ---- the norm ---- */

/* Eight running sums: a fixed order that the compiler can still run in parallel. */
static void square_chunk(void *context, int i) {
    const eg_optimizer *opt = context;
    const chunk *c = &opt->chunks[i];
    const float *g = opt->tensors[c->tensor].grad + c->begin;
    double sum[8] = {0};
    size_t k = 0;
    if (rate_of(opt, c) == 0) {
        opt->partial[i] = 0;
        return;
    }
    for (; k + 8 <= c->n; k += 8)
        for (int j = 0; j < 8; j++) sum[j] += (double)g[k + (size_t)j] * g[k + (size_t)j];
    for (; k < c->n; k++) sum[0] += (double)g[k] * g[k];
    opt->partial[i] =
        ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

double eg_optimizer_grad_norm(const eg_optimizer *opt) {
    union {
        const eg_optimizer *in;
        void *out;
    } context = {
        opt}; /* the pool's context is not const; square_chunk does not change the optimiser */
    eg_pool_run(square_chunk, context.out, (int)opt->n_chunks);
    double sum = 0;
    for (size_t i = 0; i < opt->n_chunks; i++) sum += opt->partial[i];
    return sqrt(sum);
}

/* ---- the step ---- */

typedef struct {
    eg_optimizer *opt;
    float scale, root_correction; /* AdamW: sqrt(1 - beta2^t) */
    double lr, step_size;         /* AdamW: lr / (1 - beta1^t) */
} step_job;

/* v = momentum v + g; w -= lr v. The first step's v is g, as in PyTorch, because v starts at 0. */
static void sgd_chunk(void *context, int i) {
    const step_job *job = context;
    const eg_optimizer *opt = job->opt;
    const chunk *c = &opt->chunks[i];
    const eg_opt_tensor *t = &opt->tensors[c->tensor];
    float *restrict w = t->data + c->begin;
    const float *restrict g = t->grad + c->begin;
    const float decay = t->decay ? (float)opt->o.weight_decay : 0, scale = job->scale;
    const double rate = rate_of(opt, c);
    const float lr = (float)(job->lr * rate);
    if (rate == 0) return;
    if (!opt->m) {
        for (size_t k = 0; k < c->n; k++) w[k] -= lr * (g[k] * scale + decay * w[k]);
        return;
    }
    const float momentum = (float)opt->o.momentum;
    float *restrict v = opt->m + opt->offset[c->tensor] + c->begin;
    for (size_t k = 0; k < c->n; k++) {
        v[k] = momentum * v[k] + (g[k] * scale + decay * w[k]);
        w[k] -= lr * v[k];
    }
}

/* Loshchilov and Hutter 2019: the decay acts on the weight, not through the moments. */
static void adamw_chunk(void *context, int i) {
    const step_job *job = context;
    const eg_optimizer *opt = job->opt;
    const chunk *c = &opt->chunks[i];
    const eg_opt_tensor *t = &opt->tensors[c->tensor];
    float *restrict w = t->data + c->begin;
    const float *restrict g = t->grad + c->begin;
    float *restrict m = opt->m + opt->offset[c->tensor] + c->begin;
    float *restrict v = opt->v + opt->offset[c->tensor] + c->begin;
    const double rate = rate_of(opt, c);
    if (rate == 0) return;
    const float keep = t->decay ? (float)(1 - job->lr * rate * opt->o.weight_decay) : 1;
    const float rest1 = (float)(1 - opt->o.beta1), beta2 = (float)opt->o.beta2;
    const float rest2 = (float)(1 - opt->o.beta2), epsilon = (float)opt->o.epsilon;
    const float scale = job->scale, step_size = (float)(job->step_size * rate);
    const float root = job->root_correction;
    for (size_t k = 0; k < c->n; k++) {
        float d = g[k] * scale;
        m[k] += rest1 * (d - m[k]);
        v[k] = beta2 * v[k] + rest2 * (d * d);
        w[k] = keep * w[k] - step_size * (m[k] / (sqrtf(v[k]) / root + epsilon));
    }
}

/* v = alpha v + (1 - alpha) g^2; d = g / (sqrt v + epsilon), through a velocity where there is momentum. */
static void rmsprop_chunk(void *context, int i) {
    const step_job *job = context;
    const eg_optimizer *opt = job->opt;
    const chunk *c = &opt->chunks[i];
    const eg_opt_tensor *t = &opt->tensors[c->tensor];
    const double rate = rate_of(opt, c);
    if (rate == 0) return;
    float *restrict w = t->data + c->begin;
    const float *restrict g = t->grad + c->begin;
    float *restrict v = opt->v + opt->offset[c->tensor] + c->begin;
    float *restrict m = opt->m ? opt->m + opt->offset[c->tensor] + c->begin : NULL;
    const float decay = t->decay ? (float)opt->o.weight_decay : 0, scale = job->scale;
    const float lr = (float)(job->lr * rate), momentum = (float)opt->o.momentum;
    const float alpha = (float)opt->o.beta2, rest = (float)(1 - opt->o.beta2);
    const float epsilon = (float)opt->o.epsilon;
    for (size_t k = 0; k < c->n; k++) {
        float d = g[k] * scale + decay * w[k];
        v[k] = alpha * v[k] + rest * (d * d);
        float move = d / (sqrtf(v[k]) + epsilon);
        if (m) move = m[k] = momentum * m[k] + move;
        w[k] -= lr * move;
    }
}

void eg_optimizer_step(eg_optimizer *opt, double lr, double grad_scale) {
    opt->step++;
    step_job job = {.opt = opt, .scale = (float)grad_scale, .lr = lr};
    if (opt->o.kind == EG_OPT_SGD) {
        eg_pool_run(sgd_chunk, &job, (int)opt->n_chunks);
        return;
    }
    if (opt->o.kind == EG_OPT_RMSPROP) {
        eg_pool_run(rmsprop_chunk, &job, (int)opt->n_chunks);
        return;
    }
    double t = (double)opt->step;
    job.step_size = lr / (1 - pow(opt->o.beta1, t));
    job.root_correction = (float)sqrt(1 - pow(opt->o.beta2, t));
    eg_pool_run(adamw_chunk, &job, (int)opt->n_chunks);
}

/* ---- resume ---- */

enum { NAME = 32 };

/* Tensors "<i>.m", "<i>.v" and "step" (I64, scalar). */
eg_status eg_optimizer_save(const eg_optimizer *opt, const char *path, const eg_text_pair *metadata,
                            size_t n, eg_error *err) {
    size_t n_tensors = 0;
    eg_tensor *tensors = eg_calloc(2 * opt->n + 1, sizeof *tensors);
    char(*names)[NAME] = eg_calloc(2 * opt->n + 1, sizeof *names);
    if (!tensors || !names) {
        eg_free(tensors);
        eg_free(names);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", path);
    }
    float *const moments[2] = {opt->m, opt->v};
    for (int which = 0; which < 2; which++)
        for (size_t i = 0; i < opt->n && moments[which]; i++) {
            snprintf(names[n_tensors], NAME, "%zu.%c", i, "mv"[which]);
            size_t count = opt->tensors[i].count;
            tensors[n_tensors] = (eg_tensor){.name = names[n_tensors],
                                             .dtype = EG_DTYPE_F32,
                                             .n_dims = 1,
                                             .dims = {(int64_t)count},
                                             .data = moments[which] + opt->offset[i],
                                             .n_bytes = count * sizeof(float)};
            n_tensors++;
        }
    tensors[n_tensors++] = (eg_tensor){
        .name = "step", .dtype = EG_DTYPE_I64, .data = &opt->step, .n_bytes = sizeof opt->step};
    eg_status status = eg_safetensors_write(path, tensors, n_tensors, metadata, n, err);
    eg_free(tensors);
    eg_free(names);
    return status;
}

/* The moment tensor `which` of tensor i, checked; NULL with err set when it does not fit. */
static const eg_tensor *moment_of(const eg_optimizer *opt, const eg_state_dict *sd, size_t i,
                                  int which, eg_error *err) {
    char name[NAME];
    snprintf(name, sizeof name, "%zu.%c", i, "mv"[which]);
    const eg_tensor *t = eg_state_dict_find(sd, name);
    if (t && t->dtype == EG_DTYPE_F32 && t->n_bytes == opt->tensors[i].count * sizeof(float))
        return t;
    eg_fail(err, EG_ERR_MISMATCH,
            "optimizer state: %s %s, expected %zu f32 values - was it saved by another run?", name,
            t ? "has another size or type" : "is missing", opt->tensors[i].count);
    return NULL;
}

eg_status eg_optimizer_load(eg_optimizer *opt, const eg_state_dict *sd, eg_error *err) {
    float *const moments[2] = {opt->m, opt->v};
    size_t expected = 1 + (opt->m ? opt->n : 0) + (opt->v ? opt->n : 0);
    const eg_tensor *step = eg_state_dict_find(sd, "step");
    int64_t done = -1;
    if (step && step->dtype == EG_DTYPE_I64 && step->n_bytes == sizeof done)
        memcpy(&done, step->data, sizeof done);
    if (done < 0 || eg_state_dict_count(sd) != expected)
        return eg_fail(err, EG_ERR_MISMATCH,
                       "optimizer state: %zu tensors and %s step count, expected %zu tensors - was "
                       "it saved with "
                       "other options?",
                       eg_state_dict_count(sd), done < 0 ? "no valid" : "a", expected);
    /* first look at all, then copy: nothing is changed on failure */
    for (int copy = 0; copy < 2; copy++)
        for (int which = 0; which < 2; which++)
            for (size_t i = 0; i < opt->n && moments[which]; i++) {
                const eg_tensor *t = moment_of(opt, sd, i, which, err);
                if (!t) return EG_ERR_MISMATCH;
                if (copy) memcpy(moments[which] + opt->offset[i], t->data, t->n_bytes);
            }
    opt->step = done;
    return EG_OK;
}
