/* Random numbers by counting: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers:
 * as easy as 1, 2, 3", SC 2011). A value is a pure function of (seed, stream, position), so nothing
 * needs to be saved for a resumed run and results do not depend on which thread drew first.
 *
 * Not for secrets. eg_random_normal leans on the C library's log and cos: the same bits on the same
 * machine, the last bit may differ on another one. */
#include "base/base.h"
#include <math.h>

static void philox_block(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

eg_random eg_random_make(uint64_t seed, uint32_t a, uint32_t b, uint32_t c) {
    return (eg_random){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, a, b, c},
        .used = 4,
    };
}

uint32_t eg_random_u32(eg_random *r) {
    if (r->used >= 4) {
        philox_block(r->block, r->counter, r->key);
        r->counter[0]++; /* 2^34 values before a stream repeats */
        r->used = 0;
    }
    return r->block[r->used++];
}

double eg_random_uniform(eg_random *r) {
    uint64_t high = eg_random_u32(r) >> 5; /* 27 bits */
    uint64_t low = eg_random_u32(r) >> 6;  /* 26 bits */
    return (double)(high << 26 | low) * 0x1p-53;
}

double eg_random_normal(eg_random *r) {
    double u = 1.0 - eg_random_uniform(r); /* (0, 1]: the logarithm stays finite */
    double v = eg_random_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

/* Lemire, "Fast random integer generation in an interval" (2019): the products whose low half falls
 * below 2^32 mod n are drawn again, which is what makes it unbiased. */
uint32_t eg_random_below(eg_random *r, uint32_t n) {
    if (n == 0) return 0;
    uint64_t product = (uint64_t)eg_random_u32(r) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = (0u - n) % n;
        while ((uint32_t)product < threshold) product = (uint64_t)eg_random_u32(r) * n;
    }
    return (uint32_t)(product >> 32);
}

void eg_random_shuffle(eg_random *r, uint32_t *items, size_t n) {
    for (size_t i = n; i > 1; i--) {
        size_t j = eg_random_below(r, (uint32_t)i);
        uint32_t swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}
