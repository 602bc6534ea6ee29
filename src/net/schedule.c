/* Learning rate of a step: a pure function of the step's number, so that a resumed run needs no state.
 *   constant  lr
 *   step      lr gamma^k, k = whole multiples of step_size epochs since the start of the training (StepLR)
 *   cosine    from lr at the end of the warm-up along half a cosine towards min_lr, which step `total` would have
 *             (CosineAnnealingLR with T_max = steps after the warm-up)
 *   onecycle  OneCycleLR: along a cosine up from lr / 25 to lr, then down to lr / 25 / 1e4 at the last step; the way
 *             up is the share warmup_epochs / n_epochs of the training, 0.3 when warmup_epochs is 0
 *   plateau   what eg_schedule_plateau made of the validation losses so far, in plateau_lr
 * Except for onecycle, which has its own way up, warmup_epochs epochs at the start rise in a line from lr / 25 to lr
 * (LinearLR); the warm-up counts as part of the training.                                                     */
#include "net/net.h"
#include <math.h>

static const double PI = 3.14159265358979323846;
static const double START = 25, ONECYCLE_END = 1e4, ONECYCLE_UP = 0.3;

/* half a cosine from a (share 0) to b (share 1) */
static double anneal(double a, double b, double share) {
    return b + (a - b) / 2 * (1 + cos(PI * share));
}

/* PyTorch's phases end at steps (up total - 1) and (total - 1), the first of them not a whole number. */
static double onecycle(const eg_schedule *s, double step, double total) {
    double low = s->lr / START, share = ONECYCLE_UP;
    if (s->warmup_epochs > 0 && s->n_epochs > 0) share = s->warmup_epochs / (double)s->n_epochs;
    if (share > 1) share = 1;
    double top = share * total - 1, last = total - 1;
    if (top > 0 && step <= top) return anneal(low, s->lr, step / top);
    if (last <= top || last <= 0) return s->lr;
    return anneal(s->lr, low / ONECYCLE_END, (step - top) / (last - top));
}

double eg_schedule_lr(const eg_schedule *s, int64_t step) {
    double per_epoch = s->steps_per_epoch > 0 ? (double)s->steps_per_epoch : 1;
    double total = (double)s->n_epochs * per_epoch, at = step > 0 ? (double)step : 0;
    if (total > 0 && at > total - 1) at = total - 1; /* past the end: the last step's rate */
    if (s->kind == EG_SCHED_ONECYCLE) return onecycle(s, at, total);
    double warmup = round(s->warmup_epochs * per_epoch);
    if (at < warmup) return s->lr / START + (s->lr - s->lr / START) * at / warmup;
    switch (s->kind) {
    case EG_SCHED_STEP:
        return s->step_size > 0
                   ? s->lr * pow(s->gamma, floor(floor(at / per_epoch) / (double)s->step_size))
                   : s->lr;
    case EG_SCHED_COSINE:
        return total > warmup ? anneal(s->lr, s->min_lr, (at - warmup) / (total - warmup)) : s->lr;
    case EG_SCHED_PLATEAU:
        return s->plateau_lr > 0 ? s->plateau_lr : s->lr;
    default:
        return s->lr;
    }
}

/* torch/optim/lr_scheduler.py: mode "min", threshold_mode "rel", cooldown 0; a loss that is no number is no better one */
double eg_schedule_plateau(const eg_schedule *s, const double *val_loss, size_t n) {
    const double THRESHOLD = 1e-4, LEAST_CHANGE = 1e-8;
    double best = INFINITY, lr = s->lr;
    int64_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        if (val_loss[i] < best * (1 - THRESHOLD)) {
            best = val_loss[i];
            bad = 0;
        } else if (++bad > s->patience) {
            double lower = fmax(lr * s->gamma, s->min_lr);
            if (lr - lower > LEAST_CHANGE) lr = lower;
            bad = 0;
        }
    }
    return lr;
}
