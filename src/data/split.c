/* A split made from another: validation from train, or test from a set without splits. Stratified by class, whole patients
 * (or single images, or runs of neighbouring ids: split_block.c), a function of the seed. By share it is greedy: patients are
 * visited in a shuffled order, and one is moved when that brings the class counts nearer to their targets, so each class ends
 * within one patient of its share. By folds each patient, the large ones first, goes to the fold that has least of its
 * classes, so that every image is in exactly one fold. Also the index list of a split. Knows no file names. Read split.h
 * first, then eg_dataset_split. */
#include "data/split.h"
#include "data/streams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* All of it is scratch: the data set is written to only when the plan holds. */
static void free_plan(eg_data_plan *p) {
    eg_free(p->members);
    eg_free(p->starts);
    eg_free(p->order);
    eg_free(p->taken);
    eg_free(p->total);
    eg_free(p->moved);
    eg_free(p->inside);
    eg_free(p->target);
}

/* A bare tree counts as train until it is split. */
static bool is_of(const eg_sample *s, eg_split from) {
    return s->split == from || (from == EG_SPLIT_TRAIN && s->split == EG_SPLIT_ALL);
}

/* ---- groups ---- */

/* Sort key of a sample; patient NULL: stands alone. */
typedef struct {
    const char *patient;
    uint32_t first; /* index of its patient's first sample */
    uint32_t index;
} keyed;

/* By patient, those without one last and by index, so that the order depends on nothing but the
 * samples. */
static int compare_keyed(const void *x, const void *y) {
    const keyed *a = x, *b = y;
    if (a->patient && b->patient) {
        int order = strcmp(a->patient, b->patient);
        if (order != 0) return order;
    } else if (a->patient || b->patient) {
        return a->patient ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static int compare_firsts(const void *x, const void *y) {
    const keyed *a = x, *b = y;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static bool same_patient(const keyed *a, const keyed *b) {
    return a->patient && b->patient && strcmp(a->patient, b->patient) == 0;
}

/* Hashes of DICOM ids have another order with every salt: patients then stand in the order of their first images, so that
 * the split is the same on every machine. */
static void order_by_first(keyed *keys, size_t n) {
    for (size_t i = 0; i < n; i++)
        keys[i].first =
            i > 0 && same_patient(&keys[i - 1], &keys[i]) ? keys[i - 1].first : keys[i].index;
    if (n > 1) qsort(keys, n, sizeof *keys, compare_firsts);
}

/* Group the samples of `from`: by patient, or each alone. A sorted list has the images of a patient
 * side by side even when they lie in different class folders. On failure nothing is held. */
static eg_status make_groups(eg_data_plan *p, const eg_dataset *ds, eg_split from, bool by_patient,
                             eg_error *err) {
    size_t n = ds->n_samples, k = (size_t)ds->n_classes;
    *p = (eg_data_plan){.ds = ds, .n_classes = ds->n_classes};
    keyed *keys = eg_malloc(n * sizeof *keys);
    p->members = eg_malloc(n * sizeof *p->members);
    p->starts = eg_malloc((n + 1) * sizeof *p->starts);
    p->order = eg_malloc(n * sizeof *p->order);
    p->taken = eg_calloc(n, 1);
    p->total = eg_calloc(k, sizeof *p->total);
    p->moved = eg_calloc(k, sizeof *p->moved);
    p->inside = eg_calloc(k, sizeof *p->inside);
    p->target = eg_calloc(k, sizeof *p->target);
    if (!keys || !p->members || !p->starts || !p->order || !p->taken || !p->total || !p->moved ||
        !p->inside || !p->target) {
        eg_free(keys);
        free_plan(p);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for the split", ds->path);
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_of(&ds->samples[i], from)) continue;
        const char *patient = by_patient ? ds->samples[i].patient : NULL;
        p->total[ds->samples[i].label]++;
        keys[p->n_members++] = (keyed){patient, 0, (uint32_t)i};
    }
    if (p->n_members > 1) qsort(keys, p->n_members, sizeof *keys, compare_keyed);
    if (strcmp(ds->patient_rule, "dicom") == 0) order_by_first(keys, p->n_members);
    for (size_t i = 0; i < p->n_members; i++) {
        if (i == 0 || !same_patient(&keys[i], &keys[i - 1])) {
            p->order[p->n_groups] = (uint32_t)p->n_groups;
            p->starts[p->n_groups++] = (uint32_t)i;
        }
        p->members[i] = keys[i].index;
    }
    p->starts[p->n_groups] = (uint32_t)p->n_members;
    eg_free(keys);
    return EG_OK;
}

void eg_data_plan_take(eg_data_plan *p, uint32_t g) {
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++) {
        p->taken[p->members[i]] = 1;
        p->moved[p->ds->samples[p->members[i]].label]++;
    }
}

/* ---- by share ---- */

/* How much nearer to the targets the counts come when group g is moved; positive: take it. */
static double gain_of(eg_data_plan *p, uint32_t g) {
    double gain = 0;
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++)
        p->inside[p->ds->samples[p->members[i]].label]++;
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++) {
        int c = p->ds->samples[p->members[i]].label;
        if (p->inside[c] == 0) continue; // its class has been weighed
        double before = (double)p->moved[c] - p->target[c];
        gain += fabs(before) - fabs(before + (double)p->inside[c]);
        p->inside[c] = 0;
    }
    return gain;
}

/* A class without a moved image (its patients are all large) gives its smallest patient. */
static void take_smallest(eg_data_plan *p, int label) {
    int64_t best = -1;
    uint32_t best_size = UINT32_MAX;
    for (size_t i = 0; i < p->n_groups; i++) {
        uint32_t g = p->order[i], size = p->starts[g + 1] - p->starts[g];
        bool has_label = false;
        for (uint32_t m = p->starts[g]; m < p->starts[g + 1]; m++)
            has_label |= p->ds->samples[p->members[m]].label == label;
        if (has_label && size < best_size) {
            best = g;
            best_size = size;
        }
    }
    if (best >= 0) eg_data_plan_take(p, (uint32_t)best);
}

static void take_share(eg_data_plan *p, double share) {
    // at least one image on each side, however small the share
    for (int c = 0; c < p->n_classes; c++) {
        double wanted = rint(share * (double)p->total[c]);
        p->target[c] = fmax(1, fmin(wanted, (double)p->total[c] - 1));
    }
    for (size_t i = 0; i < p->n_groups; i++)
        if (gain_of(p, p->order[i]) > 0) eg_data_plan_take(p, p->order[i]);
}

/* ---- by folds ---- */

/* Large groups first: what is left to even out at the end is small then. Ties keep the shuffled order. */
static int compare_sizes(const void *x, const void *y, void *context) {
    const uint32_t *sizes_and_ranks = context;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    const uint32_t *of_a = sizes_and_ranks + 2 * (size_t)a, *of_b = sizes_and_ranks + 2 * (size_t)b;
    if (of_a[0] != of_b[0]) return of_a[0] > of_b[0] ? -1 : 1;
    return (of_a[1] > of_b[1]) - (of_a[1] < of_b[1]);
}

/* Growth of the spread over folds when the counted classes of a group go to a fold with these counts: the sum over classes
 * of (n + x)^2 - n^2, each class in units of its size, so that a rare class weighs as much as a frequent one. */
static double cost_of(const eg_data_plan *p, const size_t *counts, uint32_t g) {
    double cost = 0;
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++) {
        int c = p->ds->samples[p->members[i]].label;
        bool first = true; // of its class in the group; groups are small
        for (uint32_t k = p->starts[g]; k < i && first; k++)
            first = p->ds->samples[p->members[k]].label != c;
        double x = (double)p->inside[c], n = (double)counts[c], size = (double)p->total[c];
        if (first) cost += (2 * n * x + x * x) / (size * size);
    }
    return cost;
}

/* The fold that group g goes to, its images counted there. counts (folds, classes), sums (folds): images so far. */
static int place_group(eg_data_plan *p, size_t *counts, size_t *sums, int folds, uint32_t g) {
    int best = 0;
    double best_cost = INFINITY;
    size_t k = (size_t)p->n_classes;
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++)
        p->inside[p->ds->samples[p->members[i]].label]++;
    for (int f = 0; f < folds; f++) {
        double cost = cost_of(p, counts + (size_t)f * k, g);
        if (cost > best_cost || (cost == best_cost && sums[f] >= sums[best])) continue;
        best = f;
        best_cost = cost;
    }
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++) {
        int c = p->ds->samples[p->members[i]].label;
        counts[(size_t)best * k + (size_t)c]++;
        sums[best]++;
        p->inside[c] = 0;
    }
    return best;
}

static eg_status take_fold(eg_data_plan *p, const eg_split_rule *rule, eg_error *err) {
    size_t n_counts;
    size_t *counts = eg_mul(&n_counts, (size_t)rule->folds, (size_t)p->n_classes)
                         ? eg_calloc(n_counts, sizeof *counts)
                         : NULL;
    size_t *sums = eg_calloc((size_t)rule->folds, sizeof *sums);
    uint32_t *keys = eg_malloc(2 * p->n_groups * sizeof *keys + 1);
    eg_status status = EG_OK;
    if (!counts || !sums || !keys) {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for the folds", p->ds->path);
    } else {
        for (uint32_t i = 0; i < p->n_groups; i++) {
            uint32_t g = p->order[i];
            keys[2 * (size_t)g] = p->starts[g + 1] - p->starts[g];
            keys[2 * (size_t)g + 1] = i;
        }
        if (p->n_groups > 1) qsort_r(p->order, p->n_groups, sizeof *p->order, compare_sizes, keys);
        for (size_t i = 0; i < p->n_groups; i++)
            if (place_group(p, counts, sums, rule->folds, p->order[i]) == rule->fold - 1)
                eg_data_plan_take(p, p->order[i]);
    }
    eg_free(counts);
    eg_free(sums);
    eg_free(keys);
    return status;
}

/* ---- the rule ---- */

/* No class may be missing from a side: its share of either loss would be undefined. */
static eg_status check_sides(const eg_data_plan *p, eg_split from, eg_split to,
                             const eg_split_rule *rule, eg_error *err) {
    const eg_dataset *ds = p->ds;
    const char *a = from == EG_SPLIT_TRAIN ? "training" : eg_split_name(from);
    const char *b = eg_split_name(to);
    const bool by_image = rule->by && strcmp(rule->by, "image") == 0;
    for (int c = 0; c < p->n_classes; c++) {
        if (p->total[c] == 0)
            return eg_fail(err, EG_ERR_INPUT, "%s: class %s has no %s image - add images to it",
                           ds->path, ds->classes[c], a);
        if (p->moved[c] > 0 && p->moved[c] < p->total[c]) continue;
        if (rule->folds > 0)
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: class %s: its %zu %s images do not reach every one of %d folds - "
                           "use fewer --folds%s",
                           ds->path, ds->classes[c], p->total[c], a, rule->folds,
                           by_image ? "" : ", or --val-by image");
        if (p->total[c] == 1 || by_image)
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: class %s has %zu %s image(s), too few to keep one in train and one "
                           "in %s - add images, or give a %s/ folder%s",
                           ds->path, ds->classes[c], p->total[c], a, b, b,
                           to == EG_SPLIT_TEST ? ", or no test split with --test-share 0" : "");
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: class %s: its %zu %s images belong to too few patients to split them - "
                       "give a %s/ folder, or use --val-by image --allow-shared-patients",
                       ds->path, ds->classes[c], p->total[c], a, b);
    }
    return EG_OK;
}

/* *by: the rule's word, resolved. */
static eg_status check_rule(const char **by, const eg_dataset *ds, eg_split to,
                            const eg_split_rule *rule, eg_error *err) {
    *by = rule->by ? rule->by : "patient";
    if (strcmp(*by, "patient") != 0 && strcmp(*by, "image") != 0 && strcmp(*by, "block") != 0)
        return eg_fail(err, EG_ERR_USAGE, "val-by: '%s' is unknown - use patient, image or block",
                       *by);
    if (strcmp(*by, "block") == 0 && strcmp(ds->patient_rule, "dicom") == 0)
        return eg_fail(
            err, EG_ERR_USAGE,
            "val-by block: DICOM patients are known by hashes, which have no order - use "
            "--val-by patient, or another --patients");
    if (rule->folds == 0 && !(rule->share > 0 && rule->share < 1))
        return eg_fail(err, EG_ERR_USAGE, "%s-share: %g is not between 0 and 1", eg_split_name(to),
                       rule->share);
    if (rule->folds != 0 && rule->folds < 2)
        return eg_fail(err, EG_ERR_USAGE, "folds: %d - two or more are needed, or 0 for a share",
                       rule->folds);
    if (rule->folds != 0 && (rule->fold < 1 || rule->fold > rule->folds))
        return eg_fail(err, EG_ERR_USAGE, "fold: %d is not between 1 and %d (--folds)", rule->fold,
                       rule->folds);
    return EG_OK;
}

static eg_status make_plan(eg_data_plan *p, eg_split to, const char *by, const eg_split_rule *rule,
                           eg_error *err) {
    /* validation keeps the stream it always had */
    eg_random random =
        eg_random_make(rule->seed, to == EG_SPLIT_VAL ? 0 : (uint32_t)to, 0, EG_DATA_STREAM_SPLIT);
    if (strcmp(by, "block") == 0) return eg_data_blocks_take(p, rule, &random, err);
    eg_random_shuffle(&random, p->order, p->n_groups);
    if (rule->folds > 0) return take_fold(p, rule, err);
    take_share(p, rule->share);
    return EG_OK;
}

eg_status eg_dataset_split(eg_dataset *ds, eg_split from, eg_split to, const eg_split_rule *rule,
                           eg_error *err) {
    eg_data_plan p;
    const char *by;
    EG_TRY(check_rule(&by, ds, to, rule, err));
    EG_TRY(make_groups(&p, ds, from, strcmp(by, "image") != 0, err));
    eg_status status = make_plan(&p, to, by, rule, err);
    for (int c = 0; c < p.n_classes && status == EG_OK && rule->folds == 0; c++)
        if (p.moved[c] == 0) take_smallest(&p, c);
    // only now the samples change: a refused split leaves the data set as it was
    if (status == EG_OK) status = check_sides(&p, from, to, rule, err);
    if (status == EG_OK) {
        for (size_t i = 0; i < ds->n_samples; i++)
            if (is_of(&ds->samples[i], from)) ds->samples[i].split = p.taken[i] ? to : from;
        eg_data_samples_sort(ds);
    }
    free_plan(&p);
    return status;
}

eg_status eg_dataset_indices(uint32_t **out, size_t *n, const eg_dataset *ds, eg_split split,
                             eg_error *err) {
    size_t count = 0;
    for (size_t i = 0; i < ds->n_samples; i++)
        count += split == EG_SPLIT_ALL || ds->samples[i].split == split;
    uint32_t *indices = count ? eg_malloc(count * sizeof *indices) : NULL;
    if (count && !indices)
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for %zu indices", ds->path, count);
    size_t next = 0;
    for (size_t i = 0; i < ds->n_samples; i++)
        if (split == EG_SPLIT_ALL || ds->samples[i].split == split) indices[next++] = (uint32_t)i;
    *out = indices;
    *n = count;
    return EG_OK;
}
