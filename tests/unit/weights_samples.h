/* The formula of scripts/make_weights_samples.py in C, and helpers shared by the tests of weights
 * readers. */
#ifndef WEIGHTS_SAMPLES_H
#define WEIGHTS_SAMPLES_H

#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLES TEST_SOURCE_DIR "/tests/data/weights/"
#define HOSTILE TEST_SOURCE_DIR "/tests/data/hostile/"

typedef struct {
    const char *name;
    eg_dtype dtype;
    int n_dims;
    int64_t dims[2];
} sample;

enum { N_SAMPLES = 16 };
static const sample samples[N_SAMPLES] = {
    {"f32", EG_DTYPE_F32, 2, {2, 3}},   {"f64", EG_DTYPE_F64, 1, {5}},
    {"f16", EG_DTYPE_F16, 1, {4}},      {"bf16", EG_DTYPE_BF16, 2, {3, 2}},
    {"i64", EG_DTYPE_I64, 0, {0}},      {"i32", EG_DTYPE_I32, 1, {3}},
    {"i16", EG_DTYPE_I16, 2, {2, 2}},   {"i8", EG_DTYPE_I8, 1, {4}},
    {"u8", EG_DTYPE_U8, 1, {4}},        {"bool", EG_DTYPE_BOOL, 1, {5}},
    {"view", EG_DTYPE_F32, 1, {4}},     {"transposed", EG_DTYPE_F32, 2, {3, 4}},
    {"empty", EG_DTYPE_F32, 2, {0, 3}}, {"expanded", EG_DTYPE_F32, 2, {3, 4}},
    {"strided", EG_DTYPE_F32, 1, {4}},  {"scalar", EG_DTYPE_F32, 0, {0}},
};

static inline float sample_value(int k, size_t i) {
    if (strcmp(samples[k].name, "expanded") == 0) i /= 4;
    int v = (int)((i * 7 + (size_t)k * 3) % 23);
    switch (samples[k].dtype) {
    case EG_DTYPE_BOOL:
        return (float)((i + (size_t)k) % 2);
    case EG_DTYPE_U8:
        return (float)v;
    case EG_DTYPE_F32:
    case EG_DTYPE_F64:
    case EG_DTYPE_F16:
    case EG_DTYPE_BF16:
        return (float)(v - 11) * 0.5f;
    default:
        return (float)(v - 11);
    }
}

/* Every element of tensor k, its type and its shape. */
static inline void check_sample(const eg_state_dict *sd, int k) {
    const eg_tensor *t = eg_state_dict_find(sd, samples[k].name);
    assert_non_null(t);
    assert_int_equal(t->dtype, samples[k].dtype);
    assert_int_equal(t->n_dims, samples[k].n_dims);
    for (int d = 0; d < t->n_dims; d++) assert_int_equal(t->dims[d], samples[k].dims[d]);
    size_t n = eg_tensor_count(t);
    assert_int_equal(t->n_bytes, n * eg_dtype_bytes(t->dtype));
    assert_int_equal((uintptr_t)t->data % eg_dtype_bytes(t->dtype), 0);
    float got[16];
    assert_true(n <= 16);
    if (t->dtype == EG_DTYPE_BOOL)
        for (size_t i = 0; i < n; i++) got[i] = ((const uint8_t *)t->data)[i];
    else
        assert_true(eg_tensor_to_f32(got, t));
    for (size_t i = 0; i < n; i++)
        if (got[i] != sample_value(k, i))
            fail_msg("%s[%zu]: %g, expected %g", t->name, i, got[i], sample_value(k, i));
}

static inline void check_all_samples(const eg_state_dict *sd) {
    assert_int_equal(eg_state_dict_count(sd), N_SAMPLES);
    for (int k = 0; k < N_SAMPLES; k++) check_sample(sd, k);
}

static inline eg_state_dict *read_sample(const char *path) {
    eg_error err = {0};
    eg_state_dict *sd = NULL;
    if (eg_weights_read(&sd, path, &err) != EG_OK) fail_msg("%s", err.text);
    return sd;
}

/* A copy that may be changed; *n gets its size. eg_free. */
static inline uint8_t *load_bytes(const char *path, size_t *n) {
    eg_file_view view;
    eg_error err = {0};
    if (eg_file_open(&view, path, (size_t)1 << 30, &err) != EG_OK) fail_msg("%s", err.text);
    uint8_t *copy = eg_malloc(view.size);
    assert_non_null(copy);
    memcpy(copy, view.data, view.size);
    *n = view.size;
    eg_file_close(&view);
    return copy;
}

/* Every byte of every tensor and name, so that a sanitizer sees a wild pointer. */
static inline uint32_t touch_all(const eg_state_dict *sd) {
    uint32_t sum = 0;
    for (size_t i = 0; i < eg_state_dict_count(sd); i++) {
        const eg_tensor *t = eg_state_dict_at(sd, i);
        for (size_t b = 0; b < t->n_bytes; b++) sum = sum * 31 + ((const uint8_t *)t->data)[b];
        sum += (uint32_t)strlen(t->name);
        assert_ptr_equal(eg_state_dict_find(sd, t->name), t);
    }
    return sum;
}

/* Same names in the same order, same types, shapes and bytes. */
static inline bool same_tensors(const eg_state_dict *a, const eg_state_dict *b) {
    if (eg_state_dict_count(a) != eg_state_dict_count(b)) return false;
    for (size_t i = 0; i < eg_state_dict_count(a); i++) {
        const eg_tensor *x = eg_state_dict_at(a, i), *y = eg_state_dict_at(b, i);
        if (strcmp(x->name, y->name) != 0 || x->dtype != y->dtype || x->n_dims != y->n_dims ||
            memcmp(x->dims, y->dims, sizeof x->dims) != 0 || x->n_bytes != y->n_bytes ||
            memcmp(x->data, y->data, x->n_bytes) != 0)
            return false;
    }
    return true;
}

/* Decode; a refusal must have a status and a text. */
static inline eg_state_dict *try_decode(const uint8_t *data, size_t n) {
    eg_error err = {0};
    eg_state_dict *sd = NULL;
    eg_status status = eg_weights_decode(&sd, data, n, &err);
    if (status == EG_OK) {
        assert_non_null(sd);
        touch_all(sd);
        return sd;
    }
    assert_null(sd);
    assert_int_equal(err.status, status);
    assert_true(err.text[0] != 0);
    assert_true(status == EG_ERR_INPUT || status == EG_ERR_LIMIT || status == EG_ERR_NO_MEMORY);
    return NULL;
}

/* No prefix of the file may load. */
static inline void check_prefixes(const char *path) {
    size_t n;
    uint8_t *data = load_bytes(path, &n);
    for (size_t i = 0; i < n; i++) {
        uint8_t *exact =
            eg_malloc(i > 0 ? i : 1); /* a heap block of its own: a sanitizer sees a read beyond */
        memcpy(exact, data, i);
        eg_state_dict *sd = try_decode(exact, i);
        if (sd != NULL) fail_msg("%s: the first %zu of %zu bytes load", path, i, n);
        eg_free(exact);
    }
    eg_free(data);
}

/* Each bit of each byte turned: refused, or read without harm. With `exact`, read means read as
 * before. Returns how many were refused. */
static inline size_t check_flips(const char *path, bool exact) {
    size_t n, n_refused = 0;
    uint8_t *data = load_bytes(path, &n);
    eg_state_dict *whole = try_decode(data, n);
    assert_non_null(whole);
    for (size_t i = 0; i < 8 * n; i++) {
        data[i / 8] ^= (uint8_t)(1u << i % 8);
        eg_state_dict *sd = try_decode(data, n);
        if (sd != NULL && exact && !same_tensors(sd, whole))
            fail_msg("%s: bit %zu of byte %zu changes the tensors unnoticed", path, i % 8, i / 8);
        n_refused += sd == NULL;
        eg_state_dict_free(sd);
        data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    eg_state_dict_free(whole);
    eg_free(data);
    return n_refused;
}

/* Each allocation fails once: an error, never a crash or a leak of our heap. */
static inline void check_allocations(const char *path) {
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k < 100000; k++) {
        eg_error err = {0};
        eg_state_dict *sd = NULL;
        eg_memory_fail_at(k);
        eg_status status = eg_weights_read(&sd, path, &err);
        eg_memory_fail_at(0);
        if (status == EG_OK) {
            eg_state_dict_free(sd);
            assert_int_equal(eg_memory_stats_get().bytes_now, before);
            assert_true(k > 3);
            return;
        }
        assert_null(sd);
        if (status != EG_ERR_NO_MEMORY) fail_msg("%s: allocation %d: %s", path, (int)k, err.text);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    fail_msg("%s: never succeeds", path);
}

#endif
