/* Attention: the op with windows, shift, mask and bias, against plain loops in double that follow torchvision's
 * shifted_window_attention step by step (roll, cut, count regions); the gradients of it, of tokens and of the moves of
 * pixels by central differences. Its kernels: kernels_float.h. */
#include "ref/gradient_check.h"
#include "ref/small_vit.h"

/* ---- the op against torchvision's steps ---- */

typedef struct {
    int H, W, heads, d, window, shift;
} attention_case;
static attention_case now;

static eg_status build_attention(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    (void)side;
    eg_attention at = {now.heads, now.window, now.shift, -1, -1};
    int span = 2 * now.window - 1;
    int x = eg_graph_input(g, now.H, now.W, 3);
    if (now.window)
        at.table = eg_graph_tensor(g, EG_TENSOR_PARAMETER, "table", 2,
                                   (int64_t[]){(int64_t)span * span, now.heads});
    x = eg_graph_pointwise(g, x, "qkv", 3 * now.heads * now.d);
    x = eg_graph_mean_pool(g, eg_graph_attention(g, x, "core", &at));
    eg_graph_linear(g, x, "head", CLASSES, true);
    return g->status;
}

/* torchvision: counts 0..8 written into slices of the rolled image */
static int region(int y, int x) {
    int h = y < now.H - now.window ? 0 : y < now.H - now.shift ? 1 : 2;
    int w = x < now.W - now.window ? 0 : x < now.W - now.shift ? 1 : 2;
    return 3 * h + w;
}

/* Score of query pixel (y, x) and key pixel (v, u) in rolled coordinates, image n, head h; -INFINITY: other window. */
static double score(const float *qkv, const float *table, int n, int h, const int q[2],
                    const int k[2]) {
    int D = now.heads * now.d, w = now.window, s = now.shift;
    if (w && (q[0] / w != k[0] / w || q[1] / w != k[1] / w)) return -INFINITY;
    size_t from = (size_t)((n * now.H + (q[0] + s) % now.H) * now.W + (q[1] + s) % now.W);
    size_t to = (size_t)((n * now.H + (k[0] + s) % now.H) * now.W + (k[1] + s) % now.W);
    double sum = 0;
    for (int i = 0; i < now.d; i++)
        sum += (double)qkv[from * 3 * (size_t)D + (size_t)(h * now.d + i)] *
               (double)qkv[to * 3 * (size_t)D + (size_t)(D + h * now.d + i)];
    sum /= sqrt((double)now.d);
    if (w) {
        int row = (q[0] - k[0] + w - 1) * (2 * w - 1) + q[1] - k[1] + w - 1;
        sum += (double)table[row * now.heads + h];
    }
    return s && region(q[0], q[1]) != region(k[0], k[1]) ? sum - 100 : sum;
}

static void query_check(const float *y, const float *qkv, const float *table, int n, int h,
                        const int q[2]) {
    int D = now.heads * now.d, s = now.shift;
    double total = 0, want[8] = {0};
    for (int v = 0; v < now.H; v++)
        for (int u = 0; u < now.W; u++) {
            double e = exp(score(qkv, table, n, h, q, (int[]){v, u}));
            size_t to = (size_t)((n * now.H + (v + s) % now.H) * now.W + (u + s) % now.W);
            total += e;
            for (int i = 0; i < now.d; i++)
                want[i] += e * (double)qkv[to * 3 * (size_t)D + (size_t)(2 * D + h * now.d + i)];
        }
    size_t at = (size_t)((n * now.H + (q[0] + s) % now.H) * now.W + (q[1] + s) % now.W);
    for (int i = 0; i < now.d; i++) {
        double got = (double)y[at * (size_t)D + (size_t)(h * now.d + i)];
        if (!(fabs(got - want[i] / total) <= 1e-5))
            fail_msg("pixel %d,%d head %d: %.8g, expected %.8g", q[0], q[1], h, got,
                     want[i] / total);
    }
}

static void value_case(attention_case one) {
    now = one;
    static eg_arch arch;
    arch = (eg_arch){.info = {.name = "test", .img_size = SIDE}, .build = build_attention};
    eg_network *net = NULL;
    eg_plan *p = NULL;
    eg_error err;
    if (eg_network_of(&net, &arch, CLASSES, SIDE, &err) != EG_OK) fail_msg("%s", err.text);
    eg_network_init(net, 2);
    const eg_net_tensor *table = eg_network_tensor(net, "table");
    eg_random r = eg_random_make(9, 1, 1, 1);
    for (size_t i = 0; table && i < table->count; i++) table->data[i] = (float)eg_random_normal(&r);
    eg_plan_options o = {.mode = EG_PLAN_TRAIN, .batch = 2, .dropout = -1};
    if (eg_plan_new(&p, net, &o, &err) != EG_OK) fail_msg("%s", err.text);
    float *in = eg_plan_input(p);
    for (int i = 0; i < 2 * now.H * now.W * 3; i++) in[i] = (float)(2 * eg_random_normal(&r));
    int k = 0;
    do { /* as far as attention, whose values live until the next step */
        assert_int_equal(p->steps[k].op->forward(p, &p->steps[k], &err), EG_OK);
    } while (p->steps[k++].node->op != EG_OP_ATTENTION);
    const eg_step *s = &p->steps[k - 1];
    for (int n = 0; n < 2; n++)
        for (int h = 0; h < now.heads; h++)
            for (int y = 0; y < now.H; y++)
                for (int x = 0; x < now.W; x++)
                    query_check(eg_step_y(p, s), eg_step_x(p, s, 0), table ? table->data : NULL, n,
                                h, (int[]){y, x});
    eg_plan_free(p);
    eg_network_free(net);
}

static void values(void **state) {
    (void)state;
    value_case((attention_case){1, 17, 3, 5, 0, 0});
    value_case((attention_case){5, 4, 1, 8, 0, 0});
    value_case((attention_case){6, 6, 2, 4, 3, 0});
    value_case((attention_case){9, 9, 2, 4, 3, 1});
    value_case((attention_case){5, 15, 2, 3, 5, 2});  /* torchvision shifts such an axis too unless
                                                        told not to: the builder's matter */
    value_case((attention_case){14, 7, 40, 1, 7, 3}); /* more heads than tasks */
}

/* ---- gradients ---- */

static eg_status build_vit(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    return small_vit_build(g, (small_vit){.patch = 3, .width = 12, .hidden = 20}, CLASSES, side);
}

static int swin_attention(eg_graph *g, int x, const char *const names[3], int C, int shift) {
    eg_attention at = {.heads = 2, .window = 5, .shift = shift, .index = -1};
    at.table = eg_graph_tensor(g, EG_TENSOR_PARAMETER, names[0], 2, (int64_t[]){81, 2});
    int H = g->nodes[x].H, padded = (H + 4) / 5 * 5;
    int y = eg_graph_pointwise(g, eg_graph_canvas(g, x, padded, padded), names[1], 3 * C);
    y = eg_graph_canvas(g, eg_graph_attention(g, y, "core", &at), H, H);
    return eg_graph_add(g, eg_graph_drop_path(g, eg_graph_pointwise(g, y, names[2], C), 0.2f), x);
}

/* 12 pixels: padded to 15 for windows of 5; 6 to 10 behind the first merge, 3 to 4 in front of the second */
static eg_status build_swin(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    (void)arch;
    (void)n_classes;
    static const char *const one[] = {"table1", "qkv1", "proj1"}, *const two[] = {"table2", "qkv2",
                                                                                  "proj2"};
    int x = eg_graph_pointwise(g, eg_graph_input(g, side, side, 3), "stem", 8);
    x = swin_attention(g, x, one, 8, 0);
    x = eg_graph_pointwise(g, eg_graph_patch_merge(g, x), "reduce", 12);
    x = swin_attention(g, x, two, 12, 2);
    x = eg_graph_patch_merge(g, eg_graph_patch_merge(g, x));
    eg_graph_linear(g, eg_graph_mean_pool(g, eg_graph_layer_norm(g, x, "norm", 1e-5f)), "head",
                    CLASSES, true);
    return g->status;
}

static void gradients(void **state) {
    (void)state;
    check_float_network(build_vit, EG_BN_TRAIN);
    check_float_network(build_swin, EG_BN_TRAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
