/* Private to the net room: the one builder behind EfficientNet, EfficientNet V2 and EfficientNet-Lite, which differ in
 * their stages and a few numbers. Users: arch_efficientnet.c, arch_efficientnet_v2.c, arch_efficientnet_lite.c.   */
#ifndef EG_MBCONV_H
#define EG_MBCONV_H

#include "net/graph.h"

typedef struct {
    bool fused; /* one dense convolution for the 1x1 and the depthwise one; no squeeze-excite */
    int expand, kernel, stride, C, K, blocks;
} eg_mbconv_stage;

typedef struct {
    const eg_mbconv_stage *stages; /* NULL: those of EfficientNet-B0 */
    int n_stages;
    int last;                /* channels of the last convolution; 0: 4 times those before it */
    double width, depth;     /* multipliers of channels and of blocks a stage */
    float dropout;           /* before the last layer */
    float epsilon, momentum; /* of batch norm, PyTorch's sense */
    eg_act act;
    bool squeeze_excite;
    bool same_tf;    /* TensorFlow's "same" padding instead of kernel / 2 */
    bool fixed_ends; /* stem, last convolution, first and last stage are not scaled (Lite) */
} eg_mbconv_table;

enum { EG_MBCONV_STAGES = 7 }; /* of EfficientNet-B0 */
eg_status eg_mbconv_build(eg_graph *g, const eg_arch *arch, int n_classes, int side);
/* Blocks of stage 0 .. n_stages - 1 after scaling. */
int eg_mbconv_blocks(const eg_mbconv_table *t, int stage);

#endif
