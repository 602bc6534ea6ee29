/* Splits by runs of neighbouring ids: the order of ids, one run a series and class, its place drawn, folds side by side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/split.h"
#include "temp_tree.h"

#include <math.h>

static void natural_order(void **state) {
    (void)state;
    static const char *const sorted[] = {"",          "00",      "7",  "10",  "a",  "a/IM-2",
                                         "a/IM-0010", "a/IM-11", "b1", "b1x", "b02"};
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        for (size_t j = 0; j < sizeof sorted / sizeof *sorted; j++) {
            int order = eg_data_natural_compare(sorted[i], sorted[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    assert_int_equal(eg_data_natural_compare("p007", "p7"), 0);
    assert_true(eg_data_natural_compare("p99999999999999999999998", "p99999999999999999999999") <
                0);
}

/* Kermany's names: bacteria 1..40, virus 1..30 (two images each), IM 100..159. */
static void make_tree(void) {
    char name[64];
    for (int i = 1; i <= 40; i++) {
        snprintf(name, sizeof name, "P/person%d_bacteria_%d.jpeg", i, i);
        tree_file(name);
    }
    for (int i = 1; i <= 60; i++) {
        snprintf(name, sizeof name, "P/person%d_virus_%d.jpeg", (i + 1) / 2, i);
        tree_file(name);
    }
    for (int i = 100; i < 160; i++) {
        snprintf(name, sizeof name, "N/IM-%04d-0001.jpeg", i);
        tree_file(name);
    }
}

static eg_dataset *split_tree(const eg_split_rule *rule) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    if (eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, rule, &err) != EG_OK)
        fail_msg("%s", err.text);
    return ds;
}

/* Smallest and largest number of a series among validation, and how many images; numbers of train inside: none allowed. */
typedef struct {
    int first, last, n_images;
} run;

static run run_of(const eg_dataset *ds, const char *series) {
    run r = {1 << 30, 0, 0};
    size_t n = strlen(series);
    for (size_t i = 0; i < ds->n_samples; i++) {
        const eg_sample *s = &ds->samples[i];
        if (s->split != EG_SPLIT_VAL || strncmp(s->patient, series, n) != 0) continue;
        int number = atoi(s->patient + n);
        r.first = number < r.first ? number : r.first;
        r.last = number > r.last ? number : r.last;
        r.n_images++;
    }
    for (size_t i = 0; i < ds->n_samples; i++) {
        const eg_sample *s = &ds->samples[i];
        if (s->split == EG_SPLIT_VAL || strncmp(s->patient, series, n) != 0) continue;
        int number = atoi(s->patient + n);
        if (number >= r.first && number <= r.last) fail_msg("%s is inside the run", s->patient);
    }
    return r;
}

static void one_run_a_series(void **state) {
    (void)state;
    int first_seen = -1, n_places = 0;
    make_tree();
    for (uint64_t seed = 0; seed < 12; seed++) {
        eg_dataset *ds = split_tree(&(eg_split_rule){.by = "block", .share = 0.2, .seed = seed});
        assert_string_equal(ds->patient_rule, "kermany");
        run bacteria = run_of(ds, "bacteria/person"), virus = run_of(ds, "virus/person"),
            normal = run_of(ds, "normal/IM-");
        assert_int_equal(bacteria.n_images, 8);
        assert_int_equal(virus.n_images, 12);
        assert_int_equal(normal.n_images, 12);
        assert_int_equal(bacteria.last - bacteria.first, 7);
        assert_int_equal(virus.last - virus.first, 5);
        assert_int_equal(normal.last - normal.first, 11);
        n_places += bacteria.first != first_seen;
        first_seen = bacteria.first;
        eg_dataset_free(ds);
    }
    assert_true(n_places > 4); // the seed decides where
}

static void folds_stand_side_by_side(void **state) {
    (void)state;
    make_tree();
    int next = 1;
    for (int fold = 1; fold <= 4; fold++) {
        eg_dataset *ds = split_tree(&(eg_split_rule){.by = "block", .folds = 4, .fold = fold});
        run bacteria = run_of(ds, "bacteria/person"), virus = run_of(ds, "virus/person");
        assert_int_equal(bacteria.first, next);
        assert_int_equal(bacteria.last, next + 9);
        assert_true(virus.n_images >= 14 && virus.n_images <= 16);
        next += 10;
        eg_dataset_free(ds);
    }
}

/* Without patients the file names give the order; series of a single image are cut together. */
static void names_without_patients(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "A/x%d.png", i);
        tree_file(name);
        snprintf(name, sizeof name, "B/%c%c.png", 'a' + i % 26, 'a' + i / 26);
        tree_file(name);
        snprintf(name, sizeof name, "C/%c%cz%d.png", 'a' + i % 26, 'a' + i / 26,
                 i); // 30 series of one
        tree_file(name);
    }
    eg_dataset *ds = split_tree(&(eg_split_rule){.by = "block", .share = 0.1, .seed = 1});
    size_t n[3] = {0};
    int first = 99, last = 0;
    for (size_t i = 0; i < ds->n_samples; i++) {
        if (ds->samples[i].split != EG_SPLIT_VAL) continue;
        n[ds->samples[i].label]++;
        if (ds->samples[i].label != 0) continue;
        int number = atoi(ds->samples[i].file + 3);
        first = number < first ? number : first;
        last = number > last ? number : last;
    }
    assert_true(n[0] == 3 && n[1] == 3 && n[2] == 3);
    assert_int_equal(last - first, 2);
    eg_dataset_free(ds);
}

#define IN_TREE(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(natural_order),
        IN_TREE(one_run_a_series),
        IN_TREE(folds_stand_side_by_side),
        IN_TREE(names_without_patients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
