/* Drift between splits, class by class, so that a change of the class shares is not taken for one of the images. Two
 * looks: a classifier that is asked which split an image is from (thumbnails, and features of a network when there are
 * some; any difference shows), and single measures, which say what kind of difference it is. Both count patients, not
 * images. Finds no fault: data_findings.c judges. Read first: data_report.h, stats.h (eg_domain_test).            */
#include "study/data_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Fewer images or patients on a side: nothing can be said. MOST: images of a side that are looked at. */
enum { LEAST_IMAGES = 20, LEAST_UNITS = 8, MOST = 5000, PERMUTATIONS = 999 };
enum { CELLS = 16, FRAME = 2, N_FRAME = CELLS * CELLS - (CELLS - 2 * FRAME) * (CELLS - 2 * FRAME) };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory comparing splits");
}

/* ---- features of thumbnails ---- */

/* Orthonormal two-dimensional cosine transform (type II), its coefficients (u, v) with u + v < 16: what a picture of 16 x
 * 16 would show. On thumbnails of 1,024 pixels the classifier is slower and no better. */
void eg_study_data_low(float out[EG_LOW], const uint8_t thumb[EG_THUMB * EG_THUMB]) {
    static const double pi_n = M_PI / EG_THUMB;
    double rows[EG_THUMB][EG_LOW_DIAGONALS], wave[EG_LOW_DIAGONALS][EG_THUMB];
    for (int u = 0; u < EG_LOW_DIAGONALS; u++)
        for (int x = 0; x < EG_THUMB; x++)
            wave[u][x] = cos(pi_n * (x + 0.5) * u) * sqrt((u ? 2.0 : 1.0) / EG_THUMB);
    for (int y = 0; y < EG_THUMB; y++) {
        for (int u = 0; u < EG_LOW_DIAGONALS; u++) {
            double s = 0;
            for (int x = 0; x < EG_THUMB; x++) s += wave[u][x] * thumb[y * EG_THUMB + x];
            rows[y][u] = s;
        }
    }
    for (int v = 0; v < EG_LOW_DIAGONALS; v++) {
        for (int u = 0; u + v < EG_LOW_DIAGONALS; u++) {
            double s = 0;
            for (int y = 0; y < EG_THUMB; y++) s += wave[v][y] * rows[y][u];
            *out++ = (float)(s / 255);
        }
    }
}

/* The frame: 2 of 16 cells on every side, less their mean, so that exposure does not count. */
static void frame_of(float out[N_FRAME], const uint8_t thumb[EG_THUMB * EG_THUMB]) {
    double mean = 0;
    int n = 0;
    for (int y = 0; y < CELLS; y++) {
        for (int x = 0; x < CELLS; x++) {
            bool inside = x >= FRAME && x < CELLS - FRAME && y >= FRAME && y < CELLS - FRAME;
            if (inside) continue;
            const uint8_t *p = thumb + 2 * y * EG_THUMB + 2 * x;
            double v = (p[0] + p[1] + p[EG_THUMB] + p[EG_THUMB + 1]) / (4.0 * 255);
            out[n++] = (float)v;
            mean += v / N_FRAME;
        }
    }
    for (int i = 0; i < N_FRAME; i++) out[i] -= (float)mean;
}

/* ---- rows for the classifier ---- */

typedef struct {
    eg_domain_rows *rows;
    const eg_data_case *c;
    eg_rows_kind kind;
} fill_job;

static void fill_one(void *context, int i) {
    const fill_job *j = context;
    float *to = j->rows->x + (size_t)i * j->rows->D;
    const uint32_t image = j->rows->image[i];
    if (j->kind == EG_ROWS_LOW)
        eg_study_data_low(to, j->c->facts[image].thumb);
    else if (j->kind == EG_ROWS_FRAME)
        frame_of(to, j->c->facts[image].thumb);
    else
        memcpy(to, j->c->features + (size_t)image * j->rows->D, j->rows->D * sizeof *to);
}

/* Units drawn so that about `most` images of each label stay. */
static void choose(eg_domain_rows *rows, const eg_data_case *c, eg_rows_choice choice,
                   const void *context) {
    size_t all[2] = {0};
    for (size_t i = 0; i < c->ds->n_samples; i++) {
        int label = choice(c, (uint32_t)i, context);
        if (label >= 0) all[label]++;
    }
    for (size_t i = 0; i < c->ds->n_samples; i++) {
        int label = choice(c, (uint32_t)i, context);
        if (label < 0) continue;
        if (all[label] > MOST) {
            eg_random r = eg_random_make((uint64_t)c->o->seed, c->unit[i], 0, 0xd1a7);
            if (eg_random_uniform(&r) * (double)all[label] >= MOST) continue;
        }
        rows->image[rows->n] = (uint32_t)i;
        rows->unit[rows->n] = c->unit[i];
        rows->label[rows->n++] = label;
        rows->count[label]++;
    }
}

void eg_study_data_rows_free(eg_domain_rows *rows) {
    eg_free(rows->x);
    eg_free(rows->label);
    eg_free(rows->unit);
    eg_free(rows->image);
    *rows = (eg_domain_rows){0};
}

eg_status eg_study_data_rows(eg_domain_rows *out, const eg_data_case *c, eg_rows_kind kind,
                             eg_rows_choice choice, const void *context, eg_error *err) {
    const size_t n = c->ds->n_samples;
    eg_domain_rows rows = {.D = kind == EG_ROWS_LOW     ? EG_LOW
                                : kind == EG_ROWS_FRAME ? N_FRAME
                                                        : c->n_features};
    uint8_t *seen = eg_calloc(c->n_units + 1, 1);
    rows.label = eg_malloc((n + 1) * sizeof *rows.label);
    rows.unit = eg_malloc((n + 1) * sizeof *rows.unit);
    rows.image = eg_malloc((n + 1) * sizeof *rows.image);
    bool ok = seen && rows.label && rows.unit && rows.image;
    if (ok) {
        choose(&rows, c, choice, context);
        for (size_t i = 0; i < rows.n; i++) {
            uint8_t bit = (uint8_t)(1 << rows.label[i]);
            if (!(seen[rows.unit[i]] & bit)) rows.n_units[rows.label[i]]++;
            seen[rows.unit[i]] |= bit;
        }
        rows.x = eg_malloc((rows.n * rows.D + 1) * sizeof *rows.x);
        ok = rows.x != NULL;
    }
    if (ok) {
        fill_job job = {&rows, c, kind};
        eg_pool_run(fill_one, &job, (int)rows.n);
    }
    eg_free(seen);
    if (ok)
        *out = rows;
    else
        eg_study_data_rows_free(&rows);
    return ok ? EG_OK : no_memory(err);
}

/* ---- the classifier ---- */

typedef struct {
    int label; /* class */
    eg_split from, to;
} pair_of_splits;

static int choose_split(const eg_data_case *c, uint32_t image, const void *context) {
    const pair_of_splits *p = context;
    const eg_sample *s = &c->ds->samples[image];
    if (s->label != p->label) return -1;
    return s->split == p->from ? 0 : s->split == p->to ? 1 : -1;
}

static eg_status drift_of(json_t *list, const eg_data_case *c, const pair_of_splits *p,
                          eg_rows_kind kind, eg_error *err) {
    eg_domain_rows rows;
    eg_domain found = {NAN, NAN, NAN};
    EG_TRY(eg_study_data_rows(&rows, c, kind, choose_split, p, err));
    eg_status status = EG_OK;
    bool enough = rows.count[0] >= LEAST_IMAGES && rows.count[1] >= LEAST_IMAGES &&
                  rows.n_units[0] >= LEAST_UNITS && rows.n_units[1] >= LEAST_UNITS;
    if (enough)
        status = eg_domain_test(&found, NULL,
                                &(eg_domain_options){.x = rows.x,
                                                     .label = rows.label,
                                                     .unit = rows.unit,
                                                     .n = rows.n,
                                                     .D = rows.D,
                                                     .n_units = c->n_units,
                                                     .n_permutations = PERMUTATIONS,
                                                     .with_control = true,
                                                     .seed = (uint64_t)c->o->seed},
                                err);
    if (status == EG_OK && enough) {
        json_t *item = json_pack(
            "{s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o}", "class", c->ds->classes[p->label],
            "on", kind == EG_ROWS_LOW ? "thumbnails" : "features", "from", eg_split_name(p->from),
            "to", eg_split_name(p->to), "n_from", (json_int_t)rows.count[0], "n_to",
            (json_int_t)rows.count[1], "auc", eg_json_real(found.auc), "control_auc",
            eg_json_real(found.control_auc), "p", eg_json_real(found.p));
        if (json_array_append_new(list, item) != 0) status = no_memory(err);
    }
    eg_study_data_rows_free(&rows);
    return status;
}

/* ---- single measures ---- */

static const char *const measure_names[EG_MEASURE_COUNT] = {
#define MEASURE_NAME(id, name, more, less) name,
    EG_MEASURE_LIST(MEASURE_NAME)
#undef MEASURE_NAME
};

/* Mean of a measure over each unit's images of one split and class. value (n_units), counts (n_units) scratch. */
static size_t unit_means(double *out, double *value, uint32_t *counts, const eg_data_case *c,
                         eg_split split, int label, int measure) {
    size_t n = 0;
    memset(counts, 0, c->n_units * sizeof *counts);
    memset(value, 0, c->n_units * sizeof *value);
    for (size_t i = 0; i < c->ds->n_samples; i++) {
        const eg_sample *s = &c->ds->samples[i];
        if (s->split != split || s->label != label) continue;
        value[c->unit[i]] += (double)c->facts[i].measure[measure];
        counts[c->unit[i]]++;
    }
    for (size_t u = 0; u < c->n_units; u++)
        if (counts[u]) out[n++] = value[u] / counts[u];
    return n;
}

static double median_of(const double *x, size_t n, double *scratch) {
    memcpy(scratch, x, n * sizeof *x);
    for (size_t gap = n / 2; gap > 0; gap /= 2) /* Shell sort: no hidden memory */
        for (size_t i = gap; i < n; i++) {
            double v = scratch[i];
            size_t j = i;
            for (; j >= gap && scratch[j - gap] > v; j -= gap) scratch[j] = scratch[j - gap];
            scratch[j] = v;
        }
    return n == 0 ? NAN : n % 2 ? scratch[n / 2] : (scratch[n / 2 - 1] + scratch[n / 2]) / 2;
}

typedef struct {
    double *a, *value, *scratch; /* (2 * n_units) */
    uint32_t *counts;
    int32_t *label;
} shift_work;

/* Mann-Whitney: the AUC of the measure, and its normal p without a correction for ties (measures have few). */
static eg_status shift_of(json_t *list, const eg_data_case *c, const pair_of_splits *p, int measure,
                          shift_work *w, eg_error *err) {
    size_t n0 = unit_means(w->a, w->value, w->counts, c, p->from, p->label, measure);
    size_t n1 = unit_means(w->a + n0, w->value, w->counts, c, p->to, p->label, measure);
    if (n0 < LEAST_UNITS || n1 < LEAST_UNITS) return EG_OK;
    for (size_t i = 0; i < n0 + n1; i++) w->label[i] = i >= n0;
    double auc = eg_auc(w->a, w->label, n0 + n1);
    double sd = sqrt((double)(n0 + n1 + 1) / (12.0 * (double)n0 * (double)n1));
    double z = fabs(auc - 0.5) / sd, tail = 1 - eg_normal_cdf(z);
    json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "class",
                             c->ds->classes[p->label], "from", eg_split_name(p->from), "to",
                             eg_split_name(p->to), "measure", measure_names[measure], "from_median",
                             eg_json_real(median_of(w->a, n0, w->scratch)), "to_median",
                             eg_json_real(median_of(w->a + n0, n1, w->scratch)), "auc",
                             eg_json_real(auc), "p", eg_json_real(2 * tail < 1 ? 2 * tail : 1));
    return json_array_append_new(list, item) == 0 ? EG_OK : no_memory(err);
}

static eg_status shifts_of(json_t *list, const eg_data_case *c, const pair_of_splits *p,
                           eg_error *err) {
    shift_work w = {.a = eg_malloc((2 * c->n_units + 1) * sizeof *w.a),
                    .value = eg_malloc((2 * c->n_units + 1) * sizeof *w.value),
                    .scratch = eg_malloc((2 * c->n_units + 1) * sizeof *w.scratch),
                    .counts = eg_malloc((2 * c->n_units + 1) * sizeof *w.counts),
                    .label = eg_malloc((2 * c->n_units + 1) * sizeof *w.label)};
    eg_status status = w.a && w.value && w.scratch && w.counts && w.label ? EG_OK : no_memory(err);
    for (int m = 0; status == EG_OK && m < EG_MEASURE_COUNT; m++)
        status = shift_of(list, c, p, m, &w, err);
    eg_free(w.a);
    eg_free(w.value);
    eg_free(w.scratch);
    eg_free(w.counts);
    eg_free(w.label);
    return status;
}

/* ---- all pairs ---- */

/* Holm over the "p" of a list, as "p_holm". */
static eg_status add_holm(json_t *list, eg_error *err) {
    const size_t n = json_array_size(list);
    double *p = eg_malloc((n + 1) * sizeof *p);
    if (!p) return no_memory(err);
    for (size_t i = 0; i < n; i++) p[i] = eg_study_number(json_array_get(list, i), "p");
    eg_holm(p, n);
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok = json_object_set_new(json_array_get(list, i), "p_holm", eg_json_real(p[i])) == 0 && ok;
    eg_free(p);
    return ok ? EG_OK : no_memory(err);
}

eg_status eg_study_data_drift(json_t *doc, const eg_data_case *c, eg_error *err) {
    json_t *drift = json_array(), *shifts = json_array();
    eg_status status = json_object_set_new(doc, "drift", drift) == 0 &&
                               json_object_set_new(doc, "shifts", shifts) == 0
                           ? EG_OK
                           : no_memory(err);
    static const eg_split others[] = {EG_SPLIT_VAL, EG_SPLIT_TEST};
    for (size_t s = 0; s < 2; s++) {
        for (int k = 0; status == EG_OK && k < c->ds->n_classes; k++) {
            const pair_of_splits p = {k, eg_study_data_base(c), others[s]};
            if (eg_study_data_count(c, p.to, k) < LEAST_UNITS) continue;
            status = drift_of(drift, c, &p, EG_ROWS_LOW, err);
            if (status == EG_OK && c->features)
                status = drift_of(drift, c, &p, EG_ROWS_FEATURES, err);
            if (status == EG_OK) status = shifts_of(shifts, c, &p, err);
            if (status == EG_OK && eg_study_stopped(c->ev))
                status = eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while comparing splits");
        }
    }
    if (status == EG_OK) status = add_holm(drift, err);
    return status == EG_OK ? add_holm(shifts, err) : status;
}
