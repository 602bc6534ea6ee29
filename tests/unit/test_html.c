/* The page: well formed, complete in both languages, self-contained, the same twice, unharmed by holes and by hostile
 * text, and never written when memory runs out. */
#include "report/page.h"
#include "unit/report_sample.h"
#include <ctype.h>

static const char *const page_path = TEST_BINARY_DIR "/test_html_page.html";

static char *file_text(const char *path) {
    eg_file_view view;
    eg_error err;
    assert_int_equal(eg_file_open(&view, path, (size_t)1 << 26, &err), EG_OK);
    char *text = eg_strndup((const char *)view.data, view.size);
    assert_non_null(text);
    eg_file_close(&view);
    return text;
}

static char *render(const json_t *root, const char *kind, const char *lang) {
    eg_doc doc = {.root = (json_t *)(uintptr_t)root, .kind = kind};
    eg_error err = {0};
    if (eg_report_html(page_path, &doc, lang, &err) != EG_OK) fail_msg("%s", err.text);
    return file_text(page_path);
}

/* Every element closed in order; void elements and self-closed ones apart. Attributes must be quoted. */
static void check_balanced(const char *html) {
    char open[64][16];
    int depth = 0;
    static const char *const empty[] = {"meta", "link", "br", "img"};
    /* memchr: the sanitizer's strict strchr measures the rest of the page at each call */
    const char *stop = html + strlen(html);
    for (const char *s = html; (s = memchr(s, '<', (size_t)(stop - s))) != NULL;) {
        if (s[1] == '!') {
            s++;
            continue;
        }
        bool closing = s[1] == '/';
        const char *name = s + 1 + closing;
        size_t n = 0;
        while (isalnum((unsigned char)name[n])) n++;
        assert_in_range(n, 1, 15);
        const char *end = name;
        for (bool quoted = false; *end != 0 && (quoted || *end != '>'); end++) {
            if (*end == '"') quoted = !quoted;
            if (!quoted) assert_true(*end != '<');
        }
        assert_int_equal(*end, '>');
        bool none = end[-1] == '/';
        for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
            none |= strlen(empty[i]) == n && memcmp(empty[i], name, n) == 0;
        }
        if (closing) {
            assert_true(depth > 0);
            depth--;
            if (strlen(open[depth]) != n || memcmp(open[depth], name, n) != 0) {
                fail_msg("</%.*s> closes <%s>", (int)n, name, open[depth]);
            }
        } else if (!none) {
            assert_true(depth < 64);
            memcpy(open[depth], name, n);
            open[depth++][n] = 0;
        }
        s = end;
    }
    assert_int_equal(depth, 0);
}

static void check_self_contained(const char *html) {
    static const char *const never[] = {"<script", "http:", "https:", "url(",
                                        "@import", "src=",  "nan",    "inf\""};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        if (strstr(html, never[i]) != NULL) fail_msg("the page holds %s", never[i]);
    }
}

static void test_study(void **state) {
    (void)state;
    json_t *root = sample_read("study");
    static const char *const expected[2][16] = {
        {"<html lang=\"en\">", "A. Choosing", "B. Fine-tuning", "C. Fixed feature", "From scratch",
         "D. Comparing", "E. Why", "Confusion matrix", "ROC curve", "350/350", "90.9%",
         "[88.3, 92.9]", "9 min 38 s", "never used as a result", "false alarm", "579344248a93e230"},
        {"<html lang=\"zh-Hant-TW\">", "微調", "特徵擷取器", "驗證集", "測試集", "混淆矩陣",
         "學習率", "過度擬合", "擬合不足", "準確率", "敏感度", "特異度", "信賴區間", "350/350",
         "90.9%", "[88.3, 92.9]"}};
    for (int lang = 0; lang < 2; lang++) {
        char *html = render(root, "study", lang == 0 ? "en" : "zh-TW");
        check_balanced(html);
        check_self_contained(html);
        for (size_t i = 0; i < 16; i++) {
            if (strstr(html, expected[lang][i]) == NULL) {
                fail_msg("the page lacks %s", expected[lang][i]);
            }
        }
        eg_free(html);
    }
    json_decref(root);
}

static void test_run(void **state) {
    (void)state;
    json_t *root = sample_read("train");
    char *html = render(root, "train", "en");
    check_balanced(html);
    check_self_contained(html);
    assert_non_null(strstr(html, "Training run efficientnet_lite0-finetune"));
    assert_null(strstr(html, "id=\"d\""));
    eg_free(html);
    json_decref(root);
}

/* Features of an earlier run are said to be so; the time beside them is then no time of computing. */
static void test_cached_features(void **state) {
    (void)state;
    json_t *root = sample_read("train");
    json_object_set_new(root, "feature_seconds", json_real(0.4));
    json_object_set_new(root, "features_cached", json_integer(0));
    char *html = render(root, "train", "en");
    assert_null(strstr(html, "from the cache"));
    eg_free(html);
    json_object_set_new(root, "features_cached", json_integer(450));
    html = render(root, "train", "en");
    check_balanced(html);
    assert_non_null(strstr(html, "450 of the features are those of an earlier run"));
    eg_free(html);
    html = render(root, "train", "zh-TW");
    assert_non_null(strstr(html, "450 筆特徵取自先前的快取"));
    eg_free(html);
    json_decref(root);
}

static void test_same_twice(void **state) {
    (void)state;
    json_t *root = sample_read("study");
    char *a = render(root, "study", "en"), *b = render(root, "study", "en");
    assert_string_equal(a, b);
    eg_free(a);
    eg_free(b);
    json_decref(root);
}

/* A broken freeze proof must be seen. */
static void test_broken_freeze(void **state) {
    (void)state;
    json_t *root = sample_read("study");
    json_t *freeze = json_object_get(json_array_get(json_object_get(root, "runs"), 1), "freeze");
    json_object_set_new(freeze, "identical", json_integer(349));
    char *html = render(root, "study", "en");
    assert_non_null(strstr(html, "proof bad"));
    assert_non_null(strstr(html, "349/350"));
    eg_free(html);
    json_decref(root);
}

static void visit_page(const json_t *root, const char *kind) {
    eg_doc doc = {.root = (json_t *)(uintptr_t)root, .kind = kind};
    eg_buffer page = {0}; /* in memory: thousands of pages need not reach the disk */
    assert_int_equal(eg_page_build(&page, &doc, EG_LANG_ZH, "page", NULL), EG_OK);
    check_balanced(page.data);
    eg_buffer_free(&page);
}

static void test_every_hole(void **state) {
    (void)state;
    json_t *root = sample_read("study");
    sample_shorten(root, 2);
    assert_true(sample_walk(root, root, visit_page, "study") > 2000);
    json_decref(root);
    root = json_object();
    visit_page(root, "study");
    visit_page(root, "train");
    json_decref(root);
}

static void test_hostile_text(void **state) {
    (void)state;
    static const char *const hostile =
        "</title></style>\"'><img onerror=x><script>&amp;\x1b\x7f{0}";
    json_t *root = sample_read("study");
    sample_poison(root, hostile);
    json_object_set_new(json_object_get(json_object_get(root, "recipe"), "finetune"), hostile,
                        json_string(hostile));
    for (int lang = 0; lang < 2; lang++) {
        char *html = render(root, "study", lang == 0 ? "en" : "zh-TW");
        check_balanced(html);
        assert_null(strstr(html, "<img"));
        assert_null(strstr(html, "<script"));
        assert_null(strchr(html, 0x1b));
        assert_null(strchr(html, 0x7f));
        assert_non_null(strstr(html, "&lt;script&gt;&amp;amp;"));
        eg_free(html);
    }
    json_decref(root);
}

static void test_refusals(void **state) {
    (void)state;
    eg_error err = {0};
    json_t *root = sample_read("models"), *study = sample_read("study");
    eg_doc models = {.root = root, .kind = "models"}, array = {.root = root, .kind = "study"};
    eg_doc good = {.root = study, .kind = "study"};
    assert_int_equal(eg_report_html(page_path, &models, "en", &err), EG_ERR_MISMATCH);
    assert_non_null(strstr(err.text, "'models'"));
    assert_int_equal(eg_report_html(page_path, &array, "en", &err), EG_ERR_INPUT);
    assert_int_equal(eg_report_html(page_path, &good, "zh-CN", &err), EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "zh-TW"));
    assert_int_equal(eg_report_html("/nonexistent/page.html", &good, "en", NULL), EG_ERR_IO);
    json_decref(root);
    json_decref(study);
}

/* The k-th allocation fails: no page, or the whole page; never half of one. */
static void test_no_memory(void **state) {
    (void)state;
    json_t *root = sample_read("train");
    sample_shorten(root, 2);
    char *whole = render(root, "train", "en");
    eg_doc doc = {.root = root, .kind = "train"};
    size_t before = eg_memory_stats_get().bytes_now;
    eg_status status = EG_ERR_NO_MEMORY;
    uint64_t k = 1;
    for (; status != EG_OK && k < 1000; k++) {
        remove(page_path);
        eg_memory_fail_at(k);
        status = eg_report_html(page_path, &doc, "en", NULL);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
        assert_int_equal(eg_path_exists(page_path), status == EG_OK);
    }
    assert_true(k > 20 && k < 1000);
    char *page = file_text(page_path);
    assert_string_equal(page, whole);
    eg_free(page);
    eg_free(whole);
    json_decref(root);
}

/* The page of a data set: pictures only where they are base64, text escaped, both languages. */
static void test_data_set(void **state) {
    (void)state;
    static const char text[] =
        "{\"root\": \"<b>set\", \"classes\": [\"A\", \"B\"], \"splits\": {\"train\": {\"A\": 3, "
        "\"B\": 2}},"
        "\"groups\": [{\"split\": \"train\", \"class\": \"A\", \"n\": 3, \"brightness\": 0.25,"
        "\"histogram\": [0.5, 0.5]}], \"findings\": [{\"kind\": \"drift\", \"severity\": "
        "\"warning\","
        "\"text\": \"A & B\", \"where\": [\"x\\\"y\"]}], \"duplicates\": {\"groups\": 1, "
        "\"examples\":"
        "[{\"files\": [\"a.png\", \"b.png\"]}]}, \"drift\": [{\"class\": \"A\", \"auc\": 0.9}],"
        "\"labels\": {\"separable\": [{\"class\": \"B\", \"auc\": 0.7}], \"suspects\": []},"
        "\"pictures\": {\"groups\": [{\"split\": \"train\", \"class\": \"A\", \"mean\": \"QUJD\","
        "\"files\": [\"a.png\"]}], \"files\": {\"a.png\": \"QUI=\", \"b.png\": "
        "\"x\\\"><script>\"}}}";
    json_t *root = NULL;
    assert_int_equal(eg_json_parse(&root, text, strlen(text), NULL), EG_OK);
    for (int lang = 0; lang < 2; lang++) {
        char *html = render(root, "data", lang ? "zh-TW" : "en");
        check_balanced(html);
        assert_non_null(strstr(html, "src=\"data:image/png;base64,QUJD\""));
        assert_non_null(strstr(html, "src=\"data:image/png;base64,QUI=\""));
        assert_null(strstr(html, "<script>"));
        assert_null(strstr(html, "<b>set"));
        assert_non_null(strstr(html, "A &amp; B"));
        assert_non_null(strstr(html, "0.900"));
        assert_non_null(strstr(html, lang ? "發現的問題" : "Findings"));
        eg_free(html);
    }
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_study),           cmocka_unit_test(test_run),
        cmocka_unit_test(test_cached_features), cmocka_unit_test(test_same_twice),
        cmocka_unit_test(test_broken_freeze),   cmocka_unit_test(test_every_hole),
        cmocka_unit_test(test_hostile_text),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_memory),       cmocka_unit_test(test_data_set),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove(page_path);
    return failed;
}
