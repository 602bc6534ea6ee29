/* Calibration of probabilities: the reliability curve and its error, and three corrections fitted on validation data
 * (temperature, Platt, isotonic). None of them changes the order of the scores of two classes, so no area changes; the
 * isotonic one can make scores equal. Read first: stats.h. */
#include "stats/order.h"
#include "stats/resample.h"

#include <math.h>
#include <string.h>

static const double LEAST_PROBABILITY = 1e-12, LEAST_TEMPERATURE = 0.01, MOST_TEMPERATURE = 100;

/* ---- reliability ---- */

/* First edge at or above p among the inner ones: bins are (low, high], the first one closed below. */
static int bin_of(const eg_reliability_bin *bins, int n_bins, double p) {
    int low = 0, high = n_bins - 1;
    while (low < high) {
        int mid = (low + high) / 2;
        if (p <= bins[mid].high)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static bool edges_make(eg_reliability_bin *bins, int n_bins, bool equal_mass, const double *p,
                       size_t n) {
    uint32_t *order = equal_mass ? eg_malloc(2 * n * sizeof *order) : NULL;
    if (equal_mass && !order) return false;
    if (equal_mass) eg_stats_order(order, order + n, p, n);
    for (int b = 0; b <= n_bins; b++) {
        double at = (double)b / n_bins;
        double edge = equal_mass ? eg_stats_quantile(p, order, n, at) : at;
        if (b < n_bins) bins[b] = (eg_reliability_bin){.low = edge};
        if (b > 0) bins[b - 1].high = edge;
    }
    eg_free(order);
    return true;
}

double eg_reliability(eg_reliability_bin *bins, int n_bins, bool equal_mass, const double *p,
                      const uint8_t *outcome, size_t n) {
    if (n == 0 || n > UINT32_MAX / 2 || n_bins < 1) return NAN;
    for (size_t i = 0; i < n; i++)
        if (!(p[i] >= 0 && p[i] <= 1)) return NAN;
    if (!edges_make(bins, n_bins, equal_mass, p, n)) return NAN;
    for (size_t i = 0; i < n; i++) {
        eg_reliability_bin *b = &bins[bin_of(bins, n_bins, p[i])];
        b->n++;
        b->n_true += outcome[i] != 0;
        b->mean += p[i];
    }
    double error = 0;
    for (int b = 0; b < n_bins; b++) {
        error += fabs((double)bins[b].n_true - bins[b].mean) / (double)n;
        bins[b].rate = bins[b].n ? (double)bins[b].n_true / (double)bins[b].n : NAN;
        bins[b].mean = bins[b].n ? bins[b].mean / (double)bins[b].n : NAN;
        eg_wilson(bins[b].ci, bins[b].n_true, bins[b].n, 0.95);
    }
    return error;
}

/* ---- temperature ---- */

static double log_of(double p) {
    return log(fmax(p, LEAST_PROBABILITY));
}

/* Derivative of the mean cross-entropy of softmax(b log p) by b: expected minus true log p. Grows with b. */
static double temperature_slope(double b, const double *prob, const int32_t *label, size_t n,
                                size_t K) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double *row = prob + i * K;
        double largest = -INFINITY, mass = 0, mean = 0;
        for (size_t k = 0; k < K; k++) largest = fmax(largest, b * log_of(row[k]));
        for (size_t k = 0; k < K; k++) {
            double z = log_of(row[k]), w = exp(b * z - largest);
            mass += w;
            mean += w * z;
        }
        sum += mean / mass - log_of(row[label[i]]);
    }
    return sum / (double)n;
}

/* The loss is convex in 1 / T: bisection on its slope, in the logarithm, to the last bits. */
static double temperature_fit(const double *prob, const int32_t *label, size_t n, size_t K) {
    double low = -log(MOST_TEMPERATURE), high = -log(LEAST_TEMPERATURE);
    if (temperature_slope(exp(low), prob, label, n, K) >= 0) return MOST_TEMPERATURE;
    if (temperature_slope(exp(high), prob, label, n, K) <= 0) return LEAST_TEMPERATURE;
    for (int step = 0; step < 60; step++) {
        double mid = 0.5 * (low + high);
        if (temperature_slope(exp(mid), prob, label, n, K) < 0)
            low = mid;
        else
            high = mid;
    }
    return exp(-0.5 * (low + high));
}

static void temperature_apply(double temperature, double *prob, size_t n, size_t K) {
    for (size_t i = 0; i < n; i++) {
        double *row = prob + i * K, largest = -INFINITY, mass = 0;
        for (size_t k = 0; k < K; k++) {
            row[k] = log_of(row[k]) / temperature;
            largest = fmax(largest, row[k]);
        }
        for (size_t k = 0; k < K; k++) mass += row[k] = exp(row[k] - largest);
        for (size_t k = 0; k < K; k++) row[k] /= mass;
    }
}

/* ---- Platt ---- */

static double logit_of(double p) {
    return log_of(p) - log_of(1 - p);
}

static double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

typedef struct {
    double loss, g[2], h[3]; /* by slope and intercept; h: aa, ab, bb */
} platt_point;

static platt_point platt_at(double a, double b, const double *prob, const int32_t *label, size_t n,
                            double target0, double target1) {
    platt_point p = {0};
    for (size_t i = 0; i < n; i++) {
        double f = logit_of(prob[2 * i + 1]), x = a * f + b, s = sigmoid(x);
        double t = label[i] == 1 ? target1 : target0, w = s * (1 - s);
        p.loss += (x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))) - t * x;
        p.g[0] += (s - t) * f;
        p.g[1] += s - t;
        p.h[0] += w * f * f;
        p.h[1] += w * f;
        p.h[2] += w;
    }
    return p;
}

/* Platt (1999) with the targets (n1 + 1) / (n1 + 2) and 1 / (n0 + 2), by Newton steps halved until the loss falls (Lin,
 * Lin & Weng 2007). */
static void platt_fit(double *slope, double *intercept, const double *prob, const int32_t *label,
                      size_t n) {
    double n1 = 0;
    for (size_t i = 0; i < n; i++) n1 += label[i] == 1;
    double n0 = (double)n - n1, target1 = (n1 + 1) / (n1 + 2), target0 = 1 / (n0 + 2);
    double a = 0, b = log((n1 + 1) / (n0 + 1));
    platt_point p = platt_at(a, b, prob, label, n, target0, target1);
    for (int step = 0; step < 100; step++) {
        double ridge = 1e-12 * (1 + p.h[0] + p.h[2]), h0 = p.h[0] + ridge, h2 = p.h[2] + ridge;
        double det = h0 * h2 - p.h[1] * p.h[1];
        double da = -(h2 * p.g[0] - p.h[1] * p.g[1]) / det;
        double db = -(h0 * p.g[1] - p.h[1] * p.g[0]) / det;
        double size = 1;
        platt_point next = p;
        for (; size > 1e-10; size *= 0.5) {
            next = platt_at(a + size * da, b + size * db, prob, label, n, target0, target1);
            if (next.loss <= p.loss) break;
        }
        if (size <= 1e-10) break;
        a += size * da;
        b += size * db;
        p = next;
        if (fabs(size * da) <= 1e-13 * fmax(1, fabs(a)) &&
            fabs(size * db) <= 1e-13 * fmax(1, fabs(b)))
            break;
    }
    *slope = a;
    *intercept = b;
}

/* ---- isotonic ---- */

/* Pool adjacent violators (Ayer et al. 1955) over the distinct scores in ascending order; of each pooled run only the
 * two ends are kept, between which the value is constant. x, y: room for n; weight: n doubles of room. */
static size_t isotonic_fit(double *x, double *y, double *weight, uint32_t *start,
                           const uint32_t *order, const double *prob, const int32_t *label,
                           size_t n) {
    size_t points = 0, blocks = 0;
    for (size_t i = 0; i < n;) { /* distinct scores; y = label mean */
        double at = prob[2 * order[i] + 1], sum = 0, count = 0;
        for (; i < n && prob[2 * order[i] + 1] == at; i++, count++) sum += label[order[i]] == 1;
        x[points] = at;
        double value = sum / count;
        start[blocks] = (uint32_t)points++;
        while (blocks > 0 && y[blocks - 1] >= value) { /* pool with the run before */
            blocks--;
            value = (value * count + y[blocks] * weight[blocks]) / (count + weight[blocks]);
            count += weight[blocks];
        }
        y[blocks] = value;
        weight[blocks++] = count;
    }
    start[blocks] = (uint32_t)points;
    double *value = weight; /* its own data are no longer needed */
    memcpy(value, y, blocks * sizeof *value);
    size_t kept = 0;
    for (size_t b = 0; b < blocks; b++) {
        double first = x[start[b]], last = x[start[b + 1] - 1];
        x[kept] = first;
        y[kept++] = value[b];
        if (last <= first) continue;
        x[kept] = last;
        y[kept++] = value[b];
    }
    return kept;
}

static double isotonic_at(const eg_calibration *c, double p) {
    size_t low = 0, high = c->n_points - 1;
    if (p <= c->x[0]) return c->y[0];
    if (p >= c->x[high]) return c->y[high];
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (c->x[mid] <= p)
            low = mid;
        else
            high = mid;
    }
    double t = (p - c->x[low]) / (c->x[high] - c->x[low]);
    return c->y[low] + t * (c->y[high] - c->y[low]);
}

static eg_status isotonic_make(eg_calibration *c, const double *prob, const int32_t *label,
                               size_t n, eg_error *err) {
    double *score = eg_malloc(2 * n * sizeof *score);
    uint32_t *order = eg_malloc((3 * n + 1) * sizeof *order);
    c->x = eg_malloc(n * sizeof *c->x);
    c->y = eg_malloc(n * sizeof *c->y);
    eg_status status = EG_OK;
    if (score && order && c->x && c->y) {
        for (size_t i = 0; i < n; i++) score[i] = prob[2 * i + 1];
        eg_stats_order(order, order + n, score, n);
        c->n_points = isotonic_fit(c->x, c->y, score + n, order + 2 * n, order, prob, label, n);
    } else {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "calibration: no memory for %zu cases", n);
        eg_calibration_free(c);
    }
    eg_free(score);
    eg_free(order);
    return status;
}

/* ---- all three ---- */

static eg_status inputs_check(eg_calibration_kind kind, const double *prob, const int32_t *label,
                              size_t n, int n_classes, eg_error *err) {
    size_t K = (size_t)n_classes, n1 = 0;
    if (n == 0 || n > UINT32_MAX / 4 || n_classes < 2)
        return eg_fail(err, EG_ERR_INPUT, "calibration: %zu cases of %d classes, expected 1 and 2",
                       n, n_classes);
    if (kind != EG_CALIBRATION_TEMPERATURE && n_classes != 2)
        return eg_fail(err, EG_ERR_INPUT,
                       "calibration: Platt and isotonic are for two classes, found %d - take the "
                       "temperature",
                       n_classes);
    for (size_t i = 0; i < n; i++) {
        bool bad = label[i] < 0 || label[i] >= n_classes;
        for (size_t k = 0; k < K; k++) bad = bad || !(prob[i * K + k] >= 0 && prob[i * K + k] <= 1);
        n1 += label[i] == 1;
        if (bad)
            return eg_fail(err, EG_ERR_INPUT,
                           "calibration: case %zu: label %d or a probability is out of range", i,
                           label[i]);
    }
    if (kind != EG_CALIBRATION_TEMPERATURE && (n1 == 0 || n1 == n))
        return eg_fail(err, EG_ERR_INPUT,
                       "calibration: all %zu cases are of one class, both are needed", n);
    return EG_OK;
}

eg_status eg_calibration_fit(eg_calibration *out, eg_calibration_kind kind, const double *prob,
                             const int32_t *label, size_t n, int n_classes, eg_error *err) {
    EG_TRY(inputs_check(kind, prob, label, n, n_classes, err));
    eg_calibration c = {.kind = kind, .temperature = 1, .slope = 1};
    if (kind == EG_CALIBRATION_TEMPERATURE)
        c.temperature = temperature_fit(prob, label, n, (size_t)n_classes);
    else if (kind == EG_CALIBRATION_PLATT)
        platt_fit(&c.slope, &c.intercept, prob, label, n);
    else
        EG_TRY(isotonic_make(&c, prob, label, n, err));
    *out = c;
    return EG_OK;
}

void eg_calibration_apply(const eg_calibration *c, double *prob, size_t n, int n_classes) {
    if (c->kind == EG_CALIBRATION_TEMPERATURE) {
        temperature_apply(c->temperature, prob, n, (size_t)n_classes);
        return;
    }
    for (size_t i = 0; i < n && n_classes == 2; i++) {
        double p = prob[2 * i + 1];
        p = c->kind == EG_CALIBRATION_PLATT ? sigmoid(c->slope * logit_of(p) + c->intercept)
                                            : isotonic_at(c, p);
        prob[2 * i + 1] = p;
        prob[2 * i] = 1 - p;
    }
}

void eg_calibration_free(eg_calibration *c) {
    if (!c) return;
    eg_free(c->x);
    eg_free(c->y);
    *c = (eg_calibration){0};
}
