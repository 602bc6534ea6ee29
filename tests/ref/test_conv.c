/* Dense convolution (forward with every epilogue, data gradient, weight gradient) and matrix product of the backend in this
 * build, for values in f32 and in bf16, against the definition in double. Shapes: the kinds the networks use, small, with
 * odd sides and TensorFlow's one-sided padding. In bf16 the definition gets what the convolution gets: values and weights
 * rounded to bf16. Tolerance: float arithmetic 1e-5 of the sum of magnitudes of the terms, in either type, since sums are
 * float in both; then the rounding of the output itself (oracle.h). ENGRAFT_ISA=scalar|avx2: bf16 by conv_widen.c.   */
#include "ref/oracle.h"

/* Values in memory of the type under test; weights, bias and their gradients always float. `exact`: the weights as the
 * convolution multiplies them. */
typedef struct {
    eg_type type;
    void *src, *dst, *dsrc, *residual;
    float *weights, *exact, *bias, *dweights, *dbias;
    size_t n_src, n_dst, n_weights;
} tensors;

static const eg_conv_shape shapes[] = {
    /* N H W C K P Q R S stride before after left right groups; the type is set by the test */
    {2, 8, 8, 16, 32, 8, 8, 1, 1, 1, 0, 0, 0, 0, 1, EG_TYPE_F32},
    {1, 9, 7, 3, 16, 5, 4, 3, 3, 2, 1, 1, 1, 1, 1, EG_TYPE_F32},
    {2, 14, 14, 24, 40, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1, EG_TYPE_F32},
    {1, 15, 15, 8, 16, 7, 7, 3, 3, 2, 0, 0, 0, 0, 1, EG_TYPE_F32},
    {2, 16, 16, 3, 32, 8, 8, 3, 3, 2, 0, 1, 0, 1, 1, EG_TYPE_F32},
    {1, 21, 21, 3, 64, 11, 11, 7, 7, 2, 3, 3, 3, 3, 1, EG_TYPE_F32},
    {3, 7, 7, 33, 17, 4, 4, 1, 1, 2, 0, 0, 0, 0, 1, EG_TYPE_F32},
    {5, 6, 6, 8, 8, 6, 6, 3, 3, 1, 1, 1, 1, 1, 1, EG_TYPE_F32},
    {5, 6, 6, 8, 8, 6, 6, 1, 1, 1, 0, 0, 0, 0, 1, EG_TYPE_F32},
    {5, 12, 12, 8, 16, 6, 6, 1, 1, 2, 0, 0, 0, 0, 1, EG_TYPE_F32},
    {5, 12, 12, 8, 16, 6, 6, 3, 3, 2, 1, 1, 1, 1, 1, EG_TYPE_F32},
    {5, 12, 12, 3, 8, 6, 6, 3, 3, 2, 1, 1, 1, 1, 1, EG_TYPE_F32},
    {1, 6, 6, 32, 64, 6, 6, 3, 3, 1, 1, 1, 1, 1, 4, EG_TYPE_F32},
    /* rectangular windows, as Inception's */
    {2, 9, 9, 16, 24, 9, 9, 1, 7, 1, 0, 0, 3, 3, 1, EG_TYPE_F32},
    {2, 9, 9, 16, 24, 9, 9, 7, 1, 1, 3, 3, 0, 0, 1, EG_TYPE_F32},
    {1, 8, 8, 33, 17, 8, 8, 1, 3, 1, 0, 0, 1, 1, 1, EG_TYPE_F32},
    {3, 8, 10, 16, 32, 8, 10, 3, 1, 1, 1, 1, 0, 0, 1, EG_TYPE_F32},
    {2, 10, 7, 6, 9, 4, 4, 5, 2, 2, 0, 1, 1, 0, 3, EG_TYPE_F32},
    {2, 7, 7, 16, 16, 7, 9, 3, 5, 1, 1, 1, 3, 3, 4, EG_TYPE_F32},
    /* grouped: ResNeXt's 32 x 4, RegNet's 8 and 16 wide, the depthwise multiplier, one input channel a group */
    {2, 7, 7, 128, 128, 7, 7, 3, 3, 1, 1, 1, 1, 1, 32, EG_TYPE_F32},
    {1, 8, 8, 128, 128, 4, 4, 3, 3, 2, 1, 1, 1, 1, 32, EG_TYPE_F32},
    {2, 6, 6, 48, 48, 6, 6, 3, 3, 1, 1, 1, 1, 1, 6, EG_TYPE_F32},
    {1, 7, 7, 48, 104, 4, 4, 3, 3, 2, 1, 1, 1, 1, 8, EG_TYPE_F32},
    {1, 6, 6, 64, 64, 6, 6, 3, 3, 1, 1, 1, 1, 1, 4, EG_TYPE_F32},
    {2, 6, 6, 16, 48, 6, 6, 3, 3, 1, 1, 1, 1, 1, 16, EG_TYPE_F32},
    {2, 6, 6, 7, 14, 3, 3, 3, 3, 2, 1, 1, 1, 1, 7, EG_TYPE_F32},
    {2, 5, 5, 3, 12, 5, 5, 1, 1, 1, 0, 0, 0, 0, 3, EG_TYPE_F32},
    /* windows with taps that no pixel meets: small images, deep down */
    {3, 1, 1, 128, 32, 1, 1, 5, 5, 1, 2, 2, 2, 2, 1, EG_TYPE_F32},
    {3, 1, 1, 32, 64, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, EG_TYPE_F32},
    {2, 2, 2, 32, 32, 1, 1, 3, 3, 2, 1, 1, 1, 1, 1, EG_TYPE_F32},
    {2, 1, 1, 64, 64, 1, 1, 3, 3, 1, 1, 1, 1, 1, 4, EG_TYPE_F32},
    /* as ResNet's: enough channels and tiles for any other algorithm of 3x3 windows, with a border tile of one pixel */
    {2, 13, 14, 64, 64, 13, 14, 3, 3, 1, 1, 1, 1, 1, 1, EG_TYPE_F32},
    {1, 7, 7, 128, 96, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1, EG_TYPE_F32},
};

static float *fill(size_t n, uint32_t stream) {
    float *p = eg_malloc(n * sizeof *p);
    assert_non_null(p);
    eg_random r = eg_random_make(11, stream, 0, 0);
    for (size_t i = 0; i < n; i++) p[i] = (float)eg_random_normal(&r);
    return p;
}

/* the same as values of a type */
static void *fill_values(size_t n, uint32_t stream, eg_type type) {
    void *p = eg_malloc(n * eg_type_bytes(type));
    assert_non_null(p);
    eg_random r = eg_random_make(11, stream, 0, 0);
    for (size_t i = 0; i < n; i++) value_set(p, i, type, eg_random_normal(&r));
    return p;
}

static tensors make(const eg_conv_shape *s) {
    tensors t = {.type = s->type,
                 .n_src = (size_t)(s->N * s->H * s->W * s->C),
                 .n_dst = (size_t)(s->N * s->P * s->Q * s->K),
                 .n_weights = (size_t)(s->K * s->C / s->groups * s->R * s->S)};
    t.src = fill_values(t.n_src, 1, t.type);
    t.dst = fill_values(t.n_dst, 2, t.type);
    t.weights = fill(t.n_weights, 3);
    t.exact = fill(t.n_weights, 3);
    for (size_t i = 0; i < t.n_weights; i++)
        t.exact[i] = (float)round_to((double)t.exact[i], t.type);
    t.bias = fill((size_t)s->K, 4);
    t.residual = fill_values(t.n_dst, 5, t.type);
    t.dsrc = fill_values(t.n_src, 6, t.type);
    t.dweights = fill(t.n_weights, 7);
    t.dbias = fill((size_t)s->K, 8);
    return t;
}

static void drop(tensors *t) {
    void *all[] = {t->src,  t->dst,      t->weights, t->exact,   t->bias,
                   t->dsrc, t->dweights, t->dbias,   t->residual};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) eg_free(all[i]);
}

/* call `each` for every (source, weight, output) triple that is multiplied */
static void triples(const eg_conv_shape *s, void (*each)(void *, size_t, size_t, size_t),
                    void *context) {
    int D = s->C / s->groups, E = s->K / s->groups;
    for (int n = 0; n < s->N; n++)
        for (int p = 0; p < s->P; p++)
            for (int q = 0; q < s->Q; q++)
                for (int k = 0; k < s->K; k++)
                    for (int c = 0; c < D; c++)
                        for (int r = 0; r < s->R; r++)
                            for (int u = 0; u < s->S; u++) {
                                int h = p * s->stride - s->pad_before + r,
                                    w = q * s->stride - s->pad_left + u;
                                if (h < 0 || h >= s->H || w < 0 || w >= s->W) continue;
                                size_t x =
                                    (size_t)(((n * s->H + h) * s->W + w) * s->C + k / E * D + c);
                                size_t v = (size_t)(((k * D + c) * s->R + r) * s->S + u);
                                each(context, x, v,
                                     (size_t)(((n * s->P + p) * s->Q + q) * s->K + k));
                            }
}

typedef struct {
    const tensors *t;
    double *sum, *magnitude;
    int pass;
} oracle;

static void add_term(void *context, size_t x, size_t w, size_t y) {
    oracle *o = context;
    const tensors *t = o->t;
    double a, b;
    size_t at;
    if (o->pass == EG_CONV_FORWARD) {
        a = value_get(t->src, x, t->type), b = (double)t->exact[w], at = y;
    } else if (o->pass == EG_CONV_BACKWARD_DATA) {
        a = value_get(t->dst, y, t->type), b = (double)t->exact[w], at = x;
    } else {
        a = value_get(t->src, x, t->type), b = value_get(t->dst, y, t->type), at = w;
    }
    o->sum[at] += a * b;
    o->magnitude[at] += fabs(a * b);
}

static void compare(const void *got, const double *want, const double *magnitude, size_t n,
                    eg_type type, const char *what) {
    for (size_t i = 0; i < n; i++)
        if (!is_near(value_get(got, i, type), want[i], 1e-5 * (magnitude[i] + 1), type))
            fail_msg("%s[%zu], %s: got %.9g, expected %.9g", what, i, type_name(type),
                     value_get(got, i, type), want[i]);
}

static void run_forward(const eg_conv_shape *s, tensors *t, const oracle *o, int act, bool add) {
    eg_error err;
    eg_conv *c = NULL;
    eg_conv_epilogue e = {.bias = true, .add = add, .act = act};
    if (eg_conv_new(&c, s, EG_CONV_FORWARD, &e, &err) != EG_OK) fail_msg("%s", err.text);
    void *packed = eg_malloc(eg_conv_packed_bytes(c)),
         *scratch = eg_malloc(eg_conv_scratch_bytes(c) + 64);
    void *y = eg_malloc(t->n_dst * eg_type_bytes(t->type));
    double *want = eg_malloc(t->n_dst * sizeof *want);
    memcpy(y, t->residual, t->n_dst * eg_type_bytes(t->type));
    assert_int_equal(eg_conv_pack(c, packed, t->weights, &err), EG_OK);
    assert_int_equal(eg_conv_forward(c, y, t->src, packed, t->bias, scratch, &err), EG_OK);
    for (size_t i = 0; i < t->n_dst; i++)
        want[i] = act_of(o->sum[i] + (double)t->bias[i % (size_t)s->K] +
                             (add ? value_get(t->residual, i, t->type) : 0),
                         act);
    compare(y, want, o->magnitude, t->n_dst, t->type, "forward");
    eg_conv_free(c);
    eg_free(packed);
    eg_free(scratch);
    eg_free(y);
    eg_free(want);
}

/* work space of a plan holds what was there before: nothing may rest on zeros */
static void *dirty(size_t n) {
    void *p = eg_malloc(n + 64);
    assert_non_null(p);
    memset(p, 0x7b, n + 64); /* 1.3e36 as floats */
    return p;
}

static void run_backward(const eg_conv_shape *s, tensors *t, const oracle *o, eg_conv_pass pass) {
    eg_error err;
    eg_conv *c = NULL;
    eg_conv_epilogue e = {.bias = true};
    if (eg_conv_new(&c, s, pass, &e, &err) != EG_OK) fail_msg("%s", err.text);
    void *packed = dirty(eg_conv_packed_bytes(c)), *scratch = dirty(eg_conv_scratch_bytes(c));
    if (pass == EG_CONV_BACKWARD_DATA) {
        assert_int_equal(eg_conv_pack(c, packed, t->weights, &err), EG_OK);
        assert_int_equal(eg_conv_backward_data(c, t->dsrc, t->dst, packed, scratch, &err), EG_OK);
        compare(t->dsrc, o->sum, o->magnitude, t->n_src, t->type, "data gradient");
    } else {
        assert_int_equal(eg_conv_backward_weights(c, t->dweights, t->dbias, t->src, t->dst, packed,
                                                  scratch, &err),
                         EG_OK);
        compare(t->dweights, o->sum, o->magnitude, t->n_weights, EG_TYPE_F32, "weight gradient");
        for (int k = 0; k < s->K; k++) {
            double sum = 0, magnitude = 0;
            for (size_t i = (size_t)k; i < t->n_dst; i += (size_t)s->K) {
                sum += value_get(t->dst, i, t->type);
                magnitude += fabs(value_get(t->dst, i, t->type));
            }
            compare(t->dbias + k, &sum, &magnitude, 1, EG_TYPE_F32, "bias gradient");
        }
    }
    eg_conv_free(c);
    eg_free(packed);
    eg_free(scratch);
}

static void check_shape(const eg_conv_shape *s) {
    tensors t = make(s);
    for (int pass = EG_CONV_FORWARD; pass <= EG_CONV_BACKWARD_WEIGHTS; pass++) {
        size_t n = pass == EG_CONV_FORWARD         ? t.n_dst
                   : pass == EG_CONV_BACKWARD_DATA ? t.n_src
                                                   : t.n_weights;
        oracle o = {&t, eg_calloc(n, sizeof(double)), eg_calloc(n, sizeof(double)), pass};
        triples(s, add_term, &o);
        if (pass == EG_CONV_FORWARD) {
            for (int act = EG_KACT_NONE; act < EG_KACT_COUNT; act++) {
                run_forward(s, &t, &o, act, false);
                run_forward(s, &t, &o, act, true);
            }
        } else {
            run_backward(s, &t, &o, (eg_conv_pass)pass);
        }
        eg_free(o.sum);
        eg_free(o.magnitude);
    }
    drop(&t);
}

static void check_type(eg_type type) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        eg_conv_shape s = shapes[i];
        s.type = type;
        check_shape(&s);
    }
}

static void test_convolution(void **state) {
    (void)state;
    check_type(EG_TYPE_F32);
}

static void test_convolution_bf16(void **state) {
    (void)state;
    check_type(EG_TYPE_BF16);
}

static void test_matrix_product(void **state) {
    (void)state;
    const int m = 5, n = 7, k = 33;
    float *a = fill((size_t)(m * k), 1), *b = fill((size_t)(k * n), 2),
          *start = fill((size_t)(m * n), 3), c[35];
    for (int mode = 0; mode < 8; mode++) {
        bool ta = mode & 1, tb = mode & 2, acc = mode & 4;
        eg_error err;
        memcpy(c, start, sizeof c);
        assert_int_equal(eg_gemm(c, a, b, m, n, k, ta, tb, acc, &err), EG_OK);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                double sum = acc ? (double)start[i * n + j] : 0, magnitude = 1;
                for (int d = 0; d < k; d++) {
                    double p = (double)(ta ? a[d * m + i] : a[i * k + d]) *
                               (double)(tb ? b[j * k + d] : b[d * n + j]);
                    sum += p;
                    magnitude += fabs(p);
                }
                compare(&c[i * n + j], &sum, &magnitude, 1, EG_TYPE_F32, "product");
            }
    }
    eg_free(a);
    eg_free(b);
    eg_free(start);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convolution),
                                       cmocka_unit_test(test_convolution_bf16),
                                       cmocka_unit_test(test_matrix_product)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
