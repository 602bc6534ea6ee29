/* Arena: alignment, stable addresses, the limit, no leak when an allocation fails. */
#include "base/base.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pieces_are_apart_and_stay(void **state) {
    (void)state;
    eg_arena *arena = eg_arena_new(256, 0);
    assert_non_null(arena);
    unsigned char *pieces[50];
    for (int i = 0; i < 50; i++) {
        pieces[i] = eg_arena_get(arena, (size_t)(i * 13));
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 64, 0);
        memset(pieces[i], i, (size_t)(i * 13));
    }
    for (int i = 0; i < 50; i++) {
        for (int j = 0; j < i * 13; j++) assert_int_equal(pieces[i][j], i);
    }
    char *text = eg_arena_strdup(arena, "hello world", 5);
    assert_string_equal(text, "hello");
    eg_arena_free(arena);
    eg_arena_free(NULL);
}

static void the_limit_holds(void **state) {
    (void)state;
    eg_arena *arena = eg_arena_new(64, 1024);
    assert_null(eg_arena_get(arena, 1025));
    assert_null(eg_arena_get(arena, SIZE_MAX - 3));
    assert_null(eg_arena_strdup(arena, "", SIZE_MAX));
    for (int i = 0; i < 16; i++) assert_non_null(eg_arena_get(arena, 1)); /* 64 bytes each */
    assert_null(eg_arena_get(arena, 1));
    eg_arena_free(arena);
}

static void failures_leak_nothing(void **state) {
    (void)state;
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 10; k++) {
        eg_memory_fail_at(k);
        eg_arena *arena = eg_arena_new(128, 0);
        if (arena != NULL) {
            int n_null = 0;
            for (int i = 0; i < 4; i++) n_null += eg_arena_get(arena, 100) == NULL;
            assert_int_equal(n_null, k <= 9);
        } else {
            assert_int_equal(k, 1);
        }
        eg_arena_free(arena);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    eg_memory_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_apart_and_stay),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(failures_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
