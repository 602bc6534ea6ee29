/* SqueezeNets against torchvision's state dicts and metadata; sides after the rounded-up pools; the head that is a
 * convolution. */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    arch_check("squeezenet1_0");
    arch_check("squeezenet1_1");
}

static void check_head(const char *model, int side, int last_side) {
    eg_network *net = network_make(model, 5, side);
    const eg_graph *g = &net->graph;
    const eg_node *head = node_named(g, EG_OP_CONV, "classifier.1");
    assert_true(head->is_head && eg_arch_find(model)->conv_head);
    assert_int_equal(head->C, 5);
    assert_int_equal(head->H, last_side);
    const eg_node *out = &g->nodes[g->n_nodes - 1];
    assert_int_equal(out->op, EG_OP_MEAN_POOL);
    assert_int_equal(out->C, 5);
    int n_features = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].is_features) {
            n_features++;
            assert_int_equal(g->nodes[i].C, 512);
            assert_int_equal(g->nodes[i].H, 1);
        }
    assert_int_equal(n_features, 1);
    assert_int_equal(eg_network_features(net), 512);
    assert_true(eg_network_tensor(net, "classifier.1.weight")->is_head);
    assert_true(eg_network_tensor(net, "classifier.1.bias")->is_head);
    eg_network_free(net);
}

/* torchvision, features(x).shape: 224 -> 109 -> 54 -> 27 -> 13 for 1_0; 111 -> 55 -> 27 -> 13 for 1_1; 65 rounds up differently */
static void heads(void **state) {
    (void)state;
    check_head("squeezenet1_0", 224, 13);
    check_head("squeezenet1_1", 224, 13);
    check_head("squeezenet1_0", 65, 3);
    check_head("squeezenet1_1", 65, 4);
}

static void training(void **state) {
    (void)state;
    train_smoke("squeezenet1_0", 64);
    train_smoke("squeezenet1_1", 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts), cmocka_unit_test(heads),
                                       cmocka_unit_test(training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
