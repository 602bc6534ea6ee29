/* The pixel functions behind eg_resize, eg_preprocess_* and eg_augment_*, with the scratch memory
 * given from outside, so that a loader thread reuses its own and takes nothing from the heap.
 * Every one works at the depth of the image; only the last step of all leaves it. Private to the
 * data room. Read resize.c first. */
#ifndef EG_DATA_PIXELS_H
#define EG_DATA_PIXELS_H

#include "data/data.h"

/* Longest side of a source or result, pixels. Coefficient tables grow with it. */
#define EG_DATA_MAX_SIDE_PX (1 << 20)

/* ---- memory ---- */

/* Memory that grows and is kept; {0} at first. */
typedef struct {
    uint8_t *data;
    size_t size_bytes;
} eg_data_scratch;
/* At least `bytes`, contents lost when it grows; false: no memory. */
bool eg_data_scratch_reserve(eg_data_scratch *scratch, size_t bytes);
void eg_data_scratch_free(eg_data_scratch *scratch);

/* Of one thread; {0} at first. */
typedef struct {
    eg_data_scratch resize; /* of eg_data_resize */
    eg_data_scratch canvas; /* a second picture: between two steps of the augmentation */
    eg_data_scratch table;  /* a result for every value a sample can have */
} eg_data_work;
void eg_data_work_free(eg_data_work *work);
/* As much as the largest of n holds, for each of them; false: no memory. */
bool eg_data_work_level(eg_data_work *const works[], size_t n);

/* ---- pictures ---- */

static inline size_t eg_data_pixel_bytes(int channels, bool deep) {
    return (size_t)channels * (deep ? sizeof(uint16_t) : sizeof(uint8_t));
}

/* A borrowed rectangle of pixels. */
typedef struct {
    const uint8_t *pixels; /* (height, width, channels), uint16_t when deep */
    size_t stride_bytes;   /* from row to row */
    int width, height, channels;
    bool deep;
} eg_data_view;

static inline eg_data_view eg_data_view_of(const eg_image *image) {
    return (eg_data_view){
        image->pixels,   (size_t)image->width * eg_data_pixel_bytes(image->channels, image->deep),
        image->width,    image->height,
        image->channels, image->deep};
}

/* A square of the network's size that is worked on in place; pixels borrowed. */
typedef struct {
    void *pixels; /* (side, side, channels), uint16_t when deep */
    int side, channels;
    bool deep;
} eg_data_canvas;

static inline size_t eg_data_canvas_samples(const eg_data_canvas *c) {
    return (size_t)c->side * (size_t)c->side * (size_t)c->channels;
}

static inline unsigned eg_data_sample(const eg_data_canvas *c, size_t at) {
    return c->deep ? ((const uint16_t *)c->pixels)[at] : ((const uint8_t *)c->pixels)[at];
}

static inline void eg_data_sample_set(eg_data_canvas *c, size_t at, unsigned value) {
    if (c->deep)
        ((uint16_t *)c->pixels)[at] = (uint16_t)value;
    else
        ((uint8_t *)c->pixels)[at] = (uint8_t)value;
}

/* Pillow's convert("L") of pixel i; of full scale 65535 it still fits 32 bits. */
static inline unsigned eg_data_gray_at(const eg_data_canvas *c, size_t i) {
    if (c->channels == 1) return eg_data_sample(c, i);
    return (eg_data_sample(c, 3 * i) * 19595u + eg_data_sample(c, 3 * i + 1) * 38470u +
            eg_data_sample(c, 3 * i + 2) * 7471u + 0x8000u) >>
           16;
}

/* ---- resize (resize.c) ---- */

/* What is computed of a resize to width x height: the rectangle at (left, top), as if the whole
 * were resized and then cropped. */
typedef struct {
    int width, height;                /* of the whole result */
    int left, top, n_columns, n_rows; /* the rectangle inside it */
} eg_data_window;

/* Scratch of eg_data_resize for any part of a source of this size (pixels unused). 0: sizes out of
 * range. */
size_t eg_data_resize_scratch_bytes(const eg_data_view *src, const eg_data_window *window,
                                    eg_interp interp);
/* The same for any window of at most so many columns and rows that is not larger than its box. */
size_t eg_data_resize_scratch_bound(const eg_data_view *src, int n_columns, int n_rows,
                                    eg_interp interp);
/* Pillow's resize, bit for bit, of the window only.
 *   dst   (n_rows, n_columns, channels), rows dst_stride bytes apart, depth of src
 *   box   source rectangle in pixels, or NULL
 * EG_ERR_INPUT for an empty or outlying box or size, EG_ERR_LIMIT, EG_ERR_NO_MEMORY (scratch). */
eg_status eg_data_resize(void *dst, size_t dst_stride, const eg_data_window *window,
                         const eg_data_view *src, const double box[4], eg_interp interp,
                         eg_data_scratch *scratch, eg_error *err);

/* ---- preprocessing (preprocess.c) ---- */

/* Resize and crop into (crop, crop, channels) at the depth and with the channels of src. */
eg_status eg_data_fit(void *dst, const eg_image *src, const eg_preprocess *p,
                      eg_data_scratch *scratch, eg_error *err);
/* Last steps: (side, side, 3) normalised floats or 8-bit values, gray replicated. */
void eg_data_canvas_float(float *dst, const eg_data_canvas *c, const eg_preprocess *p);
void eg_data_canvas_u8(uint8_t *dst, const eg_data_canvas *c);
/* RGB whose three channels are equal everywhere (a radiograph saved as colour) -> one channel in
 * place; the buffer keeps its size. Every later step gives the same bits for a third of the
 * work. True: it is gray now, or was. */
bool eg_data_collapse_gray(eg_image *image);

/* ---- augmentation (augment.c) ---- */

enum { EG_DATA_RAND_OPS = 2 }; /* operations of RandAugment an image, torchvision's default */

/* One operation of RandAugment; see augment_rand.c for the list. */
typedef struct {
    int op;
    double magnitude; /* in the operation's own unit, shifts as share of the side; with its sign */
} eg_data_rand_op;

/* What one augmentation does, drawn before any pixel is touched. */
typedef struct {
    bool crop;                    /* false: the geometry of the preprocessing */
    int left, top, width, height; /* of the source, when crop */
    bool warp;                    /* rotation, shift or zoom are on */
    double angle;                 /* radians, clockwise */
    double shift_x, shift_y;      /* of the content, share of the window */
    double zoom;                  /* above 1: the content grows */
    bool flip;
    int n_rand;
    eg_data_rand_op rand[EG_DATA_RAND_OPS];
    double brightness, contrast; /* factors; 1 = unchanged */
    bool contrast_first;
    double gamma;           /* exponent; 1 = unchanged */
    bool blurs;             /* blur is on */
    double blur, noise;     /* sigma: pixels, share of full scale; 0 = unchanged */
    eg_random noise_stream; /* where noise comes from */
    double cut[4];          /* blanked: left, top, right, bottom, share of the side; 0: nothing */
} eg_data_augment_draw;
eg_data_augment_draw eg_data_augment_sample(int width, int height, const eg_augment *a,
                                            uint64_t seed, uint32_t epoch, uint32_t sample);
/* c: pixels with room for (p->crop, p->crop, src->channels); the rest of *c is set here. */
eg_status eg_data_augment_apply(eg_data_canvas *c, const eg_image *src, const eg_preprocess *p,
                                const eg_data_augment_draw *draw, eg_data_work *work,
                                eg_error *err);

/* The rectangle (left, top, width, height) of src, turned, shifted and zoomed as `draw` says, onto
 * the canvas (augment_warp.c): one bilinear resampling behind an antialiased reduction; black
 * beyond the image. interp: of the reduction. */
eg_status eg_data_warp(eg_data_canvas *c, const eg_data_view *src, const double rectangle[4],
                       const eg_data_augment_draw *draw, eg_interp interp, eg_data_work *work,
                       eg_error *err);

/* Changes of the canvas that keep its size (augment_ops.c).
 *   table    EG_DATA_TABLE_BYTES of scratch
 *   between  scratch, a float a sample */
void eg_data_augment_flip(eg_data_canvas *c);
void eg_data_augment_brightness(eg_data_canvas *c, double factor, uint16_t *table);
void eg_data_augment_contrast(eg_data_canvas *c, double factor, uint16_t *table);
void eg_data_augment_gamma(eg_data_canvas *c, double exponent, uint16_t *table);
void eg_data_augment_blur(eg_data_canvas *c, double sigma, float *between);
void eg_data_augment_noise(eg_data_canvas *c, double sigma, eg_random stream);
void eg_data_augment_cutout(eg_data_canvas *c, const double cut[4], const eg_preprocess *p);
/* A sample's value -> table[value], for all samples; (256) or, when deep, (65536). */
void eg_data_map(eg_data_canvas *c, const uint16_t *table);
/* table[v] = Pillow's Image.blend(base, v, factor): float32, truncated, clipped. */
void eg_data_blend_table(uint16_t *table, bool deep, int base, double factor);
enum { EG_DATA_TABLE_BYTES = 65536 * sizeof(uint16_t) };

/* RandAugment (augment_rand.c). draw: of strength 0 to 30. */
eg_data_rand_op eg_data_rand_draw(eg_random *stream, double strength);
/* copy: scratch for a second picture of this size; table: EG_DATA_TABLE_BYTES. */
void eg_data_rand_apply(eg_data_canvas *c, const eg_data_rand_op *op, void *copy, uint16_t *table);
/* "ShearX"; -1: unknown. For tests. */
int eg_data_rand_find(const char *name);

/* Mixing two images of a batch (augment_mix.c). */
typedef struct {
    float lambda; /* share of the image itself; 1: nothing is mixed */
    bool cut;     /* a rectangle is replaced, else all pixels are blended */
    int left, top, right, bottom;
} eg_data_mix;
eg_data_mix eg_data_mix_draw(const eg_augment *a, int side, uint64_t seed, uint32_t epoch,
                             uint32_t sample);
/* x, partner: (side, side, 3) normalised. */
void eg_data_mix_apply(float *x, const float *partner, int side, const eg_data_mix *mix);

/* ---- order of a balanced epoch (loader_order.c) ---- */

/* order[place] = position in indices (n), round[place] = how often that image came before in this epoch. False: no memory. */
bool eg_data_order_balanced(uint32_t *order, uint32_t *round, const eg_dataset *ds,
                            const uint32_t *indices, size_t n, uint64_t seed, uint32_t epoch);

#endif
