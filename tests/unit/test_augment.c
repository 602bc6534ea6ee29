/* Augmentation: the pixels of a given draw against torchvision and Pillow (hashes: difference
 * 0); the draws by their distribution, their limits and their keys. Golden file:
 * scripts/make_resize_golden.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "pattern_image.h"

#include <math.h>
#include <string.h>

static void pixels_match_torchvision(void **state) {
    (void)state;
    FILE *golden = fopen(TEST_SOURCE_DIR "/tests/data/resize/augment.txt", "r");
    assert_non_null(golden);
    char line[512];
    int n = 0;
    while (fgets(line, sizeof line, golden)) {
        if (line[0] == '#') continue;
        unsigned seed;
        int w, h, channels, flip, first;
        char expected[65], found[65];
        eg_preprocess p = {.resize = 160};
        eg_data_augment_draw d = {.crop = true, .gamma = 1};
        assert_int_equal(sscanf(line, "%u %d %d %d %d %d %d %d %d %d %lf %lf %d %64s", &seed, &w,
                                &h, &channels, &p.crop, &d.left, &d.top, &d.width, &d.height, &flip,
                                &d.brightness, &d.contrast, &first, expected),
                         14);
        d.flip = flip;
        d.contrast_first = first;
        eg_image image = pattern_image(w, h, channels, seed);
        eg_data_work work = {0};
        size_t n_bytes = (size_t)p.crop * (size_t)p.crop * 3;
        uint8_t *out = eg_malloc(n_bytes);
        eg_data_canvas canvas = {.pixels = eg_malloc(n_bytes)};
        assert_int_equal(eg_data_augment_apply(&canvas, &image, &p, &d, &work, NULL), EG_OK);
        eg_data_canvas_u8(out, &canvas);
        eg_free(canvas.pixels);
        eg_sha256_hex(found, out, n_bytes);
        if (strcmp(found, expected) != 0) print_error("differs from torchvision: %s", line);
        assert_string_equal(found, expected);
        eg_data_work_free(&work);
        eg_free(out);
        eg_image_free(&image);
        n++;
    }
    fclose(golden);
    assert_true(n >= 40);
}

/* Area uniform in [0.25, 1] and log aspect uniform, given that the crop fits a square. */
static void crops_are_distributed(void **state) {
    (void)state;
    eg_augment a = {.crop_min = 0.25};
    const int n = 20000, side = 500;
    double mean_log_aspect = 0, small = 0, smallest = 1;
    for (int i = 0; i < n; i++) {
        eg_data_augment_draw d = eg_data_augment_sample(side, side, &a, 7, 1, (uint32_t)i);
        assert_true(d.crop && !d.flip && d.brightness == 1 && d.contrast == 1);
        assert_true(d.left >= 0 && d.top >= 0 && d.width >= 1 && d.height >= 1);
        assert_true(d.left + d.width <= side && d.top + d.height <= side);
        double area = (double)d.width * d.height / ((double)side * side);
        double log_aspect = log((double)d.width / d.height);
        assert_true(fabs(log_aspect) <= log(4.0 / 3.0) + 0.01);
        smallest = fmin(smallest, area);
        mean_log_aspect += log_aspect / n;
        small += (area < 0.5) / (double)n;
    }
    // Every aspect fits an area below 3/4; above, only |log aspect| <= -log area does and the rest
    // is drawn again, so P(area < 1/2) = 1/4 / (3/4 - lost), `lost` being the integral of what
    // does not fit.
    double lost = 0;
    for (int i = 0; i < 1000; i++) {
        double area = 0.75 + (i + 0.5) / 4000;
        lost += (1 - fmin(1, -log(area) / log(4.0 / 3.0))) / 4000;
    }
    assert_true(fabs(small - 0.25 / (0.75 - lost)) < 0.015);
    assert_true(fabs(mean_log_aspect) < 0.005);
    assert_true(smallest >= 0.249 && smallest < 0.26);
}

/* A sliver allows no aspect between 3/4 and 4/3 of a large area: the centred fallback. */
static void crop_fallback(void **state) {
    (void)state;
    eg_augment a = {.crop_min = 0.9};
    eg_data_augment_draw d = eg_data_augment_sample(1000, 30, &a, 1, 1, 1);
    assert_int_equal(d.height, 30);
    assert_int_equal(d.width, 40);
    assert_int_equal(d.left, 480);
    d = eg_data_augment_sample(30, 1000, &a, 1, 1, 1);
    assert_int_equal(d.width, 30);
    assert_int_equal(d.height, 40);
    assert_int_equal(d.top, 480);
}

static void flips_and_factors(void **state) {
    (void)state;
    eg_augment a = {.crop_min = 1, .flip = 0.3, .jitter = 0.2};
    const int n = 20000;
    double flips = 0, brightness = 0, first = 0, low = 2, high = 0;
    for (int i = 0; i < n; i++) {
        eg_data_augment_draw d = eg_data_augment_sample(50, 40, &a, 3, 2, (uint32_t)i);
        assert_false(d.crop);
        flips += d.flip / (double)n;
        first += d.contrast_first / (double)n;
        brightness += d.brightness / n;
        low = fmin(low, fmin(d.brightness, d.contrast));
        high = fmax(high, fmax(d.brightness, d.contrast));
    }
    assert_true(fabs(flips - 0.3) < 0.015 && fabs(first - 0.5) < 0.015);
    assert_true(fabs(brightness - 1) < 0.005);
    assert_true(low >= 0.8 && low < 0.801 && high <= 1.2 && high > 1.199);
}

/* Each key word matters, and switching one change off leaves the draws of the others. */
static void keys(void **state) {
    (void)state;
    eg_augment a = {.crop_min = 0.25, .flip = 0.5, .jitter = 0.3},
               no_crop = {.crop_min = 1, .flip = 0.5, .jitter = 0.3};
    eg_data_augment_draw d = eg_data_augment_sample(90, 80, &a, 1, 2, 3);
    eg_data_augment_draw same = eg_data_augment_sample(90, 80, &a, 1, 2, 3);
    assert_true(d.left == same.left && d.width == same.width && d.brightness == same.brightness);
    assert_true(d.brightness != eg_data_augment_sample(90, 80, &a, 2, 2, 3).brightness);
    assert_true(d.brightness != eg_data_augment_sample(90, 80, &a, 1, 3, 3).brightness);
    assert_true(d.brightness != eg_data_augment_sample(90, 80, &a, 1, 2, 4).brightness);
    eg_data_augment_draw other = eg_data_augment_sample(90, 80, &no_crop, 1, 2, 3);
    assert_true(other.brightness == d.brightness && other.flip == d.flip &&
                other.contrast_first == d.contrast_first);
}

/* Every preset by name; what xray must not do; and each value within the range of its option. */
static void presets(void **state) {
    (void)state;
    static const char *const NAMES[] = {"none", "light", "xray", "strong"};
    eg_augment a, none;
    assert_false(eg_augment_preset(&a, "auto"));
    assert_false(eg_augment_preset(&a, NULL));
    assert_true(eg_augment_preset(&none, "none"));
    assert_memory_equal(&none, &((eg_augment){.crop_min = 1}), sizeof none);
    for (size_t i = 1; i < 4; i++) {
        assert_true(eg_augment_preset(&a, NAMES[i]));
        assert_memory_not_equal(&a, &none, sizeof a);
        assert_true(a.crop_min > 0 && a.crop_min <= 1 && a.zoom < 0.9 && a.randaugment <= 30);
        if (i == 1) continue;
        assert_true(a.flip == 0); // the heart is on the left
        assert_true(a.rotate > 0 && a.rotate <= 15 && a.gamma_by > 0);
        assert_true((a.randaugment > 0) == (i == 3) && (a.mixup > 0) == (i == 3));
    }
}

/* Ranges of what is drawn beside crop, flip and jitter, and that all ends are reached. */
static void draws_fill_their_ranges(void **state) {
    (void)state;
    eg_augment a = {.crop_min = 1,
                    .rotate = 10,
                    .translate = 0.2,
                    .zoom = 0.3,
                    .gamma_by = 0.5,
                    .blur = 2,
                    .noise = 0.1,
                    .cutout = 0.3,
                    .randaugment = 9};
    double low[8], high[8], mean[8] = {0};
    const double from[8] = {-10, -0.2, -0.2, 0.7, 1 / 1.5, 0, 0, 0};
    const double to[8] = {10, 0.2, 0.2, 1.3, 1.5, 2, 0.1, 0.3};
    const int n = 20000;
    int ops[14] = {0};
    for (int i = 0; i < n; i++) {
        eg_data_augment_draw d = eg_data_augment_sample(60, 50, &a, 1, 1, (uint32_t)i);
        const double area = (d.cut[2] - d.cut[0]) * (d.cut[3] - d.cut[1]);
        const double found[8] = {
            d.angle * 180 / M_PI, d.shift_x, d.shift_y, d.zoom, d.gamma, d.blur, d.noise, area};
        assert_true(d.warp && d.blurs && !d.crop && d.n_rand == 2);
        assert_true(d.cut[0] >= 0 && d.cut[1] >= 0 && d.cut[2] <= 1 && d.cut[3] <= 1);
        for (int k = 0; k < 8; k++) {
            low[k] = i ? fmin(low[k], found[k]) : found[k];
            high[k] = i ? fmax(high[k], found[k]) : found[k];
            mean[k] += (k == 4 ? log(found[k]) : found[k]) / n;
        }
        for (int k = 0; k < 2; k++) ops[d.rand[k].op]++;
    }
    for (int k = 0; k < 8; k++) {
        const double width = to[k] - from[k];
        assert_true(low[k] >= from[k] - 1e-9 && high[k] <= to[k] + 1e-9);
        assert_true(low[k] < from[k] + 0.01 * width && high[k] > to[k] - 0.01 * width);
        if (k != 7) // the largest areas do not fit every aspect
            assert_true(fabs(mean[k] - (k == 4 ? 0 : (from[k] + to[k]) / 2)) < 0.015 * width);
    }
    for (int i = 0; i < 14; i++) assert_true(abs(ops[i] - 2 * n / 14) < 250);
}

/* The deep image keeps values that 8 bits do not have, through every change. */
static void deep_stays_deep(void **state) {
    (void)state;
    eg_preprocess p = {EG_FIT_CROP, 40, 32, EG_INTERP_BICUBIC, {0}, {1, 1, 1}};
    eg_augment a;
    assert_true(eg_augment_preset(&a, "xray"));
    eg_image image = pattern_image_deep(77, 51, 1, 3);
    static float x[32 * 32 * 3];
    static uint8_t bytes[32 * 32 * 3];
    assert_int_equal(eg_augment_float(x, &image, &p, &a, 1, 1, 1, NULL), EG_OK);
    assert_int_equal(eg_augment_u8(bytes, &image, &p, &a, 1, 1, 1, NULL), EG_OK);
    int between = 0;
    for (size_t i = 0; i < 32 * 32 * 3; i++) {
        assert_true(x[i] >= 0 && x[i] <= 1);
        assert_true(fabsf(x[i] * 255 - (float)bytes[i]) <= 0.503f);
        between += fabsf(x[i] * 255 - (float)bytes[i]) > 0.05f;
    }
    assert_true(between > 2000);
    eg_image_free(&image);
}

/* With everything off the result is the preprocessing's. */
static void off_is_preprocessing(void **state) {
    (void)state;
    eg_preprocess p = {EG_FIT_CROP, 40, 32, EG_INTERP_BICUBIC, {0}, {1, 1, 1}};
    eg_augment a = {.crop_min = 1};
    eg_image image = pattern_image(77, 51, 3, 3);
    uint8_t x[32 * 32 * 3], y[32 * 32 * 3];
    assert_int_equal(eg_preprocess_u8(x, &image, &p, NULL), EG_OK);
    assert_int_equal(eg_augment_u8(y, &image, &p, &a, 1, 1, 1, NULL), EG_OK);
    assert_memory_equal(x, y, sizeof x);
    a.flip = 1;
    assert_int_equal(eg_augment_u8(y, &image, &p, &a, 1, 1, 1, NULL), EG_OK);
    for (size_t row = 0; row < 32; row++)
        for (size_t column = 0; column < 32; column++)
            assert_memory_equal(y + 3 * (row * 32 + column), x + 3 * (row * 32 + 31 - column), 3);
    eg_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_match_torchvision),
        cmocka_unit_test(crops_are_distributed),
        cmocka_unit_test(crop_fallback),
        cmocka_unit_test(flips_and_factors),
        cmocka_unit_test(keys),
        cmocka_unit_test(presets),
        cmocka_unit_test(draws_fill_their_ranges),
        cmocka_unit_test(deep_stays_deep),
        cmocka_unit_test(off_is_preprocessing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
