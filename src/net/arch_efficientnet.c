/* EfficientNet as in torchvision: SiLU, squeeze-excite on a quarter of the block's input, stochastic depth up to 0.2.
 * A variant is a row of multipliers (eg_mbconv_table): B1 to B7 are further rows with their own weights. Source of the
 * numbers: torchvision's efficientnet.py and weight metadata. Read first: mbconv.c.                             */
#include "net/mbconv.h"

/* B0's weights are timm's (Wightman's recipe); their file had another name, ending -3dd342df, until 2023. */
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
     &(const eg_mbconv_table){.width = 1.0,
                              .depth = 1.0,
                              .dropout = 0.2f,
                              .epsilon = 1e-5f,
                              .momentum = 0.1f,
                              .act = EG_ACT_SILU,
                              .squeeze_excite = true},
     NULL},
};

const eg_arch *eg_arch_efficientnet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
