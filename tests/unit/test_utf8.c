/* UTF-8 check against the cases of the Unicode standard's table 3-7, and display of hostile
 * text. */
#include "codec/utf8.h"

#include "unit/weights_samples.h"

static void accepts_and_refuses(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82",
                                      "a\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(eg_codec_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(eg_codec_utf8_valid(bad[i], strlen(bad[i])));
}

static void shows_nothing_but_ascii(void **state) {
    (void)state;
    char out[8];
    assert_string_equal(eg_codec_printable(out, sizeof out, "a\x1b[2\xff", 5), "a?[2?");
    assert_string_equal(eg_codec_printable(out, sizeof out, "1234567", 7), "1234567");
    assert_string_equal(eg_codec_printable(out, sizeof out, "12345678", 8), "1234...");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(accepts_and_refuses),
                                       cmocka_unit_test(shows_nothing_but_ascii)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
