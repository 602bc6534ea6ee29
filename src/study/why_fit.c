/* Causes of `why` that lie in the fit: a penalty too strong or too weak, training that stopped too early, classes that the
 * features do not tell apart. Over- and underfitting are called by name from the run's own training and validation losses.
 * Read first: why.h. */
#include "study/why.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for why");
}

/* A figure of the run's summary: "train", "loss". */
static double figure(const eg_why_case *c, const char *split, const char *name) {
    return eg_study_number(json_object_get(c->summary, split), name);
}

/* Training loss less than half of validation's: overfitting. Neither better than always the larger class: underfitting. */
static const char *fit_name(const eg_why_case *c) {
    const double train = figure(c, "train", "loss"), val = figure(c, "val", "loss");
    const double accuracy = figure(c, "train", "accuracy");
    double most = 0;
    for (int k = 0; k < c->run.n_classes; k++) {
        double n = 0;
        for (size_t i = 0; i < c->data.n_train; i++)
            n += c->data.ds->samples[c->data.train[i]].label == k;
        most = fmax(most, n / (double)c->data.n_train);
    }
    if (!isfinite(train) || !isfinite(val)) return "not known";
    if (accuracy <= most + 0.02) return "underfitting";
    return train < val / 2 ? "overfitting" : "neither";
}

/* Causes "capacity" (the best penalty is weaker than the run's) and "overfitting" (it is stronger), by cross-validation on
 * train. */
eg_status eg_study_why_penalty(eg_why_case *c, eg_error *err) {
    const bool freer = strcmp(eg_study_why_cause_name(c), "capacity") == 0;
    const size_t n = c->data.n_train;
    EG_TRY(eg_study_why_features(c, err));
    if (c->no_features) return eg_study_why_cannot(c, err, "%s", c->no_features);
    if (!c->settings.lbfgs)
        return eg_study_why_cannot(
            c, err,
            "the run has no penalised head; its losses are %.3f on train and "
            "%.3f on validation: %s",
            figure(c, "train", "loss"), figure(c, "val", "loss"), fit_name(c));
    EG_TRY(eg_study_why_cross_patient(c, err));
    double *change = eg_calloc(n + 1, sizeof *change);
    if (!change) return no_memory(err);
    const bool better = freer ? c->C > c->run_C : c->C < c->run_C;
    for (size_t i = 0; better && i < n; i++) change[i] = c->by_patient.right[i] - c->run_right[i];
    eg_why_row row = {0};
    eg_status status =
        eg_study_why_mean(&row.effect, change, c->train_unit, n, (uint64_t)c->settings.o.seed, err);
    eg_free(change);
    EG_TRY(status);
    if (!better) row.effect.p = NAN; /* nothing to test */
    row.details = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "C", eg_json_real(c->run_C), "C_best",
        eg_json_real(c->C), "accuracy", eg_json_real(c->run_accuracy), "accuracy_best",
        eg_json_real(c->by_patient.accuracy), "loss", eg_json_real(c->run_loss), "loss_best",
        eg_json_real(c->by_patient.loss), "train_loss", eg_json_real(figure(c, "train", "loss")),
        "val_loss", eg_json_real(figure(c, "val", "loss")), "train_accuracy",
        eg_json_real(figure(c, "train", "accuracy")), "fit", fit_name(c));
    return eg_study_why_add(
        c, &row, err,
        "Cross-validation on train likes C = %g best (the run: %g): held-out accuracy %.3f against "
        "%.3f; the run's loss is %.3f on train and %.3f on validation: %s.",
        c->C, c->run_C, c->by_patient.accuracy, c->run_accuracy, figure(c, "train", "loss"),
        figure(c, "val", "loss"), fit_name(c));
}

/* "optimisation": did it still get better when it stopped? */
eg_status eg_study_why_fit(eg_why_case *c, eg_error *err) {
    const json_t *history = json_object_get(c->summary, "history");
    const size_t n = json_array_size(history);
    const char *stopped = json_string_value(json_object_get(c->summary, "stopped"));
    eg_why_row row = {.effect = {0, {0, 0}, NAN}}; /* nothing to test */
    if (stopped && strcmp(stopped, "converged") == 0)
        return eg_study_why_add(
            c, &row, err,
            "The head was solved exactly (%zu recorded iterations): no learning rate "
            "or number of epochs would change it.",
            n);
    if (n < 3) return eg_study_why_cannot(c, err, "%zu epochs are too few to see a trend", n);
    const json_t *last = json_array_get(history, n - 1), *before = json_array_get(history, n - 2);
    const double best = eg_study_number(c->summary, "best_epoch"),
                 epochs = eg_study_number(c->summary, "epochs");
    const double step =
        100 * (eg_study_number(last, "val_accuracy") - eg_study_number(before, "val_accuracy"));
    /* one step of validation accuracy against its own sampling error, as of unpaired figures: wide, never too sure */
    const double a = eg_study_number(last, "val_accuracy");
    const double se = 100 * sqrt(2 * fmax(a * (1 - a), 0.25 / (double)c->val.n) / (double)c->val.n);
    row.effect = (eg_why_effect){
        step, {step - 1.96 * se, step + 1.96 * se}, 2 * (1 - eg_normal_cdf(fabs(step) / se))};
    row.details = json_pack("{s:o, s:o, s:o, s:o}", "best_epoch", eg_json_real(best), "epochs",
                            eg_json_real(epochs), "val_loss_last",
                            eg_json_real(eg_study_number(last, "val_loss")), "val_loss_before",
                            eg_json_real(eg_study_number(before, "val_loss")));
    return eg_study_why_add(
        c, &row, err,
        "The last of %.0f epochs moved validation accuracy by %+.1f points and its "
        "loss from %.3f to %.3f; the best epoch was %.0f.",
        epochs, step, eg_study_number(before, "val_loss"), eg_study_number(last, "val_loss"), best);
}

/* Share of held-out training images that may be wrong before the classes are called hard to tell apart. */
#define EASY 0.10

eg_status eg_study_why_hard_signal(eg_why_case *c, eg_error *err) {
    EG_TRY(eg_study_why_features(c, err));
    if (c->no_features) return eg_study_why_cannot(c, err, "%s", c->no_features);
    EG_TRY(eg_study_why_curve_get(c, err));
    const size_t n = c->data.n_train;
    double *wrong = eg_malloc((n + 1) * sizeof *wrong);
    if (!wrong) return no_memory(err);
    for (size_t i = 0; i < n; i++) wrong[i] = 1 - c->by_patient.right[i];
    eg_why_row row = {0};
    eg_status status =
        eg_study_why_mean(&row.effect, wrong, c->train_unit, n, (uint64_t)c->settings.o.seed, err);
    eg_free(wrong);
    EG_TRY(status);
    /* more than EASY, beyond what wrong labels of train explain, by the bootstrap's standard error; and not a matter of few images */
    const double se = (row.effect.ci[1] - row.effect.ci[0]) / (2 * 1.959964);
    const double z = se > 0 ? (row.effect.points - 100 * EASY) / se : 0;
    row.effect.p = z > 0 ? 2 * (1 - eg_normal_cdf(z)) : 1;
    if (c->noisy || (c->curve.fitted && c->curve.floor < EASY)) row.effect.p = 1;
    row.details = json_pack("{s:o, s:o, s:o}", "error", eg_json_real(1 - c->by_patient.accuracy),
                            "floor", eg_json_real(c->curve.floor), "easy", eg_json_real(EASY));
    return eg_study_why_add(
        c, &row, err,
        "On frozen features %.1f %% of held-out training images are wrong, before any "
        "shift; with endless images of the same kind %.1f %% would be (easy: below "
        "%.0f %%).",
        row.effect.points, 100 * c->curve.floor, 100 * EASY);
}
