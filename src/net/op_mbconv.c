/* Prediction: an inverted residual block (Sandler et al. 2018; with squeeze-excite: Tan & Le 2019) as one step,
 *     expand 1x1 -> depthwise -> [squeeze-excite] -> project 1x1 [+ residual],
 * all with their batch norms folded. A thread takes a sample from end to end: the expanded values, by far the largest of
 * the network, exist for a few rows at a time in its L2 cache and never reach memory. steps.c says which blocks run
 * here. Kernels: kern_pointwise.c, kern_depthwise.c. Read first: exec.h, op_folded.c.                             */
#include "net/shards.h"
#include <stdatomic.h>
#include <string.h>

/* of a tile of expanded rows; the rest of a core's L2 (512 KiB and more) is for weights and depthwise output */
enum { TILE_BYTES = 256 << 10 };

/* Everything a thread needs; offsets count bytes from the start of constants, or of the thread's own work space. */
typedef struct {
    size_t expand, expand_bias, dw, dw_bias, project, project_bias; /* constants */
    size_t fc1, fc2;                                                /* constants: squeeze-excite */
    size_t tile, u, z, a, gate, slot_bytes;                         /* work space */
    int tile_rows, tile_inputs; /* depthwise output rows a tile, and input rows they read */
    int slots;                  /* work spaces: as many threads as can be at work */
    eg_dw_shape dw_shape;
    int C0; /* channels of the block's input */
} mbconv_state;

static size_t take(size_t *at, size_t bytes) {
    size_t here = *at;
    *at += eg_align64(bytes);
    return here;
}

static size_t floats(int n) {
    return (size_t)n * sizeof(float);
}

/* returns their bytes */
static size_t lay_out_constants(mbconv_state *m, const eg_step *s) {
    const eg_block_parts *b = &s->block;
    size_t at = 0;
    int C = b->dw->C, K = s->conv->C;
    if (b->expand) {
        m->expand = take(&at, eg_pointwise_packed_bytes(m->C0, C));
        m->expand_bias = take(&at, floats(C));
    }
    m->dw = take(&at, floats(C * b->dw->kernel * b->dw->kernel));
    m->dw_bias = take(&at, floats(C));
    m->project = take(&at, eg_pointwise_packed_bytes(C, K));
    m->project_bias = take(&at, floats(K));
    if (b->se) {
        m->fc1 = take(&at, eg_pointwise_packed_bytes(C, b->se->squeeze));
        m->fc2 = take(&at, eg_pointwise_packed_bytes(b->se->squeeze, C));
    }
    return at;
}

/* As many depthwise rows as the expanded rows they read fit a tile; all of them where nothing is expanded. */
static void choose_tile(mbconv_state *m, const eg_step *s, size_t value) {
    const eg_dw_shape *d = &m->dw_shape;
    size_t row = (size_t)d->W * (size_t)d->C * value;
    int fit = (int)(TILE_BYTES / row);
    int rows = (fit - d->R) / d->stride + 1;
    if (rows < 1 || fit < d->R) rows = 1;
    /* an even number: the kernel makes two rows at a time */
    if (rows > 1) rows -= rows % 2;
    if (!s->block.expand && s->block.se) rows = d->P;
    m->tile_rows = rows < d->P ? rows : d->P;
    m->tile_inputs = (m->tile_rows - 1) * d->stride + d->R;
    if (m->tile_inputs > d->H) m->tile_inputs = d->H;
}

static void lay_out_work(mbconv_state *m, const eg_step *s, size_t value) {
    const eg_dw_shape *d = &m->dw_shape;
    size_t at = 0, C = (size_t)d->C;
    if (s->block.expand) m->tile = take(&at, (size_t)m->tile_inputs * (size_t)d->W * C * value);
    /* the gate needs all pixels before the first is projected */
    m->u = take(&at, (size_t)(s->block.se ? d->P : m->tile_rows) * (size_t)d->Q * C * value);
    if (s->block.se) {
        m->z = take(&at, 2 * floats(d->C)); /* a tile's sum, then the sample's */
        m->a = take(&at, floats(s->block.se->squeeze));
        m->gate = take(&at, floats(d->C));
    }
    m->slot_bytes = at;
}

static eg_status prepare(eg_plan *plan, eg_step *s, eg_error *err) {
    mbconv_state *m = s->state = eg_calloc(1, sizeof *m);
    if (!m) return eg_fail(err, EG_ERR_NO_MEMORY, "plan: out of memory");
    const eg_node *in = eg_step_from(plan, s, 0);
    size_t value = eg_type_bytes(s->type);
    m->C0 = in->C;
    m->dw_shape = eg_window_shape(s->block.dw, in);
    /* deterministic: memory must not depend on threads either, for --max-memory picks the batch by it */
    int threads = plan->options.deterministic ? EG_SHARDS : eg_pool_threads();
    m->slots = threads < plan->options.batch ? threads : plan->options.batch;
    s->constant_bytes = lay_out_constants(m, s);
    choose_tile(m, s, value);
    lay_out_work(m, s, value);
    s->forward_bytes = (size_t)m->slots * m->slot_bytes;
    return EG_OK;
}

/* ---- weights ---- */

static void *constant(const eg_plan *plan, const eg_step *s, size_t offset) {
    return (uint8_t *)eg_plan_at(plan, s->constant) + offset;
}

static void pack_dense(const eg_plan *plan, const eg_node *se, int which, void *packed) {
    int C = which == 0 ? se->C : se->squeeze, K = which == 0 ? se->squeeze : se->C;
    eg_pointwise_pack(packed, eg_step_tensor(plan, se, 2 * which)->data, C, K, EG_TYPE_F32);
}

static eg_status refresh(eg_plan *plan, eg_step *s, eg_error *err) {
    const mbconv_state *m = s->state;
    const eg_block_parts *b = &s->block;
    size_t count = eg_step_tensor(plan, s->conv, 0)->count;
    if (eg_step_tensor(plan, b->dw, 0)->count > count)
        count = eg_step_tensor(plan, b->dw, 0)->count;
    if (b->expand && eg_step_tensor(plan, b->expand, 0)->count > count)
        count = eg_step_tensor(plan, b->expand, 0)->count;
    /* once a change of weights, not a step: this may come from the heap */
    float *w = eg_malloc(count * sizeof *w);
    if (!w) return eg_fail(err, EG_ERR_NO_MEMORY, "folding '%s': out of memory", s->conv->name);
    if (b->expand) {
        eg_conv_fold(w, constant(plan, s, m->expand_bias), plan, b->expand, b->expand_norm);
        eg_pointwise_pack(constant(plan, s, m->expand), w, m->C0, b->dw->C, s->type);
    }
    eg_conv_fold(w, constant(plan, s, m->dw_bias), plan, b->dw, b->dw_norm);
    eg_dwconv_pack(constant(plan, s, m->dw), w, b->dw->C, b->dw->kernel * b->dw->kernel);
    eg_conv_fold(w, constant(plan, s, m->project_bias), plan, s->conv, s->node);
    eg_pointwise_pack(constant(plan, s, m->project), w, b->dw->C, s->node->C, s->type);
    if (b->se) {
        pack_dense(plan, b->se, 0, constant(plan, s, m->fc1));
        pack_dense(plan, b->se, 1, constant(plan, s, m->fc2));
    }
    eg_free(w);
    return EG_OK;
}

/* ---- one sample ---- */

typedef struct {
    const eg_plan *plan;
    const eg_step *step;
    const mbconv_state *m;
    const eg_kernels *k, *kf; /* of the values' type, and of float */
    eg_type type;
    _Atomic int next; /* sample that nobody has taken yet */
} mbconv_job;

/* what a thread has under its hands */
typedef struct {
    const void *x, *residual; /* of the sample; residual NULL: none */
    void *y;
    uint8_t *work;
    int begin, end; /* expanded rows that the tile holds */
} sample;

/* Bring the expanded rows [begin, end) into the tile; those of the last tile that are wanted again move up. */
static void expand_rows(const mbconv_job *j, sample *at, int begin, int end) {
    const mbconv_state *m = j->m;
    const eg_dw_shape *d = &m->dw_shape;
    uint8_t *tile = at->work + m->tile;
    size_t row = (size_t)d->W * (size_t)d->C * eg_type_bytes(j->type);
    if (begin < at->end)
        memmove(tile, tile + (size_t)(begin - at->begin) * row, (size_t)(at->end - begin) * row);
    int from = begin < at->end ? at->end : begin;
    const eg_pointwise p = {.rows = (size_t)(end - from) * (size_t)d->W,
                            .C = m->C0,
                            .K = d->C,
                            .act = (int)j->step->block.expand_norm->act,
                            .bias = constant(j->plan, j->step, m->expand_bias)};
    size_t x = (size_t)from * (size_t)d->W * (size_t)m->C0;
    j->k->pointwise(tile + (size_t)(from - begin) * row, eg_value_at(at->x, x, j->type),
                    constant(j->plan, j->step, m->expand), &p);
    at->begin = begin;
    at->end = end;
}

/* depthwise rows [p0, p1), written so that row p0 lies at `u` */
static void depthwise_rows(const mbconv_job *j, sample *at, void *u, int p0, int p1) {
    const mbconv_state *m = j->m;
    eg_dw_shape d = m->dw_shape;
    const void *x = at->x;
    if (j->step->block.expand) {
        int begin = p0 * d.stride - d.pad, end = (p1 - 1) * d.stride - d.pad + d.R;
        if (begin < 0) begin = 0;
        if (end > d.H) end = d.H;
        if (end < begin) end = begin; /* all padding */
        expand_rows(j, at, begin, end);
        d.x_row0 = begin;
        x = at->work + m->tile;
    }
    d.y_row0 = p0;
    j->k->dw_forward(u, x, constant(j->plan, j->step, m->dw),
                     constant(j->plan, j->step, m->dw_bias), (int)j->step->block.dw_norm->act, &d,
                     p0, p1);
}

/* rows [p0, p1) of the block's output from the depthwise rows at `u` */
static void project_rows(const mbconv_job *j, const sample *at, const void *u, int p0, int p1) {
    const mbconv_state *m = j->m;
    const eg_dw_shape *d = &m->dw_shape;
    size_t K = (size_t)j->step->node->C, first = (size_t)p0 * (size_t)d->Q * K;
    const eg_pointwise p = {.rows = (size_t)(p1 - p0) * (size_t)d->Q,
                            .C = d->C,
                            .K = (int)K,
                            .act = (int)j->step->node->act,
                            .bias = constant(j->plan, j->step, m->project_bias),
                            .residual =
                                at->residual ? eg_value_at(at->residual, first, j->type) : NULL};
    j->k->pointwise(eg_value_to(at->y, first, j->type), u, constant(j->plan, j->step, m->project),
                    &p);
}

/* the mean over all pixels (already summed in z) through both layers */
static void make_gate(const mbconv_job *j, const sample *at) {
    const mbconv_state *m = j->m;
    const eg_node *se = j->step->block.se;
    float *z = (float *)(void *)(at->work + m->z), *a = (float *)(void *)(at->work + m->a);
    float pixels = (float)(m->dw_shape.P * m->dw_shape.Q);
    for (int c = 0; c < se->C; c++) z[c] /= pixels;
    eg_pointwise p = {.rows = 1,
                      .C = se->C,
                      .K = se->squeeze,
                      .act = (int)se->act,
                      .bias = eg_step_tensor(j->plan, se, 1)->data};
    j->kf->pointwise(a, z, constant(j->plan, j->step, m->fc1), &p);
    p = (eg_pointwise){.rows = 1,
                       .C = se->squeeze,
                       .K = se->C,
                       .act = (int)se->gate,
                       .bias = eg_step_tensor(j->plan, se, 3)->data};
    j->kf->pointwise(at->work + m->gate, a, constant(j->plan, j->step, m->fc2), &p);
}

/* adds the sum over the pixels of rows [p0, p1) to z */
static void squeeze_rows(const mbconv_job *j, const sample *at, const void *u, int p0, int p1) {
    const mbconv_state *m = j->m;
    int C = m->dw_shape.C;
    float *z = (float *)(void *)(at->work + m->z), *part = z + C;
    j->k->sum_rows(p0 == 0 ? z : part, u, (size_t)(p1 - p0) * (size_t)m->dw_shape.Q, C);
    if (p0 > 0) j->kf->add(z, z, part, (size_t)C);
}

static void run_sample(const mbconv_job *j, sample *at) {
    const mbconv_state *m = j->m;
    const eg_dw_shape *d = &m->dw_shape;
    size_t row = (size_t)d->Q * (size_t)d->C * eg_type_bytes(j->type);
    bool gated = j->step->block.se != NULL;
    uint8_t *u = at->work + m->u;
    for (int p = 0; p < d->P; p += m->tile_rows) {
        int end = p + m->tile_rows < d->P ? p + m->tile_rows : d->P;
        uint8_t *to = gated ? u + (size_t)p * row : u;
        depthwise_rows(j, at, to, p, end);
        if (gated)
            squeeze_rows(j, at, to, p, end);
        else
            project_rows(j, at, to, p, end);
    }
    if (!gated) return;
    make_gate(j, at);
    for (int p = 0; p < d->P; p += m->tile_rows) {
        int end = p + m->tile_rows < d->P ? p + m->tile_rows : d->P;
        j->k->scale_rows(u + (size_t)p * row, u + (size_t)p * row, (size_t)(end - p) * (size_t)d->Q,
                         d->C, (const float *)(const void *)(at->work + m->gate));
        project_rows(j, at, u + (size_t)p * row, p, end);
    }
}

/* a thread: samples until none is left; who takes which changes no bit */
static void run_samples(void *context, int slot) {
    mbconv_job *j = context;
    const eg_step *s = j->step;
    size_t in = (size_t)j->m->dw_shape.H * (size_t)j->m->dw_shape.W * (size_t)j->m->C0,
           out = eg_node_size(s->node);
    for (;;) {
        int n = atomic_fetch_add(&j->next, 1);
        if (n >= j->plan->options.batch) return;
        sample at = {.x = eg_value_at(eg_step_x(j->plan, s, 0), (size_t)n * in, j->type),
                     .y = eg_value_to(eg_step_y(j->plan, s), (size_t)n * out, j->type),
                     .work = (uint8_t *)eg_plan_at(j->plan, s->forward_work) +
                             (size_t)slot * j->m->slot_bytes};
        if (s->n_inputs == 2)
            at.residual = eg_value_at(eg_step_x(j->plan, s, 1), (size_t)n * out, j->type);
        run_sample(j, &at);
    }
}

static eg_status forward(eg_plan *plan, eg_step *s, eg_error *err) {
    (void)err;
    const mbconv_state *m = s->state;
    mbconv_job j = {.plan = plan,
                    .step = s,
                    .m = m,
                    .k = eg_kernels_for(s->type),
                    .kf = eg_kernels_get(),
                    .type = s->type};
    eg_pool_run(run_samples, &j, m->slots);
    return EG_OK;
}

static void release(eg_step *s) {
    eg_free(s->state);
}

const eg_op eg_op_mbconv = {.name = "mbconv",
                            .prepare = prepare,
                            .forward = forward,
                            .refresh = refresh,
                            .release = release};
