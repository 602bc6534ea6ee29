/* The index sort: sorted, a permutation, stable, at every small length and at a large one. */
#include "stats_close.h"

#include "base/base.h"
#include "stats/order.h"

static void check_order(const double *x, size_t n) {
    uint32_t *order = eg_malloc((2 * n + 1) * sizeof *order);
    uint8_t *seen = eg_calloc(n + 1, 1);
    eg_stats_order(order, order + n, x, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(order[i] < n && !seen[order[i]]);
        seen[order[i]] = 1;
        if (i == 0) continue;
        double a = x[order[i - 1]], b = x[order[i]];
        assert_true(a < b || (a == b && order[i - 1] < order[i]));
    }
    eg_free(order);
    eg_free(seen);
}

static void test_all_lengths(void **unused) {
    (void)unused;
    double x[3000];
    eg_random random = eg_random_make(1, 0, 0, 0);
    for (size_t i = 0; i < LENGTH(x); i++) x[i] = eg_random_below(&random, 40); /* many ties */
    for (size_t n = 0; n < 70; n++) check_order(x, n);
    check_order(x, LENGTH(x));
    x[7] = INFINITY;
    x[9] = -INFINITY;
    check_order(x, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
