/* EfficientNet's body (Tan and Le 2019, arXiv:1905.11946): stem, seven stages of inverted bottlenecks (MBConv), last
 * 1x1 convolution, pooling, dropout, linear. Names follow torchvision's EfficientNet, "features.<stage>.<block>.block.
 * <layer>.<part>". Numbers of a variant: the tables of arch_efficientnet.c and arch_efficientnet_lite.c.         */
#include "net/mbconv.h"
#include <math.h>
#include <stdio.h>

enum { NAME = 64 };

/* Table 1 of the paper. */
static const struct {
    int expand, kernel, stride, C, K, blocks;
} STAGES[EG_MBCONV_STAGES] = {{1, 3, 1, 32, 16, 1},  {6, 3, 2, 16, 24, 2},  {6, 5, 2, 24, 40, 2},
                              {6, 3, 2, 40, 80, 3},  {6, 5, 1, 80, 112, 3}, {6, 5, 2, 112, 192, 4},
                              {6, 3, 1, 192, 320, 1}};
static const double DROP_PATH = 0.2; /* of the last block; grows linearly from 0 */

/* Channels times width, to a multiple of 8, never more than 10 % down (TensorFlow's _make_divisible). */
static int scaled(int channels, double width) {
    double exact = channels * width;
    int rounded = (int)(exact + 4) / 8 * 8;
    if (rounded < 8) rounded = 8;
    return rounded < 0.9 * exact ? rounded + 8 : rounded;
}

int eg_mbconv_blocks(const eg_mbconv_table *t, int stage) {
    bool end = stage == 0 || stage == EG_MBCONV_STAGES - 1;
    return t->fixed_ends && end ? STAGES[stage].blocks : (int)ceil(STAGES[stage].blocks * t->depth);
}

typedef struct {
    eg_graph *g;
    const eg_mbconv_table *t;
    char prefix[NAME]; /* "features.2.0.block." */
    int layer;         /* next number behind the prefix */
} body;

typedef struct {
    int K, kernel, stride, groups;
    bool act;
} conv_spec;

/* "<prefix><layer>.0" convolution, ".1" batch norm, and the activation */
static int conv_bn(body *b, int x, conv_spec s) {
    char name[NAME + 32];
    int pad = b->t->same_tf ? EG_PAD_SAME_TF : s.kernel / 2;
    snprintf(name, sizeof name, "%s%d.0", b->prefix, b->layer);
    x = eg_graph_conv(b->g, x, name, s.K, s.kernel, s.stride, pad, s.groups, false);
    snprintf(name, sizeof name, "%s%d.1", b->prefix, b->layer);
    x = eg_graph_bn(b->g, x, name, b->t->epsilon, b->t->momentum);
    b->layer++;
    return s.act ? eg_graph_act(b->g, x, b->t->act) : x;
}

static int block(body *b, int x, int C, int K, int stage, int stride, float drop) {
    int wide = C * STAGES[stage].expand, y = x;
    if (wide != C) y = conv_bn(b, y, (conv_spec){wide, 1, 1, 1, true});
    y = conv_bn(b, y, (conv_spec){wide, STAGES[stage].kernel, stride, wide, true});
    if (b->t->squeeze_excite) {
        char name[NAME + 32];
        snprintf(name, sizeof name, "%s%d", b->prefix, b->layer++);
        y = eg_graph_se(b->g, y, name, C / 4 > 1 ? C / 4 : 1, b->t->act); /* of the block's input */
    }
    y = conv_bn(b, y, (conv_spec){K, 1, 1, 1, false});
    if (stride != 1 || C != K) return y;
    return eg_graph_add(b->g, eg_graph_drop_path(b->g, y, drop), x);
}

eg_status eg_mbconv_build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const eg_mbconv_table *t = arch->table;
    body b = {.g = g, .t = t, .prefix = "features."};
    g->init = EG_INIT_EFFICIENTNET;
    int n_blocks = 0, index = 0;
    for (int s = 0; s < EG_MBCONV_STAGES; s++) n_blocks += eg_mbconv_blocks(t, s);
    int C = t->fixed_ends ? 32 : scaled(32, t->width);
    int x = eg_graph_input(g, side, side, 3);
    x = conv_bn(&b, x, (conv_spec){C, 3, 2, 1, true});
    for (int s = 0; s < EG_MBCONV_STAGES; s++) {
        int K = scaled(STAGES[s].K, t->width);
        for (int i = 0; i < eg_mbconv_blocks(t, s); i++, index++) {
            snprintf(b.prefix, sizeof b.prefix, "features.%d.%d.block.", s + 1, i);
            b.layer = 0;
            x = block(&b, x, C, K, s, i == 0 ? STAGES[s].stride : 1,
                      (float)(DROP_PATH * index / n_blocks));
            C = K;
        }
    }
    snprintf(b.prefix, sizeof b.prefix, "features.");
    b.layer = EG_MBCONV_STAGES + 1;
    x = conv_bn(&b, x, (conv_spec){t->fixed_ends ? 1280 : 4 * C, 1, 1, 1, true});
    x = eg_graph_dropout(g, eg_graph_mean_pool(g, x), t->dropout);
    eg_graph_linear(g, x, "classifier.1", n_classes, true);
    return g->status;
}
