/* ConvNeXt (Liu et al. 2022, arXiv:2201.03545) as in torchvision's convnext.py: depthwise 7x7, layer norm over the
 * channels, two dense layers at every pixel with GELU between, a trained factor per channel, residual. torchvision
 * permutes to N,H,W,C and back around the dense layers; here values have that order anyway. Names of the norms and dense
 * layers are those of its nn.Sequential, "features.<stage>.<block>.block.<n>". Read first: graph.h.           */
#include "net/graph.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { NAME = 64, STAGES = 4, WIDEN = 4 };

typedef struct {
    int C[STAGES], blocks[STAGES];
    double drop_path; /* of the last block; grows linearly from 0 */
} convnext_table;

/* torchvision's; the factor starts so small that a new block does nothing yet */
static const float EPSILON = 1e-6f, LAYER_SCALE = 1e-6f;

static int block(eg_graph *g, int x, const char *prefix, int C, float drop) {
    char name[NAME], factor[NAME];
    snprintf(factor, sizeof factor, "%slayer_scale", prefix);
    eg_graph_layer_scale_declare(g, factor, C); /* first in the state dict, last to be used */
    snprintf(name, sizeof name, "%sblock.0", prefix);
    int y = eg_graph_conv(g, x, name, C, 7, 1, 3, C, true); /* depthwise */
    snprintf(name, sizeof name, "%sblock.2", prefix);
    y = eg_graph_layer_norm(g, y, name, EPSILON);
    snprintf(name, sizeof name, "%sblock.3", prefix);
    y = eg_graph_act(g, eg_graph_pointwise(g, y, name, WIDEN * C), EG_ACT_GELU);
    snprintf(name, sizeof name, "%sblock.5", prefix);
    y = eg_graph_pointwise(g, y, name, C);
    y = eg_graph_layer_scale(g, y, factor, LAYER_SCALE);
    return eg_graph_add(g, eg_graph_drop_path(g, y, drop), x);
}

/* The stem (index 0) and what stands between two stages: convolution whose windows do not overlap, and layer norm;
 * the stem has them in this order, the others the norm first. */
static int shrink(eg_graph *g, int x, int index, int K, int kernel) {
    char conv[NAME], norm[NAME];
    bool stem = index == 0;
    snprintf(conv, sizeof conv, "features.%d.%d", index, stem ? 0 : 1);
    snprintf(norm, sizeof norm, "features.%d.%d", index, stem ? 1 : 0);
    if (!stem) x = eg_graph_layer_norm(g, x, norm, EPSILON);
    x = eg_graph_conv(g, x, conv, K, kernel, kernel, 0, 1, true);
    return stem ? eg_graph_layer_norm(g, x, norm, EPSILON) : x;
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const convnext_table *t = arch->table;
    int n_blocks = 0, index = 0;
    g->init = EG_INIT_TRUNCATED;
    for (int s = 0; s < STAGES; s++) n_blocks += t->blocks[s];
    int x = eg_graph_input(g, side, side, 3);
    for (int s = 0; s < STAGES; s++) {
        x = shrink(g, x, 2 * s, t->C[s], s == 0 ? 4 : 2);
        for (int i = 0; i < t->blocks[s]; i++, index++) {
            char prefix[NAME / 2];
            snprintf(prefix, sizeof prefix, "features.%d.%d.", 2 * s + 1, i);
            x = block(g, x, prefix, t->C[s], (float)(t->drop_path * index / (n_blocks - 1)));
        }
    }
    /* the norm comes after the pooling, so it belongs to the vector that `features` gives */
    x = eg_graph_layer_norm(g, eg_graph_mean_pool(g, x), "classifier.0", EPSILON);
    eg_graph_linear(g, x, "classifier.2", n_classes, true);
    return g->status;
}

/* ---- the table ---- */

#define COMMON                                                                                     \
    .family = "ConvNeXt",                                                                          \
    .description = "depthwise 7x7, layer norm, dense layers with GELU: a CNN after transformers"

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("convnext_tiny", "IMAGENET1K_V1", "convnext_tiny-983f1562.pth", "983f1562",
                 114419565, 82.520, 96.146, 224, 236, false, EG_ZOO_IMAGENET),
      COMMON},
     build,
     &(const convnext_table){{96, 192, 384, 768}, {3, 3, 9, 3}, 0.1},
     NULL},
    {{EG_ZOO_ROW("convnext_small", "IMAGENET1K_V1", "convnext_small-0c510722.pth", "0c510722",
                 201015165, 83.616, 96.650, 224, 230, false, EG_ZOO_IMAGENET),
      COMMON},
     build,
     &(const convnext_table){{96, 192, 384, 768}, {3, 3, 27, 3}, 0.4},
     NULL},
    {{EG_ZOO_ROW("convnext_base", "IMAGENET1K_V1", "convnext_base-6075fbad.pth", "6075fbad",
                 354485797, 84.062, 96.870, 224, 232, false, EG_ZOO_IMAGENET),
      COMMON},
     build,
     &(const convnext_table){{128, 256, 512, 1024}, {3, 3, 27, 3}, 0.5},
     NULL},
    {{EG_ZOO_ROW("convnext_large", "IMAGENET1K_V1", "convnext_large-ea097f82.pth", "ea097f82",
                 791189389, 84.414, 96.976, 224, 232, false, EG_ZOO_IMAGENET),
      COMMON},
     build,
     &(const convnext_table){{192, 384, 768, 1536}, {3, 3, 27, 3}, 0.5},
     NULL},
};

const eg_arch *eg_arch_convnext(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
