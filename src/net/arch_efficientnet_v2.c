/* EfficientNet V2 (Tan and Le 2021, arXiv:2104.00298) as in torchvision: the first three stages are fused bottlenecks, one
 * dense 3x3 convolution for the 1x1 and the depthwise one. No multipliers: each size has its own stages. Source of the
 * numbers: torchvision's efficientnet.py and weight metadata (scripts/make_zoo_table.py). Read first: mbconv.c.   */
#include "net/mbconv.h"
#include "net/zoo_row.h"

/* fused, expansion, kernel, stride, input and output channels, blocks */
static const eg_mbconv_stage S[] = {{true, 1, 3, 1, 24, 24, 2},    {true, 4, 3, 2, 24, 48, 4},
                                    {true, 4, 3, 2, 48, 64, 4},    {false, 4, 3, 2, 64, 128, 6},
                                    {false, 6, 3, 1, 128, 160, 9}, {false, 6, 3, 2, 160, 256, 15}};
static const eg_mbconv_stage M[] = {{true, 1, 3, 1, 24, 24, 3},     {true, 4, 3, 2, 24, 48, 5},
                                    {true, 4, 3, 2, 48, 80, 5},     {false, 4, 3, 2, 80, 160, 7},
                                    {false, 6, 3, 1, 160, 176, 14}, {false, 6, 3, 2, 176, 304, 18},
                                    {false, 6, 3, 1, 304, 512, 5}};
static const eg_mbconv_stage L[] = {{true, 1, 3, 1, 32, 32, 4},     {true, 4, 3, 2, 32, 64, 7},
                                    {true, 4, 3, 2, 64, 96, 7},     {false, 4, 3, 2, 96, 192, 10},
                                    {false, 6, 3, 1, 192, 224, 19}, {false, 6, 3, 2, 224, 384, 25},
                                    {false, 6, 3, 1, 384, 640, 7}};

/* momentum 0.1: torchvision trained these with PyTorch's own, and TensorFlow's epsilon */
#define FAMILY                                                                                     \
    .family = "EfficientNet V2",                                                                   \
    .description = "inverted bottlenecks, the early ones fused into dense 3x3 convolutions"
#define ROW(stages_, dropout_)                                                                     \
    &(const eg_mbconv_table) {                                                                     \
        .stages = stages_, .n_stages = sizeof stages_ / sizeof *stages_, .last = 1280, .width = 1, \
        .depth = 1, .dropout = dropout_, .epsilon = 1e-3f, .momentum = 0.1f, .act = EG_ACT_SILU,   \
        .squeeze_excite = true                                                                     \
    }

/* The side is that of evaluation; S and M were trained at smaller ones. L was ported from TensorFlow, whose normalisation
 * it has. */
static const eg_arch entries[] = {
    {{EG_ZOO_ROW("efficientnet_v2_s", "IMAGENET1K_V1", "efficientnet_v2_s-dd5fe13b.pth", "dd5fe13b",
                 86721430, 84.228, 96.878, 384, 384, false, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(S, 0.2f),
     NULL},
    {{EG_ZOO_ROW("efficientnet_v2_m", "IMAGENET1K_V1", "efficientnet_v2_m-dc08266a.pth", "dc08266a",
                 218114294, 85.112, 97.156, 480, 480, false, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(M, 0.3f),
     NULL},
    {{EG_ZOO_ROW("efficientnet_v2_l", "IMAGENET1K_V1", "efficientnet_v2_l-59c71312.pth", "59c71312",
                 476654338, 85.808, 97.788, 480, 480, true, EG_ZOO_HALF),
      FAMILY},
     eg_mbconv_build,
     ROW(L, 0.4f),
     NULL},
};

const eg_arch *eg_arch_efficientnet_v2(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
