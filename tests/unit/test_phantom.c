/* engraft phantom as a whole: the files it writes are those its truth.csv names, the same bytes for
 * any number of threads, readable as a data set whose patients are found; what is planted is there;
 * folders that are not its own stay as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "temp_tree.h"

#include <dirent.h>

static eg_options options_of(int64_t n, const char *size, const char *plant) {
    eg_options o;
    eg_options_init(&o);
    o.n_images = n;
    o.size = size;
    o.plant = plant;
    o.seed = 11;
    return o;
}

static void make(const char *name, const eg_options *o) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    if (eg_phantom(&doc, tree_path(name), o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(eg_doc_kind(doc), "phantom");
    eg_doc_free(doc);
}

/* The error's text. */
static const char *refused(const char *name, const eg_options *o, eg_status expected) {
    static eg_error err;
    eg_doc *doc = NULL;
    assert_int_equal(eg_phantom(&doc, tree_path(name), o, NULL, &err), expected);
    assert_null(doc);
    return err.text;
}

static eg_csv truth_of(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/truth.csv", name);
    eg_csv truth = {0};
    assert_int_equal(eg_csv_read(&truth, tree_path(path), NULL), EG_OK);
    return truth;
}

static const char *cell(const eg_csv *table, size_t row, const char *column) {
    int c = eg_csv_column(table, column);
    assert_true(c >= 0);
    return table->cells[row * table->n_columns + (size_t)c];
}

static size_t count_files(const char *name) {
    DIR *dir = opendir(tree_path(name));
    size_t n = 0;
    if (!dir) return 0;
    for (struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static size_t count_images(const char *name) {
    size_t n = 0;
    for (int s = 0; s < EG_SPLIT_ALL; s++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s/NORMAL", name, eg_split_name((eg_split)s));
        n += count_files(path);
        snprintf(path, sizeof path, "%s/%s/PNEUMONIA", name, eg_split_name((eg_split)s));
        n += count_files(path);
    }
    return n;
}

/* One hash over all files of the truth, the truth and phantom.json. */
static void digest(char out[65], const char *name) {
    eg_csv truth = truth_of(name);
    eg_buffer all = {0};
    char path[512], hex[65];
    for (size_t i = 0; i < truth.n_rows + 2; i++) {
        snprintf(path, sizeof path, "%s/%s", name,
                 i == truth.n_rows  ? "truth.csv"
                 : i > truth.n_rows ? "phantom.json"
                                    : cell(&truth, i, "file"));
        assert_int_equal(eg_sha256_file(hex, tree_path(path), NULL), EG_OK);
        eg_buffer_add(&all, hex, 64);
    }
    eg_sha256_hex(out, all.data, all.size);
    eg_buffer_free(&all);
    eg_csv_free(&truth);
}

static void same_bytes_for_any_number_of_threads(void **state) {
    (void)state;
    eg_options o = options_of(70, "48x40", "blur_drift\nmarker=1\nduplicates");
    char first[65], other[65];
    eg_threads_set(1);
    make("one", &o);
    digest(first, "one");
    eg_threads_set(5);
    make("five", &o);
    eg_threads_set(0);
    digest(other, "five");
    assert_string_equal(first, other);
    o.seed = 12;
    make("seed", &o);
    digest(other, "seed");
    assert_string_not_equal(first, other);
}

static void files_are_those_of_the_truth(void **state) {
    (void)state;
    eg_options o = options_of(40, "64x32", NULL);
    make("p", &o);
    eg_csv truth = truth_of("p");
    assert_int_equal(truth.n_rows, 40);
    assert_int_equal(count_images("p"), 40);
    for (size_t i = 0; i < truth.n_rows; i++) {
        char path[512], folder[64];
        snprintf(path, sizeof path, "p/%s", cell(&truth, i, "file"));
        snprintf(folder, sizeof folder, "%s/%s/", cell(&truth, i, "split"),
                 cell(&truth, i, "label"));
        assert_int_equal(strncmp(cell(&truth, i, "file"), folder, strlen(folder)), 0);
        assert_non_null(strstr(path, cell(&truth, i, "patient")));
        assert_string_equal(cell(&truth, i, "label"), cell(&truth, i, "true_label"));
        assert_string_equal(cell(&truth, i, "planted"), "");
        bool healthy = strcmp(cell(&truth, i, "opacity"), "none") == 0;
        assert_int_equal(healthy, strcmp(cell(&truth, i, "label"), "NORMAL") == 0);
        assert_int_equal(healthy, cell(&truth, i, "radius")[0] == '\0');
        eg_image image;
        assert_int_equal(eg_image_read(&image, tree_path(path), NULL, NULL), EG_OK);
        assert_int_equal(image.width, 64);
        assert_int_equal(image.height, 32);
        assert_int_equal(image.channels, 1);
        eg_image_free(&image);
    }
    eg_csv_free(&truth);
}

static void the_data_set_finds_its_patients(void **state) {
    (void)state;
    eg_options o = options_of(120, "16x16", NULL);
    make("p", &o);
    eg_dataset *ds = NULL;
    eg_error err = {0};
    size_t shared, apparent;
    if (eg_dataset_open(&ds, tree_path("p"), NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(ds->n_classes, 2);
    assert_int_equal(ds->n_samples, 120);
    assert_true(ds->has_val && ds->has_test);
    assert_string_equal(ds->patient_rule, "kermany");
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST);
    assert_int_equal(shared, 0);
    assert_int_equal(apparent, 0);
    eg_dataset_free(ds);
    o.plant = "patient_leak";
    make("leak", &o);
    assert_int_equal(eg_dataset_open(&ds, tree_path("leak"), NULL, &err), EG_OK);
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST);
    assert_in_range(shared, 2, 8);
    eg_dataset_free(ds);
}

/* Exact copies: the same file. Near ones: every pixel at most one gray value off. */
static void duplicates_are_what_the_truth_says(void **state) {
    (void)state;
    eg_options o = options_of(100, "32x32", "duplicates=1");
    make("p", &o);
    eg_csv truth = truth_of("p");
    size_t exact = 0, near = 0;
    for (size_t i = 0; i < truth.n_rows; i++) {
        if (!cell(&truth, i, "copy_of")[0]) continue;
        char path[512], hash[65], source_hash[65];
        eg_image image, source;
        snprintf(path, sizeof path, "p/%s", cell(&truth, i, "file"));
        assert_int_equal(eg_sha256_file(hash, tree_path(path), NULL), EG_OK);
        assert_int_equal(eg_image_read(&image, tree_path(path), NULL, NULL), EG_OK);
        snprintf(path, sizeof path, "p/%s", cell(&truth, i, "copy_of"));
        assert_int_equal(eg_sha256_file(source_hash, tree_path(path), NULL), EG_OK);
        assert_int_equal(eg_image_read(&source, tree_path(path), NULL, NULL), EG_OK);
        bool same = strcmp(hash, source_hash) == 0;
        assert_int_equal(same, strcmp(cell(&truth, i, "copy"), "exact") == 0);
        same ? exact++ : near++;
        for (size_t k = 0; k < eg_image_bytes(&image); k++)
            assert_in_range(image.pixels[k] - source.pixels[k], 0, same ? 0 : 1);
        eg_image_free(&image);
        eg_image_free(&source);
    }
    eg_csv_free(&truth);
    assert_true(exact >= 2 && near >= 2 && exact + near == 5);
}

static void jpeg_when_asked(void **state) {
    (void)state;
    eg_options o = options_of(8, "40x24", "duplicates");
    o.image_format = "jpeg";
    make("p", &o);
    eg_csv truth = truth_of("p");
    for (size_t i = 0; i < truth.n_rows; i++) {
        char path[512];
        snprintf(path, sizeof path, "p/%s", cell(&truth, i, "file"));
        assert_string_equal(strrchr(path, '.'), ".jpeg");
        eg_image_info info;
        assert_int_equal(eg_image_probe(&info, tree_path(path), NULL, 0, NULL), EG_OK);
        assert_string_equal(info.format, "JPEG");
        assert_int_equal(info.width, 40);
    }
    eg_csv_free(&truth);
}

/* ---- folders ---- */

static void only_its_own_files_are_replaced(void **state) {
    (void)state;
    eg_options o = options_of(40, "16x16", NULL);
    make("p", &o);
    assert_non_null(strstr(refused("p", &o, EG_ERR_USAGE), "--overwrite"));
    o.overwrite = true;
    o.n_images = 10;
    make("p", &o);
    assert_int_equal(count_images("p"), 10);
    tree_file("p/train/NORMAL/mine.png");
    assert_non_null(strstr(refused("p", &o, EG_ERR_USAGE), "no phantom wrote"));
    assert_true(eg_path_exists(tree_path("p/train/NORMAL/mine.png")));
    tree_file("other/letter.txt");
    assert_non_null(strstr(refused("other", &o, EG_ERR_USAGE), "no phantom wrote"));
    assert_true(eg_path_exists(tree_path("other/letter.txt")));
    tree_file("file");
    assert_non_null(strstr(refused("file", &o, EG_ERR_USAGE), "is a file"));
}

/* A truth.csv from somewhere must not make us delete what it names. */
static void a_strange_truth_deletes_nothing(void **state) {
    (void)state;
    static const char text[] = "file,label\n../victim,x\ntrain/NORMAL/../../../victim,x\n"
                               "train/NORMAL/IM-/../../../../victim,x\nvictim,x\n";
    tree_file("victim");
    tree_file("p/victim");
    tree_file("p/train/NORMAL/x.png");
    tree_write("p/truth.csv", text, sizeof text - 1);
    eg_options o = options_of(8, "16x16", NULL);
    o.overwrite = true;
    refused("p", &o, EG_ERR_USAGE);
    assert_true(eg_path_exists(tree_path("victim")));
    assert_true(eg_path_exists(tree_path("p/victim")));
    assert_true(eg_path_exists(tree_path("p/train/NORMAL/x.png")));
}

static void an_unfinished_one_is_seen_and_replaced(void **state) {
    (void)state;
    eg_options o = options_of(100, "16x16", NULL);
    volatile sig_atomic_t stop = 1;
    eg_events ev = {.stop = &stop};
    eg_doc *doc = NULL;
    eg_error err = {0};
    assert_int_equal(eg_phantom(&doc, tree_path("p"), &o, &ev, &err), EG_ERR_INTERRUPTED);
    assert_non_null(strstr(err.text, "64 of 100"));
    assert_true(eg_path_exists(tree_path("p/truth.csv")));
    assert_false(eg_path_exists(tree_path("p/phantom.json")));
    o.overwrite = true;
    make("p", &o);
    assert_int_equal(count_images("p"), 100);
}

static void options_are_checked_before_anything_is_written(void **state) {
    (void)state;
    static const char *const sizes[] = {"",        "x",       "224x",      "x224", "15x16",
                                        "16x8193", "1e3x100", "224x224x3", "-5x20"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        eg_options o = options_of(8, sizes[i], NULL);
        assert_non_null(strstr(refused("p", &o, EG_ERR_USAGE), "--size"));
    }
    eg_options o = options_of(8, "16", "marker=2");
    assert_non_null(strstr(refused("p", &o, EG_ERR_USAGE), "strength"));
    assert_false(eg_path_exists(tree_path("p")));
    o.plant = NULL;
    make("p", &o); /* "16": both sides */
}

static void the_document_has_the_plan_and_no_path(void **state) {
    (void)state;
    eg_options o = options_of(100, "16x16", "prior_shift=1\nhard_signal=0.25");
    eg_doc *doc = NULL;
    double v;
    assert_int_equal(eg_phantom(&doc, tree_path("p"), &o, NULL, NULL), EG_OK);
    assert_int_equal(eg_doc_number(&v, doc, "splits.2.classes.PNEUMONIA", NULL), EG_OK);
    assert_true(v == 23); /* 90 % of 25 */
    assert_int_equal(eg_doc_number(&v, doc, "planted.1.strength", NULL), EG_OK);
    assert_true(v == 0.25);
    assert_int_equal(eg_doc_number(&v, doc, "planted.1.images", NULL), EG_OK);
    assert_true(v == 30 + 8 + 23);
    eg_doc_free(doc);
    eg_file_view view;
    assert_int_equal(eg_file_open(&view, tree_path("p/phantom.json"), 1 << 20, NULL), EG_OK);
    char *text = eg_strndup((const char *)view.data, view.size);
    assert_null(strstr(text, tree_root));
    assert_non_null(strstr(text, "\"hard_signal\""));
    eg_free(text);
    eg_file_close(&view);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)
    const struct CMUnitTest tests[] = {
        CASE(same_bytes_for_any_number_of_threads),
        CASE(files_are_those_of_the_truth),
        CASE(the_data_set_finds_its_patients),
        CASE(duplicates_are_what_the_truth_says),
        CASE(jpeg_when_asked),
        CASE(only_its_own_files_are_replaced),
        CASE(a_strange_truth_deletes_nothing),
        CASE(an_unfinished_one_is_seen_and_replaced),
        CASE(options_are_checked_before_anything_is_written),
        CASE(the_document_has_the_plan_and_no_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
