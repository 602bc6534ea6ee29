/* Terminal text of every kind: golden files at 60, 80 and 130 columns, never wider than asked, unharmed by holes and by
 * hostile text. ENGRAFT_BLESS=1 rewrites the golden files. */
#include "report/fields.h"
#include "unit/report_sample.h"

static char *render(const json_t *root, const char *kind, int columns, bool colour) {
    eg_doc doc = {.root = (json_t *)(uintptr_t)root, .kind = kind};
    eg_error err = {0};
    char *text = NULL;
    if (eg_report_terminal(&text, &doc, columns, colour, &err) != EG_OK) fail_msg("%s", err.text);
    return text;
}

static void check_width(const char *text, int columns) {
    while (*text != 0) {
        size_t n = strcspn(text, "\n");
        char *line = eg_strndup(text, n);
        /* a command is there to be copied, and stays whole */
        bool command = strncmp(line, "engraft ", 8) == 0;
        if (eg_report_width(line) > columns && !command)
            fail_msg("wider than %d: %s", columns, line);
        if (n > 0) assert_true(line[n - 1] != ' ');
        eg_free(line);
        text += n + (text[n] == '\n');
    }
}

static void check_golden(const char *text, const char *name, int columns) {
    char path[512];
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/data/report/golden/%s-%d.txt", name,
             columns);
    eg_error err = {0};
    if (getenv("ENGRAFT_BLESS") != NULL) {
        eg_part part = {.data = text, .size = strlen(text)};
        assert_int_equal(eg_file_write_atomic(path, &part, 1, &err), EG_OK);
    }
    eg_file_view view;
    if (eg_file_open(&view, path, (size_t)1 << 20, &err) != EG_OK) fail_msg("%s", err.text);
    if (view.size != strlen(text) || memcmp(view.data, text, view.size) != 0) {
        fail_msg("%s differs, found:\n%s", path, text);
    }
    eg_file_close(&view);
}

static void test_golden(void **state) {
    (void)state;
    static const int widths[] = {60, 80, 130};
    for (size_t i = 0; i < N_REPORT_SAMPLES; i++) {
        json_t *root = sample_read(report_samples[i].file);
        for (size_t w = 0; w < 3; w++) {
            char *text = render(root, report_samples[i].kind, widths[w], false);
            check_width(text, widths[w]);
            assert_null(strchr(text, 0x1b));
            check_golden(text, report_samples[i].file, widths[w]);
            eg_text_free(text);
        }
        json_decref(root);
    }
}

/* Colour adds escape sequences and nothing else. */
static void test_colour(void **state) {
    (void)state;
    for (size_t i = 0; i < N_REPORT_SAMPLES; i++) {
        json_t *root = sample_read(report_samples[i].file);
        char *plain = render(root, report_samples[i].kind, 80, false);
        char *colour = render(root, report_samples[i].kind, 80, true);
        assert_non_null(strchr(colour, 0x1b));
        char *out = colour;
        for (const char *s = colour; *s != 0; s++) {
            if (*s == 0x1b) {
                s = strchr(s, 'm');
                assert_non_null(s);
            } else {
                *out++ = *s;
            }
        }
        *out = 0;
        assert_string_equal(plain, colour);
        eg_text_free(plain);
        eg_text_free(colour);
        json_decref(root);
    }
}

static void visit_text(const json_t *root, const char *kind) {
    char *text = render(root, kind, 60, false);
    check_width(text, 400); /* a shown text may be long; a figure never is */
    eg_text_free(text);
}

static void test_every_hole(void **state) {
    (void)state;
    for (size_t i = 0; i < N_REPORT_SAMPLES; i++) {
        json_t *root = sample_read(report_samples[i].file);
        sample_shorten(root, 3);
        assert_true(sample_walk(root, root, visit_text, report_samples[i].kind) > 30);
        json_decref(root);
    }
    for (size_t i = 0; i < N_REPORT_SAMPLES; i++) { /* nothing at all */
        json_t *object = json_object(), *array = json_array();
        visit_text(object, report_samples[i].kind);
        visit_text(array, report_samples[i].kind);
        json_decref(object);
        json_decref(array);
    }
}

static void test_hostile_text(void **state) {
    (void)state;
    for (size_t i = 0; i < N_REPORT_SAMPLES; i++) {
        json_t *root = sample_read(report_samples[i].file);
        sample_poison(root, "\x1b]0;owned\x07\xC2\x9B"
                            "31m %s%n \r\nnext");
        char *text = render(root, report_samples[i].kind, 80, false);
        assert_null(strchr(text, 0x1b));
        assert_null(strchr(text, 0x07));
        assert_null(strchr(text, '\r'));
        assert_null(strstr(text, "\xC2\x9B"));
        eg_text_free(text);
        json_decref(root);
    }
}

static void test_unknown_kind(void **state) {
    (void)state;
    json_t *root = json_pack("{s:i}", "answer", 42);
    char *text = render(root, "kind of tomorrow", 80, false);
    assert_non_null(strstr(text, "\"answer\": 42"));
    eg_text_free(text);
    json_decref(root);
}

static void test_no_memory(void **state) {
    (void)state;
    json_t *root = sample_read("study");
    eg_doc doc = {.root = root, .kind = "study"};
    size_t before = eg_memory_stats_get().bytes_now;
    eg_status status = EG_ERR_NO_MEMORY;
    uint64_t k = 1;
    for (; status != EG_OK && k < 1000; k++) {
        char *text = NULL;
        eg_memory_fail_at(k);
        status = eg_report_terminal(&text, &doc, 80, false, NULL);
        eg_memory_fail_at(0);
        assert_int_equal(text != NULL, status == EG_OK);
        eg_text_free(text);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    assert_true(k > 10 && k < 1000);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_colour),
        cmocka_unit_test(test_every_hole),   cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_unknown_kind), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
