/* Transformers as ONNX: tokens, attention among all pixels or in (shifted) windows, and the moves of pixels around it, all
 * on (N,C,H,W) with Reshape, Transpose, Slice and Pad. What is constant is worked out here: the position embedding with the
 * class token, the relative position bias, the mask of shifted windows. No shape depends on N.
 * Read first: onnx_ops.c; op_attention.c says what attention computes, arch_swin.c why there is a canvas.           */
#include "net/onnx_graph.h"
#include <math.h>

static const char *input_of(const eg_onnx *b, const eg_node *node) {
    return b->value[node->input[0]];
}

static const char *inner(eg_onnx *b, int i, const char *what) {
    return eg_onnx_text(b, "%s/%s", b->base[i], what);
}

static EgOnnx__NodeProto *binary(eg_onnx *b, const char *op, const char *out, const char *x,
                                 const char *y) {
    return eg_onnx_add(b, op, out, (const char *[]){x, y}, 2);
}

/* ---- tokens ---- */

/* The pixels behind a column of zeros, plus the embedding (1,D,T) that has the class token in that column. */
void eg_onnx_emit_tokens(eg_onnx *b, int i, const eg_node *node) {
    size_t D = (size_t)node->C, T = (size_t)node->W;
    const float *class_token = eg_onnx_tensor_of(b, node, 0)->data,
                *positions = eg_onnx_tensor_of(b, node, 1)->data;
    float *embedding = eg_onnx_get(b, D * T * sizeof *embedding);
    if (!embedding) return;
    for (size_t c = 0; c < D; c++)
        for (size_t t = 0; t < T; t++)
            embedding[c * T + t] = positions[t * D + c] + (t == 0 ? class_token[c] : 0);
    const char *row = inner(b, i, "row"), *padded = inner(b, i, "padded"),
               *sum = inner(b, i, "sum");
    const int64_t dims[] = {1, node->C, node->W}, pads[] = {0, 0, 1, 0, 0, 0};
    eg_onnx_reshape(b, row, input_of(b, node), (const int64_t[]){0, node->C, node->W - 1}, 3);
    binary(b, "Pad", padded, row, eg_onnx_shape(b, inner(b, i, "pads"), pads, 6));
    binary(b, "Add", sum, padded, eg_onnx_floats(b, inner(b, i, "embedding"), embedding, dims, 3));
    eg_onnx_reshape(b, b->value[i], sum, (const int64_t[]){0, node->C, 1, node->W}, 4);
}

void eg_onnx_emit_token(eg_onnx *b, int i, const eg_node *node) {
    eg_onnx_slice(b, b->value[i], input_of(b, node), 3, 0, 1);
}

/* ---- attention ---- */

typedef struct {
    int64_t C, D, heads, d; /* 3D; D = heads d */
    int64_t H, W, rows, columns, down, across,
        S; /* of a window, in pixels; windows; pixels in one */
} attention_dims;

static attention_dims dims_of(const eg_node *node) {
    attention_dims a = {.C = 3 * node->C, .D = node->C, .heads = node->heads};
    a.d = a.D / a.heads;
    a.H = node->H;
    a.W = node->W;
    a.rows = node->window ? node->window : a.H;
    a.columns = node->window ? node->window : a.W;
    a.down = a.H / a.rows;
    a.across = a.W / a.columns;
    a.S = a.rows * a.columns;
    return a;
}

/* Rows and columns from `by` on first, then those before: torch.roll by -by. */
static const char *roll(eg_onnx *b, const char *x, const char *base, int64_t H, int64_t W,
                        int64_t by) {
    for (int64_t axis = 2; axis < 4; axis++) {
        int64_t length = axis == 2 ? H : W;
        const char *at = axis == 2 ? "rows" : "columns";
        const char *back = eg_onnx_text(b, "%s/%s_back", base, at),
                   *front = eg_onnx_text(b, "%s/%s_front", base, at),
                   *rolled = eg_onnx_text(b, "%s/%s", base, at);
        eg_onnx_slice(b, back, x, axis, by, length);
        eg_onnx_slice(b, front, x, axis, 0, by);
        eg_onnx_int(b, binary(b, "Concat", rolled, back, front), "axis", axis);
        x = rolled;
    }
    return x;
}

/* Relative position bias (heads, S, S): a row of the table for each pair. */
static const char *position_bias(eg_onnx *b, int i, const eg_node *node, const attention_dims *a) {
    const char *name = inner(b, i, "position_bias");
    const float *table = eg_onnx_tensor_of(b, node, 0)->data;
    float *bias = eg_onnx_get(b, (size_t)(a->heads * a->S * a->S) * sizeof *bias), *at = bias;
    if (!bias) return name;
    for (int64_t h = 0; h < a->heads; h++)
        for (int t = 0; t < (int)a->S; t++)
            for (int u = 0; u < (int)a->S; u++)
                *at++ = table[eg_attention_bias_row(node->window, t, u) * a->heads + h];
    return eg_onnx_floats(b, name, bias, (const int64_t[]){a->heads, a->S, a->S}, 3);
}

/* Which of the strips that only the shift has made neighbours; `at` counts rolled pixels. */
static int strip(int64_t at, int64_t length, int64_t window, int64_t shift) {
    return at < length - window ? 0 : at < length - shift ? 1 : 2;
}

static int region(const attention_dims *a, int64_t window, int64_t pixel, int64_t shift) {
    int64_t y = window / a->across * a->rows + pixel / a->columns,
            x = window % a->across * a->columns + pixel % a->columns;
    return 3 * strip(y, a->H, a->rows, shift) + strip(x, a->W, a->columns, shift);
}

/* (windows, 1, S, S): 0, or torchvision's -100 between pixels of different regions. */
static const char *mask(eg_onnx *b, int i, const eg_node *node, const attention_dims *a) {
    const char *name = inner(b, i, "mask");
    int64_t windows = a->down * a->across;
    float *m = eg_onnx_get(b, (size_t)(windows * a->S * a->S) * sizeof *m), *at = m;
    if (!m) return name;
    for (int64_t w = 0; w < windows; w++)
        for (int64_t t = 0; t < a->S; t++)
            for (int64_t u = 0; u < a->S; u++)
                *at++ = region(a, w, t, node->shift) == region(a, w, u, node->shift) ? 0 : -100;
    return eg_onnx_floats(b, name, m, (const int64_t[]){windows, 1, a->S, a->S}, 4);
}

/* (N,3D,H,W) -> (N windows, 3, heads, d, S) */
static const char *into_windows(eg_onnx *b, int i, const eg_node *node, const attention_dims *a) {
    const char *x = input_of(b, node), *split = inner(b, i, "qkv");
    if (node->shift) x = roll(b, x, inner(b, i, "shift"), a->H, a->W, node->shift);
    if (node->window) {
        const char *cut = inner(b, i, "cut"), *windows = inner(b, i, "windows");
        eg_onnx_reshape(b, cut, x,
                        (const int64_t[]){0, a->C, a->down, a->rows, a->across, a->columns}, 6);
        eg_onnx_transpose(b, windows, cut, (const int64_t[]){0, 2, 4, 1, 3, 5}, 6);
        x = windows;
    }
    eg_onnx_reshape(b, split, x, (const int64_t[]){-1, 3, a->heads, a->d, a->S}, 5);
    return split;
}

/* (N windows, heads, d, S) -> (N,D,H,W) */
static void out_of_windows(eg_onnx *b, int i, const char *x, const eg_node *node,
                           const attention_dims *a) {
    const int64_t image[] = {0, a->D, a->H, a->W};
    if (!node->window) {
        eg_onnx_reshape(b, b->value[i], x, image, 4);
        return;
    }
    const char *windows = inner(b, i, "windows_out"), *cut = inner(b, i, "cut_out"),
               *back = node->shift ? inner(b, i, "shifted_out") : b->value[i];
    eg_onnx_reshape(b, windows, x,
                    (const int64_t[]){-1, a->down, a->across, a->D, a->rows, a->columns}, 6);
    eg_onnx_transpose(b, cut, windows, (const int64_t[]){0, 3, 1, 4, 2, 5}, 6);
    eg_onnx_reshape(b, back, cut, image, 4);
    if (node->shift) /* on by what is missing to a whole turn */
        b->value[i] = roll(b, back, inner(b, i, "unshift"), a->H, a->W, a->H - node->shift);
}

/* Scores (N windows, heads, S, S) with bias and mask. */
static const char *biased(eg_onnx *b, int i, const char *scores, const eg_node *node,
                          const attention_dims *a) {
    if (node->tensor[0] >= 0) {
        const char *with_bias = inner(b, i, "with_bias");
        binary(b, "Add", with_bias, scores, position_bias(b, i, node, a));
        scores = with_bias;
    }
    if (node->shift) {
        const char *images = inner(b, i, "by_image"), *masked = inner(b, i, "masked"),
                   *rows = inner(b, i, "by_window");
        const int64_t windows = a->down * a->across;
        eg_onnx_reshape(b, images, scores, (const int64_t[]){-1, windows, a->heads, a->S, a->S}, 5);
        binary(b, "Add", masked, images, mask(b, i, node, a));
        eg_onnx_reshape(b, rows, masked, (const int64_t[]){-1, a->heads, a->S, a->S}, 4);
        scores = rows;
    }
    return scores;
}

/* y = v P^T with P = softmax(q^T k / sqrt(d) + bias + mask), where q, k, v are (N windows, heads, d, S). */
void eg_onnx_emit_attention(eg_onnx *b, int i, const eg_node *node) {
    static const char *const PARTS[] = {"q", "k", "v"};
    static const int64_t TURN[] = {0, 1, 3, 2};
    const attention_dims a = dims_of(node);
    const char *qkv = into_windows(b, i, node, &a), *part[3];
    for (int64_t k = 0; k < 3; k++) {
        const char *index = eg_onnx_text(b, "constant/index_%s", PARTS[k]);
        part[k] = inner(b, i, PARTS[k]);
        eg_onnx_index(b, index, k);
        eg_onnx_int(b, binary(b, "Gather", part[k], qkv, index), "axis", 1);
    }
    const char *scaled = inner(b, i, "q_scaled"), *turned = inner(b, i, "q_turned"),
               *scores = inner(b, i, "scores"), *p = inner(b, i, "p"),
               *p_turned = inner(b, i, "p_turned"), *out = inner(b, i, "out");
    const char *scale = eg_onnx_text(b, "constant/scale_%d", (int)a.d);
    binary(b, "Mul", scaled, part[0], eg_onnx_scalar(b, scale, (float)(1 / sqrt((double)a.d))));
    eg_onnx_transpose(b, turned, scaled, TURN, 4);
    binary(b, "MatMul", scores, turned, part[1]);
    scores = biased(b, i, scores, node, &a);
    eg_onnx_int(b, eg_onnx_add(b, "Softmax", p, &scores, 1), "axis", -1);
    eg_onnx_transpose(b, p_turned, p, TURN, 4);
    binary(b, "MatMul", out, part[2], p_turned);
    out_of_windows(b, i, out, node, &a);
}

/* ---- pixels around windows ---- */

/* Cut first, then zeros: each side may do either. */
void eg_onnx_emit_canvas(eg_onnx *b, int i, const eg_node *node) {
    const eg_node *from = &b->graph->nodes[node->input[0]];
    const int64_t sides[] = {from->H, from->W}, wanted[] = {node->H, node->W};
    int64_t pads[8] = {0};
    const char *x = input_of(b, node);
    for (int k = 0; k < 2; k++) {
        if (wanted[k] > sides[k]) pads[6 + k] = wanted[k] - sides[k];
        if (wanted[k] >= sides[k]) continue;
        const char *cut = inner(b, i, k ? "columns" : "rows");
        eg_onnx_slice(b, cut, x, 2 + k, 0, wanted[k]);
        x = cut;
    }
    if (pads[6] || pads[7]) {
        const char *out = inner(b, i, "padded");
        binary(b, "Pad", out, x, eg_onnx_shape(b, inner(b, i, "pads"), pads, 8));
        x = out;
    }
    b->value[i] = x;
}

/* Channel block 2 (column) + row of the square, in torchvision's order. */
void eg_onnx_emit_patch_merge(eg_onnx *b, int i, const eg_node *node) {
    const int64_t C = node->C / 4, P = node->H, Q = node->W;
    const char *split = inner(b, i, "squares"), *turned = inner(b, i, "turned");
    eg_onnx_reshape(b, split, input_of(b, node), (const int64_t[]){0, C, P, 2, Q, 2}, 6);
    eg_onnx_transpose(b, turned, split, (const int64_t[]){0, 5, 3, 1, 2, 4}, 6);
    eg_onnx_reshape(b, b->value[i], turned, (const int64_t[]){0, 4 * C, P, Q}, 4);
}
