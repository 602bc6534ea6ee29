/* Reads finished runs back from their folders for `compare`: summary, configuration, predictions, and which images are
 * of one patient. Opens no network and no image: what a run wrote is what is compared. Read first: compare.h. */
#include "study/compare.h"

#include <math.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the comparison");
}

static bool has_file(const char *dir, const char *name) {
    char *path = eg_path_join(dir, name);
    bool there = path && eg_path_exists(path);
    eg_free(path);
    return there;
}

/* ---- which folders ---- */

static eg_status add_folder(json_t *list, const char *dir, eg_error *err) {
    if (has_file(dir, "summary.json"))
        return json_array_append_new(list, json_string(dir)) == 0 ? EG_OK : no_memory(err);
    if (!eg_path_exists(dir)) return eg_fail(err, EG_ERR_NOT_FOUND, "%s: no such folder", dir);
    if (has_file(dir, "config.json"))
        return eg_fail(err, EG_ERR_NOT_FOUND,
                       "%s: the run is not finished (no summary.json) - go on with engraft train "
                       "--resume %s",
                       dir, dir);
    return eg_fail(err, EG_ERR_NOT_FOUND,
                   "%s: no summary.json there - give the folder that engraft train or engraft "
                   "study wrote",
                   dir);
}

/* All runs of a study, in the order of its study.json. */
static eg_status add_study(json_t *list, const char *dir, eg_error *err) {
    json_t *study = NULL, *run;
    size_t i;
    EG_TRY(eg_study_file_read(&study, dir, "study.json", err));
    eg_status status = EG_OK;
    json_array_foreach(json_object_get(study, "runs"), i, run) {
        const char *name = json_string_value(json_object_get(run, "name"));
        char *path = name ? eg_format("%s/runs/%s", dir, name) : NULL;
        if (status == EG_OK)
            status = path ? add_folder(list, path, err)
                          : eg_fail(err, EG_ERR_INPUT, "%s/study.json: a run has no name", dir);
        eg_free(path);
    }
    json_decref(study);
    return status;
}

/* ---- one run ---- */

/* Names of the classes from the summary's metrics, borrowed texts. */
static eg_status classes_of(char **classes, int *n, const json_t *summary, const char *dir,
                            eg_error *err) {
    static const char *const SPLITS[] = {"test", "val"};
    *n = 0;
    for (size_t s = 0; s < 2 && *n == 0; s++) {
        json_t *name, *list = json_object_get(json_object_get(summary, SPLITS[s]), "classes");
        size_t k;
        json_array_foreach(list, k, name) {
            if (*n == 1024 || !json_is_string(name)) break;
            classes[(*n)++] = (char *)(uintptr_t)json_string_value(name);
        }
    }
    return *n >= 2 ? EG_OK
                   : eg_fail(err, EG_ERR_INPUT, "%s/summary.json: names no classes of its metrics",
                             dir);
}

static eg_status read_predictions(eg_scores *out, const char *dir, const char *file,
                                  char *const *classes, int n_classes, eg_error *err) {
    char *path = eg_path_join(dir, file);
    eg_status status = !path ? no_memory(err)
                       : !eg_path_exists(path)
                           ? EG_OK
                           : eg_study_scores_read(out, path, classes, n_classes, err);
    eg_free(path);
    return status;
}

static eg_status read_run(eg_finished_run *run, const char *dir, eg_error *err) {
    char *classes[1024];
    int n_classes;
    EG_TRY(eg_study_file_read(&run->summary, dir, "summary.json", err));
    EG_TRY(eg_study_file_read(&run->config, dir, "config.json", err));
    run->name = json_string_value(json_object_get(run->summary, "name"));
    if (!run->name) return eg_fail(err, EG_ERR_INPUT, "%s/summary.json: no name", dir);
    EG_TRY(classes_of(classes, &n_classes, run->summary, dir, err));
    EG_TRY(read_predictions(&run->val, dir, "predictions-val.csv", classes, n_classes, err));
    EG_TRY(read_predictions(&run->test, dir, "predictions-test.csv", classes, n_classes, err));
    if (run->val.n == 0 && run->test.n == 0)
        return eg_fail(err, EG_ERR_NOT_FOUND, "%s: neither predictions-test.csv nor -val.csv", dir);
    return EG_OK;
}

/* ---- names and classes ---- */

/* Is the n-th class list the first one's? Labels are positions in it. */
static eg_status check_classes(const eg_compared *c, eg_error *err) {
    char *first[1024], *other[1024];
    int n_first, n_other;
    for (size_t i = 0; i < c->n; i++) {
        EG_TRY(classes_of(first, &n_first, c->runs[0].summary, c->dir[0], err));
        EG_TRY(classes_of(other, &n_other, c->runs[i].summary, c->dir[i], err));
        bool same = n_first == n_other;
        for (int k = 0; same && k < n_first; k++) same = strcmp(first[k], other[k]) == 0;
        if (!same)
            return eg_fail(err, EG_ERR_MISMATCH,
                           "%s has %d classes (%s, ...), %s has %d (%s, ...): they cannot be "
                           "compared",
                           c->dir[0], n_first, first[0], c->dir[i], n_other, other[0]);
    }
    return EG_OK;
}

/* The same folder given twice is a mistake; the same name in two folders is not (seeds), and the folder tells them apart. */
static eg_status settle_names(eg_compared *c, eg_error *err) {
    for (size_t i = 0; i < c->n; i++) {
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->dir[i], c->dir[k]) == 0)
                return eg_fail(err, EG_ERR_USAGE, "%s: given twice", c->dir[i]);
    }
    for (size_t i = 0; i < c->n; i++) {
        const char *name = json_string_value(json_object_get(c->runs[i].summary, "name"));
        for (size_t k = 0; k < c->n; k++) {
            const char *other = json_string_value(json_object_get(c->runs[k].summary, "name"));
            if (k != i && strcmp(name, other) == 0) c->runs[i].name = c->dir[i];
        }
    }
    return EG_OK;
}

/* ---- patients ---- */

/* Patients of the images of `s` from the run's split.csv, as numbers in order of appearance. *out NULL: the file is not
 * there, has no patients, or not for every image: then images are drawn one by one. */
eg_status eg_study_patients_read(int32_t **out, const char *dir, const eg_scores *s,
                                 eg_error *err) {
    eg_csv table;
    char *path = eg_path_join(dir, "split.csv");
    *out = NULL;
    if (!path) return no_memory(err);
    bool there = eg_path_exists(path);
    eg_status status = there ? eg_csv_read(&table, path, err) : EG_OK;
    eg_free(path);
    if (!there || status != EG_OK) return status;
    int file = eg_csv_column(&table, "file"), patient = eg_csv_column(&table, "patient");
    json_t *of_file = json_object(), *number = json_object();
    int32_t *numbers = eg_malloc((s->n + 1) * sizeof *numbers);
    bool known = file >= 0 && patient >= 0, ok = of_file && number && numbers;
    for (size_t i = 0; known && ok && i < table.n_rows; i++) {
        const char *const *row = table.cells + i * table.n_columns;
        if (*row[patient])
            ok = json_object_set_new(of_file, row[file], json_string(row[patient])) == 0;
    }
    for (size_t i = 0; known && ok && i < s->n; i++) {
        const char *name = json_string_value(json_object_get(of_file, s->file[i]));
        json_t *seen = name ? json_object_get(number, name) : NULL;
        known = name != NULL;
        numbers[i] =
            (int32_t)(seen ? json_integer_value(seen) : (json_int_t)json_object_size(number));
        if (known && !seen) ok = json_object_set_new(number, name, json_integer(numbers[i])) == 0;
    }
    known =
        known && ok && json_object_size(number) < s->n; /* one image each: nothing to keep whole */
    json_decref(of_file);
    json_decref(number);
    eg_csv_free(&table);
    if (known)
        *out = numbers;
    else
        eg_free(numbers);
    return ok ? EG_OK : no_memory(err);
}

/* ---- all of it ---- */

const eg_scores *eg_study_compared_scores(const eg_compared *c, size_t run) {
    return c->test ? &c->runs[run].test : &c->runs[run].val;
}

static eg_status read_all(eg_compared *c, const json_t *folders, eg_error *err) {
    size_t n = json_array_size(folders);
    c->runs = eg_calloc(n + 1, sizeof *c->runs);
    c->dir = eg_calloc(n + 1, sizeof *c->dir);
    c->arena = eg_arena_new(4096, 0);
    if (!c->runs || !c->dir || !c->arena) return no_memory(err);
    c->test = true;
    for (; c->n < n; c->n++) {
        const char *dir = json_string_value(json_array_get(folders, c->n));
        size_t length = strlen(dir);
        while (length > 1 && dir[length - 1] == '/') length--;
        c->dir[c->n] = eg_arena_strdup(c->arena, dir, length);
        if (!c->dir[c->n]) return no_memory(err);
        eg_status status = read_run(&c->runs[c->n], c->dir[c->n], err);
        if (status != EG_OK) {
            c->n++; /* what was read of it is freed with the rest */
            return status;
        }
        c->test = c->test && c->runs[c->n].test.n > 0;
    }
    EG_TRY(check_classes(c, err));
    EG_TRY(settle_names(c, err));
    return c->n > 0
               ? eg_study_patients_read(&c->patient, c->dir[0], eg_study_compared_scores(c, 0), err)
               : EG_OK;
}

eg_status eg_study_compared_read(eg_compared *out, const char *const *folders, size_t n,
                                 eg_error *err) {
    eg_compared c = {0};
    json_t *list = json_array();
    eg_status status = list ? EG_OK : no_memory(err);
    for (size_t i = 0; status == EG_OK && i < n; i++)
        status = has_file(folders[i], "study.json") ? add_study(list, folders[i], err)
                                                    : add_folder(list, folders[i], err);
    if (status == EG_OK) status = read_all(&c, list, err);
    json_decref(list);
    if (status == EG_OK)
        *out = c;
    else
        eg_study_compared_free(&c);
    return status;
}

void eg_study_compared_free(eg_compared *c) {
    for (size_t i = 0; c->runs && i < c->n; i++) {
        json_decref(c->runs[i].summary);
        json_decref(c->runs[i].config);
        eg_study_scores_free(&c->runs[i].val);
        eg_study_scores_free(&c->runs[i].test);
    }
    eg_free(c->runs);
    eg_free(c->dir);
    eg_free(c->patient);
    eg_arena_free(c->arena);
    *c = (eg_compared){0};
}

double eg_study_seconds_to_accuracy(const json_t *summary, double accuracy) {
    double seconds = eg_study_number(summary, "feature_seconds");
    json_t *row;
    size_t i;
    if (isnan(seconds)) seconds = 0;
    json_array_foreach(json_object_get(summary, "history"), i, row) {
        double took = eg_study_number(row, "seconds");
        if (!isnan(took)) seconds += took;
        if (eg_study_number(row, "val_accuracy") >= accuracy) return seconds;
    }
    return NAN;
}
