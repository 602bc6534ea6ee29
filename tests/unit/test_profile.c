/* The profile of a plan: every step is the graph's, its clock ran, its products add up to the network's multiply-adds, its
 * bytes are those of its values; and a profiled step computes what an ordinary one does.                         */
#include "net/exec.h"
#include "net_test.h"

enum { SIDE = 64, BATCH = 2 };
static const int32_t labels[BATCH] = {0, 1};

typedef struct {
    eg_network *net;
    eg_plan *plan;
    eg_step_cost *rows;
    size_t n;
} profile;

static profile make(const char *model, eg_plan_mode mode) {
    profile p = {.net = network_make(model, 2, SIDE)};
    eg_error err;
    eg_plan_options o = {.mode = mode, .batch = BATCH, .stochastic = true, .dropout = -1};
    eg_network_init(p.net, 1);
    if (eg_plan_new(&p.plan, p.net, &o, &err) != EG_OK) fail_msg("%s", err.text);
    for (int i = 0; i < BATCH * SIDE * SIDE * 3; i++)
        eg_plan_input(p.plan)[i] = (float)(i % 7) - 3.0f;
    p.n = eg_plan_step_count(p.plan);
    p.rows = eg_calloc(p.n, sizeof *p.rows);
    assert_non_null(p.rows);
    return p;
}

static void drop(profile *p) {
    eg_free(p->rows);
    eg_plan_free(p->plan);
    eg_network_free(p->net);
}

static bool in_graph(const eg_network *net, const char *name) {
    for (int i = 0; i < net->graph.n_nodes; i++)
        if (strcmp(net->graph.nodes[i].name, name) == 0) return true;
    return false;
}

static const eg_step_cost *find(const profile *p, const char *name) {
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->rows[i].name, name) == 0) return &p->rows[i];
    fail_msg("no step %s", name);
    return NULL;
}

static void check(const char *model, eg_plan_mode mode) {
    profile p = make(model, mode);
    eg_error err;
    /* the first time, prediction also folds its weights, outside of the steps */
    assert_int_equal(eg_plan_profile(p.rows, p.plan, labels, 0, &err), EG_OK);
    double start = eg_time_now(), forward = 0, backward = 0, flops = 0, back_flops = 0;
    if (eg_plan_profile(p.rows, p.plan, labels, 0, &err) != EG_OK) fail_msg("%s", err.text);
    double total = eg_time_now() - start;
    assert_true(p.n > 5);
    for (size_t i = 0; i < p.n; i++) {
        const eg_step_cost *r = &p.rows[i];
        if (!in_graph(p.net, r->name)) fail_msg("no node '%s' in %s", r->name, model);
        assert_true(r->op[0] && r->output[0] > 0 && r->output[1] > 0 && r->output[2] > 0);
        assert_true(r->forward.seconds >= 0 && r->backward.seconds >= 0);
        forward += r->forward.seconds;
        backward += r->backward.seconds;
        flops += r->forward.flops;
        back_flops += r->backward.flops;
    }
    /* the clocks lie inside of the whole, and most of it inside of them (a quarter, were others to run in between) */
    assert_true(forward > 0 && forward + backward < total);
    assert_true(4 * (forward + backward) > total);
    double expected = 2.0 * BATCH * eg_network_multiply_adds(p.net);
    assert_true(fabs(flops - expected) < 1e-9 * expected);
    if (mode == EG_PLAN_TRAIN) {
        /* two products back for one forward, but none for the image's own gradient */
        const eg_step_cost *first = &p.rows[1];
        assert_true(backward > 0);
        assert_true(fabs(back_flops - (2 * flops - first->forward.flops)) < 1e-9 * flops);
    } else {
        assert_true(backward == 0 && back_flops == 0);
    }
    drop(&p);
}

static void test_training(void **state) {
    (void)state;
    check("resnet18", EG_PLAN_TRAIN);
    check("efficientnet_b0", EG_PLAN_TRAIN);
}

static void test_prediction(void **state) {
    (void)state;
    check("resnet18", EG_PLAN_PREDICT);
    check("efficientnet_b0", EG_PLAN_PREDICT);
    check("swin_t", EG_PLAN_PREDICT);
}

/* ResNet's layer1.0.conv2 at 64 pixels: 64 channels, 16x16 pixels, 3x3; counted by hand. */
static void test_one_step(void **state) {
    (void)state;
    profile p = make("resnet18", EG_PLAN_TRAIN);
    eg_error err;
    assert_int_equal(eg_plan_profile(p.rows, p.plan, labels, 0, &err), EG_OK);
    const eg_step_cost *conv = find(&p, "layer1.0.conv2");
    double value = BATCH * 16 * 16 * 64 * 4., weights = 64 * 64 * 9 * 4.;
    double flops = BATCH * 16 * 16 * 64 * 64 * 9 * 2.;
    assert_string_equal(conv->op, "conv");
    assert_int_equal(conv->kernel, 3);
    assert_int_equal(conv->stride, 1);
    assert_int_equal(conv->input[2], 64);
    assert_int_equal(conv->output[0], 16);
    assert_true(conv->forward.flops == flops && conv->backward.flops == 2 * flops);
    assert_true(conv->forward.bytes == 2 * value + weights);
    assert_true(conv->backward.bytes == 3 * value + 2 * weights); /* dy, x, dx; w, dw */
    const eg_step_cost *norm = find(&p, "layer1.0.bn2");
    assert_string_equal(norm->op, "bn+add+relu");
    assert_true(norm->forward.flops == 0 && norm->forward.bytes > 3 * value);
    drop(&p);
    p = make("resnet18", EG_PLAN_PREDICT);
    assert_int_equal(eg_plan_profile(p.rows, p.plan, NULL, 0, &err), EG_OK);
    assert_string_equal(find(&p, "layer1.0.conv2")->op, "conv+bn+add+relu");
    assert_string_equal(find(&p, "layer1.0.conv1")->op, "conv+bn+relu");
    drop(&p);
}

/* Profiled or not: the same bits. */
static void test_same_numbers(void **state) {
    (void)state;
    profile a = make("resnet18", EG_PLAN_PREDICT), b = make("resnet18", EG_PLAN_PREDICT);
    eg_error err;
    assert_int_equal(eg_plan_profile(a.rows, a.plan, NULL, 0, &err), EG_OK);
    assert_int_equal(eg_plan_forward(b.plan, BATCH, 0, &err), EG_OK);
    assert_memory_equal(eg_plan_logits(a.plan), eg_plan_logits(b.plan), 2 * BATCH * sizeof(float));
    /* the clock is off again: nothing is written behind the rows */
    assert_null(a.plan->seconds);
    drop(&a);
    drop(&b);
}

static void test_no_memory(void **state) {
    (void)state;
    profile p = make("small_cnn", EG_PLAN_TRAIN);
    eg_error err;
    eg_memory_fail_at(1);
    assert_int_equal(eg_plan_profile(p.rows, p.plan, labels, 0, &err), EG_ERR_NO_MEMORY);
    eg_memory_fail_at(0);
    assert_null(p.rows[0].name);
    eg_peak peak = {-1, -1};
    for (uint64_t k = 1; k <= 2; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_net_peak(&peak, false, &err), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
        assert_true(peak.flops == -1 && peak.bytes == -1);
    }
    drop(&p);
}

/* Wide limits: any machine that can run this, and no unit slip of a thousand. */
static void test_peak(void **state) {
    (void)state;
    eg_peak peak, half;
    eg_error err;
    assert_int_equal(eg_net_peak(&peak, false, &err), EG_OK);
    assert_true(peak.flops > 1e8 && peak.flops < 1e14);
    assert_true(peak.bytes > 1e8 && peak.bytes < 1e13);
    /* dot products do twice the work where they are native; on one thread, which finds a free millisecond on a busy machine
     * where two would not find the same one */
    eg_threads_set(1);
    assert_int_equal(eg_net_peak(&peak, false, &err), EG_OK);
    assert_int_equal(eg_net_peak(&half, true, &err), EG_OK);
    eg_threads_set(0);
    if (eg_net_bf16_native())
        assert_true(half.flops > 1.2 * peak.flops && half.flops < 10 * peak.flops);
    else
        assert_true(half.flops > 0.3 * peak.flops && half.flops < 3 * peak.flops);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),  cmocka_unit_test(test_prediction),
        cmocka_unit_test(test_one_step),  cmocka_unit_test(test_same_numbers),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
