/* Threads: every task once, nesting, one thread for others' code, and the quota of a made-up control group tree. */
#include "base/base.h"
#include "base/pool.h"
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct {
    int counts[1000];
    int inner[1000][3];
} job;

static void count_inner(void *context, int i) {
    ((int *)context)[i]++;
}

static void count_task(void *context, int i) {
    job *j = context;
    j->counts[i]++;
    eg_pool_run(count_inner, j->inner[i], 3);
}

static void every_task_runs_once(void **state) {
    (void)state;
    assert_true(eg_pool_threads() >= 1);
    for (int threads = 0; threads <= 4; threads++) {
        eg_threads_set(threads);
        if (threads > 0) assert_int_equal(eg_pool_threads(), threads);
        job *j = calloc(1, sizeof *j);
        eg_pool_run(count_task, j, 1000);
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(j->counts[i], 1);
            for (int k = 0; k < 3; k++) assert_int_equal(j->inner[i][k], 1);
        }
        eg_pool_run(count_task, j, 0);
        eg_pool_run(count_task, j, 1);
        assert_int_equal(j->counts[0], 2);
        free(j);
    }
    eg_threads_set(0);
    assert_true(eg_pool_threads() >= 1);
}

static void look_alone(void *context, int i) {
    int before = eg_pool_single_begin();
    ((int *)context)[i] = omp_get_max_threads();
    eg_pool_single_end(before);
}

/* what oneDNN asks, between begin and end: on this thread, on the pool's, and on this one as the pool */
static void others_get_one_thread(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        int seen[4] = {0};
        eg_threads_set(threads);
        int before = eg_pool_single_begin();
        assert_int_equal(omp_get_max_threads(), 1);
        assert_int_equal(eg_pool_threads(), threads);
        eg_pool_run(look_alone, seen, 4);
        assert_int_equal(omp_get_max_threads(), 1);
        eg_pool_single_end(before);
        assert_int_equal(omp_get_max_threads(), threads);
        for (int i = 0; i < 4; i++) assert_int_equal(seen[i], 1);
    }
    eg_threads_set(0);
}

static void put(const char *root, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    eg_part part = {.data = text, .size = strlen(text)};
    assert_int_equal(eg_file_write_atomic(path, &part, 1, NULL), EG_OK);
}

static void the_quota_of_every_group_counts(void **state) {
    (void)state;
    char root[] = "test_pool.XXXXXX", membership[64], path[128];
    assert_non_null(mkdtemp(root));
    snprintf(membership, sizeof membership, "%s/membership", root);
    snprintf(path, sizeof path, "%s/a/b", root);
    assert_int_equal(eg_dir_make(path, NULL), EG_OK);
    assert_int_equal(eg_base_cpu_quota(membership, root), 0); /* nothing there */
    put(root, "membership", "1:cpu:/x\n0::/a/b\n");
    assert_int_equal(eg_base_cpu_quota(membership, root), 0);
    put(root, "a/b/cpu.max", "max 100000\n");
    assert_int_equal(eg_base_cpu_quota(membership, root), 0);
    put(root, "a/cpu.max", "350000 100000\n");
    assert_int_equal(eg_base_cpu_quota(membership, root), 4); /* 3.5 rounded up */
    put(root, "a/b/cpu.max", "50000 100000\n");
    assert_int_equal(eg_base_cpu_quota(membership, root), 1);
    put(root, "a/b/cpu.max", "800000 100000\n");
    put(root, "cpu.max", "200000 100000\n");
    assert_int_equal(eg_base_cpu_quota(membership, root), 2);
    put(root, "membership", "0::/\n");
    assert_int_equal(eg_base_cpu_quota(membership, root), 2);
    put(root, "cpu.max", "garbage");
    assert_int_equal(eg_base_cpu_quota(membership, root), 0);
    static const char *const files[] = {"a/b/cpu.max", "a/b",        "a/cpu.max", "a",
                                        "cpu.max",     "membership", ""};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", root, files[i]);
        assert_int_equal(remove(path), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(others_get_one_thread),
        cmocka_unit_test(the_quota_of_every_group_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
