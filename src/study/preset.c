/* Preprocessing: from the network's own preset and --preprocessing / --img-size, and to and from
 * the JSON that travels in config.json and in a checkpoint's metadata, so that a run always sees
 * images as it was trained on them. The pixels themselves are the data room's. */
#include "study/run.h"
#include <math.h>
#include <string.h>

/* Weights of torchvision beside those of the zoo's rows, known by the first digits of their SHA-256:
 * the ImageNet normalisation is the same, the geometry is not. Checked against torchvision by
 * tests/ref/preprocess_parity.py. */
typedef struct {
    const char *model, *digits;
    int side, resize;
    bool bicubic;
} other_weights;
static const other_weights OTHERS[] = {
    /* clang-format off */
    {"efficientnet_b1", "bac287d4", 240, 256, true}, /* IMAGENET1K_V1 */
    {"mobilenet_v2", "b0353104", 224, 256, false}, /* IMAGENET1K_V1 */
    {"mobilenet_v3_large", "8738ca79", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_x_16gf", "2007eb11", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_x_1_6gf", "e3633e7f", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_x_32gf", "9d47f8d0", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_x_3_2gf", "f342aeae", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_x_400mf", "adf1edd5", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_x_800mf", "ad17e45c", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_x_8gf", "03ceed89", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_y_128gf", "cbe8ce12", 224, 224, true}, /* IMAGENET1K_SWAG_LINEAR_V1 */
    {"regnet_y_16gf", "9e6ed7dd", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_y_16gf", "43afe44d", 384, 384, true}, /* IMAGENET1K_SWAG_E2E_V1 */
    {"regnet_y_16gf", "f3ec0043", 224, 224, true}, /* IMAGENET1K_SWAG_LINEAR_V1 */
    {"regnet_y_1_6gf", "b11a554e", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_y_32gf", "4dee3f7a", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_y_32gf", "04fdfa75", 384, 384, true}, /* IMAGENET1K_SWAG_E2E_V1 */
    {"regnet_y_32gf", "e1583746", 224, 224, true}, /* IMAGENET1K_SWAG_LINEAR_V1 */
    {"regnet_y_3_2gf", "b5a9779c", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_y_400mf", "c65dace8", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_y_800mf", "1b27b58c", 224, 256, false}, /* IMAGENET1K_V1 */
    {"regnet_y_8gf", "d0d0e4a8", 224, 256, false}, /* IMAGENET1K_V1 */
    {"resnet101", "63fe2227", 224, 256, false}, /* IMAGENET1K_V1 */
    {"resnet152", "394f9c45", 224, 256, false}, /* IMAGENET1K_V1 */
    {"resnet50", "0676ba61", 224, 256, false}, /* IMAGENET1K_V1 */
    {"resnext101_32x8d", "8ba56ff5", 224, 256, false}, /* IMAGENET1K_V1 */
    {"resnext50_32x4d", "7cdf4587", 224, 256, false}, /* IMAGENET1K_V1 */
    {"vit_b_16", "9ac1b537", 384, 384, true}, /* IMAGENET1K_SWAG_E2E_V1 */
    {"vit_b_16", "4e70ced5", 224, 224, true}, /* IMAGENET1K_SWAG_LINEAR_V1 */
    {"vit_h_14", "c1eb923e", 224, 224, true}, /* IMAGENET1K_SWAG_LINEAR_V1 */
    {"vit_l_16", "4f3808c9", 512, 512, true}, /* IMAGENET1K_SWAG_E2E_V1 */
    {"vit_l_16", "4d563306", 224, 224, true}, /* IMAGENET1K_SWAG_LINEAR_V1 */
    {"wide_resnet101_2", "32ee1156", 224, 256, false}, /* IMAGENET1K_V1 */
    {"wide_resnet50_2", "95faca4d", 224, 256, false}, /* IMAGENET1K_V1 */
    /* clang-format on */
};

static const other_weights *find_other(const eg_arch_info *arch, const char *sha256) {
    for (size_t i = 0; sha256 && *sha256 && i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (strcmp(OTHERS[i].model, arch->name) == 0 &&
            strncmp(OTHERS[i].digits, sha256, strlen(OTHERS[i].digits)) == 0)
            return &OTHERS[i];
    return NULL;
}

int eg_study_preset_side(const eg_arch_info *arch, const char *sha256) {
    const other_weights *other = find_other(arch, sha256);
    return other ? other->side : arch->img_size;
}

eg_status eg_study_preset_of(eg_preprocess *out, const eg_arch_info *arch, const char *sha256,
                             const char *name, int64_t img_size, eg_error *err) {
    const other_weights *other = find_other(arch, sha256);
    const int usual = other ? other->side : arch->img_size;
    const int resize = other ? other->resize : arch->resize;
    const bool bicubic = other ? other->bicubic : arch->bicubic;
    int side = img_size > 0 ? (int)img_size : usual;
    eg_preprocess p = {.fit = EG_FIT_CROP, .crop = side};
    p.interp = bicubic ? EG_INTERP_BICUBIC : EG_INTERP_BILINEAR;
    memcpy(p.mean, arch->mean, sizeof p.mean);
    memcpy(p.std, arch->std, sizeof p.std);
    if (!name || strcmp(name, "auto") == 0 || strcmp(name, "weights") == 0) {
        /* another size keeps the preset's share of the shorter side */
        p.resize = side == usual ? resize : (int)lround((double)resize * side / usual);
    } else if (strcmp(name, "squash") == 0) {
        p.fit = EG_FIT_SQUASH;
        p.resize = side;
    } else if (strcmp(name, "crop") == 0) {
        p.resize = side;
    } else {
        return eg_fail(err, EG_ERR_USAGE,
                       "--preprocessing %s: expected auto, weights, squash or crop", name);
    }
    *out = p;
    return EG_OK;
}

eg_status eg_study_preset(eg_preprocess *out, const eg_arch_info *arch, const char *name,
                          int64_t img_size, eg_error *err) {
    return eg_study_preset_of(out, arch, NULL, name, img_size, err);
}

/* Floats are written as the shortest decimals that people know them by: 0.485, not 0.485000014. */
static json_t *real_of(float value) {
    return json_real(round((double)value * 1e6) / 1e6);
}

json_t *eg_study_preset_json(const eg_preprocess *p) {
    return json_pack("{s:s, s:i, s:i, s:s, s:[o,o,o], s:[o,o,o]}", "fit",
                     p->fit == EG_FIT_SQUASH ? "squash" : "crop", "resize", p->resize, "crop",
                     p->crop, "interpolation",
                     p->interp == EG_INTERP_BICUBIC ? "bicubic" : "bilinear", "mean",
                     real_of(p->mean[0]), real_of(p->mean[1]), real_of(p->mean[2]), "std",
                     real_of(p->std[0]), real_of(p->std[1]), real_of(p->std[2]));
}

eg_status eg_study_preset_parse(eg_preprocess *out, const json_t *json, eg_error *err) {
    const char *fit = NULL, *interp = NULL;
    double mean[3], std[3];
    eg_preprocess p = {0};
    if (json_unpack((json_t *)json, "{s:s, s:i, s:i, s:s, s:[F,F,F], s:[F,F,F]}", "fit", &fit,
                    "resize", &p.resize, "crop", &p.crop, "interpolation", &interp, "mean",
                    &mean[0], &mean[1], &mean[2], "std", &std[0], &std[1], &std[2]) != 0)
        return eg_fail(err, EG_ERR_INPUT,
                       "preprocessing: expected fit, resize, crop, interpolation, mean, std");
    p.fit = strcmp(fit, "squash") == 0 ? EG_FIT_SQUASH : EG_FIT_CROP;
    p.interp = strcmp(interp, "bicubic") == 0 ? EG_INTERP_BICUBIC : EG_INTERP_BILINEAR;
    for (int c = 0; c < 3; c++) {
        p.mean[c] = (float)mean[c];
        p.std[c] = (float)std[c];
        if (!(std[c] > 0))
            return eg_fail(err, EG_ERR_INPUT, "preprocessing: std must be above 0, found %g",
                           std[c]);
    }
    if (p.crop < 1 || p.crop > 4096 || p.resize < 1 || p.resize > 8192)
        return eg_fail(err, EG_ERR_INPUT, "preprocessing: sides %d and %d are out of range",
                       p.resize, p.crop);
    *out = p;
    return EG_OK;
}
