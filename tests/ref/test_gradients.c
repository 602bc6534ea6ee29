/* The gradient of every op by central differences (gradient_check.h), on small networks built here. Batch norm runs in both
 * modes; and the same in bf16 against f32. Attention and what goes with it: test_attention.c. */
#include "ref/gradient_check.h"

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
    x = eg_graph_max_pool(g, x, 2, 2, 0, false);
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
    x = eg_graph_se(g, x, "se", 4, EG_ACT_SILU, EG_ACT_SIGMOID);
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

/* branches of rectangular windows put together, average pool, channel shuffle and slices read twice (Inception, ShuffleNet),
 * a max pool whose last window hangs over the end, adaptive pool with overlapping cells, 12 -> 6 -> 4 pixels     */
static eg_status build_branches(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_act(g, eg_graph_conv(g, x, "stem", 8, 3, 1, 0, 1, true), EG_ACT_SILU);
    int branch[4];
    branch[0] = eg_graph_conv_rect(g, x, "tall", 5, (int[]){5, 1}, (int[]){2, 0});
    branch[1] = eg_graph_conv_rect(g, x, "wide", 7, (int[]){1, 3}, (int[]){0, 1});
    branch[2] = eg_graph_conv(g, eg_graph_avg_pool(g, x, 3, 1, 1), "pooled", 4, 1, 1, 0, 1, false);
    branch[3] = x;
    x = eg_graph_act(g, eg_graph_concat(g, branch, 4), EG_ACT_GELU);
    x = eg_graph_max_pool(g, x, 3, 2, 0, true); /* 10 -> 5: the last window has two of three rows */
    x = eg_graph_conv(g, x, "grouped", 24, 3, 1, 1, 4, true);
    x = eg_graph_shuffle(g, eg_graph_act(g, x, EG_ACT_HARDSIGMOID), 3);
    int parts[3] = {eg_graph_slice(g, x, 0, 9), eg_graph_slice(g, x, 9, 15),
                    eg_graph_slice(g, x, 4, 9)};
    parts[0] = eg_graph_conv(g, parts[0], "part", 9, 1, 1, 0, 1, true);
    parts[0] = eg_graph_add(g, parts[0], parts[2]);
    x = eg_graph_shuffle(g, eg_graph_concat(g, parts, 2), 2);
    x = eg_graph_adaptive_pool(g, x, 3);
    eg_graph_linear(g, eg_graph_flatten(g, x), "head", CLASSES, true);
    return done(g);
}

/* ConvNeXt's stem, block and downsampling; a depthwise window with bias in front of batch norm, MobileNetV3's gate */
static eg_status build_convnext(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv(g, x, "stem", 20, 2, 2, 0, 1, true);
    x = eg_graph_layer_norm(g, x, "stem_norm", 1e-6f);
    int y = eg_graph_conv(g, x, "dw", 20, 7, 1, 3, 20, true);
    y = eg_graph_pointwise(g, eg_graph_layer_norm(g, y, "norm", 1e-6f), "grow", 33);
    y = eg_graph_pointwise(g, eg_graph_act(g, y, EG_ACT_GELU), "shrink", 20);
    y = eg_graph_layer_scale(g, y, "layer_scale", 0.7f);
    x = eg_graph_add(g, eg_graph_drop_path(g, y, 0.3f), x);
    x = eg_graph_conv(g, x, "dw2", 20, 3, 2, 1, 20, true);
    x = eg_graph_act(g, eg_graph_bn(g, x, "bn", 1e-3f, 0.1f), EG_ACT_HARDSWISH);
    x = eg_graph_se(g, x, "se", 6, EG_ACT_SILU, EG_ACT_HARDSIGMOID);
    tail(g, x);
    return done(g);
}

/* dropout and drop path on whole maps, SqueezeNet's head of a convolution, MobileNetV3's gate, a depthwise window with bias */
static eg_status build_maps(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_act(g, eg_graph_conv(g, x, "stem", 12, 3, 2, 1, 1, true), EG_ACT_HARDSWISH);
    int y = eg_graph_conv(g, x, "dw", 12, 3, 1, 1, 12, true);
    y = eg_graph_act(g, eg_graph_bn(g, y, "bn", 1e-3f, 0.1f), EG_ACT_HARDSWISH);
    y = eg_graph_se(g, y, "se", 6, EG_ACT_RELU, EG_ACT_HARDSIGMOID);
    x = eg_graph_add(g, eg_graph_drop_path(g, y, 0.3f), x);
    x = eg_graph_conv(g, eg_graph_dropout(g, x, 0.25f), "mix", 17, 1, 1, 0, 1, true);
    x = eg_graph_act(g, x, EG_ACT_SILU);
    eg_graph_features(g, x);
    x = eg_graph_conv_head(g, eg_graph_dropout(g, x, 0.5f), "head", CLASSES);
    eg_graph_mean_pool(g, x);
    return done(g);
}

/* DenseNet: batch norm and activation in front of the convolutions, on what grows by concatenation */
static eg_status build_dense(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv(g, x, "stem", 8, 3, 1, 1, 1, false);
    int all[3] = {x};
    for (int i = 1; i < 3; i++) {
        static const char *const norms[] = {"", "norm1", "norm2"}, *const convs[] = {"", "c1",
                                                                                     "c2"};
        x = i > 1 ? eg_graph_concat(g, all, i) : x;
        x = eg_graph_act(g, eg_graph_bn(g, x, norms[i], 1e-5f, 0.1f), EG_ACT_RELU);
        all[i] = x = eg_graph_conv(g, x, convs[i], 6, 3, 1, 1, 1, false);
    }
    x = eg_graph_act(g, eg_graph_bn(g, eg_graph_concat(g, all, 3), "norm3", 1e-5f, 0.1f),
                     EG_ACT_GELU);
    x = eg_graph_conv(g, eg_graph_avg_pool(g, x, 2, 2, 0), "t", 16, 1, 1, 0, 1, false);
    tail(g, eg_graph_act(g, eg_graph_bn(g, x, "norm4", 1e-5f, 0.1f), EG_ACT_RELU));
    return done(g);
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

static void test_branches(void **state) {
    (void)state;
    check_network(build_branches, EG_BN_TRAIN);
}

static void test_convnext(void **state) {
    (void)state;
    check_float_network(build_convnext, EG_BN_TRAIN);
    check_float_network(build_convnext, EG_BN_FROZEN);
}

static void test_dense(void **state) {
    (void)state;
    check_network(build_dense, EG_BN_TRAIN);
    check_network(build_dense, EG_BN_FROZEN);
}

static void test_maps(void **state) {
    (void)state;
    check_network(build_maps, EG_BN_TRAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_mobile),
        cmocka_unit_test(test_residual), cmocka_unit_test(test_unfused),
        cmocka_unit_test(test_branches), cmocka_unit_test(test_convnext),
        cmocka_unit_test(test_dense),    cmocka_unit_test(test_maps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
