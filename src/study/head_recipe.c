/* The head by the recipe: minibatch softmax regression on cached features with the same optimiser,
 * schedule, class weights and label smoothing as training of a whole network. The best epoch by
 * validation loss stays in the network. Where images have several views, an epoch takes one, the next
 * epoch the next. Sums in double; one thread, so the bits do not depend on
 * their number. */
#include "study/recipe.h"
#include <math.h>
#include <string.h>

enum { STREAM_ORDER = 0x68656164 }; /* "head": keeps this shuffle apart from the loader's */

typedef struct {
    eg_run *run;
    const eg_head_rows *rows;
    const float *x; /* (n, D): the view of this epoch */
    size_t n, D;
    int K;
    const int32_t *label;
    uint32_t *order;
    eg_net_tensor *weight, *bias;
    float *grad;   /* (K, D), then (K) */
    double *sum;   /* the same in double */
    float *best;   /* the same: head of the best epoch */
    double *delta; /* (K) */
    float *class_weight;
    eg_optimizer *opt;
    eg_schedule schedule;
} head_fit;

/* Softmax of one row of features; returns the plain cross-entropy of its label. */
static double forward_row(double *prob, bool *correct, const head_fit *f, uint32_t row) {
    double top = -INFINITY, total = 0;
    int best = 0;
    const float *x = f->x + row * f->D;
    for (int k = 0; k < f->K; k++) {
        const float *w = f->weight->data + (size_t)k * f->D;
        double z = (double)f->bias->data[k];
        for (size_t d = 0; d < f->D; d++) z += (double)w[d] * (double)x[d];
        prob[k] = z;
        if (z > top) {
            top = z;
            best = k;
        }
    }
    int label = f->label[row];
    double at_label = prob[label];
    for (int k = 0; k < f->K; k++) total += exp(prob[k] - top);
    for (int k = 0; k < f->K; k++) prob[k] = exp(prob[k] - top) / total;
    *correct = best == label;
    return log(total) + top - at_label;
}

/* Gradient of the weighted mean over rows order[from, to), as torch's CrossEntropyLoss(weight,
 * label_smoothing): the smoothed part carries the weight of each class, and the sum is divided by
 * the weights of the labels. */
static double batch_gradient(int64_t *correct, head_fit *f, size_t from, size_t to) {
    size_t n_sums = (size_t)f->K * (f->D + 1);
    double loss = 0, weight_sum = 0, smoothing = f->run->s->o.label_smoothing;
    memset(f->sum, 0, n_sums * sizeof *f->sum);
    for (size_t i = from; i < to; i++) {
        uint32_t row = f->order[i];
        int label = f->label[row];
        bool right;
        loss += forward_row(f->delta, &right, f, row);
        *correct += right;
        weight_sum += (double)f->class_weight[label];
        double mass = 0; /* total weight of this row's targets */
        for (int k = 0; k < f->K; k++)
            mass +=
                (double)f->class_weight[k] * (smoothing / f->K + (k == label ? 1 - smoothing : 0));
        const float *x = f->x + row * f->D;
        for (int k = 0; k < f->K; k++) {
            double target =
                (double)f->class_weight[k] * (smoothing / f->K + (k == label ? 1 - smoothing : 0));
            double g = f->delta[k] * mass - target;
            double *out = f->sum + (size_t)k * f->D;
            for (size_t d = 0; d < f->D; d++) out[d] += g * (double)x[d];
            f->sum[(size_t)f->K * f->D + (size_t)k] += g;
        }
    }
    for (size_t i = 0; i < n_sums; i++) f->grad[i] = (float)(f->sum[i] / weight_sum);
    return loss;
}

static eg_status train_epoch(eg_history_row *row, head_fit *f, int64_t epoch, eg_error *err) {
    const eg_options *o = &f->run->s->o;
    size_t batch = (size_t)o->batch_size;
    double loss = 0;
    int64_t correct = 0, step = (epoch - 1) * f->schedule.steps_per_epoch;
    f->x = f->rows->x + (size_t)(epoch - 1) % f->rows->n_views * f->n * f->D;
    for (size_t i = 0; i < f->n; i++) f->order[i] = (uint32_t)i;
    eg_random random = eg_random_make((uint64_t)o->seed, (uint32_t)epoch, 0, STREAM_ORDER);
    eg_random_shuffle(&random, f->order, f->n);
    for (size_t from = 0; from < f->n; from += batch, step++) {
        size_t to = from + batch < f->n ? from + batch : f->n;
        loss += batch_gradient(&correct, f, from, to);
        double norm = eg_optimizer_grad_norm(f->opt);
        row->lr = eg_schedule_lr(&f->schedule, step);
        if (!isfinite(loss) || !isfinite(norm))
            return eg_fail(
                err, EG_ERR_DIVERGED,
                "training of the head diverged in epoch %lld (learning rate %.3g): the loss is not "
                "finite - try a smaller --lr, or --head lbfgs",
                (long long)epoch, row->lr);
        eg_optimizer_step(f->opt, row->lr,
                          o->clip_grad > 0 && norm > o->clip_grad ? o->clip_grad / norm : 1);
    }
    row->train_loss = loss / (double)f->n;
    row->train_accuracy = (double)correct / (double)f->n;
    return EG_OK;
}

static void copy_head(const head_fit *f, bool restore) {
    size_t n = (size_t)f->K * f->D;
    float *parts[2] = {f->weight->data, f->bias->data}, *saved[2] = {f->best, f->best + n};
    size_t counts[2] = {n, (size_t)f->K};
    for (int i = 0; i < 2; i++)
        memcpy(restore ? parts[i] : saved[i], restore ? saved[i] : parts[i],
               counts[i] * sizeof(float));
}

static eg_status run_epoch(head_fit *f, int64_t epoch, eg_error *err) {
    eg_run *run = f->run;
    eg_history_row row = {.epoch = epoch};
    eg_scores val;
    double start = eg_time_now();
    EG_TRY(eg_study_plateau_set(&f->schedule, run->history, err));
    EG_TRY(train_epoch(&row, f, epoch, err));
    double seconds = eg_time_now() - start;
    EG_TRY(eg_study_frozen_scores(&val, run, run->data->val, run->data->n_val, err));
    eg_status status = eg_study_scores_brief(&row.val, &val, err);
    eg_study_scores_free(&val);
    EG_TRY(status);
    row.seconds = eg_time_now() - start;
    row.images_per_second = seconds > 0 ? (double)f->n / seconds : NAN;
    if (row.val.loss < run->best_loss) {
        run->best_loss = row.val.loss;
        run->best_epoch = epoch;
        copy_head(f, false);
    }
    run->epochs = epoch;
    EG_TRY(eg_study_history_add(run, &row, err));
    eg_study_report(run->ev, &(eg_progress){.kind = EG_PROGRESS_EPOCH,
                                            .stage = "head",
                                            .epoch = epoch,
                                            .n_epochs = run->s->o.epochs,
                                            .loss = row.train_loss,
                                            .mean_loss = row.train_loss,
                                            .accuracy = row.train_accuracy,
                                            .val_loss = row.val.loss,
                                            .val_accuracy = row.val.accuracy,
                                            .val_auc = row.val.auc,
                                            .images_per_second = row.images_per_second,
                                            .lr = row.lr});
    return EG_OK;
}

static eg_status allocate(head_fit *f, eg_error *err) {
    const eg_data_stage *data = f->run->data;
    size_t n_sums = (size_t)f->K * (f->D + 1);
    f->order = eg_malloc(f->n * sizeof *f->order);
    f->grad = eg_calloc(n_sums, sizeof *f->grad);
    f->best = eg_calloc(n_sums, sizeof *f->best);
    f->sum = eg_calloc(n_sums, sizeof *f->sum);
    f->delta = eg_calloc((size_t)f->K, sizeof *f->delta);
    f->class_weight = eg_study_class_weights(f->run->s, data);
    if (!f->order || !f->grad || !f->best || !f->sum || !f->delta || !f->class_weight)
        return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the head");
    return EG_OK;
}

static eg_status fit(head_fit *f, eg_error *err) {
    eg_run *run = f->run;
    const eg_options *o = &run->s->o;
    EG_TRY(eg_study_head_find(&f->weight, &f->bias, run->net, err));
    EG_TRY(allocate(f, err));
    eg_opt_tensor tensors[2] = {
        {f->weight->data, f->grad, (size_t)f->K * f->D, true, NULL},
        {f->bias->data, f->grad + (size_t)f->K * f->D, (size_t)f->K, false, NULL},
    };
    eg_opt_options opt = eg_study_optimizer_options(o);
    EG_TRY(eg_optimizer_new(&f->opt, tensors, 2, &opt, err));
    f->schedule =
        eg_study_schedule(o, (int64_t)((f->n + (size_t)o->batch_size - 1) / (size_t)o->batch_size));
    run->best_loss = INFINITY;
    run->stopped = "epochs";
    for (int64_t epoch = 1; epoch <= o->epochs; epoch++) {
        if (eg_study_stopped(run->ev))
            return eg_fail(err, EG_ERR_INTERRUPTED,
                           "interrupted in epoch %lld of %lld of the head: nothing is saved yet - "
                           "run the same "
                           "command again with --overwrite",
                           (long long)epoch, (long long)o->epochs);
        EG_TRY(run_epoch(f, epoch, err));
        if (o->patience > 0 && epoch - run->best_epoch >= o->patience) {
            run->stopped = "patience";
            break;
        }
    }
    if (run->best_epoch == 0)
        return eg_fail(err, EG_ERR_DIVERGED,
                       "training of the head never gave a finite validation loss");
    copy_head(f, true);
    return EG_OK;
}

eg_status eg_study_head_recipe(eg_run *run, const eg_head_rows *rows, eg_error *err) {
    head_fit f = {.run = run,
                  .rows = rows,
                  .n = rows->n,
                  .D = rows->width,
                  .K = run->data->ds->n_classes,
                  .label = rows->label};
    eg_status status = fit(&f, err);
    eg_optimizer_free(f.opt);
    eg_free(f.order);
    eg_free(f.grad);
    eg_free(f.best);
    eg_free(f.sum);
    eg_free(f.delta);
    eg_free(f.class_weight);
    return status;
}
