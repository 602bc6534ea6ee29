/* Axis steps, coordinates, and that nothing leaves the plane. */
#include "report/svg.h"
#include "unit/report_sample.h"

static void check_number(double v, const char *expected) {
    eg_buffer b = {0};
    eg_svg_number(&b, v);
    assert_string_equal(b.data, expected);
    eg_buffer_free(&b);
}

static void test_numbers(void **state) {
    (void)state;
    check_number(12.34, "12.3");
    check_number(12, "12");
    check_number(-0.55, "-0.6");
    check_number(0.04, "0");
    check_number(-0.04, "0");
    check_number(1e300, "0");
}

static void test_steps(void **state) {
    (void)state;
    static const struct {
        double span, step;
        int most, decimals;
    } cases[] = {{1, 0.2, 5, 1}, {0.46, 0.1, 5, 1},  {7, 2, 6, 0},
                 {36, 10, 6, 0}, {0.05, 0.01, 5, 2}, {120, 20, 6, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int decimals = -1;
        double step = eg_svg_step(cases[i].span, cases[i].most, &decimals);
        assert_float_equal(step, cases[i].step, 1e-9);
        assert_int_equal(decimals, cases[i].decimals);
    }
    static const double odd[] = {0, -1, 1e300, 1e-300};
    for (size_t i = 0; i < 4; i++) {
        int decimals;
        assert_true(eg_svg_step(odd[i], 5, &decimals) > 0);
        assert_in_range(decimals, 0, 6);
    }
}

static void test_clamped(void **state) {
    (void)state;
    eg_plane plane = {.x0 = 0, .x1 = 1, .y0 = 0, .y1 = 1};
    assert_true(eg_svg_x(&plane, -1e300) == eg_svg_x(&plane, 0));
    assert_true(eg_svg_x(&plane, 1e300) == eg_svg_x(&plane, 1));
    assert_true(eg_svg_x(&plane, 1) <= EG_SVG_WIDTH);
    assert_true(eg_svg_y(&plane, 0) > eg_svg_y(&plane, 1)); /* upwards */
    plane.x1 = 0;
    assert_true(eg_svg_x(&plane, 5) > 0 && eg_svg_x(&plane, 5) < EG_SVG_WIDTH);
}

/* A missing value breaks the line: two pieces, not a fall to zero. */
static void test_gap_in_curve(void **state) {
    (void)state;
    json_t *run =
        json_loads("{\"best_epoch\": 2, \"history\": ["
                   "{\"epoch\": 1, \"val_loss\": 0.5}, {\"epoch\": 2, \"val_loss\": 0.4},"
                   "{\"epoch\": 3, \"val_loss\": null},"
                   "{\"epoch\": 4, \"val_loss\": 0.3}, {\"epoch\": 5, \"val_loss\": 0.2}]}",
                   0, NULL);
    eg_page p = {0};
    eg_svg_curves(&p, run, true);
    const char *path = strstr(p.out.data, "<path class=\"val\" d=\"");
    assert_non_null(path);
    int moves = 0, lines = 0;
    for (const char *s = strstr(path, "d=\"") + 3; *s != '"'; s++) {
        moves += *s == 'M';
        lines += *s == 'L';
    }
    assert_int_equal(moves, 2);
    assert_int_equal(lines, 2);
    assert_non_null(strstr(p.out.data, "best: 2"));
    size_t size = p.out.size;
    eg_svg_curves(&p, run, false); /* no accuracy anywhere: no figure */
    assert_int_equal(p.out.size, size);
    eg_buffer_free(&p.out);
    json_decref(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_clamped),
        cmocka_unit_test(test_gap_in_curve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
