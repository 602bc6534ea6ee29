/* Plans: whose bytes are whose at every moment of a step, found by acting the step out on a map of the arena; steps that
 * prediction leaves out; tails of a batch. Gradients: tests/ref/test_gradients.c.                              */
#include "net/exec.h"
#include "net_test.h"

enum { SIDE = 8, CLASSES = 3 };

/* ---- the arena acted out: every read must find what its writer left ---- */

typedef struct {
    const eg_plan *plan;
    int *owner; /* of each 64 bytes: who wrote there last */
    size_t n;
    bool *again; /* of each step: its output was made again */
} act;

/* names of what is written: values, gradient k of step i, what step i saves, its constants; 0 is nobody */
enum { VALUE = 1000000, GRADIENT = 2000000, SAVED = 3000000, CONSTANT = 4000000, WORK = 5000000 };

static void act_write(act *a, int buffer, int who) {
    if (buffer < 0) return;
    const eg_mem_buffer *b = &a->plan->memory.buffers[buffer];
    assert_true(b->offset + b->bytes <= a->plan->arena_bytes && b->offset % 64 == 0);
    for (size_t i = b->offset / 64; i < (b->offset + b->bytes) / 64; i++) a->owner[i] = who;
}

static void act_read(const act *a, int buffer, int who, const char *by) {
    if (buffer < 0) return;
    const eg_mem_buffer *b = &a->plan->memory.buffers[buffer];
    for (size_t i = b->offset / 64; i < (b->offset + b->bytes) / 64; i++)
        if (a->owner[i] != who)
            fail_msg("%s, step '%s': byte %zu belongs to %d, expected %d", a->plan->net->info->name,
                     by, 64 * i, a->owner[i], who);
}

static void act_forward(act *a) {
    for (int i = 0; i < a->plan->n_steps; i++) {
        const eg_step *s = &a->plan->steps[i];
        const char *name = s->node->name;
        for (int k = 0; k < s->n_inputs; k++)
            act_read(a, a->plan->steps[s->input[k]].y, VALUE + s->input[k], name);
        act_read(a, s->constant, CONSTANT + i, name);
        act_write(a, s->saved, SAVED + i);
        act_write(a, s->forward_work, WORK);
        if (!s->y_in_residual && i != a->plan->input_step) act_write(a, s->y, VALUE + i);
        /* nothing that was written now lies where an input or a constant is still read */
        for (int k = 0; k < s->n_inputs; k++)
            act_read(a, a->plan->steps[s->input[k]].y, VALUE + s->input[k], name);
        act_read(a, s->constant, CONSTANT + i, name);
        act_read(a, s->saved, SAVED + i, name);
        if (s->y_in_residual) {
            assert_int_equal(s->y, a->plan->steps[s->input[1]].y);
            assert_int_not_equal(s->y, a->plan->steps[s->input[0]].y);
            act_write(a, s->y, VALUE + i);
        }
    }
}

/* where the backward pass finds step i's output */
static int again_or_kept(const act *a, int i) {
    const eg_step *s = &a->plan->steps[i];
    return s->y_again >= 0 ? s->y_again : s->y;
}

/* step i's output made again, and before it what it is made from */
static void act_again(act *a, int i) {
    const eg_step *s = &a->plan->steps[i];
    if (s->y_again < 0 || a->again[i]) return;
    for (int k = 0; k < s->n_inputs; k++) act_again(a, s->input[k]);
    act_write(a, s->y_again, VALUE + i);
    for (int k = 0; k < s->n_inputs; k++)
        act_read(a, again_or_kept(a, s->input[k]), VALUE + s->input[k], s->node->name);
    act_read(a, s->saved, SAVED + i, s->node->name);
    a->again[i] = true;
}

static void act_backward_step(act *a, const eg_step *s) {
    const char *name = s->node->name;
    int i = s->index;
    if (s->keep_y) act_again(a, i);
    if (s->keep_x) act_again(a, s->input[0]);
    for (int k = 0; k < s->n_dy; k++) act_read(a, s->dy[k], GRADIENT + 10 * i + k, name);
    act_write(a, s->backward_work, WORK);
    for (int k = 0; k < s->n_inputs; k++) {
        if (s->dx[k] < 0) continue;
        const eg_step *from = &a->plan->steps[s->input[k]];
        int place = 0; /* which of its contributions this is */
        while (place < from->n_dy && from->dy[place] != s->dx[k]) place++;
        assert_true(place < from->n_dy);
        if (!s->dx_in_place[k]) act_write(a, s->dx[k], GRADIENT + 10 * s->input[k] + place);
    }
    for (int k = 0; k < s->n_dy && k < (s->takes_two ? 2 : 1); k++)
        act_read(a, s->dy[k], GRADIENT + 10 * i + k, name);
    if (s->keep_x) act_read(a, again_or_kept(a, s->input[0]), VALUE + s->input[0], name);
    if (s->keep_y) act_read(a, again_or_kept(a, i), VALUE + i, name);
    act_read(a, s->saved, SAVED + i, name);
    /* what is left in dy's place changes hands last, and once */
    int taken = 0;
    for (int k = 0; k < s->n_inputs; k++) {
        if (s->dx[k] < 0 || !s->dx_in_place[k]) continue;
        const eg_step *from = &a->plan->steps[s->input[k]];
        int place = 0;
        while (from->dy[place] != s->dx[k]) place++;
        act_write(a, s->dx[k], GRADIENT + 10 * s->input[k] + place);
        taken++;
    }
    assert_true(taken <= 1);
}

static void act_out(const eg_plan *plan) {
    act a = {.plan = plan, .n = plan->arena_bytes / 64};
    a.owner = eg_calloc(a.n, sizeof *a.owner);
    a.again = eg_calloc((size_t)plan->n_steps, sizeof *a.again);
    assert_non_null(a.owner);
    assert_non_null(a.again);
    act_write(&a, plan->steps[plan->input_step].y, VALUE + plan->input_step);
    for (int i = 0; i < plan->n_steps; i++) act_write(&a, plan->steps[i].constant, CONSTANT + i);
    act_forward(&a);
    if (plan->options.mode == EG_PLAN_PREDICT)
        act_read(&a, plan->steps[plan->feature_step].y, VALUE + plan->feature_step, "features");
    if (plan->logit_step >= 0)
        act_read(&a, plan->steps[plan->logit_step].y, VALUE + plan->logit_step, "logits");
    act_read(&a, plan->steps[plan->input_step].y, VALUE + plan->input_step, "input");
    if (plan->options.mode == EG_PLAN_TRAIN) {
        int heads[1 + EG_MAX_AUX] = {plan->logit_step}, n = 1;
        for (int k = 0; k < plan->n_aux; k++) heads[n++] = plan->aux_step[k];
        for (int k = 0; k < n; k++) {
            const eg_step *s = &plan->steps[heads[k]];
            act_read(&a, s->y, VALUE + heads[k], "loss");
            if (s->has_backward) act_write(&a, s->dy[0], GRADIENT + 10 * heads[k]);
        }
        for (int i = plan->n_steps - 1; i >= 0; i--)
            if (plan->steps[i].has_backward && plan->steps[i].n_dy > 0)
                act_backward_step(&a, &plan->steps[i]);
    }
    eg_free(a.owner);
    eg_free(a.again);
}

static eg_plan *plan_make(eg_network *net, const eg_plan_options *o) {
    eg_plan *plan = NULL;
    eg_error err = {0};
    size_t need = 0;
    if (eg_plan_new(&plan, net, o, &err) != EG_OK) fail_msg("%s", err.text);
    if (eg_plan_need(&need, net, o, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(need, eg_plan_arena_bytes(plan));
    return plan;
}

/* One network of each kind of wiring: residuals, concatenations, slices, auxiliary heads, a convolution as head, norms
 * in front, tokens, windows; trained whole, in the head alone, and predicting. */
static void lives(void **state) {
    (void)state;
    static const struct {
        const char *model;
        int side;
    } NETS[] = {{"resnet18", 32},
                {"efficientnet_lite0", 32},
                {"mobilenet_v3_small", 32},
                {"googlenet", 64},
                {"densenet121", 32},
                {"shufflenet_v2_x0_5", 32},
                {"squeezenet1_1", 32},
                {"convnext_tiny", 32},
                {"small_cnn", 16},
                {"regnet_y_400mf", 32},
                {"swin_t", 64}};
    for (size_t i = 0; i < sizeof NETS / sizeof *NETS; i++) {
        eg_network *net = network_make(NETS[i].model, CLASSES, NETS[i].side);
        eg_plan_options o = {.mode = EG_PLAN_PREDICT, .batch = 2, .dropout = -1};
        for (int features = 0; features < 2; features++) {
            o.features_only = features;
            eg_plan *plan = plan_make(net, &o);
            act_out(plan);
            eg_plan_free(plan);
        }
        o = (eg_plan_options){.mode = EG_PLAN_TRAIN, .batch = 2, .dropout = -1, .stochastic = true};
        for (int k = 0; k < 6; k++) { /* trunk trained or not, each way to keep values */
            eg_network_set_trainable(net, k % 2, true);
            o.recompute = (eg_recompute)(k / 2);
            eg_plan *plan = plan_make(net, &o);
            act_out(plan);
            eg_plan_free(plan);
        }
        eg_network_free(net);
    }
}

/* ---- values made again ---- */

/* What is made again is what was there: the same gradients, bit for bit, in fewer bytes. */
static void same_gradients(void **state) {
    (void)state;
    enum { N = 3, IMAGE = 32 };
    static const char *const models[] = {"resnet50", "mobilenet_v3_small", "densenet121"};
    static const eg_recompute ways[] = {EG_RECOMPUTE_NONE, EG_RECOMPUTE_CHEAP, EG_RECOMPUTE_ALL};
    static const int32_t labels[N] = {0, 1, 2};
    for (int m = 0; m < 3; m++) {
        eg_network *net = network_make(models[m], CLASSES, IMAGE);
        size_t n_tensors, arena[3];
        eg_net_tensor *t = eg_network_tensors(net, &n_tensors);
        float *first = NULL;
        size_t total = 0;
        for (int w = 0; w < 3; w++) {
            eg_plan_options o = {.mode = EG_PLAN_TRAIN,
                                 .batch = N,
                                 .dropout = -1,
                                 .stochastic = true,
                                 .recompute = ways[w]};
            eg_plan *plan = plan_make(net, &o);
            eg_error err = {0};
            eg_loss_result loss;
            arena[w] = eg_plan_arena_bytes(plan);
            eg_random r = eg_random_make(7, 3, 0, 0);
            for (int i = 0; i < N * IMAGE * IMAGE * 3; i++)
                eg_plan_input(plan)[i] = (float)eg_random_normal(&r);
            assert_int_equal(eg_plan_forward(plan, N, 1, &err), EG_OK);
            assert_int_equal(eg_plan_backward(&loss, plan, labels, NULL, &err), EG_OK);
            if (!first) {
                for (size_t i = 0; i < n_tensors; i++) total += t[i].grad ? t[i].count : 0;
                first = eg_calloc(total, sizeof *first);
                assert_non_null(first);
            }
            float *at = first;
            for (size_t i = 0; i < n_tensors; i++) {
                if (!t[i].grad) continue;
                if (w == 0)
                    memcpy(at, t[i].grad, t[i].count * sizeof *at);
                else
                    assert_memory_equal(at, t[i].grad, t[i].count * sizeof *at);
                at += t[i].count;
            }
            eg_plan_free(plan);
        }
        assert_true(arena[1] < arena[0] && arena[2] <= arena[1]);
        print_message("%s: %zu, %zu, %zu bytes\n", models[m], arena[0], arena[1], arena[2]);
        eg_free(first);
        eg_network_free(net);
    }
}

/* ---- what prediction leaves out ---- */

/* Dropout and stochastic depth where they could do harm: in front of a convolution, as the residual of a block whose
 * convolution reads the same value, and of one whose residual is read again later, between a convolution and an add, in
 * front of the head; `last`: dropout as the last node. */
static eg_status build_dropping(eg_graph *g, bool last) {
    int x = eg_graph_input(g, SIDE, SIDE, 3);
    x = eg_graph_conv(g, eg_graph_dropout(g, x, 0.5f), "stem", 8, 3, 1, 1, 1, true);
    x = eg_graph_act(g, eg_graph_bn(g, x, "stem_bn", 1e-5f, 0.1f), EG_ACT_SILU);
    int y = eg_graph_bn(g, eg_graph_conv(g, x, "a", 8, 3, 1, 1, 1, false), "a_bn", 1e-5f, 0.1f);
    x = eg_graph_act(g, eg_graph_add(g, y, eg_graph_dropout(g, x, 0.5f)), EG_ACT_RELU);
    int kept = x;
    y = eg_graph_bn(g, eg_graph_conv(g, x, "c", 8, 1, 1, 0, 1, false), "c_bn", 1e-5f, 0.1f);
    y = eg_graph_conv(g, eg_graph_act(g, y, EG_ACT_RELU), "d", 8, 3, 1, 1, 1, false);
    x = eg_graph_add(g, eg_graph_bn(g, y, "d_bn", 1e-5f, 0.1f), eg_graph_dropout(g, x, 0.5f));
    y = eg_graph_drop_path(g, eg_graph_conv(g, x, "b", 8, 3, 1, 1, 1, true), 0.5f);
    x = eg_graph_add(g, eg_graph_act(g, eg_graph_add(g, y, x), EG_ACT_GELU), kept);
    x = eg_graph_dropout(g, eg_graph_dropout(g, eg_graph_mean_pool(g, x), 0.5f), 0.5f);
    x = eg_graph_linear(g, x, "head", CLASSES, true);
    if (last) eg_graph_dropout(g, x, 0.5f);
    return g->status;
}

static eg_status build_inside(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    (void)side;
    return build_dropping(g, false);
}

static eg_status build_last(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    (void)side;
    return build_dropping(g, true);
}

static const eg_arch dropping[] = {{{.name = "inside", .img_size = SIDE}, build_inside, NULL, NULL},
                                   {{.name = "last", .img_size = SIDE}, build_last, NULL, NULL}};

static eg_network *dropping_make(int which) {
    eg_network *net = NULL;
    eg_error err = {0};
    if (eg_network_of(&net, &dropping[which], CLASSES, SIDE, &err) != EG_OK)
        fail_msg("%s", err.text);
    eg_network_init(net, 5);
    eg_random r = eg_random_make(6, 0, 0, 0);
    size_t n;
    eg_net_tensor *t = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++) /* norms that do something */
        if (t[i].n_dims == 1)
            for (size_t k = 0; k < t[i].count; k++)
                t[i].data[k] = (float)(0.5 + eg_random_uniform(&r));
    return net;
}

static void fill_input(eg_plan *plan, int n, uint32_t stream) {
    eg_random r = eg_random_make(7, stream, 0, 0);
    for (int i = 0; i < n * SIDE * SIDE * 3; i++)
        eg_plan_input(plan)[i] = (float)eg_random_normal(&r);
}

static void close_to(const float *got, const float *want, int n, const char *what) {
    for (int i = 0; i < n; i++)
        if (!(fabs((double)(got[i] - want[i])) <= 1e-4 * (1 + fabs((double)want[i]))))
            fail_msg("%s[%d]: got %.9g, expected %.9g", what, i, (double)got[i], (double)want[i]);
}

static void no_step_for_dropout(void **state) {
    (void)state;
    enum { N = 3 };
    for (int which = 0; which < 2; which++) {
        eg_network *net = dropping_make(which);
        eg_plan_options train = {.mode = EG_PLAN_TRAIN, .batch = N, .bn = EG_BN_FROZEN},
                        predict = {.mode = EG_PLAN_PREDICT, .batch = N};
        eg_plan *slow = plan_make(net, &train), *fast = plan_make(net, &predict);
        predict.features_only = true;
        eg_plan *part = plan_make(net, &predict);
        eg_error err;
        int dropped = 0;
        for (int i = 0; i < slow->n_steps; i++)
            dropped += slow->steps[i].node->op == EG_OP_DROPOUT ||
                       slow->steps[i].node->op == EG_OP_DROP_PATH;
        assert_true(dropped >= 4); /* there is something to leave out */
        for (int i = 0; i < fast->n_steps; i++) {
            assert_int_not_equal(fast->steps[i].node->op, EG_OP_DROPOUT);
            assert_int_not_equal(fast->steps[i].node->op, EG_OP_DROP_PATH);
        }
        act_out(fast);
        act_out(part);
        act_out(slow);
        eg_plan *all[] = {slow, fast, part};
        for (int k = 0; k < 3; k++) {
            fill_input(all[k], N, 1);
            assert_int_equal(eg_plan_forward(all[k], N, 0, &err), EG_OK);
        }
        close_to(eg_plan_logits(fast), eg_plan_logits(slow), N * CLASSES, "logits");
        close_to(eg_plan_features(part), eg_plan_features(fast), N * 8, "features");
        /* the head on the features is the logits: they are the head's input, not some other value */
        const float *w = eg_network_tensor(net, "head.weight")->data,
                    *b = eg_network_tensor(net, "head.bias")->data, *z = eg_plan_features(fast);
        float expected[N * CLASSES];
        for (int n = 0; n < N; n++)
            for (int k = 0; k < CLASSES; k++) {
                expected[n * CLASSES + k] = b[k];
                for (int d = 0; d < 8; d++)
                    expected[n * CLASSES + k] += w[k * 8 + d] * z[n * 8 + d];
            }
        close_to(eg_plan_logits(fast), expected, N * CLASSES, "head on features");
        for (int k = 0; k < 3; k++) eg_plan_free(all[k]);
        eg_network_free(net);
    }
}

/* ---- tails ---- */

/* A tail of n samples is what a plan for n gives, bit for bit, and the next whole batch is not disturbed by it. */
static void tails(void **state) {
    (void)state;
    enum { N = 5 };
    eg_network *net = dropping_make(0);
    eg_plan_options o = {.mode = EG_PLAN_TRAIN, .batch = N, .dropout = -1, .stochastic = true};
    eg_plan *whole = plan_make(net, &o);
    static const int32_t labels[N] = {0, 1, 2, 0, 1};
    eg_error err;
    eg_loss_result first, again, tail, own;
    fill_input(whole, N, 2);
    assert_int_equal(eg_plan_forward(whole, N, 9, &err), EG_OK);
    assert_int_equal(eg_plan_backward(&first, whole, labels, NULL, &err), EG_OK);
    for (int n = N - 1; n >= 1; n -= 2) {
        o.batch = n;
        eg_plan *alone = plan_make(net, &o);
        fill_input(whole, n, 3);
        fill_input(alone, n, 3);
        assert_int_equal(eg_plan_forward(whole, n, 9, &err), EG_OK);
        act_out(whole->tail);
        assert_int_equal(eg_plan_forward(alone, n, 9, &err), EG_OK);
        assert_memory_equal(eg_plan_logits(whole), eg_plan_logits(alone),
                            (size_t)(n * CLASSES) * sizeof(float));
        assert_int_equal(eg_plan_backward(&tail, whole, labels, NULL, &err), EG_OK);
        eg_plan_free(alone);
        alone = plan_make(net, &o);
        fill_input(alone, n, 3);
        assert_int_equal(eg_plan_forward(alone, n, 9, &err), EG_OK);
        assert_int_equal(eg_plan_backward(&own, alone, labels, NULL, &err), EG_OK);
        assert_true(tail.objective == own.objective && isfinite(own.objective));
        eg_plan_free(alone);
    }
    fill_input(whole, N, 2);
    assert_int_equal(eg_plan_forward(whole, N, 9, &err), EG_OK);
    assert_int_equal(eg_plan_backward(&again, whole, labels, NULL, &err), EG_OK);
    assert_true(first.objective == again.objective);
    eg_plan_free(whole);
    eg_network_free(net);
}

/* When memory is short for a tail, the plan still stands on its own steps: its results can be read, its batch run. */
static void tail_without_memory(void **state) {
    (void)state;
    enum { N = 4 };
    eg_network *net = dropping_make(0);
    eg_plan_options o = {.mode = EG_PLAN_TRAIN, .batch = N};
    eg_plan *plan = plan_make(net, &o);
    eg_error err;
    fill_input(plan, N, 4);
    assert_int_equal(eg_plan_forward(plan, 2, 0, &err), EG_OK);
    assert_ptr_equal(plan->active, plan->tail);
    eg_memory_fail_at(1);
    assert_int_equal(eg_plan_forward(plan, 3, 0, &err), EG_ERR_NO_MEMORY);
    eg_memory_fail_at(0);
    assert_ptr_equal(plan->active, plan);
    assert_null(plan->tail);
    assert_true(eg_plan_logits(plan) >= (const float *)(const void *)plan->arena);
    fill_input(plan, N, 4);
    assert_int_equal(eg_plan_forward(plan, N, 0, &err), EG_OK);
    eg_plan_free(plan);
    eg_network_free(net);
}

/* Running means start at 0, so one forward pass leaves momentum times the batch mean there: the network's own 0.1, or the
 * plan's where that is larger. */
static void least_momentum(void **state) {
    (void)state;
    const double given[3] = {0, 0.05, 0.5}, times[3] = {1, 1, 5};
    float own[64];
    for (int i = 0; i < 3; i++) {
        eg_network *net = NULL;
        assert_int_equal(eg_network_new(&net, "resnet18", CLASSES, 32, NULL), EG_OK);
        eg_network_init(net, 1);
        eg_plan *plan = plan_make(
            net, &(eg_plan_options){.mode = EG_PLAN_TRAIN, .batch = 2, .bn_momentum = given[i]});
        eg_random r = eg_random_make(7, 9, 0, 0);
        for (int k = 0; k < 2 * 32 * 32 * 3; k++)
            eg_plan_input(plan)[k] = 1 + (float)eg_random_normal(&r);
        assert_int_equal(eg_plan_forward(plan, 2, 0, NULL), EG_OK);
        const eg_net_tensor *mean = eg_network_tensor(net, "bn1.running_mean");
        assert_int_equal(mean->count, 64);
        double largest = 0;
        for (int c = 0; c < 64; c++) {
            if (i == 0) own[c] = mean->data[c];
            largest = fmax(largest, fabs((double)own[c]));
            assert_true(fabs((double)mean->data[c] - times[i] * (double)own[c]) <= 1e-6);
        }
        assert_true(largest > 1e-3);
        eg_plan_free(plan);
        eg_network_free(net);
    }
}

/* What a plan needs is known of a network that has no memory either, and asking takes none of the kind. */
static void need_of_an_outline(void **state) {
    (void)state;
    static const eg_plan_mode MODES[] = {EG_PLAN_PREDICT, EG_PLAN_TRAIN};
    for (int m = 0; m < 2; m++) {
        eg_network *net = network_make("resnet18", CLASSES, 64), *outline = NULL;
        eg_plan_options o = {.mode = MODES[m], .batch = 6, .dropout = -1};
        eg_plan *plan = plan_make(net, &o);
        size_t need = 0, before = eg_memory_stats_get().bytes_now;
        assert_int_equal(eg_network_outline(&outline, eg_arch_find("resnet18"), CLASSES, 64, NULL),
                         EG_OK);
        assert_int_equal(eg_plan_need(&need, outline, &o, NULL), EG_OK);
        assert_int_equal(need, eg_plan_arena_bytes(plan));
        eg_network_free(outline);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
        eg_plan_free(plan);
        eg_network_free(net);
    }
}

/* ---- a batch in parts ---- */

/* Logits and features of a large batch that runs in parts are those of small batches, also of fewer samples than planned
 * and after the weights have changed. */
static void parts(void **state) {
    (void)state;
    enum { N = 20, IMAGE = 224, WIDTH = 512 };
    eg_network *net = network_make("resnet18", CLASSES, IMAGE);
    eg_plan_options o = {.mode = EG_PLAN_PREDICT, .batch = N, .dropout = -1};
    eg_plan *whole = plan_make(net, &o);
    o.batch = 2;
    eg_plan *pair = plan_make(net, &o);
    assert_non_null(whole->part);
    assert_true(whole->part->options.batch < N && !pair->part);
    assert_true(eg_plan_arena_bytes(whole) < (size_t)N / 2 * eg_plan_arena_bytes(pair));
    const size_t image = (size_t)IMAGE * IMAGE * 3;
    eg_error err = {0};
    for (int turn = 0; turn < 2; turn++) {
        int n = turn == 0 ? N : whole->part->options.batch + 1;
        eg_random r = eg_random_make(8, (uint32_t)turn, 0, 0);
        for (size_t i = 0; i < (size_t)n * image; i++)
            eg_plan_input(whole)[i] = (float)eg_random_normal(&r);
        if (turn == 1) {
            eg_network_tensor(net, "fc.bias")->data[0] += 1;
            eg_plan_refresh(whole);
            eg_plan_refresh(pair);
        }
        assert_int_equal(eg_plan_forward(whole, n, 0, &err), EG_OK);
        for (int i = 0; i < n; i += 2) {
            int now = n - i < 2 ? n - i : 2;
            memcpy(eg_plan_input(pair), eg_plan_input(whole) + (size_t)i * image,
                   (size_t)now * image * sizeof(float));
            assert_int_equal(eg_plan_forward(pair, now, 0, &err), EG_OK);
            close_to(eg_plan_logits(whole) + i * CLASSES, eg_plan_logits(pair), now * CLASSES,
                     "logits");
            close_to(eg_plan_features(whole) + i * WIDTH, eg_plan_features(pair), now * WIDTH,
                     "features");
        }
    }
    eg_plan_free(whole);
    eg_plan_free(pair);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives),          cmocka_unit_test(same_gradients),
        cmocka_unit_test(parts),          cmocka_unit_test(no_step_for_dropout),
        cmocka_unit_test(tails),          cmocka_unit_test(tail_without_memory),
        cmocka_unit_test(least_momentum), cmocka_unit_test(need_of_an_outline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
