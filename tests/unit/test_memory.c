/* The heap hook: alignment, counts, overflow, and the failing of the k-th allocation. */
#include "base/base.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void blocks_are_aligned_and_counted(void **state) {
    (void)state;
    eg_memory_stats before = eg_memory_stats_get();
    void *blocks[40];
    size_t sum = 0;
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = eg_malloc(i * 37 + 1);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], 1, i * 37 + 1);
        sum += i * 37 + 1;
    }
    eg_memory_stats during = eg_memory_stats_get();
    assert_int_equal(during.n_allocations - before.n_allocations, 40);
    assert_int_equal(during.bytes_now - before.bytes_now, sum);
    assert_true(during.bytes_peak >= during.bytes_now);
    for (size_t i = 0; i < 40; i++) eg_free(blocks[i]);
    eg_memory_stats after = eg_memory_stats_get();
    assert_int_equal(after.bytes_now, before.bytes_now);
    assert_true(after.bytes_peak >= during.bytes_now);
    eg_free(NULL);
}

static void impossible_sizes_give_null(void **state) {
    (void)state;
    volatile size_t huge = SIZE_MAX; /* volatile: the compiler must not reason about it */
    assert_null(eg_malloc(0));
    assert_null(eg_malloc(huge));
    assert_null(eg_malloc(huge - 64));
    assert_null(eg_calloc(huge, 2));
    assert_null(eg_calloc(0, 8));
}

static void calloc_is_zero(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        unsigned char *p = eg_calloc(100, 7);
        assert_non_null(p);
        for (int i = 0; i < 700; i++) assert_int_equal(p[i], 0);
        memset(p, 0xEE, 700); /* dirty it for the next round */
        eg_free(p);
    }
}

static void realloc_keeps_content_and_alignment(void **state) {
    (void)state;
    unsigned char *p = eg_realloc(NULL, 0, 3);
    assert_non_null(p);
    memcpy(p, "abc", 3);
    size_t size = 3;
    for (size_t next = 100; next < 100000; next *= 3) {
        p = eg_realloc(p, size, next);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_memory_equal(p, "abc", 3);
        size = next;
    }
    eg_memory_fail_at(1);
    assert_null(eg_realloc(p, size, 2 * size)); /* the old block must survive */
    assert_memory_equal(p, "abc", 3);
    p = eg_realloc(p, size, 2);
    assert_memory_equal(p, "ab", 2);
    eg_free(p);
}

static void the_kth_allocation_fails_once(void **state) {
    (void)state;
    for (uint64_t k = 1; k <= 5; k++) {
        eg_memory_fail_at(k);
        for (uint64_t i = 1; i <= 6; i++) {
            void *p = eg_malloc(8);
            if (i == k) {
                assert_null(p);
            } else {
                assert_non_null(p);
            }
            eg_free(p);
        }
    }
    eg_memory_fail_at(1);
    eg_memory_fail_at(0);
    void *p = eg_malloc(8);
    assert_non_null(p);
    eg_free(p);
}

static void strings(void **state) {
    (void)state;
    char *a = eg_strdup("text"), *b = eg_strndup("text", 2), *c = eg_format("%s-%d", "x", 12);
    char *d = eg_strndup("ab", 50);
    assert_string_equal(a, "text");
    assert_string_equal(b, "te");
    assert_string_equal(c, "x-12");
    assert_string_equal(d, "ab");
    eg_free(a);
    eg_free(b);
    eg_free(c);
    eg_free(d);
    eg_memory_fail_at(1);
    assert_null(eg_format("%d", 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_counted),
        cmocka_unit_test(impossible_sizes_give_null),
        cmocka_unit_test(calloc_is_zero),
        cmocka_unit_test(realloc_keeps_content_and_alignment),
        cmocka_unit_test(the_kth_allocation_fails_once),
        cmocka_unit_test(strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
