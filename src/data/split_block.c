/* Splits by contiguous id block, as a split by date or by hospital would be (the official test set of the Kermany X-rays is
 * one): within each class the patients of a series (the text before their first number) stand in order of their numbers, and
 * one run of neighbours is moved. A harder and more honest question than a random split: does the network work on patients
 * who came later? Read split.h first, then eg_data_blocks_take. */
#include "data/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

int eg_data_natural_compare(const char *a, const char *b) {
    while (*a && *b) {
        if (!is_digit(*a) || !is_digit(*b)) {
            if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++;
            b++;
            continue;
        }
        a += strspn(a, "0"); // leading zeros do not count
        b += strspn(b, "0");
        size_t n_a = strspn(a, "0123456789"), n_b = strspn(b, "0123456789");
        if (n_a != n_b) return n_a < n_b ? -1 : 1;
        int order = memcmp(a, b, n_a);
        if (order != 0) return order;
        a += n_a;
        b += n_b;
    }
    return (*a != '\0') - (*b != '\0');
}

/* ---- series ---- */

/* A group on its way into a series. */
typedef struct {
    const char *id;  /* patient, or file name of an image without one */
    size_t n_prefix; /* bytes of id before its first digit; 0 too when there is none */
    bool rest;       /* its series is small: it stands in the class's rest */
    int label;       /* of its first image */
    uint32_t group;
    size_t n_images;
} member;

static int compare_prefixes(const member *a, const member *b) {
    size_t n = a->n_prefix < b->n_prefix ? a->n_prefix : b->n_prefix;
    int order = memcmp(a->id, b->id, n);
    return order != 0 ? order : (a->n_prefix > b->n_prefix) - (a->n_prefix < b->n_prefix);
}

/* Class, the rest last, series, number. Groups are distinct, so the order is total. */
static int compare_members(const void *x, const void *y) {
    const member *a = x, *b = y;
    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    if (a->rest != b->rest) return a->rest ? 1 : -1;
    int order = a->rest ? 0 : compare_prefixes(a, b);
    if (order == 0) order = eg_data_natural_compare(a->id, b->id);
    return order != 0 ? order : (a->group > b->group) - (a->group < b->group);
}

static bool same_series(const member *a, const member *b) {
    return a->label == b->label && a->rest == b->rest && (a->rest || compare_prefixes(a, b) == 0);
}

static void describe(member *m, const eg_data_plan *p, uint32_t g) {
    const eg_sample *sample = &p->ds->samples[p->members[p->starts[g]]];
    const char *slash = strrchr(sample->file, '/');
    m->id = sample->patient ? sample->patient : slash ? slash + 1 : sample->file;
    m->n_prefix = strcspn(m->id, "0123456789");
    if (!m->id[m->n_prefix]) m->n_prefix = 0; // ids without a number: one series
    m->rest = false;
    m->label = sample->label;
    m->group = g;
    m->n_images = p->starts[g + 1] - p->starts[g];
}

/* Series of fewer than `least` patients cannot be cut: together they are the rest of their class. */
static void gather_rest(member *members, size_t n, size_t least) {
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && same_series(&members[i], &members[end]);) end++;
        for (size_t k = i; k < end && end - i < least; k++) members[k].rest = true;
    }
}

/* ---- the run of one series ---- */

/* The fold-th of `folds` runs: a patient belongs where the middle of its images lies. */
static void take_fold(eg_data_plan *p, const member *members, size_t n, size_t n_images, int folds,
                      int fold) {
    size_t before = 0;
    for (size_t i = 0; i < n; i++) {
        double middle = (double)before + 0.5 * (double)members[i].n_images;
        if ((int)(middle / (double)n_images * folds) == fold - 1)
            eg_data_plan_take(p, members[i].group);
        before += members[i].n_images;
    }
}

/* A run with about `wanted` images, its start drawn; returns how many it has. */
static size_t take_run(eg_data_plan *p, const member *members, size_t n, size_t n_images,
                       double wanted, eg_random *random) {
    double offset = eg_random_uniform(random) * fmax(0, (double)n_images - wanted);
    size_t before = 0, moved = 0, i = 0;
    // the first patient whose images begin at the offset or nearest to it
    while (i + 1 < n && (double)before + 0.5 * (double)members[i].n_images < offset)
        before += members[i++].n_images;
    for (; i < n; i++) {
        double now = fabs((double)moved - wanted);
        if (fabs((double)(moved + members[i].n_images) - wanted) >= now) break;
        moved += members[i].n_images;
        eg_data_plan_take(p, members[i].group);
    }
    return moved;
}

eg_status eg_data_blocks_take(eg_data_plan *p, const eg_split_rule *rule, eg_random *random,
                              eg_error *err) {
    member *members = eg_malloc(p->n_groups * sizeof *members + 1);
    if (!members)
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for the split", p->ds->path);
    const size_t n = p->n_groups;
    for (uint32_t g = 0; g < n; g++) describe(&members[g], p, g);
    if (n > 1) qsort(members, n, sizeof *members, compare_members);
    gather_rest(members, n, rule->folds > 0 ? (size_t)rule->folds : (size_t)ceil(1 / rule->share));
    if (n > 1) qsort(members, n, sizeof *members, compare_members);
    double owed = 0; // what the series of a class so far gave too little; below 0: too much
    for (size_t i = 0, end; i < n; i = end) {
        size_t n_images = 0;
        for (end = i; end < n && same_series(&members[i], &members[end]); end++)
            n_images += members[end].n_images;
        if (rule->folds > 0) {
            take_fold(p, members + i, end - i, n_images, rule->folds, rule->fold);
            continue;
        }
        if (i == 0 || members[i].label != members[i - 1].label) owed = 0;
        double wanted = rule->share * (double)n_images + owed;
        size_t moved = wanted > 0 ? take_run(p, members + i, end - i, n_images, wanted, random) : 0;
        owed = wanted - (double)moved;
    }
    eg_free(members);
    return EG_OK;
}
