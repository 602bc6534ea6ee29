/* eg_export of plain weights files: the architecture is recognised, the number of classes read off the head, the tensors go
 * through every format unchanged; wrong options and files are refused before anything is written. Runs: the cli case export;
 * what other programs make of the files: scripts/check_export.py. */
#include "study/run.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "study_tree.h"

#define WEIGHTS TEST_BINARY_DIR "/export_in.safetensors"
#define PTH     TEST_BINARY_DIR "/export_out.pth"
#define BACK    TEST_BINARY_DIR "/export_back.safetensors"
#define ONNX    TEST_BINARY_DIR "/export_out.onnx"

static eg_options options(const char *out) {
    eg_options o;
    eg_options_init(&o);
    o.out = out;
    return o;
}

static void export_file(const char *from, const eg_options *o) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    if (eg_export(&doc, from, o, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(eg_doc_kind(doc), "export");
    double classes;
    assert_int_equal(eg_doc_number(&classes, doc, "n_classes", NULL), EG_OK);
    assert_int_equal((int)classes, 1000);
    eg_doc_free(doc);
}

static void through_every_format(void **state) {
    (void)state;
    tree_weights(WEIGHTS, "squeezenet1_1", 3);
    eg_options o = options(PTH);
    export_file(WEIGHTS, &o);
    o = options(BACK);
    export_file(PTH, &o);
    o = options(ONNX);
    export_file(PTH, &o);
    eg_state_dict *a = NULL, *b = NULL;
    assert_int_equal(eg_weights_read(&a, WEIGHTS, NULL), EG_OK);
    assert_int_equal(eg_weights_read(&b, BACK, NULL), EG_OK);
    assert_int_equal(eg_state_dict_count(a), eg_state_dict_count(b));
    for (size_t i = 0; i < eg_state_dict_count(a); i++) {
        const eg_tensor *t = eg_state_dict_at(a, i), *u = eg_state_dict_find(b, t->name);
        assert_non_null(u);
        assert_int_equal(t->n_bytes, u->n_bytes);
        assert_memory_equal(t->data, u->data, t->n_bytes);
    }
    assert_string_equal(eg_state_dict_metadata(b, "model"), "squeezenet1_1");
    assert_non_null(eg_state_dict_metadata(b, "preprocessing"));
    assert_null(eg_state_dict_metadata(b, "classes")); /* not known, so not said */
    assert_null(eg_state_dict_metadata(b, "threshold"));
    eg_state_dict_free(a);
    eg_state_dict_free(b);
    unlink(PTH);
    unlink(BACK);
    unlink(ONNX);
}

static void check_refused(const char *from, const eg_options *o, eg_status status,
                          const char *part) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    assert_int_equal(eg_export(&doc, from, o, &err), status);
    if (!strstr(err.text, part)) fail_msg("'%s' does not say '%s'", err.text, part);
    assert_null(doc);
}

static void refuses(void **state) {
    (void)state;
    tree_weights(WEIGHTS, "squeezenet1_1", 3);
    eg_options o = options(NULL);
    check_refused(WEIGHTS, &o, EG_ERR_USAGE, "--out is missing");
    o = options(TEST_BINARY_DIR "/export.bin");
    check_refused(WEIGHTS, &o, EG_ERR_USAGE, "--format");
    o = options(TEST_BINARY_DIR);
    o.format = "onnx";
    check_refused(WEIGHTS, &o, EG_ERR_USAGE, "is a directory");
    o = options(PTH);
    o.with_preprocessing = true;
    check_refused(WEIGHTS, &o, EG_ERR_USAGE, "--with-preprocessing");
    o = options(ONNX);
    o.model = "no_such_net";
    check_refused(WEIGHTS, &o, EG_ERR_NOT_FOUND, "no_such_net");
    o.model = "resnet18";
    check_refused(WEIGHTS, &o, EG_ERR_MISMATCH, "resnet18");
    check_refused(TEST_BINARY_DIR "/no_such_file.pth", &o, EG_ERR_NOT_FOUND, "no such");
    assert_false(eg_path_exists(PTH));
    assert_false(eg_path_exists(ONNX));
    /* nothing is replaced unasked */
    o = options(WEIGHTS);
    check_refused(WEIGHTS, &o, EG_ERR_USAGE, "--overwrite");
}

static int tidy(void **state) {
    (void)state;
    unlink(WEIGHTS);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(through_every_format),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, tidy);
}
