/* The data of a run or study: open the set, decode every image once to find the bad ones, make the
 * splits that are missing, and describe all that in the "data" JSON of doc/documents.md. Options
 * become data sets and splits in dataset_open.c; reading and splitting are the data room's. */
#include "study/feature_cache.h"
#include <stdio.h>
#include <string.h>

bool eg_study_split_parse(eg_split *out, const char *name) {
    for (int i = 0; name && i < EG_SPLIT_COUNT; i++) {
        if (strcmp(name, eg_split_name((eg_split)i)) == 0) {
            *out = (eg_split)i;
            return true;
        }
    }
    return false;
}

/* "2 images cannot be read: FILE: reason; ... - repair or remove them, or ..." */
static eg_status refuse_bad(const json_t *bad, eg_error *err) {
    eg_buffer text = {0};
    size_t i, n = json_array_size(bad);
    json_t *item;
    json_array_foreach(bad, i, item) {
        if (i == 3) {
            eg_buffer_printf(&text, "; and %zu more", n - 3);
            break;
        }
        eg_buffer_printf(&text, "%s%s: %s", i ? "; " : "",
                         json_string_value(json_object_get(item, "file")),
                         json_string_value(json_object_get(item, "reason")));
    }
    eg_status status = eg_fail(
        err, EG_ERR_INPUT,
        "%zu image%s cannot be read: %.420s - repair or remove %s, or leave %s out with --skip-bad",
        n, n == 1 ? "" : "s", text.data ? text.data : "", n == 1 ? "it" : "them",
        n == 1 ? "it" : "them");
    eg_buffer_free(&text);
    return status;
}

/* ---- sizes of images that an earlier check found to be sound, by content ---- */

/* Key of the rows (width, height): the decoders that called an image sound. */
static void size_key(char key[EG_ROW_KEY]) {
    char build[65], text[128];
    eg_build_id(build);
    snprintf(text, sizeof text, "sizes 1\nengraft %s build %s\n", ENGRAFT_VERSION, build);
    eg_study_row_key(key, text);
}

/* Take what is known into the samples; rows that were there are marked in `have`. */
static eg_status take_sizes(eg_dataset *ds, eg_image_rows *rows, eg_row_cache *cache,
                            const char *key, eg_error *err) {
    size_t found;
    EG_TRY(eg_study_rows_find(&found, rows, cache, key, err));
    for (size_t i = 0; i < rows->n; i++) {
        if (!rows->have[i]) continue;
        /* one that is larger than what is read today is not sound today */
        if ((double)rows->rows[2 * i] * (double)rows->rows[2 * i + 1] >
            (double)ds->image_options.max_pixels)
            continue;
        ds->samples[rows->indices[i]].width = (int)rows->rows[2 * i];
        ds->samples[rows->indices[i]].height = (int)rows->rows[2 * i + 1];
    }
    return EG_OK;
}

/* Keep the sizes of images that this check found to be sound. */
static eg_status keep_sizes(const eg_dataset *ds, eg_image_rows *rows, eg_row_cache *cache,
                            const char *key, eg_error *err) {
    uint32_t *news = eg_malloc((rows->n + 1) * sizeof *news);
    size_t n = 0;
    if (!news) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory checking images");
    for (size_t i = 0; i < rows->n; i++) {
        const eg_sample *sample = &ds->samples[rows->indices[i]];
        if (rows->have[i] || sample->width == 0) continue;
        rows->rows[2 * i] = (float)sample->width; /* whole numbers below 2^24 are exact */
        rows->rows[2 * i + 1] = (float)sample->height;
        news[n++] = (uint32_t)i;
    }
    eg_study_rows_keep(cache, key, rows, news, n);
    eg_free(news);
    return EG_OK;
}

/* eg_dataset_check of all samples, through the cache where there is one. */
static eg_status check_images(json_t **bad, eg_dataset *ds, const uint32_t *all, size_t n,
                              eg_row_cache *cache, const eg_events *ev, eg_error *err) {
    char key[EG_ROW_KEY];
    if (!cache->folder || n == 0) return eg_dataset_check(bad, ds, all, n, ev, err);
    eg_image_rows rows = {.ds = ds, .indices = all, .n = n, .width = 2};
    rows.rows = eg_malloc(n * rows.width * sizeof *rows.rows);
    rows.have = eg_calloc(n, sizeof *rows.have);
    eg_status status = rows.rows && rows.have
                           ? eg_dataset_hash(ds, all, n, ev, err)
                           : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory checking images");
    size_key(key);
    if (status == EG_OK) status = take_sizes(ds, &rows, cache, key, err);
    if (status == EG_OK) status = eg_dataset_check(bad, ds, all, n, ev, err);
    if (status == EG_OK) {
        status = keep_sizes(ds, &rows, cache, key, err);
        if (status != EG_OK) json_decref(*bad);
    }
    eg_free(rows.rows);
    eg_free(rows.have);
    return status;
}

eg_status eg_study_data_check(json_t **bad, eg_dataset *ds, const eg_options *o,
                              const eg_events *ev, eg_error *err) {
    uint32_t *all = NULL;
    size_t n;
    json_t *found = NULL;
    eg_row_cache cache = eg_study_row_cache(o, ev);
    EG_TRY(eg_dataset_indices(&all, &n, ds, EG_SPLIT_ALL, err));
    eg_status status = check_images(&found, ds, all, n, &cache, ev, err);
    eg_free(all);
    if (status != EG_OK) return status;
    if (json_array_size(found) > 0) {
        if (!o->skip_bad) {
            status = refuse_bad(found, err);
        } else {
            size_t i;
            json_t *item;
            json_array_foreach(found, i, item) {
                eg_study_note(ev, "left out (--skip-bad): %s: %s",
                              json_string_value(json_object_get(item, "file")),
                              json_string_value(json_object_get(item, "reason")));
            }
            eg_dataset_drop(ds, found);
        }
    }
    if (status == EG_OK)
        *bad = found;
    else
        json_decref(found);
    return status;
}

/* {class: count} of one split. */
static json_t *count_json(const eg_dataset *ds, eg_split split) {
    json_t *object = json_object();
    for (int k = 0; object && k < ds->n_classes; k++) {
        json_int_t count = 0;
        for (size_t i = 0; i < ds->n_samples; i++)
            count += ds->samples[i].split == split && ds->samples[i].label == k;
        if (json_object_set_new(object, ds->classes[k], json_integer(count)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Number of distinct patients of a split; images without one count each for itself. */
static json_int_t count_patients(const eg_dataset *ds, eg_split split) {
    const char **names = eg_malloc((ds->n_samples + 1) * sizeof *names);
    if (!names) return -1;
    size_t n = 0;
    json_int_t single = 0, distinct = 0;
    for (size_t i = 0; i < ds->n_samples; i++) {
        if (ds->samples[i].split != split) continue;
        if (ds->samples[i].patient)
            names[n++] = ds->samples[i].patient;
        else
            single++;
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++) distinct += i == 0 || strcmp(names[i], names[i - 1]) != 0;
    eg_free(names);
    return distinct + single;
}

static json_t *patients_json(const eg_dataset *ds) {
    size_t train_val, train_test, apparent_val, apparent_test;
    eg_dataset_patient_overlap(&train_val, &apparent_val, ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL);
    eg_dataset_patient_overlap(&train_test, &apparent_test, ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "train", count_patients(ds, EG_SPLIT_TRAIN),
                     "val", count_patients(ds, EG_SPLIT_VAL), "test",
                     count_patients(ds, EG_SPLIT_TEST), "shared_train_val", (json_int_t)train_val,
                     "shared_train_test", (json_int_t)train_test, "apparent_shared_train_test",
                     (json_int_t)apparent_test);
}

static const char *last_component(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static json_t *classes_json(const eg_dataset *ds) {
    json_t *array = json_array();
    for (int k = 0; array && k < ds->n_classes; k++) {
        if (json_array_append_new(array, json_string(ds->classes[k])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *data_json(const eg_dataset *ds, const eg_options *o, const json_t *bad,
                         const eg_split_origin *origin) {
    static const char *const SOURCES[] = {"folders", "csv", "npz"};
    bool drawn = strcmp(origin->val, "drawn") == 0 || strcmp(origin->val, "run") == 0;
    json_t *splits = json_pack("{s:o, s:o, s:o}", "train", count_json(ds, EG_SPLIT_TRAIN), "val",
                               count_json(ds, EG_SPLIT_VAL), "test", count_json(ds, EG_SPLIT_TEST));
    /* val_by is null when validation was there: nothing was drawn */
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:o, s:s?, s:o, s:s, s:s?, s:o, s:o, s:o, s:I, s:O, s:o, s:{s:s, s:s}}",
        "root", last_component(ds->path), "source", SOURCES[ds->source], "fingerprint",
        ds->fingerprint, "classes", classes_json(ds), "positive",
        ds->n_classes == 2 ? ds->classes[1] : NULL, "splits", splits, "patient_rule",
        ds->patient_rule, "val_by", drawn ? o->val_by : NULL, "val_share",
        drawn && o->folds == 0 ? json_real(o->val_share) : json_null(), "folds",
        drawn && o->folds > 0 ? json_integer(o->folds) : json_null(), "fold",
        drawn && o->folds > 0 ? json_integer(o->fold) : json_null(), "skipped_files",
        (json_int_t)ds->n_skipped, "bad_files", bad, "patients", patients_json(ds), "split_from",
        "val", origin->val, "test", origin->test);
    return json;
}

/* Both readings of the ids, where they differ. */
static void note_patients(const eg_dataset *ds, eg_split b, const eg_events *ev) {
    size_t shared, apparent;
    eg_dataset_patient_overlap(&shared, &apparent, ds, EG_SPLIT_TRAIN, b);
    if (shared == SIZE_MAX) return; /* no memory to count */
    if (apparent > shared)
        eg_study_note(
            ev,
            "patients: train and %s share %zu; the pattern person(\\d+) in circulation "
            "counts %zu, because personN is numbered anew in the bacteria and in the virus "
            "series",
            eg_split_name(b), shared, apparent);
    else if (shared > 0)
        eg_study_note(ev, "patients: train and %s share %zu (--allow-shared-patients)",
                      eg_split_name(b), shared);
}

/* Say what a reader must know about the split; the numbers are in the JSON as well. */
static void note_data(const eg_data_stage *d, const eg_options *o, const eg_split_origin *origin,
                      const eg_events *ev) {
    const eg_dataset *ds = d->ds;
    eg_study_note(
        ev,
        "data: %zu training, %zu validation, %zu test images in %d classes; patients by rule %s",
        d->n_train, d->n_val, d->n_test, ds->n_classes, ds->patient_rule);
    if (strcmp(origin->val, "own") == 0)
        eg_study_note(ev, "data: the set's own validation split is used as it is");
    if (strcmp(origin->val, "file") == 0)
        eg_study_note(ev, "data: the split of %s is used as it is", o->split_file);
    if (strcmp(origin->val, "drawn") == 0 && o->folds > 0)
        eg_study_note(ev, "data: validation is fold %lld of %lld, cut by %s", (long long)o->fold,
                      (long long)o->folds, o->val_by);
    if (strcmp(origin->val, "drawn") == 0 && strcmp(o->val_by, "patient") == 0 &&
        strcmp(ds->patient_rule, "none") == 0)
        eg_study_note(
            ev,
            "data: file names give no patients, so validation is split by image: a patient with "
            "several images may be on both sides (--patients names the rule)");
    note_patients(ds, EG_SPLIT_VAL, ev);
    note_patients(ds, EG_SPLIT_TEST, ev);
    if (ds->n_skipped)
        eg_study_note(ev, "data: files stepped over, hidden or no images: %zu", ds->n_skipped);
}

/* The split of the run that goes on, else what the options say. */
static eg_status make_split(eg_split_origin *origin, eg_dataset *ds, const eg_options *o,
                            const char *run, const eg_events *ev, eg_error *err) {
    bool restored = false;
    if (run) EG_TRY(eg_study_split_restore(&restored, ds, run, err));
    if (!restored) return eg_study_dataset_split(origin, ds, o, ev, err);
    *origin = (eg_split_origin){"run", "run"};
    return EG_OK;
}

static eg_status take_indices(eg_data_stage *d, eg_error *err) {
    EG_TRY(eg_dataset_indices(&d->train, &d->n_train, d->ds, EG_SPLIT_TRAIN, err));
    EG_TRY(eg_dataset_indices(&d->val, &d->n_val, d->ds, EG_SPLIT_VAL, err));
    EG_TRY(eg_dataset_indices(&d->test, &d->n_test, d->ds, EG_SPLIT_TEST, err));
    if (d->n_train > 0 && d->n_val > 0) return EG_OK;
    return eg_fail(err, EG_ERR_INPUT, "%s: no %s image is left - training needs both; %s",
                   d->ds->path, d->n_train == 0 ? "training" : "validation",
                   "add images, or change --val-share");
}

static eg_status open_into(eg_data_stage *d, const char *dir, const eg_options *o,
                           const eg_preprocess *p, const char *run, const eg_events *ev,
                           eg_error *err) {
    json_t *bad = NULL;
    eg_split_origin origin;
    eg_options opening = *o;
    if (run) opening.split_file = NULL; /* the run has its own copy, and the file may be gone */
    EG_TRY(eg_study_dataset_open(&d->ds, dir, &opening, p, ev, err));
    EG_TRY(eg_study_data_check(&bad, d->ds, o, ev, err));
    eg_status status = make_split(&origin, d->ds, o, run, ev, err);
    if (status == EG_OK) status = take_indices(d, err);
    if (status == EG_OK) {
        d->json = data_json(d->ds, o, bad, &origin);
        if (!d->json) status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory describing %s", dir);
    }
    json_decref(bad);
    if (status == EG_OK) note_data(d, o, &origin, ev);
    return status;
}

eg_status eg_study_data_open(eg_data_stage *out, const char *dir, const eg_options *o,
                             const eg_preprocess *p, const char *run, const eg_events *ev,
                             eg_error *err) {
    eg_data_stage d = {0};
    eg_status status = open_into(&d, dir, o, p, run, ev, err);
    if (status == EG_OK)
        *out = d;
    else
        eg_study_data_free(&d);
    return status;
}

void eg_study_data_free(eg_data_stage *data) {
    eg_free(data->train);
    eg_free(data->val);
    eg_free(data->test);
    json_decref(data->json);
    eg_dataset_free(data->ds);
    *data = (eg_data_stage){0};
}
