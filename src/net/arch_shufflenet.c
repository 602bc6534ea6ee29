/* ShuffleNet V2 (Ma et al. 2018, arXiv:1807.11164) as in torchvision's shufflenetv2.py: a unit of stride 1 works on the
 * second half of the channels and passes the first half on, one of stride 2 works twice on all of them; then the two
 * halves are shuffled, so that the next unit splits them anew. Read first: graph.h, conv_bn.h.                */
#include "net/conv_bn.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { NAME = 64, PREFIX = 32, PART = 16, STAGES = 3, STEM = 24 };

/* repeats of stages 2 to 4, every variant */
static const int REPEATS[STAGES] = {4, 8, 4};

typedef struct {
    int C[STAGES]; /* output channels of stages 2 to 4 */
    int last;      /* of conv5 */
} shufflenet_table;

/* "<prefix><at>" convolution, "<prefix><at + 1>" its batch norm: places in an nn.Sequential, where ReLU has one too */
static int conv_bn(eg_graph *g, int x, const char *prefix, int at, eg_conv_bn s) {
    char conv[PART], bn[PART];
    snprintf(conv, sizeof conv, "%d", at);
    snprintf(bn, sizeof bn, "%d", at + 1);
    return eg_graph_conv_bn(g, x, prefix, conv, bn, &s);
}

/* Unit "<prefix>": C input channels, K output channels; stride 1 needs C = K. */
static int unit(eg_graph *g, int x, const char *prefix, int C, int K, int stride) {
    char branch[NAME - 16];
    int half = K / 2, a, b = x;
    if (stride == 1) {
        /* half of the channels is not touched: with the shuffle, each is worked on every other unit */
        a = eg_graph_slice(g, x, 0, half);
        b = eg_graph_slice(g, x, half, half);
    } else {
        snprintf(branch, sizeof branch, "%s.branch1.", prefix);
        a = conv_bn(g, x, branch, 0, eg_conv_bn_of(C, 3, stride, C, EG_ACT_NONE));
        a = conv_bn(g, a, branch, 2, eg_conv_bn_of(half, 1, 1, 1, EG_ACT_RELU));
    }
    snprintf(branch, sizeof branch, "%s.branch2.", prefix);
    b = conv_bn(g, b, branch, 0, eg_conv_bn_of(half, 1, 1, 1, EG_ACT_RELU));
    b = conv_bn(g, b, branch, 3, eg_conv_bn_of(half, 3, stride, half, EG_ACT_NONE));
    b = conv_bn(g, b, branch, 5, eg_conv_bn_of(half, 1, 1, 1, EG_ACT_RELU));
    return eg_graph_shuffle(g, eg_graph_concat(g, (const int[]){a, b}, 2), 2);
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const shufflenet_table *t = arch->table;
    g->init = EG_INIT_TORCH;
    int x = eg_graph_input(g, side, side, 3), C = STEM;
    x = conv_bn(g, x, "conv1.", 0, eg_conv_bn_of(STEM, 3, 2, 1, EG_ACT_RELU));
    x = eg_graph_max_pool(g, x, 3, 2, 1, false);
    for (int stage = 0; stage < STAGES; stage++)
        for (int i = 0; i < REPEATS[stage]; i++) {
            char prefix[PREFIX];
            snprintf(prefix, sizeof prefix, "stage%d.%d", stage + 2, i);
            x = unit(g, x, prefix, C, t->C[stage], i == 0 ? 2 : 1); /* sides halve at the start */
            C = t->C[stage];
        }
    x = conv_bn(g, x, "conv5.", 0, eg_conv_bn_of(t->last, 1, 1, 1, EG_ACT_RELU));
    eg_graph_linear(g, eg_graph_mean_pool(g, x), "fc", n_classes, true);
    return g->status;
}

/* ---- the table ---- */

#define COMMON                                                                                     \
    .family = "ShuffleNet V2",                                                                     \
    .description = "half of the channels through 1x1, depthwise 3x3, 1x1; channels shuffled"

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("shufflenet_v2_x0_5", "IMAGENET1K_V1", "shufflenetv2_x0.5-f707e7126e.pth",
                 "f707e712", 5538578, 60.552, 81.746, 224, 256, false, EG_ZOO_IMAGENET),
      COMMON},
     build,
     &(const shufflenet_table){{48, 96, 192}, 1024},
     NULL},
    {{EG_ZOO_ROW("shufflenet_v2_x1_0", "IMAGENET1K_V1", "shufflenetv2_x1-5666bf0f80.pth",
                 "5666bf0f", 9218032, 69.362, 88.316, 224, 256, false, EG_ZOO_IMAGENET),
      COMMON},
     build,
     &(const shufflenet_table){{116, 232, 464}, 1024},
     NULL},
    {{EG_ZOO_ROW("shufflenet_v2_x1_5", "IMAGENET1K_V1", "shufflenetv2_x1_5-3c479a10.pth",
                 "3c479a10", 14215545, 72.996, 91.086, 224, 232, false, EG_ZOO_IMAGENET),
      COMMON},
     build,
     &(const shufflenet_table){{176, 352, 704}, 1024},
     NULL},
    {{EG_ZOO_ROW("shufflenet_v2_x2_0", "IMAGENET1K_V1", "shufflenetv2_x2_0-8be3c8ee.pth",
                 "8be3c8ee", 29814161, 76.230, 93.006, 224, 232, false, EG_ZOO_IMAGENET),
      COMMON},
     build,
     &(const shufflenet_table){{244, 488, 976}, 2048},
     NULL},
};

const eg_arch *eg_arch_shufflenet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
