/* A split written and read again; files that do not speak of exactly the images of the set are refused; the split.csv of a run,
 * which may lack images, is restored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "temp_tree.h"

static int begin(void **state) {
    char name[64];
    (void)state;
    tree_begin();
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "set/%s/%d, \"x\".png", i % 2 ? "A" : "B", i);
        tree_file(name);
    }
    return 0;
}

static int end(void **state) {
    (void)state;
    tree_end();
    return 0;
}

static eg_dataset *open_set(void) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    if (eg_dataset_open(&ds, tree_path("set"), NULL, &err) != EG_OK) fail_msg("%s", err.text);
    return ds;
}

static size_t count(const eg_dataset *ds, eg_split split) {
    size_t n = 0;
    for (size_t i = 0; i < ds->n_samples; i++) n += ds->samples[i].split == split;
    return n;
}

static void there_and_back(void **state) {
    (void)state;
    eg_dataset *a = open_set(), *b = open_set();
    const eg_split_rule test = {.by = "image", .share = 0.2, .seed = 3},
                        val = {.by = "image", .share = 0.3, .seed = 3};
    assert_int_equal(eg_dataset_split(a, EG_SPLIT_TRAIN, EG_SPLIT_TEST, &test, NULL), EG_OK);
    assert_int_equal(eg_dataset_split(a, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &val, NULL), EG_OK);
    assert_int_equal(eg_dataset_split_write(a, tree_path("split.csv"), NULL), EG_OK);
    assert_int_equal(eg_dataset_split_read(b, tree_path("split.csv"), NULL), EG_OK);
    assert_int_equal(b->n_samples, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_string_equal(a->samples[i].file, b->samples[i].file);
        assert_int_equal(a->samples[i].split, b->samples[i].split);
    }
    assert_true(b->has_val && b->has_test);
    assert_true(count(b, EG_SPLIT_TEST) == 2 && count(b, EG_SPLIT_VAL) == 2);
    eg_dataset_free(a);
    eg_dataset_free(b);
}

/* The table of a run: further columns, words of every kind, "none". */
static void other_tables(void **state) {
    (void)state;
    eg_buffer text = {0};
    eg_buffer_printf(&text, "file,label,split,patient\n");
    static const char *const words[] = {"train", "TRAIN", "val", "validation", "test",
                                        "none",  "train", "dev", "testing",    "all"};
    for (int i = 0; i < 10; i++)
        eg_buffer_printf(&text, "\"%s/%d, \"\"x\"\".png\",x,%s,p\n", i % 2 ? "A" : "B", i,
                         words[i]);
    tree_write("split.csv", text.data, text.size);
    eg_buffer_free(&text);
    eg_dataset *ds = open_set();
    eg_error err = {0};
    if (eg_dataset_split_read(ds, tree_path("split.csv"), &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(ds->n_samples, 9);
    assert_int_equal(count(ds, EG_SPLIT_TRAIN), 3);
    assert_int_equal(count(ds, EG_SPLIT_VAL), 3);
    assert_int_equal(count(ds, EG_SPLIT_TEST), 2);
    assert_int_equal(count(ds, EG_SPLIT_ALL), 1);
    for (size_t i = 1; i < 9; i++) // sorted again
        assert_true(ds->samples[i - 1].split <= ds->samples[i].split);
    eg_dataset_free(ds);
}

static void refused(const char *text, eg_status expected, const char *part) {
    eg_dataset *ds = open_set();
    eg_error err = {0};
    tree_write("split.csv", text, strlen(text));
    assert_int_equal(eg_dataset_split_read(ds, tree_path("split.csv"), &err), expected);
    if (strncmp(err.text, tree_root, strlen(tree_root)) != 0 || !strstr(err.text, part))
        fail_msg("message: %s\nexpected: %s", err.text, part);
    assert_int_equal(ds->n_samples, 10); // unchanged
    assert_int_equal(count(ds, EG_SPLIT_ALL), 10);
    eg_dataset_free(ds);
}

static void refusals(void **state) {
    (void)state;
    char whole[1024] = "file,split\n", text[2048];
    for (int i = 0; i < 10; i++)
        snprintf(whole + strlen(whole), sizeof whole - strlen(whole),
                 "\"%s/%d, \"\"x\"\".png\",train\n", i % 2 ? "A" : "B", i);
    refused("name,split\nx,train\n", EG_ERR_INPUT, "no column file");
    refused("file,set\nx,train\n", EG_ERR_INPUT, "no column split");
    refused("file,split\n", EG_ERR_MISMATCH, "A/1, \"x\".png of");
    snprintf(text, sizeof text, "%snew.png,train\n", whole);
    refused(text, EG_ERR_MISMATCH, "new.png is not in");
    snprintf(text, sizeof text, "%s\"A/1, \"\"x\"\".png\",val\n", whole);
    refused(text, EG_ERR_MISMATCH, "is there twice");
    snprintf(text, sizeof text, "%s", whole);
    memcpy(strstr(text, "train"), "trial", 5);
    refused(text, EG_ERR_INPUT, "'trial' is no split");
    eg_dataset *ds = open_set();
    assert_int_equal(eg_dataset_split_read(ds, tree_path("nowhere.csv"), NULL), EG_ERR_NOT_FOUND);
    tree_write("split.csv", whole, strlen(whole));
    for (uint64_t k = 1;; k++) {
        eg_memory_fail_at(k);
        eg_status status = eg_dataset_split_read(ds, tree_path("split.csv"), NULL);
        eg_memory_fail_at(0);
        if (status == EG_OK) break;
        assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_int_equal(count(ds, EG_SPLIT_ALL), 10);
    }
    assert_int_equal(count(ds, EG_SPLIT_TRAIN), 10);
    eg_dataset_free(ds);
}

/* A run left an image out; since then another one went. */
static void restored(void **state) {
    (void)state;
    static const char text[] = "file,label,split,patient\n\"A/1, \"\"x\"\".png\",A,test,\n"
                               "\"B/2, \"\"x\"\".png\",B,train,\ngone.png,B,val,\n";
    eg_dataset *ds = open_set();
    tree_write("split.csv", text, sizeof text - 1);
    assert_int_equal(eg_dataset_split_restore(ds, tree_path("split.csv"), NULL), EG_OK);
    assert_int_equal(ds->n_samples, 2);
    assert_int_equal(ds->samples[0].split, EG_SPLIT_TRAIN);
    assert_string_equal(ds->samples[1].file, "A/1, \"x\".png");
    assert_int_equal(ds->samples[1].split, EG_SPLIT_TEST);
    eg_dataset_free(ds);
}

#define IN_TREE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {IN_TREE(there_and_back), IN_TREE(other_tables),
                                       IN_TREE(refusals), IN_TREE(restored)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
