/* Measures of a network's input tell brightness, contrast, noise and blur apart, and changes do what they say. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/why_pixels.h"
#include <string.h>

enum { SIDE = 96, PIXELS = SIDE * SIDE };
static const eg_preprocess plain = {
    .crop = SIDE, .mean = {0.5f, 0.4f, 0.3f}, .std = {0.5f, 0.25f, 0.2f}};
static float image[PIXELS * 3], room[PIXELS * 3], gray[PIXELS];

/* Waves of gray value 0.5 +- 0.2, normalised. */
static int setup(void **state) {
    (void)state;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int ch = 0; ch < 3; ch++)
                image[3 * (y * SIDE + x) + ch] =
                    ((float)(0.5 + 0.2 * sin(x * 0.4) * cos(y * 0.3)) - plain.mean[ch]) /
                    plain.std[ch];
    return 0;
}

static void measure(float out[EG_WHY_MEASURES]) {
    eg_study_why_gray(gray, image, PIXELS, &plain);
    eg_study_why_measures(out, gray, SIDE);
}

static void exposure_moves_mean_and_spread_alone(void **state) {
    (void)state;
    float before[EG_WHY_MEASURES], after[EG_WHY_MEASURES];
    const eg_why_pixel_change c = {.preprocess = &plain, .brightness = 0.8, .contrast = 0.5};
    measure(before);
    assert_true(fabsf(before[EG_WHY_MEAN] - 0.5f) < 0.01f);
    eg_study_why_pixels_change(&c, image, room, SIDE, 0, 0);
    measure(after);
    assert_float_equal(after[EG_WHY_MEAN], 0.8f * before[EG_WHY_MEAN], 1e-4f);
    assert_float_equal(after[EG_WHY_SPREAD], 0.5f * before[EG_WHY_SPREAD], 1e-4f);
    assert_float_equal(after[EG_WHY_SHARP], before[EG_WHY_SHARP], 1e-3f);
}

static void noise_is_measured_as_it_was_added(void **state) {
    (void)state;
    float after[EG_WHY_MEASURES];
    eg_why_pixel_change c = {
        .preprocess = &plain, .brightness = 1, .contrast = 1, .noise = 0.05, .seed = 3};
    eg_study_why_pixels_change(&c, image, room, SIDE, 0, 0);
    measure(after);
    assert_float_equal(after[EG_WHY_NOISE], 0.05f, 0.004f);
    /* another image, other noise */
    static float first[PIXELS * 3];
    memcpy(first, image, sizeof first);
    setup(NULL);
    eg_study_why_pixels_change(&c, image, room, SIDE, 0, 1);
    assert_memory_not_equal(first, image, sizeof first);
}

static void blur_is_found_for_a_ratio(void **state) {
    (void)state;
    float before[EG_WHY_MEASURES], after[EG_WHY_MEASURES];
    bool failed;
    eg_why_pixel_change c = {
        .preprocess = &plain, .brightness = 1, .contrast = 1, .noise = 0.03, .seed = 3};
    eg_study_why_pixels_change(&c, image, room, SIDE, 0, 0); /* something that blur takes away */
    measure(before);
    c = (eg_why_pixel_change){.preprocess = &plain, .brightness = 1, .contrast = 1};
    c.blur = eg_study_why_blur_for(0.5, gray, 1, SIDE, &failed);
    assert_false(failed);
    assert_true(c.blur > 0.2 && c.blur < 3);
    eg_study_why_pixels_change(&c, image, room, SIDE, 0, 0);
    measure(after);
    assert_float_equal(after[EG_WHY_SHARP] / before[EG_WHY_SHARP], 0.5f, 0.05f);
}

static void the_border_is_covered_and_the_middle_not(void **state) {
    (void)state;
    static float before[PIXELS * 3];
    memcpy(before, image, sizeof before);
    eg_study_why_border_cover(NULL, image, room, SIDE, 0, 0);
    const int edge = SIDE / EG_WHY_BORDER, inside = 3 * (edge * SIDE + edge);
    assert_true(image[0] == image[3 * (PIXELS - 1)] && image[0] != before[0]);
    assert_true(image[inside] == before[inside] && image[inside - 3] == image[0]);
}

static void portraits_keep_the_mean(void **state) {
    (void)state;
    static double sum[EG_WHY_THUMB * EG_WHY_THUMB];
    float m[EG_WHY_MEASURES];
    double mean = 0;
    measure(m);
    eg_study_why_portrait_add(sum, gray, SIDE);
    for (int i = 0; i < EG_WHY_THUMB * EG_WHY_THUMB; i++)
        mean += sum[i] / (EG_WHY_THUMB * EG_WHY_THUMB);
    assert_float_equal(mean, (double)m[EG_WHY_MEAN], 1e-5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(exposure_moves_mean_and_spread_alone, setup),
        cmocka_unit_test_setup(noise_is_measured_as_it_was_added, setup),
        cmocka_unit_test_setup(blur_is_found_for_a_ratio, setup),
        cmocka_unit_test_setup(the_border_is_covered_and_the_middle_not, setup),
        cmocka_unit_test_setup(portraits_keep_the_mean, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
