/* Private to stats: the placements on which everything about ROC areas rests (roc.c says what they are). */
#ifndef EG_STATS_PLACEMENTS_H
#define EG_STATS_PLACEMENTS_H

#include "stats/stats.h"

typedef struct {
    double *v;     /* (n) of each case, a multiple of 1/2; owned by the caller (eg_free) */
    double n1, n0; /* positives, negatives */
    double auc;
} eg_stats_placements;

/* False (nothing to free): a class is missing, a score is NaN, or no memory. */
bool eg_stats_placements_make(eg_stats_placements *p, const double *score, const int32_t *label,
                              size_t n);

#endif
