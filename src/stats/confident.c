/* Label noise from out-of-sample class probabilities, two ways. Confident learning (Northcutt, Jiang & Chuang 2021,
 * JAIR 70) counts cases that are confidently of another class than their label; its rate is compared with what labels
 * drawn from the probabilities themselves would give, because classes that overlap are counted too. Flip rates ask for
 * the floor that the class probability keeps however sure the score is: overlap has none. */
#include "stats/resample.h"

#include <math.h>
#include <string.h>

enum { NULL_STREAM = 0x6e756c6c /* "null" */, DEFAULT_NULLS = 200, EM_STEPS = 2000 };

/* ---- confident learning ---- */

/* The likely class of a case: the most probable among those that reach their class's threshold; -1: none does. */
static int likely(const double *row, const double *threshold, size_t K) {
    int best = -1;
    for (size_t k = 0; k < K; k++)
        if (row[k] >= threshold[k] && (best < 0 || row[k] > row[best])) best = (int)k;
    return best;
}

/* Threshold of a class: mean probability of the class among the cases labelled so; 2 (never reached) without any. Then
 * the counts (K, K), each row brought to the number of its labels, as shares. Returns the off-diagonal mass. */
static double joint_compute(double *joint, double *threshold, double *labelled, const double *prob,
                            const int32_t *label, size_t n, size_t K) {
    memset(joint, 0, K * K * sizeof *joint);
    memset(threshold, 0, K * sizeof *threshold);
    memset(labelled, 0, K * sizeof *labelled);
    for (size_t i = 0; i < n; i++) {
        threshold[label[i]] += prob[i * K + (size_t)label[i]];
        labelled[label[i]]++;
    }
    for (size_t k = 0; k < K; k++) threshold[k] = labelled[k] > 0 ? threshold[k] / labelled[k] : 2;
    for (size_t i = 0; i < n; i++) {
        int k = likely(prob + i * K, threshold, K);
        if (k >= 0) joint[(size_t)label[i] * K + (size_t)k]++;
    }
    double off = 0;
    for (size_t i = 0; i < K; i++) {
        double row = 0;
        for (size_t k = 0; k < K; k++) row += joint[i * K + k];
        if (!(row > 0))
            joint[i * K + i] = row = 1; /* nothing to be seen of this label: taken as right */
        for (size_t k = 0; k < K; k++) {
            joint[i * K + k] *= labelled[i] / row / (double)n;
            if (k != i) off += joint[i * K + k];
        }
    }
    return off;
}

/* Labels as the probabilities say: case i gets class k with probability prob[i, k]. */
static void labels_draw(int32_t *label, const double *prob, size_t n, size_t K, uint64_t seed,
                        uint32_t number) {
    eg_random random = eg_random_make(seed, number, 0, NULL_STREAM);
    for (size_t i = 0; i < n; i++) {
        double u = eg_random_uniform(&random), sum = 0;
        size_t k = 0;
        for (; k + 1 < K; k++) {
            sum += prob[i * K + k];
            if (u < sum) break;
        }
        label[i] = (int32_t)k;
    }
}

static eg_status cases_check(const double *prob, const int32_t *label, size_t n, size_t K,
                             eg_error *err) {
    for (size_t i = 0; i < n; i++) {
        bool bad = label[i] < 0 || (size_t)label[i] >= K;
        for (size_t k = 0; k < K; k++) bad = bad || !(prob[i * K + k] >= 0 && prob[i * K + k] <= 1);
        if (bad)
            return eg_fail(err, EG_ERR_INPUT,
                           "label noise: case %zu: label %d or a probability is out of range", i,
                           label[i]);
    }
    return n > 0 && K >= 2
               ? EG_OK
               : eg_fail(err, EG_ERR_INPUT,
                         "label noise: %zu cases of %zu classes, expected 1 and 2", n, K);
}

/* room: joint (K, K), threshold (K), labelled (K); value (r) */
static void null_compute(eg_confident *c, double *room, double *value, uint32_t *order,
                         int32_t *drawn, const double *prob, size_t n, size_t K, size_t r,
                         const eg_resample_options *o) {
    size_t reached = 0;
    double sum = 0;
    for (size_t k = 0; k < r; k++) {
        labels_draw(drawn, prob, n, K, o->seed, (uint32_t)k);
        value[k] = joint_compute(room, room + K * K, room + K * K + K, prob, drawn, n, K);
        reached += value[k] >= c->noise_rate;
        sum += value[k];
    }
    c->null_mean = sum / (double)r;
    c->p = (double)(reached + 1) / (double)(r + 1);
    eg_resampled summary = {.estimate = c->null_mean};
    double level = o->level > 0 && o->level < 1 ? o->level : 0.95;
    eg_stats_summarise(&summary, value, r, order, NAN, level, false);
    c->null_ci[0] = summary.ci[0];
    c->null_ci[1] = summary.ci[1];
}

eg_status eg_confident_learn(eg_confident *out, const double *prob, const int32_t *label, size_t n,
                             int n_classes, const eg_resample_options *o, eg_error *err) {
    size_t K = (size_t)n_classes, r = o->n_resamples > 0 ? (size_t)o->n_resamples : DEFAULT_NULLS;
    EG_TRY(cases_check(prob, label, n, K, err));
    eg_confident c = {.joint = eg_malloc(K * K * sizeof *c.joint), .suspect = eg_calloc(n, 1)};
    double *room = eg_malloc((K * K + 2 * K + r) * sizeof *room);
    uint32_t *order = eg_malloc(2 * r * sizeof *order);
    int32_t *drawn = eg_malloc(n * sizeof *drawn);
    eg_status status = EG_OK;
    if (c.joint && c.suspect && room && order && drawn) {
        double *threshold = room + K * K;
        c.noise_rate = joint_compute(c.joint, threshold, threshold + K, prob, label, n, K);
        for (size_t i = 0; i < n; i++) {
            int k = likely(prob + i * K, threshold, K);
            c.suspect[i] = k >= 0 && k != label[i];
        }
        null_compute(&c, room, room + K * K + 2 * K, order, drawn, prob, n, K, r, o);
        *out = c;
    } else {
        eg_confident_free(&c);
        status = eg_fail(err, EG_ERR_NO_MEMORY, "label noise: no memory for %zu cases", n);
    }
    eg_free(room);
    eg_free(order);
    eg_free(drawn);
    return status;
}

void eg_confident_free(eg_confident *c) {
    if (!c) return;
    eg_free(c->joint);
    eg_free(c->suspect);
    c->joint = NULL;
    c->suspect = NULL;
}

/* ---- flip rates ---- */

static double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double likelihood(const eg_flip_rates *f, const double *z, const int32_t *label, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double s = sigmoid(f->slope * z[i] + f->intercept);
        double p1 = s * (1 - f->e1) + (1 - s) * f->e0, p0 = s * f->e1 + (1 - s) * (1 - f->e0);
        sum += log(fmax(label[i] == 1 ? p1 : p0, 1e-300));
    }
    return sum;
}

/* One Newton step of logistic regression of the targets w on z, halved while the slope runs away; a hair of ridge for
 * scores that separate the classes. */
static void logistic_step(double *slope, double *intercept, const double *z, const double *w,
                          size_t n) {
    double g0 = 1e-9 * *slope, g1 = 1e-9 * *intercept, h0 = 1e-9, h1 = 0, h2 = 1e-9;
    for (size_t i = 0; i < n; i++) {
        double s = sigmoid(*slope * z[i] + *intercept), v = s * (1 - s);
        g0 += (s - w[i]) * z[i];
        g1 += s - w[i];
        h0 += v * z[i] * z[i];
        h1 += v * z[i];
        h2 += v;
    }
    double det = h0 * h2 - h1 * h1;
    if (!(det > 0)) return;
    double da = -(h2 * g0 - h1 * g1) / det, db = -(h0 * g1 - h1 * g0) / det;
    double largest = fmax(fabs(da) / (1 + fabs(*slope)), fabs(db) / (5 + fabs(*intercept)));
    double size = largest > 1 ? 1 / largest : 1;
    *slope += size * da;
    *intercept += size * db;
}

/* EM: whose label was flipped is what is not seen. Returns the log-likelihood. `flips` false: plain logistic. */
static double flips_fit(eg_flip_rates *f, double *w, const double *z, const int32_t *label,
                        size_t n, bool flips) {
    double before = -INFINITY, now = likelihood(f, z, label, n);
    for (int step = 0; step < EM_STEPS && now - before > 1e-11 * (1 + fabs(now)); step++) {
        double ones = 0, zeros = 0, lost = 0, gained = 0;
        for (size_t i = 0; i < n; i++) {
            double s = sigmoid(f->slope * z[i] + f->intercept);
            double one = s * (label[i] == 1 ? 1 - f->e1 : f->e1);
            double zero = (1 - s) * (label[i] == 1 ? f->e0 : 1 - f->e0);
            w[i] = one / fmax(one + zero, 1e-300);
            ones += w[i];
            zeros += 1 - w[i];
            lost += label[i] == 1 ? 0 : w[i];
            gained += label[i] == 1 ? 1 - w[i] : 0;
        }
        if (flips && ones > 0) f->e1 = lost / ones;
        if (flips && zeros > 0) f->e0 = gained / zeros;
        for (int k = 0; k < 3; k++) logistic_step(&f->slope, &f->intercept, z, w, n);
        before = now;
        now = likelihood(f, z, label, n);
    }
    return now;
}

eg_status eg_flip_rates_fit(eg_flip_rates *out, const double *score, const int32_t *label, size_t n,
                            eg_error *err) {
    size_t n1 = 0;
    for (size_t i = 0; i < n; i++) {
        n1 += label[i] == 1;
        if (!(score[i] >= 0 && score[i] <= 1))
            return eg_fail(err, EG_ERR_INPUT, "label noise: case %zu: probability %g", i, score[i]);
    }
    if (n1 == 0 || n1 == n)
        return eg_fail(err, EG_ERR_INPUT, "label noise: all %zu cases have one label", n);
    double *z = eg_malloc(2 * n * sizeof *z);
    if (!z) return eg_fail(err, EG_ERR_NO_MEMORY, "label noise: no memory for %zu cases", n);
    for (size_t i = 0; i < n; i++)
        z[i] = log(fmax(score[i], 1e-12)) - log(fmax(1 - score[i], 1e-12));
    eg_flip_rates plain = {.slope = 1}, best;
    double without = flips_fit(&plain, z + n, z, label, n, false), with = without;
    best = plain;
    static const double START[] = {0.02, 0.1, 0.3};
    for (size_t k = 0; k < sizeof START / sizeof *START; k++) {
        eg_flip_rates f = {
            .e0 = START[k], .e1 = START[k], .slope = 2 * plain.slope, .intercept = plain.intercept};
        double l = flips_fit(&f, z + n, z, label, n, true);
        if (l > with && f.e0 + f.e1 < 1) with = l, best = f;
    }
    best.log_ratio = fmax(2 * (with - without), 0);
    double d = best.log_ratio;
    best.p = d > 1e-6 ? 0.5 * (1 - eg_chi2_cdf(d, 1)) + 0.25 * (1 - eg_chi2_cdf(d, 2)) : 1;
    eg_free(z);
    *out = best;
    return EG_OK;
}
