/* DenseNet (Huang et al. 2016, arXiv:1608.06993) as in torchvision's densenet.py: every layer reads the channels of all
 * layers before it in its block, and adds `growth` of its own. torch.cat of a growing list is here a chain of
 * concatenations of two values, which gives the same channels in the same order.
 *
 * The weights files of 2017 say "denselayer1.norm.1.weight" where torchvision now says "denselayer1.norm1.weight":
 * foreign_name. Read first: graph.h.                                                                          */
#include "net/graph.h"
#include "net/zoo_row.h"
#include <stdio.h>
#include <string.h>

enum {
    NAME = 96,
    PREFIX = 64,
    STAGES = 4,
    BOTTLENECK = 4 /* width of the 1x1 convolution, in growths */
};

typedef struct {
    int stem, growth;
    int layers[STAGES]; /* of each dense block */
} densenet_table;

static const float EPSILON = 1e-5f, MOMENTUM = 0.1f;

/* "<prefix>norm<suffix>", ReLU */
static int norm_relu(eg_graph *g, int x, const char *prefix, const char *suffix) {
    char name[NAME];
    snprintf(name, sizeof name, "%snorm%s", prefix, suffix);
    return eg_graph_act(g, eg_graph_bn(g, x, name, EPSILON, MOMENTUM), EG_ACT_RELU);
}

/* "<prefix>conv<suffix>", no bias */
static int conv(eg_graph *g, int x, const char *prefix, const char *suffix, int K, int kernel,
                int stride) {
    char name[NAME];
    snprintf(name, sizeof name, "%sconv%s", prefix, suffix);
    return eg_graph_conv(g, x, name, K, kernel, stride, kernel / 2, 1, false);
}

/* norm1, relu, conv1 (1x1), norm2, relu, conv2 (3x3): `growth` new channels behind those of x */
static int dense_layer(eg_graph *g, int x, const char *prefix, int growth) {
    int y = norm_relu(g, x, prefix, "1");
    y = conv(g, y, prefix, "1", BOTTLENECK * growth, 1, 1);
    y = conv(g, norm_relu(g, y, prefix, "2"), prefix, "2", growth, 3, 1);
    return eg_graph_concat(g, (const int[]){x, y}, 2);
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const densenet_table *t = arch->table;
    char prefix[PREFIX];
    g->init = EG_INIT_DENSENET;
    int x = eg_graph_input(g, side, side, 3), C = t->stem;
    x = conv(g, x, "features.", "0", C, 7, 2);
    x = norm_relu(g, x, "features.", "0");
    x = eg_graph_max_pool(g, x, 3, 2, 1, false);
    for (int stage = 0; stage < STAGES; stage++) {
        for (int i = 0; i < t->layers[stage]; i++, C += t->growth) {
            snprintf(prefix, sizeof prefix, "features.denseblock%d.denselayer%d.", stage + 1,
                     i + 1);
            x = dense_layer(g, x, prefix, t->growth);
        }
        if (stage == STAGES - 1) break;
        C /= 2; /* a transition halves channels and sides */
        snprintf(prefix, sizeof prefix, "features.transition%d.", stage + 1);
        x = conv(g, norm_relu(g, x, prefix, ""), prefix, "", C, 1, 1);
        x = eg_graph_avg_pool(g, x, 2, 2, 0);
    }
    x = eg_graph_mean_pool(g, norm_relu(g, x, "features.", "5"));
    eg_graph_linear(g, x, "classifier", n_classes, true);
    return g->status;
}

/* Inside a dense layer: a dot between "norm" or "conv" and its number; elsewhere the old names are today's. */
static bool foreign_name(char *out, const eg_arch *arch, const char *name) {
    (void)arch;
    const char *layer = strstr(name, ".denselayer");
    if (!layer) return false;
    const char *part = strchr(layer + 1, '.');
    if (!part || (strncmp(part, ".norm", 5) != 0 && strncmp(part, ".conv", 5) != 0)) return false;
    int n = snprintf(out, 256, "%.*s.%s", (int)(part + 5 - name), name, part + 5);
    return n > 0 && n < 256;
}

/* ---- the table ---- */

#define COMMON                                                                                     \
    .family = "DenseNet",                                                                          \
    .description = "every layer reads all layers before it in its block (BN, ReLU, 1x1, 3x3)"
#define ROW(stem_, growth_, ...)                                                                   \
    build, &(const densenet_table){.stem = stem_, .growth = growth_, .layers = {__VA_ARGS__}},     \
        foreign_name

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("densenet121", "IMAGENET1K_V1", "densenet121-a639ec97.pth", "a639ec97", 32343327,
                 74.434, 91.972, 224, 256, false, EG_ZOO_IMAGENET),
      COMMON},
     ROW(64, 32, 6, 12, 24, 16)},
    {{EG_ZOO_ROW("densenet161", "IMAGENET1K_V1", "densenet161-8d451a50.pth", "8d451a50", 115730285,
                 77.138, 93.560, 224, 256, false, EG_ZOO_IMAGENET),
      COMMON},
     ROW(96, 48, 6, 12, 36, 24)},
    {{EG_ZOO_ROW("densenet169", "IMAGENET1K_V1", "densenet169-b2777c0a.pth", "b2777c0a", 57365496,
                 75.600, 92.806, 224, 256, false, EG_ZOO_IMAGENET),
      COMMON},
     ROW(64, 32, 6, 12, 32, 32)},
    {{EG_ZOO_ROW("densenet201", "IMAGENET1K_V1", "densenet201-c1103571.pth", "c1103571", 81131471,
                 76.896, 93.370, 224, 256, false, EG_ZOO_IMAGENET),
      COMMON},
     ROW(64, 32, 6, 12, 48, 32)},
};

const eg_arch *eg_arch_densenet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
