/* eg_predict: class probabilities of single image files with a run's best checkpoint, its own
 * preprocessing and its operating threshold. Decodes one image at a time: a handful of files, not a
 * data set. */
#include "study/memory_limit.h"
#include "study/recipe.h"
#include <math.h>
#include <string.h>

typedef struct {
    eg_opened_run run;
    eg_plan *plan;
    eg_image_options decode;
    float *images; /* (batch) images as the network takes them, for shifted views; NULL: one view */
    int batch, tta;
    eg_dtype_choice dtype;
} predictor;

static eg_status open_predictor(predictor *p, const char *run, size_t n, const eg_options *o,
                                const eg_events *ev, eg_error *err) {
    EG_TRY(eg_study_run_open(&p->run, run, err));
    EG_TRY(eg_study_dtype_of_run(&p->dtype, &p->run, o->dtype, ev, err));
    int64_t batch = o->batch_size > 0 ? o->batch_size : 16;
    eg_scorer_options wanted = {.batch = (size_t)batch < n ? (int)batch : (int)n,
                                .n = n,
                                .workers = 1,
                                .deterministic = o->deterministic,
                                .bf16 = p->dtype.bf16};
    EG_TRY(eg_study_memory_predict(&p->batch, p->run.net, &wanted, (size_t)o->max_memory, ev, err));
    p->decode = eg_study_image_options(o, &p->run.preprocess);
    size_t side = (size_t)p->run.preprocess.crop;
    p->tta = o->tta > 0 ? (int)o->tta : p->run.tta;
    if (p->tta > 1) {
        p->images = eg_malloc((size_t)p->batch * side * side * 3 * sizeof *p->images);
        if (!p->images) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    eg_plan_options plan = {.mode = EG_PLAN_PREDICT, .batch = p->batch, .dropout = -1};
    plan.deterministic = o->deterministic;
    plan.bf16 = p->dtype.bf16;
    return eg_plan_new(&p->plan, p->run.net, &plan, err);
}

static eg_status read_into(float *input, predictor *p, const char *file, eg_error *err) {
    eg_image image = {0};
    EG_TRY(eg_image_read(&image, file, &p->decode, err));
    eg_status status = eg_preprocess_float(input, &image, &p->run.preprocess, err);
    if (status != EG_OK) status = eg_error_in(err, status, file);
    eg_image_free(&image);
    return status;
}

/* The class of an image: argmax, or with two classes the positive one from the operating threshold
 * on. */
static json_t *image_json(const predictor *p, const char *file, const double *prob) {
    int best = 0, K = p->run.n_classes;
    for (int k = 1; k < K; k++) {
        if (prob[k] > prob[best]) best = k;
    }
    if (K == 2) best = prob[1] >= p->run.threshold;
    json_t *values = json_array();
    bool ok = values != NULL;
    for (int k = 0; ok && k < K; k++)
        ok = json_array_append_new(values, eg_json_real(prob[k])) == 0;
    if (!ok) {
        json_decref(values);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:o}", "file", file, "class", p->run.classes[best], "p", values);
}

/* Mean probabilities (n, K) of the views of the images at hand; `work` the same size. */
static eg_status mean_views(double *prob, double *work, predictor *p, int n, eg_error *err) {
    size_t side = (size_t)p->run.preprocess.crop, image = side * side * 3;
    size_t n_prob = (size_t)n * (size_t)p->run.n_classes;
    for (int view = 0; view < p->tta; view++) {
        for (size_t i = 0; p->images && i < (size_t)n; i++)
            eg_study_view(eg_plan_input(p->plan) + i * image, p->images + i * image, (int)side,
                          view);
        EG_TRY(eg_plan_forward(p->plan, n, 0, err));
        eg_softmax(view ? work : prob, eg_plan_logits(p->plan), (size_t)n, p->run.n_classes);
        for (size_t i = 0; view > 0 && i < n_prob; i++) prob[i] += work[i];
    }
    for (size_t i = 0; i < n_prob; i++) prob[i] /= p->tta;
    return EG_OK;
}

static eg_status predict_batch(json_t *images, predictor *p, const char *const *files, int n,
                               eg_error *err) {
    size_t side = (size_t)p->run.preprocess.crop;
    int K = p->run.n_classes;
    for (int i = 0; i < n; i++)
        EG_TRY(read_into((p->images ? p->images : eg_plan_input(p->plan)) +
                             (size_t)i * side * side * 3,
                         p, files[i], err));
    double *prob = eg_malloc(2 * (size_t)n * (size_t)K * sizeof *prob);
    bool ok = prob != NULL;
    eg_status status = ok ? mean_views(prob, prob + (size_t)n * (size_t)K, p, n, err) : EG_OK;
    if (status != EG_OK) {
        eg_free(prob);
        return status;
    }
    bool finite = true;
    for (int i = 0; ok && i < n * K; i++) finite = finite && isfinite(prob[i]);
    for (int i = 0; ok && finite && i < n; i++)
        ok = json_array_append_new(images, image_json(p, files[i], prob + (size_t)i * (size_t)K)) ==
             0;
    eg_free(prob);
    if (!finite)
        return eg_fail(err, EG_ERR_INPUT, "the network gives NaN: its weights are damaged");
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

static eg_status predict_all(json_t **out, predictor *p, const char *const *files, size_t n,
                             const eg_options *o, const eg_events *ev, eg_error *err) {
    json_t *images = json_array();
    eg_status status = images ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    (void)o;
    for (size_t done = 0; status == EG_OK && done < n;) {
        int now = (int)(n - done < (size_t)p->batch ? n - done : (size_t)p->batch);
        if (eg_study_stopped(ev)) {
            status = eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while predicting");
            break;
        }
        status = predict_batch(images, p, files + done, now, err);
        done += (size_t)now;
        eg_study_report(ev, &(eg_progress){.kind = EG_PROGRESS_SCAN,
                                           .stage = "predict",
                                           .step = (int64_t)done,
                                           .n_steps = (int64_t)n});
    }
    if (status == EG_OK) {
        *out = json_pack("{s:s, s:s, s:i, s:O, s:o, s:O}", "model", p->run.model, "dtype",
                         eg_study_dtype_name(eg_plan_is_bf16(p->plan)), "tta", p->tta, "classes",
                         p->run.classes_json, "threshold", eg_json_real(p->run.threshold), "images",
                         images);
        if (!*out) status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    json_decref(images);
    return status;
}

eg_status eg_predict(eg_doc **out, const char *run, const char *const *images, size_t n,
                     const eg_options *o, const eg_events *ev, eg_error *err) {
    predictor p = {0};
    json_t *json = NULL;
    if (n == 0) return eg_fail(err, EG_ERR_USAGE, "predict: no image given");
    for (size_t i = 0; i < n; i++)
        if (eg_study_is_dataset(images[i]))
            return eg_fail(err, EG_ERR_USAGE,
                           "%s: a data set, not an image - score it with engraft eval %s %s, or "
                           "name image files",
                           images[i], run, images[i]);
    eg_status status = open_predictor(&p, run, n, o, ev, err);
    if (status == EG_OK) status = predict_all(&json, &p, images, n, o, ev, err);
    eg_plan_free(p.plan);
    eg_free(p.images);
    eg_study_run_close(&p.run);
    EG_TRY(status);
    *out = eg_doc_new(json, "predictions");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
