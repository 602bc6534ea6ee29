/* Every operation of RandAugment against torchvision on PIL images (hashes: difference 0), gray
 * and colour, six sizes; deep pictures against the 8-bit ones. Golden file:
 * scripts/make_resize_golden.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "pattern_image.h"

#include <math.h>
#include <string.h>

/* The script's picture: the upper half of the values only. */
static eg_image half_pattern(int side, int channels, unsigned seed) {
    eg_image image = pattern_image(side, side, channels, seed);
    for (size_t i = 0; i < eg_image_bytes(&image); i++)
        image.pixels[i] = (uint8_t)(40 + image.pixels[i] / 2);
    return image;
}

static void apply(eg_image *image, const char *name, double by) {
    eg_data_canvas c = {image->pixels, image->width, image->channels, image->deep};
    eg_data_rand_op op = {eg_data_rand_find(name), by};
    void *copy = eg_malloc(eg_image_bytes(image));
    uint16_t *table = eg_malloc(EG_DATA_TABLE_BYTES);
    assert_true(op.op >= 0 && copy && table);
    eg_data_rand_apply(&c, &op, copy, table);
    eg_free(copy);
    eg_free(table);
}

static void matches_torchvision(void **state) {
    (void)state;
    FILE *golden = fopen(TEST_SOURCE_DIR "/tests/data/resize/randaugment.txt", "r");
    assert_non_null(golden);
    char line[512];
    int n = 0, n_bad = 0;
    while (fgets(line, sizeof line, golden)) {
        if (line[0] == '#') continue;
        unsigned seed;
        int side, channels;
        double by;
        char name[32], expected[65], found[65];
        assert_int_equal(
            sscanf(line, "%u %d %d %31s %lf %64s", &seed, &side, &channels, name, &by, expected),
            6);
        eg_image image = half_pattern(side, channels, seed);
        apply(&image, name, by);
        eg_sha256_hex(found, image.pixels, eg_image_bytes(&image));
        if (strcmp(found, expected) != 0) {
            print_error("differs from torchvision: %s", line);
            n_bad++;
        }
        eg_image_free(&image);
        n++;
    }
    fclose(golden);
    assert_int_equal(n_bad, 0);
    assert_true(n >= 350);
}

/* An 8-bit picture times 257 is the same picture: the deep operation agrees to two 8-bit steps,
 * except where the 8-bit one is defined by its 256 classes. */
static void deep_agrees(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double by;
        int steps;
    } CASES[] = {{"ShearX", 0.2, 0},     {"Rotate", -20, 0},   {"TranslateY", 0.3, 0},
                 {"Brightness", 0.5, 1}, {"Color", -0.6, 2},   {"Contrast", 0.5, 2},
                 {"Sharpness", 0.8, 2},  {"Posterize", 4, 15}, {"Solarize", 130, 1},
                 {"AutoContrast", 0, 1}, {"Equalize", 0, 12},  {"Identity", 0, 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        for (int channels = 1; channels <= 3; channels += 2) {
            eg_image a = half_pattern(64, channels, 1), b = pattern_image_deep(64, 64, channels, 0);
            uint16_t *deep = (uint16_t *)(void *)b.pixels;
            const size_t n = eg_image_bytes(&a);
            for (size_t k = 0; k < n; k++) deep[k] = (uint16_t)(257 * a.pixels[k]);
            apply(&a, CASES[i].name, CASES[i].by);
            apply(&b, CASES[i].name, CASES[i].by);
            for (size_t k = 0; k < n; k++)
                if (fabs(deep[k] / 257.0 - a.pixels[k]) > CASES[i].steps)
                    fail_msg("%s: %d and %d", CASES[i].name, deep[k] / 257, a.pixels[k]);
            eg_image_free(&a);
            eg_image_free(&b);
        }
}

/* Strength 0 changes nothing but for the two operations without a magnitude; 30 is the end of the
 * scale; signs come half and half. */
static void draws(void **state) {
    (void)state;
    eg_random r = eg_random_make(1, 2, 3, 4);
    int negative = 0, n_signed = 0;
    const int shear = eg_data_rand_find("ShearX"), posterize = eg_data_rand_find("Posterize");
    for (int i = 0; i < 5000; i++) {
        eg_data_rand_op op = eg_data_rand_draw(&r, i % 2 ? 30 : 0);
        if (op.op == posterize) assert_true(op.magnitude == (i % 2 ? 4 : 8));
        if (op.op != shear) continue;
        assert_true(fabs(op.magnitude) == (i % 2 ? 0.3 : 0));
        if (i % 2) {
            n_signed++;
            negative += op.magnitude < 0;
        }
    }
    assert_true(n_signed > 100 && abs(2 * negative - n_signed) < n_signed / 2);
    assert_int_equal(eg_data_rand_find("Invert"), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_torchvision),
        cmocka_unit_test(deep_agrees),
        cmocka_unit_test(draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
