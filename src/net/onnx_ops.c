/* One function an op: a node of our graph as ONNX nodes of opset 17, shapes (N,C,H,W), or (N,C) behind flatten and linear.
 * Convolutions take the batch norm that onnx_graph.c gave them along. Dropout and stochastic depth are nothing in
 * evaluation: their value is their input's. Source of the operators: the ONNX operator reference.
 * Read first: onnx_graph.h, graph.h (what each op's fields mean).                                                 */
#include "net/onnx_graph.h"
#include <math.h>
#include <string.h>

const eg_net_tensor *eg_onnx_tensor_of(const eg_onnx *b, const eg_node *node, int k) {
    return node->tensor[k] < 0 ? NULL : &b->graph->tensors[node->tensor[k]];
}

/* Name of the value that input k of the node is. */
static const char *input(const eg_onnx *b, const eg_node *node, int k) {
    return b->value[node->input[k]];
}

static EgOnnx__NodeProto *one(eg_onnx *b, const char *op, const char *out, const char *x) {
    return eg_onnx_add(b, op, out, &x, 1);
}

static EgOnnx__NodeProto *two(eg_onnx *b, const char *op, const char *out, const char *x,
                              const char *y) {
    return eg_onnx_add(b, op, out, (const char *[]){x, y}, 2);
}

/* ---- moving values about ---- */

void eg_onnx_reshape(eg_onnx *b, const char *out, const char *x, const int64_t *dims, size_t n) {
    two(b, "Reshape", out, x, eg_onnx_shape(b, eg_onnx_text(b, "%s.dims", out), dims, n));
}

void eg_onnx_transpose(eg_onnx *b, const char *out, const char *x, const int64_t *perm, size_t n) {
    eg_onnx_ints(b, one(b, "Transpose", out, x), "perm", perm, n);
}

void eg_onnx_slice(eg_onnx *b, const char *out, const char *x, int64_t axis, int64_t begin,
                   int64_t end) {
    const char *inputs[] = {x, eg_onnx_shape(b, eg_onnx_text(b, "%s.begin", out), &begin, 1),
                            eg_onnx_shape(b, eg_onnx_text(b, "%s.end", out), &end, 1),
                            eg_onnx_shape(b, eg_onnx_text(b, "%s.axis", out), &axis, 1)};
    eg_onnx_add(b, "Slice", out, inputs, 4);
}

/* Tensor k of the node as it is; "" without one. */
static const char *weight(eg_onnx *b, const eg_node *node, int k) {
    const eg_net_tensor *t = eg_onnx_tensor_of(b, node, k);
    return t ? eg_onnx_floats(b, t->name, t->data, t->dims, (size_t)t->n_dims) : "";
}

/* ---- activations ---- */

/* The exact one, in the form that runtimes know how to merge: opset 17 has no Gelu. */
static void gelu(eg_onnx *b, const char *out, const char *x, const char *base) {
    const char *scaled = eg_onnx_text(b, "%s/over_sqrt2", base),
               *erf = eg_onnx_text(b, "%s/erf", base), *sum = eg_onnx_text(b, "%s/erf_1", base),
               *product = eg_onnx_text(b, "%s/x_erf_1", base);
    two(b, "Div", scaled, x, eg_onnx_scalar(b, "constant/sqrt2", (float)M_SQRT2));
    one(b, "Erf", erf, scaled);
    two(b, "Add", sum, erf, eg_onnx_scalar(b, "constant/1", 1));
    two(b, "Mul", product, x, sum);
    two(b, "Mul", out, product, eg_onnx_scalar(b, "constant/half", 0.5f));
}

/* `out` = act(x); `base` is put in front of inner values. */
static void activation(eg_onnx *b, const char *out, const char *x, eg_act act, const char *base) {
    switch (act) {
    case EG_ACT_RELU:
        one(b, "Relu", out, x);
        return;
    case EG_ACT_RELU6: {
        const char *inputs[] = {x, eg_onnx_scalar(b, "constant/0", 0),
                                eg_onnx_scalar(b, "constant/6", 6)};
        eg_onnx_add(b, "Clip", out, inputs, 3);
        return;
    }
    case EG_ACT_SILU: {
        const char *gate = eg_onnx_text(b, "%s/sigmoid", base);
        one(b, "Sigmoid", gate, x);
        two(b, "Mul", out, x, gate);
        return;
    }
    case EG_ACT_SIGMOID:
        one(b, "Sigmoid", out, x);
        return;
    case EG_ACT_HARDSWISH:
        one(b, "HardSwish", out, x);
        return;
    case EG_ACT_HARDSIGMOID: { /* max(0, min(1, x / 6 + 1 / 2)) */
        EgOnnx__NodeProto *node = one(b, "HardSigmoid", out, x);
        eg_onnx_real(b, node, "alpha", 1.0f / 6);
        eg_onnx_real(b, node, "beta", 0.5f);
        return;
    }
    case EG_ACT_GELU:
        gelu(b, out, x, base);
        return;
    case EG_ACT_NONE:
        break;
    }
    eg_onnx_fail(b, EG_ERR_UNSUPPORTED, "%s: activation %d has no ONNX form here", base, (int)act);
}

static void emit_act(eg_onnx *b, int i, const eg_node *node) {
    activation(b, b->value[i], input(b, node, 0), node->act, b->base[i]);
}

/* ---- windows ---- */

/* Padding is always explicit, so that TensorFlow's "same" and torch's ceil_mode need no case of their own: top, left,
 * bottom, right. */
static void window(eg_onnx *b, EgOnnx__NodeProto *op, const eg_node *node) {
    eg_onnx_ints(b, op, "kernel_shape", (const int64_t[]){node->kernel, node->kernel_w}, 2);
    eg_onnx_ints(b, op, "strides", (const int64_t[]){node->stride, node->stride}, 2);
    eg_onnx_ints(
        b, op, "pads",
        (const int64_t[]){node->pad_before, node->pad_left, node->pad_after, node->pad_right}, 4);
}

/* w' = w gamma / sqrt(var + eps), b' = beta + (b - mean) gamma / sqrt(var + eps), as op_folded.c computes them for
 * prediction. `w` gets the weights (K, ...), `shift` the bias (K). */
static void fold(float *w, float *shift, const eg_onnx *b, const eg_node *conv,
                 const eg_node *norm) {
    const eg_net_tensor *weights = eg_onnx_tensor_of(b, conv, 0),
                        *bias = eg_onnx_tensor_of(b, conv, 1);
    const float *gamma = eg_onnx_tensor_of(b, norm, 0)->data,
                *beta = eg_onnx_tensor_of(b, norm, 1)->data,
                *mean = eg_onnx_tensor_of(b, norm, 2)->data,
                *var = eg_onnx_tensor_of(b, norm, 3)->data;
    size_t K = (size_t)conv->C, each = weights->count / K;
    for (size_t k = 0; k < K; k++) {
        double scale = (double)gamma[k] / sqrt((double)var[k] + (double)norm->epsilon);
        double from = (bias ? (double)bias->data[k] : 0) - (double)mean[k];
        shift[k] = (float)((double)beta[k] + from * scale);
        for (size_t j = k * each; j < (k + 1) * each; j++)
            w[j] = (float)((double)weights->data[j] * scale);
    }
}

static void emit_conv(eg_onnx *b, int i, const eg_node *node) {
    const eg_net_tensor *t = eg_onnx_tensor_of(b, node, 0), *bias = eg_onnx_tensor_of(b, node, 1);
    int64_t K = node->C;
    /* a Linear's matrix run at every pixel is a 1x1 convolution */
    const int64_t dims[4] = {K, t->dims[1], node->kernel, node->kernel_w};
    const float *w = t->data, *shift = bias ? bias->data : NULL;
    if (b->norm[i] >= 0) {
        float *folded = eg_onnx_get(b, t->count * sizeof *folded),
              *folded_bias = eg_onnx_get(b, (size_t)K * sizeof *folded_bias);
        if (!folded || !folded_bias) return;
        fold(folded, folded_bias, b, node, &b->graph->nodes[b->norm[i]]);
        w = folded;
        shift = folded_bias;
    }
    const char *inputs[3] = {input(b, node, 0), eg_onnx_floats(b, t->name, w, dims, 4)};
    if (shift)
        inputs[2] = eg_onnx_floats(b, bias ? bias->name : eg_onnx_text(b, "%s.bias", node->name),
                                   shift, &K, 1);
    EgOnnx__NodeProto *op = eg_onnx_add(b, "Conv", b->value[i], inputs, shift ? 3 : 2);
    window(b, op, node);
    eg_onnx_int(b, op, "group", node->groups);
}

static void emit_max_pool(eg_onnx *b, int i, const eg_node *node) {
    window(b, one(b, "MaxPool", b->value[i], input(b, node, 0)), node);
}

static void emit_avg_pool(eg_onnx *b, int i, const eg_node *node) {
    EgOnnx__NodeProto *op = one(b, "AveragePool", b->value[i], input(b, node, 0));
    window(b, op, node);
    eg_onnx_int(b, op, "count_include_pad", 1);
}

static void emit_mean_pool(eg_onnx *b, int i, const eg_node *node) {
    one(b, "GlobalAveragePool", b->value[i], input(b, node, 0));
}

/* ---- adaptive pooling: ONNX has none ---- */

/* Matrix that averages `from` pixels into `to` cells, cell c over [floor(c from / to), ceil((c + 1) from / to)) as in torch:
 * (to, from), or (from, to) when `transposed`. */
static const char *cells(eg_onnx *b, const char *name, int to, int from, bool transposed) {
    float *m = eg_onnx_get(b, (size_t)to * (size_t)from * sizeof *m);
    if (!m) return name;
    for (int c = 0; c < to; c++) {
        int first = c * from / to, end = ((c + 1) * from + to - 1) / to;
        for (int p = 0; p < from; p++)
            m[transposed ? p * to + c : c * from + p] =
                p >= first && p < end ? 1.0f / (float)(end - first) : 0;
    }
    int64_t rows = transposed ? from : to, columns = transposed ? to : from;
    return eg_onnx_floats(b, name, m, (const int64_t[]){rows, columns}, 2);
}

/* Cells that do not overlap are an ordinary pool; others are (P,H) (N,C,H,W) (W,Q). */
static void emit_adaptive_pool(eg_onnx *b, int i, const eg_node *node) {
    const eg_node *from = &b->graph->nodes[node->input[0]];
    const char *x = input(b, node, 0), *base = b->base[i];
    if (from->H % node->H == 0 && from->W % node->W == 0) {
        EgOnnx__NodeProto *op = one(b, "AveragePool", b->value[i], x);
        const int64_t side[] = {from->H / node->H, from->W / node->W};
        eg_onnx_ints(b, op, "kernel_shape", side, 2);
        eg_onnx_ints(b, op, "strides", side, 2);
        return;
    }
    const char *across = eg_onnx_text(b, "%s/columns", base);
    two(b, "MatMul", across, x,
        cells(b, eg_onnx_text(b, "%s/cells_w", base), node->W, from->W, true));
    two(b, "MatMul", b->value[i],
        cells(b, eg_onnx_text(b, "%s/cells_h", base), node->H, from->H, false), across);
}

/* ---- normalisation and scale ---- */

/* Kept norms, and those that no convolution can take: behind a concatenation (DenseNet), or where the convolution has a
 * second reader. */
static void emit_bn(eg_onnx *b, int i, const eg_node *node) {
    if (b->norm[node->input[0]] == i) { /* the convolution did it */
        b->value[i] = input(b, node, 0);
        return;
    }
    const char *inputs[5] = {input(b, node, 0)};
    for (int k = 0; k < 4; k++) inputs[k + 1] = weight(b, node, k);
    EgOnnx__NodeProto *op = eg_onnx_add(b, "BatchNormalization", b->value[i], inputs, 5);
    eg_onnx_real(b, op, "epsilon", node->epsilon);
}

/* Over the channels, which ONNX wants last. */
static void emit_layer_norm(eg_onnx *b, int i, const eg_node *node) {
    const char *before = eg_onnx_text(b, "%s/nhwc", b->base[i]),
               *after = eg_onnx_text(b, "%s/normalized", b->base[i]);
    const char *inputs[] = {before, weight(b, node, 0), weight(b, node, 1)};
    if (b->flat[i]) {
        inputs[0] = input(b, node, 0);
        after = b->value[i];
    } else {
        eg_onnx_transpose(b, before, input(b, node, 0), (const int64_t[]){0, 2, 3, 1}, 4);
    }
    EgOnnx__NodeProto *op = eg_onnx_add(b, "LayerNormalization", after, inputs, 3);
    eg_onnx_int(b, op, "axis", -1);
    eg_onnx_real(b, op, "epsilon", node->epsilon);
    if (!b->flat[i]) eg_onnx_transpose(b, b->value[i], after, (const int64_t[]){0, 3, 1, 2}, 4);
}

static void emit_layer_scale(eg_onnx *b, int i, const eg_node *node) {
    two(b, "Mul", b->value[i], input(b, node, 0), weight(b, node, 0)); /* (C,1,1) */
}

/* Mean over the pixels, two 1x1 convolutions, the product. */
static void emit_se(eg_onnx *b, int i, const eg_node *node) {
    const char *base = b->base[i], *x = input(b, node, 0);
    const char *mean = eg_onnx_text(b, "%s/mean", base), *fc1 = eg_onnx_text(b, "%s/fc1", base),
               *squeezed = eg_onnx_text(b, "%s/squeezed", base),
               *fc2 = eg_onnx_text(b, "%s/fc2", base), *gate = eg_onnx_text(b, "%s/gate", base);
    one(b, "GlobalAveragePool", mean, x);
    eg_onnx_add(b, "Conv", fc1, (const char *[]){mean, weight(b, node, 0), weight(b, node, 1)}, 3);
    activation(b, squeezed, fc1, node->act, squeezed);
    eg_onnx_add(b, "Conv", fc2, (const char *[]){squeezed, weight(b, node, 2), weight(b, node, 3)},
                3);
    activation(b, gate, fc2, node->gate, gate);
    two(b, "Mul", b->value[i], x, gate);
}

/* ---- channels put together and taken apart ---- */

static void emit_add(eg_onnx *b, int i, const eg_node *node) {
    two(b, "Add", b->value[i], input(b, node, 0), input(b, node, 1));
}

static void emit_concat(eg_onnx *b, int i, const eg_node *node) {
    const char *inputs[EG_NODE_MAX_INPUTS];
    for (int k = 0; k < node->n_inputs; k++) inputs[k] = input(b, node, k);
    EgOnnx__NodeProto *op = eg_onnx_add(b, "Concat", b->value[i], inputs, (size_t)node->n_inputs);
    eg_onnx_int(b, op, "axis", 1);
}

static void emit_slice(eg_onnx *b, int i, const eg_node *node) {
    eg_onnx_slice(b, b->value[i], input(b, node, 0), 1, node->first, node->first + node->C);
}

/* (N, G, C/G, H, W), the two in the middle exchanged. A 0 in a Reshape keeps that dimension. */
static void emit_shuffle(eg_onnx *b, int i, const eg_node *node) {
    const int64_t G = node->groups, C = node->C, H = node->H, W = node->W;
    const char *split = eg_onnx_text(b, "%s/groups", b->base[i]),
               *turned = eg_onnx_text(b, "%s/turned", b->base[i]);
    eg_onnx_reshape(b, split, input(b, node, 0), (const int64_t[]){0, G, C / G, H, W}, 5);
    eg_onnx_transpose(b, turned, split, (const int64_t[]){0, 2, 1, 3, 4}, 5);
    eg_onnx_reshape(b, b->value[i], turned, (const int64_t[]){0, C, H, W}, 4);
}

/* ---- the end of a network ---- */

static void emit_flatten(eg_onnx *b, int i, const eg_node *node) {
    if (b->flat[node->input[0]])
        b->value[i] = input(b, node, 0);
    else
        eg_onnx_int(b, one(b, "Flatten", b->value[i], input(b, node, 0)), "axis", 1);
}

/* y = x W^T + b with W (K, C) as nn.Linear keeps it. */
static void emit_linear(eg_onnx *b, int i, const eg_node *node) {
    const char *x = input(b, node, 0);
    if (!b->flat[node->input[0]]) { /* (N,C,1,1) of a pool; torchvision flattens there too */
        const char *flat = eg_onnx_text(b, "%s/flat", b->base[i]);
        eg_onnx_int(b, one(b, "Flatten", flat, x), "axis", 1);
        x = flat;
    }
    const char *inputs[] = {x, weight(b, node, 0), weight(b, node, 1)};
    EgOnnx__NodeProto *op =
        eg_onnx_add(b, "Gemm", b->value[i], inputs, node->tensor[1] < 0 ? 2 : 3);
    eg_onnx_int(b, op, "transB", 1);
}

/* Training only: evaluation passes the value on. */
static void emit_nothing(eg_onnx *b, int i, const eg_node *node) {
    b->value[i] = input(b, node, 0);
}

/* ---- the table ---- */

typedef struct {
    void (*emit)(eg_onnx *b, int i, const eg_node *node);
    bool flat_input; /* works on (N,C) too */
} onnx_op;

/* NULL: no ONNX form yet, a case that eg_onnx_emit refuses. EG_OP_INPUT never gets here. */
static const onnx_op table[EG_OP_COUNT] = {
    [EG_OP_CONV] = {emit_conv, false},
    [EG_OP_DWCONV] = {emit_conv, false},
    [EG_OP_BN] = {emit_bn, true},
    [EG_OP_ACT] = {emit_act, true},
    [EG_OP_ADD] = {emit_add, true},
    [EG_OP_DROP_PATH] = {emit_nothing, true},
    [EG_OP_SE] = {emit_se, false},
    [EG_OP_MAX_POOL] = {emit_max_pool, false},
    [EG_OP_AVG_POOL] = {emit_avg_pool, false},
    [EG_OP_ADAPTIVE_POOL] = {emit_adaptive_pool, false},
    [EG_OP_MEAN_POOL] = {emit_mean_pool, false},
    [EG_OP_CONCAT] = {emit_concat, true},
    [EG_OP_SLICE] = {emit_slice, true},
    [EG_OP_SHUFFLE] = {emit_shuffle, false},
    [EG_OP_LAYER_NORM] = {emit_layer_norm, true},
    [EG_OP_LAYER_SCALE] = {emit_layer_scale, false},
    [EG_OP_TOKENS] = {eg_onnx_emit_tokens, false},
    [EG_OP_TOKEN] = {eg_onnx_emit_token, false},
    [EG_OP_ATTENTION] = {eg_onnx_emit_attention, false},
    [EG_OP_CANVAS] = {eg_onnx_emit_canvas, false},
    [EG_OP_PATCH_MERGE] = {eg_onnx_emit_patch_merge, false},
    [EG_OP_FLATTEN] = {emit_flatten, true},
    [EG_OP_DROPOUT] = {emit_nothing, true},
    [EG_OP_LINEAR] = {emit_linear, true},
};

static const char *const op_names[EG_OP_COUNT] = {
#define EG_OP_NAME(id, name) name,
    EG_OP_LIST(EG_OP_NAME)
#undef EG_OP_NAME
};

bool eg_onnx_knows(eg_op_kind kind) {
    return (int)kind >= 0 && kind < EG_OP_COUNT && table[kind].emit;
}

void eg_onnx_emit(eg_onnx *b, int i) {
    const eg_node *node = &b->graph->nodes[i];
    bool flat = node->op == EG_OP_LINEAR || node->op == EG_OP_FLATTEN;
    if (!eg_onnx_knows(node->op)) {
        eg_onnx_fail(b, EG_ERR_UNSUPPORTED,
                     "%s: the operator '%s' cannot be written as ONNX yet - export as safetensors "
                     "or pth",
                     node->name, node->op < EG_OP_COUNT ? op_names[node->op] : "?");
        return;
    }
    const onnx_op *op = &table[node->op];
    for (int k = 0; k < node->n_inputs; k++) {
        bool flat_input = b->flat[node->input[k]];
        flat = flat || flat_input;
        if (flat_input && !op->flat_input)
            eg_onnx_fail(b, EG_ERR_UNSUPPORTED, "%s: the operator '%s' behind a flatten",
                         node->name, op_names[node->op]);
    }
    b->flat[i] = flat;
    if (b->status == EG_OK) op->emit(b, i, node);
}
