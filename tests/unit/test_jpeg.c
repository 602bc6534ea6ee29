/* JPEG against damage: cut files, flipped bits, failing memory, too many scans. The pixels are
 * tested in test_image. */
#include "codec/image_formats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>

#include "unit/hostile.h"

#define IMAGES TEST_SOURCE_DIR "/tests/data/images/"
static const char *const files[] = {IMAGES "gray.jpg", IMAGES "colour420.jpg",
                                    IMAGES "progressive.jpg", IMAGES "cmyk.jpg"};
enum { N_FILES = 4 };

static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    eg_image image;
    const eg_image_limits limits = {.max_file_bytes = 1 << 20, .max_pixels = 200000};
    EG_TRY(eg_codec_jpeg_decode(&image, data, size, &limits, err));
    eg_image header = {0};
    eg_status probed = eg_codec_jpeg_probe(&header, data, size, NULL);
    if (probed != EG_ERR_NO_MEMORY) { /* that one may be injected */
        assert_int_equal(probed, EG_OK);
        assert_int_equal(header.width, image.width);
        assert_int_equal(header.height, image.height);
        assert_int_equal(header.channels, image.channels);
    }
    assert_null(header.pixels);
    eg_sha256_hex(digest, image.pixels,
                  (size_t)image.width * (size_t)image.height * (size_t)image.channels);
    eg_image_free(&image);
    return EG_OK;
}

static void cut_files_are_refused(void **state) {
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        eg_file_view view = hostile_open(files[i]);
        hostile_prefixes(decode, view.data, view.size);
        eg_image image;
        eg_error err = {0};
        eg_image_limits limits = EG_IMAGE_LIMITS_DEFAULT;
        size_t n = view.size - 30;
        assert_int_equal(eg_codec_jpeg_decode(&image, view.data, n, &limits, &err), EG_ERR_INPUT);
        char text[80];
        snprintf(text, sizeof text, "unexpected end of JPEG data at byte %zu", n);
        assert_non_null(strstr(err.text, text));
        assert_int_equal(err.offset, n);
        eg_file_close(&view);
    }
}

/* JPEG has no check sums: a flipped bit may pass as another picture, but must do no harm. */
static void flipped_bits_do_no_harm(void **state) {
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        eg_file_view view = hostile_open(files[i]);
        size_t accepted = hostile_mutations(decode, view.data, view.size, false);
        assert_in_range(accepted, 1, view.size * 8 - 1);
        eg_file_close(&view);
    }
}

static void no_memory_is_reported(void **state) {
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        eg_file_view view = hostile_open(files[i]);
        /* decoder, pixels, and the row of a CMYK file */
        assert_int_equal(hostile_allocations(decode, view.data, view.size), i == 3 ? 3 : 2);
        eg_file_close(&view);
    }
}

static void data_behind_the_end_is_ignored(void **state) {
    (void)state;
    eg_file_view view = hostile_open(files[0]);
    uint8_t *longer = calloc(1, view.size + 1000);
    memcpy(longer, view.data, view.size);
    char a[65], b[65];
    assert_int_equal(hostile_decode(decode, a, view.data, view.size), EG_OK);
    assert_int_equal(hostile_decode(decode, b, longer, view.size + 1000), EG_OK);
    assert_string_equal(a, b);
    free(longer);
    eg_file_close(&view);
}

/* One scan for the DC and one for each of `n_ac` AC coefficients of each component. */
static unsigned char *encode_scans(unsigned long *size, int n_ac) {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr manager;
    c.err = jpeg_std_error(&manager);
    jpeg_create_compress(&c);
    unsigned char *data = NULL;
    jpeg_mem_dest(&c, &data, size);
    c.image_width = 16;
    c.image_height = 16;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    static jpeg_scan_info scans[200];
    int n = 0;
    scans[n++] = (jpeg_scan_info){.comps_in_scan = 3, .component_index = {0, 1, 2}};
    for (int i = 0; i < n_ac; i++) {
        int k = 1 + i / 3;
        scans[n++] =
            (jpeg_scan_info){.comps_in_scan = 1, .component_index = {i % 3}, .Ss = k, .Se = k};
    }
    c.scan_info = scans;
    c.num_scans = n;
    jpeg_start_compress(&c, TRUE);
    uint8_t row[48];
    for (int y = 0; y < 16; y++) {
        for (int x = 0; x < 48; x++) row[x] = (uint8_t)(x * y * 7);
        uint8_t *p = row;
        jpeg_write_scanlines(&c, &p, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return data;
}

static void scans_are_limited(void **state) {
    (void)state;
    const eg_image_limits limits = EG_IMAGE_LIMITS_DEFAULT;
    for (int n_ac = 90; n_ac <= 189; n_ac += 99) {
        unsigned long size = 0;
        unsigned char *data = encode_scans(&size, n_ac);
        eg_image image = {0};
        eg_error err = {0};
        eg_status status = eg_codec_jpeg_decode(&image, data, size, &limits, &err);
        free(data);
        eg_image_free(&image);
        assert_int_equal(status, n_ac > 99 ? EG_ERR_LIMIT : EG_OK);
        if (n_ac > 99) assert_non_null(strstr(err.text, "more than 100 scans"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_files_are_refused), cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(no_memory_is_reported), cmocka_unit_test(data_behind_the_end_is_ignored),
        cmocka_unit_test(scans_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
