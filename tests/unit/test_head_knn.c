/* The control that trains nothing: neighbours vote, test images have no voice, and no probability is 0. */
#include "study/recipe.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = 60, D = 5 };

/* 40 images to train, 12 to validate, 8 to test; class 1 leans to the second axis, by `apart` */
static json_t *control(float apart, bool lie) {
    static eg_sample samples[N];
    static float rows[N * D];
    static char names[N][16];
    static uint32_t index[N];
    eg_random r = eg_random_make(3, 0, 0, 0);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%d.png", i);
        samples[i] = (eg_sample){.file = names[i], .label = i % 2};
        index[i] = (uint32_t)i;
        for (int d = 0; d < D; d++)
            rows[i * D + d] =
                (float)eg_random_uniform(&r) + (d == (samples[i].label != 0) ? apart : 0);
        if (lie && i >= 40) samples[i].label = 1 - samples[i].label;
    }
    eg_dataset ds = {.n_classes = 2, .samples = samples, .n_samples = N};
    eg_data_stage data = {.ds = &ds,
                          .train = index,
                          .n_train = 40,
                          .val = index + 40,
                          .n_val = 12,
                          .test = index + 52,
                          .n_test = 8};
    eg_feature_store store = {.rows = rows, .width = D, .n = N};
    eg_run run = {.data = &data, .store = &store};
    json_t *json = NULL;
    eg_error err = {0};
    if (eg_study_knn_json(&json, &run, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(json_integer_value(json_object_get(json, "k")), 20);
    return json;
}

static void votes(void **state) {
    (void)state;
    json_t *json = control(5, false);
    const json_t *val = json_object_get(json, "val"), *test = json_object_get(json, "test");
    assert_true(eg_study_number(val, "accuracy") == 1 && eg_study_number(test, "accuracy") == 1);
    assert_true(eg_study_number(val, "auc") == 1);
    assert_true(eg_study_number(test, "n") == 8);
    double loss = eg_study_number(val, "loss");
    assert_true(loss > 0 && loss < 0.1);
    json_decref(json);
    /* the labels of val and test do not vote: turned round, all is wrong, and the loss is finite */
    json = control(5, true);
    val = json_object_get(json, "val");
    assert_true(eg_study_number(val, "accuracy") == 0);
    assert_true(isfinite(eg_study_number(val, "loss")));
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(votes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
