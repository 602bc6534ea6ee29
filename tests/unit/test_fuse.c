/* Fusion: which nodes merge on real networks, and the cases where merging would be wrong. That a fused network computes
 * the same is shown by the parity tests. */
#include "net_test.h"

/* Inputs come first, shapes agree, every node but the last is read. */
static void check_graph(const eg_graph *g) {
    bool *read = calloc((size_t)g->n_nodes, sizeof *read);
    assert_non_null(read);
    for (int i = 0; i < g->n_nodes; i++) {
        const eg_node *node = &g->nodes[i];
        for (int k = 0; k < node->n_inputs; k++) {
            assert_in_range(node->input[k], 0, i - 1);
            read[node->input[k]] = true;
        }
        if (node->op == EG_OP_BN) {
            for (int k = 0; k < node->n_inputs; k++) {
                assert_int_equal(g->nodes[node->input[k]].C, node->C);
                assert_int_equal(g->nodes[node->input[k]].H, node->H);
            }
        }
    }
    for (int i = 0; i < g->n_nodes - 1; i++) assert_true(read[i]);
    free(read);
}

static void resnets(void **state) {
    (void)state;
    eg_network *net = network_make("resnet50", 2, 64);
    const eg_graph *g = &net->fused;
    check_graph(g);
    assert_int_equal(g->n_nodes,
                     1 + 53 + 53 + 1 + 1 + 1); /* input, conv, bn, max pool, mean pool, linear */
    assert_int_equal(count_nodes(g, EG_OP_CONV), 53);
    assert_int_equal(count_nodes(g, EG_OP_BN), 53);
    assert_ptr_equal(g->tensors, net->graph.tensors);

    /* the main branch takes the sum and the activation, the shortcut's batch norm stays alone */
    const eg_node *last = node_named(g, EG_OP_BN, "layer2.0.bn3");
    assert_int_equal(last->n_inputs, 2);
    assert_int_equal(last->act, EG_ACT_RELU);
    const eg_node *shortcut = &g->nodes[last->input[1]];
    assert_string_equal(shortcut->name, "layer2.0.downsample.1");
    assert_int_equal(shortcut->n_inputs, 1);
    assert_int_equal(shortcut->act, EG_ACT_NONE);
    assert_string_equal(g->nodes[last->input[0]].name, "layer2.0.conv3");
    /* the next block adds that block's output */
    const eg_node *next = node_named(g, EG_OP_BN, "layer2.1.bn3");
    assert_ptr_equal(&g->nodes[next->input[1]], last);
    assert_int_equal(node_named(g, EG_OP_BN, "layer2.0.bn1")->act, EG_ACT_RELU);
    eg_network_free(net);
}

static void efficientnets(void **state) {
    (void)state;
    eg_network *net = network_make("efficientnet_b0", 2, 64);
    const eg_graph *g = &net->fused;
    check_graph(g);
    assert_int_equal(g->n_nodes,
                     1 + 49 + 49 + 16 + 3); /* input, conv, bn, SE; pool, dropout, linear */
    const eg_node *sum = node_named(g, EG_OP_BN, "features.2.1.block.3.1");
    assert_int_equal(sum->n_inputs, 2);
    assert_true(sum->rate == (float)(0.2 * 2 / 16)); /* third block of sixteen */
    assert_int_equal(sum->act, EG_ACT_NONE);
    assert_string_equal(g->nodes[sum->input[1]].name, "features.2.0.block.3.1");
    const eg_node *plain = node_named(g, EG_OP_BN, "features.2.0.block.3.1");
    assert_int_equal(plain->n_inputs, 1);
    assert_true(plain->rate == 0);
    assert_int_equal(node_named(g, EG_OP_BN, "features.0.1")->act, EG_ACT_SILU);
    eg_network_free(net);

    net = network_make("efficientnet_lite1", 2, 64);
    check_graph(&net->fused);
    assert_int_equal(count_nodes(&net->fused, EG_OP_ADD) + count_nodes(&net->fused, EG_OP_ACT) +
                         count_nodes(&net->fused, EG_OP_DROP_PATH),
                     0);
    eg_network_free(net);
}

static void begin(eg_graph *g) {
    *g = (eg_graph){.arena = eg_arena_new(0, 0)};
    assert_non_null(g->arena);
}

static void end(eg_graph *g, eg_graph *fused) {
    eg_free(fused->nodes);
    eg_graph_free(g);
}

/* Values that others read must stay. */
static void shared_values(void **state) {
    (void)state;
    eg_graph g, f;
    begin(&g);
    int x = eg_graph_input(&g, 4, 4, 8);
    int bn = eg_graph_bn(&g, x, "bn", 1e-5f, 0.1f);
    int act = eg_graph_act(&g, bn, EG_ACT_RELU);
    eg_graph_linear(&g, eg_graph_mean_pool(&g, eg_graph_add(&g, act, bn)), "fc", 2, true);
    assert_int_equal(eg_graph_fuse(&f, &g, NULL), EG_OK);
    check_graph(&f);
    assert_int_equal(f.n_nodes, g.n_nodes); /* nothing merges: bn has two readers */
    end(&g, &f);

    begin(&g); /* bn, drop path read twice: not merged; the activation of the sum is nobody's */
    x = eg_graph_input(&g, 4, 4, 8);
    int drop = eg_graph_drop_path(&g, eg_graph_bn(&g, x, "bn", 1e-5f, 0.1f), 0.5f);
    int sum = eg_graph_add(&g, drop, x);
    int other = eg_graph_add(&g, sum, drop);
    eg_graph_linear(&g, eg_graph_mean_pool(&g, eg_graph_act(&g, other, EG_ACT_RELU)), "fc", 2,
                    true);
    assert_int_equal(eg_graph_fuse(&f, &g, NULL), EG_OK);
    check_graph(&f);
    assert_int_equal(f.n_nodes, g.n_nodes);
    end(&g, &f);

    begin(&g); /* bn + itself */
    x = eg_graph_input(&g, 4, 4, 8);
    bn = eg_graph_bn(&g, x, "bn", 1e-5f, 0.1f);
    eg_graph_linear(&g, eg_graph_mean_pool(&g, eg_graph_add(&g, bn, bn)), "fc", 2, true);
    assert_int_equal(eg_graph_fuse(&f, &g, NULL), EG_OK);
    check_graph(&f);
    assert_int_equal(f.n_nodes, g.n_nodes);
    end(&g, &f);

    begin(&g); /* the sum is read twice: bn + add merge, the activation does not */
    x = eg_graph_input(&g, 4, 4, 8);
    bn = eg_graph_bn(&g, x, "bn", 1e-5f, 0.1f);
    sum = eg_graph_add(&g, x, bn); /* second argument: merges as well, the first is no batch norm */
    act = eg_graph_act(&g, sum, EG_ACT_RELU);
    eg_graph_linear(&g, eg_graph_mean_pool(&g, eg_graph_add(&g, act, sum)), "fc", 2, true);
    assert_int_equal(eg_graph_fuse(&f, &g, NULL), EG_OK);
    check_graph(&f);
    assert_int_equal(f.n_nodes, g.n_nodes - 1);
    assert_int_equal(node_named(&f, EG_OP_BN, "bn")->act, EG_ACT_NONE);
    assert_int_equal(node_named(&f, EG_OP_BN, "bn")->n_inputs, 2);
    end(&g, &f);
}

/* Nodes behind which nothing comes are dropped, and do not count as readers. */
static void dead_nodes(void **state) {
    (void)state;
    eg_graph g, f;
    begin(&g);
    int x = eg_graph_input(&g, 4, 4, 8);
    int bn = eg_graph_bn(&g, x, "bn", 1e-5f, 0.1f);
    eg_graph_act(&g, eg_graph_bn(&g, bn, "dead", 1e-5f, 0.1f), EG_ACT_SILU);
    int act = eg_graph_act(&g, bn, EG_ACT_RELU);
    eg_graph_linear(&g, eg_graph_mean_pool(&g, act), "fc", 2, true);
    assert_int_equal(eg_graph_fuse(&f, &g, NULL), EG_OK);
    check_graph(&f);
    assert_int_equal(f.n_nodes, 4); /* input, bn + act, pool, linear */
    assert_int_equal(f.nodes[1].act, EG_ACT_RELU);
    end(&g, &f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(resnets), cmocka_unit_test(efficientnets),
                                       cmocka_unit_test(shared_values),
                                       cmocka_unit_test(dead_nodes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
