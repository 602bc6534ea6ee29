/* What every reader of untrusted bytes must survive: each prefix, each flipped bit, each failing
 * allocation. Include after cmocka.h. The bytes are handed over in a heap block of their exact
 * size, so that AddressSanitizer sees a read of one byte too many. */
#ifndef EG_TEST_HOSTILE_H
#define EG_TEST_HOSTILE_H

#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* Decode, put the SHA-256 of all that came out into `digest`, release it. */
typedef eg_status (*hostile_decoder)(char digest[65], const void *data, size_t size, eg_error *err);

static inline eg_status hostile_decode(hostile_decoder decode, char digest[65], const void *data,
                                       size_t size) {
    size_t before = eg_memory_stats_get().bytes_now;
    void *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    void *end = (char *)copy + (size > 0 ? 0 : 1); /* size 0: a pointer that may not be read */
    if (size > 0) memcpy(copy, data, size);
    eg_error err = {0};
    digest[0] = 0;
    eg_status status = decode(digest, end, size, &err);
    free(copy);
    assert_int_equal(eg_memory_stats_get().bytes_now, before);
    assert_int_equal(err.status, status);
    assert_true((status == EG_OK) == (err.text[0] == 0));
    assert_true(err.offset <= (int64_t)size);
    return status;
}

/* No proper prefix may be taken for a whole file. */
static inline void hostile_prefixes(hostile_decoder decode, const void *data, size_t size) {
    char digest[65];
    for (size_t n = 0; n < size; n++) {
        eg_status status = hostile_decode(decode, digest, data, n);
        if (status == EG_OK) fail_msg("the first %zu of %zu bytes were taken as whole", n, size);
    }
    assert_int_equal(hostile_decode(decode, digest, data, size), EG_OK);
}

/* Every bit flipped, one at a time. `summed`: the format has check sums over everything, so that
 * what is still accepted must give the same result. Returns how many were accepted. */
static inline size_t hostile_mutations(hostile_decoder decode, const void *data, size_t size,
                                       bool summed) {
    char good[65], digest[65];
    assert_int_equal(hostile_decode(decode, good, data, size), EG_OK);
    uint8_t *changed = malloc(size);
    memcpy(changed, data, size);
    size_t n_accepted = 0;
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            changed[i] ^= (uint8_t)(1u << bit);
            eg_status status = hostile_decode(decode, digest, changed, size);
            if (status == EG_OK && summed && strcmp(digest, good) != 0) {
                fail_msg("bit %d of byte %zu changes the result unnoticed", bit, i);
            }
            n_accepted += status == EG_OK;
            changed[i] ^= (uint8_t)(1u << bit);
        }
    }
    free(changed);
    return n_accepted;
}

/* Fail the k-th allocation for every k until the reader gets through. Returns how many allocations
 * it makes. */
static inline uint64_t hostile_allocations(hostile_decoder decode, const void *data, size_t size) {
    char digest[65];
    for (uint64_t k = 1;; k++) {
        eg_memory_fail_at(k);
        eg_status status = hostile_decode(decode, digest, data, size);
        eg_memory_fail_at(0);
        if (status == EG_OK) return k - 1;
        assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_true(k < 10000);
    }
}

static inline eg_file_view hostile_open(const char *path) {
    eg_file_view view = {0};
    eg_error err = {0};
    if (eg_file_open(&view, path, (size_t)1 << 30, &err) != EG_OK) fail_msg("%s", err.text);
    return view;
}

#endif
