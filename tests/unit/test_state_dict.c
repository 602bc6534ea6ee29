/* Placing of tensors: pointed at when dense and aligned, copied otherwise; names, index, notes. */
#include "codec/state_dict.h"

#include "unit/weights_samples.h"

static eg_codec_layout layout_of(const void *bytes, eg_dtype dtype, int n, const int64_t *dims,
                                 const int64_t *strides) {
    eg_codec_layout l = {.dtype = dtype, .n_dims = n, .bytes = bytes};
    for (int i = 0; i < n; i++) {
        l.dims[i] = dims[i];
        l.strides[i] = strides[i];
    }
    return l;
}

static const eg_tensor *add(eg_state_dict *sd, const char *name, const eg_codec_layout *l) {
    eg_error err = {0};
    if (eg_codec_sd_add(sd, name, strlen(name), l, &err) != EG_OK) fail_msg("%s", err.text);
    return eg_state_dict_at(sd, eg_state_dict_count(sd) - 1);
}

/* Every order of strides of a 2x3x4 tensor, against the definition, for every element width. */
static void gathers_any_strides(void **state) {
    (void)state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const eg_dtype dtypes[4] = {EG_DTYPE_U8, EG_DTYPE_I16, EG_DTYPE_F32, EG_DTYPE_I64};
    const int64_t dims[5] = {2, 1, 3, 4, 1};
    uint8_t raw[2 * 3 * 4 * 8 + 8];
    for (size_t i = 0; i < sizeof raw; i++) raw[i] = (uint8_t)(i * 37 + 11);
    for (int o = 0; o < 6; o++)
        for (int w = 0; w < 4; w++) {
            const int64_t sides[3] = {2, 3, 4};
            int64_t s[3], step = 1;
            for (int i = 2; i >= 0; i--) {
                s[orders[o][i]] = step;
                step *= sides[orders[o][i]];
            }
            const int64_t strides[5] = {s[0], 77, s[1], s[2], 0}; /* sides of 1: any stride */
            eg_codec_layout l = layout_of(raw, dtypes[w], 5, dims, strides);
            eg_state_dict *sd = eg_codec_sd_new("test");
            const eg_tensor *t = add(sd, "t", &l);
            size_t bytes = eg_dtype_bytes(dtypes[w]), at = 0;
            assert_int_equal(t->n_bytes, 24 * bytes);
            for (int64_t i = 0; i < 2; i++)
                for (int64_t j = 0; j < 3; j++)
                    for (int64_t k = 0; k < 4; k++, at += bytes)
                        assert_memory_equal((const uint8_t *)t->data + at,
                                            raw + (size_t)(i * s[0] + j * s[1] + k * s[2]) * bytes,
                                            bytes);
            eg_state_dict_free(sd);
        }
}

static void points_or_copies(void **state) {
    (void)state;
    static const float raw[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    eg_state_dict *sd = eg_codec_sd_new("test");
    eg_codec_layout l = layout_of(raw, EG_DTYPE_F32, 2, (int64_t[]){2, 4}, (int64_t[]){4, 1});
    assert_ptr_equal(add(sd, "dense", &l)->data, raw);
    l.bytes += 1; /* not aligned: 7 floats are left */
    l.dims[0] = 1;
    const eg_tensor *t = add(sd, "odd", &l);
    assert_ptr_not_equal(t->data, l.bytes);
    assert_memory_equal(t->data, l.bytes, 16);
    l = layout_of(raw, EG_DTYPE_F32, 1, (int64_t[]){0}, (int64_t[]){1});
    t = add(sd, "empty", &l);
    assert_int_equal(t->n_bytes, 0);
    assert_non_null(t->data);
    assert_int_equal(eg_codec_sd_seal(sd, NULL), EG_OK);
    eg_state_dict_free(sd);
}

static void names(void **state) {
    (void)state;
    static const float one = 1;
    eg_codec_layout l = {.dtype = EG_DTYPE_F32, .bytes = (const uint8_t *)&one};
    eg_error err = {0};
    eg_state_dict *sd = eg_codec_sd_new("test");
    assert_int_equal(eg_codec_sd_add(sd, "", 0, &l, &err), EG_ERR_INPUT);
    assert_int_equal(eg_codec_sd_add(sd, "a\0b", 3, &l, &err), EG_ERR_INPUT);
    add(sd, "module.b", &l);
    add(sd, "module.a", &l);
    add(sd, "a", &l); /* without the prefix: none is stripped */
    assert_int_equal(eg_codec_sd_seal(sd, NULL), EG_OK);
    assert_non_null(eg_state_dict_find(sd, "module.a"));
    assert_null(eg_state_dict_note(sd));
    eg_state_dict_free(sd);
    sd = eg_codec_sd_new("test");
    add(sd, "x", &l);
    add(sd, "y", &l);
    add(sd, "x", &l);
    assert_int_equal(eg_codec_sd_seal(sd, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "'x' is given twice"));
    eg_state_dict_free(sd);
    eg_state_dict_free(NULL);
}

static void notes(void **state) {
    (void)state;
    eg_state_dict *sd = eg_codec_sd_new("test");
    assert_true(eg_codec_sd_note(sd, "took '%s'", "x"));
    assert_true(eg_codec_sd_note(sd, "left %d", 3));
    assert_string_equal(eg_state_dict_note(sd), "took 'x'; left 3");
    assert_string_equal(eg_state_dict_container(sd), "test");
    eg_state_dict_free(sd);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gathers_any_strides),
                                       cmocka_unit_test(points_or_copies), cmocka_unit_test(names),
                                       cmocka_unit_test(notes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
