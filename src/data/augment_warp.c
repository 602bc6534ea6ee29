/* Rotation, shift and zoom of a training image together with its crop: every pixel of the canvas
 * is looked up once, bilinearly, at its place in the source. Where the crop is larger than the
 * canvas, the part of the source that is needed is reduced first with an antialiasing filter, for
 * bilinear look-ups that skip pixels would alias. Beyond the image it is black, as the collimated
 * edge of a radiograph. Draws nothing at random: augment.c. Read pixels.h first. */
#include "data/pixels.h"

#include <math.h>
#include <string.h>

/* Source place of a canvas place: x = x0 + xx * i + xy * j, y = y0 + yx * i + yy * j for the middle
 * of pixel (i, j), in source pixels with pixel middles at .5. */
typedef struct {
    double x0, xx, xy, y0, yx, yy;
} mapping;

/* The rectangle (left, top, width, height) is turned about its middle within the source, so that
 * the anatomy keeps its proportions also where the rectangle is not square. */
static mapping map_canvas(const double rectangle[4], int side, const eg_data_augment_draw *d) {
    const double w = rectangle[2] / d->zoom, h = rectangle[3] / d->zoom;
    const double c = cos(d->angle), s = sin(d->angle);
    mapping m = {.xx = c * w / side, .xy = s * h / side, .yx = -s * w / side, .yy = c * h / side};
    // of the middle of the canvas' first pixel, from the middle of the window
    const double u = 0.5 / side - 0.5 - d->shift_x, v = 0.5 / side - 0.5 - d->shift_y;
    m.x0 = rectangle[0] + rectangle[2] / 2 + c * u * w + s * v * h;
    m.y0 = rectangle[1] + rectangle[3] / 2 - s * u * w + c * v * h;
    return m;
}

/* Whole pixels [low, high) of `size` that places from..to of the source need, with the neighbours
 * of a look-up that steps `step` source pixels. False: none. */
static bool needed(int *low, int *high, double from, double to, double step, int size) {
    double reach = fmax(1, step) + 1;
    *low = (int)fmax(0, floor(from - reach));
    *high = (int)fmin(size, ceil(to + reach));
    return *low < *high;
}

/* Smallest and largest of a + b * i + c * j over the canvas. */
static void span(double *low, double *high, double a, double b, double c, int side) {
    const double last = side - 1, at_b = b * last, at_c = c * last;
    *low = a + fmin(0, at_b) + fmin(0, at_c);
    *high = a + fmax(0, at_b) + fmax(0, at_c);
}

static inline float sample_at(const void *pixels, size_t at, bool deep) {
    return deep ? (float)((const uint16_t *)pixels)[at] : (float)((const uint8_t *)pixels)[at];
}

/* Bilinear look-ups in a picture of w x h pixels; a neighbour beyond its edge is 0. */
static inline __attribute__((always_inline)) void look_up(eg_data_canvas *c, const void *src, int w,
                                                          int h, const mapping *m, bool deep) {
    const size_t n_ch = (size_t)c->channels;
    size_t to = 0;
    for (int j = 0; j < c->side; j++)
        for (int i = 0; i < c->side; i++, to += n_ch) {
            const double x = m->x0 + m->xx * i + m->xy * j - 0.5;
            const double y = m->y0 + m->yx * i + m->yy * j - 0.5;
            const bool inside = x > -1 && y > -1 && x < w && y < h;
            const int left = inside ? (int)floor(x) : 0, top = inside ? (int)floor(y) : 0;
            const float fx = (float)(x - left), fy = (float)(y - top);
            for (size_t k = 0; k < n_ch; k++) {
                float sum = 0;
                for (int t = 0; inside && t < 4; t++) {
                    const int px = left + (t & 1), py = top + (t >> 1);
                    if (px < 0 || py < 0 || px >= w || py >= h) continue;
                    const size_t at = ((size_t)py * (size_t)w + (size_t)px) * n_ch + k;
                    sum +=
                        (t & 1 ? fx : 1 - fx) * (t >> 1 ? fy : 1 - fy) * sample_at(src, at, deep);
                }
                if (deep)
                    ((uint16_t *)c->pixels)[to + k] = (uint16_t)(sum + 0.5f);
                else
                    ((uint8_t *)c->pixels)[to + k] = (uint8_t)(sum + 0.5f);
            }
        }
}

/* Longest side that a reduced part can have: the window's diagonal box at the canvas' scale. A
 * window of another shape than 4:3 is the whole image or near it, and the image bounds it. */
static int most_pixels(int src, int side) {
    return src < 4 * side + 8 ? src : 4 * side + 8;
}

eg_status eg_data_warp(eg_data_canvas *c, const eg_data_view *src, const double rectangle[4],
                       const eg_data_augment_draw *draw, eg_interp interp, eg_data_work *work,
                       eg_error *err) {
    mapping m = map_canvas(rectangle, c->side, draw);
    const double step_x = rectangle[2] / draw->zoom / c->side;
    const double step_y = rectangle[3] / draw->zoom / c->side;
    const size_t pixel_bytes = eg_data_pixel_bytes(c->channels, c->deep);
    // sizes that depend on the image and not on the draw
    const int most_w = most_pixels(src->width, c->side), most_h = most_pixels(src->height, c->side);
    const size_t bytes = (size_t)most_w * (size_t)most_h * pixel_bytes;
    const size_t resize_bytes = eg_data_resize_scratch_bound(src, most_w, most_h, interp);
    if (!eg_data_scratch_reserve(&work->canvas, bytes) ||
        !eg_data_scratch_reserve(&work->resize, resize_bytes))
        return eg_fail(err, EG_ERR_NO_MEMORY, "augmentation: out of memory (%zu bytes)",
                       bytes + resize_bytes);
    double x_low, x_high, y_low, y_high;
    int left, right, top, bottom;
    span(&x_low, &x_high, m.x0, m.xx, m.xy, c->side);
    span(&y_low, &y_high, m.y0, m.yx, m.yy, c->side);
    // turned axes need each other's neighbours too
    const double step = fmax(step_x, step_y);
    if (!needed(&left, &right, x_low, x_high, step, src->width) ||
        !needed(&top, &bottom, y_low, y_high, step, src->height)) {
        memset(c->pixels, 0, (size_t)c->side * (size_t)c->side * pixel_bytes);
        return EG_OK;
    }
    eg_data_view part = *src;
    part.pixels += (size_t)top * src->stride_bytes + (size_t)left * pixel_bytes;
    part.width = right - left;
    part.height = bottom - top;
    const int w = step_x > 1 ? (int)fmax(1, rint(part.width / step_x)) : part.width;
    const int h = step_y > 1 ? (int)fmax(1, rint(part.height / step_y)) : part.height;
    if (!eg_data_scratch_reserve(&work->canvas, (size_t)w * (size_t)h * pixel_bytes))
        return eg_fail(err, EG_ERR_NO_MEMORY, "augmentation: out of memory");
    const eg_data_window whole = {w, h, 0, 0, w, h};
    EG_TRY(eg_data_resize(work->canvas.data, (size_t)w * pixel_bytes, &whole, &part, NULL, interp,
                          &work->resize, err));
    // from source pixels to pixels of the reduced part
    const double scale_x = (double)w / part.width, scale_y = (double)h / part.height;
    m.x0 = (m.x0 - left) * scale_x;
    m.xx *= scale_x;
    m.xy *= scale_x;
    m.y0 = (m.y0 - top) * scale_y;
    m.yx *= scale_y;
    m.yy *= scale_y;
    if (c->deep)
        look_up(c, work->canvas.data, w, h, &m, true);
    else
        look_up(c, work->canvas.data, w, h, &m, false);
    return EG_OK;
}
