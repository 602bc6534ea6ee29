/* The cause of `why` that remains when classes keep their shares: images of one class that look different on test. Per class:
 * the recall that is lost, weighted by the class's share of test (these sums and the mix of classes make the gap), and whether
 * a classifier tells train from test inside the class. What the looks that have a name (why_looks.c) explain is taken off.
 * Read first: why.h, data_drift.c. */
#include "study/why.h"

#include <math.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for why");
}

/* Right or wrong of the images of class k, and their patients. Returns how many. */
static size_t of_class(double *right, uint32_t *unit, const eg_scores *s, const double *all_right,
                       const uint32_t *all_unit, int k) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->label[i] != k) continue;
        right[n] = all_right[i];
        unit[n++] = all_unit[i];
    }
    return n;
}

/* The drift of class k from train to test, on features where there are some; NULL: too few images. */
static const json_t *drift_of(const eg_why_case *c, const char *class_name) {
    const json_t *best = NULL;
    json_t *item;
    size_t i;
    json_array_foreach(json_object_get(c->found, "drift"), i, item) {
        const char *to = json_string_value(json_object_get(item, "to"));
        const char *name = json_string_value(json_object_get(item, "class"));
        const char *on = json_string_value(json_object_get(item, "on"));
        if (!to || !name || !on || strcmp(to, "test") != 0 || strcmp(name, class_name) != 0)
            continue;
        if (!best || strcmp(on, "features") == 0) best = item;
    }
    return best;
}

/* room: rights and units of both splits. */
static eg_status shift_of(eg_why_case *c, int k, double *right, uint32_t *unit, eg_error *err) {
    const char *name = c->run.classes[k];
    double *test_right = right + c->val.n, recall[2] = {0};
    uint32_t *test_unit = unit + c->val.n;
    const size_t n = of_class(right, unit, &c->val, c->val_right, c->val_unit, k);
    const size_t m = of_class(test_right, test_unit, &c->test, c->test_right, c->test_unit, k);
    if (n == 0 || m == 0)
        return eg_study_why_cannot(c, err, "%s has %zu validation and %zu test images", name, n, m);
    for (size_t i = 0; i < n; i++) recall[0] += right[i] / (double)n;
    for (size_t i = 0; i < m; i++) recall[1] += test_right[i] / (double)m;
    eg_why_row row = {.class_name = name};
    EG_TRY(eg_study_why_difference(&row.effect, right, unit, n, test_right, test_unit, m,
                                   (uint64_t)c->settings.o.seed, err));
    const double share = (double)m / (double)c->test.n;
    const double explained = c->explained[k], total = share * row.effect.points;
    const double se = share * (row.effect.ci[1] - row.effect.ci[0]) / (2 * 1.959964);
    for (int end = 0; end < 2; end++) row.effect.ci[end] = share * row.effect.ci[end] - explained;
    row.effect.points = total - explained;
    if (explained > 0 && se > 0) /* what is left may be nothing */
        row.effect.p = fmax(row.effect.p, 2 * (1 - eg_normal_cdf(fabs(row.effect.points) / se)));
    const json_t *drift = drift_of(c, name);
    const double auc = drift ? eg_study_number(drift, "auc") : NAN;
    const double control = drift ? eg_study_number(drift, "control_auc") : NAN;
    const double p = drift ? eg_study_number(drift, "p") : NAN;
    if (isfinite(p)) row.effect.p = fmax(row.effect.p, p); /* both must show it */
    const char *on = drift ? json_string_value(json_object_get(drift, "on")) : "";
    row.details =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "recall_val", eg_json_real(recall[0]),
                  "recall_test", eg_json_real(recall[1]), "total_points", eg_json_real(total),
                  "explained_points", eg_json_real(explained), "domain_auc", eg_json_real(auc),
                  "control_auc", eg_json_real(control), "domain_p", eg_json_real(p), "on", on);
    char told[160] = "too few images for a classifier of the split";
    if (isfinite(auc))
        snprintf(told, sizeof told,
                 "a classifier on %s tells train from test with AUC %.2f (random halves: %.2f)", on,
                 auc, control);
    char named[120] = "";
    if (explained > 0)
        snprintf(named, sizeof named, ", of which %.1f are explained by looks that have a name",
                 explained);
    return eg_study_why_add(
        c, &row, err,
        "%s: %.3f are recognised on validation, %.3f on test, which is %.1f points of "
        "test accuracy%s; %s.",
        name, recall[0], recall[1], total, named, told);
}

eg_status eg_study_why_covariate_shift(eg_why_case *c, eg_error *err) {
    EG_TRY(eg_study_why_features(c, err));
    EG_TRY(eg_study_why_scan(c, err));
    const size_t n = c->val.n + c->test.n;
    double *right = eg_malloc((n + 1) * sizeof *right);
    uint32_t *unit = eg_malloc((n + 1) * sizeof *unit);
    eg_status status = right && unit ? EG_OK : no_memory(err);
    for (int k = 0; status == EG_OK && k < c->run.n_classes; k++)
        status = shift_of(c, k, right, unit, err);
    eg_free(right);
    eg_free(unit);
    return status;
}
