/* Private to stats: sorting without the C library's qsort, whose hidden malloc would bypass the
 * heap hook and whose order of ties is nobody's promise. See order.c. */
#ifndef EG_STATS_ORDER_H
#define EG_STATS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Indices of x (n) from smallest to largest, ties in order of index. No NaN: the caller has refused
 * them.
 *   order    (n) out
 *   scratch  (n) overwritten */
void eg_stats_order(uint32_t *order, uint32_t *scratch, const double *x, size_t n);

#endif
