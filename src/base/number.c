/* Numbers from text, strictly: the whole text or nothing, the C locale whatever the program has
 * set.
 *
 * The grammar is checked here first; strtod alone would also take blanks, hexadecimal, "inf" and
 * "nan". */
#include "base/base.h"
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Sign, digits, at most one unit letter; every step checked for overflow. */
bool eg_parse_int(int64_t *out, const char *text) {
    if (text == NULL) return false;
    bool negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    if (!is_digit(*text)) return false;
    int64_t value = 0; /* kept negative: INT64_MIN has no positive twin */
    for (; is_digit(*text); text++) {
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_sub_overflow(value, *text - '0', &value)) return false;
    }
    int64_t unit = 1;
    switch (*text) {
    case 'k':
    case 'K':
        unit = (int64_t)1 << 10;
        break;
    case 'm':
    case 'M':
        unit = (int64_t)1 << 20;
        break;
    case 'g':
    case 'G':
        unit = (int64_t)1 << 30;
        break;
    default:
        break;
    }
    if (unit != 1) text++;
    if (*text != 0) return false;
    if (__builtin_mul_overflow(value, unit, &value)) return false;
    if (!negative && __builtin_sub_overflow(0, value, &value)) return false;
    *out = value;
    return true;
}

/* sign? (digits [. digits?] | . digits) ([eE] sign? digits)? */
static bool is_real(const char *p) {
    if (*p == '-' || *p == '+') p++;
    bool digits = is_digit(*p);
    while (is_digit(*p)) p++;
    if (*p == '.') {
        p++;
        digits = digits || is_digit(*p);
        while (is_digit(*p)) p++;
    }
    if (!digits) return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+') p++;
        if (!is_digit(*p)) return false;
        while (is_digit(*p)) p++;
    }
    return *p == 0;
}

/* Underflow to zero is taken, overflow to infinity is not. */
bool eg_parse_real(double *out, const char *text) {
    if (text == NULL || !is_real(text)) return false;
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0) return false;
    double value = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    if (!isfinite(value)) return false;
    *out = value;
    return true;
}

/* Powers of 1024 that a unit stands for; -1: no unit. */
static int unit_power(const char *text) {
    static const char LETTERS[] = "KMGT";
    if (!*text || strcmp(text, "B") == 0) return 0;
    const char *letter = strchr(LETTERS, *text & ~0x20); /* either case */
    bool whole = !text[1] || strcmp(text + 1, "B") == 0 || strcmp(text + 1, "iB") == 0;
    return letter && whole ? (int)(letter - LETTERS) + 1 : -1;
}

/* Parts of a byte are cut off. */
bool eg_parse_size(int64_t *out, const char *text) {
    char number[32];
    double value;
    if (text == NULL || !is_digit(*text)) return false;
    size_t n = strspn(text, "0123456789.");
    if (n >= sizeof number) return false;
    memcpy(number, text, n);
    number[n] = 0;
    int power = unit_power(text + n);
    if (power < 0 || !eg_parse_real(&value, number)) return false;
    for (int i = 0; i < power; i++) value *= 1024;
    if (value >= 9007199254740992.0) return false; /* 2^53: a double still counts bytes below */
    *out = (int64_t)value;
    return true;
}
