/* Reading of documents with holes, and the precision of every kind of figure. */
#include "report/fields.h"
#include "unit/report_sample.h"
#include <locale.h>

static json_t *doc(const char *text) {
    json_t *root = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(root);
    return root;
}

static void test_paths(void **state) {
    (void)state;
    json_t *root = doc("{\"a\": {\"b\": {\"c\": 3}, \"n\": null}, \"t\": \"x\", \"l\": [1, 2]}");
    double v = -1;
    assert_true(eg_report_number(&v, root, "a.b.c"));
    assert_true(v == 3);
    assert_false(eg_report_number(&v, root, "t"));
    assert_null(eg_report_at(root, "a.n"));
    assert_null(eg_report_at(root, "a.n.deeper"));
    assert_null(eg_report_at(root, "t.b"));
    assert_null(eg_report_at(NULL, "a"));
    assert_null(eg_report_at(root,
                             "a."
                             "very_long_key_that_no_document_has_very_long_key_that_no_doc.b"));
    assert_ptr_equal(eg_report_at(root, ""), root);
    assert_string_equal(eg_report_string(root, "t"), "x");
    assert_null(eg_report_string(root, "a"));
    assert_int_equal(eg_report_count(root, "l"), 2);
    assert_int_equal(eg_report_count(root, "t"), 0);
    assert_true(eg_report_is(root, "t", "x"));
    assert_false(eg_report_is(root, "q", "x"));
    json_decref(root);
}

typedef eg_figure (*figure_of)(const json_t *node, const char *path);

static void check(figure_of f, const char *json, const char *expected) {
    json_t *node = doc(json);
    eg_figure figure = f(node, "");
    assert_string_equal(figure.text, expected);
    assert_int_equal(figure.known, strcmp(expected, "-") != 0);
    json_decref(node);
}

static void test_figures(void **state) {
    (void)state;
    check(eg_report_percent, "0.91346", "91.3%");
    check(eg_report_percent, "1", "100.0%");
    check(eg_report_percent, "null", "-");
    check(eg_report_percent, "\"0.5\"", "-");
    check(eg_report_published, "75.1", "75.1%"); /* percent in the file already */
    check(eg_report_published, "null", "-");
    check(eg_report_integer, "4652008", "4,652,008");
    check(eg_report_integer, "999", "999");
    check(eg_report_integer, "-1234", "-1,234");
    check(eg_report_large, "407000000", "407 M");
    check(eg_report_large, "4089284608", "4.09 G");
    check(eg_report_large, "999700", "1.00 M");
    check(eg_report_large, "12", "12");
    check(eg_report_seconds, "2.814", "2.81 s");
    check(eg_report_seconds, "12.34", "12.3 s");
    check(eg_report_seconds, "59.97", "1 min 00 s");
    check(eg_report_seconds, "578.4", "9 min 38 s");
    check(eg_report_seconds, "5161.2", "1 h 26 min");
    check(eg_report_bytes, "18800000", "18.8 MB");
    check(eg_report_bytes, "1412345856", "1.41 GB");
    check(eg_report_bytes, "800", "800 B");
    check(eg_report_p, "0.00004", "<0.001");
    check(eg_report_p, "0.0005", "0.001");
    check(eg_report_p, "0.4296", "0.430");
    check(eg_report_points, "0.0769", "+7.7");
    check(eg_report_points, "-0.0001", "+0.0");
    check(eg_report_short, "0.0005", "0.0005");
    check(eg_report_interval_percent, "[0.8834, 0.9293]", "[88.3, 92.9]");
    check(eg_report_interval_points, "[-0.029, 0.01]", "[-2.9, +1.0]");
    check(eg_report_interval_points, "[0.1]", "-");
    check(eg_report_interval_points, "[null, 0.1]", "-");
}

/* Whatever a damaged file says, the text stays short. */
static void test_extremes(void **state) {
    (void)state;
    static const figure_of all[] = {eg_report_percent, eg_report_integer, eg_report_large,
                                    eg_report_seconds, eg_report_bytes,   eg_report_p,
                                    eg_report_points,  eg_report_short};
    static const char *const values[] = {
        "1e308", "-1e308", "9223372036854775807", "-9223372036854775807", "1e-308", "0", "-0.0"};
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        json_t *node = doc(values[v]);
        for (size_t f = 0; f < sizeof all / sizeof *all; f++) {
            assert_in_range(strlen(all[f](node, "").text), 1, 40);
        }
        json_decref(node);
    }
    check(eg_report_interval_percent, "[-1e308, 1e308]", "-");
}

static void test_scalars(void **state) {
    (void)state;
    json_t *node = doc("[true, false, 123456, 0.00025, \"text\", null, {}]");
    static const char *const expected[] = {"yes", "no", "123456", "0.00025", "text", "-", "-"};
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(eg_report_scalar(json_array_get(node, i)).text, expected[i]);
    }
    json_decref(node);
    node = doc("{\"freeze\": {\"checked\": 350, \"identical\": 349}}");
    assert_string_equal(eg_report_ratio(node, "freeze.identical", "freeze.checked").text,
                        "349/350");
    assert_false(eg_report_ratio(node, "freeze.identical", "freeze.none").known);
    json_decref(node);
}

static void test_width(void **state) {
    (void)state;
    assert_int_equal(eg_report_width("abc"), 3);
    assert_int_equal(eg_report_width("胸部x"), 5);
    assert_int_equal(eg_report_width("e\u0301"), 1);
    assert_int_equal(eg_report_prefix("胸部x", 3), 3); /* never half a character */
    assert_int_equal(eg_report_prefix("胸部x", 4), 6);
    assert_int_equal(eg_report_prefix("abc", 9), 3);
    assert_int_equal(eg_report_width("\xE8\x83"), 1); /* cut short: counted, not overrun */
}

static void test_locale(void **state) {
    (void)state;
    static const char *const comma[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"};
    const char *set = NULL;
    for (size_t i = 0; i < 3 && set == NULL; i++) set = setlocale(LC_NUMERIC, comma[i]);
    if (set == NULL) skip();
    check(eg_report_percent, "0.91346", "91.3%");
    check(eg_report_short, "0.0005", "0.0005");
    setlocale(LC_NUMERIC, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),    cmocka_unit_test(test_figures),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_width),    cmocka_unit_test(test_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
