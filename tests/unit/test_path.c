/* Folders, joins, clock and peak memory. */
#include "base/base.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_join(const char *a, const char *b, const char *expected) {
    char *joined = eg_path_join(a, b);
    assert_string_equal(joined, expected);
    eg_free(joined);
}

static void joins(void **state) {
    (void)state;
    check_join("a", "b", "a/b");
    check_join("a/", "b", "a/b");
    check_join("", "b", "b");
    check_join("a", "/b", "/b");
    check_join("/", "b", "/b");
    eg_memory_fail_at(1);
    assert_null(eg_path_join("a", "b"));
}

static void folders(void **state) {
    (void)state;
    eg_error err = {0};
    assert_int_equal(eg_dir_make("test_path.tmp/a//b/", &err), EG_OK);
    assert_int_equal(eg_dir_make("test_path.tmp/a/b", &err), EG_OK); /* again */
    assert_true(eg_path_is_dir("test_path.tmp/a/b"));
    assert_false(eg_path_exists("test_path.tmp/a/c"));
    assert_int_equal(eg_file_append("test_path.tmp/file", "x", &err), EG_OK);
    assert_true(eg_path_exists("test_path.tmp/file"));
    assert_false(eg_path_is_dir("test_path.tmp/file"));
    assert_int_equal(eg_dir_make("test_path.tmp/file", &err), EG_ERR_IO);
    assert_non_null(strstr(err.text, "test_path.tmp/file: "));
    assert_int_equal(eg_dir_make("test_path.tmp/file/x", &err), EG_ERR_IO);
    assert_int_equal(eg_dir_make("", &err), EG_ERR_IO);
    unlink("test_path.tmp/file");
    rmdir("test_path.tmp/a/b");
    rmdir("test_path.tmp/a");
    assert_int_equal(rmdir("test_path.tmp"), 0);
}

static void clock_and_peak(void **state) {
    (void)state;
    double start = eg_time_now();
    usleep(20000);
    double waited = eg_time_now() - start;
    assert_true(waited >= 0.019 && waited < 10);
    size_t before = eg_process_peak_bytes();
    size_t n = (size_t)64 << 20;
    char *block = eg_malloc(n);
    memset(block, 1, n);
    size_t after = eg_process_peak_bytes();
    eg_free(block);
    assert_true(before > 100000);
    assert_true(after >= before + n / 2);
    /* a peak does not fall; the kernel counts in batches, so by a little it may seem to */
    assert_true(eg_process_peak_bytes() + (1 << 20) >= after);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins),
        cmocka_unit_test(folders),
        cmocka_unit_test(clock_and_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
