/* Pillow's resize, bit for bit: SHA-256 of the results of 22 sizes, gray and colour, all six
 * filters, up and down, with and without a box, 8 bit and deep, against tests/data/resize/resize.txt
 * and deep.txt (scripts/make_resize_golden.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "pattern_image.h"

#include <string.h>

static eg_interp interp_named(const char *name) {
    static const char *const NAMES[EG_INTERP_COUNT] = {
        [EG_INTERP_BILINEAR] = "bilinear", [EG_INTERP_BICUBIC] = "bicubic",
        [EG_INTERP_NEAREST] = "nearest",   [EG_INTERP_BOX] = "box",
        [EG_INTERP_HAMMING] = "hamming",   [EG_INTERP_LANCZOS] = "lanczos"};
    for (int i = 0; i < EG_INTERP_COUNT; i++)
        if (strcmp(name, NAMES[i]) == 0) return (eg_interp)i;
    fail_msg("no filter %s", name);
    return EG_INTERP_COUNT;
}

static void matches_pillow(void **state) {
    (void)state;
    FILE *golden = fopen(TEST_SOURCE_DIR "/tests/data/resize/resize.txt", "r");
    assert_non_null(golden);
    char line[512];
    int n = 0;
    while (fgets(line, sizeof line, golden)) {
        if (line[0] == '#') continue;
        unsigned seed;
        int w, h, channels, to_w, to_h;
        char filter[16], expected[65], found[65];
        double box[4];
        assert_int_equal(sscanf(line, "%u %d %d %d %15s %d %d %lf %lf %lf %lf %64s", &seed, &w, &h,
                                &channels, filter, &to_w, &to_h, &box[0], &box[1], &box[2], &box[3],
                                expected),
                         12);
        eg_interp interp = interp_named(filter);
        bool whole = box[0] == 0 && box[1] == 0 && box[2] == w && box[3] == h;
        eg_image image = pattern_image(w, h, channels, seed);
        size_t n_bytes = (size_t)to_w * (size_t)to_h * (size_t)channels;
        uint8_t *out = eg_malloc(n_bytes);
        eg_error err = {0};
        assert_int_equal(eg_resize(out, to_w, to_h, &image, whole ? NULL : box, interp, &err),
                         EG_OK);
        eg_sha256_hex(found, out, n_bytes);
        if (strcmp(found, expected) != 0) print_error("differs from Pillow: %s", line);
        assert_string_equal(found, expected);
        eg_free(out);
        eg_image_free(&image);
        n++;
    }
    fclose(golden);
    assert_true(n >= 400);
}

/* Mode I;16 of Pillow; each channel of a deep colour image is such a picture. */
static void deep_matches_pillow(void **state) {
    (void)state;
    FILE *golden = fopen(TEST_SOURCE_DIR "/tests/data/resize/deep.txt", "r");
    assert_non_null(golden);
    char line[512];
    int n = 0;
    while (fgets(line, sizeof line, golden)) {
        if (line[0] == '#') continue;
        unsigned seed;
        int w, h, to_w, to_h;
        char filter[16], expected[65], found[65];
        double box[4];
        assert_int_equal(sscanf(line, "%u %d %d %15s %d %d %lf %lf %lf %lf %64s", &seed, &w, &h,
                                filter, &to_w, &to_h, &box[0], &box[1], &box[2], &box[3], expected),
                         11);
        bool whole = box[0] == 0 && box[1] == 0 && box[2] == w && box[3] == h;
        eg_image image = pattern_image_deep(w, h, 1, seed), colour = pattern_image_deep(w, h, 3, 0);
        uint16_t *pixels = (uint16_t *)(void *)image.pixels;
        uint16_t *triples = (uint16_t *)(void *)colour.pixels;
        for (size_t i = 0; i < (size_t)w * (size_t)h; i++) triples[3 * i + 1] = pixels[i];
        size_t n_samples = (size_t)to_w * (size_t)to_h;
        uint16_t *out = eg_malloc(n_samples * 2), *rgb = eg_malloc(n_samples * 6);
        assert_int_equal(
            eg_resize(out, to_w, to_h, &image, whole ? NULL : box, interp_named(filter), NULL),
            EG_OK);
        eg_sha256_hex(found, out, n_samples * 2);
        if (strcmp(found, expected) != 0) print_error("differs from Pillow: %s", line);
        assert_string_equal(found, expected);
        assert_int_equal(
            eg_resize(rgb, to_w, to_h, &colour, whole ? NULL : box, interp_named(filter), NULL),
            EG_OK);
        for (size_t i = 0; i < n_samples; i++) assert_int_equal(rgb[3 * i + 1], out[i]);
        eg_free(out);
        eg_free(rgb);
        eg_image_free(&image);
        eg_image_free(&colour);
        n++;
    }
    fclose(golden);
    assert_true(n >= 200);
}

/* A window must be the same bytes as the whole result, cut afterwards. */
static void window_is_a_cut(void **state) {
    (void)state;
    for (int f = 0; f < 2 * EG_INTERP_COUNT; f++)
        for (int channels = 1; channels <= 3; channels += 2) {
            const bool deep = f % 2;
            eg_image image = deep ? pattern_image_deep(301, 173, channels, 4)
                                  : pattern_image(301, 173, channels, 4);
            eg_data_view view = eg_data_view_of(&image);
            eg_data_scratch scratch = {0};
            eg_data_window all = {233, 256, 0, 0, 233, 256}, part = {233, 256, 11, 17, 200, 97};
            size_t n_ch = eg_data_pixel_bytes(channels, deep), stride = 233 * n_ch;
            uint8_t *whole = eg_malloc(256 * stride), *cut = eg_malloc(97 * 200 * n_ch);
            assert_int_equal(eg_data_resize(whole, stride, &all, &view, NULL, (eg_interp)(f / 2),
                                            &scratch, NULL),
                             EG_OK);
            assert_int_equal(eg_data_resize(cut, 200 * n_ch, &part, &view, NULL, (eg_interp)(f / 2),
                                            &scratch, NULL),
                             EG_OK);
            for (size_t y = 0; y < 97; y++)
                assert_memory_equal(cut + y * 200 * n_ch, whole + (y + 17) * stride + 11 * n_ch,
                                    200 * n_ch);
            eg_data_scratch_free(&scratch);
            eg_free(whole);
            eg_free(cut);
            eg_image_free(&image);
        }
}

/* The bound for windows that are not known yet covers every window and box. */
static void scratch_bound_holds(void **state) {
    (void)state;
    const int sides[][2] = {{301, 173}, {1200, 900}, {7, 900}, {64, 64}, {1, 1}};
    for (size_t s = 0; s < 5; s++)
        for (int f = 0; f < 2 * EG_INTERP_COUNT; f++) {
            eg_data_view src = {NULL, 0, sides[s][0], sides[s][1], 1 + f % 2 * 2, f % 2};
            const int w = src.width < 90 ? src.width : 90, h = src.height < 70 ? src.height : 70;
            size_t bound = eg_data_resize_scratch_bound(&src, w, h, (eg_interp)(f / 2));
            for (int i = 0; i < 6; i++) {
                eg_data_window part = {1 + (w - 1) * i / 5, 1 + (h - 1) * (5 - i) / 5, 0, 0, 0, 0};
                part.n_columns = part.width;
                part.n_rows = part.height;
                assert_true(eg_data_resize_scratch_bytes(&src, &part, (eg_interp)(f / 2)) <= bound);
            }
        }
}

static void refuses(int width, int height, const double *box, eg_status expected,
                    const char *part) {
    eg_image image = pattern_image(20, 10, 1, 0);
    uint8_t out[64] = {7};
    eg_error err = {0};
    assert_int_equal(eg_resize(out, width, height, &image, box, EG_INTERP_BILINEAR, &err),
                     expected);
    assert_non_null(strstr(err.text, part));
    assert_int_equal(out[0], 7);
    eg_image_free(&image);
}

static void bad_sizes(void **state) {
    (void)state;
    refuses(0, 4, NULL, EG_ERR_INPUT, "0 x 4");
    refuses(4, -1, NULL, EG_ERR_INPUT, "positive");
    refuses(EG_DATA_MAX_SIDE_PX + 1, 4, NULL, EG_ERR_LIMIT, "at most");
    refuses(4, 4, (const double[]){-1, 0, 10, 10}, EG_ERR_INPUT, "box");
    refuses(4, 4, (const double[]){0, 0, 21, 10}, EG_ERR_INPUT, "box");
    refuses(4, 4, (const double[]){5, 0, 5, 10}, EG_ERR_INPUT, "box");
}

static void no_memory(void **state) {
    (void)state;
    eg_image image = pattern_image(20, 10, 3, 0);
    uint8_t out[4 * 4 * 3];
    eg_error err = {0};
    eg_memory_fail_at(1);
    assert_int_equal(eg_resize(out, 4, 4, &image, NULL, EG_INTERP_BICUBIC, &err), EG_ERR_NO_MEMORY);
    eg_memory_fail_at(0);
    assert_int_equal(eg_resize(out, 4, 4, &image, NULL, EG_INTERP_BICUBIC, &err), EG_OK);
    eg_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_pillow),  cmocka_unit_test(deep_matches_pillow),
        cmocka_unit_test(window_is_a_cut), cmocka_unit_test(scratch_bound_holds),
        cmocka_unit_test(bad_sizes),       cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
