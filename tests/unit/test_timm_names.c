/* timm's names: one of each kind of module a family, names that have no other, and families left out. That whole files
 * bind and give timm's logits: scripts/check_zoo.py --timm. */
#include "net_test.h"

static void names(void **state) {
    (void)state;
    static const char *const ROWS[][3] = {
        {"efficientnet_b0", "features.0.1.running_var", "bn1.running_var"},
        {"efficientnet_b0", "features.1.0.block.1.fc2.bias", "blocks.0.0.se.conv_expand.bias"},
        {"efficientnet_b0", "features.1.0.block.2.1.weight", "blocks.0.0.bn2.weight"},
        {"efficientnet_b4", "features.6.7.block.3.0.weight", "blocks.5.7.conv_pwl.weight"},
        {"efficientnet_lite4", "features.1.0.block.1.0.weight", "blocks.0.0.conv_pw.weight"},
        {"efficientnet_lite4", "features.7.1.block.2.1.bias", "blocks.6.1.bn3.bias"},
        {"mobilenet_v2", "features.1.conv.2.weight", "blocks.0.0.bn2.weight"},
        {"mobilenet_v2", "features.10.conv.0.0.weight", "blocks.3.3.conv_pw.weight"},
        {"mobilenet_v2", "features.17.conv.3.weight", "blocks.6.0.bn3.weight"},
        {"mnasnet0_5", "layers.13.0.layers.6.weight", "blocks.6.0.conv_pwl.weight"},
        {"regnet_y_400mf", "trunk_output.block3.block3-5.f.b.1.weight", "s3.b6.conv2.bn.weight"},
        {"regnet_y_400mf", "trunk_output.block1.block1-0.proj.0.weight",
         "s1.b1.downsample.conv.weight"},
        {"regnet_y_400mf", "trunk_output.block4.block4-0.f.se.fc1.bias", "s4.b1.se.fc1.bias"},
        {"vgg16_bn", "classifier.3.weight", "pre_logits.fc2.weight"},
        {"convnext_tiny", "features.5.8.layer_scale", "stages.2.blocks.8.gamma"},
        {"convnext_tiny", "features.4.1.weight", "stages.2.downsample.1.weight"},
        {"vit_b_16", "encoder.layers.encoder_layer_11.self_attention.in_proj_bias",
         "blocks.11.attn.qkv.bias"},
        {"vit_b_16", "class_token", "cls_token"},
        {"swin_t", "features.7.1.mlp.3.weight", "layers.3.blocks.1.mlp.fc2.weight"},
        {"swin_t", "features.2.reduction.weight", "layers.1.downsample.reduction.weight"}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char out[256];
        const eg_arch *arch = eg_arch_entry(eg_arch_find(ROWS[i][0]));
        assert_true(eg_timm_name(out, arch, ROWS[i][1]));
        assert_string_equal(out, ROWS[i][2]);
    }
}

static void none(void **state) {
    (void)state;
    static const char *const ROWS[][2] = {
        {"resnet50", "conv1.weight"},
        {"efficientnet_b5", "features.0.0.weight"}, /* another epsilon there */
        {"efficientnet_v2_s", "features.0.0.weight"},
        {"mobilenet_v3_large", "features.0.0.weight"},
        {"efficientnet_b0", "features.x.0.block.0.0.weight"},
        {"efficientnet_b0", "features.12345.0.block.0.0.weight"},
        {"efficientnet_b0", "features"},
        {"efficientnet_b0", ""}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char out[256];
        assert_false(eg_timm_name(out, eg_arch_entry(eg_arch_find(ROWS[i][0])), ROWS[i][1]));
    }
    char out[256],
        longest[400] = "features.0.0."; /* does not fit: refused, nothing written past the end */
    memset(longest + 13, 'x', sizeof longest - 14);
    assert_false(eg_timm_name(out, eg_arch_entry(eg_arch_find("efficientnet_b0")), longest));
}

/* Every trunk tensor of these families has a name of its own in timm, and no two the same. */
static void distinct(void **state) {
    (void)state;
    static const char *const MODELS[] = {"efficientnet_b0", "efficientnet_lite0", "mobilenet_v2",
                                         "mnasnet1_0",      "regnet_y_400mf",     "convnext_tiny"};
    for (size_t m = 0; m < sizeof MODELS / sizeof *MODELS; m++) {
        eg_network *net = network_make(MODELS[m], 10, 0);
        size_t n;
        const eg_net_tensor *t = eg_network_tensors(net, &n);
        char(*names)[256] = calloc(n, sizeof *names);
        assert_non_null(names);
        for (size_t i = 0; i < n; i++) {
            if (!eg_timm_name(names[i], eg_arch_entry(eg_network_info(net)), t[i].name))
                fail_msg("%s: %s", MODELS[m], t[i].name);
            for (size_t k = 0; k < i; k++) assert_string_not_equal(names[i], names[k]);
        }
        free(names);
        eg_network_free(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(none),
                                       cmocka_unit_test(distinct)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
