/* A file of the reference implementation, our writer, and damage at every place. */
#include "unit/weights_samples.h"

#include <unistd.h>

#define WRITTEN TEST_BINARY_DIR "/test_safetensors.safetensors"

static void reads_reference_file(void **state) {
    (void)state;
    eg_state_dict *sd = read_sample(SAMPLES "plain.safetensors");
    assert_string_equal(eg_state_dict_container(sd), "safetensors");
    check_all_samples(sd);
    assert_string_equal(eg_state_dict_metadata(sd, "format"), "pt");
    assert_string_equal(eg_state_dict_metadata(sd, "made by"), "a \"test\" \xc3\xa9");
    assert_null(eg_state_dict_metadata(sd, "absent"));
    assert_int_equal(eg_state_dict_n_globals(sd), 0);
    eg_state_dict_free(sd);
}

static const eg_text_pair metadata[] = {{"classes", "[\"NORMAL\",\"PNEUMONIA\"]"},
                                        {"text", "tab\t quote\" \\ \xc3\xa9 \x01"}};

/* All sample tensors, in an order that is not the file's. */
static void write_samples(const char *path) {
    eg_state_dict *sd = read_sample(SAMPLES "zip_plain.pth");
    eg_tensor tensors[N_SAMPLES];
    for (size_t i = 0; i < N_SAMPLES; i++) tensors[i] = *eg_state_dict_at(sd, (i * 5) % N_SAMPLES);
    eg_error err = {0};
    if (eg_safetensors_write(path, tensors, N_SAMPLES, metadata, 2, &err) != EG_OK)
        fail_msg("%s", err.text);
    eg_state_dict_free(sd);
}

static void writes_what_it_reads(void **state) {
    (void)state;
    write_samples(WRITTEN);
    eg_state_dict *sd = read_sample(WRITTEN);
    check_all_samples(sd);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(eg_state_dict_metadata(sd, metadata[i].key), metadata[i].value);
    assert_int_equal(strlen(eg_state_dict_metadata(sd, "engraft.sha256")), 64);
    for (size_t i = 1; i < N_SAMPLES; i++) { /* widest type first, then by name */
        const eg_tensor *a = eg_state_dict_at(sd, i - 1), *b = eg_state_dict_at(sd, i);
        size_t x = eg_dtype_bytes(a->dtype), y = eg_dtype_bytes(b->dtype);
        assert_true(x > y || (x == y && strcmp(a->name, b->name) < 0));
    }
    eg_state_dict_free(sd);
    size_t n, again;
    uint8_t *first = load_bytes(WRITTEN, &n);
    uint64_t header;
    memcpy(&header, first, 8);
    assert_int_equal((8 + header) % 64, 0);
    assert_int_equal(first[8], '{');
    write_samples(WRITTEN);
    uint8_t *second = load_bytes(WRITTEN, &again);
    assert_int_equal(n, again);
    assert_memory_equal(first, second, n);
    eg_free(first);
    eg_free(second);
}

static void refuses_bad_input(void **state) {
    (void)state;
    float x[2] = {1, 2};
    eg_tensor t[2] = {{.name = "a", .n_dims = 1, .dims = {2}, .data = x, .n_bytes = 8}};
    t[1] = t[0];
    eg_error err = {0};
    unlink(WRITTEN);
    assert_int_equal(eg_safetensors_write(WRITTEN, t, 2, NULL, 0, &err), EG_ERR_INTERNAL);
    t[1].name = "__metadata__";
    assert_int_equal(eg_safetensors_write(WRITTEN, t, 2, NULL, 0, &err), EG_ERR_INTERNAL);
    t[0].n_bytes = 4;
    assert_int_equal(eg_safetensors_write(WRITTEN, t, 1, NULL, 0, &err), EG_ERR_INTERNAL);
    t[0].n_bytes = 8;
    eg_text_pair twice[2] = {{"k", "1"}, {"k", "2"}};
    assert_int_equal(eg_safetensors_write(WRITTEN, t, 1, twice, 2, &err), EG_ERR_INTERNAL);
    assert_false(eg_path_exists(WRITTEN));
    assert_int_equal(eg_safetensors_write("/nonexistent/x", t, 1, NULL, 0, &err), EG_ERR_IO);
    assert_int_equal(eg_safetensors_write(WRITTEN, t, 1, NULL, 0, &err), EG_OK);
    assert_int_equal(eg_safetensors_write(WRITTEN, NULL, 0, NULL, 0, &err), EG_OK);
    eg_state_dict *sd = read_sample(WRITTEN);
    assert_int_equal(eg_state_dict_count(sd), 0);
    eg_state_dict_free(sd);
}

static void prefixes(void **state) {
    (void)state;
    check_prefixes(SAMPLES "plain.safetensors");
}

/* The reference's file has no checksum; ours has one, so no flip in the data may pass. */
static void flips(void **state) {
    (void)state;
    assert_true(check_flips(SAMPLES "plain.safetensors", false) > 1000);
    write_samples(WRITTEN);
    size_t n;
    uint8_t *data = load_bytes(WRITTEN, &n);
    uint64_t header;
    memcpy(&header, data, 8);
    for (size_t i = 8 + header; i < n; i++) {
        data[i] ^= 0x10;
        eg_state_dict *sd = try_decode(data, n);
        assert_null(sd);
        data[i] ^= 0x10;
    }
    eg_free(data);
}

static void allocations(void **state) {
    (void)state;
    check_allocations(SAMPLES "plain.safetensors");
    eg_state_dict *sd = read_sample(SAMPLES "plain.safetensors");
    size_t before = eg_memory_stats_get().bytes_now;
    eg_status status = EG_ERR_NO_MEMORY;
    for (uint64_t k = 1; status != EG_OK; k++) {
        eg_error err = {0};
        eg_memory_fail_at(k);
        status =
            eg_safetensors_write(WRITTEN, eg_state_dict_at(sd, 0), N_SAMPLES, metadata, 2, &err);
        eg_memory_fail_at(0);
        assert_true(status == EG_OK || status == EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    eg_state_dict_free(sd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_reference_file),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(refuses_bad_input),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(flips),
        cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
