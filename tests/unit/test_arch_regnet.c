/* RegNet: groups, squeeze-excite of the block's input, the stride on the 3x3 convolution. State dicts: test_zoo.c. */
#include "net_test.h"

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("regnet_y_400mf", 3, 224);
    const eg_graph *g = &net->graph;
    const eg_node *b = node_named(g, EG_OP_CONV, "trunk_output.block2.block2-0.f.b.0");
    assert_int_equal(b->groups, 13); /* 104 / 8 */
    assert_int_equal(b->stride, 2);
    assert_int_equal(node_named(g, EG_OP_SE, "trunk_output.block2.block2-0.f.se")->squeeze, 12);
    assert_int_equal(node_named(g, EG_OP_CONV, "trunk_output.block4.block4-5.f.c.0")->H, 7);
    eg_network_free(net);
    net = network_make("regnet_x_8gf", 3, 64); /* groups of 120, the first stage is only 80 wide */
    g = &net->graph;
    assert_int_equal(node_named(g, EG_OP_CONV, "trunk_output.block1.block1-0.f.b.0")->groups, 1);
    assert_int_equal(node_named(g, EG_OP_CONV, "trunk_output.block2.block2-0.f.b.0")->groups, 2);
    assert_int_equal(count_nodes(g, EG_OP_SE), 0);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
