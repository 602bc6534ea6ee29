/* BMP: damage, each depth and header made here byte by byte, run lengths, top-down. Parity with
 * Pillow on many more: tests/ref/image_formats_parity.py. */
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
    return hostile_image(eg_codec_bmp_decode, eg_codec_bmp_probe, digest, data, size, err);
}

static void damage_is_survived(void **state) {
    (void)state;
    hostile_file(decode, IMAGES "gray.bmp", 1);
    hostile_file(decode, IMAGES "rgb.bmp", 1);
    /* run lengths may end with marks that nobody needs: prefixes up to the last pixel only */
    eg_file_view view = hostile_open(IMAGES "rle8.bmp");
    char digest[65];
    for (size_t n = 0; n + 5 < view.size; n++) {
        assert_int_equal(hostile_decode(decode, digest, view.data, n), EG_ERR_INPUT);
    }
    hostile_mutations(decode, view.data, view.size, false);
    eg_file_close(&view);
}

/* ---- small files made here ---- */

typedef struct {
    int width, height, bits, compression, n_colours;
} kind;

static void put32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> 8 * i);
}

/* File header, 40-byte header, `rest` (palette or masks, then pixels), which counts its own start. */
static size_t make_bmp(uint8_t *out, kind k, size_t n_before_pixels, const uint8_t *rest,
                       size_t n_rest) {
    memset(out, 0, 54);
    memcpy(out, "BM", 2);
    put32(out + 2, (uint32_t)(54 + n_rest));
    put32(out + 10, (uint32_t)(54 + n_before_pixels));
    put32(out + 14, 40);
    put32(out + 18, (uint32_t)k.width);
    put32(out + 22, (uint32_t)k.height);
    out[26] = 1;
    out[28] = (uint8_t)k.bits;
    put32(out + 30, (uint32_t)k.compression);
    put32(out + 46, (uint32_t)k.n_colours);
    memcpy(out + 54, rest, n_rest);
    return 54 + n_rest;
}

static void expect(kind k, size_t n_before, const void *rest, size_t n_rest, int channels,
                   const void *pixels) {
    uint8_t file[256];
    size_t size = make_bmp(file, k, n_before, rest, n_rest);
    eg_image image = {0};
    eg_error err = {0};
    if (eg_image_decode(&image, file, size, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(image.channels, channels);
    assert_memory_equal(image.pixels, pixels, eg_image_bytes(&image));
    eg_image_free(&image);
}

/* Blue first in the file; rows of four bytes; the bottom row first. */
static void depths_are_read(void **state) {
    (void)state;
    expect((kind){1, 2, 24, 0, 0}, 0, "\1\2\3\0\4\5\6\0", 8, 3, "\6\5\4\3\2\1");
    expect((kind){1, -2, 24, 0, 0}, 0, "\1\2\3\0\4\5\6\0", 8, 3, "\3\2\1\6\5\4"); /* top-down */
    expect((kind){1, 1, 32, 0, 0}, 0, "\1\2\3\xFF", 4, 3, "\3\2\1");
    /* 5-5-5: 31 is 255, 16 is 131; 5-6-5 with masks: 32 of 63 is 129 */
    expect((kind){2, 1, 16, 0, 0}, 0, "\x1F\x00\x00\x42", 4, 3, "\0\0\xFF\x83\x83\0");
    expect((kind){1, 1, 16, 3, 0}, 12, "\0\xF8\0\0\xE0\7\0\0\x1F\0\0\0\x00\x04\0\0", 16, 3,
           "\0\x81\0");
    /* bytes of 32 bits by masks: red lowest */
    expect((kind){1, 1, 32, 3, 0}, 12, "\xFF\0\0\0\0\xFF\0\0\0\0\xFF\0\1\2\3\4", 16, 3, "\1\2\3");
    /* palettes: 4 bits with colours, 1 bit black and white (gray), 8 bits */
    expect((kind){3, 1, 4, 0, 2}, 8, "\1\2\3\0\4\5\6\0\x01\x10\0\0", 12, 3, "\3\2\1\6\5\4\6\5\4");
    expect((kind){3, 1, 1, 0, 2}, 8, "\0\0\0\0\xFF\xFF\xFF\0\xA0\0\0\0", 12, 1, "\xFF\0\xFF");
    expect((kind){2, 1, 8, 0, 2}, 8, "\1\2\3\0\4\5\6\0\1\0\0\0", 12, 3, "\6\5\4\3\2\1");
}

static void run_lengths_are_read(void **state) {
    (void)state;
    /* gray ramp of 3: a run, end of row; literal of 3 with its fill byte, end of row, end */
    static const uint8_t rest[] = {0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 2, 0, /* palette */
                                   3, 1, 0, 0, 0, 3, 2, 1, 0, 0, 0, 0, 0, 1};
    expect((kind){3, 2, 8, 1, 3}, 12, rest, sizeof rest, 1, "\2\1\0\1\1\1");
    /* RLE4: a run of 3 from the nibbles 1 and 2; a step over 2 to the right, then a run of 1 */
    static const uint8_t four[] = {0, 0,    0, 0, 1, 1, 1, 0, 2, 2,    2, 0,
                                   3, 0x12, 0, 0, 0, 2, 2, 0, 1, 0x20, 0, 1};
    expect((kind){3, 2, 4, 2, 3}, 12, four, sizeof four, 1, "\0\0\2\1\2\1");
}

static void os2_headers_are_read(void **state) {
    (void)state;
    static const uint8_t file[] = {'B', 'M', 36, 0, 0, 0, 0,    0, 0, 0, 32, 0, 0, 0,
                                   12,  0,   0,  0, 2, 0, 1,    0, 1, 0, 1,  0, /* 2 x 1, 1 bit */
                                   3,   2,   1,  6, 5, 4, 0x40, 0, 0, 0};
    eg_image image = {0};
    eg_error err = {0};
    if (eg_image_decode(&image, file, sizeof file, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_memory_equal(image.pixels, "\1\2\3\4\5\6", 6);
    eg_image_free(&image);
}

static void bad_files_are_refused(void **state) {
    (void)state;
    static const struct {
        kind k;
        eg_status status;
        const char *text;
    } cases[] = {
        {{0, 1, 24, 0, 0}, EG_ERR_INPUT, "0 x 1 pixels"},
        {{1, 1, 2, 0, 0}, EG_ERR_UNSUPPORTED, "2 bits a pixel"},
        {{1, 1, 24, 4, 0}, EG_ERR_UNSUPPORTED, "compression 4"},
        {{1, 1, 24, 1, 0}, EG_ERR_UNSUPPORTED, "compression 1"},
        {{9, 9, 24, 0, 0}, EG_ERR_INPUT, "cut short"},
        {{1, 1, 8, 0, 0}, EG_ERR_INPUT, "cut short"}, /* 256 colours are not there */
        {{1, 1, 8, 0, 70000}, EG_ERR_INPUT, "palette of 70000"},
        {{1, 1, 8, 0, 1}, EG_ERR_INPUT, "palette index"},
        {{1, 1, 16, 3, 0}, EG_ERR_UNSUPPORTED, "colour masks"},
        {{100000, 100000, 24, 0, 0}, EG_ERR_LIMIT, "the limit is"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const uint8_t rest[] = {9, 9, 9, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
        uint8_t file[256];
        size_t before = cases[i].k.bits == 8 ? 4 : 12;
        size_t size = make_bmp(file, cases[i].k, before, rest, sizeof rest);
        eg_image image = {0};
        eg_error err = {0};
        eg_status status = eg_image_decode(&image, file, size, NULL, &err);
        if (status != cases[i].status) fail_msg("case %zu: %d %s", i, (int)status, err.text);
        if (strstr(err.text, cases[i].text) == NULL) fail_msg("'%s'", err.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_survived),    cmocka_unit_test(depths_are_read),
        cmocka_unit_test(run_lengths_are_read),  cmocka_unit_test(os2_headers_are_read),
        cmocka_unit_test(bad_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
