/* Causes of `why` that are seen in the probabilities alone: chance, the threshold, the class shares, calibration. What is
 * changed is chosen on validation or on the counts of the classes; the test labels say what it would have brought.
 * Read first: why.h. */
#include "study/why.h"

#include <math.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for why");
}

/* Test images that `prob` gets right (a second rule of the same network) against the headline. */
static eg_status gain_on_test(eg_why_effect *out, const eg_why_case *c, const double *right,
                              eg_error *err) {
    const size_t n = c->test.n;
    double *change = eg_malloc((n + 1) * sizeof *change);
    if (!change) return no_memory(err);
    for (size_t i = 0; i < n; i++) change[i] = right[i] - c->test_right[i];
    eg_status status =
        eg_study_why_mean(out, change, c->test_unit, n, (uint64_t)c->settings.o.seed, err);
    eg_free(change);
    return status;
}

static double mean_of(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return n > 0 ? sum / (double)n : NAN;
}

eg_status eg_study_why_sampling_noise(eg_why_case *c, eg_error *err) {
    eg_why_effect gap;
    EG_TRY(eg_study_why_difference(&gap, c->val_right, c->val_unit, c->val.n, c->test_right,
                                   c->test_unit, c->test.n, (uint64_t)c->settings.o.seed, err));
    const double half = (gap.ci[1] - gap.ci[0]) / 2;
    json_t *details =
        json_pack("{s:o, s:[o,o], s:o}", "gap_points", eg_json_real(gap.points), "gap_ci",
                  eg_json_real(gap.ci[0]), eg_json_real(gap.ci[1]), "gap_p", eg_json_real(gap.p));
    const bool real = gap.p < 0.05;
    /* what chance alone moves a gap by; it is no cause to be removed, so it is never one */
    const eg_why_row row = {.effect = {half, {NAN, NAN}, NAN}, .details = details};
    return eg_study_why_add(
        c, &row, err,
        "With %zu validation and %zu test images chance alone moves the gap by "
        "%.1f points either way (95 %%, whole patients drawn); the gap of %.1f points "
        "[%.1f, %.1f] is %s.",
        c->val.n, c->test.n, half, gap.points, gap.ci[0], gap.ci[1],
        real ? "more than that" : "within it");
}

/* ---- the threshold ---- */

static void right_at(double *right, const eg_scores *s, double threshold) {
    for (size_t i = 0; i < s->n; i++)
        right[i] = (s->prob[2 * i + 1] >= threshold) == (s->label[i] == 1);
}

eg_status eg_study_why_threshold(eg_why_case *c, eg_error *err) {
    if (c->run.n_classes != 2)
        return eg_study_why_cannot(c, err, "a threshold belongs to two classes, these are %d",
                                   c->run.n_classes);
    double *val = eg_study_scores_positive(&c->val), *test = eg_study_scores_positive(&c->test);
    double *right = eg_malloc((c->test.n + 1) * sizeof *right);
    if (!val || !test || !right) {
        eg_free(val);
        eg_free(test);
        eg_free(right);
        return no_memory(err);
    }
    eg_why_row row = {0};
    const double youden = eg_threshold_youden(val, c->val.label, c->val.n);
    const double best_val = eg_threshold_accuracy(val, c->val.label, c->val.n);
    right_at(right, &c->test, eg_threshold_accuracy(test, c->test.label, c->test.n));
    const double oracle = mean_of(right, c->test.n);
    right_at(right, &c->test, best_val);
    const double at_best = mean_of(right, c->test.n);
    right_at(right, &c->test, youden);
    const double before = mean_of(c->test_right, c->test.n), after = mean_of(right, c->test.n);
    eg_status status = gain_on_test(&row.effect, c, right, err);
    row.details =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "threshold", eg_json_real(youden),
                  "accuracy_half", eg_json_real(before), "accuracy_youden", eg_json_real(after),
                  "accuracy_best_on_val", eg_json_real(at_best), "threshold_best_on_val",
                  eg_json_real(best_val), "accuracy_oracle", eg_json_real(oracle));
    eg_free(val);
    eg_free(test);
    eg_free(right);
    if (status != EG_OK) {
        json_decref(row.details);
        return status;
    }
    return eg_study_why_add(
        c, &row, err,
        "The threshold by Youden on validation (%.3f instead of 0.5) moves test "
        "accuracy from %.3f to %.3f; the best threshold on test itself, which nobody "
        "knows beforehand, bounds it at %.3f.",
        youden, before, after, oracle);
}

/* ---- class shares ---- */

static void shares_of(double *share, const eg_dataset *ds, const uint32_t *indices, size_t n) {
    for (int k = 0; k < ds->n_classes; k++) share[k] = 0;
    for (size_t i = 0; i < n; i++) share[ds->samples[indices[i]].label] += 1 / (double)n;
}

/* p that train and test have the same shares: two classes by patients, more by chi-square of the images. */
static eg_status shares_test(eg_why_effect *out, const eg_why_case *c, const double *share,
                             eg_error *err) {
    const eg_data_stage *d = &c->data;
    const int K = d->ds->n_classes;
    if (K > 2) {
        double chi2 = 0;
        for (int k = 0; k < K; k++) {
            const double all = (share[k] * (double)d->n_train + share[K + k] * (double)d->n_test) /
                               (double)(d->n_train + d->n_test);
            const double a = share[k] - all, b = share[K + k] - all;
            if (all > 0) chi2 += (a * a * (double)d->n_train + b * b * (double)d->n_test) / all;
        }
        *out = (eg_why_effect){NAN, {NAN, NAN}, 1 - eg_chi2_cdf(chi2, K - 1)};
        return EG_OK;
    }
    double *is = eg_malloc((d->n_train + d->n_test + 1) * sizeof *is);
    if (!is) return no_memory(err);
    for (size_t i = 0; i < d->n_train; i++) is[i] = d->ds->samples[d->train[i]].label;
    for (size_t i = 0; i < d->n_test; i++) is[d->n_train + i] = d->ds->samples[d->test[i]].label;
    eg_status status =
        eg_study_why_difference(out, is, c->train_unit, d->n_train, is + d->n_train, c->test_unit,
                                d->n_test, (uint64_t)c->settings.o.seed, err);
    eg_free(is);
    return status;
}

/* Accuracy with the probabilities moved from the shares `from` to `to`; right (n) of them. */
static eg_status moved(double *right, const eg_why_case *c, const double *from, const double *to,
                       eg_error *err) {
    const size_t n = c->test.n * (size_t)c->test.n_classes;
    double *prob = eg_malloc((n + 1) * sizeof *prob);
    if (!prob) return no_memory(err);
    memcpy(prob, c->test.prob, n * sizeof *prob);
    eg_prior_shift(prob, c->test.n, c->test.n_classes, from, to);
    eg_study_why_right(right, prob, c->test.label, c->test.n, c->test.n_classes);
    eg_free(prob);
    return EG_OK;
}

/* share: (4, K) train, test, expected by the network, estimated on test without labels. */
static eg_status prior_row(eg_why_case *c, double *share, double *right, eg_resampled *em,
                           eg_error *err) {
    const int K = c->run.n_classes;
    double *expected = share + 2 * K, *estimated = share + 3 * K;
    eg_why_effect differ;
    shares_of(share, c->data.ds, c->data.train, c->data.n_train);
    shares_of(share + K, c->data.ds, c->data.test, c->data.n_test);
    const char *weights = c->settings.o.class_weights, *sampler = c->settings.o.sampler;
    const bool even = (weights && strcmp(weights, "balanced") == 0) ||
                      (sampler && strcmp(sampler, "balanced") == 0);
    for (int k = 0; k < K; k++) expected[k] = even ? 1.0 / K : share[k];
    EG_TRY(shares_test(&differ, c, share, err));
    EG_TRY(eg_prior_estimate(em, c->test.prob, c->test.n, K, expected,
                             &(eg_resample_options){.n_resamples = 200}, err));
    for (int k = 0; k < K; k++) estimated[k] = em[k].estimate;
    EG_TRY(moved(right, c, expected, estimated, err));
    const double by_em = mean_of(right, c->test.n);
    EG_TRY(moved(right, c, expected, share + K, err));
    eg_why_row row = {0};
    EG_TRY(gain_on_test(&row.effect, c, right, err));
    /* the cause is that the shares differ, and that is what is tested */
    row.effect.p = differ.p;
    double mix = 0; /* of the gap by shares alone, at the recalls of validation */
    for (int k = 0; k < K; k++) {
        double n = 0, hit = 0;
        for (size_t i = 0; i < c->val.n; i++) {
            n += c->val.label[i] == k;
            hit += c->val.label[i] == k ? c->val_right[i] : 0;
        }
        if (n > 0) mix += 100 * (n / (double)c->val.n - share[K + k]) * hit / n;
    }
    row.details = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "train_share", eg_json_real(share[K - 1]),
        "test_share", eg_json_real(share[2 * K - 1]), "estimated_share",
        eg_json_real(estimated[K - 1]), "accuracy", eg_json_real(mean_of(c->test_right, c->test.n)),
        "accuracy_corrected", eg_json_real(mean_of(right, c->test.n)), "accuracy_estimated",
        eg_json_real(by_em), "mix_points", eg_json_real(mix));
    return eg_study_why_add(
        c, &row, err,
        "%s is %.1f %% of train and %.1f %% of test: probabilities corrected to the "
        "test shares move test accuracy from %.3f to %.3f (%.3f with shares estimated "
        "from the test images without their labels).",
        c->run.classes[K - 1], 100 * share[K - 1], 100 * share[2 * K - 1],
        mean_of(c->test_right, c->test.n), mean_of(right, c->test.n), by_em);
}

eg_status eg_study_why_prior_shift(eg_why_case *c, eg_error *err) {
    const size_t K = (size_t)c->run.n_classes;
    double *share = eg_calloc(4 * K, sizeof *share);
    double *right = eg_malloc((c->test.n + 1) * sizeof *right);
    eg_resampled *em = eg_calloc(K, sizeof *em);
    eg_status status = share && right && em ? prior_row(c, share, right, em, err) : no_memory(err);
    eg_free(share);
    eg_free(right);
    eg_free(em);
    return status;
}

/* ---- calibration ---- */

eg_status eg_study_why_calibration(eg_why_case *c, eg_error *err) {
    const int K = c->run.n_classes;
    eg_calibration fitted = {0};
    eg_metrics before, after;
    const size_t n = c->test.n * (size_t)K;
    double *prob = eg_malloc((n + c->test.n + 1) * sizeof *prob);
    if (!prob) return no_memory(err);
    double *right = prob + n;
    memcpy(prob, c->test.prob, n * sizeof *prob);
    eg_status status =
        eg_calibration_fit(&fitted, K == 2 ? EG_CALIBRATION_PLATT : EG_CALIBRATION_TEMPERATURE,
                           c->val.prob, c->val.label, c->val.n, K, err);
    if (status != EG_OK) {
        eg_free(prob);
        return status == EG_ERR_INPUT
                   ? eg_study_why_cannot(c, err,
                                         "no calibration could be fitted to the validation images")
                   : status;
    }
    eg_calibration_apply(&fitted, prob, c->test.n, K);
    eg_calibration_free(&fitted);
    eg_study_why_right(right, prob, c->test.label, c->test.n, K);
    eg_why_row row = {0};
    status = gain_on_test(&row.effect, c, right, err);
    if (status == EG_OK)
        status = eg_metrics_compute(&before, c->test.prob, c->test.label, c->test.n, K, NAN, err);
    if (status == EG_OK) {
        status = eg_metrics_compute(&after, prob, c->test.label, c->test.n, K, NAN, err);
        if (status == EG_OK) {
            row.details =
                json_pack("{s:o, s:o, s:o, s:o}", "loss", eg_json_real(before.loss),
                          "loss_calibrated", eg_json_real(after.loss), "ece",
                          eg_json_real(before.ece), "ece_calibrated", eg_json_real(after.ece));
            status =
                eg_study_why_add(c, &row, err,
                                 "Probabilities calibrated on validation change test accuracy by "
                                 "%+.1f points; the test loss goes from %.3f to %.3f, the "
                                 "calibration error from %.3f to %.3f.",
                                 row.effect.points, before.loss, after.loss, before.ece, after.ece);
            eg_metrics_free(&after);
        }
        eg_metrics_free(&before);
    }
    eg_free(prob);
    return status;
}
