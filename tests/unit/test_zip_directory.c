/* The directory of a real archive, and the arithmetic of its end records. The broken archives are
 * in tests/data/hostile. */
#include "codec/zip_directory.h"

#include "unit/weights_samples.h"

static void real_archive(void **state) {
    (void)state;
    size_t n;
    uint8_t *data = load_bytes(SAMPLES "zip_plain.pth", &n);
    eg_zip_directory *zip = NULL;
    eg_error err = {0};
    if (eg_codec_zip_open(&zip, data, n, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(zip->members[0].name, "zip_plain/data.pkl");
    const eg_zip_member *m = eg_codec_zip_find(zip, "zip_plain/data/0");
    assert_non_null(m);
    assert_int_equal(m->n_bytes, 24);
    assert_int_equal(m->offset % 64,
                     0); /* torch aligns data with an extra field of the local header */
    assert_ptr_equal(m->data, data + m->offset);
    assert_false(m->deflated);
    assert_null(eg_codec_zip_find(zip, "zip_plain/data/99"));
    assert_int_equal(eg_codec_zip_verify(zip, &err), EG_OK);
    data[m->offset] ^= 1;
    assert_int_equal(eg_codec_zip_verify(zip, &err), EG_ERR_INPUT);
    assert_int_equal(err.offset, m->offset);
    eg_codec_zip_close(zip);
    eg_codec_zip_close(NULL);
    eg_free(data);
}

static void unpacks(void **state) {
    (void)state;
    size_t n, n_plain;
    uint8_t *data = load_bytes(SAMPLES "zip_deflated.pth", &n);
    eg_zip_directory *zip = NULL;
    assert_int_equal(eg_codec_zip_open(&zip, data, n, NULL), EG_OK);
    const eg_zip_member *m = eg_codec_zip_find(zip, "archive/version");
    assert_non_null(m);
    assert_true(m->deflated);
    const uint8_t *bytes;
    void *block;
    assert_int_equal(eg_codec_zip_unpack(&bytes, &block, m, NULL), EG_OK);
    assert_int_equal(m->n_bytes, 2);
    assert_memory_equal(bytes, "3\n", 2);
    eg_free(block);
    eg_codec_zip_close(zip);
    eg_free(data);
    data = load_bytes(HOSTILE "y_zip_gap.pth", &n_plain);
    assert_int_equal(eg_codec_zip_open(&zip, data, n_plain, NULL), EG_OK);
    eg_codec_zip_close(zip);
    eg_free(data);
}

/* A member of 9 MB goes through the parallel check; a wrong byte in the last member is found there
 * too. */
static void parallel_check(void **state) {
    (void)state;
    size_t side = (size_t)9 << 20;
    uint8_t *big = eg_calloc(side, 1);
    eg_zip_member members[2] = {
        {.name = "a", .data = big, .n_bytes = side, .packed_bytes = side, .crc = 0},
        {.name = "b",
         .data = (const uint8_t *)"123456789",
         .n_bytes = 9,
         .packed_bytes = 9,
         .crc = 0xCBF43926}};
    eg_zip_directory zip = {.members = members, .n = 2, .unpacked_bytes = side + 9};
    eg_error err = {0};
    assert_int_equal(eg_codec_zip_verify(&zip, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "'a'"));
    members[0] = members[1];
    assert_int_equal(eg_codec_zip_verify(&zip, &err), EG_OK); /* the check value of CRC-32 */
    members[1].crc ^= 1;
    assert_int_equal(eg_codec_zip_verify(&zip, &err), EG_ERR_INPUT);
    eg_free(big);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(real_archive), cmocka_unit_test(unpacks),
                                       cmocka_unit_test(parallel_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
