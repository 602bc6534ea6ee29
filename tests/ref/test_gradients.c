/* The gradient of every op by central differences, on small networks built here: for each parameter tensor the derivative of
 * the loss along a random direction, (L(w + h d) - L(w - h d)) / 2h, against grad . d, within 2 % of its size. Stochastic
 * ops (dropout, stochastic depth) repeat their draws because they are keyed by the step. Batch norm runs in both modes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/exec.h"

enum { SIDE = 12, CLASSES = 3, BATCH = 5 };

static int tail(eg_graph *g, int x) {
    x = eg_graph_mean_pool(g, x);
    x = eg_graph_dropout(g, x, 0.3f);
    return eg_graph_linear(g, x, "head", CLASSES, true);
}

static eg_status done(eg_graph *g) {
    return g->status;
}

/* conv with bias, smooth activations, TensorFlow padding, stride 2 */
static eg_status build_plain(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv(g, x, "c1", 8, 3, 2, EG_PAD_SAME_TF, 1, true);
    x = eg_graph_act(g, x, EG_ACT_SILU);
    x = eg_graph_conv(g, x, "c2", 16, 3, 1, 1, 1, true);
    x = eg_graph_act(g, x, EG_ACT_HARDSWISH);
    x = eg_graph_max_pool(g, x, 2, 2, 0);
    x = eg_graph_flatten(g, x);
    x = eg_graph_linear(g, x, "fc", 11, false);
    x = eg_graph_act(g, x, EG_ACT_SIGMOID);
    eg_graph_linear(g, x, "head", CLASSES, true);
    return done(g);
}

/* depthwise 5x5 stride 2 and 3x3, squeeze-excite, stochastic depth in a residual block */
static eg_status build_mobile(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv(g, x, "stem", 8, 3, 1, 1, 1, false);
    x = eg_graph_act(g, eg_graph_bn(g, x, "stem_bn", 1e-3f, 0.1f), EG_ACT_SILU);
    x = eg_graph_conv(g, x, "dw0", 8, 5, 2, EG_PAD_SAME_TF, 8, false);
    int from = eg_graph_bn(g, x, "dw0_bn", 1e-3f, 0.1f);
    x = eg_graph_conv(g, from, "expand", 20, 1, 1, 0, 1, false);
    x = eg_graph_act(g, eg_graph_bn(g, x, "expand_bn", 1e-3f, 0.1f), EG_ACT_SILU);
    x = eg_graph_conv(g, x, "dw", 20, 3, 1, 1, 20, false);
    x = eg_graph_act(g, eg_graph_bn(g, x, "dw_bn", 1e-3f, 0.1f), EG_ACT_SILU);
    x = eg_graph_se(g, x, "se", 4, EG_ACT_SILU);
    x = eg_graph_conv(g, x, "project", 8, 1, 1, 0, 1, false);
    x = eg_graph_bn(g, x, "project_bn", 1e-3f, 0.1f);
    x = eg_graph_add(g, eg_graph_drop_path(g, x, 0.4f), from);
    tail(g, x);
    return done(g);
}

/* ResNet's two kinds of block: identity and downsample, add then ReLU */
static eg_status build_residual(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv(g, x, "stem", 8, 3, 1, 1, 1, false);
    int from = eg_graph_act(g, eg_graph_bn(g, x, "stem_bn", 1e-5f, 0.1f), EG_ACT_RELU);
    x = eg_graph_conv(g, from, "a1", 8, 3, 1, 1, 1, false);
    x = eg_graph_bn(g, x, "a1_bn", 1e-5f, 0.1f);
    from = eg_graph_act(g, eg_graph_add(g, x, from), EG_ACT_RELU);
    x = eg_graph_conv(g, from, "b1", 16, 3, 2, 1, 1, false);
    x = eg_graph_bn(g, x, "b1_bn", 1e-5f, 0.1f);
    int side_branch = eg_graph_conv(g, from, "down", 16, 1, 2, 0, 1, false);
    side_branch = eg_graph_bn(g, side_branch, "down_bn", 1e-5f, 0.1f);
    x = eg_graph_act(g, eg_graph_add(g, x, side_branch), EG_ACT_RELU6);
    tail(g, x);
    return done(g);
}

/* nothing fuses: an add of convolutions, a drop path without batch norm, a value read three times */
static eg_status build_unfused(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_act(g, eg_graph_conv(g, x, "c1", 8, 3, 2, 1, 1, true), EG_ACT_SILU);
    int a = eg_graph_conv(g, x, "c2", 8, 3, 1, 1, 1, true);
    int b = eg_graph_conv(g, x, "c3", 8, 1, 1, 0, 1, true);
    int sum = eg_graph_add(g, a, b);
    sum = eg_graph_add(g, eg_graph_drop_path(g, sum, 0.3f), x);
    tail(g, sum);
    return done(g);
}

static const int32_t labels[BATCH] = {0, 2, 1, 1, 0};

static double loss(eg_plan *p) {
    static const float weight[CLASSES] = {1.0f, 2.0f, 0.5f};
    eg_loss_options o = {.class_weight = weight, .smoothing = 0.1};
    eg_error err;
    eg_loss_result r;
    if (eg_plan_forward(p, BATCH, 3, &err) != EG_OK) fail_msg("%s", err.text);
    if (eg_plan_backward(&r, p, labels, &o, &err) != EG_OK) fail_msg("%s", err.text);
    return r.objective;
}

/* difference quotient of the loss along `direction` with step h */
static double quotient(eg_plan *p, eg_net_tensor *t, const float *start, const float *direction,
                       double h) {
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
static void check_tensor(eg_plan *p, eg_net_tensor *t, uint32_t stream) {
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

static void check_network(eg_status (*build)(eg_graph *, const eg_arch *, int, int),
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
    eg_plan_free(p);
    eg_network_free(net);
}

static void test_plain(void **state) {
    (void)state;
    check_network(build_plain, EG_BN_TRAIN);
}

static void test_mobile(void **state) {
    (void)state;
    check_network(build_mobile, EG_BN_TRAIN);
    check_network(build_mobile, EG_BN_FROZEN);
}

static void test_residual(void **state) {
    (void)state;
    check_network(build_residual, EG_BN_TRAIN);
    check_network(build_residual, EG_BN_FROZEN);
}

static void test_unfused(void **state) {
    (void)state;
    check_network(build_unfused, EG_BN_TRAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_mobile),
                                       cmocka_unit_test(test_residual),
                                       cmocka_unit_test(test_unfused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
