/* For the tests of gradients in tests/ref: for each parameter tensor of a small network the derivative of the loss along a
 * random direction, (L(w + h d) - L(w - h d)) / 2h, against grad . d, within 2 % of its size; and prediction against the
 * training pass. Stochastic ops repeat their draws because they are keyed by the step.                           */
#ifndef TEST_GRADIENT_CHECK_H
#define TEST_GRADIENT_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/exec.h"

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

static inline void check_network(eg_status (*build)(eg_graph *, const eg_arch *, int, int),
                                 eg_bn_mode bn) {
    static eg_arch arch;
    arch = (eg_arch){.info = {.name = "test", .img_size = SIDE}, .build = build};
    eg_error err;
    eg_network *net = NULL;
    eg_plan *p = NULL;
    if (eg_network_of(&net, &arch, CLASSES, SIDE, &err) != EG_OK) fail_msg("%s", err.text);
    size_t n;
    eg_net_tensor *tensors = eg_network_tensors(net, &n);
    eg_network_init(net, 1);
    eg_random r = eg_random_make(9, 9, 9, 9);
    for (size_t i = 0; i < n; i++) /* away from 0 and 1, so that every term counts */
        for (size_t k = 0; tensors[i].n_dims == 1 && tensors[i].data && k < tensors[i].count; k++)
            tensors[i].data[k] += (float)(0.3 * eg_random_uniform(&r));
    eg_plan_options o = {.mode = EG_PLAN_TRAIN,
                         .batch = BATCH,
                         .bn = bn,
                         .stochastic = true,
                         .dropout = -1,
                         .seed = 4};
    if (eg_plan_new(&p, net, &o, &err) != EG_OK) fail_msg("%s", err.text);
    float *x = eg_plan_input(p);
    for (int i = 0; i < BATCH * SIDE * SIDE * 3; i++) x[i] = (float)eg_random_normal(&r);
    size_t checked = 0;
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].role != EG_TENSOR_PARAMETER) continue;
        check_tensor(p, &tensors[i], (uint32_t)i);
        checked++;
    }
    assert_true(checked >= 6);
    float *images = eg_malloc(sizeof(float) * BATCH * SIDE * SIDE * 3);
    assert_non_null(images);
    memcpy(images, x, sizeof(float) * BATCH * SIDE * SIDE * 3);
    eg_plan_free(p);
    check_prediction(net, images);
    eg_free(images);
    eg_network_free(net);
}

#endif
