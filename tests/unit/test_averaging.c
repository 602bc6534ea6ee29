/* A copy of the weights: follows, is exchanged and leaves counters alone; the share of a moving average. */
#include "study/recipe.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void follows(void **state) {
    (void)state;
    eg_network *net = NULL;
    eg_weights_copy *copy = NULL;
    assert_int_equal(eg_network_new(&net, "small_cnn", 2, 32, NULL), EG_OK);
    eg_network_init(net, 1);
    size_t n;
    eg_net_tensor *t = eg_network_tensors(net, &n);
    assert_int_equal(eg_study_copy_new(&copy, net, NULL), EG_OK);
    float before = t[0].data[0];
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; t[i].data && k < t[i].count; k++) t[i].data[k] += 1;
    uint64_t allocations = eg_memory_stats_get().n_allocations;
    eg_study_copy_follow(copy, 0.25);
    eg_study_copy_swap(copy);
    assert_float_equal(t[0].data[0], before + 0.25f, 1e-6);
    for (size_t i = 0; i < n; i++) /* running statistics too */
        if (t[i].role == EG_TENSOR_BUFFER && strstr(t[i].name, "running_mean"))
            assert_float_equal(t[i].data[t[i].count - 1], 0.25, 1e-6);
    eg_study_copy_swap(copy);
    assert_true(t[0].data[0] == before + 1);
    eg_study_copy_follow(copy, 1); /* bit for bit */
    t[0].data[0] = 17;
    eg_study_copy_swap(copy);
    assert_true(t[0].data[0] == before + 1);
    assert_int_equal(eg_memory_stats_get().n_allocations, allocations);
    eg_study_copy_free(copy);
    eg_study_copy_free(NULL);
    eg_network_free(net);
}

/* the mean of k equal parts by shares 1, 1/2, 1/3 */
static void shares(void **state) {
    (void)state;
    assert_float_equal(eg_study_ema_share(0.99, 0), 0.9, 1e-15);
    assert_float_equal(eg_study_ema_share(0.99, 1000000), 0.01, 1e-12);
    assert_float_equal(eg_study_ema_share(0.05, 0), 0.95, 1e-15);
    for (int64_t step = 0; step < 5000; step++)
        assert_true(eg_study_ema_share(0.999, step) >= eg_study_ema_share(0.999, step + 1));
}

static void out_of_memory(void **state) {
    (void)state;
    eg_network *net = NULL;
    eg_weights_copy *copy = NULL;
    assert_int_equal(eg_network_new(&net, "small_cnn", 2, 32, NULL), EG_OK);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 3; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_study_copy_new(&copy, net, NULL), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(follows), cmocka_unit_test(shares),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
