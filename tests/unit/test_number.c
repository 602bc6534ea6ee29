/* Strict numbers: what is taken, what is refused, and independence of the locale. */
#include "base/base.h"
#include <locale.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void integers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-7", -7},
                {"+12", 12},
                {"2K", 2048},
                {"2k", 2048},
                {"-3M", -3145728},
                {"1G", 1 << 30},
                {"007", 7},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t v = 99;
        assert_true(eg_parse_int(&v, good[i].text));
        assert_int_equal(v, good[i].value);
    }
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "0x10",
                                      "1.0",
                                      "1KB",
                                      "K",
                                      "-",
                                      "--1",
                                      "+-1",
                                      "1e3",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "9007199254740992K",
                                      "99999999999999999999G"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t v = 99;
        assert_false(eg_parse_int(&v, bad[i]));
        assert_int_equal(v, 99);
    }
    int64_t v;
    assert_false(eg_parse_int(&v, NULL));
}

static void reals(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0.5", 0.5},  {"-.5", -0.5}, {"5.", 5},       {"1e-3", 1e-3},
                {"1E+2", 100}, {"+3", 3},     {"1e-400", 0.0}, {"5e-324", 5e-324}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double v = 99;
        assert_true(eg_parse_real(&v, good[i].text));
        assert_true(v == good[i].value);
    }
    static const char *const bad[] = {"",   ".",  "nan", "inf",  "-inf", "0x1p3", "1e",  "1e+",
                                      " 1", "1 ", "1,5", "1.5f", "e5",   "1e999", "1..2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v = 99;
        assert_false(eg_parse_real(&v, bad[i]));
        assert_true(v == 99);
    }
}

static void sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"1000", 1000},
                {"800M", 800 * (INT64_C(1) << 20)},
                {"2G", INT64_C(2) << 30},
                {"1.5g", 3 * (INT64_C(1) << 29)},
                {"1.5GiB", 3 * (INT64_C(1) << 29)},
                {"12kB", 12288},
                {"7B", 7},
                {"0.5K", 512},
                {"1T", INT64_C(1) << 40},
                {"1.", 1},
                {"1.9", 1}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t v = 99;
        if (!eg_parse_size(&v, good[i].text)) fail_msg("%s refused", good[i].text);
        assert_int_equal(v, good[i].value);
    }
    static const char *const bad[] = {"",
                                      "G",
                                      "-1",
                                      "+1G",
                                      ".5G",
                                      "1.2.3G",
                                      "1 G",
                                      "2GG",
                                      "2GiBs",
                                      "1e3",
                                      "2X",
                                      "nan",
                                      "0x10",
                                      "1iB",
                                      "2Gi",
                                      "2gb ",
                                      "99999999T",
                                      "9007199254740992",
                                      "1000000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t v = 99;
        if (eg_parse_size(&v, bad[i])) fail_msg("%s taken", bad[i]);
        assert_true(v == 99);
    }
    int64_t v = 99;
    assert_false(eg_parse_size(&v, NULL));
}

static void a_decimal_comma_changes_nothing(void **state) {
    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "fr_FR.UTF-8") == NULL) {
        skip(); /* no such locale installed */
    }
    double v = 0;
    assert_true(eg_parse_real(&v, "1.5"));
    assert_true(v == 1.5);
    setlocale(LC_ALL, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(reals),
        cmocka_unit_test(sizes),
        cmocka_unit_test(a_decimal_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
