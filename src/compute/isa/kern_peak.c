/* The arithmetic limit of one core, measured: chains of fused multiply-adds in registers, each waiting only for itself,
 * enough of them to keep every unit busy. Touches no memory. Users: net/profile.c. Read first: compute.h, vec.h.     */
#include "compute/isa/vec.h"

/* latency times units is 8 on the cores known (4 cycles, 2 units); 12 and two constants fit AVX2's 16 registers */
enum { CHAINS = 12 };

/* Each chain goes to 2: x = x / 2 + 1. The result is read, so nothing of it can be left out. */
void KERNEL(fma_chains)(float *out, double *flops, size_t rounds) {
    vf x[CHAINS], half = vf_set(0.5f), one = vf_set(1.0f), sum = vf_set(0.0f);
    for (int i = 0; i < CHAINS; i++) x[i] = vf_set((float)i);
    for (size_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++) x[i] = vf_fma(x[i], half, one);
    for (int i = 0; i < CHAINS; i++) sum = vf_add(sum, x[i]);
    *out = vf_total(sum) / (float)(CHAINS * VF_N);
    *flops = 2.0 * CHAINS * VF_N * (double)rounds;
}
