/* Files that PyTorch wrote, element by element; damage at every place. */
#include "codec/zip_directory.h"

#include "unit/weights_samples.h"

static void plain(void **state) {
    (void)state;
    eg_state_dict *sd = read_sample(SAMPLES "zip_plain.pth");
    assert_string_equal(eg_state_dict_container(sd), "torch zip");
    check_all_samples(sd);
    for (int k = 0; k < N_SAMPLES; k++) /* the file's order is kept */
        assert_string_equal(eg_state_dict_at(sd, (size_t)k)->name, samples[k].name);
    assert_null(eg_state_dict_note(sd));
    assert_null(eg_state_dict_find(sd, "absent"));
    assert_null(eg_state_dict_at(sd, N_SAMPLES));
    assert_int_equal(eg_state_dict_n_globals(sd),
                     12); /* OrderedDict, rebuild and ten storage classes */
    eg_state_dict_free(sd);
}

static void deflated(void **state) {
    (void)state;
    eg_state_dict *sd = read_sample(SAMPLES "zip_deflated.pth");
    check_all_samples(sd);
    eg_state_dict_free(sd);
}

static void parameters(void **state) {
    (void)state;
    eg_state_dict *sd = read_sample(SAMPLES "zip_parameter.pth");
    assert_int_equal(eg_state_dict_count(sd), 2);
    check_sample(sd, 0);
    check_sample(sd, 1);
    eg_state_dict_free(sd);
}

static void prefixes(void **state) {
    (void)state;
    check_prefixes(SAMPLES "zip_parameter.pth");
    check_prefixes(SAMPLES "zip_deflated.pth");
}

/* Both kinds of archive have a checksum for every member, so no flip may change a tensor. */
static void flips(void **state) {
    (void)state;
    assert_true(check_flips(SAMPLES "zip_parameter.pth", true) > 4000);
    assert_true(check_flips(SAMPLES "zip_deflated.pth", true) > 4000);
}

static void random_flips(void **state) {
    (void)state;
    size_t n, n_refused = 0;
    uint8_t *data = load_bytes(SAMPLES "zip_plain.pth", &n);
    eg_state_dict *whole = try_decode(data, n);
    eg_random r = eg_random_make(7, 0, 0, 0);
    for (int i = 0; i < 200; i++) {
        uint32_t at = eg_random_below(&r, (uint32_t)n), bit = eg_random_below(&r, 8);
        data[at] ^= (uint8_t)(1u << bit);
        eg_state_dict *sd = try_decode(data, n);
        assert_true(sd == NULL || same_tensors(sd, whole));
        n_refused += sd == NULL;
        eg_state_dict_free(sd);
        data[at] ^= (uint8_t)(1u << bit);
    }
    assert_true(n_refused > 50);
    eg_state_dict_free(whole);
    eg_free(data);
}

static void allocations(void **state) {
    (void)state;
    check_allocations(SAMPLES "zip_nested.pth");
    check_allocations(SAMPLES "zip_deflated.pth");
}

/* Stored data is not copied: two tensors are as far from each other as their members in the file. */
static void borrows_stored_data(void **state) {
    (void)state;
    size_t n, before = eg_memory_stats_get().bytes_now;
    uint8_t *data = load_bytes(SAMPLES "zip_model.pth", &n);
    eg_zip_directory *zip = NULL;
    assert_int_equal(eg_codec_zip_open(&zip, data, n, NULL), EG_OK);
    size_t first = eg_codec_zip_find(zip, "zip_model/data/0")->offset;
    size_t second = eg_codec_zip_find(zip, "zip_model/data/1")->offset;
    eg_codec_zip_close(zip);
    eg_free(data);
    eg_state_dict *sd = read_sample(SAMPLES "zip_model.pth");
    const uint8_t *a = eg_state_dict_find(sd, "0.weight")->data;
    const uint8_t *b = eg_state_dict_find(sd, "0.bias")->data;
    assert_int_equal((uintptr_t)a % 64, 0); /* torch aligns each storage in the file */
    assert_int_equal(b - a, (ptrdiff_t)second - (ptrdiff_t)first);
    eg_state_dict_free(sd);
    assert_int_equal(eg_memory_stats_get().bytes_now, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),       cmocka_unit_test(deflated),
        cmocka_unit_test(parameters),  cmocka_unit_test(prefixes),
        cmocka_unit_test(flips),       cmocka_unit_test(random_flips),
        cmocka_unit_test(allocations), cmocka_unit_test(borrows_stored_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
