/* What --plant can say: every cause by name, strengths, and errors that list the causes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/phantom.h"

#include <string.h>

static eg_data_faults parsed(const char *plant) {
    eg_data_faults faults;
    memset(&faults, 0xff, sizeof faults);
    eg_error err = {0};
    if (eg_data_faults_parse(&faults, plant, &err) != EG_OK) fail_msg("%s", err.text);
    return faults;
}

static int n_planted(const eg_data_faults *faults) {
    int n = 0;
    for (int f = 0; f < EG_DATA_FAULT_COUNT; f++) n += faults->strength[f] != 0;
    return n;
}

static void nothing_is_planted_by_nothing(void **state) {
    (void)state;
    const char *const nothings[] = {NULL, "", "marker=0", "marker=1\nmarker=0"};
    for (size_t i = 0; i < sizeof nothings / sizeof *nothings; i++) {
        eg_data_faults faults = parsed(nothings[i]);
        assert_int_equal(n_planted(&faults), 0);
    }
}

static void every_cause_by_its_name(void **state) {
    (void)state;
    for (int f = 0; f < EG_DATA_FAULT_COUNT; f++) {
        const char *name = eg_data_fault_name((eg_data_fault)f);
        eg_data_faults faults = parsed(name);
        assert_int_equal(n_planted(&faults), 1);
        assert_true(faults.strength[f] == 0.5);
        assert_true(strlen(eg_data_fault_text((eg_data_fault)f)) > 10);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
    }
}

static void several_with_strengths(void **state) {
    (void)state;
    eg_data_faults faults = parsed("label_noise=0.25\nblur-drift\npatient_leak=1");
    assert_int_equal(n_planted(&faults), 3);
    assert_true(faults.strength[EG_DATA_FAULT_LABEL_NOISE] == 0.25);
    assert_true(faults.strength[EG_DATA_FAULT_BLUR_DRIFT] == 0.5);
    assert_true(faults.strength[EG_DATA_FAULT_PATIENT_LEAK] == 1);
}

static void refused(const char *plant, const char *expected) {
    eg_data_faults faults = {.strength = {7}};
    eg_error err = {0};
    assert_int_equal(eg_data_faults_parse(&faults, plant, &err), EG_ERR_USAGE);
    if (!strstr(err.text, expected))
        fail_msg("%s: found '%s', expected '%s'", plant, err.text, expected);
    assert_true(faults.strength[0] == 7);
}

static void errors_say_what_can_be_written(void **state) {
    (void)state;
    for (int f = 0; f < EG_DATA_FAULT_COUNT; f++)
        refused("rust", eg_data_fault_name((eg_data_fault)f));
    refused("mark", "--plant mark: expected CAUSE");
    refused("marker2", "marker2");
    refused("=0.5", "expected CAUSE");
    refused("marker=0.5\n\nblur_drift", "expected CAUSE");
    refused("marker=", "marker=: expected a strength from 0");
    refused("marker=1.01", "expected a strength");
    refused("marker=-0.1", "expected a strength");
    refused("marker=nan", "expected a strength");
    refused("marker=0.5x", "expected a strength");
    refused("marker=0.50000000000000000000000000000000000000001", "expected a strength");
    refused("a very long word that is no cause and does not end soon, neither here nor there",
            "CAUSE");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_planted_by_nothing),
        cmocka_unit_test(every_cause_by_its_name),
        cmocka_unit_test(several_with_strengths),
        cmocka_unit_test(errors_say_what_can_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
