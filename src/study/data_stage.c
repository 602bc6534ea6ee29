/* The data of a run or study: open the tree, decode every image once to find the bad ones, split
 * validation off train, and describe all that in the "data" JSON of doc/documents.md. Reading and
 * splitting are the data room's. */
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
                         bool own_val) {
    char *root = eg_strdup(ds->root);
    size_t n = root ? strlen(root) : 0;
    while (n > 1 && root[n - 1] == '/') root[--n] = '\0';
    json_t *splits = json_pack("{s:o, s:o, s:o}", "train", count_json(ds, EG_SPLIT_TRAIN), "val",
                               count_json(ds, EG_SPLIT_VAL), "test", count_json(ds, EG_SPLIT_TEST));
    /* val_by is null when the tree brought its own validation split: nothing was drawn */
    json_t *json = json_pack(
        "{s:s, s:s, s:o, s:s?, s:o, s:s, s:s?, s:o, s:I, s:O, s:o}", "root",
        root ? last_component(root) : "", "fingerprint", ds->fingerprint, "classes",
        classes_json(ds), "positive", ds->n_classes == 2 ? ds->classes[1] : NULL, "splits", splits,
        "patient_rule", ds->patient_rule, "val_by", own_val ? NULL : o->val_by, "val_share",
        own_val ? json_null() : json_real(o->val_share), "skipped_files", (json_int_t)ds->n_skipped,
        "bad_files", bad, "patients", patients_json(ds));
    eg_free(root);
    return json;
}

/* Say what a reader must know about the split; the numbers are in the JSON as well. */
static void note_data(const eg_data_stage *d, const eg_options *o, bool own_val,
                      const eg_events *ev) {
    const eg_dataset *ds = d->ds;
    eg_study_note(
        ev,
        "data: %zu training, %zu validation, %zu test images in %d classes; patients by rule %s",
        d->n_train, d->n_val, d->n_test, ds->n_classes, ds->patient_rule);
    if (own_val) eg_study_note(ev, "data: the tree's own validation split is used as it is");
    if (!own_val && strcmp(o->val_by, "patient") == 0 && strcmp(ds->patient_rule, "none") == 0)
        eg_study_note(
            ev,
            "data: file names give no patients, so validation is split by image: a patient with "
            "several images may be on both sides (--patients names the rule)");
    if (ds->n_skipped)
        eg_study_note(ev, "data: files stepped over, hidden or no images: %zu", ds->n_skipped);
}

static eg_status open_into(eg_data_stage *d, const char *dir, const eg_options *o,
                           const eg_events *ev, eg_error *err) {
    json_t *bad = NULL;
    EG_TRY(eg_dataset_open(&d->ds, dir, o->patients, err));
    eg_dataset *ds = d->ds;
    bool own_val = ds->has_val;
    EG_TRY(eg_study_data_check(&bad, ds, o, ev, err));
    /* a bare class tree trains as a whole */
    for (size_t i = 0; i < ds->n_samples; i++) {
        if (ds->samples[i].split == EG_SPLIT_ALL) ds->samples[i].split = EG_SPLIT_TRAIN;
    }
    eg_status status = eg_dataset_split_val(ds, o->val_share, o->val_by, (uint64_t)o->seed, err);
    if (status == EG_OK)
        status = eg_dataset_indices(&d->train, &d->n_train, ds, EG_SPLIT_TRAIN, err);
    if (status == EG_OK) status = eg_dataset_indices(&d->val, &d->n_val, ds, EG_SPLIT_VAL, err);
    if (status == EG_OK) status = eg_dataset_indices(&d->test, &d->n_test, ds, EG_SPLIT_TEST, err);
    if (status == EG_OK && (d->n_train == 0 || d->n_val == 0))
        status =
            eg_fail(err, EG_ERR_INPUT, "%s: %s - %s", dir,
                    d->n_train == 0 ? "no training image is left" : "no validation image is left",
                    "training needs both; add images, or change --val-share");
    if (status == EG_OK) {
        d->json = data_json(ds, o, bad, own_val);
        if (!d->json) status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory describing %s", dir);
    }
    json_decref(bad);
    if (status == EG_OK) note_data(d, o, own_val, ev);
    return status;
}

eg_status eg_study_data_open(eg_data_stage *out, const char *dir, const eg_options *o,
                             const eg_events *ev, eg_error *err) {
    eg_data_stage d = {0};
    eg_status status = open_into(&d, dir, o, ev, err);
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
