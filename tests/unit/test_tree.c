/* Folder trees: what is read, in which order, what is stepped over and why, and every refusal with its
 * message; then every allocation made to fail once. The committed sample is read with its true
 * counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_memory.h"
#include "temp_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

static void plain_tree(void) {
    tree_file("Train/b/2.jpeg");
    tree_file("Train/b/10.JPG");
    tree_file("Train/a/x.png");
    tree_file("Train/a/.DS_Store");
    tree_file("Train/a/notes.txt");
    tree_file("Train/.DS_Store");
    tree_file(".DS_Store");
    tree_file("README.md");
    tree_file("TEST/a/t.jpeg");
    tree_file("TEST/b/deeper/t.jpeg");
    tree_file("validation/a/v.png");
    tree_file("validation/b/v.png");
    tree_folder(".git/objects");
}

static void reads_splits(void **state) {
    (void)state;
    plain_tree();
    eg_dataset *ds = NULL;
    eg_error err = {0};
    assert_int_equal(eg_dataset_open(&ds, tree_path(""), NULL, &err), EG_OK);
    assert_string_equal(ds->root, tree_root); // without the '/' at the end
    assert_int_equal(ds->n_classes, 2);
    assert_string_equal(ds->classes[0], "a");
    assert_string_equal(ds->classes[1], "b");
    assert_true(ds->has_test && ds->has_val);
    assert_int_equal(ds->n_skipped, 5);
    const struct {
        const char *file;
        int label;
        eg_split split;
    } expected[] = {
        {"Train/a/x.png", 0, EG_SPLIT_TRAIN},       {"Train/b/10.JPG", 1, EG_SPLIT_TRAIN},
        {"Train/b/2.jpeg", 1, EG_SPLIT_TRAIN},      {"validation/a/v.png", 0, EG_SPLIT_VAL},
        {"validation/b/v.png", 1, EG_SPLIT_VAL},    {"TEST/a/t.jpeg", 0, EG_SPLIT_TEST},
        {"TEST/b/deeper/t.jpeg", 1, EG_SPLIT_TEST},
    };
    assert_int_equal(ds->n_samples, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(ds->samples[i].file, expected[i].file);
        assert_int_equal(ds->samples[i].label, expected[i].label);
        assert_int_equal(ds->samples[i].split, expected[i].split);
        assert_null(ds->samples[i].patient);
    }
    assert_string_equal(ds->patient_rule, "none");
    // the fingerprint is a public recipe: anyone can recompute it
    const char lines[] =
        "TEST/a/t.jpeg, 1\nTEST/b/deeper/t.jpeg, 1\nTrain/a/x.png, 1\nTrain/b/10.JPG, 1\n"
        "Train/b/2.jpeg, 1\nvalidation/a/v.png, 1\nvalidation/b/v.png, 1\n";
    char hash[65];
    eg_sha256_hex(hash, lines, sizeof lines - 1);
    assert_string_equal(ds->fingerprint, hash);
    eg_dataset_free(ds);
}

static void reads_bare_tree(void **state) {
    (void)state;
    tree_file("test/1.png"); // a class that is called "test", since there is another folder
    tree_file("control/2.png");
    eg_dataset *ds = NULL;
    assert_int_equal(
        eg_dataset_open(&ds, tree_root, &(eg_dataset_options){.patients = "none"}, NULL), EG_OK);
    assert_int_equal(ds->n_samples, 2);
    assert_int_equal(ds->samples[0].split, EG_SPLIT_ALL);
    assert_string_equal(ds->classes[1], "test");
    assert_false(ds->has_test || ds->has_val);
    eg_dataset_free(ds);
}

/* Why a file was stepped over; "" when it was not. */
static const char *why(const eg_dataset *ds, const char *path) {
    for (size_t i = 0; i < ds->n_listed; i++)
        if (strcmp(ds->skipped[i].path, path) == 0) return ds->skipped[i].why;
    return "";
}

/* Exports of a scanner have no extension: what the first bytes say counts. */
static void first_bytes_decide(void **state) {
    (void)state;
    static const char png[] = "\x89PNG\r\n\x1a\n", jpeg[] = "\xff\xd8\xff\xe0";
    tree_write("A/IM000001", png, sizeof png - 1);
    tree_write("A/IM000002.1.2", jpeg, sizeof jpeg - 1);
    tree_write("A/notes.txt", "read me", 7);
    tree_write("A/empty", "", 0);
    tree_write("A/DICOMDIR", png, sizeof png - 1);
    tree_file("A/scan.dcm");
    tree_file("A/scan.DICOM");
    tree_file("B/x.pnm");
    tree_file("B/.hidden.png");
    tree_file("stray.png");
    eg_dataset *ds = NULL;
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    const char *const expected[] = {"A/IM000001", "A/IM000002.1.2", "A/scan.DICOM", "A/scan.dcm",
                                    "B/x.pnm"};
    assert_int_equal(ds->n_samples, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(ds->samples[i].file, expected[i]);
        assert_int_equal(ds->samples[i].row, -1);
    }
    assert_int_equal(ds->n_skipped, 5);
    assert_int_equal(ds->n_listed, 5);
    assert_string_equal(why(ds, "A/notes.txt"), "no image");
    assert_string_equal(why(ds, "A/empty"), "no image");
    assert_string_equal(why(ds, "A/DICOMDIR"), "index of a DICOM export");
    assert_string_equal(why(ds, "B/.hidden.png"), "hidden");
    assert_string_equal(why(ds, "stray.png"), "outside the class folders");
    eg_dataset_free(ds);
}

/* Every file is counted, 10,000 are named. */
static void list_of_skipped_ends(void **state) {
    (void)state;
    char name[32];
    tree_file("A/1.png");
    tree_file("B/1.png");
    for (int i = 0; i < 10050; i++) {
        snprintf(name, sizeof name, "A/.%d", i);
        if (i % 1000 == 0) tree_file(name);
        int fd = open(tree_path(name), O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    eg_dataset *ds = NULL;
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(ds->n_skipped, 10050);
    assert_int_equal(ds->n_listed, 10000);
    assert_string_equal(ds->skipped[9999].why, "hidden");
    assert_memory_equal(ds->skipped[9999].path, "A/.", 3);
    eg_dataset_free(ds);
}

static void refused_at(const char *path, eg_status expected, const char *start, const char *part) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    assert_int_equal(eg_dataset_open(&ds, path, NULL, &err), expected);
    assert_null(ds); // nothing is written on failure
    char begins[1024];
    snprintf(begins, sizeof begins, "%s%s: ", tree_root, start);
    if (strncmp(err.text, begins, strlen(begins)) != 0 || !strstr(err.text, part))
        fail_msg("message: %s\nexpected: %s...%s", err.text, begins, part);
}

static void refused(eg_status expected, const char *start, const char *part) {
    refused_at(tree_root, expected, start, part);
}

static void missing_folder(void **state) {
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%s/nowhere", tree_root);
    refused_at(path, EG_ERR_NOT_FOUND, "/nowhere",
               "missing folder - give the folder that holds train/ and test/");
}

static void one_class(void **state) {
    (void)state;
    refused(EG_ERR_INPUT, "", "no class folders");
    tree_file("train/NORMAL/1.png");
    refused(EG_ERR_INPUT, "/train", "only one class folder (NORMAL) - two or more are needed");
}

static void one_folder_too_high(void **state) {
    (void)state;
    tree_file("chest_xray/train/A/1.png");
    refused(EG_ERR_INPUT, "", "did you mean");
}

static void empty_class(void **state) {
    (void)state;
    tree_file("train/A/1.png");
    tree_file("train/B/.DS_Store");
    refused(EG_ERR_INPUT, "/train/B",
            "no images (.jpeg .jpg .png ...) - remove the folder or add images");
}

static void test_lacks_class(void **state) {
    (void)state;
    tree_file("train/A/1.png");
    tree_file("train/B/1.png");
    tree_file("test/A/1.png");
    refused(EG_ERR_INPUT, "/test", "no folder for class B");
    tree_file("test/B/1.png");
    tree_file("test/AA/1.png");
    refused(EG_ERR_INPUT, "/test", "class folder AA is in no other split");
}

static void split_twice(void **state) {
    (void)state;
    tree_file("train/A/1.png");
    tree_file("train/B/1.png");
    tree_file("val/A/1.png");
    tree_file("valid/A/1.png");
    refused(EG_ERR_INPUT, "", "val and valid are both the val split");
}

static void odd_entries(void **state) {
    (void)state;
    tree_file("A/1.png");
    tree_file("B/1.png");
    assert_int_equal(symlink("..", tree_path("B/loop")), 0); // B/loop/B/loop/...
    refused(EG_ERR_INPUT, "/B/loop/B", "symbolic link to a folder above it");
    assert_int_equal(unlink(tree_path("B/loop")), 0);
    assert_int_equal(mkfifo(tree_path("B/pipe.png"), 0600), 0);
    refused(EG_ERR_INPUT, "/B/pipe.png", "not a regular file");
    assert_int_equal(unlink(tree_path("B/pipe.png")), 0);
    tree_file("B/\xff.png");
    refused(EG_ERR_INPUT, "/B", "not valid UTF-8");
    assert_int_equal(unlink(tree_path("B/\xff.png")), 0);
    // a dangling link is a sample that cannot be decoded: the check names it
    assert_int_equal(symlink("self.png", tree_path("B/self.png")), 0);
    eg_dataset *ds = NULL;
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(ds->n_samples, 3);
    eg_dataset_free(ds);
}

static void unreadable_folder(void **state) {
    (void)state;
    tree_file("A/1.png");
    tree_file("B/1.png");
    if (geteuid() == 0) skip(); // root reads everything
    assert_int_equal(chmod(tree_path("B"), 0), 0);
    refused(EG_ERR_IO, "/B", "cannot be listed");
    assert_int_equal(chmod(tree_path("B"), 0700), 0);
}

static void every_allocation_fails_once(void **state) {
    (void)state;
    plain_tree();
    dataset_open_without_memory(tree_root);
}

static void committed_sample(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    eg_error err = {0};
    eg_status status = eg_dataset_open(&ds, TEST_SOURCE_DIR "/samples/chest_xray",
                                       &(eg_dataset_options){.patients = "auto"}, &err);
    assert_int_equal(status, EG_OK);
    size_t counts[EG_SPLIT_COUNT][2] = {{0}};
    for (size_t i = 0; i < ds->n_samples; i++) counts[ds->samples[i].split][ds->samples[i].label]++;
    assert_int_equal(counts[EG_SPLIT_TRAIN][0], 77);
    assert_int_equal(counts[EG_SPLIT_TRAIN][1], 223);
    assert_int_equal(counts[EG_SPLIT_TEST][0], 56);
    assert_int_equal(counts[EG_SPLIT_TEST][1], 94);
    assert_string_equal(ds->classes[1], "PNEUMONIA");
    assert_string_equal(ds->patient_rule, "kermany");
    eg_dataset_free(ds);
}

#define IN_TREE(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_TREE(reads_splits),
        IN_TREE(reads_bare_tree),
        IN_TREE(first_bytes_decide),
        IN_TREE(list_of_skipped_ends),
        IN_TREE(missing_folder),
        IN_TREE(one_class),
        IN_TREE(one_folder_too_high),
        IN_TREE(empty_class),
        IN_TREE(test_lacks_class),
        IN_TREE(split_twice),
        IN_TREE(odd_entries),
        IN_TREE(unreadable_folder),
        IN_TREE(every_allocation_fails_once),
        cmocka_unit_test(committed_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
