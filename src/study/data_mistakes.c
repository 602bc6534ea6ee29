/* engraft data DIR --preprocessing RUN|MODEL: what the common mistakes of preprocessing change. Of a run: accuracy, loss
 * and AUC on its validation images, prepared wrongly on purpose; the test split is not touched. Of a model: how far its
 * features move. Both: the mean change of the numbers that the network is given, in standard deviations of its
 * normalisation. Read first: data_report.h, preset.c.                                                             */
#include "study/data_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* MOST: images that are looked at, evenly over the split: an accuracy within 2 points. */
enum { MOST = 400, BATCH = 16 };

typedef struct {
    eg_preprocess p;
    bool swapped; /* BGR */
    float scale;  /* of pixels before mean and std: 1, or 255 when the division was forgotten */
} preparation;

/* ---- the mistakes ---- */

static void no_normalisation(preparation *m) {
    for (int c = 0; c < 3; c++) {
        m->p.mean[c] = 0;
        m->p.std[c] = 1;
    }
}
static void half_normalisation(preparation *m) {
    for (int c = 0; c < 3; c++) m->p.mean[c] = m->p.std[c] = 0.5F;
}
static void other_fit(preparation *m) {
    m->p.fit = m->p.fit == EG_FIT_CROP ? EG_FIT_SQUASH : EG_FIT_CROP;
}
static void no_crop(preparation *m) {
    m->p.fit = EG_FIT_CROP;
    m->p.resize = m->p.crop;
}
static void nearest(preparation *m) {
    m->p.interp = EG_INTERP_NEAREST;
}
static void other_filter(preparation *m) {
    m->p.interp = m->p.interp == EG_INTERP_BICUBIC ? EG_INTERP_BILINEAR : EG_INTERP_BICUBIC;
}
static void swapped(preparation *m) {
    m->swapped = true;
}
static void not_divided(preparation *m) {
    m->scale = 255;
}

static const struct {
    const char *name, *text;
    void (*make)(preparation *m);
} mistakes[] = {
    {"no normalisation", "mean and std left out", no_normalisation},
    {"mean and std 0.5", "those of another family of networks", half_normalisation},
    {"squash for crop", "the aspect ratio is kept where it should not be, or the other way round",
     other_fit},
    {"no margin", "resized to the input's size, so that the centre crop cuts nothing off", no_crop},
    {"nearest", "resized without a filter: no antialiasing", nearest},
    {"other filter", "bicubic for bilinear or the other way round", other_filter},
    {"BGR", "channels in OpenCV's order", swapped},
    {"0 to 255", "pixels not divided by 255", not_divided},
};
enum { N_MISTAKES = sizeof mistakes / sizeof *mistakes, N_WAYS = N_MISTAKES + 1 };

/* ---- the work ---- */

typedef struct {
    eg_dataset *ds;
    uint32_t *indices; /* (n) */
    size_t n;
    eg_opened_run run; /* .net NULL: a model */
    bool is_run;
    eg_network *net; /* of a model; NULL: its weights are not here */
    const char *model;
    preparation way[N_WAYS]; /* [0]: right */
    eg_plan *plan;
    size_t width;          /* of a row */
    float *rows[N_WAYS];   /* (n, width); logits of a run, features of a model */
    double change[N_WAYS]; /* sum of |difference| */
    float *right, *wrong;  /* (BATCH, side, side, 3) */
    eg_image image[BATCH]; /* decoded, of the batch */
    eg_status failure[BATCH];
    eg_error error[BATCH];
    size_t from; /* first image of the batch */
    int now;     /* way at work */
} examination;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory examining preprocessing");
}

static void decode_one(void *context, int i) {
    examination *x = context;
    x->failure[i] =
        eg_dataset_image(&x->image[i], x->ds, x->indices[x->from + (size_t)i], &x->error[i]);
}

static void prepare_one(void *context, int i) {
    examination *x = context;
    const preparation *m = &x->way[x->now];
    const size_t pixels = (size_t)m->p.crop * (size_t)m->p.crop;
    float *to = (x->now == 0 ? x->right : x->wrong) + (size_t)i * pixels * 3;
    x->failure[i] = eg_preprocess_float(to, &x->image[i], &m->p, &x->error[i]);
    if (x->failure[i] != EG_OK) return;
    for (size_t k = 0; k < pixels; k++) {
        float *v = to + 3 * k;
        if (m->swapped) {
            /* the network's own mean and std meet the wrong channel */
            float r = v[0] * m->p.std[0] + m->p.mean[0], b = v[2] * m->p.std[2] + m->p.mean[2];
            v[0] = (b - m->p.mean[0]) / m->p.std[0];
            v[2] = (r - m->p.mean[2]) / m->p.std[2];
        }
        for (int c = 0; m->scale > 1 && c < 3; c++)
            v[c] = ((v[c] * m->p.std[c] + m->p.mean[c]) * m->scale - m->p.mean[c]) / m->p.std[c];
    }
}

static eg_status first_failure(examination *x, int n, eg_error *err) {
    for (int i = 0; i < n; i++) {
        if (x->failure[i] == EG_OK) continue;
        if (err) *err = x->error[i];
        return x->failure[i];
    }
    return EG_OK;
}

static eg_status one_way(examination *x, int n, eg_error *err) {
    const size_t values = (size_t)x->way[0].p.crop * (size_t)x->way[0].p.crop * 3;
    const float *input = x->now == 0 ? x->right : x->wrong;
    eg_pool_run(prepare_one, x, n);
    EG_TRY(first_failure(x, n, err));
    for (size_t i = 0; x->now > 0 && i < (size_t)n * values; i++)
        x->change[x->now] += fabs((double)(input[i] - x->right[i])) / (double)values;
    if (!x->plan) return EG_OK;
    memcpy(eg_plan_input(x->plan), input, (size_t)n * values * sizeof *input);
    EG_TRY(eg_plan_forward(x->plan, n, 0, err));
    const float *rows = x->is_run ? eg_plan_logits(x->plan) : eg_plan_features(x->plan);
    memcpy(x->rows[x->now] + x->from * x->width, rows, (size_t)n * x->width * sizeof *rows);
    return EG_OK;
}

static eg_status all_images(examination *x, const eg_events *ev, eg_error *err) {
    eg_status status = EG_OK;
    if (x->plan) eg_plan_refresh(x->plan);
    for (x->from = 0; status == EG_OK && x->from < x->n; x->from += BATCH) {
        int n = (int)(x->n - x->from < BATCH ? x->n - x->from : BATCH);
        memset(x->image, 0, sizeof x->image);
        eg_pool_run(decode_one, x, n);
        status = first_failure(x, n, err);
        for (x->now = 0; status == EG_OK && x->now < N_WAYS; x->now++) status = one_way(x, n, err);
        for (int i = 0; i < n; i++) eg_image_free(&x->image[i]);
        eg_study_report(ev, &(eg_progress){.kind = EG_PROGRESS_SCAN,
                                           .stage = "examine",
                                           .step = (int64_t)(x->from + (size_t)n),
                                           .n_steps = (int64_t)x->n});
        if (status == EG_OK && eg_study_stopped(ev))
            status = eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while examining preprocessing");
    }
    return status;
}

/* ---- what is examined ---- */

/* A run brings its network; a model its weights, when they are here: without them pixels are compared alone. */
static eg_status subject_open(examination *x, const eg_options *o, const eg_events *ev,
                              eg_error *err) {
    const char *name = o->preprocessing_run;
    const eg_arch_info *arch = eg_arch_find(name);
    char hint[EG_ARCH_HINT];
    x->is_run = !arch;
    if (x->is_run) {
        if (!eg_path_exists(name))
            return eg_fail(
                err, EG_ERR_NOT_FOUND,
                "--preprocessing %s: neither a run folder nor the name of a network - %s", name,
                eg_arch_hint(hint, name));
        EG_TRY(eg_study_run_open(&x->run, name, err));
        x->model = x->run.model;
        x->way[0].p = x->run.preprocess;
        return EG_OK;
    }
    eg_settings s;
    x->model = arch->name;
    eg_error missing = {0};
    eg_status status = eg_study_settings_resolve(&s, o, name, "frozen", &missing);
    if (status == EG_ERR_NOT_FOUND) {
        eg_study_note(ev, "%s: weights are not here, so pixels are compared and features are not",
                      name);
        return eg_study_preset(&x->way[0].p, arch, "weights", o->img_size, err);
    }
    if (status != EG_OK) {
        if (err) *err = missing;
        return status;
    }
    eg_state_dict *sd = NULL;
    bool head;
    x->way[0].p = s.preprocess;
    status = eg_network_new(&x->net, name, 2, s.preprocess.crop, err);
    if (status == EG_OK) status = eg_weights_read(&sd, s.o.weights, err);
    if (status == EG_OK) status = eg_network_load(x->net, sd, &head, err);
    eg_state_dict_free(sd);
    eg_study_settings_free(&s);
    return status;
}

/* Validation images of a run, training images for a model; never those of the test split. */
static eg_status images_choose(examination *x, const eg_options *o, const eg_events *ev,
                               eg_error *err) {
    bool restored = false;
    json_t *bad = NULL;
    eg_options skipping = *o;
    skipping.skip_bad = true;
    EG_TRY(eg_study_data_check(&bad, x->ds, &skipping, ev, err));
    json_decref(bad);
    if (x->is_run) EG_TRY(eg_study_split_restore(&restored, x->ds, o->preprocessing_run, err));
    if (x->is_run && !restored) {
        eg_split_origin origin;
        eg_options drawn = *o;
        drawn.save_split = NULL;
        EG_TRY(eg_study_dataset_split(&origin, x->ds, &drawn, ev, err));
    }
    EG_TRY(eg_dataset_indices(&x->indices, &x->n, x->ds, x->is_run ? EG_SPLIT_VAL : EG_SPLIT_TRAIN,
                              err));
    if (x->n == 0 && !x->is_run) { /* a bare tree */
        eg_free(x->indices);
        x->indices = NULL;
        EG_TRY(eg_dataset_indices(&x->indices, &x->n, x->ds, EG_SPLIT_ALL, err));
    }
    if (x->n == 0) return eg_fail(err, EG_ERR_INPUT, "%s: no validation image", x->ds->path);
    size_t all = x->n;
    for (size_t i = 0; all > MOST && i < MOST; i++) x->indices[i] = x->indices[i * all / MOST];
    x->n = all > MOST ? MOST : all;
    return EG_OK;
}

static eg_status classes_check(const examination *x, eg_error *err) {
    bool same = x->ds->n_classes == x->run.n_classes;
    for (int k = 0; same && k < x->run.n_classes; k++)
        same = strcmp(x->ds->classes[k], x->run.classes[k]) == 0;
    return same ? EG_OK
                : eg_fail(err, EG_ERR_MISMATCH, "%s: its classes are not those of the run",
                          x->ds->path);
}

static eg_status buffers_make(examination *x, eg_error *err) {
    const size_t values = (size_t)x->way[0].p.crop * (size_t)x->way[0].p.crop * 3;
    eg_network *net = x->is_run ? x->run.net : x->net;
    for (int m = 0; m < N_WAYS; m++) {
        x->way[m] = (preparation){x->way[0].p, false, 1};
        if (m > 0) mistakes[m - 1].make(&x->way[m]);
    }
    x->right = eg_malloc(BATCH * values * sizeof *x->right);
    x->wrong = eg_malloc(BATCH * values * sizeof *x->wrong);
    if (!x->right || !x->wrong) return no_memory(err);
    if (!net) return EG_OK;
    eg_plan_options plan = {
        .mode = EG_PLAN_PREDICT, .batch = BATCH, .dropout = -1, .features_only = !x->is_run};
    EG_TRY(eg_plan_new(&x->plan, net, &plan, err));
    x->width = (size_t)(x->is_run ? eg_network_classes(net) : eg_network_features(net));
    for (int m = 0; m < N_WAYS; m++) {
        x->rows[m] = eg_malloc(x->n * x->width * sizeof *x->rows[m]);
        if (!x->rows[m]) return no_memory(err);
    }
    return EG_OK;
}

/* ---- the document ---- */

static double mean_cosine(const examination *x, int m) {
    double sum = 0;
    for (size_t i = 0; i < x->n; i++) {
        const float *a = x->rows[0] + i * x->width, *b = x->rows[m] + i * x->width;
        double ab = 0, aa = 1e-30, bb = 1e-30;
        for (size_t k = 0; k < x->width; k++) {
            ab += (double)a[k] * (double)b[k];
            aa += (double)a[k] * (double)a[k];
            bb += (double)b[k] * (double)b[k];
        }
        sum += ab / sqrt(aa * bb);
    }
    return sum / (double)x->n;
}

static eg_status way_json(json_t **out, const examination *x, int m, double right_accuracy,
                          eg_error *err) {
    eg_brief brief = {NAN, NAN, NAN};
    if (x->is_run) {
        eg_scores s;
        EG_TRY(eg_study_scores_new(&s, x->ds, x->indices, x->n, err));
        eg_softmax(s.prob, x->rows[m], x->n, s.n_classes);
        eg_status status = eg_study_scores_brief(&brief, &s, err);
        eg_study_scores_free(&s);
        EG_TRY(status);
    }
    *out = json_pack("{s:s, s:s, s:o, s:o}", "name", m ? mistakes[m - 1].name : "none", "text",
                     m ? mistakes[m - 1].text : "as trained", "pixel_change",
                     eg_json_real(x->change[m] / (double)x->n), "cosine",
                     x->plan && !x->is_run ? eg_json_real(mean_cosine(x, m)) : json_null());
    bool ok = *out && json_object_set_new(*out, "accuracy", eg_json_real(brief.accuracy)) == 0 &&
              json_object_set_new(*out, "loss", eg_json_real(brief.loss)) == 0 &&
              json_object_set_new(*out, "auc", eg_json_real(brief.auc)) == 0 &&
              json_object_set_new(*out, "difference",
                                  eg_json_real(m ? brief.accuracy - right_accuracy : NAN)) == 0;
    return ok ? EG_OK : no_memory(err);
}

static eg_status document(json_t *doc, const examination *x, eg_error *err) {
    json_t *list = json_array(), *right = NULL;
    char images[120], fit[120];
    eg_status status = list ? way_json(&right, x, 0, NAN, err) : no_memory(err);
    double accuracy = status == EG_OK ? eg_study_number(right, "accuracy") : NAN;
    for (int m = 1; status == EG_OK && m < N_WAYS; m++) {
        json_t *item = NULL;
        status = way_json(&item, x, m, accuracy, err);
        if (status == EG_OK && json_array_append(list, item) != 0) status = no_memory(err);
        json_decref(item);
    }
    const eg_preprocess *p = &x->way[0].p;
    snprintf(images, sizeof images, "%zu of %s", x->n, x->is_run ? "validation" : "training");
    if (p->fit == EG_FIT_CROP)
        snprintf(fit, sizeof fit, "shorter side to %d, centre crop %d", p->resize, p->crop);
    else
        snprintf(fit, sizeof fit, "both sides to %d", p->crop);
    bool ok = status == EG_OK && json_object_set_new(right, "text", json_string(fit)) == 0 &&
              json_object_set(doc, "right", right) == 0 &&
              json_object_set(doc, "mistakes", list) == 0 &&
              json_object_set_new(doc, "model", json_string(x->model)) == 0 &&
              json_object_set_new(doc, "images", json_integer((json_int_t)x->n)) == 0 &&
              json_object_set_new(doc, "images_text", json_string(images)) == 0 &&
              json_object_set_new(doc, "preprocessing", eg_study_preset_json(p)) == 0 &&
              json_object_set_new(doc, "note",
                                  json_string("pixel change: mean difference of the numbers the "
                                              "network is given, in standard deviations.")) == 0;
    json_decref(right);
    json_decref(list);
    if (status != EG_OK) return status;
    return ok ? EG_OK : no_memory(err);
}

static eg_status examine(json_t *doc, examination *x, const char *dir, const eg_options *o,
                         const eg_events *ev, eg_error *err) {
    EG_TRY(subject_open(x, o, ev, err));
    EG_TRY(eg_study_dataset_open(&x->ds, dir, o, NULL, ev, err));
    if (x->is_run) EG_TRY(classes_check(x, err));
    EG_TRY(images_choose(x, o, ev, err));
    EG_TRY(buffers_make(x, err));
    EG_TRY(all_images(x, ev, err));
    return document(doc, x, err);
}

eg_status eg_study_data_mistakes(eg_doc **out, const char *dir, const eg_options *o,
                                 const eg_events *ev, eg_error *err) {
    examination *x = eg_calloc(1, sizeof *x);
    json_t *doc = json_object();
    eg_status status = x && doc ? examine(doc, x, dir, o, ev, err) : no_memory(err);
    if (x) {
        eg_plan_free(x->plan);
        eg_network_free(x->net);
        eg_study_run_close(&x->run);
        eg_dataset_free(x->ds);
        eg_free(x->indices);
        eg_free(x->right);
        eg_free(x->wrong);
        for (int m = 0; m < N_WAYS; m++) eg_free(x->rows[m]);
        eg_free(x);
    }
    if (status != EG_OK) {
        json_decref(doc);
        return status;
    }
    *out = eg_doc_new(doc, "mistakes");
    return *out ? EG_OK : no_memory(err);
}
