/* AlexNet: sizes behind the convolutions, dropout in front of the linear layers. State dicts: test_zoo.c. */
#include "net_test.h"

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("alexnet", 3, 224);
    const eg_graph *g = &net->graph;
    assert_int_equal(node_named(g, EG_OP_CONV, "features.0")->H, 55);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.3")->H, 27);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.10")->H, 13);
    assert_int_equal(node_named(g, EG_OP_FLATTEN, "flatten")->C, 256 * 36);
    assert_int_equal(count_nodes(g, EG_OP_DROPOUT), 2);
    assert_int_equal(g->init, EG_INIT_TORCH);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
