/* DICOM's RLE by hand: PackBits of both kinds, byte planes, padding, and headers that lie. */
#include "codec/dicom.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEADER = 64 };

/* A frame of up to two segments behind its header; heap of the exact size, so that a read behind it
 * shows. */
static uint8_t *make_frame(size_t *size, uint8_t n, const char *a, size_t n_a, const char *b,
                           size_t n_b) {
    *size = HEADER + n_a + n_b;
    uint8_t *data = calloc(1, *size);
    assert_non_null(data);
    data[0] = n;
    data[4] = HEADER;
    data[8] = n > 1 ? (uint8_t)(HEADER + n_a) : 0;
    memcpy(data + HEADER, a, n_a);
    if (n_b > 0) memcpy(data + HEADER + n_a, b, n_b);
    return data;
}

static void runs_and_literals(void **state) {
    (void)state;
    size_t size;
    /* 3 literals, nothing, 4 times 9, and a byte of padding */
    uint8_t *data = make_frame(&size, 1, "\2\1\2\3\200\375\11\0", 8, NULL, 0), out[7];
    eg_error err = {0};
    assert_int_equal(eg_codec_dicom_rle(out, 7, 1, 1, data, size, &err), EG_OK);
    assert_memory_equal(out, "\1\2\3\11\11\11\11", 7);
    /* one value more than there is: the padding is a literal without its byte */
    uint8_t more[8];
    assert_int_equal(eg_codec_dicom_rle(more, 8, 1, 1, data, size, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "segment 1 of the RLE frame ends before its 8 bytes"));
    /* fewer: a run is cut at the end of the plane */
    uint8_t fewer[5];
    assert_int_equal(eg_codec_dicom_rle(fewer, 5, 1, 1, data, size, &err), EG_OK);
    assert_memory_equal(fewer, "\1\2\3\11\11", 5);
    free(data);
}

/* Two bytes a sample: the first segment has the high ones. Two planes of one byte: in order. */
static void planes(void **state) {
    (void)state;
    size_t size;
    uint8_t *data = make_frame(&size, 2, "\1\20\21", 3, "\377\42", 2), out[4];
    eg_error err = {0};
    assert_int_equal(eg_codec_dicom_rle(out, 2, 1, 2, data, size, &err), EG_OK);
    assert_memory_equal(out, "\42\20\42\21", 4); /* little endian */
    assert_int_equal(eg_codec_dicom_rle(out, 2, 2, 1, data, size, &err), EG_OK);
    assert_memory_equal(out, "\20\21\42\42", 4);
    free(data);
}

static void lies(void **state) {
    (void)state;
    size_t size;
    uint8_t *data = make_frame(&size, 2, "\1\20\21", 3, "\377\42", 2), out[4];
    eg_error err = {0};
    static const struct {
        size_t at;
        uint8_t value;
        const char *text;
    } cases[] = {
        {0, 1, "1 segments, expected 2"},
        {0, 200, "200 segments"},
        {4, HEADER - 1, "segment 1 of the RLE frame begins at byte 63"},
        {4, HEADER + 4, "segment 1"},
        {8, HEADER + 6, "segment 2"},
        {11, 0xFF, "segment 2"},
        {8, HEADER, "segment 1 of the RLE frame ends before"},
        {HEADER, 128, "segment 1 of the RLE frame ends before"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t before = data[cases[i].at];
        data[cases[i].at] = cases[i].value;
        assert_int_equal(eg_codec_dicom_rle(out, 2, 1, 2, data, size, &err), EG_ERR_INPUT);
        if (strstr(err.text, cases[i].text) == NULL) fail_msg("case %zu: %s", i, err.text);
        data[cases[i].at] = before;
    }
    assert_int_equal(eg_codec_dicom_rle(out, 2, 1, 2, data, HEADER - 1, &err), EG_ERR_INPUT);
    assert_int_equal(eg_codec_dicom_rle(out, 2, 1, 2, data, size, &err), EG_OK);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_and_literals),
        cmocka_unit_test(planes),
        cmocka_unit_test(lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
