/* Networks: memory layout, trainable sets, refusals, and every allocation failing once. */
#include "net_test.h"

static void layout(void **state) {
    (void)state;
    eg_network *net = network_make("efficientnet_b0", 3, 0);
    assert_int_equal(eg_network_side(net), 224);
    assert_int_equal(eg_network_classes(net), 3);
    assert_int_equal(eg_network_features(net), 1280);
    assert_string_equal(eg_network_info(net)->name, "efficientnet_b0");
    size_t n;
    eg_net_tensor *t = eg_network_tensors(net, &n);
    const float *end = NULL;
    for (size_t i = 0; i < n; i++) {
        assert_null(t[i].grad);
        assert_ptr_equal(eg_network_tensor(net, t[i].name), &t[i]);
        if (t[i].role == EG_TENSOR_COUNTER) {
            assert_null(t[i].data);
            assert_int_equal(*t[i].counter, 0);
            continue;
        }
        assert_null(t[i].counter);
        assert_int_equal((uintptr_t)t[i].data % 64, 0);
        assert_true(!end || t[i].data >= end); /* no overlap */
        end = t[i].data + t[i].count;
        for (size_t k = 0; k < t[i].count; k++) {
            assert_true(t[i].data[k] == 0);
            t[i].data[k] = 1; /* the sanitizer watches the block's end */
        }
    }
    assert_null(eg_network_tensor(net, "classifier.1"));
    eg_network_free(net);
    eg_network_free(NULL);
}

static void trainable(void **state) {
    (void)state;
    eg_network *net = network_make("resnet50", 2, 64);
    assert_int_equal(eg_network_parameters(net, false), 23508032 + 4098);
    assert_int_equal(eg_network_parameters(net, true), 23508032 + 4098);
    eg_network_set_trainable(net, false, true);
    assert_int_equal(eg_network_parameters(net, true), 4098);
    assert_false(eg_network_tensor(net, "bn1.running_mean")->trainable);
    eg_network_set_trainable(net, true, false);
    assert_int_equal(eg_network_parameters(net, true), 23508032);
    assert_false(eg_network_tensor(net, "bn1.running_mean")->trainable);
    eg_network_free(net);
}

/* Counted by hand: 224 px, 2 classes. */
static void multiply_adds(void **state) {
    (void)state;
    eg_network *net = network_make("small_cnn", 2, 224);
    double expected =
        224. * 224 * 16 * 27 + 112. * 112 * 32 * 144 + 56. * 56 * 64 * 288 + 50176. * 128 + 256;
    assert_true(eg_network_multiply_adds(net) == expected);
    eg_network_free(net);
}

static void refusals(void **state) {
    (void)state;
    eg_network *net = NULL;
    eg_error err;
    assert_int_equal(eg_network_new(&net, "resnet51", 2, 0, &err), EG_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "resnet51"));
    assert_non_null(strstr(err.text, "engraft models lists all"));
    assert_int_equal(eg_network_new(&net, NULL, 2, 0, &err), EG_ERR_NOT_FOUND);
    assert_int_equal(eg_network_new(&net, "resnet18", 0, 0, &err), EG_ERR_USAGE);
    assert_int_equal(eg_network_new(&net, "resnet18", 2, -5, &err), EG_ERR_USAGE);
    assert_int_equal(eg_network_new(&net, "resnet18", 2, 100000, &err), EG_ERR_USAGE);
    assert_int_equal(eg_network_new(&net, "small_cnn", 2, 7, &err), EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "7 x 7"));
    assert_null(net);
}

/* Fails each allocation in turn: an error, no leak, no write to the output. */
static void out_of_memory(void **state) {
    (void)state;
    size_t before = eg_memory_stats_get().bytes_now;
    uint64_t k = 1;
    for (;; k++) {
        eg_network *net = NULL;
        eg_memory_fail_at(k);
        eg_status status = eg_network_new(&net, "resnet18", 2, 32, NULL);
        eg_memory_fail_at(0);
        if (status == EG_OK) {
            eg_network_free(net);
            break;
        }
        assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_null(net);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    assert_true(k > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(layout), cmocka_unit_test(trainable),
                                       cmocka_unit_test(multiply_adds), cmocka_unit_test(refusals),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
