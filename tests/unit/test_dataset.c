/* What a data set is opened as, whatever it came from: the source by what the path is, where an image lies, its pixels, its
 * hash; and samples dropped. The sources themselves: test_tree.c, test_manifest.c, test_medmnist.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "temp_tree.h"

#include <sys/stat.h>

/* A gray PNG of 3 x 2 pixels that are first, first + 1, ... */
static void png(const char *relative, int first) {
    uint8_t pixels[6];
    for (int i = 0; i < 6; i++) pixels[i] = (uint8_t)(first + i);
    eg_image image = {3, 2, 1, pixels, false};
    eg_buffer bytes = {0};
    assert_int_equal(eg_png_encode(&bytes, &image, NULL), EG_OK);
    tree_write(relative, bytes.data, bytes.size);
    eg_buffer_free(&bytes);
}

/* Two training and two test images of 2 x 3 RGB pixels, which count up from 0. */
static void npz(const char *relative) {
    uint8_t train[36], test[36], labels[2] = {0, 1};
    for (int i = 0; i < 36; i++) train[i] = (uint8_t)i, test[i] = (uint8_t)(100 + i);
    const eg_npy_array arrays[] = {{"train_images", "|u1", 4, {2, 2, 3, 3}, train, 36},
                                   {"train_labels", "|u1", 2, {2, 1}, labels, 2},
                                   {"test_images", "|u1", 4, {2, 2, 3, 3}, test, 36},
                                   {"test_labels", "|u1", 2, {2, 1}, labels, 2}};
    eg_error err = {0};
    if (eg_npz_write(tree_path(relative), arrays, 4, &err) != EG_OK) fail_msg("%s", err.text);
}

static void refused(const char *path, eg_status expected, const char *part) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    assert_int_equal(eg_dataset_open(&ds, path, NULL, &err), expected);
    assert_null(ds);
    if (!strstr(err.text, part)) fail_msg("message: %s\nexpected: %s", err.text, part);
}

static void source_is_what_the_path_is(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    eg_error err = {0};
    png("A/1.png", 0);
    png("B/1.png", 10);
    npz("set.anything");
    static const char csv[] = "file,label\nA/1.png,a\nB/1.png,b\n";
    tree_write("set.data", csv, sizeof csv - 1);
    const struct {
        const char *path;
        eg_source source;
    } sets[] = {
        {"", EG_SOURCE_TREE}, {"set.data", EG_SOURCE_MANIFEST}, {"set.anything", EG_SOURCE_NPZ}};
    for (size_t i = 0; i < 3; i++) {
        if (eg_dataset_open(&ds, tree_path(sets[i].path), NULL, &err) != EG_OK)
            fail_msg("%s", err.text);
        assert_int_equal(ds->source, sets[i].source);
        assert_string_equal(ds->root, tree_root);
        assert_int_equal(ds->n_classes, 2);
        eg_dataset_free(ds);
        ds = NULL;
    }
    refused("", EG_ERR_USAGE, "no data set given");
    refused(tree_path("A/1.png"), EG_ERR_INPUT, "one image, not a data set");
    refused(tree_path("nowhere"), EG_ERR_NOT_FOUND, "missing folder");
    assert_int_equal(mkfifo(tree_path("pipe"), 0600), 0);
    refused(tree_path("pipe"), EG_ERR_INPUT, "neither a folder nor a file");
}

/* A CSV in the folder one stands in. */
static void relative_file(void **state) {
    (void)state;
    char before[1024];
    eg_dataset *ds = NULL;
    png("1.png", 0);
    png("2.png", 1);
    tree_write("set.csv", "file,label\n1.png,a\n2.png,b\n", 26);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(tree_root), 0);
    eg_status status = eg_dataset_open(&ds, "set.csv", NULL, NULL);
    eg_image image = {0};
    if (status == EG_OK) status = eg_dataset_image(&image, ds, 1, NULL);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(status, EG_OK);
    assert_string_equal(ds->root, ".");
    assert_int_equal(image.pixels[0], 1);
    eg_image_free(&image);
    eg_dataset_free(ds);
}

static void image_of_each_source(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    eg_image image = {0};
    png("A/1.png", 0);
    png("B/1.png", 10);
    npz("set.npz");
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_image(&image, ds, 1, NULL), EG_OK);
    assert_true(image.width == 3 && image.height == 2 && image.channels == 1);
    assert_int_equal(image.pixels[5], 15);
    eg_image_free(&image);
    char *path = eg_dataset_path(ds, 1);
    assert_string_equal(path, tree_path("B/1.png"));
    eg_free(path);
    eg_dataset_free(ds);

    assert_int_equal(eg_dataset_open(&ds, tree_path("set.npz"), NULL, NULL), EG_OK);
    assert_string_equal(ds->samples[3].file, "test_images/1");
    assert_int_equal(eg_dataset_image(&image, ds, 3, NULL), EG_OK);
    assert_true(image.width == 3 && image.height == 2 && image.channels == 3 && !image.deep);
    for (int i = 0; i < 18; i++) assert_int_equal(image.pixels[i], 118 + i);
    image.pixels[0] = 0; // a copy: the set keeps its own
    eg_image_free(&image);
    assert_int_equal(eg_dataset_image(&image, ds, 3, NULL), EG_OK);
    assert_int_equal(image.pixels[0], 118);
    eg_image_free(&image);
    path = eg_dataset_path(ds, 3);
    assert_string_equal(path, tree_path("set.npz/test_images/1"));
    eg_free(path);
    eg_memory_fail_at(1);
    assert_int_equal(eg_dataset_image(&image, ds, 3, NULL), EG_ERR_NO_MEMORY);
    eg_memory_fail_at(0);
    eg_dataset_free(ds);
}

/* The largest image that is read is one number for every source. */
static void too_large(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    eg_image image = {0};
    eg_error err = {0};
    eg_dataset_options o = {.image_options = {.max_pixels = 5}};
    png("A/1.png", 0);
    png("B/1.png", 10);
    npz("set.npz");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(eg_dataset_open(&ds, tree_path(i ? "set.npz" : ""), &o, NULL), EG_OK);
        assert_int_equal(eg_dataset_image(&image, ds, 0, &err), EG_ERR_LIMIT);
        assert_memory_equal(err.text, tree_root, strlen(tree_root));
        eg_dataset_free(ds);
    }
}

static void hash_is_of_the_bytes(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    const uint32_t indices[] = {1, 3};
    char hash[65];
    uint8_t row[18];
    npz("set.npz");
    assert_int_equal(eg_dataset_open(&ds, tree_path("set.npz"), NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_hash(ds, indices, 2, NULL, NULL), EG_OK);
    for (int i = 0; i < 18; i++) row[i] = (uint8_t)(18 + i);
    eg_sha256_hex(hash, row, sizeof row);
    assert_string_equal(ds->samples[1].content, hash);
    assert_string_equal(ds->samples[0].content, "");
    json_t *bad = NULL; // sound by construction: their sizes are known
    assert_int_equal(eg_dataset_check(&bad, ds, indices, 2, NULL, NULL), EG_OK);
    assert_int_equal(json_array_size(bad), 0);
    assert_true(ds->width == 3 && ds->height == 2);
    json_decref(bad);
    eg_dataset_free(ds);
}

static void drops_bad_files(void **state) {
    (void)state;
    tree_file("A/1.png");
    tree_file("A/2.png");
    tree_file("B/1.png");
    eg_dataset *ds = NULL;
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    json_t *bad = json_pack("[{s:s,s:s}]", "file", "A/1.png", "reason", "x");
    eg_dataset_drop(ds, bad);
    assert_int_equal(ds->n_samples, 2);
    assert_string_equal(ds->samples[0].file, "A/2.png");
    json_decref(bad);
    eg_dataset_free(ds);
}

#define IN_TREE(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_TREE(source_is_what_the_path_is), IN_TREE(relative_file),
        IN_TREE(image_of_each_source),       IN_TREE(too_large),
        IN_TREE(hash_is_of_the_bytes),       IN_TREE(drops_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
