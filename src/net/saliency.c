/* The last feature map and the gradient of a logit with respect to it: what Grad-CAM (Selvaraju et al. 2017) and
 * Grad-CAM++ weigh. The map is the value nearest to the logits that still has rows and columns. Works on a training plan
 * made with keep_map; runs the backward pass down to the map only. The weighing and the pictures: study/explain.c.
 * Read first: plan.c.                                                                                           */
#include "net/exec.h"
#include <string.h>

/* Back from the logits along first inputs; -1: a network without such a value (a vision transformer reads one token out of
 * its sequence, and the others of its last layer have no gradient). */
int eg_plan_map_find(const eg_plan *plan) {
    int i = plan->logit_step;
    while (i >= 0) {
        const eg_step *s = &plan->steps[i];
        if (s->node->op == EG_OP_TOKEN) return -1;
        if (s->node->H > 1 && s->node->W > 1) return i;
        i = s->n_inputs > 0 ? s->input[0] : -1;
    }
    return -1;
}

bool eg_plan_map_shape(int shape[3], const eg_plan *plan) {
    const eg_plan *p = plan->active;
    if (!p->options.keep_map || p->map_step < 0) return false;
    const eg_node *node = p->steps[p->map_step].node;
    shape[0] = node->H;
    shape[1] = node->W;
    shape[2] = node->C;
    return true;
}

/* d logits = 1 at each sample's target, 0 elsewhere and at the auxiliary heads */
static void seed_gradients(eg_plan *p, const int32_t *targets) {
    eg_step *top = &p->steps[p->logit_step];
    const size_t K = (size_t)top->node->C, n = (size_t)p->options.batch;
    float *d = eg_plan_at(p, top->dy[0]);
    memset(d, 0, n * K * sizeof *d);
    for (size_t i = 0; i < n; i++) d[i * K + (size_t)targets[i]] = 1;
    for (int k = 0; k < p->n_aux; k++) {
        eg_step *aux = &p->steps[p->aux_step[k]];
        if (aux->has_backward)
            memset(eg_plan_at(p, aux->dy[0]), 0, eg_step_count(p, aux->node) * sizeof(float));
    }
}

eg_status eg_plan_saliency(float *map, float *dmap, eg_plan *plan, const int32_t *targets,
                           eg_error *err) {
    eg_plan *p = plan->active;
    if (p->options.mode != EG_PLAN_TRAIN || !p->options.keep_map || p->type != EG_TYPE_F32)
        return eg_fail(err, EG_ERR_INTERNAL, "saliency: needs a float training plan with keep_map");
    if (p->map_step < 0)
        return eg_fail(err, EG_ERR_UNSUPPORTED,
                       "%s has no feature map in front of its last layer - use --method occlusion",
                       p->net->info->name);
    eg_step *s = &p->steps[p->map_step];
    if (!p->steps[p->logit_step].has_backward || !s->has_backward)
        return eg_fail(err, EG_ERR_INTERNAL, "saliency: the network's layers are frozen");
    seed_gradients(p, targets);
    EG_TRY(eg_plan_backward_until(p, p->map_step, err));
    const size_t count = eg_step_count(p, s->node);
    memcpy(map, eg_step_y(p, s), count * sizeof *map);
    memset(dmap, 0, count * sizeof *dmap);
    for (int k = 0; k < s->n_dy; k++) {
        const float *d = eg_plan_at(p, s->dy[k]);
        for (size_t i = 0; i < count; i++) dmap[i] += d[i];
    }
    return EG_OK;
}
