/* Private to stats: minimise a smooth function by L-BFGS. See lbfgs.c; logistic.c is its user. */
#ifndef EG_STATS_LBFGS_H
#define EG_STATS_LBFGS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    EG_STATS_LBFGS_CONVERGED,  /* measure <= tolerance */
    EG_STATS_LBFGS_STOPPED,    /* the callback asked for it */
    EG_STATS_LBFGS_STALLED,    /* no step lowers the value: rounding, or a wrong gradient */
    EG_STATS_LBFGS_EXHAUSTED,  /* max_iterations */
    EG_STATS_LBFGS_NOT_FINITE, /* value or gradient at the start */
    EG_STATS_LBFGS_NO_MEMORY
} eg_stats_lbfgs_end;

typedef struct {
    size_t n;    /* length of x */
    int history; /* pairs kept, e.g. 20 */
    int max_iterations;
    double tolerance;    /* on `measure` */
    const double *scale; /* (n) positive: diagonal of the first inverse Hessian; NULL = 1 */
    /* Value at x; fills the gradient g (n) and how large it is by the caller's own measure. */
    double (*evaluate)(void *context, double *g, double *measure, const double *x);
    /* After each iteration, x being the point of the last evaluation; true = stop. May be NULL. */
    bool (*iteration)(void *context, int iteration, const double *x, double f);
    void *context;
} eg_stats_lbfgs_problem;

/* Start from x (n) and leave the last accepted point there; *iterations and *measure belong to
 * it. */
eg_stats_lbfgs_end eg_stats_lbfgs(double *x, int *iterations, double *measure,
                                  const eg_stats_lbfgs_problem *problem);

#endif
