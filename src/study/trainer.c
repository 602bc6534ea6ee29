/* Training by epochs: loader -> plan -> optimiser, validation after each epoch, checkpoints, early
 * stopping, resume. Used whenever the trunk runs in every epoch (finetune, lp-ft, scratch, and
 * frozen mode with moving batch-norm statistics or augmentation). The test split is not touched
 * here. What a recipe means: recipe_terms.c. Read run.h, then eg_study_train_live at the end. */
#include "study/memory_limit.h"
#include "study/recipe.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRAIN_CACHE_BYTES ((size_t)1 << 30)   /* decoded training images kept over epochs */
#define VAL_CACHE_BYTES   ((size_t)256 << 20) /* and validation images */

typedef struct {
    eg_run *run;
    eg_plan *plan;
    eg_loader *loader;
    eg_optimizer *opt;
    eg_scorer val;
    float *val_rows;
    eg_scores val_scores;
    eg_schedule schedule;
    float *class_weight;
    eg_resume_state state;
    int64_t epoch;   /* 1-based, the one running */
    int64_t batches; /* of an epoch; a step takes o.accumulate of them */
    /* of the running epoch */
    double loss_sum, wait_seconds, start, lr, norm;
    int64_t correct, seen;
} trainer;

/* Bytes that training holds: planned, so the same on every run (unlike resident memory). */
static size_t planned_bytes(const trainer *t) {
    size_t all = eg_network_parameters(t->run->net, false),
           trained = eg_network_parameters(t->run->net, true);
    const eg_options *o = &t->run->s->o;
    size_t moments = (size_t)eg_study_moments(o), copies = (size_t)eg_study_copies(o);
    return eg_plan_arena_bytes(t->plan) +
           (all * (1 + copies) + trained * (1 + moments)) * sizeof(float);
}

static eg_status open_validation(trainer *t, eg_error *err) {
    const eg_run *run = t->run;
    const eg_settings *s = run->s;
    eg_scorer_options o = {.ds = run->data->ds,
                           .indices = run->data->val,
                           .n = run->data->n_val,
                           .preprocess = s->preprocess,
                           .batch = (int)s->o.batch_size,
                           .workers = (int)s->o.workers,
                           .deterministic = s->o.deterministic,
                           .bf16 = s->bf16,
                           .cache_bytes = eg_study_memory_cache(s, VAL_CACHE_BYTES, 0.2)};
    EG_TRY(eg_study_scorer_open(&t->val, run->net, &o, err));
    EG_TRY(eg_study_scores_new(&t->val_scores, o.ds, o.indices, o.n, err));
    t->val_rows = eg_malloc(o.n * t->val.width * sizeof *t->val_rows);
    return t->val_rows ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for validation");
}

/* One epoch leaves at most a tenth of the old running statistics. EfficientNet-Lite's momentum of 0.01 is made for long
 * epochs: after 75 steps on 236 images half of them would still be ImageNet's, and validation then scores a network that
 * training never saw. A set of some 230 steps an epoch and more trains with the network's own momentum. */
static double least_momentum(int64_t steps_per_epoch) {
    return 1 - pow(0.1, 1.0 / (double)steps_per_epoch);
}

eg_plan_options eg_study_train_plan(const eg_run *run) {
    const eg_settings *s = run->s;
    eg_plan_options plan = {.mode = EG_PLAN_TRAIN,
                            .batch = (int)s->o.batch_size,
                            .bn = s->bn,
                            .stochastic = s->stochastic,
                            .dropout = s->o.dropout,
                            .seed = (uint64_t)s->o.seed,
                            .deterministic = s->o.deterministic,
                            .bf16 = s->bf16};
    if (s->memory.recomputes) plan.recompute = EG_RECOMPUTE_ALL;
    if (run->data->n_train < (size_t)plan.batch) plan.batch = (int)run->data->n_train;
    plan.bn_momentum = least_momentum(eg_study_train_batches(run));
    return plan;
}

int64_t eg_study_train_batches(const eg_run *run) {
    size_t n = run->data->n_train, batch = (size_t)run->s->o.batch_size;
    return n < batch ? 1 : (int64_t)((n + batch - 1) / batch);
}

eg_loader_options eg_study_train_loader(const eg_run *run) {
    const eg_settings *s = run->s;
    return (eg_loader_options){.dataset = run->data->ds,
                               .indices = run->data->train,
                               .n = run->data->n_train,
                               .batch_size = (size_t)s->o.batch_size,
                               .preprocess = s->preprocess,
                               .augment = s->augmented ? &s->augment : NULL,
                               .seed = (uint64_t)s->o.seed,
                               .workers = (int)s->o.workers,
                               .balanced = strcmp(s->o.sampler, "balanced") == 0};
}

static eg_status open_trainer(trainer *t, eg_error *err) {
    const eg_run *run = t->run;
    const eg_settings *s = run->s;
    EG_TRY(eg_study_layers_set(run->net, s, 1, err));
    eg_plan_options plan = eg_study_train_plan(run);
    t->batches = eg_study_train_batches(run);
    EG_TRY(eg_plan_new(&t->plan, run->net, &plan, err));
    eg_loader_options loader = eg_study_train_loader(run);
    loader.cache_bytes = eg_study_memory_cache(s, TRAIN_CACHE_BYTES, 0.8);
    EG_TRY(eg_loader_new(&t->loader, &loader, err));
    eg_opt_options opt = eg_study_optimizer_options(&s->o);
    EG_TRY(eg_optimizer_for(&t->opt, run->net, &opt, err));
    EG_TRY(open_validation(t, err));
    t->class_weight = eg_study_class_weights(s, run->data);
    if (!t->class_weight) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for training");
    t->schedule = eg_study_schedule(&s->o, (t->batches + s->o.accumulate - 1) / s->o.accumulate);
    if (s->o.ema > 0) EG_TRY(eg_study_copy_new(&t->run->ema, run->net, err));
    if (s->o.average > 0) EG_TRY(eg_study_copy_new(&t->run->mean, run->net, err));
    t->state.best_loss = INFINITY;
    return EG_OK;
}

static void close_trainer(trainer *t) {
    eg_study_scorer_close(&t->val);
    eg_study_scores_free(&t->val_scores);
    eg_free(t->val_rows);
    eg_free(t->class_weight);
    eg_study_copy_free(t->run->ema);
    eg_study_copy_free(t->run->mean);
    t->run->ema = t->run->mean = NULL;
    eg_optimizer_free(t->opt);
    eg_loader_free(t->loader);
    eg_plan_free(t->plan);
}

/* "RUN/last.safetensors holds epoch 2", for the messages of an early end. */
static const char *kept_text(char *out, size_t size, const trainer *t) {
    if (t->state.epoch > 0)
        snprintf(out, size, "%s/last.safetensors holds epoch %lld", t->run->dir,
                 (long long)t->state.epoch);
    else
        snprintf(out, size, "no epoch was finished, so there is no checkpoint yet");
    return out;
}

static eg_status interrupted(const trainer *t, eg_error *err) {
    char kept[300];
    return eg_fail(
        err, EG_ERR_INTERRUPTED,
        "interrupted in epoch %lld of %lld: %s - go on with: engraft train %s --resume %s",
        (long long)t->epoch, (long long)t->schedule.n_epochs, kept_text(kept, sizeof kept, t),
        t->run->data->ds->path, t->run->dir);
}

static eg_status diverged(const trainer *t, int64_t step, const char *what, double value,
                          eg_error *err) {
    char kept[300];
    return eg_fail(err, EG_ERR_DIVERGED,
                   "training diverged in epoch %lld, step %lld of %lld (learning rate %.3g): the "
                   "%s is %s - %s; "
                   "try a smaller --lr (a tenth), or --clip-grad 1",
                   (long long)t->epoch, (long long)step, (long long)t->batches, t->lr, what,
                   isnan(value) ? "not a number" : "infinite", kept_text(kept, sizeof kept, t));
}

static void report_step(const trainer *t, int64_t step, double loss) {
    double seconds = eg_time_now() - t->start;
    double rate = seconds > 0 ? (double)t->seen / seconds : 0;
    int64_t left = (t->schedule.n_epochs - t->epoch + 1) * (int64_t)t->run->data->n_train - t->seen;
    eg_study_report(t->run->ev, &(eg_progress){.kind = EG_PROGRESS_STEP,
                                               .stage = "train",
                                               .epoch = t->epoch,
                                               .n_epochs = t->schedule.n_epochs,
                                               .step = step,
                                               .n_steps = t->batches,
                                               .loss = loss,
                                               .mean_loss = t->loss_sum / (double)t->seen,
                                               .images_per_second = rate,
                                               .lr = t->lr,
                                               .data_wait_seconds = t->wait_seconds,
                                               .eta_seconds = rate > 0 ? (double)left / rate : 0});
}

/* Steps of the optimiser before the one that batch `step` of the epoch, from 1, belongs to. */
static int64_t steps_done(const trainer *t, int64_t step) {
    return (t->epoch - 1) * t->schedule.steps_per_epoch + (step - 1) / t->run->s->o.accumulate;
}

/* The optimiser's step, and what follows it. `step` counts batches of the epoch, from 1. */
static eg_status move_weights(trainer *t, int64_t step, eg_error *err) {
    const eg_options *o = &t->run->s->o;
    int64_t done = steps_done(t, step);
    if (o->accumulate > 1) eg_optimizer_gathered(t->opt);
    double norm = eg_optimizer_grad_norm(t->opt), limit = o->clip_grad;
    if (!isfinite(norm)) return diverged(t, step, "gradient norm", norm, err);
    eg_optimizer_step(t->opt, t->lr, limit > 0 && norm > limit ? limit / norm : 1.0);
    if (t->run->ema) eg_study_copy_follow(t->run->ema, eg_study_ema_share(o->ema, done));
    return EG_OK;
}

/* One batch; `step` is 1-based within the epoch. */
static eg_status train_step(trainer *t, const eg_batch *batch, int64_t step, eg_error *err) {
    const eg_settings *s = t->run->s;
    int64_t key = (t->epoch - 1) * t->batches + step - 1;
    size_t side = (size_t)s->preprocess.crop;
    eg_loss_result loss;
    eg_loss_options how = {.class_weight = t->class_weight,
                           .smoothing = s->o.label_smoothing,
                           .focal_gamma = s->focal_gamma,
                           .labels2 = batch->labels2,
                           .lambda = batch->lambda};
    memcpy(eg_plan_input(t->plan), batch->pixels, batch->n * side * side * 3 * sizeof(float));
    t->lr = eg_schedule_lr(&t->schedule, steps_done(t, step));
    EG_TRY(eg_plan_forward(t->plan, (int)batch->n, (uint64_t)key, err));
    EG_TRY(eg_plan_backward(&loss, t->plan, batch->labels, &how, err));
    if (!isfinite(loss.objective) || !isfinite(loss.loss_sum))
        return diverged(t, step, "loss", isfinite(loss.objective) ? loss.loss_sum : loss.objective,
                        err);
    if (s->o.accumulate > 1) eg_optimizer_gather(t->opt, loss.weight);
    if (step % s->o.accumulate == 0 || step == t->batches) EG_TRY(move_weights(t, step, err));
    t->loss_sum += loss.loss_sum;
    t->correct += loss.correct;
    t->seen += (int64_t)batch->n;
    t->wait_seconds += batch->wait_seconds;
    report_step(t, step, loss.loss_sum / (double)batch->n);
    return EG_OK;
}

/* The training half of an epoch. */
static eg_status train_epoch(trainer *t, eg_error *err) {
    t->loss_sum = t->wait_seconds = 0;
    t->correct = t->seen = 0;
    t->start = eg_time_now();
    EG_TRY(eg_study_layers_set(t->run->net, t->run->s, t->epoch, err));
    EG_TRY(eg_study_plateau_set(&t->schedule, t->run->history, err));
    EG_TRY(eg_loader_start(t->loader, (uint32_t)t->epoch, true, err));
    for (int64_t step = 1;; step++) {
        eg_batch batch;
        if (eg_study_stopped(t->run->ev)) return interrupted(t, err);
        EG_TRY(eg_loader_next(&batch, t->loader, err));
        if (batch.n == 0) return EG_OK;
        EG_TRY(train_step(t, &batch, step, err));
    }
}

static eg_status validate(eg_brief *val, trainer *t, eg_error *err) {
    eg_status status = eg_study_scorer_run(t->val_rows, &t->val, "validate", t->run->ev, err);
    if (status == EG_ERR_INTERRUPTED) return interrupted(t, err);
    EG_TRY(status);
    eg_softmax(t->val_scores.prob, t->val_rows, t->val_scores.n, t->val_scores.n_classes);
    return eg_study_scores_brief(val, &t->val_scores, err);
}

/* Validation of what will be kept: the average of the weights where there is one. */
static eg_status validate_kept(eg_brief *val, trainer *t, eg_error *err) {
    const eg_options *o = &t->run->s->o;
    int64_t first = t->schedule.n_epochs - o->average;
    if (t->run->ema) eg_study_copy_swap(t->run->ema);
    eg_status status = validate(val, t, err);
    /* the mean is over what an epoch would have kept, of the last o->average epochs */
    if (t->run->mean && t->epoch > first && status == EG_OK)
        eg_study_copy_follow(t->run->mean, 1.0 / (double)(t->epoch - (first > 0 ? first : 0)));
    if (t->run->ema) eg_study_copy_swap(t->run->ema);
    return status;
}

/* Checkpoints and state of a finished epoch; a full disk leaves the former ones, and the message
 * says so. */
static eg_status save_epoch(trainer *t, bool is_best, eg_error *err) {
    eg_resume_state before = t->state;
    t->state.epoch = t->epoch;
    t->state.bad_epochs = is_best ? 0 : t->state.bad_epochs + 1;
    double threshold = eg_study_scores_threshold(&t->val_scores);
    eg_status status = eg_study_resume_save(t->run, t->opt, &t->state, threshold, is_best, err);
    if (status == EG_OK) return EG_OK;
    t->state = before;
    if (err && status == EG_ERR_IO) {
        char kept[300];
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used,
                 "; %s - free space, then: engraft train %s --resume %s",
                 kept_text(kept, sizeof kept, t), t->run->data->ds->path, t->run->dir);
    }
    return status;
}

static eg_status run_epoch(trainer *t, eg_error *err) {
    eg_run *run = t->run;
    double start = eg_time_now();
    eg_brief val;
    EG_TRY(train_epoch(t, err));
    double train_seconds = eg_time_now() - start;
    EG_TRY(validate_kept(&val, t, err));
    bool is_best = val.loss < t->state.best_loss;
    if (is_best) {
        t->state.best_loss = val.loss;
        t->state.best_epoch = t->epoch;
    }
    double seconds = eg_time_now() - start;
    t->state.train_seconds += seconds;
    eg_history_row row = {.epoch = t->epoch,
                          .train_loss = t->loss_sum / (double)t->seen,
                          .train_accuracy = (double)t->correct / (double)t->seen,
                          .val = val,
                          .lr = t->lr,
                          .seconds = seconds,
                          .images_per_second =
                              train_seconds > 0 ? (double)t->seen / train_seconds : NAN};
    EG_TRY(eg_study_history_add(run, &row, err));
    EG_TRY(save_epoch(t, is_best, err));
    eg_study_report(run->ev, &(eg_progress){.kind = EG_PROGRESS_EPOCH,
                                            .stage = "train",
                                            .epoch = t->epoch,
                                            .n_epochs = t->schedule.n_epochs,
                                            .step = t->batches,
                                            .n_steps = t->batches,
                                            .loss = row.train_loss,
                                            .mean_loss = row.train_loss,
                                            .accuracy = row.train_accuracy,
                                            .val_loss = val.loss,
                                            .val_accuracy = val.accuracy,
                                            .val_auc = val.auc,
                                            .images_per_second = row.images_per_second,
                                            .lr = t->lr,
                                            .data_wait_seconds = t->wait_seconds});
    return EG_OK;
}

/* The mean of the last epochs' weights is one more candidate, judged as the epochs were; best.safetensors becomes it when it
 * is better. Not after an early stop, which leaves no last epochs. */
static eg_status judge_mean(trainer *t, eg_error *err) {
    eg_run *run = t->run;
    eg_brief val;
    if (!run->mean) return EG_OK;
    if (t->state.epoch < t->schedule.n_epochs) {
        eg_study_note(run->ev,
                      "--average %lld: training stopped early, so there is no mean of the "
                      "last epochs",
                      (long long)run->s->o.average);
        return EG_OK;
    }
    eg_study_copy_swap(run->mean);
    eg_status status = validate(&val, t, err);
    bool taken = status == EG_OK && val.loss < t->state.best_loss;
    if (taken) {
        char *best = eg_path_join(run->dir, "best.safetensors");
        status = best ? eg_study_checkpoint_save(run, best, t->state.epoch,
                                                 eg_study_scores_threshold(&t->val_scores), err)
                      : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
        eg_free(best);
        t->state.best_loss = val.loss;
        t->state.best_epoch = t->state.epoch;
    }
    eg_study_copy_swap(run->mean);
    EG_TRY(status);
    run->average = json_pack(
        "{s:I, s:o, s:o, s:b}", "epochs",
        (json_int_t)(run->s->o.average < t->state.epoch ? run->s->o.average : t->state.epoch),
        "val_loss", eg_json_real(val.loss), "val_accuracy", eg_json_real(val.accuracy), "taken",
        (int)taken);
    return run->average ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

/* Mean images/s over the epochs' rows (a resumed run has rows of before). */
static double mean_rate(const json_t *history) {
    size_t i;
    json_t *row;
    double sum = 0;
    json_array_foreach(history, i, row) sum += eg_study_number(row, "images_per_second");
    return i ? sum / (double)i : NAN;
}

static eg_status run_epochs(trainer *t, eg_error *err) {
    eg_run *run = t->run;
    int64_t patience = run->s->o.patience;
    if (run->resume) {
        EG_TRY(eg_study_resume_load(&t->state, run, t->opt, err));
        if (t->state.epoch > 0)
            eg_study_note(run->ev, "resuming %s after epoch %lld", run->dir,
                          (long long)t->state.epoch);
    }
    EG_TRY(eg_study_history_rewrite(run, err));
    run->stopped = "epochs";
    while (t->state.epoch < t->schedule.n_epochs) {
        if (patience > 0 && t->state.bad_epochs >= patience) {
            run->stopped = "patience";
            break;
        }
        t->epoch = t->state.epoch + 1;
        EG_TRY(run_epoch(t, err));
    }
    EG_TRY(judge_mean(t, err));
    run->epochs = t->state.epoch;
    run->best_epoch = t->state.best_epoch;
    run->best_loss = t->state.best_loss;
    run->train_seconds = t->state.train_seconds;
    run->images_per_second = mean_rate(run->history);
    run->peak_bytes = planned_bytes(t);
    run->bf16 = eg_plan_is_bf16(t->plan) && eg_plan_is_bf16(t->val.plan);
    return EG_OK;
}

eg_status eg_study_train_live(eg_run *run, eg_error *err) {
    trainer t = {.run = run};
    eg_status status = open_trainer(&t, err);
    if (status == EG_OK) status = run_epochs(&t, err);
    close_trainer(&t);
    return status;
}
