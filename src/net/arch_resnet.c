/* ResNet (He et al. 2015, arXiv:1512.03385) as in torchvision: "V1.5", the stride of a bottleneck sits on its 3x3
 * convolution. Names, order and shapes are those of torchvision's state dicts (tests/data/arch). Weights, accuracies
 * and preprocessing: torchvision's weight metadata; IMAGENET1K_V2 came with a longer recipe and resize 232.
 * Read first: graph.h, conv_bn.h.                                                                             */
#include "net/conv_bn.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { PREFIX = 32, PART = 16 };

typedef struct {
    bool bottleneck; /* 1x1, 3x3, 1x1 (output 4 times the stage's width) instead of 3x3, 3x3 */
    int blocks[4];   /* a stage */
    int groups;      /* of the 3x3 convolution of a bottleneck */
    int group_width; /* channels of a group where the stage is 64 wide */
} resnet_table;

/* "<prefix>conv<i>", "<prefix>bn<i>" */
static int conv_bn(eg_graph *g, int x, const char *prefix, int i, eg_conv_bn s) {
    char conv[PART], bn[PART];
    snprintf(conv, sizeof conv, "conv%d", i);
    snprintf(bn, sizeof bn, "bn%d", i);
    return eg_graph_conv_bn(g, x, prefix, conv, bn, &s);
}

static int downsample(eg_graph *g, int x, const char *prefix, int K, int stride) {
    eg_conv_bn s = eg_conv_bn_of(K, 1, stride, 1, EG_ACT_NONE);
    return eg_graph_conv_bn(g, x, prefix, "downsample.0", "downsample.1", &s);
}

/* The main branch is built before the shortcut because the state dict has it first. */
static int block(eg_graph *g, int x, const char *prefix, const resnet_table *t, int width,
                 int stride) {
    const eg_act relu = EG_ACT_RELU;
    int K = t->bottleneck ? 4 * width : width, y;
    if (t->bottleneck) {
        int groups = t->groups, inner = width * t->group_width / 64 * groups;
        y = conv_bn(g, x, prefix, 1, eg_conv_bn_of(inner, 1, 1, 1, relu));
        y = conv_bn(g, y, prefix, 2, eg_conv_bn_of(inner, 3, stride, groups, relu));
        y = conv_bn(g, y, prefix, 3, eg_conv_bn_of(K, 1, 1, 1, EG_ACT_NONE));
    } else {
        y = conv_bn(g, x, prefix, 1, eg_conv_bn_of(width, 3, stride, 1, relu));
        y = conv_bn(g, y, prefix, 2, eg_conv_bn_of(K, 3, 1, 1, EG_ACT_NONE));
    }
    if (g->status != EG_OK) return 0;
    bool same = stride == 1 && g->nodes[x].C == K;
    int shortcut = same ? x : downsample(g, x, prefix, K, stride);
    return eg_graph_act(g, eg_graph_add(g, y, shortcut), EG_ACT_RELU);
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const resnet_table *t = arch->table;
    g->init = EG_INIT_RESNET;
    int x = eg_graph_input(g, side, side, 3);
    x = conv_bn(g, x, "", 1, eg_conv_bn_of(64, 7, 2, 1, EG_ACT_RELU));
    x = eg_graph_max_pool(g, x, 3, 2, 1, false);
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < t->blocks[stage]; i++) {
            char prefix[PREFIX];
            snprintf(prefix, sizeof prefix, "layer%d.%d.", stage + 1, i);
            x = block(g, x, prefix, t, 64 << stage, stage > 0 && i == 0 ? 2 : 1);
        }
    eg_graph_linear(g, eg_graph_mean_pool(g, x), "fc", n_classes, true);
    return g->status;
}

#define BASE_URL    "https://download.pytorch.org/models/"
#define IMAGENET    .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}
#define FILE_(name) .weights_file = name, .weights_url = BASE_URL name
#define V1          .weights = "IMAGENET1K_V1", .img_size = 224, .resize = 256, IMAGENET
#define V2          .weights = "IMAGENET1K_V2", .img_size = 224, .resize = 232, IMAGENET

/* SHA-256: the whole one where it was published, else the eight digits in the file's name. */
static const eg_arch entries[] = {
    {{"resnet18", "ResNet", "residual network of 18 layers, blocks of two 3x3 convolutions", 69.758,
      89.078, FILE_("resnet18-f37072fd.pth"),
      .weights_sha256 = "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
      .file_bytes = 46830571, V1},
     build,
     &(const resnet_table){false, {2, 2, 2, 2}, 1, 64},
     NULL},
    {{"resnet34", "ResNet", "residual network of 34 layers, blocks of two 3x3 convolutions", 73.314,
      91.420, FILE_("resnet34-b627a593.pth"), .weights_sha256 = "b627a593", .file_bytes = 87319819,
      V1},
     build,
     &(const resnet_table){false, {3, 4, 6, 3}, 1, 64},
     NULL},
    {{"resnet50", "ResNet", "residual network of 50 layers, bottleneck blocks (1x1, 3x3, 1x1)",
      80.858, 95.434, FILE_("resnet50-11ad3fa6.pth"),
      .weights_sha256 = "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
      .file_bytes = 102540417, V2},
     build,
     &(const resnet_table){true, {3, 4, 6, 3}, 1, 64},
     NULL},
    {{"resnet101", "ResNet", "residual network of 101 layers, bottleneck blocks", 81.886, 95.780,
      FILE_("resnet101-cd907fc2.pth"), .weights_sha256 = "cd907fc2", .file_bytes = 178814045, V2},
     build,
     &(const resnet_table){true, {3, 4, 23, 3}, 1, 64},
     NULL},
    {{"resnet152", "ResNet", "residual network of 152 layers, bottleneck blocks", 82.284, 96.002,
      FILE_("resnet152-f82ba261.pth"), .weights_sha256 = "f82ba261", .file_bytes = 241669177, V2},
     build,
     &(const resnet_table){true, {3, 8, 36, 3}, 1, 64},
     NULL},
    /* ResNeXt (Xie et al. 2016, arXiv:1611.05431): <groups>x<group width>d */
    {{EG_ZOO_ROW("resnext50_32x4d", "IMAGENET1K_V2", "resnext50_32x4d-1a0047aa.pth", "1a0047aa",
                 100488184, 81.198, 95.340, 224, 232, false, EG_ZOO_IMAGENET),
      .family = "ResNeXt",
      .description = "ResNet of 50 layers whose 3x3 convolutions have 32 groups"},
     build,
     &(const resnet_table){true, {3, 4, 6, 3}, 32, 4},
     NULL},
    {{EG_ZOO_ROW("resnext101_32x8d", "IMAGENET1K_V2", "resnext101_32x8d-110c445d.pth", "110c445d",
                 356172956, 82.834, 96.228, 224, 232, false, EG_ZOO_IMAGENET),
      .family = "ResNeXt",
      .description = "ResNet of 101 layers whose 3x3 convolutions have 32 groups"},
     build,
     &(const resnet_table){true, {3, 4, 23, 3}, 32, 8},
     NULL},
    {{EG_ZOO_ROW("resnext101_64x4d", "IMAGENET1K_V1", "resnext101_64x4d-173b62eb.pth", "173b62eb",
                 334829191, 83.246, 96.454, 224, 232, false, EG_ZOO_IMAGENET),
      .family = "ResNeXt",
      .description = "ResNet of 101 layers whose 3x3 convolutions have 64 groups"},
     build,
     &(const resnet_table){true, {3, 4, 23, 3}, 64, 4},
     NULL},
    /* Wide ResNet (Zagoruyko and Komodakis 2016, arXiv:1605.07146) */
    {{EG_ZOO_ROW("wide_resnet50_2", "IMAGENET1K_V2", "wide_resnet50_2-9ba9bcbe.pth", "9ba9bcbe",
                 275905511, 81.602, 95.758, 224, 232, false, EG_ZOO_IMAGENET),
      .family = "Wide ResNet",
      .description = "ResNet of 50 layers with bottlenecks twice as wide inside"},
     build,
     &(const resnet_table){true, {3, 4, 6, 3}, 1, 128},
     NULL},
    {{EG_ZOO_ROW("wide_resnet101_2", "IMAGENET1K_V2", "wide_resnet101_2-d733dc28.pth", "d733dc28",
                 508294070, 82.510, 96.020, 224, 232, false, EG_ZOO_IMAGENET),
      .family = "Wide ResNet",
      .description = "ResNet of 101 layers with bottlenecks twice as wide inside"},
     build,
     &(const resnet_table){true, {3, 4, 23, 3}, 1, 128},
     NULL},
};

const eg_arch *eg_arch_resnet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
