/* For the parity tests (test_parity.c, test_parity_bf16.c): golden files, networks and plans of the shared formula, and the
 * three comparisons, with limits that the caller brings. Gradients are stored as norm and 32 random projections d.s,
 * s = +-1: E (d.s)^2 = |d|^2, so that an error is estimated, with a spread of 1 / sqrt(2 * 32); a limit that is some multiple
 * of torch's own error gets three times that. The exact comparison: scripts/check_parity_live.py.                  */
#ifndef TEST_PARITY_CHECK_H
#define TEST_PARITY_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden/formula.h"

#define ESTIMATE_SPREAD (1.0 + 3.0 / sqrt(2.0 * FORMULA_PROJECTIONS))

static const int32_t parity_labels[FORMULA_N] = {1, 4, 7, 2};

static inline json_t *parity_load(const char *model) {
    char path[1024];
    eg_error err;
    json_t *root = NULL;
    snprintf(path, sizeof path, "%s/tests/golden/parity/%s.json", TEST_SOURCE_DIR, model);
    if (eg_json_read(&root, path, &err) != EG_OK) fail_msg("%s", err.text);
    return root;
}

static inline double number(const json_t *root, const char *key) {
    const json_t *v = json_object_get(root, key);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static inline eg_network *network(const char *model, const json_t *golden) {
    eg_error err;
    eg_network *net = NULL;
    if (eg_network_new(&net, model, (int)number(golden, "classes"), FORMULA_SIDE, &err) != EG_OK)
        fail_msg("%s", err.text);
    formula_fill(net);
    return net;
}

static inline eg_plan *plan(eg_network *net, eg_plan_mode mode, bool bf16) {
    eg_error err;
    eg_plan *p = NULL;
    eg_plan_options o = {
        .mode = mode, .batch = FORMULA_N, .bn = EG_BN_TRAIN, .dropout = 0, .bf16 = bf16};
    if (eg_plan_new(&p, net, &o, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(eg_plan_is_bf16(p), bf16);
    formula_input(eg_plan_input(p));
    return p;
}

static inline void check_logits(const float *got, const json_t *want, const char *what,
                                double tolerance) {
    double top = 0, worst = 0;
    size_t n = json_array_size(want);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        double w = json_number_value(json_array_get(want, i)), d = fabs((double)got[i] - w);
        if (fabs(w) > top) top = fabs(w);
        if (!(d <= worst)) worst = d; /* NaN sticks */
    }
    print_message("  %s: max |diff| / max |logit| = %.2e\n", what, worst / top);
    if (!(worst <= tolerance * top))
        fail_msg("%s: max |diff| %.3g, max |logit| %.3g", what, worst, top);
}

static inline double projection(const eg_net_tensor *t, size_t index, size_t j) {
    double sum = 0;
    for (size_t k = 0; k < t->count; k++) {
        bool minus = formula_uniform(FORMULA_SIGNS + index * FORMULA_PROJECTIONS + j, k) < 0.5f;
        sum += minus ? -(double)t->grad[k] : (double)t->grad[k];
    }
    return sum;
}

/* One parameter's gradient against its stored norm and projections: an estimate of |own - true|; *own_norm gets |own|. */
static inline double gradient_error(double *own_norm, const eg_net_tensor *t, size_t index,
                                    const json_t *entry) {
    const json_t *stored = json_object_get(entry, "projections");
    double square = 0, own = 0;
    for (size_t j = 0; j < FORMULA_PROJECTIONS; j++)
        square += pow(projection(t, index, j) - json_number_value(json_array_get(stored, j)), 2);
    for (size_t k = 0; k < t->count; k++) own += (double)t->grad[k] * (double)t->grad[k];
    *own_norm = sqrt(own);
    /* the norms cannot be further apart than the vectors */
    return fmax(sqrt(square / FORMULA_PROJECTIONS), fabs(*own_norm - number(entry, "norm")));
}

typedef struct {
    /* relative error that torch's own arithmetic has in this gradient (worst of several equivalent runs) */
    double (*torch_error)(const void *context, const json_t *entry);
    const void *context;
    double enough;   /* relative error that is right whatever torch's own is */
    double whole;    /* relative error of all gradients together; 0: looked at one by one only */
    double accurate; /* torch errors up to here are taken as none */
    double
        zero; /* part of the whole: a norm below it counts as zero, and ours may be off by as much */
} gradient_limits;

/* Every gradient: at most `enough`, or twice torch's own error where that is above `accurate`. One tensor in twenty may go to
 * twice torch's worst tensor of the model: where rounding takes a ReLU input across zero is luck. */
static inline void check_gradients(eg_network *net, const json_t *golden,
                                   const gradient_limits *limits) {
    const json_t *list = json_object_get(golden, "gradients"), *entry;
    size_t i, n_tensors, beyond = 0;
    double global = 0, worst = 0, worst_torch = 0, whole = 0;
    eg_net_tensor *tensors = eg_network_tensors(net, &n_tensors);
    json_array_foreach(list, i, entry) global += pow(number(entry, "norm"), 2);
    global = sqrt(global);
    json_array_foreach(list, i, entry) {
        if (number(entry, "norm") >= limits->zero * global)
            worst_torch = fmax(worst_torch, limits->torch_error(limits->context, entry));
    }
    json_array_foreach(list, i, entry) {
        size_t index = (size_t)number(entry, "index");
        assert_true(index < n_tensors && tensors[index].role == EG_TENSOR_PARAMETER);
        const eg_net_tensor *t = &tensors[index];
        double norm = number(entry, "norm"), own, error = gradient_error(&own, t, index, entry);
        double torch = limits->torch_error(limits->context, entry);
        whole += error * error;
        if (norm < limits->zero * global) {
            if (!(error <= limits->zero * global))
                fail_msg("%s: gradient %.3g, true one %.3g: as good as zero", t->name, own, norm);
            continue;
        }
        double limit = limits->enough, most = fmax(limits->enough, 2 * worst_torch);
        if (torch > limits->accurate) limit = fmax(limit, 2 * torch * ESTIMATE_SPREAD);
        if (!(error <= limit * norm)) {
            beyond++;
            print_message("  %s: relative error %.3g, limit %.3g (torch's own: %.3g)\n", t->name,
                          error / norm, limit, torch);
            if (!(error <= most * norm))
                fail_msg("%s: relative error %.3g, torch's worst tensor %.3g", t->name,
                         error / norm, worst_torch);
        }
        worst = fmax(worst, error / norm);
    }
    print_message("  gradients: %zu tensors, worst relative error %.2e (torch: %.2e), of all "
                  "together %.2e\n",
                  json_array_size(list), worst, worst_torch, sqrt(whole) / global);
    if (limits->whole > 0 && !(sqrt(whole) <= limits->whole * ESTIMATE_SPREAD * global))
        fail_msg("all gradients together: relative error %.3g, limit %.3g", sqrt(whole) / global,
                 limits->whole);
    assert_true(json_array_size(list) > 20);
    assert_true(beyond * 20 <= json_array_size(list));
}

/* ten steps of SGD from the formula's weights, each loss within `limit`, relative, of torch's in float64 */
static inline void check_steps(const char *model, const json_t *golden, bool bf16, double limit) {
    eg_error err;
    eg_network *net = network(model, golden);
    eg_plan *p = plan(net, EG_PLAN_TRAIN, bf16);
    eg_optimizer *opt = NULL;
    eg_opt_options o = {.kind = EG_OPT_SGD, .momentum = number(golden, "momentum")};
    assert_int_equal(eg_optimizer_for(&opt, net, &o, &err), EG_OK);
    const json_t *losses = json_object_get(golden, "sgd_losses");
    double worst = 0;
    assert_int_equal(json_array_size(losses), 10);
    for (size_t i = 0; i < json_array_size(losses); i++) {
        eg_loss_result r;
        if (eg_plan_forward(p, FORMULA_N, i, &err) != EG_OK) fail_msg("%s", err.text);
        if (eg_plan_backward(&r, p, parity_labels, NULL, &err) != EG_OK) fail_msg("%s", err.text);
        eg_optimizer_step(opt, number(golden, "lr"), 1);
        double want = json_number_value(json_array_get(losses, i)),
               d = fabs(r.objective - want) / want;
        if (!(d <= worst)) worst = d;
        if (!(d <= limit)) fail_msg("step %zu: loss %.7g, torch %.7g", i, r.objective, want);
    }
    print_message("  ten SGD steps: worst relative difference of the loss %.2e\n", worst);
    eg_optimizer_free(opt);
    eg_plan_free(p);
    eg_network_free(net);
}

typedef struct {
    bool bf16;
    double logits, loss, steps; /* of the largest logit; relative */
    gradient_limits gradients;
} parity_limits;

static inline void check_model(const char *model, const json_t *golden, const parity_limits *to) {
    eg_error err;
    eg_network *net = network(model, golden);
    eg_plan *p = plan(net, EG_PLAN_PREDICT, to->bf16);
    if (eg_plan_forward(p, FORMULA_N, 0, &err) != EG_OK) fail_msg("%s", err.text);
    check_logits(eg_plan_logits(p), json_object_get(golden, "eval_logits"), "evaluation logits",
                 to->logits);
    eg_plan_free(p);
    p = plan(net, EG_PLAN_TRAIN, to->bf16);
    eg_loss_result r;
    if (eg_plan_forward(p, FORMULA_N, 0, &err) != EG_OK) fail_msg("%s", err.text);
    if (eg_plan_backward(&r, p, parity_labels, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    double want = number(golden, "train_loss");
    if (!(fabs(r.objective - want) <= to->loss * want))
        fail_msg("training loss %.9g, torch %.9g", r.objective, want);
    check_gradients(net, golden, &to->gradients);
    eg_plan_free(p);
    eg_network_free(net);
    check_steps(model, golden, to->bf16, to->steps);
}

/* main of a parity test: check(model) for each network that has a golden file */
#define PARITY_MODELS(X) X(resnet18) X(resnet50) X(efficientnet_b0) X(efficientnet_lite0)
#define PARITY_TEST(name)                                                                          \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        check(#name);                                                                              \
    }
#define PARITY_ENTRY(name) cmocka_unit_test(test_##name),
#define PARITY_MAIN                                                                                \
    PARITY_MODELS(PARITY_TEST)                                                                     \
    int main(void) {                                                                               \
        const struct CMUnitTest tests[] = {PARITY_MODELS(PARITY_ENTRY)};                           \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

#endif
