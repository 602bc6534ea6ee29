/* Checks of the kernels that work value by value or sum over rows (kern_norm.c, kern_elementwise.c), each against its
 * definition in compute.h. check_<kernel>(target) is found by name (test_kernels.c). Sums of n floats in any order err by
 * n half units of the sum of magnitudes at most; U is such a half unit. Read first: kernel_check.h.               */
#ifndef TEST_KERNELS_ROWS_H
#define TEST_KERNELS_ROWS_H

#include "ref/kernel_check.h"

#define U FLOAT_ROUNDING
/* batch norm's sums are in float over this many rows only (kern_norm.c) */
enum { SUM_ROWS = 64 };
/* no rows, one, a block less and more than whole turns of unrolled loops, several blocks of sums */
static const size_t row_counts[] = {0, 1, 2, 3, 4, 7, 63, 64, 65, 200, 700};
enum { N_ROW_COUNTS = sizeof row_counts / sizeof *row_counts };

/* `body` for each channel and row count */
static inline void each_shape(const target *t, void (*body)(const target *, size_t, int)) {
    for (int c = 0; c < N_CHANNELS; c++)
        for (int r = 0; r < N_ROW_COUNTS; r++) body(t, row_counts[r], channels[c]);
}

/* ---- batch norm ---- */

static void bn_sums_case(const target *t, size_t rows, int C) {
    size_t width = (size_t)C;
    array x = values(0, rows * width, t->type, 1), pivot = floats(1, width);
    array scratch = blank(2, 2 * width, EG_TYPE_F32);
    double sums[130];
    for (int c = 0; c < 2 * C; c++) sums[c] = 3; /* it adds */
    t->k->bn_sums(sums, x.p, rows, C, pivot.p, scratch.p);
    for (size_t c = 0; c < width; c++) {
        double first = 0, second = 0, m1 = 0, m2 = 0;
        for (size_t r = 0; r < rows; r++) {
            double d = at(&x, r * width + c) - at(&pivot, c);
            first += d;
            second += d * d;
            m1 += fabs(at(&x, r * width + c)) + fabs(at(&pivot, c));
            m2 += d * d + fabs(d) * (fabs(at(&x, r * width + c)) + fabs(at(&pivot, c)));
        }
        check_sum(t, sums[c] - 3, first, (SUM_ROWS + 8) * U * m1);
        check_sum(t, sums[width + c] - 3, second, (SUM_ROWS + 8) * U * m2);
    }
}
static void check_bn_sums(const target *t) {
    each_shape(t, bn_sums_case);
}

static void bn_apply_case(const target *t, size_t rows, int C, int act, bool scaled, bool added) {
    size_t width = (size_t)C;
    array x = values(0, rows * width, t->type, 2), residual = values(1, rows * width, t->type, 1);
    array scale = floats(2, width), shift = floats(3, width);
    array y = blank(4, rows * width, t->type);
    eg_bn_apply a = {.scale = scale.p,
                     .shift = shift.p,
                     .residual = added ? residual.p : NULL,
                     .row_scale = scaled ? 1.25f : 1.0f,
                     .act = act};
    t->k->bn_apply(y.p, x.p, rows, C, &a);
    check_untouched(&y);
    for (size_t i = 0; i < rows * width; i++) {
        double product = at(&x, i) * at(&scale, i % width) * (double)a.row_scale;
        double moved = at(&shift, i % width) * (double)a.row_scale;
        double z = product + moved + (added ? at(&residual, i) : 0);
        double error = 3 * U * (fabs(product) + fabs(moved)) + U * fabs(z);
        check_at(t, &y, i, act_of(z, act), act_error(z, act, t->type) + MOST_SLOPE * error);
    }
}
static void check_bn_apply(const target *t) {
    for (int c = 0; c < N_CHANNELS; c++)
        for (int act = 0; act < EG_KACT_COUNT; act++)
            for (int variant = 0; variant < 4; variant++)
                for (size_t rows = 0; rows < 6; rows += 1 + 4 * (rows == 1))
                    bn_apply_case(t, rows, channels[c], act, variant & 1, variant & 2);
}

typedef struct {
    int act;
    bool second, masked; /* a second gradient; the derivative read off the output */
} reduce_kind;

static void bn_reduce_case(const target *t, size_t rows, int C, reduce_kind kind) {
    size_t width = (size_t)C, n = rows * width;
    array x = values(0, n, t->type, 1), dy = values(1, n, t->type, 1), dy2, y;
    array given = copy_of(2, &dy), scale = floats(3, 3 * width), scratch;
    dy2 = values(4, n, t->type, 0.5), y = values(5, n, t->type, 4);
    scratch = blank(6, 2 * width, EG_TYPE_F32);
    const float *s = scale.p;
    eg_bn_reduce a = {
        kind.second ? dy2.p : NULL, kind.masked ? y.p : NULL, s, s + C, s + 2 * C, 1.5f, kind.act};
    double sums[130] = {0}, want[130] = {0}, error[130] = {0};
    t->k->bn_reduce(sums, dy.p, x.p, rows, C, &a, scratch.p);
    check_untouched(&dy);
    for (size_t i = 0; i < n; i++) {
        size_t c = i % width;
        double product = at(&x, i) * at(&scale, c), shift = at(&scale, width + c);
        double z = kind.masked ? at(&y, i) : product + shift;
        double z_error = kind.masked ? 0 : 2 * U * (fabs(product) + fabs(shift));
        double g = at(&given, i) + (kind.second ? at(&dy2, i) : 0);
        double slope = slope_of(z, kind.act), d = at(&x, i) - at(&scale, 2 * width + c);
        /* second derivatives stay below 1 but for the kinks */
        double off = fabs(g) * (slope_error(z, kind.act, t->type) + z_error) + 3 * U * fabs(g);
        if (at_kink(z, z_error, kind.act)) off += MOST_SLOPE * fabs(g);
        check_at(t, &dy, i, g * slope, off);
        want[c] += 1.5 * g * slope;
        want[width + c] += 1.5 * g * slope * d;
        off = 1.5 * (off + (SUM_ROWS + 4) * U * fabs(g * slope));
        error[c] += off;
        error[width + c] += off * (fabs(d) + 2 * U * (fabs(at(&x, i)) + 3));
    }
    for (size_t c = 0; c < 2 * width; c++) check_sum(t, sums[c], want[c], error[c]);
}
static void check_bn_reduce(const target *t) {
    for (int c = 0; c < N_CHANNELS; c++)
        for (int act = 0; act < EG_KACT_COUNT; act++)
            for (int variant = 0; variant < 4; variant++) {
                reduce_kind kind = {act, variant & 1, variant & 2};
                /* only these have a derivative that the output tells */
                if (kind.masked && act > EG_KACT_RELU6) continue;
                bn_reduce_case(t, 0, channels[c], kind);
                bn_reduce_case(t, 3, channels[c], kind);
                bn_reduce_case(t, 130, channels[c], kind);
            }
}

static void bn_dx_case(const target *t, size_t rows, int C) {
    size_t width = (size_t)C, n = rows * width;
    array g = values(0, n, t->type, 1), x = values(1, n, t->type, 1), k[4];
    const float *coefficients[4];
    for (int i = 0; i < 4; i++) coefficients[i] = (k[i] = floats(2 + i, width)).p;
    array dx = blank(6, n, t->type);
    t->k->bn_dx(dx.p, g.p, x.p, rows, C, coefficients, 0.75f);
    check_untouched(&dx);
    for (size_t i = 0; i < n; i++) {
        size_t c = i % width;
        double a = 0.75 * at(&g, i) * at(&k[0], c), d = at(&x, i) - at(&k[3], c);
        double b = d * at(&k[1], c), c0 = at(&k[2], c);
        double b_magnitude = (fabs(at(&x, i)) + fabs(at(&k[3], c))) * fabs(at(&k[1], c));
        check_at(t, &dx, i, a + b + c0, 5 * U * (fabs(a) + b_magnitude + fabs(c0)));
    }
    array here = copy_of(7, &g); /* in place */
    t->k->bn_dx(here.p, here.p, x.p, rows, C, coefficients, 0.75f);
    check_same(&here, &dx);
}
static void check_bn_dx(const target *t) {
    each_shape(t, bn_dx_case);
}

/* ---- activations ---- */

/* every number of bf16, and as many floats over the same range: all signs and exponents */
static array all_values(int slot, eg_type type, bool special) {
    array a = blank(slot, 1 << 16, type);
    for (uint32_t i = 0; i < 1u << 16; i++) {
        uint32_t bits = i << 16 | (type == EG_TYPE_F32 ? i * 2654435761u >> 16 : 0);
        float v;
        memcpy(&v, &bits, sizeof v);
        /* beyond 1e30 products of two overflow, which is no kernel's fault */
        if (!special && !(fabsf(v) < 1e30f)) v = 0.5f;
        value_set(a.p, i, type, (double)v);
    }
    return a;
}

/* Infinities: the limit where the formula has one; where it has none (-inf * 0) anything but a finite value other than
 * the limit. */
static void check_act_infinite(const target *t, const array *y, size_t i, double v, int act) {
    bool open = v < 0 && (act == EG_KACT_SILU || act == EG_KACT_HARDSWISH || act == EG_KACT_GELU);
    if (!open)
        check_at(t, y, i, v < 0 && act == EG_KACT_SIGMOID ? 0 : act_of(v, act), 4 * LEAST_NORMAL);
    else if (isfinite(at(y, i)) && at(y, i) != 0)
        fail_msg("activation %d of -inf: %.9g", act, at(y, i));
}

static void check_act(const target *t) {
    for (int act = 0; act < EG_KACT_COUNT; act++) {
        array x = all_values(0, t->type, true), y = blank(1, x.n, t->type);
        t->k->act(y.p, x.p, x.n, act);
        check_untouched(&y);
        for (size_t i = 0; i < x.n; i++) {
            double v = at(&x, i);
            if (isinf(v))
                check_act_infinite(t, &y, i, v, act);
            else
                check_at(t, &y, i, act_of(v, act), act_error(v, act, t->type));
        }
        t->k->act(x.p, x.p, x.n, act); /* in place */
        check_same(&x, &y);
        for (size_t n = 0; n < 70; n++) { /* every tail */
            array some = values(0, n, t->type, 3), out = blank(1, n, t->type);
            t->k->act(out.p, some.p, n, act);
            check_untouched(&out);
            for (size_t i = 0; i < n; i++)
                check_at(t, &out, i, act_of(at(&some, i), act),
                         act_error(at(&some, i), act, t->type));
        }
    }
}

static void act_backward_case(const target *t, const array *x, int act) {
    array dy = values(2, x->n, t->type, 1), dx = blank(1, x->n, t->type);
    t->k->act_backward(dx.p, dy.p, x->p, x->n, act);
    check_untouched(&dx);
    for (size_t i = 0; i < x->n; i++) {
        double g = at(&dy, i), v = at(x, i), slope = slope_of(v, act);
        check_at(t, &dx, i, g * slope,
                 fabs(g) * (slope_error(v, act, t->type) + 2 * U * fabs(slope)));
    }
    t->k->act_backward(dy.p, dy.p, x->p, x->n, act); /* in place */
    check_same(&dy, &dx);
}

static void check_act_backward(const target *t) {
    for (int act = 0; act < EG_KACT_COUNT; act++) {
        array x = all_values(0, t->type, false);
        act_backward_case(t, &x, act);
        for (size_t n = 0; n < 70; n++) {
            x = values(0, n, t->type, 3);
            act_backward_case(t, &x, act);
        }
        /* a gradient that is no number stays visible where the slope is not 0 */
        double inside = 1;
        array dy = blank(2, 17, t->type), dx = blank(1, 17, t->type);
        x = blank(0, 17, t->type);
        for (size_t i = 0; i < 17; i++) value_set(x.p, i, t->type, inside);
        t->k->act_backward(dx.p, dy.p, x.p, 17, act);
        for (size_t i = 0; i < 17; i++) assert_true(isnan(at(&dx, i)));
    }
}

/* ---- value by value ---- */

static void check_add(const target *t) {
    for (size_t n = 0; n < 70; n++) {
        array a = values(0, n, t->type, 1), b = values(1, n, t->type, 1e3);
        if (n > 2) value_set(a.p, 1, t->type, INFINITY), value_set(b.p, 2, t->type, NAN);
        array y = blank(2, n, t->type), here = copy_of(3, &a);
        t->k->add(y.p, a.p, b.p, n);
        check_untouched(&y);
        for (size_t i = 0; i < n; i++) {
            double sum = at(&a, i) + at(&b, i);
            check_at(t, &y, i, sum, isfinite(sum) ? U * fabs(sum) : 0);
        }
        t->k->add(here.p, here.p, b.p, n); /* in place */
        check_same(&here, &y);
    }
}

static void check_widen(const target *t) {
    array x = all_values(0, t->type, true), y = blank(1, x.n, EG_TYPE_F32);
    t->k->widen(y.p, x.p, x.n);
    for (size_t i = 0; i < x.n; i++) check_at(t, &y, i, at(&x, i), 0); /* every number, exactly */
    for (size_t n = 0; n < 70; n++) {
        x = values(0, n, t->type, 1), y = blank(1, n, EG_TYPE_F32);
        t->k->widen(y.p, x.p, n);
        check_untouched(&y);
        for (size_t i = 0; i < n; i++) check_at(t, &y, i, at(&x, i), 0);
    }
}

/* half way between two numbers of bf16 and a float beside it, at both ends of the range too */
static void check_narrow(const target *t) {
    static const uint32_t low[] = {0x0000, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff};
    array x = blank(0, 6 << 16, EG_TYPE_F32);
    for (size_t i = 0; i < x.n; i++) {
        uint32_t bits = (uint32_t)(i / 6) << 16 | low[i % 6];
        memcpy((uint8_t *)x.p + 4 * i, &bits, sizeof bits);
    }
    array y = blank(1, x.n, t->type);
    t->k->narrow(y.p, x.p, x.n);
    check_untouched(&y);
    for (size_t i = 0; i < x.n; i++) check_at(t, &y, i, at(&x, i), 0);
    for (size_t n = 0; n < 70; n++) {
        x = floats(0, n), y = blank(1, n, t->type);
        t->k->narrow(y.p, x.p, n);
        check_untouched(&y);
        for (size_t i = 0; i < n; i++) check_at(t, &y, i, at(&x, i), 0);
    }
}

/* ---- rows ---- */

static void sum_rows_case(const target *t, size_t rows, int C) {
    size_t width = (size_t)C;
    array x = values(0, rows * width, t->type, 1), out = blank(1, width, EG_TYPE_F32);
    t->k->sum_rows(out.p, x.p, rows, C);
    check_untouched(&out);
    for (size_t c = 0; c < width; c++) {
        double sum = 0, magnitude = 0;
        for (size_t r = 0; r < rows; r++) {
            sum += at(&x, r * width + c);
            magnitude += fabs(at(&x, r * width + c));
        }
        check_at(t, &out, c, sum, (double)rows * U * magnitude);
    }
}
static void check_sum_rows(const target *t) {
    each_shape(t, sum_rows_case);
}

static void sum_rows_product_case(const target *t, size_t rows, int C) {
    size_t width = (size_t)C;
    array a = values(0, rows * width, t->type, 1), b = values(1, rows * width, t->type, 1);
    array out = blank(2, width, EG_TYPE_F32);
    t->k->sum_rows_product(out.p, a.p, b.p, rows, C);
    check_untouched(&out);
    for (size_t c = 0; c < width; c++) {
        double sum = 0, magnitude = 0;
        for (size_t r = 0; r < rows; r++) {
            double product = at(&a, r * width + c) * at(&b, r * width + c);
            sum += product;
            magnitude += fabs(product);
        }
        check_at(t, &out, c, sum, (double)(rows + 1) * U * magnitude);
    }
}
static void check_sum_rows_product(const target *t) {
    each_shape(t, sum_rows_product_case);
}

/* y = x s [+ shift], and the same in place */
static void scale_case(const target *t, size_t rows, int C, bool shifted) {
    size_t width = (size_t)C, n = rows * width;
    array x = values(0, n, t->type, 1), s = floats(1, width), shift = floats(2, width);
    for (int turn = 0; turn < 2; turn++) {
        array given = copy_of(3, &x), y = turn ? x : blank(4, n, t->type);
        if (shifted)
            t->k->scale_shift_rows(y.p, x.p, rows, C, s.p, shift.p);
        else
            t->k->scale_rows(y.p, x.p, rows, C, s.p);
        check_untouched(&y);
        for (size_t i = 0; i < n; i++) {
            double product = at(&given, i) * at(&s, i % width);
            double move = shifted ? at(&shift, i % width) : 0;
            check_at(t, &y, i, product + move, 2 * U * (fabs(product) + fabs(move)));
        }
    }
}
static void scale_rows_case(const target *t, size_t rows, int C) {
    scale_case(t, rows, C, false);
}
static void check_scale_rows(const target *t) {
    each_shape(t, scale_rows_case);
}
static void scale_shift_rows_case(const target *t, size_t rows, int C) {
    scale_case(t, rows, C, true);
}
static void check_scale_shift_rows(const target *t) {
    each_shape(t, scale_shift_rows_case);
}

#endif
