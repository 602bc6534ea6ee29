/* Comparison from run folders written here: counts known beforehand, patients drawn whole, a study folder, two runs of
 * one name, and what is refused. */
#include "study/compare.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOT TEST_BINARY_DIR "/compare_runs"
enum { N = 60 };

static void write_text(const char *dir, const char *name, const char *text) {
    char path[600];
    eg_part part = {text, strlen(text)};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(eg_file_write_atomic(path, &part, 1, NULL), EG_OK);
}

/* A run that errs on the first `wrong` of N test images, three images a patient; accuracy in validation 0.9 of 100. */
static void write_run(const char *dir, const char *name, int wrong, double seconds) {
    assert_int_equal(eg_dir_make(dir, NULL), EG_OK);
    eg_buffer csv = {0}, split = {0}, json = {0};
    eg_buffer_printf(&csv, "file,label,p_cat,p_dog\n");
    eg_buffer_printf(&split, "file,label,split,patient\n");
    for (int i = 0; i < N; i++) {
        int label = i / 3 % 2, guess = i < wrong ? 1 - label : label;
        double p = (guess ? 0.8 : 0.2) + 0.001 * (i % 7);
        eg_buffer_printf(&csv, "t%d.png,%s,%.4f,%.4f\n", i, label ? "dog" : "cat", 1 - p, p);
        eg_buffer_printf(&split, "t%d.png,%s,test,p%d\n", i, label ? "dog" : "cat", i / 3);
    }
    eg_buffer_printf(
        &json,
        "{\"name\": \"%s\", \"model\": \"m\", \"mode\": \"frozen\", \"trainable_parameters\": 10, "
        "\"train_seconds\": %g, \"feature_seconds\": 1.5, \"history\": ["
        "{\"epoch\": 1, \"val_accuracy\": 0.5, \"seconds\": %g}, "
        "{\"epoch\": 2, \"val_accuracy\": 0.9, \"seconds\": %g}], "
        "\"train\": null, \"val\": {\"n\": 100, \"accuracy\": 0.9, \"classes\": [\"cat\", "
        "\"dog\"]}, "
        "\"test\": {\"n\": %d, \"accuracy\": %.10f, \"accuracy_ci\": [0, 1], \"classes\": "
        "[\"cat\", \"dog\"]}}",
        name, seconds, seconds / 2, seconds / 2, N, 1 - (double)wrong / N);
    write_text(dir, "predictions-test.csv", csv.data);
    write_text(dir, "predictions-val.csv",
               csv.data); /* the same images: fits are those of the test */
    write_text(dir, "split.csv", split.data);
    write_text(dir, "summary.json", json.data);
    write_text(dir, "config.json", "{\"settings\": {\"seed\": 4}}");
    eg_buffer_free(&csv);
    eg_buffer_free(&split);
    eg_buffer_free(&json);
}

static int setup(void **state) {
    (void)state;
    assert_int_equal(system("rm -rf '" ROOT "'"), 0);
    write_run(ROOT "/runs/good", "good", 3, 2);
    write_run(ROOT "/runs/bad", "bad", 18, 8);
    write_run(ROOT "/again/good", "good", 3, 2);
    write_text(ROOT, "study.json", "{\"runs\": [{\"name\": \"good\"}, {\"name\": \"bad\"}]}");
    return 0;
}

static json_t *compared(const char *const *runs, size_t n) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o;
    eg_options_init(&o);
    if (eg_compare(&doc, runs, n, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(eg_doc_kind(doc), "compare");
    json_t *json = json_incref(doc->root);
    eg_doc_free(doc);
    return json;
}

static const json_t *at(const json_t *json, const char *list, size_t i) {
    return json_array_get(json_object_get(json, list), i);
}

static void test_two_runs(void **state) {
    (void)state;
    const char *const runs[] = {ROOT "/runs/good/", ROOT "/runs/bad"};
    json_t *json = compared(runs, 2);
    const json_t *pair = at(json, "pairs", 0), *good = at(json, "runs", 0);
    assert_string_equal(json_string_value(json_object_get(json, "split")), "test");
    assert_int_equal(json_integer_value(json_object_get(pair, "only_a")), 15);
    assert_int_equal(json_integer_value(json_object_get(pair, "only_b")), 0);
    assert_float_equal(eg_study_number(pair, "difference"), 0.25, 1e-12);
    assert_true(eg_study_number(pair, "n_needed") < N);
    const json_t *boot = json_object_get(json_object_get(pair, "bootstrap"), "accuracy");
    assert_float_equal(eg_study_number(boot, "estimate"), 0.25, 1e-12);
    double low = json_number_value(json_array_get(json_object_get(boot, "ci"), 0));
    double high = json_number_value(json_array_get(json_object_get(boot, "ci"), 1));
    assert_true(low > 0 && low < 0.25 && high > 0.25);
    /* errors come by patients: drawn by patients the interval is wider than McNemar's of single images */
    double width = json_number_value(json_array_get(json_object_get(pair, "ci"), 1)) -
                   json_number_value(json_array_get(json_object_get(pair, "ci"), 0));
    assert_true(high - low > 1.2 * width);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json, "resampling"), "unit")), "patient");
    assert_float_equal(eg_study_number(json, "common_val_accuracy"), 0.9, 1e-12);
    assert_float_equal(eg_study_number(good, "seconds_to_accuracy"), 3.5, 1e-12);
    assert_float_equal(eg_study_number(good, "seconds"), 3.5, 1e-12);
    assert_float_equal(eg_study_number(good, "seed"), 4, 0);
    /* fitted on the very images that are scored: no calibration can make the loss worse */
    const json_t *calibration = json_object_get(good, "calibration");
    double none = eg_study_number(json_object_get(calibration, "none"), "loss");
    double scaled = eg_study_number(json_object_get(calibration, "temperature"), "loss");
    assert_true(scaled < none); /* 95 % right at a confidence of 80 %: too timid */
    assert_true(eg_study_number(json_object_get(calibration, "temperature"), "temperature") < 1);
    assert_true(eg_study_number(json_object_get(calibration, "isotonic"), "loss") < scaled + 1e-9);
    const json_t *points = json_object_get(good, "operating_points");
    assert_true(eg_study_number(json_object_get(points, "sensitivity_95"), "sensitivity") >= 0.95);
    assert_true(eg_study_number(json_object_get(points, "accuracy"), "accuracy") >= 0.95);
    const json_t *gap = at(at(json, "runs", 1), "gaps", 0);
    assert_float_equal(eg_study_number(gap, "difference"), 0.2, 1e-9);
    assert_true(json_array_size(json_object_get(json, "text")) >= 5);
    json_decref(json);
}

/* A study stands for its runs; a third run of a name that is there already goes by its folder, and is as good as the first. */
static void test_study_and_names(void **state) {
    (void)state;
    const char *const runs[] = {ROOT, ROOT "/again/good"};
    json_t *json = compared(runs, 2);
    assert_int_equal(json_array_size(json_object_get(json, "runs")), 3);
    assert_string_equal(json_string_value(json_object_get(at(json, "runs", 2), "name")),
                        ROOT "/again/good");
    const json_t *same = at(json, "pairs", 1);
    assert_float_equal(eg_study_number(same, "p"), 1, 0);
    assert_true(json_is_null(json_object_get(same, "n_needed")));
    assert_true(eg_study_number(json_object_get(json, "all_equal"), "df") == 1);
    json_decref(json);
}

static void refused(const char *const *runs, size_t n, eg_status status, const char *words) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o;
    eg_options_init(&o);
    assert_int_equal(eg_compare(&doc, runs, n, &o, NULL, &err), status);
    assert_null(doc);
    if (!strstr(err.text, words)) fail_msg("'%s' does not say '%s'", err.text, words);
}

static void test_refused(void **state) {
    (void)state;
    const char *const one[] = {ROOT "/runs/good"}, *const twice[] = {one[0], ROOT "/runs/good/"};
    const char *const none[] = {one[0], ROOT "/nowhere"}, *const other[] = {one[0], ROOT "/other"};
    refused(NULL, 0, EG_ERR_USAGE, "RUN is missing");
    refused(one, 1, EG_ERR_USAGE, "is one run");
    refused(twice, 2, EG_ERR_USAGE, "given twice");
    refused(none, 2, EG_ERR_NOT_FOUND, "no such folder");
    assert_int_equal(eg_dir_make(ROOT "/other", NULL), EG_OK);
    refused(other, 2, EG_ERR_NOT_FOUND, "no summary.json");
    write_text(ROOT "/other", "config.json", "{}");
    refused(other, 2, EG_ERR_NOT_FOUND, "is not finished");
    write_run(ROOT "/other", "other", 2, 1);
    write_text(ROOT "/other", "predictions-test.csv",
               "file,label,p_cat,p_dog\nx.png,cat,0.5,0.5\n");
    refused(other, 2, EG_ERR_MISMATCH, "not scored on the same images");
    write_text(ROOT "/other", "predictions-test.csv", "file,label,p_cat\nx.png,cat,0.5\n");
    refused(other, 2, EG_ERR_INPUT, "predictions-test.csv");
    write_text(ROOT "/other", "summary.json",
               "{\"name\": \"o\", \"val\": {\"classes\": [\"a\", \"b\", \"c\"]}}");
    write_text(ROOT "/other", "predictions-test.csv", "file,label,p_a,p_b,p_c\nx.png,a,1,0,0\n");
    write_text(ROOT "/other", "predictions-val.csv", "file,label,p_a,p_b,p_c\nx.png,a,1,0,0\n");
    refused(other, 2, EG_ERR_MISMATCH, "2 classes");
}

/* The audit takes n and the larger class's share from a run beside the table. */
static void test_published_beside(void **state) {
    (void)state;
    const char *const one[] = {ROOT "/runs/good"};
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o;
    eg_options_init(&o);
    write_text(ROOT, "table.csv", "name,accuracy,loss\nx,95.0,0.2\ny,95.1,0.2\n");
    o.published = ROOT "/table.csv";
    if (eg_compare(&doc, one, 1, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(eg_doc_kind(doc), "published");
    assert_float_equal(eg_study_number(doc->root, "n"), N, 0);
    assert_true(json_is_true(json_object_get(at(doc->root, "rows", 0), "possible")));
    assert_true(json_is_false(json_object_get(at(doc->root, "rows", 1), "possible")));
    assert_float_equal(eg_study_number(at(doc->root, "rows", 0), "majority"), 0.5, 1e-12);
    eg_doc_free(doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_runs), cmocka_unit_test(test_study_and_names),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_published_beside)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
