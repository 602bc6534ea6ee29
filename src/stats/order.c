/* Stable index sort by bottom-up merging: O(n log n) always, no recursion, no heap of its own.
 * Does not know what the numbers mean; roc.c, metrics.c, paired.c and bootstrap.c use it. */
#include "stats/order.h"

#include <string.h>

/* Merge the sorted runs [lo, mid) and [mid, hi) of `from` into `to`. `<=` keeps equal values in
 * order. */
static void merge(uint32_t *to, const uint32_t *from, const double *x, size_t lo, size_t mid,
                  size_t hi) {
    size_t i = lo, j = mid;
    for (size_t k = lo; k < hi; k++) {
        bool left = i < mid && (j >= hi || x[from[i]] <= x[from[j]]);
        to[k] = left ? from[i++] : from[j++];
    }
}

void eg_stats_order(uint32_t *order, uint32_t *scratch, const double *x, size_t n) {
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    uint32_t *from = order, *to = scratch;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n;
            size_t hi = lo + 2 * width < n ? lo + 2 * width : n;
            merge(to, from, x, lo, mid, hi);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != order && n > 0) memcpy(order, from, n * sizeof *order);
}
