/* Class probabilities of a split: from logits, to and from predictions-*.csv, and what is computed
 * of them (a line of an epoch, the operating point, the metrics JSON). The formulas are the stats
 * room's. */
#include "study/run.h"
#include <math.h>
#include <string.h>

#define MAX_CURVE_POINTS 200

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

static void add_header(eg_buffer *b, char *const *classes, int n_classes) {
    eg_buffer_printf(b, "file,label");
    for (int k = 0; k < n_classes; k++) {
        char *name = eg_format("p_%s", classes[k]);
        eg_buffer_add(b, ",", 1);
        eg_csv_add(b, name ? name : "");
        eg_free(name);
    }
    eg_buffer_add(b, "\n", 1);
}

eg_status eg_study_scores_write(const eg_scores *s, const char *path, char *const *classes,
                                eg_error *err) {
    eg_buffer b = {0};
    add_header(&b, classes, s->n_classes);
    for (size_t i = 0; i < s->n; i++) {
        eg_csv_add(&b, s->file[i]);
        eg_buffer_add(&b, ",", 1);
        eg_csv_add(&b, classes[s->label[i]]);
        for (int k = 0; k < s->n_classes; k++)
            eg_buffer_printf(&b, ",%.9g", s->prob[i * (size_t)s->n_classes + (size_t)k]);
        eg_buffer_add(&b, "\n", 1);
    }
    eg_status status =
        b.failed ? no_memory(err) : eg_file_write_atomic(path, &(eg_part){b.data, b.size}, 1, err);
    eg_buffer_free(&b);
    return status;
}

/* Are the columns those that add_header writes? The order counts: probabilities follow the classes. */
static bool header_matches(const eg_csv *table, char *const *classes, int n_classes) {
    bool same = table->n_columns == (size_t)n_classes + 2 && strcmp(table->names[0], "file") == 0 &&
                strcmp(table->names[1], "label") == 0;
    for (int k = 0; same && k < n_classes; k++) {
        const char *name = table->names[k + 2];
        same = strncmp(name, "p_", 2) == 0 && strcmp(name + 2, classes[k]) == 0;
    }
    return same;
}

static eg_status fail_header(const char *path, char *const *classes, int n_classes, eg_error *err) {
    eg_buffer header = {0};
    add_header(&header, classes, n_classes);
    eg_status status = header.failed ? no_memory(err)
                                     : eg_fail(err, EG_ERR_INPUT, "%s: the first line is not %.*s",
                                               path, (int)header.size - 1, header.data);
    eg_buffer_free(&header);
    return status;
}

/* cells (2 + n_classes): file, label, probabilities. */
static eg_status parse_row(eg_scores *s, size_t i, const char *const *cells, char *const *classes,
                           eg_error *err) {
    s->file[i] = eg_strdup(cells[0]);
    if (!s->file[i]) return no_memory(err);
    int label = s->n_classes - 1;
    while (label >= 0 && strcmp(classes[label], cells[1]) != 0) label--;
    if (label < 0) return eg_fail(err, EG_ERR_INPUT, "row %zu: unknown label", i + 2);
    s->label[i] = label;
    for (int k = 0; k < s->n_classes; k++) {
        double *p = &s->prob[i * (size_t)s->n_classes + (size_t)k];
        if (!eg_parse_real(p, cells[k + 2]) || *p < 0 || *p > 1)
            return eg_fail(err, EG_ERR_INPUT, "row %zu: probability %d missing or outside [0, 1]",
                           i + 2, k + 1);
    }
    return EG_OK;
}

eg_status eg_study_scores_read(eg_scores *out, const char *path, char *const *classes,
                               int n_classes, eg_error *err) {
    eg_csv table;
    eg_scores s = {0};
    EG_TRY(eg_csv_read(&table, path, err));
    eg_status status = header_matches(&table, classes, n_classes)
                           ? allocate(&s, table.n_rows, n_classes, err)
                           : fail_header(path, classes, n_classes, err);
    for (size_t i = 0; status == EG_OK && i < table.n_rows; i++) {
        status = parse_row(&s, i, table.cells + i * table.n_columns, classes, err);
        if (status != EG_OK) status = eg_error_in(err, status, path);
    }
    eg_csv_free(&table);
    if (status == EG_OK)
        *out = s;
    else
        eg_study_scores_free(&s);
    return status;
}

void eg_study_class_list_free(eg_study_class_list *list) {
    for (int k = 0; list->names && k < list->n; k++) eg_free(list->names[k]);
    eg_free(list->names);
    *list = (eg_study_class_list){0};
}

static eg_status take_classes(eg_study_class_list *out, const eg_csv *table, const char *path,
                              eg_error *err) {
    bool ok = table->n_columns >= 4 && strcmp(table->names[0], "file") == 0 &&
              strcmp(table->names[1], "label") == 0;
    for (size_t k = 2; ok && k < table->n_columns; k++)
        ok = strncmp(table->names[k], "p_", 2) == 0 && table->names[k][2];
    if (!ok)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: the first line is not file,label,p_<class>,p_<class>,... with at least "
                       "two classes",
                       path);
    out->names = eg_calloc(table->n_columns, sizeof *out->names);
    if (!out->names) return no_memory(err);
    for (size_t k = 2; k < table->n_columns; k++) {
        out->names[out->n] = eg_strdup(table->names[k] + 2);
        if (!out->names[out->n++]) return no_memory(err);
        for (int j = 0; j + 1 < out->n; j++)
            if (strcmp(out->names[j], out->names[out->n - 1]) == 0)
                return eg_fail(err, EG_ERR_INPUT, "%s: column p_%s is there twice", path,
                               out->names[j]);
    }
    return EG_OK;
}

eg_status eg_study_scores_classes(eg_study_class_list *out, const char *path, eg_error *err) {
    eg_csv table;
    *out = (eg_study_class_list){0};
    EG_TRY(eg_csv_read(&table, path, err));
    eg_status status = take_classes(out, &table, path, err);
    if (status != EG_OK) eg_study_class_list_free(out);
    eg_csv_free(&table);
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

/* A curve of n points as pairs, at most MAX_CURVE_POINTS of them, the ends always kept. */
static json_t *curve_json(const double *x, const double *y, size_t n) {
    json_t *points = json_array();
    size_t shown = n < MAX_CURVE_POINTS ? n : MAX_CURVE_POINTS;
    for (size_t i = 0; points && i < shown; i++) {
        size_t at = shown > 1 ? i * (n - 1) / (shown - 1) : 0;
        json_t *point = json_pack("[o,o]", eg_json_real(x[at]), eg_json_real(y[at]));
        if (json_array_append_new(points, point) != 0) {
            json_decref(points);
            points = NULL;
        }
    }
    return points;
}

/* ROC as [fpr, tpr], or precision and recall as [recall, precision]; null for K classes. */
static json_t *ranking_json(const eg_scores *s, bool roc) {
    double *score = eg_study_scores_positive(s);
    if (!score) return json_null();
    double *x = eg_malloc((s->n + 1) * 3 * sizeof *x);
    json_t *points = NULL;
    if (x) {
        double *y = x + s->n + 1, *threshold = y + s->n + 1;
        size_t n = roc ? eg_roc_curve(x, y, threshold, score, s->label, s->n)
                       : eg_pr_curve(y, x, threshold, score, s->label, s->n);
        points = curve_json(x, y, n);
    }
    eg_free(x);
    eg_free(score);
    return points;
}

/* Reliability curve of the positive class, bins of equal width; null for K classes. */
static json_t *reliability_json(const eg_scores *s) {
    enum { BINS = 10 };
    eg_reliability_bin bins[BINS];
    double *p = eg_study_scores_positive(s);
    uint8_t *is_positive = eg_malloc(s->n + 1);
    json_t *list = p && is_positive ? json_array() : NULL;
    for (size_t i = 0; list && i < s->n; i++) is_positive[i] = s->label[i] == 1;
    bool known = list && !isnan(eg_reliability(bins, BINS, false, p, is_positive, s->n));
    bool ok = true;
    for (int b = 0; known && ok && b < BINS; b++) {
        if (bins[b].n == 0) continue;
        ok = json_array_append_new(
                 list, json_pack("{s:o, s:o, s:I, s:o, s:o, s:o}", "low", eg_json_real(bins[b].low),
                                 "high", eg_json_real(bins[b].high), "n", (json_int_t)bins[b].n,
                                 "mean", eg_json_real(bins[b].mean), "rate",
                                 eg_json_real(bins[b].rate), "ci", pair_json(bins[b].ci))) == 0;
    }
    if (!known || !ok) {
        json_decref(list);
        list = json_null();
    }
    eg_free(p);
    eg_free(is_positive);
    return list;
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
        eg_json_real(m.ece), "confusion", confusion_json(&m), "roc", ranking_json(s, true),
        "classes", names_json(classes, s->n_classes), "threshold",
        s->n_classes == 2 ? eg_json_real(isnan(threshold) ? 0.5 : threshold) : json_null());
    json_t *more =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pr", ranking_json(s, false),
                  "reliability", reliability_json(s), "ppv_ci", pair_json(m.ppv_ci), "npv_ci",
                  pair_json(m.npv_ci), "ap", eg_json_real(m.ap), "ap_ci", pair_json(m.ap_ci),
                  "kappa", eg_json_real(m.kappa), "kappa_ci", pair_json(m.kappa_ci));
    if (json && (!more || json_object_update(json, more) != 0)) {
        json_decref(json);
        json = NULL;
    }
    json_decref(more);
    eg_metrics_free(&m);
    if (!json) return no_memory(err);
    *out = json;
    return EG_OK;
}
