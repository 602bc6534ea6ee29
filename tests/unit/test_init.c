/* Initial weights: bounds and moments of each rule on large tensors, repeatability, streams apart. */
#include "net_test.h"

typedef struct {
    double mean, sd, max;
} moments;

static moments moments_of(eg_network *net, const char *name) {
    const eg_net_tensor *t = eg_network_tensor(net, name);
    assert_non_null(t);
    moments m = {0};
    for (size_t i = 0; i < t->count; i++) {
        m.mean += t->data[i];
        m.sd += (double)t->data[i] * t->data[i];
        m.max = fmax(m.max, fabs((double)t->data[i]));
    }
    m.mean /= (double)t->count;
    m.sd = sqrt(m.sd / (double)t->count);
    return m;
}

static void check_uniform(eg_network *net, const char *name, double bound) {
    moments m = moments_of(net, name);
    assert_true(m.max <= bound * (1 + 1e-6) && m.max > 0.98 * bound);
    assert_true(fabs(m.mean) < 0.02 * bound);
    assert_true(fabs(m.sd / (bound / sqrt(3)) - 1) < 0.02);
}

static void check_normal(eg_network *net, const char *name, double sd) {
    moments m = moments_of(net, name);
    assert_true(fabs(m.sd / sd - 1) < 0.03);
    assert_true(fabs(m.mean) < 0.03 * sd);
    assert_true(m.max > 3 * sd); /* not uniform */
}

static void check_constant(eg_network *net, const char *name, float value) {
    const eg_net_tensor *t = eg_network_tensor(net, name);
    assert_non_null(t);
    for (size_t i = 0; i < t->count; i++) assert_true(t->data[i] == value);
}

static void rules(void **state) {
    (void)state;
    eg_network *net = network_make("resnet18", 1000, 64);
    *eg_network_tensor(net, "bn1.num_batches_tracked")->counter = 5;
    eg_network_init(net, 7);
    check_normal(net, "layer4.0.conv1.weight", sqrt(2.0 / (512 * 9)));
    check_normal(net, "conv1.weight", sqrt(2.0 / (64 * 49)));
    check_uniform(net, "fc.weight", 1 / sqrt(512.0));
    assert_true(moments_of(net, "fc.bias").max > 0.9 / sqrt(512.0));
    check_constant(net, "layer1.0.bn2.weight", 1); /* zero_init_residual is off */
    check_constant(net, "bn1.bias", 0);
    check_constant(net, "bn1.running_mean", 0);
    check_constant(net, "bn1.running_var", 1);
    assert_int_equal(*eg_network_tensor(net, "bn1.num_batches_tracked")->counter, 0);
    eg_network_free(net);

    net = network_make("efficientnet_b0", 1000, 64);
    eg_network_init(net, 7);
    check_normal(net, "features.8.0.weight", sqrt(2.0 / 1280));
    check_normal(net, "features.6.1.block.1.0.weight",
                 sqrt(2.0 / (1152 * 25))); /* groups do not count */
    check_normal(net, "features.6.1.block.2.fc1.weight", sqrt(2.0 / 48));
    check_constant(net, "features.6.1.block.2.fc1.bias", 0);
    check_uniform(net, "classifier.1.weight", 1 / sqrt(1000.0));
    check_constant(net, "classifier.1.bias", 0);
    eg_network_init_head(net, 7);
    check_uniform(net, "classifier.1.weight", 1 / sqrt(1280.0));
    assert_true(moments_of(net, "classifier.1.bias").max > 0.9 / sqrt(1280.0));
    eg_network_free(net);

    net = network_make("small_cnn", 2, 64);
    eg_network_init(net, 7);
    check_uniform(net, "conv3.weight", 1 / sqrt(32.0 * 9));
    assert_true(moments_of(net, "conv3.bias").max > 0.8 / sqrt(32.0 * 9));
    check_uniform(net, "fc1.weight", 1 / sqrt(4096.0));
    eg_network_free(net);
}

/* The rules of families that have their own: torchvision's densenet.py, squeezenet.py, googlenet.py, inception.py,
 * mnasnet.py, mobilenetv3.py, convnext.py. */
static void own_rules(void **state) {
    (void)state;
    eg_network *net = network_make("densenet121", 1000, 64);
    eg_network_init(net, 7);
    check_normal(net, "features.transition3.conv.weight", sqrt(2.0 / 1024));
    check_uniform(net, "classifier.weight", 1 / sqrt(1024.0));
    check_constant(net, "classifier.bias", 0);
    eg_network_free(net);

    net = network_make("squeezenet1_1", 1000, 64);
    eg_network_init(net, 7);
    check_uniform(net, "features.12.expand3x3.weight", sqrt(6.0 / (64 * 9)));
    check_constant(net, "features.12.expand3x3.bias", 0);
    check_normal(net, "classifier.1.weight", 0.01);
    check_constant(net, "classifier.1.bias", 0);
    eg_network_free(net);

    net = network_make("googlenet", 1000, 64);
    eg_network_init(net, 7);
    check_normal(net, "inception5b.branch2.1.conv.weight", 0.01);
    check_normal(net, "aux1.fc1.weight", 0.01);
    check_normal(net, "fc.weight", 0.01);
    check_uniform(net, "fc.bias", 1 / sqrt(1024.0));
    eg_network_free(net);

    net = network_make("inception_v3", 1000, 96);
    eg_network_init(net, 7);
    check_normal(net, "Mixed_6e.branch7x7_2.conv.weight", 0.1);
    check_normal(net, "fc.weight", 0.1);
    check_normal(net, "AuxLogits.fc.weight", 0.001);
    eg_network_free(net);

    net = network_make("mnasnet0_5", 1000, 64);
    eg_network_init(net, 7);
    check_normal(net, "layers.14.weight", sqrt(2.0 / 1280));
    check_uniform(net, "classifier.1.weight", sqrt(3.0 / 1000));
    check_constant(net, "classifier.1.bias", 0);
    eg_network_free(net);

    net = network_make("mobilenet_v3_small", 1000, 64);
    eg_network_init(net, 7);
    check_normal(net, "features.11.block.1.0.weight", sqrt(2.0 / (576 * 25)));
    check_normal(net, "classifier.3.weight", 0.01);
    check_constant(net, "classifier.3.bias", 0);
    eg_network_free(net);

    net = network_make("convnext_tiny", 1000, 64);
    eg_network_init(net, 7);
    check_normal(net, "features.7.1.block.3.weight", 0.02);
    check_constant(net, "features.7.1.block.3.bias", 0);
    check_constant(net, "features.7.1.block.2.weight", 1);
    check_constant(net, "features.7.1.layer_scale", 1e-6f);
    check_normal(net, "classifier.2.weight", 0.02);
    eg_network_free(net);
}

static void seeds(void **state) {
    (void)state;
    eg_network *a = network_make("efficientnet_b0", 4, 64),
               *b = network_make("efficientnet_b0", 4, 64);
    eg_network_init(a, 1);
    eg_network_init(b, 1);
    size_t n;
    const eg_net_tensor *s = eg_network_tensors(a, &n), *t = eg_network_tensors(b, &n);
    for (size_t i = 0; i < n; i++)
        if (s[i].data) assert_memory_equal(s[i].data, t[i].data, s[i].count * sizeof(float));
    eg_network_init_head(b, 2);
    for (size_t i = 0; i < n; i++)
        if (s[i].data)
            assert_int_equal(memcmp(s[i].data, t[i].data, s[i].count * sizeof(float)) == 0,
                             !s[i].is_head);
    /* tensors of one shape differ: each has its own stream */
    const float *p = eg_network_tensor(a, "features.3.1.block.0.0.weight")->data;
    const float *q = eg_network_tensor(a, "features.3.1.block.3.0.weight")->data;
    assert_true(p[0] != q[0] && p[1] != q[1]);
    eg_network_free(a);
    eg_network_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules), cmocka_unit_test(own_rules),
                                       cmocka_unit_test(seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
