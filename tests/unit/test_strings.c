/* The string table: both languages complete, with the same places for figures. */
#include "report/strings.h"
#include "unit/report_sample.h"

/* Bit i set for a place {i}; fails on a brace that is no place. */
static unsigned places(const char *text) {
    unsigned set = 0;
    for (const char *s = strchr(text, '{'); s != NULL; s = strchr(s + 1, '{')) {
        assert_in_range(s[1], '0', '4');
        assert_int_equal(s[2], '}');
        set |= 1u << (s[1] - '0');
    }
    return set;
}

static void test_complete(void **state) {
    (void)state;
    for (int id = 0; id < EG_TEXT_COUNT; id++) {
        const char *en = eg_report_say((eg_text)id, EG_LANG_EN);
        const char *zh = eg_report_say((eg_text)id, EG_LANG_ZH);
        assert_non_null(en);
        assert_non_null(zh);
        assert_true(en[0] != 0 && zh[0] != 0);
        assert_int_equal(places(en), places(zh));
        for (const char *s = en; *s != 0; s++) assert_true(*s != '<' && *s != '&');
        for (const char *s = zh; *s != 0; s++) assert_true(*s != '<' && *s != '&');
    }
}

static void test_words(void **state) {
    (void)state;
    assert_string_equal(eg_report_word("finetune", EG_LANG_ZH), "微調");
    assert_string_equal(eg_report_word("frozen", EG_LANG_ZH), "特徵擷取器");
    assert_string_equal(eg_report_word("overfitting", EG_LANG_ZH), "過度擬合");
    assert_string_equal(eg_report_word("underfitting", EG_LANG_ZH), "擬合不足");
    assert_string_equal(eg_report_word("frozen", EG_LANG_EN), "feature extractor");
    assert_string_equal(eg_report_word("a word of tomorrow", EG_LANG_ZH), "a word of tomorrow");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_complete),
                                       cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
