/* The rule of Task A on made-up rows: the short list, the budgets, different families, no answer. */
#include "study/task_a.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void shortlist(void **state) {
    (void)state;
    const eg_candidate c[] = {
        {.family = "A", .top1 = 70, .multiply_adds = 1e8},
        {.family = "A", .top1 = 80, .multiply_adds = 1e9},
        {.family = "A", .top1 = 79, .multiply_adds = 2e9},  /* beaten at home */
        {.family = "B", .top1 = 78, .multiply_adds = 1e9},  /* beaten by A only: stays */
        {.family = "C", .top1 = 77, .multiply_adds = 1e9},  /* beaten by A and B */
        {.family = "D", .top1 = NAN, .multiply_adds = 1e7}, /* no weights */
    };
    const bool expected[] = {true, true, false, true, false, false};
    bool keep[6];
    assert_int_equal(eg_study_shortlist(keep, c, 6, 12), 3);
    for (int i = 0; i < 6; i++) assert_int_equal(keep[i], expected[i]);
    assert_int_equal(eg_study_shortlist(keep, c, 6, 1), 1);
    /* 70 - 2 log2(1e8) is above 80 - 2 log2(1e9): 6.6 points for 3.3 doublings are short of 10 */
    assert_true(keep[1] && !keep[0]);
}

static void two_of_a_kind(void **state) {
    (void)state;
    eg_candidate c[5];
    bool keep[5];
    for (int i = 0; i < 5; i++)
        c[i] = (eg_candidate){.family = "A", .top1 = 70 + i, .multiply_adds = 1e8 * (i + 1)};
    assert_int_equal(eg_study_shortlist(keep, c, 5, 12), 2);
    /* names that begin alike are one kind */
    static const char *const alike[] = {"ResNet", "ResNeXt", "ResNet", "ResNeXt", "ResNet"};
    for (int i = 0; i < 5; i++) c[i].family = alike[i];
    assert_int_equal(eg_study_shortlist(keep, c, 5, 12), 2);
    c[0].family = "RegNetX"; /* and this is another */
    assert_int_equal(eg_study_shortlist(keep, c, 5, 12), 3);
    assert_true(keep[0]);
}

/* The second choice is of another kind while one fits. */
static void second_of_another_kind(void **state) {
    (void)state;
    int first, second;
    eg_candidate c[] = {
        {.family = "RegNetX", .top1 = 80, .minutes = 1, .bytes = 1},
        {.family = "RegNetY", .top1 = 79, .minutes = 1, .bytes = 1},
        {.family = "ResNet", .top1 = 70, .minutes = 1, .bytes = 1},
    };
    eg_study_recommend_rank(&first, &second, c, 3, 20, 5);
    assert_true(first == 0 && second == 2);
    eg_study_recommend_rank(&first, &second, c, 2, 20, 5);
    assert_true(first == 0 && second == 1);
}

static void ranking(void **state) {
    (void)state;
    int first, second;
    eg_candidate c[] = {
        {.family = "A", .top1 = 80, .minutes = 16, .bytes = 4}, /* 72 */
        {.family = "A", .top1 = 78, .minutes = 8, .bytes = 2}, /* 72, not better: the first stays */
        {.family = "B", .top1 = 75, .minutes = 4, .bytes = 1}, /* 71 */
        {.family = "C", .top1 = 90, .minutes = 64, .bytes = 1}, /* 78, but too slow */
        {.family = "D", .top1 = 90, .minutes = 2, .bytes = 9},  /* 88, but too large */
        {.family = "E", .top1 = 99, .minutes = NAN, .bytes = NAN},
    };
    eg_study_recommend_rank(&first, &second, c, 6, 20, 5);
    assert_int_equal(first, 0);
    assert_int_equal(second, 2);
    assert_true(c[0].score == 72 && c[0].fits && !c[3].fits && !c[4].fits && !c[5].fits);
    eg_study_recommend_rank(&first, &second, c, 6, 100, 100);
    assert_int_equal(first, 4);
    assert_int_equal(second, 3);
    eg_study_recommend_rank(&first, &second, c, 2, 20, 5); /* one family only */
    assert_int_equal(first, 0);
    assert_int_equal(second, 1);
    eg_study_recommend_rank(&first, &second, c, 6, 1, 5); /* nothing fits */
    assert_true(first == -1 && second == -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shortlist), cmocka_unit_test(two_of_a_kind),
                                       cmocka_unit_test(second_of_another_kind),
                                       cmocka_unit_test(ranking)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
