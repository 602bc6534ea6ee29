/* The builder's modules of transformers: shapes, tensors declared ahead, mistakes, and the constant index. */
#include "net_test.h"

static int begin(eg_graph *g, int H, int W, int C) {
    *g = (eg_graph){.arena = eg_arena_new(0, 0)};
    assert_non_null(g->arena);
    return eg_graph_input(g, H, W, C);
}

static void shapes(void **state) {
    (void)state;
    eg_graph g;
    int x = begin(&g, 6, 7, 12);
    int token = eg_graph_tensor(&g, EG_TENSOR_PARAMETER, "first", 3, (int64_t[]){1, 1, 12});
    int weight = eg_graph_tensor(&g, EG_TENSOR_PARAMETER, "w", 2, (int64_t[]){36, 12});
    assert_int_equal(eg_graph_canvas(&g, x, 6, 7), x); /* nothing to do */
    int merged = eg_graph_patch_merge(&g, x);          /* 6 x 7: a column of zeros first */
    assert_true(g.nodes[merged].H == 3 && g.nodes[merged].W == 4 && g.nodes[merged].C == 48);
    assert_int_equal(g.nodes[g.nodes[merged].input[0]].W, 8);
    int many = eg_graph_tokens(&g, x, token, "where");
    assert_true(g.nodes[many].H == 1 && g.nodes[many].W == 43 && g.nodes[many].C == 12);
    const eg_net_tensor *where = &g.tensors[g.nodes[many].tensor[1]];
    assert_string_equal(where->name, "where");
    assert_true(where->n_dims == 3 && where->dims[1] == 43 && where->count == 43 * 12);
    int qkv = eg_graph_dense(&g, many, "qkv", weight, -1);
    assert_true(g.nodes[qkv].op == EG_OP_CONV && g.nodes[qkv].C == 36);
    int y = eg_graph_attention(&g, qkv, "core", &(eg_attention){.heads = 4});
    assert_true(g.nodes[y].C == 12 && g.nodes[y].W == 43 && g.nodes[y].tensor[0] == -1);
    assert_int_equal(g.nodes[eg_graph_token(&g, y)].W, 1);
    assert_int_equal(g.status, EG_OK);
    assert_string_equal(g.tensors[0].name, "first");
    eg_graph_free(&g);
}

/* kind 0: heads do not divide, 1: windows do not, 2: shift as wide as the window, 3: a weight of another width */
static void mistakes(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        eg_graph g;
        int x = begin(&g, 6, 6, 12);
        int weight = eg_graph_tensor(&g, EG_TENSOR_PARAMETER, "w", 2, (int64_t[]){36, 11});
        eg_attention a = {2, kind == 1 ? 4 : 3, kind == 2 ? 3 : 1, weight, -1};
        if (kind == 0) a.heads = 5;
        int y = kind == 3 ? eg_graph_dense(&g, x, "oops", weight, -1)
                          : eg_graph_attention(&g, x, "oops", &a);
        assert_int_equal(y, 0);
        assert_int_equal(g.status, EG_ERR_INTERNAL);
        assert_non_null(strstr(g.error.text, "oops"));
        assert_int_equal(eg_graph_patch_merge(&g, x), 0);
        assert_int_equal(g.n_nodes, 1);
        eg_graph_free(&g);
    }
}

/* All offsets of a window of 3: each pair's row says how far apart the two are. */
static void bias_rows(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++)
        for (int j = 0; j < 9; j++) {
            int row = eg_attention_bias_row(3, i, j);
            assert_int_equal(row / 5 - 2, i / 3 - j / 3);
            assert_int_equal(row % 5 - 2, i % 3 - j % 3);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(mistakes),
                                       cmocka_unit_test(bias_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
