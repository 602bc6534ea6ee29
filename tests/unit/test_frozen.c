/* Frozen mode end to end on a small tree: the exact head and the recipe, features.npz, the freeze
 * proof, and moving batch-norm statistics counted honestly. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study_tree.h"

#define ROOT    TEST_BINARY_DIR "/trees/frozen"
#define DATA    ROOT "/data"
#define WEIGHTS ROOT "/resnet18.safetensors"

static int setup(void **state) {
    (void)state;
    tree_remove(ROOT);
    tree_make(DATA, 24, 8);
    tree_weights(WEIGHTS, "resnet18", 3);
    return 0;
}

static eg_options base_options(const char *out) {
    return tree_frozen_options(WEIGHTS, out);
}

/* An array with its data; the test ends here when there is none. */
static const eg_npy_array *array_of(eg_npz *npz, const char *name) {
    const eg_npy_array *array = NULL;
    eg_error err = {0};
    if (eg_npz_get(&array, npz, name, &err) != EG_OK) fail_msg("%s", err.text);
    return array;
}

static void exact_head(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/exact");
    o.C = 0.1;
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_true(tree_number(doc, "trainable_parameters") == 2 * 512 + 2);
    assert_true(tree_number(doc, "freeze.checked") == 120);
    assert_true(tree_number(doc, "freeze.identical") == 120);
    assert_true(tree_number(doc, "train.accuracy") > 0.8);
    eg_doc_free(doc);

    /* the head in the file is the minimum: the gradient of 0.5 |w|^2 + C sum loss vanishes on the
     * exported features */
    eg_npz *npz = NULL;
    eg_state_dict *sd = NULL;
    if (eg_npz_read(&npz, ROOT "/exact/features.npz", &err) != EG_OK) fail_msg("%s", err.text);
    if (eg_weights_read(&sd, ROOT "/exact/best.safetensors", &err) != EG_OK)
        fail_msg("%s", err.text);
    const eg_npy_array *x = array_of(npz, "features"), *label = array_of(npz, "labels");
    const eg_npy_array *split = array_of(npz, "split"), *names = array_of(npz, "files");
    assert_true(x->dims[0] == 64 && x->dims[1] == 512 && label->dims[0] == 64 &&
                names->dims[0] == 64);
    const float *w = eg_state_dict_find(sd, "fc.weight")->data,
                *b = eg_state_dict_find(sd, "fc.bias")->data;
    const uint32_t *letters = split->data;
    size_t width = split->n_bytes / 64 / 4, n_train = 0;
    double gradient[513] = {0}, worst = 0;
    for (size_t i = 0; i < 64; i++) {
        if (letters[i * width] != 't' || letters[i * width + 1] != 'r') continue; /* "train" */
        const float *row = (const float *)x->data + i * 512;
        double z = (double)b[1] - (double)b[0];
        for (int d = 0; d < 512; d++) z += ((double)w[512 + d] - (double)w[d]) * (double)row[d];
        double g = 1 / (1 + exp(-z)) - (double)((const int64_t *)label->data)[i];
        for (int d = 0; d < 512; d++) gradient[d] += o.C * g * (double)row[d];
        gradient[512] += o.C * g;
        n_train++;
    }
    for (int d = 0; d < 513; d++) {
        double penalty = d < 512 ? (double)w[512 + d] - (double)w[d] : 0;
        worst = fmax(worst, fabs(gradient[d] + penalty));
    }
    assert_int_equal(n_train, 38); /* 48 less a fifth for validation, per class */
    assert_true(worst < 1e-4);
    eg_npz_free(npz);
    eg_state_dict_free(sd);
}

static void recipe_head(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/recipe");
    o.head = "recipe";
    o.epochs = 30;
    o.lr = 1e-2;
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_true(tree_number(doc, "freeze.identical") == 120);
    assert_true(tree_number(doc, "history.29.train_loss") <
                tree_number(doc, "history.0.train_loss"));
    double best = tree_number(doc, "best_epoch"), loss = tree_number(doc, "val.loss");
    char path[64];
    snprintf(path, sizeof path, "history.%d.val_loss", (int)best - 1);
    assert_float_equal(tree_number(doc, path), loss,
                       1e-6); /* the best epoch's head is the one kept */
    eg_doc_free(doc);
}

/* as many tutorials do it: statistics of the frozen trunk move; counted, not hidden, not an error
 * */
static void moving_statistics(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/moving");
    o.bn = "stats";
    o.epochs = 1;
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_true(tree_number(doc, "trainable_parameters") == 2 * 512 + 2);
    assert_true(tree_number(doc, "freeze.checked") == 120);
    assert_true(tree_number(doc, "freeze.identical") ==
                60); /* the parameters; 40 statistics and 20 counters moved */
    eg_doc_free(doc);
}

static void features_command(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/features.npz");
    eg_npz *all = NULL, *run = NULL;
    if (eg_features(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_true(tree_number(doc, "n") == 64 && tree_number(doc, "features") == 512);
    eg_doc_free(doc);
    assert_int_equal(eg_features(&doc, DATA, &o, NULL, &err), EG_ERR_USAGE); /* exists */
    /* the same numbers as the run's own features, whose rows come in another order (its val split)
     * */
    assert_int_equal(eg_npz_read(&all, ROOT "/features.npz", &err), EG_OK);
    assert_int_equal(eg_npz_read(&run, ROOT "/exact/features.npz", &err), EG_OK);
    assert_null(eg_npz_find(all, "split"));
    const eg_npy_array *x = array_of(all, "features"), *y = array_of(run, "features");
    const eg_npy_array *fx = array_of(all, "files"), *fy = array_of(run, "files");
    assert_int_equal(fx->n_bytes, fy->n_bytes);
    size_t name = fx->n_bytes / 64, row = 512 * sizeof(float), found = 0;
    for (size_t i = 0; i < 64; i++) {
        for (size_t j = 0; j < 64; j++) {
            if (memcmp((const char *)fx->data + i * name, (const char *)fy->data + j * name,
                       name) != 0)
                continue;
            const float *a = (const float *)x->data + i * 512,
                        *b = (const float *)y->data + j * 512;
            for (size_t d = 0; d < row / sizeof(float); d++) assert_float_equal(a[d], b[d], 1e-5);
            found++;
        }
    }
    assert_int_equal(found, 64);
    eg_npz_free(all);
    eg_npz_free(run);
}

/* features in bf16: near those in float and not the same; the trunk's tensors stay as they are in the file, in float */
static void in_bf16(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/half");
    eg_npz *half = NULL, *whole = NULL;
    o.C = 0.1;
    o.dtype = "bf16";
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(json_string_value(json_object_get(doc->root, "dtype")), "bf16");
    assert_true(tree_number(doc, "freeze.checked") == 120 &&
                tree_number(doc, "freeze.identical") == 120);
    assert_true(tree_number(doc, "train.accuracy") > 0.8);
    eg_doc_free(doc);
    assert_int_equal(eg_npz_read(&half, ROOT "/half/features.npz", &err), EG_OK);
    assert_int_equal(eg_npz_read(&whole, ROOT "/exact/features.npz", &err), EG_OK);
    const float *a = array_of(half, "features")->data, *b = array_of(whole, "features")->data;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < 64 * 512; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    /* 8 bits a value, some 20 layers: about 2^-9 sqrt(20) relative */
    assert_true(difference > 0 && sqrt(difference / norm) < 0.03);
    eg_npz_free(half);
    eg_npz_free(whole);
    o.out = ROOT "/half.npz";
    if (eg_features(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(json_string_value(json_object_get(doc->root, "dtype")), "bf16");
    eg_doc_free(doc);
}

static void wrong_weights(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/wrong");
    o.model = "resnet50";
    assert_int_equal(eg_train(&doc, DATA, &o, NULL, &err), EG_ERR_MISMATCH);
    if (!strstr(err.text, "resnet18.safetensors")) fail_msg("%s", err.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_head),        cmocka_unit_test(recipe_head),
        cmocka_unit_test(moving_statistics), cmocka_unit_test(features_command),
        cmocka_unit_test(in_bf16),           cmocka_unit_test(wrong_weights),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
