/* Preprocessing: from the network's own preset and --preprocessing / --img-size, and to and from
 * the JSON that travels in config.json and in a checkpoint's metadata, so that a run always sees
 * images as it was trained on them. The pixels themselves are the data room's. */
#include "study/run.h"
#include <math.h>
#include <string.h>

eg_status eg_study_preset(eg_preprocess *out, const eg_arch_info *arch, const char *name,
                          int64_t img_size, eg_error *err) {
    int side = img_size > 0 ? (int)img_size : arch->img_size;
    eg_preprocess p = {.fit = EG_FIT_CROP, .crop = side};
    p.interp = arch->bicubic ? EG_INTERP_BICUBIC : EG_INTERP_BILINEAR;
    memcpy(p.mean, arch->mean, sizeof p.mean);
    memcpy(p.std, arch->std, sizeof p.std);
    if (!name || strcmp(name, "auto") == 0 || strcmp(name, "weights") == 0) {
        /* another size keeps the preset's share of the shorter side */
        p.resize = side == arch->img_size
                       ? arch->resize
                       : (int)lround((double)arch->resize * side / arch->img_size);
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
