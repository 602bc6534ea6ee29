/* Augmentation of training images: random resized crop, left-right flip, brightness and
 * contrast, with torchvision's sampling and Pillow's arithmetic. First everything is drawn
 * (eg_data_augment_sample), then applied; each decision has a random stream of its own, keyed by
 * (seed, epoch, sample), so the result depends on no thread and no neighbour. Works on one
 * channel for gray images. Read pixels.h first. */
#include "data/pixels.h"
#include "data/streams.h"

#include <math.h>
#include <string.h>

/* ---- drawing ---- */

/* Uniform in [low, high). */
static double between(eg_random *r, double low, double high) {
    return low + (high - low) * eg_random_uniform(r);
}

/* torchvision RandomResizedCrop.get_params: ten tries, then the largest centred crop of an
 * allowed aspect ratio. */
static void sample_crop(eg_data_augment_draw *d, int width, int height, double crop_min,
                        eg_random *r) {
    const double low = 3.0 / 4.0, high = 4.0 / 3.0;
    double area = (double)width * height;
    for (int try = 0; try < 10; try++) {
        double target = area * between(r, crop_min, 1.0);
        double aspect = exp(between(r, log(low), log(high)));
        double w = rint(sqrt(target * aspect)), h = rint(sqrt(target / aspect));
        if (!(w >= 1 && w <= width && h >= 1 && h <= height)) continue;
        d->width = (int)w;
        d->height = (int)h;
        d->top = (int)eg_random_below(r, (uint32_t)(height - d->height + 1));
        d->left = (int)eg_random_below(r, (uint32_t)(width - d->width + 1));
        return;
    }
    // none of the ten fitted: a long picture; its middle, with the nearest allowed aspect
    double aspect = (double)width / height;
    d->width = width;
    d->height = height;
    if (aspect < low)
        d->height = (int)fmax(1, rint(width / low));
    else if (aspect > high)
        d->width = (int)fmax(1, rint(height * high));
    d->top = (height - d->height) / 2;
    d->left = (width - d->width) / 2;
}

/* A change that is off draws nothing; its stream is simply not opened. */
eg_data_augment_draw eg_data_augment_sample(int width, int height, const eg_augment *a,
                                            uint64_t seed, uint32_t epoch, uint32_t sample) {
    eg_data_augment_draw d = {.width = width, .height = height, .brightness = 1, .contrast = 1};
    if (a->crop_min < 1) {
        eg_random r = eg_random_make(seed, epoch, sample, EG_DATA_STREAM_CROP);
        sample_crop(&d, width, height, a->crop_min, &r);
        d.crop = true;
    }
    if (a->flip > 0) {
        eg_random r = eg_random_make(seed, epoch, sample, EG_DATA_STREAM_FLIP);
        d.flip = eg_random_uniform(&r) < a->flip;
    }
    if (a->jitter > 0) {
        eg_random r = eg_random_make(seed, epoch, sample, EG_DATA_STREAM_JITTER);
        double low = fmax(0, 1 - a->jitter), high = 1 + a->jitter;
        d.brightness = between(&r, low, high);
        d.contrast = between(&r, low, high);
        d.contrast_first = eg_random_below(&r, 2) == 1;
    }
    return d;
}

/* ---- applying ---- */

/* Left to right, a pixel at a time: the channels of a pixel keep their order. */
static void flip_rows(uint8_t *pixels, int side, int channels) {
    const size_t n_ch = (size_t)channels;
    for (int y = 0; y < side; y++) {
        uint8_t *row = pixels + (size_t)y * (size_t)side * n_ch;
        for (size_t l = 0, r = (size_t)side - 1; l < r; l++, r--)
            for (size_t c = 0; c < n_ch; c++) {
                uint8_t kept = row[l * n_ch + c];
                row[l * n_ch + c] = row[r * n_ch + c];
                row[r * n_ch + c] = kept;
            }
    }
}

/* Pillow's Image.blend(constant image `base`, image, factor): float32, truncated, clipped when
 * the factor leaves [0, 1]. A pixel's result depends on its value alone, so 256 results serve
 * the image. */
static void blend_with(uint8_t *pixels, size_t n, int base, double factor) {
    const float alpha = (float)factor;
    uint8_t table[256];
    for (int v = 0; v < 256; v++) {
        float value = (float)base + alpha * (float)(v - base);
        table[v] = (uint8_t)(value <= 0.0f ? 0.0f : value >= 255.0f ? 255.0f : value);
    }
    for (size_t i = 0; i < n; i++) pixels[i] = table[pixels[i]];
}

/* Mean of Pillow's convert("L"), int(mean + 0.5). */
static int mean_gray(const uint8_t *pixels, size_t n_pixels, int channels) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n_pixels; i++) {
        if (channels == 1) {
            sum += pixels[i];
        } else {
            const uint8_t *p = pixels + 3 * i;
            sum += (p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16;
        }
    }
    return (int)((double)sum / (double)n_pixels + 0.5);
}

/* Pillow blends with the mean of the picture as it is now, so the order of brightness and
 * contrast matters and is drawn too. */
static void adjust_contrast(uint8_t *pixels, size_t n_pixels, int channels, double factor) {
    int base = mean_gray(pixels, n_pixels, channels);
    blend_with(pixels, n_pixels * (size_t)channels, base, factor);
}

eg_status eg_data_augment_apply(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                                const eg_data_augment_draw *draw, eg_data_scratch *scratch,
                                eg_error *err) {
    const int channels = src->channels;
    if (draw->crop) {
        eg_data_view view = eg_data_view_of(src);
        eg_data_window whole = {p->crop, p->crop, 0, 0, p->crop, p->crop};
        // what the largest crop would need: the size then depends on the image, not on the draw
        size_t most = eg_data_resize_scratch_bytes(src->width, src->height, channels, &whole,
                                                   EG_INTERP_BILINEAR);
        if (!eg_data_scratch_reserve(scratch, most))
            return eg_fail(err, EG_ERR_NO_MEMORY, "augmentation: out of memory (%zu bytes)", most);
        view.pixels +=
            (size_t)draw->top * view.stride_bytes + (size_t)draw->left * (size_t)channels;
        view.width = draw->width;
        view.height = draw->height;
        // bilinear whatever the preset says: RandomResizedCrop's default, and torchvision's recipes
        // for training keep it
        EG_TRY(eg_data_resize(dst, (size_t)p->crop * (size_t)channels, &whole, &view, NULL,
                              EG_INTERP_BILINEAR, scratch, err));
    } else {
        EG_TRY(eg_data_fit(dst, src, p, scratch, err));
    }
    // from here on every change keeps the size, so it is done in place
    const size_t n_pixels = (size_t)p->crop * (size_t)p->crop;
    if (draw->flip) flip_rows(dst, p->crop, channels);
    if (draw->contrast_first && draw->contrast != 1)
        adjust_contrast(dst, n_pixels, channels, draw->contrast);
    if (draw->brightness != 1) blend_with(dst, n_pixels * (size_t)channels, 0, draw->brightness);
    if (!draw->contrast_first && draw->contrast != 1)
        adjust_contrast(dst, n_pixels, channels, draw->contrast);
    if (channels == 1) eg_data_replicate_gray(dst, n_pixels);
    return EG_OK;
}

eg_status eg_augment_u8(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                        const eg_augment *a, uint64_t seed, uint32_t epoch, uint32_t sample,
                        eg_error *err) {
    eg_data_scratch scratch = {0};
    eg_data_augment_draw draw =
        eg_data_augment_sample(src->width, src->height, a, seed, epoch, sample);
    eg_status status = eg_data_augment_apply(dst, src, p, &draw, &scratch, err);
    eg_data_scratch_free(&scratch);
    return status;
}
