/* AlexNet (Krizhevsky 2014, "One weird trick", arXiv:1404.5997) as in torchvision: five convolutions with bias, three
 * poolings of overlapping windows, three linear layers. Metadata: scripts/make_zoo_table.py. Read first: graph.h.  */
#include "net/graph.h"
#include "net/zoo_row.h"
#include <stdio.h>

/* `module`: the convolution's number in nn.Sequential "features", where ReLUs and poolings count */
static const struct {
    int module, K, kernel, stride, pad;
    bool pool; /* 3x3, stride 2, behind it */
} CONVS[] = {{0, 64, 11, 4, 2, true},
             {3, 192, 5, 1, 2, true},
             {6, 384, 3, 1, 1, false},
             {8, 256, 3, 1, 1, false},
             {10, 256, 3, 1, 1, true}};
enum { N_CONVS = sizeof CONVS / sizeof *CONVS, HIDDEN = 4096, POOLED = 6 };

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch; /* one row */
    g->init = EG_INIT_TORCH;
    int x = eg_graph_input(g, side, side, 3);
    for (int i = 0; i < N_CONVS; i++) {
        char name[32];
        snprintf(name, sizeof name, "features.%d", CONVS[i].module);
        x = eg_graph_conv(g, x, name, CONVS[i].K, CONVS[i].kernel, CONVS[i].stride, CONVS[i].pad, 1,
                          true);
        x = eg_graph_act(g, x, EG_ACT_RELU);
        if (CONVS[i].pool) x = eg_graph_max_pool(g, x, 3, 2, 0, false);
    }
    /* 224 pixels come here as 6 x 6; other sides are brought to it, so that the linear layers fit */
    x = eg_graph_flatten(g, eg_graph_adaptive_pool(g, x, POOLED));
    x = eg_graph_linear(g, eg_graph_dropout(g, x, 0.5f), "classifier.1", HIDDEN, false);
    x = eg_graph_act(g, x, EG_ACT_RELU);
    x = eg_graph_linear(g, eg_graph_dropout(g, x, 0.5f), "classifier.4", HIDDEN, false);
    x = eg_graph_act(g, x, EG_ACT_RELU);
    eg_graph_linear(g, x, "classifier.6", n_classes, true);
    return g->status;
}

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("alexnet", "IMAGENET1K_V1", "alexnet-owt-7be5be79.pth", "7be5be79", 244409434,
                 56.522, 79.066, 224, 256, false, EG_ZOO_IMAGENET),
      .family = "AlexNet",
      .description = "five convolutions and three linear layers: the network of 2012"},
     build,
     NULL,
     NULL},
};

const eg_arch *eg_arch_alexnet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
