/* A whole study on a small tree: documents and fields, skipped pairs, a second call that keeps
 * every run, the same study.json apart from times, and the refusal to mix runs of other options. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study_tree.h"

#define ROOT    TEST_BINARY_DIR "/trees/study"
#define DATA    ROOT "/data"
#define WEIGHTS ROOT "/resnet18.safetensors"

static int setup(void **state) {
    (void)state;
    tree_remove(ROOT);
    tree_make(DATA, 24, 16);
    tree_weights(WEIGHTS, "resnet18", 3);
    return 0;
}

static eg_options base_options(const char *out) {
    eg_options o;
    eg_options_init(&o);
    o.models = "resnet18,small_cnn";
    o.modes = "finetune,frozen,scratch";
    o.weights = "resnet18=" WEIGHTS;
    o.img_size = 32;
    o.epochs = 1;
    o.batch_size = 4; /* measured with it too */
    o.flip = 0;
    o.out = out;
    return o;
}

/* times and what follows from them */
static void drop_times(json_t *json) {
    static const char *const TIMES[] = {
        "train_seconds", "images_per_second",          "feature_seconds",
        "seconds",       "measured_ms_per_image",      "measured_train_images_per_second",
        "choice",        "measured_train_ms_per_image"};
    const char *key;
    void *next;
    json_t *value;
    size_t i;
    if (json_is_object(json)) {
        for (size_t k = 0; k < sizeof TIMES / sizeof *TIMES; k++) json_object_del(json, TIMES[k]);
        json_object_foreach_safe(json, next, key, value) drop_times(value);
    }
    json_array_foreach(json, i, value) drop_times(value);
}

static void count_kept(void *context, const eg_progress *p) {
    if (p->kind == EG_PROGRESS_NOTE && strstr(p->text, "kept")) ++*(int *)context;
}

static json_t *run(const eg_options *o, const eg_events *ev) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    if (eg_study(&doc, DATA, o, ev, &err) != EG_OK) fail_msg("%s", err.text);
    json_t *json = json_deep_copy(doc->root);
    assert_string_equal(eg_doc_kind(doc), "study");
    eg_doc_free(doc);
    return json;
}

static void whole_study(void **state) {
    (void)state;
    eg_options o = base_options(ROOT "/s");
    int kept = 0;
    eg_events ev = {.progress = count_kept, .context = &kept};
    json_t *a = run(&o, &ev);
    assert_int_equal(kept, 0);
    static const char *const KEYS[] = {"schema",  "engraft", "seed",   "threads",    "isa",
                                       "cpu",     "data",    "recipe", "models",     "choice",
                                       "skipped", "runs",    "why",    "comparisons"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        const json_t *value = json_object_get(a, KEYS[i]);
        if (!value || json_is_null(value)) fail_msg("%s is missing", KEYS[i]);
    }
    /* resnet18 in three modes, small_cnn from scratch; its two other pairs are skipped */
    assert_int_equal(json_array_size(json_object_get(a, "runs")), 4);
    assert_int_equal(json_array_size(json_object_get(a, "skipped")), 2);
    assert_int_equal(json_array_size(json_object_get(a, "comparisons")), 6);
    assert_int_equal(json_array_size(json_object_get(a, "models")), 2);
    const json_t *why = json_object_get(a, "why");
    assert_int_equal(json_array_size(json_object_get(why, "gap")), 4);
    assert_int_equal(json_array_size(json_object_get(why, "operating_point")), 4);
    assert_int_equal(json_array_size(json_object_get(why, "fit")), 4);
    json_t *point;
    size_t i;
    json_array_foreach(json_object_get(why, "operating_point"), i, point) {
        /* the oracle threshold is the best there is */
        double oracle = eg_study_number(point, "oracle_accuracy");
        assert_true(oracle >= eg_study_number(point, "test_accuracy_half"));
        assert_true(oracle >= eg_study_number(point, "test_accuracy_threshold"));
    }
    assert_true(eg_path_exists(ROOT "/s/runs/resnet18-frozen/freeze.json"));

    /* the second call keeps all four; elsewhere the same bytes come out */
    json_t *b = run(&o, &ev);
    assert_int_equal(kept, 4);
    o.out = ROOT "/t";
    json_t *c = run(&o, NULL);
    drop_times(a);
    drop_times(b);
    drop_times(c);
    char *x = eg_json_text(a, false), *y = eg_json_text(b, false), *z = eg_json_text(c, false);
    assert_string_equal(x, y);
    assert_string_equal(x, z);
    eg_free(x);
    eg_free(y);
    eg_free(z);
    json_decref(a);
    json_decref(b);
    json_decref(c);
    assert_same_file(ROOT "/s/runs/resnet18-finetune/best.safetensors",
                     ROOT "/t/runs/resnet18-finetune/best.safetensors");
}

static void load_back(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    double value;
    assert_int_equal(eg_study_load(&doc, ROOT "/s", &err), EG_OK);
    assert_int_equal(eg_doc_number(&value, doc, "runs.0.test.accuracy", &err), EG_OK);
    eg_doc_free(doc);
    assert_int_equal(eg_study_load(&doc, ROOT "/data", &err), EG_ERR_NOT_FOUND);
    /* inspect knows studies and runs */
    eg_options o;
    eg_options_init(&o);
    assert_int_equal(eg_inspect(&doc, ROOT "/s", &o, &err), EG_OK);
    eg_doc_free(doc);
    assert_int_equal(eg_inspect(&doc, ROOT "/s/runs/resnet18-frozen", &o, &err), EG_OK);
    assert_int_equal(eg_doc_number(&value, doc, "summary.freeze.identical", &err), EG_OK);
    assert_true(value == 120);
    eg_doc_free(doc);
    assert_int_equal(eg_inspect(&doc, ROOT "/data", &o, &err), EG_ERR_INPUT);
}

static void other_options_are_not_mixed(void **state) {
    (void)state;
    eg_options o = base_options(ROOT "/s");
    eg_doc *doc = NULL;
    eg_error err = {0};
    o.seed = 1;
    assert_int_equal(eg_study(&doc, DATA, &o, NULL, &err), EG_ERR_USAGE);
    if (!strstr(err.text, "--overwrite")) fail_msg("%s", err.text);
    /* a folder that is no study is not touched */
    o = base_options(DATA);
    assert_int_equal(eg_study(&doc, DATA, &o, NULL, &err), EG_ERR_USAGE);
}

static void stop_in_third_step(void *context, const eg_progress *p) {
    if (p->kind == EG_PROGRESS_STEP && p->epoch == 2) *(volatile sig_atomic_t *)context = 1;
}

/* stopped in the second epoch of a run, called again: the study goes on and ends as an unbroken one
 * */
static void interrupted_study(void **state) {
    (void)state;
    eg_options o = base_options(ROOT "/u");
    eg_doc *doc = NULL;
    eg_error err = {0};
    volatile sig_atomic_t stop = 0;
    eg_events ev = {stop_in_third_step, (void *)&stop, &stop};
    o.models = "small_cnn";
    o.modes = "scratch";
    o.weights = NULL;
    o.epochs = 3;
    assert_int_equal(eg_study(&doc, DATA, &o, &ev, &err), EG_ERR_INTERRUPTED);
    if (!strstr(err.text, "same engraft study command again")) fail_msg("%s", err.text);
    json_decref(run(&o, NULL));
    o.out = ROOT "/v";
    json_decref(run(&o, NULL));
    assert_same_file(ROOT "/u/runs/small_cnn-scratch/last.safetensors",
                     ROOT "/v/runs/small_cnn-scratch/last.safetensors");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_study),
        cmocka_unit_test(load_back),
        cmocka_unit_test(other_options_are_not_mixed),
        cmocka_unit_test(interrupted_study),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
