/* The penalty of the exact head: patients stay whole in its folds, and what is chosen has the least loss of what was tried.
 * Features here are the patient's number alone: a head that saw a patient's other images knows the answer, one that did
 * not cannot, so the choice shows which of the two was measured. */
#include "study/recipe.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENTS = 20, IMAGES = 6, N = PATIENTS * IMAGES };

typedef struct {
    eg_sample samples[N];
    eg_dataset ds;
    eg_data_stage data;
    eg_settings s;
    eg_run run;
    uint32_t train[N];
    int32_t label[N];
    float x[2 * N * PATIENTS];
    char name[PATIENTS][8];
    eg_head_rows rows;
} problem;

static void open_problem(problem *p, bool known, int n_classes) {
    memset(p, 0, sizeof *p);
    for (int i = 0; i < N; i++) {
        int who = i % PATIENTS;
        snprintf(p->name[who], sizeof p->name[who], "p%d", who);
        p->label[i] = (who * 7 / 3) % n_classes;
        p->samples[i].label = p->label[i];
        p->samples[i].patient = known ? p->name[who] : NULL;
        p->train[i] = (uint32_t)i;
        for (int v = 0; v < 2; v++) p->x[(v * N + i) * PATIENTS + who] = 3 + 0.1f * (float)v;
    }
    p->ds = (eg_dataset){
        .n_classes = n_classes, .samples = p->samples, .n_samples = N, .patient_rule = "prefix"};
    p->data = (eg_data_stage){.ds = &p->ds, .train = p->train, .n_train = N};
    eg_options_init(&p->s.o);
    p->s.o.class_weights = "none";
    p->run = (eg_run){.s = &p->s, .data = &p->data};
    p->rows = (eg_head_rows){.x = p->x, .label = p->label, .n = N, .n_views = 1, .width = PATIENTS};
}

static double chosen(problem *p, json_t **table) {
    double C = 0;
    eg_error err = {0};
    if (eg_study_penalty_choose(&C, table, &p->run, &p->rows, &err) != EG_OK)
        fail_msg("%s", err.text);
    double least = INFINITY, at = NAN;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(*table, "candidates"), i, row) {
        if (eg_study_number(row, "loss") >= least) continue;
        least = eg_study_number(row, "loss");
        at = eg_study_number(row, "C");
    }
    assert_true(C == at);
    return C;
}

static void patients_whole(void **state) {
    (void)state;
    static problem p;
    json_t *table = NULL;
    for (int n_classes = 2; n_classes <= 3; n_classes++) {
        open_problem(&p, true, n_classes);
        double grouped = chosen(&p, &table);
        assert_int_equal(json_integer_value(json_object_get(table, "folds")), 5);
        json_decref(table);
        open_problem(&p, false, n_classes);
        double alone = chosen(&p, &table);
        json_decref(table);
        /* nothing to be learned of patients that were not seen, everything of those that were */
        if (!(grouped <= 0.01 && alone >= 1)) fail_msg("grouped %g, alone %g", grouped, alone);
    }
}

/* the same views twice are no new images: the same choice */
static void views(void **state) {
    (void)state;
    static problem p;
    json_t *table = NULL;
    open_problem(&p, false, 2);
    double one = chosen(&p, &table);
    json_decref(table);
    p.rows.n_views = 2;
    double two = chosen(&p, &table);
    json_decref(table);
    assert_true(one == two);
}

static void too_few(void **state) {
    (void)state;
    static problem p;
    json_t *table = NULL;
    double C;
    eg_error err = {0};
    open_problem(&p, true, 2);
    for (int i = 0; i < N; i++) p.label[i] = p.samples[i].label = i == 0;
    assert_int_equal(eg_study_penalty_choose(&C, &table, &p.run, &p.rows, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "--C 0.01"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(patients_whole), cmocka_unit_test(views),
                                       cmocka_unit_test(too_few)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
