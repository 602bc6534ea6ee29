/* Images through a network in evaluation mode: one row (logits or pooled features) an image, in the
 * order of the indices. Reused once an epoch for validation. Makes no statistics: scores.c does. */
#include "study/recipe.h"
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
                                                    .augment = o->augment,
                                                    .seed = o->seed,
                                                    .workers = o->workers,
                                                    .cache_bytes = o->cache_bytes},
                               err);
    s.width = (size_t)(o->features ? eg_network_features(net) : eg_network_classes(net));
    if (o->tta > 1 && status == EG_OK) {
        s.rows = eg_malloc((size_t)s.o.batch * s.width * sizeof *s.rows);
        s.prob = eg_malloc((size_t)s.o.batch * s.width * 2 * sizeof *s.prob);
        if (!s.rows || !s.prob)
            status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for scoring");
    }
    if (status == EG_OK)
        *out = s;
    else
        eg_study_scorer_close(&s);
    return status;
}

void eg_study_scorer_close(eg_scorer *s) {
    eg_loader_free(s->loader);
    eg_plan_free(s->plan);
    eg_free(s->rows);
    eg_free(s->prob);
    s->rows = NULL;
    s->prob = NULL;
    s->loader = NULL;
    s->plan = NULL;
}

/* A batch as view `view` of each image shows it, to rows of the plan. */
static eg_status forward_view(const float **rows, eg_scorer *s, const eg_batch *batch, int view,
                              eg_error *err) {
    size_t side = (size_t)s->o.preprocess.crop, image = side * side * 3;
    for (size_t i = 0; i < batch->n; i++)
        eg_study_view(eg_plan_input(s->plan) + i * image, batch->pixels + i * image, (int)side,
                      view);
    EG_TRY(eg_plan_forward(s->plan, (int)batch->n, 0, err));
    *rows = s->o.features ? eg_plan_features(s->plan) : eg_plan_logits(s->plan);
    return EG_OK;
}

/* Logarithms of the mean probabilities: logits whose softmax they are. */
static eg_status mean_views(const float **out, eg_scorer *s, const eg_batch *batch, eg_error *err) {
    size_t n = batch->n * s->width;
    double *sum = s->prob, *prob = s->prob + (size_t)s->o.batch * s->width;
    memset(sum, 0, n * sizeof *sum);
    for (int view = 0; view < s->o.tta; view++) {
        const float *rows;
        EG_TRY(forward_view(&rows, s, batch, view, err));
        eg_softmax(prob, rows, batch->n, (int)s->width);
        for (size_t i = 0; i < n; i++) sum[i] += prob[i];
    }
    /* a probability of 0 in float would be a logit of minus infinity */
    for (size_t i = 0; i < n; i++) s->rows[i] = (float)log(fmax(sum[i] / s->o.tta, 1e-30));
    for (size_t i = 0; i < n; i++)
        if (!isfinite(sum[i])) s->rows[i] = NAN;
    *out = s->rows;
    return EG_OK;
}

/* One batch from pixels to rows. */
static eg_status score_batch(const float **out, eg_scorer *s, const eg_batch *batch,
                             eg_error *err) {
    const float *rows;
    EG_TRY(s->rows ? mean_views(&rows, s, batch, err) : forward_view(&rows, s, batch, 0, err));
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
    EG_TRY(eg_loader_start(s->loader, s->o.view, false, err));
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
