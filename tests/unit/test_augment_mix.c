/* Mixup and cutmix: the shares' distribution, that a rectangle's share is its area, and the
 * pixels. How the loader pairs images: test_loader.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "pattern_image.h"

#include <math.h>
#include <string.h>

enum { SIDE = 24 };

/* Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)); the keys matter. */
static void shares_are_beta(void **state) {
    (void)state;
    const double alphas[] = {0.2, 1, 4};
    for (int k = 0; k < 3; k++) {
        eg_augment a = {.crop_min = 1, .mixup = alphas[k]};
        const int n = 20000;
        double mean = 0, square = 0;
        for (int i = 0; i < n; i++) {
            eg_data_mix m = eg_data_mix_draw(&a, SIDE, 3, 1, (uint32_t)i);
            assert_true(!m.cut && m.lambda >= 0 && m.lambda <= 1);
            mean += (double)m.lambda / n;
            square += (double)m.lambda * (double)m.lambda / n;
        }
        double variance = 1 / (4 * (2 * alphas[k] + 1));
        assert_true(fabs(mean - 0.5) < 0.012);
        assert_true(fabs(square - mean * mean - variance) < 0.05 * variance);
    }
    eg_augment a = {.crop_min = 1, .mixup = 1};
    const float one = eg_data_mix_draw(&a, SIDE, 3, 1, 1).lambda;
    assert_true(one == eg_data_mix_draw(&a, SIDE, 3, 1, 1).lambda);
    assert_true(one != eg_data_mix_draw(&a, SIDE, 3, 2, 1).lambda);
    assert_true(one != eg_data_mix_draw(&a, SIDE, 4, 1, 1).lambda);
    a.mixup = 1e-9; // nearly all weight at the ends, and never NaN
    for (uint32_t i = 0; i < 100; i++) {
        const float lambda = eg_data_mix_draw(&a, SIDE, 3, 1, i).lambda;
        assert_true(lambda >= 0 && lambda <= 1);
    }
}

static void off_is_one(void **state) {
    (void)state;
    eg_augment a = {.crop_min = 1};
    assert_true(eg_data_mix_draw(&a, SIDE, 3, 1, 1).lambda == 1);
    // both on: one of them, half and half
    a.mixup = a.cutmix = 1;
    int cuts = 0;
    for (uint32_t i = 0; i < 2000; i++) cuts += eg_data_mix_draw(&a, SIDE, 3, 1, i).cut;
    assert_true(cuts > 900 && cuts < 1100);
}

/* The share is counted in the pixels that stay. */
static void pixels_and_shares(void **state) {
    (void)state;
    static float x[SIDE * SIDE * 3], y[SIDE * SIDE * 3];
    for (uint32_t k = 0; k < 400; k++) {
        eg_augment a = {.crop_min = 1, .cutmix = k % 2 ? 1 : 0, .mixup = k % 2 ? 0 : 1};
        eg_data_mix m = eg_data_mix_draw(&a, SIDE, 3, 1, k);
        int own = 0;
        for (int i = 0; i < SIDE * SIDE * 3; i++) {
            x[i] = 1;
            y[i] = -2;
        }
        eg_data_mix_apply(x, y, SIDE, &m);
        for (int i = 0; i < SIDE * SIDE * 3; i++) {
            assert_true(m.cut ? x[i] == 1 || x[i] == -2 : fabsf(x[i] - (3 * m.lambda - 2)) < 1e-6f);
            assert_true(y[i] == -2);
            own += x[i] == 1;
        }
        if (m.cut) assert_true(fabsf((float)own / (SIDE * SIDE * 3) - m.lambda) < 1e-6f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_beta),
        cmocka_unit_test(off_is_one),
        cmocka_unit_test(pixels_and_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
