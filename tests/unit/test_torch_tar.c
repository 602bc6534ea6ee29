/* The tar container of 2017: files that PyTorch itself reads back equal (make_weights_samples.py checks
 * that), views, Python 2, and damage at every place. */
#include "unit/weights_samples.h"

/* The sample tensors whose types 2017 had: all but bf16, bool and empty. */
static void check_old_samples(const eg_state_dict *sd) {
    size_t n = 0;
    for (int k = 0; k < N_SAMPLES; k++) {
        bool old = samples[k].dtype != EG_DTYPE_BF16 && samples[k].dtype != EG_DTYPE_BOOL &&
                   strcmp(samples[k].name, "empty") != 0;
        if (!old) continue;
        assert_string_equal(eg_state_dict_at(sd, n++)->name, samples[k].name);
        check_sample(sd, k);
    }
    assert_int_equal(eg_state_dict_count(sd), n);
    assert_int_equal(n, 13);
}

static void plain(void **state) {
    (void)state;
    eg_state_dict *sd = read_sample(SAMPLES "tar_plain.pth");
    assert_string_equal(eg_state_dict_container(sd), "torch tar");
    assert_null(eg_state_dict_note(sd));
    check_old_samples(sd);
    eg_state_dict_free(sd);
    sd = read_sample(SAMPLES "tar_nested.pth");
    check_old_samples(sd);
    assert_string_equal(eg_state_dict_note(sd), "took 'model' of {epoch, arch, best, big, model}");
    eg_state_dict_free(sd);
}

/* A window of two elements into four; what Python 2 wrote; a tensor of a GPU. */
static void variants(void **state) {
    (void)state;
    static const struct {
        const char *path;
        size_t n;
        float first;
    } cases[] = {{HOSTILE "y_tar_view.pth", 2, 2},     {HOSTILE "y_tar_python2.pth", 4, 1},
                 {HOSTILE "y_tar_gpu.pth", 4, 1},      {HOSTILE "y_tar_scalar.pth", 1, 1},
                 {HOSTILE "y_tar_pax_time.pth", 4, 1}, {HOSTILE "y_tar_gnu.pth", 4, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_state_dict *sd = read_sample(cases[i].path);
        const eg_tensor *w = eg_state_dict_find(sd, "w");
        assert_non_null(w);
        assert_int_equal(w->n_bytes, 4 * cases[i].n);
        for (size_t k = 0; k < cases[i].n; k++)
            assert_true(((const float *)w->data)[k] == cases[i].first + (float)k);
        eg_state_dict_free(sd);
    }
}

/* A prefix is refused unless only zeros behind the end of the archive are missing: nothing of the
 * file's content is lost then. */
static void prefixes(void **state) {
    (void)state;
    size_t n, content;
    uint8_t *data = load_bytes(SAMPLES "tar_plain.pth", &n);
    eg_state_dict *whole = try_decode(data, n);
    assert_non_null(whole);
    for (content = n; data[content - 1] == 0; content--) {
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t *exact = eg_malloc(i > 0 ? i : 1);
        memcpy(exact, data, i);
        eg_state_dict *sd = try_decode(exact, i);
        assert_true(sd == NULL || (i >= content + 1024 && same_tensors(sd, whole)));
        eg_state_dict_free(sd);
        eg_free(exact);
    }
    eg_state_dict_free(whole);
    eg_free(data);
}

/* 200 bits by chance, then every bit of a small file: no checksum over the data, so no more is asked
 * than that nothing crashes and shapes are sound (try_decode touches every byte). */
static void flips(void **state) {
    (void)state;
    size_t n, n_refused = 0;
    uint8_t *data = load_bytes(SAMPLES "tar_plain.pth", &n);
    eg_random r = eg_random_make(7, 0, 0, 0);
    for (int i = 0; i < 200; i++) {
        uint32_t at = eg_random_below(&r, (uint32_t)n), bit = eg_random_below(&r, 8);
        data[at] ^= (uint8_t)(1u << bit);
        eg_state_dict *sd = try_decode(data, n);
        n_refused += sd == NULL;
        eg_state_dict_free(sd);
        data[at] ^= (uint8_t)(1u << bit);
    }
    assert_true(n_refused > 30);
    eg_free(data);
    assert_true(check_flips(HOSTILE "y_tar_plain.pth", false) > 5000);
}

static void allocations(void **state) {
    (void)state;
    check_allocations(SAMPLES "tar_nested.pth");
    check_allocations(HOSTILE "y_tar_view.pth");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain), cmocka_unit_test(variants),
                                       cmocka_unit_test(prefixes), cmocka_unit_test(flips),
                                       cmocka_unit_test(allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
