/* Checks of depthwise convolution, max pooling and the 1x1 convolution of rows (kern_depthwise*.c, kern_pool.c,
 * kern_pointwise.c) against the definition as loops. Windows of 1 to 7 (tiles exist for 3, 5 and 7), strides 1 to 3,
 * paddings up to the window and beyond the image, outputs that reach past its end. Read first: kernel_check.h.       */
#ifndef TEST_KERNELS_WINDOWS_H
#define TEST_KERNELS_WINDOWS_H

#include "ref/kernels_rows.h"

/* element of a (row, column, channel) array of `wide` columns */
static inline size_t pixel(int row, int column, int wide, int C, int c) {
    return ((size_t)row * (size_t)wide + (size_t)column) * (size_t)C + (size_t)c;
}

/* `body` of every shape; a window lies at least partly inside the image, as any layer's does */
static void each_window(const target *t, void (*body)(const target *, const eg_dw_shape *)) {
    static const int sides[] = {1, 2, 5, 8, 14}, wide[] = {1, 7, 16, 17, 40};
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++)
            for (int R = 1; R <= 7; R++)
                for (int stride = 1; stride <= 3; stride++)
                    for (int pad = 0; pad<R; pad += R> 4 && pad == 0 ? 2 : 1) {
                        int side = sides[i], span = side + 2 * pad - R;
                        eg_dw_shape s = {.H = side, .W = side + 1, .C = wide[k], .R = R};
                        s.stride = stride, s.pad = pad;
                        if (span < 0) continue;
                        s.P = s.Q = span / stride + 1;
                        /* behind the end as TensorFlow pads, and as max pooling with rounding up: one more */
                        if ((s.P - 1) * stride < side + pad - 1 && i % 2) s.P++;
                        if ((s.P - 1) * stride - pad >= side) s.P--;
                        /* the larger shapes at every second padding only, to save time */
                        if (side > 8 && pad % 2 != R / 2 % 2) continue;
                        snprintf(situation, sizeof situation,
                                 " side %d, %d channels, window %d, stride %d, padding %d,", side,
                                 s.C, R, stride, pad);
                        body(t, &s);
                    }
}

/* fn(context, tap's pixel in the image, output pixel, tap) of every product of channel c = 0 */
typedef void (*tap_fn)(void *context, size_t x, size_t y, int tap);
static void each_tap(const eg_dw_shape *s, tap_fn fn, void *context) {
    for (int p = 0; p < s->P; p++)
        for (int q = 0; q < s->Q; q++)
            for (int tap = 0; tap < s->R * s->R; tap++) {
                int h = p * s->stride - s->pad + tap / s->R;
                int v = q * s->stride - s->pad + tap % s->R;
                if (h >= 0 && h < s->H && v >= 0 && v < s->W)
                    fn(context, pixel(h, v, s->W, s->C, 0), pixel(p, q, s->Q, s->C, 0), tap);
            }
}

static size_t image_size(const eg_dw_shape *s) {
    return (size_t)s->H * (size_t)s->W * (size_t)s->C;
}
static size_t output_size(const eg_dw_shape *s) {
    return (size_t)s->P * (size_t)s->Q * (size_t)s->C;
}
static size_t tap_size(const eg_dw_shape *s) {
    return (size_t)(s->R * s->R) * (size_t)s->C;
}

/* the definition's sums and their magnitudes; `which` of x, y and w is summed into */
enum { MOST = 16 * 16 * 70 }; /* outputs of any case: pooling has the widest */
static struct { double sum[MOST], magnitude[MOST]; } truth;
typedef struct {
    const eg_dw_shape *s;
    const array *x, *y, *w; /* the one that is NULL is the result */
} products;

static void add_products(void *context, size_t x, size_t y, int tap) {
    const products *o = context;
    size_t w = (size_t)tap * (size_t)o->s->C;
    for (int c = 0; c < o->s->C; c++, x++, y++, w++) {
        double a = o->x ? at(o->x, x) : at(o->w, w), b = o->x && o->w ? at(o->w, w) : at(o->y, y);
        size_t to = !o->x ? x : !o->w ? w : y;
        truth.sum[to] += a * b;
        truth.magnitude[to] += fabs(a * b);
    }
}

static void find_truth(const products *o, size_t n) {
    assert_true(n <= MOST);
    memset(truth.sum, 0, n * sizeof *truth.sum);
    memset(truth.magnitude, 0, n * sizeof *truth.magnitude);
    each_tap(o->s, add_products, (void *)(uintptr_t)o);
}

/* ---- depthwise ---- */

static void dw_forward_case(const target *t, const eg_dw_shape *s, const array *bias, int act) {
    array x = values(0, image_size(s), t->type, 1), w = floats(1, tap_size(s));
    products o = {s, &x, NULL, &w};
    find_truth(&o, output_size(s));
    array y = blank(2, output_size(s), t->type);
    const float *b = bias ? bias->p : NULL;
    int cut = s->P / 3; /* two calls, as two threads make; the second may begin amid a tile */
    t->k->dw_forward(y.p, x.p, w.p, b, act, s, cut, s->P);
    for (size_t i = 0; i < pixel(cut, 0, s->Q, s->C, 0); i++) assert_true(isnan(at(&y, i)));
    t->k->dw_forward(y.p, x.p, w.p, b, act, s, 0, cut);
    check_untouched(&y);
    for (size_t i = 0; i < y.n; i++) {
        double z = truth.sum[i], m = truth.magnitude[i];
        if (bias) z += at(bias, i % (size_t)s->C), m += fabs(at(bias, i % (size_t)s->C));
        double error = (s->R * s->R + 1) * U * m;
        check_at(t, &y, i, act_of(z, act), act_error(z, act, t->type) + MOST_SLOPE * error);
    }
}

/* only the rows that outputs [p0, p1) read and are, the last ones in front of the forbidden page */
static void dw_forward_part(const target *t, const eg_dw_shape *shape, int p0, int p1) {
    eg_dw_shape s = *shape;
    array x = values(0, image_size(&s), t->type, 1), w = floats(1, tap_size(&s));
    array whole = blank(2, output_size(&s), t->type);
    t->k->dw_forward(whole.p, x.p, w.p, NULL, EG_KACT_RELU, &s, p0, p1);
    int first = p0 * s.stride - s.pad, end = (p1 - 1) * s.stride - s.pad + s.R;
    first = first < 0 ? 0 : first, end = end > s.H ? s.H : end;
    if (p0 >= p1 || first >= end) return;
    size_t row = pixel(1, 0, s.W, s.C, 0), y_row = pixel(1, 0, s.Q, s.C, 0);
    array rows = blank(4, (size_t)(end - first) * row, t->type);
    array part = blank(3, (size_t)(p1 - p0) * y_row, t->type);
    memcpy(rows.p, eg_value_at(x.p, (size_t)first * row, t->type), rows.n * eg_type_bytes(t->type));
    s.x_row0 = first;
    s.y_row0 = p0;
    t->k->dw_forward(part.p, rows.p, w.p, NULL, EG_KACT_RELU, &s, p0, p1);
    check_untouched(&part);
    assert_memory_equal(part.p, eg_value_at(whole.p, (size_t)p0 * y_row, t->type),
                        part.n * eg_type_bytes(t->type));
}

static void dw_forward_shape(const target *t, const eg_dw_shape *s) {
    array bias = floats(5, (size_t)s->C);
    dw_forward_case(t, s, NULL, EG_KACT_NONE);
    dw_forward_case(t, s, &bias, EG_KACT_SILU);
    dw_forward_part(t, s, s->P / 2, s->P);
    dw_forward_part(t, s, s->P / 4, s->P / 2);
    t->k->dw_forward(NULL, NULL, NULL, NULL, EG_KACT_NONE, s, 1, 1); /* no rows */
}
static void check_dw_forward(const target *t) {
    each_window(t, dw_forward_shape);
    array bias = floats(5, 17);
    for (int R = 1; R <= 7; R++) /* every activation behind every body */
        for (int stride = 1; stride <= 2; stride++)
            for (int act = 0; act < EG_KACT_COUNT; act++) {
                eg_dw_shape s = {.H = 9, .W = 10, .C = 17, .R = R, .stride = stride, .pad = R / 2};
                s.P = s.Q = (9 + 2 * s.pad - R) / stride + 1;
                dw_forward_case(t, &s, &bias, act);
            }
}

static void dw_data_shape(const target *t, const eg_dw_shape *s) {
    array dy = values(0, output_size(s), t->type, 1), w = floats(1, tap_size(s));
    products o = {s, NULL, &dy, &w};
    find_truth(&o, image_size(s));
    array dx = blank(2, image_size(s), t->type);
    int cut = s->H / 3;
    t->k->dw_backward_data(dx.p, dy.p, w.p, s, cut, s->H);
    for (size_t i = 0; i < pixel(cut, 0, s->W, s->C, 0); i++) assert_true(isnan(at(&dx, i)));
    t->k->dw_backward_data(dx.p, dy.p, w.p, s, 0, cut);
    check_untouched(&dx);
    for (size_t i = 0; i < dx.n; i++)
        check_at(t, &dx, i, truth.sum[i], (s->R * s->R + 1) * U * truth.magnitude[i]);
}
static void check_dw_backward_data(const target *t) {
    each_window(t, dw_data_shape);
}

static void dw_weights_shape(const target *t, const eg_dw_shape *s) {
    array x = values(0, image_size(s), t->type, 1), dy = values(1, output_size(s), t->type, 1);
    products o = {s, &x, &dy, NULL};
    find_truth(&o, tap_size(s));
    array dw = floats(2, tap_size(s)), before = copy_of(3, &dw); /* it adds */
    t->k->dw_backward_weights(dw.p, x.p, dy.p, s, 0, s->P / 3);
    t->k->dw_backward_weights(dw.p, x.p, dy.p, s, s->P / 3, s->P);
    check_untouched(&dw);
    double terms = (double)(s->P * s->Q + 2);
    for (size_t i = 0; i < dw.n; i++)
        check_at(t, &dw, i, at(&before, i) + truth.sum[i],
                 terms * U * (truth.magnitude[i] + fabs(at(&before, i))));
}
static void check_dw_backward_weights(const target *t) {
    each_window(t, dw_weights_shape);
}

/* ---- max pool ---- */

/* Ties (bf16 has many) go to the first tap in the order of rows, as PyTorch's. */
typedef struct {
    const eg_dw_shape *s;
    const array *x;
    double *best;
    uint8_t *index;
} maxima;

static void take_larger(void *context, size_t x, size_t y, int tap) {
    const maxima *m = context;
    for (int c = 0; c < m->s->C; c++, x++, y++)
        if (m->index[y] == 0xff || at(m->x, x) > m->best[y]) {
            m->best[y] = at(m->x, x);
            m->index[y] = (uint8_t)tap;
        }
}

static void max_pool_shape(const target *t, const eg_dw_shape *s) {
    static uint8_t want[MOST];
    array x = values(0, image_size(s), t->type, 1), y = blank(1, output_size(s), t->type);
    /* bytes, in half as many values: the slot's end is what matters */
    array index = blank(2, (y.n + 1) / 2, EG_TYPE_BF16), alone = blank(3, y.n, t->type);
    uint8_t *taps = (uint8_t *)index.p + y.n % 2;
    assert_true(y.n <= MOST);
    memset(want, 0xff, y.n);
    each_tap(s, take_larger, &(maxima){s, &x, truth.sum, want});
    int cut = s->P / 2;
    t->k->max_pool(y.p, taps, x.p, s, 0, cut);
    t->k->max_pool(y.p, taps, x.p, s, cut, s->P);
    t->k->max_pool(alone.p, NULL, x.p, s, 0, s->P);
    check_untouched(&y);
    check_same(&y, &alone);
    for (size_t i = 0; i < y.n; i++) {
        check_at(t, &y, i, truth.sum[i], 0);
        assert_int_equal(taps[i], want[i]);
    }
}

/* pooling reads one pixel at least: a layer's padding is no more than half its window */
static void each_pool(const target *t, void (*body)(const target *, const eg_dw_shape *)) {
    static const int sides[] = {2, 5, 14}, wide[] = {1, 16, 17, 70};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++)
            for (int R = 1; R <= 3; R++)
                for (int stride = 1; stride <= 2; stride++)
                    for (int pad = 0; pad <= R / 2; pad++) {
                        eg_dw_shape s = {.H = sides[i], .W = sides[i] + 1, .C = wide[k], .R = R};
                        s.stride = stride, s.pad = pad;
                        if (s.H + 2 * pad < R) continue;
                        s.P = (s.H + 2 * pad - R + stride - 1) / stride + 1; /* rounded up */
                        s.Q = (s.W + 2 * pad - R) / stride + 1;
                        if ((s.P - 1) * stride >= s.H + pad) s.P--;
                        body(t, &s);
                    }
}
static void check_max_pool(const target *t) {
    each_pool(t, max_pool_shape);
    /* -inf is a value like others; NaN is not lost, wherever in the window it stands */
    eg_dw_shape s = {.H = 2, .W = 2, .C = 17, .P = 1, .Q = 1, .R = 2, .stride = 2};
    array x = blank(0, 4 * 17, t->type), y = blank(1, 17, t->type), z = blank(2, 17, t->type);
    uint8_t taps[17];
    for (size_t i = 0; i < x.n; i++) value_set(x.p, i, t->type, i % 17 == i / 17 ? NAN : -INFINITY);
    t->k->max_pool(y.p, NULL, x.p, &s, 0, 1);
    t->k->max_pool(z.p, taps, x.p, &s, 0, 1);
    for (size_t i = 0; i < 17; i++) {
        assert_true(i < 4 ? isnan(at(&y, i)) : at(&y, i) == -INFINITY);
        assert_true(i < 4 ? isnan(at(&z, i)) && taps[i] == i : at(&z, i) == -INFINITY);
    }
}

typedef struct {
    const eg_dw_shape *s;
    const array *dy;
    const uint8_t *index;
} routes;

static void add_routed(void *context, size_t x, size_t y, int tap) {
    const routes *r = context;
    for (int c = 0; c < r->s->C; c++, x++, y++)
        if (r->index[y] == tap) {
            truth.sum[x] += at(r->dy, y);
            truth.magnitude[x] += fabs(at(r->dy, y));
        }
}

static void pool_backward_shape(const target *t, const eg_dw_shape *s) {
    static uint8_t index[MOST];
    array x = values(0, image_size(s), t->type, 1), dy = values(1, output_size(s), t->type, 1);
    memset(index, 0xff, dy.n);
    each_tap(s, take_larger, &(maxima){s, &x, truth.sum, index});
    memset(&truth, 0, sizeof truth);
    each_tap(s, add_routed, &(routes){s, &dy, index});
    array dx = blank(2, x.n, t->type);
    int cut = s->H / 2;
    t->k->max_pool_backward(dx.p, dy.p, index, s, 0, cut);
    t->k->max_pool_backward(dx.p, dy.p, index, s, cut, s->H);
    check_untouched(&dx);
    for (size_t i = 0; i < dx.n; i++)
        check_at(t, &dx, i, truth.sum[i], s->R * s->R * U * truth.magnitude[i]);
}
static void check_max_pool_backward(const target *t) {
    each_pool(t, pool_backward_shape);
}

/* ---- 1x1 convolution of rows ---- */

/* packed in as many calls as there are blocks, the last one first: they are parts of one array */
static void pack_parts(const target *t, array *packed, const array *w, eg_pointwise_weights s) {
    for (int k = (s.K - 1) / EG_PW_BLOCK * EG_PW_BLOCK; k >= 0; k -= EG_PW_BLOCK) {
        s.k0 = k, s.k1 = k + EG_PW_BLOCK < s.K ? k + EG_PW_BLOCK : s.K;
        t->k->pw_pack(packed->p, w->p, &s);
    }
    check_untouched(packed);
}

typedef struct {
    size_t rows;
    int C, K, act, residual; /* residual: 0 none, 1 another array, 2 y itself */
} pointwise_kind;

static void pointwise_case(const target *t, pointwise_kind kind) {
    size_t rows = kind.rows, depth = (size_t)kind.C, width = (size_t)kind.K;
    array x = values(0, rows * depth, t->type, 1), w = floats(1, depth * width);
    array bias = floats(2, width), from = values(3, rows * width, t->type, 1);
    array packed = blank(4, eg_pointwise_packed_bytes(kind.C, kind.K) / sizeof(float), EG_TYPE_F32);
    array given = copy_of(5, &from), y = kind.residual == 2 ? from : blank(6, from.n, t->type);
    eg_pointwise p = {rows, kind.C, kind.K, kind.act, bias.p, kind.residual ? from.p : NULL};
    eg_pointwise_weights s = {.C = kind.C, .K = kind.K};
    snprintf(situation, sizeof situation, " %zu rows, %d to %d, activation %d,", rows, kind.C,
             kind.K, kind.act);
    pack_parts(t, &packed, &w, s);
    t->k->pointwise(y.p, x.p, packed.p, &p);
    check_untouched(&y);
    for (size_t i = 0; i < rows * width; i++) {
        size_t r = i / width, k = i % width;
        double z = at(&bias, k), residual = kind.residual ? at(&given, i) : 0;
        double magnitude = fabs(z) + fabs(residual);
        for (size_t c = 0; c < depth; c++) {
            /* weights are values of the type too */
            double term = at(&x, r * depth + c) * round_to(at(&w, k * depth + c), t->type);
            z += term;
            magnitude += fabs(term);
        }
        z += residual;
        double error = (kind.C + 3) * U * magnitude;
        check_at(t, &y, i, act_of(z, kind.act),
                 act_error(z, kind.act, t->type) + MOST_SLOPE * error);
    }
}

static void check_pointwise(const target *t) {
    static const int depths[] = {1, 2, 3, 16, 33}, widths[] = {1, 7, 8, 15, 16, 17, 32, 40, 48, 97};
    static const size_t rows[] = {0, 1, 2, 3, 8, 13, 17};
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 10; k++)
            for (int r = 0; r < 7; r++) {
                pointwise_kind kind = {rows[r], depths[i], widths[k], 0, 0};
                kind.act = (i + k + r) % EG_KACT_COUNT;
                pointwise_case(t, kind);
                kind.act = EG_KACT_NONE, kind.residual = 1;
                pointwise_case(t, kind);
                kind.act = EG_KACT_RELU, kind.residual = 2;
                pointwise_case(t, kind);
            }
}
/* its layout is its own affair: what it must be is what pointwise reads */
static void check_pw_pack(const target *t) {
    pointwise_case(t, (pointwise_kind){9, 21, 53, EG_KACT_NONE, 0});
    pointwise_case(t, (pointwise_kind){2, 40, 144, EG_KACT_NONE, 0});
    pointwise_case(t, (pointwise_kind){1, 1, 1, EG_KACT_NONE, 0});
}

#endif
