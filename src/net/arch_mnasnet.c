/* MNASNet-B1 (Tan et al. 2018, arXiv:1807.11626) as in torchvision: inverted bottlenecks found by search for speed on a
 * phone, ReLU, no squeeze-excite; a variant multiplies all channels but the last 1280. Names: "layers.<i>", stacks
 * "layers.<i>.<block>.layers.<j>". Metadata: scripts/make_zoo_table.py. Read first: graph.h, conv_bn.h.          */
#include "net/conv_bn.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { STEM = 32, FIRST = 16, LAST = 1280 };

/* Output channels at width 1, window, stride of the first block, expansion. Figure 7 of the paper; the modules are "layers.8" to "layers.13". */
static const struct {
    int K, kernel, stride, expand, blocks;
} STACKS[] = {{24, 3, 2, 3, 3}, {40, 5, 2, 3, 3},  {80, 5, 2, 6, 3},
              {96, 3, 1, 6, 2}, {192, 5, 2, 6, 4}, {320, 3, 1, 6, 1}};
enum { N_STACKS = sizeof STACKS / sizeof *STACKS };

/* 0.0003: TensorFlow's 0.9997 in PyTorch's sense */
static eg_conv_bn spec(int K, int kernel, int stride, int groups, eg_act act) {
    eg_conv_bn s = eg_conv_bn_of(K, kernel, stride, groups, act);
    s.momentum = 0.0003f;
    return s;
}

/* Stack s, "layers.<8 + s>.<i>.layers.": 1x1 to `wide` channels, depthwise, 1x1 to K without activation. Numbers 2 and 5
 * are ReLUs. */
static int block(eg_graph *g, int x, const char *prefix, int s, int C, int K, int stride) {
    int wide = C * STACKS[s].expand;
    eg_conv_bn expand = spec(wide, 1, 1, 1, EG_ACT_RELU),
               depthwise = spec(wide, STACKS[s].kernel, stride, wide, EG_ACT_RELU),
               project = spec(K, 1, 1, 1, EG_ACT_NONE);
    int y = eg_graph_conv_bn(g, x, prefix, "0", "1", &expand);
    y = eg_graph_conv_bn(g, y, prefix, "3", "4", &depthwise);
    y = eg_graph_conv_bn(g, y, prefix, "6", "7", &project);
    return stride == 1 && C == K ? eg_graph_add(g, y, x) : y;
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    double width = *(const double *)arch->table; /* multiplies all channels but LAST */
    g->init = EG_INIT_MNASNET;
    int stem = eg_channels_of_8(STEM * width), C = eg_channels_of_8(FIRST * width);
    eg_conv_bn first = spec(stem, 3, 2, 1, EG_ACT_RELU),
               depthwise = spec(stem, 3, 1, stem, EG_ACT_RELU),
               project = spec(C, 1, 1, 1, EG_ACT_NONE), last = spec(LAST, 1, 1, 1, EG_ACT_RELU);
    int x = eg_graph_input(g, side, side, 3);
    /* stem, and a block whose expansion is 1, so that it has no first 1x1 convolution */
    x = eg_graph_conv_bn(g, x, "layers.", "0", "1", &first);
    x = eg_graph_conv_bn(g, x, "layers.", "3", "4", &depthwise);
    x = eg_graph_conv_bn(g, x, "layers.", "6", "7", &project);
    for (int s = 0; s < N_STACKS; s++) {
        int K = eg_channels_of_8(STACKS[s].K * width);
        for (int i = 0; i < STACKS[s].blocks; i++) {
            char prefix[48];
            snprintf(prefix, sizeof prefix, "layers.%d.%d.layers.", 8 + s, i);
            x = block(g, x, prefix, s, C, K, i == 0 ? STACKS[s].stride : 1);
            C = K;
        }
    }
    x = eg_graph_conv_bn(g, x, "layers.", "14", "15", &last);
    x = eg_graph_dropout(g, eg_graph_mean_pool(g, x), 0.2f);
    eg_graph_linear(g, x, "classifier.1", n_classes, true);
    return g->status;
}

#define FAMILY                                                                                     \
    .family = "MNASNet", .description = "inverted bottlenecks found by search for speed on a "     \
                                        "phone"

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("mnasnet0_5", "IMAGENET1K_V1", "mnasnet0.5_top1_67.823-3ffadce67e.pth", "3ffadce6",
                 9008316, 67.734, 87.490, 224, 256, false, EG_ZOO_IMAGENET),
      FAMILY},
     build,
     &(const double){0.5},
     NULL},
    {{EG_ZOO_ROW("mnasnet0_75", "IMAGENET1K_V1", "mnasnet0_75-7090bc5f.pth", "7090bc5f", 12900631,
                 71.180, 90.496, 224, 232, false, EG_ZOO_IMAGENET),
      FAMILY},
     build,
     &(const double){0.75},
     NULL},
    {{EG_ZOO_ROW("mnasnet1_0", "IMAGENET1K_V1", "mnasnet1.0_top1_73.512-f206786ef8.pth", "f206786e",
                 17736663, 73.456, 91.510, 224, 256, false, EG_ZOO_IMAGENET),
      FAMILY},
     build,
     &(const double){1.0},
     NULL},
    {{EG_ZOO_ROW("mnasnet1_3", "IMAGENET1K_V1", "mnasnet1_3-a4c69d6f.pth", "a4c69d6f", 25423774,
                 76.506, 93.522, 224, 232, false, EG_ZOO_IMAGENET),
      FAMILY},
     build,
     &(const double){1.3},
     NULL},
};

const eg_arch *eg_arch_mnasnet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
