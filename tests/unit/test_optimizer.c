/* Optimisers: ten steps against PyTorch, the same bits for any number of threads, no heap in a step, resume. */
#include "data/net/optimizer_golden.h"
#include "net_test.h"

enum { ALL = GOLDEN_MATRIX + GOLDEN_VECTOR };

static void check_golden(const eg_opt_options *o, double lr, double scale, const float *golden) {
    float w[ALL], g[ALL];
    memcpy(w, golden_weights, sizeof w);
    const eg_opt_tensor tensors[] = {
        {w, g, GOLDEN_MATRIX, true, NULL},
        {w + GOLDEN_MATRIX, g + GOLDEN_MATRIX, GOLDEN_VECTOR, false, NULL}};
    eg_optimizer *opt = NULL;
    assert_int_equal(eg_optimizer_new(&opt, tensors, 2, o, NULL), EG_OK);
    for (int step = 0; step < GOLDEN_STEPS; step++) {
        memcpy(g, golden_grads + step * ALL, sizeof g);
        eg_optimizer_step(opt, lr, scale);
        for (int i = 0; i < ALL; i++) {
            float want = golden[step * ALL + i];
            double bound =
                1e-6 * fmax(0.1, fabs((double)want)); /* weights start at size 1 and may cross 0 */
            if (fabs((double)w[i] - want) > bound)
                fail_msg("step %d, %d: got %.9g, expected %.9g", step, i, (double)w[i],
                         (double)want);
        }
    }
    eg_optimizer_free(opt);
}

static void as_torch(void **state) {
    (void)state;
    check_golden(&(eg_opt_options){.kind = EG_OPT_SGD, .momentum = 0.9, .weight_decay = 0.01}, 0.05,
                 1, golden_sgd_momentum);
    check_golden(&(eg_opt_options){.kind = EG_OPT_SGD, .weight_decay = 0.01}, 0.05, 0.25,
                 golden_sgd_plain);
    check_golden(&(eg_opt_options){.kind = EG_OPT_ADAMW, .weight_decay = 0.1}, 0.02, 1,
                 golden_adamw);
    check_golden(&(eg_opt_options){.kind = EG_OPT_RMSPROP, .momentum = 0.9, .weight_decay = 0.01},
                 0.004, 1, golden_rmsprop_momentum);
    check_golden(&(eg_opt_options){.kind = EG_OPT_RMSPROP, .weight_decay = 0.01}, 0.004, 0.25,
                 golden_rmsprop_plain);
}

/* sizes around the chunk of 16384 */
static const size_t SIZES[] = {1, 16383, 16384, 16385, 70001};
enum { N_SIZES = 5 };

typedef struct {
    float *data[N_SIZES], *grad[N_SIZES];
    eg_opt_tensor tensors[N_SIZES];
} problem;

static void gradients(problem *p, uint32_t step) {
    for (int i = 0; i < N_SIZES; i++) {
        eg_random r = eg_random_make(5, step, (uint32_t)i, 0);
        for (size_t k = 0; k < SIZES[i]; k++) p->grad[i][k] = (float)eg_random_normal(&r);
    }
}

static void problem_open(problem *p) {
    for (int i = 0; i < N_SIZES; i++) {
        p->data[i] = eg_calloc(SIZES[i], sizeof(float));
        p->grad[i] = eg_calloc(SIZES[i], sizeof(float));
        assert_true(p->data[i] && p->grad[i]);
        for (size_t k = 0; k < SIZES[i]; k++) p->data[i][k] = (float)k / (float)SIZES[i];
        p->tensors[i] = (eg_opt_tensor){p->data[i], p->grad[i], SIZES[i], i % 2 == 0, NULL};
    }
}

static void problem_close(problem *p) {
    for (int i = 0; i < N_SIZES; i++) {
        eg_free(p->data[i]);
        eg_free(p->grad[i]);
    }
}

static void assert_equal_weights(const problem *a, const problem *b) {
    for (int i = 0; i < N_SIZES; i++)
        assert_memory_equal(a->data[i], b->data[i], SIZES[i] * sizeof(float));
}

static const eg_opt_options KINDS[] = {{.kind = EG_OPT_SGD, .momentum = 0.9, .weight_decay = 1e-4},
                                       {.kind = EG_OPT_ADAMW, .weight_decay = 0.01},
                                       {.kind = EG_OPT_RMSPROP, .weight_decay = 0.01}};
enum { N_KINDS = sizeof KINDS / sizeof *KINDS };

static void any_threads(void **state) {
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        problem p[3];
        double norm[3];
        for (int run = 0; run < 3; run++) {
            eg_threads_set(run + 1);
            problem_open(&p[run]);
            eg_optimizer *opt = NULL;
            assert_int_equal(eg_optimizer_new(&opt, p[run].tensors, N_SIZES, &KINDS[kind], NULL),
                             EG_OK);
            for (uint32_t step = 0; step < 4; step++) {
                gradients(&p[run], step);
                uint64_t before = eg_memory_stats_get().n_allocations;
                norm[run] = eg_optimizer_grad_norm(opt);
                eg_optimizer_step(opt, 0.01, 0.5);
                assert_int_equal(eg_memory_stats_get().n_allocations, before);
            }
            eg_optimizer_free(opt);
        }
        eg_threads_set(0);
        for (int run = 1; run < 3; run++) {
            assert_equal_weights(&p[0], &p[run]);
            assert_memory_equal(&norm[0], &norm[run], sizeof(double));
        }
        for (int run = 0; run < 3; run++) problem_close(&p[run]);
    }
}

static void norm(void **state) {
    (void)state;
    problem p;
    problem_open(&p);
    gradients(&p, 0);
    eg_optimizer *opt = NULL;
    assert_int_equal(eg_optimizer_new(&opt, p.tensors, N_SIZES, &KINDS[0], NULL), EG_OK);
    long double sum = 0;
    for (int i = 0; i < N_SIZES; i++)
        for (size_t k = 0; k < SIZES[i]; k++)
            sum += (long double)p.grad[i][k] * (long double)p.grad[i][k];
    assert_true(fabs(eg_optimizer_grad_norm(opt) / (double)sqrtl(sum) - 1) < 1e-13);
    p.grad[4][70000] = INFINITY; /* the last element counts */
    assert_true(isinf(eg_optimizer_grad_norm(opt)));
    p.grad[1][3] = NAN;
    assert_true(isnan(eg_optimizer_grad_norm(opt)));
    eg_optimizer_free(opt);
    problem_close(&p);
}

static eg_state_dict *saved(const eg_optimizer *opt) {
    const char *path = SCRATCH("moments.safetensors");
    eg_state_dict *sd = NULL;
    assert_int_equal(eg_optimizer_save(opt, path, NULL, 0, NULL), EG_OK);
    assert_int_equal(eg_weights_read(&sd, path, NULL), EG_OK);
    unlink(path);
    return sd;
}

/* Four steps straight, and two, saved, loaded, two: the same bits. */
static void resume(void **state) {
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        problem straight, resumed;
        problem_open(&straight);
        problem_open(&resumed);
        eg_optimizer *a = NULL, *b = NULL, *c = NULL;
        assert_int_equal(eg_optimizer_new(&a, straight.tensors, N_SIZES, &KINDS[kind], NULL),
                         EG_OK);
        assert_int_equal(eg_optimizer_new(&b, resumed.tensors, N_SIZES, &KINDS[kind], NULL), EG_OK);
        assert_int_equal(eg_optimizer_new(&c, resumed.tensors, N_SIZES, &KINDS[kind], NULL), EG_OK);
        for (uint32_t step = 0; step < 4; step++) {
            gradients(&straight, step);
            eg_optimizer_step(a, 0.01, 1);
        }
        for (uint32_t step = 0; step < 4; step++) {
            gradients(&resumed, step);
            eg_optimizer_step(step < 2 ? b : c, 0.01, 1);
            if (step != 1) continue;
            eg_state_dict *sd = saved(b);
            assert_int_equal(eg_state_dict_count(sd), kind == 1 ? 2 * N_SIZES + 1 : N_SIZES + 1);
            assert_int_equal(eg_optimizer_load(c, sd, NULL), EG_OK);
            eg_state_dict_free(sd);
        }
        assert_equal_weights(&straight, &resumed);
        eg_optimizer_free(a);
        eg_optimizer_free(b);
        eg_optimizer_free(c);
        problem_close(&straight);
        problem_close(&resumed);
    }
}

static void refused_state(void **state) {
    (void)state;
    problem p;
    problem_open(&p);
    eg_optimizer *sgd = NULL, *adam = NULL, *fewer = NULL;
    eg_error err;
    assert_int_equal(eg_optimizer_new(&sgd, p.tensors, N_SIZES, &KINDS[0], NULL), EG_OK);
    assert_int_equal(eg_optimizer_new(&adam, p.tensors, N_SIZES, &KINDS[1], NULL), EG_OK);
    eg_state_dict *sd = saved(sgd);
    assert_int_equal(eg_optimizer_load(adam, sd, &err), EG_ERR_MISMATCH);
    assert_non_null(strstr(err.text, "expected 11 tensors"));
    eg_opt_tensor other[N_SIZES];
    memcpy(other, p.tensors, sizeof other);
    other[3].count--;
    assert_int_equal(eg_optimizer_new(&fewer, other, N_SIZES, &KINDS[0], NULL), EG_OK);
    assert_int_equal(eg_optimizer_load(fewer, sd, &err), EG_ERR_MISMATCH);
    assert_non_null(strstr(err.text, "3.m"));
    eg_state_dict_free(sd);
    eg_optimizer_free(sgd);
    eg_optimizer_free(adam);
    eg_optimizer_free(fewer);
    problem_close(&p);
}

static void of_a_network(void **state) {
    (void)state;
    eg_network *net = network_make("small_cnn", 2, 32);
    eg_optimizer *opt = NULL;
    eg_error err;
    assert_int_equal(eg_optimizer_for(&opt, net, &KINDS[0], &err),
                     EG_ERR_INTERNAL); /* no gradients yet */
    size_t n, largest = 0;
    eg_net_tensor *t = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++) largest = t[i].count > largest ? t[i].count : largest;
    float *zero = eg_calloc(largest, sizeof *zero);
    assert_non_null(zero);
    for (size_t i = 0; i < n; i++) {
        t[i].grad = zero; /* what is left is the weight decay */
        for (size_t k = 0; k < t[i].count; k++) t[i].data[k] = 1;
    }
    eg_network_set_trainable(net, false, true);
    const eg_opt_options decay = {.kind = EG_OPT_SGD, .weight_decay = 0.5};
    assert_int_equal(eg_optimizer_for(&opt, net, &decay, &err), EG_OK);
    eg_optimizer_step(opt, 0.5, 1);
    for (size_t i = 0; i < n; i++) {
        bool decayed = strcmp(t[i].name, "fc2.weight") == 0; /* the head's matrix alone */
        assert_true(t[i].data[0] == (decayed ? 0.75f : 1.0f));
        assert_true(t[i].data[t[i].count - 1] == (decayed ? 0.75f : 1.0f));
    }
    eg_optimizer_free(opt);
    eg_optimizer_free(NULL);
    eg_free(zero);
    eg_network_free(net);
}

static void out_of_memory(void **state) {
    (void)state;
    problem p;
    problem_open(&p);
    size_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1; k <= 7; k++) {
        eg_optimizer *opt = NULL;
        eg_memory_fail_at(k);
        assert_int_equal(eg_optimizer_new(&opt, p.tensors, N_SIZES, &KINDS[1], NULL),
                         EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_null(opt);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    problem_close(&p);
}

/* Two halves of a batch, weighted by their sizes, make the step of the whole; nothing is left over. */
static void gathered(void **state) {
    (void)state;
    problem parts, whole;
    problem_open(&parts);
    problem_open(&whole);
    eg_opt_options o = KINDS[1];
    eg_optimizer *a = NULL, *b = NULL;
    assert_int_equal(eg_optimizer_new(&b, whole.tensors, N_SIZES, &o, NULL), EG_OK);
    o.gathers = true;
    assert_int_equal(eg_optimizer_new(&a, parts.tensors, N_SIZES, &o, NULL), EG_OK);
    for (uint32_t step = 0; step < 3; step++) {
        gradients(&parts, 2 * step);
        for (int i = 0; i < N_SIZES; i++)
            for (size_t k = 0; k < SIZES[i]; k++) whole.grad[i][k] = 0.75f * parts.grad[i][k];
        uint64_t before = eg_memory_stats_get().n_allocations;
        eg_optimizer_gather(a, 12);
        gradients(&parts, 2 * step + 1);
        for (int i = 0; i < N_SIZES; i++)
            for (size_t k = 0; k < SIZES[i]; k++) whole.grad[i][k] += 0.25f * parts.grad[i][k];
        eg_optimizer_gather(a, 4);
        eg_optimizer_gathered(a);
        assert_int_equal(eg_memory_stats_get().n_allocations, before);
        assert_true(fabs(eg_optimizer_grad_norm(a) / eg_optimizer_grad_norm(b) - 1) < 1e-7);
        for (int i = 0; i < N_SIZES; i++)
            for (size_t k = 0; k < SIZES[i]; k++)
                assert_true(fabsf(parts.grad[i][k] - whole.grad[i][k]) <= 1e-6f);
        eg_optimizer_step(a, 0.01, 1);
        eg_optimizer_step(b, 0.01, 1);
    }
    eg_optimizer_free(a);
    eg_optimizer_free(b);
    problem_close(&parts);
    problem_close(&whole);
}

/* A rate is a factor on the learning rate, 0 leaves weights, moments and the norm alone. */
static void rates(void **state) {
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        problem p, half;
        problem_open(&p);
        problem_open(&half);
        static const double HALF = 0.5, NONE = 0;
        eg_optimizer *a = NULL, *b = NULL;
        for (int i = 0; i < N_SIZES; i++) p.tensors[i].rate = &HALF;
        p.tensors[4].rate = &NONE;
        assert_int_equal(eg_optimizer_new(&a, p.tensors, N_SIZES, &KINDS[kind], NULL), EG_OK);
        assert_int_equal(eg_optimizer_new(&b, half.tensors, N_SIZES, &KINDS[kind], NULL), EG_OK);
        for (uint32_t step = 0; step < 3; step++) {
            gradients(&p, step);
            gradients(&half, step);
            eg_optimizer_step(a, 0.02, 1);
            eg_optimizer_step(b, 0.01, 1);
        }
        for (int i = 0; i < 4; i++)
            for (size_t k = 0; k < SIZES[i]; k++)
                assert_true(fabsf(p.data[i][k] - half.data[i][k]) <= 1e-6f);
        for (size_t k = 0; k < SIZES[4]; k++)
            assert_true(p.data[4][k] == (float)k / (float)SIZES[4]);
        for (size_t k = 0; k < SIZES[4]; k++) p.grad[4][k] = 1e6f;
        assert_true(eg_optimizer_grad_norm(a) < 1e5);
        eg_optimizer_free(a);
        eg_optimizer_free(b);
        problem_close(&p);
        problem_close(&half);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_torch),      cmocka_unit_test(any_threads),
        cmocka_unit_test(norm),          cmocka_unit_test(resume),
        cmocka_unit_test(refused_state), cmocka_unit_test(of_a_network),
        cmocka_unit_test(out_of_memory), cmocka_unit_test(gathered),
        cmocka_unit_test(rates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
