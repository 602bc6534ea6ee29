/* The plain CNN: its tensors by name and the number of parameters that its description promises. */
#include "net_test.h"

static void parameters(void **state) {
    (void)state;
    eg_network *net = network_make("small_cnn", 2, 0);
    assert_int_equal(eg_network_parameters(net, false), 6446498);
    assert_int_equal(eg_network_features(net), 128);
    static const char *const NAMES[] = {"conv1", "conv2", "conv3", "fc1", "fc2"};
    size_t n;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    assert_int_equal(n, 10);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.%s", NAMES[i / 2], i % 2 ? "bias" : "weight");
        assert_string_equal(t[i].name, name);
        assert_int_equal(t[i].is_head, i >= 8);
    }
    assert_int_equal(t[6].dims[1], 28 * 28 * 64);
    assert_true(node_named(&net->graph, EG_OP_DROPOUT, "dropout")->rate == 0.5f);
    assert_true(eg_network_info(net)->scratch_only);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(parameters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
