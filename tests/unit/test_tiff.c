/* TIFF: damage, what is refused and how, pages that lead in circles, orientation. The pixels are
 * tested in test_image and tests/ref/image_formats_parity.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hostile_image.h"

static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    return hostile_image(eg_codec_tiff_decode, eg_codec_tiff_probe, digest, data, size, err);
}

static void damage_is_survived(void **state) {
    (void)state;
    static const char *const files[] = {IMAGES "bilevel.tif", IMAGES "gray.tif", IMAGES "jpeg.tif",
                                        IMAGES "palette.tif", IMAGES "gray16.tif"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) hostile_file(decode, files[i], 4);
}

/* ---- small files made here ---- */

typedef struct {
    uint16_t tag, type;
    uint32_t count, value;
} tag;

/* Little-endian TIFF: one directory at byte 8, 16 bytes of pixel data behind it. Returns its size. */
static size_t make_tiff(uint8_t *out, const tag *tags, size_t n, uint32_t next) {
    size_t at = 8 + 2 + n * 12 + 4;
    memcpy(out, "II*\0\x08\0\0\0", 8);
    memcpy(out + 8, &(uint16_t){(uint16_t)n}, 2);
    for (size_t i = 0; i < n; i++) {
        tag t = tags[i];
        if (t.tag == 273) t.value = (uint32_t)at; /* StripOffsets */
        memcpy(out + 10 + i * 12, &t, sizeof t);
    }
    memcpy(out + at - 4, &next, 4);
    for (size_t i = 0; i < 16; i++) out[at + i] = (uint8_t)(16 * i);
    return at + 16;
}

/* 4 x 4 gray pixels of 8 bits; tests change one of them. */
enum { WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSET, ORIENTATION, SAMPLES, ROWS, BYTES };
enum { FORMAT = BYTES + 1, N_TAGS };
static const tag plain[N_TAGS] = {{256, 3, 1, 4}, {257, 3, 1, 4},  {258, 3, 1, 8}, {259, 3, 1, 1},
                                  {262, 3, 1, 1}, {273, 4, 1, 0},  {274, 3, 1, 1}, {277, 3, 1, 1},
                                  {278, 3, 1, 4}, {279, 4, 1, 16}, {339, 3, 1, 1}};

static eg_status decode_with(eg_image *image, int index, uint32_t value, eg_error *err) {
    tag tags[N_TAGS];
    memcpy(tags, plain, sizeof tags);
    tags[index].value = value;
    uint8_t file[512];
    size_t size = make_tiff(file, tags, N_TAGS, 0);
    return eg_image_decode(image, file, size, NULL, err);
}

static void what_is_not_read_is_said(void **state) {
    (void)state;
    static const struct {
        int index;
        uint32_t value;
        eg_status status;
        const char *text;
    } cases[] = {
        {FORMAT, 3, EG_ERR_UNSUPPORTED, "floating point samples of bits 8"},
        {FORMAT, 2, EG_ERR_UNSUPPORTED, "signed samples of bits 8"},
        {BITS, 32, EG_ERR_UNSUPPORTED, "bits a sample 32"},
        {BITS, 12, EG_ERR_UNSUPPORTED, "bits a sample 12"},
        {COMPRESSION, 6, EG_ERR_UNSUPPORTED, "compression 6"}, /* old JPEG */
        {COMPRESSION, 4, EG_ERR_UNSUPPORTED, "compression 4"}, /* fax */
        {PHOTOMETRIC, 5, EG_ERR_UNSUPPORTED, "photometric interpretation 5"},
        {PHOTOMETRIC, 3, EG_ERR_INPUT, "without a palette"},
        {SAMPLES, 7, EG_ERR_UNSUPPORTED, "samples a pixel 7"},
        {WIDTH, 0, EG_ERR_INPUT, ""},
        {WIDTH, 5, EG_ERR_INPUT, ""}, /* more than the strip holds */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_image image = {0};
        eg_error err = {0};
        eg_status status = decode_with(&image, cases[i].index, cases[i].value, &err);
        if (status != cases[i].status) fail_msg("case %zu: %d, %s", i, (int)status, err.text);
        if (strstr(err.text, cases[i].text) == NULL) fail_msg("'%s'", err.text);
        if (cases[i].status == EG_ERR_UNSUPPORTED) assert_non_null(strstr(err.text, "convert it"));
    }
}

static void orientation_turns_the_pixels(void **state) {
    (void)state;
    /* where the values 0 (first of the file), 48 (end of its first row) and 240 (last) end up */
    static const int corners[9][3] = {{0, 3, 15},  {0, 3, 15},  {3, 0, 12},
                                      {15, 12, 0}, {12, 15, 3}, {0, 12, 15},
                                      {3, 15, 12}, {15, 3, 0},  {12, 0, 3}};
    for (uint32_t o = 0; o <= 8; o++) {
        eg_image image = {0};
        eg_error err = {0};
        if (decode_with(&image, ORIENTATION, o, &err) != EG_OK) fail_msg("%s", err.text);
        assert_int_equal(image.pixels[corners[o][0]], 0);
        assert_int_equal(image.pixels[corners[o][1]], 48);
        assert_int_equal(image.pixels[corners[o][2]], 240);
        eg_image_free(&image);
    }
}

static void pages_are_counted_and_bounded(void **state) {
    (void)state;
    uint8_t file[512];
    eg_error err = {0};
    eg_image_info info;
    size_t size = make_tiff(file, plain, N_TAGS, 8); /* the next page is this page */
    assert_int_equal(eg_codec_tiff_probe(&info, file, size, &err), EG_ERR_LIMIT);
    assert_non_null(strstr(err.text, "lead in a circle"));
    size = make_tiff(file, plain, N_TAGS, 5000);
    assert_int_equal(eg_codec_tiff_probe(&info, file, size, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "page 2 lies behind the end"));
    size = make_tiff(file, plain, N_TAGS, 0);
    assert_int_equal(eg_codec_tiff_probe(&info, file, size, &err), EG_OK);
    assert_int_equal(info.n_frames, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(what_is_not_read_is_said),
        cmocka_unit_test(orientation_turns_the_pixels),
        cmocka_unit_test(pages_are_counted_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
