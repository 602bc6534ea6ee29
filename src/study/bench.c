/* eg_bench: where the time of a step goes, layer by layer, held against what this machine can do. One training step (SGD
 * with momentum) or prediction batch on random numbers, repeated, the median of every part. The clock is the net room's
 * (eg_plan_profile); here are the repeats, the shares and the document. Whole networks side by side: models --measure.
 *
 * Share of the peak (roofline; Williams, Waterman & Patterson 2009): the time that products at the measured multiply-add
 * rate, or the least traffic at the measured memory rate, would take, the longer of the two, over the time taken. Values
 * that still lie in a cache come faster than memory gives them: such a share may be above 1.
 *
 * With --deterministic the profile is that mode's, and a step of the default mode is timed after each of its steps: what
 * else the machine does meanwhile slows both, and the ratio of the medians is the mode's cost.                      */
#include "study/memory_limit.h"
#include "study/stepper.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    eg_stepper s;
    size_t n, repeats;  /* steps of the plan */
    eg_step_cost *rows; /* (n): of the last repeat, then with the medians */
    double *seconds;    /* (n, 2, repeats) */
    double *parts;      /* (PARTS, repeats) */
    eg_peak peak;
    double total, optimizer, forward, backward; /* medians, seconds a step */
    size_t peak_bytes;                          /* of the process, before there is a plain plan */
    /* --deterministic: the same step in default mode */
    bool compares, recomputes; /* recomputes: for --max-memory */
    eg_plan *plain;
    double *plain_seconds; /* (repeats) */
    double plain_total;    /* median */
} bench;
/* of eg_net_peak */
#define PEAK_BYTES ((size_t)192 << 20)
enum { WHOLE, OPTIMIZER, FORWARD, BACKWARD, PARTS };

/* ---- measuring ---- */

static eg_plan_options plan_options(const bench *b, bool train, bool deterministic) {
    return (eg_plan_options){.mode = train ? EG_PLAN_TRAIN : EG_PLAN_PREDICT,
                             .bf16 = b->s.bf16,
                             .batch = b->s.batch,
                             .stochastic = true,
                             .dropout = -1,
                             .recompute = b->recomputes ? EG_RECOMPUTE_ALL : EG_RECOMPUTE_CHEAP,
                             .deterministic = deterministic};
}

/* --max-memory. Two plans with --deterministic, and what measuring the machine's limits takes meanwhile. */
static eg_status limit_batch(bench *b, bool train, const eg_options *o, const eg_events *ev,
                             eg_error *err) {
    size_t limit = (size_t)o->max_memory, plain = 0;
    eg_memory_fit fit;
    eg_memory_case c = {.net = b->s.net,
                        .plan = plan_options(b, train, o->deterministic),
                        .kept_bytes = PEAK_BYTES,
                        .n_trained = train ? eg_network_parameters(b->s.net, true) : 0,
                        .n_moments = 1};
    if (limit == 0) return EG_OK;
    if (o->deterministic) {
        eg_plan_options other = plan_options(b, train, false);
        EG_TRY(eg_plan_need(&plain, b->s.net, &other, err));
        c.kept_bytes += plain; /* at the batch that was asked for: more than enough */
    }
    EG_TRY(eg_study_memory_fit(&fit, &c, limit, err));
    if (fit.batch != b->s.batch)
        eg_study_note(ev, "--max-memory: measured with batches of %d, not %d", fit.batch,
                      b->s.batch);
    b->s.batch = fit.batch;
    b->recomputes = fit.recomputes;
    return EG_OK;
}

static eg_status open_bench(bench *b, const char *model, const eg_options *o, const eg_events *ev,
                            eg_error *err) {
    bool train = strcmp(o->bench_mode, "train") == 0;
    eg_dtype_choice dtype;
    EG_TRY(eg_study_stepper_open(&b->s, model, 2, (int)o->img_size, (int)o->batch_size, err));
    EG_TRY(eg_study_dtype_choose(&dtype, o->dtype, b->s.net, train, err));
    if (dtype.note[0]) eg_study_note(ev, "%s", dtype.note);
    b->s.bf16 = dtype.bf16;
    EG_TRY(limit_batch(b, train, o, ev, err));
    eg_plan_options plan = plan_options(b, train, o->deterministic);
    eg_opt_options sgd = {.kind = EG_OPT_SGD, .momentum = 0.9};
    EG_TRY(eg_plan_new(&b->s.plan, b->s.net, &plan, err));
    if (train) EG_TRY(eg_optimizer_for(&b->s.opt, b->s.net, &sgd, err));
    eg_study_stepper_fill(&b->s);
    b->n = eg_plan_step_count(b->s.plan);
    b->repeats = (size_t)o->repeats;
    b->rows = eg_calloc(b->n, sizeof *b->rows);
    b->seconds = eg_calloc(2 * b->n * b->repeats, sizeof *b->seconds);
    b->parts = eg_calloc(PARTS * b->repeats, sizeof *b->parts);
    b->plain_seconds = eg_calloc(b->repeats, sizeof *b->plain_seconds);
    b->compares = o->deterministic;
    if (!b->rows || !b->seconds || !b->parts || !b->plain_seconds)
        return eg_fail(err, EG_ERR_NO_MEMORY, "bench: out of memory");
    return EG_OK;
}

/* One step; its times become repeat `r`, or are forgotten (r < 0: warming up). */
static eg_status once(bench *b, int r, eg_error *err) {
    double start = eg_time_now(), forward = 0, backward = 0;
    EG_TRY(eg_plan_profile(b->rows, b->s.plan, b->s.labels, b->s.step++, err));
    double before = eg_time_now();
    if (b->s.opt) eg_optimizer_step(b->s.opt, 1e-6, 1.0);
    double end = eg_time_now();
    if (r < 0) return EG_OK;
    for (size_t i = 0; i < b->n; i++) {
        b->seconds[(2 * i) * b->repeats + (size_t)r] = b->rows[i].forward.seconds;
        b->seconds[(2 * i + 1) * b->repeats + (size_t)r] = b->rows[i].backward.seconds;
        forward += b->rows[i].forward.seconds;
        backward += b->rows[i].backward.seconds;
    }
    const double parts[PARTS] = {end - start, end - before, forward, backward};
    for (size_t k = 0; k < PARTS; k++) b->parts[k * b->repeats + (size_t)r] = parts[k];
    return EG_OK;
}

/* The same step in default mode. It runs on numbers of its own plan; weights and moments are shared, which is fine for
 * timing. `rows` is only lent: the medians come from b->seconds. */
static eg_status once_plain(bench *b, int r, eg_error *err) {
    if (!b->plain) {
        eg_plan_options plan = plan_options(b, b->s.opt != NULL, false);
        EG_TRY(eg_plan_new(&b->plain, b->s.net, &plan, err));
        eg_stepper other = b->s;
        other.plan = b->plain;
        eg_study_stepper_fill(&other);
    }
    double start = eg_time_now();
    EG_TRY(eg_plan_profile(b->rows, b->plain, b->s.labels, b->s.step++, err));
    if (b->s.opt) eg_optimizer_step(b->s.opt, 1e-6, 1.0);
    if (r >= 0) b->plain_seconds[r] = eg_time_now() - start;
    return EG_OK;
}

static eg_status measure(bench *b, const eg_events *ev, eg_error *err) {
    eg_study_note(ev, "measuring this machine's limits");
    EG_TRY(eg_net_peak(&b->peak, b->s.bf16, err));
    for (int r = -1; r < (int)b->repeats; r++) {
        if (eg_study_stopped(ev)) return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted");
        EG_TRY(once(b, r, err));
        if (r < 0) b->peak_bytes = eg_process_peak_bytes();
        if (b->compares) EG_TRY(once_plain(b, r, err));
    }
    for (size_t i = 0; i < b->n; i++) {
        double *times = b->seconds + 2 * i * b->repeats;
        b->rows[i].forward.seconds = eg_study_median(times, b->repeats);
        b->rows[i].backward.seconds = eg_study_median(times + b->repeats, b->repeats);
    }
    b->total = eg_study_median(b->parts + WHOLE * b->repeats, b->repeats);
    b->optimizer = eg_study_median(b->parts + OPTIMIZER * b->repeats, b->repeats);
    b->forward = eg_study_median(b->parts + FORWARD * b->repeats, b->repeats);
    b->backward = eg_study_median(b->parts + BACKWARD * b->repeats, b->repeats);
    if (b->compares) b->plain_total = eg_study_median(b->plain_seconds, b->repeats);
    return EG_OK;
}

/* ---- the document ---- */

static double bound(const bench *b, const eg_pass_cost *c) {
    return fmax(c->flops / b->peak.flops, c->bytes / b->peak.bytes);
}

/* Division that leaves "not known" where nothing was timed: NaN becomes null. */
static double per(double amount, double seconds) {
    return seconds > 0 ? amount / seconds : NAN;
}

/* `least`: the seconds that the peaks allow. NULL: no memory, or no such pass. */
static json_t *pass_json(const eg_pass_cost *c, double least) {
    if (c->bytes <= 0) return json_null();
    return json_pack("{s:f, s:f, s:f, s:o, s:o, s:o}", "seconds", c->seconds, "flops", c->flops,
                     "bytes", c->bytes, "gflops", eg_json_real(per(1e-9 * c->flops, c->seconds)),
                     "gbytes_per_second", eg_json_real(per(1e-9 * c->bytes, c->seconds)),
                     "share_of_peak", eg_json_real(per(least, c->seconds)));
}

static double cost(const eg_step_cost *row) {
    return row->forward.seconds + row->backward.seconds;
}

static json_t *step_json(const bench *b, const eg_step_cost *r) {
    return json_pack("{s:s, s:s, s:i, s:[i,i,i], s:[i,i,i], s:i, s:i, s:f, s:f, s:o, s:o}", "name",
                     r->name, "op", r->op, "index", (int)(r - b->rows), "input", r->input[0],
                     r->input[1], r->input[2], "output", r->output[0], r->output[1], r->output[2],
                     "kernel", r->kernel, "stride", r->stride, "seconds", cost(r), "share",
                     cost(r) / b->total, "forward", pass_json(&r->forward, bound(b, &r->forward)),
                     "backward", pass_json(&r->backward, bound(b, &r->backward)));
}

static int by_cost(const void *a, const void *b) {
    const eg_step_cost *x = *(const eg_step_cost *const *)a, *y = *(const eg_step_cost *const *)b;
    if (cost(x) != cost(y)) return cost(x) < cost(y) ? 1 : -1;
    return x < y ? -1 : x > y; /* in order of the graph */
}

static json_t *steps_json(const bench *b, const eg_step_cost *const *order) {
    json_t *list = json_array();
    for (size_t i = 0; i < b->n; i++)
        if (order[i]->forward.bytes > 0 && json_array_append_new(list, step_json(b, order[i])) != 0)
            return json_decref(list), NULL;
    return list;
}

/* The steps of one op as one row. *least: seconds that the peaks allow them. */
static void sum_kind(eg_pass_cost *sum, double *least, int *n, const bench *b, const char *op) {
    for (size_t i = 0; i < b->n; i++) {
        const eg_step_cost *r = &b->rows[i];
        if (strcmp(r->op, op) != 0) continue;
        sum->seconds += cost(r);
        sum->flops += r->forward.flops + r->backward.flops;
        sum->bytes += r->forward.bytes + r->backward.bytes;
        *least += bound(b, &r->forward) + bound(b, &r->backward);
        *n += 1;
    }
}

/* Ops in the order of their costliest step. */
static json_t *kinds_json(const bench *b, const eg_step_cost *const *order) {
    json_t *list = json_array();
    for (size_t i = 0; i < b->n; i++) {
        const char *op = order[i]->op;
        bool seen = order[i]->forward.bytes <= 0;
        for (size_t k = 0; k < i && !seen; k++) seen = strcmp(order[k]->op, op) == 0;
        if (seen) continue;
        eg_pass_cost sum = {0};
        double least = 0;
        int n = 0;
        sum_kind(&sum, &least, &n, b, op);
        json_t *row = pass_json(&sum, least);
        if (json_object_set_new(row, "op", json_string(op)) != 0 ||
            json_object_set_new(row, "steps", json_integer(n)) != 0 ||
            json_object_set_new(row, "share", json_real(sum.seconds / b->total)) != 0 ||
            json_array_append_new(list, row) != 0)
            return json_decref(list), NULL;
    }
    return list;
}

/* What --deterministic costs; null without it. */
static json_t *deterministic_json(const bench *b) {
    if (!b->compares) return json_null();
    return json_pack("{s:f, s:f, s:I}", "default_seconds", b->plain_total, "cost",
                     b->total / b->plain_total, "default_arena_bytes",
                     (json_int_t)eg_plan_arena_bytes(b->plain));
}

static json_t *document(const bench *b, const eg_options *o, const eg_step_cost *const *order) {
    double flops = 0, least = 0;
    for (size_t i = 0; i < b->n; i++) {
        flops += b->rows[i].forward.flops + b->rows[i].backward.flops;
        least += bound(b, &b->rows[i].forward) + bound(b, &b->rows[i].backward);
    }
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:I}", "model", eg_network_info(b->s.net)->name,
        "mode", o->bench_mode, "dtype", eg_study_dtype_name(eg_plan_is_bf16(b->s.plan)), "batch",
        b->s.batch, "img_size", eg_network_side(b->s.net), "repeats", (json_int_t)b->repeats,
        "parameters", (json_int_t)eg_network_parameters(b->s.net, false), "multiply_adds",
        (json_int_t)llround(eg_network_multiply_adds(b->s.net)));
    json_t *machine = eg_study_machine_json(false), *figures = NULL;
    if (root && machine)
        figures = json_pack(
            "{s:{s:f, s:f}, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:o, s:o, s:o}",
            "peak", "gflops", 1e-9 * b->peak.flops, "gbytes_per_second", 1e-9 * b->peak.bytes,
            "seconds", b->total, "images_per_second", b->s.batch / b->total, "forward_seconds",
            b->forward, "backward_seconds", b->backward, "optimizer_seconds", b->optimizer,
            "other_seconds", fmax(0, b->total - b->forward - b->backward - b->optimizer), "gflops",
            1e-9 * flops / b->total, "share_of_peak", least / b->total, "arena_bytes",
            (json_int_t)eg_plan_arena_bytes(b->s.plan), "peak_bytes", (json_int_t)b->peak_bytes,
            "deterministic", deterministic_json(b), "kinds", kinds_json(b, order), "steps",
            steps_json(b, order));
    bool ok =
        figures && json_object_update(root, machine) == 0 && json_object_update(root, figures) == 0;
    json_decref(machine);
    json_decref(figures);
    if (ok) return root;
    json_decref(root);
    return NULL;
}

static eg_status run(eg_doc **out, bench *b, const char *model, const eg_options *o,
                     const eg_events *ev, eg_error *err) {
    EG_TRY(open_bench(b, model, o, ev, err));
    EG_TRY(measure(b, ev, err));
    const eg_step_cost **order = eg_malloc(b->n * sizeof *order);
    eg_doc *doc = NULL;
    if (order) {
        for (size_t i = 0; i < b->n; i++) order[i] = &b->rows[i];
        qsort(order, b->n, sizeof *order, by_cost);
        doc = eg_doc_new(document(b, o, order), "bench");
    }
    eg_free(order);
    if (!doc) return eg_fail(err, EG_ERR_NO_MEMORY, "bench: out of memory");
    *out = doc;
    return EG_OK;
}

eg_status eg_bench(eg_doc **out, const char *model, const eg_options *o, const eg_events *ev,
                   eg_error *err) {
    bench b = {0};
    eg_status status = run(out, &b, model ? model : "efficientnet_b0", o, ev, err);
    eg_plan_free(b.plain);
    eg_study_stepper_close(&b.s);
    eg_free(b.rows);
    eg_free(b.seconds);
    eg_free(b.parts);
    eg_free(b.plain_seconds);
    return status;
}
