/* The freeze proof finds every kind of change: a parameter, a running statistic, a counter, each by
 * one bit or one count. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study_tree.h"

#define WEIGHTS TEST_BINARY_DIR "/test_freeze_weights.safetensors"
#define SAVED   TEST_BINARY_DIR "/test_freeze_saved.safetensors"

static eg_network *net;
static eg_settings settings;

static int setup(void **state) {
    (void)state;
    eg_error err = {0};
    eg_options o;
    eg_options_init(&o);
    tree_weights(WEIGHTS, "resnet18", 5);
    o.weights = WEIGHTS;
    if (eg_study_settings_resolve(&settings, &o, "resnet18", "frozen", &err) != EG_OK)
        fail_msg("%s", err.text);
    eg_state_dict *sd = NULL;
    bool head;
    if (eg_network_new(&net, "resnet18", 2, 0, &err) != EG_OK) fail_msg("%s", err.text);
    if (eg_weights_read(&sd, WEIGHTS, &err) != EG_OK) fail_msg("%s", err.text);
    if (eg_network_load(net, sd, &head, &err) != EG_OK) fail_msg("%s", err.text);
    assert_false(head); /* 1000 classes there, 2 here */
    eg_state_dict_free(sd);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    eg_network_free(net);
    eg_study_settings_free(&settings);
    return 0;
}

static eg_status prove(json_t **out, bool strict, eg_error *err) {
    if (eg_network_save(net, SAVED, NULL, 0, err) != EG_OK) fail_msg("%s", err->text);
    return eg_study_freeze_prove(out, SAVED, WEIGHTS, &settings, 2, strict, err);
}

static json_int_t count(const json_t *json, const char *key) {
    return json_integer_value(json_object_get(json, key));
}

static void untouched(void **state) {
    (void)state;
    eg_error err = {0};
    json_t *json = NULL;
    if (prove(&json, true, &err) != EG_OK) fail_msg("%s", err.text);
    /* ResNet-18: 122 tensors, two of the head; 20 convolutions and 20 batch norms of 2 + 2 + 1
     * tensors */
    assert_int_equal(count(json, "checked"), 120);
    assert_int_equal(count(json, "identical"), 120);
    assert_int_equal(count(json, "parameters"), 60);
    assert_int_equal(count(json, "running_statistics"), 40);
    assert_int_equal(count(json, "counters"), 20);
    json_decref(json);
}

/* one tensor differs: named, counted, an error only when the trunk was meant to be still */
static void one_differs(const char *name) {
    eg_error err = {0};
    json_t *json = NULL;
    assert_int_equal(prove(&json, true, &err), EG_ERR_INTERNAL);
    if (!strstr(err.text, name)) fail_msg("%s", err.text);
    assert_null(json);
    if (prove(&json, false, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(count(json, "identical"), 119);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "differing"), 0)),
                        name);
    json_decref(json);
}

static void one_bit(const char *name) {
    eg_net_tensor *t = eg_network_tensor(net, name);
    assert_non_null(t);
    float *value = &t->data[t->count - 1], old = *value;
    *value = nextafterf(old, INFINITY);
    one_differs(name);
    *value = old;
}

static void a_parameter(void **state) {
    (void)state;
    one_bit("layer3.1.conv2.weight");
}

static void a_statistic(void **state) {
    (void)state;
    one_bit("layer1.0.bn1.running_var");
}

static void a_counter(void **state) {
    (void)state;
    eg_net_tensor *t = eg_network_tensor(net, "bn1.num_batches_tracked");
    assert_non_null(t);
    ++*t->counter;
    one_differs("bn1.num_batches_tracked");
    --*t->counter;
}

static void the_head_does_not_count(void **state) {
    (void)state;
    eg_error err = {0};
    json_t *json = NULL;
    eg_network_tensor(net, "fc.bias")->data[0] += 1;
    if (prove(&json, true, &err) != EG_OK) fail_msg("%s", err.text);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untouched),
        cmocka_unit_test(a_parameter),
        cmocka_unit_test(a_statistic),
        cmocka_unit_test(a_counter),
        cmocka_unit_test(the_head_does_not_count),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
