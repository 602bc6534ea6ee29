/* Softmax cross-entropy with class weights and label smoothing, as torch.nn.CrossEntropyLoss(weight, label_smoothing):
 * mean over samples weighted by the class weight of each label. In double: K is small. The plain loss (unweighted,
 * unsmoothed) is reported beside what is optimised.                                                            */
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

/* objective of one sample = sum_k q_k w_k (base - z_k), q = (1 - e) onehot + e / K; torch divides by sum of w[label] */
void eg_loss_softmax(eg_loss_result *out, float *dlogits, const float *logits,
                     const int32_t *labels, size_t n, int K, const eg_loss_options *o) {
    double total_weight = 0, e = o ? o->smoothing : 0;
    const float *w = o ? o->class_weight : NULL;
    for (size_t i = 0; i < n; i++) total_weight += w ? (double)w[labels[i]] : 1.0;
    *out = (eg_loss_result){0};
    for (size_t i = 0; i < n; i++) {
        const float *z = logits + i * (size_t)K;
        float *dz = dlogits + i * (size_t)K;
        double base = log_sum_exp(z, K), mass = 0;
        for (int k = 0; k < K; k++) {
            double q = ((k == labels[i] ? 1 - e : 0) + e / K) * (w ? (double)w[k] : 1.0);
            mass += q;
            out->objective += q * (base - (double)z[k]) / total_weight;
        }
        for (int k = 0; k < K; k++) {
            double q = ((k == labels[i] ? 1 - e : 0) + e / K) * (w ? (double)w[k] : 1.0);
            dz[k] = (float)((mass * exp((double)z[k] - base) - q) / total_weight);
        }
        out->loss_sum += base - (double)z[labels[i]];
        out->correct += argmax(z, K) == labels[i];
    }
}
