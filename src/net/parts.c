/* Prediction of a large batch in parts: where a step's values are larger than the processor's last cache each step reads them
 * back from memory, so a plan for N samples runs one for a few samples several times instead (ResNet-50: 3 % faster, a
 * third of the memory). The plan that the caller holds keeps the inputs and outputs of all N. Samples do not mix, so
 * only rounding can tell. Not for blocks that stay in a core's cache anyway (op_mbconv.c). Read first: exec.h, plan.c. */
#include "net/exec.h"
#include <string.h>

/* of the largest value of a part: a step's input, output and residual then fit a last cache of 32 MiB, give or take */
enum { PART_BYTES = 14 << 20 };

/* Samples a part, from the steps of the plan (made, types set); the whole batch where parts gain nothing. */
int eg_plan_part_size(const eg_plan *plan) {
    int N = plan->options.batch;
    size_t largest = 1;
    if (plan->options.mode != EG_PLAN_PREDICT) return N;
    for (int i = 0; i < plan->n_steps; i++) {
        const eg_step *s = &plan->steps[i];
        size_t bytes = eg_node_size(s->node) * eg_type_bytes(s->type);
        if (s->block.dw) return N;
        if (bytes > largest) largest = bytes;
    }
    int n = (int)(PART_BYTES / largest);
    /* every thread gets as many samples; where bits must not depend on threads, their number has no say */
    int threads = plan->options.deterministic ? 1 : eg_pool_threads();
    n = n / threads * threads;
    if (n < threads) n = threads;
    return n < N ? n : N;
}

/* numbers of one sample: pixels, features, logits (0: features only) */
typedef struct {
    size_t input, features, logits;
} sample_sizes;

static sample_sizes sizes_of(const eg_plan *part) {
    return (sample_sizes){
        .input = eg_node_size(part->steps[part->input_step].node),
        .features = eg_node_size(part->steps[part->feature_step].node),
        .logits = part->logit_step < 0 ? 0 : eg_node_size(part->steps[part->logit_step].node)};
}

static size_t whole_bytes(const eg_plan *plan, size_t numbers) {
    return eg_align64((size_t)plan->options.batch * numbers * sizeof(float));
}

size_t eg_plan_parts_bytes(const eg_plan *plan) {
    sample_sizes one = sizes_of(plan->part);
    return whole_bytes(plan, one.input) + whole_bytes(plan, one.features) +
           whole_bytes(plan, one.logits);
}

/* inputs, features and logits of all samples, in one block */
void eg_plan_parts_place(eg_plan *plan) {
    sample_sizes one = sizes_of(plan->part);
    uint8_t *features = plan->arena + whole_bytes(plan, one.input),
            *logits = features + whole_bytes(plan, one.features);
    plan->whole.input = (float *)(void *)plan->arena;
    plan->whole.features = (float *)(void *)features;
    plan->whole.logits = one.logits ? (float *)(void *)logits : NULL;
}

int eg_plan_parts_count(const eg_plan *plan, int n) {
    int m = plan->part->options.batch;
    return (n + m - 1) / m;
}

eg_status eg_plan_parts_forward(eg_plan *plan, int n, uint64_t step, eg_error *err) {
    eg_plan *p = plan->part;
    int m = p->options.batch;
    sample_sizes one = sizes_of(p);
    for (int i = 0; i < n; i += m) {
        size_t now = (size_t)(n - i < m ? n - i : m), first = (size_t)i;
        memcpy(eg_plan_input(p), plan->whole.input + first * one.input,
               now * one.input * sizeof(float));
        EG_TRY(eg_plan_forward(p, (int)now, step, err));
        memcpy(plan->whole.features + first * one.features, eg_plan_features(p),
               now * one.features * sizeof(float));
        if (one.logits)
            memcpy(plan->whole.logits + first * one.logits, eg_plan_logits(p),
                   now * one.logits * sizeof(float));
    }
    return EG_OK;
}
