/* The graph builder: shapes (also against a brute-force count of windows), tensors, and its failures. */
#include "net_test.h"

static void begin(eg_graph *g) {
    *g = (eg_graph){.arena = eg_arena_new(0, 0)};
    assert_non_null(g->arena);
}

/* Windows of TensorFlow's "same" and of symmetric padding, against counting. */
static void windows(void **state) {
    (void)state;
    for (int side = 1; side < 20; side++)
        for (int kernel = 1; kernel <= 7; kernel++)
            for (int stride = 1; stride <= 3; stride++)
                for (int pad = EG_PAD_SAME_TF; pad <= 3; pad++) {
                    eg_graph g;
                    begin(&g);
                    int x = eg_graph_input(&g, side, side, 3);
                    x = eg_graph_conv(&g, x, "c", 4, kernel, stride, pad, 1, false);
                    int fit = 0;
                    if (pad >= 0) {
                        for (int at = -pad; at + kernel <= side + pad; at += stride) fit++;
                        assert_int_equal(g.status == EG_OK, fit > 0);
                    } else {
                        fit = (side + stride - 1) / stride;
                    }
                    if (g.status == EG_OK) {
                        const eg_node *node = &g.nodes[x];
                        assert_int_equal(node->H, fit);
                        assert_int_equal(node->W, fit);
                        assert_int_equal(node->C, 4);
                        int behind = node->pad_after - node->pad_before;
                        assert_true(pad < 0 ? behind == 0 || behind == 1 : behind == 0);
                        /* padding is as small as it can be: one pixel less loses a window */
                        int room = side + node->pad_before + node->pad_after - kernel;
                        if (pad < 0 && node->pad_after > 0)
                            assert_int_equal(room, (fit - 1) * stride);
                    } else {
                        assert_int_equal(g.status, EG_ERR_USAGE);
                    }
                    eg_graph_free(&g);
                }
}

static void modules(void **state) {
    (void)state;
    eg_graph g;
    begin(&g);
    int x = eg_graph_input(&g, 9, 9, 6);
    int grouped = eg_graph_conv(&g, x, "grouped", 8, 3, 2, 1, 2, true);
    int deep = eg_graph_conv(&g, grouped, "deep", 8, 3, 1, 1, 8, false);
    int bn = eg_graph_bn(&g, deep, "bn", 1e-3f, 0.01f);
    int se = eg_graph_se(&g, bn, "se", 2, EG_ACT_SILU, EG_ACT_SIGMOID);
    int sum = eg_graph_add(&g, se, grouped);
    assert_int_equal(eg_graph_drop_path(&g, sum, 0), sum);
    assert_int_equal(eg_graph_act(&g, sum, EG_ACT_NONE), sum);
    int pool = eg_graph_max_pool(&g, sum, 3, 2, 1, false);
    int flat = eg_graph_flatten(&g, pool);
    int out = eg_graph_linear(&g, flat, "head", 3, true);
    assert_int_equal(g.status, EG_OK);
    assert_int_equal(g.nodes[grouped].op, EG_OP_CONV);
    assert_int_equal(g.nodes[deep].op, EG_OP_DWCONV);
    assert_int_equal(g.nodes[sum].H, 5);
    assert_int_equal(g.nodes[pool].H, 3);
    assert_int_equal(g.nodes[flat].C, 72);
    assert_int_equal(g.nodes[out].C, 3);
    static const char *const EXPECTED[] = {"grouped.weight 8 3 3 3",
                                           "grouped.bias 8",
                                           "deep.weight 8 1 3 3",
                                           "bn.weight 8",
                                           "bn.bias 8",
                                           "bn.running_mean 8",
                                           "bn.running_var 8",
                                           "bn.num_batches_tracked",
                                           "se.fc1.weight 2 8 1 1",
                                           "se.fc1.bias 2",
                                           "se.fc2.weight 8 2 1 1",
                                           "se.fc2.bias 8",
                                           "head.weight 3 72",
                                           "head.bias 3"};
    assert_int_equal(g.n_tensors, 14);
    for (int i = 0; i < g.n_tensors; i++) {
        char text[128];
        int used = snprintf(text, sizeof text, "%s", g.tensors[i].name);
        for (int d = 0; d < g.tensors[i].n_dims; d++)
            used +=
                snprintf(text + used, sizeof text - (size_t)used, " %d", (int)g.tensors[i].dims[d]);
        assert_string_equal(text, EXPECTED[i]);
        assert_int_equal(g.tensors[i].is_head, i >= 12);
        bool parameter = g.tensors[i].role == EG_TENSOR_PARAMETER;
        assert_int_equal(parameter, i < 5 || i > 7);
        assert_int_equal(g.tensors[i].trainable, parameter);
    }
    eg_graph_free(&g);
}

/* The first failure stays, later calls do nothing. */
static void failures(void **state) {
    (void)state;
    eg_graph g;
    begin(&g);
    int a = eg_graph_input(&g, 4, 4, 3), b = eg_graph_max_pool(&g, a, 2, 2, 0, false);
    assert_int_equal(eg_graph_add(&g, a, b), 0);
    assert_int_equal(g.status, EG_ERR_INTERNAL);
    assert_non_null(strstr(g.error.text, "4x4x3"));
    int nodes = g.n_nodes;
    assert_int_equal(eg_graph_conv(&g, a, "c", 4, 1, 1, 0, 1, false), 0);
    assert_int_equal(g.n_nodes, nodes);
    assert_int_equal(g.n_tensors, 0);
    eg_graph_free(&g);

    begin(&g);
    a = eg_graph_input(&g, 4, 4, 3);
    eg_graph_conv(&g, a, "c", 4, 1, 1, 0, 2, false);
    assert_int_equal(g.status, EG_ERR_INTERNAL);
    eg_graph_free(&g);

    begin(&g);
    a = eg_graph_input(&g, 4, 4, 3);
    eg_graph_linear(&g, a, "fc", 4, true);
    assert_int_equal(g.status, EG_ERR_INTERNAL);
    eg_graph_free(&g);
}

/* The plan has places for EG_MAX_AUX auxiliary losses, and a weight of 0 would make the head the main one. */
static void auxiliary_heads(void **state) {
    (void)state;
    eg_graph g;
    begin(&g);
    int x = eg_graph_input(&g, 1, 1, 8);
    for (int i = 0; i < EG_MAX_AUX; i++)
        assert_true(g.nodes[eg_graph_aux_head(&g, x, "aux", 4, 0.3f)].aux_weight > 0);
    assert_int_equal(g.status, EG_OK);
    assert_int_equal(eg_graph_aux_head(&g, x, "aux", 4, 0.3f), 0);
    assert_int_equal(g.status, EG_ERR_INTERNAL);
    eg_graph_free(&g);
    const float refused[] = {0.0f, -1.0f, NAN};
    for (int i = 0; i < 3; i++) {
        begin(&g);
        x = eg_graph_input(&g, 1, 1, 8);
        eg_graph_aux_head(&g, x, "aux", 4, refused[i]);
        assert_int_equal(g.status, EG_ERR_INTERNAL);
        assert_int_equal(g.n_tensors, 0);
        eg_graph_free(&g);
    }
}

static void expect_conv(const eg_graph *g, int i, const int size[2], const int pads[4]) {
    const eg_node *n = &g->nodes[i];
    assert_true(n->H == size[0] && n->W == size[1]);
    assert_true(n->pad_before == pads[0] && n->pad_after == pads[1] && n->pad_left == pads[2] &&
                n->pad_right == pads[3]);
}

/* Rows and columns are padded each for itself; the windows that torch's ceil_mode adds; wide windows. */
static void both_ways(void **state) {
    (void)state;
    eg_graph g;
    begin(&g); /* "same": a stride of 2 over 4 and 5 pixels */
    int a = eg_graph_input(&g, 4, 5, 4);
    int conv = eg_graph_conv(&g, a, "c", 4, 4, 2, EG_PAD_SAME_TF, 1, false);
    expect_conv(&g, conv, (int[]){2, 3}, (int[]){1, 1, 1, 2});
    int wide = eg_graph_conv_rect(&g, a, "w", 6, (int[]){1, 3}, (int[]){0, 1});
    expect_conv(&g, wide, (int[]){4, 5}, (int[]){0, 0, 1, 1});
    assert_true(g.tensors[g.nodes[wide].tensor[0]].dims[2] == 1 &&
                g.tensors[g.nodes[wide].tensor[0]].dims[3] == 3);
    /* torch.nn.MaxPool2d(3, 2, ceil_mode=True): 4 -> 2, 5 -> 2 */
    expect_conv(&g, eg_graph_max_pool(&g, a, 3, 2, 0, true), (int[]){2, 2}, (int[]){0, 1, 0, 0});
    /* MaxPool2d(2, 2, padding=1, ceil_mode=True) on 5: a fourth window would start in the padding */
    expect_conv(&g, eg_graph_max_pool(&g, a, 2, 2, 1, true), (int[]){3, 3}, (int[]){1, 1, 1, 1});
    int parts[] = {a, wide}, cat = eg_graph_concat(&g, parts, 2);
    assert_int_equal(g.nodes[cat].C, 10);
    int slice = eg_graph_slice(&g, cat, 4, 6);
    assert_true(g.nodes[slice].C == 6 && g.nodes[slice].first == 4);
    int pooled = eg_graph_adaptive_pool(&g, slice, 2);
    assert_true(g.nodes[pooled].H == 2 && g.nodes[pooled].W == 2 && g.nodes[pooled].C == 6);
    assert_int_equal(eg_graph_adaptive_pool(&g, pooled, 2), pooled); /* nothing to do */
    assert_int_equal(g.status, EG_OK);
    eg_graph_slice(&g, cat, 5, 6);
    assert_int_equal(g.status, EG_ERR_INTERNAL);
    eg_graph_free(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(windows), cmocka_unit_test(modules),
                                       cmocka_unit_test(failures), cmocka_unit_test(both_ways),
                                       cmocka_unit_test(auxiliary_heads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
