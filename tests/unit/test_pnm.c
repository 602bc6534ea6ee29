/* PBM, PGM, PPM: damage, scaling of odd maxval, white space and comments, bad numbers. */
#include <math.h>
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
    return hostile_image(eg_codec_pnm_decode, eg_codec_pnm_probe, digest, data, size, err);
}

static void damage_is_survived(void **state) {
    (void)state;
    static const char *const files[] = {IMAGES "gray.pgm", IMAGES "bits.pbm", IMAGES "deep.pgm"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) hostile_file(decode, files[i], 2);
    /* plain files: the last number may lose its last digit unnoticed, so no prefixes */
    eg_file_view view = hostile_open(IMAGES "odd.ppm");
    char digest[65];
    for (size_t n = 0; n + 2 < view.size; n++) {
        assert_int_equal(hostile_decode(decode, digest, view.data, n), EG_ERR_INPUT);
    }
    hostile_mutations(decode, view.data, view.size, false);
    eg_file_close(&view);
}

/* Pillow's: round(v / maxval * 255), halves to even (so 3 of 10, 76.5, is 76, and 1 of 10 is 26). */
static void samples_are_stretched(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool deep;
        unsigned values[3];
    } cases[] = {
        {"P2 3 1 10 1 3 10 ", false, {26, 76, 255}},
        {"P2 3 1 1 0 1 1 ", false, {0, 255, 255}},
        {"P2 3 1 255 0 77 255 ", false, {0, 77, 255}},
        {"P2 3 1 256 1 128 256 ", true, {256, 32768, 65535}},
        {"P2 3 1 65535 0 300 65535 ", true, {0, 300, 65535}},
        {"P5 3 1 10 \x01\x03\xFF", false, {26, 76, 255}}, /* above maxval: maxval */
        {"P1 3 1 101", false, {0, 255, 0}},
        {"P1\n#no\n3 1\n1 0#yes\n1", false, {0, 255, 0}},
        {"P3\t1 1\r255 # blue\n1 2 3", false, {1, 2, 3}},
        {"P6 1 1 255\n\x01\x02\x03", false, {1, 2, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_image image = {0};
        eg_error err = {0};
        size_t size = strlen(cases[i].text);
        if (eg_image_decode(&image, cases[i].text, size, NULL, &err) != EG_OK) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
        assert_int_equal(image.deep, cases[i].deep);
        for (int k = 0; k < 3; k++) {
            unsigned value = image.deep ? ((uint16_t *)(void *)image.pixels)[k] : image.pixels[k];
            assert_int_equal(value, cases[i].values[k]);
        }
        eg_image_free(&image);
    }
}

static void bad_files_are_refused(void **state) {
    (void)state;
    static const char *const cases[] = {
        "P2 0 1 255 ",       "P2 3 1 0 1 2 3 ",   "P2 3 1 65536 1 2 3 ", "P2 3 1 10 1 2 11 ",
        "P2 3 1 10 1 2 ",    "P2 3 1 10 1 -2 3 ", "P2 3 1 10 1 x 3 ",    "P1 3 1 102",
        "P2 99999999999 1",  "P5 3 1 255 ab",     "P6 1 1 300 abcde",    "P4 9 1 a",
        "P2 4294967297 1 1 "};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_image image = {0};
        eg_error err = {0};
        eg_status status = eg_image_decode(&image, cases[i], strlen(cases[i]), NULL, &err);
        if (status != EG_ERR_INPUT) fail_msg("%s: %d", cases[i], (int)status);
        assert_non_null(strstr(err.text, "at byte"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(samples_are_stretched),
        cmocka_unit_test(bad_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
