/* Images through the door: pixels equal to Pillow's and tifffile's for every kind of file, dispatch by
 * content, the probe, limits, errors. */
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

static bool is_absent_webp(const char *name) {
    eg_image_info info;
    eg_error err = {0};
    if (strstr(name, ".webp") == NULL) return false;
    return eg_image_probe(&info, name, NULL, 0, &err) == EG_ERR_UNSUPPORTED;
}

static void pixels_are_as_expected(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof expected_images / sizeof *expected_images; i++) {
        char path[512], hex[65];
        snprintf(path, sizeof path, IMAGES "%s", expected_images[i].name);
        if (is_absent_webp(path)) continue;
        eg_image image;
        eg_error err = {0};
        if (eg_image_read(&image, path, NULL, &err) != EG_OK) fail_msg("%s", err.text);
        assert_int_equal(image.width, expected_images[i].width);
        assert_int_equal(image.height, expected_images[i].height);
        assert_int_equal(image.channels, expected_images[i].channels);
        assert_int_equal(image.deep, expected_images[i].deep);
        size_t n = (size_t)image.width * (size_t)image.height * (size_t)image.channels;
        assert_int_equal(eg_image_bytes(&image), image.deep ? 2 * n : n);
        eg_sha256_hex(hex, image.pixels, eg_image_bytes(&image));
        if (strcmp(hex, expected_images[i].sha256) != 0) fail_msg("%s: other pixels", path);
        eg_image_free(&image);
        assert_null(image.pixels);
        eg_image_info info;
        assert_int_equal(eg_image_probe(&info, path, NULL, 0, &err), EG_OK);
        assert_int_equal(info.width, expected_images[i].width);
        assert_int_equal(info.height, expected_images[i].height);
        assert_int_equal(info.channels, expected_images[i].channels);
        assert_int_equal(info.bits > 8, expected_images[i].deep);
    }
    eg_image_free(NULL);
}

static void headers_are_read(void **state) {
    (void)state;
    static const struct {
        const char *path, *format;
        int bits, orientation, n_frames;
    } expected[] = {
        {IMAGES "orientation3.jpg", "JPEG", 8, 3, 1}, {IMAGES "orientation6.jpg", "JPEG", 8, 6, 1},
        {IMAGES "gray16.tif", "TIFF", 16, 8, 1},      {IMAGES "pages.tif", "TIFF", 8, 1, 3},
        {IMAGES "bilevel.tif", "TIFF", 1, 1, 1},      {IMAGES "gray16.png", "PNG", 16, 1, 1},
        {IMAGES "bilevel.png", "PNG", 1, 1, 1},       {IMAGES "deep.pgm", "PNM", 12, 1, 1},
        {IMAGES "odd.ppm", "PNM", 6, 1, 1},           {IMAGES "bits.pbm", "PNM", 1, 1, 1},
        {IMAGES "rle8.bmp", "BMP", 8, 1, 1},          {IMAGES "lossy.webp", "WebP", 8, 1, 1},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        if (is_absent_webp(expected[i].path)) continue;
        eg_image_info info;
        eg_error err = {0};
        if (eg_image_probe(&info, expected[i].path, "salt", 4, &err) != EG_OK) {
            fail_msg("%s", err.text);
        }
        assert_string_equal(info.format, expected[i].format);
        assert_int_equal(info.bits, expected[i].bits);
        assert_int_equal(info.orientation, expected[i].orientation);
        assert_int_equal(info.n_frames, expected[i].n_frames);
        assert_string_equal(info.patient, "");
    }
}

static void refuse(const void *data, size_t size, eg_status status, const char *text) {
    eg_error err = {0};
    eg_image image = {.width = -7};
    assert_int_equal(eg_image_decode(&image, data, size, NULL, &err), status);
    assert_int_equal(image.width, -7); /* untouched */
    if (strstr(err.text, text) == NULL) fail_msg("'%s' has no '%s'", err.text, text);
}

#define KNOWN "not a JPEG, PNG, TIFF, PGM/PPM, BMP, WebP or DICOM image"

static void other_files_are_named(void **state) {
    (void)state;
    refuse("Hello world", 11, EG_ERR_INPUT,
           KNOWN " (starts with \"Hello wo\") - convert or remove it");
    refuse("GIF89a..", 8, EG_ERR_INPUT, "looks like a GIF");
    refuse("\0\0\0\x0CjP  \r\n\x87\n", 12, EG_ERR_INPUT,
           "bytes 00 00 00 0c 6a 50 20 20, looks like a JPEG 2000");
    refuse("%PDF-1.4", 8, EG_ERR_INPUT, "looks like a PDF");
    refuse("", 0, EG_ERR_INPUT, "empty");
    refuse("\xFF\xD8", 2, EG_ERR_INPUT, KNOWN);
    refuse("BM is a company that makes BMPs", 31, EG_ERR_INPUT, KNOWN);
    refuse("P8 1 1 255 ", 11, EG_ERR_INPUT, KNOWN);
    refuse("\xFF\xD8\xFF", 3, EG_ERR_INPUT, "unexpected end of JPEG data at byte 3");
    refuse("\x89PNG\r\n\x1A\n", 8, EG_ERR_INPUT, "unexpected end of PNG data at byte 8");
    refuse("II*\0\1\2\3\4", 8, EG_ERR_INPUT, "page 1 lies behind the end at byte 8");
    refuse("P5 12", 5, EG_ERR_INPUT, "unexpected end of PNM data at byte 5");
}

static void formats_are_recognised_by_content(void **state) {
    (void)state;
    static const char *const names[] = {
        IMAGES "gray.jpg", IMAGES "gray.png",   IMAGES "rgb.tif",         IMAGES "gray.bmp",
        IMAGES "gray.pgm", IMAGES "lossy.webp", IMAGES "rgb16_tiles.tif", IMAGES "gray16.tif"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        eg_file_view view;
        eg_error err = {0};
        assert_int_equal(eg_file_open(&view, names[i], 1 << 20, &err), EG_OK);
        assert_true(eg_image_recognised(view.data, view.size));
        assert_true(eg_image_recognised(view.data, 132));
        assert_false(eg_image_recognised(view.data, 2));
        assert_false(eg_image_recognised(view.data, 0));
        eg_file_close(&view);
    }
    char dicom[132] = {0};
    assert_false(eg_image_recognised(dicom, sizeof dicom));
    memcpy(dicom + 128, "DICM", 4);
    assert_true(eg_image_recognised(dicom, sizeof dicom));
    assert_false(eg_image_recognised(dicom, sizeof dicom - 1));
    assert_false(eg_image_recognised("path,label\n", 11));
}

static void files_are_named_in_errors(void **state) {
    (void)state;
    eg_image image;
    eg_error err = {0};
    eg_image_info info;
    eg_part part = {.data = "a text", .size = 6};
    assert_int_equal(eg_file_write_atomic("test_image.jpg", &part, 1, &err), EG_OK);
    assert_int_equal(eg_image_read(&image, "test_image.jpg", NULL, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "test_image.jpg: " KNOWN));
    assert_int_equal(eg_image_probe(&info, "test_image.jpg", NULL, 0, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "test_image.jpg: "));
    unlink("test_image.jpg");
    assert_int_equal(eg_image_read(&image, "no/such.jpg", NULL, &err), EG_ERR_NOT_FOUND);
    assert_int_equal(eg_image_probe(&info, "no/such.jpg", NULL, 0, &err), EG_ERR_NOT_FOUND);
    assert_int_equal(eg_image_read(&image, ".", NULL, &err), EG_ERR_INPUT);
}

static void limits_hold(void **state) {
    (void)state;
    static const char *const names[] = {
        IMAGES "gray.jpg", IMAGES "rgb.png",  IMAGES "gray16.png",   IMAGES "rgb.tif",
        IMAGES "gray.pgm", IMAGES "rle8.bmp", IMAGES "lossless.webp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_absent_webp(names[i])) continue;
        eg_image image;
        eg_error err = {0};
        eg_image_options limits = {.max_file_bytes = 1 << 20, .max_pixels = 37 * 23};
        assert_int_equal(eg_image_read(&image, names[i], &limits, &err), EG_OK);
        eg_image_free(&image);
        limits.max_pixels--;
        assert_int_equal(eg_image_read(&image, names[i], &limits, &err), EG_ERR_LIMIT);
        assert_non_null(strstr(err.text, "37 x 23 pixels, the limit is 850 pixels"));
        limits = (eg_image_options){.max_file_bytes = 500, .max_pixels = 1 << 20};
        assert_int_equal(eg_image_read(&image, names[i], &limits, &err), EG_ERR_LIMIT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_as_expected),
        cmocka_unit_test(headers_are_read),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(formats_are_recognised_by_content),
        cmocka_unit_test(files_are_named_in_errors),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
