/* Training by epochs: loader -> plan -> optimiser, validation after each epoch, checkpoints, early
 * stopping, resume. Used whenever the trunk runs in every epoch (finetune, scratch, and frozen mode
 * with moving batch-norm statistics or augmentation). The test split is not touched here. Read
 * run.h, then eg_study_train_live at the end. */
#include "study/memory_limit.h"
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
    int64_t epoch; /* 1-based, the one running */
    /* of the running epoch */
    double loss_sum, wait_seconds, start, lr;
    int64_t correct, seen;
} trainer;

/* Mark what the optimiser may change. With bn "stats" gamma and beta stay: they are the vectors
 * beside a running mean. */
static void set_trainable(eg_network *net, const eg_settings *s) {
    eg_network_set_trainable(net, s->mode != EG_RUN_FROZEN, true);
    if (s->bn != EG_BN_STATS) return;
    size_t n;
    const eg_net_tensor *tensors = eg_network_tensors(net, &n);
    static const char SUFFIX[] = "running_mean";
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(tensors[i].name);
        if (length < sizeof SUFFIX ||
            strcmp(tensors[i].name + length - (sizeof SUFFIX - 1), SUFFIX) != 0)
            continue;
        for (int part = 0; part < 2; part++) {
            char *name = eg_format("%.*s%s", (int)(length - (sizeof SUFFIX - 1)), tensors[i].name,
                                   part ? "bias" : "weight");
            eg_net_tensor *t = name ? eg_network_tensor(net, name) : NULL;
            if (t) t->trainable = false;
            eg_free(name);
        }
    }
}

float *eg_study_class_weights(const eg_settings *s, const eg_data_stage *data) {
    int n_classes = data->ds->n_classes;
    float *weight = eg_malloc((size_t)n_classes * sizeof *weight);
    for (int k = 0; weight && k < n_classes; k++) {
        size_t count = 0;
        for (size_t i = 0; i < data->n_train; i++)
            count += data->ds->samples[data->train[i]].label == k;
        bool balanced = strcmp(s->o.class_weights, "balanced") == 0 && count > 0;
        weight[k] =
            balanced ? (float)((double)data->n_train / ((double)n_classes * (double)count)) : 1.0f;
    }
    return weight;
}

eg_opt_options eg_study_optimizer_options(const eg_options *o) {
    return (eg_opt_options){.kind = strcmp(o->opt, "sgd") == 0 ? EG_OPT_SGD : EG_OPT_ADAMW,
                            .momentum = o->momentum,
                            .weight_decay = o->weight_decay};
}

eg_schedule eg_study_schedule(const eg_options *o, int64_t steps_per_epoch) {
    const char *name = o->sched;
    return (eg_schedule){.kind = strcmp(name, "constant") == 0   ? EG_SCHED_CONSTANT
                                 : strcmp(name, "step") == 0     ? EG_SCHED_STEP
                                 : strcmp(name, "onecycle") == 0 ? EG_SCHED_ONECYCLE
                                                                 : EG_SCHED_COSINE,
                         .lr = o->lr,
                         .min_lr = o->min_lr,
                         .warmup_epochs = o->warmup_epochs,
                         .gamma = o->gamma,
                         .step_size = o->step_size,
                         .n_epochs = o->epochs,
                         .steps_per_epoch = steps_per_epoch};
}

/* Bytes that training holds: planned, so the same on every run (unlike resident memory). */
static size_t planned_bytes(const trainer *t) {
    size_t all = eg_network_parameters(t->run->net, false),
           trained = eg_network_parameters(t->run->net, true);
    size_t moments = strcmp(t->run->s->o.opt, "sgd") == 0 ? 1 : 2;
    return eg_plan_arena_bytes(t->plan) + (all + trained * (1 + moments)) * sizeof(float);
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

static eg_status open_trainer(trainer *t, eg_error *err) {
    const eg_run *run = t->run;
    const eg_settings *s = run->s;
    set_trainable(run->net, s);
    eg_plan_options plan = {.mode = EG_PLAN_TRAIN,
                            .batch = (int)s->o.batch_size,
                            .bn = s->bn,
                            .stochastic = s->mode != EG_RUN_FROZEN,
                            .dropout = s->o.dropout,
                            .seed = (uint64_t)s->o.seed,
                            .deterministic = s->o.deterministic,
                            .bf16 = s->bf16};
    if (s->memory.recomputes) plan.recompute = EG_RECOMPUTE_ALL;
    if (run->data->n_train < (size_t)plan.batch) plan.batch = (int)run->data->n_train;
    size_t batch = (size_t)plan.batch;
    int64_t steps = (int64_t)((run->data->n_train + batch - 1) / batch);
    plan.bn_momentum = least_momentum(steps);
    EG_TRY(eg_plan_new(&t->plan, run->net, &plan, err));
    EG_TRY(eg_loader_new(
        &t->loader,
        &(eg_loader_options){.dataset = run->data->ds,
                             .indices = run->data->train,
                             .n = run->data->n_train,
                             .batch_size = (size_t)plan.batch,
                             .preprocess = s->preprocess,
                             .augment = s->augmented ? &s->augment : NULL,
                             .seed = (uint64_t)s->o.seed,
                             .workers = (int)s->o.workers,
                             .cache_bytes = eg_study_memory_cache(s, TRAIN_CACHE_BYTES, 0.8)},
        err));
    eg_opt_options opt = eg_study_optimizer_options(&s->o);
    EG_TRY(eg_optimizer_for(&t->opt, run->net, &opt, err));
    EG_TRY(open_validation(t, err));
    t->class_weight = eg_study_class_weights(s, run->data);
    if (!t->class_weight) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for training");
    t->schedule = eg_study_schedule(&s->o, steps);
    t->state.best_loss = INFINITY;
    return EG_OK;
}

static void close_trainer(trainer *t) {
    eg_study_scorer_close(&t->val);
    eg_study_scores_free(&t->val_scores);
    eg_free(t->val_rows);
    eg_free(t->class_weight);
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
        t->run->data->ds->root, t->run->dir);
}

static eg_status diverged(const trainer *t, int64_t step, const char *what, double value,
                          eg_error *err) {
    char kept[300];
    return eg_fail(err, EG_ERR_DIVERGED,
                   "training diverged in epoch %lld, step %lld of %lld (learning rate %.3g): the "
                   "%s is %s - %s; "
                   "try a smaller --lr (a tenth), or --clip-grad 1",
                   (long long)t->epoch, (long long)step, (long long)t->schedule.steps_per_epoch,
                   t->lr, what, isnan(value) ? "not a number" : "infinite",
                   kept_text(kept, sizeof kept, t));
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
                                               .n_steps = t->schedule.steps_per_epoch,
                                               .loss = loss,
                                               .mean_loss = t->loss_sum / (double)t->seen,
                                               .images_per_second = rate,
                                               .lr = t->lr,
                                               .data_wait_seconds = t->wait_seconds,
                                               .eta_seconds = rate > 0 ? (double)left / rate : 0});
}

/* One step on a batch; `step` is 1-based within the epoch. */
static eg_status train_step(trainer *t, const eg_batch *batch, int64_t step, eg_error *err) {
    const eg_settings *s = t->run->s;
    int64_t global = (t->epoch - 1) * t->schedule.steps_per_epoch + step - 1;
    size_t side = (size_t)s->preprocess.crop;
    eg_loss_result loss;
    memcpy(eg_plan_input(t->plan), batch->pixels, batch->n * side * side * 3 * sizeof(float));
    t->lr = eg_schedule_lr(&t->schedule, global);
    EG_TRY(eg_plan_forward(t->plan, (int)batch->n, (uint64_t)global, err));
    EG_TRY(eg_plan_backward(&loss, t->plan, batch->labels,
                            &(eg_loss_options){t->class_weight, s->o.label_smoothing}, err));
    if (!isfinite(loss.objective) || !isfinite(loss.loss_sum))
        return diverged(t, step, "loss", isfinite(loss.objective) ? loss.loss_sum : loss.objective,
                        err);
    double norm = eg_optimizer_grad_norm(t->opt);
    if (!isfinite(norm)) return diverged(t, step, "gradient norm", norm, err);
    double limit = s->o.clip_grad;
    eg_optimizer_step(t->opt, t->lr, limit > 0 && norm > limit ? limit / norm : 1.0);
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
                 kept_text(kept, sizeof kept, t), t->run->data->ds->root, t->run->dir);
    }
    return status;
}

static eg_status run_epoch(trainer *t, eg_error *err) {
    eg_run *run = t->run;
    double start = eg_time_now();
    eg_brief val;
    EG_TRY(train_epoch(t, err));
    double train_seconds = eg_time_now() - start;
    EG_TRY(validate(&val, t, err));
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
                                            .step = t->schedule.steps_per_epoch,
                                            .n_steps = t->schedule.steps_per_epoch,
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
