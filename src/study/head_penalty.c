/* What the exact head is chosen and judged by on training images alone: its penalty by cross-validation that keeps patients
 * whole, and a control that trains nothing, the nearest training images. Neither looks at validation or test to choose.
 * The head itself: head_exact.c. Read first: recipe.h. */
#include "study/recipe.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FOLDS = 5, N_CANDIDATES = 9, STREAM_FOLDS = 0x666f6c64 /* "fold" */ };
/* From heavy to light; half a decade a step. The search stops once two in a row were worse than the best. */
static const double CANDIDATES[N_CANDIDATES] = {1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1, 3, 10};
enum { WORSE_IN_A_ROW = 2 };
static const double TOLERANCE = 1e-5; /* of the fits that are only compared */

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for choosing the penalty");
}

/* ---- folds ---- */

/* Images that must stay together. */
typedef struct {
    const char *patient; /* NULL: alone */
    uint32_t row;        /* of the training images */
    int label;
} member;

static int by_patient(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (!x->patient || !y->patient) {
        if (x->patient || y->patient) return x->patient ? -1 : 1;
        return (x->row > y->row) - (x->row < y->row);
    }
    int order = strcmp(x->patient, y->patient);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* Patients in an order drawn by the seed, each to the fold that has fewest images of its (first image's) class. */
static void deal(int *fold, const member *m, const size_t *start, const uint32_t *order,
                 size_t n_groups, size_t *count, int n_folds) {
    for (size_t g = 0; g < n_groups; g++) {
        size_t from = start[order[g]], to = start[order[g] + 1];
        size_t *have = count + (size_t)m[from].label * (size_t)n_folds;
        int least = 0;
        for (int f = 1; f < n_folds; f++)
            if (have[f] < have[least]) least = f;
        for (size_t i = from; i < to; i++) {
            fold[m[i].row] = least;
            count[(size_t)m[i].label * (size_t)n_folds + (size_t)least]++;
        }
    }
}

static eg_status make_folds(int *fold, const eg_run *run, int n_folds, eg_error *err) {
    const eg_data_stage *data = run->data;
    size_t n = data->n_train, n_groups = 0;
    member *m = eg_calloc(n + 1, sizeof *m);
    size_t *start = eg_calloc(n + 2, sizeof *start);
    uint32_t *order = eg_calloc(n + 1, sizeof *order);
    size_t *count = eg_calloc((size_t)data->ds->n_classes * (size_t)n_folds, sizeof *count);
    bool ok = m && start && order && count;
    for (size_t i = 0; ok && i < n; i++) {
        const eg_sample *sample = &data->ds->samples[data->train[i]];
        m[i] = (member){sample->patient, (uint32_t)i, sample->label};
    }
    if (ok) {
        qsort(m, n, sizeof *m, by_patient);
        for (size_t i = 0; i < n; i++) {
            bool same = i > 0 && m[i].patient && m[i - 1].patient &&
                        strcmp(m[i].patient, m[i - 1].patient) == 0;
            if (!same) start[n_groups++] = i;
        }
        start[n_groups] = n;
        for (size_t g = 0; g < n_groups; g++) order[g] = (uint32_t)g;
        eg_random random = eg_random_make((uint64_t)run->s->o.seed, 0, 0, STREAM_FOLDS);
        eg_random_shuffle(&random, order, n_groups);
        deal(fold, m, start, order, n_groups, count, n_folds);
    }
    eg_free(m);
    eg_free(start);
    eg_free(order);
    eg_free(count);
    return ok ? EG_OK : no_memory(err);
}

/* ---- one fold ---- */

typedef struct {
    const eg_run *run;
    const eg_head_rows *rows;
    const double *weights; /* (K) of the classes */
    int *fold;             /* (n) of each training image */
    int n_folds, K;
    float *x;       /* room for all rows: those of the other folds, all views */
    int32_t *label; /* beside them */
    double *coef, *intercept;
} chooser;

/* Loss of one row that was held out, and whether it is right. */
static double held_out(bool *right, const chooser *c, const float *x, int label) {
    size_t D = c->rows->width;
    double z[2] = {0, 0}, top = -INFINITY, total = 0, own = 0;
    int best = 0;
    if (c->K == 2) {
        z[1] = c->intercept[0];
        for (size_t d = 0; d < D; d++) z[1] += c->coef[d] * (double)x[d];
        *right = (z[1] > 0) == (label == 1);
        double margin = label == 1 ? z[1] : -z[1];
        return margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 0; k < c->K; k++) {
            double sum = c->intercept[k];
            for (size_t d = 0; d < D; d++) sum += c->coef[(size_t)k * D + d] * (double)x[d];
            if (pass == 0 && sum > top) {
                top = sum;
                best = k;
            }
            if (pass == 1) total += exp(sum - top);
            if (k == label) own = sum;
        }
    }
    *right = best == label;
    return log(total) + top - own;
}

/* Sums over the images of fold `f` of a head that was fitted on the others. */
static eg_status run_fold(double *loss, size_t *correct, chooser *c, int f, double C,
                          eg_error *err) {
    const eg_head_rows *r = c->rows;
    size_t n = 0;
    int n_iterations;
    for (size_t v = 0; v < r->n_views; v++) {
        for (size_t i = 0; i < r->n; i++) {
            if (c->fold[i] == f) continue;
            memcpy(c->x + n * r->width, r->x + (v * r->n + i) * r->width, r->width * sizeof *c->x);
            c->label[n++] = r->label[i];
        }
    }
    eg_logistic_options o = {
        .C = C / (double)r->n_views, .tolerance = TOLERANCE, .class_weight = c->weights};
    size_t n_vectors = c->K == 2 ? 1 : (size_t)c->K;
    memset(c->coef, 0, n_vectors * r->width * sizeof *c->coef);
    memset(c->intercept, 0, n_vectors * sizeof *c->intercept);
    EG_TRY(eg_logistic_fit(c->coef, c->intercept, &n_iterations, c->x, c->label, n, r->width, c->K,
                           &o, err));
    for (size_t i = 0; i < r->n; i++) {
        bool right;
        if (c->fold[i] != f) continue;
        *loss += held_out(&right, c, r->x + i * r->width, r->label[i]);
        *correct += right;
    }
    return EG_OK;
}

static eg_status try_candidate(json_t *table, double *loss, chooser *c, double C, eg_error *err) {
    size_t correct = 0;
    *loss = 0;
    for (int f = 0; f < c->n_folds; f++) {
        if (eg_study_stopped(c->run->ev))
            return eg_fail(err, EG_ERR_INTERRUPTED,
                           "interrupted while choosing the penalty: nothing is saved yet - run the "
                           "same command again with --overwrite");
        EG_TRY(run_fold(loss, &correct, c, f, C, err));
    }
    *loss /= (double)c->rows->n;
    json_t *row = json_pack("{s:o, s:o, s:o}", "C", eg_json_real(C), "loss", eg_json_real(*loss),
                            "accuracy", eg_json_real((double)correct / (double)c->rows->n));
    return json_array_append_new(table, row) == 0 ? EG_OK : no_memory(err);
}

static eg_status search(double *best, json_t *table, chooser *c, eg_error *err) {
    double least = INFINITY;
    int worse = 0;
    for (int i = 0; i < N_CANDIDATES && worse < WORSE_IN_A_ROW; i++) {
        double loss;
        EG_TRY(try_candidate(table, &loss, c, CANDIDATES[i], err));
        worse = loss < least ? 0 : worse + 1;
        if (loss < least) {
            least = loss;
            *best = CANDIDATES[i];
        }
    }
    if (!isfinite(least))
        return eg_fail(
            err, EG_ERR_DIVERGED,
            "no penalty gave a finite loss in cross-validation: are the features finite?");
    return EG_OK;
}

/* The fewest images of a class: no more folds than that, or a fold would teach nothing of it. */
static int folds_for(const eg_head_rows *rows, int K) {
    size_t least = rows->n;
    for (int k = 0; k < K; k++) {
        size_t count = 0;
        for (size_t i = 0; i < rows->n; i++) count += rows->label[i] == k;
        if (count < least) least = count;
    }
    return least < 2 ? 0 : least < MOST_FOLDS ? (int)least : MOST_FOLDS;
}

static eg_status choose(double *C, json_t *table, chooser *c, eg_error *err) {
    float *narrow = eg_study_class_weights(c->run->s, c->run->data);
    size_t all = c->rows->n * c->rows->n_views;
    double *weights = eg_malloc((size_t)c->K * sizeof *weights);
    for (int k = 0; narrow && weights && k < c->K; k++) weights[k] = (double)narrow[k];
    bool ok = narrow && weights;
    eg_free(narrow);
    c->weights = weights;
    c->fold = eg_calloc(c->rows->n + 1, sizeof *c->fold);
    c->x = eg_malloc((all * c->rows->width + 1) * sizeof *c->x);
    c->label = eg_malloc((all + 1) * sizeof *c->label);
    c->coef = eg_malloc((size_t)c->K * c->rows->width * sizeof *c->coef);
    c->intercept = eg_malloc((size_t)c->K * sizeof *c->intercept);
    ok = ok && c->fold && c->x && c->label && c->coef && c->intercept;
    eg_status status = ok ? make_folds(c->fold, c->run, c->n_folds, err) : no_memory(err);
    if (status == EG_OK) status = search(C, table, c, err);
    eg_free(weights);
    eg_free(c->fold);
    eg_free(c->x);
    eg_free(c->label);
    eg_free(c->coef);
    eg_free(c->intercept);
    return status;
}

eg_status eg_study_penalty_choose(double *C, json_t **table, const eg_run *run,
                                  const eg_head_rows *rows, eg_error *err) {
    chooser c = {.run = run, .rows = rows, .K = run->data->ds->n_classes};
    json_t *candidates = json_array();
    c.n_folds = folds_for(rows, c.K);
    if (c.n_folds < 2) {
        json_decref(candidates);
        return eg_fail(err, EG_ERR_INPUT,
                       "--C auto: a class has fewer than 2 training images, too few for "
                       "cross-validation - give a number, for example --C 0.01");
    }
    eg_status status = candidates ? choose(C, candidates, &c, err) : no_memory(err);
    if (status == EG_OK) {
        eg_study_note(run->ev, "penalty C = %g, by %d-fold cross-validation on training images", *C,
                      c.n_folds);
        *table = json_pack("{s:o, s:i, s:s, s:O}", "C", eg_json_real(*C), "folds", c.n_folds,
                           "patients", run->data->ds->patient_rule, "candidates", candidates);
        if (!*table) status = no_memory(err);
    }
    json_decref(candidates);
    return status;
}
