/* Conversions to f32: every f16 and bf16 pattern against arithmetic from the definition, edges of
 * the others. */
#include "unit/weights_samples.h"

#include <math.h>

static float convert_one(eg_dtype dtype, const void *value) {
    eg_tensor t = {.dtype = dtype, .data = value, .n_bytes = eg_dtype_bytes(dtype)};
    float out = 99;
    assert_true(eg_tensor_to_f32(&out, &t));
    return out;
}

/* value = (-1)^s x 2^(e-15) x 1.m, or 2^-14 x 0.m, in doubles, where all of it is exact */
static void every_half(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        int e = (int)(bits >> 10 & 31);
        double m = (double)(bits & 1023) / 1024, sign = bits & 0x8000 ? -1 : 1;
        float got = convert_one(EG_DTYPE_F16, &half);
        if (e == 31 && m != 0) {
            assert_true(isnan(got));
            continue;
        }
        double want = e == 31 ? (double)INFINITY : e == 0 ? ldexp(m, -14) : ldexp(1 + m, e - 15);
        assert_true((double)got == sign * want);
        assert_int_equal(signbit(got) != 0, bits >> 15);
    }
}

static void every_bfloat16(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        float got = convert_one(EG_DTYPE_BF16, &half);
        int e = (int)(bits >> 7 & 255);
        double m = (double)(bits & 127) / 128, sign = bits & 0x8000 ? -1 : 1;
        if (e == 255 && m != 0) {
            assert_true(isnan(got));
            continue;
        }
        double want = e == 255 ? (double)INFINITY : e == 0 ? ldexp(m, -126) : ldexp(1 + m, e - 127);
        assert_true((double)got == sign * want);
    }
}

static void the_others(void **state) {
    (void)state;
    assert_true(convert_one(EG_DTYPE_F64, &(double){0.1}) == 0.1f);
    assert_true(convert_one(EG_DTYPE_F64, &(double){1 + 0x1p-24}) == 1.0f); /* tie to even */
    assert_true(convert_one(EG_DTYPE_I64, &(int64_t){-((int64_t)1 << 40)}) == -0x1p40f);
    assert_true(convert_one(EG_DTYPE_I64, &(int64_t){16777217}) == 16777216.0f);
    assert_true(convert_one(EG_DTYPE_I32, &(int32_t){INT32_MIN}) == -0x1p31f);
    assert_true(convert_one(EG_DTYPE_I16, &(int16_t){-3}) == -3);
    assert_true(convert_one(EG_DTYPE_I8, &(int8_t){-128}) == -128);
    assert_true(convert_one(EG_DTYPE_U8, &(uint8_t){255}) == 255);
    float out = 5;
    eg_tensor boolean = {.dtype = EG_DTYPE_BOOL, .data = "\1", .n_bytes = 1};
    assert_false(eg_tensor_to_f32(&out, &boolean));
    assert_true(out == 5);
}

static void table_is_total(void **state) {
    (void)state;
    static const size_t bytes[EG_DTYPE_COUNT] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1};
    for (int i = 0; i < EG_DTYPE_COUNT; i++) {
        assert_int_equal(eg_dtype_bytes((eg_dtype)i), bytes[i]);
        assert_non_null(eg_dtype_name((eg_dtype)i));
    }
    assert_int_equal(eg_dtype_bytes(EG_DTYPE_COUNT), 0);
    assert_string_equal(eg_dtype_name(EG_DTYPE_BF16), "BF16");
    assert_int_equal(eg_tensor_count(&(eg_tensor){.n_dims = 3, .dims = {2, 3, 4}}), 24);
    assert_int_equal(eg_tensor_count(&(eg_tensor){.n_dims = 0}), 1);
    assert_int_equal(eg_tensor_count(&(eg_tensor){.n_dims = 2, .dims = {0, 4}}), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half), cmocka_unit_test(every_bfloat16),
        cmocka_unit_test(the_others), cmocka_unit_test(table_is_total)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
