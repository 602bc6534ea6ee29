/* The pixel functions behind eg_resize, eg_preprocess_u8 and eg_augment_u8, with the scratch
 * memory given from outside, so that a loader thread reuses its own and takes nothing from the
 * heap. Private to the data room. Read resize.c first. */
#ifndef EG_DATA_PIXELS_H
#define EG_DATA_PIXELS_H

#include "data/data.h"

/* Longest side of a source or result, pixels. Coefficient tables grow with it. */
#define EG_DATA_MAX_SIDE_PX (1 << 20)

/* A borrowed rectangle of 8-bit pixels. */
typedef struct {
    const uint8_t *pixels; /* (height, width, channels) */
    size_t stride_bytes;   /* from row to row */
    int width, height, channels;
} eg_data_view;

static inline eg_data_view eg_data_view_of(const eg_image *image) {
    return (eg_data_view){image->pixels, (size_t)image->width * (size_t)image->channels,
                          image->width, image->height, image->channels};
}

/* Memory that grows and is kept; {0} at first. */
typedef struct {
    uint8_t *data;
    size_t size_bytes;
} eg_data_scratch;
/* At least `bytes`, contents lost when it grows; false: no memory. */
bool eg_data_scratch_reserve(eg_data_scratch *scratch, size_t bytes);
void eg_data_scratch_free(eg_data_scratch *scratch);

/* What is computed of a resize to width x height: the rectangle at (left, top), as if the whole
 * were resized and then cropped. */
typedef struct {
    int width, height;                /* of the whole result */
    int left, top, n_columns, n_rows; /* the rectangle inside it */
} eg_data_window;

/* Scratch of eg_data_resize for any part of a source of this size. 0: sizes out of range. */
size_t eg_data_resize_scratch_bytes(int src_width, int src_height, int channels,
                                    const eg_data_window *window, eg_interp interp);
/* Pillow's resize, bit for bit, of the window only.
 *   dst   (n_rows, n_columns, channels), rows dst_stride bytes apart
 *   box   source rectangle in pixels, or NULL
 * EG_ERR_INPUT for an empty or outlying box or size, EG_ERR_LIMIT, EG_ERR_NO_MEMORY (scratch). */
eg_status eg_data_resize(uint8_t *dst, size_t dst_stride, const eg_data_window *window,
                         const eg_data_view *src, const double box[4], eg_interp interp,
                         eg_data_scratch *scratch, eg_error *err);

/* eg_preprocess_u8 with scratch. */
eg_status eg_data_preprocess(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                             eg_data_scratch *scratch, eg_error *err);
/* The same as eg_data_preprocess, dst with src->channels channels: gray not replicated. */
eg_status eg_data_fit(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                      eg_data_scratch *scratch, eg_error *err);
/* (n) gray -> (n,3) in place. */
void eg_data_replicate_gray(uint8_t *pixels, size_t n);
/* RGB whose three channels are equal everywhere (a radiograph saved as colour) -> one channel in
 * place; the buffer keeps its size. Every later step gives the same bits for a third of the
 * work. True: it is gray now, or was. */
bool eg_data_collapse_gray(eg_image *image);

/* What one augmentation does, drawn before any pixel is touched. */
typedef struct {
    bool crop;                    /* false: the geometry of the preprocessing */
    int left, top, width, height; /* of the source, when crop */
    bool flip;
    double brightness, contrast; /* factors; 1 = unchanged */
    bool contrast_first;
} eg_data_augment_draw;
eg_data_augment_draw eg_data_augment_sample(int width, int height, const eg_augment *a,
                                            uint64_t seed, uint32_t epoch, uint32_t sample);
eg_status eg_data_augment_apply(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                                const eg_data_augment_draw *draw, eg_data_scratch *scratch,
                                eg_error *err);

#endif
