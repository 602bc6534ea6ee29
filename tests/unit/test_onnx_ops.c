/* Each operator of the graph, by itself in a small network, as ONNX nodes: no operator of EG_OP_LIST is forgotten, and an
 * unknown one is refused by name. Numbers against ONNX Runtime: scripts/check_export.py. */
#include "net_test.h"

#include "net/onnx_graph.h"

/* What the network under test is made of; `build` of the entry below reads it. */
static int (*module)(eg_graph *g, int x);

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv(g, x, "stem", 12, 1, 1, 0, 1, true);
    if (module) x = module(g, x);
    eg_graph_linear(g, eg_graph_mean_pool(g, x), "fc", n_classes, true);
    return g->status;
}

static const eg_arch ENTRY = {.info = {.name = "under_test", .img_size = 14}, .build = build};

typedef struct {
    eg_network *net;
    eg_onnx b;
    EgOnnx__GraphProto *g;
} made;

static void make(made *m, int (*with)(eg_graph *g, int x)) {
    eg_error err = {0};
    EgOnnx__ModelProto *model = NULL;
    module = with;
    if (eg_network_of(&m->net, &ENTRY, 2, 14, &err) != EG_OK) fail_msg("%s", err.text);
    eg_network_init(m->net, 1);
    if (eg_onnx_build(&model, &m->b, m->net, &(eg_onnx_options){0}, NULL, 0, &err) != EG_OK)
        fail_msg("%s", err.text);
    m->g = model->graph;
}

static void drop(made *m) {
    eg_onnx_free(&m->b);
    eg_network_free(m->net);
}

/* The operators of the model, stem and head included, joined with blanks. */
static void check_ops(int (*with)(eg_graph *g, int x), const char *expected) {
    made m;
    char ops[1024] = "";
    size_t used = 0;
    make(&m, with);
    for (size_t i = 0; i < m.g->n_node; i++)
        used += (size_t)snprintf(ops + used, sizeof ops - used, "%s%s", i ? " " : "",
                                 m.g->node[i]->op_type);
    char whole[1024];
    snprintf(whole, sizeof whole, "Conv %s%sGlobalAveragePool Flatten Gemm", expected,
             *expected ? " " : "");
    assert_string_equal(ops, whole);
    drop(&m);
}

static int silu(eg_graph *g, int x) {
    return eg_graph_act(g, x, EG_ACT_SILU);
}
static int hardswish(eg_graph *g, int x) {
    return eg_graph_act(g, x, EG_ACT_HARDSWISH);
}
static int gelu(eg_graph *g, int x) {
    return eg_graph_act(g, x, EG_ACT_GELU);
}
static int norm_behind_relu(eg_graph *g, int x) {
    return eg_graph_bn(g, eg_graph_act(g, x, EG_ACT_RELU), "bn", 1e-5f, 0.1f);
}
static int norm_of_shared(eg_graph *g, int x) {
    return eg_graph_add(g, eg_graph_bn(g, x, "bn", 1e-5f, 0.1f), x);
}
static int folded_norm(eg_graph *g, int x) {
    return eg_graph_bn(g, x, "bn", 1e-5f, 0.1f);
}
static int squeeze(eg_graph *g, int x) {
    return eg_graph_se(g, x, "se", 4, EG_ACT_RELU, EG_ACT_HARDSIGMOID);
}
static int pools(eg_graph *g, int x) {
    x = eg_graph_max_pool(g, x, 3, 2, 1, true);
    return eg_graph_avg_pool(g, x, 2, 1, 0);
}
static int even_cells(eg_graph *g, int x) {
    return eg_graph_adaptive_pool(g, x, 7);
}
static int overlapping_cells(eg_graph *g, int x) {
    return eg_graph_adaptive_pool(g, x, 6);
}
static int split_and_join(eg_graph *g, int x) {
    int halves[] = {eg_graph_slice(g, x, 0, 6), eg_graph_slice(g, x, 6, 6)};
    return eg_graph_shuffle(g, eg_graph_concat(g, halves, 2), 2);
}
static int convnext(eg_graph *g, int x) {
    x = eg_graph_pointwise(g, eg_graph_layer_norm(g, x, "ln", 1e-6f), "dense", 12);
    return eg_graph_dropout(g, eg_graph_drop_path(g, eg_graph_layer_scale(g, x, "scale", 1), 0.5f),
                            0.5f);
}
static int tokens(eg_graph *g, int x) {
    int class_token = eg_graph_tensor(g, EG_TENSOR_PARAMETER, "token", 3, (int64_t[]){1, 1, 12});
    x = eg_graph_tokens(g, x, class_token, "positions");
    x = eg_graph_attention(g, x, "core", &(eg_attention){.heads = 2});
    return eg_graph_token(g, x);
}
static int shifted_windows(eg_graph *g, int x) {
    eg_attention a = {.heads = 2, .window = 4, .shift = 2};
    a.table = eg_graph_tensor(g, EG_TENSOR_PARAMETER, "table", 2, (int64_t[]){49, 2});
    a.index = eg_graph_tensor(g, EG_TENSOR_COUNTER, "index", 1, (int64_t[]){256});
    x = eg_graph_attention(g, eg_graph_canvas(g, x, 16, 16), "core", &a);
    return eg_graph_patch_merge(g, eg_graph_canvas(g, x, 13, 13));
}

static void each_op(void **state) {
    (void)state;
    check_ops(NULL, "");
    check_ops(silu, "Sigmoid Mul");
    check_ops(hardswish, "HardSwish");
    check_ops(gelu, "Div Erf Add Mul Mul");
    check_ops(folded_norm, "");
    check_ops(norm_behind_relu, "Relu BatchNormalization");
    check_ops(norm_of_shared, "BatchNormalization Add");
    check_ops(squeeze, "GlobalAveragePool Conv Relu Conv HardSigmoid Mul");
    check_ops(pools, "MaxPool AveragePool");
    check_ops(even_cells, "AveragePool");
    check_ops(overlapping_cells, "MatMul MatMul");
    check_ops(split_and_join, "Slice Slice Concat Reshape Transpose Reshape");
    check_ops(convnext, "Transpose LayerNormalization Transpose Conv Mul");
    check_ops(tokens, "Reshape Pad Add Reshape Reshape Gather Gather Gather Mul Transpose MatMul "
                      "Softmax Transpose MatMul Reshape Slice");
    check_ops(shifted_windows,
              "Pad Slice Slice Concat Slice Slice Concat Reshape Transpose Reshape Gather Gather "
              "Gather Mul Transpose MatMul Add Reshape Add Reshape Softmax Transpose MatMul "
              "Reshape Transpose Reshape Slice Slice Concat Slice Slice Concat Slice Slice Pad "
              "Reshape Transpose Reshape");
}

/* A matrix of cells: rows sum to 1, cell 1 of 6 over 14 pixels is pixels 2, 3 and 4. */
static void cells(void **state) {
    (void)state;
    made m;
    make(&m, overlapping_cells);
    const float *across = NULL, *down = NULL; /* (14, 6), (6, 14) */
    for (size_t i = 0; i < m.g->n_initializer; i++) {
        const EgOnnx__TensorProto *t = m.g->initializer[i];
        if (strstr(t->name, "cells_w")) across = (const void *)t->raw_data.data;
        if (strstr(t->name, "cells_h")) down = (const void *)t->raw_data.data;
    }
    assert_non_null(across);
    assert_non_null(down);
    for (int p = 0; p < 14; p++)
        for (int c = 0; c < 6; c++) assert_true(across[p * 6 + c] == down[c * 14 + p]);
    for (int p = 0; p < 14; p++)
        assert_true(fabsf(down[14 + p] - (p >= 2 && p < 5 ? 1.0f / 3 : 0)) < 1e-7f);
    drop(&m);
}

/* The window at the end of a 16 x 16 image shifted by 2: its halves came from opposite sides. */
static void mask(void **state) {
    (void)state;
    made m;
    make(&m, shifted_windows);
    const float *values = NULL; /* (16 windows, 1, 16, 16) */
    for (size_t i = 0; i < m.g->n_initializer; i++)
        if (strstr(m.g->initializer[i]->name, "/mask"))
            values = (const void *)m.g->initializer[i]->raw_data.data;
    assert_non_null(values);
    for (int pair = 0; pair < 256; pair++) {
        int t = pair / 16, u = pair % 16;
        assert_true(values[pair] == 0); /* first window: nothing is torn apart */
        bool apart = (t / 4 < 2) != (u / 4 < 2) || (t % 4 < 2) != (u % 4 < 2);
        assert_true(values[15 * 256 + pair] == (apart ? -100.0f : 0));
    }
    drop(&m);
}

/* No kind of node but INPUT is without an ONNX form; a number that is none is refused by name. */
static void unknown_is_refused(void **state) {
    (void)state;
    made m;
    make(&m, silu);
    for (int kind = 0; kind < EG_OP_COUNT; kind++) {
        if (kind == EG_OP_INPUT) continue;
        assert_true(eg_onnx_knows((eg_op_kind)kind));
    }
    eg_onnx_free(&m.b);
    EgOnnx__ModelProto *model = NULL;
    eg_error err = {0};
    assert_int_equal(m.net->graph.nodes[2].op, EG_OP_ACT);
    m.net->graph.nodes[2].op = EG_OP_COUNT;
    assert_int_equal(eg_onnx_build(&model, &m.b, m.net, &(eg_onnx_options){0}, NULL, 0, &err),
                     EG_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "operator"));
    assert_null(model);
    eg_network_free(m.net);
}

/* An activation that the table of activations does not have. */
static void unknown_activation(void **state) {
    (void)state;
    made m;
    make(&m, silu);
    eg_onnx_free(&m.b);
    eg_graph *g = &m.net->graph;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EG_OP_ACT) g->nodes[i].act = EG_ACT_NONE;
    EgOnnx__ModelProto *model = NULL;
    eg_error err = {0};
    assert_int_equal(eg_onnx_build(&model, &m.b, m.net, &(eg_onnx_options){0}, NULL, 0, &err),
                     EG_ERR_UNSUPPORTED);
    eg_network_free(m.net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_op),
        cmocka_unit_test(cells),
        cmocka_unit_test(mask),
        cmocka_unit_test(unknown_is_refused),
        cmocka_unit_test(unknown_activation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
