/* Names, patterns and families of `engraft models`, and the order of its rows. */
#include "study/task_a.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static size_t count(const char *names, const char *family) {
    const eg_arch_info **list = NULL;
    size_t n = 0;
    eg_error err = {0};
    if (eg_study_select(&list, &n, names, family, &err) != EG_OK) fail_msg("%s", err.text);
    eg_free(list);
    return n;
}

static void selection(void **state) {
    (void)state;
    assert_int_equal(count(NULL, NULL), eg_arch_count());
    assert_int_equal(count("resnet18, RESNET34,resnet18", NULL), 2);
    assert_int_equal(count("resnet1*", NULL), 3); /* 18, 101, 152 */
    assert_int_equal(count("resnet1*,small_cnn", "resnet"), 3);
    assert_true(count("*", "efficientnet-lite") >= 3); /* families too in any case */
}

static void refusals(void **state) {
    (void)state;
    const eg_arch_info **list = NULL;
    size_t n = 0;
    eg_error err;
    assert_int_equal(eg_study_select(&list, &n, "resnet81", NULL, &err), EG_ERR_USAGE);
    if (!strstr(err.text, "resnet18")) fail_msg("%s", err.text);
    assert_int_equal(eg_study_select(&list, &n, "resnet18,vgg99", NULL, &err), EG_ERR_USAGE);
    /* too long to be a name: not the end of the list */
    char longer[200];
    snprintf(longer, sizeof longer, "resnet18,%0120d,resnet34", 0);
    assert_int_equal(eg_study_select(&list, &n, longer, NULL, &err), EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "no network is called 000"));
    assert_int_equal(eg_study_select(&list, &n, NULL, "LSTM", &err), EG_ERR_USAGE);
    assert_int_equal(eg_study_select(&list, &n, "resnet18", "EfficientNet", &err), EG_ERR_USAGE);
}

static const char *first_of(json_t *rows, const char *sort) {
    eg_error err = {0};
    if (eg_study_rows_sort(rows, sort, &err) != EG_OK) fail_msg("%s", err.text);
    return json_string_value(json_object_get(json_array_get(rows, 0), "name"));
}

static void order(void **state) {
    (void)state;
    eg_error err;
    json_t *rows = json_pack("[{s:s,s:i,s:f},{s:s,s:i,s:f},{s:s,s:i,s:n}]", "name", "b",
                             "parameters", 3, "imagenet_top1", 70.0, "name", "a", "parameters", 7,
                             "imagenet_top1", 80.0, "name", "c", "parameters", 1, "imagenet_top1");
    assert_string_equal(first_of(rows, "name"), "a");
    assert_string_equal(first_of(rows, "-name"), "c");
    assert_string_equal(first_of(rows, "params"), "c");
    assert_string_equal(first_of(rows, "-parameters"), "a");
    assert_string_equal(first_of(rows, "top-1"), "a");
    assert_string_equal(first_of(rows, "-imagenet_top1"), "b"); /* missing is last either way */
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 2), "name")), "c");
    assert_int_equal(eg_study_rows_sort(rows, "colour", &err), EG_ERR_USAGE);
    assert_true(eg_study_sort_is_measured("-train-ms") && !eg_study_sort_is_measured("name"));
    json_decref(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(selection), cmocka_unit_test(refusals),
                                       cmocka_unit_test(order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
