/* The .npy header: what NumPy writes, what is refused and why, and our own header. */
#include "codec/npy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hostile.h"

/* A version 1 file with `dict` as header and n_data zero bytes; returns its size. */
static size_t make_npy(uint8_t *out, size_t room, const char *dict, size_t n_data) {
    size_t n = strlen(dict);
    assert_true(10 + n + n_data <= room);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (uint8_t)n;
    out[9] = (uint8_t)(n >> 8);
    memcpy(out + 10, dict, n);
    memset(out + 10 + n, 0, n_data);
    return 10 + n + n_data;
}

static eg_status parse_dict(eg_codec_npy_header *h, const char *dict, size_t n_data,
                            eg_error *err) {
    uint8_t file[1024];
    size_t size = make_npy(file, sizeof file, dict, n_data);
    return eg_codec_npy_parse(h, file, size, err);
}

static void good_headers(void **state) {
    (void)state;
    static const struct {
        const char *dict;
        size_t n_data;
        int n_dims;
        const char *descr;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }    \n", 48, 2, "<f4"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n", 48, 2, "<f4"},
        {"{\"shape\":(2,),\"descr\":\"|u1\",\"fortran_order\":False}\n", 2, 1, "|u1"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", 8, 0, "<i8"},
        {"{'descr': '<U12', 'fortran_order': False, 'shape': (2,), }\n", 96, 1, "<U12"},
        {"{'descr': '|S3', 'fortran_order': False, 'shape': (2, 0, 9), }\n", 0, 3, "|S3"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 2), }\n", 16, 8,
         "<f8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_codec_npy_header h;
        eg_error err = {0};
        if (parse_dict(&h, cases[i].dict, cases[i].n_data, &err) != EG_OK) fail_msg("%s", err.text);
        assert_int_equal(h.n_dims, cases[i].n_dims);
        assert_string_equal(h.descr, cases[i].descr);
        assert_int_equal(h.n_bytes, cases[i].n_data);
        assert_int_equal(h.data_offset, 10 + strlen(cases[i].dict));
    }
}

static void bad_headers(void **state) {
    (void)state;
    static const struct {
        const char *dict;
        eg_status status;
        const char *text;
    } cases[] = {
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", EG_ERR_INPUT, "pickle"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", EG_ERR_UNSUPPORTED,
         "record"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }\n", EG_ERR_UNSUPPORTED,
         "'>f4'"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }\n", EG_ERR_UNSUPPORTED,
         "'<c8'"},
        {"{'descr': '<U0', 'fortran_order': False, 'shape': (1,), }\n", EG_ERR_UNSUPPORTED,
         "'<U0'"},
        {"{'descr': '<U1K', 'fortran_order': False, 'shape': (1,), }\n", EG_ERR_UNSUPPORTED, "U1K"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }\n", EG_ERR_UNSUPPORTED,
         "ascontiguousarray"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }\n", EG_ERR_INPUT, "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1), }\n", EG_ERR_INPUT, "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n", EG_ERR_INPUT, "size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }\n", EG_ERR_INPUT, "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1K,), }\n", EG_ERR_INPUT, "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 1, }\n", EG_ERR_INPUT, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }\n", EG_ERR_INPUT,
         "8 dimensions"},
        {"{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }\n", EG_ERR_INPUT, "once"},
        {"{'descr': '<f4', 'fortran_order': False, }\n", EG_ERR_INPUT, "key"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1, }\n", EG_ERR_INPUT,
         "'}'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", EG_ERR_INPUT, "end of"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n\n", EG_ERR_INPUT, "end of"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", EG_ERR_INPUT,
         "promises 8 bytes of data, the file has 4"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 8), }\n",
         EG_ERR_INPUT, "promises"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }\n",
         EG_ERR_INPUT, "size"},
        {"__import__('os').system('true')\n", EG_ERR_INPUT, "'{'"},
        {"", EG_ERR_INPUT, "'{'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_codec_npy_header h = {.n_dims = -3};
        eg_error err = {0};
        assert_int_equal(parse_dict(&h, cases[i].dict, 4, &err), cases[i].status);
        if (strstr(err.text, cases[i].text) == NULL) {
            fail_msg("'%s' has no '%s'", err.text, cases[i].text);
        }
        assert_true(err.offset >= 0);
        assert_int_equal(h.n_dims, -3); /* untouched */
    }
}

static void versions_and_lengths(void **state) {
    (void)state;
    const char *dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n";
    size_t n = strlen(dict);
    uint8_t file[256] = "\x93NUMPY\3\0";
    file[8] = (uint8_t)n;
    memcpy(file + 12, dict, n);
    eg_codec_npy_header h;
    eg_error err = {0};
    assert_int_equal(eg_codec_npy_parse(&h, file, 12 + n + 4, &err), EG_OK);
    assert_int_equal(h.data_offset, 12 + n);
    file[6] = 4;
    assert_int_equal(eg_codec_npy_parse(&h, file, 12 + n + 4, &err), EG_ERR_UNSUPPORTED);
    file[6] = 2;
    file[10] = 1; /* 65,594 bytes of header: refused before it is read */
    assert_int_equal(eg_codec_npy_parse(&h, file, 12 + n + 4, &err), EG_ERR_LIMIT);
}

static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    eg_codec_npy_header h;
    EG_TRY(eg_codec_npy_parse(&h, data, size, err));
    eg_sha256_hex(digest, (const uint8_t *)data + h.data_offset, h.n_bytes);
    return EG_OK;
}

static void our_header_is_numpys(void **state) {
    (void)state;
    float values[6] = {1, 2, 3, 4, 5, 6};
    eg_npy_array array = {.name = "a",
                          .descr = "<f4",
                          .n_dims = 2,
                          .dims = {2, 3},
                          .data = values,
                          .n_bytes = sizeof values};
    eg_buffer b = {0};
    eg_error err = {0};
    assert_int_equal(eg_codec_npy_header_write(&b, &array, &err), EG_OK);
    assert_int_equal(b.size, 128); /* as NumPy 1.x and 2.x pad it */
    const char *start =
        "\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    assert_memory_equal(b.data, start, 10 + 59);
    assert_int_equal(b.data[127], '\n');
    eg_buffer_add(&b, values, sizeof values);
    hostile_prefixes(decode, b.data, b.size);
    hostile_mutations(decode, b.data, b.size, false);
    eg_buffer_free(&b);
    array.n_bytes--;
    assert_int_equal(eg_codec_npy_header_write(&b, &array, &err), EG_ERR_INTERNAL);
    array.descr = "|O";
    assert_int_equal(eg_codec_npy_header_write(&b, &array, &err), EG_ERR_INTERNAL);
    eg_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(versions_and_lengths),
        cmocka_unit_test(our_header_is_numpys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
