/* SqueezeNet (Iandola et al. 2016, arXiv:1602.07360) as in torchvision's squeezenet.py: fire modules squeeze to few
 * channels with a 1x1 convolution and expand by 1x1 and 3x3 side by side; no batch norm. The head is a 1x1 convolution
 * with ReLU, whose pixels are averaged, so it does not sit on one vector an image (info.conv_head); what `features`
 * gives is the average of the values under it. A head after ReLU cannot give negative logits: that is the original.
 * Read first: graph.h.                                                                                        */
#include "net/graph.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { NAME = 64, FIRES = 8 };

/* squeeze width, and that of each of the two expanding convolutions; both versions */
static const struct {
    int squeeze, expand;
} FIRE[FIRES] = {{16, 64},  {16, 64},  {32, 128}, {32, 128},
                 {48, 192}, {48, 192}, {64, 256}, {64, 256}};

typedef struct {
    int stem, kernel;       /* first convolution: channels, window */
    bool pool_after[FIRES]; /* a max pool behind fire module i */
} squeezenet_table;

static int conv_relu(eg_graph *g, int x, const char *prefix, const char *part, int K, int kernel) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    return eg_graph_act(g, eg_graph_conv(g, x, name, K, kernel, 1, kernel / 2, 1, true),
                        EG_ACT_RELU);
}

static int fire(eg_graph *g, int x, int index, int i) {
    char prefix[NAME / 2];
    snprintf(prefix, sizeof prefix, "features.%d.", index);
    x = conv_relu(g, x, prefix, "squeeze", FIRE[i].squeeze, 1);
    int a = conv_relu(g, x, prefix, "expand1x1", FIRE[i].expand, 1);
    int b = conv_relu(g, x, prefix, "expand3x3", FIRE[i].expand, 3);
    return eg_graph_concat(g, (const int[]){a, b}, 2);
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const squeezenet_table *t = arch->table;
    g->init = EG_INIT_SQUEEZENET;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv(g, x, "features.0", t->stem, t->kernel, 2, 0, 1, true);
    x = eg_graph_act(g, x, EG_ACT_RELU);
    x = eg_graph_max_pool(g, x, 3, 2, 0, true);
    int index =
        3; /* of the next module in nn.Sequential "features": conv, relu and pool are 0 to 2 */
    for (int i = 0; i < FIRES; i++) {
        x = fire(g, x, index++, i);
        if (!t->pool_after[i]) continue;
        x = eg_graph_max_pool(g, x, 3, 2, 0, true);
        index++;
    }
    eg_graph_features(g, x);
    x = eg_graph_conv_head(g, eg_graph_dropout(g, x, 0.5f), "classifier.1", n_classes);
    eg_graph_mean_pool(g, eg_graph_act(g, x, EG_ACT_RELU));
    return g->status;
}

/* ---- the table ---- */

#define COMMON .family = "SqueezeNet", .conv_head = true

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("squeezenet1_0", "IMAGENET1K_V1", "squeezenet1_0-b66bff10.pth", "b66bff10",
                 5010096, 58.092, 80.420, 224, 256, false, EG_ZOO_IMAGENET),
      COMMON, .description = "fire modules: squeeze by 1x1, expand by 1x1 and 3x3; no batch norm"},
     build,
     &(const squeezenet_table){.stem = 96, .kernel = 7, .pool_after = {[2] = true, [6] = true}},
     NULL},
    {{EG_ZOO_ROW("squeezenet1_1", "IMAGENET1K_V1", "squeezenet1_1-b8a52dc0.pth", "b8a52dc0",
                 4958716, 58.178, 80.624, 224, 256, false, EG_ZOO_IMAGENET),
      COMMON,
      .description = "fire modules as squeezenet1_0's, pooled earlier: 2.4 times less computation"},
     build,
     &(const squeezenet_table){.stem = 64, .kernel = 3, .pool_after = {[1] = true, [3] = true}},
     NULL},
};

const eg_arch *eg_arch_squeezenet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
