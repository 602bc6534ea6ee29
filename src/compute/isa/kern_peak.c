/* The arithmetic limit of one core, measured: chains of multiply-adds in registers, each waiting only for itself, enough of
 * them to keep every unit busy. Touches no memory. In bf16 it is the dot product of pairs where the processor has it, and
 * elsewhere that of float, for there products are made in float. AMX is not counted: its tiles do more than this.
 * Users: net/profile.c. Read first: compute.h, vec.h.                                                         */
#include "compute/isa/vec.h"

/* latency times units is 8 on the cores known (4 cycles, 2 units; dot products: 6 cycles, 1 or 2); 12 and two constants fit
 * AVX2's 16 registers */
enum { CHAINS = 12 };

#if defined(ENGRAFT_VALUE_bf16) && defined(__AVX512BF16__)
enum { PRODUCTS = 2 }; /* multiply-adds a lane and instruction */
/* x + 1 * 2^-10 + 1 * 2^-10, exact for many more rounds than anybody waits for */
ALWAYS_INLINE vf chain(vf x) {
    __m512bh one = (__m512bh)_mm512_set1_epi16(0x3f80), step = (__m512bh)_mm512_set1_epi16(0x3a80);
    return _mm512_dpbf16_ps(x, one, step);
}
#else
enum { PRODUCTS = 1 };
/* goes to 2 */
ALWAYS_INLINE vf chain(vf x) {
    return vf_fma(x, vf_set(0.5f), vf_set(1.0f));
}
#endif

/* The result is read, so nothing of it can be left out. */
void KERNEL(fma_chains)(float *out, double *flops, size_t rounds) {
    vf x[CHAINS], sum = vf_set(0.0f);
    for (int i = 0; i < CHAINS; i++) x[i] = vf_set((float)i);
    for (size_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++) x[i] = chain(x[i]);
    for (int i = 0; i < CHAINS; i++) sum = vf_add(sum, x[i]);
    *out = vf_total(sum) / (float)(CHAINS * VF_N);
    *flops = 2.0 * PRODUCTS * CHAINS * VF_N * (double)rounds;
}
