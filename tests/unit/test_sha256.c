/* SHA-256: the examples of FIPS 180-4 and files of several lengths. */
#include "base/base.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void published_examples(void **state) {
    (void)state;
    char hex[65];
    eg_sha256_hex(hex, "", 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    eg_sha256_hex(hex, "abc", 3);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    eg_sha256_hex(hex, two, strlen(two));
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void files_hash_as_memory(void **state) {
    (void)state;
    const char *path = "test_sha256.tmp";
    size_t sizes[] = {0, 1, ((size_t)1 << 20) - 1, (size_t)1 << 20, ((size_t)5 << 19) + 3};
    unsigned char *data = eg_malloc((size_t)3 << 20);
    for (size_t i = 0; i < (size_t)3 << 20; i++) data[i] = (unsigned char)(i * 2654435761u >> 24);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        eg_part part = {.data = data, .size = sizes[i]};
        assert_int_equal(eg_file_write_atomic(path, &part, 1, NULL), EG_OK);
        char a[65], b[65];
        eg_error err;
        assert_int_equal(eg_sha256_file(a, path, &err), EG_OK);
        eg_sha256_hex(b, data, sizes[i]);
        assert_string_equal(a, b);
    }
    eg_free(data);
    unlink(path);
}

static void errors_name_the_file(void **state) {
    (void)state;
    char hex[65] = "before";
    eg_error err = {0};
    assert_int_equal(eg_sha256_file(hex, "no/such/file", &err), EG_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no/such/file: "));
    assert_int_equal(eg_sha256_file(hex, ".", &err), EG_ERR_INPUT);
    /* a pipe or a device is no empty file */
    assert_int_equal(eg_sha256_file(hex, "/dev/null", &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "/dev/null: is not a regular file"));
    for (uint64_t k = 1; k <= 1; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_sha256_file(hex, "/proc/self/status", &err), EG_ERR_NO_MEMORY);
    }
    assert_string_equal(hex, "before");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples),
        cmocka_unit_test(files_hash_as_memory),
        cmocka_unit_test(errors_name_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
