/* Image -> the square a network takes, as torchvision's presets do on a PIL image: Resize
 * (shorter side) + CenterCrop, or both sides squashed; then ToTensor + Normalize. A gray image
 * is worked on with one channel and replicated last, a deep one at its depth up to the division.
 * The filter itself is in resize.c, training-time changes in augment.c. Read pixels.h first. */
#include "data/pixels.h"

#include <math.h>
#include <string.h>

/* One axis of the centre crop: the part [from, from + count) of `size` resized pixels lands at
 * `at` of `crop`. */
typedef struct {
    int from, count, at;
} crop_axis;

static crop_axis centre(int size, int crop) {
    if (size < crop)
        return (crop_axis){0, size, (crop - size) / 2}; // padded with 0, the odd pixel behind
    return (crop_axis){(int)rint((size - crop) / 2.0), crop, 0}; // Python's round: half to even
}

/* Sides after Resize: the shorter becomes `resize`, the longer int(resize * long / short). */
static eg_status resized_sides(int *width, int *height, const eg_image *src, int resize,
                               eg_error *err) {
    bool wide = src->width > src->height;
    double longer = wide ? src->width : src->height, shorter = wide ? src->height : src->width;
    double side = floor(resize * longer / shorter);
    if (side > EG_DATA_MAX_SIDE_PX)
        return eg_fail(
            err, EG_ERR_LIMIT,
            "preprocessing: %d x %d pixels is too narrow, the longer side would become %.0f "
            "pixels - use --preprocessing squash",
            src->width, src->height, side);
    *width = wide ? (int)side : resize;
    *height = wide ? resize : (int)side;
    return EG_OK;
}

/* Resize and crop in one: only the window that the crop keeps is computed, so a long picture costs
 * no more than a square one. dst is written in full, padding included. */
eg_status eg_data_fit(void *dst, const eg_image *src, const eg_preprocess *p,
                      eg_data_scratch *scratch, eg_error *err) {
    if (src->width < 1 || src->height < 1 || p->crop < 1 || p->resize < 1)
        return eg_fail(err, EG_ERR_INPUT, "preprocessing: %d x %d pixels, resize %d, crop %d",
                       src->width, src->height, p->resize, p->crop);
    int width = p->crop, height = p->crop;
    if (p->fit == EG_FIT_CROP) EG_TRY(resized_sides(&width, &height, src, p->resize, err));
    crop_axis x = centre(width, p->crop), y = centre(height, p->crop);
    eg_data_window window = {width, height, x.from, y.from, x.count, y.count};
    eg_data_view view = eg_data_view_of(src);
    size_t pixel_bytes = eg_data_pixel_bytes(src->channels, src->deep);
    size_t stride = (size_t)p->crop * pixel_bytes;
    if (x.count < p->crop || y.count < p->crop) memset(dst, 0, (size_t)p->crop * stride);
    uint8_t *at = (uint8_t *)dst + (size_t)y.at * stride + (size_t)x.at * pixel_bytes;
    return eg_data_resize(at, stride, &window, &view, NULL, p->interp, scratch, err);
}

/* Twice the side that the resize asks for: the reduced picture is still reduced by two or more
 * with an antialiasing filter, which hides most of what libjpeg's own reduction did differently,
 * and a random crop of a quarter of the area keeps its pixels (docs/figures.md has the
 * differences for 1 and 2). */
int eg_preprocess_fast_side(const eg_preprocess *p) {
    return 2 * (p->fit == EG_FIT_SQUASH ? p->crop : p->resize > p->crop ? p->resize : p->crop);
}

/* ---- last steps ---- */

/* The 256 values of a channel are computed once, in the order of torchvision's float32
 * operations; the pixels look them up. */
static void normal_table(float table[256], const eg_preprocess *p, int c) {
    for (int v = 0; v < 256; v++) table[v] = ((float)v / 255.0f - p->mean[c]) / p->std[c];
}

void eg_normalize(float *dst, const uint8_t *src, size_t n_pixels, const eg_preprocess *p) {
    float table[3][256];
    for (int c = 0; c < 3; c++) normal_table(table[c], p, c);
    for (size_t i = 0; i < n_pixels; i++)
        for (int c = 0; c < 3; c++) dst[3 * i + (size_t)c] = table[c][src[3 * i + (size_t)c]];
}

/* (v / 65535 - mean) / std in float32, as eg_normalize does with 255. */
static void normalize_deep(float *dst, const uint16_t *src, size_t n, size_t channels,
                           const eg_preprocess *p) {
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++) {
            float value = (float)src[channels == 1 ? i : 3 * i + c] / 65535.0f;
            dst[3 * i + c] = (value - p->mean[c]) / p->std[c];
        }
}

void eg_data_canvas_float(float *dst, const eg_data_canvas *c, const eg_preprocess *p) {
    const size_t n = (size_t)c->side * (size_t)c->side;
    if (c->deep) {
        normalize_deep(dst, c->pixels, n, (size_t)c->channels, p);
    } else if (c->channels == 3) {
        eg_normalize(dst, c->pixels, n, p);
    } else {
        const uint8_t *src = c->pixels;
        float table[3][256];
        for (int k = 0; k < 3; k++) normal_table(table[k], p, k);
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < 3; k++) dst[3 * i + (size_t)k] = table[k][src[i]];
    }
}

/* 65535 = 257 * 255, so v / 257 rounded is the nearest 8-bit value. */
void eg_data_canvas_u8(uint8_t *dst, const eg_data_canvas *c) {
    const size_t n = (size_t)c->side * (size_t)c->side;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++) {
            size_t at = c->channels == 1 ? i : 3 * i + k;
            dst[3 * i + k] = c->deep ? (uint8_t)((((const uint16_t *)c->pixels)[at] + 128u) / 257u)
                                     : ((const uint8_t *)c->pixels)[at];
        }
}

/* ---- gray saved as colour ---- */

/* Are all n RGB triples of pixels[] equal in themselves? A macro for both depths: a block at a
 * time, so that a colour image is recognised after its first row. */
#define COLLAPSE(type, image)                                                                      \
    do {                                                                                           \
        const size_t n = (size_t)(image)->width * (size_t)(image)->height;                         \
        type *p = (type *)(void *)(image)->pixels;                                                 \
        for (size_t start = 0; start < n; start += 256) {                                          \
            size_t end = start + 256 < n ? start + 256 : n;                                        \
            unsigned difference = 0;                                                               \
            for (size_t i = start; i < end; i++)                                                   \
                difference |= (unsigned)((p[3 * i] ^ p[3 * i + 1]) | (p[3 * i] ^ p[3 * i + 2]));   \
            if (difference) return false;                                                          \
        }                                                                                          \
        for (size_t i = 0; i < n; i++) p[i] = p[3 * i];                                            \
    } while (0)

bool eg_data_collapse_gray(eg_image *image) {
    if (image->channels == 1) return true;
    if (image->deep)
        COLLAPSE(uint16_t, image);
    else
        COLLAPSE(uint8_t, image);
    image->channels = 1;
    return true;
}

/* ---- the public functions ---- */

/* eg_data_fit into memory of its own; the caller frees c->pixels. */
static eg_status fit_canvas(eg_data_canvas *c, const eg_image *src, const eg_preprocess *p,
                            eg_error *err) {
    eg_data_scratch scratch = {0};
    if (p->crop < 1 || p->crop > EG_DATA_MAX_SIDE_PX)
        return eg_fail(err, EG_ERR_INPUT, "preprocessing: crop of %d pixels", p->crop);
    *c = (eg_data_canvas){NULL, p->crop, src->channels, src->deep};
    c->pixels = eg_malloc(eg_data_canvas_samples(c) * eg_data_pixel_bytes(1, src->deep));
    if (!c->pixels) return eg_fail(err, EG_ERR_NO_MEMORY, "preprocessing: out of memory");
    eg_status status = eg_data_fit(c->pixels, src, p, &scratch, err);
    eg_data_scratch_free(&scratch);
    if (status == EG_OK) return EG_OK;
    eg_free(c->pixels);
    return status;
}

eg_status eg_preprocess_u8(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                           eg_error *err) {
    eg_data_canvas c;
    EG_TRY(fit_canvas(&c, src, p, err));
    eg_data_canvas_u8(dst, &c);
    eg_free(c.pixels);
    return EG_OK;
}

eg_status eg_preprocess_float(float *dst, const eg_image *src, const eg_preprocess *p,
                              eg_error *err) {
    eg_data_canvas c;
    EG_TRY(fit_canvas(&c, src, p, err));
    eg_data_canvas_float(dst, &c, p);
    eg_free(c.pixels);
    return EG_OK;
}
