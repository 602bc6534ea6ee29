/* Blocks by name over families with different habits, rates that fall towards the input, parts that are not trained. */
#include "net_test.h"

static int block_of(eg_network *net, const int *block, const char *name) {
    size_t n;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, name) == 0) return block[i];
    fail_msg("no tensor %s", name);
    return -1;
}

static void blocks(void **state) {
    (void)state;
    int block[2000];
    eg_network *net = network_make("resnet18", 2, 32);
    /* stem, 8 blocks, head */
    assert_int_equal(eg_network_blocks(block, net), 10);
    assert_int_equal(block_of(net, block, "conv1.weight"), 0);
    assert_int_equal(block_of(net, block, "bn1.running_mean"), 0);
    assert_int_equal(block_of(net, block, "layer1.0.conv1.weight"), 1);
    assert_int_equal(block_of(net, block, "layer2.0.downsample.1.bias"), 3);
    assert_int_equal(block_of(net, block, "layer4.1.bn2.weight"), 8);
    assert_int_equal(block_of(net, block, "fc.bias"), 9);
    eg_network_free(net);

    net = network_make("efficientnet_b0", 2, 32);
    /* the stem, 16 blocks, the last convolution, the head */
    assert_int_equal(eg_network_blocks(block, net), 19);
    assert_int_equal(block_of(net, block, "features.0.1.weight"), 0);
    assert_int_equal(block_of(net, block, "features.1.0.block.0.0.weight"), 1);
    assert_int_equal(block_of(net, block, "features.8.0.weight"), 17);
    eg_network_free(net);

    net = network_make("efficientnet_lite0", 2, 32);
    int n_blocks = eg_network_blocks(block, net);
    assert_true(n_blocks >= 18 && n_blocks <= 20);
    eg_network_free(net);

    net = network_make("squeezenet1_1", 2, 64);
    n_blocks = eg_network_blocks(block, net);
    assert_int_equal(n_blocks, 10); /* one convolution, eight fire modules, the head */
    eg_network_free(net);

    net = network_make("small_cnn", 2, 32);
    n_blocks = eg_network_blocks(block, net);
    assert_true(n_blocks >= 2);
    eg_network_free(net);
}

/* block numbers never fall along the state dict, whatever the family */
static void all_networks(void **state) {
    (void)state;
    static int block[4000];
    for (size_t k = 0; k < eg_arch_count(); k++) {
        eg_network *net = NULL;
        assert_int_equal(eg_network_outline(&net, eg_arch_at(k), 2, 0, NULL), EG_OK);
        size_t n;
        const eg_net_tensor *t = eg_network_tensors(net, &n);
        assert_true(n < 4000);
        int n_blocks = eg_network_blocks(block, net), last = 0;
        for (size_t i = 0; i < n; i++) {
            if (t[i].is_head) {
                assert_int_equal(block[i], n_blocks - 1);
                continue;
            }
            assert_true(block[i] == last || block[i] == last + 1);
            last = block[i];
        }
        if (n_blocks < 3 && !eg_arch_at(k)->scratch_only)
            fail_msg("%s: %d blocks", eg_arch_at(k)->name, n_blocks);
        eg_network_free(net);
    }
}

static void layer_rates(void **state) {
    (void)state;
    eg_network *net = network_make("resnet18", 2, 32);
    assert_int_equal(eg_network_layer_rates(net, 0.5, 2, NULL), EG_OK);
    assert_true(eg_network_tensor(net, "fc.weight")->rate == 1);
    assert_true(eg_network_tensor(net, "layer4.1.conv1.weight")->rate == 0.5);
    assert_true(eg_network_tensor(net, "layer1.1.conv1.weight")->rate == pow(0.5, 7));
    assert_true(eg_network_tensor(net, "layer1.0.conv1.weight")->rate == 0);
    assert_true(eg_network_tensor(net, "layer1.0.bn1.running_mean")->fixed);
    assert_false(eg_network_tensor(net, "layer1.1.bn1.running_mean")->fixed);
    assert_int_equal(eg_network_layer_rates(net, 1, 0, NULL), EG_OK);
    assert_true(eg_network_tensor(net, "conv1.weight")->rate == 1);
    assert_false(eg_network_tensor(net, "bn1.running_mean")->fixed);
    eg_network_free(net);
}

static void unfreeze_from(void **state) {
    (void)state;
    eg_network *net = network_make("resnet18", 2, 32);
    eg_error err;
    assert_int_equal(eg_network_unfreeze_from(net, "layer3", &err), EG_OK);
    assert_false(eg_network_tensor(net, "conv1.weight")->trainable);
    assert_false(eg_network_tensor(net, "layer2.1.bn2.bias")->trainable);
    assert_true(eg_network_tensor(net, "layer2.1.bn2.running_var")->fixed);
    assert_true(eg_network_tensor(net, "layer3.0.conv1.weight")->trainable);
    assert_false(eg_network_tensor(net, "layer3.0.bn1.running_var")->fixed);
    assert_true(eg_network_tensor(net, "fc.weight")->trainable);
    /* no name in part, no name at all */
    assert_int_equal(eg_network_unfreeze_from(net, "layer", &err), EG_ERR_USAGE);
    assert_int_equal(eg_network_unfreeze_from(net, "block7", &err), EG_ERR_USAGE);
    if (!strstr(err.text, "--unfreeze-from block7: resnet18 has no layer of that name; expected "
                          "one of conv1, bn1, layer1.0, layer1.1"))
        fail_msg("%s", err.text);
    eg_network_free(net);
}

/* Running statistics of a fixed layer stay, those of the others move; with all fixed the layer does what a frozen batch
 * norm does, bit for bit. */
static void fixed_statistics(void **state) {
    (void)state;
    float logits[2][4 * 2];
    for (int way = 0; way < 2; way++) {
        eg_network *net = network_make("resnet18", 2, 32);
        eg_network_init(net, 1);
        if (way == 0) assert_int_equal(eg_network_unfreeze_from(net, "fc", NULL), EG_OK);
        eg_plan_options o = {.mode = EG_PLAN_TRAIN,
                             .batch = 4,
                             .bn = way == 0 ? EG_BN_TRAIN : EG_BN_FROZEN,
                             .dropout = -1};
        eg_plan *plan = NULL;
        assert_int_equal(eg_plan_new(&plan, net, &o, NULL), EG_OK);
        eg_random r = eg_random_make(3, 0, 0, 0);
        for (size_t i = 0; i < (size_t)4 * 32 * 32 * 3; i++)
            eg_plan_input(plan)[i] = (float)eg_random_normal(&r);
        assert_int_equal(eg_plan_forward(plan, 4, 0, NULL), EG_OK);
        memcpy(logits[way], eg_plan_logits(plan), sizeof logits[way]);
        assert_true(eg_network_tensor(net, "bn1.running_mean")->data[0] == 0);
        assert_true(*eg_network_tensor(net, "bn1.num_batches_tracked")->counter == 0);
        eg_plan_free(plan);
        eg_network_free(net);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks), cmocka_unit_test(all_networks), cmocka_unit_test(layer_rates),
        cmocka_unit_test(unfreeze_from), cmocka_unit_test(fixed_statistics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
