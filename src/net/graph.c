/* The graph builder: one call a module, shapes inferred on the way, tensors declared under torchvision's names in the
 * order of the calls. A failed call sets g->status once and the rest of the build does nothing, so an architecture
 * file reads like the network and checks nothing. Allocates no tensor data (network.c) and merges nothing (fuse.c).
 * Read first: graph.h.                                                                                         */
#include "net/graph.h"
#include <string.h>

/* ---- growing ---- */

static int fail_memory(eg_graph *g) {
    g->status = eg_fail(&g->error, EG_ERR_NO_MEMORY, "network: out of memory");
    return 0;
}

/* Room for one more item in a list of `size`-byte items; capacities double. */
static bool grow(void **items, int *capacity, int n, size_t size) {
    if (n < *capacity) return true;
    int wanted = *capacity ? 2 * *capacity : 64;
    void *more = eg_realloc(*items, (size_t)*capacity * size, (size_t)wanted * size);
    if (!more) return false;
    *items = more;
    *capacity = wanted;
    return true;
}

/* The node is copied, and its name too: builders write names into buffers that they use again. */
static int add_node(eg_graph *g, const eg_node *node) {
    void *nodes = g->nodes;
    if (!grow(&nodes, &g->capacity, g->n_nodes, sizeof *g->nodes)) return fail_memory(g);
    g->nodes = nodes;
    g->nodes[g->n_nodes] = *node;
    if (!(g->nodes[g->n_nodes].name = eg_arena_strdup(g->arena, node->name, strlen(node->name))))
        return fail_memory(g);
    return g->n_nodes++;
}

/* A node of one input that keeps the input's shape; callers change what differs. */
static eg_node from(const eg_graph *g, eg_op_kind op, const char *name, int x) {
    eg_node node = {.op = op, .name = name, .n_inputs = 1, .input = {x}};
    node.H = g->nodes[x].H;
    node.W = g->nodes[x].W;
    node.C = g->nodes[x].C;
    node.groups = 1;
    for (int i = 0; i < EG_NODE_MAX_TENSORS; i++) node.tensor[i] = -1;
    return node;
}

typedef struct {
    int n_dims;
    int64_t dims[4];
} shape;

/* Declare tensor "<module>.<part>", or "<module>" when part is ""; -1 on failure. */
static int declare(eg_graph *g, eg_tensor_role role, const char *module, const char *part, shape s,
                   bool is_head) {
    if (g->status != EG_OK) return -1;
    void *tensors = g->tensors;
    if (!grow(&tensors, &g->tensor_capacity, g->n_tensors, sizeof *g->tensors)) {
        fail_memory(g);
        return -1;
    }
    g->tensors = tensors;
    size_t n_module = strlen(module), n_part = strlen(part);
    char *name = eg_arena_get(g->arena, n_module + n_part + 2);
    if (!name) {
        fail_memory(g);
        return -1;
    }
    memcpy(name, module, n_module);
    name[n_module] = n_part ? '.' : '\0';
    if (n_part) memcpy(name + n_module + 1, part, n_part + 1);
    eg_net_tensor t = {.name = name, .role = role, .n_dims = s.n_dims, .count = 1};
    for (int i = 0; i < s.n_dims; i++) {
        t.dims[i] = s.dims[i];
        t.count *= (size_t)s.dims[i]; /* sides and widths are bounded: no overflow */
    }
    t.is_head = is_head;
    t.is_aux = g->in_aux;
    t.trainable = role == EG_TENSOR_PARAMETER;
    t.rate = 1;
    g->tensors[g->n_tensors] = t;
    return g->n_tensors++;
}

static shape vector(int n) {
    return (shape){1, {n}};
}

/* ---- windows ---- */

typedef struct {
    int kernel, stride, pad;
    bool ceil; /* round the number of outputs up */
} axis;

/* Outputs along one side of `n` pixels, and the padding in front and behind; 0: the window does not fit. */
static int axis_fit(int *before, int *after, int n, axis a) {
    *before = *after = a.pad;
    if (a.pad == EG_PAD_SAME_TF) {
        /* TensorFlow's "same": ceil(in / stride) outputs, the odd pixel of padding behind */
        int outputs = (n + a.stride - 1) / a.stride,
            total = (outputs - 1) * a.stride + a.kernel - n;
        if (total < 0) total = 0;
        *before = total / 2;
        *after = total - total / 2;
    }
    int room = n + *before + *after - a.kernel;
    if (room < 0) return 0;
    int outputs = room / a.stride + 1;
    /* torch: one more when something is left over, unless that window would start in the padding behind */
    if (a.ceil && room % a.stride && outputs * a.stride < n + *before) {
        *after += a.stride - room % a.stride;
        outputs++;
    }
    return outputs;
}

/* Padding and output size; false (and status) when the window does not fit. */
static bool window(eg_graph *g, eg_node *node, axis vertical, axis horizontal) {
    int P = axis_fit(&node->pad_before, &node->pad_after, node->H, vertical);
    int Q = axis_fit(&node->pad_left, &node->pad_right, node->W, horizontal);
    if (P == 0 || Q == 0) {
        g->status =
            eg_fail(&g->error, EG_ERR_USAGE,
                    "%s: a window of %d pixels does not fit into %d x %d (padding %d) - use "
                    "larger images",
                    node->name, P ? horizontal.kernel : vertical.kernel, node->H, node->W,
                    P ? node->pad_left : node->pad_before);
        return false;
    }
    node->H = P;
    node->W = Q;
    node->kernel = vertical.kernel;
    node->kernel_w = horizontal.kernel;
    node->stride = vertical.stride;
    return true;
}

static bool square(eg_graph *g, eg_node *node, int kernel, int stride, int pad) {
    axis a = {kernel, stride, pad, false};
    return window(g, node, a, a);
}

/* ---- the modules ---- */

int eg_graph_input(eg_graph *g, int H, int W, int C) {
    if (g->status != EG_OK) return 0;
    eg_node node = {.op = EG_OP_INPUT, .name = "input", .H = H, .W = W, .C = C, .groups = 1};
    for (int i = 0; i < EG_NODE_MAX_TENSORS; i++) node.tensor[i] = -1;
    return add_node(g, &node);
}

/* What the three kinds of convolution share; `n_dims` 2: the weight is a Linear's. */
static int conv(eg_graph *g, eg_node *node, int K, int groups, bool bias, int n_dims) {
    int C = g->nodes[node->input[0]].C;
    if (K < 1 || groups < 1 || C % groups || K % groups) {
        g->status =
            eg_fail(&g->error, EG_ERR_INTERNAL, "%s: %d groups do not divide %d and %d channels",
                    node->name, groups, C, K);
        return 0;
    }
    /* one channel in, one out: our own kernels are faster there than a grouped convolution of the library */
    if (groups > 1 && groups == C && groups == K) node->op = EG_OP_DWCONV;
    node->C = K;
    node->groups = groups;
    shape weight = {n_dims, {K, C / groups, node->kernel, node->kernel_w}};
    node->tensor[0] = declare(g, EG_TENSOR_PARAMETER, node->name, "weight", weight, node->is_head);
    if (bias)
        node->tensor[1] =
            declare(g, EG_TENSOR_PARAMETER, node->name, "bias", vector(K), node->is_head);
    return g->status == EG_OK ? add_node(g, node) : 0;
}

int eg_graph_conv(eg_graph *g, int x, const char *name, int K, int kernel, int stride, int pad,
                  int groups, bool bias) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_CONV, name, x);
    return square(g, &node, kernel, stride, pad) ? conv(g, &node, K, groups, bias, 4) : 0;
}

int eg_graph_conv_rect(eg_graph *g, int x, const char *name, int K, const int kernel[2],
                       const int pad[2]) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_CONV, name, x);
    axis vertical = {kernel[0], 1, pad[0], false}, horizontal = {kernel[1], 1, pad[1], false};
    return window(g, &node, vertical, horizontal) ? conv(g, &node, K, 1, false, 4) : 0;
}

int eg_graph_pointwise(eg_graph *g, int x, const char *name, int K) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_CONV, name, x);
    return square(g, &node, 1, 1, 0) ? conv(g, &node, K, 1, true, 2) : 0;
}

int eg_graph_conv_head(eg_graph *g, int x, const char *name, int K) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_CONV, name, x);
    node.is_head = true;
    return square(g, &node, 1, 1, 0) ? conv(g, &node, K, 1, true, 4) : 0;
}

int eg_graph_bn(eg_graph *g, int x, const char *name, float epsilon, float momentum) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_BN, name, x);
    static const struct {
        const char *part;
        eg_tensor_role role;
    } PARTS[] = {{"weight", EG_TENSOR_PARAMETER},
                 {"bias", EG_TENSOR_PARAMETER},
                 {"running_mean", EG_TENSOR_BUFFER},
                 {"running_var", EG_TENSOR_BUFFER},
                 {"num_batches_tracked", EG_TENSOR_COUNTER}};
    for (int i = 0; i < 5; i++) { /* the counter is a scalar: no dimension at all */
        shape s = PARTS[i].role == EG_TENSOR_COUNTER ? (shape){0} : vector(node.C);
        node.tensor[i] = declare(g, PARTS[i].role, name, PARTS[i].part, s, false);
    }
    node.epsilon = epsilon;
    node.momentum = momentum;
    return g->status == EG_OK ? add_node(g, &node) : 0;
}

int eg_graph_act(eg_graph *g, int x, eg_act act) {
    if (g->status != EG_OK || act == EG_ACT_NONE) return x; /* so callers pass "none" on */
    eg_node node = from(g, EG_OP_ACT, "act", x);
    node.act = act;
    return add_node(g, &node);
}

int eg_graph_add(eg_graph *g, int a, int b) {
    if (g->status != EG_OK) return 0;
    const eg_node *p = &g->nodes[a], *q = &g->nodes[b];
    if (p->H != q->H || p->W != q->W || p->C != q->C) {
        g->status = eg_fail(&g->error, EG_ERR_INTERNAL, "add: %s is %dx%dx%d, %s is %dx%dx%d",
                            p->name, p->H, p->W, p->C, q->name, q->H, q->W, q->C);
        return 0;
    }
    eg_node node = from(g, EG_OP_ADD, "add", a);
    node.n_inputs = 2;
    node.input[1] = b;
    return add_node(g, &node);
}

int eg_graph_drop_path(eg_graph *g, int x, float rate) {
    if (g->status != EG_OK || rate <= 0) return x; /* rate 0 never drops: no node */
    eg_node node = from(g, EG_OP_DROP_PATH, "drop_path", x);
    node.rate = rate;
    return add_node(g, &node);
}

int eg_graph_se(eg_graph *g, int x, const char *name, int squeeze, eg_act act, eg_act gate) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_SE, name, x);
    int C = node.C;
    const eg_tensor_role role = EG_TENSOR_PARAMETER;
    node.tensor[0] = declare(g, role, name, "fc1.weight", (shape){4, {squeeze, C, 1, 1}}, false);
    node.tensor[1] = declare(g, role, name, "fc1.bias", vector(squeeze), false);
    node.tensor[2] = declare(g, role, name, "fc2.weight", (shape){4, {C, squeeze, 1, 1}}, false);
    node.tensor[3] = declare(g, role, name, "fc2.bias", vector(C), false);
    node.squeeze = squeeze;
    node.act = act;
    node.gate = gate;
    return g->status == EG_OK ? add_node(g, &node) : 0;
}

int eg_graph_layer_norm(eg_graph *g, int x, const char *name, float epsilon) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_LAYER_NORM, name, x);
    node.tensor[0] = declare(g, EG_TENSOR_PARAMETER, name, "weight", vector(node.C), false);
    node.tensor[1] = declare(g, EG_TENSOR_PARAMETER, name, "bias", vector(node.C), false);
    node.epsilon = epsilon;
    return g->status == EG_OK ? add_node(g, &node) : 0;
}

static int layer_scale_tensor(eg_graph *g, const char *name, int C) {
    return declare(g, EG_TENSOR_PARAMETER, name, "", (shape){3, {C, 1, 1}}, false);
}

void eg_graph_layer_scale_declare(eg_graph *g, const char *name, int C) {
    layer_scale_tensor(g, name, C);
}

int eg_graph_layer_scale(eg_graph *g, int x, const char *name, float initial) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_LAYER_SCALE, name, x);
    /* declared ahead (eg_graph_layer_scale_declare), most likely not long ago */
    int declared = g->n_tensors - 1;
    while (declared >= 0 && strcmp(g->tensors[declared].name, name) != 0) declared--;
    node.tensor[0] = declared >= 0 ? declared : layer_scale_tensor(g, name, node.C);
    node.initial = initial;
    return g->status == EG_OK ? add_node(g, &node) : 0;
}

/* ---- pooling, and channels put together and taken apart ---- */

int eg_graph_max_pool(eg_graph *g, int x, int kernel, int stride, int pad, bool ceil) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_MAX_POOL, "max_pool", x);
    axis a = {kernel, stride, pad, ceil};
    return window(g, &node, a, a) ? add_node(g, &node) : 0;
}

int eg_graph_avg_pool(eg_graph *g, int x, int kernel, int stride, int pad) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_AVG_POOL, "avg_pool", x);
    return square(g, &node, kernel, stride, pad) ? add_node(g, &node) : 0;
}

int eg_graph_adaptive_pool(eg_graph *g, int x, int side) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_ADAPTIVE_POOL, "adaptive_pool", x);
    if (node.H == side && node.W == side) return x;
    node.H = node.W = side;
    return add_node(g, &node);
}

int eg_graph_concat(eg_graph *g, const int *x, int n) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_CONCAT, "concat", x[0]);
    for (int k = 1; k < n; k++) {
        const eg_node *other = &g->nodes[x[k]];
        if (n > EG_NODE_MAX_INPUTS || other->H != node.H || other->W != node.W) {
            g->status =
                eg_fail(&g->error, EG_ERR_INTERNAL, "concat of %d: %s is %dx%d, the first is %dx%d",
                        n, other->name, other->H, other->W, node.H, node.W);
            return 0;
        }
        node.input[k] = x[k];
        node.C += other->C;
    }
    node.n_inputs = n;
    return add_node(g, &node);
}

int eg_graph_slice(eg_graph *g, int x, int first, int C) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_SLICE, "slice", x);
    if (first < 0 || C < 1 || first + C > node.C) {
        g->status = eg_fail(&g->error, EG_ERR_INTERNAL, "slice: channels %d to %d of %d", first,
                            first + C, node.C);
        return 0;
    }
    node.first = first;
    node.C = C;
    return add_node(g, &node);
}

int eg_graph_shuffle(eg_graph *g, int x, int groups) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_SHUFFLE, "shuffle", x);
    if (groups < 1 || node.C % groups) {
        g->status = eg_fail(&g->error, EG_ERR_INTERNAL, "shuffle: %d groups of %d channels", groups,
                            node.C);
        return 0;
    }
    node.groups = groups;
    return add_node(g, &node);
}

int eg_graph_mean_pool(eg_graph *g, int x) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_MEAN_POOL, "mean_pool", x);
    node.H = node.W = 1;
    return add_node(g, &node);
}

int eg_graph_flatten(eg_graph *g, int x) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_FLATTEN, "flatten", x);
    node.C *= node.H * node.W;
    node.H = node.W = 1;
    return add_node(g, &node);
}

int eg_graph_dropout(eg_graph *g, int x, float rate) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_DROPOUT, "dropout", x);
    node.rate = rate;
    return add_node(g, &node);
}

int eg_graph_linear(eg_graph *g, int x, const char *name, int K, bool is_head) {
    if (g->status != EG_OK) return 0;
    eg_node node = from(g, EG_OP_LINEAR, name, x);
    if (node.H != 1 || node.W != 1) {
        g->status =
            eg_fail(&g->error, EG_ERR_INTERNAL,
                    "%s: input is %dx%d pixels, pool or flatten it first", name, node.H, node.W);
        return 0;
    }
    const eg_tensor_role role = EG_TENSOR_PARAMETER;
    node.tensor[0] = declare(g, role, name, "weight", (shape){2, {K, node.C}}, is_head);
    node.tensor[1] = declare(g, role, name, "bias", vector(K), is_head);
    node.C = K;
    node.is_head = is_head;
    return g->status == EG_OK ? add_node(g, &node) : 0;
}

int eg_graph_aux_head(eg_graph *g, int x, const char *name, int K, float weight) {
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) n += g->nodes[i].aux_weight > 0;
    if (g->status == EG_OK && (n == EG_MAX_AUX || !(weight > 0))) {
        g->status =
            eg_fail(&g->error, EG_ERR_INTERNAL,
                    "%s: auxiliary head %d of weight %g, expected at most %d of positive weight",
                    name, n + 1, (double)weight, EG_MAX_AUX);
        return 0;
    }
    int node = eg_graph_linear(g, x, name, K, true);
    if (g->status == EG_OK) g->nodes[node].aux_weight = weight;
    return node;
}

void eg_graph_features(eg_graph *g, int x) {
    /* a node that nothing reads: training leaves it out, prediction finds it by its mark (plan.c) */
    int node = eg_graph_mean_pool(g, x);
    if (g->status == EG_OK) g->nodes[node].is_features = true;
}

/* ---- for builders in other files ---- */

eg_node eg_graph_like(const eg_graph *g, eg_op_kind op, const char *name, int x) {
    return from(g, op, name, x);
}

int eg_graph_append(eg_graph *g, const eg_node *node) {
    return g->status == EG_OK ? add_node(g, node) : 0;
}

int eg_graph_tensor(eg_graph *g, eg_tensor_role role, const char *name, int n_dims,
                    const int64_t *dims) {
    shape s = {.n_dims = n_dims};
    for (int i = 0; i < n_dims; i++) s.dims[i] = dims[i];
    return declare(g, role, name, "", s, false);
}

/* ---- whole graphs ---- */

eg_status eg_graph_make(eg_graph *g, const eg_arch *arch, int n_classes, int side, eg_error *err) {
    *g = (eg_graph){.arena = eg_arena_new((size_t)64 << 10, 0)};
    if (!g->arena) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", arch->info.name);
    eg_status status = arch->build(g, arch, n_classes, side);
    if (status != EG_OK) {
        eg_fail(err, status, "%s with %d x %d input: %s", arch->info.name, side, side,
                g->error.text);
        eg_graph_free(g);
    }
    return status;
}

void eg_graph_free(eg_graph *g) {
    eg_free(g->nodes);
    eg_free(g->tensors);
    eg_arena_free(g->arena);
    *g = (eg_graph){0};
}
