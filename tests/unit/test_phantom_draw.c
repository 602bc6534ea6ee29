/* One radiograph: the same bits for the same numbers, opacities inside the lungs and nowhere else,
 * and each fault of the pixels measured in the pixels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/phantom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 96, N = 12 };

static eg_data_phantom_spec healthy(uint32_t anatomy, uint32_t key) {
    return (eg_data_phantom_spec){.seed = 7,
                                  .anatomy = anatomy,
                                  .key = key,
                                  .width = SIDE,
                                  .height = SIDE,
                                  .contrast = 1,
                                  .zoom = 1,
                                  .exposure = 1,
                                  .noise = 1};
}

static eg_data_phantom_spec ill(uint32_t anatomy, uint32_t key) {
    eg_data_phantom_spec spec = healthy(anatomy, key);
    spec.ill = true;
    spec.kind = (eg_data_opacity_kind)(anatomy % 3);
    return spec;
}

static eg_image drawn(eg_data_phantom_spec spec) {
    eg_image image = {0};
    eg_error err = {0};
    assert_int_equal(eg_data_phantom_draw(&image, &spec, &err), EG_OK);
    assert_int_equal(image.width, spec.width);
    assert_int_equal(image.height, spec.height);
    assert_int_equal(image.channels, 1);
    assert_false(image.deep);
    return image;
}

static double mean(const eg_image *image) {
    size_t n = eg_image_bytes(image);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += image->pixels[i];
    return sum / (double)n;
}

/* Mean of |difference| of neighbours `step` apart. */
static double roughness(const eg_image *image, int step) {
    double sum = 0;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x + step < image->width; x++) {
            const uint8_t *p = &image->pixels[y * image->width + x];
            sum += abs(p[0] - p[step]);
        }
    return sum / ((double)image->height * (image->width - step));
}

/* Mean of |a - b| of 8 x 8 block means: without the noise. */
static double distance(const eg_image *a, const eg_image *b) {
    double sum = 0;
    for (int by = 0; by < SIDE; by += 8)
        for (int bx = 0; bx < SIDE; bx += 8) {
            double d = 0;
            for (int i = 0; i < 64; i++) {
                int at = (by + i / 8) * SIDE + bx + i % 8;
                d += a->pixels[at] - b->pixels[at];
            }
            sum += fabs(d / 64);
        }
    return sum / (SIDE * SIDE / 64);
}

static double distance_of(eg_data_phantom_spec a, eg_data_phantom_spec b) {
    eg_image x = drawn(a), y = drawn(b);
    double d = distance(&x, &y);
    eg_image_free(&x);
    eg_image_free(&y);
    return d;
}

static void same_numbers_same_picture(void **state) {
    (void)state;
    eg_image a = drawn(ill(1, 1)), b = drawn(ill(1, 1)), c = drawn(ill(1, 2));
    assert_memory_equal(a.pixels, b.pixels, eg_image_bytes(&a));
    assert_memory_not_equal(a.pixels, c.pixels, eg_image_bytes(&a));
    eg_image_free(&a);
    eg_image_free(&b);
    eg_image_free(&c);
}

static void looks_like_a_chest(void **state) {
    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        eg_image image = drawn(healthy(i, 1));
        double lung = 0, spine = 0, belly = 0;
        for (int y = SIDE * 40 / 100; y < SIDE * 50 / 100; y++) {
            for (int x = 0; x < 6; x++) {
                lung += image.pixels[y * SIDE + SIDE * 33 / 100 + x - 3];
                spine += image.pixels[y * SIDE + SIDE / 2 + x - 3];
                belly += image.pixels[(y + SIDE * 42 / 100) * SIDE + SIDE * 33 / 100 + x - 3];
            }
        }
        assert_true(lung < 0.65 * spine);
        assert_true(lung < 0.65 * belly);
        assert_in_range((int)mean(&image), 60, 170);
        eg_image_free(&image);
    }
}

static void patients_resemble_themselves(void **state) {
    (void)state;
    double within = 0, between = 0;
    for (uint32_t i = 0; i < N; i++) {
        within += distance_of(healthy(i, 1), healthy(i, 2));
        between += distance_of(healthy(i, 1), healthy(i + 1, 1));
    }
    assert_true(within > 0.05 * between);
    assert_true(within < 0.95 * between);
}

/* The same visit with and without disease: equal bytes in the outer 12 % and beyond the lungs'
 * reach, brighter where the truth says the largest opacity is. */
static void opacities_stay_in_the_lungs(void **state) {
    (void)state;
    int border = (int)(0.12 * SIDE);
    for (uint32_t i = 0; i < 4 * N; i++) {
        eg_image a = drawn(healthy(i, 1)), b = drawn(ill(i, 1));
        size_t differ = 0;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                bool inside = x >= border && x < SIDE - border && y >= border && y < SIDE - border;
                bool same = a.pixels[y * SIDE + x] == b.pixels[y * SIDE + x];
                if (!inside) assert_true(same);
                differ += !same;
            }
        assert_true(differ > SIDE * SIDE / 100 && differ < SIDE * SIDE / 2);
        eg_image_free(&a);
        eg_image_free(&b);
    }
}

/* Gray values gained in a disc of half the radius around the centre that the truth gives. */
static double gain_at_truth(eg_data_phantom_spec spec) {
    eg_data_phantom_opacity o;
    eg_data_phantom_locate(&o, &spec);
    assert_true(o.n >= 1 && o.x > 0.1 && o.x < 0.9 && o.y > 0.1 && o.y < 0.9);
    assert_true(o.radius > 0.02 && o.radius < 0.25 && o.contrast > 0 && o.contrast <= 1);
    eg_data_phantom_spec without = spec;
    without.ill = false;
    eg_image a = drawn(without), b = drawn(spec);
    double sum = 0, n = 0;
    for (int y = 0; y < spec.height; y++)
        for (int x = 0; x < spec.width; x++) {
            double dx = (x + 0.5) / spec.width - o.x, dy = (y + 0.5) / spec.height - o.y;
            if (hypot(dx, dy) > 0.5 * o.radius) continue;
            sum += b.pixels[y * spec.width + x] - a.pixels[y * spec.width + x];
            n++;
        }
    eg_image_free(&a);
    eg_image_free(&b);
    assert_true(n > 0);
    return sum / n;
}

static void truth_says_where_they_are(void **state) {
    (void)state;
    double clean = 0, hard = 0, grain = 0;
    for (uint32_t i = 0; i < 2 * N; i++) {
        eg_data_phantom_spec spec = ill(i, 1);
        double gain = gain_at_truth(spec);
        assert_true(gain > 4);
        clean += gain;
        spec.contrast = 0.1;
        hard += gain_at_truth(spec);
        spec.contrast = 1;
        spec.grain = 1;
        grain += gain_at_truth(spec);
    }
    assert_true(clean / (2 * N) > 20);
    assert_true(hard < 0.2 * clean && hard > 0.03 * clean);
    assert_true(fabs(grain) < 0.25 * clean);
    eg_data_phantom_opacity none;
    eg_data_phantom_spec spec = healthy(1, 1);
    eg_data_phantom_locate(&none, &spec);
    assert_int_equal(none.n, 0);
}

static void faults_show_in_the_pixels(void **state) {
    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        eg_image clean = drawn(healthy(i, 1));
        eg_data_phantom_spec spec = healthy(i, 1);
        spec.exposure = 0.8;
        eg_image other = drawn(spec);
        assert_true(fabs(mean(&other) / mean(&clean) - 0.8) < 0.02);
        eg_image_free(&other);
        spec = healthy(i, 1);
        spec.blur = 0.006;
        other = drawn(spec);
        assert_true(roughness(&other, 1) < 0.93 * roughness(&clean, 1));
        assert_true(fabs(mean(&other) / mean(&clean) - 1) < 0.01);
        eg_image_free(&other);
        spec = healthy(i, 1);
        spec.noise = 2.5;
        other = drawn(spec);
        assert_true(roughness(&other, 1) > 1.3 * roughness(&clean, 1));
        assert_true(distance(&other, &clean) < 3);
        eg_image_free(&other);
        spec = healthy(i, 1);
        spec.zoom = 1.11;
        spec.lift = 0.045;
        other = drawn(spec);
        assert_true(distance(&other, &clean) > 4);
        eg_image_free(&other);
        eg_image_free(&clean);
    }
}

static void the_letter_is_in_its_corner_only(void **state) {
    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        eg_data_phantom_spec spec = healthy(i, 1);
        eg_image clean = drawn(spec);
        spec.marker = true;
        eg_image marked = drawn(spec);
        int bright = 0;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                uint8_t m = marked.pixels[y * SIDE + x];
                bool corner = x < SIDE * 14 / 100 && y < SIDE * 14 / 100;
                if (!corner) assert_int_equal(m, clean.pixels[y * SIDE + x]);
                bright += corner && m >= 229;
            }
        assert_in_range(bright, 12, 60);
        eg_image_free(&clean);
        eg_image_free(&marked);
    }
}

static void any_size(void **state) {
    (void)state;
    static const int sizes[][2] = {{16, 16}, {17, 33}, {300, 16}, {16, 300}, {201, 150}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        eg_data_phantom_spec spec = ill((uint32_t)i, 1);
        spec.width = sizes[i][0];
        spec.height = sizes[i][1];
        spec.marker = true;
        spec.blur = 0.012;
        eg_image image = drawn(spec);
        assert_in_range((int)mean(&image), 50, 180);
        eg_image_free(&image);
    }
}

static void no_memory_is_an_error(void **state) {
    (void)state;
    eg_data_phantom_spec spec = healthy(1, 1);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 3; k++) {
        eg_image image = {0};
        eg_error err = {0};
        eg_memory_fail_at(k);
        assert_int_equal(eg_data_phantom_draw(&image, &spec, &err), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_null(image.pixels);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_numbers_same_picture),
        cmocka_unit_test(looks_like_a_chest),
        cmocka_unit_test(patients_resemble_themselves),
        cmocka_unit_test(opacities_stay_in_the_lungs),
        cmocka_unit_test(truth_says_where_they_are),
        cmocka_unit_test(faults_show_in_the_pixels),
        cmocka_unit_test(the_letter_is_in_its_corner_only),
        cmocka_unit_test(any_size),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
