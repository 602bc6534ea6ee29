/* Vision transformers against torchvision's state dicts and metadata; the one image size; the older names in their files. */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    arch_check("vit_b_16");
    arch_check("vit_b_32");
}

static void tokens(void **state) {
    (void)state;
    eg_network *net = network_make("vit_b_16", 7, 224);
    const eg_graph *g = &net->graph;
    const eg_node *core =
        node_named(g, EG_OP_ATTENTION, "encoder.layers.encoder_layer_11.self_attention.core");
    assert_true(core->H == 1 && core->W == 197 && core->C == 768 && core->heads == 12);
    assert_int_equal(core->window, 0);
    assert_int_equal(count_nodes(g, EG_OP_ATTENTION), 12);
    assert_int_equal(node_named(g, EG_OP_LAYER_NORM, "encoder.ln")->W, 1);
    assert_int_equal(eg_network_features(net), 768);
    eg_network_init(net, 1);
    const eg_net_tensor *token = eg_network_tensor(net, "class_token"),
                        *positions = eg_network_tensor(net, "encoder.pos_embedding");
    double square = 0;
    for (size_t i = 0; i < positions->count; i++)
        square += (double)positions->data[i] * (double)positions->data[i];
    assert_true(token->data[0] == 0 && token->data[767] == 0);
    assert_true(fabs(sqrt(square / (double)positions->count) - 0.02) < 0.0005);
    eg_network_free(net);
}

static void other_sizes(void **state) {
    (void)state;
    eg_network *net = NULL;
    eg_error err = {0};
    assert_int_equal(eg_network_new(&net, "vit_b_32", 2, 256, &err), EG_ERR_USAGE);
    assert_null(net);
    assert_non_null(strstr(err.text, "vit_b_32"));
    assert_non_null(strstr(err.text, "256"));
    assert_non_null(strstr(err.text, "--img-size 224"));
}

static void older_names(void **state) {
    (void)state;
    const eg_arch *arch = eg_arch_entry(eg_arch_find("vit_b_16"));
    char out[256];
    assert_true(arch->foreign_name(out, arch, "encoder.layers.encoder_layer_3.mlp.0.weight"));
    assert_string_equal(out, "encoder.layers.encoder_layer_3.mlp.linear_1.weight");
    assert_true(arch->foreign_name(out, arch, "encoder.layers.encoder_layer_11.mlp.3.bias"));
    assert_string_equal(out, "encoder.layers.encoder_layer_11.mlp.linear_2.bias");
    assert_false(arch->foreign_name(out, arch, "encoder.layers.encoder_layer_3.ln_1.weight"));
    assert_false(arch->foreign_name(out, arch, "a.mlp.1.weight"));
    assert_false(arch->foreign_name(out, arch, "a.mlp.03.weight"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts), cmocka_unit_test(tokens),
                                       cmocka_unit_test(other_sizes),
                                       cmocka_unit_test(older_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
