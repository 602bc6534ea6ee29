/* GoogLeNet and Inception v3 against torchvision's state dicts and metadata; auxiliary heads: where they branch off, their
 * weights, what belongs to them, and small sides. */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    arch_check("googlenet");
    arch_check("inception_v3");
}

static void check_aux(const eg_network *net, const char *head, float weight, const char *conv,
                      int reads_C, int reads_H) {
    const eg_graph *g = &net->graph;
    const eg_node *node = node_named(g, EG_OP_LINEAR, head);
    assert_true(node->is_head && node->aux_weight == weight);
    node = node_named(g, EG_OP_CONV, conv);
    const eg_node *source = &g->nodes[node->input[0]]; /* a pool */
    source = &g->nodes[source->input[0]];
    assert_int_equal(source->op, EG_OP_CONCAT);
    assert_int_equal(source->C, reads_C);
    assert_int_equal(source->H, reads_H);
}

static void auxiliary(void **state) {
    (void)state;
    eg_network *net = network_make("googlenet", 9, 224);
    check_aux(net, "aux1.fc2", 0.3f, "aux1.conv.conv", 512, 14);
    check_aux(net, "aux2.fc2", 0.3f, "aux2.conv.conv", 528, 14);
    assert_int_equal(eg_network_features(net), 1024);
    for (int i = 0; i < net->graph.n_tensors; i++) {
        const eg_net_tensor *t = &net->graph.tensors[i];
        assert_int_equal(t->is_aux, strncmp(t->name, "aux", 3) == 0);
        assert_int_equal(t->is_head, strncmp(t->name, "fc.", 3) == 0 || strstr(t->name, ".fc2."));
    }
    const eg_graph *g = &net->graph;
    assert_true(node_named(g, EG_OP_BN, "inception3a.branch1.bn")->epsilon == 1e-3f);
    assert_false(g->nodes[g->n_nodes - 1].aux_weight > 0); /* the main head is the last node */
    eg_network_free(net);

    net = network_make("inception_v3", 9, 299);
    check_aux(net, "AuxLogits.fc", 0.4f, "AuxLogits.conv0.conv", 768, 17);
    assert_int_equal(eg_network_features(net), 2048);
    const eg_node *conv = node_named(&net->graph, EG_OP_CONV, "Mixed_6b.branch7x7_2.conv");
    assert_true(conv->kernel == 1 && conv->kernel_w == 7 && conv->pad_before == 0 &&
                conv->pad_left == 3 && conv->H == 17 && conv->W == 17);
    /* from 299 on the auxiliary windows fit without padding */
    conv = node_named(&net->graph, EG_OP_CONV, "AuxLogits.conv1.conv");
    assert_true(conv->pad_before == 0 && conv->H == 1);
    eg_network_free(net);

    net = network_make("inception_v3", 9, 128); /* smaller: padded, the same tensors */
    conv = node_named(&net->graph, EG_OP_CONV, "AuxLogits.conv1.conv");
    assert_true(conv->pad_before > 0 && conv->H >= 1);
    assert_int_equal(net->graph.n_tensors, arch_golden_read("inception_v3").tensors);
    eg_network_free(net);
}

static void training(void **state) {
    (void)state;
    train_smoke("googlenet", 64);
    train_smoke("inception_v3", 96);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts), cmocka_unit_test(auxiliary),
                                       cmocka_unit_test(training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
