/* MobileNet V2: numbers of modules, ReLU6 but not behind the projection, shortcuts. State dicts: test_zoo.c. */
#include "net_test.h"

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("mobilenet_v2", 3, 224);
    const eg_graph *g = &net->graph;
    assert_int_equal(node_named(g, EG_OP_DWCONV, "features.1.conv.0.0")->C, 32);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.2.conv.0.0")->C, 96);
    assert_int_equal(node_named(g, EG_OP_DWCONV, "features.2.conv.1.0")->stride, 2);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.17.conv.2")->C, 320);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.18.0")->H, 7);
    assert_int_equal(count_nodes(g, EG_OP_ADD), 10);
    assert_int_equal(count_nodes(g, EG_OP_ACT), 35);
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EG_OP_ACT) assert_int_equal(g->nodes[i].act, EG_ACT_RELU6);
    assert_int_equal(g->init, EG_INIT_NORMAL001);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
