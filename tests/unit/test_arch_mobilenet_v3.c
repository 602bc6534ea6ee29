/* MobileNet V3: activations, squeeze-excite with its hardsigmoid, the hidden linear layer. State dicts: test_zoo.c. */
#include "net_test.h"

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("mobilenet_v3_large", 3, 224);
    const eg_graph *g = &net->graph;
    const eg_node *se = node_named(g, EG_OP_SE, "features.4.block.2");
    assert_int_equal(se->squeeze,
                     24); /* 72 / 4 = 18, to a multiple of 8 and not more than 10 % down */
    assert_int_equal(se->act, EG_ACT_RELU);
    assert_int_equal(se->gate, EG_ACT_HARDSIGMOID);
    assert_int_equal(node_named(g, EG_OP_DWCONV, "features.13.block.1.0")->kernel, 5);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.16.0")->C, 960);
    assert_int_equal(node_named(g, EG_OP_LINEAR, "classifier.0")->C, 1280);
    assert_false(node_named(g, EG_OP_LINEAR, "classifier.0")->is_head);
    assert_int_equal(eg_network_features(net), 1280);
    assert_true(node_named(g, EG_OP_BN, "features.0.1")->epsilon == 1e-3f);
    assert_true(node_named(g, EG_OP_BN, "features.0.1")->momentum == 0.01f);
    eg_network_free(net);
    net = network_make("mobilenet_v3_small", 3, 224);
    assert_int_equal(eg_network_features(net), 1024);
    assert_int_equal(count_nodes(&net->graph, EG_OP_SE), 9);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
