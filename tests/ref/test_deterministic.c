/* --deterministic: three training steps and a prediction give the same bits with 1, 2, 3 and 4 threads, in float and in
 * bf16, on full and tail batches that shards divide evenly and not. Networks: ResNet-18 and EfficientNet-B0 at a small
 * side, a network of odd shapes (grouped, few channels, rectangular, dense layers) and one with attention.
 * Without the flag the bits may differ, and usually do: how many thread counts did is printed, not asserted.      */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/exec.h"
#include "ref/small_vit.h"

enum { CLASSES = 3, SIDE = 48, STEPS = 3, MOST = 16, MAX_THREADS = 4, HASH = 65 };

typedef struct {
    const char *model; /* of the zoo; NULL: `arch` */
    const eg_arch *arch;
    int batch, tail; /* samples of the first and the last step, and of the second */
    bool bf16, deterministic;
} scenario;

static eg_network *make(const scenario *c) {
    eg_network *net = NULL;
    eg_error err;
    eg_status status = c->model ? eg_network_new(&net, c->model, CLASSES, SIDE, &err)
                                : eg_network_of(&net, c->arch, CLASSES, SIDE, &err);
    if (status != EG_OK) fail_msg("%s", err.text);
    eg_network_init(net, 7);
    return net;
}

static void fill(eg_plan *p, int n, uint32_t stream) {
    eg_random r = eg_random_make(11, stream, 0, 0);
    float *x = eg_plan_input(p);
    for (int i = 0; i < n * SIDE * SIDE * 3; i++) x[i] = (float)(2 * eg_random_uniform(&r) - 1);
}

static void train(eg_network *net, const scenario *c) {
    eg_plan_options o = {.mode = EG_PLAN_TRAIN,
                         .batch = c->batch,
                         .stochastic = true,
                         .dropout = -1,
                         .seed = 5,
                         .bf16 = c->bf16,
                         .deterministic = c->deterministic};
    eg_opt_options adamw = {.kind = EG_OPT_ADAMW, .weight_decay = 0.01};
    int32_t labels[MOST];
    eg_plan *p = NULL;
    eg_optimizer *opt = NULL;
    eg_error err;
    for (int i = 0; i < MOST; i++) labels[i] = i % CLASSES;
    if (eg_plan_new(&p, net, &o, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(eg_plan_is_bf16(p), c->bf16);
    if (eg_optimizer_for(&opt, net, &adamw, &err) != EG_OK) fail_msg("%s", err.text);
    for (uint32_t step = 0; step < STEPS; step++) {
        int n = step == 1 ? c->tail : c->batch;
        eg_loss_result loss;
        fill(p, n, step);
        if (eg_plan_forward(p, n, step, &err) != EG_OK) fail_msg("%s", err.text);
        if (eg_plan_backward(&loss, p, labels, NULL, &err) != EG_OK) fail_msg("%s", err.text);
        double norm = eg_optimizer_grad_norm(opt);
        assert_true(norm > 0);
        eg_optimizer_step(opt, 1e-3, 1 / norm); /* clipping passes on every bit of every gradient */
    }
    eg_optimizer_free(opt);
    eg_plan_free(p);
}

static void predict(eg_buffer *out, eg_network *net, const scenario *c) {
    eg_plan_options o = {.mode = EG_PLAN_PREDICT,
                         .batch = c->batch,
                         .dropout = -1,
                         .bf16 = c->bf16,
                         .deterministic = c->deterministic};
    eg_plan *p = NULL;
    eg_error err;
    if (eg_plan_new(&p, net, &o, &err) != EG_OK) fail_msg("%s", err.text);
    fill(p, c->batch, 99);
    if (eg_plan_forward(p, c->batch, 0, &err) != EG_OK) fail_msg("%s", err.text);
    eg_buffer_add(out, eg_plan_logits(p), (size_t)c->batch * CLASSES * sizeof(float));
    eg_plan_free(p);
}

/* SHA-256 of all parameters and running statistics, and of the logits of a prediction, after training on `threads` */
static void run(char weights[HASH], char logits[HASH], const scenario *c, int threads) {
    eg_buffer b = {0}, predicted = {0};
    size_t n;
    eg_threads_set(threads);
    eg_network *net = make(c);
    train(net, c);
    predict(&predicted, net, c);
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++)
        if (t[i].data) eg_buffer_add(&b, t[i].data, t[i].count * sizeof(float));
    assert_false(b.failed || predicted.failed);
    eg_sha256_hex(weights, b.data, b.size);
    eg_sha256_hex(logits, predicted.data, predicted.size);
    eg_buffer_free(&b);
    eg_buffer_free(&predicted);
    eg_network_free(net);
    eg_threads_set(0);
}

/* how many of 2, 3, 4 threads differ from one thread, in weights or logits */
static int differing(const scenario *c) {
    char weights[MAX_THREADS][HASH], logits[MAX_THREADS][HASH];
    int found = 0;
    for (int i = 0; i < MAX_THREADS; i++) {
        run(weights[i], logits[i], c, i + 1);
        found += strcmp(weights[i], weights[0]) != 0 || strcmp(logits[i], logits[0]) != 0;
    }
    return found;
}

/* `c` with both batch sizes and, where the network has it, bf16 */
static void check(scenario c, bool has_bf16) {
    static const int sizes[][2] = {{16, 5}, {5, 3}, {2, 1}};
    c.deterministic = true;
    for (size_t i = 0; i < 3; i++)
        for (int k = 0; k <= has_bf16; k++) {
            c.batch = sizes[i][0];
            c.tail = sizes[i][1];
            c.bf16 = k;
            int found = differing(&c);
            if (found > 0)
                fail_msg("%s, batch %d, tail %d, %s: %d of 2, 3, 4 threads give other bits than 1",
                         c.model ? c.model : c.arch->info.name, c.batch, c.tail,
                         c.bf16 ? "bf16" : "f32", found);
        }
}

static void resnet(void **state) {
    (void)state;
    check((scenario){.model = "resnet18"}, true);
}

static void efficientnet(void **state) {
    (void)state;
    check((scenario){.model = "efficientnet_b0"}, true);
}

/* Strided 1x1 on few channels (a matrix product inside the convolution), groups, channels that fill no vector, rectangular
 * windows, a wide dense layer. */
static eg_status build_odd(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    int x = eg_graph_input(g, side, side, 3);
    x = eg_graph_act(g, eg_graph_conv(g, x, "stem", 10, 3, 2, EG_PAD_SAME_TF, 1, true),
                     EG_ACT_SILU);
    x = eg_graph_conv(g, x, "down", 24, 1, 2, 0, 1, false);
    x = eg_graph_act(g, eg_graph_bn(g, x, "bn", 1e-3f, 0.1f), EG_ACT_RELU);
    x = eg_graph_conv(g, x, "grouped", 40, 3, 1, 1, 4, true);
    int branch[2] = {eg_graph_conv_rect(g, x, "tall", 17, (int[]){5, 1}, (int[]){2, 0}),
                     eg_graph_conv(g, x, "large", 21, 5, 1, 2, 1, true)};
    x = eg_graph_act(g, eg_graph_concat(g, branch, 2), EG_ACT_GELU);
    x = eg_graph_max_pool(g, x, 3, 2, 1, false);
    x = eg_graph_linear(g, eg_graph_flatten(g, x), "fc", 300, false);
    x = eg_graph_dropout(g, eg_graph_act(g, x, EG_ACT_RELU), 0.3f);
    eg_graph_linear(g, x, "head", n_classes, true);
    return g->status;
}

/* a vision transformer of one block */
static eg_status build_tokens(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    return small_vit_build(g, (small_vit){.patch = 6, .width = 36, .hidden = 144}, n_classes, side);
}

static void check_built(const char *name,
                        eg_status (*build)(eg_graph *, const eg_arch *, int, int)) {
    eg_arch arch = {.info = {.name = name, .img_size = SIDE}, .build = build};
    check((scenario){.arch = &arch}, false);
}

static void odd_shapes(void **state) {
    (void)state;
    check_built("odd shapes", build_odd);
}

static void attention(void **state) {
    (void)state;
    check_built("attention", build_tokens);
}

/* that the promise is one: what the same steps give without the flag */
static void without_the_flag(void **state) {
    (void)state;
    int found = differing(&(scenario){.model = "resnet18", .batch = 16, .tail = 5});
    print_message("resnet18 without the flag: %d of 2, 3, 4 threads give other bits than 1\n",
                  found);
}

int main(void) {
    /* first the default mode: its primitives stay in oneDNN's cache, and must not be taken for those of one thread */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_flag), cmocka_unit_test(resnet),
        cmocka_unit_test(efficientnet),     cmocka_unit_test(odd_shapes),
        cmocka_unit_test(attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
