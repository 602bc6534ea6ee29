/* A split on disk: a CSV file "file,split" that others can read, written whole or not at all, and read back against a data
 * set. The split.csv of a run is such a file with further columns. A file that does not speak of exactly the images of the
 * set is refused: half a split would be a silent leak. Read eg_dataset_split_write in data.h first. */
#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

/* Word of an image that is left out. */
static const char NONE[] = "none";

eg_status eg_dataset_split_write(const eg_dataset *ds, const char *path, eg_error *err) {
    eg_buffer b = {0};
    eg_buffer_printf(&b, "file,split\n");
    for (size_t i = 0; i < ds->n_samples; i++) {
        eg_csv_add(&b, ds->samples[i].file);
        eg_buffer_printf(&b, ",%s\n", eg_split_name(ds->samples[i].split));
    }
    eg_status status = b.failed ? eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", path)
                                : eg_file_write_atomic(path, &(eg_part){b.data, b.size}, 1, err);
    eg_buffer_free(&b);
    return status;
}

/* ---- reading ---- */

enum { LEFT_OUT = EG_SPLIT_COUNT };

typedef struct {
    const char *path;
    eg_csv csv;
    int file, split;   /* columns */
    uint32_t *order;   /* (n_rows) rows sorted by file */
    bool *used;        /* (n_rows) by place in `order`: a sample of the set has this file */
    uint8_t *assigned; /* (n_samples) eg_split, or LEFT_OUT */
} split_table;

static const char *file_of(const split_table *t, size_t row) {
    return t->csv.cells[row * t->csv.n_columns + (size_t)t->file];
}

static int compare_rows(const void *x, const void *y, void *context) {
    const split_table *t = context;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    int order = strcmp(file_of(t, a), file_of(t, b));
    return order != 0 ? order : (a > b) - (a < b);
}

/* Place in the sorted rows of the file, or n_rows. */
static size_t find_row(const split_table *t, const char *file) {
    size_t low = 0, high = t->csv.n_rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(file_of(t, t->order[middle]), file) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool there = low < t->csv.n_rows && strcmp(file_of(t, t->order[low]), file) == 0;
    return there ? low : t->csv.n_rows;
}

static eg_status sort_rows(split_table *t, eg_error *err) {
    size_t n = t->csv.n_rows;
    t->file = eg_csv_column(&t->csv, "file");
    t->split = eg_csv_column(&t->csv, "split");
    if (t->file < 0 || t->split < 0)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: no column %s - a split file has the columns file and split, as "
                       "--save-split writes it",
                       t->path, t->file < 0 ? "file" : "split");
    for (size_t i = 0; i < n; i++) t->order[i] = (uint32_t)i;
    if (n > 1) qsort_r(t->order, n, sizeof *t->order, compare_rows, t);
    for (size_t i = 1; i < n; i++)
        if (strcmp(file_of(t, t->order[i]), file_of(t, t->order[i - 1])) == 0)
            return eg_fail(err, EG_ERR_MISMATCH, "%s: %s is there twice - one line an image",
                           t->path, file_of(t, t->order[i]));
    return EG_OK;
}

/* The split of one row's word. */
static eg_status word_of(uint8_t *out, const split_table *t, size_t row, eg_error *err) {
    const char *word = t->csv.cells[row * t->csv.n_columns + (size_t)t->split];
    eg_split split = eg_data_split_of(word);
    if (strcmp(word, eg_split_name(EG_SPLIT_ALL)) == 0) split = EG_SPLIT_ALL;
    *out = (uint8_t)(strcmp(word, NONE) == 0 ? (int)LEFT_OUT : (int)split);
    if (split != EG_SPLIT_COUNT || strcmp(word, NONE) == 0) return EG_OK;
    return eg_fail(err, EG_ERR_INPUT, "%s: %s: '%.40s' is no split - use train, val, test or none",
                   t->path, file_of(t, row), word);
}

/* What each sample becomes; nothing in the set changes. */
static eg_status match(split_table *t, const eg_dataset *ds, bool restore, eg_error *err) {
    for (size_t i = 0; i < ds->n_samples; i++) {
        size_t place = find_row(t, ds->samples[i].file);
        t->assigned[i] = LEFT_OUT;
        if (place < t->csv.n_rows) {
            EG_TRY(word_of(&t->assigned[i], t, t->order[place], err));
            t->used[place] = true;
        } else if (!restore) {
            return eg_fail(err, EG_ERR_MISMATCH,
                           "%s: %s of %s is not in it - write it again with --save-split, or add a "
                           "line with split none to leave the image out",
                           t->path, ds->samples[i].file, ds->path);
        }
    }
    for (size_t i = 0; i < t->csv.n_rows && !restore; i++)
        if (!t->used[i])
            return eg_fail(err, EG_ERR_MISMATCH,
                           "%s: %s is not in %s - is it the split of this set?", t->path,
                           file_of(t, t->order[i]), ds->path);
    return EG_OK;
}

static void assign(const split_table *t, eg_dataset *ds) {
    size_t kept = 0;
    for (size_t i = 0; i < ds->n_samples; i++) {
        if (t->assigned[i] == LEFT_OUT) continue;
        ds->samples[kept] = ds->samples[i];
        ds->samples[kept++].split = (eg_split)t->assigned[i];
    }
    ds->n_samples = kept;
    eg_data_samples_sort(ds);
    eg_data_splits_note(ds);
}

static eg_status read_split(eg_dataset *ds, const char *path, bool restore, eg_error *err) {
    split_table t = {.path = path};
    EG_TRY(eg_csv_read(&t.csv, path, err));
    t.order = eg_malloc((t.csv.n_rows + 1) * sizeof *t.order);
    t.used = eg_calloc(t.csv.n_rows + 1, sizeof *t.used);
    t.assigned = eg_malloc(ds->n_samples + 1);
    eg_status status = EG_OK;
    if (!t.order || !t.used || !t.assigned)
        status = eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", path);
    if (status == EG_OK) status = sort_rows(&t, err);
    if (status == EG_OK) status = match(&t, ds, restore, err);
    if (status == EG_OK) assign(&t, ds);
    eg_free(t.order);
    eg_free(t.used);
    eg_free(t.assigned);
    eg_csv_free(&t.csv);
    return status;
}

eg_status eg_dataset_split_read(eg_dataset *ds, const char *path, eg_error *err) {
    return read_split(ds, path, false, err);
}

eg_status eg_dataset_split_restore(eg_dataset *ds, const char *path, eg_error *err) {
    return read_split(ds, path, true, err);
}
