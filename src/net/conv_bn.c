/* Convolution, batch norm, activation as one call of the graph builder. Read first: conv_bn.h, graph.h.
 * Networks whose batch norms do not follow their convolutions (DenseNet) do without it.                        */
#include "net/conv_bn.h"
#include <stdio.h>

int eg_graph_conv_bn(eg_graph *g, int x, const char *prefix, const char *conv, const char *bn,
                     const eg_conv_bn *s) {
    char name[EG_CONV_BN_NAME];
    snprintf(name, sizeof name, "%s%s", prefix, conv);
    x = eg_graph_conv(g, x, name, s->K, s->kernel, s->stride, s->kernel / 2, s->groups, false);
    snprintf(name, sizeof name, "%s%s", prefix, bn);
    return eg_graph_act(g, eg_graph_bn(g, x, name, s->epsilon, s->momentum), s->act);
}

int eg_channels_of_8(double exact) {
    int rounded = (int)(exact + 4) / 8 * 8;
    if (rounded < 8) rounded = 8;
    return rounded < 0.9 * exact ? rounded + 8 : rounded;
}
