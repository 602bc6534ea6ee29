/* The run's network on images that are changed on the way: what would it say had they been darker, blurred, framed otherwise,
 * or without their border? Nothing is trained. Read first: why.h, scorer.c. */
#include "study/why.h"

#include <string.h>

static void take_batch(const eg_why_probe_options *o, float *input, float *room,
                       const eg_batch *batch, int side, size_t done) {
    const size_t image = (size_t)side * (size_t)side * 3;
    for (size_t i = 0; i < batch->n; i++) {
        float *to = input + i * image;
        memcpy(to, batch->pixels + i * image, image * sizeof *to);
        if (o->look) o->look(o->look_context, to, side, batch->labels[i], done + i);
        if (o->change) o->change(o->change_context, to, room, side, batch->labels[i], done + i);
    }
}

static void judge(double *right, const float *logits, const int32_t *label, size_t n, int K) {
    for (size_t i = 0; i < n; i++) {
        const float *row = logits + i * (size_t)K;
        int best = 0;
        for (int k = 1; k < K; k++)
            if (row[k] > row[best] || (K == 2 && k == 1 && row[1] >= row[0])) best = k;
        right[i] = best == label[i];
    }
}

static eg_status run(double *right, const eg_why_case *c, const eg_why_probe_options *o,
                     eg_scorer *s, float *room, eg_error *err) {
    size_t done = 0;
    const double start = eg_time_now();
    EG_TRY(eg_loader_start(s->loader, 0, false, err));
    for (;;) {
        eg_batch batch;
        if (eg_study_stopped(c->ev))
            return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while scoring changed images");
        EG_TRY(eg_loader_next(&batch, s->loader, err));
        if (batch.n == 0) break;
        take_batch(o, eg_plan_input(s->plan), room, &batch, s->o.preprocess.crop, done);
        EG_TRY(eg_plan_forward(s->plan, (int)batch.n, 0, err));
        judge(right + done, eg_plan_logits(s->plan), batch.labels, batch.n, c->run.n_classes);
        done += batch.n;
        const double seconds = eg_time_now() - start;
        const double rate = seconds > 0 ? (double)done / seconds : 0;
        eg_study_report(c->ev,
                        &(eg_progress){.kind = EG_PROGRESS_SCAN,
                                       .stage = o->stage,
                                       .step = (int64_t)done,
                                       .n_steps = (int64_t)o->n,
                                       .images_per_second = rate,
                                       .eta_seconds = rate > 0 ? (double)(o->n - done) / rate : 0});
    }
    return done == o->n ? EG_OK
                        : eg_fail(err, EG_ERR_INTERNAL, "%s: %zu of %zu images arrived", o->stage,
                                  done, o->n);
}

eg_status eg_study_why_probe(double *right, const eg_why_case *c, const eg_why_probe_options *o,
                             eg_error *err) {
    eg_scorer scorer = {0};
    const size_t side = (size_t)c->run.preprocess.crop;
    const eg_scorer_options options = {.ds = c->data.ds,
                                       .indices = o->indices,
                                       .n = o->n,
                                       .preprocess = c->run.preprocess,
                                       .batch = (int)c->settings.o.batch_size,
                                       .workers = (int)c->o->workers,
                                       .bf16 = c->settings.bf16};
    float *room = eg_malloc(side * side * 3 * sizeof *room);
    if (!room) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for changed images");
    eg_status status = eg_study_scorer_open(&scorer, c->run.net, &options, err);
    if (status == EG_OK) {
        eg_plan_refresh(scorer.plan);
        status = run(right, c, o, &scorer, room, err);
    }
    eg_study_scorer_close(&scorer);
    eg_free(room);
    return status;
}
