/* Gamma, blur, noise and cutout by their definition, on 8-bit and deep pictures; the flip and the
 * enhancements are in test_augment.c against torchvision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "pattern_image.h"

#include <math.h>
#include <string.h>

enum { SIDE = 40 };

static eg_image make(bool deep, int channels) {
    return deep ? pattern_image_deep(SIDE, SIDE, channels, 3)
                : pattern_image(SIDE, SIDE, channels, 3);
}

static eg_data_canvas canvas_of(eg_image *image) {
    return (eg_data_canvas){image->pixels, image->width, image->channels, image->deep};
}

static void gamma_by_definition(void **state) {
    (void)state;
    uint16_t *table = eg_malloc(EG_DATA_TABLE_BYTES);
    for (int deep = 0; deep < 2; deep++) {
        eg_image a = make(deep, 3), b = make(deep, 3);
        eg_data_canvas c = canvas_of(&a), before = canvas_of(&b);
        const double full = deep ? 65535 : 255;
        eg_data_augment_gamma(&c, 0.6, table);
        for (size_t i = 0; i < eg_data_canvas_samples(&c); i++) {
            double expected = full * pow(eg_data_sample(&before, i) / full, 0.6);
            assert_true(fabs(eg_data_sample(&c, i) - expected) <= 0.5001);
        }
        eg_image_free(&a);
        eg_image_free(&b);
    }
    eg_free(table);
}

/* Against the two-dimensional sum with the edge repeated. A picture of one value stays. */
static void blur_by_definition(void **state) {
    (void)state;
    float *between = eg_malloc(SIDE * SIDE * 3 * sizeof(float));
    for (int deep = 0; deep < 2; deep++) {
        eg_image a = make(deep, 3), b = make(deep, 3);
        eg_data_canvas c = canvas_of(&a), before = canvas_of(&b);
        const double sigma = 1.3;
        eg_data_augment_blur(&c, sigma, between);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                double sum = 0, weights = 0;
                for (int v = -4; v <= 4; v++)
                    for (int u = -4; u <= 4; u++) {
                        int px = x + u < 0 ? 0 : x + u >= SIDE ? SIDE - 1 : x + u;
                        int py = y + v < 0 ? 0 : y + v >= SIDE ? SIDE - 1 : y + v;
                        double w = exp(-(u * u + v * v) / (2 * sigma * sigma));
                        sum += w * eg_data_sample(&before, (size_t)(3 * (py * SIDE + px) + 1));
                        weights += w;
                    }
                double found = eg_data_sample(&c, (size_t)(3 * (y * SIDE + x) + 1));
                assert_true(fabs(found - sum / weights) <= (deep ? 0.6 : 0.501));
            }
        memset(a.pixels, 200, eg_image_bytes(&a));
        memset(b.pixels, 200, eg_image_bytes(&b));
        eg_data_augment_blur(&c, 20, between); // the largest radius; wider than the picture
        assert_memory_equal(a.pixels, b.pixels, eg_image_bytes(&a));
        eg_image_free(&a);
        eg_image_free(&b);
    }
    eg_free(between);
}

/* Mean 0, the standard deviation asked for, and the same for the same stream. */
static void noise_by_its_moments(void **state) {
    (void)state;
    for (int deep = 0; deep < 2; deep++) {
        eg_image a = make(deep, 3), b = make(deep, 3);
        eg_data_canvas c = canvas_of(&a), d = canvas_of(&b);
        const double full = deep ? 65535 : 255, n = SIDE * SIDE * 3;
        double sum = 0, squares = 0;
        for (size_t i = 0; i < (size_t)n; i++) {
            eg_data_sample_set(&c, i, deep ? 30000 : 120);
            eg_data_sample_set(&d, i, deep ? 30000 : 120);
        }
        eg_data_augment_noise(&c, 0.05, eg_random_make(1, 2, 3, 4));
        eg_data_augment_noise(&d, 0.05, eg_random_make(1, 2, 3, 4));
        assert_memory_equal(a.pixels, b.pixels, eg_image_bytes(&a));
        for (size_t i = 0; i < (size_t)n; i++) {
            double change = (eg_data_sample(&c, i) - (deep ? 30000.0 : 120.0)) / full;
            sum += change / n;
            squares += change * change / n;
        }
        assert_true(fabs(sum) < 0.003 && fabs(sqrt(squares) - 0.05) < 0.002);
        eg_data_augment_noise(&d, 3, eg_random_make(1, 2, 3, 5)); // clipped, not wrapped
        size_t ends = 0;
        for (size_t i = 0; i < (size_t)n; i++)
            ends += eg_data_sample(&d, i) == 0 || eg_data_sample(&d, i) == (unsigned)full;
        assert_true((double)ends > 0.7 * n && (double)ends < n);
        eg_image_free(&a);
        eg_image_free(&b);
    }
}

/* The rectangle and nothing else, in the value that becomes about 0 behind the normalisation. */
static void cutout_blanks_its_rectangle(void **state) {
    (void)state;
    const eg_preprocess p = {
        .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}, .crop = SIDE};
    const double cut[4] = {0.25, 0.5, 0.75, 1}, none[4] = {0.3, 0.3, 0.3, 0.3};
    for (int f = 0; f < 4; f++) {
        const int channels = f % 2 ? 3 : 1;
        eg_image a = make(f / 2, channels), b = make(f / 2, channels);
        eg_data_canvas c = canvas_of(&a);
        static float x[SIDE * SIDE * 3], y[SIDE * SIDE * 3];
        eg_data_augment_cutout(&c, none, &p);
        assert_memory_equal(a.pixels, b.pixels, eg_image_bytes(&a));
        eg_data_augment_cutout(&c, cut, &p);
        eg_data_canvas before = canvas_of(&b);
        eg_data_canvas_float(x, &c, &p);
        eg_data_canvas_float(y, &before, &p);
        for (int i = 0; i < SIDE * SIDE * 3; i++) {
            const int px = i / 3 % SIDE, py = i / 3 / SIDE;
            if (px >= 10 && px < 30 && py >= 20)
                assert_true(fabsf(x[i]) < (channels == 1 ? 0.25f : 0.01f));
            else
                assert_true(x[i] == y[i]);
        }
        eg_image_free(&a);
        eg_image_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gamma_by_definition),
        cmocka_unit_test(blur_by_definition),
        cmocka_unit_test(noise_by_its_moments),
        cmocka_unit_test(cutout_blanks_its_rectangle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
