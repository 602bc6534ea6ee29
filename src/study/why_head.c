/* Causes of `why` that lie in the training images: wrong labels, too few of them, classes of unequal size. All on exact heads
 * over frozen features; what a change would have brought is counted on test. Read first: why.h, causes.h of the stats room. */
#include "study/why.h"

#include <math.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for why");
}

/* Heads `a` and `b` on the test images: weight[label] times (b right - a right). weight NULL: 1. */
static eg_status head_gain(eg_why_effect *out, const eg_why_case *c, const eg_why_cross_options *a,
                           const eg_why_cross_options *b, const double *weight, eg_error *err) {
    const size_t n = c->test.n, K = (size_t)c->run.n_classes;
    double *prob = eg_malloc((n * K + 1) * sizeof *prob);
    double *before = eg_malloc((n + 1) * sizeof *before),
           *after = eg_malloc((n + 1) * sizeof *after);
    eg_status status = prob && before && after ? EG_OK : no_memory(err);
    if (status == EG_OK) status = eg_study_why_head(prob, c, a, c->data.test, n, err);
    if (status == EG_OK) {
        eg_study_why_right(before, prob, c->test.label, n, (int)K);
        status = eg_study_why_head(prob, c, b, c->data.test, n, err);
    }
    if (status == EG_OK) {
        eg_study_why_right(after, prob, c->test.label, n, (int)K);
        for (size_t i = 0; i < n; i++)
            after[i] = (weight ? weight[c->test.label[i]] : 1) * (after[i] - before[i]);
        status = eg_study_why_mean(out, after, c->test_unit, n, (uint64_t)c->settings.o.seed, err);
    }
    eg_free(prob);
    eg_free(before);
    eg_free(after);
    return status;
}

/* ---- wrong labels ---- */

static eg_status flips(eg_flip_rates *out, const eg_why_case *c, eg_error *err) {
    const size_t n = c->data.n_train;
    *out = (eg_flip_rates){NAN, NAN, NAN, NAN, NAN, NAN};
    if (c->run.n_classes != 2) return EG_OK;
    double *score = eg_malloc((n + 1) * sizeof *score);
    if (!score) return no_memory(err);
    for (size_t i = 0; i < n; i++) score[i] = c->by_patient.prob[2 * i + 1];
    eg_status status = eg_flip_rates_fit(out, score, c->label, n, err);
    eg_free(score);
    return status;
}

/* Accuracy of the head on test less that on held-out training images: labels that are wrong in train alone make the latter
 * look bad. A patient or copy on both sides would do the same: then it says nothing, and p is 1. */
static eg_status easier_test(eg_why_effect *out, const eg_why_case *c, eg_error *err) {
    const size_t n = c->test.n, K = (size_t)c->run.n_classes;
    size_t shared, apparent;
    double *prob = eg_malloc((n * (K + 1) + 1) * sizeof *prob);
    if (!prob) return no_memory(err);
    double *right = prob + n * K;
    eg_status status = eg_study_why_head(prob, c, &(eg_why_cross_options){0}, c->data.test, n, err);
    if (status == EG_OK) {
        eg_study_why_right(right, prob, c->test.label, n, (int)K);
        status =
            eg_study_why_difference(out, right, c->test_unit, n, c->by_patient.right, c->train_unit,
                                    c->data.n_train, (uint64_t)c->settings.o.seed, err);
    }
    eg_free(prob);
    eg_dataset_patient_overlap(&shared, &apparent, c->data.ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST);
    if (status == EG_OK && (shared > 0 || out->points < 0)) out->p = 1;
    return status;
}

eg_status eg_study_why_label_noise(eg_why_case *c, eg_error *err) {
    eg_confident found;
    eg_flip_rates rates;
    EG_TRY(eg_study_why_features(c, err));
    if (c->no_features) return eg_study_why_cannot(c, err, "%s", c->no_features);
    EG_TRY(eg_study_why_cross_patient(c, err));
    EG_TRY(eg_confident_learn(&found, c->by_patient.prob, c->label, c->data.n_train,
                              c->run.n_classes,
                              &(eg_resample_options){.seed = (uint64_t)c->settings.o.seed}, err));
    size_t suspects = 0;
    for (size_t i = 0; i < c->data.n_train; i++) suspects += found.suspect[i];
    const double rate = found.noise_rate, null = found.null_mean, p = found.p;
    const eg_why_cross_options all = {0}, clean = {.leave_out = found.suspect};
    eg_why_row row = {0};
    eg_status status = head_gain(&row.effect, c, &all, &clean, NULL, err);
    eg_confident_free(&found);
    if (status == EG_OK) status = flips(&rates, c, err);
    EG_TRY(status);
    /* overlap of the classes gives suspects too; a floor under the error of sure answers does not come from overlap. And
     * a head that has learned to be too sure leaves such a floor as well: so it must help to do without the suspects. */
    row.effect.p = fmax(row.effect.p, c->run.n_classes == 2 ? rates.p : p);
    if (!(row.effect.points > 0)) row.effect.p = 1;
    const double gain = row.effect.points;
    eg_why_effect easier;
    EG_TRY(easier_test(&easier, c, err));
    c->noisy = easier.p < 0.05;
    /* the stronger of two signs, paid for twice */
    if (easier.p < row.effect.p) row.effect = easier;
    row.effect.p = fmin(1, 2 * row.effect.p);
    row.details = json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "noise_rate",
                            eg_json_real(rate), "null_rate", eg_json_real(null), "confident_p",
                            eg_json_real(p), "suspects", (json_int_t)suspects, "flip_0",
                            eg_json_real(rates.e0), "flip_1", eg_json_real(rates.e1), "flip_p",
                            eg_json_real(rates.p), "without_suspects_points", eg_json_real(gain),
                            "test_minus_train_points", eg_json_real(easier.points));
    char told[160] = "";
    if (c->run.n_classes == 2)
        snprintf(told, sizeof told,
                 " Sure answers that are wrong put the flipped labels at %.1f %% of %s and %.1f %% "
                 "of %s.",
                 100 * rates.e0, c->run.classes[0], 100 * rates.e1, c->run.classes[1]);
    return eg_study_why_add(
        c, &row, err,
        "Confident learning suspects %zu training labels (%.1f %%, and %.1f %% where "
        "classes only overlap); without them the head's test accuracy moves by %+.1f "
        "points.%s The head is right about %.1f %% of held-out training "
        "images and %.1f %% of test images.",
        suspects, 100 * rate, 100 * null, gain, told, 100 * c->by_patient.accuracy,
        100 * c->by_patient.accuracy + easier.points);
}

/* ---- too few images ---- */

eg_status eg_study_why_curve_get(eg_why_case *c, eg_error *err) {
    static const double SHARES[EG_WHY_SIZES] = {0.1, 0.25, 0.5, 1};
    eg_why_curve *curve = &c->curve;
    const size_t n = c->data.n_train;
    if (curve->done) return EG_OK;
    double *half = eg_calloc(n + 1, sizeof *half);
    if (!half) return no_memory(err);
    eg_status status = eg_study_why_cross_patient(c, err);
    for (int k = 0; status == EG_OK && k < EG_WHY_SIZES; k++) {
        eg_why_cross x = {0};
        const bool all = SHARES[k] >= 1;
        const eg_why_cross_options o = {.by = "patient", .share = SHARES[k]};
        if (!all) status = eg_study_why_cross_run(&x, c, &o, err);
        const double accuracy = all ? c->by_patient.accuracy : x.accuracy;
        if (SHARES[k] == 0.5 && status == EG_OK)
            for (size_t i = 0; i < n; i++) half[i] = c->by_patient.right[i] - x.right[i];
        const double folds = (EG_WHY_FOLDS - 1.0) / EG_WHY_FOLDS;
        curve->size[k] = SHARES[k] * (double)n * folds;
        curve->error[k] = 1 - accuracy;
        curve->sigma[k] = sqrt(fmax(accuracy * (1 - accuracy), 0.25 / (double)n) / (double)n);
        eg_study_why_cross_free(&x);
    }
    if (status == EG_OK)
        status = eg_study_why_mean(&curve->last, half, c->train_unit, n,
                                   (uint64_t)c->settings.o.seed, err);
    eg_free(half);
    EG_TRY(status);
    eg_power_law law;
    const eg_resample_options o = {.n_resamples = 200, .seed = (uint64_t)c->settings.o.seed};
    curve->fitted = eg_power_law_fit(&law, curve->size, curve->error, curve->sigma, EG_WHY_SIZES,
                                     NULL) == EG_OK &&
                    eg_power_law_predict(&curve->at_double, curve->size, curve->error, curve->sigma,
                                         EG_WHY_SIZES, 2 * (double)n, &o, NULL) == EG_OK;
    curve->floor = curve->fitted ? law.a : NAN;
    curve->done = true;
    return EG_OK;
}

/* Training images of a class below which it is a fact that there are too few. */
enum { LEAST_OF_CLASS = 20 };

static size_t smallest_class(const eg_why_case *c) {
    size_t least = c->data.n_train;
    for (int k = 0; k < c->run.n_classes; k++) {
        size_t n = 0;
        for (size_t i = 0; i < c->data.n_train; i++) n += c->label[i] == k;
        if (n < least) least = n;
    }
    return least;
}

eg_status eg_study_why_few_images(eg_why_case *c, eg_error *err) {
    EG_TRY(eg_study_why_features(c, err));
    if (c->no_features) return eg_study_why_cannot(c, err, "%s", c->no_features);
    EG_TRY(eg_study_why_curve_get(c, err));
    const eg_why_curve *k = &c->curve;
    if (!k->fitted) return eg_study_why_cannot(c, err, "the learning curve follows no power law");
    const double now = k->error[EG_WHY_SIZES - 1];
    eg_why_row row = {
        .effect = {100 * (now - k->at_double.estimate),
                   {100 * (now - k->at_double.ci[1]), 100 * (now - k->at_double.ci[0])},
                   k->last.p}};
    /* the last doubling must have brought something, and the next be sure to bring something still */
    const double se = (row.effect.ci[1] - row.effect.ci[0]) / (2 * 1.959964);
    if (!(k->last.points > 0)) row.effect.p = 1;
    if (se > 0)
        row.effect.p = fmax(row.effect.p, 2 * (1 - eg_normal_cdf(fabs(row.effect.points) / se)));
    const size_t least = smallest_class(c);
    row.fact = row.present = least < LEAST_OF_CLASS; /* nothing can be tested on so few */
    row.details =
        json_pack("{s:[o,o,o,o], s:[o,o,o,o], s:o, s:o, s:o}", "images", eg_json_real(k->size[0]),
                  eg_json_real(k->size[1]), eg_json_real(k->size[2]), eg_json_real(k->size[3]),
                  "error", eg_json_real(k->error[0]), eg_json_real(k->error[1]),
                  eg_json_real(k->error[2]), eg_json_real(k->error[3]), "last_doubling_points",
                  eg_json_real(k->last.points), "error_at_double",
                  eg_json_real(k->at_double.estimate), "error_at_most", eg_json_real(k->floor));
    return eg_study_why_add(
        c, &row, err,
        "The smallest class has %zu training images. Held-out ones are wrong in %.1f %% with a "
        "tenth of the images, "
        "%.1f %% with half and %.1f %% with all; twice as many would leave %.1f %% "
        "(power law).",
        least, 100 * k->error[0], 100 * k->error[2], 100 * now, 100 * k->at_double.estimate);
}

/* ---- classes of unequal size ---- */

eg_status eg_study_why_imbalance(eg_why_case *c, eg_error *err) {
    const int K = c->run.n_classes;
    EG_TRY(eg_study_why_features(c, err));
    if (c->no_features) return eg_study_why_cannot(c, err, "%s", c->no_features);
    double *weight = eg_calloc((size_t)K, sizeof *weight);
    size_t *count = eg_calloc((size_t)K, sizeof *count), least = SIZE_MAX, most = 0;
    if (!weight || !count) {
        eg_free(weight);
        eg_free(count);
        return no_memory(err);
    }
    double chi2 = 0;
    const double even = (double)c->data.n_train / K;
    for (size_t i = 0; i < c->data.n_train; i++) count[c->label[i]]++;
    for (size_t i = 0; i < c->test.n; i++) weight[c->test.label[i]]++;
    for (int k = 0; k < K; k++) {
        least = count[k] < least ? count[k] : least;
        most = count[k] > most ? count[k] : most;
        chi2 += ((double)count[k] - even) * ((double)count[k] - even) / even;
        weight[k] = weight[k] > 0 ? (double)c->test.n / (K * weight[k]) : 0;
    }
    const eg_why_cross_options plain = {0}, balanced = {.balanced = true};
    eg_why_row row = {0};
    eg_status status = head_gain(&row.effect, c, &plain, &balanced, weight, err);
    eg_free(weight);
    eg_free(count);
    EG_TRY(status);
    row.effect.p = fmax(row.effect.p, 1 - eg_chi2_cdf(chi2, K - 1)); /* classes must be unequal */
    row.details = json_pack("{s:I, s:I, s:s}", "smallest_class", (json_int_t)least, "largest_class",
                            (json_int_t)most, "unit", "points of balanced accuracy");
    return eg_study_why_add(
        c, &row, err,
        "The classes of train have %zu to %zu images; a head with balanced weights "
        "moves balanced accuracy on test by %+.1f points.",
        least, most, row.effect.points);
}
