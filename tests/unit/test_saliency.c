/* The gradient of a logit at the last feature map: against central differences of the parameter that is added to every
 * pixel of a channel of that map in front of its ReLU (a bias), for heads of one and of two layers, for a short batch. */
#include "net/exec.h"
#include "net_test.h"

enum { SIDE = 64, CLASSES = 3, BATCH = 3 };

static void fill(float *x, size_t n, uint32_t seed) {
    eg_random r = eg_random_make(seed, 1, 2, 3);
    for (size_t i = 0; i < n; i++) x[i] = (float)eg_random_normal(&r);
}

/* Logit `k` of sample i as prediction gives it. */
static double logit(eg_network *net, int i, int k) {
    eg_plan *plan = NULL;
    eg_plan_options o = {.mode = EG_PLAN_PREDICT, .batch = BATCH, .dropout = -1};
    assert_int_equal(eg_plan_new(&plan, net, &o, NULL), EG_OK);
    fill(eg_plan_input(plan), BATCH * SIDE * SIDE * 3, 5);
    assert_int_equal(eg_plan_forward(plan, BATCH, 0, NULL), EG_OK);
    double value = (double)eg_plan_logits(plan)[i * CLASSES + k];
    eg_plan_free(plan);
    return value;
}

/* d logit / d bias_c = sum over the pixels where the map is above 0, by the map's gradient and by differences:
 * `step` is large against rounding and small against the values, whose crossing 0 would bend the difference. */
static void check(const char *model, const char *bias, int n, float step) {
    const int32_t targets[BATCH] = {2, 0, 1};
    eg_network *net = network_make(model, CLASSES, SIDE);
    eg_network_init(net, 7);
    eg_plan *plan = NULL;
    eg_plan_options o = {.mode = EG_PLAN_TRAIN,
                         .batch = BATCH,
                         .bn = EG_BN_FROZEN,
                         .dropout = -1,
                         .keep_map = true,
                         .bf16 = true};
    assert_int_equal(eg_plan_new(&plan, net, &o, NULL), EG_OK);
    assert_false(eg_plan_is_bf16(plan));
    fill(eg_plan_input(plan), BATCH * SIDE * SIDE * 3, 5);
    assert_int_equal(eg_plan_forward(plan, n, 0, NULL), EG_OK);
    int shape[3];
    assert_true(eg_plan_map_shape(shape, plan));
    const size_t pixels = (size_t)shape[0] * (size_t)shape[1], C = (size_t)shape[2];
    float *map = eg_calloc((size_t)n * pixels * C, sizeof *map);
    float *dmap = eg_calloc((size_t)n * pixels * C, sizeof *dmap);
    eg_error err = {0};
    if (eg_plan_saliency(map, dmap, plan, targets, &err) != EG_OK) fail_msg("%s", err.text);
    eg_net_tensor *b = eg_network_tensor(net, bias);
    assert_non_null(b);
    assert_int_equal(b->count, C);
    double largest = 0;
    for (int i = 0; i < n; i++)
        for (size_t c = 0; c < C; c += C / 3) {
            double expected = 0;
            for (size_t p = 0; p < pixels; p++) {
                size_t at = ((size_t)i * pixels + p) * C + c;
                if (map[at] > 0) expected += (double)dmap[at];
            }
            const float before = b->data[c];
            b->data[c] = before + step;
            double up = logit(net, i, targets[i]);
            b->data[c] = before - step;
            double down = logit(net, i, targets[i]);
            b->data[c] = before;
            double found = (up - down) / (2 * (double)step);
            if (fabs(found - expected) > 2e-3 + 0.03 * fabs(found))
                fail_msg("%s sample %d channel %zu: %g, differences give %g", model, i, c, expected,
                         found);
            if (fabs(found) > largest) largest = fabs(found);
        }
    assert_true(largest > 1e-3); // a test of zeros would show nothing
    eg_free(map);
    eg_free(dmap);
    eg_plan_free(plan);
    eg_network_free(net);
}

static void gradients_at_the_map(void **state) {
    (void)state;
    check("resnet18", "layer4.1.bn2.bias", BATCH, 4e-3f);
    check("resnet18", "layer4.1.bn2.bias", 2, 4e-3f);
    check("densenet121", "features.norm5.bias", BATCH, 0.02f); // its values are in the hundreds
    check("small_cnn", "conv3.bias", BATCH, 1e-3f);
}

static void refusals(void **state) {
    (void)state;
    eg_network *net = network_make("vit_b_16", CLASSES, 224);
    eg_plan *plan = NULL;
    eg_plan_options o = {
        .mode = EG_PLAN_TRAIN, .batch = 1, .bn = EG_BN_FROZEN, .dropout = -1, .keep_map = true};
    assert_int_equal(eg_plan_new(&plan, net, &o, NULL), EG_OK);
    assert_int_equal(eg_plan_forward(plan, 1, 0, NULL), EG_OK);
    const int32_t target = 0;
    float none;
    eg_error err = {0};
    assert_int_equal(eg_plan_saliency(&none, &none, plan, &target, &err), EG_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "--method occlusion"));
    eg_plan_free(plan);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_at_the_map),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
