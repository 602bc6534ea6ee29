/* The control that trains nothing: the k nearest training images in the features of a still trunk vote, each by its
 * cosine (DINO's rule: exp(cosine / 0.07), k = 20; Caron et al. 2021). What a head brings is what it has beyond this.
 * Nothing is chosen, so nothing is tuned. Read first: recipe.h. */
#include "study/recipe.h"
#include <math.h>
#include <string.h>

enum { NEIGHBOURS = 20 };
static const double TEMPERATURE = 0.07;

typedef struct {
    const eg_run *run;
    const uint32_t *indices; /* of the images that are asked */
    double *norm;            /* of every sample's features */
    double *prob;            /* (n, K) */
    int K, k;
} voting;

static double cosine(const voting *v, uint32_t a, uint32_t b) {
    size_t D = v->run->store->width;
    const float *x = v->run->store->rows + a * D, *y = v->run->store->rows + b * D;
    double sum[4] = {0};
    size_t d = 0;
    for (; d + 4 <= D; d += 4)
        for (size_t j = 0; j < 4; j++) sum[j] += (double)x[d + j] * (double)y[d + j];
    for (; d < D; d++) sum[0] += (double)x[d] * (double)y[d];
    double scale = v->norm[a] * v->norm[b];
    return scale > 0 ? ((sum[0] + sum[1]) + (sum[2] + sum[3])) / scale : 0;
}

/* One image: the nearest in a short list, ordered from the nearest; of equal ones the earlier. */
static void vote(void *context, int i) {
    const voting *v = context;
    const eg_data_stage *data = v->run->data;
    double near[NEIGHBOURS], total = 0;
    int label[NEIGHBOURS], n = 0;
    for (size_t j = 0; j < data->n_train; j++) {
        double c = cosine(v, v->indices[i], data->train[j]);
        if (n == v->k && !(c > near[n - 1])) continue;
        int at = n < v->k ? n++ : n - 1;
        for (; at > 0 && c > near[at - 1]; at--) {
            near[at] = near[at - 1];
            label[at] = label[at - 1];
        }
        near[at] = c;
        label[at] = data->ds->samples[data->train[j]].label;
    }
    double *prob = v->prob + (size_t)i * (size_t)v->K;
    for (int k = 0; k < v->K; k++) prob[k] = 0;
    for (int j = 0; j < n; j++) {
        double weight = exp((near[j] - near[0]) / TEMPERATURE);
        prob[label[j]] += weight;
        total += weight;
    }
    /* one part of a vote for every class, so that no loss is infinite */
    for (int k = 0; k < v->K; k++) prob[k] = (prob[k] + 1.0 / v->K) / (total + 1);
}

static eg_status score(json_t **out, voting *v, const uint32_t *indices, size_t n, eg_error *err) {
    eg_scores s;
    eg_brief brief;
    if (n == 0) {
        *out = json_null();
        return EG_OK;
    }
    EG_TRY(eg_study_scores_new(&s, v->run->data->ds, indices, n, err));
    v->indices = indices;
    v->prob = s.prob;
    eg_pool_run(vote, v, (int)n);
    eg_status status = eg_study_scores_brief(&brief, &s, err);
    eg_study_scores_free(&s);
    EG_TRY(status);
    *out = json_pack("{s:I, s:o, s:o, s:o}", "n", (json_int_t)n, "loss", eg_json_real(brief.loss),
                     "accuracy", eg_json_real(brief.accuracy), "auc", eg_json_real(brief.auc));
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

eg_status eg_study_knn_json(json_t **out, const eg_run *run, eg_error *err) {
    const eg_data_stage *data = run->data;
    const eg_feature_store *store = run->store;
    json_t *val = NULL, *test = NULL;
    voting v = {.run = run, .K = data->ds->n_classes};
    v.k = data->n_train < NEIGHBOURS ? (int)data->n_train : NEIGHBOURS;
    v.norm = eg_malloc((store->n + 1) * sizeof *v.norm);
    if (!v.norm) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < store->n; i++) {
        double sum = 0;
        for (size_t d = 0; d < store->width; d++) {
            double x = (double)store->rows[i * store->width + d];
            sum += x * x;
        }
        v.norm[i] = sqrt(sum);
    }
    eg_status status = score(&val, &v, data->val, data->n_val, err);
    if (status == EG_OK) status = score(&test, &v, data->test, data->n_test, err);
    eg_free(v.norm);
    if (status == EG_OK) {
        *out = json_pack("{s:i, s:O, s:O}", "k", v.k, "val", val, "test", test);
        if (!*out) status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    json_decref(val);
    json_decref(test);
    return status;
}
