/* EfficientNet V2: fused stages first, widths not scaled, stochastic depth. State dicts: test_zoo.c. */
#include "net_test.h"

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("efficientnet_v2_s", 3, 384);
    const eg_graph *g = &net->graph;
    assert_int_equal(node_named(g, EG_OP_CONV, "features.2.0.block.0.0")->kernel, 3);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.2.0.block.0.0")->C, 96);
    assert_int_equal(node_named(g, EG_OP_DWCONV, "features.4.0.block.1.0")->stride, 2);
    assert_int_equal(node_named(g, EG_OP_SE, "features.4.1.block.2")->squeeze, 32);
    assert_int_equal(count_nodes(g, EG_OP_SE), 6 + 9 + 15);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.7.0")->C, 1280);
    assert_true(node_named(g, EG_OP_BN, "features.7.1")->epsilon == 1e-3f);
    assert_true(node_named(g, EG_OP_DROPOUT, "dropout")->rate == 0.2f);
    /* the last of 40 blocks: 0.2 * 39 / 40 */
    float most = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EG_OP_DROP_PATH && g->nodes[i].rate > most) most = g->nodes[i].rate;
    assert_true(fabsf(most - 0.195f) < 1e-6f);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
