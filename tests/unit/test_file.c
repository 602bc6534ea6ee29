/* Files: views, crash-safe replacement on a full disk and at every allocation failure, appended
 * lines. The kill at every system call boundary: tests/ref/kill_points.py (needs strace). */
#include "base/base.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[] = "test_file.XXXXXX";
static char target[64];

static int enter(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(target, sizeof target, "%s/target", folder);
    return 0;
}

static int leave(void **state) {
    (void)state;
    return rmdir(folder);
}

static int count_files(void) {
    DIR *dir = opendir(folder);
    int n = -2; /* . and .. */
    while (readdir(dir) != NULL) n++;
    closedir(dir);
    return n;
}

static void expect_content(const char *path, const char *text) {
    eg_file_view view;
    eg_error err = {0};
    assert_int_equal(eg_file_open(&view, path, 1 << 20, &err), EG_OK);
    assert_int_equal(view.size, strlen(text));
    if (view.size > 0) assert_memory_equal(view.data, text, view.size);
    eg_file_close(&view);
    assert_null(view.data);
}

static eg_status write_text(const char *path, const char *text, eg_error *err) {
    size_t half = strlen(text) / 2;
    eg_part parts[] = {{text, half}, {NULL, 0}, {text + half, strlen(text) - half}};
    return eg_file_write_atomic(path, parts, 3, err);
}

static void replaces_whole(void **state) {
    (void)state;
    eg_error err = {0};
    assert_int_equal(write_text(target, "one", &err), EG_OK);
    expect_content(target, "one");
    assert_int_equal(chmod(target, 0640), 0);
    assert_int_equal(write_text(target, "twotwo", &err), EG_OK);
    expect_content(target, "twotwo");
    struct stat st;
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(eg_file_write_atomic(target, NULL, 0, &err), EG_OK);
    expect_content(target, "");
    assert_int_equal(count_files(), 1); /* no temporary left */
    unlink(target);
}

static void links_stay_links_and_leftovers_stay(void **state) {
    (void)state;
    eg_error err = {0};
    char link_path[64], leftover[128];
    snprintf(link_path, sizeof link_path, "%s/link", folder);
    snprintf(leftover, sizeof leftover, "%s/.target.tmp.%ld", folder, (long)getpid());
    assert_int_equal(write_text(target, "old", &err), EG_OK);
    assert_int_equal(write_text(leftover, "of a killed process", &err), EG_OK);
    assert_int_equal(symlink("target", link_path), 0);
    assert_int_equal(write_text(link_path, "new", &err), EG_OK);
    struct stat st;
    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    expect_content(target, "new");
    expect_content(leftover, "of a killed process");
    unlink(link_path);
    unlink(leftover);
    unlink(target);
}

static void refuses_what_is_no_file(void **state) {
    (void)state;
    eg_error err = {0};
    eg_file_view view;
    assert_int_equal(write_text("/dev/null", "x", &err), EG_ERR_IO);
    assert_int_equal(write_text(folder, "x", &err), EG_ERR_IO);
    assert_int_equal(write_text("no/such/folder/x", "x", &err), EG_ERR_IO);
    assert_non_null(strstr(err.text, "no/such/folder/x: cannot write 1 bytes: No such file"));
    assert_non_null(strstr(err.text, "no file was made"));
    assert_int_equal(eg_file_open(&view, folder, 100, &err), EG_ERR_INPUT);
    assert_int_equal(eg_file_open(&view, "/dev/null", 100, &err), EG_ERR_INPUT);
    assert_int_equal(eg_file_open(&view, "no/such", 100, &err), EG_ERR_NOT_FOUND);
    assert_int_equal(mkfifo(target, 0600), 0);
    assert_int_equal(eg_file_open(&view, target, 100, &err), EG_ERR_INPUT); /* does not hang */
    unlink(target);
    assert_int_equal(write_text(target, "12345", &err), EG_OK);
    assert_int_equal(eg_file_open(&view, target, 4, &err), EG_ERR_LIMIT);
    unlink(target);
}

/* RLIMIT_FSIZE stands for the full disk here: it needs no root and fails the same calls. */
static void a_full_disk_keeps_the_old_file(void **state) {
    (void)state;
    eg_error err = {0};
    assert_int_equal(write_text(target, "the old content", &err), EG_OK);
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    char *big = calloc(1, 100001);
    memset(big, 'x', 100000);
    for (rlim_t limit = 0; limit <= 65536; limit += 8192) {
        small = (struct rlimit){.rlim_cur = limit, .rlim_max = old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        eg_status status = write_text(target, big, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(status, EG_ERR_IO);
        assert_non_null(strstr(err.text, "target: cannot write 100000 bytes: File too large - "
                                         "the previous file is unchanged"));
        expect_content(target, "the old content");
        assert_int_equal(count_files(), 1);
    }
    char log[64];
    snprintf(log, sizeof log, "%s/log", folder);
    assert_int_equal(eg_file_append(log, "first", &err), EG_OK);
    small.rlim_cur = 10;
    setrlimit(RLIMIT_FSIZE, &small);
    eg_status status = eg_file_append(log, "the second line", &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, EG_ERR_IO);
    expect_content(log, "first\n"); /* and no half of the second line */
    free(big);
    unlink(log);
    unlink(target);
}

static void no_memory_keeps_the_old_file(void **state) {
    (void)state;
    eg_error err = {0};
    assert_int_equal(write_text(target, "old", &err), EG_OK);
    size_t before = eg_memory_stats_get().bytes_now;
    int n_failed = 0;
    for (uint64_t k = 1;; k++) {
        eg_memory_fail_at(k);
        eg_status status = write_text(target, "new", &err);
        eg_memory_fail_at(0);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
        assert_int_equal(count_files(), 1);
        if (status == EG_OK) break;
        assert_int_equal(status, EG_ERR_NO_MEMORY);
        expect_content(target, "old");
        n_failed++;
    }
    assert_int_equal(n_failed, 3);
    expect_content(target, "new");
    unlink(target);
}

static void lines_are_appended(void **state) {
    (void)state;
    eg_error err = {0};
    assert_int_equal(eg_file_append(target, "one", &err), EG_OK);
    assert_int_equal(eg_file_append(target, "two\n", &err), EG_OK);
    expect_content(target, "one\ntwo\n");
    unlink(target);
    assert_int_equal(eg_file_append("no/such/folder/x", "x", &err), EG_ERR_IO);
    assert_int_equal(eg_file_append("/dev/full", "x", &err), EG_ERR_IO);
    assert_non_null(strstr(err.text, "No space left on device"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_whole),
        cmocka_unit_test(links_stay_links_and_leftovers_stay),
        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(a_full_disk_keeps_the_old_file),
        cmocka_unit_test(no_memory_keeps_the_old_file),
        cmocka_unit_test(lines_are_appended),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
