/* What the images are: counts, sizes, formats, odd files, and brightness of every split and class. Counts only; whether any
 * of it is a fault is for data_findings.c. Read first: data_report.h.                                             */
#include "study/data_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_EXAMPLES = 5, MOST_SIZES = 5, MOST_SKIPPED = 20 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory describing the data set");
}

/* ---- splits ---- */

static eg_status splits_json(json_t *doc, const eg_data_case *c, eg_error *err) {
    json_t *splits = json_object(), *classes = json_array();
    bool ok = splits && classes;
    for (int k = 0; ok && k < c->ds->n_classes; k++)
        ok = json_array_append_new(classes, json_string(c->ds->classes[k])) == 0;
    for (int s = 0; ok && s < EG_SPLIT_COUNT; s++) {
        if (eg_study_data_count(c, (eg_split)s, -1) == 0) continue;
        json_t *counts = json_object();
        for (int k = 0; ok && k < c->ds->n_classes; k++)
            ok = json_object_set_new(
                     counts, c->ds->classes[k],
                     json_integer((json_int_t)eg_study_data_count(c, (eg_split)s, k))) == 0;
        ok = json_object_set_new(splits, eg_split_name((eg_split)s), counts) == 0 && ok;
    }
    ok = ok && json_object_set(doc, "classes", classes) == 0 &&
         json_object_set(doc, "splits", splits) == 0 &&
         json_object_set_new(doc, "images", json_integer((json_int_t)c->ds->n_samples)) == 0;
    json_decref(splits);
    json_decref(classes);
    return ok ? EG_OK : no_memory(err);
}

/* ---- sizes and formats ---- */

typedef struct {
    int width, height;
    size_t n;
} size_count;

static int compare_sizes(const void *a, const void *b) {
    const size_count *x = a, *y = b;
    if (x->width != y->width) return x->width < y->width ? -1 : 1;
    return (x->height > y->height) - (x->height < y->height);
}

static int compare_counts(const void *a, const void *b) {
    const size_count *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return compare_sizes(a, b);
}

static int compare_ints(const void *a, const void *b) {
    const int *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static json_t *range_json(int *values, size_t n) {
    qsort(values, n, sizeof *values, compare_ints);
    return json_pack("{s:i, s:i, s:i}", "min", values[0], "median", values[n / 2], "max",
                     values[n - 1]);
}

static eg_status sizes_json(json_t *doc, const eg_data_case *c, eg_error *err) {
    const size_t n = c->ds->n_samples;
    size_count *sizes = eg_malloc(n * sizeof *sizes);
    int *values = eg_malloc(n * sizeof *values);
    json_t *out = json_object(), *common = json_array();
    bool ok = sizes && values && out && common;
    size_t distinct = 0;
    for (int side = 0; ok && side < 2; side++) {
        for (size_t i = 0; i < n; i++) values[i] = side ? c->facts[i].height : c->facts[i].width;
        ok = json_object_set_new(out, side ? "height" : "width", range_json(values, n)) == 0;
    }
    for (size_t i = 0; ok && i < n; i++)
        sizes[i] = (size_count){c->facts[i].width, c->facts[i].height, 1};
    if (ok) qsort(sizes, n, sizeof *sizes, compare_sizes);
    for (size_t i = 0; ok && i < n; i++) {
        if (distinct > 0 && compare_sizes(&sizes[distinct - 1], &sizes[i]) == 0)
            sizes[distinct - 1].n++;
        else
            sizes[distinct++] = sizes[i];
    }
    if (ok) qsort(sizes, distinct, sizeof *sizes, compare_counts);
    for (size_t i = 0; ok && i < distinct && i < MOST_SIZES; i++)
        ok = json_array_append_new(common,
                                   json_pack("{s:i, s:i, s:I}", "width", sizes[i].width, "height",
                                             sizes[i].height, "n", (json_int_t)sizes[i].n)) == 0;
    ok = ok && json_object_set_new(out, "distinct", json_integer((json_int_t)distinct)) == 0 &&
         json_object_set(out, "common", common) == 0 && json_object_set(doc, "sizes", out) == 0;
    eg_free(sizes);
    eg_free(values);
    json_decref(out);
    json_decref(common);
    return ok ? EG_OK : no_memory(err);
}

/* {"JPEG, 8 bit, gray": n, ...} */
static eg_status formats_json(json_t *doc, const eg_data_case *c, eg_error *err) {
    json_t *out = json_object();
    bool ok = out != NULL;
    for (size_t i = 0; ok && i < c->ds->n_samples; i++) {
        const eg_image_facts *f = &c->facts[i];
        char name[64];
        snprintf(name, sizeof name, "%s, %d bit, %s", f->format, f->bits,
                 f->colour          ? "colour"
                 : f->channels == 3 ? "gray as colour"
                                    : "gray");
        json_int_t before = json_integer_value(json_object_get(out, name));
        ok = json_object_set_new(out, name, json_integer(before + 1)) == 0;
    }
    ok = ok && json_object_set(doc, "formats", out) == 0;
    json_decref(out);
    return ok ? EG_OK : no_memory(err);
}

/* ---- odd files ---- */

typedef struct {
    size_t n, n_colour;
} set_facts;

static bool is_wrong_extension(const eg_image_facts *f, const set_facts *s) {
    (void)s;
    return f->wrong_extension;
}
static bool is_low_range(const eg_image_facts *f, const set_facts *s) {
    (void)s; /* windowed already where the file says how: DICOM */
    return f->deep_max > 0 && f->deep_max < 16384 && strcmp(f->format, "DICOM") != 0;
}
static bool is_constant(const eg_image_facts *f, const set_facts *s) {
    (void)s;
    return f->measure[EG_MEASURE_CONTRAST] <= 0;
}
static bool is_tiny(const eg_image_facts *f, const set_facts *s) {
    (void)s;
    return f->width < 32 || f->height < 32;
}
static bool is_huge(const eg_image_facts *f, const set_facts *s) {
    (void)s;
    return (int64_t)f->width * f->height > 25000000;
}
static bool is_long(const eg_image_facts *f, const set_facts *s) {
    (void)s;
    return f->width > 3 * (int64_t)f->height || f->height > 3 * (int64_t)f->width;
}
static bool is_rotated(const eg_image_facts *f, const set_facts *s) {
    (void)s;
    return f->orientation > 1;
}
static bool is_many(const eg_image_facts *f, const set_facts *s) {
    (void)s;
    return f->n_frames > 1;
}
static bool is_colour(const eg_image_facts *f, const set_facts *s) {
    return f->colour && s->n_colour * 10 < s->n;
}
static bool is_gray(const eg_image_facts *f, const set_facts *s) {
    return !f->colour && (s->n - s->n_colour) * 10 < s->n;
}
static bool is_alpha(const eg_image_facts *f, const set_facts *s) {
    (void)s;
    return f->alpha;
}

/* `usual`: not odd when half of the images or more are so. */
static const struct {
    const char *kind, *text;
    bool (*is)(const eg_image_facts *f, const set_facts *s);
    bool usual;
} odd_kinds[] = {
    {"extension", "the extension names another format than the content has; read by content",
     is_wrong_extension, false},
    {"range",
     "16-bit samples below 16,384: nearly black unless they are scaled up; kept as they are",
     is_low_range, false},
    {"constant", "one gray value everywhere; kept", is_constant, false},
    {"tiny", "a side below 32 pixels; kept", is_tiny, true},
    {"huge", "more than 25 million pixels; kept", is_huge, true},
    {"long", "one side more than three times the other: a centre crop cuts most of it off; kept",
     is_long, true},
    {"rotated", "turned upright as its EXIF orientation says, which PIL alone does not do",
     is_rotated, false},
    {"pages", "several pages or frames, of which the first is read", is_many, false},
    {"colour", "colour among gray images; kept", is_colour, true},
    {"gray", "gray among colour images; kept", is_gray, true},
    {"alpha", "transparency, dropped", is_alpha, false},
};

static eg_status odd_json(json_t *doc, const eg_data_case *c, eg_error *err) {
    json_t *out = json_array();
    set_facts set = {.n = c->ds->n_samples};
    bool ok = out != NULL;
    for (size_t i = 0; i < set.n; i++) set.n_colour += c->facts[i].colour;
    for (size_t k = 0; ok && k < sizeof odd_kinds / sizeof *odd_kinds; k++) {
        json_t *examples = json_array();
        size_t n = 0;
        ok = examples != NULL;
        for (size_t i = 0; ok && i < set.n; i++) {
            if (!odd_kinds[k].is(&c->facts[i], &set)) continue;
            if (n++ < MOST_EXAMPLES)
                ok = json_array_append_new(examples, json_string(c->ds->samples[i].file)) == 0;
        }
        if (ok && n > 0 && !(odd_kinds[k].usual && 2 * n >= set.n))
            ok = json_array_append_new(out,
                                       json_pack("{s:s, s:s, s:I, s:O}", "kind", odd_kinds[k].kind,
                                                 "text", odd_kinds[k].text, "count", (json_int_t)n,
                                                 "examples", examples)) == 0;
        json_decref(examples);
    }
    ok = ok && json_object_set(doc, "odd_files", out) == 0;
    json_decref(out);
    return ok ? EG_OK : no_memory(err);
}

static int compare_skipped(const void *a, const void *b) {
    const eg_skipped *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

static eg_status skipped_json(json_t *doc, const eg_data_case *c, eg_error *err) {
    const size_t n = c->ds->n_listed;
    const eg_skipped **order = eg_malloc((n + 1) * sizeof *order);
    json_t *files = json_array();
    bool ok = order && files;
    for (size_t i = 0; ok && i < n; i++) order[i] = &c->ds->skipped[i];
    if (ok) qsort(order, n, sizeof *order, compare_skipped);
    for (size_t i = 0; ok && i < n && i < MOST_SKIPPED; i++)
        ok = json_array_append_new(files, json_pack("{s:s, s:s}", "file", order[i]->path, "reason",
                                                    order[i]->why)) == 0;
    ok = ok && json_object_set_new(doc, "skipped_files",
                                   json_pack("{s:I, s:O}", "count", (json_int_t)c->ds->n_skipped,
                                             "files", files)) == 0;
    eg_free(order);
    json_decref(files);
    return ok ? EG_OK : no_memory(err);
}

/* ---- brightness and the other measures of every split and class ---- */

static json_t *histogram_json(const eg_group_sums *sums) {
    json_t *out = sums ? json_array() : json_null();
    for (int b = 0; sums && out && b < EG_BINS; b++) {
        double share = (double)sums->histogram[b] / (1048576.0 * (double)sums->n);
        if (json_array_append_new(out, eg_json_real(share)) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *group_json(const eg_data_case *c, eg_split split, int label, size_t n) {
    static const char *const names[EG_MEASURE_COUNT] = {
#define MEASURE_NAME(id, name, more, less) name,
        EG_MEASURE_LIST(MEASURE_NAME)
#undef MEASURE_NAME
    };
    double sum[EG_MEASURE_COUNT] = {0}, low = 0, high = 0;
    for (size_t i = 0; i < c->ds->n_samples; i++) {
        const eg_sample *s = &c->ds->samples[i];
        if (s->split != split || s->label != label) continue;
        for (int m = 0; m < EG_MEASURE_COUNT; m++) sum[m] += (double)c->facts[i].measure[m];
        low += (double)c->facts[i].p5;
        high += (double)c->facts[i].p95;
    }
    json_t *out = json_pack("{s:s, s:s, s:I}", "split", eg_split_name(split), "class",
                            c->ds->classes[label], "n", (json_int_t)n);
    bool ok = out != NULL;
    for (int m = 0; ok && m < EG_MEASURE_COUNT; m++)
        ok = json_object_set_new(out, names[m], eg_json_real(sum[m] / (double)n)) == 0;
    ok = ok && json_object_set_new(out, "p5", eg_json_real(low / (double)n)) == 0 &&
         json_object_set_new(out, "p95", eg_json_real(high / (double)n)) == 0 &&
         json_object_set_new(out, "histogram",
                             histogram_json(eg_study_data_sums(c, split, label))) == 0;
    if (ok) return out;
    json_decref(out);
    return NULL;
}

static eg_status groups_json(json_t *doc, const eg_data_case *c, eg_error *err) {
    json_t *out = json_array();
    bool ok = out != NULL;
    for (int s = 0; ok && s < EG_SPLIT_COUNT; s++) {
        for (int k = 0; ok && k < c->ds->n_classes; k++) {
            size_t n = eg_study_data_count(c, (eg_split)s, k);
            if (n > 0) ok = json_array_append_new(out, group_json(c, (eg_split)s, k, n)) == 0;
        }
    }
    ok = ok && json_object_set(doc, "groups", out) == 0;
    json_decref(out);
    return ok ? EG_OK : no_memory(err);
}

eg_status eg_study_data_facts(json_t *doc, const eg_data_case *c, eg_error *err) {
    EG_TRY(splits_json(doc, c, err));
    EG_TRY(sizes_json(doc, c, err));
    EG_TRY(formats_json(doc, c, err));
    if (json_object_set(doc, "bad_files", c->bad) != 0) return no_memory(err);
    EG_TRY(odd_json(doc, c, err));
    EG_TRY(skipped_json(doc, c, err));
    return groups_json(doc, c, err);
}
