/* EfficientNet's body (Tan and Le 2019, arXiv:1905.11946; V2: 2021, arXiv:2104.00298): stem, stages of inverted
 * bottlenecks (MBConv; V2: fused ones first), last 1x1 convolution, pooling, dropout, linear. Names follow torchvision's
 * EfficientNet, "features.<stage>.<block>.block.<layer>.<part>". Numbers of a variant: arch_efficientnet*.c.     */
#include "net/mbconv.h"
#include "net/conv_bn.h"
#include <math.h>
#include <stdio.h>

enum { NAME = 64 };

/* Table 1 of the paper. */
static const eg_mbconv_stage B0[EG_MBCONV_STAGES] = {
    {false, 1, 3, 1, 32, 16, 1},  {false, 6, 3, 2, 16, 24, 2},  {false, 6, 5, 2, 24, 40, 2},
    {false, 6, 3, 2, 40, 80, 3},  {false, 6, 5, 1, 80, 112, 3}, {false, 6, 5, 2, 112, 192, 4},
    {false, 6, 3, 1, 192, 320, 1}};
static const double DROP_PATH = 0.2; /* of the last block; grows linearly from 0 */

static const eg_mbconv_stage *stages_of(const eg_mbconv_table *t, int *n) {
    *n = t->stages ? t->n_stages : EG_MBCONV_STAGES;
    return t->stages ? t->stages : B0;
}

int eg_mbconv_blocks(const eg_mbconv_table *t, int stage) {
    int n;
    const eg_mbconv_stage *s = stages_of(t, &n);
    bool end = stage == 0 || stage == n - 1;
    return t->fixed_ends && end ? s[stage].blocks : (int)ceil(s[stage].blocks * t->depth);
}

typedef struct {
    eg_graph *g;
    const eg_mbconv_table *t;
    char prefix[NAME]; /* "features.2.0.block." */
    int layer;         /* next number behind the prefix */
} body;

/* Layer number b->layer: "<prefix><layer>.0" convolution, ".1" batch norm; torchvision's Conv2dNormActivation. */
static int conv_bn(body *b, int x, eg_conv_bn s) {
    char prefix[NAME + 16];
    snprintf(prefix, sizeof prefix, "%s%d.", b->prefix, b->layer++);
    s.epsilon = b->t->epsilon;
    s.momentum = b->t->momentum;
    s.same_tf = b->t->same_tf;
    return eg_graph_conv_bn(b->g, x, prefix, "0", "1", &s);
}

/* An inverted bottleneck without its shortcut: 1x1 to `wide` channels, depthwise, squeeze-excite, 1x1 to K. */
static int inverted(body *b, int x, int C, int K, const eg_mbconv_stage *s, int stride) {
    int wide = C * s->expand;
    if (wide != C) x = conv_bn(b, x, eg_conv_bn_of(wide, 1, 1, 1, b->t->act));
    x = conv_bn(b, x, eg_conv_bn_of(wide, s->kernel, stride, wide, b->t->act));
    if (b->t->squeeze_excite) {
        char name[NAME + 32];
        snprintf(name, sizeof name, "%s%d", b->prefix, b->layer++);
        int squeeze = C / 4 > 1 ? C / 4 : 1; /* of the block's input */
        x = eg_graph_se(b->g, x, name, squeeze, b->t->act, EG_ACT_SIGMOID);
    }
    return conv_bn(b, x, eg_conv_bn_of(K, 1, 1, 1, EG_ACT_NONE));
}

/* EfficientNet V2: a dense convolution does the work of the first two; without expansion it is all there is. */
static int fused(body *b, int x, int C, int K, const eg_mbconv_stage *s, int stride) {
    if (s->expand == 1) return conv_bn(b, x, eg_conv_bn_of(K, s->kernel, stride, 1, b->t->act));
    x = conv_bn(b, x, eg_conv_bn_of(C * s->expand, s->kernel, stride, 1, b->t->act));
    return conv_bn(b, x, eg_conv_bn_of(K, 1, 1, 1, EG_ACT_NONE));
}

static int block(body *b, int x, int C, int K, const eg_mbconv_stage *s, int stride, float drop) {
    int y = s->fused ? fused(b, x, C, K, s, stride) : inverted(b, x, C, K, s, stride);
    if (stride != 1 || C != K) return y;
    return eg_graph_add(b->g, eg_graph_drop_path(b->g, y, drop), x);
}

eg_status eg_mbconv_build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const eg_mbconv_table *t = arch->table;
    body b = {.g = g, .t = t, .prefix = "features."};
    g->init = EG_INIT_EFFICIENTNET;
    int n_stages, n_blocks = 0, index = 0;
    const eg_mbconv_stage *stages = stages_of(t, &n_stages);
    for (int s = 0; s < n_stages; s++) n_blocks += eg_mbconv_blocks(t, s);
    int C = t->fixed_ends ? stages[0].C : eg_channels_of_8(stages[0].C * t->width);
    int x = eg_graph_input(g, side, side, 3);
    x = conv_bn(&b, x, eg_conv_bn_of(C, 3, 2, 1, t->act));
    for (int s = 0; s < n_stages; s++) {
        int K = eg_channels_of_8(stages[s].K * t->width);
        for (int i = 0; i < eg_mbconv_blocks(t, s); i++, index++) {
            snprintf(b.prefix, sizeof b.prefix, "features.%d.%d.block.", s + 1, i);
            b.layer = 0;
            x = block(&b, x, C, K, &stages[s], i == 0 ? stages[s].stride : 1,
                      (float)(DROP_PATH * index / n_blocks));
            C = K;
        }
    }
    snprintf(b.prefix, sizeof b.prefix, "features.");
    b.layer = n_stages + 1;
    x = conv_bn(&b, x, eg_conv_bn_of(t->last ? t->last : 4 * C, 1, 1, 1, t->act));
    x = eg_graph_dropout(g, eg_graph_mean_pool(g, x), t->dropout);
    eg_graph_linear(g, x, "classifier.1", n_classes, true);
    return g->status;
}
