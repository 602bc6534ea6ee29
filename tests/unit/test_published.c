/* The audit of printed figures on the table it was made for, and on tables with one thing wrong at a time. */
#include "study/compare.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const PATH = TEST_BINARY_DIR "/published.csv";

static eg_status run(json_t **out, const char *text, int64_t n, double majority, eg_error *err) {
    eg_part part = {text, strlen(text)};
    assert_int_equal(eg_file_write_atomic(PATH, &part, 1, NULL), EG_OK);
    return eg_study_audit_published(out, PATH, n, majority, err);
}

static json_t *audited(const char *text, int64_t n, double majority) {
    json_t *json = NULL;
    eg_error err = {0};
    if (run(&json, text, n, majority, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(json_array_size(json_object_get(json, "text")),
                     json_array_size(json_object_get(json, "text_zh_tw")));
    return json;
}

static bool says(const json_t *json, const char *words) {
    json_t *sentence;
    size_t i;
    json_array_foreach(json_object_get(json, "text"), i, sentence) {
        if (strstr(json_string_value(sentence), words)) return true;
    }
    return false;
}

static const json_t *row_of(const json_t *json, size_t i) {
    return json_array_get(json_object_get(json, "rows"), i);
}

static const char *const FOUR =
    "name,accuracy,loss\nResNet-50 fine-tuned,82.45,0.5599\n"
    "DenseNet fine-tuned,88.04,0.4422\nResNet-50 (frozen),85.05,0.3454\n"
    "DenseNet frozen,88.04,0.4422\n";

static void test_four_rows(void **state) {
    (void)state;
    json_t *json = audited(FOUR, 0, NAN);
    const json_t *repeats = json_object_get(json, "repeats");
    assert_int_equal(json_array_size(repeats), 1);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(repeats, 0), 0)), 1);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(repeats, 0), 1)), 3);
    assert_int_equal(json_integer_value(json_object_get(json, "smallest_n")), 1037);
    assert_true(json_is_null(json_object_get(json, "n")));
    assert_true(json_is_null(json_object_get(row_of(json, 0), "possible")));
    assert_true(says(json, "Rows 2 (DenseNet fine-tuned) and 4 (DenseNet frozen) repeat"));
    assert_true(says(json, "fewer than 1037 images"));
    assert_true(says(json, "means over batches"));
    assert_true(says(json, "frozen is ahead of fine-tuned by 2.60 points"));
    assert_true(says(json, "chance alone"));
    json_decref(json);
}

/* Beside a run of 624 images: the counts around each figure, and the batches that would explain all of them. */
static void test_known_n(void **state) {
    (void)state;
    json_t *json = audited(FOUR, 624, 0.625);
    assert_true(json_is_false(json_object_get(row_of(json, 0), "possible")));
    assert_true(json_is_false(json_object_get(row_of(json, 0), "below_majority")));
    assert_true(says(json, "514 would be 82.372 %, 515 would be 82.532 %"));
    const json_t *batches = json_object_get(json, "batch_sizes");
    assert_int_equal(json_array_size(batches), 2);
    assert_int_equal(json_integer_value(json_array_get(batches, 0)), 25);
    json_decref(json);
}

static void test_one_thing_wrong(void **state) {
    (void)state;
    json_t *json =
        audited("name,accuracy,loss,n,majority\na,60.9,0.70,624,62.5%\nb,80.0,0.05,10,\n", 0, NAN);
    assert_true(json_is_true(json_object_get(row_of(json, 0), "below_majority")));
    assert_true(json_is_true(json_object_get(row_of(json, 0), "above_coin")));
    assert_true(json_is_true(json_object_get(row_of(json, 0), "possible")));
    assert_true(json_is_false(json_object_get(row_of(json, 1), "loss_possible")));
    assert_int_equal(json_integer_value(json_object_get(row_of(json, 1), "k")), 8);
    assert_true(says(json, "below 62.5 %") && says(json, "above ln 2") &&
                says(json, "is below 0.13"));
    assert_true(json_is_null(json_object_get(json, "n"))); /* not the same in all rows */
    json_decref(json);
    json = audited("accuracy\n80.0\n85.0\n", 20, 0.5);
    assert_int_equal(json_array_size(json_object_get(json, "text")), 1);
    assert_true(says(json, "Nothing in these figures contradicts"));
    json_decref(json);
    json = audited("model;acc\nx;0.9\ny;90%\n", 0, NAN); /* the same accuracy, no loss */
    assert_int_equal(json_array_size(json_object_get(json, "repeats")), 1);
    assert_true(says(json, "may be chance"));
    json_decref(json);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {{"name,loss\na,1\n", "no column accuracy"},
               {"name,accuracy\n", "0 rows"},
               {"name,accuracy,loss\na,82.45,x\n", "row 1: loss is 'x'"},
               {"name,accuracy\na,50\nb,182\n", "row 2: accuracy is '182'"},
               {"name,accuracy,n\na,50,0\n", "row 1: n is '0'"},
               {"name,accuracy,majority\na,50,most\n", "row 1: majority is 'most'"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *json = NULL;
        eg_error err = {0};
        assert_int_equal(run(&json, bad[i].text, 0, NAN, &err), EG_ERR_INPUT);
        assert_null(json);
        if (!strstr(err.text, bad[i].words) || !strstr(err.text, "published.csv"))
            fail_msg("'%s' does not say '%s'", err.text, bad[i].words);
    }
    json_t *json = NULL;
    eg_error err = {0};
    assert_int_equal(eg_study_audit_published(&json, TEST_BINARY_DIR "/none.csv", 0, NAN, &err),
                     EG_ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_rows), cmocka_unit_test(test_known_n),
        cmocka_unit_test(test_one_thing_wrong), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
