/* engraft explain: pictures of what a run's network looked at, for single images, or for the worst errors and the most
 * uncertain images of a data set that the run has scored already. One PNG an image and explain.json in the folder --out.
 * A map shows where the score comes from, not why, and it is coarse; the share of it at the rim is reported as the proxy of
 * a shortcut that it is. The maps: explain_map.c. Read first: explain.h. */
#include "study/evaluation.h"
#include "study/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One image to be explained. */
typedef struct {
    const char *file;  /* as it is shown */
    const char *truth; /* class, or NULL where it is not known */
    const char *why;   /* "asked" | "error" | "uncertain" */
    int64_t index;     /* in the data set; -1: a file of its own */
} subject;

typedef struct {
    const eg_options *o;
    const eg_events *ev;
    const char *run_dir;
    eg_opened_run run;
    eg_explainer explainer;
    eg_dataset *ds; /* with a data set as argument */
    eg_scores scores;
    subject *subjects;
    size_t n_subjects;
    int target; /* class of --class; -1: the predicted one */
    /* of one image */
    uint8_t *pixels; /* (side, side, 3) */
    float *input, *logits, *heat;
} job;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "explain: out of memory");
}

static const char *method_name(eg_explain_method method) {
    static const char *const names[] = {"gradcam", "gradcam++", "occlusion"};
    return names[method];
}

static eg_explain_method method_of(const char *name) {
    for (int i = EG_EXPLAIN_GRADCAM; i < EG_EXPLAIN_OCCLUSION; i++)
        if (name && strcmp(name, method_name((eg_explain_method)i)) == 0)
            return (eg_explain_method)i;
    return name && strcmp(name, "occlusion") == 0 ? EG_EXPLAIN_OCCLUSION : EG_EXPLAIN_GRADCAM;
}

/* ---- which images ---- */

static eg_status subjects_of_files(job *j, const char *const *files, size_t n, eg_error *err) {
    j->subjects = eg_calloc(n, sizeof *j->subjects);
    if (!j->subjects) return no_memory(err);
    for (size_t i = 0; i < n; i++) j->subjects[i] = (subject){files[i], NULL, "asked", -1};
    j->n_subjects = n;
    return EG_OK;
}

typedef struct {
    double key;
    uint32_t at; /* row of the scores */
} ranked;

static int compare_ranked(const void *x, const void *y) {
    const ranked *a = x, *b = y;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static int predicted(const eg_scores *s, size_t i, double threshold) {
    const double *p = s->prob + i * (size_t)s->n_classes;
    int best = 0;
    for (int k = 1; k < s->n_classes; k++)
        if (p[k] > p[best]) best = k;
    return s->n_classes == 2 ? p[1] >= threshold : best;
}

/* Between the likeliest class and the next one. */
static double margin(const eg_scores *s, size_t i) {
    const double *p = s->prob + i * (size_t)s->n_classes;
    double first = -1, second = -1;
    for (int k = 0; k < s->n_classes; k++) {
        if (p[k] > first) {
            second = first;
            first = p[k];
        } else if (p[k] > second) {
            second = p[k];
        }
    }
    return first - second;
}

static int64_t index_of(const eg_dataset *ds, const char *file) {
    for (size_t i = 0; i < ds->n_samples; i++)
        if (strcmp(ds->samples[i].file, file) == 0) return (int64_t)i;
    return -1;
}

static eg_status add_subject(job *j, uint32_t at, const char *why, eg_error *err) {
    const eg_scores *s = &j->scores;
    int64_t index = index_of(j->ds, s->file[at]);
    if (index < 0)
        return eg_fail(
            err, EG_ERR_MISMATCH,
            "%s: %s, which the run has scored, is not there - give the data set that the "
            "run was trained on",
            j->ds->root, s->file[at]);
    j->subjects[j->n_subjects++] = (subject){s->file[at], j->run.classes[s->label[at]], why, index};
    return EG_OK;
}

/* The worst errors: those whose own class got the least probability; then the least certain of all, without repeats. */
static eg_status pick(job *j, eg_error *err) {
    const eg_scores *s = &j->scores;
    const size_t most = (size_t)j->o->top;
    ranked *order = eg_malloc((s->n + 1) * sizeof *order);
    bool *taken = eg_calloc(s->n + 1, sizeof *taken);
    j->subjects = eg_calloc(2 * most + 1, sizeof *j->subjects);
    eg_status status = order && taken && j->subjects ? EG_OK : no_memory(err);
    size_t n = 0;
    for (size_t i = 0; status == EG_OK && i < s->n; i++)
        if (predicted(s, i, j->run.threshold) != s->label[i])
            order[n++] =
                (ranked){s->prob[i * (size_t)s->n_classes + (size_t)s->label[i]], (uint32_t)i};
    if (status == EG_OK) qsort(order, n, sizeof *order, compare_ranked);
    for (size_t i = 0; status == EG_OK && i < n && i < most; i++) {
        taken[order[i].at] = true;
        status = add_subject(j, order[i].at, "error", err);
    }
    for (size_t i = 0; status == EG_OK && i < s->n; i++)
        order[i] = (ranked){margin(s, i), (uint32_t)i};
    if (status == EG_OK) qsort(order, s->n, sizeof *order, compare_ranked);
    size_t more = 0;
    for (size_t i = 0; status == EG_OK && i < s->n && more < most; i++) {
        if (taken[order[i].at]) continue;
        status = add_subject(j, order[i].at, "uncertain", err);
        more++;
    }
    eg_free(order);
    eg_free(taken);
    return status;
}

static eg_status subjects_of_set(job *j, const char *dir, eg_error *err) {
    char *name = eg_format("predictions-%s.csv", j->o->split ? j->o->split : "test");
    char *path = name ? eg_path_join(j->run_dir, name) : NULL;
    eg_status status = path ? EG_OK : no_memory(err);
    if (status == EG_OK && !eg_path_exists(path))
        status = eg_fail(err, EG_ERR_NOT_FOUND,
                         "%s: not there - the run scored no %s images; name image files instead of "
                         "%s",
                         path, j->o->split ? j->o->split : "test", dir);
    if (status == EG_OK)
        status = eg_study_scores_read(&j->scores, path, j->run.classes, j->run.n_classes, err);
    if (status == EG_OK) status = eg_study_dataset_open(&j->ds, dir, j->o, NULL, j->ev, err);
    if (status == EG_OK && strcmp(name, "predictions-test.csv") == 0)
        status = eg_study_ledger_add(
            j->run_dir, &(eg_test_look){"explain", NULL, "predictions-test.csv, images"}, err);
    if (status == EG_OK) status = pick(j, err);
    eg_free(name);
    eg_free(path);
    return status;
}

/* ---- one image ---- */

static eg_status load(job *j, const subject *s, eg_error *err) {
    eg_image image = {0};
    EG_TRY(s->index >= 0 ? eg_dataset_image(&image, j->ds, (uint32_t)s->index, err)
                         : eg_image_read(&image, s->file, NULL, err));
    eg_status status = eg_preprocess_u8(j->pixels, &image, &j->run.preprocess, err);
    if (status == EG_OK) status = eg_preprocess_float(j->input, &image, &j->run.preprocess, err);
    eg_image_free(&image);
    return status == EG_OK ? EG_OK : eg_error_in(err, status, s->file);
}

/* "0007-person1_virus_6.png": numbered, so that equal names of different folders stay apart. */
static char *picture_name(size_t number, const char *file) {
    const char *slash = strrchr(file, '/');
    const char *base = slash ? slash + 1 : file;
    const char *dot = strrchr(base, '.');
    int n = dot ? (int)(dot - base) : (int)strlen(base);
    return eg_format("%04zu-%.*s.png", number, n > 200 ? 200 : n, base);
}

static eg_status explain_one(json_t *images, job *j, size_t number, eg_error *err) {
    const subject *s = &j->subjects[number];
    const int K = j->run.n_classes, side = j->run.preprocess.crop;
    eg_scores one = {.n = 1, .n_classes = K};
    EG_TRY(load(j, s, err));
    EG_TRY(eg_study_explainer_logits(j->logits, &j->explainer, j->input, err));
    one.prob = eg_malloc((size_t)K * sizeof *one.prob);
    char *name = picture_name(number + 1, s->file), *path = NULL;
    if (name) path = eg_path_join(j->o->out, name);
    eg_buffer png = {0};
    eg_heat heat = {.value = j->heat};
    eg_status status = one.prob && path ? EG_OK : no_memory(err);
    if (status == EG_OK) {
        eg_softmax(one.prob, j->logits, 1, K);
        int said = predicted(&one, 0, j->run.threshold);
        int target = j->target >= 0 ? j->target : said;
        status = eg_study_explainer_map(&heat, &j->explainer, j->input, target, err);
        if (status == EG_OK) status = eg_study_overlay_png(&png, j->pixels, side, &heat, err);
        if (status == EG_OK)
            status = eg_file_write_atomic(path, &(eg_part){png.data, png.size}, 1, err);
        json_t *row = json_pack(
            "{s:s, s:s?, s:s, s:s, s:o, s:s, s:o, s:o, s:s}", "file", s->file, "truth", s->truth,
            "why", s->why, "predicted", j->run.classes[said], "p", eg_json_real(one.prob[said]),
            "explained", j->run.classes[target], "p_explained", eg_json_real(one.prob[target]),
            "outside_centre", eg_json_real(eg_study_heat_outside(&heat)), "picture", name);
        if (status == EG_OK && json_array_append(images, row) != 0) status = no_memory(err);
        json_decref(row);
    }
    eg_buffer_free(&png);
    eg_free(one.prob);
    eg_free(path);
    eg_free(name);
    return status;
}

/* ---- the command ---- */

static eg_status find_target(job *j, eg_error *err) {
    j->target = -1;
    if (!j->o->target_class) return EG_OK;
    for (int k = 0; k < j->run.n_classes; k++)
        if (strcmp(j->run.classes[k], j->o->target_class) == 0) j->target = k;
    if (j->target >= 0) return EG_OK;
    eg_buffer names = {0};
    for (int k = 0; k < j->run.n_classes; k++)
        eg_buffer_printf(&names, "%s%s", k ? ", " : "", j->run.classes[k]);
    eg_status status = eg_fail(err, EG_ERR_USAGE, "--class %s: the run knows %.300s",
                               j->o->target_class, names.data ? names.data : "");
    eg_buffer_free(&names);
    return status;
}

static eg_status prepare(job *j, const char *const *images, size_t n, eg_error *err) {
    EG_TRY(eg_study_run_open(&j->run, j->run_dir, err));
    EG_TRY(find_target(j, err));
    bool set = n == 1 && eg_study_is_dataset(images[0]);
    EG_TRY(set ? subjects_of_set(j, images[0], err) : subjects_of_files(j, images, n, err));
    EG_TRY(eg_study_explainer_open(&j->explainer, j->run.net, method_of(j->o->method),
                                   (int)j->o->patch, err));
    int height, width;
    size_t side = (size_t)j->run.preprocess.crop;
    eg_study_explainer_shape(&height, &width, &j->explainer);
    j->pixels = eg_malloc(side * side * 3);
    j->input = eg_malloc(side * side * 3 * sizeof *j->input);
    j->logits = eg_malloc((size_t)j->run.n_classes * sizeof *j->logits);
    j->heat = eg_malloc((size_t)height * (size_t)width * sizeof *j->heat);
    if (!j->pixels || !j->input || !j->logits || !j->heat) return no_memory(err);
    return eg_dir_make(j->o->out, err);
}

static eg_status explain_all(json_t **out, job *j, eg_error *err) {
    json_t *images = json_array();
    eg_status status = images ? EG_OK : no_memory(err);
    double sum = 0;
    size_t counted = 0;
    for (size_t i = 0; status == EG_OK && i < j->n_subjects; i++) {
        if (eg_study_stopped(j->ev))
            status = eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while explaining");
        else
            status = explain_one(images, j, i, err);
        if (status != EG_OK) break;
        double outside = eg_study_number(json_array_get(images, i), "outside_centre");
        if (!isnan(outside)) sum += outside, counted++;
        eg_study_report(j->ev, &(eg_progress){.kind = EG_PROGRESS_SCAN,
                                              .stage = "explain",
                                              .step = (int64_t)i + 1,
                                              .n_steps = (int64_t)j->n_subjects});
    }
    if (status == EG_OK) {
        *out = json_pack("{s:s, s:s, s:s, s:s, s:O, s:o, s:O}", "run", j->run_dir, "model",
                         j->run.model, "method", method_name(j->explainer.method), "folder",
                         j->o->out, "classes", j->run.classes_json, "mean_outside_centre",
                         eg_json_real(counted ? sum / (double)counted : NAN), "images", images);
        if (!*out) status = no_memory(err);
    }
    if (status == EG_OK) {
        status = eg_study_file_write(j->o->out, "explain.json", *out, err);
        if (status != EG_OK) json_decref(*out);
    }
    json_decref(images);
    return status;
}

eg_status eg_explain(eg_doc **out, const char *run, const char *const *images, size_t n,
                     const eg_options *o, const eg_events *ev, eg_error *err) {
    eg_options own = *o;
    json_t *json = NULL;
    if (n == 0) return eg_fail(err, EG_ERR_USAGE, "explain: no image given");
    if (!own.out) own.out = "explain";
    own.patients = "none"; /* nothing is grouped here, so no header need be read */
    job j = {.o = &own, .ev = ev, .run_dir = run};
    eg_status status = prepare(&j, images, n, err);
    if (status == EG_OK) status = explain_all(&json, &j, err);
    eg_study_explainer_close(&j.explainer);
    eg_study_scores_free(&j.scores);
    eg_dataset_free(j.ds);
    eg_study_run_close(&j.run);
    eg_free(j.subjects);
    eg_free(j.pixels);
    eg_free(j.input);
    eg_free(j.logits);
    eg_free(j.heat);
    EG_TRY(status);
    *out = eg_doc_new(json, "explain");
    return *out ? EG_OK : no_memory(err);
}
