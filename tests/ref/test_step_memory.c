/* A training step takes nothing from our heap hook after the first, nor does a prediction, in f32 and in bf16: counted, on a
 * network with every fused op (efficientnet_b0) and on one with residual adds behind ReLU (resnet18), tail batches included.        */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/net.h"

enum { BATCH = 2, SIDE = 64 };

static void step(eg_plan *plan, eg_optimizer *opt, int n, uint64_t key) {
    static const int32_t labels[BATCH] = {0, 1};
    eg_error err;
    eg_loss_result r;
    if (eg_plan_forward(plan, n, key, &err) != EG_OK) fail_msg("%s", err.text);
    if (!opt) return;
    if (eg_plan_backward(&r, plan, labels, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_true(eg_optimizer_grad_norm(opt) > 0);
    eg_optimizer_step(opt, 1e-3, 1);
}

static void check_in(bool bf16, const char *model, eg_plan_mode mode) {
    eg_error err;
    eg_network *net = NULL;
    eg_plan *plan = NULL;
    eg_optimizer *opt = NULL;
    eg_plan_options o = {
        .mode = mode, .batch = BATCH, .stochastic = true, .dropout = -1, .bf16 = bf16};
    eg_opt_options adamw = {.kind = EG_OPT_ADAMW, .weight_decay = 0.01};
    assert_int_equal(eg_network_new(&net, model, 2, SIDE, &err), EG_OK);
    eg_network_init(net, 3);
    assert_int_equal(eg_plan_new(&plan, net, &o, &err), EG_OK);
    assert_int_equal(eg_plan_is_bf16(plan), bf16);
    if (mode == EG_PLAN_TRAIN) assert_int_equal(eg_optimizer_for(&opt, net, &adamw, &err), EG_OK);
    for (int i = 0; i < BATCH * SIDE * SIDE * 3; i++)
        eg_plan_input(plan)[i] = (float)(i % 7) - 3.0f;
    step(plan, opt, BATCH, 0);
    step(plan, opt, 1, 1);
    uint64_t before = eg_memory_stats_get().n_allocations;
    for (uint64_t i = 2; i < 5; i++) {
        step(plan, opt, BATCH, i);
        step(plan, opt, 1, i);
    }
    assert_int_equal(eg_memory_stats_get().n_allocations, before);
    eg_optimizer_free(opt);
    eg_plan_free(plan);
    eg_network_free(net);
}

static void check(const char *model, eg_plan_mode mode) {
    check_in(false, model, mode);
    check_in(true, model, mode);
}

static void test_training(void **state) {
    (void)state;
    check("efficientnet_b0", EG_PLAN_TRAIN);
    check("resnet18", EG_PLAN_TRAIN);
}

static void test_prediction(void **state) {
    (void)state;
    check("efficientnet_b0", EG_PLAN_PREDICT);
    check("resnet18", EG_PLAN_PREDICT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_training),
                                       cmocka_unit_test(test_prediction)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
