/* Rotation, shift and zoom: where a point of the source lands, that nothing turned is the plain
 * crop, that the edge is black, and sizes and depths of all kinds against a direct look-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "pattern_image.h"

#include <math.h>
#include <string.h>

/* A smooth picture: value = 0.2 + 0.3 x / width + 0.4 y / height of full scale, so that any exact
 * linear resampling gives the value at its place. */
static double ramp(double x, double y, int width, int height) {
    return 0.2 + 0.3 * x / width + 0.4 * y / height;
}

static eg_image ramp_image(int width, int height, int channels, bool deep) {
    eg_image image = {width, height, channels, NULL, deep};
    image.pixels = eg_malloc(eg_image_bytes(&image));
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                const size_t at =
                    ((size_t)y * (size_t)width + (size_t)x) * (size_t)channels + (size_t)c;
                const double v = ramp(x + 0.5, y + 0.5, width, height);
                if (deep)
                    ((uint16_t *)(void *)image.pixels)[at] = (uint16_t)(v * 65535 + 0.5);
                else
                    image.pixels[at] = (uint8_t)(v * 255 + 0.5);
            }
    return image;
}

/* The place that a pixel of the canvas shows, by the definition in words: shift the content, zoom
 * it, turn it clockwise about the middle of the rectangle. */
static void place(double *x, double *y, const double r[4], int side, int i, int j,
                  const eg_data_augment_draw *d) {
    const double u = ((i + 0.5) / side - 0.5 - d->shift_x) * r[2] / d->zoom;
    const double v = ((j + 0.5) / side - 0.5 - d->shift_y) * r[3] / d->zoom;
    *x = r[0] + r[2] / 2 + u * cos(d->angle) + v * sin(d->angle);
    *y = r[1] + r[3] / 2 - u * sin(d->angle) + v * cos(d->angle);
}

static void ramps(void **state) {
    (void)state;
    const int sizes[][2] = {{40, 30}, {333, 250}, {900, 100}, {64, 64}, {1500, 1200}};
    const eg_data_augment_draw draws[] = {
        {.zoom = 1},
        {.zoom = 1, .angle = 0.2},
        {.zoom = 0.7, .angle = -0.5, .shift_x = 0.1},
        {.zoom = 1.6, .shift_y = -0.2, .angle = M_PI / 2},
        {.zoom = 1.1, .angle = 3},
    };
    enum { N = 48 };
    for (int k = 0; k < 5 * 5 * 4; k++) {
        const int *size = sizes[k / 20];
        const eg_data_augment_draw *d = &draws[k / 4 % 5];
        const bool deep = k % 2;
        const int channels = k % 4 < 2 ? 1 : 3;
        eg_image image = ramp_image(size[0], size[1], channels, deep);
        eg_data_view view = eg_data_view_of(&image);
        const double r[4] = {size[0] * 0.2, size[1] * 0.1, size[0] * 0.6, size[1] * 0.8};
        static uint16_t pixels[N * N * 3];
        eg_data_canvas c = {pixels, N, channels, deep};
        eg_data_work work = {0};
        assert_int_equal(eg_data_warp(&c, &view, r, d, EG_INTERP_BILINEAR, &work, NULL), EG_OK);
        const size_t reserved = work.canvas.size_bytes + work.resize.size_bytes;
        int inside = 0;
        for (int j = 0; j < N; j++)
            for (int i = 0; i < N; i++) {
                double x, y, found;
                place(&x, &y, r, N, i, j, d);
                found = eg_data_sample(&c, (size_t)(j * N + i) * (size_t)channels) /
                        (deep ? 65535.0 : 255.0);
                // one canvas pixel and one of the source from the edge on, no edge shows
                const double edge =
                    1.5 + 1.5 * fmax(1, fmax(r[2], r[3]) / d->zoom / N) * (1 + fabs(sin(d->angle)));
                if (x > edge && y > edge && x < size[0] - edge && y < size[1] - edge) {
                    inside++;
                    if (fabs(found - ramp(x, y, size[0], size[1])) > (deep ? 0.012 : 0.016))
                        fail_msg("%d x %d, draw %d, (%d, %d): %g and %g", size[0], size[1],
                                 k / 4 % 5, i, j, found, ramp(x, y, size[0], size[1]));
                } else if (x < -edge || y < -edge || x > size[0] + edge || y > size[1] + edge) {
                    assert_true(found == 0);
                }
            }
        assert_true(inside > N);
        // another draw of the same image takes no more memory
        assert_int_equal(
            eg_data_warp(&c, &view, r, &draws[(k / 4 + 1) % 5], EG_INTERP_BILINEAR, &work, NULL),
            EG_OK);
        assert_int_equal(work.canvas.size_bytes + work.resize.size_bytes, reserved);
        eg_data_work_free(&work);
        eg_image_free(&image);
    }
}

/* Nothing turned, shifted or zoomed: the plain antialiased crop, up to the rounding of one step. */
static void identity_is_the_crop(void **state) {
    (void)state;
    eg_image image = pattern_image(300, 240, 3, 1);
    eg_data_view view = eg_data_view_of(&image);
    const double r[4] = {0, 0, 300, 240};
    static uint8_t pixels[60 * 60 * 3], expected[60 * 60 * 3];
    eg_data_canvas c = {pixels, 60, 3, false};
    eg_data_work work = {0};
    const eg_data_augment_draw d = {.zoom = 1};
    assert_int_equal(eg_data_warp(&c, &view, r, &d, EG_INTERP_BILINEAR, &work, NULL), EG_OK);
    assert_int_equal(eg_resize(expected, 60, 60, &image, NULL, EG_INTERP_BILINEAR, NULL), EG_OK);
    for (size_t i = 0; i < sizeof pixels; i++) assert_true(abs(pixels[i] - expected[i]) <= 1);
    eg_data_work_free(&work);
    eg_image_free(&image);
}

/* A window wholly beside the image is black, and no memory is an error. */
static void ends(void **state) {
    (void)state;
    eg_image image = pattern_image(30, 24, 1, 1);
    eg_data_view view = eg_data_view_of(&image);
    const double far[4] = {500, 500, 30, 30};
    uint8_t pixels[16 * 16];
    eg_data_canvas c = {pixels, 16, 1, false};
    eg_data_work work = {0};
    const eg_data_augment_draw d = {.zoom = 1, .angle = 1};
    eg_error err = {0};
    memset(pixels, 9, sizeof pixels);
    assert_int_equal(eg_data_warp(&c, &view, far, &d, EG_INTERP_BILINEAR, &work, NULL), EG_OK);
    for (size_t i = 0; i < sizeof pixels; i++) assert_int_equal(pixels[i], 0);
    eg_data_work_free(&work);
    for (uint64_t k = 1; k <= 2; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_data_warp(&c, &view, far, &d, EG_INTERP_BILINEAR, &work, &err),
                         EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        eg_data_work_free(&work);
    }
    eg_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ramps),
        cmocka_unit_test(identity_is_the_crop),
        cmocka_unit_test(ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
