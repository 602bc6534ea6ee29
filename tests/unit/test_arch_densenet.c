/* DenseNets against torchvision's state dicts and metadata; how channels grow; the names of 2017's weights files. */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    arch_check("densenet121");
    arch_check("densenet161");
    arch_check("densenet169");
    arch_check("densenet201");
}

static void growth(void **state) {
    (void)state;
    eg_network *net = network_make("densenet121", 1000, 224);
    const eg_graph *g = &net->graph;
    /* 64 + 6 layers of 32, halved; sides halve with them */
    const eg_node *transition = node_named(g, EG_OP_CONV, "features.transition1.conv");
    assert_int_equal(g->nodes[transition->input[0]].C, 256);
    assert_int_equal(transition->C, 128);
    assert_int_equal(transition->H, 56);
    const eg_node *last = node_named(g, EG_OP_BN, "features.norm5");
    assert_int_equal(last->C, 1024);
    assert_int_equal(last->H, 7);
    assert_int_equal(count_nodes(g, EG_OP_CONCAT), 6 + 12 + 24 + 16);
    assert_int_equal(eg_network_features(net), 1024);
    /* the old channels come first */
    const eg_node *norm = node_named(g, EG_OP_BN, "features.denseblock1.denselayer2.norm1");
    const eg_node *concat = &g->nodes[norm->input[0]];
    assert_int_equal(concat->op, EG_OP_CONCAT);
    assert_int_equal(g->nodes[concat->input[0]].C, 64);
    assert_int_equal(g->nodes[concat->input[1]].C, 32);
    eg_network_free(net);
}

static void names(void **state) {
    (void)state;
    static const char *const PAIRS[][2] = {{"features.denseblock1.denselayer1.norm1.weight",
                                            "features.denseblock1.denselayer1.norm.1.weight"},
                                           {"features.denseblock4.denselayer32.conv2.weight",
                                            "features.denseblock4.denselayer32.conv.2.weight"},
                                           {"features.denseblock2.denselayer9.norm2.running_var",
                                            "features.denseblock2.denselayer9.norm.2.running_var"}};
    static const char *const SAME[] = {"",
                                       "features.conv0.weight",
                                       "features.norm5.weight",
                                       "features.transition1.norm.weight",
                                       "classifier.weight",
                                       "features.denseblock1.denselayer1",
                                       "features.denseblock1.denselayer1.relu1"};
    const eg_arch *arch = eg_arch_entry(eg_arch_find("densenet201"));
    char out[256];
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        assert_true(arch->foreign_name(out, arch, PAIRS[i][0]));
        assert_string_equal(out, PAIRS[i][1]);
    }
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++)
        assert_false(arch->foreign_name(out, arch, SAME[i]));
}

static void training(void **state) {
    (void)state;
    train_smoke("densenet121", 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts), cmocka_unit_test(growth),
                                       cmocka_unit_test(names), cmocka_unit_test(training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
