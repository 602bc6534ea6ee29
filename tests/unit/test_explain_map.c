/* Heat maps against closed forms: behind global average pooling and one linear layer the gradient of a logit at channel k
 * is w_k / (H W) everywhere, so Grad-CAM and Grad-CAM++ can be written down from the weights; occlusion against covering
 * by hand; the share outside the centre on maps whose answer is known; the picture's two halves. */
#include "study/explain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 64, CLASSES = 3, FLOATS = SIDE * SIDE * 3 };

static eg_network *make_network(void) {
    eg_network *net = NULL;
    assert_int_equal(eg_network_new(&net, "resnet18", CLASSES, SIDE, NULL), EG_OK);
    eg_network_init(net, 3);
    eg_net_tensor *w = eg_network_tensor(net, "fc.weight");
    eg_random r = eg_random_make(9, 0, 0, 0);
    for (size_t i = 0; i < w->count; i++) w->data[i] = (float)(0.2 * eg_random_normal(&r));
    return net;
}

static float *make_input(void) {
    float *input = eg_malloc(FLOATS * sizeof *input);
    eg_random r = eg_random_make(4, 0, 0, 0);
    for (size_t i = 0; i < FLOATS; i++) input[i] = (float)eg_random_normal(&r);
    return input;
}

/* The last feature map, from a plan of its own. */
static float *feature_map(int shape[3], eg_network *net, const float *input) {
    eg_plan *plan = NULL;
    const int32_t target[1] = {0};
    eg_plan_options o = {
        .mode = EG_PLAN_TRAIN, .batch = 1, .bn = EG_BN_FROZEN, .dropout = -1, .keep_map = true};
    assert_int_equal(eg_plan_new(&plan, net, &o, NULL), EG_OK);
    memcpy(eg_plan_input(plan), input, FLOATS * sizeof *input);
    assert_int_equal(eg_plan_forward(plan, 1, 0, NULL), EG_OK);
    assert_true(eg_plan_map_shape(shape, plan));
    size_t n = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    float *map = eg_malloc(n * sizeof *map), *unused = eg_malloc(n * sizeof *unused);
    assert_int_equal(eg_plan_saliency(map, unused, plan, target, NULL), EG_OK);
    eg_free(unused);
    eg_plan_free(plan);
    return map;
}

/* sum_k weight_k A_k, below 0 cut, largest 1 */
static void weighed(double *heat, const float *map, const int shape[3], const double *weight) {
    const size_t pixels = (size_t)shape[0] * (size_t)shape[1], C = (size_t)shape[2];
    double most = 0;
    for (size_t p = 0; p < pixels; p++) {
        heat[p] = 0;
        for (size_t c = 0; c < C; c++) heat[p] += weight[c] * (double)map[p * C + c];
        most = fmax(most, heat[p]);
    }
    assert_true(most > 0);
    for (size_t p = 0; p < pixels; p++) heat[p] = fmax(0, heat[p]) / most;
}

static void check_gradcam(eg_explain_method method, int target) {
    eg_network *net = make_network();
    float *input = make_input();
    int shape[3], height, width;
    float *map = feature_map(shape, net, input);
    const size_t pixels = (size_t)shape[0] * (size_t)shape[1], C = (size_t)shape[2];
    const float *w = eg_network_tensor(net, "fc.weight")->data + (size_t)target * C;
    double *weight = eg_malloc(C * sizeof *weight),
           *expected = eg_malloc(pixels * sizeof *expected);
    for (size_t c = 0; c < C; c++) {
        double g = (double)w[c] / (double)pixels, sum = 0;
        for (size_t p = 0; p < pixels; p++) sum += (double)map[p * C + c];
        weight[c] = method == EG_EXPLAIN_GRADCAM ? g
                    : g > 0                      ? (double)pixels * g / (2 + sum * g)
                                                 : 0;
    }
    weighed(expected, map, shape, weight);
    eg_explainer x;
    eg_heat heat = {.value = eg_malloc(pixels * sizeof *heat.value)};
    assert_int_equal(eg_study_explainer_open(&x, net, method, 0, NULL), EG_OK);
    eg_study_explainer_shape(&height, &width, &x);
    assert_int_equal((size_t)height * (size_t)width, pixels);
    assert_int_equal(eg_study_explainer_map(&heat, &x, input, target, NULL), EG_OK);
    for (size_t p = 0; p < pixels; p++)
        if (fabs((double)heat.value[p] - expected[p]) > 1e-4)
            fail_msg("place %zu: %g, expected %g", p, (double)heat.value[p], expected[p]);
    eg_study_explainer_close(&x);
    eg_free(heat.value);
    eg_free(weight);
    eg_free(expected);
    eg_free(map);
    eg_free(input);
    eg_network_free(net);
}

static void gradcam_closed_form(void **state) {
    (void)state;
    for (int target = 0; target < CLASSES; target++) {
        check_gradcam(EG_EXPLAIN_GRADCAM, target);
        check_gradcam(EG_EXPLAIN_GRADCAM_PP, target);
    }
}

static double p_of(eg_explainer *x, const float *input, int target) {
    float logits[CLASSES];
    double p[CLASSES];
    assert_int_equal(eg_study_explainer_logits(logits, x, input, NULL), EG_OK);
    eg_softmax(p, logits, 1, CLASSES);
    return p[target];
}

static void occlusion_by_hand(void **state) {
    (void)state;
    enum { PATCH = 16, CELLS = SIDE / (PATCH / 2) };
    eg_network *net = make_network();
    float *input = make_input(), *covered = eg_malloc(FLOATS * sizeof *covered);
    eg_explainer x;
    float value[CELLS * CELLS];
    eg_heat heat = {.value = value};
    assert_int_equal(eg_study_explainer_open(&x, net, EG_EXPLAIN_OCCLUSION, PATCH, NULL), EG_OK);
    assert_int_equal(eg_study_explainer_map(&heat, &x, input, 1, NULL), EG_OK);
    assert_int_equal(heat.height, CELLS);
    double before = p_of(&x, input, 1), drop[CELLS * CELLS], most = 0;
    for (int cell = 0; cell < CELLS * CELLS; cell++) {
        memcpy(covered, input, FLOATS * sizeof *covered);
        int top = cell / CELLS * (PATCH / 2) + PATCH / 4 - PATCH / 2;
        int left = cell % CELLS * (PATCH / 2) + PATCH / 4 - PATCH / 2;
        for (int y = top; y < top + PATCH; y++)
            for (int col = left; col < left + PATCH; col++)
                for (int c = 0; c < 3 && y >= 0 && y < SIDE && col >= 0 && col < SIDE; c++)
                    covered[(y * SIDE + col) * 3 + c] = 0;
        drop[cell] = before - p_of(&x, covered, 1);
        most = fmax(most, drop[cell]);
    }
    assert_true(most > 0);
    for (int cell = 0; cell < CELLS * CELLS; cell++)
        assert_true(fabs((double)value[cell] - fmax(0, drop[cell]) / most) < 1e-3);
    eg_study_explainer_close(&x);
    eg_error err = {0};
    assert_int_equal(eg_study_explainer_open(&x, net, EG_EXPLAIN_OCCLUSION, SIDE + 1, &err),
                     EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "--patch 65"));
    eg_free(covered);
    eg_free(input);
    eg_network_free(net);
}

static void outside_of_known_maps(void **state) {
    (void)state;
    float value[64] = {0};
    eg_heat heat = {8, 8, value};
    assert_true(isnan(eg_study_heat_outside(&heat)));
    value[3 * 8 + 3] = 1; // in the middle
    assert_true(fabs(eg_study_heat_outside(&heat)) < 1e-12);
    value[3 * 8 + 3] = 0;
    value[7] = 0.5f; // a corner
    assert_true(fabs(eg_study_heat_outside(&heat) - 1) < 1e-12);
    for (int i = 0; i < 64; i++) value[i] = 1;
    assert_true(fabs(eg_study_heat_outside(&heat) - 0.5) < 1e-12); // half of the area
}

static void picture_halves(void **state) {
    (void)state;
    enum { S = 8 };
    uint8_t pixels[S * S * 3];
    for (int i = 0; i < S * S * 3; i++) pixels[i] = (uint8_t)(i % 200);
    float value[4] = {0, 0, 0, 1};
    eg_heat heat = {2, 2, value};
    eg_buffer png = {0};
    eg_image back = {0};
    assert_int_equal(eg_study_overlay_png(&png, pixels, S, &heat, NULL), EG_OK);
    assert_int_equal(eg_image_decode(&back, png.data, png.size, NULL, NULL), EG_OK);
    assert_int_equal(back.width, 2 * S);
    assert_int_equal(back.height, S);
    for (int y = 0; y < S; y++)
        assert_memory_equal(back.pixels + y * 2 * S * 3, pixels + y * S * 3, S * 3);
    const uint8_t *cold = back.pixels + S * 3, *hot = back.pixels + (2 * S * S - 1) * 3;
    assert_memory_equal(cold, pixels, 3); // where the map is 0 nothing is tinted
    assert_true(hot[0] > pixels[(S * S - 1) * 3] && hot[0] >= 150);
    eg_image_free(&back);
    eg_buffer_free(&png);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradcam_closed_form),
        cmocka_unit_test(occlusion_by_hand),
        cmocka_unit_test(outside_of_known_maps),
        cmocka_unit_test(picture_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
