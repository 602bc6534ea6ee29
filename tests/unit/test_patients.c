/* Patient ids from file names, and the overlap of splits in both readings. With
 * ENGRAFT_CHEST_XRAY set to the full data set, its known figures too: 170 apparent, 0 true
 * (skipped otherwise). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/patients.h"
#include "temp_tree.h"

static void kermany_is(const char *file, const char *expected) {
    char id[EG_DATA_PATIENT_BYTES] = "untouched";
    bool found = eg_data_patient_kermany(id, file);
    assert_int_equal(found, expected != NULL);
    assert_string_equal(id, expected ? expected : "untouched");
}

static void kermany_names(void **state) {
    (void)state;
    kermany_is("train/NORMAL/IM-0115-0001.jpeg", "normal/IM-0115");
    kermany_is("IM-0501-0001-0002.jpeg", "normal/IM-0501");
    kermany_is("NORMAL2-IM-0381-0001.jpeg", "normal2/IM-0381");
    kermany_is("person100_bacteria_475.jpeg", "bacteria/person100");
    kermany_is("person1_virus_6.jpeg", "virus/person1");
    kermany_is("person1_virus_6_2.jpeg", "virus/person1");
    kermany_is("person_bacteria_1.jpeg", NULL);
    kermany_is("person12_fungus_1.jpeg", NULL);
    kermany_is("person12.jpeg", NULL);
    kermany_is("IM-x-1.jpeg", NULL);
    kermany_is("IM-0115", NULL);
    kermany_is("IM-0115-0001/cat.jpeg", NULL);
    kermany_is("", NULL);
}

static void prefix_names(void **state) {
    (void)state;
    char id[EG_DATA_PATIENT_BYTES];
    assert_true(eg_data_patient_prefix(id, "a/b_c/00000013_005.png"));
    assert_string_equal(id, "00000013");
    assert_true(eg_data_patient_prefix(id, "p07-left_2.png"));
    assert_string_equal(id, "p07");
    assert_false(eg_data_patient_prefix(id, "cat.png"));
    assert_false(eg_data_patient_prefix(id, "_1.png"));
}

static int begin(void **state) {
    (void)state;
    tree_begin();
    return 0;
}

static int end(void **state) {
    (void)state;
    tree_end();
    return 0;
}

/* person1 of bacteria in train, of virus in test: another child; IM-0001 on both sides: the
 * same. */
static void two_readings(void **state) {
    (void)state;
    tree_file("train/P/person1_bacteria_1.jpeg");
    tree_file("train/P/person1_bacteria_2.jpeg");
    tree_file("train/P/person2_virus_1.jpeg");
    tree_file("train/N/IM-0001-0001.jpeg");
    tree_file("test/P/person1_virus_9.jpeg");
    tree_file("test/P/person11_virus_9.jpeg");
    tree_file("test/N/IM-0001-0002.jpeg");
    eg_dataset *ds = NULL;
    size_t shared = 9, apparent = 9;
    assert_int_equal(eg_dataset_open(&ds, tree_root, "auto", NULL), EG_OK);
    assert_string_equal(ds->patient_rule, "kermany");
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST);
    assert_int_equal(shared, 1);
    assert_int_equal(apparent, 1);
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL);
    assert_int_equal(shared + apparent, 0);
    eg_memory_fail_at(1);
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST);
    eg_memory_fail_at(0);
    assert_true(shared == SIZE_MAX && apparent == SIZE_MAX);
    eg_dataset_free(ds);
}

/* auto needs 90 % of the names. */
static void automatic_rule(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "A/person%d_virus_1.jpeg", i);
        tree_file(name);
    }
    tree_file("B/IM-0001-0001.jpeg");
    tree_file("B/other_1.png");
    eg_dataset *ds = NULL;
    assert_int_equal(eg_dataset_open(&ds, tree_root, "auto", NULL), EG_OK);
    assert_string_equal(ds->patient_rule, "kermany"); // 9 of 10
    assert_null(ds->samples[9].patient);
    eg_dataset_free(ds);
    tree_file("B/other_2.png");
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_string_equal(ds->patient_rule, "none"); // 9 of 11
    assert_null(ds->samples[0].patient);
    eg_dataset_free(ds);
    assert_int_equal(eg_dataset_open(&ds, tree_root, "prefix", NULL), EG_OK);
    assert_string_equal(ds->samples[10].patient, "other");
    eg_dataset_free(ds);
    eg_error err = {0};
    assert_int_equal(eg_dataset_open(&ds, tree_root, "regex", &err), EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "regex"));
}

static void full_set(void **state) {
    (void)state;
    const char *root = getenv("ENGRAFT_CHEST_XRAY");
    if (!root) skip();
    eg_dataset *ds = NULL;
    assert_int_equal(eg_dataset_open(&ds, root, "auto", NULL), EG_OK);
    size_t shared = 1, apparent = 0, known = 0;
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST);
    assert_int_equal(shared, 0);
    assert_int_equal(apparent, 170);
    for (size_t i = 0; i < ds->n_samples; i++) known += ds->samples[i].patient != NULL;
    assert_int_equal(ds->n_samples, 5840);
    assert_int_equal(known, 5840);
    assert_int_equal(ds->n_skipped, 3); // .DS_Store
    eg_dataset_free(ds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kermany_names),
        cmocka_unit_test(prefix_names),
        cmocka_unit_test_setup_teardown(two_readings, begin, end),
        cmocka_unit_test_setup_teardown(automatic_rule, begin, end),
        cmocka_unit_test(full_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
