/* Errors: texts, exit codes, and that hostile or overlong text does no harm. */
#include "base/base.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void exit_codes_are_the_contract(void **state) {
    (void)state;
    assert_int_equal(eg_status_exit_code(EG_OK), 0);
    assert_int_equal(eg_status_exit_code(EG_ERR_INTERNAL), 1);
    assert_int_equal(eg_status_exit_code(EG_ERR_USAGE), 2);
    assert_int_equal(eg_status_exit_code(EG_ERR_INPUT), 3);
    assert_int_equal(eg_status_exit_code(EG_ERR_NOT_FOUND), 3);
    assert_int_equal(eg_status_exit_code(EG_ERR_DIVERGED), 4);
    assert_int_equal(eg_status_exit_code(EG_ERR_IO), 5);
    assert_int_equal(eg_status_exit_code(EG_ERR_INTERRUPTED), 130);
    for (int s = 1; s < EG_STATUS_COUNT; s++) {
        assert_int_not_equal(eg_status_exit_code((eg_status)s), 0);
        assert_true(strlen(eg_status_text((eg_status)s)) > 0);
    }
    assert_int_equal(eg_status_exit_code((eg_status)999), 1);
    assert_string_equal(eg_status_text((eg_status)999), eg_status_text(EG_ERR_INTERNAL));
}

static void fail_fills_everything(void **state) {
    (void)state;
    eg_error err = {0};
    assert_int_equal(eg_fail(&err, EG_ERR_INPUT, "%s: %d", "a.png", 7), EG_ERR_INPUT);
    assert_string_equal(err.text, "a.png: 7");
    assert_int_equal(err.status, EG_ERR_INPUT);
    assert_int_equal(err.offset, -1);
    assert_int_equal(eg_fail_at(&err, EG_ERR_LIMIT, 1234, "x"), EG_ERR_LIMIT);
    assert_int_equal(err.offset, 1234);
    assert_int_equal(eg_fail(NULL, EG_ERR_IO, "nobody listens"), EG_ERR_IO);
}

static void own_text_may_be_quoted(void **state) {
    (void)state;
    eg_error err = {0};
    eg_fail_at(&err, EG_ERR_INPUT, 5, "bad header");
    eg_fail(&err, EG_ERR_MISMATCH, "file: %s - hint", err.text);
    assert_string_equal(err.text, "file: bad header - hint");
    eg_fail_at(&err, EG_ERR_INPUT, 5, "bad header");
    assert_int_equal(eg_error_in(&err, EG_ERR_INPUT, "a.npz"), EG_ERR_INPUT);
    assert_string_equal(err.text, "a.npz: bad header");
    assert_int_equal(err.offset, 5);
    assert_int_equal(eg_error_in(NULL, EG_ERR_INPUT, "a.npz"), EG_ERR_INPUT);
}

static void escape_sequences_are_defused(void **state) {
    (void)state;
    eg_error err = {0};
    eg_fail(&err, EG_ERR_INPUT, "\033[31mred\r\x7f, line\nline\n\n");
    assert_string_equal(err.text, "?[31mred??, line\nline");
}

static void long_text_is_cut_between_characters(void **state) {
    (void)state;
    char longer[1200];
    for (size_t i = 0; i + 1 < sizeof longer; i += 2) memcpy(longer + i, "\xC3\xA9", 2);
    longer[sizeof longer - 2] = 0;
    for (int shift = 0; shift < 2; shift++) {
        eg_error err = {0};
        eg_fail(&err, EG_ERR_INPUT, "%s%s", shift ? "x" : "", longer);
        size_t n = strlen(err.text);
        assert_in_range(n, sizeof err.text - 2, sizeof err.text - 1);
        assert_int_equal((unsigned char)err.text[n - 1], 0xA9); /* the last character is whole */
    }
    eg_error err = {0};
    eg_fail(&err, EG_ERR_INPUT, "the reason");
    eg_error_in(&err, EG_ERR_INPUT, longer);
    assert_true(strlen(err.text) < sizeof err.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_the_contract),
        cmocka_unit_test(fail_fills_everything),
        cmocka_unit_test(own_text_may_be_quoted),
        cmocka_unit_test(escape_sequences_are_defused),
        cmocka_unit_test(long_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
