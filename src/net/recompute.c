/* Values that the backward pass makes again instead of keeping them from the forward pass: the output of a batch norm or a
 * squeeze-excite is one pass over memory away from its input, which its own backward pass keeps anyway. Half of all that
 * a training step keeps are such outputs (Chen et al. 2016, sublinear memory cost; Rota Bulo et al. 2018). Here: which
 * ones, and when. Read first: exec.h, plan.c.                                                                    */
#include "net/exec.h"

/* Could the output come from the inputs once more? What the caller reads stays. */
static bool can(const eg_step *s) {
    return s->op->again && s->has_backward && s->keep_x;
}

static bool wanted(const eg_plan *plan, const eg_step *s) {
    if (plan->options.recompute == EG_RECOMPUTE_NONE) return false;
    bool cheap = s->node->op == EG_OP_BN && s->node->act <= EG_ACT_RELU6;
    return cheap || plan->options.recompute == EG_RECOMPUTE_ALL;
}

static void include(int *first, int *last, int begin, int end) {
    if (*first == 0 || begin < *first) *first = begin;
    if (end > *last) *last = end;
}

/* First and last time after the forward pass at which step i's output is read: by its own backward pass, by those of its
 * readers, and where a reader's own output is made again. 0: never. Readers have larger numbers and are settled before. */
static void later_reads(const eg_plan *plan, int i, int *first, int *last) {
    *first = *last = 0;
    if (plan->steps[i].keep_y)
        include(first, last, eg_plan_backward_time(plan, i), eg_plan_backward_time(plan, i));
    for (int k = i + 1; k < plan->n_steps; k++) {
        const eg_step *user = &plan->steps[k];
        for (int j = 0; j < user->n_inputs; j++) {
            if (user->input[j] != i) continue;
            int back = eg_plan_backward_time(plan, k);
            if (j == 0 && user->has_backward && user->keep_x) include(first, last, back, back);
            if (user->y_again >= 0) include(first, last, user->again_from, user->again_from);
        }
    }
}

/* y_again gets its buffer here, where its life is known; plan.c keeps the inputs of what is made again for so long. */
void eg_plan_recompute_choose(eg_plan *plan) {
    for (int i = plan->n_steps - 1; i >= 0; i--) {
        eg_step *s = &plan->steps[i];
        s->y_again = -1;
        if (!can(s) || !wanted(plan, s)) continue;
        int first, last;
        later_reads(plan, i, &first, &last);
        if (first == 0) continue;
        s->again_from = first;
        s->y_again = eg_memplan_add(&plan->memory, eg_step_bytes(plan, s), first, last);
    }
}

static void make_again(eg_plan *plan, eg_step *s) {
    if (s->y_again < 0 || s->is_again) return;
    for (int k = 0; k < s->n_inputs; k++) make_again(plan, &plan->steps[s->input[k]]);
    s->op->again(plan, s);
    s->is_again = true;
}

void eg_plan_recompute_run(eg_plan *plan, eg_step *s) {
    if (s->keep_y) make_again(plan, s);
    if (s->keep_x) make_again(plan, &plan->steps[s->input[0]]);
}
