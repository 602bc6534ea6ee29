/* MobileNet V2 (Sandler et al. 2018, arXiv:1801.04381) as in torchvision: inverted bottlenecks with linear outputs, ReLU6.
 * Names: "features.<i>.conv.<layer>"; the project convolution and its batch norm are no pair of their own there.
 * Metadata: scripts/make_zoo_table.py. Read first: graph.h, conv_bn.h.                                          */
#include "net/conv_bn.h"
#include "net/zoo_row.h"
#include <stdio.h>

/* Table 2 of the paper: expansion t, channels c, blocks n, stride s of the first block. */
static const struct {
    int expand, K, blocks, stride;
} STAGES[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
              {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
enum { N_STAGES = sizeof STAGES / sizeof *STAGES, STEM = 32, LAST = 1280 };

/* An inverted bottleneck: the wide values are inside, the shortcut joins narrow ones; no activation behind `project`, where
 * ReLU would lose what few channels hold. */
static int block(eg_graph *g, int x, int index, int stage, int C, int stride) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "features.%d.conv.", index);
    int wide = C * STAGES[stage].expand, K = STAGES[stage].K, y = x;
    bool expands = wide != C;
    if (expands) {
        eg_conv_bn expand = eg_conv_bn_of(wide, 1, 1, 1, EG_ACT_RELU6);
        y = eg_graph_conv_bn(g, y, prefix, "0.0", "0.1", &expand);
    }
    eg_conv_bn depthwise = eg_conv_bn_of(wide, 3, stride, wide, EG_ACT_RELU6),
               project = eg_conv_bn_of(K, 1, 1, 1, EG_ACT_NONE);
    y = eg_graph_conv_bn(g, y, prefix, expands ? "1.0" : "0.0", expands ? "1.1" : "0.1",
                         &depthwise);
    y = eg_graph_conv_bn(g, y, prefix, expands ? "2" : "1", expands ? "3" : "2", &project);
    return stride == 1 && C == K ? eg_graph_add(g, y, x) : y;
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch; /* one row */
    g->init = EG_INIT_NORMAL001;
    eg_conv_bn stem = eg_conv_bn_of(STEM, 3, 2, 1, EG_ACT_RELU6),
               last = eg_conv_bn_of(LAST, 1, 1, 1, EG_ACT_RELU6);
    int index = 0, C = STEM;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv_bn(g, x, "features.0.", "0", "1", &stem);
    for (int s = 0; s < N_STAGES; s++)
        for (int i = 0; i < STAGES[s].blocks; i++) {
            x = block(g, x, ++index, s, C, i == 0 ? STAGES[s].stride : 1);
            C = STAGES[s].K;
        }
    x = eg_graph_conv_bn(g, x, "features.18.", "0", "1", &last);
    x = eg_graph_dropout(g, eg_graph_mean_pool(g, x), 0.2f);
    eg_graph_linear(g, x, "classifier.1", n_classes, true);
    return g->status;
}

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("mobilenet_v2", "IMAGENET1K_V2", "mobilenet_v2-7ebf99e0.pth", "7ebf99e0", 14258536,
                 72.154, 90.822, 224, 232, false, EG_ZOO_IMAGENET),
      .family = "MobileNet V2",
      .description = "inverted bottlenecks with depthwise convolutions, ReLU6; for phones"},
     build,
     NULL,
     NULL},
};

const eg_arch *eg_arch_mobilenet_v2(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
