/* Drawn splits: shares, folds, whole patients, the seed, small classes, from which split to which, and what is refused. On the
 * committed sample (real file names) and on made-up trees. Runs of neighbouring ids: test_split_block.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "temp_tree.h"

#include <math.h>

#define SAMPLE TEST_SOURCE_DIR "/samples/chest_xray"

static eg_dataset *open_set(const char *root, const char *patients) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    if (eg_dataset_open(&ds, root, &(eg_dataset_options){.patients = patients}, &err) != EG_OK)
        fail_msg("%s", err.text);
    return ds;
}

static size_t count(const eg_dataset *ds, eg_split split, int label) {
    size_t n = 0;
    for (size_t i = 0; i < ds->n_samples; i++)
        n += ds->samples[i].split == split && ds->samples[i].label == label;
    return n;
}

/* Images of the patient with the most of them in the class. */
static size_t largest_patient(const eg_dataset *ds, int label) {
    size_t largest = 0;
    for (size_t i = 0; i < ds->n_samples; i++) {
        size_t n = 0;
        for (size_t j = 0; j < ds->n_samples; j++)
            n += ds->samples[j].label == label && ds->samples[j].split != EG_SPLIT_TEST &&
                 strcmp(ds->samples[j].patient, ds->samples[i].patient) == 0;
        if (ds->samples[i].label == label && n > largest) largest = n;
    }
    return largest;
}

static void patients_stay_whole(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int s = 0; s < 3; s++) {
            const double share = (const double[]){0.1, 0.2, 0.5}[s];
            eg_dataset *ds = open_set(SAMPLE, "auto");
            assert_int_equal(
                eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                 &(eg_split_rule){.by = "patient", .share = share, .seed = seed},
                                 NULL),
                EG_OK);
            size_t shared = 1, apparent;
            eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL);
            assert_int_equal(shared, 0);
            for (int c = 0; c < 2; c++) {
                const double total = c ? 223 : 77, found = (double)count(ds, EG_SPLIT_VAL, c);
                assert_int_equal(count(ds, EG_SPLIT_TRAIN, c) + count(ds, EG_SPLIT_VAL, c),
                                 c ? 223 : 77);
                assert_true(fabs(found - share * total) <= (double)largest_patient(ds, c));
            }
            assert_int_equal(count(ds, EG_SPLIT_TEST, 0) + count(ds, EG_SPLIT_TEST, 1), 150);
            for (size_t i = 1; i < ds->n_samples; i++) { // sorted by split, class, file
                const eg_sample *a = &ds->samples[i - 1], *b = &ds->samples[i];
                assert_true(
                    a->split < b->split || (a->split == b->split && a->label < b->label) ||
                    (a->split == b->split && a->label == b->label && strcmp(a->file, b->file) < 0));
            }
            eg_dataset_free(ds);
        }
}

static void by_image_is_exact(void **state) {
    (void)state;
    eg_dataset *ds = open_set(SAMPLE, "auto");
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "image", .share = 0.2, .seed = 1},
                                      NULL),
                     EG_OK);
    assert_int_equal(count(ds, EG_SPLIT_VAL, 0), 15); // 15.4
    assert_int_equal(count(ds, EG_SPLIT_VAL, 1), 45); // 44.6
    size_t shared = 0, apparent;
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL);
    assert_true(shared > 0); // the very leak that "patient" prevents
    eg_dataset_free(ds);
}

static void seed_decides(void **state) {
    (void)state;
    size_t same = 0, n_val = 0;
    eg_dataset *a = open_set(SAMPLE, "auto"), *b = open_set(SAMPLE, "auto"),
               *c = open_set(SAMPLE, "auto");
    assert_int_equal(eg_dataset_split(a, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = 0.2, .seed = 1},
                                      NULL),
                     EG_OK);
    assert_int_equal(eg_dataset_split(b, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = 0.2, .seed = 1},
                                      NULL),
                     EG_OK);
    assert_int_equal(eg_dataset_split(c, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = 0.2, .seed = 2},
                                      NULL),
                     EG_OK);
    for (size_t i = 0; i < a->n_samples; i++) {
        assert_string_equal(a->samples[i].file, b->samples[i].file);
        if (a->samples[i].split != EG_SPLIT_VAL) continue;
        n_val++;
        for (size_t j = 0; j < c->n_samples; j++)
            same += c->samples[j].split == EG_SPLIT_VAL &&
                    strcmp(c->samples[j].file, a->samples[i].file) == 0;
    }
    assert_true(same * 2 < n_val);
    eg_dataset_free(a);
    eg_dataset_free(b);
    eg_dataset_free(c);
}

static void bare_tree_becomes_train(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%s/%d.png", i % 2 ? "A" : "B", i);
        tree_file(name);
    }
    eg_dataset *ds = open_set(tree_root, NULL);
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = NULL, .share = 0.3, .seed = 1}, NULL),
                     EG_OK);
    for (int c = 0; c < 2; c++) {
        assert_int_equal(count(ds, EG_SPLIT_VAL, c), 3);
        assert_int_equal(count(ds, EG_SPLIT_TRAIN, c), 7);
    }
    uint32_t *indices = NULL;
    size_t n = 0;
    assert_int_equal(eg_dataset_indices(&indices, &n, ds, EG_SPLIT_VAL, NULL), EG_OK);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) assert_int_equal(indices[i], 14 + i);
    eg_free(indices);
    assert_int_equal(eg_dataset_indices(&indices, &n, ds, EG_SPLIT_TEST, NULL), EG_OK);
    assert_true(n == 0 && indices == NULL);
    assert_int_equal(eg_dataset_indices(&indices, &n, ds, EG_SPLIT_ALL, NULL), EG_OK);
    assert_int_equal(n, 20);
    eg_free(indices);
    eg_dataset_free(ds);
}

/* A test split of a bare set, then validation of the rest; each is stratified, and the second leaves the first alone. */
static void test_then_validation(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "%s/%d.png", i % 3 == 0 ? "A" : "B", i);
        tree_file(name);
    }
    eg_dataset *ds = open_set(tree_root, NULL);
    const eg_split_rule test = {.by = "image", .share = 0.2, .seed = 1},
                        val = {.by = "image", .share = 0.25, .seed = 1};
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_ALL, EG_SPLIT_TEST, &test, NULL), EG_OK);
    assert_int_equal(count(ds, EG_SPLIT_ALL, 0), 16); // those that stay become `from`
    assert_int_equal(count(ds, EG_SPLIT_TEST, 0), 4);
    assert_int_equal(count(ds, EG_SPLIT_TEST, 1), 8);
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &val, NULL), EG_OK);
    assert_int_equal(count(ds, EG_SPLIT_TRAIN, 0), 12);
    assert_int_equal(count(ds, EG_SPLIT_VAL, 0), 4);
    assert_int_equal(count(ds, EG_SPLIT_VAL, 1), 8);
    assert_int_equal(count(ds, EG_SPLIT_TEST, 0) + count(ds, EG_SPLIT_TEST, 1), 12);
    eg_dataset_free(ds);
}

/* Files of the validation fold, marked in `seen` (by place among all files): none twice. */
static void mark_fold(bool *seen, size_t *sizes, const char *by, int folds, int fold) {
    eg_dataset *all = open_set(SAMPLE, "auto"), *ds = open_set(SAMPLE, "auto");
    const eg_split_rule rule = {.by = by, .folds = folds, .fold = fold, .seed = 5};
    eg_error err = {0};
    if (eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &rule, &err) != EG_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < ds->n_samples; i++) {
        if (ds->samples[i].split != EG_SPLIT_VAL) continue;
        sizes[ds->samples[i].label]++;
        size_t place = 0;
        while (strcmp(all->samples[place].file, ds->samples[i].file) != 0) place++;
        assert_false(seen[place]);
        seen[place] = true;
    }
    size_t shared, apparent;
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL);
    if (strcmp(by, "image") != 0) assert_int_equal(shared, 0);
    eg_dataset_free(all);
    eg_dataset_free(ds);
}

/* Every training image is in exactly one fold; folds of a class are equal within an image, or a patient. */
static void folds_cover_everything(void **state) {
    (void)state;
    static const char *const by[] = {"image", "patient", "block"};
    eg_dataset *ds = open_set(SAMPLE, "auto");
    const size_t slack[2] = {largest_patient(ds, 0), largest_patient(ds, 1)};
    eg_dataset_free(ds);
    for (int rule = 0; rule < 3; rule++) {
        bool seen[1000] = {false};
        size_t sizes[5][2] = {{0}}, n_seen = 0;
        for (int fold = 1; fold <= 5; fold++) mark_fold(seen, sizes[fold - 1], by[rule], 5, fold);
        for (size_t i = 0; i < 1000; i++) n_seen += seen[i];
        assert_int_equal(n_seen, 300);
        for (int c = 0; c < 2 && rule < 2; c++) {
            size_t least = sizes[0][c], most = sizes[0][c];
            for (int f = 1; f < 5; f++) {
                least = sizes[f][c] < least ? sizes[f][c] : least;
                most = sizes[f][c] > most ? sizes[f][c] : most;
            }
            assert_true(most - least <= (rule == 0 ? 1 : slack[c]));
        }
    }
}

/* Patients with images of several of four classes, some rare: all folds get their share of each. */
static void folds_of_many_classes(void **state) {
    (void)state;
    char name[64];
    for (int p = 0; p < 120; p++)
        for (int i = 0; i < 1 + p % 3; i++) {
            snprintf(name, sizeof name, "%c/p%d_%d.png", "AABABCAD"[(p + 3 * i) % 8], p, i);
            tree_file(name);
        }
    size_t sum = 0;
    for (int fold = 1; fold <= 4; fold++) {
        eg_dataset *ds = open_set(tree_root, "prefix");
        const eg_split_rule rule = {.by = "patient", .folds = 4, .fold = fold, .seed = 2};
        assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &rule, NULL), EG_OK);
        for (int c = 0; c < 4; c++) {
            double total = (double)(count(ds, EG_SPLIT_TRAIN, c) + count(ds, EG_SPLIT_VAL, c));
            assert_true(fabs((double)count(ds, EG_SPLIT_VAL, c) - total / 4) <= 2);
            sum += count(ds, EG_SPLIT_VAL, c);
        }
        eg_dataset_free(ds);
    }
    assert_int_equal(sum, 240);
}

/* Two patients, large and small, in one class: the smaller goes, whatever the order. One alone
 * cannot be split. */
static void few_patients(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "A/p%d_%d.png", i % 3 == 0, i); // p0: 8 images, p1: 4
        tree_file(name);
        snprintf(name, sizeof name, "B/q%d_%d.png", i, i);
        tree_file(name);
    }
    for (uint64_t seed = 0; seed < 8; seed++) {
        eg_dataset *ds = open_set(tree_root, "prefix");
        assert_int_equal(
            eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                             &(eg_split_rule){.by = "patient", .share = 0.1, .seed = seed}, NULL),
            EG_OK);
        assert_int_equal(count(ds, EG_SPLIT_VAL, 0), 4);
        assert_int_equal(count(ds, EG_SPLIT_VAL, 1), 1);
        eg_dataset_free(ds);
    }
    for (int i = 0; i < 12; i += 3) {
        snprintf(name, sizeof name, "A/p1_%d.png", i);
        assert_int_equal(unlink(tree_path(name)), 0);
    }
    eg_dataset *ds = open_set(tree_root, "prefix");
    eg_error err = {0};
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = 0.1, .seed = 1},
                                      &err),
                     EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "class A"));
    assert_non_null(strstr(err.text, "--val-by image"));
    assert_int_equal(count(ds, EG_SPLIT_ALL, 0), 8); // untouched
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "image", .share = 0.1, .seed = 1},
                                      &err),
                     EG_OK);
    eg_dataset_free(ds);
}

/* Patients with an image in each class: their files are far apart in the order, and still stay
 * together. */
static void patients_of_two_classes(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "ill/p%d_left.png", i);
        tree_file(name);
        snprintf(name, sizeof name, "well/p%d_right.png", i);
        tree_file(name);
    }
    eg_dataset *ds = open_set(tree_root, "prefix");
    size_t shared = 1, apparent;
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = 0.2, .seed = 1},
                                      NULL),
                     EG_OK);
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL);
    assert_int_equal(shared, 0);
    assert_int_equal(count(ds, EG_SPLIT_VAL, 0), 6);
    assert_int_equal(count(ds, EG_SPLIT_VAL, 1), 6);
    eg_dataset_free(ds);
}

static void refusals(void **state) {
    (void)state;
    tree_file("A/1.png");
    tree_file("B/1.png");
    tree_file("B/2.png");
    eg_dataset *ds = open_set(tree_root, NULL);
    eg_error err = {0};
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = 0.2, .seed = 1},
                                      &err),
                     EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "class A has 1 training image"));
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = 0, .seed = 1},
                                      NULL),
                     EG_ERR_USAGE);
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = 1, .seed = 1},
                                      NULL),
                     EG_ERR_USAGE);
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "patient", .share = NAN, .seed = 1},
                                      NULL),
                     EG_ERR_USAGE);
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                                      &(eg_split_rule){.by = "scanner", .share = 0.2, .seed = 1},
                                      &err),
                     EG_ERR_USAGE);
    const struct {
        eg_split_rule rule;
        const char *part;
    } wrong[] = {{{.folds = 1, .fold = 1}, "folds: 1"},
                 {{.folds = -2, .fold = 1}, "folds: -2"},
                 {{.folds = 2, .fold = 3}, "fold: 3 is not between 1 and 2"},
                 {{.folds = 2, .fold = 0}, "fold: 0"}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &wrong[i].rule, &err),
                         EG_ERR_USAGE);
        assert_non_null(strstr(err.text, wrong[i].part));
    }
    const eg_split_rule folds = {.folds = 2, .fold = 1};
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &folds, &err),
                     EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "do not reach every one of 2 folds"));
    for (uint64_t k = 1; k <= 9; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(
            eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL,
                             &(eg_split_rule){.by = "patient", .share = 0.2, .seed = 1}, NULL),
            EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
    }
    eg_dataset_free(ds);
}

#define IN_TREE(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patients_stay_whole),
        cmocka_unit_test(by_image_is_exact),
        cmocka_unit_test(seed_decides),
        IN_TREE(bare_tree_becomes_train),
        IN_TREE(test_then_validation),
        cmocka_unit_test(folds_cover_everything),
        IN_TREE(folds_of_many_classes),
        IN_TREE(few_patients),
        IN_TREE(refusals),
        IN_TREE(patients_of_two_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
