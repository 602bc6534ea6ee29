/* The plan of a phantom: a clean one is balanced, without shared patients and without anything that
 * gives the class away; each fault changes what it says, by how much it says, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/patients.h"
#include "data/phantom.h"

#include <stdlib.h>
#include <string.h>

static eg_data_phantom_plan made(size_t n, uint64_t seed, const char *plant) {
    eg_data_phantom_options o = {
        .n_images = n, .width = 64, .height = 48, .seed = seed, .extension = "png"};
    eg_data_phantom_plan plan;
    eg_error err = {0};
    assert_int_equal(eg_data_faults_parse(&o.faults, plant, &err), EG_OK);
    assert_int_equal(eg_data_phantom_plan_make(&plan, &o, &err), EG_OK);
    return plan;
}

static size_t total(const eg_data_phantom_plan *plan, eg_split split) {
    return plan->count[split][0] + plan->count[split][1];
}

/* Patients that have images in both splits, by the names of the files as a user's program sees them. */
static size_t count_shared(const eg_data_phantom_plan *plan, eg_split a, eg_split b) {
    size_t shared = 0;
    uint8_t *seen = calloc(2, plan->n_images + 1);
    assert_non_null(seen);
    for (size_t i = 0; i < plan->n_images; i++) {
        const eg_data_phantom_image *image = &plan->images[i];
        assert_true(image->patient < plan->n_images);
        if (image->split == a) seen[2 * image->patient] = 1;
        if (image->split == b) seen[2 * image->patient + 1] = 1;
    }
    for (size_t p = 0; p < plan->n_images; p++) shared += seen[2 * p] && seen[2 * p + 1];
    free(seen);
    return shared;
}

static void same_number_whatever_the_size(void **state) {
    (void)state;
    const size_t sizes[] = {8, 9, 10, 37, 400, 1001};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        eg_data_phantom_plan plan = made(sizes[k], k, NULL);
        assert_int_equal(plan.n_images, sizes[k]);
        assert_int_equal(total(&plan, EG_SPLIT_TRAIN) + total(&plan, EG_SPLIT_VAL) +
                             total(&plan, EG_SPLIT_TEST),
                         sizes[k]);
        for (int s = 0; s < EG_SPLIT_ALL; s++) {
            size_t n = plan.count[s][0], p = plan.count[s][1];
            assert_true(n >= 1 && p >= 1 && (n == p || n + 1 == p || p + 1 == n));
        }
        eg_data_phantom_plan_free(&plan);
    }
    eg_data_phantom_plan plan = made(400, 0, NULL);
    assert_int_equal(total(&plan, EG_SPLIT_TRAIN), 240);
    assert_int_equal(total(&plan, EG_SPLIT_VAL), 60);
    assert_int_equal(total(&plan, EG_SPLIT_TEST), 100);
    eg_data_phantom_plan_free(&plan);
}

static void patients_and_names(void **state) {
    (void)state;
    eg_data_phantom_plan plan = made(300, 3, NULL);
    size_t *n_images = calloc(plan.n_images, sizeof *n_images);
    int *label = calloc(plan.n_images, sizeof *label);
    assert_non_null(n_images);
    assert_non_null(label);
    size_t patients = 0;
    for (size_t i = 0; i < plan.n_images; i++) {
        const eg_data_phantom_image *image = &plan.images[i];
        assert_true(i == 0 || strcmp(plan.images[i - 1].file, image->file) < 0);
        char id[EG_DATA_PATIENT_BYTES], expected[EG_DATA_PATIENT_BYTES];
        assert_true(eg_data_patient_kermany(id, image->file));
        snprintf(expected, sizeof expected, "normal/IM-%04u", image->patient + 1);
        assert_string_equal(id, expected);
        patients += n_images[image->patient]++ == 0;
        assert_true(n_images[image->patient] <= 4);
        if (n_images[image->patient] > 1) assert_int_equal(label[image->patient], image->label);
        label[image->patient] = image->label;
        assert_int_equal(image->label, image->true_label);
        assert_int_equal(image->spec.ill, image->label);
        assert_int_equal(image->opacity.n > 0, image->label);
        assert_int_equal(image->planted, 0);
    }
    assert_int_equal(patients, plan.patients[0] + plan.patients[1] + plan.patients[2]);
    assert_true(patients > plan.n_images / 4 && patients < plan.n_images * 2 / 3);
    assert_int_equal(count_shared(&plan, EG_SPLIT_TRAIN, EG_SPLIT_TEST), 0);
    assert_int_equal(count_shared(&plan, EG_SPLIT_TRAIN, EG_SPLIT_VAL), 0);
    assert_int_equal(count_shared(&plan, EG_SPLIT_VAL, EG_SPLIT_TEST), 0);
    free(n_images);
    free(label);
    eg_data_phantom_plan_free(&plan);
}

/* Is everything of the images the same, the bits of `ignored` aside? */
static void assert_same_images(const eg_data_phantom_plan *a, const eg_data_phantom_plan *b) {
    assert_int_equal(a->n_images, b->n_images);
    for (size_t i = 0; i < a->n_images; i++) {
        assert_string_equal(a->images[i].file, b->images[i].file);
        assert_int_equal(a->images[i].spec.anatomy, b->images[i].spec.anatomy);
        assert_int_equal(a->images[i].spec.key, b->images[i].spec.key);
        assert_int_equal(a->images[i].true_label, b->images[i].true_label);
    }
}

static void seeds_and_nothing_else(void **state) {
    (void)state;
    eg_data_phantom_plan a = made(60, 5, NULL), b = made(60, 5, "marker=0\nimbalance=0"),
                         c = made(60, 6, NULL);
    assert_same_images(&a, &b);
    assert_memory_equal(a.count, b.count, sizeof a.count);
    size_t differ = 0;
    for (size_t i = 0; i < a.n_images; i++)
        differ += strcmp(a.images[i].file, c.images[i].file) != 0;
    assert_true(differ > 30);
    eg_data_phantom_plan_free(&a);
    eg_data_phantom_plan_free(&b);
    eg_data_phantom_plan_free(&c);
}

/* ---- faults of the plan ---- */

static void label_noise_flips_both_ways(void **state) {
    (void)state;
    eg_data_phantom_plan plan = made(400, 1, "label_noise");
    size_t flipped[2] = {0, 0};
    for (size_t i = 0; i < plan.n_images; i++) {
        const eg_data_phantom_image *image = &plan.images[i];
        bool wrong = image->label != image->true_label;
        assert_int_equal(wrong, image->planted >> EG_DATA_FAULT_LABEL_NOISE & 1);
        if (!wrong) continue;
        assert_int_equal(image->split, EG_SPLIT_TRAIN);
        assert_non_null(strstr(image->file, eg_data_phantom_classes[image->label]));
        assert_int_equal(image->spec.ill, image->true_label);
        flipped[image->label]++;
    }
    assert_int_equal(flipped[0], 24); /* 20 % of 120 */
    assert_int_equal(flipped[1], 24);
    assert_int_equal(plan.planted[EG_DATA_FAULT_LABEL_NOISE], 48);
    assert_int_equal(plan.count[EG_SPLIT_TRAIN][0], 120);
    eg_data_phantom_plan_free(&plan);
}

static void class_shares(void **state) {
    (void)state;
    eg_data_phantom_plan plan = made(400, 1, "imbalance=1");
    for (int s = 0; s < EG_SPLIT_ALL; s++)
        assert_true(plan.count[s][1] == (size_t)(0.9 * (double)total(&plan, (eg_split)s) + 0.5));
    eg_data_phantom_plan_free(&plan);
    plan = made(400, 1, "imbalance");
    assert_int_equal(plan.count[EG_SPLIT_TRAIN][1], 200);
    assert_int_equal(plan.count[EG_SPLIT_TRAIN][0], 40);
    eg_data_phantom_plan_free(&plan);
    plan = made(400, 1, "prior_shift");
    assert_int_equal(plan.count[EG_SPLIT_TRAIN][1], 120);
    assert_int_equal(plan.count[EG_SPLIT_VAL][1], 30);
    assert_int_equal(plan.count[EG_SPLIT_TEST][1], 70);
    assert_int_equal(plan.n_images, 400);
    eg_data_phantom_plan_free(&plan);
    plan = made(400, 1, "few_images");
    assert_int_equal(total(&plan, EG_SPLIT_TRAIN), 43);
    assert_int_equal(total(&plan, EG_SPLIT_TEST), 100);
    eg_data_phantom_plan_free(&plan);
    plan = made(8, 1,
                "few_images=1\nimbalance=1\nprior_shift=1\nlabel_noise=1\npatient_leak=1\n"
                "duplicates=1");
    for (int s = 0; s < EG_SPLIT_ALL; s++) assert_true(total(&plan, (eg_split)s) >= 2);
    eg_data_phantom_plan_free(&plan);
}

static void patients_leak_under_their_id(void **state) {
    (void)state;
    eg_data_phantom_plan plan = made(400, 1, "patient_leak");
    size_t leaked = 0;
    for (size_t i = 0; i < plan.n_images; i++) {
        const eg_data_phantom_image *image = &plan.images[i];
        if (!(image->planted >> EG_DATA_FAULT_PATIENT_LEAK & 1)) continue;
        assert_int_equal(image->split, EG_SPLIT_TEST);
        leaked++;
        bool in_train = false;
        for (size_t k = 0; k < plan.n_images && !in_train; k++)
            in_train = plan.images[k].split == EG_SPLIT_TRAIN &&
                       plan.images[k].patient == image->patient &&
                       plan.images[k].label == image->label &&
                       plan.images[k].spec.anatomy == image->spec.anatomy &&
                       plan.images[k].spec.key != image->spec.key;
        assert_true(in_train);
    }
    assert_in_range(leaked, 20, 26); /* 20 % of 100, rounded up to whole patients */
    assert_in_range(count_shared(&plan, EG_SPLIT_TRAIN, EG_SPLIT_TEST), 5, 20);
    assert_int_equal(count_shared(&plan, EG_SPLIT_TRAIN, EG_SPLIT_VAL), 0);
    eg_data_phantom_plan_free(&plan);
}

static void duplicates_cross_the_splits(void **state) {
    (void)state;
    eg_data_phantom_plan plan = made(400, 1, "duplicates\nlabel_noise");
    size_t exact = 0, near = 0;
    for (size_t i = 0; i < plan.n_images; i++) {
        const eg_data_phantom_image *image = &plan.images[i];
        if (image->copy == EG_DATA_COPY_NONE) continue;
        const eg_data_phantom_image *source = &plan.images[image->copy_of];
        assert_int_equal(image->split, EG_SPLIT_TEST);
        assert_int_equal(source->split, EG_SPLIT_TRAIN);
        assert_int_equal(source->copy, EG_DATA_COPY_NONE);
        assert_int_equal(source->true_label, image->true_label);
        assert_int_not_equal(source->patient, image->patient);
        assert_memory_equal(&source->spec, &image->spec, sizeof image->spec);
        exact += image->copy == EG_DATA_COPY_EXACT;
        near += image->copy == EG_DATA_COPY_NEAR;
    }
    assert_int_equal(exact, 5); /* 10 % of 100 in all */
    assert_int_equal(near, 5);
    eg_data_phantom_plan_free(&plan);
    plan = made(8, 1, "duplicates=0.01"); /* also of the smallest set one of each kind */
    assert_int_equal(plan.planted[EG_DATA_FAULT_DUPLICATES], 2);
    eg_data_phantom_plan_free(&plan);
}

/* ---- faults of the pixels ---- */

/* Share of the images of a split and class that carry the mark of `fault`. */
static double share(const eg_data_phantom_plan *plan, eg_data_fault fault, eg_split split,
                    int label) {
    size_t n = 0;
    for (size_t i = 0; i < plan->n_images; i++)
        if (plan->images[i].split == split && plan->images[i].true_label == label)
            n += plan->images[i].planted >> fault & 1;
    return (double)n / (double)plan->count[split][label];
}

/* The fault's name, and the shares marked in train NORMAL, train PNEUMONIA, test NORMAL, test PNEUMONIA. */
static const struct {
    eg_data_fault fault;
    double expected[4];
} pixel_faults[] = {
    {EG_DATA_FAULT_FRAMING_SHIFT, {1, 0, 0, 0}}, {EG_DATA_FAULT_EXPOSURE_DRIFT, {0, 0, 1, 1}},
    {EG_DATA_FAULT_BLUR_DRIFT, {0, 0, 1, 1}},    {EG_DATA_FAULT_NOISE_DRIFT, {0, 0, 1, 1}},
    {EG_DATA_FAULT_HARD_SIGNAL, {0, 1, 0, 1}},   {EG_DATA_FAULT_RESOLUTION, {0, 1, 0, 1}},
    {EG_DATA_FAULT_SUBTYPE_SHIFT, {0, 0, 0, 1}},
};

static void pixel_faults_leave_the_plan(void **state) {
    (void)state;
    eg_data_phantom_plan clean = made(400, 2, NULL);
    for (size_t k = 0; k < sizeof pixel_faults / sizeof *pixel_faults; k++) {
        eg_data_phantom_plan plan = made(400, 2, eg_data_fault_name(pixel_faults[k].fault));
        assert_same_images(&clean, &plan);
        for (int i = 0; i < 4; i++) {
            double found =
                share(&plan, pixel_faults[k].fault, i < 2 ? EG_SPLIT_TRAIN : EG_SPLIT_TEST, i % 2);
            assert_true(found == pixel_faults[k].expected[i]);
        }
        eg_data_phantom_plan_free(&plan);
    }
    eg_data_phantom_plan_free(&clean);
}

static void markers_are_tied_in_train_only(void **state) {
    (void)state;
    eg_data_phantom_plan plan = made(2000, 2, "marker");
    eg_data_fault f = EG_DATA_FAULT_MARKER;
    assert_true(share(&plan, f, EG_SPLIT_TRAIN, 1) > 0.8 &&
                share(&plan, f, EG_SPLIT_TRAIN, 1) < 0.9);
    assert_true(share(&plan, f, EG_SPLIT_TRAIN, 0) > 0.1 &&
                share(&plan, f, EG_SPLIT_TRAIN, 0) < 0.2);
    assert_true(share(&plan, f, EG_SPLIT_VAL, 1) > 0.75);
    assert_true(share(&plan, f, EG_SPLIT_TEST, 1) > 0.4 && share(&plan, f, EG_SPLIT_TEST, 1) < 0.6);
    assert_true(share(&plan, f, EG_SPLIT_TEST, 0) > 0.4 && share(&plan, f, EG_SPLIT_TEST, 0) < 0.6);
    for (size_t i = 0; i < plan.n_images; i++)
        assert_int_equal(plan.images[i].spec.marker, plan.images[i].planted >> f & 1);
    eg_data_phantom_plan_free(&plan);
    plan = made(400, 2, "marker=1");
    assert_true(share(&plan, f, EG_SPLIT_TRAIN, 1) == 1 && share(&plan, f, EG_SPLIT_TRAIN, 0) == 0);
    eg_data_phantom_plan_free(&plan);
}

static double diffuse_share(const eg_data_phantom_plan *plan, eg_split split) {
    size_t n = 0, ill = 0;
    for (size_t i = 0; i < plan->n_images; i++) {
        const eg_data_phantom_image *image = &plan->images[i];
        if (image->split != split || !image->true_label) continue;
        ill++;
        n += image->spec.kind == EG_DATA_OPACITY_DIFFUSE;
    }
    return (double)n / (double)ill;
}

static void subtypes_differ_when_planted(void **state) {
    (void)state;
    eg_data_phantom_plan plan = made(2000, 4, NULL);
    double train = diffuse_share(&plan, EG_SPLIT_TRAIN), test = diffuse_share(&plan, EG_SPLIT_TEST);
    assert_true(train > 0.12 && train < 0.28 && test > 0.12 && test < 0.28);
    eg_data_phantom_plan_free(&plan);
    plan = made(2000, 4, "subtype_shift=1");
    assert_true(diffuse_share(&plan, EG_SPLIT_TRAIN) == 0);
    assert_true(diffuse_share(&plan, EG_SPLIT_TEST) == 1);
    eg_data_phantom_plan_free(&plan);
}

static void no_memory_is_an_error(void **state) {
    (void)state;
    eg_data_phantom_options o = {.n_images = 50, .width = 32, .height = 32, .extension = "png"};
    assert_int_equal(eg_data_faults_parse(&o.faults, "duplicates", NULL), EG_OK);
    size_t before = eg_memory_stats_get().bytes_now;
    eg_status status = EG_ERR_NO_MEMORY;
    for (uint64_t k = 1; status != EG_OK; k++) {
        assert_true(k < 100);
        eg_data_phantom_plan plan;
        eg_error err = {0};
        eg_memory_fail_at(k);
        status = eg_data_phantom_plan_make(&plan, &o, &err);
        eg_memory_fail_at(0);
        if (status == EG_OK) eg_data_phantom_plan_free(&plan);
        assert_true(status == EG_OK || status == EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_number_whatever_the_size),
        cmocka_unit_test(patients_and_names),
        cmocka_unit_test(seeds_and_nothing_else),
        cmocka_unit_test(label_noise_flips_both_ways),
        cmocka_unit_test(class_shares),
        cmocka_unit_test(patients_leak_under_their_id),
        cmocka_unit_test(duplicates_cross_the_splits),
        cmocka_unit_test(pixel_faults_leave_the_plan),
        cmocka_unit_test(markers_are_tied_in_train_only),
        cmocka_unit_test(subtypes_differ_when_planted),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
