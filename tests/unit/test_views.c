/* Shifted views: the first is the image, others are it moved, all different, and the edge is repeated. */
#include "study/recipe.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 60, N = SIDE * SIDE * 3, VIEWS = 17 };

static void views(void **state) {
    (void)state;
    static float image[N], view[VIEWS][N];
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++)
                image[(y * SIDE + x) * 3 + c] = (float)(1000 * y + 10 * x + c);
    for (int v = 0; v < VIEWS; v++) eg_study_view(view[v], image, SIDE, v);
    assert_memory_equal(view[0], image, sizeof image);
    for (int v = 1; v < VIEWS; v++)
        for (int w = 0; w < v; w++) assert_memory_not_equal(view[v], view[w], sizeof image);
    /* 2 % of 60 pixels: 2 to the right; the left edge repeated */
    assert_true(view[1][(7 * SIDE + 30) * 3 + 1] == image[(7 * SIDE + 28) * 3 + 1]);
    assert_true(view[1][(7 * SIDE + 1) * 3 + 2] == image[7 * SIDE * 3 + 2]);
    /* the second ring: 4 %, 3 pixels; up */
    assert_true(view[12][(7 * SIDE + 30) * 3] == image[(10 * SIDE + 30) * 3]);
    assert_true(view[12][((SIDE - 1) * SIDE + 30) * 3] == image[((SIDE - 1) * SIDE + 30) * 3]);
    /* an image of a pixel has nowhere to go */
    float pixel[3] = {1, 2, 3}, out[3];
    eg_study_view(out, pixel, 1, 5);
    assert_memory_equal(out, pixel, sizeof pixel);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(views)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
