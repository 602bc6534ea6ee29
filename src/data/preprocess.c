/* Image -> the square a network takes, as torchvision's presets do on a PIL image: Resize
 * (shorter side) + CenterCrop, or both sides squashed; then ToTensor + Normalize. A gray image
 * is worked on with one channel and replicated last. The filter itself is in resize.c,
 * training-time changes in augment.c. Read pixels.h first. */
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
eg_status eg_data_fit(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                      eg_data_scratch *scratch, eg_error *err) {
    if (src->width < 1 || src->height < 1 || p->crop < 1 || p->resize < 1)
        return eg_fail(err, EG_ERR_INPUT, "preprocessing: %d x %d pixels, resize %d, crop %d",
                       src->width, src->height, p->resize, p->crop);
    int width = p->crop, height = p->crop;
    if (p->fit == EG_FIT_CROP) EG_TRY(resized_sides(&width, &height, src, p->resize, err));
    crop_axis x = centre(width, p->crop), y = centre(height, p->crop);
    eg_data_window window = {width, height, x.from, y.from, x.count, y.count};
    eg_data_view view = eg_data_view_of(src);
    size_t n_ch = (size_t)src->channels, stride = (size_t)p->crop * n_ch;
    if (x.count < p->crop || y.count < p->crop) memset(dst, 0, (size_t)p->crop * stride);
    return eg_data_resize(dst + (size_t)y.at * stride + (size_t)x.at * n_ch, stride, &window, &view,
                          NULL, p->interp, scratch, err);
}

/* From the end, since pixel i moves to 3i and must not run over those still to be read. */
void eg_data_replicate_gray(uint8_t *pixels, size_t n) {
    for (size_t i = n; i-- > 0;) pixels[3 * i] = pixels[3 * i + 1] = pixels[3 * i + 2] = pixels[i];
}

bool eg_data_collapse_gray(eg_image *image) {
    if (image->channels == 1) return true;
    size_t n = (size_t)image->width * (size_t)image->height;
    uint8_t *p = image->pixels;
    // a block at a time, so that a colour image is recognised after its first row
    for (size_t start = 0; start < n; start += 256) {
        size_t end = start + 256 < n ? start + 256 : n;
        unsigned difference = 0;
        for (size_t i = start; i < end; i++)
            difference |= (unsigned)((p[3 * i] ^ p[3 * i + 1]) | (p[3 * i] ^ p[3 * i + 2]));
        if (difference) return false;
    }
    for (size_t i = 0; i < n; i++) p[i] = p[3 * i];
    image->channels = 1;
    return true;
}

/* The public function with the scratch given: three channels, whatever src has. */
eg_status eg_data_preprocess(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                             eg_data_scratch *scratch, eg_error *err) {
    EG_TRY(eg_data_fit(dst, src, p, scratch, err));
    if (src->channels == 1) eg_data_replicate_gray(dst, (size_t)p->crop * (size_t)p->crop);
    return EG_OK;
}

eg_status eg_preprocess_u8(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                           eg_error *err) {
    eg_data_scratch scratch = {0};
    eg_status status = eg_data_preprocess(dst, src, p, &scratch, err);
    eg_data_scratch_free(&scratch);
    return status;
}

/* The 256 values of a channel are computed once, in the order of torchvision's float32
 * operations; the pixels look them up. */
void eg_normalize(float *dst, const uint8_t *src, size_t n_pixels, const eg_preprocess *p) {
    float table[3][256];
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) table[c][v] = ((float)v / 255.0f - p->mean[c]) / p->std[c];
    for (size_t i = 0; i < n_pixels; i++)
        for (int c = 0; c < 3; c++) dst[3 * i + (size_t)c] = table[c][src[3 * i + (size_t)c]];
}
