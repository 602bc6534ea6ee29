/* What the labels hang on. Shortcuts: does something tell the classes apart that should not, the frame of the picture, its
 * size, its file? Label noise: images that a classifier which never saw them puts deep into another class. All within one
 * split, the one that is trained on. Finds no fault: data_findings.c judges. Read first: data_report.h.           */
#include "study/data_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_IMAGES = 20, LEAST_UNITS = 8, PERMUTATIONS = 999, MOST_SUSPECTS = 50 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory looking at labels");
}

/* One class against the others, in the split that is trained on. */
static int choose_class(const eg_data_case *c, uint32_t image, const void *context) {
    const int *label = context;
    const eg_sample *s = &c->ds->samples[image];
    return s->split != eg_study_data_base(c) ? -1 : s->label == *label;
}

static bool enough(const eg_domain_rows *rows) {
    return rows->count[0] >= LEAST_IMAGES && rows->count[1] >= LEAST_IMAGES &&
           rows->n_units[0] >= LEAST_UNITS && rows->n_units[1] >= LEAST_UNITS;
}

static eg_status test_rows(eg_domain *found, double *score, const eg_data_case *c,
                           const eg_domain_rows *rows, int n_permutations, eg_error *err) {
    return eg_domain_test(found, score,
                          &(eg_domain_options){.x = rows->x,
                                               .label = rows->label,
                                               .unit = rows->unit,
                                               .n = rows->n,
                                               .D = rows->D,
                                               .n_units = c->n_units,
                                               .n_permutations = n_permutations,
                                               .seed = (uint64_t)c->o->seed},
                          err);
}

/* ---- shortcuts ---- */

/* Numbers that a file has and a patient has not. NaN: does not apply. */
static double width_of(const eg_image_facts *f) {
    return f->width;
}
static double height_of(const eg_image_facts *f) {
    return f->height;
}
static double aspect_of(const eg_image_facts *f) {
    return (double)f->width / f->height;
}
static double quantiser_value(const eg_image_facts *f) {
    return (double)f->quantiser;
}
static double bytes_of(const eg_image_facts *f) {
    return (double)f->bytes / ((double)f->width * f->height);
}
static double bits_of(const eg_image_facts *f) {
    return f->bits;
}
static double colour_of(const eg_image_facts *f) {
    return f->channels + f->colour;
}
static double format_of(const eg_image_facts *f) { /* formats in the order of their letters */
    return f->format[0] * 256.0 + f->format[1];
}

static const struct {
    const char *on;
    double (*value)(const eg_image_facts *f);
} file_values[] = {
    {"width", width_of},
    {"height", height_of},
    {"aspect ratio", aspect_of},
    {"file format", format_of},
    {"bits", bits_of},
    {"colour", colour_of},
    {"JPEG quality", quantiser_value},
    {"bytes a pixel", bytes_of},
};

/* AUC of one number, above 0.5 whichever way it points; its normal p, as if each patient were one case. */
static eg_status file_shortcut(json_t *list, const eg_data_case *c, int label, size_t which,
                               eg_error *err) {
    const size_t n = c->ds->n_samples;
    double *value = eg_malloc(n * sizeof *value);
    int32_t *own = eg_malloc(n * sizeof *own);
    uint8_t *seen = eg_calloc(c->n_units + 1, 1);
    size_t m = 0, units[2] = {0};
    bool ok = value && own && seen, differs = false;
    for (size_t i = 0; ok && i < n; i++) {
        int y = choose_class(c, (uint32_t)i, &label);
        if (y < 0) continue;
        units[y] += !(seen[c->unit[i]] & 1 << y);
        seen[c->unit[i]] |= (uint8_t)(1 << y);
        value[m] = file_values[which].value(&c->facts[i]);
        differs = differs || value[m] != value[0];
        own[m++] = y;
    }
    if (ok && differs && units[0] >= LEAST_UNITS && units[1] >= LEAST_UNITS) {
        double auc = eg_auc(value, own, m), u0 = (double)units[0], u1 = (double)units[1];
        double z = fabs(auc - 0.5) / sqrt((u0 + u1 + 1) / (12 * u0 * u1));
        json_t *item =
            json_pack("{s:s, s:s, s:o, s:o}", "class", c->ds->classes[label], "on",
                      file_values[which].on, "auc", eg_json_real(auc < 0.5 ? 1 - auc : auc), "p",
                      eg_json_real(fmin(1, 2 * (1 - eg_normal_cdf(z)))));
        ok = json_array_append_new(list, item) == 0;
    }
    eg_free(value);
    eg_free(own);
    eg_free(seen);
    return ok ? EG_OK : no_memory(err);
}

static eg_status frame_shortcut(json_t *list, const eg_data_case *c, int label, eg_error *err) {
    eg_domain_rows rows;
    eg_domain found;
    EG_TRY(eg_study_data_rows(&rows, c, EG_ROWS_FRAME, choose_class, &label, err));
    eg_status status = EG_OK;
    if (enough(&rows)) {
        status = test_rows(&found, NULL, c, &rows, PERMUTATIONS, err);
        if (status == EG_OK &&
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:o, s:o}", "class", c->ds->classes[label],
                                            "on", "frame", "auc", eg_json_real(found.auc), "p",
                                            eg_json_real(found.p))) != 0)
            status = no_memory(err);
    }
    eg_study_data_rows_free(&rows);
    return status;
}

/* ---- label noise ---- */

/* Held-out scores of one side of a classifier. */
typedef struct {
    double *x; /* sorted */
    size_t n;
    double median, sd; /* 1.4826 times the median absolute deviation */
} side;

static int compare_reals(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void side_take(side *s, double *scratch) {
    qsort(s->x, s->n, sizeof *s->x, compare_reals);
    s->median = s->x[s->n / 2];
    for (size_t i = 0; i < s->n; i++) scratch[i] = fabs(s->x[i] - s->median);
    qsort(scratch, s->n, sizeof *scratch, compare_reals);
    s->sd = 1.4826 * scratch[s->n / 2];
}

typedef struct {
    uint32_t image;
    double depth; /* beyond the other side's middle, in its standard deviations */
} suspect;

static int compare_suspects(const void *a, const void *b) {
    const suspect *x = a, *y = b;
    if (x->depth != y->depth) return x->depth > y->depth ? -1 : 1;
    return (x->image > y->image) - (x->image < y->image);
}

/* Images of label `own` beyond the other side's median: their number, that expected of a bell curve around the own median,
 * and the chance of so many. */
static json_t *beyond_json(suspect *suspects, size_t *n_suspects, const eg_data_case *c,
                           const eg_domain_rows *rows, const double *score, const side *sides,
                           int own, const char *class_name) {
    const side *mine = &sides[own], *other = &sides[1 - own];
    const double sign = own ? -1 : 1, gap = sign * (other->median - mine->median);
    size_t beyond = 0;
    for (size_t i = 0; i < rows->n; i++) {
        double depth = sign * (score[i] - other->median);
        if (rows->label[i] != own || depth <= 0 || gap <= 0) continue;
        beyond++;
        suspects[(*n_suspects)++] =
            (suspect){rows->image[i], other->sd > 0 ? depth / other->sd : 0};
    }
    double expected = mine->sd > 0 ? 1 - eg_normal_cdf(gap / mine->sd) : 0;
    double likely = fmax(expected, 0.5 / (double)mine->n);
    double p = beyond > 0 ? 1 - eg_binomial_cdf((int64_t)beyond - 1, (int64_t)mine->n, likely) : 1;
    (void)c;
    return json_pack("{s:s, s:I, s:I, s:o, s:o}", "class", class_name, "n", (json_int_t)mine->n,
                     "beyond", (json_int_t)beyond, "expected",
                     eg_json_real(expected * (double)mine->n), "p", eg_json_real(p));
}

typedef struct {
    json_t *sides; /* array */
    suspect *suspects;
    size_t n_suspects;
} noise_search;

static eg_status noise_of(noise_search *s, const eg_data_case *c, const eg_domain_rows *rows,
                          const double *score, int label, eg_error *err) {
    double *values = eg_malloc(3 * rows->n * sizeof *values);
    if (!values) return no_memory(err);
    side sides[2] = {{.x = values}, {.x = values + rows->count[0]}};
    for (size_t i = 0; i < rows->n; i++) {
        side *own = &sides[rows->label[i] != 0];
        own->x[own->n++] = score[i];
    }
    side_take(&sides[0], values + rows->n);
    side_take(&sides[1], values + rows->n);
    const bool binary = c->ds->n_classes == 2; /* the other side is a class too */
    bool ok = true;
    for (int own = binary ? 0 : 1; ok && own < 2; own++) {
        const char *name = c->ds->classes[own ? label : 0];
        ok = json_array_append_new(s->sides, beyond_json(s->suspects, &s->n_suspects, c, rows,
                                                         score, sides, own, name)) == 0;
    }
    eg_free(values);
    return ok ? EG_OK : no_memory(err);
}

static eg_status suspects_json(json_t *out, noise_search *s, const eg_data_case *c, eg_error *err) {
    json_t *list = json_array();
    bool ok = list != NULL;
    qsort(s->suspects, s->n_suspects, sizeof *s->suspects, compare_suspects);
    for (size_t i = 0; ok && i < s->n_suspects && i < MOST_SUSPECTS; i++) {
        const eg_sample *sample = &c->ds->samples[s->suspects[i].image];
        ok = json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "file", sample->file, "class",
                                                   c->ds->classes[sample->label], "depth",
                                                   eg_json_real(s->suspects[i].depth))) == 0;
    }
    ok = ok && json_object_set(out, "suspects", list) == 0;
    json_decref(list);
    return ok ? EG_OK : no_memory(err);
}

/* Each class against the rest (of two classes: once): how well it is known, and what lies on the wrong side. */
static eg_status classes_json(json_t *out, const eg_data_case *c, eg_error *err) {
    noise_search s = {.sides = json_array()};
    json_t *separable = json_array();
    s.suspects = eg_malloc(c->ds->n_samples * (size_t)c->ds->n_classes * sizeof *s.suspects);
    eg_status status = s.sides && s.suspects && separable ? EG_OK : no_memory(err);
    for (int k = c->ds->n_classes == 2 ? 1 : 0; status == EG_OK && k < c->ds->n_classes; k++) {
        eg_domain_rows rows;
        eg_domain found;
        status = eg_study_data_rows(&rows, c, c->features ? EG_ROWS_FEATURES : EG_ROWS_LOW,
                                    choose_class, &k, err);
        if (status != EG_OK) break;
        double *score = eg_malloc((rows.n + 1) * sizeof *score);
        if (!score) status = no_memory(err);
        if (status == EG_OK && enough(&rows)) {
            status = test_rows(&found, score, c, &rows, PERMUTATIONS, err);
            if (status == EG_OK) status = noise_of(&s, c, &rows, score, k, err);
            if (status == EG_OK &&
                json_array_append_new(
                    separable, json_pack("{s:s, s:o, s:o}", "class", c->ds->classes[k], "auc",
                                         eg_json_real(found.auc), "p", eg_json_real(found.p))) != 0)
                status = no_memory(err);
        }
        eg_free(score);
        eg_study_data_rows_free(&rows);
    }
    if (status == EG_OK) status = suspects_json(out, &s, c, err);
    if (status == EG_OK && (json_object_set(out, "wrong_side", s.sides) != 0 ||
                            json_object_set(out, "separable", separable) != 0))
        status = no_memory(err);
    eg_free(s.suspects);
    json_decref(s.sides);
    json_decref(separable);
    return status;
}

eg_status eg_study_data_labels(json_t *doc, const eg_data_case *c, eg_error *err) {
    json_t *shortcuts = json_array();
    json_t *labels = json_pack("{s:s, s:s}", "on", c->features ? "features" : "thumbnails", "split",
                               eg_split_name(eg_study_data_base(c)));
    eg_status status = shortcuts && labels ? EG_OK : no_memory(err);
    for (int k = c->ds->n_classes == 2 ? 1 : 0; status == EG_OK && k < c->ds->n_classes; k++) {
        status = frame_shortcut(shortcuts, c, k, err);
        for (size_t v = 0; status == EG_OK && v < sizeof file_values / sizeof *file_values; v++)
            status = file_shortcut(shortcuts, c, k, v, err);
        if (status == EG_OK && eg_study_stopped(c->ev))
            status = eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while looking at labels");
    }
    if (status == EG_OK) status = classes_json(labels, c, err);
    if (status == EG_OK && (json_object_set(doc, "shortcuts", shortcuts) != 0 ||
                            json_object_set(doc, "labels", labels) != 0))
        status = no_memory(err);
    json_decref(shortcuts);
    json_decref(labels);
    return status;
}
