/* EfficientNet as in torchvision: SiLU, squeeze-excite on a quarter of the block's input, stochastic depth up to 0.2.
 * A variant is a row of multipliers (eg_mbconv_table): B1 to B7 are further rows with their own weights. Source of the
 * numbers: torchvision's efficientnet.py and weight metadata. Read first: mbconv.c.                             */
#include "net/mbconv.h"
#include "net/zoo_row.h"

/* B0's weights are timm's (Wightman's recipe); their file had another name, ending -3dd342df, until 2023. */
#define EARLY .epsilon = 1e-5f, .momentum = 0.1f
#define LATE  .epsilon = 1e-3f, .momentum = 0.01f /* B5 and up: TensorFlow's */
#define ROW(width_, depth_, dropout_, norm_)                                                       \
    &(const eg_mbconv_table) {                                                                     \
        .width = width_, .depth = depth_, .dropout = dropout_, norm_, .act = EG_ACT_SILU,          \
        .squeeze_excite = true                                                                     \
    }
/* B1 to B7 by the paper's compound rule; sides and crops are those of each weights file */
#define FAMILY                                                                                     \
    .family = "EfficientNet",                                                                      \
    .description = "EfficientNet-B0 made wider and deeper together, for larger images"

static const eg_arch entries[] = {
    {{.name = "efficientnet_b0",
      .family = "EfficientNet",
      .description = "inverted bottlenecks with depthwise convolutions and squeeze-excite, SiLU",
      .top1 = 77.692,
      .top5 = 93.532,
      .weights = "IMAGENET1K_V1",
      .weights_file = "efficientnet_b0_rwightman-7f5810bc.pth",
      .weights_url = "https://download.pytorch.org/models/efficientnet_b0_rwightman-7f5810bc.pth",
      .weights_sha256 = "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",
      .file_bytes = 21444401,
      .img_size = 224,
      .resize = 256,
      .bicubic = true,
      .mean = {0.485f, 0.456f, 0.406f},
      .std = {0.229f, 0.224f, 0.225f}},
     eg_mbconv_build,
     ROW(1.0, 1.0, 0.2f, EARLY),
     NULL},
    {{EG_ZOO_ROW("efficientnet_b1", "IMAGENET1K_V2", "efficientnet_b1-c27df63c.pth", "c27df63c",
                 31599886, 79.838, 94.934, 240, 255, false, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(1.0, 1.1, 0.2f, EARLY),
     NULL},
    {{EG_ZOO_ROW("efficientnet_b2", "IMAGENET1K_V1", "efficientnet_b2_rwightman-c35c1473.pth",
                 "c35c1473", 36882612, 80.608, 95.310, 288, 288, true, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(1.1, 1.2, 0.3f, EARLY),
     NULL},
    {{EG_ZOO_ROW("efficientnet_b3", "IMAGENET1K_V1", "efficientnet_b3_rwightman-b3899882.pth",
                 "b3899882", 49476010, 82.008, 96.054, 300, 320, true, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(1.2, 1.4, 0.3f, EARLY),
     NULL},
    {{EG_ZOO_ROW("efficientnet_b4", "IMAGENET1K_V1", "efficientnet_b4_rwightman-23ab8bcd.pth",
                 "23ab8bcd", 78107378, 83.384, 96.594, 380, 384, true, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(1.4, 1.8, 0.4f, EARLY),
     NULL},
    {{EG_ZOO_ROW("efficientnet_b5", "IMAGENET1K_V1", "efficientnet_b5_lukemelas-1a07897c.pth",
                 "1a07897c", 122540786, 83.444, 96.628, 456, 456, true, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(1.6, 2.2, 0.4f, LATE),
     NULL},
    {{EG_ZOO_ROW("efficientnet_b6", "IMAGENET1K_V1", "efficientnet_b6_lukemelas-24a108a5.pth",
                 "24a108a5", 173394625, 84.008, 96.916, 528, 528, true, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(1.8, 2.6, 0.5f, LATE),
     NULL},
    {{EG_ZOO_ROW("efficientnet_b7", "IMAGENET1K_V1", "efficientnet_b7_lukemelas-c5b4e57e.pth",
                 "c5b4e57e", 267046093, 84.122, 96.908, 600, 600, true, EG_ZOO_IMAGENET),
      FAMILY},
     eg_mbconv_build,
     ROW(2.0, 3.1, 0.5f, LATE),
     NULL},
};

const eg_arch *eg_arch_efficientnet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
