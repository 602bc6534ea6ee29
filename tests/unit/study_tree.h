/* A small tree of PNG images for the tests of src/study: two classes that a network can tell apart
 * (a bright left or right half under noise), patients in the names. Include after cmocka.h. */
#ifndef EG_TEST_STUDY_TREE_H
#define EG_TEST_STUDY_TREE_H

#include "study/run.h"
#include <stdio.h>
#include <string.h>

enum { TREE_SIDE = 40 };

static inline void tree_image(const char *path, int label, uint32_t key) {
    static uint8_t pixels[TREE_SIDE * TREE_SIDE];
    eg_random r = eg_random_make(7, key, 0, 0);
    for (int y = 0; y < TREE_SIDE; y++) {
        for (int x = 0; x < TREE_SIDE; x++) {
            int bright = (x < TREE_SIDE / 2) == (label == 0) ? 150 : 60;
            pixels[y * TREE_SIDE + x] = (uint8_t)(bright + (int)eg_random_below(&r, 60));
        }
    }
    eg_image image = {TREE_SIDE, TREE_SIDE, 1, pixels, false};
    eg_buffer png = {0};
    eg_error err = {0};
    if (eg_png_encode(&png, &image, &err) != EG_OK) fail_msg("%s", err.text);
    eg_part part = {png.data, png.size};
    if (eg_file_write_atomic(path, &part, 1, &err) != EG_OK) fail_msg("%s", err.text);
    eg_buffer_free(&png);
}

/* root/{train,test}/{LEFT,RIGHT}/<i>.png with n_train and n_test images a class. Every 8th is of
 * the other class's look, so that accuracy is not 1 and intervals mean something. */
static inline void tree_make(const char *root, int n_train, int n_test) {
    static const char *const CLASSES[] = {"LEFT", "RIGHT"};
    uint32_t key = 0;
    for (int split = 0; split < 2; split++) {
        for (int k = 0; k < 2; k++) {
            char *dir = eg_format("%s/%s/%s", root, split ? "test" : "train", CLASSES[k]);
            if (eg_dir_make(dir, NULL) != EG_OK) fail_msg("cannot make %s", dir);
            for (int i = 0; i < (split ? n_test : n_train); i++) {
                char *path = eg_format("%s/%c%03d.png", dir, split ? 't' : 'a', i);
                tree_image(path, i % 8 == 7 ? 1 - k : k, key++);
                eg_free(path);
            }
            eg_free(dir);
        }
    }
}

/* rm -r of a folder that a test made under TEST_BINARY_DIR. */
static inline void tree_remove(const char *path) {
    assert_memory_equal(path, TEST_BINARY_DIR "/", sizeof TEST_BINARY_DIR);
    char *command = eg_format("rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    eg_free(command);
}

/* A frozen ResNet-18 on such a tree. In f32: figures are compared to five digits and more. */
static inline eg_options tree_frozen_options(const char *weights, const char *out) {
    eg_options o;
    eg_options_init(&o);
    o.model = "resnet18";
    o.mode = "frozen";
    o.dtype = "f32";
    o.weights = weights;
    o.img_size = 32;
    o.batch_size = 10;
    o.out = out;
    o.val_by = "image";
    return o;
}

/* Weights of a network initialised from a seed, as a "pretrained" file with 1000 classes. */
static inline void tree_weights(const char *path, const char *model, uint64_t seed) {
    eg_network *net = NULL;
    eg_error err = {0};
    if (eg_network_new(&net, model, 1000, 0, &err) != EG_OK) fail_msg("%s", err.text);
    eg_network_init(net, seed);
    size_t n;
    eg_net_tensor *t = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++) { /* statistics that differ from a fresh network's */
        if (t[i].role == EG_TENSOR_COUNTER) *t[i].counter = 1000 + (int64_t)i;
        for (size_t j = 0; t[i].role == EG_TENSOR_BUFFER && j < t[i].count; j++)
            t[i].data[j] += 0.01f * (float)(j % 7);
    }
    if (eg_network_save(net, path, NULL, 0, &err) != EG_OK) fail_msg("%s", err.text);
    eg_network_free(net);
}

/* A number of a document, which must be there. */
static inline double tree_number(const eg_doc *doc, const char *path) {
    double value = 0;
    eg_error err = {0};
    if (eg_doc_number(&value, doc, path, &err) != EG_OK) fail_msg("%s: %s", path, err.text);
    return value;
}

static inline void assert_same_file(const char *a, const char *b) {
    char x[65], y[65];
    eg_error err = {0};
    if (eg_sha256_file(x, a, &err) != EG_OK || eg_sha256_file(y, b, &err) != EG_OK)
        fail_msg("%s", err.text);
    if (strcmp(x, y) != 0) fail_msg("%s and %s differ", a, b);
}

#endif
