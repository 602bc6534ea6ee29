/* Every vector kernel of every instruction set this processor has, against plain loops in double, on edge sizes: fewer
 * channels than a vector, one more than a vector, odd rows. Tolerance: 2e-5 of the sum of magnitudes that went in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "compute/compute.h"

enum { MAX_FLOATS = 1 << 17 };
static float *x, *y, *z, *w, *out, *expect_f;
static const int channels[] = {1, 3, 8, 15, 16, 17, 24, 40, 65};
enum { N_CHANNELS = sizeof channels / sizeof *channels };

static int set_up(void **state) {
    (void)state;
    float **all[] = {&x, &y, &z, &w, &out, &expect_f};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(*all[i] = eg_malloc(MAX_FLOATS * sizeof(float)))) return -1;
    eg_random r = eg_random_make(7, 1, 2, 3);
    for (int i = 0; i < MAX_FLOATS; i++) {
        x[i] = (float)eg_random_normal(&r);
        y[i] = (float)eg_random_normal(&r);
        z[i] = (float)(eg_random_normal(&r) * 4);
        w[i] = (float)eg_random_normal(&r);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    float *all[] = {x, y, z, w, out, expect_f};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) eg_free(all[i]);
    return 0;
}

static void near(double got, double want, double scale) {
    if (!(fabs(got - want) <= 2e-5 * (scale + 1e-3)))
        fail_msg("got %.9g, expected %.9g (scale %.3g)", got, want, scale);
}

static double act_of(double v, int act) {
    switch (act) {
    case EG_KACT_RELU:
        return v > 0 ? v : 0;
    case EG_KACT_RELU6:
        return v < 0 ? 0 : v > 6 ? 6 : v;
    case EG_KACT_SILU:
        return v / (1 + exp(-v));
    case EG_KACT_SIGMOID:
        return 1 / (1 + exp(-v));
    case EG_KACT_HARDSWISH:
        return v * fmin(fmax(v + 3, 0), 6) / 6;
    case EG_KACT_HARDSIGMOID:
        return fmin(fmax(v + 3, 0), 6) / 6;
    case EG_KACT_GELU:
        return v * erfc(-v / sqrt(2)) / 2;
    default:
        return v;
    }
}

static double slope_of(double v, int act) {
    double s = 1 / (1 + exp(-v));
    switch (act) {
    case EG_KACT_RELU:
        return v > 0;
    case EG_KACT_RELU6:
        return v > 0 && v < 6;
    case EG_KACT_SILU:
        return s * (1 + v * (1 - s));
    case EG_KACT_SIGMOID:
        return s * (1 - s);
    case EG_KACT_HARDSWISH:
        return v <= -3 ? 0 : v >= 3 ? 1 : (2 * v + 3) / 6;
    case EG_KACT_HARDSIGMOID:
        return v > -3 && v < 3 ? 1.0 / 6 : 0;
    case EG_KACT_GELU:
        return erfc(-v / sqrt(2)) / 2 + v * exp(-v * v / 2) / sqrt(2 * 3.14159265358979323846);
    default:
        return 1;
    }
}

/* run `body` for each instruction set of this machine */
static void each_isa(void (*body)(const eg_kernels *k)) {
    int seen = 0;
    for (int i = 0; i < EG_ISA_COUNT; i++) {
        const eg_kernels *k = eg_kernels_of((eg_isa)i, EG_TYPE_F32);
        if (!k) {
            print_message("%s: not on this processor, skipped\n", eg_isa_name((eg_isa)i));
            continue;
        }
        body(k);
        seen++;
    }
    assert_true(seen >= 1);
}

static void check_sums(const eg_kernels *k) {
    for (int ci = 0; ci < N_CHANNELS; ci++)
        for (size_t rows = 1; rows < 200; rows = rows * 3 + 1) {
            int C = channels[ci];
            double sums[130] = {0};
            float scratch[130];
            k->bn_sums(sums, x, rows, C, y, scratch);
            k->sum_rows(out, x, rows, C);
            k->sum_rows_product(expect_f, x, y, rows, C);
            for (int c = 0; c < C; c++) {
                double s1 = 0, s2 = 0, mag = 0, plain = 0, product = 0;
                for (size_t r = 0; r < rows; r++) {
                    double a = (double)x[r * (size_t)C + (size_t)c], d = a - (double)y[c];
                    s1 += d;
                    s2 += d * d;
                    mag += fabs(d) + d * d + fabs(a);
                    plain += a;
                    product += a * (double)y[r * (size_t)C + (size_t)c];
                }
                near(sums[c], s1, mag);
                near(sums[C + c], s2, mag);
                near((double)out[c], plain, mag);
                near((double)expect_f[c], product, 4 * mag + 4);
            }
        }
}

static void check_apply(const eg_kernels *k) {
    for (int ci = 0; ci < N_CHANNELS; ci++)
        for (int act = EG_KACT_NONE; act < EG_KACT_COUNT; act++)
            for (int variant = 0; variant < 4; variant++) {
                int C = channels[ci];
                size_t rows = 5;
                eg_bn_apply a = {.scale = w,
                                 .shift = y,
                                 .act = act,
                                 .row_scale = variant & 1 ? 1.25f : 1.0f,
                                 .residual = variant & 2 ? z : NULL};
                out[rows * (size_t)C] = 12345;
                k->bn_apply(out, x, rows, C, &a);
                for (size_t i = 0; i < rows * (size_t)C; i++) {
                    size_t c = i % (size_t)C;
                    double v = ((double)x[i] * (double)w[c] + (double)y[c]) * (double)a.row_scale;
                    if (a.residual) v += (double)z[i];
                    near((double)out[i], act_of(v, act), 1 + fabs(v));
                }
                assert_true(out[rows * (size_t)C] == 12345); /* nothing written behind the end */
            }
}

static void check_reduce_case(const eg_kernels *k, int C, size_t rows, int act, bool second,
                              bool masked) {
    double sums[130] = {0}, want[130] = {0}, mag = 1;
    float scratch[130], *dy = out, factor = 1.5f;
    memcpy(dy, z, rows * (size_t)C * sizeof *dy);
    eg_bn_reduce a = {.dy2 = second ? y + 999 : NULL,
                      .y = masked ? x + 2000 : NULL,
                      .scale = w,
                      .shift = w + 100,
                      .mean = w + 200,
                      .row_scale = factor,
                      .act = act};
    k->bn_reduce(sums, dy, x, rows, C, &a, scratch);
    for (size_t i = 0; i < rows * (size_t)C; i++) {
        size_t c = i % (size_t)C;
        double v = masked ? (double)x[2000 + i] : (double)x[i] * (double)w[c] + (double)w[100 + c];
        double g = ((double)z[i] + (second ? (double)y[999 + i] : 0)) * slope_of(v, act);
        near((double)dy[i], g, 8);
        want[c] += g * (double)factor;
        want[(size_t)C + c] += g * (double)factor * ((double)x[i] - (double)w[200 + c]);
        mag += fabs(g) * 4;
    }
    for (int c = 0; c < 2 * C; c++) near(sums[c], want[c], mag);
}

static void check_reduce(const eg_kernels *k) {
    for (int ci = 0; ci < N_CHANNELS; ci++)
        for (int act = EG_KACT_NONE; act < EG_KACT_COUNT; act++)
            for (int second = 0; second < 2; second++) {
                check_reduce_case(k, channels[ci], 70, act, second, false);
                if (act <= EG_KACT_RELU6) check_reduce_case(k, channels[ci], 3, act, second, true);
            }
}

static void check_dx(const eg_kernels *k) {
    for (int ci = 0; ci < N_CHANNELS; ci++) {
        int C = channels[ci];
        size_t rows = 7, n = rows * (size_t)C;
        const float *coefficients[4] = {w, w + 100, w + 200, w + 300};
        k->bn_dx(out, x, y, rows, C, coefficients, 0.5f);
        k->scale_shift_rows(expect_f, x, rows, C, w, w + 100);
        for (size_t i = 0; i < n; i++) {
            size_t c = i % (size_t)C;
            near((double)out[i],
                 (double)x[i] * 0.5 * (double)w[c] +
                     ((double)y[i] - (double)w[300 + c]) * (double)w[100 + c] + (double)w[200 + c],
                 10);
            near((double)expect_f[i], (double)x[i] * (double)w[c] + (double)w[100 + c], 10);
        }
        k->scale_rows(out, x, rows, C, w);
        for (size_t i = 0; i < n; i++)
            near((double)out[i], (double)x[i] * (double)w[i % (size_t)C], 10);
    }
}

static void check_elementwise(const eg_kernels *k) {
    for (size_t n = 1; n < 70; n++)
        for (int act = EG_KACT_NONE; act < EG_KACT_COUNT; act++) {
            out[n] = 12345;
            k->act(out, z, n, act);
            assert_true(out[n] == 12345);
            for (size_t i = 0; i < n; i++)
                near((double)out[i], act_of((double)z[i], act), fabs((double)z[i]) + 1);
            k->act_backward(out, x, z, n, act);
            for (size_t i = 0; i < n; i++)
                near((double)out[i], (double)x[i] * slope_of((double)z[i], act), 4);
            k->add(out, x, y, n);
            for (size_t i = 0; i < n; i++) near((double)out[i], (double)x[i] + (double)y[i], 4);
        }
    float far[] = {-1000, -88, 88, 1000}; /* no overflow at the ends */
    k->act(out, far, 4, EG_KACT_SIGMOID);
    near((double)out[0], 0, 1);
    near((double)out[3], 1, 1);
}

/* 2e-7 of |z|; in the lower tail small relative to the value itself, down to where floats end */
static void check_gelu(const eg_kernels *k) {
    enum { N = 1 << 16 };
    for (int i = 0; i < N; i++) expect_f[i] = (float)(i - N / 2) * (13.0f / (N / 2)) + 1e-5f;
    k->act(out, expect_f, N, EG_KACT_GELU);
    double worst = 0;
    for (int i = 0; i < N; i++) {
        double v = (double)expect_f[i], want = act_of(v, EG_KACT_GELU);
        double off = fabs((double)out[i] - want);
        worst = fmax(worst, off / fabs(v));
        if (!(off <= 2e-7 * fabs(v)) || (v < 0 && !(off <= 5e-6 * fabs(want) + 1e-37)))
            fail_msg("gelu(%.9g): got %.9g, expected %.9g", v, (double)out[i], want);
    }
    print_message("gelu: error at most %.2e |z|\n", worst);
    float far[] = {-1e30f, -1000, 1000, 1e30f, INFINITY};
    k->act(out, far, 5, EG_KACT_GELU);
    assert_true(fabsf(out[0]) < 1e-6f && fabsf(out[1]) < 1e-30f && out[2] == 1000);
    assert_true(out[3] == 1e30f && out[4] == INFINITY);
    for (int i = 0; i < 5; i++) y[i] = 1;
    k->act_backward(out, y, far, 4, EG_KACT_GELU);
    near((double)out[0], 0, 1);
    near((double)out[1], 0, 1);
    near((double)out[2], 1, 1);
    near((double)out[3], 1, 1);
}

static void check_layer_norm_case(const eg_kernels *k, int C, size_t rows, float offset) {
    static float in[40 * 65];
    double sums[130] = {0};
    float got[130], stats[80], *gamma = w, *beta = w + 100;
    for (size_t i = 0; i < rows * (size_t)C; i++) in[i] = x[i] + offset;
    out[rows * (size_t)C] = 12345;
    k->ln_forward(out, stats, in, rows, C, gamma, beta, 1e-6f);
    assert_true(out[rows * (size_t)C] == 12345);
    k->ln_forward(expect_f, NULL, in, rows, C, gamma, beta, 1e-6f);
    assert_memory_equal(out, expect_f, rows * (size_t)C * sizeof *out);
    memcpy(expect_f, y, rows * (size_t)C * sizeof *y);
    k->ln_backward(expect_f, got, expect_f, in, stats, rows, C, gamma); /* over dy */
    for (size_t r = 0; r < rows; r++) {
        const float *xr = in + r * (size_t)C, *dy = y + r * (size_t)C;
        double mean = 0, var = 0, g_mean = 0, gz_mean = 0;
        for (int c = 0; c < C; c++) mean += (double)xr[c] / C;
        for (int c = 0; c < C; c++) var += pow((double)xr[c] - mean, 2) / C;
        double inverse = 1 / sqrt(var + 1e-6);
        for (int c = 0; c < C; c++) {
            double v = ((double)xr[c] - mean) * inverse, g = (double)dy[c] * (double)gamma[c];
            g_mean += g / C;
            gz_mean += g * v / C;
            sums[c] += (double)dy[c] * v;
            sums[C + c] += (double)dy[c];
            near((double)out[r * (size_t)C + (size_t)c], v * (double)gamma[c] + (double)beta[c],
                 8 + 3 * fabs((double)offset));
        }
        for (int c = 0; c < C; c++) {
            double v = ((double)xr[c] - mean) * inverse, g = (double)dy[c] * (double)gamma[c];
            near((double)expect_f[r * (size_t)C + (size_t)c],
                 C == 1 ? 0 : (g - g_mean - v * gz_mean) * inverse,
                 (20 + 3 * fabs((double)offset)) * (1 + inverse));
        }
    }
    for (int c = 0; c < 2 * C; c++)
        near((double)got[c], sums[c], 4 * (double)rows * (1 + fabs((double)offset)));
}

static void check_layer_norm(const eg_kernels *k) {
    for (int ci = 0; ci < N_CHANNELS; ci++)
        for (size_t rows = 1; rows < 40; rows = rows * 3 + 1) {
            check_layer_norm_case(k, channels[ci], rows, 0);
            if (channels[ci] > 1) check_layer_norm_case(k, channels[ci], rows, 30);
        }
}

static void check_nan_stays(const eg_kernels *k) {
    float bad[17];
    for (int i = 0; i < 17; i++) bad[i] = NAN;
    for (int act = EG_KACT_NONE; act < EG_KACT_COUNT; act++) {
        k->act(out, bad, 17, act);
        for (int i = 0; i < 17; i++) assert_true(isnan(out[i]));
    }
}

/* ---- depthwise and max pool: the definition as loops ---- */

static double tap_x(const eg_dw_shape *s, int p, int q, int r, int t, int c) {
    int h = p * s->stride - s->pad + r, v = q * s->stride - s->pad + t;
    if (h < 0 || h >= s->H || v < 0 || v >= s->W) return 0;
    return (double)x[((size_t)h * (size_t)s->W + (size_t)v) * (size_t)s->C + (size_t)c];
}

static size_t y_at(const eg_dw_shape *s, int p, int q, int c) {
    return ((size_t)p * (size_t)s->Q + (size_t)q) * (size_t)s->C + (size_t)c;
}

static void check_dw_forward(const eg_kernels *k, const eg_dw_shape *s) {
    for (int biased = 0; biased < 2; biased++) {
        int act = biased ? EG_KACT_SILU : EG_KACT_NONE;
        k->dw_forward(out, x, w, biased ? y : NULL, act, s, 0, s->P);
        for (int p = 0; p < s->P; p++)
            for (int q = 0; q < s->Q; q++)
                for (int c = 0; c < s->C; c++) {
                    double sum = biased ? (double)y[c] : 0;
                    for (int r = 0; r < s->R; r++)
                        for (int t = 0; t < s->R; t++)
                            sum += tap_x(s, p, q, r, t, c) * (double)w[(r * s->R + t) * s->C + c];
                    near((double)out[y_at(s, p, q, c)], act_of(sum, act), 50);
                }
    }
}

static void check_dw_backward(const eg_kernels *k, const eg_dw_shape *s) {
    static double dx[40 * 40 * 24], dw[49 * 24];
    memset(dx, 0, sizeof dx);
    memset(dw, 0, sizeof dw);
    for (int p = 0; p < s->P; p++)
        for (int q = 0; q < s->Q; q++)
            for (int c = 0; c < s->C; c++)
                for (int r = 0; r < s->R; r++)
                    for (int t = 0; t < s->R; t++) {
                        int h = p * s->stride - s->pad + r, v = q * s->stride - s->pad + t;
                        if (h < 0 || h >= s->H || v < 0 || v >= s->W) continue;
                        double g = (double)y[y_at(s, p, q, c)];
                        int wi = (r * s->R + t) * s->C + c;
                        dx[(h * s->W + v) * s->C + c] += g * (double)w[wi];
                        dw[wi] += g * tap_x(s, p, q, r, t, c);
                    }
    k->dw_backward_data(out, y, w, s, 0, s->H);
    for (int i = 0; i < s->H * s->W * s->C; i++) near((double)out[i], dx[i], 50);
    memset(expect_f, 0, (size_t)(s->R * s->R * s->C) * sizeof *expect_f);
    k->dw_backward_weights(expect_f, x, y, s, 0, s->P / 2); /* in two calls: it adds up */
    k->dw_backward_weights(expect_f, x, y, s, s->P / 2, s->P);
    for (int i = 0; i < s->R * s->R * s->C; i++) near((double)expect_f[i], dw[i], 300);
}

static void check_max_pool(const eg_kernels *k, const eg_dw_shape *s) {
    static uint8_t index[40 * 40 * 24];
    k->max_pool(out, index, x, s, 0, s->P);
    k->max_pool(expect_f, NULL, x, s, 0, s->P);
    for (int p = 0; p < s->P; p++)
        for (int q = 0; q < s->Q; q++)
            for (int c = 0; c < s->C; c++) {
                double best = -INFINITY;
                int at = -1;
                for (int r = 0; r < s->R; r++)
                    for (int t = 0; t < s->R; t++) {
                        int h = p * s->stride - s->pad + r, v = q * s->stride - s->pad + t;
                        if (h < 0 || h >= s->H || v < 0 || v >= s->W) continue;
                        if (tap_x(s, p, q, r, t, c) > best) {
                            best = tap_x(s, p, q, r, t, c);
                            at = r * s->R + t;
                        }
                    }
                assert_true((double)out[y_at(s, p, q, c)] == best &&
                            (double)expect_f[y_at(s, p, q, c)] == best);
                assert_int_equal(index[y_at(s, p, q, c)], at);
            }
}

static void check_windows(const eg_kernels *k) {
    static const int sides[] = {1, 2, 5, 14, 23};
    static const int wide[] = {1, 8, 17, 24};
    for (int si = 0; si < 5; si++)
        for (int ci = 0; ci < 4; ci++)
            for (int R = 1; R <= 7; R += 2)
                for (int stride = 1; stride <= 2; stride++)
                    for (int pad = 0; pad <= R / 2; pad++) {
                        int side = sides[si];
                        /* padding behind as TensorFlow's "same" would have: outputs reach past the border */
                        int out_side = (side + 2 * pad - R) / stride + 1;
                        if (side + 2 * pad < R) continue;
                        eg_dw_shape s = {side,     side + 1, wide[ci], out_side,
                                         out_side, R,        stride,   pad};
                        check_dw_forward(k, &s);
                        check_dw_backward(k, &s);
                        check_max_pool(k, &s);
                        if (pad == 0 && R > 1 &&
                            side > R) { /* one more output, reaching past the end */
                            s.P = s.Q = out_side + 1;
                            if ((s.P - 1) * stride < side) {
                                check_dw_forward(k, &s);
                                check_dw_backward(k, &s);
                            }
                        }
                    }
}

/* x = x / 2 + 1 goes to 2 in every lane of every chain; a lane that did not take part would show in the mean. */
static void check_chains(const eg_kernels *k) {
    float mean = 0;
    double flops = 0, more = 0;
    k->fma_chains(&mean, &flops, 64);
    assert_true(fabsf(mean - 2) < 1e-6f);
    k->fma_chains(&mean, &more, 192);
    assert_true(flops >= 2 * 64 && more == 3 * flops);
    k->fma_chains(&mean, &more, 1); /* start 0 .. 11: mean 5.5, then 3.75 */
    assert_true(fabsf(mean - 3.75f) < 1e-6f);
}

#define EACH(check)                                                                                \
    static void test_##check(void **state) {                                                       \
        (void)state;                                                                               \
        each_isa(check_##check);                                                                   \
    }
EACH(sums)
EACH(apply)
EACH(reduce)
EACH(dx)
EACH(elementwise)
EACH(gelu)
EACH(layer_norm)
EACH(nan_stays)
EACH(windows)
EACH(chains)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_reduce),      cmocka_unit_test(test_dx),
        cmocka_unit_test(test_elementwise), cmocka_unit_test(test_nan_stays),
        cmocka_unit_test(test_windows),     cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_layer_norm),  cmocka_unit_test(test_chains),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
