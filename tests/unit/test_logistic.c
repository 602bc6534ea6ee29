/* The exact head: scikit-learn's probabilities, the optimality conditions written out in plain
 * loops, the same bits for any number of threads, the callback, and everything it refuses. */
#include "stats_close.h"

#include "stats/stats.h"

#define GOLDEN_LOGISTIC
#include "data/stats/stats_golden.h"

enum { GOLDEN_N = 60, GOLDEN_D = 8, MAX_K = 4, MAX_D = 16, N = 333 };

static void probabilities(double *p, const float *x, size_t D, int K, const double *coef,
                          const double *intercept) {
    double z[MAX_K] = {0}, sum = 0;
    for (int k = 0; k < (K == 2 ? 1 : K); k++) {
        double *to = K == 2 ? z + 1 : z + k; /* two classes: the logit of class 1 */
        *to = intercept[k];
        for (size_t j = 0; j < D; j++) *to += (double)x[j] * coef[(size_t)k * D + j];
    }
    for (int k = 0; k < K; k++) sum += exp(z[k]);
    for (int k = 0; k < K; k++) p[k] = exp(z[k]) / sum;
}

static void test_golden(void **unused) {
    (void)unused;
    for (size_t c = 0; c < LENGTH(golden_logistic); c++) {
        int K = golden_logistic[c].n_classes, iterations = -1;
        double coef[MAX_K * GOLDEN_D], intercept[MAX_K], p[MAX_K];
        eg_logistic_options o = {.C = golden_logistic[c].C,
                                 .class_weight = golden_logistic[c].class_weight,
                                 .tolerance = 1e-10};
        eg_error err = {.text = ""};
        eg_status status =
            eg_logistic_fit(coef, intercept, &iterations, golden_logistic_x,
                            golden_logistic[c].label, GOLDEN_N, GOLDEN_D, K, &o, &err);
        if (status != EG_OK) print_error("%s: %s\n", golden_logistic[c].name, err.text);
        assert_int_equal(status, EG_OK);
        assert_in_range(iterations, 2, 400);
        for (size_t i = 0; i < GOLDEN_N; i++) {
            probabilities(p, golden_logistic_x + i * GOLDEN_D, GOLDEN_D, K, coef, intercept);
            for (int k = 0; k < K; k++)
                assert_close(p[k], golden_logistic[c].prob[i * (size_t)K + (size_t)k], 1e-7);
        }
    }
}

/* ---- made-up problems of odd sizes ---- */

typedef struct {
    float x[N * MAX_D];
    int32_t label[N];
    size_t D;
    int K;
} sample;

static void sample_make(sample *s, size_t n, size_t D, int K, uint32_t number) {
    eg_random random = eg_random_make(2, number, 0, 0);
    s->D = D;
    s->K = K;
    for (size_t i = 0; i < n; i++) {
        double score = 0;
        for (size_t j = 0; j < D; j++) {
            double v = (1 + (double)j) * fabs(3 + eg_random_normal(&random));
            s->x[i * D + j] = (float)v;
            score += (j % 2 ? v : -v) / (1 + (double)j);
        }
        score += eg_random_normal(&random) + 0.1 * (double)i / (double)n;
        int k = (int)floor(score + K / 2.0);
        s->label[i] = (int32_t)i < K ? (int32_t)i : k < 0 ? 0 : k >= K ? K - 1 : k;
    }
}

/* Largest entry of the gradient of 0.5 |w|^2 + C sum s_i loss_i, one case at a time. */
static double gradient_largest(const sample *s, size_t n, const eg_logistic_options *o,
                               const double *coef, const double *intercept) {
    double g[MAX_K][MAX_D + 1] = {{0}}, p[MAX_K], largest = 0;
    int R = s->K == 2 ? 1 : s->K;
    for (size_t i = 0; i < n; i++) {
        const float *x = s->x + i * s->D;
        double weight = o->C * (o->class_weight ? o->class_weight[s->label[i]] : 1);
        probabilities(p, x, s->D, s->K, coef, intercept);
        for (int r = 0; r < R; r++) {
            int k = s->K == 2 ? 1 : r;
            double residual = weight * (p[k] - (s->label[i] == k));
            for (size_t j = 0; j < s->D; j++) g[r][j] += residual * (double)x[j];
            g[r][s->D] += residual;
        }
    }
    for (int r = 0; r < R; r++)
        for (size_t j = 0; j <= s->D; j++) {
            double w = j < s->D ? coef[(size_t)r * s->D + j] : 0; /* the intercept is free */
            largest = fmax(largest, fabs(g[r][j] + w));
        }
    return largest;
}

/* Sizes around the chunk and the four rows: 333 rows give chunks of 10 and 11; 13 columns leave
 * one over. */
static void test_optimality(void **unused) {
    (void)unused;
    static const size_t rows[] = {5, 31, 127, 128, 130, N}, columns[] = {1, 3, 4, 13, 16};
    static const double weight[MAX_K] = {1, 2.5, 0.5, 1.5};
    sample *s = eg_malloc(sizeof *s);
    for (size_t a = 0; a < LENGTH(rows); a++)
        for (size_t b = 0; b < LENGTH(columns); b++)
            for (int K = 2; K <= MAX_K; K++) {
                double coef[MAX_K * MAX_D], intercept[MAX_K];
                eg_logistic_options o = {.C = K == 3 ? 2 : 0.05,
                                         .class_weight = K == 2 ? NULL : weight};
                sample_make(s, rows[a], columns[b], K, (uint32_t)(a * 100 + b * 10) + (uint32_t)K);
                assert_int_equal(eg_logistic_fit(coef, intercept, NULL, s->x, s->label, rows[a],
                                                 columns[b], K, &o, NULL),
                                 EG_OK);
                double total = 0;
                for (size_t i = 0; i < rows[a]; i++)
                    total += o.C * (o.class_weight ? weight[s->label[i]] : 1);
                assert_true(gradient_largest(s, rows[a], &o, coef, intercept) <=
                            1.01e-8 * fmax(1, total));
            }
    eg_free(s);
}

/* LLVM's OpenMP runtime forgets a few hundred bytes each time a team changes its size; the leak
 * checker is told not to count them as ours. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libomp.so";
}

static void test_threads(void **unused) {
    (void)unused;
    sample *s = eg_malloc(sizeof *s);
    for (int K = 2; K <= 3; K++) {
        double first[MAX_K * MAX_D + MAX_K] = {0}, again[MAX_K * MAX_D + MAX_K] = {0};
        eg_logistic_options o = {.C = 1};
        int it_first, it_again;
        sample_make(s, N, 13, K, 5);
        eg_threads_set(1);
        assert_int_equal(eg_logistic_fit(first, first + MAX_K * MAX_D, &it_first, s->x, s->label, N,
                                         13, K, &o, NULL),
                         EG_OK);
        for (int threads = 2; threads <= 5; threads++) {
            eg_threads_set(threads);
            assert_int_equal(eg_logistic_fit(again, again + MAX_K * MAX_D, &it_again, s->x,
                                             s->label, N, 13, K, &o, NULL),
                             EG_OK);
            assert_memory_equal(first, again, sizeof first);
            assert_int_equal(it_first, it_again);
        }
    }
    eg_threads_set(0);
    eg_free(s);
}

/* ---- the callback ---- */

typedef struct {
    const sample *s;
    double C, last;
    int calls, stop_at;
    double coef[MAX_D], intercept;
} watcher;

/* The objective it is told must be the objective of the coefficients it is given. */
static bool watch(void *context, int iteration, const double *coef, const double *intercept,
                  double objective) {
    watcher *w = context;
    double f = 0, p[2];
    for (size_t j = 0; j < w->s->D; j++) f += 0.5 * coef[j] * coef[j];
    for (size_t i = 0; i < N; i++) {
        probabilities(p, w->s->x + i * w->s->D, w->s->D, 2, coef, intercept);
        f -= w->C * log(p[w->s->label[i]]);
    }
    assert_close(objective, f, 1e-9);
    assert_true(objective <= w->last);
    assert_int_equal(iteration, ++w->calls);
    w->last = objective;
    memcpy(w->coef, coef, w->s->D * sizeof *coef);
    w->intercept = intercept[0];
    return iteration == w->stop_at;
}

static void test_callback(void **unused) {
    (void)unused;
    sample *s = eg_malloc(sizeof *s);
    sample_make(s, N, 6, 2, 9);
    double coef[MAX_D], intercept[1];
    int iterations;
    watcher w = {.s = s, .C = 0.3, .last = INFINITY};
    eg_logistic_options o = {.C = 0.3, .tolerance = 1e-6, .iteration = watch, .context = &w};
    assert_int_equal(
        eg_logistic_fit(coef, intercept, &iterations, s->x, s->label, N, 6, 2, &o, NULL), EG_OK);
    assert_int_equal(iterations, w.calls);
    w = (watcher){.s = s, .C = 0.3, .last = INFINITY, .stop_at = 2};
    assert_int_equal(
        eg_logistic_fit(coef, intercept, &iterations, s->x, s->label, N, 6, 2, &o, NULL), EG_OK);
    assert_int_equal(iterations, 2);
    assert_memory_equal(coef, w.coef, 6 * sizeof *coef); /* the early stop hands back that point */
    assert_true(intercept[0] == w.intercept);
    eg_free(s);
}

/* ---- refusals ---- */

static void refuse(const sample *s, size_t n, size_t D, int K, const eg_logistic_options *o,
                   eg_status expected, const char *text) {
    double coef[MAX_K * MAX_D] = {7}, intercept[MAX_K] = {7};
    int iterations = 7;
    eg_error err = {.text = ""};
    size_t before = eg_memory_stats_get().bytes_now;
    assert_int_equal(
        eg_logistic_fit(coef, intercept, &iterations, s->x, s->label, n, D, K, o, &err), expected);
    if (!strstr(err.text, text)) print_error("%s\nlacks: %s\n", err.text, text);
    assert_non_null(strstr(err.text, text));
    assert_true(coef[0] == 7 && intercept[0] == 7 && iterations == 7);
    assert_int_equal(eg_memory_stats_get().bytes_now, before);
}

static void test_refused(void **unused) {
    (void)unused;
    sample *s = eg_malloc(sizeof *s);
    sample_make(s, N, 5, 3, 1);
    const double zero[3] = {1, 0, 1};
    eg_logistic_options o = {.C = 1}, no_c = {.C = 0}, no_weight = {.C = 1, .class_weight = zero};
    refuse(s, 0, 5, 3, &o, EG_ERR_INPUT, "0 cases");
    refuse(s, N, 0, 3, &o, EG_ERR_INPUT, "0 features");
    refuse(s, N, 5, 1, &o, EG_ERR_INPUT, "1 classes");
    refuse(s, N, 5, 3, &no_c, EG_ERR_INPUT, "C above 0");
    refuse(s, N, 5, 2, &o, EG_ERR_INPUT, "label 2");
    refuse(s, N, 5, 4, &o, EG_ERR_INPUT, "class 3 has 0 cases");
    refuse(s, N, 5, 3, &no_weight, EG_ERR_INPUT, "class 1");
    eg_logistic_options short_run = {.C = 1, .max_iterations = 2};
    refuse(s, N, 5, 3, &short_run, EG_ERR_DIVERGED, "after 2 iterations");
    eg_memory_fail_at(1);
    refuse(s, N, 5, 3, &o, EG_ERR_NO_MEMORY, "no memory");
    eg_memory_fail_at(2);
    refuse(s, N, 5, 3, &o, EG_ERR_NO_MEMORY, "no memory");
    eg_memory_fail_at(0);
    refuse(s, SIZE_MAX / 16, SIZE_MAX / 4, 1, &o, EG_ERR_INPUT, "classes");
    s->x[5 * 40 + 3] = NAN;
    refuse(s, N, 5, 3, &o, EG_ERR_INPUT, "feature 3");
    s->x[5 * 40 + 3] = INFINITY;
    refuse(s, N, 5, 3, &o, EG_ERR_INPUT, "feature 3");
    eg_free(s);
}

/* Separable classes and features of very different size still end at the penalised optimum. */
static void test_hard(void **unused) {
    (void)unused;
    sample *s = eg_malloc(sizeof *s);
    double coef[MAX_D], intercept[1];
    int iterations;
    s->D = 3;
    s->K = 2;
    for (int i = 0; i < N; i++) {
        s->label[i] = i % 2;
        s->x[3 * i] = 1000 + 100 * (float)(i % 2) + (float)(i % 7);
        s->x[3 * i + 1] = 1e-3f * (float)(i % 5);
        s->x[3 * i + 2] = 4; /* constant column */
    }
    eg_logistic_options o = {.C = 100};
    assert_int_equal(
        eg_logistic_fit(coef, intercept, &iterations, s->x, s->label, N, 3, 2, &o, NULL), EG_OK);
    assert_true(gradient_largest(s, N, &o, coef, intercept) <= 1e-6 * 100 * N);
    assert_close(coef[2], 0, 1e-4);
    for (int i = 0; i < N; i++) {
        double p[2];
        probabilities(p, s->x + 3 * i, 3, 2, coef, intercept);
        assert_true(p[s->label[i]] > 0.95);
    }
    eg_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),  cmocka_unit_test(test_optimality),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_callback),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_hard)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
