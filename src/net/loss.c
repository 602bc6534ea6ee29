/* Softmax cross-entropy with class weights and label smoothing, as torch.nn.CrossEntropyLoss(weight, label_smoothing):
 * mean over samples weighted by the class weight of each label; with focal_gamma the focal loss, with labels2 the blend
 * of two labels' losses (mixup, cutmix). In double: K is small. The plain loss (unweighted, unsmoothed, of the label
 * with the larger part) is reported beside what is optimised.                                                  */
#include "net/exec.h"
#include <math.h>

static double log_sum_exp(const float *z, int K) {
    double top = (double)z[0], sum = 0;
    for (int k = 1; k < K; k++) top = (double)z[k] > top ? (double)z[k] : top;
    for (int k = 0; k < K; k++) sum += exp((double)z[k] - top);
    return top + log(sum);
}

void eg_softmax(double *prob, const float *logits, size_t n, int n_classes) {
    for (size_t i = 0; i < n; i++) {
        const float *z = logits + i * (size_t)n_classes;
        double base = log_sum_exp(z, n_classes);
        for (int k = 0; k < n_classes; k++)
            prob[i * (size_t)n_classes + (size_t)k] = exp((double)z[k] - base);
    }
}

static int argmax(const float *z, int K) {
    int best = 0;
    for (int k = 1; k < K; k++)
        if (z[k] > z[best]) best = k;
    return best;
}

/* What one sample should be. */
typedef struct {
    int first, second; /* the same where nothing is mixed */
    double part;       /* of `first` */
} target;

static target target_of(const int32_t *labels, size_t i, const eg_loss_options *o) {
    bool mixed = o && o->labels2 && o->lambda;
    return (target){labels[i], mixed ? o->labels2[i] : labels[i],
                    mixed ? (double)o->lambda[i] : 1.0};
}

/* Class k's part in the target, weighted: w_k times (1 - e) of the labels' parts and e / K. */
static double mass_of(const target *t, int k, int K, const eg_loss_options *o) {
    double e = o ? o->smoothing : 0;
    double hit = (k == t->first ? t->part : 0) + (k == t->second ? 1 - t->part : 0);
    return ((1 - e) * hit + e / K) * (o && o->class_weight ? (double)o->class_weight[k] : 1.0);
}

/* A term of the focal loss, f = -(1 - p)^gamma log p, and -p df/dp, what its gradient is made of. */
static double focal(double *slope, double log_p, double gamma) {
    double p = exp(log_p), rest = -expm1(log_p); /* 1 - p, exact where p is near 1 */
    double factor = pow(rest, gamma);
    /* p (1 - p)^(gamma - 1) log p tends to 0 for p = 0, and to -(1 - p)^gamma for p = 1 */
    double turn = rest > 1e-12 ? gamma * p * (factor / rest) * log_p : -gamma * factor;
    *slope = factor - turn;
    return -factor * log_p;
}

/* objective of one sample = sum_k m_k f(p_k); torch divides by the sum of w[label] */
static double one_sample(float *dz, const float *z, int K, double base, const target *t,
                         double total_weight, const eg_loss_options *o) {
    double gamma = o ? o->focal_gamma : 0, sum = 0, objective = 0;
    for (int k = 0; k < K; k++) {
        double slope = 1, m = mass_of(t, k, K, o);
        double f = base - (double)z[k];
        if (gamma > 0) f = focal(&slope, -f, gamma);
        objective += m * f / total_weight;
        sum += m * slope;
    }
    for (int k = 0; k < K; k++) {
        double slope = 1, m = mass_of(t, k, K, o);
        if (gamma > 0) focal(&slope, (double)z[k] - base, gamma);
        dz[k] = (float)((sum * exp((double)z[k] - base) - m * slope) / total_weight);
    }
    return objective;
}

void eg_loss_softmax(eg_loss_result *out, float *dlogits, const float *logits,
                     const int32_t *labels, size_t n, int K, const eg_loss_options *o) {
    const float *w = o ? o->class_weight : NULL;
    *out = (eg_loss_result){0};
    for (size_t i = 0; i < n; i++) {
        target t = target_of(labels, i, o);
        out->weight += w ? t.part * (double)w[t.first] + (1 - t.part) * (double)w[t.second] : 1.0;
    }
    for (size_t i = 0; i < n; i++) {
        const float *z = logits + i * (size_t)K;
        target t = target_of(labels, i, o);
        int label = t.part >= 0.5 ? t.first : t.second;
        double base = log_sum_exp(z, K);
        out->objective += one_sample(dlogits + i * (size_t)K, z, K, base, &t, out->weight, o);
        out->loss_sum += base - (double)z[label];
        out->correct += argmax(z, K) == label;
    }
}
