/* MNASNet: channels of the multipliers, momentum, which layers stay. State dicts: test_zoo.c. */
#include "net_test.h"

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("mnasnet0_5", 3, 224);
    const eg_graph *g = &net->graph;
    assert_int_equal(node_named(g, EG_OP_CONV, "layers.0")->C, 16);
    assert_int_equal(node_named(g, EG_OP_CONV, "layers.6")->C, 8);
    assert_int_equal(node_named(g, EG_OP_CONV, "layers.8.0.layers.6")->C,
                     16); /* 12 would be 25 % up */
    assert_int_equal(node_named(g, EG_OP_CONV, "layers.14")->C, 1280);
    assert_int_equal(node_named(g, EG_OP_CONV, "layers.14")->H, 7);
    assert_true(node_named(g, EG_OP_BN, "layers.15")->momentum == 0.0003f);
    assert_int_equal(count_nodes(g, EG_OP_ADD), 10);
    eg_network_free(net);
    net = network_make("mnasnet1_3", 3, 224);
    assert_int_equal(node_named(&net->graph, EG_OP_CONV, "layers.13.0.layers.6")->C, 416);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
