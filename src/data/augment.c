/* Augmentation of training images: presets, drawing, and the order of the changes. First
 * everything is drawn (eg_data_augment_sample), then applied; each decision has a random stream of
 * its own, keyed by (seed, epoch, sample), so the result depends on no thread and no neighbour,
 * and switching one change off leaves the draws of the others. Crop, flip, brightness and contrast
 * are torchvision's and Pillow's, bit for bit. Works on one channel for gray images and at the
 * depth of the image. The changes themselves: augment_warp.c, augment_ops.c, augment_rand.c,
 * augment_mix.c. Read pixels.h first. */
#include "data/pixels.h"
#include "data/streams.h"

#include <math.h>
#include <string.h>

/* ---- presets ---- */

/* The values in one place; what is not named is off.
 * light   what torchvision's fine-tuning recipes do.
 * xray    what differs between two radiographs of one patient: positioning (a few degrees, some
 *         shift and size), exposure, sharpness, noise. No left-right flip (the heart is on the
 *         left), no upside down, nothing that turns gray values over or into steps.
 * strong  xray, wider, and the regularisers that no radiograph looks like: blanked rectangles,
 *         RandAugment, mixed images. */
static const struct {
    const char *name;
    eg_augment values;
} PRESETS[] = {
    {"none", {.crop_min = 1}},
    {"light", {.crop_min = 0.25, .flip = 0.5, .jitter = 0.3}},
    {"xray",
     {.crop_min = 0.75,
      .jitter = 0.15,
      .rotate = 7,
      .translate = 0.04,
      .zoom = 0.08,
      .gamma_by = 0.2,
      .blur = 0.7,
      .noise = 0.015}},
    {"strong",
     {.crop_min = 0.4,
      .jitter = 0.3,
      .rotate = 12,
      .translate = 0.08,
      .zoom = 0.15,
      .gamma_by = 0.4,
      .blur = 1.2,
      .noise = 0.03,
      .cutout = 0.2,
      .randaugment = 6,
      .mixup = 0.2,
      .cutmix = 1.0}},
};

bool eg_augment_preset(eg_augment *out, const char *name) {
    for (size_t i = 0; name && i < sizeof PRESETS / sizeof *PRESETS; i++) {
        if (strcmp(PRESETS[i].name, name) != 0) continue;
        *out = PRESETS[i].values;
        return true;
    }
    return false;
}

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

/* The key of one image; a stream of it for each purpose. */
typedef struct {
    uint64_t seed;
    uint32_t epoch, sample;
} image_key;

static eg_random stream(const image_key *key, uint32_t purpose) {
    return eg_random_make(key->seed, key->epoch, key->sample, purpose);
}

static void sample_geometry(eg_data_augment_draw *d, const eg_augment *a, const image_key *key) {
    d->warp = a->rotate > 0 || a->translate > 0 || a->zoom > 0;
    d->zoom = 1;
    if (a->rotate > 0) {
        eg_random r = stream(key, EG_DATA_STREAM_ROTATE);
        d->angle = between(&r, -a->rotate, a->rotate) * (M_PI / 180);
    }
    if (a->translate > 0) {
        eg_random r = stream(key, EG_DATA_STREAM_TRANSLATE);
        d->shift_x = between(&r, -a->translate, a->translate);
        d->shift_y = between(&r, -a->translate, a->translate);
    }
    if (a->zoom > 0) {
        eg_random r = stream(key, EG_DATA_STREAM_ZOOM);
        d->zoom = between(&r, 1 - a->zoom, 1 + a->zoom);
    }
    if (a->flip > 0) {
        eg_random r = stream(key, EG_DATA_STREAM_FLIP);
        d->flip = eg_random_uniform(&r) < a->flip;
    }
}

static void sample_values(eg_data_augment_draw *d, const eg_augment *a, const image_key *key) {
    d->brightness = d->contrast = d->gamma = 1;
    if (a->jitter > 0) {
        eg_random r = stream(key, EG_DATA_STREAM_JITTER);
        double low = fmax(0, 1 - a->jitter), high = 1 + a->jitter;
        d->brightness = between(&r, low, high);
        d->contrast = between(&r, low, high);
        d->contrast_first = eg_random_below(&r, 2) == 1;
    }
    if (a->gamma_by > 0) {
        eg_random r = stream(key, EG_DATA_STREAM_GAMMA);
        double most = log(1 + a->gamma_by);
        d->gamma = exp(between(&r, -most, most));
    }
    d->blurs = a->blur > 0;
    if (d->blurs) {
        eg_random r = stream(key, EG_DATA_STREAM_BLUR);
        d->blur = between(&r, 0, a->blur);
    }
    if (a->noise > 0) {
        d->noise_stream = stream(key, EG_DATA_STREAM_NOISE);
        d->noise = between(&d->noise_stream, 0, a->noise);
    }
}

/* A rectangle of an area and an aspect of its own, wholly inside (Zhong et al. 2017,
 * arXiv:1708.04896: aspect 0.3 to 1 / 0.3). */
static void sample_cutout(eg_data_augment_draw *d, double most, const image_key *key) {
    eg_random r = stream(key, EG_DATA_STREAM_CUTOUT);
    double area = between(&r, 0, most), aspect = exp(between(&r, log(0.3), -log(0.3)));
    double w = fmin(1, sqrt(area * aspect)), h = fmin(1, sqrt(area / aspect));
    d->cut[0] = between(&r, 0, 1 - w);
    d->cut[1] = between(&r, 0, 1 - h);
    d->cut[2] = d->cut[0] + w;
    d->cut[3] = d->cut[1] + h;
}

/* A change that is off draws nothing; its stream is simply not opened. */
eg_data_augment_draw eg_data_augment_sample(int width, int height, const eg_augment *a,
                                            uint64_t seed, uint32_t epoch, uint32_t sample) {
    eg_data_augment_draw d = {.width = width, .height = height};
    const image_key key = {seed, epoch, sample};
    if (a->crop_min < 1) {
        eg_random r = stream(&key, EG_DATA_STREAM_CROP);
        sample_crop(&d, width, height, a->crop_min, &r);
        d.crop = true;
    }
    sample_geometry(&d, a, &key);
    sample_values(&d, a, &key);
    if (a->cutout > 0) sample_cutout(&d, a->cutout, &key);
    if (a->randaugment > 0) {
        eg_random r = stream(&key, EG_DATA_STREAM_RANDAUGMENT);
        d.n_rand = EG_DATA_RAND_OPS;
        for (int i = 0; i < d.n_rand; i++) d.rand[i] = eg_data_rand_draw(&r, a->randaugment);
    }
    return d;
}

/* ---- applying ---- */

/* The part of the source that the preprocessing shows, pixels with fractions; larger than the
 * source where the preprocessing pads. */
static void preset_rectangle(double rectangle[4], const eg_image *src, const eg_preprocess *p) {
    double w = src->width, h = src->height;
    if (p->fit == EG_FIT_CROP) {
        double side = fmin(w, h) * p->crop / p->resize;
        rectangle[0] = (w - side) / 2;
        rectangle[1] = (h - side) / 2;
        rectangle[2] = rectangle[3] = side;
    } else {
        rectangle[0] = rectangle[1] = 0;
        rectangle[2] = w;
        rectangle[3] = h;
    }
}

/* torchvision's crop, alone: resized with antialiasing. */
static eg_status apply_crop(eg_data_canvas *c, const eg_image *src,
                            const eg_data_augment_draw *draw, eg_data_work *work, eg_error *err) {
    eg_data_view view = eg_data_view_of(src);
    eg_data_window whole = {c->side, c->side, 0, 0, c->side, c->side};
    const size_t pixel_bytes = eg_data_pixel_bytes(c->channels, c->deep);
    // what the largest crop would need: the size then depends on the image, not on the draw
    size_t most = eg_data_resize_scratch_bytes(&view, &whole, EG_INTERP_BILINEAR);
    if (!eg_data_scratch_reserve(&work->resize, most))
        return eg_fail(err, EG_ERR_NO_MEMORY, "augmentation: out of memory (%zu bytes)", most);
    view.pixels += (size_t)draw->top * view.stride_bytes + (size_t)draw->left * pixel_bytes;
    view.width = draw->width;
    view.height = draw->height;
    // bilinear whatever the preset says: RandomResizedCrop's default, and torchvision's recipes
    // for training keep it
    return eg_data_resize(c->pixels, (size_t)c->side * pixel_bytes, &whole, &view, NULL,
                          EG_INTERP_BILINEAR, &work->resize, err);
}

static eg_status apply_geometry(eg_data_canvas *c, const eg_image *src, const eg_preprocess *p,
                                const eg_data_augment_draw *draw, eg_data_work *work,
                                eg_error *err) {
    if (draw->warp) {
        double rectangle[4] = {draw->left, draw->top, draw->width, draw->height};
        eg_data_view view = eg_data_view_of(src);
        if (!draw->crop) preset_rectangle(rectangle, src, p);
        return eg_data_warp(c, &view, rectangle, draw, draw->crop ? EG_INTERP_BILINEAR : p->interp,
                            work, err);
    }
    return draw->crop ? apply_crop(c, src, draw, work, err)
                      : eg_data_fit(c->pixels, src, p, &work->resize, err);
}

/* Memory for the changes in place, by what is switched on and not by what was drawn. */
static eg_status reserve(const eg_data_canvas *c, const eg_data_augment_draw *draw,
                         eg_data_work *work, eg_error *err) {
    size_t bytes = draw->blurs || draw->n_rand > 0 ? eg_data_canvas_samples(c) * sizeof(float) : 0;
    if (eg_data_scratch_reserve(&work->canvas, bytes) &&
        eg_data_scratch_reserve(&work->table, EG_DATA_TABLE_BYTES))
        return EG_OK;
    return eg_fail(err, EG_ERR_NO_MEMORY, "augmentation: out of memory (%zu bytes)", bytes);
}

eg_status eg_data_augment_apply(eg_data_canvas *c, const eg_image *src, const eg_preprocess *p,
                                const eg_data_augment_draw *draw, eg_data_work *work,
                                eg_error *err) {
    if (p->crop < 1 || p->resize < 1)
        return eg_fail(err, EG_ERR_INPUT, "augmentation: resize %d, crop %d pixels", p->resize,
                       p->crop);
    c->side = p->crop;
    c->channels = src->channels;
    c->deep = src->deep;
    EG_TRY(apply_geometry(c, src, p, draw, work, err));
    EG_TRY(reserve(c, draw, work, err));
    // from here on every change keeps the size, so it is done in place
    uint16_t *table = (uint16_t *)(void *)work->table.data;
    if (draw->flip) eg_data_augment_flip(c);
    for (int i = 0; i < draw->n_rand; i++)
        eg_data_rand_apply(c, &draw->rand[i], work->canvas.data, table);
    // Pillow blends with the mean of the picture as it is now, so the order of brightness and
    // contrast matters and is drawn too
    if (draw->contrast_first && draw->contrast != 1)
        eg_data_augment_contrast(c, draw->contrast, table);
    if (draw->brightness != 1) eg_data_augment_brightness(c, draw->brightness, table);
    if (!draw->contrast_first && draw->contrast != 1)
        eg_data_augment_contrast(c, draw->contrast, table);
    if (draw->gamma != 1) eg_data_augment_gamma(c, draw->gamma, table);
    if (draw->blur > 0) eg_data_augment_blur(c, draw->blur, (float *)(void *)work->canvas.data);
    if (draw->noise > 0) eg_data_augment_noise(c, draw->noise, draw->noise_stream);
    eg_data_augment_cutout(c, draw->cut, p);
    return EG_OK;
}

/* ---- the public functions ---- */

/* Augmented into memory of its own; the caller frees c->pixels. */
static eg_status augment_canvas(eg_data_canvas *c, const eg_image *src, const eg_preprocess *p,
                                const eg_augment *a, uint64_t seed, uint32_t epoch, uint32_t sample,
                                eg_error *err) {
    if (p->crop < 1 || p->crop > EG_DATA_MAX_SIDE_PX)
        return eg_fail(err, EG_ERR_INPUT, "augmentation: crop of %d pixels", p->crop);
    size_t bytes = (size_t)p->crop * (size_t)p->crop * eg_data_pixel_bytes(3, true);
    *c = (eg_data_canvas){.pixels = eg_malloc(bytes)};
    if (!c->pixels) return eg_fail(err, EG_ERR_NO_MEMORY, "augmentation: out of memory");
    eg_data_work work = {0};
    eg_data_augment_draw draw =
        eg_data_augment_sample(src->width, src->height, a, seed, epoch, sample);
    eg_status status = eg_data_augment_apply(c, src, p, &draw, &work, err);
    eg_data_work_free(&work);
    if (status == EG_OK) return EG_OK;
    eg_free(c->pixels);
    return status;
}

eg_status eg_augment_u8(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                        const eg_augment *a, uint64_t seed, uint32_t epoch, uint32_t sample,
                        eg_error *err) {
    eg_data_canvas c;
    EG_TRY(augment_canvas(&c, src, p, a, seed, epoch, sample, err));
    eg_data_canvas_u8(dst, &c);
    eg_free(c.pixels);
    return EG_OK;
}

eg_status eg_augment_float(float *dst, const eg_image *src, const eg_preprocess *p,
                           const eg_augment *a, uint64_t seed, uint32_t epoch, uint32_t sample,
                           eg_error *err) {
    eg_data_canvas c;
    EG_TRY(augment_canvas(&c, src, p, a, seed, epoch, sample, err));
    eg_data_canvas_float(dst, &c, p);
    eg_free(c.pixels);
    return EG_OK;
}
