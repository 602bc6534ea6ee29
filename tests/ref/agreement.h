/* Gradients of one network from two plans: the cosine of the angle between them and the ratio of their lengths, of all
 * parameters together and of each tensor that is not small beside the whole. For the tests of bf16 against f32.      */
#ifndef TEST_AGREEMENT_H
#define TEST_AGREEMENT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/net.h"

/* a tensor with less of the whole's length than this is not looked at alone */
#define SMALL_TENSOR 0.02

/* least cosine, and how far the ratio of lengths may be from 1 */
typedef struct {
    double whole_cosine, whole_ratio, tensor_cosine, tensor_ratio;
} gradient_agreement;

typedef struct {
    double product, own, other; /* g . g', |g|^2, |g'|^2 */
} overlap;

static inline void check_overlap(const overlap *a, double cosine, double ratio, const char *what) {
    double c = a->product / sqrt(a->own * a->other), r = sqrt(a->own / a->other);
    if (!(c >= cosine) || !(fabs(r - 1) <= ratio))
        fail_msg("gradients, %s: cosine %.4f, length %.4f of %.3g", what, c, r, sqrt(a->other));
}

/* the present gradients of all parameters, one behind the other; eg_free */
static inline float *gradients_copy(eg_network *net) {
    size_t n, at = 0;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    float *copy = eg_malloc(eg_network_parameters(net, false) * sizeof *copy);
    assert_non_null(copy);
    for (size_t i = 0; i < n; i++) {
        if (t[i].role != EG_TENSOR_PARAMETER) continue;
        memcpy(copy + at, t[i].grad, t[i].count * sizeof *copy);
        at += t[i].count;
    }
    return copy;
}

static inline overlap tensor_overlap(const eg_net_tensor *t, const float *other) {
    overlap a = {0};
    for (size_t k = 0; k < t->count; k++) {
        a.product += (double)t->grad[k] * (double)other[k];
        a.own += (double)t->grad[k] * (double)t->grad[k];
        a.other += (double)other[k] * (double)other[k];
    }
    return a;
}

/* the network's present gradients against an earlier copy */
static inline void check_gradients_agree(eg_network *net, const float *other,
                                         const gradient_agreement *limits, const char *who) {
    size_t n;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    overlap whole = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; t[i].role == EG_TENSOR_PARAMETER && k < t[i].count; k++)
            if (!isfinite(t[i].grad[k]))
                fail_msg("gradients, %s: %s[%zu] is %g", who, t[i].name, k, (double)t[i].grad[k]);
    /* the whole first: the tensors are measured by it */
    for (int turn = 0; turn < 2; turn++) {
        const float *from = other;
        for (size_t i = 0; i < n; i++) {
            if (t[i].role != EG_TENSOR_PARAMETER) continue;
            overlap a = tensor_overlap(&t[i], from);
            from += t[i].count;
            if (turn == 0)
                whole.product += a.product, whole.own += a.own, whole.other += a.other;
            else if (sqrt(a.other) > SMALL_TENSOR * sqrt(whole.other))
                check_overlap(&a, limits->tensor_cosine, limits->tensor_ratio, t[i].name);
        }
        if (turn == 0) check_overlap(&whole, limits->whole_cosine, limits->whole_ratio, who);
    }
    print_message("  %s: cosine %.5f, length %.4f\n", who,
                  whole.product / sqrt(whole.own * whole.other), sqrt(whole.own / whole.other));
}

#endif
