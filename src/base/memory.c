/* The one heap hook of the library: aligned blocks, counted, and able to fail on request.
 *
 * Every block has a 64-byte head that holds its size, so that the count of live bytes needs no help
 * of the caller. Third-party libraries (libjpeg, jansson, OpenSSL, oneDNN) keep their own heap
 * unless they take allocator functions. Read first: base.h, "memory". */
#include "base/base.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define EG_ASAN 1
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#    define EG_ASAN 1
#endif
#ifdef EG_ASAN
#    include <sanitizer/asan_interface.h>
#else
#    define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#    define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* Fresh memory reads as NaN in unoptimised and sanitizer builds, so that a forgotten write shows in
 * every result. */
#if !defined(__OPTIMIZE__) || defined(EG_ASAN)
#    define EG_FILL_FRESH 1
#else
#    define EG_FILL_FRESH 0
#endif

enum { ALIGNMENT = 64 };
#define BLOCK_MARK 0x6567626c6f636b21ull

typedef struct {
    size_t size;   /* bytes the caller asked for */
    uint64_t mark; /* BLOCK_MARK while the block lives: catches foreign and double frees */
} block_head;

static _Atomic uint64_t n_allocations;
static _Atomic size_t bytes_now;
static _Atomic size_t bytes_peak;
static _Atomic uint64_t fail_countdown; /* 0: never fail */

/* Count this allocation; true when it is the one that shall fail. */
static bool take_ticket(void) {
    atomic_fetch_add_explicit(&n_allocations, 1, memory_order_relaxed);
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left > 0) {
        if (atomic_compare_exchange_weak_explicit(&fail_countdown, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return left == 1;
        }
    }
    return false;
}

/* The peak is raised in a loop because another thread may raise it between our look and our
 * write. */
static void count_bytes(size_t size) {
    size_t now = atomic_fetch_add_explicit(&bytes_now, size, memory_order_relaxed) + size;
    size_t peak = atomic_load_explicit(&bytes_peak, memory_order_relaxed);
    while (now > peak) {
        if (atomic_compare_exchange_weak_explicit(&bytes_peak, &peak, now, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return;
        }
    }
}

/* A block with its head; content undefined. NULL: size 0, too large, no memory, or told to fail. */
static void *block_new(size_t size) {
    size_t total;
    if (size == 0 || !eg_add(&total, size, ALIGNMENT) || total > PTRDIFF_MAX) return NULL;
    if (take_ticket()) return NULL;
    void *base = NULL;
    /* posix_memalign and not aligned_alloc: the size stays exact, so that ASan sees an overrun of
     * one byte. */
    if (posix_memalign(&base, ALIGNMENT, total) != 0) return NULL;
    *(block_head *)base = (block_head){.size = size, .mark = BLOCK_MARK};
    ASAN_POISON_MEMORY_REGION(base, ALIGNMENT);
    count_bytes(size);
    return (char *)base + ALIGNMENT;
}

void *eg_malloc(size_t size) {
    void *p = block_new(size);
    if (EG_FILL_FRESH && p != NULL) memset(p, 0xFF, size);
    return p;
}

/* memset and not calloc: the block must come from the aligned path. */
void *eg_calloc(size_t n, size_t size) {
    size_t total;
    if (!eg_mul(&total, n, size)) return NULL;
    void *p = block_new(total);
    if (p != NULL) memset(p, 0, total);
    return p;
}

/* Always a move: the C library's realloc loses the alignment. On NULL (also for size 0) the old
 * block stays. */
void *eg_realloc(void *old, size_t old_size, size_t size) {
    void *p = eg_malloc(size);
    if (p == NULL || old == NULL) return p;
    memcpy(p, old, old_size < size ? old_size : size);
    eg_free(old);
    return p;
}

/* The mark is cleared so that a second eg_free of the same block stops in the assertion. */
void eg_free(void *p) {
    if (p == NULL) return;
    char *base = (char *)p - ALIGNMENT;
    ASAN_UNPOISON_MEMORY_REGION(base, ALIGNMENT);
    block_head *head = (block_head *)base;
    assert(head->mark == BLOCK_MARK);
    head->mark = 0;
    atomic_fetch_sub_explicit(&bytes_now, head->size, memory_order_relaxed);
    free(base);
}

char *eg_strndup(const char *text, size_t n) {
    size_t length = strnlen(text, n);
    char *copy = eg_malloc(length + 1);
    if (copy == NULL) return NULL;
    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

char *eg_strdup(const char *text) {
    return eg_strndup(text, strlen(text));
}

/* Two passes: the first one only measures. */
char *eg_format(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : eg_malloc((size_t)n + 1);
    if (text == NULL) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

/* Three separate reads: exact when no other thread allocates meanwhile, as in the tests. */
eg_memory_stats eg_memory_stats_get(void) {
    return (eg_memory_stats){
        .n_allocations = atomic_load_explicit(&n_allocations, memory_order_relaxed),
        .bytes_now = atomic_load_explicit(&bytes_now, memory_order_relaxed),
        .bytes_peak = atomic_load_explicit(&bytes_peak, memory_order_relaxed),
    };
}

void eg_memory_fail_at(uint64_t k) {
    atomic_store_explicit(&fail_countdown, k, memory_order_relaxed);
}
