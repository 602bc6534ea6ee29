/* Balanced epochs: classes take turns, no image of a class comes again before all of it came, epochs differ. */
#include "data/pixels.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { N = 20 };

static void balanced(void **state) {
    (void)state;
    eg_sample samples[N] = {{0}};
    uint32_t indices[N], order[N], round[N], other[N];
    for (int i = 0; i < N; i++) {
        samples[i].label = i < 14 ? 0 : i < 17 ? 2 : 3; /* 14, none, 3, 3 */
        indices[i] = (uint32_t)(N - 1 - i);
    }
    const eg_dataset ds = {.n_classes = 4, .samples = samples, .n_samples = N};
    assert_true(eg_data_order_balanced(order, round, &ds, indices, N, 1, 1));
    int count[4] = {0}, seen[N] = {0};
    for (int place = 0; place < N; place++) {
        assert_true(order[place] < N);
        int label = samples[indices[order[place]]].label;
        count[label]++;
        assert_int_equal(round[place], seen[order[place]]++);
        if (place % 3 == 2) assert_true(count[0] == count[2] && count[2] == count[3]);
    }
    assert_true(count[1] == 0 && count[0] == 7 && count[2] == 7 && count[3] == 6);
    /* three images in seven places: two or three times each */
    for (int i = 0; i < N; i++)
        if (samples[indices[i]].label >= 2) assert_true(seen[i] == 2 || seen[i] == 3);
    assert_true(eg_data_order_balanced(other, round, &ds, indices, N, 1, 1));
    assert_memory_equal(order, other, sizeof order);
    assert_true(eg_data_order_balanced(other, round, &ds, indices, N, 1, 2));
    assert_memory_not_equal(order, other, sizeof order);
}

static void out_of_memory(void **state) {
    (void)state;
    eg_sample samples[2] = {{.label = 0}, {.label = 1}};
    uint32_t indices[2] = {0, 1}, order[2], round[2];
    const eg_dataset ds = {.n_classes = 2, .samples = samples, .n_samples = 2};
    for (uint64_t k = 1; k <= 4; k++) {
        eg_memory_fail_at(k);
        bool ok = eg_data_order_balanced(order, round, &ds, indices, 2, 1, 1);
        eg_memory_fail_at(0);
        assert_false(ok);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(balanced), cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
