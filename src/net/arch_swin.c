/* Swin transformer (Liu et al. 2021, arXiv:2103.14030) as in torchvision's swin_transformer.py: patches of 4 pixels, four
 * stages of blocks whose attention stays within windows of 7 x 7 pixels, shifted by 3 in every second block, and between
 * stages the four pixels of a square put side by side and halved in width. Where the image is no multiple of the window
 * zeros are added before the q, k, v layer, as torchvision does (they take part in attention), and cut off before the
 * projection, which works on each pixel alone. Initial weights are torchvision's first rule for all, normals of
 * deviation 0.02 and zero biases, which there comes last and so wins; the patch convolution follows it too.
 * Read first: graph.h, graph_tokens.c.                                                                         */
#include "net/graph.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { NAME = 104, PREFIX = 48, PART = 72, STAGES = 4, WINDOW = 7, WIDEN = 4, PATCH = 4 };

typedef struct {
    int C, blocks[STAGES], heads[STAGES]; /* C: of the first stage, doubled in each */
    double drop_path;                     /* of the last block; grows linearly from 0 */
} swin_table;

static const float EPSILON = 1e-5f;

/* relative position bias: its table and its index are the module's own, and so come before qkv */
static eg_attention windows(eg_graph *g, const char *prefix, int heads, int shift) {
    enum { ROWS = (2 * WINDOW - 1) * (2 * WINDOW - 1), PAIRS = WINDOW * WINDOW * WINDOW * WINDOW };
    char name[NAME];
    eg_attention a = {.heads = heads, .window = WINDOW, .shift = shift};
    snprintf(name, sizeof name, "%srelative_position_bias_table", prefix);
    a.table = eg_graph_tensor(g, EG_TENSOR_PARAMETER, name, 2, (int64_t[]){ROWS, heads});
    snprintf(name, sizeof name, "%srelative_position_index", prefix);
    a.index = eg_graph_tensor(g, EG_TENSOR_COUNTER, name, 1, (int64_t[]){PAIRS});
    return a;
}

static int attention(eg_graph *g, int x, const char *prefix, int heads, bool shifted) {
    if (g->status != EG_OK) return 0;
    int C = g->nodes[x].C, H = g->nodes[x].H, W = g->nodes[x].W;
    int padded_H = (H + WINDOW - 1) / WINDOW * WINDOW,
        padded_W = (W + WINDOW - 1) / WINDOW * WINDOW;
    /* one window: nothing to shift (images are square, so both axes agree) */
    eg_attention a = windows(g, prefix, heads, shifted && padded_H > WINDOW ? WINDOW / 2 : 0);
    char name[NAME];
    snprintf(name, sizeof name, "%sqkv", prefix);
    x = eg_graph_pointwise(g, eg_graph_canvas(g, x, padded_H, padded_W), name, 3 * C);
    snprintf(name, sizeof name, "%score", prefix);
    x = eg_graph_canvas(g, eg_graph_attention(g, x, name, &a), H, W);
    snprintf(name, sizeof name, "%sproj", prefix);
    return eg_graph_pointwise(g, x, name, C);
}

static int block(eg_graph *g, int x, const char *prefix, int C, int heads, bool shifted,
                 float drop) {
    char name[NAME], part[PART];
    snprintf(name, sizeof name, "%snorm1", prefix);
    int y = eg_graph_layer_norm(g, x, name, EPSILON);
    snprintf(part, sizeof part, "%sattn.", prefix);
    y = attention(g, y, part, heads, shifted);
    x = eg_graph_add(g, eg_graph_drop_path(g, y, drop), x);
    snprintf(name, sizeof name, "%snorm2", prefix);
    y = eg_graph_layer_norm(g, x, name, EPSILON);
    snprintf(name, sizeof name, "%smlp.0", prefix);
    y = eg_graph_act(g, eg_graph_pointwise(g, y, name, WIDEN * C), EG_ACT_GELU);
    snprintf(name, sizeof name, "%smlp.3", prefix);
    y = eg_graph_pointwise(g, y, name, C);
    return eg_graph_add(g, eg_graph_drop_path(g, y, drop), x);
}

/* The reduction is declared before the norm that runs first: torchvision's module makes it first. */
static int merge(eg_graph *g, int x, int index, int C) {
    char name[NAME];
    snprintf(name, sizeof name, "features.%d.reduction.weight", index);
    int weight = eg_graph_tensor(g, EG_TENSOR_PARAMETER, name, 2, (int64_t[]){2 * C, 4 * C});
    snprintf(name, sizeof name, "features.%d.norm", index);
    x = eg_graph_layer_norm(g, eg_graph_patch_merge(g, x), name, EPSILON);
    snprintf(name, sizeof name, "features.%d.reduction", index);
    return eg_graph_dense(g, x, name, weight, -1);
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const swin_table *t = arch->table;
    int n_blocks = 0, index = 0;
    g->init = EG_INIT_TRUNCATED;
    for (int s = 0; s < STAGES; s++) n_blocks += t->blocks[s];
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv(g, x, "features.0.0", t->C, PATCH, PATCH, 0, 1, true);
    x = eg_graph_layer_norm(g, x, "features.0.2", EPSILON); /* 1 is torchvision's permute */
    for (int s = 0; s < STAGES; s++) {
        for (int i = 0; i < t->blocks[s]; i++, index++) {
            char prefix[PREFIX];
            snprintf(prefix, sizeof prefix, "features.%d.%d.", 2 * s + 1, i);
            x = block(g, x, prefix, t->C << s, t->heads[s], i % 2 == 1,
                      (float)(t->drop_path * index / (n_blocks - 1)));
        }
        if (s < STAGES - 1) x = merge(g, x, 2 * s + 2, t->C << s);
    }
    x = eg_graph_mean_pool(g, eg_graph_layer_norm(g, x, "norm", EPSILON));
    eg_graph_linear(g, x, "head", n_classes, true);
    return g->status;
}

/* ---- the table ---- */

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("swin_t", "IMAGENET1K_V1", "swin_t-704ceda3.pth", "704ceda3", 113445437, 81.474,
                 95.776, 224, 232, true, EG_ZOO_IMAGENET),
      .family = "Swin transformer",
      .description = "transformer whose attention stays in shifted windows of 7 x 7 pixels"},
     build,
     &(const swin_table){96, {2, 2, 6, 2}, {3, 6, 12, 24}, 0.2},
     NULL},
};

const eg_arch *eg_arch_swin(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
