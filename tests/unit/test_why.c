/* eg_why on a frozen run of a small tree: the document's shape, its order, the correction, single causes, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "study_tree.h"

#define HERE TEST_BINARY_DIR "/why_test"
static eg_options options;

static int setup(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    tree_remove(HERE);
    if (eg_dir_make(HERE, NULL) != EG_OK) return 1;
    tree_make(HERE "/tree", 60, 40);
    assert_int_equal(system("mkdir " HERE "/only && cp -r " HERE "/tree/train " HERE "/only/"), 0);
    tree_weights(HERE "/w.safetensors", "resnet18", 3);
    options = tree_frozen_options(HERE "/w.safetensors", HERE "/run");
    options.no_feature_cache = true;
    if (eg_train(&doc, HERE "/tree", &options, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    eg_doc_free(doc);
    return 0;
}

static json_t *why(const char *cause) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    options.cause = cause;
    if (eg_why(&doc, HERE "/run", HERE "/tree", &options, NULL, &err) != EG_OK)
        fail_msg("%s", err.text);
    char *text = eg_doc_json(doc);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    assert_string_equal(eg_doc_kind(doc), "why");
    eg_text_free(text);
    eg_doc_free(doc);
    return root;
}

static const char *word(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static void every_cause_has_its_row(void **state) {
    (void)state;
    static const char *const names[] = {
        "sampling_noise", "threshold",    "prior_shift", "calibration",   "covariate_shift",
        "block_shift",    "patient_leak", "label_noise", "duplicates",    "few_images",
        "imbalance",      "capacity",     "overfitting", "optimisation",  "hard_signal",
        "exposure_drift", "blur_drift",   "noise_drift", "framing_shift", "shortcut"};
    json_t *root = why(NULL), *row, *rows = json_object_get(root, "causes");
    json_t *summary = NULL;
    size_t i;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        bool found = false;
        json_array_foreach(rows, i, row) found = found || strcmp(word(row, "cause"), names[k]) == 0;
        if (!found) fail_msg("no row %s", names[k]);
    }
    double last = INFINITY;
    bool causes = true, measured = true;
    json_array_foreach(rows, i, row) {
        const char *verdict = word(row, "verdict");
        const bool is = strcmp(verdict, "cause") == 0;
        const bool cannot = strncmp(verdict, "not measurable: ", 16) == 0;
        assert_true(is || cannot || strcmp(verdict, "not distinguishable from none") == 0);
        assert_true(strstr(word(row, "command"), "engraft why ") != NULL);
        assert_true(strlen(word(row, "text")) > 20);
        if (is != causes || cannot == measured) last = INFINITY; /* a new group */
        assert_false(is && !causes);
        assert_false(!cannot && !measured);
        causes = is;
        measured = !cannot;
        const double points = fabs(eg_study_number(row, "effect_points"));
        assert_true(cannot ? isnan(points) : points <= last);
        last = points;
        const double p = eg_study_number(row, "p"), holm = eg_study_number(row, "p_holm");
        assert_true(isnan(p) ? isnan(holm) : holm >= p && holm <= 1);
    }
    eg_error err = {0};
    assert_int_equal(eg_study_file_read(&summary, HERE "/run", "summary.json", &err), EG_OK);
    const json_t *gap = json_object_get(root, "gap");
    assert_float_equal(eg_study_number(gap, "val"),
                       eg_study_number(json_object_get(summary, "val"), "accuracy"), 1e-9);
    assert_float_equal(eg_study_number(gap, "test"),
                       eg_study_number(json_object_get(summary, "test"), "accuracy"), 1e-9);
    assert_int_equal(json_integer_value(json_object_get(gap, "n_test")), 80);
    json_decref(summary);
    json_decref(root);
}

/* One cause alone gives the same figures, and its p needs no correction. */
static void one_cause_again(void **state) {
    (void)state;
    json_t *all = why(NULL), *one = why("threshold"), *row;
    assert_int_equal(json_array_size(json_object_get(one, "causes")), 1);
    const json_t *again = json_array_get(json_object_get(one, "causes"), 0);
    size_t i;
    json_array_foreach(json_object_get(all, "causes"), i, row) {
        if (strcmp(word(row, "cause"), "threshold") != 0) continue;
        assert_true(json_equal(json_object_get(row, "effect_points"),
                               json_object_get(again, "effect_points")));
        assert_true(json_equal(json_object_get(row, "p"), json_object_get(again, "p")));
    }
    assert_true(json_equal(json_object_get(again, "p"), json_object_get(again, "p_holm")));
    json_decref(all);
    json_decref(one);
}

static void refused(eg_status expected, const char *cause, const char *run, const char *dir,
                    const char *says) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    options.cause = cause;
    assert_int_equal(eg_why(&doc, run, dir, &options, NULL, &err), expected);
    if (!strstr(err.text, says)) fail_msg("%s", err.text);
}

static void what_makes_no_sense_is_refused(void **state) {
    (void)state;
    refused(EG_ERR_USAGE, "threshold,luck", HERE "/run", HERE "/tree",
            "--cause luck: no such cause");
    refused(EG_ERR_NOT_FOUND, NULL, HERE "/nowhere", HERE "/tree", "no such run folder");
    refused(EG_ERR_INPUT, NULL, HERE "/run", HERE "/only", "no test split");
}

static int teardown(void **state) {
    (void)state;
    tree_remove(HERE);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cause_has_its_row),
        cmocka_unit_test(one_cause_again),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
