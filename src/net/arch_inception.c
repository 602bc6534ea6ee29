/* Inception as in torchvision: GoogLeNet (Szegedy et al. 2014, arXiv:1409.4842; googlenet.py, batch norm added, 3x3
 * where the paper has 5x5) and Inception v3 (Szegedy et al. 2015, arXiv:1512.00567; inception.py). Blocks are branches
 * side by side, their channels concatenated. Auxiliary heads count in training (weights 0.3 each, and 0.4) and are
 * dropped by prediction. They are built where the state dict has them, not where they branch off.
 *
 * Preprocessing: the weights were ported from TensorFlow and want (pixel - 0.5) / 0.5; torchvision gets there from its
 * usual mean and deviation with transform_input=True, which is the same numbers. Read first: graph.h.         */
#include "net/graph.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { NAME = 64 };

static const float EPSILON = 1e-3f, MOMENTUM = 0.1f;
static const float AUX_WEIGHT_V1 = 0.3f, AUX_WEIGHT_V3 = 0.4f; /* of the papers */

/* torchvision's BasicConv2d: convolution without bias, batch norm, ReLU; "<prefix><part>.conv", ".bn" */
static int norm_relu(eg_graph *g, int x, const char *prefix, const char *part) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s.bn", prefix, part);
    return eg_graph_act(g, eg_graph_bn(g, x, name, EPSILON, MOMENTUM), EG_ACT_RELU);
}

typedef struct {
    int K, kernel, stride, pad;
} window;

static int conv(eg_graph *g, int x, const char *prefix, const char *part, window w) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s.conv", prefix, part);
    x = eg_graph_conv(g, x, name, w.K, w.kernel, w.stride, w.pad, 1, false);
    return norm_relu(g, x, prefix, part);
}

/* `rows` x `columns` window, padded so that the size stays */
static int conv_rect(eg_graph *g, int x, const char *prefix, const char *part, int K, int rows,
                     int columns) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s.conv", prefix, part);
    x = eg_graph_conv_rect(g, x, name, K, (const int[]){rows, columns},
                           (const int[]){rows / 2, columns / 2});
    return norm_relu(g, x, prefix, part);
}

/* 1x1 and 3x3 convolutions of stride 1 that keep the size */
static int conv1(eg_graph *g, int x, const char *prefix, const char *part, int K) {
    return conv(g, x, prefix, part, (window){K, 1, 1, 0});
}

static int conv3(eg_graph *g, int x, const char *prefix, const char *part, int K) {
    return conv(g, x, prefix, part, (window){K, 3, 1, 1});
}

/* mean of 3x3 pixels around each, zeros outside counted; then 1x1 */
static int branch_pool(eg_graph *g, int x, const char *prefix, int K) {
    return conv1(g, eg_graph_avg_pool(g, x, 3, 1, 1), prefix, "branch_pool", K);
}

/* ---- GoogLeNet ---- */

enum { V1_BLOCKS = 9, V1_AUX = 2 };

static const struct {
    const char *prefix;
    int one, reduce3, three, reduce5, five, pool; /* channels; names of the paper's table 1 */
    int pool_after; /* window of a max pool behind the block, 0 none */
} V1[V1_BLOCKS] = {
    {"inception3a.", 64, 96, 128, 16, 32, 32, 0},
    {"inception3b.", 128, 128, 192, 32, 96, 64, 3},
    {"inception4a.", 192, 96, 208, 16, 48, 64, 0},
    {"inception4b.", 160, 112, 224, 24, 64, 64, 0},
    {"inception4c.", 128, 128, 256, 24, 64, 64, 0},
    {"inception4d.", 112, 144, 288, 32, 64, 64, 0},
    {"inception4e.", 256, 160, 320, 32, 128, 128, 2},
    {"inception5a.", 256, 160, 320, 32, 128, 128, 0},
    {"inception5b.", 384, 192, 384, 48, 128, 128, 0},
};
/* the blocks whose outputs the auxiliary heads read: 4a, 4d */
static const struct {
    int block;
    const char *prefix;
} AUX_V1[V1_AUX] = {{2, "aux1."}, {5, "aux2."}};

/* four branches that keep the size, their channels in this order; "branch3" is 3x3 where the paper has 5x5 */
static int v1_block(eg_graph *g, int x, int i) {
    const char *p = V1[i].prefix;
    int b[4];
    b[0] = conv1(g, x, p, "branch1", V1[i].one);
    b[1] = conv3(g, conv1(g, x, p, "branch2.0", V1[i].reduce3), p, "branch2.1", V1[i].three);
    b[2] = conv3(g, conv1(g, x, p, "branch3.0", V1[i].reduce5), p, "branch3.1", V1[i].five);
    b[3] = conv1(g, eg_graph_max_pool(g, x, 3, 1, 1, true), p, "branch4.1", V1[i].pool);
    return eg_graph_concat(g, b, 4);
}

/* 4x4 cells whatever the side, 1x1 convolution, two linear layers */
static void v1_aux(eg_graph *g, int x, const char *prefix, int n_classes) {
    char name[NAME];
    g->in_aux = true;
    x = conv1(g, eg_graph_adaptive_pool(g, x, 4), prefix, "conv", 128);
    snprintf(name, sizeof name, "%sfc1", prefix);
    x = eg_graph_linear(g, eg_graph_flatten(g, x), name, 1024, false);
    x = eg_graph_dropout(g, eg_graph_act(g, x, EG_ACT_RELU), 0.7f);
    snprintf(name, sizeof name, "%sfc2", prefix);
    eg_graph_aux_head(g, x, name, n_classes, AUX_WEIGHT_V1);
    g->in_aux = false;
}

static eg_status build_v1(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    int outputs[V1_BLOCKS];
    g->init = EG_INIT_GOOGLENET;
    int x = eg_graph_input(g, side, side, 3);
    x = conv(g, x, "", "conv1", (window){64, 7, 2, 3});
    x = eg_graph_max_pool(g, x, 3, 2, 0, true);
    x = conv3(g, conv1(g, x, "", "conv2", 64), "", "conv3", 192);
    x = eg_graph_max_pool(g, x, 3, 2, 0, true);
    for (int i = 0; i < V1_BLOCKS; i++) {
        x = outputs[i] = v1_block(g, x, i);
        if (V1[i].pool_after) x = eg_graph_max_pool(g, x, V1[i].pool_after, 2, 0, true);
    }
    for (int k = 0; k < V1_AUX; k++)
        v1_aux(g, outputs[AUX_V1[k].block], AUX_V1[k].prefix, n_classes);
    x = eg_graph_dropout(g, eg_graph_mean_pool(g, x), 0.2f);
    eg_graph_linear(g, x, "fc", n_classes, true);
    return g->status;
}

/* ---- Inception v3; the letters of the blocks are torchvision's ---- */

/* 35 x 35 pixels (of a 299 pixel image): 1x1, 5x5, two 3x3 in a row, pooling */
static int block_a(eg_graph *g, int x, const char *p, int pool) {
    int b[4];
    b[0] = conv1(g, x, p, "branch1x1", 64);
    b[1] = conv1(g, x, p, "branch5x5_1", 48);
    b[1] = conv(g, b[1], p, "branch5x5_2", (window){64, 5, 1, 2});
    b[2] = conv3(g, conv1(g, x, p, "branch3x3dbl_1", 64), p, "branch3x3dbl_2", 96);
    b[2] = conv3(g, b[2], p, "branch3x3dbl_3", 96);
    b[3] = branch_pool(g, x, p, pool);
    return eg_graph_concat(g, b, 4);
}

/* 35 to 17 pixels a side: the pooling keeps all its channels */
static int block_b(eg_graph *g, int x, const char *p) {
    int b[3];
    b[0] = conv(g, x, p, "branch3x3", (window){384, 3, 2, 0});
    b[1] = conv3(g, conv1(g, x, p, "branch3x3dbl_1", 64), p, "branch3x3dbl_2", 96);
    b[1] = conv(g, b[1], p, "branch3x3dbl_3", (window){96, 3, 2, 0});
    b[2] = eg_graph_max_pool(g, x, 3, 2, 0, false);
    return eg_graph_concat(g, b, 3);
}

/* 17 x 17: a 7x7 window as 1x7 and 7x1, once and twice; C7 channels on the way */
static int block_c(eg_graph *g, int x, const char *p, int C7) {
    int b[4];
    b[0] = conv1(g, x, p, "branch1x1", 192);
    b[1] = conv1(g, x, p, "branch7x7_1", C7);
    b[1] = conv_rect(g, b[1], p, "branch7x7_2", C7, 1, 7);
    b[1] = conv_rect(g, b[1], p, "branch7x7_3", 192, 7, 1);
    b[2] = conv1(g, x, p, "branch7x7dbl_1", C7);
    b[2] = conv_rect(g, b[2], p, "branch7x7dbl_2", C7, 7, 1);
    b[2] = conv_rect(g, b[2], p, "branch7x7dbl_3", C7, 1, 7);
    b[2] = conv_rect(g, b[2], p, "branch7x7dbl_4", C7, 7, 1);
    b[2] = conv_rect(g, b[2], p, "branch7x7dbl_5", 192, 1, 7);
    b[3] = branch_pool(g, x, p, 192);
    return eg_graph_concat(g, b, 4);
}

/* 17 to 8 pixels a side */
static int block_d(eg_graph *g, int x, const char *p) {
    int b[3];
    b[0] = conv1(g, x, p, "branch3x3_1", 192);
    b[0] = conv(g, b[0], p, "branch3x3_2", (window){320, 3, 2, 0});
    b[1] = conv1(g, x, p, "branch7x7x3_1", 192);
    b[1] = conv_rect(g, b[1], p, "branch7x7x3_2", 192, 1, 7);
    b[1] = conv_rect(g, b[1], p, "branch7x7x3_3", 192, 7, 1);
    b[1] = conv(g, b[1], p, "branch7x7x3_4", (window){192, 3, 2, 0});
    b[2] = eg_graph_max_pool(g, x, 3, 2, 0, false);
    return eg_graph_concat(g, b, 3);
}

/* x through a 1x3 (`a`) and a 3x1 (`b`) convolution, side by side */
static int forked(eg_graph *g, int x, const char *p, const char *a, const char *b) {
    int first = conv_rect(g, x, p, a, 384, 1, 3);
    return eg_graph_concat(g, (const int[]){first, conv_rect(g, x, p, b, 384, 3, 1)}, 2);
}

/* 8 x 8: the last convolutions of two branches fork */
static int block_e(eg_graph *g, int x, const char *p) {
    int b[4];
    b[0] = conv1(g, x, p, "branch1x1", 320);
    b[1] = conv1(g, x, p, "branch3x3_1", 384);
    b[1] = forked(g, b[1], p, "branch3x3_2a", "branch3x3_2b");
    b[2] = conv3(g, conv1(g, x, p, "branch3x3dbl_1", 448), p, "branch3x3dbl_2", 384);
    b[2] = forked(g, b[2], p, "branch3x3dbl_3a", "branch3x3dbl_3b");
    b[3] = branch_pool(g, x, p, 192);
    return eg_graph_concat(g, b, 4);
}

/* Padding that a window of `kernel` pixels needs to fit once; 0 where it fits. */
static int pad_to_fit(const eg_graph *g, int x, int kernel) {
    int H = g->status == EG_OK ? g->nodes[x].H : kernel;
    return H < kernel ? (kernel - H + 1) / 2 : 0;
}

/* The windows of the auxiliary head fit from 299 pixels on, where torchvision stops training; below we pad them, so that
 * smaller images can be trained on. */
static void v3_aux(eg_graph *g, int x, int n_classes) {
    g->in_aux = true;
    x = eg_graph_avg_pool(g, x, 5, 3, pad_to_fit(g, x, 5));
    x = conv1(g, x, "AuxLogits.", "conv0", 128);
    x = conv(g, x, "AuxLogits.", "conv1", (window){768, 5, 1, pad_to_fit(g, x, 5)});
    eg_graph_aux_head(g, eg_graph_mean_pool(g, x), "AuxLogits.fc", n_classes, AUX_WEIGHT_V3);
    g->in_aux = false;
}

static eg_status build_v3(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    g->init = EG_INIT_INCEPTION;
    int x = eg_graph_input(g, side, side, 3);
    x = conv(g, x, "", "Conv2d_1a_3x3", (window){32, 3, 2, 0});
    x = conv(g, x, "", "Conv2d_2a_3x3", (window){32, 3, 1, 0});
    x = eg_graph_max_pool(g, conv3(g, x, "", "Conv2d_2b_3x3", 64), 3, 2, 0, false);
    x = conv1(g, x, "", "Conv2d_3b_1x1", 80);
    x = conv(g, x, "", "Conv2d_4a_3x3", (window){192, 3, 1, 0});
    x = eg_graph_max_pool(g, x, 3, 2, 0, false);
    x = block_a(g, x, "Mixed_5b.", 32);
    x = block_a(g, x, "Mixed_5c.", 64);
    x = block_a(g, x, "Mixed_5d.", 64);
    x = block_b(g, x, "Mixed_6a.");
    x = block_c(g, x, "Mixed_6b.", 128);
    x = block_c(g, x, "Mixed_6c.", 160);
    x = block_c(g, x, "Mixed_6d.", 160);
    x = block_c(g, x, "Mixed_6e.", 192);
    v3_aux(g, x, n_classes);
    x = block_d(g, x, "Mixed_7a.");
    x = block_e(g, x, "Mixed_7b.");
    x = block_e(g, x, "Mixed_7c.");
    x = eg_graph_dropout(g, eg_graph_mean_pool(g, x), 0.5f);
    eg_graph_linear(g, x, "fc", n_classes, true);
    return g->status;
}

/* ---- the table ---- */

#define COMMON .family = "Inception"

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("googlenet", "IMAGENET1K_V1", "googlenet-1378be20.pth", "1378be20", 52146733,
                 69.778, 89.530, 224, 256, false, EG_ZOO_HALF),
      COMMON,
      .description =
          "Inception v1: 1x1, two of 1x1 and 3x3, pooling side by side; two auxiliary heads"},
     build_v1,
     NULL,
     NULL},
    {{EG_ZOO_ROW("inception_v3", "IMAGENET1K_V1", "inception_v3_google-0cc3c7bd.pth", "0cc3c7bd",
                 108950192, 77.294, 93.450, 299, 342, false, EG_ZOO_HALF),
      COMMON,
      .description = "branches side by side with 1x7 and 7x1 windows; one auxiliary head; 299 px"},
     build_v3,
     NULL,
     NULL},
};

const eg_arch *eg_arch_inception(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
