/* Telling two kinds of rows apart: finds a difference, finds none where none is, keeps patients together, same bits for
 * any number of threads, and fails cleanly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stats/stats.h"
#include <math.h>
#include <string.h>

enum { N = 240, D = 12 };
static float x[N * D];
static int32_t label[N];
static uint32_t unit[N];

/* Normal rows in units of two; rows with label 1 are moved by `shift` along every axis. */
static eg_domain_options rows_make(double shift, uint64_t seed) {
    eg_random r = eg_random_make(seed, 0, 0, 0);
    for (int i = 0; i < N; i++) {
        label[i] = i >= N * 2 / 3;
        unit[i] = (uint32_t)i / 2;
        for (int j = 0; j < D; j++) x[i * D + j] = (float)(eg_random_normal(&r) + shift * label[i]);
    }
    return (eg_domain_options){.x = x,
                               .label = label,
                               .unit = unit,
                               .n = N,
                               .D = D,
                               .n_units = N / 2,
                               .n_permutations = 199,
                               .with_control = true,
                               .seed = seed};
}

static void test_finds_a_shift(void **state) {
    (void)state;
    eg_domain found;
    eg_error err = {0};
    eg_domain_options o = rows_make(0.5, 1);
    assert_int_equal(eg_domain_test(&found, NULL, &o, &err), EG_OK);
    /* the best linear score has d' = 0.5 sqrt(12) = 1.73: AUC Phi(d' / sqrt 2) = 0.89, less what 240 rows cost */
    assert_true(found.auc > 0.80 && found.auc < 0.95);
    assert_true(found.p < 0.006);
    assert_true(fabs(found.control_auc - 0.5) < 0.08);
}

/* p is uniform where nothing is: of 40 sets about 2 are below 0.05, and the mean AUC is 0.5. */
static void test_finds_nothing_in_noise(void **state) {
    (void)state;
    int below = 0;
    double sum = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        eg_domain found;
        eg_domain_options o = rows_make(0, 100 + seed);
        o.with_control = false;
        assert_int_equal(eg_domain_test(&found, NULL, &o, NULL), EG_OK);
        assert_true(isnan(found.control_auc));
        below += found.p < 0.05;
        sum += found.auc;
    }
    assert_true(below <= 6); /* P(Binomial(40, 0.05) > 6) = 0.3 % */
    assert_true(fabs(sum / 40 - 0.5) < 0.03);
}

/* Rows of a patient that are almost the same, labels by the patient at random: with patients torn apart they would be
 * recognised; kept together they are not. */
static void test_patients_stay_together(void **state) {
    (void)state;
    eg_random r = eg_random_make(5, 0, 0, 0);
    eg_domain together, apart;
    eg_domain_options o = rows_make(0, 5);
    for (int u = 0; u < N / 8; u++) {
        int32_t own = (int32_t)eg_random_below(&r, 2);
        for (int i = 8 * u; i < 8 * u + 8; i++) {
            label[i] = own;
            unit[i] = (uint32_t)u;
            for (int j = 0; j < D; j++)
                x[i * D + j] = x[8 * u * D + j] + 0.05F * (float)eg_random_normal(&r);
        }
    }
    o.n_units = N / 8;
    assert_int_equal(eg_domain_test(&together, NULL, &o, NULL), EG_OK);
    for (int i = 0; i < N; i++) unit[i] = (uint32_t)i;
    o.n_units = N;
    assert_int_equal(eg_domain_test(&apart, NULL, &o, NULL), EG_OK);
    assert_true(together.p > 0.01);
    assert_true(apart.auc > together.auc + 0.1);
    assert_true(apart.p < 0.006);
}

static void test_same_bits_for_any_threads(void **state) {
    (void)state;
    static double one[N], four[N];
    eg_domain a, b;
    eg_domain_options o = rows_make(0.2, 9);
    eg_threads_set(1);
    assert_int_equal(eg_domain_test(&a, one, &o, NULL), EG_OK);
    eg_threads_set(4);
    assert_int_equal(eg_domain_test(&b, four, &o, NULL), EG_OK);
    eg_threads_set(0);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(one, four, sizeof one);
    /* scores order the labels as the AUC says, whatever the offsets of folds do */
    assert_true(eg_auc(one, label, N) > 0.5);
}

static void test_refuses(void **state) {
    (void)state;
    eg_error err = {0};
    eg_domain found = {7, 7, 7};
    eg_domain_options o = rows_make(0, 1);
    x[3 * D + 4] = NAN;
    assert_int_equal(eg_domain_test(&found, NULL, &o, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "feature 4 of image 3"));
    assert_true(found.auc == 7); /* untouched */
    o.n = 0;
    assert_int_equal(eg_domain_test(&found, NULL, &o, &err), EG_ERR_INPUT);
    /* one class only: nothing can be said */
    o = rows_make(0, 1);
    memset(label, 0, sizeof label);
    assert_int_equal(eg_domain_test(&found, NULL, &o, &err), EG_OK);
    assert_true(isnan(found.auc) && isnan(found.p));
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    eg_domain found;
    eg_domain_options o = rows_make(0.5, 1);
    o.n_permutations = 15;
    eg_threads_set(1);
    eg_status status = EG_ERR_NO_MEMORY;
    for (uint64_t k = 1; status != EG_OK && k < 400; k++) {
        eg_memory_stats before = eg_memory_stats_get();
        eg_memory_fail_at(k);
        status = eg_domain_test(&found, NULL, &o, NULL);
        eg_memory_fail_at(0);
        assert_true(status == EG_OK || status == EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before.bytes_now);
    }
    eg_threads_set(0);
    assert_int_equal(status, EG_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_a_shift),
        cmocka_unit_test(test_finds_nothing_in_noise),
        cmocka_unit_test(test_patients_stay_together),
        cmocka_unit_test(test_same_bits_for_any_threads),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
