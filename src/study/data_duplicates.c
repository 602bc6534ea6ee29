/* Images that are there twice: the same file, the same pixels in another file, and near copies (re-encoded, resized, a
 * little brighter). Near: a difference hash of 64 bits picks candidates among all pairs, and the correlation of the
 * thumbnails decides. Both are taken of what is left after the mean thumbnail of the set is subtracted: radiographs all
 * look alike, and a hash of the picture itself would call a fifth of all pairs similar (unrelated chest X-rays reach a
 * correlation of 0.93 after it, copies more than 0.99). Quadratic in the images, a popcount a pair.
 * Read first: data_report.h.                                                                                      */
#include "study/data_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* HASH_BITS: of 64. LEAST_MEAN: with fewer images the mean thumbnail is one of them, and is not subtracted.
 * MOST_PAIRS: near pairs kept; a set with more is no set of photographs. */
enum { HASH_BITS = 12, LEAST_MEAN = 16, MOST_PAIRS = 100000, MOST_EXAMPLES = 50, BLOCK = 256 };
enum { PIXELS = EG_THUMB * EG_THUMB };
static const float near_correlation = 0.985F;
static const float feature_cosine = 0.995F;

typedef enum { KIND_FILE, KIND_PIXELS, KIND_NEAR, KIND_FEATURES, KIND_COUNT } copy_kind;
static const char *const kind_names[] = {"same file", "same pixels", "near", "features"};

typedef struct {
    uint32_t a, b;
} pair;

typedef struct {
    const eg_data_case *c;
    size_t n;
    float mean[PIXELS]; /* of the normalised thumbnails */
    uint64_t *hash;     /* (n) */
    bool *flat;         /* (n) one gray value: no detail to compare */
    uint32_t *parent;   /* (n) union-find; a root is the smallest of its group */
    uint8_t *kind;      /* (n) by root: the weakest link of its group */
    pair *found[BLOCK]; /* of the tasks at work, in order */
    size_t n_found[BLOCK];
    bool failed[BLOCK];
    size_t from; /* first image of the block */
    bool features;
    float *rows; /* (n, D) centred features of length 1, with `features` */
    size_t n_pairs[KIND_COUNT];
} search;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory looking for duplicates");
}

/* ---- groups ---- */

static uint32_t root_of(search *s, uint32_t i) {
    while (s->parent[i] != i) i = s->parent[i] = s->parent[s->parent[i]];
    return i;
}

static void join(search *s, uint32_t a, uint32_t b, copy_kind kind) {
    a = root_of(s, a);
    b = root_of(s, b);
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    if (s->kind[high] > s->kind[low]) s->kind[low] = s->kind[high];
    if ((uint8_t)kind > s->kind[low]) s->kind[low] = (uint8_t)kind;
    s->parent[high] = low;
}

typedef struct {
    const uint8_t *key;
    uint32_t image;
} keyed;

static int compare_keys(const void *a, const void *b) {
    const keyed *x = a, *y = b;
    int order = memcmp(x->key, y->key, EG_KEY_BYTES);
    return order ? order : (x->image > y->image) - (x->image < y->image);
}

/* Join images with the same key, unless they are together already. */
static bool join_same(search *s, bool of_file, copy_kind kind) {
    keyed *list = eg_malloc((s->n + 1) * sizeof *list);
    if (!list) return false;
    for (size_t i = 0; i < s->n; i++) {
        const eg_image_facts *f = &s->c->facts[i];
        list[i] = (keyed){of_file ? f->file_key : f->pixel_key, (uint32_t)i};
    }
    qsort(list, s->n, sizeof *list, compare_keys);
    for (size_t i = 1; i < s->n; i++) {
        uint32_t a = list[i - 1].image, b = list[i].image;
        if (memcmp(list[i - 1].key, list[i].key, EG_KEY_BYTES) != 0) continue;
        if (root_of(s, a) == root_of(s, b)) continue;
        if (!of_file && s->flat[a]) continue; /* two blank images are two faults, not copies */
        join(s, a, b, kind);
        s->n_pairs[kind]++;
    }
    eg_free(list);
    return true;
}

/* ---- thumbnails without what all have in common ---- */

/* Mean 0, length 1. False: one gray value. */
static bool normalise(float x[PIXELS]) {
    double sum = 0, squares = 0;
    for (int p = 0; p < PIXELS; p++) sum += (double)x[p];
    for (int p = 0; p < PIXELS; p++) {
        x[p] -= (float)(sum / PIXELS);
        squares += (double)(x[p] * x[p]);
    }
    if (squares < 1e-6) return false;
    const float scale = (float)(1 / sqrt(squares));
    for (int p = 0; p < PIXELS; p++) x[p] *= scale;
    return true;
}

static bool residual_of(float out[PIXELS], const search *s, size_t i) {
    for (int p = 0; p < PIXELS; p++) out[p] = s->c->facts[i].thumb[p];
    if (!normalise(out)) return false;
    for (int p = 0; p < PIXELS; p++) out[p] -= s->mean[p];
    return normalise(out);
}

/* Sign of the step to the right between means of 4 x 4 pixels, eight rows of eight steps. */
static void hash_one(void *context, int task) {
    search *s = context;
    const size_t i = (size_t)task;
    float r[PIXELS];
    s->hash[i] = 0;
    s->flat[i] = !residual_of(r, s, i);
    if (s->flat[i]) return;
    for (int y = 0; y < 8; y++) {
        for (int x = 0; x < 8; x++) {
            float step = 0; /* windows of 4, 3.5 pixels apart at most, so that nine fit into 32 */
            int left = x * 7 / 2, right = (x + 1) * 7 / 2;
            for (int v = 0; v < 4; v++)
                for (int u = 0; u < 4; u++) {
                    const float *row = r + (4 * y + v) * EG_THUMB;
                    step += row[right + u] - row[left + u];
                }
            s->hash[i] = s->hash[i] << 1 | (step > 0);
        }
    }
}

static void mean_take(search *s) {
    float x[PIXELS];
    size_t n = 0;
    double sum[PIXELS] = {0};
    if (s->n < LEAST_MEAN) return;
    for (size_t i = 0; i < s->n; i++) {
        for (int p = 0; p < PIXELS; p++) x[p] = s->c->facts[i].thumb[p];
        if (!normalise(x)) continue;
        n++;
        for (int p = 0; p < PIXELS; p++) sum[p] += (double)x[p];
    }
    for (int p = 0; n > 0 && p < PIXELS; p++) s->mean[p] = (float)(sum[p] / (double)n);
}

/* ---- pairs ---- */

static float dot(const float *a, const float *b, size_t n) {
    float s[8] = {0};
    size_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (size_t l = 0; l < 8; l++) s[l] += a[k + l] * b[k + l];
    for (; k < n; k++) s[0] += a[k] * b[k];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static void keep_pair(search *s, int task, uint32_t a, uint32_t b) {
    size_t n = s->n_found[task];
    if (n % 64 == 0) {
        pair *grown = eg_realloc(s->found[task], n * sizeof *grown, (n + 64) * sizeof *grown);
        if (!grown) {
            s->failed[task] = true;
            return;
        }
        s->found[task] = grown;
    }
    s->found[task][s->n_found[task]++] = (pair){a, b};
}

static bool same_patient(const eg_data_case *c, size_t i, size_t j) {
    const eg_sample *a = &c->ds->samples[i], *b = &c->ds->samples[j];
    return c->unit[i] == c->unit[j] && a->split == b->split && a->label == b->label;
}

/* Image `from + task` against all behind it. */
static void compare_one(void *context, int task) {
    search *s = context;
    const size_t i = s->from + (size_t)task;
    float mine[PIXELS], other[PIXELS];
    bool have = false;
    if (s->flat[i]) return;
    for (size_t j = i + 1; j < s->n && !s->failed[task]; j++) {
        if (s->features) {
            const size_t D = s->c->n_features;
            if (s->c->ds->samples[i].split == s->c->ds->samples[j].split) continue;
            if (dot(s->rows + i * D, s->rows + j * D, D) < feature_cosine) continue;
        } else {
            if (__builtin_popcountll(s->hash[i] ^ s->hash[j]) > HASH_BITS || s->flat[j]) continue;
            if (same_patient(s->c, i, j)) continue;
            if (!have) have = residual_of(mine, s, i);
            residual_of(other, s, j);
            if (dot(mine, other, PIXELS) < near_correlation) continue;
        }
        keep_pair(s, task, (uint32_t)i, (uint32_t)j);
    }
}

static eg_status compare_all(search *s, copy_kind kind, eg_error *err) {
    eg_status status = EG_OK;
    for (s->from = 0; status == EG_OK && s->from < s->n; s->from += BLOCK) {
        int count = (int)(s->n - s->from < BLOCK ? s->n - s->from : BLOCK);
        memset(s->found, 0, sizeof s->found);
        memset(s->n_found, 0, sizeof s->n_found);
        memset(s->failed, 0, sizeof s->failed);
        eg_pool_run(compare_one, s, count);
        for (int t = 0; t < count; t++) {
            if (s->failed[t]) status = no_memory(err);
            for (size_t k = 0; k < s->n_found[t]; k++) {
                uint32_t a = s->found[t][k].a, b = s->found[t][k].b;
                if (root_of(s, a) == root_of(s, b) || s->n_pairs[kind] >= MOST_PAIRS) continue;
                join(s, a, b, kind);
                s->n_pairs[kind]++;
            }
            eg_free(s->found[t]);
        }
        eg_study_report(s->c->ev, &(eg_progress){.kind = EG_PROGRESS_SCAN,
                                                 .stage = "copies",
                                                 .step = (int64_t)(s->from + (size_t)count),
                                                 .n_steps = (int64_t)s->n});
        if (status == EG_OK && eg_study_stopped(s->c->ev))
            status = eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while looking for duplicates");
    }
    return status;
}

/* Features less their mean, of length 1. */
static bool feature_rows(search *s) {
    const size_t D = s->c->n_features;
    double *mean = eg_calloc(D, sizeof *mean);
    s->rows = eg_malloc(s->n * D * sizeof *s->rows);
    bool ok = mean && s->rows;
    for (size_t i = 0; ok && i < s->n; i++)
        for (size_t j = 0; j < D; j++) mean[j] += (double)s->c->features[i * D + j] / (double)s->n;
    for (size_t i = 0; ok && i < s->n; i++) {
        double squares = 1e-30;
        for (size_t j = 0; j < D; j++) {
            double v = (double)s->c->features[i * D + j] - mean[j];
            s->rows[i * D + j] = (float)v;
            squares += v * v;
        }
        for (size_t j = 0; j < D; j++) s->rows[i * D + j] *= (float)(1 / sqrt(squares));
    }
    eg_free(mean);
    return ok;
}

/* ---- the document ---- */

/* Counts of one kind over groups. */
typedef struct {
    size_t groups, files, across_splits, across_classes;
} tally;

/* A group's images are the chain next[] from its root. Of the harmless groups not so many are listed as to hide the
 * others, which come first. */
static bool list_group(json_t *examples, const search *s, uint32_t root, const uint32_t *next,
                       size_t n, bool splits, bool classes) {
    const size_t listed = json_array_size(examples);
    const bool odd = splits || classes;
    if (listed >= (odd ? 4 * MOST_EXAMPLES : MOST_EXAMPLES)) return true;
    json_t *files = json_array();
    for (uint32_t i = root; files && i != UINT32_MAX && json_array_size(files) < 20; i = next[i])
        if (json_array_append_new(files, json_string(s->c->ds->samples[i].file)) != 0) break;
    json_t *item =
        json_pack("{s:s, s:o, s:I, s:b, s:b}", "kind", kind_names[s->kind[root]], "files", files,
                  "n", (json_int_t)n, "across_splits", splits, "across_classes", classes);
    return odd ? json_array_insert_new(examples, 0, item) == 0
               : json_array_append_new(examples, item) == 0;
}

static eg_status add_group(json_t *examples, tally *tallies, const search *s, uint32_t root,
                           const uint32_t *next, eg_error *err) {
    const eg_sample *all = s->c->ds->samples, *first = &all[root];
    bool splits = false, classes = false;
    size_t n = 0;
    for (uint32_t i = root; i != UINT32_MAX; i = next[i]) {
        n++;
        splits = splits || all[i].split != first->split;
        classes = classes || all[i].label != first->label;
    }
    tally *t = &tallies[s->kind[root]];
    t->groups++;
    t->files += n;
    t->across_splits += splits;
    t->across_classes += classes;
    if (!examples || list_group(examples, s, root, next, n, splits, classes)) return EG_OK;
    return no_memory(err);
}

static json_t *tally_json(const tally *t) {
    return json_pack("{s:I, s:I, s:I, s:I}", "groups", (json_int_t)t->groups, "files",
                     (json_int_t)t->files, "across_splits", (json_int_t)t->across_splits,
                     "across_classes", (json_int_t)t->across_classes);
}

/* Groups as they are now: into `t`, and, when not NULL, some of them into `examples`. */
static eg_status count_groups(tally t[KIND_COUNT], json_t *examples, search *s, eg_error *err) {
    uint32_t *next = eg_malloc((s->n + 1) * sizeof *next),
             *last = eg_malloc((s->n + 1) * sizeof *last);
    eg_status status = next && last ? EG_OK : no_memory(err);
    for (uint32_t i = 0; status == EG_OK && i < s->n; i++) {
        uint32_t root = root_of(s, i);
        next[i] = UINT32_MAX;
        if (root != i) next[last[root]] = i; /* roots come first: they are the smallest */
        last[root] = i;
    }
    for (uint32_t i = 0; status == EG_OK && i < s->n; i++)
        if (s->parent[i] == i && next[i] != UINT32_MAX)
            status = add_group(examples, t, s, i, next, err);
    eg_free(next);
    eg_free(last);
    return status;
}

/* `files`: groups of the same file, counted before near copies joined them. */
static eg_status groups_json(json_t *doc, search *s, const tally *files, eg_error *err) {
    tally t[KIND_COUNT] = {{0}};
    json_t *examples = json_array(), *out = tally_json(files);
    eg_status status = examples && out ? count_groups(t, examples, s, err) : no_memory(err);
    if (status == EG_OK &&
        (json_object_set_new(out, "same_pixels", tally_json(&t[KIND_PIXELS])) != 0 ||
         json_object_set_new(out, "near", tally_json(&t[KIND_NEAR])) != 0 ||
         json_object_set_new(out, "features",
                             s->c->features ? tally_json(&t[KIND_FEATURES]) : json_null()) != 0 ||
         json_object_set(out, "examples", examples) != 0 ||
         json_object_set(doc, "duplicates", out) != 0))
        status = no_memory(err);
    json_decref(out);
    json_decref(examples);
    return status;
}

eg_status eg_study_data_duplicates(json_t *doc, const eg_data_case *c, eg_error *err) {
    search *s = eg_calloc(1, sizeof *s);
    if (!s) return no_memory(err);
    s->c = c;
    s->n = c->ds->n_samples;
    s->hash = eg_malloc((s->n + 1) * sizeof *s->hash);
    s->flat = eg_malloc((s->n + 1) * sizeof *s->flat);
    s->parent = eg_malloc((s->n + 1) * sizeof *s->parent);
    s->kind = eg_calloc(s->n + 1, 1);
    eg_status status = s->hash && s->flat && s->parent && s->kind ? EG_OK : no_memory(err);
    if (status == EG_OK) {
        for (size_t i = 0; i < s->n; i++) s->parent[i] = (uint32_t)i;
        mean_take(s);
        eg_pool_run(hash_one, s, (int)s->n);
        if (!join_same(s, true, KIND_FILE)) status = no_memory(err);
    }
    tally files[KIND_COUNT] = {{0}};
    if (status == EG_OK) status = count_groups(files, NULL, s, err);
    if (status == EG_OK && !join_same(s, false, KIND_PIXELS)) status = no_memory(err);
    if (status == EG_OK) status = compare_all(s, KIND_NEAR, err);
    if (status == EG_OK && c->features) {
        s->features = true;
        status = feature_rows(s) ? compare_all(s, KIND_FEATURES, err) : no_memory(err);
    }
    if (status == EG_OK) status = groups_json(doc, s, &files[KIND_FILE], err);
    eg_free(s->hash);
    eg_free(s->flat);
    eg_free(s->parent);
    eg_free(s->kind);
    eg_free(s->rows);
    eg_free(s);
    return status;
}
