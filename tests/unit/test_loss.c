/* The training loss: focal loss and mixed labels by formula and by numerical gradients, and what must not change. */
#include "net/exec.h"
#include "net_test.h"

enum { N = 6, K = 3 };
static const float LOGITS[N * K] = {0.3f, -1.2f, 2.0f, 0.1f,  0.2f,   0.0f, -3.0f, 4.0f,  1.0f,
                                    9.0f, -9.0f, 0.0f, 30.0f, -30.0f, 1.0f, 0.0f,  -0.5f, 0.5f};
static const int32_t LABELS[N] = {2, 0, 0, 0, 0, 1}, OTHERS[N] = {1, 0, 1, 2, 1, 2};
static const float PARTS[N] = {0.7f, 1, 0.25f, 0.5f, 0.9f, 0.6f}, WEIGHTS[K] = {0.5f, 2, 1.25f};

static eg_loss_result run(float *d, const float *z, const eg_loss_options *o) {
    eg_loss_result r;
    eg_loss_softmax(&r, d, z, LABELS, N, K, o);
    return r;
}

/* central differences of the objective; a logit is a float, so the step is large and the bound wide */
static void check_gradient(const eg_loss_options *o) {
    float d[N * K], unused[N * K], z[N * K];
    run(d, LOGITS, o);
    for (int i = 0; i < N * K; i++) {
        memcpy(z, LOGITS, sizeof z);
        z[i] = LOGITS[i] + 0.0078125f;
        double up = run(unused, z, o).objective;
        z[i] = LOGITS[i] - 0.0078125f;
        double slope = (up - run(unused, z, o).objective) / 0.015625;
        if (!isfinite(d[i]) || fabs(slope - (double)d[i]) > 1e-4 * fmax(0.1, fabs(slope)))
            fail_msg("logit %d: gradient %.8g, difference %.8g", i, (double)d[i], slope);
    }
}

static void gradients(void **state) {
    (void)state;
    check_gradient(&(eg_loss_options){0});
    check_gradient(&(eg_loss_options){.class_weight = WEIGHTS, .smoothing = 0.1});
    check_gradient(&(eg_loss_options){.focal_gamma = 2});
    check_gradient(
        &(eg_loss_options){.focal_gamma = 0.5, .class_weight = WEIGHTS, .smoothing = 0.1});
    check_gradient(&(eg_loss_options){.labels2 = OTHERS, .lambda = PARTS});
    check_gradient(&(eg_loss_options){.class_weight = WEIGHTS,
                                      .smoothing = 0.05,
                                      .focal_gamma = 1.5,
                                      .labels2 = OTHERS,
                                      .lambda = PARTS});
}

static void focal_by_formula(void **state) {
    (void)state;
    float d[N * K];
    double expected = 0, prob[N * K];
    eg_softmax(prob, LOGITS, N, K);
    for (int i = 0; i < N; i++) {
        double p = prob[i * K + LABELS[i]];
        expected -= (1 - p) * (1 - p) * log(p) / N;
    }
    eg_loss_result r = run(d, LOGITS, &(eg_loss_options){.focal_gamma = 2});
    assert_float_equal(r.objective, expected, 1e-12);
    assert_true(r.weight == N);
    /* gamma 0 is the cross-entropy, and what is reported beside is the same for every gamma */
    eg_loss_result plain = run(d, LOGITS, NULL);
    assert_float_equal(plain.objective * N, plain.loss_sum, 1e-12);
    assert_true(plain.loss_sum == r.loss_sum && plain.correct == r.correct);
}

/* lambda CE(y1) + (1 - lambda) CE(y2) */
static void mixed_by_formula(void **state) {
    (void)state;
    float d[N * K];
    double expected = 0, prob[N * K], weight = 0;
    eg_softmax(prob, LOGITS, N, K);
    for (int i = 0; i < N; i++) {
        double part = (double)PARTS[i], a = (double)WEIGHTS[LABELS[i]],
               b = (double)WEIGHTS[OTHERS[i]];
        expected -=
            part * a * log(prob[i * K + LABELS[i]]) + (1 - part) * b * log(prob[i * K + OTHERS[i]]);
        weight += part * a + (1 - part) * b;
    }
    eg_loss_options o = {.class_weight = WEIGHTS, .labels2 = OTHERS, .lambda = PARTS};
    eg_loss_result r = run(d, LOGITS, &o);
    assert_float_equal(r.objective, expected / weight, 1e-12);
    assert_float_equal(r.weight, weight, 1e-12);
    /* lambda 1 everywhere is no mixing, bit for bit */
    static const float ONES[N] = {1, 1, 1, 1, 1, 1};
    float e[N * K];
    o.lambda = ONES;
    r = run(d, LOGITS, &o);
    eg_loss_result plain = run(e, LOGITS, &(eg_loss_options){.class_weight = WEIGHTS});
    assert_true(r.objective == plain.objective && r.loss_sum == plain.loss_sum);
    assert_memory_equal(d, e, sizeof d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients),
                                       cmocka_unit_test(focal_by_formula),
                                       cmocka_unit_test(mixed_by_formula)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
