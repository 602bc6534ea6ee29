/* VGG: numbers of modules with and without batch norm, the pooled size, biases. State dicts: test_zoo.c. */
#include "net_test.h"

static void numbers(void **state) {
    (void)state;
    eg_network *net = network_make("vgg16_bn", 3, 224);
    const eg_node *last = node_named(&net->graph, EG_OP_CONV, "features.40");
    assert_int_equal(last->C, 512);
    assert_int_equal(last->H, 14);
    assert_true(last->tensor[1] >= 0); /* a bias, although batch norm follows */
    assert_int_equal(count_nodes(&net->graph, EG_OP_MAX_POOL), 5);
    assert_int_equal(count_nodes(&net->graph, EG_OP_DROPOUT), 2);
    assert_int_equal(count_nodes(&net->graph, EG_OP_ADAPTIVE_POOL), 0); /* 7 x 7 already */
    assert_int_equal(eg_network_features(net), 4096);
    eg_network_free(net);
    net = network_make("vgg11", 3, 320); /* 10 x 10, pooled to 7 x 7 */
    assert_int_equal(node_named(&net->graph, EG_OP_CONV, "features.18")->H, 20);
    assert_int_equal(count_nodes(&net->graph, EG_OP_ADAPTIVE_POOL), 1);
    assert_int_equal(node_named(&net->graph, EG_OP_FLATTEN, "flatten")->C, 512 * 49);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
