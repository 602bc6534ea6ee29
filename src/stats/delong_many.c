/* DeLong, DeLong & Clarke-Pearson (1988) for any number of scores of the same cases: covariance of the areas, and the
 * chi-square test that all areas are equal. Two scores alone: roc.c, which avoids the cancellation in the difference's
 * variance. Read first: placements.h. */
#include "stats/placements.h"

#include <math.h>

/* Covariance of two areas: sample covariances of their placements in each class, over the class's size. */
static double covariance_of(const eg_stats_placements *a, const eg_stats_placements *b,
                            const int32_t *label, size_t n) {
    double mean_a[2] = {0, 0}, mean_b[2] = {0, 0}, products[2] = {0, 0};
    if (a->n1 < 2 || a->n0 < 2) return NAN;
    for (size_t i = 0; i < n; i++) {
        bool positive = label[i] == 1;
        mean_a[positive] += a->v[i] / (positive ? a->n1 : a->n0);
        mean_b[positive] += b->v[i] / (positive ? b->n1 : b->n0);
    }
    for (size_t i = 0; i < n; i++) {
        bool positive = label[i] == 1;
        products[positive] += (a->v[i] - mean_a[positive]) * (b->v[i] - mean_b[positive]);
    }
    return products[1] / (a->n1 - 1) / a->n1 / (a->n0 * a->n0) +
           products[0] / (a->n0 - 1) / a->n0 / (a->n1 * a->n1);
}

/* d' S^-1 d over the differences from the last area, S of `k` rows, by Cholesky with the largest pivot first, in place;
 * a pivot that is nothing beside the first one ends it. Returns the rank. */
static size_t quadratic_form(double *chi2, double *s, double *d, size_t k) {
    double largest = 0;
    *chi2 = 0;
    for (size_t step = 0; step < k; step++) {
        size_t pivot = step;
        for (size_t i = step + 1; i < k; i++)
            if (s[i * k + i] > s[pivot * k + pivot]) pivot = i;
        double v = s[pivot * k + pivot];
        if (step == 0) largest = v;
        if (!(v > 0) || v < 1e-12 * largest) return step;
        for (size_t j = 0; j < k && pivot != step; j++) {
            double t = s[step * k + j];
            s[step * k + j] = s[pivot * k + j];
            s[pivot * k + j] = t;
        }
        for (size_t i = 0; i < k && pivot != step; i++) {
            double t = s[i * k + step];
            s[i * k + step] = s[i * k + pivot];
            s[i * k + pivot] = t;
        }
        double t = d[step];
        d[step] = d[pivot];
        d[pivot] = t;
        *chi2 += d[step] * d[step] / v;
        for (size_t i = step + 1; i < k; i++) {
            double factor = s[i * k + step] / v;
            d[i] -= factor * d[step];
            for (size_t j = step + 1; j < k; j++) s[i * k + j] -= factor * s[step * k + j];
        }
    }
    return k;
}

/* Areas, covariance and test from the placements of all scores; s and d: room for (m - 1)^2 and m - 1. */
static void compare_all(double *auc, double *covariance, eg_auc_test *test,
                        const eg_stats_placements *p, size_t m, const int32_t *label, size_t n,
                        double *s, double *d) {
    for (size_t a = 0; a < m; a++) {
        auc[a] = p[a].auc;
        for (size_t b = 0; b <= a; b++)
            covariance[a * m + b] = covariance[b * m + a] = covariance_of(&p[a], &p[b], label, n);
    }
    *test = (eg_auc_test){NAN, NAN, NAN};
    if (m < 2 || isnan(covariance[0])) return;
    size_t k = m - 1;
    for (size_t a = 0; a < k; a++) {
        d[a] = auc[a] - auc[k];
        for (size_t b = 0; b < k; b++)
            s[a * k + b] = covariance[a * m + b] - covariance[a * m + k] - covariance[k * m + b] +
                           covariance[k * m + k];
    }
    size_t rank = quadratic_form(&test->chi2, s, d, k);
    test->df = (double)rank;
    test->p = rank > 0 ? 1 - eg_chi2_cdf(test->chi2, test->df) : NAN;
}

eg_status eg_auc_delong_many(double *auc, double *covariance, eg_auc_test *test,
                             const double *const *score, size_t m, const int32_t *label, size_t n,
                             eg_error *err) {
    eg_stats_placements *p = eg_calloc(m + 1, sizeof *p);
    double *room = eg_malloc((m * m + m) * sizeof *room);
    size_t made = 0, bad = 0, n1 = 0;
    for (size_t i = 0; i < n; i++) n1 += label[i] == 1;
    for (size_t a = 0; a < m; a++)
        for (size_t i = 0; i < n; i++) bad += isnan(score[a][i]) != 0;
    eg_status status = EG_OK;
    if (m == 0 || n1 == 0 || n1 == n || bad > 0)
        status = eg_fail(err, EG_ERR_INPUT,
                         "areas: %zu scores, %zu positive and %zu negative cases, %zu values not a "
                         "number: expected a score, both classes and numbers",
                         m, n1, n - n1, bad);
    while (status == EG_OK && p && made < m &&
           eg_stats_placements_make(&p[made], score[made], label, n))
        made++;
    if (status == EG_OK && p && room && made == m)
        compare_all(auc, covariance, test, p, m, label, n, room, room + m * m);
    else if (status == EG_OK)
        status =
            eg_fail(err, EG_ERR_NO_MEMORY, "areas: no memory for %zu scores of %zu cases", m, n);
    for (size_t a = 0; a < made; a++) eg_free(p[a].v);
    eg_free(p);
    eg_free(room);
    return status;
}
