/* Causes of `why` that lie in how the data were cut: patients on two sides, copies on two sides, neighbouring ids. Leaks are
 * counted, not tested: one shared patient is a fact. What a leak is worth is measured on heads that are cross-validated with
 * and without it. Read first: why.h. */
#include "study/why.h"

#include <math.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for why");
}

/* Cross-validated accuracy by `by` less that by patients, on the same training images. */
static eg_status against_patients(eg_why_effect *out, double *accuracy, eg_why_case *c,
                                  const char *by, eg_error *err) {
    eg_why_cross x;
    const size_t n = c->data.n_train;
    EG_TRY(eg_study_why_cross_patient(c, err));
    EG_TRY(eg_study_why_cross_run(&x, c, &(eg_why_cross_options){.by = by}, err));
    double *change = eg_malloc((n + 1) * sizeof *change);
    for (size_t i = 0; change && i < n; i++) change[i] = x.right[i] - c->by_patient.right[i];
    eg_status status =
        change ? eg_study_why_mean(out, change, c->train_unit, n, (uint64_t)c->settings.o.seed, err)
               : no_memory(err);
    *accuracy = x.accuracy;
    eg_free(change);
    eg_study_why_cross_free(&x);
    return status;
}

static bool has_patients(const eg_why_case *c) {
    return strcmp(c->data.ds->patient_rule, "none") != 0;
}

eg_status eg_study_why_block_shift(eg_why_case *c, eg_error *err) {
    double accuracy;
    eg_why_row row = {0};
    if (!has_patients(c))
        return eg_study_why_cannot(c, err,
                                   "file names give no ids, so there are no blocks of them");
    EG_TRY(eg_study_why_features(c, err));
    if (c->no_features) return eg_study_why_cannot(c, err, "%s", c->no_features);
    EG_TRY(against_patients(&row.effect, &accuracy, c, "block", err));
    const eg_why_effect e = row.effect; /* a loss by blocks is the effect */
    row.effect = (eg_why_effect){-e.points, {-e.ci[1], -e.ci[0]}, e.p};
    row.details = json_pack("{s:o, s:o}", "accuracy_block", eg_json_real(accuracy),
                            "accuracy_patient", eg_json_real(c->by_patient.accuracy));
    return eg_study_why_add(
        c, &row, err,
        "Frozen heads cross-validated by blocks of neighbouring ids of train reach "
        "%.3f, by random patients %.3f: a split by ids costs %.1f points inside train.",
        accuracy, c->by_patient.accuracy, row.effect.points);
}

/* ---- patients ---- */

/* value (n) = right - mean right of the images whose patient is not in train, for those whose patient is; else 0. The mean of
 * value is what the leak flatters the accuracy by. Returns how many images leak. */
static size_t flattered(double *value, const double *right, const uint32_t *unit, size_t n,
                        const uint8_t *in_train) {
    size_t leaks = 0, others = 0;
    double mean = 0;
    for (size_t i = 0; i < n; i++) {
        leaks += in_train[unit[i]];
        others += !in_train[unit[i]];
        if (!in_train[unit[i]]) mean += right[i];
    }
    mean = others > 0 ? mean / (double)others : 0;
    for (size_t i = 0; i < n; i++) value[i] = in_train[unit[i]] ? right[i] - mean : 0;
    return leaks;
}

/* Of training with validation when those share patients, else with test; image against patient folds beside it. */
static eg_status leak_row(eg_why_case *c, const uint8_t *in_train, double *value, eg_error *err) {
    eg_why_row row = {.fact = true, .either = true};
    eg_why_effect by_image = {NAN, {NAN, NAN}, NAN};
    double accuracy = NAN;
    const size_t in_val = flattered(value, c->val_right, c->val_unit, c->val.n, in_train);
    const size_t in_test = flattered(value, c->test_right, c->test_unit, c->test.n, in_train);
    EG_TRY(eg_study_why_features(c, err));
    if (!c->no_features) EG_TRY(against_patients(&by_image, &accuracy, c, "image", err));
    row.present = in_val > 0 || in_test > 0;
    if (in_val > 0) {
        flattered(value, c->val_right, c->val_unit, c->val.n, in_train);
        EG_TRY(eg_study_why_mean(&row.effect, value, c->val_unit, c->val.n,
                                 (uint64_t)c->settings.o.seed, err));
    } else if (in_test > 0) { /* it hides a gap: what it flatters test by is missing from the gap */
        EG_TRY(eg_study_why_mean(&row.effect, value, c->test_unit, c->test.n,
                                 (uint64_t)c->settings.o.seed, err));
        const eg_why_effect e = row.effect;
        row.effect = (eg_why_effect){-e.points, {-e.ci[1], -e.ci[0]}, e.p};
    }
    row.details = json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o}", "val_images", (json_int_t)in_val, "test_images",
        (json_int_t)in_test, "accuracy_image", eg_json_real(accuracy), "accuracy_patient",
        eg_json_real(c->by_patient.prob ? c->by_patient.accuracy : NAN), "by_image_points",
        eg_json_real(by_image.points), "by_image_p", eg_json_real(by_image.p));
    char would[200] = "";
    if (isfinite(by_image.points))
        snprintf(
            would, sizeof would,
            " A split by images, which lets patients leak, would read %+.1f points [%.1f, %.1f] "
            "on frozen features.",
            by_image.points, by_image.ci[0], by_image.ci[1]);
    return eg_study_why_add(
        c, &row, err,
        "%zu of %zu validation and %zu of %zu test images are of patients of train.%s", in_val,
        c->val.n, in_test, c->test.n, would);
}

eg_status eg_study_why_patient_leak(eg_why_case *c, eg_error *err) {
    if (!has_patients(c))
        return eg_study_why_cannot(c, err,
                                   "file names give no patients (--patients names the rule)");
    const size_t n = c->val.n > c->test.n ? c->val.n : c->test.n;
    uint8_t *in_train = eg_calloc(c->facts.n_units + 1, 1);
    double *value = eg_malloc((n + 1) * sizeof *value);
    for (size_t i = 0; in_train && i < c->data.n_train; i++) in_train[c->train_unit[i]] = 1;
    eg_status status = in_train && value ? leak_row(c, in_train, value, err) : no_memory(err);
    eg_free(in_train);
    eg_free(value);
    return status;
}

/* ---- copies ---- */

/* Mark the test images that are copies of a training or validation image, by pixels. */
static size_t mark_copies(uint8_t *copy, const eg_why_case *c) {
    const eg_data_stage *d = &c->data;
    size_t n = 0;
    for (size_t i = 0; i < d->n_test; i++) {
        const uint8_t *key = c->facts.facts[d->test[i]].pixel_key;
        copy[i] = 0;
        for (size_t k = 0; k < d->ds->n_samples && !copy[i]; k++)
            copy[i] = d->ds->samples[k].split != EG_SPLIT_TEST &&
                      memcmp(key, c->facts.facts[k].pixel_key, EG_KEY_BYTES) == 0;
        n += copy[i];
    }
    return n;
}

eg_status eg_study_why_duplicates(eg_why_case *c, eg_error *err) {
    EG_TRY(eg_study_why_features(c, err));
    EG_TRY(eg_study_why_scan(c, err));
    const json_t *found = json_object_get(c->found, "duplicates");
    const double across = eg_study_number(found, "across_splits");
    const double pixels = eg_study_number(json_object_get(found, "same_pixels"), "across_splits");
    const double near = eg_study_number(json_object_get(found, "near"), "across_splits");
    const size_t n = c->test.n;
    uint8_t *copy = eg_malloc(n + 1);
    double *value = eg_malloc((n + 1) * sizeof *value);
    if (!copy || !value) {
        eg_free(copy);
        eg_free(value);
        return no_memory(err);
    }
    const size_t copies = mark_copies(copy, c);
    double mean = 0;
    for (size_t i = 0; i < n; i++) mean += copy[i] ? 0 : c->test_right[i];
    mean = copies < n ? mean / (double)(n - copies) : 0;
    for (size_t i = 0; i < n; i++) value[i] = copy[i] ? mean - c->test_right[i] : 0;
    eg_why_row row = {.fact = true, .either = true, .present = across + pixels + near > 0};
    eg_status status =
        eg_study_why_mean(&row.effect, value, c->test_unit, n, (uint64_t)c->settings.o.seed, err);
    eg_free(copy);
    eg_free(value);
    EG_TRY(status);
    row.details = json_pack(
        "{s:o, s:o, s:o, s:o, s:I}", "groups", json_incref(json_object_get(found, "groups")),
        "across_splits", eg_json_real(across), "same_pixels_across_splits", eg_json_real(pixels),
        "near_across_splits", eg_json_real(near), "test_copies", (json_int_t)copies);
    return eg_study_why_add(
        c, &row, err,
        "%.0f groups of identical files lie in two splits, %.0f of equal pixels and "
        "%.0f of near copies more; %zu test images are copies of images outside test.",
        across, pixels, near, copies);
}
