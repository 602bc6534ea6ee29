/* .npz: files that NumPy wrote, our own files, damage, lies about sizes, failing memory. */
#include "codec/npy.h"
#include "codec/zip_directory.h"
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

/* Every array with its data into the digest; members that are none only by name. */
static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    eg_npz *npz = NULL;
    EG_TRY(eg_codec_npz_decode(&npz, data, size, err));
    eg_buffer all = {0};
    eg_status status = EG_OK;
    for (size_t i = 0; status == EG_OK && i < eg_npz_count(npz); i++) {
        const eg_npy_array *a = eg_npz_at(npz, i);
        status = eg_npz_get(&a, npz, a->name, err);
        if (status != EG_OK) break;
        eg_buffer_printf(&all, "%s %s %d", a->name, a->descr, a->n_dims);
        for (int k = 0; k < a->n_dims; k++) eg_buffer_printf(&all, " %jd", (intmax_t)a->dims[k]);
        eg_buffer_add(&all, a->data, a->n_bytes);
    }
    eg_npz_free(npz);
    if (status == EG_OK && all.failed) status = eg_fail(err, EG_ERR_NO_MEMORY, "test");
    if (status == EG_OK) eg_sha256_hex(digest, all.data, all.size);
    eg_buffer_free(&all);
    return status;
}

/* An array with its data; the test ends here when there is none. */
static const eg_npy_array *array_of(eg_npz *npz, const char *name) {
    const eg_npy_array *array = NULL;
    eg_error err = {0};
    if (eg_npz_get(&array, npz, name, &err) != EG_OK) fail_msg("%s", err.text);
    assert_ptr_equal(array, eg_npz_find(npz, name));
    return array;
}

static void numpys_files(void **state) {
    (void)state;
    static const char *const files[] = {FOLDER "stored.npz", FOLDER "deflated.npz"};
    for (int i = 0; i < 2; i++) {
        eg_npz *npz;
        eg_error err = {0};
        if (eg_npz_read(&npz, files[i], &err) != EG_OK) fail_msg("%s", err.text);
        assert_int_equal(eg_npz_count(npz), 6);
        const eg_npy_array *a = array_of(npz, "f");
        assert_string_equal(a->descr, "<f4");
        assert_int_equal(a->n_dims, 2);
        assert_int_equal(a->dims[0], 3);
        assert_int_equal(a->dims[1], 4);
        for (int k = 0; k < 12; k++) assert_true(((const float *)a->data)[k] == (float)k / 4);
        a = array_of(npz, "i");
        const int64_t integers[2] = {-1, (int64_t)1 << 40};
        assert_int_equal(a->n_bytes, 16);
        assert_int_equal((uintptr_t)a->data % 8, 0);
        assert_memory_equal(a->data, integers, 16);
        assert_memory_equal(array_of(npz, "b")->data, "\1\0\1", 3);
        a = array_of(npz, "u");
        assert_string_equal(a->descr, "<U6");
        assert_int_equal(((const uint32_t *)a->data)[6], 0x80BA); /* the second text: UTF-32 */
        a = array_of(npz, "s");
        assert_int_equal(a->n_dims, 0);
        assert_true(*(const double *)a->data == 2.5);
        a = array_of(npz, "e");
        assert_int_equal(a->dims[1], 5);
        assert_int_equal(a->n_bytes, 0);
        assert_null(eg_npz_find(npz, "g"));
        assert_int_equal(eg_npz_get(&a, npz, "g", &err), EG_ERR_NOT_FOUND);
        assert_non_null(strstr(err.text, "no array 'g' in the .npz; it has f, i, b, u, s, e"));
        eg_npz_free(npz);
    }
    eg_npz_free(NULL);
}

/* The layouts of MedMNIST, stored, deflated and with zip64 sizes: the same arrays, and no heap for
 * stored images. */
static void medmnist_files(void **state) {
    (void)state;
    static const char *const files[] = {FOLDER "medmnist_stored.npz", FOLDER "zip64.npz",
                                        FOLDER "medmnist_deflated.npz"};
    for (int i = 0; i < 3; i++) {
        eg_npz *npz;
        eg_error err = {0};
        if (eg_npz_read(&npz, files[i], &err) != EG_OK) fail_msg("%s", err.text);
        assert_int_equal(eg_npz_count(npz), 5);
        const eg_npy_array *a = eg_npz_at(npz, 0);
        assert_string_equal(a->name, "train_images"); /* listed, not read */
        assert_string_equal(a->descr, "|u1");
        assert_int_equal(a->n_dims, 4);
        assert_int_equal(a->n_bytes, 4 * 28 * 28 * 3);
        assert_null(a->data);
        size_t before = eg_memory_stats_get().bytes_now;
        a = array_of(npz, "train_images");
        assert_int_equal(eg_memory_stats_get().bytes_now > before, i == 2);
        for (size_t k = 0; k < a->n_bytes; k++)
            assert_int_equal(((const uint8_t *)a->data)[k], k % 251);
        assert_memory_equal(array_of(npz, "train_labels")->data, "\0\2\1\0", 4);
        a = array_of(npz, "val_labels");
        assert_string_equal(a->descr, "<i4");
        assert_int_equal(((const int32_t *)a->data)[0], 1);
        a = array_of(npz, "test_labels");
        assert_string_equal(a->descr, "<i8");
        assert_int_equal(((const int64_t *)a->data)[1], -5);
        const void *data = a->data;
        assert_ptr_equal(array_of(npz, "test_labels")->data, data); /* loaded once */
        eg_npz_free(npz);
    }
}

static void refused_files(void **state) {
    (void)state;
    static const struct {
        const char *file, *array; /* NULL: already when it is opened */
        eg_status status;
        const char *text;
    } cases[] = {
        {FOLDER "object.npz", "o", EG_ERR_INPUT, "object.npz: o.npy: an object array"},
        {FOLDER "fortran.npz", "f", EG_ERR_UNSUPPORTED, "Fortran"},
        {FOLDER "bigendian.npz", "f", EG_ERR_UNSUPPORTED, "'>f4'"},
        {FOLDER "other.npz", "readme.txt", EG_ERR_INPUT, "'readme.txt' is not a .npy array"},
        {FOLDER "make_npz.py", NULL, EG_ERR_INPUT, "not a zip archive"},
        {FOLDER "none.npz", NULL, EG_ERR_NOT_FOUND, "none.npz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_npz *npz = NULL;
        eg_error err = {0};
        eg_status status = eg_npz_read(&npz, cases[i].file, &err);
        if (cases[i].array != NULL) {
            const eg_npy_array *a = NULL;
            assert_int_equal(status, EG_OK);
            assert_string_equal(eg_npz_find(npz, cases[i].array)->descr, "");
            status = eg_npz_get(&a, npz, cases[i].array, &err);
            assert_null(a);
        } else {
            assert_null(npz);
        }
        eg_npz_free(npz);
        assert_int_equal(status, cases[i].status);
        if (strstr(err.text, cases[i].text) == NULL)
            fail_msg("'%s' has no '%s'", err.text, cases[i].text);
        assert_non_null(strstr(err.text, cases[i].file));
    }
}

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

/* 5 GiB from 5 MiB is what DEFLATE could do, so the directory is believed; the array is refused when
 * it is asked for, with what to do about it. */
static void large_deflated_is_refused(void **state) {
    (void)state;
    enum { PACKED = 5 << 20 };
    eg_buffer b = {0};
    char *packed = calloc(1, PACKED); /* zeros: an endless chain of empty stored blocks */
    assert_non_null(packed);
    for (int central = 0; central < 2; central++) {
        eg_buffer_add(&b, central ? "PK\1\2\24\0" : "PK\3\4", central ? 6 : 4);
        eg_buffer_add(&b, "\55\0\0\0\10\0\0\0\41\0\0\0\0\0", 14); /* deflated */
        eg_buffer_add(&b, "\377\377\377\377\377\377\377\377", 8); /* sizes: zip64 */
        eg_buffer_add(&b, "\5\0\24\0", 4); /* lengths of name and extra field */
        if (central) eg_buffer_add(&b, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 14);
        eg_buffer_add(&b, "x.npy\1\0\20\0", 9);
        eg_codec_put_u64(&b, (uint64_t)5 << 30);
        eg_codec_put_u64(&b, PACKED);
        if (!central) eg_buffer_add(&b, packed, PACKED);
    }
    size_t directory = 30 + 5 + 20 + PACKED;
    uint32_t n = (uint32_t)(b.size - directory);
    eg_buffer_add(&b, "PK\5\6\0\0\0\0\1\0\1\0", 12);
    eg_codec_put_u32(&b, n);
    eg_codec_put_u32(&b, (uint32_t)directory);
    eg_buffer_add(&b, "\0\0", 2);
    assert_false(b.failed);
    eg_npz *npz;
    eg_error err = {0};
    if (eg_codec_npz_decode(&npz, b.data, b.size, &err) != EG_OK) fail_msg("%s", err.text);
    const eg_npy_array *a = NULL;
    eg_status status = eg_npz_get(&a, npz, "x", &err);
    eg_npz_free(npz);
    eg_buffer_free(&b);
    free(packed);
    assert_int_equal(status, EG_ERR_LIMIT);
    assert_non_null(strstr(err.text, "'x' is deflated and has 5368709120 bytes"));
    assert_non_null(strstr(err.text, "zip -0"));
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
        const eg_npy_array *a = array_of(npz, arrays[k].name);
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
        cmocka_unit_test(numpys_files),
        cmocka_unit_test(medmnist_files),
        cmocka_unit_test(refused_files),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(data_are_summed),
        cmocka_unit_test(lies_cost_no_memory),
        cmocka_unit_test(large_deflated_is_refused),
        cmocka_unit_test(our_files),
        cmocka_unit_test(too_large_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
