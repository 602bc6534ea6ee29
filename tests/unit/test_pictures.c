/* SVG files of a document of metrics: which are written, that each stands alone, and what is drawn where. */
#include "report/report.h"
#include "report/svg.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DIR TEST_BINARY_DIR "/drawn_pictures"
static const char *const NAMES[] = {"confusion.svg", "roc.svg", "pr.svg", "reliability.svg"};

static const char TWO[] =
    "{\"n\": 8, \"split\": \"test\", \"classes\": [\"A\", \"B & <C>\"], \"confusion\": [[3, 1], "
    "[1, 3]],"
    "\"auc\": 0.9, \"ap\": 0.8, \"ece\": 0.1, \"roc\": [[0, 0], [0, 0.5], [1, 1]],"
    "\"pr\": [[0, 1], [0.5, 1], [1, 0.5]],"
    "\"reliability\": [{\"low\": 0, \"high\": 0.1, \"n\": 4, \"mean\": 0.1, \"rate\": 0.25,"
    "\"ci\": [0.05, 0.7]}, {\"low\": 0.9, \"high\": 1, \"n\": 4, \"mean\": 1e300, \"rate\": 1,"
    "\"ci\": null}]}";

static void draw(const char *text, eg_status expected) {
    eg_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        char *path = eg_path_join(DIR, NAMES[i]);
        unlink(path);
        eg_free(path);
    }
    eg_doc *doc = eg_doc_new(json_loads(text, 0, NULL), "metrics");
    assert_non_null(doc);
    eg_status status = eg_report_pictures(DIR, doc, &err);
    if (status != expected) fail_msg("%d: %s", (int)status, err.text);
    eg_doc_free(doc);
}

static void four_files(void **state) {
    (void)state;
    draw(TWO, EG_OK);
    for (size_t i = 0; i < 4; i++) {
        char *path = eg_path_join(DIR, NAMES[i]);
        eg_file_view view;
        eg_error err = {0};
        if (eg_file_open(&view, path, 1 << 20, &err) != EG_OK) fail_msg("%s", err.text);
        char *text = eg_strndup((const char *)view.data, view.size);
        eg_file_close(&view);
        /* a file of its own: namespace, size, colours; nothing of the page around it */
        static const char opening[] = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=";
        assert_memory_equal(text, opening, strlen(opening));
        assert_non_null(strstr(text, "<style>"));
        assert_null(strstr(text, "var("));
        assert_null(strstr(text, "figure"));
        assert_null(strstr(text, "<C>")); /* escaped */
        assert_string_equal(text + strlen(text) - 7, "</svg>\n");
        eg_free(text);
        eg_free(path);
    }
}

static void only_what_is_there(void **state) {
    (void)state;
    draw("{\"confusion\": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], \"classes\": [\"a\", \"b\", \"c\"], "
         "\"roc\": "
         "null, \"pr\": null, \"reliability\": null}",
         EG_OK);
    for (size_t i = 0; i < 4; i++) {
        char *path = eg_path_join(DIR, NAMES[i]);
        assert_int_equal(eg_path_exists(path), i == 0);
        eg_free(path);
    }
}

/* A plane is 42..272 wide and 188..22 high: the dot at (0.1, 0.25), its interval, and a mean of 1e300 kept inside. */
static void where_it_is_drawn(void **state) {
    (void)state;
    json_t *m = json_loads(TWO, 0, NULL);
    eg_page p = {0};
    eg_svg_reliability(&p, m, true);
    eg_buffer_add(&p.out, "", 1);
    assert_non_null(strstr(p.out.data, "<circle class=\"val\" cx=\"65\" cy=\"146.5\" r"));
    assert_non_null(strstr(p.out.data, "x1=\"65\" y1=\"179.7\" x2=\"65\" y2=\"71.8\""));
    assert_non_null(strstr(p.out.data, "<circle class=\"val\" cx=\"272\" cy=\"22\" r"));
    assert_null(strstr(p.out.data, "NaN"));
    eg_buffer_free(&p.out);
    /* half of the images are positive: the dashed line at 50 % */
    p = (eg_page){0};
    eg_svg_pr(&p, m, false);
    eg_buffer_add(&p.out, "", 1);
    assert_non_null(
        strstr(p.out.data, "class=\"best\" x1=\"42\" y1=\"105\" x2=\"272\" y2=\"105\""));
    /* steps: to recall .5 at precision 1, then down at .5, then right */
    assert_non_null(strstr(p.out.data, "d=\"M42 22L42 22L42 22L157 22L157 105L272 105\""));
    eg_buffer_free(&p.out);
    json_decref(m);
}

static void another_kind(void **state) {
    (void)state;
    eg_error err = {0};
    eg_doc *doc = eg_doc_new(json_object(), "train");
    assert_int_equal(eg_report_pictures(DIR, doc, &err), EG_ERR_MISMATCH);
    eg_doc_free(doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_files),
        cmocka_unit_test(only_what_is_there),
        cmocka_unit_test(where_it_is_drawn),
        cmocka_unit_test(another_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
