/* CSV manifests: columns by name and by --columns, quoting, separators, labels and their order, splits, patients; then every
 * refusal with its line, and every allocation made to fail once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_memory.h"
#include "temp_tree.h"

static int begin(void **state) {
    (void)state;
    tree_begin();
    tree_file("a.png");
    tree_file("b.png");
    tree_file("deep er/c,1.png");
    tree_file("ISIC_7.jpg");
    return 0;
}

static int end(void **state) {
    (void)state;
    tree_end();
    return 0;
}

static eg_dataset *open_csv(const char *text, const eg_dataset_options *o) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    tree_write("set.csv", text, strlen(text));
    if (eg_dataset_open(&ds, tree_path("set.csv"), o, &err) != EG_OK) fail_msg("%s", err.text);
    return ds;
}

static const eg_sample *sample_of(const eg_dataset *ds, const char *file) {
    for (size_t i = 0; i < ds->n_samples; i++)
        if (strcmp(ds->samples[i].file, file) == 0) return &ds->samples[i];
    fail_msg("%s is not there", file);
    return NULL;
}

static void all_columns(void **state) {
    (void)state;
    eg_dataset *ds = open_csv("Age,Filename,Diagnosis,Patient_ID,Split\r\n"
                              "4,./a.png,ill,p1,Train\r\n"
                              "5,b.png, well ,p1,validation\r\n"
                              "6,\"deep er/c,1.png\",\"ill\",,TRAINING\r\n"
                              "7,ISIC_7.jpg,well,p 2,train\r\n",
                              NULL);
    assert_int_equal(ds->source, EG_SOURCE_MANIFEST);
    assert_int_equal(ds->n_classes, 2);
    assert_string_equal(ds->classes[0], "ill");
    assert_string_equal(ds->classes[1], "well");
    assert_string_equal(ds->patient_rule, "column");
    assert_true(ds->has_val && !ds->has_test);
    assert_string_equal(sample_of(ds, "a.png")->patient, "p1");
    assert_int_equal(sample_of(ds, "a.png")->split, EG_SPLIT_TRAIN);
    assert_int_equal(sample_of(ds, "b.png")->split, EG_SPLIT_VAL);
    assert_int_equal(sample_of(ds, "b.png")->label, 1);
    assert_null(sample_of(ds, "deep er/c,1.png")->patient);
    assert_string_equal(sample_of(ds, "ISIC_7.jpg")->patient, "p 2");
    eg_dataset_free(ds);
}

/* Folders as Windows writes them, with and without an extension: the file gets the name it has here. */
static void backslashes(void **state) {
    (void)state;
    eg_dataset *ds = open_csv("path;label\r\ndeep er\\c,1.png;ill\r\n.\\ISIC_7;well\r\n", NULL);
    assert_int_equal(ds->n_samples, 2);
    assert_int_equal(sample_of(ds, "deep er/c,1.png")->label, 0);
    assert_int_equal(sample_of(ds, "ISIC_7.jpg")->label, 1);
    eg_dataset_free(ds);
}

/* Tabs, no split, no patient; ids instead of file names; whole numbers in their own order. */
static void table_of_numbers(void **state) {
    (void)state;
    eg_dataset *ds = open_csv("image_id\tclass\na.png\t10\nISIC_7\t2\nb.png\t-1\n", NULL);
    assert_int_equal(ds->n_classes, 3);
    assert_string_equal(ds->classes[0], "-1");
    assert_string_equal(ds->classes[1], "2");
    assert_string_equal(ds->classes[2], "10");
    assert_int_equal(sample_of(ds, "ISIC_7.jpg")->label, 1);
    assert_int_equal(sample_of(ds, "a.png")->label, 2);
    assert_int_equal(ds->samples[0].split, EG_SPLIT_ALL);
    assert_string_equal(ds->patient_rule, "none");
    eg_dataset_free(ds);
    // one word among the numbers, and all are words
    ds = open_csv("image_id\tclass\na.png\t10\nb.png\t2\nISIC_7\tx\n", NULL);
    assert_string_equal(ds->classes[0], "10");
    assert_string_equal(ds->classes[1], "2");
    eg_dataset_free(ds);
}

static void columns_by_name(void **state) {
    (void)state;
    const char text[] = "path,label,scan,who,grade,fold\nx,y,a.png,1,no,3\nz,y,b.png,2,yes,4\n";
    const eg_dataset_options o = {.columns = "path=SCAN,label=grade,patient=who,split="};
    eg_dataset *ds = open_csv(text, &o);
    assert_string_equal(ds->classes[1], "yes");
    assert_string_equal(sample_of(ds, "b.png")->patient, "2");
    assert_int_equal(ds->samples[0].split, EG_SPLIT_ALL);
    eg_dataset_free(ds);
}

static void absolute_paths(void **state) {
    (void)state;
    char text[2048], path[1024];
    snprintf(path, sizeof path, "%s", tree_path("a.png"));
    snprintf(text, sizeof text, "path,label\n%s,x\nb.png,y\n", path);
    eg_dataset *ds = open_csv(text, NULL);
    assert_string_equal(sample_of(ds, path)->file, path);
    for (uint32_t i = 0; i < 2; i++) {
        char *full = eg_dataset_path(ds, i);
        assert_true(eg_path_exists(full));
        eg_free(full);
    }
    eg_dataset_free(ds);
}

/* What decides a result is in the fingerprint: the same files with other labels are another set. */
static void fingerprint(void **state) {
    (void)state;
    char first[65];
    eg_dataset *ds = open_csv("path,label\na.png,x\nb.png,y\n", NULL);
    memcpy(first, ds->fingerprint, sizeof first);
    eg_dataset_free(ds);
    ds = open_csv("note,path,label\n,b.png,y\n1,a.png,x\n", NULL);
    assert_string_equal(ds->fingerprint, first); // order and other columns do not matter
    eg_dataset_free(ds);
    ds = open_csv("path,label\na.png,y\nb.png,x\n", NULL);
    assert_string_not_equal(ds->fingerprint, first);
    eg_dataset_free(ds);
    const char recipe[] = "a.png, 1, x, all, \nb.png, 1, y, all, \n";
    char hash[65];
    eg_sha256_hex(hash, recipe, sizeof recipe - 1);
    assert_string_equal(hash, first);
}

static void refused(const char *text, const char *columns, eg_status expected, const char *part) {
    eg_dataset *ds = NULL;
    eg_error err = {0};
    const eg_dataset_options o = {.columns = columns};
    tree_write("set.csv", text, strlen(text));
    assert_int_equal(eg_dataset_open(&ds, tree_path("set.csv"), &o, &err), expected);
    assert_null(ds);
    if (strncmp(err.text, tree_root, strlen(tree_root)) != 0 && expected != EG_ERR_USAGE)
        fail_msg("message: %s", err.text);
    if (!strstr(err.text, part)) fail_msg("message: %s\nexpected: %s", err.text, part);
}

static void refusals(void **state) {
    (void)state;
    const eg_status in = EG_ERR_INPUT;
    refused("x", NULL, in, "no column path (columns: x)");
    refused("path,kind\na.png,1\n", NULL, in, "no column label (columns: path, kind)");
    refused("path,label\n", NULL, in, "only the line of column names");
    refused("path,label\na.png,x\n,y\n", NULL, in, "line 3: no path");
    refused("path,label\na.png,x\nb.png, \n", NULL, in, "line 3: b.png: no label");
    refused("path,label\na.png,x\nnowhere.png,y\n", NULL, in, "line 3: nowhere.png: No such file");
    refused("path,label\na.png,x\ndeep er,y\n", NULL, in, "line 3: deep er: not a file");
    refused("path,label\na.png,x\nx\\a.png,y\n", NULL, in, "paths are relative to");
    refused("path,label\na.png,x\nC:\\x\\a.png,y\n", NULL, in, "remove the drive");
    refused("path,label\na.png,x\n.\\a.png,y\n", NULL, in, "is in line 2 already");
    refused("path,label\na.png,x\nb.png,y\n./a.png,y\n", NULL, in,
            "line 4: a.png is in line 2 already");
    refused("path,label\na.png,x\nb.png,x\n", NULL, in, "only one class (x)");
    refused("path,label,split\na.png,x,train\nb.png,y,4\n", NULL, in,
            "line 3: column split: '4' is no split");
    refused("path,label,split\na.png,x,train\nb.png,y,test\n", NULL, in,
            "class y is in test (b.png) but has no training image");
    // a line break inside a cell and a blank line: the line is still the file's
    refused("path,label,note\na.png,x,\"two\nlines\"\n\nb.png,,\n", NULL, in, "line 5: b.png");
    refused("path,label\na.png,x\n", "path=a,label", EG_ERR_USAGE,
            "no such column; there are path");
    refused("path,label\na.png,x\n", "label", EG_ERR_USAGE, "'label' is not path=NAME");
    refused("path,label\na.png,x\n", "colour=path", EG_ERR_USAGE, "'colour=path' is not");
}

/* A column of ids taken for the label. */
static void too_many_labels(void **state) {
    (void)state;
    eg_buffer text = {0};
    char name[32];
    eg_buffer_printf(&text, "path,label\n");
    for (int i = 0; i < 201; i++) {
        snprintf(name, sizeof name, "%d.png", i);
        tree_file(name);
        eg_buffer_printf(&text, "%s,id%d\n", name, i);
    }
    refused(text.data, NULL, EG_ERR_INPUT, "201 different values in 201 lines - is it the label?");
    eg_buffer_free(&text);
}

static void every_allocation_fails_once(void **state) {
    (void)state;
    const char text[] = "path,label,patient\na.png,x,1\nb.png,y,2\nISIC_7,x,1\n";
    tree_write("set.csv", text, sizeof text - 1);
    dataset_open_without_memory(tree_path("set.csv"));
}

#define IN_TREE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_TREE(all_columns),     IN_TREE(table_of_numbers), IN_TREE(backslashes),
        IN_TREE(columns_by_name), IN_TREE(absolute_paths),   IN_TREE(fingerprint),
        IN_TREE(refusals),        IN_TREE(too_many_labels),  IN_TREE(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
