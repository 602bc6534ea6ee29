/* Philox4x32-10: the published known answers, streams, moments, and unbiased ranges. */
#include "base/base.h"
#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Known answers of the authors' Random123 (kat_vectors, philox4x32 10): counter, key, output. */
static void known_answers(void **state) {
    (void)state;
    static const uint32_t kat[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        uint64_t seed = (uint64_t)kat[i][5] << 32 | kat[i][4];
        eg_random r = eg_random_make(seed, kat[i][1], kat[i][2], kat[i][3]);
        r.counter[0] = kat[i][0];
        for (int j = 0; j < 4; j++) assert_int_equal(eg_random_u32(&r), kat[i][6 + j]);
    }
}

static void streams_differ_and_repeat(void **state) {
    (void)state;
    eg_random base = eg_random_make(1, 2, 3, 4), again = base;
    eg_random others[] = {eg_random_make(2, 2, 3, 4), eg_random_make(1 | 1ull << 32, 2, 3, 4),
                          eg_random_make(1, 3, 3, 4), eg_random_make(1, 2, 4, 4),
                          eg_random_make(1, 2, 3, 5)};
    uint32_t first[16];
    for (int i = 0; i < 16; i++) first[i] = eg_random_u32(&base);
    for (int i = 0; i < 16; i++) assert_int_equal(eg_random_u32(&again), first[i]);
    for (int k = 0; k < 5; k++) {
        int same = 0;
        for (int i = 0; i < 16; i++) same += eg_random_u32(&others[k]) == first[i];
        assert_int_equal(same, 0);
    }
}

static void uniform_and_normal_have_their_moments(void **state) {
    (void)state;
    eg_random r = eg_random_make(7, 0, 0, 0);
    enum { N = 200000 };
    double sum = 0, squares = 0, fourth = 0, low = 1, high = 0, mean = 0;
    for (int i = 0; i < N; i++) {
        double u = eg_random_uniform(&r);
        low = fmin(low, u);
        high = fmax(high, u);
        mean += u / N;
        double z = eg_random_normal(&r);
        assert_true(isfinite(z));
        sum += z / N;
        squares += z * z / N;
        fourth += z * z * z * z / N;
    }
    assert_true(low >= 0 && low < 1e-4 && high < 1 && high > 1 - 1e-4);
    /* five standard errors: 1/sqrt(12 N), 1/sqrt(N), sqrt(2/N), sqrt(96/N) */
    assert_true(fabs(mean - 0.5) < 5 * sqrt(1.0 / (12 * N)));
    assert_true(fabs(sum) < 5 * sqrt(1.0 / N));
    assert_true(fabs(squares - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(fourth - 3) < 5 * sqrt(96.0 / N));
}

static void below_is_unbiased(void **state) {
    (void)state;
    eg_random r = eg_random_make(3, 1, 4, 1);
    int counts[6] = {0};
    for (int i = 0; i < 60000; i++) counts[eg_random_below(&r, 6)]++;
    double chi = 0;
    for (int i = 0; i < 6; i++) chi += (counts[i] - 10000.0) * (counts[i] - 10000.0) / 10000.0;
    assert_true(chi < 20.5); /* 5 degrees of freedom, p = 0.001 */
    /* 3 * 2^30: plain scaling would give the lowest third double weight on every third value */
    int thirds[3] = {0};
    for (int i = 0; i < 30000; i++) thirds[eg_random_below(&r, 3u << 30) % 3]++;
    for (int i = 0; i < 3; i++) assert_in_range(thirds[i], 9500, 10500);
    assert_int_equal(eg_random_below(&r, 1), 0);
    assert_int_equal(eg_random_below(&r, 0), 0);
}

static void shuffle_is_a_permutation(void **state) {
    (void)state;
    uint32_t items[100], seen[100] = {0};
    for (uint32_t i = 0; i < 100; i++) items[i] = i;
    eg_random r = eg_random_make(5, 0, 0, 0);
    eg_random_shuffle(&r, items, 100);
    int moved = 0;
    for (uint32_t i = 0; i < 100; i++) {
        seen[items[i]]++;
        moved += items[i] != i;
    }
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
    assert_true(moved > 80);
    int counts[6] = {0}; /* all six orders of three, equally often */
    for (int i = 0; i < 6000; i++) {
        uint32_t three[3] = {0, 1, 2};
        eg_random_shuffle(&r, three, 3);
        counts[three[0] * 2 + (three[1] > three[2])]++;
    }
    for (int i = 0; i < 6; i++) assert_in_range(counts[i], 850, 1150);
    eg_random_shuffle(&r, items, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(streams_differ_and_repeat),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
        cmocka_unit_test(below_is_unbiased),
        cmocka_unit_test(shuffle_is_a_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
