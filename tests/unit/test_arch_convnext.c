/* ConvNeXts against torchvision's state dicts and metadata; stochastic depth, windows and norms. */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    arch_check("convnext_tiny");
    arch_check("convnext_small");
    arch_check("convnext_base");
    arch_check("convnext_large");
}

static void blocks(void **state) {
    (void)state;
    eg_network *net = network_make("convnext_tiny", 7, 224);
    const eg_graph *g = &net->graph;
    const eg_node *deep = node_named(g, EG_OP_DWCONV, "features.3.2.block.0");
    assert_true(deep->kernel == 7 && deep->pad_before == 3 && deep->tensor[1] >= 0);
    assert_int_equal(deep->H, 28);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.3.2.block.3")->C, 4 * 192);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.6.1")->H, 7);
    const eg_node *norm = node_named(g, EG_OP_LAYER_NORM, "classifier.0");
    assert_true(norm->epsilon == 1e-6f && norm->H == 1 && norm->C == 768);
    const eg_node *scale = node_named(g, EG_OP_LAYER_SCALE, "features.7.2.layer_scale");
    assert_true(scale->initial == 1e-6f);
    assert_string_equal(g->tensors[scale->tensor[0]].name, scale->name);
    assert_int_equal(eg_network_features(net), 768);
    /* depth: 17 of 18 blocks drop, from 0.1 / 17 to 0.1 */
    assert_int_equal(count_nodes(g, EG_OP_DROP_PATH), 17);
    float last = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EG_OP_DROP_PATH) {
            assert_true(g->nodes[i].rate > last);
            last = g->nodes[i].rate;
        }
    assert_true(last == 0.1f);
    eg_network_free(net);
}

/* The declared factor is found by its name, and no tensor is declared twice. */
static void declared_once(void **state) {
    (void)state;
    eg_network *net = network_make("convnext_tiny", 7, 64);
    for (int i = 0; i < net->graph.n_tensors; i++)
        assert_ptr_equal(eg_network_tensor(net, net->graph.tensors[i].name),
                         &net->graph.tensors[i]);
    eg_network_free(net);
}

static void training(void **state) {
    (void)state;
    train_smoke("convnext_tiny", 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts), cmocka_unit_test(blocks),
                                       cmocka_unit_test(declared_once), cmocka_unit_test(training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
