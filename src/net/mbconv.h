/* Private to the net room: the one builder behind EfficientNet and EfficientNet-Lite, which differ in a few numbers
 * and in squeeze-excite. Users: arch_efficientnet.c, arch_efficientnet_lite.c.                                  */
#ifndef EG_MBCONV_H
#define EG_MBCONV_H

#include "net/graph.h"

typedef struct {
    double width, depth;     /* multipliers of channels and of blocks a stage */
    float dropout;           /* before the last layer */
    float epsilon, momentum; /* of batch norm, PyTorch's sense */
    eg_act act;
    bool squeeze_excite;
    bool same_tf;    /* TensorFlow's "same" padding instead of kernel / 2 */
    bool fixed_ends; /* stem, last convolution, first and last stage are not scaled (Lite) */
} eg_mbconv_table;

enum { EG_MBCONV_STAGES = 7 };
eg_status eg_mbconv_build(eg_graph *g, const eg_arch *arch, int n_classes, int side);
/* Blocks of stage 0 .. 6 after scaling. */
int eg_mbconv_blocks(const eg_mbconv_table *t, int stage);

#endif
