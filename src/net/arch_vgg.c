/* VGG (Simonyan and Zisserman 2014, arXiv:1409.1556) as in torchvision: 3x3 convolutions with bias, with or without batch
 * norm, five poolings by 2, three linear layers that hold most of the weights. Numbers of modules count convolutions,
 * batch norms, ReLUs and poolings. Metadata: scripts/make_zoo_table.py. Read first: graph.h.                     */
#include "net/graph.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { N_STAGES = 5, HIDDEN = 4096, POOLED = 7 };
/* channels of a stage, every variant; the name counts the layers with weights: convolutions and three linear ones */
static const int WIDTHS[N_STAGES] = {64, 128, 256, 512, 512};

typedef struct {
    int convs[N_STAGES]; /* a stage */
    bool bn;
} vgg_table;

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const vgg_table *t = arch->table;
    g->init = EG_INIT_NORMAL001;
    int module = 0, x = eg_graph_input(g, side, side, 3);
    for (int s = 0; s < N_STAGES; s++) {
        for (int i = 0; i < t->convs[s]; i++) {
            char name[32];
            snprintf(name, sizeof name, "features.%d", module++);
            /* with a bias in front of a batch norm too, where it does nothing: the weights files have it */
            x = eg_graph_conv(g, x, name, WIDTHS[s], 3, 1, 1, 1, true);
            if (t->bn) {
                snprintf(name, sizeof name, "features.%d", module++);
                x = eg_graph_bn(g, x, name, 1e-5f, 0.1f);
            }
            x = eg_graph_act(g, x, EG_ACT_RELU);
            module++; /* ReLU and pooling have no tensors but a number */
        }
        x = eg_graph_max_pool(g, x, 2, 2, 0, false);
        module++;
    }
    /* 25088 inputs (channel first, as the weights count them) to 4096: 103 of VGG-16's 138 million weights */
    x = eg_graph_flatten(g, eg_graph_adaptive_pool(g, x, POOLED));
    x = eg_graph_act(g, eg_graph_linear(g, x, "classifier.0", HIDDEN, false), EG_ACT_RELU);
    x = eg_graph_dropout(g, x, 0.5f);
    x = eg_graph_act(g, eg_graph_linear(g, x, "classifier.3", HIDDEN, false), EG_ACT_RELU);
    x = eg_graph_dropout(g, x, 0.5f);
    eg_graph_linear(g, x, "classifier.6", n_classes, true);
    return g->status;
}

#define PLAIN                                                                                      \
    .family = "VGG", .description = "a plain stack of 3x3 convolutions, large linear layers"
#define NORM .family = "VGG", .description = "a plain stack of 3x3 convolutions with batch norm"

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("vgg11", "IMAGENET1K_V1", "vgg11-8a719046.pth", "8a719046", 531460260, 69.020,
                 88.628, 224, 256, false, EG_ZOO_IMAGENET),
      PLAIN},
     build,
     &(const vgg_table){{1, 1, 2, 2, 2}, false},
     NULL},
    {{EG_ZOO_ROW("vgg11_bn", "IMAGENET1K_V1", "vgg11_bn-6002323d.pth", "6002323d", 531503251,
                 70.370, 89.810, 224, 256, false, EG_ZOO_IMAGENET),
      NORM},
     build,
     &(const vgg_table){{1, 1, 2, 2, 2}, true},
     NULL},
    {{EG_ZOO_ROW("vgg13", "IMAGENET1K_V1", "vgg13-19584684.pth", "19584684", 532199506, 69.928,
                 89.246, 224, 256, false, EG_ZOO_IMAGENET),
      PLAIN},
     build,
     &(const vgg_table){{2, 2, 2, 2, 2}, false},
     NULL},
    {{EG_ZOO_ROW("vgg13_bn", "IMAGENET1K_V1", "vgg13_bn-abd245e5.pth", "abd245e5", 532246692,
                 71.586, 90.374, 224, 256, false, EG_ZOO_IMAGENET),
      NORM},
     build,
     &(const vgg_table){{2, 2, 2, 2, 2}, true},
     NULL},
    {{EG_ZOO_ROW("vgg16", "IMAGENET1K_V1", "vgg16-397923af.pth", "397923af", 553434218, 71.592,
                 90.382, 224, 256, false, EG_ZOO_IMAGENET),
      PLAIN},
     build,
     &(const vgg_table){{2, 2, 3, 3, 3}, false},
     NULL},
    {{EG_ZOO_ROW("vgg16_bn", "IMAGENET1K_V1", "vgg16_bn-6c64b313.pth", "6c64b313", 553507619,
                 73.360, 91.516, 224, 256, false, EG_ZOO_IMAGENET),
      NORM},
     build,
     &(const vgg_table){{2, 2, 3, 3, 3}, true},
     NULL},
    {{EG_ZOO_ROW("vgg19", "IMAGENET1K_V1", "vgg19-dcbb9e9d.pth", "dcbb9e9d", 574673125, 72.376,
                 90.876, 224, 256, false, EG_ZOO_IMAGENET),
      PLAIN},
     build,
     &(const vgg_table){{2, 2, 4, 4, 4}, false},
     NULL},
    {{EG_ZOO_ROW("vgg19_bn", "IMAGENET1K_V1", "vgg19_bn-c79401a0.pth", "c79401a0", 574769594,
                 74.218, 91.842, 224, 256, false, EG_ZOO_IMAGENET),
      NORM},
     build,
     &(const vgg_table){{2, 2, 4, 4, 4}, true},
     NULL},
};

const eg_arch *eg_arch_vgg(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
