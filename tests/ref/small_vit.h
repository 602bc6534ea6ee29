/* A vision transformer of one block in any size, for tests of what transformers add to a network: tokens, layer norms,
 * attention of three heads. Include after net/graph.h. */
#ifndef TEST_REF_SMALL_VIT_H
#define TEST_REF_SMALL_VIT_H

typedef struct {
    int patch, width,
        hidden; /* pixels a side; channels, a multiple of 3; of the dense layers between */
} small_vit;

static inline eg_status small_vit_build(eg_graph *g, small_vit v, int n_classes, int side) {
    int x = eg_graph_input(g, side, side, 3);
    int token =
        eg_graph_tensor(g, EG_TENSOR_PARAMETER, "class_token", 3, (int64_t[]){1, 1, v.width});
    int weight =
        eg_graph_tensor(g, EG_TENSOR_PARAMETER, "in.weight", 2, (int64_t[]){3 * v.width, v.width});
    x = eg_graph_conv(g, x, "patch", v.width, v.patch, v.patch, 0, 1, true);
    x = eg_graph_tokens(g, x, token, "positions");
    int y = eg_graph_dense(g, eg_graph_layer_norm(g, x, "ln", 1e-6f), "in", weight, -1);
    y = eg_graph_attention(g, y, "core", &(eg_attention){.heads = 3});
    x = eg_graph_add(g, eg_graph_pointwise(g, y, "out", v.width), x);
    y = eg_graph_act(g, eg_graph_pointwise(g, x, "mlp", v.hidden), EG_ACT_GELU);
    x = eg_graph_add(g, eg_graph_pointwise(g, y, "mlp2", v.width), x);
    eg_graph_linear(g, eg_graph_token(g, x), "head", n_classes, true);
    return g->status;
}

#endif
