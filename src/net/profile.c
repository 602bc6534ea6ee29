/* What each step of a plan costs: seconds by a clock around it, multiply-adds and least memory traffic by its shapes; and
 * the machine's own limits to hold them against. Runs the plan through its usual door, so what is timed is what runs.
 * Not here: which step is worth work, tables (study/bench.c). Read first: exec.h; the clock itself: plan.c, timed().  */
#include "net/exec.h"
#include <stdio.h>
#include <string.h>

/* the plan that has the steps */
static const eg_plan *worker(const eg_plan *plan) {
    return plan->part ? plan->part : plan;
}

size_t eg_plan_step_count(const eg_plan *plan) {
    return (size_t)worker(plan)->n_steps;
}

/* ---- what a step is ---- */

/* "conv", "dwconv+bn+silu", "bn+add+relu": the op, then what is fused into it */
static void describe(eg_step_cost *row, const eg_step *s) {
    static const char *const acts[] = {[EG_ACT_NONE] = "",
                                       [EG_ACT_RELU] = "+relu",
                                       [EG_ACT_RELU6] = "+relu6",
                                       [EG_ACT_SILU] = "+silu",
                                       [EG_ACT_SIGMOID] = "+sigmoid",
                                       [EG_ACT_HARDSWISH] = "+hardswish",
                                       [EG_ACT_HARDSIGMOID] = "+hardsigmoid",
                                       [EG_ACT_GELU] = "+gelu"};
    const eg_node *node = s->node, *first = s->conv ? s->conv : node;
    bool norm = node->op == EG_OP_BN;
    if (s->block.dw) {
        snprintf(row->op, sizeof row->op, "mbconv%s%s", s->block.se ? "+se" : "",
                 s->n_inputs == 2 ? "+add" : "");
        row->name = s->block.expand ? s->block.expand->name : s->block.dw->name;
        return;
    }
    snprintf(row->op, sizeof row->op, "%s%s%s%s", eg_op_of(first->op)->name,
             norm && s->conv ? "+bn" : "", norm && s->n_inputs == 2 ? "+add" : "",
             norm || node->op == EG_OP_ACT ? acts[node->act] : "");
    row->name = first->name;
}

static void shapes(eg_step_cost *row, const eg_plan *plan, const eg_step *s) {
    const eg_node *out = s->node, *in = s->n_inputs ? eg_step_from(plan, s, 0) : out,
                  *first = s->block.dw ? s->block.dw
                           : s->conv   ? s->conv
                                       : out;
    memcpy(row->input, (int[]){in->H, in->W, in->C}, sizeof row->input);
    memcpy(row->output, (int[]){out->H, out->W, out->C}, sizeof row->output);
    row->kernel = first->kernel;
    row->stride = first->stride;
}

/* ---- what it must do ---- */

static double bytes_of(const eg_plan *plan, int buffer) {
    return buffer < 0 ? 0 : (double)plan->memory.buffers[buffer].bytes;
}

/* Every value in and out once, and the weights: as they are in training, as they were folded in prediction. */
static double forward_bytes(const eg_plan *plan, const eg_step *s) {
    double total = bytes_of(plan, s->y) + bytes_of(plan, s->saved) + bytes_of(plan, s->constant);
    for (int k = 0; k < s->n_inputs; k++) total += bytes_of(plan, plan->steps[s->input[k]].y);
    for (int k = 0; k < EG_NODE_MAX_TENSORS && s->constant < 0; k++) {
        const eg_net_tensor *t = eg_step_tensor(plan, s->node, k);
        if (t && t->data) total += (double)t->count * sizeof *t->data;
    }
    return total;
}

/* The output's gradients, what was kept for this pass, the inputs' gradients, the weights and their own. */
static double backward_bytes(const eg_plan *plan, const eg_step *s) {
    double total = bytes_of(plan, s->saved);
    for (int k = 0; k < s->n_dy; k++) total += bytes_of(plan, s->dy[k]);
    if (s->keep_x) total += bytes_of(plan, plan->steps[s->input[0]].y);
    if (s->keep_y) total += bytes_of(plan, s->y);
    for (int k = 0; k < s->n_inputs; k++) total += bytes_of(plan, s->dx[k]);
    for (int k = 0; k < EG_NODE_MAX_TENSORS; k++) {
        const eg_net_tensor *t = eg_step_tensor(plan, s->node, k);
        if (t && t->role == EG_TENSOR_PARAMETER)
            total += (double)t->count * sizeof *t->data * (t->trainable ? 2 : 1);
    }
    return total;
}

/* Backward, a product is made once for the input's gradient and once for the weights'; attention, which has no weights of
 * its own, makes two for each of its two. */
static double backward_products(const eg_plan *plan, const eg_step *s) {
    const eg_net_tensor *weight = eg_step_tensor(plan, s->node, 0);
    if (s->node->op == EG_OP_ATTENTION) return 2;
    return (s->dx[0] >= 0) + (weight && weight->trainable);
}

static void count(eg_step_cost *row, const eg_plan *plan, const eg_step *s) {
    const eg_node *node = s->conv ? s->conv : s->node;
    if (node->op == EG_OP_INPUT) return; /* filled by the caller */
    const eg_node *products[] = {node, s->block.expand, s->block.dw, s->block.se};
    double flops = 0;
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (products[i])
            flops += 2.0 * plan->options.batch *
                     eg_node_multiply_adds(plan->net->graph.tensors, products[i]);
    row->forward = (eg_pass_cost){0, flops, forward_bytes(plan, s)};
    if (s->has_backward && s->n_dy > 0)
        row->backward =
            (eg_pass_cost){0, flops * backward_products(plan, s), backward_bytes(plan, s)};
}

/* ---- running with the clock on ---- */

static eg_status run(eg_plan *plan, const int32_t *labels, uint64_t step, eg_error *err) {
    eg_loss_result loss;
    EG_TRY(eg_plan_forward(plan, plan->options.batch, step, err));
    return plan->options.mode == EG_PLAN_TRAIN ? eg_plan_backward(&loss, plan, labels, NULL, err)
                                               : EG_OK;
}

eg_status eg_plan_profile(eg_step_cost *rows, eg_plan *plan, const int32_t *labels, uint64_t step,
                          eg_error *err) {
    size_t n = eg_plan_step_count(plan);
    double *seconds = eg_calloc(2 * n, sizeof *seconds);
    if (!seconds) return eg_fail(err, EG_ERR_NO_MEMORY, "profile: out of memory");
    eg_plan *runs = plan->part ? plan->part : plan;
    int parts = plan->part ? eg_plan_parts_count(plan, plan->options.batch) : 1;
    runs->seconds = seconds;
    eg_status status = run(plan, labels, step, err);
    runs->seconds = NULL;
    for (size_t i = 0; i < n && status == EG_OK; i++) {
        const eg_step *s = &runs->steps[i];
        rows[i] = (eg_step_cost){0};
        describe(&rows[i], s);
        shapes(&rows[i], runs, s);
        count(&rows[i], runs, s);
        rows[i].forward.flops *= parts;
        rows[i].forward.bytes *= parts;
        rows[i].forward.seconds = seconds[2 * i];
        rows[i].backward.seconds = seconds[2 * i + 1];
    }
    eg_free(seconds);
    return status;
}

/* ---- the machine's limits ---- */

/* Many short tries, of which the best counts: on a busy machine all threads are seldom on for long together. */
enum {
    CHAIN_TRIES = 120,
    STREAM_TRIES = 30,
    STREAM_FLOATS = 16 << 20 /* 64 MiB an array, three of them: behind every cache */
};

typedef struct {
    const eg_kernels *kernels;
    size_t rounds;
    double *flops; /* one a thread, 64 bytes apart */
} chain_job;

static void chains(void *context, int i) {
    const chain_job *j = context;
    float sink;
    j->kernels->fma_chains(&sink, &j->flops[8 * (size_t)i], j->rounds);
}

/* Rounds that take a millisecond: long beside the start of the threads, short beside a turn of the scheduler. */
static void find_rounds(chain_job *j) {
    double start;
    do {
        j->rounds *= 2;
        start = eg_time_now();
        chains(j, 0);
    } while (eg_time_now() - start < 1e-3);
}

static eg_status peak_flops(double *best, eg_type type, eg_error *err) {
    int threads = eg_pool_threads();
    double *flops = eg_calloc(8 * (size_t)threads, sizeof *flops);
    if (!flops) return eg_fail(err, EG_ERR_NO_MEMORY, "peak: out of memory");
    chain_job j = {eg_kernels_for(type), 1 << 14, flops};
    find_rounds(&j);
    for (int k = 0; k < CHAIN_TRIES; k++) {
        double start = eg_time_now(), total = 0;
        eg_pool_run(chains, &j, threads);
        double seconds = eg_time_now() - start;
        for (int i = 0; i < threads; i++) total += flops[8 * (size_t)i];
        if (seconds > 0 && total / seconds > *best) *best = total / seconds;
    }
    eg_free(flops);
    return EG_OK;
}

typedef struct {
    float *a, *b, *c;
} stream;

static void stream_fill(void *context, size_t begin, size_t end) {
    const stream *s = context;
    for (size_t i = begin; i < end; i++) s->a[i] = s->b[i] = s->c[i] = 1; /* pages exist now */
}

static void stream_add(void *context, size_t begin, size_t end) {
    const stream *s = context;
    eg_kernels_get()->add(s->a + begin, s->b + begin, s->c + begin, end - begin);
}

/* a = b + c, counted as STREAM does (McCalpin 1995): two arrays read, one written. */
static eg_status peak_bytes(double *best, eg_error *err) {
    float *block = eg_malloc(3 * (size_t)STREAM_FLOATS * sizeof *block);
    if (!block) return eg_fail(err, EG_ERR_NO_MEMORY, "peak: out of memory");
    stream s = {block, block + STREAM_FLOATS, block + 2 * (size_t)STREAM_FLOATS};
    eg_span_run(stream_fill, &s, STREAM_FLOATS, 1024);
    for (int k = 0; k < STREAM_TRIES; k++) {
        double start = eg_time_now();
        eg_span_run(stream_add, &s, STREAM_FLOATS, 1024);
        double seconds = eg_time_now() - start, bytes = 3.0 * STREAM_FLOATS * sizeof(float);
        if (seconds > 0 && bytes / seconds > *best) *best = bytes / seconds;
    }
    eg_free(block);
    return EG_OK;
}

eg_status eg_net_peak(eg_peak *out, bool bf16, eg_error *err) {
    eg_peak peak = {0};
    EG_TRY(peak_flops(&peak.flops, bf16 ? EG_TYPE_BF16 : EG_TYPE_F32, err));
    EG_TRY(peak_bytes(&peak.bytes, err));
    *out = peak;
    return EG_OK;
}
