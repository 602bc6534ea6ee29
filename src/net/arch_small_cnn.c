/* A plain CNN of the size beginners write: three convolutions with pooling, two linear layers. No pretrained weights
 * exist; it is the "from scratch" end of a comparison. Preprocessing is that of the ResNets (ImageNet mean and std),
 * so that a comparison is one of networks, with the same pixels going in.                                      */
#include "net/graph.h"
#include <stdio.h>

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch; /* one variant, no table */
    g->init = EG_INIT_TORCH;
    int x = eg_graph_input(g, side, side, 3);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "conv%d", i + 1);
        x = eg_graph_act(g, eg_graph_conv(g, x, name, 16 << i, 3, 1, 1, 1, true), EG_ACT_RELU);
        x = eg_graph_max_pool(g, x, 2, 2, 0, false);
    }
    x = eg_graph_linear(g, eg_graph_flatten(g, x), "fc1", 128, false);
    x = eg_graph_dropout(g, eg_graph_act(g, x, EG_ACT_RELU), 0.5f);
    eg_graph_linear(g, x, "fc2", n_classes, true);
    return g->status;
}

static const eg_arch entries[] = {
    {{.name = "small_cnn",
      .family = "plain CNN",
      .description =
          "three 3x3 convolutions with max pooling, two linear layers; trained from scratch",
      .img_size = 224,
      .resize = 256,
      .mean = {0.485f, 0.456f, 0.406f},
      .std = {0.229f, 0.224f, 0.225f},
      .scratch_only = true},
     build,
     NULL,
     NULL},
};

const eg_arch *eg_arch_small_cnn(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
