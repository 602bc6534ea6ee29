/* Private to the net room: how a plan runs a graph. A plan is a list of steps (one a fused node; in prediction a
 * convolution with the batch norm folded into it, and none for dropout), each with buffers in one arena. Time runs 0 .. n-1 forward, n the
 * loss, then 2n-i for the backward pass of step i; a buffer lives from its first to its last use, and memplan.c lets
 * buffers that never live together share bytes. Read first: graph.h; read next: plan.c, ops.c.                  */
#ifndef EG_EXEC_H
#define EG_EXEC_H

#include "compute/compute.h"
#include "net/graph.h"

/* ---- memory plan (memplan.c) ---- */

typedef struct {
    size_t bytes, offset; /* offset is set by the solve; 64-byte aligned */
    int first, last;      /* times of first and last use, inclusive */
} eg_mem_buffer;
typedef struct {
    eg_mem_buffer *buffers;
    int n, capacity;
    bool failed;
} eg_memplan;
/* Returns the buffer's number, -1 when bytes is 0; on lack of memory sets `failed`. */
int eg_memplan_add(eg_memplan *m, size_t bytes, int first, int last);
/* Offsets such that buffers alive at the same time do not overlap; *total gets the arena's size. Largest first, each at
 * the lowest place that is free for its whole life (greedy by size; Pisarchyk & Lee 2020).                     */
eg_status eg_memplan_solve(eg_memplan *m, size_t *total, eg_error *err);
void eg_memplan_free(eg_memplan *m);

/* ---- steps ---- */

typedef struct eg_step eg_step;
typedef struct eg_op eg_op;
/* Prediction: what op_mbconv runs before the step's own convolution and batch norm. dw NULL: the step is no block; expand and
 * se NULL: the block has none. */
typedef struct {
    const eg_node *expand, *expand_norm, *dw, *dw_norm, *se;
    int input; /* node that the block reads */
} eg_block_parts;

/* One op's code (op_<name>.c). All hooks may rely on shapes having been checked by the graph builder. */
struct eg_op {
    const char *name;
    /* Fill the step's needs (below) and make primitives; called once, in order of steps. */
    eg_status (*prepare)(eg_plan *plan, eg_step *step, eg_error *err);
    eg_status (*forward)(eg_plan *plan, eg_step *step, eg_error *err);
    /* NULL: has no gradient (input). Gradients of the output are summed into dy[0] by the plan unless takes_two. */
    eg_status (*backward)(eg_plan *plan, eg_step *step, eg_error *err);
    /* Make the output once more, from input 0 and what was saved, into buffer y_again; NULL: cannot. */
    void (*again)(eg_plan *plan, eg_step *step);
    /* PREDICT: bring weights into their constant buffer; NULL: uses none. */
    eg_status (*refresh)(eg_plan *plan, eg_step *step, eg_error *err);
    void (*release)(eg_step *step); /* primitives; NULL: none */
};

/* readers of one value that give it gradients; Inception's blocks have five */
enum { EG_MAX_DY = 6 };
struct eg_step {
    const eg_op *op;
    const eg_node *node; /* whose value this step makes */
    const eg_node *conv; /* folded prediction: the convolution absorbed into `node`, else NULL */
    eg_block_parts block;
    int n_inputs;
    int input[EG_NODE_MAX_INPUTS]; /* step numbers */
    int index;                     /* own number */
    void *state;                   /* the op's primitives */

    eg_type type; /* of the output and its gradient; set before prepare */

    /* needs, filled by prepare */
    bool keep_x, keep_y;                  /* backward reads input 0 / the output */
    bool takes_two;                       /* backward sums two gradients itself */
    bool dx_in_place[EG_NODE_MAX_INPUTS]; /* the gradient of input k is left in dy[0]'s buffer */
    bool y_in_residual;    /* forward adds into input 1's buffer where its life allows */
    size_t saved_bytes;    /* from forward to backward */
    size_t constant_bytes; /* for the plan's life (folded weights) */
    size_t forward_bytes, backward_bytes; /* work space of one pass */

    /* set by the plan */
    bool has_backward; /* some parameter here or below needs a gradient */
    bool needs_dx[EG_NODE_MAX_INPUTS];
    int y, saved, constant, forward_work, backward_work; /* buffer numbers, -1 = none */
    int dy[EG_MAX_DY], n_dy;    /* gradient contributions, in the order they are written */
    int y_again, again_from;    /* buffer of the output made again, at that time; -1: it is kept */
    bool is_again;              /* done in this backward pass */
    int dx[EG_NODE_MAX_INPUTS]; /* where the gradient of input k goes; -1 = not wanted */
};

struct eg_plan {
    eg_plan_options options;
    eg_network *net;
    eg_step *steps;
    int n_steps;
    eg_memplan memory;
    uint8_t *arena;
    size_t arena_bytes;
    bool owns_arena, fresh; /* fresh: constants are folded */
    eg_type type;           /* of values between input and head */
    int input;              /* buffer the caller fills, float */
    int n;                  /* samples of the present forward: batch, or the tail's */
    uint64_t step_key;      /* keys dropout */
    bool going_back;        /* the backward pass runs */
    double *seconds; /* of each step, forward and backward (profile.c); NULL: nobody measures */
    int input_step, feature_step;
    int map_step;                    /* keep_map: the last step with rows and columns; -1: none */
    int logit_step;                  /* -1: features only */
    int aux_step[EG_MAX_AUX], n_aux; /* auxiliary logits; TRAIN only */
    eg_plan *tail;                   /* plan for another, smaller n on the same arena; TRAIN only */
    eg_plan *active;                 /* this, or tail: what the last forward ran on */
    eg_plan *
        part; /* PREDICT, a large batch: what runs, some samples at a time (parts.c); the arena holds `whole` */
    struct {
        float *input, *features, *logits;
    } whole;
};

/* ---- what ops use ---- */

static inline void *eg_plan_at(const eg_plan *plan, int buffer) {
    return buffer < 0 ? NULL : plan->arena + plan->memory.buffers[buffer].offset;
}
/* output and input k of a step, values of the type of the step that made them */
static inline void *eg_step_y(const eg_plan *plan, const eg_step *s) {
    return eg_plan_at(plan, s->y);
}
static inline const void *eg_step_x(const eg_plan *plan, const eg_step *s, int k) {
    const eg_step *from = &plan->steps[s->input[k]];
    return eg_plan_at(plan, plan->going_back && from->y_again >= 0 ? from->y_again : from->y);
}
/* the node that made input k: shape of the input */
static inline const eg_node *eg_step_from(const eg_plan *plan, const eg_step *s, int k) {
    return plan->steps[s->input[k]].node;
}
static inline eg_net_tensor *eg_step_tensor(const eg_plan *plan, const eg_node *node, int k) {
    return node->tensor[k] < 0 ? NULL : &plan->net->graph.tensors[node->tensor[k]];
}
static inline size_t eg_step_rows(const eg_plan *plan, const eg_node *node) {
    return (size_t)plan->options.batch * (size_t)node->H * (size_t)node->W;
}
static inline size_t eg_step_count(const eg_plan *plan, const eg_node *node) {
    return eg_step_rows(plan, node) * (size_t)node->C;
}
/* bytes of the step's output */
static inline size_t eg_step_bytes(const eg_plan *plan, const eg_step *s) {
    return eg_step_count(plan, s->node) * eg_type_bytes(s->type);
}
/* values of one sample of the node's output */
static inline size_t eg_node_size(const eg_node *node) {
    return (size_t)node->H * (size_t)node->W * (size_t)node->C;
}
static inline bool eg_node_is_conv(const eg_node *node) {
    return node->op == EG_OP_CONV || node->op == EG_OP_DWCONV;
}
/* a matrix product on the rows as they lie */
static inline bool eg_node_is_pointwise(const eg_node *conv) {
    return conv->op == EG_OP_CONV && conv->kernel == 1 && conv->kernel_w == 1 &&
           conv->stride == 1 && conv->groups == 1 && conv->pad_before == 0 && conv->pad_left == 0;
}
static inline size_t eg_align64(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* Parallel spans: fn(context, begin, end) over [0, n) in a fixed number of pieces of whole multiples of `grain`. */
typedef void (*eg_span_fn)(void *context, size_t begin, size_t end);
void eg_span_run(eg_span_fn fn, void *context, size_t n, size_t grain);

/* Make the steps of a plan from its options and the fused graph (steps.c). */
eg_status eg_plan_steps_make(eg_plan *plan, eg_error *err);
/* A batch in parts (parts.c): samples a part of a plan whose steps are made; bytes of what the whole keeps, and its places in
 * the arena; how many parts n samples are; the forward pass. All but the first need plan->part. */
int eg_plan_part_size(const eg_plan *plan);
size_t eg_plan_parts_bytes(const eg_plan *plan);
void eg_plan_parts_place(eg_plan *plan);
int eg_plan_parts_count(const eg_plan *plan, int n);
eg_status eg_plan_parts_forward(eg_plan *plan, int n, uint64_t step, eg_error *err);
/* TRAIN: which outputs are made again in the backward pass (recompute.c), before buffers are planned, and the making: of
 * all that the backward pass of step s reads. Times are those of the memory plan. */
void eg_plan_recompute_choose(eg_plan *plan);
void eg_plan_recompute_run(eg_plan *plan, eg_step *s);
/* The backward pass of the steps behind `last`, whose output gradients then lie in its dy buffers; -1: of all. The loss has
 * written the gradients of the logits. */
eg_status eg_plan_backward_until(eg_plan *plan, int last, eg_error *err);
/* Step of the last feature map (saliency.c). */
int eg_plan_map_find(const eg_plan *plan);
static inline int eg_plan_backward_time(const eg_plan *plan, int i) {
    return 2 * plan->n_steps - i;
}
/* Weights (K, ...) and bias (K) of `conv` with the batch norm behind it folded in; norm NULL: as they are (op_folded.c). */
void eg_conv_fold(float *w, float *b, const eg_plan *plan, const eg_node *conv,
                  const eg_node *norm);

/* Which op runs a node (ops.c), and the one for a folded convolution. */
const eg_op *eg_op_of(eg_op_kind kind);
/* The type of the op's output when its inputs are of `type`; false: it has no code for them (ops.c). */
bool eg_op_type(eg_type *out, eg_op_kind kind, eg_type type);
/* `prepare` of ops that keep nothing and work in no space of their own. */
eg_status eg_op_no_needs(eg_plan *plan, eg_step *step, eg_error *err);
extern const eg_op eg_op_input, eg_op_conv, eg_op_dwconv, eg_op_bn, eg_op_act, eg_op_add,
    eg_op_drop_path, eg_op_se, eg_op_max_pool, eg_op_avg_pool, eg_op_adaptive_pool, eg_op_mean_pool,
    eg_op_concat, eg_op_slice, eg_op_shuffle, eg_op_layer_norm, eg_op_layer_scale, eg_op_tokens,
    eg_op_token, eg_op_attention, eg_op_canvas, eg_op_patch_merge, eg_op_flatten, eg_op_dropout,
    eg_op_linear, eg_op_folded, eg_op_mbconv;

/* Sums over `rows` pixels, n of them at a time (channel_sums.c): fn writes the n sums of rows [begin, end). Returns n
 * doubles in `work`, which has eg_channel_sums_bytes(n); the same bits for any number of threads. */
typedef void (*eg_rows_fn)(void *context, float *sums, size_t begin, size_t end);
size_t eg_channel_sums_bytes(size_t n);
const double *eg_channel_sums_run(eg_rows_fn fn, void *context, size_t rows, size_t n, void *work);
void eg_channel_sums_store(float *out, const double *sums, size_t n);

/* Shape of a conv node's primitive for the plan's batch. */
eg_conv_shape eg_conv_shape_of(const eg_plan *plan, const eg_node *node, const eg_node *from);
/* What the kernels must know of a depthwise or pooling node on a sample of the size of `from`. */
static inline eg_dw_shape eg_window_shape(const eg_node *node, const eg_node *from) {
    return (eg_dw_shape){.H = from->H,
                         .W = from->W,
                         .C = node->C,
                         .P = node->H,
                         .Q = node->W,
                         .R = node->kernel,
                         .stride = node->stride,
                         .pad = node->pad_before};
}
/* Depthwise forward of all samples of the plan, `node` on the output of `from`: y = act(conv + bias), w (R*R, C), bias NULL
 * = 0 (op_dwconv.c; also the folded one). */
void eg_dwconv_run(const eg_plan *plan, const eg_node *node, const eg_node *from, void *y,
                   const void *x, const float *w, const float *bias, int act, eg_type type);
/* The same for its input gradient. */
void eg_dwconv_data_run(const eg_plan *plan, const eg_node *node, const eg_node *from, void *dx,
                        const void *dy, const float *w, eg_type type);
/* 1x1 convolution of all rows on all threads (pointwise.c), the same bits for any number; where eg_pointwise_serves says so it is
 * at least as fast as eg_conv. */
bool eg_pointwise_serves(const eg_node *conv, int act, eg_type type);
void eg_pointwise_pack(void *packed, const float *weights, int C, int K, eg_type type);
void eg_pointwise_run(void *y, const void *x, const void *packed, const eg_pointwise *p,
                      eg_type type);
/* PyTorch's depthwise weights (C, 1, R, R) to the kernels' (R*R, C). */
void eg_dwconv_pack(float *packed, const float *weights, int C, int taps);
/* Per-sample drop-path factors (0 or 1 / (1 - rate)) of this forward; the step's number keys the stream. */
void eg_drop_path_factors(float *factor, const eg_plan *plan, const eg_step *s, int n);

/* Softmax cross-entropy with class weights and smoothing (loss.c): gradient of the mean into dlogits (n, K). */
void eg_loss_softmax(eg_loss_result *out, float *dlogits, const float *logits,
                     const int32_t *labels, size_t n, int K, const eg_loss_options *o);

#endif
