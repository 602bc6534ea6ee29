/* The decode check: sound and broken files of several kinds, the order of the list, progress,
 * and stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "temp_tree.h"

#include "pattern_image.h"

#define N_GOOD 150

static int begin(void **state) {
    (void)state;
    tree_begin();
    eg_image image = pattern_image(20, 10, 1, 1);
    eg_buffer png = {0};
    assert_int_equal(eg_png_encode(&png, &image, NULL), EG_OK);
    char name[64];
    for (int i = 0; i < N_GOOD; i++) {
        snprintf(name, sizeof name, "%s/good%03d.png", i % 2 ? "A" : "B", i);
        tree_write(name, png.data, png.size);
    }
    tree_write("A/cut.png", png.data, png.size / 2);
    tree_write("B/text.jpg", "not an image", 12);
    tree_write("B/empty.jpeg", "", 0);
    assert_int_equal(symlink("nowhere", tree_path("A/dangling.png")), 0);
    eg_buffer_free(&png);
    eg_image_free(&image);
    return 0;
}

static int end(void **state) {
    (void)state;
    tree_end();
    return 0;
}

typedef struct {
    int64_t calls, last, total;
    volatile sig_atomic_t stop;
} watcher;

static void watch(void *context, const eg_progress *p) {
    watcher *w = context;
    assert_int_equal(p->kind, EG_PROGRESS_SCAN);
    assert_true(p->step > w->last);
    w->last = p->step;
    w->total = p->n_steps;
    w->calls++;
}

static void lists_bad_files(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    uint32_t *indices = NULL;
    size_t n = 0;
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_indices(&indices, &n, ds, EG_SPLIT_ALL, NULL), EG_OK);
    assert_int_equal(n, N_GOOD + 4);
    json_t *bad = NULL;
    watcher w = {0};
    eg_events ev = {.progress = watch, .context = &w, .stop = &w.stop};
    assert_int_equal(eg_dataset_check(&bad, ds, indices, n, &ev, NULL), EG_OK);
    assert_true(w.calls >= 2 && w.last == (int64_t)n && w.total == (int64_t)n);
    const char *expected[] = {"A/cut.png", "A/dangling.png", "B/empty.jpeg", "B/text.jpg"};
    assert_int_equal(json_array_size(bad), 4);
    for (size_t i = 0; i < 4; i++) {
        const char *file = json_string_value(json_object_get(json_array_get(bad, i), "file"));
        const char *reason = json_string_value(json_object_get(json_array_get(bad, i), "reason"));
        assert_string_equal(file, expected[i]);
        assert_true(strlen(reason) > 5);
        assert_null(strstr(reason, tree_root)); // the path stands beside it
    }
    assert_true(ds->width == 20 && ds->height == 10); // all the sound ones
    eg_dataset_drop(ds, bad);
    assert_int_equal(ds->n_samples, N_GOOD);
    json_decref(bad);
    bad = NULL;
    w = (watcher){.stop = 1};
    for (size_t i = 0; i < ds->n_samples; i++) ds->samples[i].width = 0; /* forgotten */
    eg_error err = {0};
    assert_int_equal(eg_dataset_check(&bad, ds, indices, ds->n_samples, &ev, &err),
                     EG_ERR_INTERRUPTED);
    assert_true(w.calls == 1 && bad == NULL);
    eg_free(indices);
    eg_dataset_free(ds);
}

/* One image of another size, and there is no common size. */
static void sizes_differ(void **state) {
    (void)state;
    eg_image image = pattern_image(10, 20, 1, 1);
    eg_buffer png = {0};
    assert_int_equal(eg_png_encode(&png, &image, NULL), EG_OK);
    tree_write("B/upright.png", png.data, png.size);
    eg_buffer_free(&png);
    eg_image_free(&image);
    eg_dataset *ds = NULL;
    uint32_t *indices = NULL;
    size_t n = 0;
    json_t *bad = NULL;
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_indices(&indices, &n, ds, EG_SPLIT_ALL, NULL), EG_OK);
    assert_int_equal(eg_dataset_check(&bad, ds, indices, n, NULL, NULL), EG_OK);
    assert_true(ds->width == 0 && ds->height == 0);
    json_decref(bad);
    eg_free(indices);
    eg_dataset_free(ds);
}

/* Contents are hashed by bytes, and an image whose size is known is not opened again: here it could not be. */
static void known_images(void **state) {
    (void)state;
    eg_dataset *ds = NULL;
    uint32_t *indices = NULL;
    size_t n = 0;
    json_t *bad = NULL;
    char hex[65];
    watcher w = {0};
    eg_events ev = {.progress = watch, .context = &w, .stop = &w.stop};
    assert_int_equal(eg_dataset_open(&ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_indices(&indices, &n, ds, EG_SPLIT_ALL, NULL), EG_OK);
    assert_int_equal(eg_dataset_hash(ds, indices, n, &ev, NULL), EG_OK);
    assert_true(w.last == (int64_t)n && ds->hashed_at > 0);
    for (size_t i = 0; i < n; i++) {
        eg_sample *s = &ds->samples[i];
        assert_true(s->width == 0);
        if (strcmp(s->file, "A/dangling.png") == 0) {
            assert_string_equal(s->content, "");
            continue;
        }
        assert_int_equal(eg_sha256_file(hex, tree_path(s->file), NULL), EG_OK);
        assert_string_equal(s->content, hex);
        if (strcmp(s->file, "B/text.jpg") != 0) continue;
        s->width = 20; /* as if an earlier check had found it sound */
        s->height = 10;
    }
    w = (watcher){0};
    assert_int_equal(eg_dataset_check(&bad, ds, indices, n, &ev, NULL), EG_OK);
    assert_int_equal(json_array_size(bad), 3); /* without text.jpg */
    assert_true(ds->width == 20 && ds->height == 10);
    eg_dataset_drop(ds, bad);
    json_decref(bad);
    bad = NULL;
    for (size_t i = 0; i < ds->n_samples; i++)
        assert_true(ds->samples[i].width == 20 && ds->samples[i].height == 10);
    w = (watcher){0};
    assert_int_equal(eg_dataset_check(&bad, ds, indices, ds->n_samples, &ev, NULL), EG_OK);
    assert_true(w.calls == 0 && json_array_size(bad) == 0 && ds->width == 20);
    json_decref(bad);
    w = (watcher){.stop = 1};
    assert_int_equal(eg_dataset_hash(ds, indices, ds->n_samples, &ev, NULL), EG_ERR_INTERRUPTED);
    eg_free(indices);
    eg_dataset_free(ds);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(lists_bad_files, begin, end),
                                       cmocka_unit_test_setup_teardown(sizes_differ, begin, end),
                                       cmocka_unit_test_setup_teardown(known_images, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
