/* The exact head: L2 logistic regression on the features, solved by L-BFGS to convergence
 * (scikit-learn's LogisticRegression), then written into the network's last layer. A history row is
 * one iteration. With two classes the one weight vector w becomes rows -w/2 and +w/2, so that the
 * softmax gives sigmoid(w x + b). */
#include "study/recipe.h"
#include <math.h>
#include <string.h>

typedef struct {
    eg_run *run;
    const eg_head_rows *rows;
    eg_net_tensor *weight, *bias;
    double start, last;
    int last_recorded;
    eg_status status; /* of recording; the solver's callback can only stop */
    eg_error *err;
} exact_fit;

static void write_head(const exact_fit *f, const double *coef, const double *intercept) {
    size_t D = f->run->store->width;
    int K = f->run->data->ds->n_classes;
    for (int k = 0; k < K; k++) {
        double scale = K == 2 ? (k == 0 ? -0.5 : 0.5) : 1.0;
        size_t row = K == 2 ? 0 : (size_t)k;
        for (size_t d = 0; d < D; d++)
            f->weight->data[(size_t)k * D + d] = (float)(scale * coef[row * D + d]);
        f->bias->data[k] = (float)(scale * intercept[row]);
    }
}

/* Loss and accuracy of train and validation with the head as it is; one history row and one
 * progress event. */
static eg_status record(exact_fit *f, int iteration, eg_error *err) {
    eg_run *run = f->run;
    const eg_data_stage *data = run->data;
    eg_scores scores;
    eg_brief train, val;
    EG_TRY(eg_study_frozen_scores(&scores, run, data->train, data->n_train, err));
    eg_status status = eg_study_scores_brief(&train, &scores, err);
    eg_study_scores_free(&scores);
    EG_TRY(status);
    EG_TRY(eg_study_frozen_scores(&scores, run, data->val, data->n_val, err));
    status = eg_study_scores_brief(&val, &scores, err);
    eg_study_scores_free(&scores);
    EG_TRY(status);
    double now = eg_time_now();
    eg_history_row row = {iteration, train.loss, train.accuracy, val, NAN, now - f->last, NAN};
    f->last = now;
    f->last_recorded = iteration;
    run->best_loss = val.loss;
    EG_TRY(eg_study_history_add(run, &row, err));
    eg_study_report(run->ev, &(eg_progress){.kind = EG_PROGRESS_EPOCH,
                                            .stage = "head",
                                            .epoch = iteration,
                                            .loss = train.loss,
                                            .mean_loss = train.loss,
                                            .accuracy = train.accuracy,
                                            .val_loss = val.loss,
                                            .val_accuracy = val.accuracy,
                                            .val_auc = val.auc,
                                            .images_per_second = NAN,
                                            .lr = NAN});
    return EG_OK;
}

/* Every iteration at first, every tenth later: scoring costs as much as the iteration itself. */
static bool on_iteration(void *context, int iteration, const double *coef, const double *intercept,
                         double objective) {
    exact_fit *f = context;
    (void)objective;
    if (eg_study_stopped(f->run->ev)) {
        f->status = eg_fail(
            f->err, EG_ERR_INTERRUPTED,
            "interrupted while solving the head: nothing is saved yet - run the same command again "
            "with --overwrite");
        return true;
    }
    if (iteration > 20 && iteration % 10 != 0) return false;
    write_head(f, coef, intercept);
    f->status = record(f, iteration, f->err);
    return f->status != EG_OK;
}

/* Labels of all views; NULL: no memory. */
static int32_t *repeated_labels(const eg_head_rows *rows) {
    int32_t *label = eg_malloc((rows->n * rows->n_views + 1) * sizeof *label);
    for (size_t v = 0; label && v < rows->n_views; v++)
        memcpy(label + v * rows->n, rows->label, rows->n * sizeof *label);
    return label;
}

static eg_status fit(exact_fit *f, double *coef, double *intercept, eg_error *err) {
    eg_run *run = f->run;
    const eg_data_stage *data = run->data;
    int K = data->ds->n_classes, n_iterations = 0;
    float *narrow = eg_study_class_weights(run->s, data);
    double *weights = narrow ? eg_malloc((size_t)K * sizeof *weights) : NULL;
    for (int k = 0; weights && k < K; k++) weights[k] = (double)narrow[k];
    int32_t *label = repeated_labels(f->rows);
    eg_status status =
        weights && label ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the head");
    double C = run->s->o.C;
    if (status == EG_OK && C <= 0)
        status = eg_study_penalty_choose(&C, &run->penalty, run, f->rows, err);
    if (status == EG_OK) {
        /* an image counts once, however many views of it there are */
        eg_logistic_options o = {.C = C / (double)f->rows->n_views,
                                 .class_weight = weights,
                                 .iteration = on_iteration,
                                 .context = f};
        status = eg_logistic_fit(coef, intercept, &n_iterations, f->rows->x, label,
                                 f->rows->n * f->rows->n_views, f->rows->width, K, &o, err);
    }
    eg_free(label);
    if (f->status != EG_OK) status = f->status; /* why the callback stopped it */
    eg_free(narrow);
    eg_free(weights);
    EG_TRY(status);
    write_head(f, coef, intercept);
    if (f->last_recorded != n_iterations) EG_TRY(record(f, n_iterations, err));
    run->epochs = run->best_epoch = n_iterations;
    run->stopped = "converged";
    return EG_OK;
}

eg_status eg_study_head_exact(eg_run *run, const eg_head_rows *rows, eg_error *err) {
    const eg_data_stage *data = run->data;
    size_t n_vectors = data->ds->n_classes == 2 ? 1 : (size_t)data->ds->n_classes;
    exact_fit f = {.run = run, .rows = rows, .start = eg_time_now(), .err = err};
    f.last = f.start;
    EG_TRY(eg_study_head_find(&f.weight, &f.bias, run->net, err));
    double *coef = eg_calloc(n_vectors * rows->width, sizeof *coef),
           *intercept = eg_calloc(n_vectors, sizeof *intercept);
    eg_status status = coef && intercept
                           ? fit(&f, coef, intercept, err)
                           : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the head");
    eg_free(coef);
    eg_free(intercept);
    return status;
}
