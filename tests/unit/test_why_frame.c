/* A mean image that was zoomed and shifted is found again, and an image brought there and back is the image. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/why_pixels.h"
#include <string.h>

enum { T = EG_WHY_THUMB, SIDE = 64 };

/* Two smooth blobs on a slope: at u, v in shares of the side from the middle. */
static double scene(double u, double v) {
    const double a = (u + 0.15) * (u + 0.15) / 0.02 + v * v / 0.06;
    const double b = (u - 0.2) * (u - 0.2) / 0.015 + (v - 0.1) * (v - 0.1) / 0.05;
    return exp(-a) + 0.7 * exp(-b) + 0.3 * v;
}

static void picture(double *out, double scale, double x, double y) {
    for (int r = 0; r < T; r++)
        for (int c = 0; c < T; c++)
            out[r * T + c] =
                scene(((c + 0.5) / T - 0.5) * scale + x, ((r + 0.5) / T - 0.5) * scale + y);
}

static void found(double scale, double x, double y) {
    double a[T * T], b[T * T];
    eg_why_frame f;
    picture(a, 1, 0, 0);
    picture(b, scale, x, y);
    eg_study_why_register(&f, a, b);
    assert_true(f.correlation > 0.99 && f.correlation > f.unmoved);
    assert_true(fabs(f.scale - scale) < 0.03);
    assert_true(fabs(f.x - x) < 0.02 && fabs(f.y - y) < 0.02);
}

static void planted_frames_are_found(void **state) {
    (void)state;
    found(0.8, 0, 0);
    found(1.2, 0.05, 0);
    found(0.9, -0.03, 0.08);
}

static void the_same_picture_stays(void **state) {
    (void)state;
    double a[T * T];
    eg_why_frame f;
    picture(a, 1, 0, 0);
    eg_study_why_register(&f, a, a);
    assert_true(f.scale == 1 && f.x == 0 && f.y == 0 && f.correlation > 0.999999);
}

static void there_and_back(void **state) {
    (void)state;
    static float image[SIDE * SIDE * 3], room[SIDE * SIDE * 3], before[SIDE * SIDE * 3];
    for (int r = 0; r < SIDE; r++)
        for (int c = 0; c < SIDE; c++)
            for (int ch = 0; ch < 3; ch++)
                image[3 * (r * SIDE + c) + ch] =
                    (float)(scene((c + 0.5) / SIDE - 0.5, (r + 0.5) / SIDE - 0.5) + ch);
    memcpy(before, image, sizeof image);
    eg_why_framing_change change = {.frame = {0.85, 0.04, -0.05, 1, 0}, .label = 1};
    eg_study_why_framing_apply(&change, image, room, SIDE, 0, 0);
    assert_memory_equal(image, before, sizeof image); /* another class */
    eg_study_why_framing_apply(&change, image, room, SIDE, 1, 0);
    const float *middle = image + 3 * (SIDE / 2 * SIDE + SIDE / 2);
    assert_true(fabs((double)middle[0] - scene(0.04 + 0.0066, -0.05 + 0.0066)) < 0.01);
    change.frame = eg_study_why_frame_inverse(&change.frame);
    eg_study_why_framing_apply(&change, image, room, SIDE, 1, 0);
    for (int r = SIDE / 4; r < 3 * SIDE / 4; r++)
        for (int k = 3 * (r * SIDE + SIDE / 4); k < 3 * (r * SIDE + 3 * SIDE / 4); k++)
            assert_true(fabsf(image[k] - before[k]) < 0.02f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_frames_are_found),
        cmocka_unit_test(the_same_picture_stays),
        cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
