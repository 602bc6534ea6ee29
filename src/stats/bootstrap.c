/* Bootstrap over cases (Efron 1979): plain, within strata, and over clusters (all images of a patient together). The
 * statistic is a callback on resampled indices and is called on the caller's thread only; every resample has its own
 * random stream, so its indices depend on (seed, number) alone. What is drawn are "units": the clusters, or the cases
 * themselves when there are none. Not here: which statistic (metric_resample.c). Read first: stats.h, resample.h. */
#include "stats/order.h"
#include "stats/resample.h"

#include <math.h>
#include <string.h>

enum {
    BOOTSTRAP_STREAM = 0x626f6f74, /* "boot": keeps clear of the streams of other rooms */
    DEFAULT_RESAMPLES = 2000,
    MAX_JACKKNIFE = 1000 /* more units than this are left out in blocks */
};

/* Units in the order of their strata; a unit's cases stand together in `members`. */
typedef struct {
    size_t n_units, n_strata;
    uint32_t *members;     /* (n) cases */
    uint32_t *start;       /* (n_units + 1) into members */
    uint32_t *stratum_end; /* (n_strata) units */
    size_t most;           /* cases of the largest possible resample */
} units;

double eg_stats_quantile(const double *x, const uint32_t *order, size_t n, double p) {
    double at = p * (double)(n - 1);
    size_t low = (size_t)at;
    if (low + 1 >= n) return x[order[n - 1]];
    double a = x[order[low]], b = x[order[low + 1]];
    return a + (at - (double)low) * (b - a);
}

void eg_stats_bca(double ci[2], const double *value, const uint32_t *order, size_t n,
                  double estimate, double acceleration, double level) {
    size_t below = 0, equal = 0;
    for (size_t i = 0; i < n; i++) {
        below += value[i] < estimate;
        equal += value[i] == estimate;
    }
    double share = ((double)below + 0.5 * (double)equal) / (double)n;
    double z0 = eg_normal_quantile(share);
    for (int e = 0; e < 2; e++) {
        double z = z0 + eg_normal_quantile(e == 0 ? 0.5 * (1 - level) : 0.5 * (1 + level));
        double p = eg_normal_cdf(z0 + z / (1 - acceleration * z));
        ci[e] = isfinite(z0) && p >= 0 && p <= 1 ? eg_stats_quantile(value, order, n, p) : NAN;
    }
}

/* ---- units ---- */

static void units_free(units *u) {
    eg_free(u->members);
    eg_free(u->start);
    eg_free(u->stratum_end);
}

/* Order of the cases by key (n), as eg_stats_order; `key` NULL: as they are. Buffers: 2 n of each. */
static void order_by(uint32_t *order, uint32_t *scratch, double *as_double, const int32_t *key,
                     size_t n) {
    for (size_t i = 0; i < n; i++) as_double[i] = key ? key[i] : 0;
    eg_stats_order(order, scratch, as_double, n);
}

/* Cases to units, units to strata: two stable sorts, first by cluster, then the units by stratum. */
static void units_fill(units *u, uint32_t *work, double *keys, int32_t *unit_stratum,
                       const int32_t *stratum, const int32_t *cluster, size_t n) {
    uint32_t *by_cluster = work, *first = work + n, *unit_order = work + 2 * n;
    order_by(by_cluster, unit_order, keys, cluster, n);
    size_t n_units = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = by_cluster[i];
        int32_t s = stratum ? stratum[c] : 0;
        if (i == 0 || !cluster || cluster[c] != cluster[by_cluster[i - 1]]) {
            first[n_units] = (uint32_t)i;
            unit_stratum[n_units++] = s;
        } else if (s < unit_stratum[n_units - 1]) {
            unit_stratum[n_units - 1] = s;
        }
    }
    order_by(unit_order, unit_order + n, keys, unit_stratum, n_units);
    size_t at = 0, stratum_first = 0, largest = 0;
    u->n_units = n_units;
    for (size_t k = 0; k < n_units; k++) {
        size_t from = first[unit_order[k]];
        size_t to = unit_order[k] + 1 < n_units ? first[unit_order[k] + 1] : n;
        u->start[k] = (uint32_t)at;
        for (size_t i = from; i < to; i++) u->members[at++] = by_cluster[i];
        if (to - from > largest) largest = to - from;
        bool last =
            k + 1 == n_units || unit_stratum[unit_order[k + 1]] != unit_stratum[unit_order[k]];
        if (!last) continue;
        u->stratum_end[u->n_strata++] = (uint32_t)(k + 1);
        u->most += (k + 1 - stratum_first) * largest;
        stratum_first = k + 1;
        largest = 0;
    }
    u->start[n_units] = (uint32_t)at;
}

static bool units_make(units *u, const int32_t *stratum, const int32_t *cluster, size_t n) {
    *u = (units){0};
    uint32_t *work = eg_malloc(4 * n * sizeof *work);
    double *keys = eg_malloc(n * sizeof *keys);
    int32_t *unit_stratum = eg_malloc(n * sizeof *unit_stratum);
    u->members = eg_malloc(n * sizeof *u->members);
    u->start = eg_malloc((n + 1) * sizeof *u->start);
    u->stratum_end = eg_malloc(n * sizeof *u->stratum_end);
    bool ok = work && keys && unit_stratum && u->members && u->start && u->stratum_end;
    if (ok) units_fill(u, work, keys, unit_stratum, stratum, cluster, n);
    eg_free(work);
    eg_free(keys);
    eg_free(unit_stratum);
    return ok;
}

/* One resample: as many units as the stratum has, with replacement, in each stratum. */
static size_t units_draw(uint32_t *indices, const units *u, uint64_t seed, uint32_t number) {
    eg_random random = eg_random_make(seed, number, 0, BOOTSTRAP_STREAM);
    size_t count = 0, first = 0;
    for (size_t s = 0; s < u->n_strata; s++) {
        uint32_t size = u->stratum_end[s] - (uint32_t)first;
        for (uint32_t k = 0; k < size; k++) {
            size_t unit = first + eg_random_below(&random, size);
            for (uint32_t i = u->start[unit]; i < u->start[unit + 1]; i++)
                indices[count++] = u->members[i];
        }
        first = u->stratum_end[s];
    }
    return count;
}

/* ---- the distribution ---- */

typedef struct {
    units u;
    double *value;     /* (n_values, R) */
    double *row;       /* (n_values) */
    uint32_t *indices; /* (u.most) */
    uint32_t *order;   /* (2 R) */
    double *sums;      /* (n_values, 5): of a stratum's jackknife values and of the acceleration */
    double *left_out;  /* (n_values, blocks) */
} workspace;

static void workspace_free(workspace *w) {
    units_free(&w->u);
    eg_free(w->value);
    eg_free(w->row);
    eg_free(w->indices);
    eg_free(w->order);
    eg_free(w->sums);
    eg_free(w->left_out);
}

/* Acceleration of each value: skewness of the influence of single units (or blocks of them), summed over strata
 * (Davison & Hinkley 1997, eq. 5.25; with one stratum it is SciPy's). NaN where a leave-out value is undefined. */
static void jackknife(double *acceleration, workspace *w, size_t n_values, eg_statistic statistic,
                      void *context) {
    const units *u = &w->u;
    size_t block = (u->n_units + MAX_JACKKNIFE - 1) / MAX_JACKKNIFE, first = 0;
    double *cubes = w->sums, *squares = w->sums + n_values;
    memset(w->sums, 0, 2 * n_values * sizeof *w->sums);
    for (size_t s = 0; s < u->n_strata; s++) {
        size_t end = u->stratum_end[s], blocks = (end - first + block - 1) / block;
        for (size_t b = 0; b < blocks; b++) {
            size_t from = first + b * block, to = from + block < end ? from + block : end;
            size_t count = 0, n = u->start[u->n_units];
            for (size_t i = 0; i < n; i++)
                if (i < u->start[from] || i >= u->start[to]) w->indices[count++] = u->members[i];
            if (count > 0) statistic(context, w->row, w->indices, count);
            for (size_t v = 0; v < n_values; v++)
                w->left_out[v * blocks + b] = count > 0 ? w->row[v] : NAN;
        }
        for (size_t v = 0; v < n_values; v++) {
            double mean = 0, m = (double)blocks;
            for (size_t b = 0; b < blocks; b++) mean += w->left_out[v * blocks + b] / m;
            for (size_t b = 0; b < blocks; b++) {
                double l = (m - 1) * (mean - w->left_out[v * blocks + b]);
                squares[v] += l * l / (m * m);
                cubes[v] += l * l * l / (m * m * m);
            }
        }
        first = end;
    }
    for (size_t v = 0; v < n_values; v++)
        acceleration[v] = squares[v] > 0 ? cubes[v] / (6 * pow(squares[v], 1.5)) : squares[v];
}

void eg_stats_summarise(eg_resampled *out, double *value, size_t r, uint32_t *order,
                        double acceleration, double level, bool bca) {
    size_t kept = 0, low = 0, high = 0;
    double mean = 0, squares = 0;
    for (size_t i = 0; i < r; i++)
        if (!isnan(value[i])) value[kept++] = value[i];
    out->kept = kept;
    out->standard_error = out->ci[0] = out->ci[1] = out->p = NAN;
    if (kept == 0) return;
    for (size_t i = 0; i < kept; i++) {
        mean += value[i] / (double)kept;
        low += value[i] <= 0;
        high += value[i] >= 0;
    }
    for (size_t i = 0; i < kept; i++) squares += (value[i] - mean) * (value[i] - mean);
    if (kept > 1) out->standard_error = sqrt(squares / (double)(kept - 1));
    out->p = fmin(1, 2 * (double)((low < high ? low : high) + 1) / (double)(kept + 1));
    eg_stats_order(order, order + kept, value, kept);
    if (bca) {
        eg_stats_bca(out->ci, value, order, kept, out->estimate, acceleration, level);
        return;
    }
    out->ci[0] = eg_stats_quantile(value, order, kept, 0.5 * (1 - level));
    out->ci[1] = eg_stats_quantile(value, order, kept, 0.5 * (1 + level));
}

static eg_status options_check(size_t n, int n_resamples, double level, eg_error *err) {
    if (n > 0 && n <= UINT32_MAX / 4 && n_resamples >= 1 && level > 0 && level < 1) return EG_OK;
    return eg_fail(err, EG_ERR_INPUT,
                   "bootstrap: %zu cases, %d resamples, level %g: expected at least one case and "
                   "resample, and a level in (0, 1)",
                   n, n_resamples, level);
}

static eg_status workspace_make(workspace *w, size_t n_values, size_t n, size_t r,
                                const eg_resample_options *o, eg_error *err) {
    *w = (workspace){0};
    size_t values = 0, blocks = n < MAX_JACKKNIFE ? n : MAX_JACKKNIFE;
    bool ok = units_make(&w->u, o->stratum, o->cluster, n) && eg_mul(&values, n_values, r);
    if (ok) {
        w->value = eg_malloc(values * sizeof *w->value);
        w->row = eg_malloc(n_values * sizeof *w->row);
        w->indices = eg_malloc((w->u.most > n ? w->u.most : n) * sizeof *w->indices);
        w->order = eg_malloc(2 * r * sizeof *w->order);
        w->sums = eg_malloc(5 * n_values * sizeof *w->sums);
        w->left_out = eg_malloc(n_values * (blocks + 1) * sizeof *w->left_out);
        ok = w->value && w->row && w->indices && w->order && w->sums && w->left_out;
    }
    if (ok) return EG_OK;
    workspace_free(w);
    return eg_fail(err, EG_ERR_NO_MEMORY, "bootstrap: no memory for %zu resamples of %zu cases", r,
                   n);
}

eg_status eg_resample(eg_resampled *out, size_t n_values, eg_statistic statistic, void *context,
                      size_t n, const eg_resample_options *o, eg_error *err) {
    int n_resamples = o->n_resamples ? o->n_resamples : DEFAULT_RESAMPLES;
    double level = o->level != 0 ? o->level : 0.95;
    EG_TRY(options_check(n, n_resamples, level, err));
    size_t r = (size_t)n_resamples;
    workspace w;
    EG_TRY(workspace_make(&w, n_values, n, r, o, err));
    for (size_t i = 0; i < n; i++) w.indices[i] = (uint32_t)i;
    statistic(context, w.row, w.indices, n);
    for (size_t v = 0; v < n_values; v++) out[v] = (eg_resampled){.estimate = w.row[v]};
    for (size_t k = 0; k < r; k++) {
        size_t m = units_draw(w.indices, &w.u, o->seed, (uint32_t)k);
        statistic(context, w.row, w.indices, m);
        for (size_t v = 0; v < n_values; v++) w.value[v * r + k] = w.row[v];
    }
    double *acceleration = w.sums + 4 * n_values;
    for (size_t v = 0; v < n_values; v++) acceleration[v] = NAN;
    if (o->bca) jackknife(acceleration, &w, n_values, statistic, context);
    for (size_t v = 0; v < n_values; v++)
        eg_stats_summarise(&out[v], w.value + v * r, r, w.order, acceleration[v], level, o->bca);
    workspace_free(&w);
    return EG_OK;
}

/* The older form: one value, and the interval only. */
typedef struct {
    double (*statistic)(void *context, const uint32_t *indices, size_t n);
    void *context;
} single;

static void call_single(void *context, double *value, const uint32_t *indices, size_t n) {
    single *s = context;
    *value = s->statistic(s->context, indices, n);
}

eg_status eg_bootstrap(double ci[2],
                       double (*statistic)(void *context, const uint32_t *indices, size_t n),
                       void *context, size_t n, int n_resamples, uint64_t seed, double level,
                       eg_error *err) {
    EG_TRY(options_check(n, n_resamples, level, err));
    single s = {statistic, context};
    eg_resampled result;
    EG_TRY(eg_resample(
        &result, 1, call_single, &s, n,
        &(eg_resample_options){.n_resamples = n_resamples, .seed = seed, .level = level}, err));
    ci[0] = result.ci[0];
    ci[1] = result.ci[1];
    return EG_OK;
}
