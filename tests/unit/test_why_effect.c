/* Effects of why: no change is no effect, many changes are one, a handful is not, and images of one patient count once. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/why.h"

enum { N = 400 };
static double value[N], other[N];
static uint32_t alone[N], together[N];

static int setup(void **state) {
    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        value[i] = other[i] = 0;
        alone[i] = i;
        together[i] = i / 20;
    }
    return 0;
}

static eg_why_effect mean_of(const uint32_t *cluster) {
    eg_why_effect e;
    eg_error err = {0};
    if (eg_study_why_mean(&e, value, cluster, N, 1, &err) != EG_OK) fail_msg("%s", err.text);
    return e;
}

static void no_change_is_nothing(void **state) {
    (void)state;
    eg_why_effect e = mean_of(alone);
    assert_true(e.points == 0 && e.ci[0] == 0 && e.ci[1] == 0 && e.p == 1);
}

static void many_changes_are_an_effect(void **state) {
    (void)state;
    for (int i = 0; i < 40; i++) value[10 * i] = 1;
    eg_why_effect e = mean_of(alone);
    assert_float_equal(e.points, 10, 1e-9);
    assert_true(e.ci[0] > 7 && e.ci[0] < 7.8 && e.ci[1] > 12.2 && e.ci[1] < 13.5); /* 10 +- 2.94 */
    assert_true(e.p < 0.001);
}

/* Four of four the same way is 2 / 16 by the sign test, whatever the bootstrap says. */
static void a_handful_is_not(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) value[i] = 1;
    assert_float_equal(mean_of(alone).p, 0.125, 1e-9);
}

static void a_patient_counts_once(void **state) {
    (void)state;
    for (int i = 0; i < N; i++) value[i] = (i / 20) % 4 == 0;
    eg_why_effect e = mean_of(alone), whole = mean_of(together);
    assert_float_equal(e.points, whole.points, 1e-9);
    assert_true(whole.ci[1] - whole.ci[0] > 3 * (e.ci[1] - e.ci[0])); /* sqrt(20) = 4.5 */
}

static void sets_are_compared(void **state) {
    (void)state;
    eg_why_effect e;
    eg_error err = {0};
    for (int i = 0; i < N; i++) {
        value[i] = i % 10 != 0;
        other[i] = i % 5 != 0;
    }
    assert_int_equal(eg_study_why_difference(&e, value, alone, N, other, alone, N, 1, &err), EG_OK);
    assert_float_equal(e.points, 10, 1e-9);
    /* standard error sqrt(.09 / 400 + .16 / 400) = 2.5 points */
    assert_true(fabs(e.ci[0] - 5.1) < 0.6 && fabs(e.ci[1] - 14.9) < 0.6 && e.p < 0.002);
    assert_int_equal(eg_study_why_difference(&e, value, alone, 0, other, alone, N, 1, &err),
                     EG_ERR_INPUT);
}

static void ties_go_to_the_positive_class(void **state) {
    (void)state;
    const double prob[] = {0.5, 0.5, 0.6, 0.4, 0.5, 0.5};
    const int32_t label[] = {1, 0, 0};
    double right[3];
    eg_study_why_right(right, prob, label, 3, 2);
    assert_true(right[0] == 1 && right[1] == 1 && right[2] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_change_is_nothing, setup),
        cmocka_unit_test_setup(many_changes_are_an_effect, setup),
        cmocka_unit_test_setup(a_handful_is_not, setup),
        cmocka_unit_test_setup(a_patient_counts_once, setup),
        cmocka_unit_test_setup(sets_are_compared, setup),
        cmocka_unit_test(ties_go_to_the_positive_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
