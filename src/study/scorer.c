/* Images through a network in evaluation mode: one row (logits or pooled features) an image, in the
 * order of the indices. Reused once an epoch for validation. Makes no statistics: scores.c does. */
#include "study/run.h"
#include <math.h>
#include <string.h>

eg_status eg_study_scorer_open(eg_scorer *out, eg_network *net, const eg_scorer_options *o,
                               eg_error *err) {
    eg_scorer s = {.o = *o};
    if (s.o.batch < 1) s.o.batch = 1;
    eg_plan_options plan = {
        .mode = EG_PLAN_PREDICT, .batch = s.o.batch, .dropout = -1, .features_only = o->features};
    plan.deterministic = o->deterministic;
    plan.bf16 = o->bf16;
    eg_status status = eg_plan_new(&s.plan, net, &plan, err);
    if (status == EG_OK)
        status = eg_loader_new(&s.loader,
                               &(eg_loader_options){.dataset = o->ds,
                                                    .indices = o->indices,
                                                    .n = o->n,
                                                    .batch_size = (size_t)s.o.batch,
                                                    .preprocess = o->preprocess,
                                                    .workers = o->workers,
                                                    .cache_bytes = o->cache_bytes},
                               err);
    s.width = (size_t)(o->features ? eg_network_features(net) : eg_network_classes(net));
    if (status == EG_OK)
        *out = s;
    else
        eg_study_scorer_close(&s);
    return status;
}

void eg_study_scorer_close(eg_scorer *s) {
    eg_loader_free(s->loader);
    eg_plan_free(s->plan);
    s->loader = NULL;
    s->plan = NULL;
}

/* One batch from pixels to rows. */
static eg_status score_batch(const float **out, eg_scorer *s, const eg_batch *batch,
                             eg_error *err) {
    size_t side = (size_t)s->o.preprocess.crop;
    memcpy(eg_plan_input(s->plan), batch->pixels, batch->n * side * side * 3 * sizeof(float));
    EG_TRY(eg_plan_forward(s->plan, (int)batch->n, 0, err));
    const float *rows = s->o.features ? eg_plan_features(s->plan) : eg_plan_logits(s->plan);
    for (size_t i = 0; i < batch->n * s->width; i++) {
        if (!isfinite(rows[i]))
            return eg_fail(err, EG_ERR_DIVERGED,
                           "%s: the network gives %g - its weights hold NaN or overflow",
                           s->o.ds->samples[batch->indices[i / s->width]].file, (double)rows[i]);
    }
    *out = rows;
    return EG_OK;
}

eg_status eg_study_scorer_each(eg_row_taker take, void *context, eg_scorer *s, const char *stage,
                               const eg_events *ev, eg_error *err) {
    double start = eg_time_now();
    size_t done = 0;
    eg_plan_refresh(s->plan);
    EG_TRY(eg_loader_start(s->loader, 0, false, err));
    for (;;) {
        eg_batch batch;
        const float *rows = NULL;
        if (eg_study_stopped(ev))
            return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while scoring images");
        EG_TRY(eg_loader_next(&batch, s->loader, err));
        if (batch.n == 0) break;
        EG_TRY(score_batch(&rows, s, &batch, err));
        take(context, rows, batch.n);
        done += batch.n;
        double seconds = eg_time_now() - start;
        double rate = seconds > 0 ? (double)done / seconds : 0;
        eg_study_report(
            ev, &(eg_progress){.kind = EG_PROGRESS_SCAN,
                               .stage = stage,
                               .step = (int64_t)done,
                               .n_steps = (int64_t)s->o.n,
                               .images_per_second = rate,
                               .eta_seconds = rate > 0 ? (double)(s->o.n - done) / rate : 0});
    }
    if (done != s->o.n)
        return eg_fail(err, EG_ERR_INTERNAL, "%s: %zu of %zu images arrived", stage, done, s->o.n);
    return EG_OK;
}

/* Where the rows of the next batch go. */
typedef struct {
    float *at;
    size_t width;
} row_copy;

static void copy_rows(void *context, const float *rows, size_t n) {
    row_copy *copy = context;
    memcpy(copy->at, rows, n * copy->width * sizeof(float));
    copy->at += n * copy->width;
}

eg_status eg_study_scorer_run(float *rows, eg_scorer *s, const char *stage, const eg_events *ev,
                              eg_error *err) {
    row_copy copy = {rows, s->width};
    return eg_study_scorer_each(copy_rows, &copy, s, stage, ev, err);
}
