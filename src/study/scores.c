/* Class probabilities of a split: from logits, to and from predictions-*.csv, and what is computed
 * of them (a line of an epoch, the operating point, the metrics JSON). The formulas are the stats
 * room's. */
#include "study/run.h"
#include <math.h>
#include <string.h>

#define MAX_ROC_POINTS 200

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for predictions");
}

static eg_status allocate(eg_scores *s, size_t n, int n_classes, eg_error *err) {
    *s = (eg_scores){.n = n, .n_classes = n_classes};
    s->file = eg_calloc(n + 1, sizeof *s->file);
    s->label = eg_calloc(n + 1, sizeof *s->label);
    s->prob = eg_calloc(n * (size_t)n_classes + 1, sizeof *s->prob);
    if (s->file && s->label && s->prob) return EG_OK;
    eg_study_scores_free(s);
    return no_memory(err);
}

eg_status eg_study_scores_new(eg_scores *out, const eg_dataset *ds, const uint32_t *indices,
                              size_t n, eg_error *err) {
    eg_scores s;
    EG_TRY(allocate(&s, n, ds->n_classes, err));
    for (size_t i = 0; i < n; i++) {
        const eg_sample *sample = &ds->samples[indices[i]];
        s.label[i] = sample->label;
        s.file[i] = eg_strdup(sample->file);
        if (!s.file[i]) {
            eg_study_scores_free(&s);
            return no_memory(err);
        }
    }
    *out = s;
    return EG_OK;
}

void eg_study_scores_free(eg_scores *s) {
    for (size_t i = 0; s->file && i < s->n; i++) eg_free(s->file[i]);
    eg_free(s->file);
    eg_free(s->label);
    eg_free(s->prob);
    *s = (eg_scores){0};
}

eg_status eg_study_scores_of(eg_scores *out, eg_network *net, const eg_scorer_options *o,
                             const char *stage, const eg_events *ev, eg_error *err) {
    eg_scorer scorer;
    eg_scores scores;
    EG_TRY(eg_study_scorer_open(&scorer, net, o, err));
    eg_status status = eg_study_scores_new(&scores, o->ds, o->indices, o->n, err);
    if (status == EG_OK) {
        float *rows = eg_malloc((o->n * scorer.width + 1) * sizeof *rows);
        status = rows ? eg_study_scorer_run(rows, &scorer, stage, ev, err) : no_memory(err);
        if (status == EG_OK) {
            eg_softmax(scores.prob, rows, o->n, scores.n_classes);
            *out = scores;
        } else {
            eg_study_scores_free(&scores);
        }
        eg_free(rows);
    }
    eg_study_scorer_close(&scorer);
    return status;
}

/* ---- CSV: RFC 4180 quoting where a name needs it ---- */

void eg_study_csv_add(eg_buffer *b, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        eg_buffer_printf(b, "%s", text);
        return;
    }
    eg_buffer_add(b, "\"", 1);
    for (const char *c = text; *c; c++) {
        if (*c == '"') eg_buffer_add(b, "\"", 1);
        eg_buffer_add(b, c, 1);
    }
    eg_buffer_add(b, "\"", 1);
}

static void add_header(eg_buffer *b, char *const *classes, int n_classes) {
    eg_buffer_printf(b, "file,label");
    for (int k = 0; k < n_classes; k++) {
        char *name = eg_format("p_%s", classes[k]);
        eg_buffer_add(b, ",", 1);
        eg_study_csv_add(b, name ? name : "");
        eg_free(name);
    }
    eg_buffer_add(b, "\n", 1);
}

eg_status eg_study_scores_write(const eg_scores *s, const char *path, char *const *classes,
                                eg_error *err) {
    eg_buffer b = {0};
    add_header(&b, classes, s->n_classes);
    for (size_t i = 0; i < s->n; i++) {
        eg_study_csv_add(&b, s->file[i]);
        eg_buffer_add(&b, ",", 1);
        eg_study_csv_add(&b, classes[s->label[i]]);
        for (int k = 0; k < s->n_classes; k++)
            eg_buffer_printf(&b, ",%.9g", s->prob[i * (size_t)s->n_classes + (size_t)k]);
        eg_buffer_add(&b, "\n", 1);
    }
    eg_status status =
        b.failed ? no_memory(err) : eg_file_write_atomic(path, &(eg_part){b.data, b.size}, 1, err);
    eg_buffer_free(&b);
    return status;
}

/* Next field of a CSV text into `field`; moves *at behind its separator. false: end of line reached
 * before it. */
static bool take_field(eg_buffer *field, const char **at, const char *end) {
    const char *c = *at;
    field->size = 0;
    eg_buffer_add(field, "", 0);
    if (c >= end) return false;
    if (*c == '"') {
        for (c++; c < end && !(*c == '"' && !(c + 1 < end && c[1] == '"')); c++) {
            if (*c == '"') c++; /* "" inside quotes */
            eg_buffer_add(field, c, 1);
        }
        if (c < end) c++;
    } else {
        const char *start = c;
        while (c < end && *c != ',' && *c != '\n') c++;
        eg_buffer_add(field, start, (size_t)(c - start));
    }
    if (c < end) c++;
    *at = c;
    return !field->failed && field->data;
}

static eg_status parse_row(eg_scores *s, size_t i, const char **at, const char *end,
                           eg_buffer *field, char *const *classes, eg_error *err) {
    if (!take_field(field, at, end))
        return eg_fail(err, EG_ERR_INPUT, "row %zu: file missing", i + 2);
    s->file[i] = eg_strndup(field->data, field->size);
    if (!s->file[i]) return no_memory(err);
    int label = -1;
    bool got = take_field(field, at, end);
    for (int k = 0; got && k < s->n_classes; k++) {
        if (strlen(classes[k]) == field->size && memcmp(classes[k], field->data, field->size) == 0)
            label = k;
    }
    if (label < 0) return eg_fail(err, EG_ERR_INPUT, "row %zu: unknown label", i + 2);
    s->label[i] = label;
    for (int k = 0; k < s->n_classes; k++) {
        double *p = &s->prob[i * (size_t)s->n_classes + (size_t)k];
        if (!take_field(field, at, end) || !eg_parse_real(p, field->data) || *p < 0 || *p > 1)
            return eg_fail(err, EG_ERR_INPUT, "row %zu: probability %d missing or outside [0, 1]",
                           i + 2, k + 1);
    }
    return EG_OK;
}

eg_status eg_study_scores_read(eg_scores *out, const char *path, char *const *classes,
                               int n_classes, eg_error *err) {
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, (size_t)1 << 30, err));
    const char *at = (const char *)view.data, *end = at + view.size;
    eg_buffer header = {0}, field = {0};
    eg_scores s = {0};
    add_header(&header, classes, n_classes);
    eg_status status = EG_OK;
    if (header.failed)
        status = no_memory(err);
    else if (view.size < header.size || memcmp(at, header.data, header.size) != 0)
        status = eg_fail(err, EG_ERR_INPUT, "%s: the first line is not %.*s", path,
                         (int)header.size - 1, header.data);
    size_t n = 0;
    if (status == EG_OK) {
        at += header.size;
        for (const char *c = at; c < end; c++) n += *c == '\n';
        status = allocate(&s, n, n_classes, err);
    }
    for (size_t i = 0; status == EG_OK && i < n; i++) {
        status = parse_row(&s, i, &at, end, &field, classes, err);
        if (status != EG_OK) status = eg_error_in(err, status, path);
    }
    eg_buffer_free(&header);
    eg_buffer_free(&field);
    eg_file_close(&view);
    if (status == EG_OK)
        *out = s;
    else
        eg_study_scores_free(&s);
    return status;
}

/* ---- figures ---- */

double *eg_study_scores_positive(const eg_scores *s) {
    double *p = s->n_classes == 2 ? eg_malloc((s->n + 1) * sizeof *p) : NULL;
    for (size_t i = 0; p && i < s->n; i++) p[i] = s->prob[2 * i + 1];
    return p;
}

double eg_study_scores_threshold(const eg_scores *s) {
    double *p = eg_study_scores_positive(s);
    double threshold = p && s->n ? eg_threshold_accuracy(p, s->label, s->n) : 0.5;
    eg_free(p);
    return isfinite(threshold) ? threshold : 0.5;
}

eg_status eg_study_scores_brief(eg_brief *out, const eg_scores *s, eg_error *err) {
    eg_metrics m;
    EG_TRY(eg_metrics_compute(&m, s->prob, s->label, s->n, s->n_classes, NAN, err));
    *out = (eg_brief){.loss = m.loss, .accuracy = m.accuracy, .auc = m.auc};
    eg_metrics_free(&m);
    return EG_OK;
}

static json_t *pair_json(const double ci[2]) {
    if (!isfinite(ci[0]) || !isfinite(ci[1])) return json_null();
    return json_pack("[o,o]", eg_json_real(ci[0]), eg_json_real(ci[1]));
}

static json_t *confusion_json(const eg_metrics *m) {
    json_t *rows = json_array();
    bool ok = rows != NULL;
    for (int t = 0; ok && t < m->n_classes; t++) {
        json_t *row = json_array();
        ok = json_array_append_new(rows, row) == 0;
        for (int p = 0; ok && p < m->n_classes; p++)
            ok = json_array_append_new(
                     row, json_integer((json_int_t)m->confusion[t * m->n_classes + p])) == 0;
    }
    if (ok) return rows;
    json_decref(rows);
    return NULL;
}

static json_t *names_json(char *const *classes, int n) {
    json_t *array = json_array();
    for (int k = 0; array && k < n; k++) {
        if (json_array_append_new(array, json_string(classes[k])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* The ROC curve with at most MAX_ROC_POINTS points, the ends always kept; null for K classes. */
static json_t *roc_json(const eg_scores *s) {
    double *score = eg_study_scores_positive(s);
    if (!score) return json_null();
    double *fpr = eg_malloc((s->n + 1) * 3 * sizeof *fpr);
    json_t *points = fpr ? json_array() : NULL;
    size_t n =
        points ? eg_roc_curve(fpr, fpr + s->n + 1, fpr + 2 * (s->n + 1), score, s->label, s->n) : 0;
    size_t shown = n < MAX_ROC_POINTS ? n : MAX_ROC_POINTS;
    for (size_t i = 0; points && i < shown; i++) {
        size_t at = shown > 1 ? i * (n - 1) / (shown - 1) : 0;
        json_t *point = json_pack("[o,o]", eg_json_real(fpr[at]), eg_json_real(fpr[s->n + 1 + at]));
        if (json_array_append_new(points, point) != 0) {
            json_decref(points);
            points = NULL;
        }
    }
    eg_free(fpr);
    eg_free(score);
    return points;
}

eg_status eg_study_metrics_json(json_t **out, const eg_scores *s, char *const *classes,
                                double threshold, eg_error *err) {
    eg_metrics m;
    EG_TRY(eg_metrics_compute(&m, s->prob, s->label, s->n, s->n_classes, threshold, err));
    json_t *json = json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, "
        "s:o}",
        "n", (json_int_t)m.n, "loss", eg_json_real(m.loss), "accuracy", eg_json_real(m.accuracy),
        "accuracy_ci", pair_json(m.accuracy_ci), "balanced_accuracy",
        eg_json_real(m.balanced_accuracy), "auc", eg_json_real(m.auc), "auc_ci",
        pair_json(m.auc_ci), "sensitivity", eg_json_real(m.sensitivity), "sensitivity_ci",
        pair_json(m.sensitivity_ci), "specificity", eg_json_real(m.specificity), "specificity_ci",
        pair_json(m.specificity_ci), "ppv", eg_json_real(m.ppv), "npv", eg_json_real(m.npv), "f1",
        eg_json_real(m.f1), "mcc", eg_json_real(m.mcc), "brier", eg_json_real(m.brier), "ece",
        eg_json_real(m.ece), "confusion", confusion_json(&m), "roc", roc_json(s), "classes",
        names_json(classes, s->n_classes), "threshold",
        s->n_classes == 2 ? eg_json_real(isnan(threshold) ? 0.5 : threshold) : json_null());
    eg_metrics_free(&m);
    if (!json) return no_memory(err);
    *out = json;
    return EG_OK;
}
