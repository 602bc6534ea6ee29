/* A validation split made from train: stratified by class, whole patients, a function of the
 * seed. Also the index list of a split. Greedy: patients are visited in a shuffled order, and
 * one is moved when that brings the class counts nearer to their targets, so each class ends
 * within one patient of its share. Knows no file names (patients.c). */
#include "data/dataset.h"
#include "data/streams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Samples of train, grouped: group g is members[starts[g]] .. members[starts[g + 1] - 1]. One
 * block each. */
typedef struct {
    uint32_t *members; /* dataset indices */
    uint32_t *starts;  /* n_groups + 1 */
    uint32_t *order;   /* groups, shuffled */
    uint8_t *taken;    /* by dataset index: goes to validation */
    size_t *total;     /* by class: images in train */
    size_t *moved;     /* by class: images that go to validation */
    size_t *inside;    /* by class: images of the group being weighed */
    double *target;    /* by class */
    size_t n_members, n_groups;
    int n_classes;
} plan;

/* All of it is scratch: the data set is written to only when the plan holds. */
static void free_plan(plan *p) {
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
static bool is_train(const eg_sample *s) {
    return s->split == EG_SPLIT_TRAIN || s->split == EG_SPLIT_ALL;
}

/* Sort key of a sample; patient NULL: stands alone. */
typedef struct {
    const char *patient;
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

/* Group the train samples: by patient, or each alone. A sorted list has the images of a patient
 * side by side even when they lie in different class folders. On failure nothing is held. */
static eg_status make_groups(plan *p, const eg_dataset *ds, bool by_patient, eg_error *err) {
    size_t n = ds->n_samples, k = (size_t)ds->n_classes;
    *p = (plan){.n_classes = ds->n_classes};
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
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for the split", ds->root);
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_train(&ds->samples[i])) continue;
        p->total[ds->samples[i].label]++;
        keys[p->n_members++] = (keyed){by_patient ? ds->samples[i].patient : NULL, (uint32_t)i};
    }
    if (p->n_members > 1) qsort(keys, p->n_members, sizeof *keys, compare_keyed);
    for (size_t i = 0; i < p->n_members; i++) {
        bool same = i > 0 && keys[i].patient && keys[i - 1].patient &&
                    strcmp(keys[i].patient, keys[i - 1].patient) == 0;
        if (!same) {
            p->order[p->n_groups] = (uint32_t)p->n_groups;
            p->starts[p->n_groups++] = (uint32_t)i;
        }
        p->members[i] = keys[i].index;
    }
    p->starts[p->n_groups] = (uint32_t)p->n_members;
    eg_free(keys);
    return EG_OK;
}

/* Move group g to validation. */
static void take_group(plan *p, const eg_dataset *ds, uint32_t g) {
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++) {
        p->taken[p->members[i]] = 1;
        p->moved[ds->samples[p->members[i]].label]++;
    }
}

/* How much nearer to the targets the counts come when group g is moved; positive: take it. */
static double gain_of(plan *p, const eg_dataset *ds, uint32_t g) {
    double gain = 0;
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++)
        p->inside[ds->samples[p->members[i]].label]++;
    for (uint32_t i = p->starts[g]; i < p->starts[g + 1]; i++) {
        int c = ds->samples[p->members[i]].label;
        if (p->inside[c] == 0) continue; // its class has been weighed
        double before = (double)p->moved[c] - p->target[c];
        gain += fabs(before) - fabs(before + (double)p->inside[c]);
        p->inside[c] = 0;
    }
    return gain;
}

/* A class without a validation image (its patients are all large) gives its smallest patient. */
static void take_smallest(plan *p, const eg_dataset *ds, int label) {
    int64_t best = -1;
    uint32_t best_size = UINT32_MAX;
    for (size_t i = 0; i < p->n_groups; i++) {
        uint32_t g = p->order[i], size = p->starts[g + 1] - p->starts[g];
        bool has_label = false;
        for (uint32_t m = p->starts[g]; m < p->starts[g + 1]; m++)
            has_label |= ds->samples[p->members[m]].label == label;
        if (has_label && size < best_size) {
            best = g;
            best_size = size;
        }
    }
    if (best >= 0) take_group(p, ds, (uint32_t)best);
}

/* No class may be missing from a side: its share of either loss would be undefined. */
static eg_status check_sides(const plan *p, const eg_dataset *ds, bool by_patient, eg_error *err) {
    for (int c = 0; c < p->n_classes; c++) {
        if (p->total[c] == 0)
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: class %s has no training image - add images to train/%s", ds->root,
                           ds->classes[c], ds->classes[c]);
        if (p->moved[c] > 0 && p->moved[c] < p->total[c]) continue;
        if (p->total[c] == 1 || !by_patient)
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: class %s has %zu training image(s), too few to keep one in train "
                           "and one in val - add images, or give a val/ folder",
                           ds->root, ds->classes[c], p->total[c]);
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: class %s: its %zu training images belong to too few patients to split "
                       "them - give a val/ folder, or use --val-by image",
                       ds->root, ds->classes[c], p->total[c]);
    }
    return EG_OK;
}

eg_status eg_dataset_split_val(eg_dataset *ds, double share, const char *by, uint64_t seed,
                               eg_error *err) {
    if (ds->has_val) return EG_OK;
    for (size_t i = 0; i < ds->n_samples; i++) // already made
        if (ds->samples[i].split == EG_SPLIT_VAL) return EG_OK;
    if (!(share > 0 && share < 1))
        return eg_fail(err, EG_ERR_USAGE, "val-share: %g is not between 0 and 1", share);
    bool by_patient = !by || strcmp(by, "patient") == 0;
    if (!by_patient && strcmp(by, "image") != 0)
        return eg_fail(err, EG_ERR_USAGE, "val-by: '%s' is unknown - use patient or image", by);
    plan p;
    EG_TRY(make_groups(&p, ds, by_patient, err));
    // at least one image on each side, however small the share
    for (int c = 0; c < p.n_classes; c++) {
        double wanted = rint(share * (double)p.total[c]);
        p.target[c] = fmax(1, fmin(wanted, (double)p.total[c] - 1));
    }
    eg_random random = eg_random_make(seed, 0, 0, EG_DATA_STREAM_SPLIT);
    eg_random_shuffle(&random, p.order, p.n_groups);
    for (size_t i = 0; i < p.n_groups; i++)
        if (gain_of(&p, ds, p.order[i]) > 0) take_group(&p, ds, p.order[i]);
    for (int c = 0; c < p.n_classes; c++)
        if (p.moved[c] == 0) take_smallest(&p, ds, c);
    // only now the samples change: a refused split leaves the data set as it was
    eg_status status = check_sides(&p, ds, by_patient, err);
    if (status == EG_OK) {
        for (size_t i = 0; i < ds->n_samples; i++)
            if (is_train(&ds->samples[i]))
                ds->samples[i].split = p.taken[i] ? EG_SPLIT_VAL : EG_SPLIT_TRAIN;
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
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for %zu indices", ds->root, count);
    size_t next = 0;
    for (size_t i = 0; i < ds->n_samples; i++)
        if (split == EG_SPLIT_ALL || ds->samples[i].split == split) indices[next++] = (uint32_t)i;
    *out = indices;
    *n = count;
    return EG_OK;
}
