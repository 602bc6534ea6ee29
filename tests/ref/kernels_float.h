/* Checks of the kernels that exist in float only: layer norm, small products and softmax of attention, the peak's chains
 * (kern_layer_norm.c, kern_attention.c, kern_peak.c). Read first: kernel_check.h.                                 */
#ifndef TEST_KERNELS_FLOAT_H
#define TEST_KERNELS_FLOAT_H

#include "ref/kernels_rows.h"

/* ---- layer norm ---- */

/* One row's truth. `error` bounds that of the normalised values: the mean errs by C half units of the largest |x|, the
 * deviation with it. */
typedef struct {
    double mean, inverse, error, top; /* top: the largest |v| */
    double v[65];
} normal_row;

static normal_row normalise(const array *x, size_t row, int C) {
    normal_row n = {0};
    double var = 0, most = 0;
    for (int c = 0; c < C; c++) {
        n.mean += at(x, row * (size_t)C + (size_t)c) / C;
        most = fmax(most, fabs(at(x, row * (size_t)C + (size_t)c)));
    }
    for (int c = 0; c < C; c++) {
        n.v[c] = at(x, row * (size_t)C + (size_t)c) - n.mean;
        var += n.v[c] * n.v[c] / C;
    }
    n.inverse = 1 / sqrt(var + 1e-6);
    for (int c = 0; c < C; c++) n.top = fmax(n.top, fabs(n.v[c] *= n.inverse));
    double centre = C > 1 ? (C + 8) * U * most : 0;
    n.error = (n.inverse * centre + C * U) * (1 + n.top);
    return n;
}

static array shifted_values(int slot, size_t n, double offset) {
    array x = floats(slot, n);
    for (size_t i = 0; i < n; i++) value_set(x.p, i, EG_TYPE_F32, at(&x, i) + offset);
    return x;
}

static void ln_forward_case(const target *t, size_t rows, int C, double offset) {
    size_t width = (size_t)C, n = rows * width;
    array x = shifted_values(0, n, offset), gamma = floats(1, width), beta = floats(2, width);
    array y = blank(3, n, EG_TYPE_F32), again = copy_of(5, &x);
    array stats = blank(4, 2 * rows, EG_TYPE_F32);
    t->k->ln_forward(y.p, stats.p, x.p, rows, C, gamma.p, beta.p, 1e-6f);
    check_untouched(&y);
    t->k->ln_forward(again.p, NULL, again.p, rows, C, gamma.p, beta.p, 1e-6f); /* in place */
    check_same(&again, &y);
    for (size_t r = 0; r < rows; r++) {
        normal_row row = normalise(&x, r, C);
        check_at(t, &stats, 2 * r, row.mean, (C + 8) * U * (fabs(offset) + 6));
        check_at(t, &stats, 2 * r + 1, row.inverse, (row.error + 8 * U) * row.inverse);
        for (size_t c = 0; c < width; c++) {
            double z = row.v[c] * at(&gamma, c), b = at(&beta, c);
            check_at(t, &y, r * width + c, z + b,
                     fabs(at(&gamma, c)) * row.error + 3 * U * (fabs(z) + fabs(b)));
        }
    }
}

static void ln_backward_case(const target *t, size_t rows, int C, double offset) {
    size_t width = (size_t)C, n = rows * width;
    array x = shifted_values(0, n, offset), gamma = floats(1, width), dy = floats(2, n);
    array y = blank(3, n, EG_TYPE_F32), stats = blank(4, 2 * rows, EG_TYPE_F32);
    array sums = blank(5, 2 * width, EG_TYPE_F32), given = copy_of(6, &dy);
    double want[130] = {0}, error[130] = {0};
    t->k->ln_forward(y.p, stats.p, x.p, rows, C, gamma.p, gamma.p, 1e-6f);
    t->k->ln_backward(NULL, sums.p, dy.p, x.p, stats.p, rows, C, gamma.p);
    array alone = copy_of(3, &sums);
    t->k->ln_backward(dy.p, sums.p, dy.p, x.p, stats.p, rows, C, gamma.p); /* over dy */
    check_same(&alone, &sums);
    for (size_t r = 0; r < rows; r++) {
        normal_row row = normalise(&x, r, C);
        double g_mean = 0, gz_mean = 0, most = 0;
        for (size_t c = 0; c < width; c++) {
            double d = at(&given, r * width + c), g = d * at(&gamma, c);
            g_mean += g / C, gz_mean += g * row.v[c] / C, most = fmax(most, fabs(g));
            want[c] += d * row.v[c], want[width + c] += d;
            error[c] += fabs(d) * (row.error + (double)(rows + 4) * U * row.top);
            error[width + c] += (double)(rows + 4) * U * fabs(d);
        }
        double gz_error = most * (row.error + (C + 4) * U * row.top);
        double off = 2 * (C + 8) * U * most + fabs(gz_mean) * row.error + row.top * gz_error;
        for (size_t c = 0; c < width; c++) {
            double g = at(&given, r * width + c) * at(&gamma, c);
            double dx = (g - g_mean - row.v[c] * gz_mean) * row.inverse;
            check_at(t, &dy, r * width + c, dx,
                     row.inverse * off + (row.error + 8 * U) * fabs(dx) + 1e-30);
        }
    }
    for (size_t c = 0; c < 2 * width; c++) check_at(t, &sums, c, want[c], error[c]);
}

static void ln_forward_shape(const target *t, size_t rows, int C) {
    ln_forward_case(t, rows, C, 0);
    ln_forward_case(t, rows, C, 30);
}
static void check_ln_forward(const target *t) {
    each_shape(t, ln_forward_shape);
}
static void ln_backward_shape(const target *t, size_t rows, int C) {
    ln_backward_case(t, rows, C, 0);
    ln_backward_case(t, rows, C, 30);
}
static void check_ln_backward(const target *t) {
    each_shape(t, ln_backward_shape);
}

/* ---- attention ---- */

static void product_case(const target *t, int m, int n, int depth, bool turned, bool add) {
    size_t rows = (size_t)m, width = (size_t)n, k = (size_t)depth;
    eg_small_product s = {.m = m, .n = n, .k = depth, .add = add};
    s.a_row = turned ? 1 : k + 3;
    s.a_column = turned ? rows + 2 : 1;
    s.b_row = width + EG_LANES;
    s.c_row = width + 2 * EG_LANES;
    array a = floats(0, turned ? k * s.a_column : rows * s.a_row), b = floats(1, k * s.b_row);
    array c = floats(2, rows * s.c_row), was = copy_of(3, &c);
    t->k->small_product(c.p, a.p, b.p, &s);
    check_untouched(&c);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < s.c_row; j++) {
            double start = at(&was, i * s.c_row + j), want = start, magnitude = fabs(start);
            if (j < width) { /* what lies between the rows stays */
                if (!add) want = magnitude = 0;
                for (size_t x = 0; x < k; x++) {
                    double term = at(&a, i * s.a_row + x * s.a_column) * at(&b, x * s.b_row + j);
                    want += term;
                    magnitude += fabs(term);
                }
            }
            check_at(t, &c, i * s.c_row + j, want, j < width ? (depth + 2) * U * magnitude : 0);
        }
}
static void check_small_product(const target *t) {
    static const int rows[] = {1, 2, 5, 6, 7, 13, 49}, wide[] = {16, 32, 48, 64, 80, 208};
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 6; j++)
            for (int kind = 0; kind < 4; kind++)
                product_case(t, rows[i], wide[j], 1 + 12 * (i + j), kind & 1, kind & 2);
}

/* Rows are padded to EG_LANES; the padding may hold anything before and is 0 after. e^x errs by 3e-7, the sum of n of
 * them by n half units, and x minus the largest by a half unit of |x|. */
enum { SOFTMAX_ROWS = 3 };
static size_t softmax_width(int n) {
    return (size_t)((n + EG_LANES - 1) / EG_LANES * EG_LANES);
}

static void softmax_case(const target *t, int n, double shift) {
    size_t width = softmax_width(n);
    array x = values(0, SOFTMAX_ROWS * width, EG_TYPE_F32, 3);
    for (size_t i = 0; i < x.n; i++) value_set(x.p, i, EG_TYPE_F32, at(&x, i) + shift);
    array was = copy_of(1, &x);
    t->k->softmax_rows(x.p, SOFTMAX_ROWS, n);
    check_untouched(&x);
    for (size_t r = 0; r < SOFTMAX_ROWS; r++) {
        double sum = 0, top = -INFINITY;
        for (size_t i = 0; i < (size_t)n; i++) top = fmax(top, at(&was, r * width + i));
        for (size_t i = 0; i < (size_t)n; i++) sum += exp(at(&was, r * width + i) - top);
        for (size_t i = 0; i < width; i++) {
            double want = i < (size_t)n ? exp(at(&was, r * width + i) - top) / sum : 0;
            check_at(t, &x, r * width + i, want, want * (1e-6 + (n + 4) * U));
        }
    }
}
static void check_softmax_rows(const target *t) {
    for (int n = 1; n < 70; n++) softmax_case(t, n, n % 3 == 0 ? 1e4 : -300);
    array x = blank(
        0, 16, EG_TYPE_F32); /* all but one far below: those are 0, not a number of no meaning */
    for (size_t i = 0; i < 16; i++) value_set(x.p, i, EG_TYPE_F32, i == 5 ? 3 : -1e30);
    t->k->softmax_rows(x.p, 1, 16);
    for (size_t i = 0; i < 16; i++) check_at(t, &x, i, i == 5, 1e-30);
}

static void check_softmax_backward_rows(const target *t) {
    for (int n = 1; n < 70; n++) {
        size_t width = softmax_width(n);
        array p = values(0, SOFTMAX_ROWS * width, EG_TYPE_F32, 2);
        t->k->softmax_rows(p.p, SOFTMAX_ROWS, n);
        array dp = floats(1, p.n), was = copy_of(2, &dp);
        t->k->softmax_backward_rows(dp.p, p.p, SOFTMAX_ROWS, n);
        check_untouched(&dp);
        for (size_t r = 0; r < SOFTMAX_ROWS; r++) {
            double mean = 0, magnitude = 0;
            for (size_t i = r * width; i < (r + 1) * width; i++) {
                mean += at(&p, i) * at(&was, i);
                magnitude += at(&p, i) * fabs(at(&was, i));
            }
            for (size_t i = r * width; i < (r + 1) * width; i++)
                check_at(t, &dp, i, at(&p, i) * (at(&was, i) - mean),
                         at(&p, i) * ((n + 4) * U * magnitude + 3 * U * fabs(at(&was, i))));
        }
    }
}

/* ---- peak ---- */

/* x = x / 2 + 1 goes to 2, native dot products add 1 / 512, in every lane of every chain; a lane that did not take part
 * would show in the mean. Starts: 0 .. 11. */
static void check_fma_chains(const target *t) {
    bool dots = t->type == EG_TYPE_BF16 && t->isa == EG_ISA_AVX512BF16;
    float mean = 0;
    double flops = 0, more = 0;
    t->k->fma_chains(&mean, &flops, 64);
    check_sum(t, (double)mean, dots ? 5.625 : 2, 1e-6);
    t->k->fma_chains(&mean, &more, 192);
    assert_true(flops >= (dots ? 4 : 2) * 64 && more == 3 * flops);
    t->k->fma_chains(&mean, &more, 1);
    check_sum(t, (double)mean, dots ? 5.5 + 1.0 / 512 : 3.75, 1e-6);
}

#endif
