/* The builder's modules of transformers: tensors declared ahead of their use (torchvision's state dicts list a module's own
 * tensors before those of its parts), dense layers over such tensors, class token and positions, attention, and the moves
 * of pixels around windows. Read first: graph.c; the ops: op_tokens.c, op_attention.c, op_patch.c.               */
#include "net/graph.h"

/* An architecture file asked for what cannot be: our mistake, not the user's. Returns node 0, as all failed calls do. */
static int mistake(eg_graph *g, const char *name, const char *what) {
    const eg_node *x = &g->nodes[g->n_nodes - 1];
    g->status = eg_fail(&g->error, EG_ERR_INTERNAL, "%s: %s (last value: %d x %d x %d)", name, what,
                        x->H, x->W, x->C);
    return 0;
}

int eg_graph_dense(eg_graph *g, int x, const char *name, int weight, int bias) {
    if (g->status != EG_OK) return 0;
    eg_node node = eg_graph_like(g, EG_OP_CONV, name, x);
    const eg_net_tensor *w = &g->tensors[weight];
    /* a linear layer at every pixel is a convolution with a window of one */
    if (w->n_dims != 2 || w->dims[1] != node.C)
        return mistake(g, name, "the weight is no (K, C) of this input");
    node.kernel = node.kernel_w = node.stride = 1;
    node.C = (int)w->dims[0];
    node.tensor[0] = weight;
    node.tensor[1] = bias;
    return eg_graph_append(g, &node);
}

int eg_graph_tokens(eg_graph *g, int x, int class_token, const char *positions) {
    if (g->status != EG_OK) return 0;
    eg_node node = eg_graph_like(g, EG_OP_TOKENS, "tokens", x);
    node.W =
        1 +
        node.H *
            node.W; /* tokens stand in a row of pixels, so that dense layers and norms need no case of
                                   * their own */
    node.H = 1;
    node.tensor[0] = class_token;
    node.tensor[1] =
        eg_graph_tensor(g, EG_TENSOR_PARAMETER, positions, 3, (int64_t[]){1, node.W, node.C});
    return eg_graph_append(g, &node);
}

int eg_graph_token(eg_graph *g, int x) {
    if (g->status != EG_OK) return 0;
    eg_node node = eg_graph_like(g, EG_OP_TOKEN, "token", x);
    node.H = node.W = 1;
    return eg_graph_append(g, &node);
}

int eg_graph_attention(eg_graph *g, int qkv, const char *name, const eg_attention *a) {
    if (g->status != EG_OK) return 0;
    eg_node node = eg_graph_like(g, EG_OP_ATTENTION, name, qkv);
    /* in_proj gives q, k, v one behind the other, each with the channels of head 0, head 1, ... */
    if (a->heads < 1 || node.C % (3 * a->heads))
        return mistake(g, name, "channels are no q, k, v of so many heads");
    if (a->window && (node.H % a->window || node.W % a->window || a->shift >= a->window))
        return mistake(g, name, "windows do not divide the image");
    node.C /= 3;
    node.heads = a->heads;
    node.window = a->window;
    node.shift = a->shift;
    /* global attention has positions in its tokens; windows have a bias a pair of tokens instead */
    node.tensor[0] = a->window ? a->table : -1;
    node.tensor[1] = a->window ? a->index : -1;
    return eg_graph_append(g, &node);
}

/* Nothing to do for a size that fits: networks of the usual sides have no such node. */
int eg_graph_canvas(eg_graph *g, int x, int H, int W) {
    if (g->status != EG_OK || (g->nodes[x].H == H && g->nodes[x].W == W)) return x;
    eg_node node = eg_graph_like(g, EG_OP_CANVAS, "canvas", x);
    node.H = H;
    node.W = W;
    return eg_graph_append(g, &node);
}

/* torchvision's order of the four pixels: down the left column, then down the right one (op_patch.c). */
int eg_graph_patch_merge(eg_graph *g, int x) {
    if (g->status != EG_OK) return 0;
    x = eg_graph_canvas(g, x, (g->nodes[x].H + 1) / 2 * 2, (g->nodes[x].W + 1) / 2 * 2);
    if (g->status != EG_OK) return 0;
    eg_node node = eg_graph_like(g, EG_OP_PATCH_MERGE, "patch_merge", x);
    node.H /= 2;
    node.W /= 2;
    node.C *= 4;
    return eg_graph_append(g, &node);
}

/* ---- the relative position bias: a row of the table for each offset between two tokens of a window ---- */

/* Swin's relative_position_index: offsets go from -(window - 1) to window - 1 along each side, so adding window - 1 makes
 * them digits of a number to the base 2 window - 1. */
int eg_attention_bias_row(int window, int i, int j) {
    int y = i / window - j / window + window - 1, x = i % window - j % window + window - 1;
    return y * (2 * window - 1) + x;
}

void eg_graph_fill_constants(eg_graph *g) {
    /* several nodes may share one index; it is then written again with the same values */
    for (int i = 0; i < g->n_nodes; i++) {
        const eg_node *node = &g->nodes[i];
        if (node->op != EG_OP_ATTENTION || node->tensor[1] < 0) continue;
        int S = node->window * node->window;
        int64_t *index = g->tensors[node->tensor[1]].counter;
        for (int t = 0; t < S; t++)
            for (int u = 0; u < S; u++) *index++ = eg_attention_bias_row(node->window, t, u);
    }
}
