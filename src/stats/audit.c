/* What printed figures can be (the GRIM test of Brown & Heathers 2017, for shares): whether a percentage with so many
 * decimals is k / n for a whole k, and which test sets allow a list of them. Whole-number arithmetic throughout: a
 * figure at the edge of rounding must not depend on the last bit of a division. */
#include "stats/stats.h"

#include <math.h>
#include <string.h>

enum { MAX_DECIMALS = 8 };

static int64_t power_of_ten(int e) {
    int64_t v = 1;
    while (e-- > 0) v *= 10;
    return v;
}

bool eg_audit_parse(eg_printed *out, const char *text) {
    int64_t value = 0;
    int decimals = 0, digits = 0;
    bool point = false, percent = false;
    const char *c = text;
    while (*c == ' ') c++;
    for (; (*c >= '0' && *c <= '9') || (*c == '.' && !point); c++) {
        if (*c == '.') {
            point = true;
            continue;
        }
        if (++digits > 12) return false;
        value = 10 * value + (*c - '0');
        decimals += point;
    }
    while (*c == ' ') c++;
    if (*c == '%') percent = true, c++;
    while (*c == ' ') c++;
    if (*c || digits == 0) return false;
    /* without a sign a number with a point that is at most 1 is a share: two of its digits are whole percents */
    if (!percent && point && value <= power_of_ten(decimals)) {
        for (; decimals < 2; decimals++) value *= 10;
        decimals -= 2;
    }
    if (decimals > MAX_DECIMALS || value > 100 * power_of_ten(decimals)) return false;
    *out = (eg_printed){value, decimals};
    return true;
}

/* k / n prints as value / S percent when 100 S k / n rounds to `value`: 2 (100 S k - value n) in [-n, n), half up; the
 * upper end too when `value` is even, half to even. */
bool eg_audit_possible(int64_t *k, eg_printed p, int64_t n) {
    if (n < 1 || n > 1000000000 || p.decimals < 0 || p.decimals > MAX_DECIMALS || p.value < 0)
        return false;
    __int128 scale = 100 * (__int128)power_of_ten(p.decimals), twice = 2 * (__int128)p.value * n;
    __int128 low = twice - n; /* 2 scale k >= low */
    __int128 first = low <= 0 ? 0 : (low + 2 * scale - 1) / (2 * scale);
    __int128 excess = 2 * scale * first - twice;
    if (first > n || excess > n || (excess == n && p.value % 2 != 0)) return false;
    *k = (int64_t)first;
    return true;
}

int64_t eg_audit_smallest_n(const eg_printed *p, size_t m, int64_t from, int64_t to) {
    for (int64_t n = from < 1 ? 1 : from; m > 0 && n <= to; n++) {
        size_t possible = 0;
        int64_t k;
        while (possible < m && eg_audit_possible(&k, p[possible], n)) possible++;
        if (possible == m) return n;
    }
    return 0;
}

/* The mean over the batches, a smaller last one counted like the others: with B batches, K right in the full ones and k
 * in the last of r, it is (K / batch + k / r) / B, that is (K r + k batch) / (B batch r). Tried for every k. */
bool eg_audit_possible_batches(eg_printed p, int64_t n, int64_t batch) {
    if (n < 1 || n > 100000000 || batch < 1 || p.decimals < 0 || p.decimals > MAX_DECIMALS)
        return false;
    int64_t batches = (n + batch - 1) / batch, last = n - batch * (batches - 1);
    __int128 scale = 100 * (__int128)power_of_ten(p.decimals);
    __int128 whole = (__int128)batches * batch * last, twice = 2 * (__int128)p.value * whole;
    __int128 step = 2 * scale * last;
    for (int64_t k = 0; k <= last; k++) {
        __int128 base = 2 * scale * k * batch, low = twice - whole - base;
        __int128 full = low <= 0 ? 0 : (low + step - 1) / step;
        __int128 excess = base + step * full - twice;
        if (full > (__int128)batch * (batches - 1) || excess < -whole || excess > whole) continue;
        if (excess < whole || p.value % 2 == 0) return true;
    }
    return false;
}

/* A wrong case's true class has at most half of the probability, because another class has at least as much: its loss
 * is at least ln 2. A right one's can be as near to 0 as one likes. Holds for any number of classes and prediction by
 * the largest probability. */
double eg_audit_loss_floor(double accuracy) {
    return accuracy >= 0 && accuracy <= 1 ? (1 - accuracy) * log(2) : NAN;
}
