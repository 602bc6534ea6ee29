/* Preprocessing against torchvision on PIL images (hashes: difference 0), normalisation against
 * ToTensor + Normalize, and the gray shortcut against the colour way. Golden files:
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

static void matches_torchvision(void **state) {
    (void)state;
    FILE *golden = fopen(TEST_SOURCE_DIR "/tests/data/resize/preprocess.txt", "r");
    assert_non_null(golden);
    char line[512];
    int n = 0;
    while (fgets(line, sizeof line, golden)) {
        if (line[0] == '#') continue;
        unsigned seed;
        int w, h, channels;
        char fit[16], filter[16], expected[65], found[65];
        eg_preprocess p = {0};
        assert_int_equal(sscanf(line, "%u %d %d %d %15s %15s %d %d %64s", &seed, &w, &h, &channels,
                                fit, filter, &p.resize, &p.crop, expected),
                         9);
        p.fit = strcmp(fit, "squash") == 0 ? EG_FIT_SQUASH : EG_FIT_CROP;
        p.interp = strcmp(filter, "bicubic") == 0 ? EG_INTERP_BICUBIC : EG_INTERP_BILINEAR;
        eg_image image = pattern_image(w, h, channels, seed);
        size_t n_bytes = (size_t)p.crop * (size_t)p.crop * 3;
        uint8_t *out = eg_malloc(n_bytes);
        eg_error err = {0};
        assert_int_equal(eg_preprocess_u8(out, &image, &p, &err), EG_OK);
        eg_sha256_hex(found, out, n_bytes);
        if (strcmp(found, expected) != 0) print_error("differs from torchvision: %s", line);
        assert_string_equal(found, expected);
        eg_free(out);
        eg_image_free(&image);
        n++;
    }
    fclose(golden);
    assert_true(n >= 200);
}

/* All 256 values; torchvision computes in float32, in the same order, so the bits agree. */
static void normalize_matches_torchvision(void **state) {
    (void)state;
    eg_preprocess p = {.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};
    uint8_t values[256 * 3];
    float out[256 * 3];
    for (int v = 0; v < 256; v++)
        for (int c = 0; c < 3; c++) values[3 * v + c] = (uint8_t)v;
    eg_normalize(out, values, 256, &p);
    for (int v = 0; v < 256; v++)
        for (int c = 0; c < 3; c++) {
            double exact = (v / 255.0 - (double)p.mean[c]) / (double)p.std[c];
            assert_true(fabs((double)out[3 * v + c] - exact) <= 1e-6);
        }
    char line[128], expected[65] = "", found[65];
    FILE *golden = fopen(TEST_SOURCE_DIR "/tests/data/resize/normalize.txt", "r");
    assert_non_null(golden);
    while (fgets(line, sizeof line, golden))
        if (line[0] != '#') assert_int_equal(sscanf(line, "%64s", expected), 1);
    fclose(golden);
    eg_sha256_hex(found, out, sizeof out);
    assert_string_equal(found, expected);
}

/* RGB with equal channels: one channel gives the same bits. A single differing pixel forbids it. */
static void gray_shortcut(void **state) {
    (void)state;
    eg_preprocess p = {EG_FIT_CROP, 40, 32, EG_INTERP_BICUBIC, {0}, {1, 1, 1}};
    eg_image gray = pattern_image(77, 51, 1, 3), colour = pattern_image(77, 51, 3, 0);
    for (size_t i = 0; i < 77 * 51 * 3; i++) colour.pixels[i] = gray.pixels[i / 3];
    uint8_t a[32 * 32 * 3], b[32 * 32 * 3];
    assert_int_equal(eg_preprocess_u8(a, &colour, &p, NULL), EG_OK);
    colour.pixels[77 * 51 * 3 - 1] ^= 1;
    assert_false(eg_data_collapse_gray(&colour));
    assert_int_equal(colour.channels, 3);
    colour.pixels[77 * 51 * 3 - 1] ^= 1;
    assert_true(eg_data_collapse_gray(&colour));
    assert_int_equal(colour.channels, 1);
    assert_memory_equal(colour.pixels, gray.pixels, 77 * 51);
    assert_int_equal(eg_preprocess_u8(b, &colour, &p, NULL), EG_OK);
    assert_memory_equal(a, b, sizeof a);
    eg_image_free(&gray);
    eg_image_free(&colour);
}

/* Deep: v / 65535 in float32, whatever the channels; gray stored as colour gives the same. A
 * depth of 8 bits inside 16 (257 v) gives what the 8-bit image gives, but for the rounding of the
 * resize. */
static void deep_keeps_its_depth(void **state) {
    (void)state;
    eg_preprocess p = {EG_FIT_CROP,        40, 32, EG_INTERP_BICUBIC, {0.485f, 0.4f, 0.3f},
                       {0.2f, 0.3f, 0.25f}};
    eg_image gray = pattern_image_deep(77, 51, 1, 3), colour = pattern_image_deep(77, 51, 3, 0);
    const uint16_t *samples = (const uint16_t *)(const void *)gray.pixels;
    for (size_t i = 0; i < 77 * 51 * 3; i++)
        ((uint16_t *)(void *)colour.pixels)[i] = samples[i / 3];
    uint16_t resized[60 * 40];
    static float a[32 * 32 * 3], b[32 * 32 * 3];
    static uint8_t bytes[32 * 32 * 3];
    assert_int_equal(eg_resize(resized, 60, 40, &gray, NULL, p.interp, NULL), EG_OK);
    assert_int_equal(eg_preprocess_float(a, &gray, &p, NULL), EG_OK);
    assert_int_equal(eg_preprocess_float(b, &colour, &p, NULL), EG_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(eg_preprocess_u8(bytes, &gray, &p, NULL), EG_OK);
    int between = 0;
    for (size_t y = 0; y < 32; y++)
        for (size_t x = 0; x < 32; x++)
            for (size_t c = 0; c < 3; c++) {
                const uint16_t value = resized[(y + 4) * 60 + x + 14];
                const size_t at = (y * 32 + x) * 3 + c;
                assert_true(a[at] == ((float)value / 65535.0f - p.mean[c]) / p.std[c]);
                assert_int_equal(bytes[at], (value + 128) / 257);
                between += value % 257 != 0;
            }
    assert_true(between > 2000); // values that 8 bits cannot hold
    assert_true(eg_data_collapse_gray(&colour));
    assert_memory_equal(colour.pixels, gray.pixels, 77 * 51 * 2);
    eg_image_free(&colour);
    eg_image eight = pattern_image(77, 51, 1, 3);
    for (size_t i = 0; i < 77 * 51; i++)
        ((uint16_t *)(void *)gray.pixels)[i] = (uint16_t)(257 * eight.pixels[i]);
    assert_int_equal(eg_preprocess_float(a, &eight, &p, NULL), EG_OK);
    assert_int_equal(eg_preprocess_float(b, &gray, &p, NULL), EG_OK);
    for (size_t i = 0; i < 32 * 32 * 3; i++)
        assert_true(fabsf(a[i] - b[i]) * p.std[i % 3] <= 1.6f / 255); // two roundings to 8 bits
    eg_image_free(&eight);
    eg_image_free(&gray);
}

/* A sliver of 1 x 60000 would be a picture of gigabytes in torchvision; here only the window is
 * computed, until the side limit, and the message then says what to do. */
static void slivers(void **state) {
    (void)state;
    eg_preprocess p = {EG_FIT_CROP, 256, 224, EG_INTERP_BILINEAR, {0}, {1, 1, 1}};
    uint8_t *out = eg_malloc(224 * 224 * 3);
    eg_error err = {0};
    eg_image image = pattern_image(1, 4000, 1, 0);
    assert_int_equal(eg_preprocess_u8(out, &image, &p, &err), EG_OK);
    eg_image_free(&image);
    image = pattern_image(60000, 1, 1, 0);
    assert_int_equal(eg_preprocess_u8(out, &image, &p, &err), EG_ERR_LIMIT);
    assert_non_null(strstr(err.text, "squash"));
    p.fit = EG_FIT_SQUASH;
    assert_int_equal(eg_preprocess_u8(out, &image, &p, &err), EG_OK);
    p.crop = 0;
    assert_int_equal(eg_preprocess_u8(out, &image, &p, &err), EG_ERR_INPUT);
    eg_image_free(&image);
    eg_free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_torchvision),
        cmocka_unit_test(normalize_matches_torchvision),
        cmocka_unit_test(gray_shortcut),
        cmocka_unit_test(deep_keeps_its_depth),
        cmocka_unit_test(slivers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
