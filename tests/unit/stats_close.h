/* For the tests of src/stats: cmocka, and equality of doubles with a bound, NaN being equal to
 * NaN. */
#ifndef TEST_STATS_CLOSE_H
#define TEST_STATS_CLOSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#define LENGTH(a) (sizeof(a) / sizeof *(a))

/* |got - want| <= bound, relative above 1; infinities and NaN must be the same. */
#define assert_close(got, want, bound) close_check((got), (want), (bound), #got, __FILE__, __LINE__)

static inline void close_check(double got, double want, double bound, const char *what,
                               const char *file, int line) {
    if (isnan(got) && isnan(want)) return;
    if (isinf(want) && got == want) return;
    if (fabs(got - want) <= bound * fmax(1, fabs(want))) return;
    print_error("%s: got %.17g, expected %.17g\n", what, got, want);
    _fail(file, line);
}

/* Relative at any size: tails. */
#define assert_close_relative(got, want, bound)                                                    \
    assert_close((got) / ((want) == 0 ? 1 : (want)), (want) == 0 ? 0.0 : 1.0, bound)

#endif
