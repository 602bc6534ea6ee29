/* Every vector kernel, for every instruction set of this machine and both types of values, against plain loops in double on
 * edge shapes. The list of tests is the list of kernels (compute.h): a kernel without a check_<kernel> does not link into
 * it. Checks: kernels_rows.h, kernels_windows.h, kernels_float.h; what they compare by: oracle.h.                 */
#include "ref/kernels_float.h"
#include "ref/kernels_windows.h"

/* values in f32 and bf16 */
#define VALUE_TEST(name, params)                                                                   \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        each_target(check_##name, EG_TYPE_COUNT);                                                  \
    }
#define FLOAT_TEST(name, params)                                                                   \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        each_target(check_##name, 1);                                                              \
    }
EG_VALUE_KERNEL_LIST(VALUE_TEST)
EG_FLOAT_KERNEL_LIST(FLOAT_TEST)

/* A table has every kernel of its type: a hole would be a call of NULL in some network on some machine. */
static void test_tables_are_total(void **state) {
    (void)state;
    for (int i = 0; i < EG_ISA_COUNT; i++) {
        const eg_kernels *f32 = eg_kernels_of((eg_isa)i, EG_TYPE_F32);
        const eg_kernels *bf16 = eg_kernels_of((eg_isa)i, EG_TYPE_BF16);
        assert_int_equal(f32 != NULL, (eg_isa)i <= eg_isa_best());
        assert_int_equal(bf16 != NULL, (eg_isa)i <= eg_isa_best());
        if (!f32) continue;
#define THERE(name, params) assert_true(f32->name != NULL);
        EG_KERNEL_LIST(THERE)
#define THERE_IN_BOTH(name, params) assert_true(bf16->name != NULL && bf16->name != f32->name);
        EG_VALUE_KERNEL_LIST(THERE_IN_BOTH)
#define NOT_THERE(name, params) assert_true(bf16->name == NULL);
        EG_FLOAT_KERNEL_LIST(NOT_THERE)
    }
}

#define ENTRY(name, params) cmocka_unit_test(test_##name),
int main(void) {
    const struct CMUnitTest tests[] = {EG_KERNEL_LIST(ENTRY)
                                           cmocka_unit_test(test_tables_are_total)};
    return cmocka_run_group_tests(tests, kernels_set_up, kernels_tear_down);
}
