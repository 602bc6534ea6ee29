/* Folds of why deal every class evenly to the right images, and heads that have not seen a fold know it nevertheless. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "study/why.h"
#include "study_tree.h"

#define HERE TEST_BINARY_DIR "/why_cross_test"
static eg_options options;
static eg_why_case c;

static int setup(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    tree_remove(HERE);
    if (eg_dir_make(HERE, NULL) != EG_OK) return 1;
    tree_make(HERE "/tree", 60, 10);
    tree_weights(HERE "/w.safetensors", "resnet18", 3);
    options = tree_frozen_options(HERE "/w.safetensors", HERE "/run");
    options.no_feature_cache = true;
    options.C = 1;
    if (eg_train(&doc, HERE "/tree", &options, NULL, &err) != EG_OK ||
        eg_study_why_open(&c, HERE "/run", HERE "/tree", &options, NULL, &err) != EG_OK ||
        eg_study_why_features(&c, &err) != EG_OK)
        fail_msg("%s", err.text);
    eg_doc_free(doc);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    eg_study_why_close(&c);
    tree_remove(HERE);
    return 0;
}

/* 48 images of each class stay in train: 9 or 10 in each of five folds. */
static void folds_are_even_in_every_class(void **state) {
    (void)state;
    int fold[200], n_folds, count[5][2] = {{0}};
    eg_error err = {0};
    assert_int_equal(c.data.n_train, 96);
    assert_int_equal(eg_study_why_folds(fold, &n_folds, &c, "image", &err), EG_OK);
    assert_int_equal(n_folds, 5);
    for (size_t i = 0; i < c.data.n_train; i++) {
        assert_true(fold[i] >= 0 && fold[i] < 5);
        count[fold[i]][c.label[i]]++;
    }
    for (int f = 0; f < 5; f++)
        for (int k = 0; k < 2; k++) assert_true(count[f][k] == 9 || count[f][k] == 10);
}

/* One image in eight is of the other class's look: 7 / 8 can be known. */
static void held_out_images_are_known(void **state) {
    (void)state;
    eg_error err = {0};
    assert_int_equal(eg_study_why_cross_patient(&c, &err), EG_OK);
    assert_true(c.by_patient.accuracy > 0.8 && c.by_patient.accuracy < 0.93);
    assert_true(c.by_patient.loss <= c.run_loss);
    for (size_t i = 0; i < c.data.n_train; i++)
        assert_float_equal(c.by_patient.prob[2 * i] + c.by_patient.prob[2 * i + 1], 1, 1e-12);
}

/* Labels that a head may not learn from do not move it. */
static void images_left_out_are_not_learned(void **state) {
    (void)state;
    eg_error err = {0};
    uint8_t out[200] = {0};
    double prob[2][2], moved[2][2];
    const uint32_t test[2] = {c.data.test[0], c.data.test[c.data.n_test - 1]};
    for (int i = 0; i < 20; i++) out[i] = 1;
    const eg_why_cross_options some = {.leave_out = out}, all = {0};
    assert_int_equal(eg_study_why_head(prob[0], &c, &some, test, 2, &err), EG_OK);
    for (int i = 0; i < 20; i++) c.label[i] = 1 - c.label[i];
    assert_int_equal(eg_study_why_head(moved[0], &c, &some, test, 2, &err), EG_OK);
    assert_memory_equal(prob, moved, sizeof prob);
    assert_int_equal(eg_study_why_head(moved[0], &c, &all, test, 2, &err), EG_OK);
    assert_true(fabs(prob[0][1] - moved[0][1]) > 1e-3);
    for (int i = 0; i < 20; i++) c.label[i] = 1 - c.label[i];
    memset(out, 0, sizeof out);
    for (size_t i = 0; i < c.data.n_train; i++) out[i] = c.label[i] == 1;
    assert_int_equal(eg_study_why_head(moved[0], &c, &some, test, 2, &err), EG_ERR_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_are_even_in_every_class),
        cmocka_unit_test(held_out_images_are_known),
        cmocka_unit_test(images_left_out_are_not_learned),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
