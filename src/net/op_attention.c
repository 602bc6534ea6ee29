/* Self-attention between query, key and value and the output projection: the input (N,H,W,3D) holds q, k, v of each pixel,
 * each D = heads * d wide; y = softmax(q k^T / sqrt(d) + bias + mask) v for every head, within a window of pixels or among
 * all of them (Vaswani et al. 2017; windows, cyclic shift and relative position bias: Liu et al. 2021, Swin, as torchvision's
 * shifted_window_attention). The dense layers around it are convolutions of their own.
 * A task takes one head of some windows; the number of tasks does not depend on threads. The probabilities are not kept:
 * the backward pass makes them again, which costs less than a tenth of it and saves heads * S^2 floats a window.
 * Read first: exec.h; the products: compute/isa/kern_attention.c.                                              */
#include "net/exec.h"
#include <math.h>
#include <string.h>

enum { TASKS = 32 }; /* about; at least one a head */
static const float MASKED =
    -100.0f; /* torchvision's, added to pairs that the shift brought together */

/* S tokens a window, d floats a head; S_pad and d_pad: rounded up to whole EG_LANES */
typedef struct {
    size_t H, W, D, d, d_pad, S, S_pad;
    size_t rows, columns, across; /* of a window, in pixels; windows side by side */
    size_t windows, total;        /* of an image, of the batch */
    size_t shift, heads, parts;   /* tasks a head */
    float scale;
} attention_shape;

static size_t lanes(size_t n) {
    return (n + EG_LANES - 1) / EG_LANES * EG_LANES;
}

static attention_shape shape_of(const eg_plan *plan, const eg_step *s) {
    const eg_node *node = s->node;
    attention_shape a = {.H = (size_t)node->H,
                         .W = (size_t)node->W,
                         .D = (size_t)node->C,
                         .heads = (size_t)node->heads,
                         .shift = (size_t)node->shift};
    a.rows = node->window ? (size_t)node->window : a.H;
    a.columns = node->window ? (size_t)node->window : a.W;
    a.across = a.W / a.columns;
    a.windows = a.H / a.rows * a.across;
    a.total = a.windows * (size_t)plan->options.batch;
    a.d = a.D / a.heads;
    a.d_pad = lanes(a.d);
    a.S = a.rows * a.columns;
    a.S_pad = lanes(a.S);
    a.parts = TASKS / a.heads ? TASKS / a.heads : 1;
    if (a.parts > a.total) a.parts = a.total;
    a.scale = (float)(1 / sqrt((double)a.d));
    return a;
}

/* ---- work space: the bias (heads, S, S_pad) if there is one, then a part a task ---- */

typedef struct {
    float *q, *kt, *p, *v;                 /* forward: (S, d) (d, S) (S, S) (S, d), rows padded */
    float *k, *vt, *dout, *dp, *out, *sum; /* backward, where v is not needed; sum: of dp */
    double *table;                         /* backward: gradient of the table's column */
} task_work;

static size_t bias_floats(const attention_shape *a, const eg_node *node) {
    return node->tensor[0] < 0 ? 0 : a->heads * a->S * a->S_pad;
}

static size_t table_rows(const eg_node *node) {
    return node->tensor[0] < 0 ? 0 : (size_t)((2 * node->window - 1) * (2 * node->window - 1));
}

static size_t forward_floats(const attention_shape *a) {
    return 2 * a->S * a->d_pad + a->d * a->S_pad + a->S * a->S_pad;
}

static size_t backward_floats(const attention_shape *a, const eg_node *node) {
    size_t table = lanes(table_rows(node) * sizeof(double) / sizeof(float));
    size_t sum = table ? a->S * a->S_pad : 0;
    return 4 * a->S * a->d_pad + 2 * a->d * a->S_pad + 2 * a->S * a->S_pad + sum + table;
}

static task_work work_forward(const attention_shape *a, float *at) {
    task_work w = {.q = at};
    w.v = w.q + a->S * a->d_pad;
    w.kt = w.v + a->S * a->d_pad;
    w.p = w.kt + a->d * a->S_pad;
    return w;
}

static task_work work_backward(const attention_shape *a, const eg_node *node, float *at) {
    size_t wide = a->S * a->d_pad, turned = a->d * a->S_pad, square = a->S * a->S_pad;
    task_work w = {.q = at, .k = at + wide, .dout = at + 2 * wide, .out = at + 3 * wide};
    w.kt = w.out + wide;
    w.vt = w.kt + turned;
    w.p = w.vt + turned;
    w.dp = w.p + square;
    if (node->tensor[0] < 0) return w;
    w.sum = w.dp + square;
    w.table = (double *)(void *)(w.sum + square); /* a multiple of 64 bytes from the start */
    return w;
}

static eg_status prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    attention_shape a = shape_of(plan, s);
    size_t tasks = a.heads * a.parts, bias = bias_floats(&a, s->node);
    s->forward_bytes = (bias + tasks * forward_floats(&a)) * sizeof(float);
    s->backward_bytes = (bias + tasks * backward_floats(&a, s->node)) * sizeof(float);
    s->keep_x = true;
    return EG_OK;
}

/* ---- one window ---- */

typedef struct {
    attention_shape a;
    const eg_node *node;
    const float *x, *dy; /* (N,H,W,3D), (N,H,W,D) */
    float *y, *dx;       /* dx NULL: not wanted */
    float *bias, *work;  /* bias NULL: none */
    bool table;          /* the bias table is trained */
} attention_job;

/* Pixel of token t of window w in the image; rolled: its place after the cyclic shift, which the mask goes by. */
static size_t pixel(const attention_shape *a, size_t w, size_t t, size_t rolled[2]) {
    rolled[0] = w / a->across * a->rows + t / a->columns;
    rolled[1] = w % a->across * a->columns + t % a->columns;
    return (rolled[0] + a->shift) % a->H * a->W + (rolled[1] + a->shift) % a->W;
}

/* which of the strips that only the shift has made neighbours */
static int strip(size_t at, size_t length, size_t window, size_t shift) {
    return at + window < length ? 0 : at + shift < length ? 1 : 2;
}

/* (S, d) rows times `scale`, from `from` on in pixels of `stride` floats */
static void gather(float *out, const float *image, const attention_job *j, size_t w, size_t stride,
                   float scale) {
    size_t rolled[2];
    for (size_t t = 0; t < j->a.S; t++, out += j->a.d_pad) {
        const float *in = image + pixel(&j->a, w, t, rolled) * stride;
        for (size_t c = 0; c < j->a.d; c++) out[c] = in[c] * scale;
        memset(out + j->a.d, 0, (j->a.d_pad - j->a.d) * sizeof *out);
    }
}

/* the same turned: (d, S) */
static void gather_turned(float *out, const float *image, const attention_job *j, size_t w,
                          size_t stride) {
    size_t rolled[2];
    for (size_t t = 0; t < j->a.S_pad; t++) {
        const float *in = t < j->a.S ? image + pixel(&j->a, w, t, rolled) * stride : NULL;
        for (size_t c = 0; c < j->a.d; c++) out[c * j->a.S_pad + t] = in ? in[c] : 0;
    }
}

static void scatter(float *image, const float *in, const attention_job *j, size_t w, size_t stride,
                    float scale) {
    size_t rolled[2];
    for (size_t t = 0; t < j->a.S; t++, in += j->a.d_pad) {
        float *out = image + pixel(&j->a, w, t, rolled) * stride;
        for (size_t c = 0; c < j->a.d; c++) out[c] = in[c] * scale;
    }
}

static void add_mask(float *p, const attention_shape *a, size_t w) {
    bool bottom = w / a->across == a->H / a->rows - 1, right = w % a->across == a->across - 1;
    if (a->shift == 0 || (!bottom && !right)) return; /* the shift moved nothing into it */
    for (size_t t = 0; t < a->S; t++)
        for (size_t u = 0; u < a->S; u++) {
            size_t one[2], two[2];
            pixel(a, w, t, one);
            pixel(a, w, u, two);
            if (strip(one[0], a->H, a->rows, a->shift) != strip(two[0], a->H, a->rows, a->shift) ||
                strip(one[1], a->W, a->columns, a->shift) !=
                    strip(two[1], a->W, a->columns, a->shift))
                p[t * a->S_pad + u] += MASKED;
        }
}

/* out (S, S) = rows (S, d) times `turned` (d, S); `add`: to what is there */
static void pair_up(float *out, const float *rows, const float *turned, const attention_shape *a,
                    bool add) {
    eg_kernels_get()->small_product(out, rows, turned,
                                    &(eg_small_product){.m = (int)a->S,
                                                        .n = (int)a->S_pad,
                                                        .k = (int)a->d,
                                                        .a_row = a->d_pad,
                                                        .a_column = 1,
                                                        .b_row = a->S_pad,
                                                        .c_row = a->S_pad,
                                                        .add = add});
}

/* p = softmax(q k^T + bias + mask) of one head, q already scaled */
static void probabilities(const attention_job *j, const task_work *t, size_t head, size_t w) {
    const attention_shape *a = &j->a;
    const eg_kernels *k = eg_kernels_get();
    if (j->bias) memcpy(t->p, j->bias + head * a->S * a->S_pad, a->S * a->S_pad * sizeof(float));
    pair_up(t->p, t->q, t->kt, a, j->bias != NULL);
    add_mask(t->p, a, w);
    k->softmax_rows(t->p, a->S, (int)a->S);
}

/* out (S, d) = p v, or, turned, p^T v */
static void weigh(float *out, const float *p, const float *v, const attention_shape *a,
                  bool turned) {
    eg_kernels_get()->small_product(out, p, v,
                                    &(eg_small_product){.m = (int)a->S,
                                                        .n = (int)a->d_pad,
                                                        .k = (int)a->S,
                                                        .a_row = turned ? 1 : a->S_pad,
                                                        .a_column = turned ? a->S_pad : 1,
                                                        .b_row = a->d_pad,
                                                        .c_row = a->d_pad});
}

/* ---- the bias: a table's rows spread over pairs of tokens ---- */

static void spread_bias(void *context, int head) {
    const attention_job *j = context;
    const attention_shape *a = &j->a;
    const float *table = j->work; /* (rows, heads), borrowed for this pass */
    float *out = j->bias + (size_t)head * a->S * a->S_pad;
    for (size_t t = 0; t < a->S; t++)
        for (size_t u = 0; u < a->S_pad; u++) {
            int row = u < a->S ? eg_attention_bias_row(j->node->window, (int)t, (int)u) : -1;
            out[t * a->S_pad + u] = row < 0 ? 0 : table[(size_t)row * a->heads + (size_t)head];
        }
}

static attention_job make_job(const eg_plan *plan, const eg_step *s, int work) {
    attention_job j = {
        .a = shape_of(plan, s), .node = s->node, .x = eg_step_x(plan, s, 0), .y = NULL};
    float *at = eg_plan_at(plan, work);
    const eg_net_tensor *table = eg_step_tensor(plan, s->node, 0);
    if (table) {
        j.bias = at;
        j.work = table->data;
        eg_pool_run(spread_bias, &j, (int)j.a.heads);
        j.table = table->trainable;
    }
    j.work = at + bias_floats(&j.a, s->node);
    return j;
}

/* ---- tasks: the windows [first, last) of the batch, one head ---- */

typedef struct {
    size_t head, first, last;
} task_range;

static task_range range_of(const attention_shape *a, int task) {
    size_t part = (size_t)task % a->parts;
    return (task_range){(size_t)task / a->parts, part * a->total / a->parts,
                        (part + 1) * a->total / a->parts};
}

static void forward_task(void *context, int i) {
    const attention_job *j = context;
    const attention_shape *a = &j->a;
    task_range r = range_of(a, i);
    task_work t = work_forward(a, j->work + (size_t)i * forward_floats(a));
    for (size_t unit = r.first; unit < r.last; unit++) {
        size_t image = unit / a->windows * a->H * a->W, w = unit % a->windows;
        const float *q = j->x + image * 3 * a->D + r.head * a->d;
        gather(t.q, q, j, w, 3 * a->D, a->scale);
        gather_turned(t.kt, q + a->D, j, w, 3 * a->D);
        gather(t.v, q + 2 * a->D, j, w, 3 * a->D, 1);
        probabilities(j, &t, r.head, w);
        weigh(t.q, t.p, t.v, a, false); /* q has done its work */
        scatter(j->y + image * a->D + r.head * a->d, t.q, j, w, a->D, 1);
    }
}

static eg_status forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    attention_job j = make_job(plan, s, s->forward_work);
    j.y = eg_step_y(plan, s);
    eg_pool_run(forward_task, &j, (int)(j.a.heads * j.a.parts));
    return EG_OK;
}

/* y = P v, P = softmax(z), z = scale q k^T + bias:  dP = dy v^T, dv = P^T dy, dz by the softmax's rule,
 * dq = scale dz k, dk = dz^T (scale q); the bias is z's, summed over windows. */
static void backward_window(const attention_job *j, const task_work *t, size_t head, size_t unit) {
    const attention_shape *a = &j->a;
    const eg_kernels *k = eg_kernels_get();
    size_t image = unit / a->windows * a->H * a->W, w = unit % a->windows, wide = 3 * a->D;
    const float *q = j->x + image * wide + head * a->d;
    gather(t->q, q, j, w, wide, a->scale);
    gather_turned(t->kt, q + a->D, j, w, wide);
    gather_turned(t->vt, q + 2 * a->D, j, w, wide);
    gather(t->dout, j->dy + image * a->D + head * a->d, j, w, a->D, 1);
    probabilities(j, t, head, w);
    pair_up(t->dp, t->dout, t->vt, a, false);
    float *dq = j->dx ? j->dx + image * wide + head * a->d : NULL;
    if (dq) {
        weigh(t->out, t->p, t->dout, a, true);
        scatter(dq + 2 * a->D, t->out, j, w, wide, 1);
    }
    k->softmax_backward_rows(t->dp, t->p, a->S, (int)a->S);
    if (j->table) k->add(t->sum, t->sum, t->dp, a->S * a->S_pad);
    if (!dq) return;
    gather(t->k, q + a->D, j, w, wide, 1);
    weigh(t->out, t->dp, t->k, a, false);
    scatter(dq, t->out, j, w, wide, a->scale);
    weigh(t->out, t->dp, t->q, a, true);
    scatter(dq + a->D, t->out, j, w, wide, 1);
}

static void backward_task(void *context, int i) {
    const attention_job *j = context;
    const attention_shape *a = &j->a;
    task_range r = range_of(a, i);
    task_work t = work_backward(a, j->node, j->work + (size_t)i * backward_floats(a, j->node));
    if (j->table) memset(t.sum, 0, a->S * a->S_pad * sizeof *t.sum);
    for (size_t unit = r.first; unit < r.last; unit++) backward_window(j, &t, r.head, unit);
    if (!j->table) return;
    memset(t.table, 0, table_rows(j->node) * sizeof *t.table);
    for (size_t m = 0; m < a->S; m++)
        for (size_t n = 0; n < a->S; n++)
            t.table[eg_attention_bias_row(j->node->window, (int)m, (int)n)] +=
                (double)t.sum[m * a->S_pad + n];
}

static void sum_table(float *grad, const attention_job *j) {
    const attention_shape *a = &j->a;
    for (size_t row = 0; row < table_rows(j->node); row++)
        for (size_t head = 0; head < a->heads; head++) {
            double sum = 0;
            for (size_t part = 0; part < a->parts; part++) {
                size_t task = head * a->parts + part;
                sum += work_backward(a, j->node, j->work + task * backward_floats(a, j->node))
                           .table[row];
            }
            grad[row * a->heads + head] = (float)sum;
        }
}

static eg_status backward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    attention_job j = make_job(plan, s, s->backward_work);
    j.dy = eg_plan_at(plan, s->dy[0]);
    j.dx = eg_plan_at(plan, s->dx[0]);
    if (!j.dx && !j.table) return EG_OK;
    eg_pool_run(backward_task, &j, (int)(j.a.heads * j.a.parts));
    if (j.table) sum_table(eg_step_tensor(plan, s->node, 0)->grad, &j);
    return EG_OK;
}

const eg_op eg_op_attention = {
    .name = "attention", .prepare = prepare, .forward = forward, .backward = backward};
