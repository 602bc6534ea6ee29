/* .npz: files that NumPy wrote, our own files, damage, lies about sizes, failing memory. */
#include "codec/npy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/hostile.h"

#define FOLDER TEST_SOURCE_DIR "/tests/data/npz/"

static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    static const char *const names[] = {"f", "i", "b", "u", "s", "e", "x"};
    eg_npz *npz = NULL;
    EG_TRY(eg_codec_npz_decode(&npz, data, size, err));
    eg_buffer all = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const eg_npy_array *a = eg_npz_find(npz, names[i]);
        if (a == NULL) continue;
        assert_int_equal((uintptr_t)a->data % 64, 0);
        eg_buffer_printf(&all, "%s %s %d", a->name, a->descr, a->n_dims);
        for (int k = 0; k < a->n_dims; k++) eg_buffer_printf(&all, " %jd", (intmax_t)a->dims[k]);
        eg_buffer_add(&all, a->data, a->n_bytes);
    }
    eg_npz_free(npz);
    eg_status status = all.failed ? eg_fail(err, EG_ERR_NO_MEMORY, "test") : EG_OK;
    eg_sha256_hex(digest, all.data, all.size);
    eg_buffer_free(&all);
    return status;
}

static void numpys_files(void **state) {
    (void)state;
    static const char *const files[] = {FOLDER "stored.npz", FOLDER "deflated.npz"};
    for (int i = 0; i < 2; i++) {
        eg_npz *npz;
        eg_error err = {0};
        if (eg_npz_read(&npz, files[i], &err) != EG_OK) fail_msg("%s", err.text);
        const eg_npy_array *a = eg_npz_find(npz, "f");
        assert_non_null(a);
        assert_string_equal(a->descr, "<f4");
        assert_int_equal(a->n_dims, 2);
        assert_int_equal(a->dims[0], 3);
        assert_int_equal(a->dims[1], 4);
        for (int k = 0; k < 12; k++) assert_true(((const float *)a->data)[k] == (float)k / 4);
        a = eg_npz_find(npz, "i");
        const int64_t integers[2] = {-1, (int64_t)1 << 40};
        assert_int_equal(a->n_bytes, 16);
        assert_memory_equal(a->data, integers, 16);
        assert_memory_equal(eg_npz_find(npz, "b")->data, "\1\0\1", 3);
        a = eg_npz_find(npz, "u");
        assert_string_equal(a->descr, "<U6");
        assert_int_equal(((const uint32_t *)a->data)[6], 0x80BA); /* the second text: UTF-32 */
        a = eg_npz_find(npz, "s");
        assert_int_equal(a->n_dims, 0);
        assert_true(*(const double *)a->data == 2.5);
        a = eg_npz_find(npz, "e");
        assert_int_equal(a->dims[1], 5);
        assert_int_equal(a->n_bytes, 0);
        assert_null(eg_npz_find(npz, "g"));
        eg_npz_free(npz);
    }
    eg_npz_free(NULL);
}

static void refused_files(void **state) {
    (void)state;
    static const struct {
        const char *file;
        eg_status status;
        const char *text;
    } cases[] = {
        {FOLDER "object.npz", EG_ERR_INPUT, "object.npz: o.npy: an object array"},
        {FOLDER "fortran.npz", EG_ERR_UNSUPPORTED, "Fortran"},
        {FOLDER "bigendian.npz", EG_ERR_UNSUPPORTED, "'>f4'"},
        {FOLDER "other.npz", EG_ERR_INPUT, "'readme.txt' is not a .npy array"},
        {FOLDER "make_npz.py", EG_ERR_INPUT, "not a zip archive"},
        {FOLDER "none.npz", EG_ERR_NOT_FOUND, "none.npz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_npz *npz = NULL;
        eg_error err = {0};
        assert_int_equal(eg_npz_read(&npz, cases[i].file, &err), cases[i].status);
        assert_null(npz);
        if (strstr(err.text, cases[i].text) == NULL) {
            fail_msg("'%s' has no '%s'", err.text, cases[i].text);
        }
    }
}

/* libzip takes its memory elsewhere, so only our own allocations fail here. */
static void damage_is_found(void **state) {
    (void)state;
    static const char *const files[] = {FOLDER "stored.npz", FOLDER "deflated.npz"};
    for (int i = 0; i < 2; i++) {
        eg_file_view view = hostile_open(files[i]);
        hostile_prefixes(decode, view.data, view.size);
        hostile_allocations(decode, view.data, view.size);
        hostile_mutations(decode, view.data, view.size, false);
        eg_file_close(&view);
    }
}

/* The CRCs cover the arrays: a bit flipped inside one is always found. */
static void data_are_summed(void **state) {
    (void)state;
    eg_file_view view = hostile_open(FOLDER "stored.npz");
    uint8_t *copy = malloc(view.size);
    memcpy(copy, view.data, view.size);
    uint8_t *values = memmem(copy, view.size, "\0\0\0\0\0\0\x80\x3E\0\0\0\x3F", 12); /* 0 .25 .5 */
    assert_non_null(values);
    char digest[65];
    for (int bit = 0; bit < 48 * 8; bit++) {
        values[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(hostile_decode(decode, digest, copy, view.size), EG_ERR_INPUT);
        values[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(copy);
    eg_file_close(&view);
}

/* A size of 2 GiB claimed by 100 bytes must be refused before it is allocated. */
static void lies_cost_no_memory(void **state) {
    (void)state;
    eg_file_view view = hostile_open(FOLDER "deflated.npz");
    uint8_t *copy = malloc(view.size);
    memcpy(copy, view.data, view.size);
    uint8_t *entry = memmem(copy, view.size, "PK\1\2", 4);
    assert_non_null(entry);
    memcpy(entry + 24, "\0\0\0\x7F", 4); /* uncompressed size of the first member */
    size_t before = eg_memory_stats_get().bytes_peak;
    char digest[65];
    assert_int_not_equal(hostile_decode(decode, digest, copy, view.size), EG_OK);
    assert_true(eg_memory_stats_get().bytes_peak - before < (size_t)1 << 20);
    free(copy);
    eg_file_close(&view);
}

static void our_files(void **state) {
    (void)state;
    const char *path = "test_npz.npz";
    float f[6] = {0.5f, -1, 2, 3, 4, 5};
    int64_t i[2] = {7, -8};
    uint32_t u[4] = {'a', 'b', 0x80BA, 0};
    const eg_npy_array arrays[] = {
        {"f", "<f4", 2, {3, 2}, f, sizeof f},    {"i", "<i8", 1, {2}, i, sizeof i},
        {"u", "<U2", 1, {2}, u, sizeof u},       {"e", "<f4", 2, {0, 5}, NULL, 0},
        {"s", "<f8", 0, {0}, &(double){2.5}, 8},
    };
    eg_error err = {0};
    char first[65], second[65];
    assert_int_equal(eg_npz_write(path, arrays, 5, &err), EG_OK);
    assert_int_equal(eg_sha256_file(first, path, &err), EG_OK);
    assert_int_equal(eg_npz_write(path, arrays, 5, &err), EG_OK);
    assert_int_equal(eg_sha256_file(second, path, &err), EG_OK);
    assert_string_equal(first, second);
    eg_npz *npz;
    if (eg_npz_read(&npz, path, &err) != EG_OK) fail_msg("%s", err.text);
    for (int k = 0; k < 5; k++) {
        const eg_npy_array *a = eg_npz_find(npz, arrays[k].name);
        assert_non_null(a);
        assert_string_equal(a->descr, arrays[k].descr);
        assert_int_equal(a->n_dims, arrays[k].n_dims);
        assert_int_equal(a->n_bytes, arrays[k].n_bytes);
        if (a->n_bytes > 0) assert_memory_equal(a->data, arrays[k].data, a->n_bytes);
    }
    eg_npz_free(npz);
    eg_status status = EG_ERR_NO_MEMORY;
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; status != EG_OK; k++) {
        eg_memory_fail_at(k);
        status = eg_npz_write(path, arrays, 5, &err);
        eg_memory_fail_at(0);
        if (status != EG_OK) assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
        assert_true(k < 1000 && (k > 5 || status != EG_OK));
        assert_int_equal(eg_sha256_file(second, path, &err), EG_OK);
        assert_string_equal(first, second); /* old or new, here the same */
    }
    unlink(path);
}

static void too_large_is_said(void **state) {
    (void)state;
    const eg_npy_array huge = {"f", "<f4", 1, {(int64_t)1 << 30}, NULL, (size_t)4 << 30};
    eg_error err = {0};
    assert_int_equal(eg_npz_write("test_npz.npz", &huge, 1, &err), EG_ERR_LIMIT);
    assert_non_null(strstr(err.text, "4 GiB"));
    assert_false(eg_path_exists("test_npz.npz"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numpys_files),        cmocka_unit_test(refused_files),
        cmocka_unit_test(damage_is_found),     cmocka_unit_test(data_are_summed),
        cmocka_unit_test(lies_cost_no_memory), cmocka_unit_test(our_files),
        cmocka_unit_test(too_large_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
