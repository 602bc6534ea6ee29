/* Which copy of the kernels runs: one table an instruction set, each total, chosen once from what the processor and the
 * operating system can do, capped on request. The choice is visible in `engraft version --kernels`.             */
#include "compute/backend.h"
#include <cpuid.h>
#include <stdatomic.h>
#include <string.h>

/* f32: every kernel; bf16: those that have values */
#define DECLARE(name, params, isa)        void eg_kern_##name##_##isa params;
#define DECLARE_SCALAR(name, params)      DECLARE(name, params, scalar)
#define DECLARE_AVX2(name, params)        DECLARE(name, params, avx2)
#define DECLARE_AVX512(name, params)      DECLARE(name, params, avx512)
#define DECLARE_SCALAR_BF16(name, params) DECLARE(name, params, scalar_bf16)
#define DECLARE_AVX2_BF16(name, params)   DECLARE(name, params, avx2_bf16)
#define DECLARE_AVX512_BF16(name, params) DECLARE(name, params, avx512_bf16)
#define DECLARE_NATIVE_BF16(name, params) DECLARE(name, params, avx512bf16_bf16)
EG_KERNEL_LIST(DECLARE_SCALAR)
EG_KERNEL_LIST(DECLARE_AVX2)
EG_KERNEL_LIST(DECLARE_AVX512)
EG_VALUE_KERNEL_LIST(DECLARE_SCALAR_BF16)
EG_VALUE_KERNEL_LIST(DECLARE_AVX2_BF16)
EG_VALUE_KERNEL_LIST(DECLARE_AVX512_BF16)
EG_VALUE_KERNEL_LIST(DECLARE_NATIVE_BF16)

#define MEMBER_SCALAR(name, params)      .name = eg_kern_##name##_scalar,
#define MEMBER_AVX2(name, params)        .name = eg_kern_##name##_avx2,
#define MEMBER_AVX512(name, params)      .name = eg_kern_##name##_avx512,
#define MEMBER_SCALAR_BF16(name, params) .name = eg_kern_##name##_scalar_bf16,
#define MEMBER_AVX2_BF16(name, params)   .name = eg_kern_##name##_avx2_bf16,
#define MEMBER_AVX512_BF16(name, params) .name = eg_kern_##name##_avx512_bf16,
#define MEMBER_NATIVE_BF16(name, params) .name = eg_kern_##name##_avx512bf16_bf16,
static const eg_kernels tables[EG_ISA_COUNT][EG_TYPE_COUNT] = {
    [EG_ISA_SCALAR] = {{EG_KERNEL_LIST(MEMBER_SCALAR)}, {EG_VALUE_KERNEL_LIST(MEMBER_SCALAR_BF16)}},
    [EG_ISA_AVX2] = {{EG_KERNEL_LIST(MEMBER_AVX2)}, {EG_VALUE_KERNEL_LIST(MEMBER_AVX2_BF16)}},
    [EG_ISA_AVX512] = {{EG_KERNEL_LIST(MEMBER_AVX512)}, {EG_VALUE_KERNEL_LIST(MEMBER_AVX512_BF16)}},
    [EG_ISA_AVX512BF16] = {{EG_KERNEL_LIST(MEMBER_AVX512)},
                           {EG_VALUE_KERNEL_LIST(MEMBER_NATIVE_BF16)}},
};
static const char *const names[EG_ISA_COUNT] = {"scalar", "avx2", "avx512", "avx512bf16"};

/* the cap; EG_ISA_COUNT = none. Set before the first kernel call (engraft.h, eg_isa_limit). */
static eg_isa cap = EG_ISA_COUNT;

const char *eg_isa_name(eg_isa isa) {
    return isa < EG_ISA_COUNT ? names[isa] : "unknown";
}

static bool has_avx512bf16(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5)) != 0;
}

/* __builtin_cpu_supports reads CPUID and XGETBV: an AVX-512 bit without the system's support counts as absent */
static eg_isa detect(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return has_avx512bf16() ? EG_ISA_AVX512BF16 : EG_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return EG_ISA_AVX2;
    return EG_ISA_SCALAR;
}

/* Asked at every kernel call, and CPUID leaves a virtual machine, which takes as long as a small kernel: once is enough.
 * Threads that come at the same time find the same. */
eg_isa eg_isa_best(void) {
    static _Atomic int found = -1;
    int best = atomic_load_explicit(&found, memory_order_relaxed);
    if (best < 0) {
        best = (int)detect();
        atomic_store_explicit(&found, best, memory_order_relaxed);
    }
    return (eg_isa)best;
}

eg_isa eg_isa_now(void) {
    eg_isa best = eg_isa_best();
    return cap < best ? cap : best;
}

eg_status eg_isa_cap(const char *name, eg_error *err) {
    for (int i = 0; i < EG_ISA_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            cap = (eg_isa)i;
            eg_compute_backend_cap(cap);
            return EG_OK;
        }
    return eg_fail(err, EG_ERR_USAGE,
                   "instruction set '%s': expected scalar, avx2, avx512 or avx512bf16", name);
}

bool eg_bf16_is_native(void) {
    return eg_isa_now() == EG_ISA_AVX512BF16; /* every processor with AMX-BF16 has it too */
}

const eg_kernels *eg_kernels_of(eg_isa isa, eg_type type) {
    return isa < EG_ISA_COUNT && isa <= eg_isa_best() ? &tables[isa][type] : NULL;
}

const eg_kernels *eg_kernels_for(eg_type type) {
    return &tables[eg_isa_now()][type];
}

const eg_kernels *eg_kernels_get(void) {
    return eg_kernels_for(EG_TYPE_F32);
}
