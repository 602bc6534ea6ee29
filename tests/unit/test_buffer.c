/* Growing buffer: content, the NUL behind it, and failing for good. */
#include "base/base.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void content_grows(void **state) {
    (void)state;
    eg_buffer b = {0};
    char expected[20001];
    size_t n = 0;
    for (int i = 0; n < 20000; i = (i + 1) % 10) {
        eg_buffer_printf(&b, "%d", i);
        expected[n++] = (char)('0' + i);
    }
    eg_buffer_add(&b, "", 0);
    eg_buffer_add(&b, "a\0b", 3);
    assert_false(b.failed);
    assert_int_equal(b.size, 20003);
    assert_memory_equal(b.data, expected, 20000);
    assert_memory_equal(b.data + 20000, "a\0b", 4); /* with the NUL behind */
    eg_buffer_free(&b);
    assert_null(b.data);
    eg_buffer_free(NULL);
}

static void a_failure_stays(void **state) {
    (void)state;
    eg_buffer b = {0};
    eg_buffer_add(&b, "kept", 4);
    eg_memory_fail_at(1);
    char block[1000] = {0};
    eg_buffer_add(&b, block, sizeof block);
    assert_true(b.failed);
    eg_buffer_add(&b, "x", 1);
    eg_buffer_printf(&b, "y");
    assert_int_equal(b.size, 4);
    assert_string_equal(b.data, "kept");
    eg_buffer_free(&b);
    assert_false(b.failed);
    eg_buffer_add(&b, "x", SIZE_MAX);
    assert_true(b.failed);
    eg_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_grows),
        cmocka_unit_test(a_failure_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
