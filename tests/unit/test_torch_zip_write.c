/* The .pth writer: bit-equal through our own reader, the same bytes twice, aligned, and what PyTorch
 * itself makes of it (scripts/check_torch_zip.py, when a Python with torch is there). */
#include "codec/zip_directory.h"

#include "unit/weights_samples.h"

#include <sys/wait.h>
#include <unistd.h>

#define WRITTEN TEST_BINARY_DIR "/test_torch_zip_write.pth"

static void write_or_fail(const eg_tensor *tensors, size_t n) {
    eg_error err = {0};
    if (eg_torch_zip_write(WRITTEN, tensors, n, &err) != EG_OK) fail_msg("%s", err.text);
}

/* Every dtype, a scalar, an empty tensor: same order, types, shapes, bytes. */
static void round_trip(void **state) {
    (void)state;
    eg_state_dict *from = read_sample(SAMPLES "zip_plain.pth");
    write_or_fail(eg_state_dict_at(from, 0), N_SAMPLES);
    eg_state_dict *back = read_sample(WRITTEN);
    assert_string_equal(eg_state_dict_container(back), "torch zip");
    assert_null(eg_state_dict_note(back));
    check_all_samples(back);
    assert_true(same_tensors(from, back));
    eg_state_dict_free(back);
    size_t n, again;
    uint8_t *first = load_bytes(WRITTEN, &n);
    write_or_fail(eg_state_dict_at(from, 0), N_SAMPLES);
    uint8_t *second = load_bytes(WRITTEN, &again);
    assert_int_equal(n, again);
    assert_memory_equal(first, second, n);
    eg_zip_directory *zip = NULL;
    assert_int_equal(eg_codec_zip_open(&zip, first, n, NULL), EG_OK);
    assert_int_equal(zip->n, N_SAMPLES + 3);
    for (size_t i = 0; i < zip->n; i++) assert_int_equal(zip->members[i].offset % 64, 0);
    eg_codec_zip_close(zip);
    eg_free(first);
    eg_free(second);
    eg_state_dict_free(from);
}

/* More than a thousand names: several SETITEMS, long memo slots, and no "memo bomb" of our own. */
static void many(void **state) {
    (void)state;
    enum { N = 2500 };
    static float values[N];
    static char names[N][24];
    static eg_tensor tensors[N];
    for (int i = 0; i < N; i++) {
        values[i] = (float)i;
        snprintf(names[i], sizeof names[i], "layer.%d", i);
        tensors[i] = (eg_tensor){.name = names[i], .data = &values[i], .n_bytes = 4};
    }
    write_or_fail(tensors, N);
    eg_state_dict *sd = read_sample(WRITTEN);
    assert_int_equal(eg_state_dict_count(sd), N);
    for (size_t i = 0; i < N; i++) {
        const eg_tensor *t = eg_state_dict_at(sd, i);
        assert_string_equal(t->name, names[i]);
        assert_int_equal(t->n_dims, 0);
        assert_true(((const float *)t->data)[0] == (float)i);
    }
    eg_state_dict_free(sd);
}

/* Sides of every width of the pickle's integers; a file of one tensor. */
static void long_sides(void **state) {
    (void)state;
    static const int64_t sides[] = {1, 255, 256, 65535, 65536, 100000};
    uint8_t *bytes = eg_calloc(100000, 1);
    for (int i = 0; i < 100000; i++) bytes[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        eg_tensor t = {.name = "\xc3\xa9.w",
                       .dtype = EG_DTYPE_U8,
                       .n_dims = 5,
                       .dims = {1, 1, sides[i], 1, 1},
                       .data = bytes,
                       .n_bytes = (size_t)sides[i]};
        write_or_fail(&t, 1);
        eg_state_dict *sd = read_sample(WRITTEN);
        const eg_tensor *back = eg_state_dict_find(sd, t.name);
        assert_non_null(back);
        assert_memory_equal(back->dims, t.dims, sizeof t.dims);
        assert_memory_equal(back->data, bytes, t.n_bytes);
        eg_state_dict_free(sd);
    }
    eg_free(bytes);
}

static void refuses_bad_input(void **state) {
    (void)state;
    float x[2] = {1, 2};
    eg_tensor t[2] = {{.name = "a", .n_dims = 1, .dims = {2}, .data = x, .n_bytes = 8}};
    t[1] = t[0];
    eg_error err = {0};
    unlink(WRITTEN);
    assert_int_equal(eg_torch_zip_write(WRITTEN, t, 2, &err), EG_ERR_INTERNAL);
    assert_non_null(strstr(err.text, "'a' is given twice"));
    t[0].n_bytes = 4;
    assert_int_equal(eg_torch_zip_write(WRITTEN, t, 1, &err), EG_ERR_INTERNAL);
    t[0].n_bytes = 8;
    t[0].name = "\xff";
    assert_int_equal(eg_torch_zip_write(WRITTEN, t, 1, &err), EG_ERR_INTERNAL);
    assert_false(eg_path_exists(WRITTEN));
    assert_int_equal(eg_torch_zip_write("/nonexistent/x.pth", t + 1, 1, &err), EG_ERR_IO);
    assert_int_equal(eg_torch_zip_write(WRITTEN, t, 90001, &err), EG_ERR_LIMIT);
}

static void allocations(void **state) {
    (void)state;
    eg_state_dict *sd = read_sample(SAMPLES "zip_plain.pth");
    size_t before = eg_memory_stats_get().bytes_now;
    eg_status status = EG_ERR_NO_MEMORY;
    for (uint64_t k = 1; status != EG_OK; k++) {
        eg_error err = {0};
        eg_memory_fail_at(k);
        status = eg_torch_zip_write(WRITTEN, eg_state_dict_at(sd, 0), N_SAMPLES, &err);
        eg_memory_fail_at(0);
        assert_true(status == EG_OK || status == EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    eg_state_dict_free(sd);
}

/* The heap that writing takes does not grow with the data. */
static void streams(void **state) {
    (void)state;
    size_t n = (size_t)16 << 20;
    float *big = eg_calloc(n / 4, 4);
    eg_tensor t = {.name = "w", .n_dims = 1, .dims = {(int64_t)n / 4}, .data = big, .n_bytes = n};
    size_t peak = eg_memory_stats_get().bytes_peak;
    write_or_fail(&t, 1);
    assert_true(eg_memory_stats_get().bytes_peak < peak + (1 << 20));
    eg_free(big);
    unlink(WRITTEN);
}

/* torch.load(weights_only=True), mmap, and the same values as the sample that torch wrote. */
static void torch_reads_it(void **state) {
    (void)state;
    const char *python = getenv("ENGRAFT_TEST_PYTHON");
    if (python == NULL) python = "python3";
    eg_state_dict *from = read_sample(SAMPLES "zip_plain.pth");
    write_or_fail(eg_state_dict_at(from, 0), N_SAMPLES);
    eg_state_dict_free(from);
    char command[2048];
    snprintf(command, sizeof command, "'%s' '%s/scripts/check_torch_zip.py' '%s' '%s'", python,
             TEST_SOURCE_DIR, WRITTEN, SAMPLES "zip_plain.pth");
    int code = system(command);
    assert_true(WIFEXITED(code));
    if (WEXITSTATUS(code) == 77 || WEXITSTATUS(code) == 127) skip(); /* no torch, no Python */
    assert_int_equal(WEXITSTATUS(code), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),     cmocka_unit_test(many),
        cmocka_unit_test(long_sides),     cmocka_unit_test(refuses_bad_input),
        cmocka_unit_test(allocations),    cmocka_unit_test(streams),
        cmocka_unit_test(torch_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
