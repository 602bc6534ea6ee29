/* Weights averaged beside those that are trained: one copy of all parameters and running statistics that follows the
 * network, after each step (--ema) or after each of the last epochs (--average). Running statistics are averaged like
 * weights, not measured again. Knows nothing of when: trainer.c. Read first: recipe.h. */
#include "study/recipe.h"
#include <string.h>

struct eg_weights_copy {
    eg_net_tensor *tensors; /* the network's */
    size_t n;
    float **values; /* (n) into one block; NULL: a counter */
    float *block;
};

eg_status eg_study_copy_new(eg_weights_copy **out, eg_network *net, eg_error *err) {
    eg_weights_copy *copy = eg_calloc(1, sizeof *copy);
    size_t total = 0;
    if (copy) {
        copy->tensors = eg_network_tensors(net, &copy->n);
        for (size_t i = 0; i < copy->n; i++)
            if (copy->tensors[i].data) total += copy->tensors[i].count;
        copy->values = eg_calloc(copy->n + 1, sizeof *copy->values);
        copy->block = eg_malloc((total + 1) * sizeof *copy->block);
    }
    if (!copy || !copy->values || !copy->block) {
        eg_study_copy_free(copy);
        return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for averaged weights");
    }
    float *at = copy->block;
    for (size_t i = 0; i < copy->n; i++) {
        if (!copy->tensors[i].data) continue;
        copy->values[i] = at;
        memcpy(at, copy->tensors[i].data, copy->tensors[i].count * sizeof *at);
        at += copy->tensors[i].count;
    }
    *out = copy;
    return EG_OK;
}

void eg_study_copy_free(eg_weights_copy *copy) {
    if (!copy) return;
    eg_free(copy->values);
    eg_free(copy->block);
    eg_free(copy);
}

typedef struct {
    eg_weights_copy *copy;
    float share;
} follow_job;

/* a tensor a call: they touch their own values only */
static void follow_tensor(void *context, int i) {
    const follow_job *job = context;
    float *restrict v = job->copy->values[i];
    if (!v) return;
    const float *restrict w = job->copy->tensors[i].data;
    const float share = job->share;
    for (size_t k = 0; k < job->copy->tensors[i].count; k++) v[k] += share * (w[k] - v[k]);
}

static void take_tensor(void *context, int i) {
    const follow_job *job = context;
    const eg_net_tensor *t = &job->copy->tensors[i];
    if (job->copy->values[i]) memcpy(job->copy->values[i], t->data, t->count * sizeof(float));
}

void eg_study_copy_follow(eg_weights_copy *copy, double share) {
    follow_job job = {copy, (float)share};
    eg_pool_run(share >= 1 ? take_tensor : follow_tensor, &job, (int)copy->n);
}

static void swap_tensor(void *context, int i) {
    const follow_job *job = context;
    float *restrict v = job->copy->values[i];
    if (!v) return;
    float *restrict w = job->copy->tensors[i].data;
    for (size_t k = 0; k < job->copy->tensors[i].count; k++) {
        float kept = v[k];
        v[k] = w[k];
        w[k] = kept;
    }
}

void eg_study_copy_swap(eg_weights_copy *copy) {
    follow_job job = {copy, 0};
    eg_pool_run(swap_tensor, &job, (int)copy->n);
}

double eg_study_ema_share(double decay, int64_t step) {
    double early = (1 + (double)step) / (10 + (double)step);
    return 1 - (early < decay ? early : decay);
}
