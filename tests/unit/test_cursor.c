/* Byte cursor: byte order, and that no read runs over the end or moves on failure. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void reads_little_endian(void **state) {
    (void)state;
    uint8_t bytes[15];
    for (int i = 0; i < 15; i++) bytes[i] = (uint8_t)(0x81 + i);
    eg_cursor c = {.data = bytes, .size = sizeof bytes};
    uint8_t a;
    uint16_t b;
    uint32_t d;
    uint64_t e;
    assert_true(eg_cursor_u8(&c, &a) && a == 0x81);
    assert_true(eg_cursor_u16le(&c, &b) && b == 0x8382);
    assert_true(eg_cursor_u32le(&c, &d) && d == 0x87868584u);
    assert_true(eg_cursor_u64le(&c, &e) && e == 0x8f8e8d8c8b8a8988ull);
    assert_int_equal(c.pos, 15);
    a = 77;
    assert_false(eg_cursor_u8(&c, &a));
    assert_int_equal(a, 77);
}

static void never_runs_over(void **state) {
    (void)state;
    const uint8_t bytes[7] = {0};
    for (size_t pos = 0; pos <= 7; pos++) {
        eg_cursor c = {.data = bytes, .size = 7, .pos = pos};
        uint64_t e;
        uint32_t d;
        assert_false(eg_cursor_u64le(&c, &e));
        assert_int_equal(c.pos, pos);
        assert_int_equal(eg_cursor_u32le(&c, &d), pos <= 3);
        c.pos = pos;
        assert_null(eg_cursor_take(&c, SIZE_MAX));
        assert_false(eg_cursor_skip(&c, 8 - pos));
        assert_int_equal(c.pos, pos);
        assert_ptr_equal(eg_cursor_take(&c, 7 - pos), bytes + pos);
        assert_true(eg_cursor_skip(&c, 0));
    }
    eg_cursor beyond = {.data = bytes, .size = 7, .pos = 9};
    uint8_t a;
    assert_false(eg_cursor_u8(&beyond, &a));
    assert_false(eg_cursor_skip(&beyond, 0));
    assert_null(eg_cursor_take(&beyond, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_little_endian),
        cmocka_unit_test(never_runs_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
