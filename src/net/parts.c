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

size_t eg_plan_parts_bytes(const eg_plan *plan) {
    const eg_plan *p = plan->part;
    size_t N = (size_t)plan->options.batch;
    size_t D = eg_node_size(p->steps[p->feature_step].node),
           K = p->logit_step < 0 ? 0 : eg_node_size(p->steps[p->logit_step].node);
    return eg_align64(N * eg_node_size(p->steps[p->input_step].node) * sizeof(float)) +
           eg_align64(N * D * sizeof(float)) + eg_align64(N * K * sizeof(float));
}

/* inputs, features and logits of all samples, in one block */
void eg_plan_parts_place(eg_plan *plan) {
    const eg_plan *p = plan->part;
    size_t N = (size_t)plan->options.batch;
    size_t in = eg_align64(N * eg_node_size(p->steps[p->input_step].node) * sizeof(float));
    size_t D = eg_align64(N * eg_node_size(p->steps[p->feature_step].node) * sizeof(float));
    uint8_t *at = plan->arena;
    plan->whole.input = (float *)(void *)at;
    plan->whole.features = (float *)(void *)(at + in);
    plan->whole.logits = p->logit_step < 0 ? NULL : (float *)(void *)(at + in + D);
}

int eg_plan_parts_count(const eg_plan *plan, int n) {
    int m = plan->part->options.batch;
    return (n + m - 1) / m;
}

eg_status eg_plan_parts_forward(eg_plan *plan, int n, uint64_t step, eg_error *err) {
    eg_plan *p = plan->part;
    int m = p->options.batch;
    size_t in = eg_node_size(p->steps[p->input_step].node),
           D = eg_node_size(p->steps[p->feature_step].node),
           K = p->logit_step < 0 ? 0 : eg_node_size(p->steps[p->logit_step].node);
    for (int i = 0; i < n; i += m) {
        size_t now = (size_t)(n - i < m ? n - i : m), first = (size_t)i;
        memcpy(eg_plan_input(p), plan->whole.input + first * in, now * in * sizeof(float));
        EG_TRY(eg_plan_forward(p, (int)now, step, err));
        memcpy(plan->whole.features + first * D, eg_plan_features(p), now * D * sizeof(float));
        if (K) memcpy(plan->whole.logits + first * K, eg_plan_logits(p), now * K * sizeof(float));
    }
    return EG_OK;
}
