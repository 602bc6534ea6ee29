/* Rows on disk: what is kept is found again under its key and content and nowhere else; damage, limits, leftovers
 * and folders that cannot be used. Features through it: test_feature_rows.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study_tree.h"

#include "study/feature_cache.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROOT   TEST_BINARY_DIR "/trees/feature_cache"
#define DATA   ROOT "/data"
#define FOLDER ROOT "/cache"

enum { WIDTH = 5, N = 12 };

typedef struct {
    eg_dataset *ds;
    uint32_t *indices;
    eg_image_rows rows;
    char key[EG_ROW_KEY];
} fixture;

/* Rows that say whose they are. */
static void fill(eg_image_rows *rows) {
    for (size_t i = 0; i < rows->n * rows->width; i++) rows->rows[i] = 0.5f * (float)i;
}

static int begin(void **state) {
    static fixture f;
    eg_error err = {0};
    size_t n;
    tree_remove(ROOT);
    tree_make(DATA, 4, 2);
    if (eg_dataset_open(&f.ds, DATA, &(eg_dataset_options){.patients = "none"}, &err) != EG_OK)
        fail_msg("%s", err.text);
    assert_int_equal(eg_dataset_indices(&f.indices, &n, f.ds, EG_SPLIT_ALL, &err), EG_OK);
    assert_int_equal(n, N);
    usleep(50000); /* the clock of files ticks slower than ours */
    assert_int_equal(eg_dataset_hash(f.ds, f.indices, n, NULL, &err), EG_OK);
    f.rows = (eg_image_rows){.ds = f.ds, .indices = f.indices, .n = n, .width = WIDTH};
    f.rows.rows = eg_malloc(N * WIDTH * sizeof(float));
    f.rows.have = eg_calloc(N, sizeof(bool));
    fill(&f.rows);
    eg_study_row_key(f.key, "a test");
    *state = &f;
    return 0;
}

static int end(void **state) {
    fixture *f = *state;
    eg_free(f->rows.rows);
    eg_free(f->rows.have);
    eg_free(f->indices);
    eg_dataset_free(f->ds);
    return 0;
}

static const uint32_t ALL[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static size_t find(fixture *f, eg_row_cache *cache, const char *key, size_t width) {
    size_t found = 99;
    eg_error err = {0};
    float *kept = f->rows.rows;
    eg_image_rows rows = f->rows;
    rows.width = width;
    memset(rows.have, 0, N * sizeof *rows.have);
    rows.rows = eg_calloc(N * 2 * WIDTH, sizeof *kept);
    if (eg_study_rows_find(&found, &rows, cache, key, &err) != EG_OK) fail_msg("%s", err.text);
    size_t have = 0;
    for (size_t i = 0; i < N; i++) {
        have += rows.have[i];
        if (rows.have[i])
            assert_memory_equal(rows.rows + i * width, kept + i * width, width * sizeof *kept);
        else
            for (size_t d = 0; d < width; d++) assert_true(rows.rows[i * width + d] == 0);
    }
    assert_int_equal(found, have);
    eg_free(rows.rows);
    return found;
}

/* Files of the cache; `path` gets one of them. */
static size_t files(char path[512]) {
    size_t n = 0;
    DIR *folder = opendir(FOLDER);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.')) continue;
        if (path) snprintf(path, 512, "%s/%.200s", FOLDER, e->d_name);
        n++;
    }
    if (folder) closedir(folder);
    return n;
}

typedef struct {
    int n;
    char last[400];
} notes;

static void note(void *context, const eg_progress *p) {
    notes *n = context;
    if (p->kind != EG_PROGRESS_NOTE) return;
    n->n++;
    snprintf(n->last, sizeof n->last, "%s", p->text);
}

static void kept_and_found(void **state) {
    fixture *f = *state;
    eg_row_cache cache = {.folder = FOLDER};
    char other[EG_ROW_KEY];
    assert_int_equal(find(f, &cache, f->key, WIDTH), 0); /* no folder yet */
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, 7);
    assert_int_equal(find(f, &cache, f->key, WIDTH), 7);
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL + 7, N - 7);
    assert_int_equal(find(f, &cache, f->key, WIDTH), N);
    assert_int_equal(files(NULL), 2);
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL + 7,
                       N - 7); /* the same once more: the same file */
    assert_int_equal(files(NULL), 2);
    struct stat st;
    assert_int_equal(stat(FOLDER, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);

    /* neither under another key nor with another width, also when the file is given their names */
    eg_study_row_key(other, "another test");
    assert_int_equal(find(f, &cache, other, WIDTH), 0);
    assert_int_equal(find(f, &cache, f->key, WIDTH), N);
    eg_row_cache off = {0};
    assert_int_equal(find(f, &off, f->key, WIDTH), 0);
    /* nothing in the file says whose image it is */
    char path[512];
    files(path);
    eg_file_view view = {0};
    assert_int_equal(eg_file_open(&view, path, 1 << 20, NULL), EG_OK);
    assert_null(memmem(view.data, view.size, "LEFT", 4));
    assert_null(memmem(view.data, view.size, ".png", 4));
    eg_file_close(&view);
}

/* Two files with the same bytes are one row. */
static void by_content(void **state) {
    fixture *f = *state;
    eg_row_cache cache = {.folder = FOLDER};
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, 3);
    memcpy(f->ds->samples[5].content, f->ds->samples[2].content, 65);
    f->ds->samples[0].content[0] = '\0'; /* could not be read: has no name here */
    memcpy(f->rows.rows + 5 * WIDTH, f->rows.rows + 2 * WIDTH, WIDTH * sizeof(float));
    assert_int_equal(find(f, &cache, f->key, WIDTH), 3); /* 1, 2 and 5 */
    assert_true(f->rows.have[1] && f->rows.have[2] && f->rows.have[5]);
}

/* An image that is written after it was hashed must not lend its row to the old content. */
static void changed_images(void **state) {
    fixture *f = *state;
    eg_row_cache cache = {.folder = FOLDER};
    char *path = eg_path_join(DATA, f->ds->samples[4].file);
    tree_image(path, 0, 999);
    eg_free(path);
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, N);
    assert_int_equal(find(f, &cache, f->key, WIDTH), N - 1);
    assert_false(f->rows.have[4]);
}

/* Every byte of a file counts: whichever is wrong, the rows are not believed, the file goes, and a note says so. */
static void damage(void **state) {
    fixture *f = *state;
    notes n = {0};
    eg_events ev = {.progress = note, .context = &n};
    eg_row_cache cache = {.folder = FOLDER, .ev = &ev};
    char path[512];
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, N);
    assert_int_equal(files(path), 1);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (off_t at = 0; at <= st.st_size; at += 37) {
        int before = n.n;
        if (at + 37 <= st.st_size) {
            uint8_t byte;
            int fd = open(path, O_RDWR);
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            byte ^= 1;
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
            close(fd);
        } else {
            assert_int_equal(truncate(path, st.st_size - 5), 0);
        }
        assert_int_equal(find(f, &cache, f->key, WIDTH), 0);
        assert_int_equal(n.n, before + 1);
        assert_non_null(strstr(n.last, "damaged"));
        assert_int_equal(files(NULL), 0);
        eg_study_rows_keep(&cache, f->key, &f->rows, ALL, N); /* written again */
        assert_int_equal(find(f, &cache, f->key, WIDTH), N);
    }
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(find(f, &cache, f->key, WIDTH), 0);
}

/* A huge count in a file must not lead anywhere, checksum or not. */
static void hostile_count(void **state) {
    fixture *f = *state;
    eg_row_cache cache = {.folder = FOLDER};
    char path[512], sum[65];
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, N);
    assert_int_equal(files(path), 1);
    eg_file_view view = {0};
    assert_int_equal(eg_file_open(&view, path, 1 << 20, NULL), EG_OK);
    uint8_t *copy = eg_malloc(view.size);
    memcpy(copy, view.data, view.size);
    size_t size = view.size;
    eg_file_close(&view);
    static const uint64_t COUNTS[] = {UINT64_MAX, UINT64_MAX / 84 + 13, N + 1, 0};
    for (size_t i = 0; i < 4; i++) {
        memcpy(copy + 24, &COUNTS[i], 8);
        eg_sha256_hex(sum, copy, size - 64);
        memcpy(copy + size - 64, sum, 64);
        eg_part part = {copy, size};
        assert_int_equal(eg_file_write_atomic(path, &part, 1, NULL), EG_OK);
        assert_int_equal(find(f, &cache, f->key, WIDTH), 0);
        assert_int_equal(files(NULL), 0);
    }
    eg_free(copy);
}

static void set_age(const char *path, time_t seconds) {
    struct timespec t[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* The file used longest ago goes first, reading counts as use, and leftovers of killed processes go with time. */
static void limits(void **state) {
    fixture *f = *state;
    char path[512], stale[512], fresh[512], second[EG_ROW_KEY], third[EG_ROW_KEY];
    eg_row_cache cache = {.folder = FOLDER};
    struct stat st;
    eg_study_row_key(second, "second");
    eg_study_row_key(third, "third");
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, N);
    files(path);
    assert_int_equal(stat(path, &st), 0);
    set_age(path, 1000);
    eg_study_rows_keep(&cache, second, &f->rows, ALL, N);
    DIR *folder = opendir(FOLDER);
    for (struct dirent *e; (e = readdir(folder));)
        if (strncmp(e->d_name, second, 32) == 0) {
            snprintf(path, sizeof path, "%s/%.200s", FOLDER, e->d_name);
            set_age(path, 500);
        }
    closedir(folder);
    snprintf(stale, sizeof stale, "%s/.x.rows.tmp.1", FOLDER);
    snprintf(fresh, sizeof fresh, "%s/.y.rows.tmp.2", FOLDER);
    eg_part part = {"x", 1};
    assert_int_equal(eg_file_write_atomic(stale, &part, 1, NULL), EG_OK);
    assert_int_equal(eg_file_write_atomic(fresh, &part, 1, NULL), EG_OK);
    set_age(stale, 100 * 3600);
    assert_int_equal(find(f, &cache, f->key, WIDTH), N); /* used: the second is now the oldest */
    cache.limit_bytes = 2 * (size_t)st.st_size;
    eg_study_rows_keep(&cache, third, &f->rows, ALL, N);
    assert_int_equal(find(f, &cache, f->key, WIDTH), N);
    assert_int_equal(find(f, &cache, second, WIDTH), 0);
    assert_int_equal(find(f, &cache, third, WIDTH), N);
    assert_false(eg_path_exists(stale));
    assert_true(eg_path_exists(fresh));
}

/* A folder that cannot be made or written: one note, and everything goes on. */
static void no_folder(void **state) {
    fixture *f = *state;
    notes n = {0};
    eg_events ev = {.progress = note, .context = &n};
    eg_part part = {"x", 1};
    assert_int_equal(eg_file_write_atomic(ROOT "/file", &part, 1, NULL), EG_OK);
    eg_row_cache cache = {.folder = ROOT "/file/cache", .ev = &ev};
    assert_int_equal(find(f, &cache, f->key, WIDTH), 0);
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, N);
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, N);
    assert_int_equal(n.n, 1);
    assert_non_null(strstr(n.last, "goes on without it"));
}

/* Large rows are cut into several files. */
static void several_files(void **state) {
    fixture *f = *state;
    eg_row_cache cache = {.folder = FOLDER};
    enum { WIDE = 1 << 20 }; /* 4 MiB a row: one a file */
    eg_image_rows rows = f->rows;
    rows.width = WIDE;
    assert_int_equal(eg_study_rows_per_file(WIDE), 1);
    assert_true(eg_study_rows_per_file(2048) > 500);
    rows.rows = eg_calloc((size_t)N * WIDE, sizeof(float));
    for (size_t i = 0; i < N; i++) rows.rows[i * WIDE + 7] = (float)i;
    eg_study_rows_keep(&cache, f->key, &rows, ALL, 3);
    assert_int_equal(files(NULL), 3);
    memset(rows.rows, 0, (size_t)N * WIDE * sizeof(float));
    size_t found = 0;
    memset(rows.have, 0, N);
    assert_int_equal(eg_study_rows_find(&found, &rows, &cache, f->key, NULL), EG_OK);
    assert_int_equal(found, 3);
    for (size_t i = 0; i < 3; i++) assert_true(rows.rows[i * WIDE + 7] == (float)i);
    eg_free(rows.rows);
}

/* Whichever allocation fails: an error or fewer rows, never a wrong one. */
static void without_memory(void **state) {
    fixture *f = *state;
    eg_row_cache cache = {.folder = FOLDER};
    eg_study_rows_keep(&cache, f->key, &f->rows, ALL, N);
    for (uint64_t k = 1; k < 12; k++) {
        size_t found = 0;
        memset(f->rows.have, 0, N);
        eg_memory_fail_at(k);
        eg_status status = eg_study_rows_find(&found, &f->rows, &cache, f->key, NULL);
        eg_memory_fail_at(0);
        assert_true(status == EG_OK || status == EG_ERR_NO_MEMORY);
        eg_row_cache other = {.folder = ROOT "/other"};
        eg_memory_fail_at(k);
        eg_study_rows_keep(&other, f->key, &f->rows, ALL, N);
        eg_memory_fail_at(0);
    }
    for (size_t i = 0; i < N * WIDTH; i++) assert_true(f->rows.rows[i] == 0.5f * (float)i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kept_and_found, begin, end),
        cmocka_unit_test_setup_teardown(by_content, begin, end),
        cmocka_unit_test_setup_teardown(changed_images, begin, end),
        cmocka_unit_test_setup_teardown(damage, begin, end),
        cmocka_unit_test_setup_teardown(hostile_count, begin, end),
        cmocka_unit_test_setup_teardown(limits, begin, end),
        cmocka_unit_test_setup_teardown(no_folder, begin, end),
        cmocka_unit_test_setup_teardown(several_files, begin, end),
        cmocka_unit_test_setup_teardown(without_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
