/* Patient ids from file names, DICOM headers and a manifest's column, the overlap of splits in both readings, and its
 * refusal. With
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
    assert_int_equal(
        eg_dataset_open(&ds, tree_root, &(eg_dataset_options){.patients = "auto"}, NULL), EG_OK);
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
    assert_int_equal(
        eg_dataset_open(&ds, tree_root, &(eg_dataset_options){.patients = "auto"}, NULL), EG_OK);
    assert_string_equal(ds->patient_rule, "kermany"); // 9 of 10
    assert_null(ds->samples[9].patient);
    eg_dataset_free(ds);
    tree_file("B/other_2.png");
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_string_equal(ds->patient_rule, "none"); // 9 of 11
    assert_null(ds->samples[0].patient);
    eg_dataset_free(ds);
    assert_int_equal(
        eg_dataset_open(&ds, tree_root, &(eg_dataset_options){.patients = "prefix"}, NULL), EG_OK);
    assert_string_equal(ds->samples[10].patient, "other");
    eg_dataset_free(ds);
    eg_error err = {0};
    assert_int_equal(
        eg_dataset_open(&ds, tree_root, &(eg_dataset_options){.patients = "regex"}, &err),
        EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "regex"));
}

/* ---- DICOM ---- */

typedef struct {
    uint8_t bytes[1024];
    size_t n;
} dicom;

/* One element in explicit little endian; odd values get the blank that DICOM pads with. */
static void element(dicom *d, unsigned group, unsigned number, const char *vr, const void *value,
                    size_t n) {
    const bool odd = n % 2 == 1, is_long = strcmp(vr, "OB") == 0;
    const size_t length = n + odd;
    uint8_t head[12] = {(uint8_t)group,
                        (uint8_t)(group >> 8),
                        (uint8_t)number,
                        (uint8_t)(number >> 8),
                        (uint8_t)vr[0],
                        (uint8_t)vr[1],
                        is_long ? 0 : (uint8_t)length,
                        0,
                        (uint8_t)length};
    memcpy(d->bytes + d->n, head, is_long ? 12 : 8);
    d->n += is_long ? 12 : 8;
    memcpy(d->bytes + d->n, value, n);
    if (odd) d->bytes[d->n + n] = ' ';
    d->n += length;
}

static void number(dicom *d, unsigned group, unsigned element_number, unsigned value) {
    element(d, group, element_number, "US", (uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8)}, 2);
}

/* 2 x 2 pixels of a patient; id NULL: none. */
static void dicom_file(const char *relative, const char *id) {
    static const char syntax[20] = "1.2.840.10008.1.2.1";
    dicom d = {.n = 132};
    memcpy(d.bytes + 128, "DICM", 4);
    element(&d, 0x0002, 0x0000, "UL", (uint8_t[]){28, 0, 0, 0}, 4);
    element(&d, 0x0002, 0x0010, "UI", syntax, sizeof syntax);
    element(&d, 0x0010, 0x0010, "PN", "Planted^Name", 12);
    if (id) element(&d, 0x0010, 0x0020, "LO", id, strlen(id));
    number(&d, 0x0028, 0x0002, 1);
    element(&d, 0x0028, 0x0004, "CS", "MONOCHROME2", 11);
    number(&d, 0x0028, 0x0010, 2);
    number(&d, 0x0028, 0x0011, 2);
    number(&d, 0x0028, 0x0100, 8);
    number(&d, 0x0028, 0x0101, 8);
    number(&d, 0x0028, 0x0102, 7);
    number(&d, 0x0028, 0x0103, 0);
    element(&d, 0x7fe0, 0x0010, "OB", "\1\2\3\4", 4);
    tree_write(relative, d.bytes, d.n);
}

static eg_dataset *open_dicom(const char *patients, const char *salt) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    const eg_dataset_options o = {
        .patients = patients, .salt = salt, .n_salt = salt ? strlen(salt) : 0};
    if (eg_dataset_open(&ds, tree_root, &o, &err) != EG_OK) fail_msg("%s", err.text);
    return ds;
}

/* 24 files of 12 patients in two classes. */
static void dicom_tree(void) {
    char name[64], id[32];
    for (int i = 0; i < 24; i++) {
        snprintf(name, sizeof name, "%s/IM%06d", i % 4 < 2 ? "A" : "B", i);
        snprintf(id, sizeof id, "MRN-%d", 1000 + i / 2);
        dicom_file(name, id);
    }
}

/* Ids become hashes that change with the salt; one patient is one hash. Nothing of the id is kept. */
static void dicom_headers(void **state) {
    (void)state;
    dicom_tree();
    eg_dataset *a = open_dicom("auto", "salt of one"), *b = open_dicom("dicom", "salt of two");
    assert_string_equal(a->patient_rule, "dicom");
    assert_string_equal(b->patient_rule, "dicom");
    assert_int_equal(a->n_samples, 24);
    for (size_t i = 0; i < 24; i++) {
        assert_int_equal(strlen(a->samples[i].patient), 16);
        assert_null(strstr(a->samples[i].patient, "MRN"));
        assert_string_not_equal(a->samples[i].patient, b->samples[i].patient);
    }
    assert_string_equal(a->samples[0].patient, a->samples[1].patient);
    assert_string_not_equal(a->samples[1].patient, a->samples[2].patient);
    // the split is the same whatever the salt
    const eg_split_rule rule = {.by = "patient", .share = 0.3, .seed = 4};
    assert_int_equal(eg_dataset_split(a, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &rule, NULL), EG_OK);
    assert_int_equal(eg_dataset_split(b, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &rule, NULL), EG_OK);
    for (size_t i = 0; i < 24; i++) {
        assert_string_equal(a->samples[i].file, b->samples[i].file);
        assert_int_equal(a->samples[i].split, b->samples[i].split);
    }
    size_t shared, apparent;
    eg_dataset_patient_overlap(&shared, &apparent, a, EG_SPLIT_TRAIN, EG_SPLIT_VAL);
    assert_int_equal(shared, 0);
    eg_error err = {0};
    const eg_split_rule block = {.by = "block", .share = 0.3};
    assert_int_equal(eg_dataset_split(a, EG_SPLIT_TRAIN, EG_SPLIT_TEST, &block, &err),
                     EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "hashes, which have no order"));
    eg_dataset_free(a);
    eg_dataset_free(b);
}

/* auto wants an id in every file; dicom takes what there is; neither works without a salt or without DICOM. */
static void dicom_with_gaps(void **state) {
    (void)state;
    dicom_tree();
    dicom_file("B/IM999999", NULL);
    eg_dataset *ds = open_dicom("auto", "salt");
    assert_string_equal(ds->patient_rule, "none");
    assert_null(ds->samples[0].patient);
    eg_dataset_free(ds);
    ds = open_dicom("dicom", "salt");
    assert_non_null(ds->samples[0].patient);
    assert_null(ds->samples[24].patient);
    eg_dataset_free(ds);
    ds = open_dicom("auto", NULL);
    assert_string_equal(ds->patient_rule, "none");
    eg_dataset_free(ds);
    eg_error err = {0};
    eg_dataset_options o = {.patients = "dicom"};
    assert_int_equal(eg_dataset_open(&ds, tree_root, &o, &err), EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "--patient-salt"));
    o.salt = "salt";
    o.n_salt = 4;
    for (int i = 0; i < 24; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/IM%06d", i % 4 < 2 ? "A" : "B", i);
        assert_int_equal(unlink(tree_path(name)), 0);
    }
    tree_file("A/1.png");
    assert_int_equal(eg_dataset_open(&ds, tree_root, &o, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "no image is a DICOM file with a patient id"));
}

/* ---- a manifest's column, and refusing ---- */

static void column(void **state) {
    (void)state;
    static const char text[] = "path,label,patient\n1.png,a,7\n2.png,b,7\nperson1_virus_1.png,a,\n";
    tree_file("1.png");
    tree_file("2.png");
    tree_file("person1_virus_1.png");
    tree_write("set.csv", text, sizeof text - 1);
    eg_dataset *ds = NULL;
    eg_dataset_options o = {.patients = "column"};
    assert_int_equal(eg_dataset_open(&ds, tree_path("set.csv"), &o, NULL), EG_OK);
    assert_string_equal(ds->patient_rule, "column");
    assert_string_equal(ds->samples[0].patient, "7");
    eg_dataset_free(ds);
    o.patients = "kermany"; // a rule of names instead of the column
    assert_int_equal(eg_dataset_open(&ds, tree_path("set.csv"), &o, NULL), EG_OK);
    assert_null(ds->samples[0].patient);
    assert_string_equal(ds->samples[1].patient, "virus/person1");
    eg_dataset_free(ds);
    ds = NULL;
    o = (eg_dataset_options){.patients = "column", .columns = "patient="};
    eg_error err = {0};
    assert_int_equal(eg_dataset_open(&ds, tree_path("set.csv"), &o, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "no column of patients"));
}

static void shared_patients_are_refused(void **state) {
    (void)state;
    tree_file("train/P/person1_bacteria_1.jpeg");
    tree_file("train/P/person2_virus_1.jpeg");
    tree_file("train/N/IM-0001-0001.jpeg");
    tree_file("val/P/person1_virus_1.jpeg");
    tree_file("val/N/IM-0002-0001.jpeg");
    tree_file("test/P/person3_virus_1.jpeg");
    tree_file("test/N/IM-0003-0001.jpeg");
    eg_dataset *ds = NULL;
    eg_error err = {0};
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_refuse_shared(ds, &err), EG_OK); // person1 is two children
    eg_dataset_free(ds);
    tree_file("test/P/person2_virus_7.jpeg");
    tree_file("test/P/person1_virus_7.jpeg");
    tree_file("test/P/person1_bacteria_7.jpeg");
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_refuse_shared(ds, &err), EG_ERR_INPUT);
    const char *const parts[] = {"2 patients are both in train and in test", "2 images of train",
                                 "train/P/person1_bacteria_1.jpeg, train/P/person2_virus_1.jpeg",
                                 "--allow-shared-patients"};
    for (size_t i = 0; i < 4; i++)
        if (!strstr(err.text, parts[i])) fail_msg("message: %s\nexpected: %s", err.text, parts[i]);
    for (size_t i = 0; i < ds->n_samples; i++) // between val and test alone
        if (ds->samples[i].split == EG_SPLIT_TRAIN) ds->samples[i].patient = NULL;
    assert_int_equal(eg_dataset_refuse_shared(ds, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "1 patient is both in val and in test"));
    eg_memory_fail_at(1);
    assert_int_equal(eg_dataset_refuse_shared(ds, NULL), EG_ERR_NO_MEMORY);
    eg_memory_fail_at(0);
    eg_dataset_free(ds);
}

static void full_set(void **state) {
    (void)state;
    const char *root = getenv("ENGRAFT_CHEST_XRAY");
    if (!root) skip();
    eg_dataset *ds = NULL;
    assert_int_equal(eg_dataset_open(&ds, root, &(eg_dataset_options){.patients = "auto"}, NULL),
                     EG_OK);
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
        cmocka_unit_test_setup_teardown(two_readings, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(automatic_rule, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(dicom_headers, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(dicom_with_gaps, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(column, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(shared_patients_are_refused, tree_setup, tree_teardown),
        cmocka_unit_test(full_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
