/* The sheet of augmented images: its first column is the preprocessing, the others what the
 * augmentation gives for the same key, and limits and errors name what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"

#include <math.h>
#include <string.h>

static const eg_preprocess small = {
    EG_FIT_CROP, 72, 64, EG_INTERP_BILINEAR, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

/* Cell (row, column) of the sheet equals `expected`, (64, 64, 3). */
static void check_cell(const eg_image *sheet, size_t row, size_t column, const uint8_t *expected) {
    for (size_t y = 0; y < 64; y++)
        assert_memory_equal(sheet->pixels +
                                3 * ((4 + row * 68 + y) * (size_t)sheet->width + 4 + column * 68),
                            expected + y * 64 * 3, 64 * 3);
}

static void cells(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    eg_augment a;
    eg_image sheet = {0};
    const uint32_t indices[] = {3, 40, 7};
    static uint8_t expected[64 * 64 * 3];
    assert_int_equal(eg_dataset_open(&ds, TEST_SOURCE_DIR "/samples/chest_xray", NULL, NULL),
                     EG_OK);
    assert_true(eg_augment_preset(&a, "xray"));
    assert_int_equal(eg_augment_sheet(&sheet, ds, indices, 3, 4, &small, &a, 9, NULL), EG_OK);
    assert_int_equal(sheet.width, 5 * 68 + 4);
    assert_int_equal(sheet.height, 3 * 68 + 4);
    assert_int_equal(sheet.channels, 3);
    for (size_t i = 0; i < 3; i++) {
        eg_image image = {0};
        assert_int_equal(eg_dataset_image(&image, ds, indices[i], NULL), EG_OK);
        eg_data_collapse_gray(&image);
        assert_int_equal(eg_preprocess_u8(expected, &image, &small, NULL), EG_OK);
        check_cell(&sheet, i, 0, expected);
        for (uint32_t draw = 1; draw <= 4; draw++) {
            assert_int_equal(eg_augment_u8(expected, &image, &small, &a, 9, draw, indices[i], NULL),
                             EG_OK);
            check_cell(&sheet, i, draw, expected);
        }
        eg_image_free(&image);
    }
    eg_image_free(&sheet);

    // mixed: a row's cell lies between the two pictures
    a = (eg_augment){.crop_min = 1, .mixup = 1};
    assert_int_equal(eg_augment_sheet(&sheet, ds, indices, 3, 1, &small, &a, 9, NULL), EG_OK);
    for (size_t i = 0; i < 3; i++) {
        const float lambda = eg_data_mix_draw(&a, 64, 9, 1, indices[i]).lambda;
        for (size_t x = 0; x < 64; x++) {
            const size_t line = (size_t)sheet.width * 3;
            const uint8_t *own = sheet.pixels + (4 + i * 68 + 30) * line + 3 * (4 + x);
            const uint8_t *other = sheet.pixels + (4 + (i + 1) % 3 * 68 + 30) * line + 3 * (4 + x);
            const float mixed = lambda * (float)own[0] + (1 - lambda) * (float)other[0];
            assert_true(fabsf((float)own[3 * 68] - mixed) <= 0.51f);
        }
    }
    eg_image_free(&sheet);
    eg_dataset_free(ds);
}

static void refusals(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    eg_image sheet = {0};
    eg_error err = {0};
    const eg_augment a = {.crop_min = 1};
    const uint32_t indices[] = {0};
    assert_int_equal(eg_dataset_open(&ds, TEST_SOURCE_DIR "/samples/chest_xray", NULL, NULL),
                     EG_OK);
    assert_int_equal(eg_augment_sheet(&sheet, ds, indices, 0, 4, &small, &a, 9, &err),
                     EG_ERR_USAGE);
    assert_int_equal(eg_augment_sheet(&sheet, ds, indices, 1, 5000, &small, &a, 9, &err),
                     EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "too large"));
    const size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 12; k++) {
        eg_memory_fail_at(k);
        eg_status status = eg_augment_sheet(&sheet, ds, indices, 1, 1, &small, &a, 9, &err);
        eg_memory_fail_at(0);
        if (status == EG_OK) eg_image_free(&sheet);
        assert_true(k > 4 || status == EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    assert_null(sheet.pixels);
    eg_dataset_free(ds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
