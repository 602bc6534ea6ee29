/* Makes a network executable for one batch size: steps from the fused graph, lives of all buffers, one arena, then
 * forward and backward. What an op needs it says in `prepare`; what lives how long is decided here and nowhere else.
 * Read first: exec.h. The ops: op_*.c.                                                                         */
#include "net/exec.h"
#include <math.h>
#include <string.h>

/* Pieces a parallel span is cut into, whatever the number of threads: sums over pieces keep their bits. Several a thread,
 * so that the last one to finish is not waited for long. */
enum { SPANS = 32 };

typedef struct {
    eg_span_fn fn;
    void *context;
    size_t n, piece;
} span_job;

static void span_piece(void *context, int i) {
    const span_job *job = context;
    size_t begin = (size_t)i * job->piece,
           end = begin + job->piece < job->n ? begin + job->piece : job->n;
    job->fn(job->context, begin, end);
}

void eg_span_run(eg_span_fn fn, void *context, size_t n, size_t grain) {
    if (n == 0) return;
    size_t piece = (n + SPANS - 1) / SPANS;
    piece = (piece + grain - 1) / grain * grain;
    span_job job = {fn, context, n, piece};
    eg_pool_run(span_piece, &job, (int)((n + piece - 1) / piece));
}

/* ---- lives ---- */

/* Does the backward pass reach this step: for a tensor of its own, or on the way to one further up? Steps come in
 * topological order, so has_backward of the inputs is settled. */
static bool wants_gradient(const eg_plan *plan, const eg_step *s) {
    for (int k = 0; k < EG_NODE_MAX_TENSORS; k++) {
        const eg_net_tensor *t = eg_step_tensor(plan, s->node, k);
        if (t && t->role == EG_TENSOR_PARAMETER && t->trainable) return true;
    }
    for (int k = 0; k < s->n_inputs; k++)
        if (plan->steps[s->input[k]].has_backward) return true;
    return false;
}

/* kept for the caller until the backward pass comes to it (saliency.c) */
static bool is_map(const eg_plan *plan, int i) {
    return plan->options.keep_map && i == plan->map_step;
}

/* read by the caller or the loss */
static bool is_output(const eg_plan *plan, int i) {
    bool out = i == plan->logit_step || is_map(plan, i) ||
               (i == plan->feature_step && plan->options.mode == EG_PLAN_PREDICT);
    for (int k = 0; k < plan->n_aux; k++) out = out || i == plan->aux_step[k];
    return out;
}

/* Time of the last use of step i's value: by its readers forward, by those whose backward pass reads it again (input 0
 * only: no op keeps another), and by its own. */
static int last_use(const eg_plan *plan, int i) {
    const eg_step *s = &plan->steps[i];
    int last = is_map(plan, i)      ? eg_plan_backward_time(plan, i)
               : is_output(plan, i) ? plan->n_steps
                                    : i;
    for (int k = i + 1; k < plan->n_steps; k++)
        for (int j = 0; j < plan->steps[k].n_inputs; j++) {
            const eg_step *user = &plan->steps[k];
            if (user->input[j] != i) continue;
            if (k > last) last = k;
            /* the first reader's backward pass is the last of all */
            bool needed_later = user->has_backward && user->keep_x && j == 0 && s->y_again < 0;
            if (needed_later && eg_plan_backward_time(plan, k) > last)
                last = eg_plan_backward_time(plan, k);
            if (user->y_again >= 0 && s->y_again < 0 && user->again_from > last)
                last = user->again_from;
        }
    if (s->has_backward && s->keep_y && s->y_again < 0 && eg_plan_backward_time(plan, i) > last)
        last = eg_plan_backward_time(plan, i);
    return last;
}

/* Forward adds into the residual's bytes when this step is the residual's last reader, and of whatever shared those bytes
 * before: the buffer's life says so. Never the caller's input, which may be read after the forward pass. */
static bool share_residual(const eg_plan *plan, const eg_step *s) {
    if (!s->y_in_residual || s->n_inputs < 2) return false;
    const eg_step *residual = &plan->steps[s->input[1]];
    return residual->index != plan->input_step &&
           plan->memory.buffers[residual->y].last == s->index;
}

/* Values, what is saved for the backward pass, constants and work spaces. What a step saves or works in is alive during
 * that one step where nothing comes back for it. The caller fills the input, float, before time 0 and may read it after: it never shares. */
static void plan_forward_buffers(eg_plan *plan) {
    eg_memplan *m = &plan->memory;
    eg_plan_recompute_choose(plan);
    plan->input =
        eg_memplan_add(m, eg_step_count(plan, plan->steps[plan->input_step].node) * sizeof(float),
                       -1, 2 * plan->n_steps + 1);
    for (int i = 0; i < plan->n_steps; i++) {
        eg_step *s = &plan->steps[i];
        int last = last_use(plan, i), back = eg_plan_backward_time(plan, i);
        if (share_residual(plan, s)) {
            s->y = plan->steps[s->input[1]].y;
            if (m->buffers[s->y].last < last) m->buffers[s->y].last = last;
        } else {
            s->y_in_residual = false;
            bool given = s->op == &eg_op_input && s->type == EG_TYPE_F32;
            s->y = given ? plan->input : eg_memplan_add(m, eg_step_bytes(plan, s), i, last);
        }
        s->saved = s->has_backward ? eg_memplan_add(m, s->saved_bytes, i, back)
                                   : eg_memplan_add(m, s->saved_bytes, i, i);
        s->constant = eg_memplan_add(m, s->constant_bytes, -1, 2 * plan->n_steps + 1);
        s->forward_work = eg_memplan_add(m, s->forward_bytes, i, i);
        s->backward_work = s->has_backward ? eg_memplan_add(m, s->backward_bytes, back, back) : -1;
    }
}

/* the loss writes the gradient of these logits */
static void plan_loss(eg_plan *plan, int top) {
    eg_step *logits = &plan->steps[top];
    if (!logits->has_backward) return;
    logits->dy[logits->n_dy++] =
        eg_memplan_add(&plan->memory, eg_step_count(plan, logits->node) * sizeof(float),
                       plan->n_steps, eg_plan_backward_time(plan, top));
}

/* Backwards from the losses: each step gives each input that wants one a gradient, in the bytes of its own (dx_in_place,
 * whose life then lasts until the input's backward pass) or in new ones. A value with several readers collects as many;
 * backward() sums them. */
static eg_status plan_gradients(eg_plan *plan, eg_error *err) {
    eg_memplan *m = &plan->memory;
    plan_loss(plan, plan->logit_step);
    for (int k = 0; k < plan->n_aux; k++) plan_loss(plan, plan->aux_step[k]);
    for (int i = plan->n_steps - 1; i >= 0; i--) {
        eg_step *s = &plan->steps[i];
        for (int k = 0; k < EG_NODE_MAX_INPUTS; k++) s->dx[k] = -1;
        if (!s->has_backward || s->n_dy == 0) continue;
        for (int k = 0; k < s->n_inputs; k++) {
            eg_step *from = &plan->steps[s->input[k]];
            s->needs_dx[k] = from->has_backward;
            if (!from->has_backward) continue;
            int until = eg_plan_backward_time(plan, from->index);
            if (from->n_dy == EG_MAX_DY)
                return eg_fail(err, EG_ERR_UNSUPPORTED, "plan: '%s' feeds more than %d branches",
                               from->node->name, EG_MAX_DY);
            if (s->dx_in_place[k]) {
                s->dx[k] = s->dy[0];
                if (m->buffers[s->dx[k]].last < until) m->buffers[s->dx[k]].last = until;
            } else {
                s->dx[k] = eg_memplan_add(m, eg_step_bytes(plan, from),
                                          eg_plan_backward_time(plan, i), until);
            }
            from->dy[from->n_dy++] = s->dx[k];
        }
    }
    return EG_OK;
}

/* gradients live in one block of the network, made by the first training plan */
static eg_status allocate_grads(eg_network *net, eg_error *err) {
    if (net->grads) return EG_OK;
    size_t total = 0;
    for (int i = 0; i < net->graph.n_tensors; i++)
        if (net->graph.tensors[i].role == EG_TENSOR_PARAMETER)
            total += eg_align64(net->graph.tensors[i].count * sizeof(float));
    net->grads = eg_calloc(1, total ? total : 64);
    if (!net->grads)
        return eg_fail(err, EG_ERR_NO_MEMORY, "gradients: out of memory (%zu bytes)", total);
    uint8_t *at = (uint8_t *)net->grads;
    for (int i = 0; i < net->graph.n_tensors; i++) {
        eg_net_tensor *t = &net->graph.tensors[i];
        if (t->role != EG_TENSOR_PARAMETER) continue;
        t->grad = (float *)(void *)at;
        at += eg_align64(t->count * sizeof(float));
    }
    return EG_OK;
}

/* Types of all values for inputs of `type`; false: an op has no code for what it gets, or what the caller reads would not be
 * float. */
static bool assign_types(eg_plan *plan, eg_type type) {
    plan->type = type;
    for (int i = 0; i < plan->n_steps; i++) {
        eg_step *s = &plan->steps[i];
        eg_type in = s->n_inputs > 0 ? plan->steps[s->input[0]].type : type;
        for (int k = 1; k < s->n_inputs; k++)
            if (plan->steps[s->input[k]].type != in) return false;
        if (!eg_op_type(&s->type, s->node->op, in)) return false;
        if (s->type != EG_TYPE_F32 && is_output(plan, i)) return false;
        if ((eg_node_is_conv(s->node) || s->conv) && in != type) return false;
    }
    return true;
}

static void choose_types(eg_plan *plan) {
    if (!plan->options.bf16 || !assign_types(plan, EG_TYPE_BF16)) assign_types(plan, EG_TYPE_F32);
}

bool eg_plan_is_bf16(const eg_plan *plan) {
    return plan->type == EG_TYPE_BF16;
}

eg_status eg_plan_takes_bf16(bool *out, eg_network *net, const eg_plan_options *o, eg_error *err) {
    eg_plan plan = {.options = *o, .net = net};
    eg_status status = eg_plan_steps_make(&plan, err);
    if (status == EG_OK) *out = assign_types(&plan, EG_TYPE_BF16);
    eg_free(plan.steps);
    return status;
}

static eg_status lay_out(eg_plan *plan, eg_error *err);

/* the steps belong to a plan for fewer samples (parts.c); this one keeps what the caller sees */
static eg_status lay_out_part(eg_plan *plan, int samples, eg_error *err) {
    eg_free(plan->steps);
    plan->steps = NULL;
    plan->n_steps = 0;
    eg_plan *part = plan->part = eg_calloc(1, sizeof *part);
    if (!part) return eg_fail(err, EG_ERR_NO_MEMORY, "plan: out of memory");
    part->options = plan->options;
    part->options.batch = samples;
    part->net = plan->net;
    part->active = part;
    EG_TRY(lay_out(part, err));
    plan->arena_bytes = eg_plan_parts_bytes(plan);
    return EG_OK;
}

/* Everything but memory: steps, primitives, lives and places of all buffers, and so the arena's size. */
static eg_status lay_out(eg_plan *plan, eg_error *err) {
    bool train = plan->options.mode == EG_PLAN_TRAIN;
    EG_TRY(eg_plan_steps_make(plan, err));
    if (plan->options.keep_map) plan->map_step = eg_plan_map_find(plan);
    choose_types(plan);
    int samples = eg_plan_part_size(plan);
    if (samples < plan->options.batch) return lay_out_part(plan, samples, err);
    for (int i = 0; i < plan->n_steps; i++) {
        eg_step *s = &plan->steps[i];
        s->has_backward = train && s->op->backward && wants_gradient(plan, s);
        for (int k = 0; k < s->n_inputs; k++)
            s->needs_dx[k] = plan->steps[s->input[k]].has_backward;
        EG_TRY(s->op->prepare(plan, s, err));
    }
    plan_forward_buffers(plan);
    if (train) EG_TRY(plan_gradients(plan, err));
    return eg_memplan_solve(&plan->memory, &plan->arena_bytes, err);
}

static eg_status allocate(eg_plan *plan, eg_error *err) {
    plan->arena = eg_malloc(plan->arena_bytes);
    plan->owns_arena = true;
    if (!plan->arena)
        return eg_fail(err, EG_ERR_NO_MEMORY,
                       "%s at batch %d needs %.0f MiB for activations: out of memory - use a "
                       "smaller --batch-size",
                       plan->net->info->name, plan->options.batch,
                       (double)plan->arena_bytes / 1048576.0);
    return EG_OK;
}

/* `host`: the plan whose tail this one is; its arena serves where it is large enough, and then stays the host's. */
static eg_status build(eg_plan *plan, const eg_plan *host, eg_error *err) {
    if (plan->options.mode == EG_PLAN_TRAIN) EG_TRY(allocate_grads(plan->net, err));
    EG_TRY(lay_out(plan, err));
    if (host && plan->arena_bytes <= host->arena_bytes) {
        plan->arena = host->arena;
        return EG_OK;
    }
    EG_TRY(allocate(plan, err));
    if (!plan->part) return EG_OK;
    EG_TRY(allocate(plan->part, err));
    eg_plan_parts_place(plan);
    return EG_OK;
}

static eg_status plan_new(eg_plan **out, eg_network *net, const eg_plan_options *o,
                          const eg_plan *host, eg_error *err) {
    if (o->batch < 1)
        return eg_fail(err, EG_ERR_USAGE, "plan: batch %d, expected at least 1", o->batch);
    eg_plan *plan = eg_calloc(1, sizeof *plan);
    if (!plan) return eg_fail(err, EG_ERR_NO_MEMORY, "plan: out of memory");
    plan->options = *o;
    plan->net = net;
    plan->active = plan;
    eg_status status = build(plan, host, err);
    if (status != EG_OK) {
        eg_plan_free(plan);
        return status;
    }
    *out = plan;
    return EG_OK;
}

eg_status eg_plan_new(eg_plan **out, eg_network *net, const eg_plan_options *o, eg_error *err) {
    return plan_new(out, net, o, NULL, err);
}

eg_status eg_plan_need(size_t *arena_bytes, eg_network *net, const eg_plan_options *o,
                       eg_error *err) {
    eg_plan *plan = eg_calloc(1, sizeof *plan);
    if (!plan) return eg_fail(err, EG_ERR_NO_MEMORY, "plan: out of memory");
    plan->options = *o;
    plan->net = net;
    eg_status status = lay_out(plan, err);
    if (status == EG_OK) *arena_bytes = eg_plan_arena_bytes(plan);
    eg_plan_free(plan);
    return status;
}

void eg_plan_free(eg_plan *plan) {
    if (!plan) return;
    eg_plan_free(plan->tail);
    eg_plan_free(plan->part);
    for (int i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].op->release) plan->steps[i].op->release(&plan->steps[i]);
    eg_free(plan->steps);
    eg_memplan_free(&plan->memory);
    if (plan->owns_arena) eg_free(plan->arena);
    eg_free(plan);
}

size_t eg_plan_arena_bytes(const eg_plan *plan) {
    return plan->arena_bytes + (plan->part ? plan->part->arena_bytes : 0);
}

float *eg_plan_input(eg_plan *plan) {
    if (plan->part) return plan->whole.input;
    return eg_plan_at(plan, plan->input);
}

/* ---- running ---- */

typedef eg_status (*step_fn)(eg_plan *plan, eg_step *s, eg_error *err);

/* A pass (0 forward, 1 backward) of one step, with its time where somebody measures (profile.c). */
static eg_status timed(step_fn fn, eg_plan *plan, eg_step *s, int pass, eg_error *err) {
    if (!plan->seconds) return fn(plan, s, err);
    double start = eg_time_now();
    eg_status status = fn(plan, s, err);
    plan->seconds[2 * s->index + pass] += eg_time_now() - start; /* a batch may run in parts */
    return status;
}

static eg_status forward(eg_plan *plan, uint64_t step, eg_error *err) {
    plan->step_key = step;
    plan->going_back = false;
    for (int i = 0; i < plan->n_steps; i++)
        EG_TRY(timed(plan->steps[i].op->forward, plan, &plan->steps[i], 0, err));
    return EG_OK;
}

static eg_status refresh(eg_plan *plan, eg_error *err) {
    for (int i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].op->refresh)
            EG_TRY(plan->steps[i].op->refresh(plan, &plan->steps[i], err));
    plan->fresh = true;
    return EG_OK;
}

void eg_plan_refresh(eg_plan *plan) {
    plan->fresh = false;
    if (plan->part) plan->part->fresh = false;
}

/* a last batch of n < N samples gets its own steps (batch statistics must not see padding) on the same bytes */
static eg_status tail_for(eg_plan *plan, int n, eg_error *err) {
    if (plan->tail && plan->tail->options.batch == n) return EG_OK;
    plan->active = plan; /* not the tail that goes now, should the new one fail */
    eg_plan_free(plan->tail);
    plan->tail = NULL;
    eg_plan_options o = plan->options;
    o.batch = n;
    return plan_new(&plan->tail, plan->net, &o, plan, err);
}

eg_status eg_plan_forward(eg_plan *plan, int n, uint64_t step, eg_error *err) {
    int N = plan->options.batch;
    if (n < 1 || n > N)
        return eg_fail(err, EG_ERR_INTERNAL, "plan: %d samples in a batch of %d", n, N);
    if (plan->part) return eg_plan_parts_forward(plan, n, step, err);
    if (plan->options.mode == EG_PLAN_PREDICT) {
        if (!plan->fresh) EG_TRY(refresh(plan, err));
        /* samples do not mix in prediction: zeros fill the batch, which spares a second plan */
        size_t sample = eg_step_count(plan, plan->steps[plan->input_step].node) / (size_t)N;
        memset(eg_plan_input(plan) + (size_t)n * sample, 0,
               (size_t)(N - n) * sample * sizeof(float));
        plan->active = plan;
    } else if (n == N) {
        plan->active = plan;
    } else {
        EG_TRY(tail_for(plan, n, err));
        plan->active = plan->tail;
        /* one arena, two plans: the input may lie elsewhere, and overlap */
        float *from = eg_plan_input(plan), *to = eg_plan_input(plan->tail);
        if (from != to)
            memmove(to, from,
                    eg_step_count(plan->tail, plan->steps[plan->input_step].node) * sizeof(float));
    }
    plan->n = n;
    return forward(plan->active, step, err);
}

const float *eg_plan_logits(const eg_plan *plan) {
    if (plan->part) return plan->whole.logits;
    return plan->options.features_only
               ? NULL
               : eg_step_y(plan->active, &plan->active->steps[plan->active->logit_step]);
}

const float *eg_plan_features(const eg_plan *plan) {
    if (plan->part) return plan->whole.features;
    return eg_step_y(plan->active, &plan->active->steps[plan->active->feature_step]);
}

typedef struct {
    void *to;
    const void *from;
    eg_type type;
} sum_job;

static void sum_span(void *context, size_t begin, size_t end) {
    const sum_job *j = context;
    void *to = eg_value_to(j->to, begin, j->type);
    eg_kernels_for(j->type)->add(to, to, eg_value_at(j->from, begin, j->type), end - begin);
}

/* The gradients of a value's readers are summed into the first; batch norm takes two as they are (takes_two), because it
 * can add them in a pass that it makes anyway. */
static eg_status backward_step(eg_plan *plan, eg_step *s, eg_error *err) {
    eg_plan_recompute_run(plan, s);
    for (int k = s->n_dy - 1; k >= (s->takes_two ? 2 : 1); k--) {
        sum_job j = {eg_plan_at(plan, s->dy[k - 1]), eg_plan_at(plan, s->dy[k]), s->type};
        eg_span_run(sum_span, &j, eg_step_count(plan, s->node), 1024);
    }
    return s->op->backward(plan, s, err);
}

eg_status eg_plan_backward_until(eg_plan *plan, int last, eg_error *err) {
    plan->going_back = true;
    for (int i = 0; i < plan->n_steps; i++) plan->steps[i].is_again = false;
    for (int i = plan->n_steps - 1; i > last; i--) {
        eg_step *s = &plan->steps[i];
        if (s->has_backward && s->n_dy > 0) EG_TRY(timed(backward_step, plan, s, 1, err));
    }
    return EG_OK;
}

eg_status eg_plan_backward(eg_loss_result *out, eg_plan *plan, const int32_t *labels,
                           const eg_loss_options *o, eg_error *err) {
    eg_plan *p = plan->active;
    eg_step *top = &p->steps[p->logit_step];
    if (p->options.mode != EG_PLAN_TRAIN || !top->has_backward)
        return eg_fail(err, EG_ERR_INTERNAL, "plan: nothing to train");
    size_t n = (size_t)p->options.batch;
    eg_loss_softmax(out, eg_plan_at(p, top->dy[0]), eg_step_y(p, top), labels, n, top->node->C, o);
    for (int k = 0; k < p->n_aux; k++) {
        eg_step *aux = &p->steps[p->aux_step[k]];
        float weight = aux->node->aux_weight;
        eg_loss_result part;
        if (!aux->has_backward) continue; /* dy[0] is not set then */
        float *d = eg_plan_at(p, aux->dy[0]);
        eg_loss_softmax(&part, d, eg_step_y(p, aux), labels, n, aux->node->C, o);
        for (size_t i = 0; i < n * (size_t)aux->node->C; i++) d[i] *= weight;
        out->objective += (double)weight * part.objective;
    }
    return eg_plan_backward_until(p, -1, err);
}
