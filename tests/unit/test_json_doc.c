/* JSON: reproducible text, strict reading, paths into documents, damage. */
#include "codec/codec.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/hostile.h"

static void expect_real(double value, const char *text) {
    json_t *list = json_array();
    json_array_append_new(list, eg_json_real(value));
    char *got = eg_json_text(list, true);
    char expected[64];
    snprintf(expected, sizeof expected, "[%s]", text);
    assert_string_equal(got, expected);
    eg_free(got);
    json_decref(list);
}

static void reals_are_short_and_exact(void **state) {
    (void)state;
    expect_real(0.5, "0.5");
    expect_real(0.1, "0.1");
    expect_real(0.9375, "0.9375");
    expect_real(1.0 / 3, "0.3333333333");
    expect_real(1, "1.0");
    expect_real(-0.0, "-0.0");
    expect_real(1e-5, "1e-5");
    expect_real(123456789.25, "123456789.2");
    expect_real(NAN, "null");
    expect_real(-INFINITY, "null");
}

static void text_keeps_the_order(void **state) {
    (void)state;
    json_t *root = json_pack("{s:i, s:[f, n], s:{}, s:s}", "z", 1, "a", 0.5, "m", "b", "肺 \"x\"");
    char *text = eg_json_text(root, true);
    assert_string_equal(text, "{\"z\":1,\"a\":[0.5,null],\"m\":{},\"b\":\"肺 \\\"x\\\"\"}");
    eg_free(text);
    eg_doc *doc = eg_doc_new(root, "test");
    assert_string_equal(eg_doc_kind(doc), "test");
    text = eg_doc_json(doc);
    assert_string_equal(text, "{\n \"z\": 1,\n \"a\": [\n  0.5,\n  null\n ],\n \"m\": {},\n"
                              " \"b\": \"肺 \\\"x\\\"\"\n}\n");
    eg_text_free(text);
    for (uint64_t k = 1; k <= 1; k++) {
        eg_memory_fail_at(k);
        assert_null(eg_doc_json(doc));
        eg_memory_fail_at(0);
    }
    eg_doc_free(doc);
    eg_doc_free(NULL);
    assert_null(eg_doc_new(NULL, "test"));
    eg_memory_fail_at(1);
    assert_null(eg_doc_new(json_object(), "test")); /* and the root is released: LeakSanitizer */
    eg_memory_fail_at(0);
}

static void numbers_by_path(void **state) {
    (void)state;
    const char *text = "{\"runs\": [{\"a\": 1}, {\"test\": {\"accuracy\": 0.75, \"auc\": null}}],"
                       " \"name\": \"x\", \"n\": 3}";
    json_t *root;
    eg_error err = {0};
    assert_int_equal(eg_json_parse(&root, text, strlen(text), &err), EG_OK);
    eg_doc *doc = eg_doc_new(root, "study");
    double v = 0;
    assert_int_equal(eg_doc_number(&v, doc, "runs.1.test.accuracy", &err), EG_OK);
    assert_true(v == 0.75);
    assert_int_equal(eg_doc_number(&v, doc, "n", &err), EG_OK);
    assert_true(v == 3);
    static const char *const absent[] = {
        "runs.1.test.auc",    "runs.2.test", "runs.x", "runs.-1", "", "n.0", "runs..a", "run", "nn",
        "runs.99999999999.a", "n."};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        v = 42;
        assert_int_equal(eg_doc_number(&v, doc, absent[i], &err), EG_ERR_NOT_FOUND);
        assert_true(v == 42);
    }
    assert_int_equal(eg_doc_number(&v, doc, "name", &err), EG_ERR_INPUT);
    assert_int_equal(eg_doc_number(&v, doc, "runs", &err), EG_ERR_INPUT);
    eg_doc_free(doc);
}

static void bad_texts(void **state) {
    (void)state;
    static const char *const texts[] = {"",      "{",          "[1,]", "{\"a\":1,\"a\":2}",
                                        "[NaN]", "[1] x",      "[01]", "[1e999]",
                                        "['a']", "[\"\xFF\"]", "3",    "[99999999999999999999]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *root = NULL;
        eg_error err = {0};
        assert_int_equal(eg_json_parse(&root, texts[i], strlen(texts[i]), &err), EG_ERR_INPUT);
        assert_non_null(strstr(err.text, "bad JSON in line 1"));
        assert_null(root);
    }
    char deep[8000];
    memset(deep, '[', sizeof deep);
    json_t *root = NULL;
    assert_int_equal(eg_json_parse(&root, deep, sizeof deep, NULL), EG_ERR_INPUT);
}

static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    json_t *root;
    EG_TRY(eg_json_parse(&root, data, size, err));
    char *text = eg_json_text(root, true);
    json_decref(root);
    if (text == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "test");
    eg_sha256_hex(digest, text, strlen(text));
    eg_free(text);
    return EG_OK;
}

static void files(void **state) {
    (void)state;
    const char *path = "test_json_doc.json";
    json_t *root = json_pack("{s:[f,i], s:s}", "a", 0.25, 7, "b", "text"), *back;
    eg_error err = {0};
    assert_int_equal(eg_json_write(path, root, &err), EG_OK);
    assert_int_equal(eg_json_read(&back, path, &err), EG_OK);
    assert_true(json_equal(root, back));
    json_decref(back);
    json_decref(root);
    eg_file_view view = hostile_open(path);
    hostile_prefixes(decode, view.data, view.size - 1); /* without the newline it is still whole */
    hostile_mutations(decode, view.data, view.size, false);
    assert_int_equal(hostile_allocations(decode, view.data, view.size), 1);
    eg_file_close(&view);
    eg_part part = {.data = "[1,\n}", .size = 5};
    assert_int_equal(eg_file_write_atomic(path, &part, 1, &err), EG_OK);
    assert_int_equal(eg_json_read(&back, path, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "test_json_doc.json: bad JSON in line 2"));
    unlink(path);
    assert_int_equal(eg_json_read(&back, path, &err), EG_ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reals_are_short_and_exact),
        cmocka_unit_test(text_keeps_the_order),
        cmocka_unit_test(numbers_by_path),
        cmocka_unit_test(bad_texts),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
