/* Pillow's resize, bit for bit: SHA-256 of the results of 22 sizes, gray and colour, both
 * filters, up and down, with and without a box, against tests/data/resize/resize.txt
 * (scripts/make_resize_golden.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "pattern_image.h"

#include <string.h>

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
        eg_interp interp = strcmp(filter, "bicubic") == 0 ? EG_INTERP_BICUBIC : EG_INTERP_BILINEAR;
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
    assert_true(n >= 100);
}

/* A window must be the same bytes as the whole result, cut afterwards. */
static void window_is_a_cut(void **state) {
    (void)state;
    const eg_interp filters[] = {EG_INTERP_BILINEAR, EG_INTERP_BICUBIC};
    for (int f = 0; f < 2; f++)
        for (int channels = 1; channels <= 3; channels += 2) {
            eg_image image = pattern_image(301, 173, channels, 4);
            eg_data_view view = eg_data_view_of(&image);
            eg_data_scratch scratch = {0};
            eg_data_window all = {233, 256, 0, 0, 233, 256}, part = {233, 256, 11, 17, 200, 97};
            size_t n_ch = (size_t)channels, stride = 233 * n_ch;
            uint8_t *whole = eg_malloc(256 * stride), *cut = eg_malloc(97 * 200 * n_ch);
            assert_int_equal(
                eg_data_resize(whole, stride, &all, &view, NULL, filters[f], &scratch, NULL),
                EG_OK);
            assert_int_equal(
                eg_data_resize(cut, 200 * n_ch, &part, &view, NULL, filters[f], &scratch, NULL),
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
        cmocka_unit_test(matches_pillow),
        cmocka_unit_test(window_is_a_cut),
        cmocka_unit_test(bad_sizes),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
