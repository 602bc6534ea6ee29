/* Images through the door: pixels equal to Pillow's for every kind of file, dispatch by content,
 * limits, errors. */
#include "codec/image_formats.h"
#include "data/images/expected_images.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define IMAGES TEST_SOURCE_DIR "/tests/data/images/"

static void pixels_are_pillows(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof expected_images / sizeof *expected_images; i++) {
        char path[512], hex[65];
        snprintf(path, sizeof path, IMAGES "%s", expected_images[i].name);
        eg_image image;
        eg_error err = {0};
        if (eg_image_read(&image, path, NULL, &err) != EG_OK) fail_msg("%s", err.text);
        assert_int_equal(image.width, expected_images[i].width);
        assert_int_equal(image.height, expected_images[i].height);
        assert_int_equal(image.channels, expected_images[i].channels);
        size_t n = (size_t)image.width * (size_t)image.height * (size_t)image.channels;
        eg_sha256_hex(hex, image.pixels, n);
        if (strcmp(hex, expected_images[i].sha256) != 0) fail_msg("%s: other pixels", path);
        eg_image_free(&image);
        assert_null(image.pixels);
        int width, height, channels;
        assert_int_equal(eg_image_probe(&width, &height, &channels, path, &err), EG_OK);
        assert_int_equal(width, expected_images[i].width);
        assert_int_equal(height, expected_images[i].height);
        assert_int_equal(channels, expected_images[i].channels);
    }
    eg_image_free(NULL);
}

static void refuse(const void *data, size_t size, eg_status status, const char *text) {
    eg_error err = {0};
    eg_image image = {.width = -7};
    assert_int_equal(eg_image_decode(&image, data, size, NULL, &err), status);
    assert_int_equal(image.width, -7); /* untouched */
    if (strstr(err.text, text) == NULL) fail_msg("'%s' has no '%s'", err.text, text);
}

static void other_files_are_named(void **state) {
    (void)state;
    refuse("Hello world", 11, EG_ERR_INPUT,
           "not a JPEG or PNG image (starts with \"Hello wo\") - convert or remove it");
    refuse("GIF89a..", 8, EG_ERR_INPUT, "looks like a GIF");
    refuse("II*\0\1\2\3\4", 8, EG_ERR_INPUT, "bytes 49 49 2a 00 01 02 03 04, looks like a TIFF");
    refuse("", 0, EG_ERR_INPUT, "empty");
    refuse("\xFF\xD8", 2, EG_ERR_INPUT, "not a JPEG or PNG");
    refuse("\xFF\xD8\xFF", 3, EG_ERR_INPUT, "unexpected end of JPEG data at byte 3");
    refuse("\x89PNG\r\n\x1A\n", 8, EG_ERR_INPUT, "unexpected end of PNG data at byte 8");
}

static void files_are_named_in_errors(void **state) {
    (void)state;
    eg_image image;
    eg_error err = {0};
    int w, h, c;
    eg_part part = {.data = "a text", .size = 6};
    assert_int_equal(eg_file_write_atomic("test_image.jpg", &part, 1, &err), EG_OK);
    assert_int_equal(eg_image_read(&image, "test_image.jpg", NULL, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "test_image.jpg: not a JPEG or PNG image"));
    assert_int_equal(eg_image_probe(&w, &h, &c, "test_image.jpg", &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "test_image.jpg: "));
    unlink("test_image.jpg");
    assert_int_equal(eg_image_read(&image, "no/such.jpg", NULL, &err), EG_ERR_NOT_FOUND);
    assert_int_equal(eg_image_probe(&w, &h, &c, "no/such.jpg", &err), EG_ERR_NOT_FOUND);
    assert_int_equal(eg_image_read(&image, ".", NULL, &err), EG_ERR_INPUT);
}

static void limits_hold(void **state) {
    (void)state;
    static const char *const names[] = {IMAGES "gray.jpg", IMAGES "rgb.png"};
    for (int i = 0; i < 2; i++) {
        eg_image image;
        eg_error err = {0};
        eg_image_limits limits = {.max_file_bytes = 1 << 20, .max_pixels = 37 * 23};
        assert_int_equal(eg_image_read(&image, names[i], &limits, &err), EG_OK);
        eg_image_free(&image);
        limits.max_pixels--;
        assert_int_equal(eg_image_read(&image, names[i], &limits, &err), EG_ERR_LIMIT);
        assert_non_null(strstr(err.text, "37 x 23 pixels, the limit is 850 pixels"));
        limits = (eg_image_limits){.max_file_bytes = 500, .max_pixels = 1 << 20};
        assert_int_equal(eg_image_read(&image, names[i], &limits, &err), EG_ERR_LIMIT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_pillows),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(files_are_named_in_errors),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
