/* A CSV or TSV file as a data set: one line an image, with its path, its label and, where there are such columns, its
 * patient and its split. Columns are found by their usual names or named by --columns. Every line must be sound: an empty
 * label, a file that is not there or a path that comes twice is an error that names the line. No image is opened. Splitting
 * text into cells is the codec room's (csv.c). Read dataset.h first, then eg_data_manifest_scan at the end. */
#include "data/dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- columns ---- */

enum { PATH, LABEL, PATIENT, SPLIT, N_ROLES, MAX_NAMES = 12 };

static const struct {
    const char *role;
    const char *names[MAX_NAMES]; /* the first that is there, in this order */
} roles[N_ROLES] = {
    {"path",
     {"path", "file", "filename", "file_name", "image", "image_path", "filepath", "image_name",
      "image_id", "image index"}},
    {"label", {"label", "class", "target", "finding", "diagnosis", "dx"}},
    {"patient", {"patient", "patient_id", "patientid", "patient id", "subject", "subject_id"}},
    {"split", {"split", "set", "fold", "subset"}},
};

typedef struct {
    eg_data_scan *s;
    eg_csv csv;
    int column[N_ROLES]; /* -1: none */
    uint32_t *order;     /* (n_rows) rows, sorted by path */
    const char **values; /* (n_rows) labels as text */
} manifest;

/* "path, label and patient" of the file, for messages. */
static void list_columns(char *out, size_t size, const eg_csv *csv) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < csv->n_columns && used + 1 < size; i++) {
        int n = snprintf(out + used, size - used, "%s%.40s", i ? ", " : "", csv->names[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* One "role=NAME" of --columns, n bytes. An empty NAME: no such column. */
static eg_status take_column(manifest *m, const char *text, size_t n, eg_error *err) {
    const char *path = m->s->ds->path, *equals = memchr(text, '=', n);
    char name[256], all[120];
    int role = 0;
    size_t n_role = equals ? (size_t)(equals - text) : 0;
    while (role < N_ROLES &&
           (strlen(roles[role].role) != n_role || strncmp(roles[role].role, text, n_role) != 0))
        role++;
    if (!equals || role == N_ROLES)
        return eg_fail(err, EG_ERR_USAGE,
                       "--columns: '%.*s' is not path=NAME, label=NAME, patient=NAME or split=NAME",
                       n < 100 ? (int)n : 100, text);
    snprintf(name, sizeof name, "%.*s", (int)(n - n_role - 1), equals + 1);
    m->column[role] = name[0] ? eg_csv_column(&m->csv, name) : -1;
    if (m->column[role] >= 0 || (!name[0] && role >= PATIENT)) return EG_OK;
    list_columns(all, sizeof all, &m->csv);
    return eg_fail(err, EG_ERR_USAGE, "%s: --columns %s=%s: no such column; there are %s", path,
                   roles[role].role, name, all);
}

static eg_status find_columns(manifest *m, const char *columns, eg_error *err) {
    char all[120];
    for (int role = 0; role < N_ROLES; role++) {
        m->column[role] = -1;
        for (int i = 0; i < MAX_NAMES && roles[role].names[i] && m->column[role] < 0; i++)
            m->column[role] = eg_csv_column(&m->csv, roles[role].names[i]);
    }
    for (const char *at = columns ? columns : ""; *at;) {
        size_t n = strcspn(at, ",");
        EG_TRY(take_column(m, at, n, err));
        at += n + (at[n] == ',');
    }
    list_columns(all, sizeof all, &m->csv);
    for (int role = PATH; role <= LABEL; role++)
        if (m->column[role] < 0)
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: no column %s (columns: %s) - a data set is a folder, an .npz or a "
                           "CSV with a column %s; name it with --columns %s=NAME",
                           m->s->ds->path, roles[role].role, all, roles[role].role,
                           roles[role].role);
    return EG_OK;
}

/* ---- cells ---- */

/* A cell without blanks around it, copied into the arena; NULL: no memory. "" when there is no such column. */
static const char *cell(manifest *m, size_t row, int role) {
    if (m->column[role] < 0) return "";
    const char *text = m->csv.cells[row * m->csv.n_columns + (size_t)m->column[role]];
    text += strspn(text, " \t\r\n");
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1])) n--;
    return eg_arena_strdup(m->s->ds->arena, text, n);
}

/* Size of a regular file, -1 with errno when it is not there, -2 when it is something else. */
static int64_t size_of(const char *root, const char *file) {
    struct stat st;
    char *path = eg_path_join(root, file);
    if (!path) return -3;
    int64_t size = stat(path, &st) != 0 ? -1 : S_ISREG(st.st_mode) ? (int64_t)st.st_size : -2;
    eg_free(path);
    return size;
}

/* An id instead of a name ("ISIC_0027419"): the file has one of the usual extensions. *file is replaced when one is there. */
static int64_t size_with_extension(manifest *m, const char **file) {
    static const char *const extensions[] = {".jpg", ".jpeg", ".png", ".dcm",
                                             ".tif", ".tiff", ".bmp", ".webp"};
    const char *slash = strrchr(*file, '/');
    if (strchr(slash ? slash : *file, '.')) return -1;
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        char *name = eg_format("%s%s", *file, extensions[i]);
        if (!name) return -3;
        int64_t size = size_of(m->s->ds->root, name);
        const char *kept = size >= 0 ? eg_arena_strdup(m->s->ds->arena, name, strlen(name)) : NULL;
        eg_free(name);
        if (size >= 0 && !kept) return -3;
        if (kept) *file = kept;
        if (size != -1) return size;
    }
    return -1;
}

/* A path as Windows writes it ("images\\a.png"), once no file has that very name. *file is replaced when one is there. */
static int64_t size_with_slashes(manifest *m, const char **file) {
    if (!strchr(*file, '\\')) return -1;
    char *slashed = eg_arena_strdup(m->s->ds->arena, *file, strlen(*file));
    if (!slashed) return -3;
    for (char *c = slashed; *c; c++)
        if (*c == '\\') *c = '/';
    const char *name = slashed;
    while (name[0] == '.' && name[1] == '/') name += 2;
    int64_t size = size_of(m->s->ds->root, name);
    if (size == -1) size = size_with_extension(m, &name);
    if (size >= 0) *file = name;
    return size;
}

static eg_status take_path(eg_data_found *found, manifest *m, size_t row, eg_error *err) {
    const eg_dataset *ds = m->s->ds;
    const char *file = cell(m, row, PATH);
    if (!file) return eg_data_no_memory(ds, err);
    while (file[0] == '.' && file[1] == '/') file += 2; // "./a.png" and "a.png" are one file
    if (!file[0])
        return eg_fail(err, EG_ERR_INPUT, "%s: line %zu: no path - fill it in or remove the line",
                       ds->path, m->csv.lines[row]);
    int64_t size = size_of(ds->root, file);
    int reason = errno;
    if (size == -1) size = size_with_extension(m, &file);
    if (size == -1) size = size_with_slashes(m, &file);
    if (size == -3) return eg_data_no_memory(ds, err);
    if (size == -1)
        return eg_fail(err, EG_ERR_INPUT, "%s: line %zu: %s: %s - paths are relative to %s%s",
                       ds->path, m->csv.lines[row], file, strerror(reason), ds->root,
                       file[0] && file[1] == ':' ? ": remove the drive and folders before it" : "");
    if (size == -2)
        return eg_fail(err, EG_ERR_INPUT, "%s: line %zu: %s: not a file", ds->path,
                       m->csv.lines[row], file);
    found->sample.file = file;
    found->size_bytes = size;
    return EG_OK;
}

static eg_status take_split(eg_data_found *found, manifest *m, size_t row, eg_error *err) {
    found->sample.split = EG_SPLIT_ALL;
    if (m->column[SPLIT] < 0) return EG_OK;
    const char *word = cell(m, row, SPLIT);
    if (!word) return eg_data_no_memory(m->s->ds, err);
    found->sample.split = eg_data_split_of(word);
    if (found->sample.split != EG_SPLIT_COUNT) return EG_OK;
    return eg_fail(err, EG_ERR_INPUT,
                   "%s: line %zu: column %s: '%.40s' is no split (train, val, test) - mend it, or "
                   "go without that column with --columns split=",
                   m->s->ds->path, m->csv.lines[row], m->csv.names[m->column[SPLIT]], word);
}

/* One line to one sample; its label is kept as text until all are known. */
static eg_status take_row(manifest *m, size_t row, eg_error *err) {
    eg_data_found found = {.sample = {.row = -1}};
    eg_dataset *ds = m->s->ds;
    EG_TRY(take_path(&found, m, row, err));
    EG_TRY(take_split(&found, m, row, err));
    const char *label = cell(m, row, LABEL), *patient = cell(m, row, PATIENT);
    if (!label || !patient) return eg_data_no_memory(ds, err);
    if (!label[0])
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: line %zu: %s: no label - fill it in or remove the line", ds->path,
                       m->csv.lines[row], found.sample.file);
    found.sample.patient = patient[0] ? patient : NULL;
    m->values[row] = label;
    return eg_data_found_add(m->s, &found, err);
}

/* ---- labels ---- */

static bool is_integer(const char *text) {
    size_t sign = text[0] == '-' || text[0] == '+', n = strspn(text + sign, "0123456789");
    return n > 0 && n < 18 && text[sign + n] == '\0';
}

static int compare_texts(const void *x, const void *y) {
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* By value, and by text where the values are equal ("1", "01"). */
static int compare_integers(const void *x, const void *y) {
    long long a = strtoll(*(const char *const *)x, NULL, 10);
    long long b = strtoll(*(const char *const *)y, NULL, 10);
    return a != b ? (a > b) - (a < b) : compare_texts(x, y);
}

/* The distinct labels become classes: all integers in their order ("2" before "10"), else by code point. */
static eg_status take_labels(manifest *m, eg_error *err) {
    eg_dataset *ds = m->s->ds;
    size_t n = m->csv.n_rows, n_values = 0;
    const char **sorted = eg_malloc(n * sizeof *sorted);
    if (!sorted) return eg_data_no_memory(ds, err);
    memcpy(sorted, m->values, n * sizeof *sorted);
    bool integers = true;
    for (size_t i = 0; i < n; i++) integers = integers && is_integer(sorted[i]);
    int (*compare)(const void *, const void *) = integers ? compare_integers : compare_texts;
    qsort(sorted, n, sizeof *sorted, compare);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || compare(&sorted[i], &sorted[n_values - 1]) != 0)
            sorted[n_values++] = sorted[i];
    eg_status status = EG_OK;
    if (n_values > 100 && n_values > n / 2)
        status = eg_fail(err, EG_ERR_INPUT,
                         "%s: column %s has %zu different values in %zu lines - is it the label? "
                         "Name another with --columns label=NAME",
                         ds->path, m->csv.names[m->column[LABEL]], n_values, n);
    if (status == EG_OK) status = eg_data_classes_set(ds, sorted, n_values, ds->path, "class", err);
    for (size_t i = 0; i < n && status == EG_OK; i++) {
        const char **place = bsearch(&m->values[i], sorted, n_values, sizeof *sorted, compare);
        m->s->found[i].sample.label = (int)(place - sorted);
    }
    eg_free(sorted);
    return status;
}

/* ---- the whole ---- */

static int compare_rows(const void *x, const void *y, void *context) {
    const eg_data_found *found = context;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    int order = strcmp(found[a].sample.file, found[b].sample.file);
    return order != 0 ? order : (a > b) - (a < b);
}

/* One image in two splits would be the plainest leak of all. */
static eg_status refuse_duplicates(manifest *m, eg_error *err) {
    const eg_data_found *found = m->s->found;
    size_t n = m->csv.n_rows;
    for (size_t i = 0; i < n; i++) m->order[i] = (uint32_t)i;
    qsort_r(m->order, n, sizeof *m->order, compare_rows, m->s->found);
    for (size_t i = 1; i < n; i++) {
        const char *file = found[m->order[i]].sample.file;
        if (strcmp(file, found[m->order[i - 1]].sample.file) == 0)
            return eg_fail(
                err, EG_ERR_INPUT, "%s: line %zu: %s is in line %zu already - one line an image",
                m->s->ds->path, m->csv.lines[m->order[i]], file, m->csv.lines[m->order[i - 1]]);
    }
    return EG_OK;
}

static eg_status scan_rows(manifest *m, const char *columns, eg_error *err) {
    eg_dataset *ds = m->s->ds;
    size_t n = m->csv.n_rows;
    EG_TRY(find_columns(m, columns, err));
    if (n == 0)
        return eg_fail(err, EG_ERR_INPUT, "%s: no image: there is only the line of column names",
                       ds->path);
    m->order = eg_malloc(n * sizeof *m->order);
    m->values = eg_malloc(n * sizeof *m->values);
    if (!m->order || !m->values) return eg_data_no_memory(ds, err);
    for (size_t i = 0; i < n; i++) EG_TRY(take_row(m, i, err));
    EG_TRY(refuse_duplicates(m, err));
    EG_TRY(take_labels(m, err));
    if (m->column[PATIENT] >= 0) ds->patient_rule = "column"; // to be had; patients.c decides
    return eg_data_classes_check(m->s, err);
}

eg_status eg_data_manifest_scan(eg_data_scan *s, const char *columns, eg_error *err) {
    manifest m = {.s = s};
    EG_TRY(eg_csv_read(&m.csv, s->ds->path, err));
    eg_status status = scan_rows(&m, columns, err);
    eg_free(m.order);
    eg_free(m.values);
    eg_csv_free(&m.csv);
    return status;
}
