/* Findings from figures alone: each fault at and below its threshold, and the order and counts of the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/data_report.h"
#include <string.h>

/* A clean document, 200 images a class in train and 60 in test. */
static const char clean[] =
    "{'splits': {'train': {'A': 200, 'B': 200}, 'test': {'A': 60, 'B': 60}}, 'bad_files': [],"
    "'odd_files': [], 'duplicates': {'groups': 0, 'files': 0, 'across_splits': 0,"
    "'across_classes': 0, 'same_pixels': {'groups': 0, 'files': 0, 'across_splits': 0,"
    "'across_classes': 0}, 'near': {'groups': 0, 'files': 0, 'across_splits': 0,"
    "'across_classes': 0}, 'features': null, 'examples': []}, 'patients': {'rule': 'kermany',"
    "'shared': 0, 'shared_images': 0, 'shared_names': [], 'pairs': [{}], 'mixed': {'patients': 0,"
    "'of': 50, 'names': []}}, 'drift': [{'class': 'A', 'on': 'thumbnails', 'from': 'train',"
    "'to': 'test', 'n_to': 60, 'auc': 0.55, 'control_auc': 0.5, 'p': 0.2, 'p_holm': 0.2}],"
    "'shifts': [{'class': 'A', 'from': 'train', 'to': 'test', 'measure': 'brightness',"
    "'from_median': 0.5, 'to_median': 0.5, 'auc': 0.5, 'p': 1, 'p_holm': 1}],"
    "'shortcuts': [{'class': 'B', 'on': 'frame', 'auc': 0.5, 'p': 0.5}],"
    "'labels': {'on': 'thumbnails', 'suspects': [], 'separable': [{'class': 'B', 'auc': 0.9,"
    "'p': 0.001}], 'wrong_side': [{'class': 'A', 'n': 200, 'beyond': 2, 'expected': 2.0,"
    "'p': 0.5}]}}";

static json_t *document(void) {
    char text[sizeof clean];
    memcpy(text, clean, sizeof clean);
    for (char *c = text; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *doc = NULL;
    eg_error err = {0};
    if (eg_json_parse(&doc, text, strlen(text), &err) != EG_OK) fail_msg("%s", err.text);
    return doc;
}

/* Set the value at a dotted path (numbers index arrays) from JSON text. */
static void put(json_t *doc, const char *path, const char *value) {
    char key[64];
    json_t *node = doc;
    for (;;) {
        size_t n = strcspn(path, ".");
        memcpy(key, path, n);
        key[n] = '\0';
        if (path[n] == '\0') break;
        node = json_is_array(node) ? json_array_get(node, (size_t)(key[0] - '0'))
                                   : json_object_get(node, key);
        assert_non_null(node);
        path += n + 1;
    }
    json_t *new_value = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(new_value);
    assert_int_equal(json_object_set_new(node, key, new_value), 0);
}

/* Judge the clean document with one value changed; the kinds found, joined by blanks. */
static const char *kinds_with(const char *path, const char *value, const char *weight) {
    static char kinds[400];
    json_t *doc = document();
    if (path) put(doc, path, value);
    assert_int_equal(eg_study_data_findings(doc, NULL), EG_OK);
    const json_t *all = json_object_get(doc, "findings");
    kinds[0] = '\0';
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *f = json_array_get(all, i);
        strcat(strcat(kinds, i ? " " : ""), json_string_value(json_object_get(f, "kind")));
        if (weight) assert_string_equal(json_string_value(json_object_get(f, "severity")), weight);
        assert_true(json_is_array(json_object_get(f, "where")));
        assert_true(strlen(json_string_value(json_object_get(f, "text"))) > 20);
    }
    json_decref(doc);
    return kinds;
}

static void test_clean_is_clean(void **state) {
    (void)state;
    assert_string_equal(kinds_with(NULL, NULL, NULL), "");
}

static void test_each_fault(void **state) {
    (void)state;
    static const struct {
        const char *path, *below, *at, *kind, *weight;
    } cases[] = {
        {"bad_files", "[]", "[{\"file\": \"a.png\", \"reason\": \"cut\"}]", "corrupt", "error"},
        {"odd_files", "[]",
         "[{\"kind\": \"constant\", \"text\": \"one gray value everywhere\", \"count\": 1, "
         "\"examples\": [\"a\"]}]",
         "odd_constant", "warning"},
        {"duplicates.across_splits", "0", "1", "duplicates_across_splits", "error"},
        {"duplicates.near.across_splits", "0", "1", "duplicates_across_splits", "error"},
        {"duplicates.across_classes", "0", "1", "duplicates_across_classes", "error"},
        {"duplicates.groups", "0", "2", "duplicates", "warning"},
        {"duplicates.features", "null", "{\"across_splits\": 3}", "feature_neighbours", "note"},
        {"patients.shared", "0", "1", "patient_leak", "error"},
        {"patients.mixed", "{\"patients\": 0}", "{\"patients\": 1, \"of\": 9, \"names\": [\"p\"]}",
         "mixed_patients", "warning"},
        {"patients.rule", "\"prefix\"", "\"none\"", "patients_unknown", "note"},
        {"splits.test", "{\"A\": 60, \"B\": 70}", "{\"A\": 60, \"B\": 140}", "prior_shift",
         "warning"},
        {"splits.test", "{\"A\": 20, \"B\": 20}", "{\"A\": 19, \"B\": 19}", "few_test_images",
         "warning"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(kinds_with(cases[i].path, cases[i].below, NULL), "");
        assert_string_equal(kinds_with(cases[i].path, cases[i].at, cases[i].weight), cases[i].kind);
    }
}

/* Items of lists: an effect without significance, and significance without an effect, are no findings. */
static void test_effect_and_chance_together(void **state) {
    (void)state;
    static const struct {
        const char *list, *effect, *chance, *strong, *weak, *sure, *unsure, *kind;
    } cases[] = {
        {"drift", "auc", "p_holm", "0.9", "0.6", "0.002", "0.02", "drift"},
        {"shifts", "auc", "p_holm", "0.2", "0.4", "0.0001", "0.01", "exposure_drift"},
        {"shortcuts", "auc", "p", "0.8", "0.7", "0.001", "0.01", "shortcut"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int which = 0; which < 4; which++) {
            json_t *doc = document();
            json_t *item = json_array_get(json_object_get(doc, cases[i].list), 0);
            put(item, cases[i].effect, which & 1 ? cases[i].strong : cases[i].weak);
            put(item, cases[i].chance, which & 2 ? cases[i].sure : cases[i].unsure);
            assert_int_equal(eg_study_data_findings(doc, NULL), EG_OK);
            const json_t *all = json_object_get(doc, "findings");
            assert_int_equal(json_array_size(all), which == 3);
            if (which == 3)
                assert_string_equal(
                    json_string_value(json_object_get(json_array_get(all, 0), "kind")),
                    cases[i].kind);
            json_decref(doc);
        }
    }
}

static void test_errors_come_first(void **state) {
    (void)state;
    json_t *doc = document();
    put(doc, "patients.shared", "2");
    put(doc, "splits.train", "{\"A\": 200, \"B\": 900}");
    put(doc, "labels.separable", "[{\"class\": \"B\", \"auc\": 0.52, \"p\": 0.3}]");
    put(doc, "bad_files", "[{\"file\": \"x\", \"reason\": \"y\"}]");
    assert_int_equal(eg_study_data_findings(doc, NULL), EG_OK);
    const json_t *all = json_object_get(doc, "findings"), *counts = json_object_get(doc, "counts");
    double errors = eg_study_number(counts, "error"), n = (double)json_array_size(all);
    assert_true(errors == 2);
    assert_true(errors + eg_study_number(counts, "warning") + eg_study_number(counts, "note") == n);
    int last = 3;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *weight = json_string_value(json_object_get(json_array_get(all, i), "severity"));
        int rank = weight[0] == 'e' ? 2 : weight[0] == 'w' ? 1 : 0;
        assert_true(rank <= last);
        last = rank;
    }
    json_decref(doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_is_clean),
        cmocka_unit_test(test_each_fault),
        cmocka_unit_test(test_effect_and_chance_together),
        cmocka_unit_test(test_errors_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
