/* MobileNet V3 (Howard et al. 2019, arXiv:1905.02244) as in torchvision: inverted bottlenecks found by search, hardswish, and
 * squeeze-excite on a quarter of the inner width with a hardsigmoid gate. Two linear layers behind the pooling.
 * Metadata: scripts/make_zoo_table.py. Read first: graph.h, conv_bn.h.                                          */
#include "net/conv_bn.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { STEM = 16 };
#define RE EG_ACT_RELU
#define HS EG_ACT_HARDSWISH

typedef struct {
    int kernel, wide, K; /* inner and output channels */
    bool squeeze_excite;
    eg_act act;
    int stride;
} bottleneck;

/* Tables 1 and 2 of the paper. */
static const bottleneck LARGE[] = {
    {3, 16, 16, false, RE, 1},  {3, 64, 24, false, RE, 2},  {3, 72, 24, false, RE, 1},
    {5, 72, 40, true, RE, 2},   {5, 120, 40, true, RE, 1},  {5, 120, 40, true, RE, 1},
    {3, 240, 80, false, HS, 2}, {3, 200, 80, false, HS, 1}, {3, 184, 80, false, HS, 1},
    {3, 184, 80, false, HS, 1}, {3, 480, 112, true, HS, 1}, {3, 672, 112, true, HS, 1},
    {5, 672, 160, true, HS, 2}, {5, 960, 160, true, HS, 1}, {5, 960, 160, true, HS, 1}};
static const bottleneck SMALL[] = {
    {3, 16, 16, true, RE, 2},  {3, 72, 24, false, RE, 2}, {3, 88, 24, false, RE, 1},
    {5, 96, 40, true, HS, 2},  {5, 240, 40, true, HS, 1}, {5, 240, 40, true, HS, 1},
    {5, 120, 48, true, HS, 1}, {5, 144, 48, true, HS, 1}, {5, 288, 96, true, HS, 2},
    {5, 576, 96, true, HS, 1}, {5, 576, 96, true, HS, 1}};

typedef struct {
    const bottleneck *blocks;
    int n_blocks, last, hidden; /* widths of the last convolution and of the first linear layer */
} mobilenet_table;

/* 0.001 and 0.01: TensorFlow's batch norm */
static eg_conv_bn spec(int K, int kernel, int stride, int groups, eg_act act) {
    eg_conv_bn s = eg_conv_bn_of(K, kernel, stride, groups, act);
    s.epsilon = 1e-3f;
    s.momentum = 0.01f;
    return s;
}

/* "<prefix><layer>.0" and ".1" */
static int layer(eg_graph *g, int x, const char *prefix, int at, eg_conv_bn s) {
    char name[EG_CONV_BN_NAME];
    snprintf(name, sizeof name, "%s%d.", prefix, at);
    return eg_graph_conv_bn(g, x, name, "0", "1", &s);
}

/* "features.<index>.block.<layer>"; layers that a block lacks have no number. */
static int block(eg_graph *g, int x, int index, int C, const bottleneck *b) {
    char prefix[32], name[48];
    snprintf(prefix, sizeof prefix, "features.%d.block.", index);
    int y = x, at = 0;
    if (b->wide != C) y = layer(g, y, prefix, at++, spec(b->wide, 1, 1, 1, b->act));
    y = layer(g, y, prefix, at++, spec(b->wide, b->kernel, b->stride, b->wide, b->act));
    if (b->squeeze_excite) {
        snprintf(name, sizeof name, "%s%d", prefix, at++);
        int squeeze = eg_channels_of_8(b->wide / 4);
        y = eg_graph_se(g, y, name, squeeze, EG_ACT_RELU, EG_ACT_HARDSIGMOID);
    }
    y = layer(g, y, prefix, at, spec(b->K, 1, 1, 1, EG_ACT_NONE));
    return b->stride == 1 && C == b->K ? eg_graph_add(g, y, x) : y;
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const mobilenet_table *t = arch->table;
    g->init = EG_INIT_NORMAL001;
    int C = STEM, x = eg_graph_input(g, side, side, 3);
    x = layer(g, x, "features.", 0, spec(STEM, 3, 2, 1, HS));
    for (int i = 0; i < t->n_blocks; i++) {
        x = block(g, x, i + 1, C, &t->blocks[i]);
        C = t->blocks[i].K;
    }
    x = layer(g, x, "features.", t->n_blocks + 1, spec(t->last, 1, 1, 1, HS));
    /* the paper's "efficient last stage": the widest layer sits behind the pooling, at one pixel */
    x = eg_graph_linear(g, eg_graph_mean_pool(g, x), "classifier.0", t->hidden, false);
    x = eg_graph_dropout(g, eg_graph_act(g, x, HS), 0.2f);
    eg_graph_linear(g, x, "classifier.3", n_classes, true);
    return g->status;
}

#define FAMILY                                                                                     \
    .family = "MobileNet V3",                                                                      \
    .description = "inverted bottlenecks found by search, squeeze-excite, hardswish; for phones"
#define ROW(blocks_, last_, hidden_)                                                               \
    &(const mobilenet_table) {                                                                     \
        blocks_, sizeof blocks_ / sizeof *blocks_, last_, hidden_                                  \
    }

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("mobilenet_v3_small", "IMAGENET1K_V1", "mobilenet_v3_small-047dcff4.pth",
                 "047dcff4", 10306454, 67.668, 87.402, 224, 256, false, EG_ZOO_IMAGENET),
      FAMILY},
     build,
     ROW(SMALL, 576, 1024),
     NULL},
    {{EG_ZOO_ROW("mobilenet_v3_large", "IMAGENET1K_V2", "mobilenet_v3_large-5c1a4163.pth",
                 "5c1a4163", 22132294, 75.274, 92.566, 224, 232, false, EG_ZOO_IMAGENET),
      FAMILY},
     build,
     ROW(LARGE, 960, 1280),
     NULL},
};

const eg_arch *eg_arch_mobilenet_v3(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
