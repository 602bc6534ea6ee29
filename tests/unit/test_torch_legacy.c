/* The stacked-pickle container as PyTorch writes it; windows of Python 2's files come from the
 * hostile folder. */
#include "unit/weights_samples.h"

static void plain(void **state) {
    (void)state;
    eg_state_dict *sd = read_sample(SAMPLES "legacy_plain.pth");
    assert_string_equal(eg_state_dict_container(sd), "torch legacy");
    check_all_samples(sd);
    eg_state_dict_free(sd);
    sd = read_sample(SAMPLES "legacy_parameter.pth");
    check_sample(sd, 0);
    check_sample(sd, 1);
    eg_state_dict_free(sd);
}

static void window(void **state) {
    (void)state;
    eg_state_dict *sd = read_sample(HOSTILE "y_legacy_view.pth");
    const eg_tensor *w = eg_state_dict_find(sd, "w");
    assert_non_null(w);
    assert_int_equal(w->n_bytes, 8);
    assert_true(((const float *)w->data)[0] == 2 && ((const float *)w->data)[1] == 3);
    eg_state_dict_free(sd);
}

static void prefixes(void **state) {
    (void)state;
    check_prefixes(SAMPLES "legacy_plain.pth");
}

/* No checksum in this format: a flip in the data goes through, but none may crash. */
static void flips(void **state) {
    (void)state;
    assert_true(check_flips(SAMPLES "legacy_plain.pth", false) > 4000);
}

static void allocations(void **state) {
    (void)state;
    check_allocations(SAMPLES "legacy_nested.pth");
}

/* The published EfficientNet-Lite weights, when they are at hand. */
static void real_file(void **state) {
    (void)state;
    const char *path = getenv("ENGRAFT_TEST_LITE0");
    if (path == NULL || !eg_path_exists(path)) skip();
    eg_state_dict *sd = read_sample(path);
    const eg_tensor *stem = eg_state_dict_find(sd, "_conv_stem.weight");
    const eg_tensor *fc = eg_state_dict_find(sd, "_fc.weight");
    assert_non_null(stem);
    assert_non_null(fc);
    assert_int_equal(stem->n_bytes, 32 * 3 * 3 * 3 * 4);
    assert_int_equal(fc->n_bytes, 1000 * 1280 * 4);
    eg_state_dict_free(sd);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain),       cmocka_unit_test(window),
                                       cmocka_unit_test(prefixes),    cmocka_unit_test(flips),
                                       cmocka_unit_test(allocations), cmocka_unit_test(real_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
