/* ResNets against torchvision's state dicts and metadata; the place of the stride. */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    static const char *const MODELS[] = {"resnet18", "resnet34", "resnet50", "resnet101",
                                         "resnet152"};
    for (int i = 0; i < 5; i++) arch_check(MODELS[i]);
}

static void stride_on_3x3(void **state) {
    (void)state;
    eg_network *net = network_make("resnet50", 1000, 224);
    assert_int_equal(node_named(&net->graph, EG_OP_CONV, "layer3.0.conv1")->stride, 1);
    assert_int_equal(node_named(&net->graph, EG_OP_CONV, "layer3.0.conv2")->stride, 2);
    assert_int_equal(node_named(&net->graph, EG_OP_CONV, "layer4.2.conv3")->H, 7);
    assert_int_equal(node_named(&net->graph, EG_OP_CONV, "layer1.0.downsample.0")->stride, 1);
    assert_int_equal(net->graph.init, EG_INIT_RESNET);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts),
                                       cmocka_unit_test(stride_on_3x3)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
