/* For the tests of gradients in tests/ref: for each parameter tensor of a small network the derivative of the loss along a
 * random direction, (L(w + h d) - L(w - h d)) / 2h, against grad . d, within 2 % of its size; prediction against the
 * training pass; and the gradients in bf16 against those in f32, which the quotients hold to the truth (a quotient in bf16
 * would drown in its rounding). Stochastic ops repeat their draws because they are keyed by the step.            */
#ifndef TEST_GRADIENT_CHECK_H
#define TEST_GRADIENT_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/exec.h"
#include "ref/agreement.h"

enum { SIDE = 12, CLASSES = 3, BATCH = 5 };

static const int32_t labels[BATCH] = {0, 2, 1, 1, 0};

static inline double loss(eg_plan *p) {
    static const float weight[CLASSES] = {1.0f, 2.0f, 0.5f};
    eg_loss_options o = {.class_weight = weight, .smoothing = 0.1};
    eg_error err;
    eg_loss_result r;
    if (eg_plan_forward(p, BATCH, 3, &err) != EG_OK) fail_msg("%s", err.text);
    if (eg_plan_backward(&r, p, labels, &o, &err) != EG_OK) fail_msg("%s", err.text);
    return r.objective;
}

/* difference quotient of the loss along `direction` with step h */
static inline double quotient(eg_plan *p, eg_net_tensor *t, const float *start,
                              const float *direction, double h) {
    double side[2];
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < t->count; i++)
            t->data[i] = start[i] + (float)(k ? -h : h) * direction[i];
        side[k] = loss(p);
    }
    memcpy(t->data, start, t->count * sizeof *start);
    return (side[0] - side[1]) / (2 * h);
}

/* A long step crosses kinks of ReLU, a short one drowns in float rounding: the best of three has to agree. */
static inline void check_tensor(eg_plan *p, eg_net_tensor *t, uint32_t stream) {
    static const double steps[] = {4e-3, 1e-3, 3e-4};
    float *start = eg_malloc(t->count * sizeof *start),
          *direction = eg_malloc(t->count * sizeof *direction);
    assert_true(start && direction);
    memcpy(start, t->data, t->count * sizeof *start);
    eg_random r = eg_random_make(5, stream, 0, 0);
    double length = 0, along = 0, size = 0, best = INFINITY;
    for (size_t i = 0; i < t->count; i++) {
        direction[i] = (float)eg_random_normal(&r);
        length += (double)direction[i] * (double)direction[i];
    }
    length = sqrt(length);
    for (size_t i = 0; i < t->count; i++) direction[i] /= (float)length;
    loss(p);
    for (size_t i = 0; i < t->count; i++) {
        along += (double)t->grad[i] * (double)direction[i];
        size += (double)t->grad[i] * (double)t->grad[i];
    }
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
        best = fmin(best, fabs(quotient(p, t, start, direction, steps[k]) - along));
    double scale = sqrt(size / (double)t->count);
    if (!(best <= 0.02 * scale + 2e-4))
        fail_msg("%s: numeric and backward differ by %.3g (backward %.6g, scale %.3g)", t->name,
                 best, along, scale);
    eg_free(start);
    eg_free(direction);
}

/* Prediction folds and fuses; the frozen training pass without drops does neither: the same logits. The weights are those of
 * a checked network, batch norm's running values made unlike 0 and 1.                                           */
static inline void check_prediction(eg_network *net, const float *images) {
    eg_error err;
    float logits[2][BATCH * CLASSES];
    for (int k = 0; k < 2; k++) {
        eg_plan_options o = {.mode = k ? EG_PLAN_PREDICT : EG_PLAN_TRAIN,
                             .batch = BATCH,
                             .bn = EG_BN_FROZEN,
                             .dropout = -1};
        eg_plan *p = NULL;
        if (eg_plan_new(&p, net, &o, &err) != EG_OK) fail_msg("%s", err.text);
        memcpy(eg_plan_input(p), images, sizeof(float) * BATCH * SIDE * SIDE * 3);
        if (eg_plan_forward(p, BATCH, 0, &err) != EG_OK) fail_msg("%s", err.text);
        memcpy(logits[k], eg_plan_logits(p), sizeof logits[k]);
        eg_plan_free(p);
    }
    for (int i = 0; i < BATCH * CLASSES; i++)
        if (!(fabsf(logits[0][i] - logits[1][i]) <= 2e-5f * (1 + fabsf(logits[0][i]))))
            fail_msg("logit %d: %.8g predicted, %.8g in training", i, (double)logits[1][i],
                     (double)logits[0][i]);
}

/* ---- bf16 ---- */

static inline eg_plan *checked_plan(eg_network *net, const float *images, eg_bn_mode bn,
                                    eg_plan_mode mode, bool bf16) {
    eg_error err;
    eg_plan *p = NULL;
    eg_plan_options o = {.mode = mode,
                         .batch = BATCH,
                         .bn = bn,
                         .stochastic = true,
                         .dropout = -1,
                         .seed = 4,
                         .bf16 = bf16};
    if (eg_plan_new(&p, net, &o, &err) != EG_OK) fail_msg("%s", err.text);
    memcpy(eg_plan_input(p), images, sizeof(float) * BATCH * SIDE * SIDE * 3);
    return p;
}

/* A value is rounded by at most 2^-8, by some 2^-9.5 in the mean; these networks have some 10 layers, which round it forward
 * and its gradient backward, and roundings are independent: 2^-9.5 sqrt(20) = 0.6 %. Batch norm over few samples and squeeze-
 * excite amplify that, and 1 in 300 ReLU inputs lies so near 0 that rounding moves it across, which moves a gradient by
 * sqrt(1 / 300) = 6 %, most of it across: an angle of 3.6 degrees. Lengths within 2 %. A single tensor has fewer values to
 * average over: 14 degrees, 10 %; small ones (a bias in front of batch norm has no gradient but rounding) are not looked
 * at alone. Measured: 1.7 degrees, 0.7 %. */
#define WHOLE_COSINE  0.998
#define WHOLE_RATIO   0.02
#define TENSOR_COSINE 0.97
#define TENSOR_RATIO  0.1

/* Gradients, and the logits of prediction, where weights with batch norm folded in are rounded once more. */
static inline void check_bf16(eg_network *net, const float *images, eg_bn_mode bn) {
    float logits[2][BATCH * CLASSES], *f32 = NULL;
    double most = 0;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        eg_error err;
        eg_plan *p = checked_plan(net, images, EG_BN_FROZEN, EG_PLAN_PREDICT, bf16);
        assert_int_equal(eg_plan_is_bf16(p), bf16);
        if (eg_plan_forward(p, BATCH, 0, &err) != EG_OK) fail_msg("%s", err.text);
        memcpy(logits[bf16], eg_plan_logits(p), sizeof logits[bf16]);
        eg_plan_free(p);
        p = checked_plan(net, images, bn, EG_PLAN_TRAIN, bf16);
        assert_int_equal(eg_plan_is_bf16(p), bf16);
        loss(p);
        if (!bf16) f32 = gradients_copy(net);
        eg_plan_free(p);
    }
    static const gradient_agreement limits = {WHOLE_COSINE, WHOLE_RATIO, TENSOR_COSINE,
                                              TENSOR_RATIO};
    check_gradients_agree(net, f32, &limits, "all tensors");
    for (int i = 0; i < BATCH * CLASSES; i++) most = fmax(most, fabs((double)logits[0][i]));
    for (int i = 0; i < BATCH * CLASSES; i++)
        if (!(fabs((double)logits[0][i] - (double)logits[1][i]) <= 0.03 * most))
            fail_msg("logit %d: %.6g in bf16, %.6g in f32", i, (double)logits[1][i],
                     (double)logits[0][i]);
    eg_free(f32);
}

typedef eg_status (*build_fn)(eg_graph *, const eg_arch *, int, int);

/* `bf16`: the network's ops all have code for bf16 */
static inline void check_network_in(build_fn build, eg_bn_mode bn, bool bf16) {
    static eg_arch arch;
    arch = (eg_arch){.info = {.name = "test", .img_size = SIDE}, .build = build};
    eg_error err;
    eg_network *net = NULL;
    if (eg_network_of(&net, &arch, CLASSES, SIDE, &err) != EG_OK) fail_msg("%s", err.text);
    size_t n, checked = 0;
    eg_net_tensor *tensors = eg_network_tensors(net, &n);
    eg_network_init(net, 1);
    eg_random r = eg_random_make(9, 9, 9, 9);
    for (size_t i = 0; i < n; i++) /* away from 0 and 1, so that every term counts */
        for (size_t k = 0; tensors[i].n_dims == 1 && tensors[i].data && k < tensors[i].count; k++)
            tensors[i].data[k] += (float)(0.3 * eg_random_uniform(&r));
    float *images = eg_malloc(sizeof(float) * BATCH * SIDE * SIDE * 3);
    assert_non_null(images);
    for (int i = 0; i < BATCH * SIDE * SIDE * 3; i++) images[i] = (float)eg_random_normal(&r);
    eg_plan *p = checked_plan(net, images, bn, EG_PLAN_TRAIN, false);
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].role != EG_TENSOR_PARAMETER) continue;
        check_tensor(p, &tensors[i], (uint32_t)i);
        checked++;
    }
    assert_true(checked >= 6);
    eg_plan_free(p);
    check_prediction(net, images);
    if (bf16) check_bf16(net, images, bn);
    eg_free(images);
    eg_network_free(net);
}

static inline void check_network(build_fn build, eg_bn_mode bn) {
    check_network_in(build, bn, true);
}

/* layer norm, attention and what goes with them: float only */
static inline void check_float_network(build_fn build, eg_bn_mode bn) {
    check_network_in(build, bn, false);
}

#endif
