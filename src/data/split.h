/* The plan of a split while it is made: groups of samples that stay together, and which of them are moved. Shared by split.c
 * and split_block.c; private to the data room. */
#ifndef EG_DATA_SPLIT_H
#define EG_DATA_SPLIT_H

#include "data/dataset.h"

/* Samples to be split, grouped: group g is members[starts[g]] .. members[starts[g + 1] - 1]. One block each. */
typedef struct {
    const eg_dataset *ds;
    uint32_t *members; /* (n_members) dataset indices */
    uint32_t *starts;  /* (n_groups + 1) */
    uint32_t *order;   /* (n_groups) in which they are visited */
    uint8_t *taken;    /* by dataset index: is moved */
    size_t *total;     /* by class: images */
    size_t *moved;     /* by class: images that are moved */
    size_t *inside;    /* by class: images of the group being weighed; 0 in between */
    double *target;    /* by class */
    size_t n_members, n_groups;
    int n_classes;
} eg_data_plan;

/* Move group g. */
void eg_data_plan_take(eg_data_plan *p, uint32_t g);
/* Move one contiguous run of ids of each series and class: its place drawn from `random`, or with folds the fold-th. */
eg_status eg_data_blocks_take(eg_data_plan *p, const eg_split_rule *rule, eg_random *random,
                              eg_error *err);
/* Order of ids as people count: "p2" before "p10". Runs of digits compare by value, all else by byte. */
int eg_data_natural_compare(const char *a, const char *b);

#endif
