/* Reading of documents that may lack any field, and numbers as short texts with a sensible precision.
 *
 * The precision is chosen once, here, so that terminal and page agree: shares in percent with one decimal (a test set
 * of 624 images moves in steps of 0.16 points), AUC and losses with three. Nothing is computed but the scale.
 * Read first: fields.h; doc/documents.md for what the fields mean.                                            */
#include "report/fields.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

const json_t *eg_report_at(const json_t *node, const char *path) {
    char key[64];
    while (node != NULL && path[0] != 0) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof key) return NULL;
        memcpy(key, path, n);
        key[n] = 0;
        node = json_object_get(node, key); /* NULL for anything but an object */
        path += n + (path[n] == '.');
    }
    return json_is_null(node) ? NULL : node;
}

const char *eg_report_string(const json_t *node, const char *path) {
    return json_string_value(eg_report_at(node, path));
}

bool eg_report_number(double *out, const json_t *node, const char *path) {
    const json_t *value = eg_report_at(node, path);
    if (!json_is_number(value)) return false;
    *out = json_number_value(value);
    return true;
}

size_t eg_report_count(const json_t *node, const char *path) {
    return json_array_size(eg_report_at(node, path));
}

bool eg_report_is(const json_t *node, const char *path, const char *text) {
    const char *value = eg_report_string(node, path);
    return value != NULL && strcmp(value, text) == 0;
}

/* ---- numbers ---- */

static eg_figure unknown(void) {
    return (eg_figure){.text = "-", .known = false};
}

/* The process may run under a locale with a decimal comma; pages and tables never do. */
static void point_not_comma(char *text) {
    for (; *text != 0; text++) {
        if (*text == ',') *text = '.';
    }
}

/* `v` with fixed decimals; beyond 1e12 in exponent form, so that the text stays short whatever the file says. */
static void print_real(char *out, size_t size, double v, int decimals, bool plus) {
    if (fabs(v) >= 1e12) {
        snprintf(out, size, plus ? "%+.3e" : "%.3e", v);
    } else {
        snprintf(out, size, plus ? "%+.*f" : "%.*f", decimals, v);
    }
    point_not_comma(out);
    /* "-0.0" says nothing that "0.0" does not */
    if (out[0] == '-' && strspn(out + 1, "0.") == strlen(out + 1)) {
        if (plus) {
            out[0] = '+';
        } else {
            memmove(out, out + 1, strlen(out));
        }
    }
}

static eg_figure scaled(const json_t *node, const char *path, double scale, int decimals, bool plus,
                        const char *unit) {
    double v;
    if (!eg_report_number(&v, node, path) || !isfinite(v * scale)) return unknown();
    eg_figure f = {.known = true};
    char number[40];
    print_real(number, sizeof number, v * scale, decimals, plus);
    snprintf(f.text, sizeof f.text, "%s%s", number, unit);
    return f;
}

eg_figure eg_report_published(const json_t *node, const char *path) {
    return scaled(node, path, 1, 1, false, "%");
}

eg_figure eg_report_percent(const json_t *node, const char *path) {
    return scaled(node, path, 100, 1, false, "%");
}

eg_figure eg_report_real(const json_t *node, const char *path, int decimals) {
    return scaled(node, path, 1, decimals, false, "");
}

eg_figure eg_report_points(const json_t *node, const char *path) {
    return scaled(node, path, 100, 1, true, "");
}

eg_figure eg_report_short(const json_t *node, const char *path) {
    double v;
    if (!eg_report_number(&v, node, path)) return unknown();
    eg_figure f = {.known = true};
    snprintf(f.text, sizeof f.text, "%.4g", v);
    point_not_comma(f.text);
    return f;
}

eg_figure eg_report_integer(const json_t *node, const char *path) {
    double v;
    if (!eg_report_number(&v, node, path)) return unknown();
    if (fabs(v) >= 1e15) return eg_report_short(node, path);
    eg_figure f = {.known = true};
    char digits[24];
    snprintf(digits, sizeof digits, "%.0f", fabs(v));
    size_t n = strlen(digits), at = 0;
    if (v < 0) f.text[at++] = '-';
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) f.text[at++] = ',';
        f.text[at++] = digits[i];
    }
    f.text[at] = 0;
    return f;
}

eg_figure eg_report_large(const json_t *node, const char *path) {
    static const struct {
        double size;
        const char *unit;
    } units[] = {{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
    double v;
    if (!eg_report_number(&v, node, path)) return unknown();
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double share = fabs(v) / units[i].size;
        if (share < 0.9995) continue;
        int decimals = share < 9.995 ? 2 : share < 99.95 ? 1 : 0;
        return scaled(node, path, 1 / units[i].size, decimals, false, units[i].unit);
    }
    return eg_report_short(node, path);
}

eg_figure eg_report_bytes(const json_t *node, const char *path) {
    double v;
    if (!eg_report_number(&v, node, path)) return unknown();
    if (v >= 1e9) return scaled(node, path, 1e-9, 2, false, " GB");
    if (v >= 1e6) return scaled(node, path, 1e-6, v < 1e8 ? 1 : 0, false, " MB");
    if (v >= 1e3) return scaled(node, path, 1e-3, 1, false, " kB");
    return scaled(node, path, 1, 0, false, " B");
}

eg_figure eg_report_seconds(const json_t *node, const char *path) {
    double v;
    if (!eg_report_number(&v, node, path)) return unknown();
    if (v < 59.95 || v > 1e9) return scaled(node, path, 1, v < 9.995 ? 2 : 1, false, " s");
    eg_figure f = {.known = true};
    long seconds = lround(v);
    if (seconds < 3600) {
        snprintf(f.text, sizeof f.text, "%ld min %02ld s", seconds / 60, seconds % 60);
    } else {
        snprintf(f.text, sizeof f.text, "%ld h %02ld min", seconds / 3600, seconds % 3600 / 60);
    }
    return f;
}

eg_figure eg_report_p(const json_t *node, const char *path) {
    double v;
    if (!eg_report_number(&v, node, path)) return unknown();
    if (v >= 0 && v < 0.0005) return (eg_figure){.text = "<0.001", .known = true};
    return scaled(node, path, 1, 3, false, "");
}

/* ---- intervals and pairs ---- */

static eg_figure interval(const json_t *node, const char *path, double scale, int decimals,
                          bool plus) {
    const json_t *pair = eg_report_at(node, path);
    const json_t *lo = json_array_get(pair, 0), *hi = json_array_get(pair, 1);
    if (!json_is_number(lo) || !json_is_number(hi)) return unknown();
    if (!isfinite(json_number_value(lo) * scale) || !isfinite(json_number_value(hi) * scale)) {
        return unknown();
    }
    eg_figure f = {.known = true};
    char a[24], b[24];
    print_real(a, sizeof a, json_number_value(lo) * scale, decimals, plus);
    print_real(b, sizeof b, json_number_value(hi) * scale, decimals, plus);
    snprintf(f.text, sizeof f.text, "[%s, %s]", a, b);
    return f;
}

eg_figure eg_report_interval_percent(const json_t *node, const char *path) {
    return interval(node, path, 100, 1, false);
}

eg_figure eg_report_interval_points(const json_t *node, const char *path) {
    return interval(node, path, 100, 1, true);
}

eg_figure eg_report_interval_real(const json_t *node, const char *path, int decimals) {
    return interval(node, path, 1, decimals, false);
}

eg_figure eg_report_ratio(const json_t *node, const char *path, const char *of_path) {
    eg_figure a = eg_report_integer(node, path), b = eg_report_integer(node, of_path);
    if (!a.known || !b.known) return unknown();
    eg_figure f = {.known = true};
    snprintf(f.text, sizeof f.text, "%.30s/%.30s", a.text, b.text);
    return f;
}

eg_figure eg_report_scalar(const json_t *value) {
    const char *text = json_string_value(value);
    if (json_is_boolean(value)) text = json_is_true(value) ? "yes" : "no";
    if (json_is_real(value)) return eg_report_short(value, "");
    if (json_is_integer(value)) { /* no grouping: a seed is copied from here */
        eg_figure f = {.known = true};
        snprintf(f.text, sizeof f.text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return f;
    }
    if (text == NULL) return unknown();
    eg_figure f = {.known = true};
    size_t n = strlen(text) < sizeof f.text ? strlen(text) : sizeof f.text - 1;
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--; /* whole characters only */
    memcpy(f.text, text, n);
    return f;
}

/* ---- width of text ---- */

/* One UTF-8 character at `s`; jansson has checked the encoding, other text is ours. */
static size_t decode(const char *s, uint32_t *code) {
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80) {
        *code = u[0];
        return 1;
    }
    size_t n = u[0] >= 0xF0 ? 4 : u[0] >= 0xE0 ? 3 : 2;
    uint32_t c = u[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xC0) != 0x80) { /* cut short: count the byte alone */
            *code = 0xFFFD;
            return i;
        }
        c = c << 6 | (u[i] & 0x3Fu);
    }
    *code = c;
    return n;
}

/* The ranges of East Asian Wide that names may hold (Unicode 15, UAX 11), and the combining marks. */
static int width_of(uint32_t c) {
    if ((c >= 0x300 && c <= 0x36F) || (c >= 0x200B && c <= 0x200F)) return 0;
    if ((c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
        (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
        (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
        (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1F9FF) ||
        (c >= 0x20000 && c <= 0x3FFFD)) {
        return 2;
    }
    return 1;
}

int eg_report_width(const char *text) {
    int width = 0;
    while (*text != 0) {
        uint32_t c;
        text += decode(text, &c);
        width += width_of(c);
    }
    return width;
}

size_t eg_report_prefix(const char *text, int columns) {
    size_t at = 0;
    int width = 0;
    while (text[at] != 0) {
        uint32_t c;
        size_t n = decode(text + at, &c);
        width += width_of(c);
        if (width > columns) break;
        at += n;
    }
    return at;
}
