/* JPEG against damage: cut files, flipped bits, failing memory, too many scans. The pixels are
 * tested in test_image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>

#include "unit/hostile_image.h"

static const char *const files[] = {IMAGES "gray.jpg", IMAGES "colour420.jpg",
                                    IMAGES "progressive.jpg", IMAGES "cmyk.jpg",
                                    IMAGES "orientation6.jpg"};
enum { N_FILES = 5 };

static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    return hostile_image(eg_codec_jpeg_decode, eg_codec_jpeg_probe, digest, data, size, err);
}

static void cut_files_are_refused(void **state) {
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        eg_file_view view = hostile_open(files[i]);
        hostile_prefixes(decode, view.data, view.size);
        eg_image image;
        eg_error err = {0};
        eg_image_options limits = EG_IMAGE_OPTIONS_DEFAULT;
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
        if (!HOSTILE_SLOW) assert_true(eg_process_peak_bytes() < (size_t)512 << 20);
        eg_file_close(&view);
    }
}

static void no_memory_is_reported(void **state) {
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        eg_file_view view = hostile_open(files[i]);
        /* decoder, pixels, and the row of a CMYK file or the pixels upright */
        assert_int_equal(hostile_allocations(decode, view.data, view.size), i >= 3 ? 3 : 2);
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
    const eg_image_options limits = EG_IMAGE_OPTIONS_DEFAULT;
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

/* ---- smaller by DCT scaling ---- */

static void min_side_chooses_the_reduction(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int min_side, width, height; /* 37 x 23, turned: 23 x 37 */
    } cases[] = {
        {IMAGES "gray.jpg", 0, 37, 23},       {IMAGES "gray.jpg", 13, 37, 23},
        {IMAGES "gray.jpg", 12, 19, 12},      {IMAGES "colour420.jpg", 7, 19, 12},
        {IMAGES "colour420.jpg", 6, 10, 6},   {IMAGES "progressive.jpg", 3, 5, 3},
        {IMAGES "cmyk.jpg", 1, 5, 3},         {IMAGES "orientation6.jpg", 12, 12, 19},
        {IMAGES "gray.jpg", 2000000, 37, 23},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_image_options options = EG_IMAGE_OPTIONS_DEFAULT;
        options.min_side = cases[i].min_side;
        eg_image image = {0};
        eg_error err = {0};
        if (eg_image_read(&image, cases[i].path, &options, &err) != EG_OK) fail_msg("%s", err.text);
        assert_int_equal(image.width, cases[i].width);
        assert_int_equal(image.height, cases[i].height);
        eg_image_free(&image);
        /* a file passes the limit or not, however much of it is decoded */
        options.max_pixels = 37 * 23 - 1;
        assert_int_equal(eg_image_read(&image, cases[i].path, &options, &err), EG_ERR_LIMIT);
    }
}

/* ---- EXIF ---- */

/* SOI, APP1 with the orientation as a SHORT, in either byte order, then a scan. */
static size_t make_exif(uint8_t *out, bool big, unsigned value) {
    static const uint8_t little[] = "\xFF\xD8\xFF\xE0\0\4ab\xFF\xE1\0\x22"
                                    "Exif\0\0II*\0\x08\0\0\0"
                                    "\1\0\x12\1\3\0\1\0\0\0\0\0\0\0\0\0\0\0\xFF\xDA";
    static const uint8_t other[] = "\xFF\xD8\xFF\xE0\0\4ab\xFF\xE1\0\x22"
                                   "Exif\0\0MM\0*\0\0\0\x08"
                                   "\0\1\1\x12\0\3\0\0\0\1\0\0\0\0\0\0\0\0\xFF\xDA";
    memcpy(out, big ? other : little, sizeof little - 1);
    out[big ? 37 : 36] = (uint8_t)value;
    return sizeof little - 1;
}

static void orientation_is_found(void **state) {
    (void)state;
    uint8_t file[128];
    for (int big = 0; big < 2; big++) {
        for (unsigned value = 0; value < 12; value++) {
            size_t size = make_exif(file, big, value);
            int expected = value >= 1 && value <= 8 ? (int)value : 1;
            assert_int_equal(eg_codec_jpeg_orientation(file, size), expected);
        }
    }
    /* damage counts as upright, and nothing is read behind the end */
    size_t size = make_exif(file, false, 6);
    for (size_t n = 0; n < size - 6; n++) {
        uint8_t *cut = malloc(n + 1);
        memcpy(cut + 1, file, n);
        assert_int_equal(eg_codec_jpeg_orientation(cut + 1, n), 1);
        free(cut);
    }
    file[13] = 'e'; /* not "Exif" */
    assert_int_equal(eg_codec_jpeg_orientation(file, size), 1);
}

/* ---- encoding ---- */

static void encoded_images_are_close(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        uint8_t pixels[40 * 30 * 3];
        eg_image image = {40, 30, channels, pixels, false}, back = {0};
        size_t n = eg_image_bytes(&image);
        for (size_t i = 0; i < n; i++) {
            pixels[i] = (uint8_t)(i / (size_t)channels % 40 * 3 + i / (size_t)channels / 40 * 2);
        }
        eg_buffer a = {0}, b = {0}, small = {0};
        eg_error err = {0};
        assert_int_equal(eg_jpeg_encode(&a, &image, 95, &err), EG_OK);
        assert_int_equal(eg_jpeg_encode(&b, &image, 95, &err), EG_OK);
        assert_int_equal(eg_jpeg_encode(&small, &image, 10, &err), EG_OK);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        assert_true(small.size < a.size);
        assert_int_equal(eg_image_decode(&back, a.data, a.size, NULL, &err), EG_OK);
        assert_int_equal(back.channels, channels);
        for (size_t i = 0; i < n; i++) {
            assert_in_range(back.pixels[i] - pixels[i] + 6, 0, 12);
        }
        eg_image_free(&back);
        eg_buffer_free(&a);
        eg_buffer_free(&b);
        eg_buffer_free(&small);
    }
}

static void encoding_fails_cleanly(void **state) {
    (void)state;
    uint8_t pixels[12] = {0};
    eg_image image = {2, 2, 3, pixels, false};
    eg_error err = {0};
    size_t before = eg_memory_stats_get().bytes_now;
    eg_status status = EG_ERR_NO_MEMORY;
    for (uint64_t k = 1; status != EG_OK; k++) {
        eg_buffer out = {0};
        eg_memory_fail_at(k);
        status = eg_jpeg_encode(&out, &image, 90, &err);
        eg_memory_fail_at(0);
        if (status != EG_OK) assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_true(k > 1 || status != EG_OK);
        assert_int_equal(out.size > 0, status == EG_OK);
        eg_buffer_free(&out);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    eg_buffer out = {0};
    assert_int_equal(eg_jpeg_encode(&out, &image, 0, &err), EG_ERR_INTERNAL);
    assert_int_equal(eg_jpeg_encode(&out, &image, 101, &err), EG_ERR_INTERNAL);
    image.deep = true;
    assert_int_equal(eg_jpeg_encode(&out, &image, 90, &err), EG_ERR_INTERNAL);
    image = (eg_image){2, 2, 2, pixels, false};
    assert_int_equal(eg_jpeg_encode(&out, &image, 90, &err), EG_ERR_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_files_are_refused),  cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(no_memory_is_reported),  cmocka_unit_test(data_behind_the_end_is_ignored),
        cmocka_unit_test(scans_are_limited),      cmocka_unit_test(min_side_chooses_the_reduction),
        cmocka_unit_test(orientation_is_found),   cmocka_unit_test(encoded_images_are_close),
        cmocka_unit_test(encoding_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
