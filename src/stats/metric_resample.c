/* Bootstrap of every metric of several classifiers at once, and of their differences on the same cases: all figures of
 * one classifier and resample come from one pass of metrics.c over the drawn cases, and every classifier sees the same
 * draws, so that differences are paired. Drawing is bootstrap.c's. */
#include "stats/stats.h"

#include <math.h>
#include <string.h>

const char *eg_metric_name(eg_metric metric) {
    static const char *const NAMES[EG_METRIC_COUNT] = {
#define METRIC_NAME(id, field) #field,
        EG_METRIC_LIST(METRIC_NAME)
#undef METRIC_NAME
    };
    return (unsigned)metric < EG_METRIC_COUNT ? NAMES[metric] : "";
}

typedef struct {
    const eg_predictions *p; /* (m) */
    size_t m;
    bool pairs;   /* values: m times the metrics, then the differences of the pairs */
    double *prob; /* room for one resample; grows */
    int32_t *label;
    size_t room;
    bool no_memory;
} resampler;

static bool make_room(resampler *r, size_t n) {
    if (n <= r->room) return true;
    eg_free(r->prob);
    eg_free(r->label);
    r->room = 0;
    r->prob = eg_malloc(n * (size_t)r->p->n_classes * sizeof *r->prob);
    r->label = eg_malloc(n * sizeof *r->label);
    if (!r->prob || !r->label) return false;
    r->room = n;
    return true;
}

/* The figures of `p` on the drawn cases; all NaN when there is no memory. */
static void figures_of(double value[EG_METRIC_COUNT], resampler *r, const eg_predictions *p,
                       const uint32_t *indices, size_t n) {
    size_t K = (size_t)p->n_classes;
    eg_metrics m;
    bool ok = make_room(r, n);
    for (size_t i = 0; ok && i < n; i++) {
        r->label[i] = p->label[indices[i]];
        for (size_t k = 0; k < K; k++) r->prob[i * K + k] = p->prob[indices[i] * K + k];
    }
    /* the inputs were checked on the whole sample: only memory can be missing */
    if (!ok || eg_metrics_compute(&m, r->prob, r->label, n, p->n_classes, p->threshold, NULL)) {
        r->no_memory = true;
        for (int v = 0; v < EG_METRIC_COUNT; v++) value[v] = NAN;
        return;
    }
#define METRIC_VALUE(id, field) value[EG_METRIC_##id] = m.field;
    EG_METRIC_LIST(METRIC_VALUE)
#undef METRIC_VALUE
    eg_metrics_free(&m);
}

static void statistic(void *context, double *value, const uint32_t *indices, size_t n) {
    resampler *r = context;
    double *difference = value + r->m * EG_METRIC_COUNT;
    for (size_t a = 0; a < r->m; a++)
        figures_of(value + a * EG_METRIC_COUNT, r, &r->p[a], indices, n);
    for (size_t a = 0; r->pairs && a < r->m; a++)
        for (size_t b = a + 1; b < r->m; b++)
            for (size_t v = 0; v < EG_METRIC_COUNT; v++)
                *difference++ = value[a * EG_METRIC_COUNT + v] - value[b * EG_METRIC_COUNT + v];
}

/* The whole sample once, for its errors: a bad probability is named instead of giving NaN everywhere. */
static eg_status inputs_check(const eg_predictions *p, size_t m, eg_error *err) {
    for (size_t a = 0; a < m; a++) {
        eg_metrics whole;
        if (p[a].n != p->n || p[a].n_classes != p->n_classes)
            return eg_fail(err, EG_ERR_MISMATCH,
                           "bootstrap: %zu cases of %d classes against %zu of %d, expected the "
                           "same",
                           p->n, p->n_classes, p[a].n, p[a].n_classes);
        EG_TRY(eg_metrics_compute(&whole, p[a].prob, p[a].label, p[a].n, p[a].n_classes,
                                  p[a].threshold, err));
        eg_metrics_free(&whole);
    }
    return EG_OK;
}

eg_status eg_metrics_resample(eg_resampled *each, eg_resampled *pairs, const eg_predictions *p,
                              size_t m, const eg_resample_options *o, eg_error *err) {
    EG_TRY(inputs_check(p, m, err));
    size_t n_pairs = pairs ? m * (m - 1) / 2 : 0, values = (m + n_pairs) * EG_METRIC_COUNT;
    resampler r = {.p = p, .m = m, .pairs = pairs != NULL};
    eg_resampled *all = eg_malloc((values + 1) * sizeof *all);
    eg_status status = all ? eg_resample(all, values, statistic, &r, p->n, o, err)
                           : eg_fail(err, EG_ERR_NO_MEMORY, "bootstrap: no memory");
    if (status == EG_OK && r.no_memory)
        status = eg_fail(err, EG_ERR_NO_MEMORY, "bootstrap: no memory for %zu cases", p->n);
    if (status == EG_OK) {
        memcpy(each, all, m * EG_METRIC_COUNT * sizeof *all);
        if (pairs)
            memcpy(pairs, all + m * EG_METRIC_COUNT, n_pairs * EG_METRIC_COUNT * sizeof *all);
    }
    eg_free(all);
    eg_free(r.prob);
    eg_free(r.label);
    return status;
}
