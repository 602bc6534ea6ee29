/* EfficientNet-B0 against torchvision's state dict and metadata, and the numbers that a state dict does not show. */
#include "net_test.h"

static void state_dict(void **state) {
    (void)state;
    arch_check("efficientnet_b0");
}

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("efficientnet_b0", 1000, 224);
    const eg_graph *g = &net->graph;
    const eg_node *bn = node_named(g, EG_OP_BN, "features.3.0.block.1.1");
    assert_true(bn->epsilon == 1e-5f && bn->momentum == 0.1f);
    assert_true(node_named(g, EG_OP_DROPOUT, "dropout")->rate == 0.2f);
    assert_int_equal(node_named(g, EG_OP_SE, "features.3.0.block.2")->squeeze, 6); /* 24 / 4 */
    const eg_node *deep = node_named(g, EG_OP_DWCONV, "features.3.0.block.1.0");
    assert_int_equal(deep->kernel, 5);
    assert_int_equal(deep->pad_before, 2);
    assert_int_equal(deep->pad_after, 2);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.8.0")->H, 7);
    /* stochastic depth only where there is a sum, rate 0.2 i / 16 */
    static const int SUMMED[] = {2, 4, 6, 7, 9, 10, 12, 13, 14};
    int k = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EG_OP_DROP_PATH) {
            assert_true(k < 9);
            assert_true(g->nodes[i].rate == (float)(0.2 * SUMMED[k] / 16));
            k++;
        }
    assert_int_equal(k, 9);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dict), cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
