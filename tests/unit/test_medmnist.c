/* .npz in MedMNIST's layout: gray and RGB, labels of every integer type and order, sets with and without splits, rows that stay
 * their own after a new split; every refusal; every allocation made to fail once. With ENGRAFT_PNEUMONIA_NPZ set to a PneumoniaMNIST
 * of 2428, 270 and 468 images, that too (skipped otherwise). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_memory.h"
#include "temp_tree.h"

static uint8_t pixels[4096];

static void write_set(const eg_npy_array *arrays, size_t n) {
    eg_error err = {0};
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)i;
    if (eg_npz_write(tree_path("set.npz"), arrays, n, &err) != EG_OK) fail_msg("%s", err.text);
}

static eg_dataset *open_set(void) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    if (eg_dataset_open(&ds, tree_path("set.npz"), NULL, &err) != EG_OK) fail_msg("%s", err.text);
    return ds;
}

static const eg_sample *sample_of(const eg_dataset *ds, const char *file) {
    for (size_t i = 0; i < ds->n_samples; i++)
        if (strcmp(ds->samples[i].file, file) == 0) return &ds->samples[i];
    fail_msg("%s is not there", file);
    return NULL;
}

/* Gray, three classes that are not 0, 1, 2, and one of them in train and test only. */
static void gray_splits(void **state) {
    (void)state;
    const uint8_t train[] = {10, 2, 7, 10}, val[] = {2}, test[] = {7, 2};
    const eg_npy_array arrays[] = {{"train_images", "|u1", 3, {4, 4, 5}, pixels, 80},
                                   {"train_labels", "|u1", 2, {4, 1}, train, 4},
                                   {"val_images", "|u1", 3, {1, 4, 5}, pixels, 20},
                                   {"val_labels", "|u1", 2, {1, 1}, val, 1},
                                   {"test_images", "|u1", 3, {2, 4, 5}, pixels, 40},
                                   {"test_labels", "|u1", 2, {2, 1}, test, 2}};
    write_set(arrays, 6);
    eg_dataset *ds = open_set();
    assert_int_equal(ds->n_classes, 3);
    assert_string_equal(ds->classes[0], "2");
    assert_string_equal(ds->classes[1], "7");
    assert_string_equal(ds->classes[2], "10");
    assert_true(ds->has_val && ds->has_test);
    assert_int_equal(ds->n_samples, 7);
    const eg_sample *s = sample_of(ds, "train_images/3");
    assert_true(s->label == 2 && s->split == EG_SPLIT_TRAIN && s->row == 3);
    assert_true(s->width == 5 && s->height == 4);
    assert_int_equal(sample_of(ds, "test_images/0")->label, 1);
    assert_string_equal(ds->patient_rule, "none");
    char hash[65];
    assert_int_equal(eg_sha256_file(hash, tree_path("set.npz"), NULL), EG_OK);
    assert_string_equal(ds->fingerprint, hash);
    eg_dataset_free(ds);
}

/* Every dtype that holds integers gives the same labels; negative ones come first. */
static void label_types(void **state) {
    (void)state;
    static const int8_t i1[] = {-1, 3, 100};
    static const int16_t i2[] = {-1, 3, 100};
    static const int32_t i4[] = {-1, 3, 100};
    static const int64_t i8[] = {-1, 3, 100};
    static const uint16_t u2[] = {1, 300, 65535};
    static const uint64_t u8[] = {1, 300, 65535};
    const struct {
        const char *descr, *first;
        const void *data;
        size_t n_bytes;
    } types[] = {{"|i1", "-1", i1, 3},  {"<i2", "-1", i2, 6}, {"<i4", "-1", i4, 12},
                 {"<i8", "-1", i8, 24}, {"<u2", "1", u2, 6},  {"<u8", "1", u8, 24}};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const eg_npy_array arrays[] = {
            {"images", "|u1", 4, {3, 2, 2, 3}, pixels, 36},
            {"labels", types[t].descr, 1, {3}, types[t].data, types[t].n_bytes}};
        write_set(arrays, 2);
        eg_dataset *ds = open_set();
        assert_int_equal(ds->n_classes, 3);
        assert_string_equal(ds->classes[0], types[t].first);
        assert_string_equal(ds->classes[2], types[t].first[0] == '-' ? "100" : "65535");
        assert_int_equal(ds->samples[0].split, EG_SPLIT_ALL);
        assert_string_equal(ds->samples[2].file, "images/2");
        eg_dataset_free(ds);
    }
}

/* A row belongs to the array it came from, whatever split it is in later. */
static void rows_survive_a_split(void **state) {
    (void)state;
    uint8_t labels[20];
    for (int i = 0; i < 20; i++) labels[i] = i % 2;
    const eg_npy_array arrays[] = {{"train_images", "|u1", 3, {20, 2, 3}, pixels, 120},
                                   {"train_labels", "|u1", 1, {20}, labels, 20},
                                   {"test_images", "|u1", 3, {2, 2, 3}, pixels + 128, 12},
                                   {"test_labels", "|u1", 1, {2}, labels, 2}};
    write_set(arrays, 4);
    eg_dataset *ds = open_set();
    const eg_split_rule rule = {.by = "image", .share = 0.3, .seed = 1};
    assert_int_equal(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &rule, NULL), EG_OK);
    size_t n_val = 0;
    for (uint32_t i = 0; i < ds->n_samples; i++) {
        const eg_sample *s = &ds->samples[i];
        eg_image image = {0};
        assert_int_equal(eg_dataset_image(&image, ds, i, NULL), EG_OK);
        int base = s->split == EG_SPLIT_TEST ? 128 : 0;
        for (int k = 0; k < 6; k++)
            assert_int_equal(image.pixels[k], (uint8_t)(base + s->row * 6 + k));
        n_val += s->split == EG_SPLIT_VAL;
        eg_image_free(&image);
    }
    assert_int_equal(n_val, 6);
    eg_dataset_free(ds);
}

static void refused(const eg_npy_array *arrays, size_t n, eg_status expected, const char *part) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    write_set(arrays, n);
    assert_int_equal(eg_dataset_open(&ds, tree_path("set.npz"), NULL, &err), expected);
    assert_null(ds);
    if (strncmp(err.text, tree_root, strlen(tree_root)) != 0 || !strstr(err.text, part))
        fail_msg("message: %s\nexpected: %s", err.text, part);
}

static void refusals(void **state) {
    (void)state;
    static const uint8_t labels[28] = {0, 1};
    static const float floats[24];
    const eg_npy_array images = {"train_images", "|u1", 3, {2, 3, 4}, pixels, 24};
    const eg_npy_array good = {"train_labels", "|u1", 1, {2}, labels, 2};
    const eg_npy_array alone[] = {images};
    refused(alone, 1, EG_ERR_INPUT, "train_images and train_labels belong together: the latter");
    const eg_npy_array other[] = {{"x", "|u1", 1, {2}, labels, 2}};
    refused(other, 1, EG_ERR_INPUT, "no images: expected the arrays train_images");
    const eg_npy_array multi[] = {images, {"train_labels", "|u1", 2, {2, 14}, labels, 28}};
    refused(multi, 2, EG_ERR_INPUT, "14 labels an image (multi-label, as ChestMNIST)");
    const eg_npy_array fewer[] = {images, {"train_labels", "|u1", 1, {1}, labels, 1}};
    refused(fewer, 2, EG_ERR_INPUT, "1 labels for 2 images");
    const eg_npy_array real[] = {images, {"train_labels", "<f4", 1, {2}, floats, 8}};
    refused(real, 2, EG_ERR_INPUT, "dtype <f4, expected integers");
    const eg_npy_array volume[] = {{"train_images", "|u1", 4, {2, 3, 2, 2}, pixels, 24}, good};
    refused(volume, 2, EG_ERR_INPUT, "volumes (3D sets of MedMNIST)");
    const eg_npy_array flat[] = {{"train_images", "|u1", 2, {2, 12}, pixels, 24}, good};
    refused(flat, 2, EG_ERR_INPUT, "shape (2,12)");
    const eg_npy_array scaled[] = {{"train_images", "<f4", 3, {2, 3, 4}, floats, 96}, good};
    refused(scaled, 2, EG_ERR_INPUT, "dtype <f4: expected uint8");
    static const uint8_t ones[2] = {1, 1};
    const eg_npy_array same[] = {images, {"train_labels", "|u1", 1, {2}, ones, 2}};
    refused(same, 2, EG_ERR_INPUT, "only one class (1)");
    static const uint8_t strange[2] = {0, 5};
    const eg_npy_array only_test[] = {images,
                                      good,
                                      {"test_images", "|u1", 3, {2, 3, 4}, pixels, 24},
                                      {"test_labels", "|u1", 1, {2}, strange, 2}};
    refused(only_test, 4, EG_ERR_INPUT, "class 5 is in test (test_images/1)");
}

static void every_allocation_fails_once(void **state) {
    (void)state;
    static const uint8_t labels[2] = {0, 1};
    const eg_npy_array arrays[] = {{"images", "|u1", 3, {2, 3, 4}, pixels, 24},
                                   {"labels", "|u1", 1, {2}, labels, 2}};
    write_set(arrays, 2);
    dataset_open_without_memory(tree_path("set.npz"));
}

static void real_file(void **state) {
    (void)state;
    const char *path = getenv("ENGRAFT_PNEUMONIA_NPZ");
    if (!path) skip();
    eg_dataset *ds = NULL;
    eg_error err = {0};
    if (eg_dataset_open(&ds, path, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    size_t n[EG_SPLIT_COUNT] = {0};
    for (size_t i = 0; i < ds->n_samples; i++) n[ds->samples[i].split]++;
    assert_int_equal(n[EG_SPLIT_TRAIN], 2428);
    assert_int_equal(n[EG_SPLIT_VAL], 270);
    assert_int_equal(n[EG_SPLIT_TEST], 468);
    assert_int_equal(ds->n_classes, 2);
    eg_image image = {0};
    assert_int_equal(eg_dataset_image(&image, ds, 0, NULL), EG_OK);
    assert_true(image.width == 28 && image.height == 28 && image.channels == 1);
    eg_image_free(&image);
    eg_dataset_free(ds);
}

#define IN_TREE(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_TREE(gray_splits),
        IN_TREE(label_types),
        IN_TREE(rows_survive_a_split),
        IN_TREE(refusals),
        IN_TREE(every_allocation_fails_once),
        cmocka_unit_test(real_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
