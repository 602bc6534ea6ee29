/* Exact heads on still features of the training images: cross-validated by patients, by images or by blocks of neighbouring
 * ids, on a part of the patients, with a penalty or weights of choice. 5 fits of a fraction of a second each. The folds are
 * cut by the data room's own rule. Read first: why.h. */
#include "study/why.h"

#include <math.h>
#include <string.h>

/* MOST_STEPS: of ten, away from the run's penalty */
enum { STREAM_PART = 0x70617274 /* "part" */, MOST_STEPS = 3 };
static const double TOLERANCE = 1e-6; /* of fits that are only compared */

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for heads");
}

/* Fold `f` of `n_folds` into of (n_samples), on a copy of the set whose training images are dealt anew. */
static eg_status deal(int *of, eg_dataset *copy, const eg_why_case *c, const char *by, int n_folds,
                      int f, eg_error *err) {
    const size_t n = c->data.ds->n_samples;
    memcpy(copy->samples, c->data.ds->samples, n * sizeof *copy->samples);
    for (size_t i = 0; i < n; i++) {
        /* a split sorts the samples: the width, of no use here, remembers where each was */
        copy->samples[i].width = (int)i;
        if (copy->samples[i].split == EG_SPLIT_VAL) copy->samples[i].split = EG_SPLIT_TEST;
    }
    const eg_split_rule rule = {
        .by = by, .folds = n_folds, .fold = f + 1, .seed = (uint64_t)c->settings.o.seed};
    EG_TRY(eg_dataset_split(copy, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &rule, err));
    for (size_t i = 0; i < n; i++)
        if (copy->samples[i].split == EG_SPLIT_VAL) of[copy->samples[i].width] = f;
    return EG_OK;
}

/* As many folds as the smallest class has patients for, at most 5. */
eg_status eg_study_why_folds(int *fold, int *n_folds, const eg_why_case *c, const char *by,
                             eg_error *err) {
    const eg_data_stage *d = &c->data;
    eg_dataset copy = *d->ds;
    copy.samples = eg_malloc((d->ds->n_samples + 1) * sizeof *copy.samples);
    int *of = eg_calloc(d->ds->n_samples + 1, sizeof *of); /* fold by dataset index */
    eg_status status = copy.samples && of ? EG_ERR_INPUT : no_memory(err);
    for (*n_folds = EG_WHY_FOLDS; status == EG_ERR_INPUT && *n_folds > 1; --*n_folds) {
        status = EG_OK;
        for (int f = 0; status == EG_OK && f < *n_folds; f++)
            status = deal(of, &copy, c, by, *n_folds, f, err);
        if (status == EG_OK) break;
    }
    for (size_t i = 0; status == EG_OK && i < d->n_train; i++) fold[i] = of[d->train[i]];
    eg_free(copy.samples);
    eg_free(of);
    return status;
}

/* ---- one head ---- */

typedef struct {
    const eg_why_case *c;
    const eg_why_cross_options *o;
    size_t D;
    int K;
    float *x;       /* (n_train, D) those that are learned from */
    int32_t *label; /* beside them */
    size_t n;
    double *coef, *intercept, *weight;
} head;

static void head_free(head *h) {
    eg_free(h->x);
    eg_free(h->label);
    eg_free(h->coef);
    eg_free(h->intercept);
    eg_free(h->weight);
}

static eg_status head_make(head *h, const eg_why_case *c, const eg_why_cross_options *o,
                           eg_error *err) {
    *h = (head){.c = c, .o = o, .D = c->width, .K = c->run.n_classes};
    const size_t K = (size_t)h->K, n = c->data.n_train;
    h->x = eg_malloc((n * h->D + 1) * sizeof *h->x);
    h->label = eg_malloc((n + 1) * sizeof *h->label);
    h->coef = eg_malloc((K * h->D + 1) * sizeof *h->coef);
    h->intercept = eg_malloc(K * sizeof *h->intercept);
    h->weight = eg_malloc(K * sizeof *h->weight);
    if (h->x && h->label && h->coef && h->intercept && h->weight) return EG_OK;
    head_free(h);
    return no_memory(err);
}

static void head_take(head *h, size_t row) {
    memcpy(h->x + h->n * h->D, h->c->x + row * h->D, h->D * sizeof *h->x);
    h->label[h->n++] = h->c->label[row];
}

/* On the h->n rows taken; *usable false: a class is missing among them. */
static eg_status head_fit(bool *usable, head *h, eg_error *err) {
    int n_iterations;
    const size_t K = (size_t)h->K, vectors = h->K == 2 ? 1 : K;
    for (size_t k = 0; k < K; k++) h->weight[k] = 0;
    for (size_t i = 0; i < h->n; i++) h->weight[h->label[i]]++;
    *usable = true;
    for (size_t k = 0; k < K; k++) {
        *usable = *usable && h->weight[k] > 0;
        h->weight[k] =
            h->o->balanced && h->weight[k] > 0 ? (double)h->n / ((double)K * h->weight[k]) : 1;
    }
    if (!*usable) return EG_OK;
    memset(h->coef, 0, vectors * h->D * sizeof *h->coef);
    memset(h->intercept, 0, vectors * sizeof *h->intercept);
    const eg_logistic_options options = {
        .C = h->o->C > 0 ? h->o->C : h->c->C, .tolerance = TOLERANCE, .class_weight = h->weight};
    return eg_logistic_fit(h->coef, h->intercept, &n_iterations, h->x, h->label, h->n, h->D, h->K,
                           &options, err);
}

/* prob (K) of one row. */
static void head_score(double *prob, const head *h, const float *x) {
    if (h->K == 2) {
        double z = h->intercept[0];
        for (size_t d = 0; d < h->D; d++) z += h->coef[d] * (double)x[d];
        prob[1] = 1 / (1 + exp(-z));
        prob[0] = 1 / (1 + exp(z));
        return;
    }
    double top = -INFINITY, sum = 0;
    for (int k = 0; k < h->K; k++) {
        prob[k] = h->intercept[k];
        for (size_t d = 0; d < h->D; d++) prob[k] += h->coef[(size_t)k * h->D + d] * (double)x[d];
        top = fmax(top, prob[k]);
    }
    for (int k = 0; k < h->K; k++) sum += prob[k] = exp(prob[k] - top);
    for (int k = 0; k < h->K; k++) prob[k] /= sum;
}

/* ---- cross-validation ---- */

/* Is the patient of training image i among the first `share` of all? The larger part holds the smaller. */
static bool in_part(const eg_why_case *c, size_t i, double share) {
    if (!(share > 0) || share >= 1) return true;
    eg_random r = eg_random_make((uint64_t)c->settings.o.seed, c->train_unit[i], 0, STREAM_PART);
    return eg_random_uniform(&r) < share;
}

static eg_status run_fold(eg_why_cross *out, head *h, const int *fold, int f, eg_error *err) {
    const eg_why_case *c = h->c;
    const size_t K = (size_t)h->K;
    bool usable;
    h->n = 0;
    for (size_t i = 0; i < c->data.n_train; i++) {
        const bool left = h->o->leave_out && h->o->leave_out[i];
        if (fold[i] != f && !left && in_part(c, i, h->o->share)) head_take(h, i);
    }
    EG_TRY(head_fit(&usable, h, err));
    for (size_t i = 0; i < c->data.n_train; i++) {
        if (fold[i] != f) continue;
        double *prob = out->prob + i * K;
        if (usable) head_score(prob, h, c->x + i * h->D);
        for (size_t k = 0; !usable && k < K; k++) prob[k] = 1 / (double)K;
    }
    return EG_OK;
}

static eg_status run_folds(eg_why_cross *out, head *h, eg_error *err) {
    const eg_why_case *c = h->c;
    const size_t n = c->data.n_train, K = (size_t)h->K;
    int *fold = eg_calloc(n + 1, sizeof *fold), n_folds = 0;
    out->prob = eg_malloc((n * K + 1) * sizeof *out->prob);
    out->right = eg_malloc((n + 1) * sizeof *out->right);
    eg_status status = fold && out->prob && out->right
                           ? eg_study_why_folds(fold, &n_folds, c, h->o->by, err)
                           : no_memory(err);
    for (int f = 0; status == EG_OK && f < n_folds; f++) {
        status = eg_study_stopped(c->ev)
                     ? eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while fitting heads")
                     : run_fold(out, h, fold, f, err);
    }
    eg_free(fold);
    EG_TRY(status);
    eg_study_why_right(out->right, out->prob, c->label, n, h->K);
    out->accuracy = out->loss = 0;
    for (size_t i = 0; i < n; i++) {
        out->accuracy += out->right[i] / (double)n;
        out->loss -= log(fmax(out->prob[i * K + (size_t)c->label[i]], 1e-12)) / (double)n;
    }
    return EG_OK;
}

eg_status eg_study_why_cross_run(eg_why_cross *out, const eg_why_case *c,
                                 const eg_why_cross_options *o, eg_error *err) {
    head h;
    eg_why_cross x = {0};
    EG_TRY(head_make(&h, c, o, err));
    eg_status status = run_folds(&x, &h, err);
    head_free(&h);
    if (status == EG_OK)
        *out = x;
    else
        eg_study_why_cross_free(&x);
    return status;
}

/* From the run's penalty by tens, as long as the held-out loss falls. */
static eg_status search_penalty(eg_why_case *c, double factor, eg_error *err) {
    double C = c->C;
    for (int step = 0; step < MOST_STEPS; step++) {
        eg_why_cross x;
        C *= factor;
        EG_TRY(
            eg_study_why_cross_run(&x, c, &(eg_why_cross_options){.by = "patient", .C = C}, err));
        if (x.loss >= c->by_patient.loss) {
            eg_study_why_cross_free(&x);
            break;
        }
        eg_study_why_cross_free(&c->by_patient);
        c->by_patient = x;
        c->C = C;
    }
    return EG_OK;
}

eg_status eg_study_why_cross_patient(eg_why_case *c, eg_error *err) {
    if (c->by_patient.prob) return EG_OK;
    const size_t n = c->data.n_train;
    EG_TRY(
        eg_study_why_cross_run(&c->by_patient, c, &(eg_why_cross_options){.by = "patient"}, err));
    c->run_right = eg_malloc((n + 1) * sizeof *c->run_right);
    if (!c->run_right) return no_memory(err);
    memcpy(c->run_right, c->by_patient.right, n * sizeof *c->run_right);
    c->run_accuracy = c->by_patient.accuracy;
    c->run_loss = c->by_patient.loss;
    EG_TRY(search_penalty(c, 10, err));
    return c->C > c->run_C ? EG_OK : search_penalty(c, 0.1, err);
}

void eg_study_why_cross_free(eg_why_cross *x) {
    eg_free(x->prob);
    eg_free(x->right);
    *x = (eg_why_cross){0};
}

eg_status eg_study_why_head(double *prob, const eg_why_case *c, const eg_why_cross_options *o,
                            const uint32_t *indices, size_t n, eg_error *err) {
    head h;
    bool usable = false;
    EG_TRY(head_make(&h, c, o, err));
    for (size_t i = 0; i < c->data.n_train; i++)
        if (!(o->leave_out && o->leave_out[i])) head_take(&h, i);
    eg_status status = head_fit(&usable, &h, err);
    if (status == EG_OK && !usable)
        status = eg_fail(err, EG_ERR_INPUT, "a class has no training image left");
    for (size_t i = 0; status == EG_OK && i < n; i++)
        head_score(prob + i * (size_t)h.K, &h, c->features + indices[i] * h.D);
    head_free(&h);
    return status;
}
