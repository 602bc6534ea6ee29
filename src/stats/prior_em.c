/* Class shares of an unlabelled set from a classifier's probabilities (Saerens, Latinne & Decaestecker 2002): the
 * shares that make the outputs most likely, by EM, with an interval over cases. It sees a change of the class mix only
 * as far as the classes look as they did in training. Correcting for shares that are known: eg_prior_shift. */
#include "stats/stats.h"

#include <math.h>
#include <string.h>

enum { MAX_STEPS = 5000 };

typedef struct {
    const double *prob, *from;
    size_t K;
    double *sum; /* (K) room */
} prior_em;

/* EM from `from` until no share moves by 1e-12: each case's probabilities under the shares so far, averaged. */
static void estimate(void *context, double *share, const uint32_t *indices, size_t n) {
    prior_em *e = context;
    size_t K = e->K;
    memcpy(share, e->from, K * sizeof *share);
    for (int step = 0; step < MAX_STEPS; step++) {
        double used = 0, moved = 0;
        memset(e->sum, 0, K * sizeof *e->sum);
        for (size_t i = 0; i < n; i++) {
            const double *row = e->prob + indices[i] * K;
            double mass = 0;
            for (size_t k = 0; k < K; k++)
                mass += e->from[k] > 0 ? row[k] * share[k] / e->from[k] : 0;
            if (!(mass > 0)) continue; /* a case that these classes cannot have */
            used++;
            for (size_t k = 0; k < K; k++)
                if (e->from[k] > 0) e->sum[k] += row[k] * share[k] / e->from[k] / mass;
        }
        for (size_t k = 0; k < K; k++) {
            double now = used > 0 ? e->sum[k] / used : NAN;
            moved = fmax(moved, fabs(now - share[k]));
            share[k] = now;
        }
        if (!(moved > 1e-12)) break;
    }
}

eg_status eg_prior_estimate(eg_resampled *out, const double *prob, size_t n, int n_classes,
                            const double *from, const eg_resample_options *o, eg_error *err) {
    double total = 0;
    size_t K = (size_t)n_classes;
    for (int k = 0; k < n_classes; k++) total += from[k] >= 0 ? from[k] : NAN;
    if (n_classes < 2 || !(fabs(total - 1) < 1e-6))
        return eg_fail(err, EG_ERR_INPUT,
                       "class shares: %d classes with shares that add to %g, expected 2 or more "
                       "and 1",
                       n_classes, total);
    for (size_t i = 0; i < n * K; i++) {
        if (prob[i] >= 0 && prob[i] <= 1 + 1e-6) continue;
        return eg_fail(err, EG_ERR_INPUT, "class shares: case %zu: probability %g", i / K, prob[i]);
    }
    prior_em e = {prob, from, K, eg_malloc(K * sizeof *e.sum)};
    if (!e.sum) return eg_fail(err, EG_ERR_NO_MEMORY, "class shares: no memory");
    eg_status status = eg_resample(out, K, estimate, &e, n, o, err);
    eg_free(e.sum);
    return status;
}
