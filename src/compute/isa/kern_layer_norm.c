/* Layer norm over the channels of a pixel (Ba et al. 2016; PyTorch's conventions: biased variance, epsilon under the root), one
 * NHWC row at a time, which stays in the first cache between the passes over it. Read first: compute.h, vec.h.  */
#include "compute/isa/vec.h"

/* Two sums side by side hide the latency of the additions.
 * Sum over the row of x, or of (x - mean)^2 */
ALWAYS_INLINE float row_sum(const float *x, int C, float mean, bool squared) {
    vf s0 = vf_set(0), s1 = vf_set(0), m = vf_set(mean);
    int c = 0;
    for (; c + 2 * VF_N <= C; c += 2 * VF_N) {
        vf a = vf_sub(vf_load(x + c), m), b = vf_sub(vf_load(x + c + VF_N), m);
        s0 = squared ? vf_fma(a, a, s0) : vf_add(s0, a);
        s1 = squared ? vf_fma(b, b, s1) : vf_add(s1, b);
    }
    float sum = vf_total(vf_add(s0, s1));
    for (; c < C; c++) sum += squared ? (x[c] - mean) * (x[c] - mean) : x[c] - mean;
    return sum;
}

/* The variance is taken around the mean, not from sums of squares: no digits are lost where the mean is large. */
void KERNEL(ln_forward)(float *y, float *stats, const float *x, size_t rows, int C,
                        const float *gamma, const float *beta, float epsilon) {
    for (size_t r = 0; r < rows; r++, x += C, y += C) {
        float mean = row_sum(x, C, 0.0f, false) / (float)C;
        mean += row_sum(x, C, mean, false) / (float)C; /* what rounding of the first sum left */
        float inverse = 1.0f / sqrtf(row_sum(x, C, mean, true) / (float)C + epsilon);
        if (stats) {
            stats[2 * r] = mean;
            stats[2 * r + 1] = inverse;
        }
        vf m = vf_set(mean), s = vf_set(inverse);
        for (int c = 0; c < C; c += VF_N) {
            int n = C - c < VF_N ? C - c : VF_N;
            vf z = vf_mul(vf_sub(vf_loadn(x + c, n), m), s);
            vf_storen(y + c, vf_fma(z, vf_loadn(gamma + c, n), vf_loadn(beta + c, n)), n);
        }
    }
}

/* with z = (x - mean) / std and g = dy gamma: dx = (g - mean(g) - z mean(g z)) / std */
void KERNEL(ln_backward)(float *dx, float *sums, const float *dy, const float *x,
                         const float *stats, size_t rows, int C, const float *gamma) {
    memset(sums, 0, 2 * (size_t)C * sizeof *sums);
    for (size_t r = 0; r < rows; r++, x += C, dy += C) {
        vf m = vf_set(stats[2 * r]), s = vf_set(stats[2 * r + 1]);
        vf g_sum = vf_set(0), gz_sum = vf_set(0);
        for (int c = 0; c < C; c += VF_N) {
            int n = C - c < VF_N ? C - c : VF_N;
            vf d = vf_loadn(dy + c, n), z = vf_mul(vf_sub(vf_loadn(x + c, n), m), s);
            vf g = vf_mul(d, vf_loadn(gamma + c, n)); /* 0 behind the row's end: z does not count */
            g_sum = vf_add(g_sum, g);
            gz_sum = vf_fma(g, z, gz_sum);
            vf_storen(sums + c, vf_fma(d, z, vf_loadn(sums + c, n)), n);
            vf_storen(sums + C + c, vf_add(vf_loadn(sums + C + c, n), d), n);
        }
        if (!dx) continue; /* the norm is where the trained part of the network ends */
        vf g_mean = vf_set(vf_total(g_sum) / (float)C),
           gz_mean = vf_set(vf_total(gz_sum) / (float)C);
        for (int c = 0; c < C; c += VF_N) {
            int n = C - c < VF_N ? C - c : VF_N;
            vf z = vf_mul(vf_sub(vf_loadn(x + c, n), m), s);
            vf g = vf_sub(vf_mul(vf_loadn(dy + c, n), vf_loadn(gamma + c, n)), g_mean);
            vf_storen(dx + c, vf_mul(s, vf_sub(g, vf_mul(z, gz_mean))), n);
        }
        dx += C;
    }
}
