/* Gray values of DICOM by hand: the standard's example of a window, its two other functions, look-up
 * tables, the stretch without a window, padding, inversion, signed values. */
#include "codec/dicom.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint16_t table[65536];
static uint8_t present[65536];

static void window(const eg_codec_dicom *d, int top) {
    eg_error err = {0};
    if (eg_codec_dicom_window(table, present, d, top, &err) != EG_OK) fail_msg("%s", err.text);
}

static int all_present(void **state) {
    (void)state;
    memset(present, 1, sizeof present);
    return 0;
}

/* PS3.3 C.11.2.1.2: c 2048, w 4096 maps 0..4095 to the whole range; c 0, w 100 clips at -50 and 49;
 * c 0, w 1 is a step. */
static void linear(void **state) {
    (void)state;
    eg_codec_dicom d = {.bits_stored = 12,
                        .has_window = true,
                        .center = 2048,
                        .width = 4096,
                        .photometric = EG_DICOM_MONOCHROME2};
    window(&d, 4095);
    for (int i = 0; i < 4096; i++) assert_int_equal(table[i], i);
    d.is_signed = true;
    d.center = 0;
    d.width = 100;
    window(&d, 990); /* 99 steps of 10 */
    assert_int_equal(table[4096 - 51], 0);
    assert_int_equal(table[4096 - 50], 0);
    assert_int_equal(table[4096 - 49], 10);
    assert_int_equal(table[0], 500);
    assert_int_equal(table[49], 990);
    assert_int_equal(table[50], 990);
    d.width = 1;
    window(&d, 255);
    assert_int_equal(table[4096 - 1], 0);
    assert_int_equal(table[0], 255);
    d.photometric = EG_DICOM_MONOCHROME1;
    window(&d, 255);
    assert_int_equal(table[4096 - 1], 255);
    assert_int_equal(table[0], 0);
}

static void other_functions(void **state) {
    (void)state;
    eg_codec_dicom d = {.bits_stored = 8,
                        .has_window = true,
                        .center = 100,
                        .width = 50,
                        .function = EG_DICOM_LINEAR_EXACT,
                        .photometric = EG_DICOM_MONOCHROME2};
    window(&d, 100);
    assert_int_equal(table[75], 0);
    assert_int_equal(table[76], 2);
    assert_int_equal(table[100], 50);
    assert_int_equal(table[125], 100);
    d.function = EG_DICOM_SIGMOID;
    window(&d, 1000);
    for (int i = 0; i < 256; i++)
        assert_int_equal(table[i], (int)floor(1000 / (1 + exp(-4 * (i - 100) / 50.0)) + 0.5));
}

static void narrow_windows(void **state) {
    (void)state;
    eg_error err = {0};
    eg_codec_dicom d = {.bits_stored = 8,
                        .has_window = true,
                        .center = 100,
                        .width = 0.5,
                        .photometric = EG_DICOM_MONOCHROME2};
    assert_int_equal(eg_codec_dicom_window(table, present, &d, 255, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "width 0.5, expected 1 or more"));
    d.function = EG_DICOM_LINEAR_EXACT;
    assert_int_equal(eg_codec_dicom_window(table, present, &d, 255, &err), EG_OK);
    d.width = 0;
    assert_int_equal(eg_codec_dicom_window(table, present, &d, 255, &err), EG_ERR_INPUT);
    d.width = -3;
    d.function = EG_DICOM_SIGMOID;
    assert_int_equal(eg_codec_dicom_window(table, present, &d, 255, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "expected more than 0"));
}

/* 8 bits keep their range whatever is there; more are stretched over what is there, without padding. */
static void no_window(void **state) {
    (void)state;
    eg_codec_dicom d = {.bits_stored = 8, .photometric = EG_DICOM_MONOCHROME2};
    memset(present, 0, sizeof present);
    present[10] = present[20] = 1;
    window(&d, 255);
    assert_true(table[10] == 10 && table[20] == 20);
    d.is_signed = d.has_rescale = true; /* and a negative slope turns it round */
    d.slope = -2;
    present[0x80] = present[0x7F] = 1;
    window(&d, 255);
    assert_true(table[0x80] == 255 && table[0x7F] == 0);
    d = (eg_codec_dicom){.bits_stored = 12, .photometric = EG_DICOM_MONOCHROME2};
    memset(present, 0, sizeof present);
    present[100] = present[200] = present[150] = present[4000] = 1;
    d.has_padding = true;
    d.padding = 4000;
    d.padding_limit = 4095;
    window(&d, 65535);
    assert_true(table[100] == 0 && table[200] == 65535 && table[150] == 32768 &&
                table[4000] == 65535);
    memset(present, 0, sizeof present);
    present[7] = 1; /* an image of one value */
    window(&d, 65535);
    assert_int_equal(table[7], 0);
    d.has_rescale = true; /* numbers nobody writes must not be a fault */
    d.slope = 1e308;
    d.intercept = -1e308;
    memset(present, 1, sizeof present);
    window(&d, 65535);
}

static void tables(void **state) {
    (void)state;
    static const uint8_t words[] = {0, 0, 0, 1, 0, 2, 0xFF, 3}, bytes[] = {5, 9, 250};
    eg_dicom_lut lut = {.n = 4, .first = -2, .bits = 10, .data = words, .n_bytes = 8};
    assert_int_equal(eg_codec_dicom_look_up(&lut, -100), 0);
    assert_int_equal(eg_codec_dicom_look_up(&lut, -1), 256);
    assert_int_equal(eg_codec_dicom_look_up(&lut, 0.9), 512);
    assert_int_equal(eg_codec_dicom_look_up(&lut, 1e300), 1023);
    assert_int_equal(eg_codec_dicom_look_up(&lut, (double)NAN), 0);
    eg_dicom_lut small = {.n = 3, .first = 1, .bits = 8, .data = bytes, .n_bytes = 3};
    assert_int_equal(eg_codec_dicom_look_up(&small, 2), 9);
    assert_int_equal(eg_codec_dicom_look_up(&small, 3), 250);
    /* modality table, then VOI table before the window that is there too */
    eg_codec_dicom d = {.bits_stored = 8,
                        .modality = small,
                        .voi = lut,
                        .has_window = true,
                        .center = 1,
                        .width = 0,
                        .photometric = EG_DICOM_MONOCHROME2};
    window(&d, 1023);
    assert_int_equal(table[1], 1023); /* 5 lies behind the VOI table */
    d.voi.first = 8;
    window(&d, 1023);
    assert_int_equal(table[0], 0);
    assert_int_equal(table[2], 256); /* 9: its second entry */
    assert_int_equal(table[3], 1023);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(linear, all_present),
        cmocka_unit_test_setup(other_functions, all_present),
        cmocka_unit_test_setup(narrow_windows, all_present),
        cmocka_unit_test_setup(no_window, all_present),
        cmocka_unit_test_setup(tables, all_present),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
