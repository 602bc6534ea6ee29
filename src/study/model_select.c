/* Which networks a call of `engraft models` is about (names, patterns, families), and the order of
 * the rows. Knows the zoo's list, never its length; measures nothing. Read first: task_a.h. */
#include "study/task_a.h"
#include <fnmatch.h>
#include <math.h>
#include <string.h>

/* ---- selection ---- */

/* Next word of "a, b,c"; false at the end. One too long to be a name is cut, and then fits nothing. */
static bool next_word(char word[64], const char **at) {
    *at += strspn(*at, ", ");
    size_t n = strcspn(*at, ", "), kept = n < 64 ? n : 63;
    memcpy(word, *at, kept);
    word[kept] = '\0';
    *at += n;
    return n > 0;
}

static bool fits(const char *word, const char *text) {
    return fnmatch(word, text, FNM_CASEFOLD) == 0;
}

static bool any_fits(const char *words, const char *text) {
    char word[64];
    if (!words) return true;
    while (next_word(word, &words))
        if (fits(word, text)) return true;
    return false;
}

static const char *text_of(const eg_arch_info *arch, bool family) {
    return family ? arch->family : arch->name;
}

static size_t common(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && a[n] == b[n]) n++;
    return n;
}

/* Every word must fit something; else offer what begins like it. */
static eg_status check_words(const char *words, bool family, eg_error *err) {
    char word[64];
    const eg_arch_info *arch;
    while (words && next_word(word, &words)) {
        bool found = false;
        size_t best = 0, shown = 0;
        for (size_t i = 0; (arch = eg_arch_at(i)); i++) {
            found = found || fits(word, text_of(arch, family));
            if (common(word, text_of(arch, family)) > best)
                best = common(word, text_of(arch, family));
        }
        if (found) continue;
        eg_buffer near = {0};
        const char *last = "";
        for (size_t i = 0; (arch = eg_arch_at(i)); i++) {
            const char *text = text_of(arch, family);
            bool alike = family || (best >= 2 && common(word, text) == best);
            if (!alike || strcmp(text, last) == 0 || shown == 8) continue;
            eg_buffer_printf(&near, "%s%s", shown++ ? ", " : "", text);
            last = text;
        }
        eg_status status =
            eg_fail(err, EG_ERR_USAGE, "models: no %s is called %s%s%.300s - see engraft models",
                    family ? "family" : "network", word, shown ? "; there are " : "",
                    near.data ? near.data : "");
        eg_buffer_free(&near);
        return status;
    }
    return EG_OK;
}

eg_status eg_study_select(const eg_arch_info ***out, size_t *n, const char *names,
                          const char *family, eg_error *err) {
    EG_TRY(check_words(names, false, err));
    EG_TRY(check_words(family, true, err));
    const eg_arch_info **list = eg_calloc(eg_arch_count() + 1, sizeof *list);
    size_t used = 0;
    if (!list) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < eg_arch_count(); i++) {
        const eg_arch_info *arch = eg_arch_at(i);
        if (any_fits(names, arch->name) && any_fits(family, arch->family)) list[used++] = arch;
    }
    if (used == 0) {
        eg_free(list);
        return eg_fail(err, EG_ERR_USAGE, "models: no network of family %s is called %s",
                       family ? family : "*", names ? names : "*");
    }
    *out = list;
    *n = used;
    return EG_OK;
}

/* ---- order ---- */

static const struct {
    const char *key, *aliases; /* of the JSON; further spellings */
    bool text, high_first, measured;
} columns[] = {
    {"name", "model", true, false, false},
    {"family", "", true, false, false},
    {"parameters", "params", false, false, false},
    {"multiply_adds", "macs,mult_adds,flops,gflops", false, false, false},
    {"imagenet_top1", "top1,top_1,accuracy", false, true, false},
    {"imagenet_top5", "top5,top_5", false, true, false},
    {"img_size", "px,input", false, false, false},
    {"file_bytes", "file,size", false, false, false},
    {"features", "", false, false, false},
    {"weights", "", true, false, false},
    {"measured_ms_per_image", "ms,forward", false, false, true},
    {"measured_train_ms_per_image", "train_ms,train,step", false, false, true},
    {"peak_bytes", "memory,peak", false, false, true},
    {"score", "", false, true, true}, /* of --recommend */
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

/* '-' and '_' are the same letter here */
static bool same(const char *a, size_t n, const char *b, size_t m) {
    if (n != m) return false;
    for (size_t i = 0; i < n; i++)
        if ((a[i] == '-' ? '_' : a[i]) != b[i]) return false;
    return true;
}

static int find_column(const char *name) {
    size_t n = strlen(name);
    for (int i = 0; i < N_COLUMNS; i++) {
        if (same(name, n, columns[i].key, strlen(columns[i].key))) return i;
        for (const char *a = columns[i].aliases; *a;) {
            size_t m = strcspn(a, ",");
            if (same(name, n, a, m)) return i;
            a += m + (a[m] == ',');
        }
    }
    return -1;
}

bool eg_study_sort_is_measured(const char *sort) {
    int column = find_column(sort + (*sort == '-'));
    return column >= 0 && columns[column].measured;
}

/* Does row a belong behind row b? */
static bool behind(const json_t *a, const json_t *b, int column, bool reversed) {
    const char *key = columns[column].key;
    if (columns[column].text) {
        const char *x = json_string_value(json_object_get(a, key)),
                   *y = json_string_value(json_object_get(b, key));
        if (!x || !y) return !x && y;
        return reversed ? strcmp(x, y) < 0 : strcmp(x, y) > 0;
    }
    double x = eg_study_number(a, key), y = eg_study_number(b, key);
    if (isnan(x) || isnan(y)) return isnan(x) && !isnan(y);
    return columns[column].high_first != reversed ? x < y : x > y;
}

eg_status eg_study_rows_sort(json_t *rows, const char *sort, eg_error *err) {
    bool reversed = *sort == '-';
    int column = find_column(sort + reversed);
    if (column < 0) {
        eg_buffer known = {0};
        for (int i = 0; i < N_COLUMNS; i++)
            eg_buffer_printf(&known, "%s%s", i ? ", " : "", columns[i].key);
        eg_status status =
            eg_fail(err, EG_ERR_USAGE, "--sort %.40s: expected a column, or -COLUMN: %.300s", sort,
                    known.data ? known.data : "");
        eg_buffer_free(&known);
        return status;
    }
    /* insertion keeps the order of equals, so that sorting twice sorts by two columns */
    for (size_t i = 1; i < json_array_size(rows); i++) {
        json_t *row = json_incref(json_array_get(rows, i));
        size_t at = i;
        while (at > 0 && behind(json_array_get(rows, at - 1), row, column, reversed)) at--;
        if (json_array_remove(rows, i) != 0 || json_array_insert_new(rows, at, row) != 0)
            return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    return EG_OK;
}
