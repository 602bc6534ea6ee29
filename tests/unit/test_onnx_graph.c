/* The ONNX file of whole networks: decoded again with the generated protobuf code it has the nodes, weights, names, inputs
 * and metadata that it should; the same bytes each time; too large a model is refused and writes nothing. Numbers against
 * ONNX Runtime: scripts/check_export.py. */
#include "net_test.h"

#include "net/onnx_graph.h"

static const eg_text_pair METADATA[] = {{"model", "x"}, {"classes", "[\"a\",\"b\"]"}};

static eg_status save(const eg_network *net, const char *path, const eg_onnx_options *o,
                      eg_error *err) {
    return eg_network_save_onnx(net, path, o, METADATA, 2, err);
}

/* Save, read the bytes back, decode. eg_onnx__model_proto__free_unpacked(m, NULL) releases it. */
static EgOnnx__ModelProto *round_trip(const eg_network *net, const eg_onnx_options *o) {
    const char *path = SCRATCH("onnx_graph.onnx");
    eg_error err = {0};
    if (save(net, path, o, &err) != EG_OK) fail_msg("%s", err.text);
    eg_file_view view;
    assert_int_equal(eg_file_open(&view, path, (size_t)1 << 30, NULL), EG_OK);
    EgOnnx__ModelProto *model = eg_onnx__model_proto__unpack(NULL, view.size, view.data);
    assert_non_null(model);
    eg_file_close(&view);
    unlink(path);
    return model;
}

static int count_ops(const EgOnnx__GraphProto *g, const char *op) {
    int n = 0;
    for (size_t i = 0; i < g->n_node; i++) n += strcmp(g->node[i]->op_type, op) == 0;
    return n;
}

static const EgOnnx__TensorProto *initializer(const EgOnnx__GraphProto *g, const char *name) {
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(g->initializer[i]->name, name) == 0) return g->initializer[i];
    fail_msg("no initializer %s", name);
    return NULL;
}

static const EgOnnx__NodeProto *maker(const EgOnnx__GraphProto *g, const char *value) {
    for (size_t i = 0; i < g->n_node; i++)
        if (strcmp(g->node[i]->output[0], value) == 0) return g->node[i];
    fail_msg("nothing makes %s", value);
    return NULL;
}

static const EgOnnx__AttributeProto *attribute(const EgOnnx__NodeProto *node, const char *name) {
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0) return node->attribute[i];
    fail_msg("%s has no %s", node->name, name);
    return NULL;
}

static void check_value(const EgOnnx__ValueInfoProto *v, const char *name, int type,
                        const int64_t *dims, size_t n) {
    assert_string_equal(v->name, name);
    const EgOnnx__TypeProto__Tensor *t = v->type->tensor_type;
    assert_int_equal(t->elem_type, type);
    assert_int_equal(t->shape->n_dim, n + 1);
    assert_string_equal(t->shape->dim[0]->dim_param, "N");
    for (size_t d = 0; d < n; d++) assert_int_equal(t->shape->dim[d + 1]->dim_value, dims[d]);
}

/* Every name is defined once, before it is read; every initializer is read. */
static void check_names(const EgOnnx__GraphProto *g) {
    size_t n_known = 0, room = 1 + g->n_initializer + g->n_node;
    const char **known = calloc(room, sizeof *known);
    known[n_known++] = g->input[0]->name;
    for (size_t i = 0; i < g->n_initializer; i++) known[n_known++] = g->initializer[i]->name;
    for (size_t i = 0; i < g->n_node; i++) {
        for (size_t k = 0; k < g->node[i]->n_input; k++) {
            bool found = false;
            for (size_t j = 0; j < n_known && !found; j++)
                found = strcmp(known[j], g->node[i]->input[k]) == 0;
            if (!found) fail_msg("%s reads %s", g->node[i]->name, g->node[i]->input[k]);
        }
        for (size_t j = 0; j < n_known; j++)
            assert_string_not_equal(known[j], g->node[i]->output[0]);
        known[n_known++] = g->node[i]->output[0];
    }
    for (size_t i = 0; i < g->n_initializer; i++) {
        bool read = false;
        for (size_t j = 0; j < g->n_node && !read; j++)
            for (size_t k = 0; k < g->node[j]->n_input && !read; k++)
                read = strcmp(g->node[j]->input[k], g->initializer[i]->name) == 0;
        if (!read) fail_msg("nothing reads %s", g->initializer[i]->name);
    }
    free(known);
}

static void folded_resnet(void **state) {
    (void)state;
    eg_network *net = network_make("resnet18", 2, 64);
    eg_network_init(net, 5);
    EgOnnx__ModelProto *m =
        round_trip(net, &(eg_onnx_options){.description = "what the numbers mean"});
    const EgOnnx__GraphProto *g = m->graph;
    assert_int_equal(m->ir_version, 8);
    assert_int_equal(m->n_opset_import, 1);
    assert_int_equal(m->opset_import[0]->version, 17);
    assert_string_equal(m->producer_name, "engraft");
    assert_string_equal(m->doc_string, "what the numbers mean");
    assert_int_equal(m->n_metadata_props, 2);
    assert_string_equal(m->metadata_props[1]->key, "classes");
    assert_string_equal(m->metadata_props[1]->value, "[\"a\",\"b\"]");
    assert_string_equal(g->name, "resnet18");
    check_value(g->input[0], "input", EG_ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                (const int64_t[]){3, 64, 64}, 3);
    check_value(g->output[0], "logits", EG_ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                (const int64_t[]){2}, 1);
    check_names(g);
    assert_int_equal(count_ops(g, "Conv"), 20);
    assert_int_equal(count_ops(g, "Relu"), 17);
    assert_int_equal(count_ops(g, "Add"), 8);
    assert_int_equal(count_ops(g, "BatchNormalization"), 0);
    assert_int_equal(count_ops(g, "Gemm"), 1);
    assert_int_equal(count_ops(g, "Softmax"), 0);
    assert_int_equal(g->n_initializer, 2 * 20 + 2);
    /* the head is the network's own, bit for bit */
    const EgOnnx__TensorProto *head = initializer(g, "fc.weight");
    const eg_net_tensor *fc = eg_network_tensor(net, "fc.weight");
    assert_int_equal(head->dims[0], 2);
    assert_int_equal(head->raw_data.len, fc->count * sizeof(float));
    assert_memory_equal(head->raw_data.data, fc->data, head->raw_data.len);
    eg_onnx__model_proto__free_unpacked(m, NULL);
    eg_network_free(net);
}

/* w gamma / sqrt(var + eps) and beta - mean gamma / sqrt(var + eps), with numbers that are not 1 and 0. */
static void folded_values(void **state) {
    (void)state;
    eg_network *net = network_make("resnet18", 2, 64);
    eg_network_init(net, 5);
    eg_network_tensor(net, "bn1.weight")->data[7] = 3;
    eg_network_tensor(net, "bn1.bias")->data[7] = 0.5f;
    eg_network_tensor(net, "bn1.running_mean")->data[7] = 2;
    eg_network_tensor(net, "bn1.running_var")->data[7] = 4;
    EgOnnx__ModelProto *m = round_trip(net, &(eg_onnx_options){0});
    const float *w = (const void *)initializer(m->graph, "conv1.weight")->raw_data.data,
                *b = (const void *)initializer(m->graph, "conv1.bias")->raw_data.data;
    const float *given = eg_network_tensor(net, "conv1.weight")->data;
    double scale = 3 / sqrt(4 + 1e-5);
    for (int j = 7 * 147; j < 8 * 147; j++)
        assert_true(fabs((double)w[j] - (double)given[j] * scale) < 1e-6);
    assert_true(fabs((double)b[7] - (0.5 - 2 * scale)) < 1e-6);
    eg_onnx__model_proto__free_unpacked(m, NULL);
    eg_network_free(net);
}

static void kept_norms(void **state) {
    (void)state;
    eg_network *net = network_make("resnet18", 2, 64);
    eg_network_init(net, 5);
    EgOnnx__ModelProto *m = round_trip(net, &(eg_onnx_options){.keep_bn = true});
    check_names(m->graph);
    assert_int_equal(count_ops(m->graph, "Conv"), 20);
    assert_int_equal(count_ops(m->graph, "BatchNormalization"), 20);
    assert_int_equal(m->graph->n_initializer, 20 + 4 * 20 + 2);
    const EgOnnx__NodeProto *bn = maker(m->graph, "layer1.0.bn1");
    assert_string_equal(bn->input[0], "layer1.0.conv1");
    assert_string_equal(bn->input[4], "layer1.0.bn1.running_var");
    assert_true(fabsf(attribute(bn, "epsilon")->f - 1e-5f) < 1e-12f);
    eg_onnx__model_proto__free_unpacked(m, NULL);
    eg_network_free(net);
}

/* TensorFlow's padding is explicit: the odd pixel behind. */
static void asymmetric_padding(void **state) {
    (void)state;
    eg_network *net = network_make("efficientnet_lite0", 3, 64);
    eg_network_init(net, 5);
    EgOnnx__ModelProto *m = round_trip(net, &(eg_onnx_options){0});
    check_names(m->graph);
    assert_int_equal(count_ops(m->graph, "Conv"), 49);
    assert_int_equal(count_ops(m->graph, "Clip"), 33);
    const EgOnnx__AttributeProto *pads = attribute(maker(m->graph, "features.0.0"), "pads");
    assert_int_equal(pads->n_ints, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(pads->ints[i], i / 2); /* 0 0 1 1 */
    eg_onnx__model_proto__free_unpacked(m, NULL);
    eg_network_free(net);
}

static void preprocessing_inside(void **state) {
    (void)state;
    eg_network *net = network_make("small_cnn", 2, 32);
    eg_network_init(net, 5);
    EgOnnx__ModelProto *m = round_trip(net, &(eg_onnx_options){.with_preprocessing = true,
                                                               .mean = {0.5f, 0.25f, 0.125f},
                                                               .std = {0.5f, 0.25f, 0.2f}});
    check_names(m->graph);
    check_value(m->graph->input[0], "input", EG_ONNX__TENSOR_PROTO__DATA_TYPE__UINT8,
                (const int64_t[]){32, 32, 3}, 3);
    assert_string_equal(m->graph->node[0]->op_type, "Cast");
    const float *scale = (const void *)initializer(m->graph, "preprocessing/scale")->raw_data.data,
                *shift = (const void *)initializer(m->graph, "preprocessing/shift")->raw_data.data;
    assert_true(fabs((double)scale[2] - 1 / (255 * 0.2)) < 1e-8);
    assert_true(fabs((double)shift[2] + 0.125 / 0.2) < 1e-6);
    eg_onnx__model_proto__free_unpacked(m, NULL);
    eg_network_free(net);
}

/* Auxiliary outputs are no part of prediction. */
static void no_auxiliary(void **state) {
    (void)state;
    eg_network *net = network_make("googlenet", 2, 96);
    eg_network_init(net, 5);
    EgOnnx__ModelProto *m = round_trip(net, &(eg_onnx_options){0});
    check_names(m->graph);
    assert_int_equal(count_ops(m->graph, "Gemm"), 1);
    for (size_t i = 0; i < m->graph->n_initializer; i++)
        assert_int_not_equal(strncmp(m->graph->initializer[i]->name, "aux", 3), 0);
    eg_onnx__model_proto__free_unpacked(m, NULL);
    eg_network_free(net);
}

static void same_bytes(void **state) {
    (void)state;
    const char *a = SCRATCH("onnx_same_a.onnx"), *b = SCRATCH("onnx_same_b.onnx");
    eg_network *net = network_make("small_cnn", 2, 32);
    eg_network_init(net, 5);
    char sha_a[65], sha_b[65];
    assert_int_equal(save(net, a, &(eg_onnx_options){0}, NULL), EG_OK);
    assert_int_equal(save(net, b, &(eg_onnx_options){0}, NULL), EG_OK);
    assert_int_equal(eg_sha256_file(sha_a, a, NULL), EG_OK);
    assert_int_equal(eg_sha256_file(sha_b, b, NULL), EG_OK);
    assert_string_equal(sha_a, sha_b);
    unlink(a);
    unlink(b);
    eg_network_free(net);
}

static void too_large(void **state) {
    (void)state;
    const char *path = SCRATCH("onnx_large.onnx");
    eg_network *net = network_make("small_cnn", 2, 32);
    eg_error err = {0};
    assert_int_equal(save(net, path, &(eg_onnx_options){.limit_bytes = 100000}, &err),
                     EG_ERR_LIMIT);
    assert_non_null(strstr(err.text, "safetensors"));
    assert_false(eg_path_exists(path));
    eg_network_free(net);
}

static void no_folder(void **state) {
    (void)state;
    eg_network *net = network_make("small_cnn", 2, 32);
    assert_int_equal(save(net, SCRATCH("no/such/x.onnx"), &(eg_onnx_options){0}, NULL), EG_ERR_IO);
    eg_network_free(net);
}

/* Every allocation on the way fails once: an error, nothing lost. (The sanitizer build looks for leaks.) */
static void no_memory(void **state) {
    (void)state;
    const char *path = SCRATCH("onnx_memory.onnx");
    eg_network *net = network_make("small_cnn", 2, 32);
    uint64_t k = 1;
    for (eg_status status = EG_ERR_NO_MEMORY; status != EG_OK && k < 1000; k++) {
        eg_error err = {0};
        eg_memory_fail_at(k);
        status =
            save(net, path, &(eg_onnx_options){.with_preprocessing = true, .std = {1, 1, 1}}, &err);
        eg_memory_fail_at(0);
        if (status != EG_OK) {
            assert_int_equal(status, err.status);
            assert_false(eg_path_exists(path));
        }
    }
    assert_true(k > 4 && k < 1000);
    unlink(path);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_resnet),
        cmocka_unit_test(folded_values),
        cmocka_unit_test(kept_norms),
        cmocka_unit_test(asymmetric_padding),
        cmocka_unit_test(preprocessing_inside),
        cmocka_unit_test(no_auxiliary),
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(too_large),
        cmocka_unit_test(no_folder),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
