/* Private to the net room: a convolution without bias, its batch norm and an activation, of which most networks are
 * made. Users: mbconv.c and the arch_*.c of families whose names and padding fit. Read first: graph.h.          */
#ifndef EG_CONV_BN_H
#define EG_CONV_BN_H

#include "net/graph.h"

typedef struct {
    int K, kernel, stride, groups;
    eg_act act;
    float epsilon, momentum; /* of the batch norm, PyTorch's sense */
    bool same_tf;            /* TensorFlow's "same" padding instead of kernel / 2 */
} eg_conv_bn;
/* With the numbers of torch.nn.BatchNorm2d (1e-5, 0.1); groups = K of a K-channel input: depthwise. */
eg_conv_bn eg_conv_bn_of(int K, int kernel, int stride, int groups, eg_act act);

/* Modules "<prefix><conv>" and "<prefix><bn>", together shorter than EG_CONV_BN_NAME bytes. */
enum { EG_CONV_BN_NAME = 96 };
int eg_graph_conv_bn(eg_graph *g, int x, const char *prefix, const char *conv, const char *bn,
                     const eg_conv_bn *s);

/* A number of channels as a multiple of 8, never more than 10 % down: TensorFlow's _make_divisible. */
int eg_channels_of_8(double exact);

#endif
