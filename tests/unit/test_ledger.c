/* The ledger: a line a look, counted by data, found from a checkpoint too, and damage is told. */
#include "study/evaluation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DIR    TEST_BINARY_DIR "/test_ledger_run"
#define LEDGER DIR "/ledger.jsonl"

static void write_text(const char *path, const char *text) {
    eg_error err = {0};
    eg_part part = {text, strlen(text)};
    if (eg_file_write_atomic(path, &part, 1, &err) != EG_OK) fail_msg("%s", err.text);
}

static int start(void **state) {
    (void)state;
    eg_error err = {0};
    unlink(LEDGER);
    rmdir(LEDGER);
    assert_int_equal(eg_dir_make(DIR, &err), EG_OK);
    write_text(DIR "/config.json", "{\"data\": {\"fingerprint\": \"own\"}}");
    write_text(DIR "/best.safetensors", "abc");
    return 0;
}

static int64_t count(const char *run, const char *fingerprint) {
    int64_t n = -1;
    eg_error err = {0};
    if (eg_study_ledger_count(&n, run, fingerprint, &err) != EG_OK) fail_msg("%s", err.text);
    return n;
}

static void a_line_a_look(void **state) {
    (void)state;
    eg_error err = {0};
    json_t *metrics = json_object();
    assert_int_equal(count(DIR, NULL), 0);
    const eg_test_look train = {"train", NULL, "metrics"}, other = {"eval", "other", "metrics"};
    assert_int_equal(eg_study_ledger_add(DIR, &train, &err), EG_OK);
    assert_int_equal(eg_study_ledger_add(DIR "/best.safetensors", &other, &err), EG_OK);
    assert_int_equal(count(DIR, NULL), 2);
    assert_int_equal(count(DIR, "own"), 1); /* taken from config.json */
    assert_int_equal(count(DIR "/best.safetensors", "other"), 1);
    assert_int_equal(count(DIR, "third"), 0);
    assert_int_equal(eg_study_ledger_note(metrics, DIR, &other, &err), EG_OK);
    assert_int_equal(json_integer_value(json_object_get(metrics, "test_looks")), 2);
    json_decref(metrics);
}

static void what_a_line_says(void **state) {
    (void)state;
    eg_error err = {0};
    json_t *line = NULL;
    const eg_test_look look = {"why", "data", "images"};
    assert_int_equal(eg_study_ledger_add(DIR, &look, &err), EG_OK);
    assert_int_equal(eg_json_read(&line, LEDGER, &err), EG_OK);
    /* FIPS 180-2, appendix B.1: SHA-256 of "abc" */
    assert_string_equal(json_string_value(json_object_get(line, "checkpoint")),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(json_string_value(json_object_get(line, "command")), "why");
    assert_string_equal(json_string_value(json_object_get(line, "split")), "test");
    assert_string_equal(json_string_value(json_object_get(line, "data")), "data");
    assert_string_equal(json_string_value(json_object_get(line, "engraft")), ENGRAFT_VERSION);
    int year, month, day, hour, minute, second, end = 0;
    const char *when = json_string_value(json_object_get(line, "when"));
    assert_int_equal(sscanf(when, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day, &hour, &minute,
                            &second, &end),
                     6);
    assert_int_equal(end, 20);
    json_decref(line);
}

static void checkpoint_alone(void **state) {
    (void)state;
    eg_error err = {0};
    json_t *metrics = json_object();
    const eg_test_look look = {"eval", "data", "metrics"};
    unlink(DIR "/config.json");
    assert_int_equal(eg_study_ledger_note(metrics, DIR "/best.safetensors", &look, &err), EG_OK);
    assert_false(eg_path_exists(LEDGER));
    assert_null(json_object_get(metrics, "test_looks"));
    json_decref(metrics);
}

static void damaged(void **state) {
    (void)state;
    eg_error err = {0};
    int64_t n;
    write_text(LEDGER, "{\"split\": \"test\"}\nnonsense\n");
    assert_int_equal(eg_study_ledger_count(&n, DIR, NULL, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "line 2"));
}

/* No figure of test without its line. */
static void not_writable(void **state) {
    (void)state;
    eg_error err = {0};
    json_t *metrics = json_object();
    const eg_test_look look = {"eval", "data", "metrics"};
    assert_int_equal(eg_dir_make(LEDGER, &err), EG_OK);
    assert_int_equal(eg_study_ledger_note(metrics, DIR, &look, &err), EG_ERR_IO);
    assert_non_null(strstr(err.text, "could not be counted"));
    json_decref(metrics);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_a_look, start),
        cmocka_unit_test_setup(what_a_line_says, start),
        cmocka_unit_test_setup(checkpoint_alone, start),
        cmocka_unit_test_setup(damaged, start),
        cmocka_unit_test_setup(not_writable, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
