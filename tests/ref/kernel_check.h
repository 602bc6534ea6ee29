/* For tests/ref/test_kernels.c: the tables to be tested, and arrays that end at a page nobody may touch, so that a kernel
 * which reads or writes one value too many stops there; what lies before an array is NaN, which shows in the result. Arrays
 * begin anywhere: only the end is placed. Read first: oracle.h.                                                    */
#ifndef TEST_KERNEL_CHECK_H
#define TEST_KERNEL_CHECK_H

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ref/oracle.h"

typedef struct {
    const eg_kernels *k;
    eg_type type; /* of values */
    eg_isa isa;
} target;

/* Random values: enough that no case sees another's. Normal, of deviation 1. */
enum { N_RANDOM = 1 << 16, N_SLOTS = 8, SLOT_BYTES = 1 << 21 };
static double random_values[N_RANDOM];
static uint8_t *slots[N_SLOTS];

typedef struct {
    void *p;
    size_t n;
    eg_type type;
} array;

static inline int kernels_set_up(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    eg_random r = eg_random_make(7, 1, 2, 3);
    for (int i = 0; i < N_RANDOM; i++) random_values[i] = eg_random_normal(&r);
    for (int i = 0; i < N_SLOTS; i++) {
        void *p = mmap(NULL, SLOT_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
        if (p == MAP_FAILED) return -1;
        slots[i] = p;
        if (mprotect(slots[i] + SLOT_BYTES, page, PROT_NONE) != 0) return -1;
        memset(slots[i], 0xff, SLOT_BYTES); /* NaN in either type */
    }
    return 0;
}

static inline int kernels_tear_down(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < N_SLOTS; i++)
        if (slots[i]) munmap(slots[i], SLOT_BYTES + page);
    return 0;
}

/* n values at the end of a slot, not initialised; one slot holds one array at a time */
static inline array blank(int slot, size_t n, eg_type type) {
    size_t bytes = n * eg_type_bytes(type);
    assert_true(bytes + 64 <= SLOT_BYTES);
    array a = {slots[slot] + SLOT_BYTES - bytes, n, type};
    memset((uint8_t *)a.p - 64, 0xff, bytes + 64);
    return a;
}

static inline double at(const array *a, size_t i) {
    return value_get(a->p, i, a->type);
}

/* random values of deviation `scale`, of the type's precision */
static inline array values(int slot, size_t n, eg_type type, double scale) {
    array a = blank(slot, n, type);
    size_t from = (size_t)slot * 7919 + n * 31;
    for (size_t i = 0; i < n; i++)
        value_set(a.p, i, type, scale * random_values[(from + i) % N_RANDOM]);
    return a;
}
static inline array floats(int slot, size_t n) {
    return values(slot, n, EG_TYPE_F32, 1);
}
/* a copy of the same precision in another slot */
static inline array copy_of(int slot, const array *a) {
    array b = blank(slot, a->n, a->type);
    memcpy(b.p, a->p, a->n * eg_type_bytes(a->type));
    return b;
}

/* the 64 bytes before an output are as blank() left them */
static inline void check_untouched(const array *a) {
    const uint8_t *p = a->p;
    for (int i = 1; i <= 64; i++)
        if (p[-i] != 0xff) fail_msg("written %d bytes before the beginning", i);
}

static inline void check_same(const array *a, const array *b) {
    assert_memory_equal(a->p, b->p, a->n * eg_type_bytes(a->type));
}

/* which case it is, for the message of a failure */
static char situation[96];

static inline void check_at(const target *t, const array *a, size_t i, double want, double error) {
    if (!is_near(at(a, i), want, error, a->type))
        fail_msg("%s, values in %s,%s element %zu: got %.9g, expected %.9g within %.2g",
                 eg_isa_name(t->isa), type_name(t->type), situation, i, at(a, i), want, error);
}
/* of sums that the caller holds in double or float */
static inline void check_sum(const target *t, double got, double want, double error) {
    if (!(fabs(got - want) <= error) && !(isnan(got) && isnan(want)))
        fail_msg("%s, values in %s: sum %.9g, expected %.9g within %.2g", eg_isa_name(t->isa),
                 type_name(t->type), got, want, error);
}

/* run `body` for each instruction set of this machine and for values in f32 and, where the kernel has them, in bf16 */
static inline void each_target(void (*body)(const target *t), int types) {
    int seen = 0;
    situation[0] = 0;
    for (int i = 0; i < EG_ISA_COUNT; i++) {
        if (!eg_kernels_of((eg_isa)i, EG_TYPE_F32)) {
            print_message("%s: not on this processor, skipped\n", eg_isa_name((eg_isa)i));
            continue;
        }
        for (int type = 0; type < types; type++) {
            target t = {eg_kernels_of((eg_isa)i, (eg_type)type), (eg_type)type, (eg_isa)i};
            body(&t);
            seen++;
        }
    }
    assert_true(seen >= types);
}

static const int channels[] = {1, 3, 8, 15, 16, 17, 24, 40, 65};
enum { N_CHANNELS = sizeof channels / sizeof *channels };

#endif
