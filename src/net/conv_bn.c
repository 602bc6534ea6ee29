/* Convolution, batch norm, activation as one call of the graph builder. Read first: conv_bn.h, graph.h.
 * Networks whose batch norms do not follow their convolutions (DenseNet) do without it.                        */
#include "net/conv_bn.h"
#include <stdio.h>

eg_conv_bn eg_conv_bn_of(int K, int kernel, int stride, int groups, eg_act act) {
    return (eg_conv_bn){.K = K,
                        .kernel = kernel,
                        .stride = stride,
                        .groups = groups,
                        .act = act,
                        .epsilon = 1e-5f,
                        .momentum = 0.1f};
}

int eg_graph_conv_bn(eg_graph *g, int x, const char *prefix, const char *conv, const char *bn,
                     const eg_conv_bn *s) {
    char name[EG_CONV_BN_NAME];
    snprintf(name, sizeof name, "%s%s", prefix, conv);
    /* no bias: the batch norm would take it away with the mean */
    int pad = s->same_tf ? EG_PAD_SAME_TF : s->kernel / 2;
    x = eg_graph_conv(g, x, name, s->K, s->kernel, s->stride, pad, s->groups, false);
    snprintf(name, sizeof name, "%s%s", prefix, bn);
    return eg_graph_act(g, eg_graph_bn(g, x, name, s->epsilon, s->momentum), s->act);
}

/* 0.9: torchvision's _make_divisible, after TensorFlow's MobileNet */
int eg_channels_of_8(double exact) {
    int rounded = (int)(exact + 4) / 8 * 8;
    if (rounded < 8) rounded = 8;
    return rounded < 0.9 * exact ? rounded + 8 : rounded;
}
