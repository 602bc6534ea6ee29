/* Which runs a study makes, and what it says about those it does not. */
#include "study/study_plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WEIGHTS TEST_BINARY_DIR "/test_study_plan.pth"

static int make_weights(void **state) {
    (void)state;
    eg_part part = {"abc", 3};
    return eg_file_write_atomic(WEIGHTS, &part, 1, NULL) == EG_OK ? 0 : -1;
}

static void count_notes(void *context, const eg_progress *p) {
    if (p->kind == EG_PROGRESS_NOTE && strncmp(p->text, "skipped: ", 9) == 0) ++*(int *)context;
}

static void pairs(void **state) {
    (void)state;
    eg_options o;
    eg_options_init(&o);
    o.models = "resnet18, small_cnn,resnet18,resnet34";
    o.modes = "finetune,frozen,scratch";
    o.weights = "resnet18=" WEIGHTS;
    eg_study_plan p;
    eg_error err = {0};
    int notes = 0;
    eg_events ev = {.progress = count_notes, .context = &notes};
    if (eg_study_plan_make(&p, &o, &ev, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(p.n_models, 3);
    /* resnet18 three times, small_cnn and resnet34 from scratch only, for different reasons */
    assert_int_equal(p.n_runs, 5);
    assert_int_equal(json_array_size(p.skipped), 4);
    assert_int_equal(notes, 4);
    const json_t *cnn = json_array_get(p.skipped, 0), *r34 = json_array_get(p.skipped, 2);
    assert_string_equal(json_string_value(json_object_get(cnn, "model")), "small_cnn");
    assert_non_null(strstr(json_string_value(json_object_get(cnn, "reason")), "scratch only"));
    assert_non_null(strstr(json_string_value(json_object_get(r34, "reason")), "--weights"));
    eg_study_plan_free(&p);
}

static void refused(const char *models, const char *modes, const char *weights, const char *text) {
    eg_options o;
    eg_options_init(&o);
    o.models = models;
    o.modes = modes;
    o.weights = weights;
    eg_study_plan p;
    eg_error err = {0};
    assert_int_equal(eg_study_plan_make(&p, &o, NULL, &err), EG_ERR_USAGE);
    if (!strstr(err.text, text)) fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void refusals(void **state) {
    (void)state;
    refused(NULL, "frozen", NULL, "--models");
    refused("resnet9", "frozen", NULL, "resnet18");
    refused("small_cnn", "frozen,melted", NULL, "melted");
    refused("small_cnn", "frozen", NULL, "scratch only");
    refused("resnet18,resnet34", "frozen", WEIGHTS, "MODEL=FILE");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, make_weights, NULL);
}
