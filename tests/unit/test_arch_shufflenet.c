/* ShuffleNets V2 against torchvision's state dicts and metadata; the two kinds of unit. */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    arch_check("shufflenet_v2_x0_5");
    arch_check("shufflenet_v2_x1_0");
    arch_check("shufflenet_v2_x1_5");
    arch_check("shufflenet_v2_x2_0");
}

static void units(void **state) {
    (void)state;
    eg_network *net = network_make("shufflenet_v2_x1_0", 7, 224);
    const eg_graph *g = &net->graph;
    const eg_node *deep = node_named(g, EG_OP_DWCONV, "stage3.0.branch1.0");
    assert_int_equal(deep->stride, 2);
    assert_int_equal(deep->C, 116); /* all channels of the stage before */
    assert_int_equal(deep->H, 14);
    assert_int_equal(node_named(g, EG_OP_CONV, "stage3.0.branch2.0")->C, 116);
    /* stride 1: the second half is worked on, the first passed on */
    const eg_node *first = node_named(g, EG_OP_CONV, "stage3.1.branch2.0");
    const eg_node *slice = &g->nodes[first->input[0]];
    assert_int_equal(slice->op, EG_OP_SLICE);
    assert_int_equal(slice->first, 116);
    assert_int_equal(slice->C, 116);
    assert_int_equal(count_nodes(g, EG_OP_SHUFFLE), 16);
    assert_int_equal(count_nodes(g, EG_OP_SLICE), 2 * 13);
    assert_int_equal(eg_network_features(net), 1024);
    eg_network_free(net);
}

static void training(void **state) {
    (void)state;
    train_smoke("shufflenet_v2_x0_5", 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts), cmocka_unit_test(units),
                                       cmocka_unit_test(training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
