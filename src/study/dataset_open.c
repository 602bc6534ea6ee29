/* Options of a command to options of a data set, in one place for every command: patients, columns, limits, decoding, the
 * split file, and the salt under which DICOM patient ids are hashed. The salt is the user's file, or 32 random bytes that
 * are made once and kept beside the weights, readable by the user alone: who has no salt cannot try ids until one hashes
 * alike. Also the split of an opened set, drawn or restored. Images are checked in data_stage.c. Read first: run.h, "data". */
#include "study/run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

enum { SALT_BYTES = 32, LEAST_SALT = 16, MOST_SALT = 1 << 20 };

/* ---- the salt ---- */

typedef struct {
    char *path;        /* of the cache's file; NULL: no cache, or the user's own file */
    eg_file_view view; /* of a file that is there */
    uint8_t fresh[SALT_BYTES];
    const void *bytes; /* view or fresh */
    size_t n;
} salt;

static void free_salt(salt *s) {
    eg_file_close(&s->view);
    eg_free(s->path);
}

static eg_status read_salt(salt *s, const char *path, bool own, eg_error *err) {
    EG_TRY(eg_file_open(&s->view, path, MOST_SALT, err));
    s->bytes = s->view.data;
    s->n = s->view.size;
    if (s->n >= LEAST_SALT) return EG_OK;
    if (own)
        return eg_fail(
            err, EG_ERR_USAGE,
            "--patient-salt %s: %zu bytes can be guessed - give %d or more, for example: "
            "head -c 32 /dev/urandom > %s",
            path, s->n, LEAST_SALT, path);
    return eg_fail(err, EG_ERR_INPUT, "%s: damaged - remove it, and a new one is made", path);
}

static eg_status find_salt(salt *s, const eg_options *o, eg_error *err) {
    if (o->patient_salt && *o->patient_salt) return read_salt(s, o->patient_salt, true, err);
    if (o->cache && *o->cache) {
        s->path = eg_path_join(o->cache, "patient-salt");
        if (!s->path) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
        if (eg_path_exists(s->path)) return read_salt(s, s->path, false, err);
    }
    if (getrandom(s->fresh, sizeof s->fresh, 0) != (ssize_t)sizeof s->fresh)
        return eg_fail(err, EG_ERR_IO, "no random bytes for the hashes of patient ids: %s",
                       strerror(errno));
    s->bytes = s->fresh;
    s->n = sizeof s->fresh;
    return EG_OK;
}

/* A salt that gave ids is kept, so that the next run hashes alike. Where it cannot be, the split is the same all the same
 * (patients are ordered by their images), only the hashes differ. */
static void keep_salt(const salt *s, const char *folder, const eg_events *ev) {
    if (!s->path || s->bytes != s->fresh) return;
    int fd = eg_dir_make(folder, NULL) == EG_OK
                 ? open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                 : -1;
    bool ok = fd >= 0 && write(fd, s->fresh, sizeof s->fresh) == (ssize_t)sizeof s->fresh;
    ok = ok && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    if (fd >= 0 && !ok) unlink(s->path); /* half a salt would be called damaged for ever */
    eg_study_note(ev,
                  ok ? "patients: salt of the hashes of DICOM ids: %s"
                     : "patients: %s cannot be written: hashes of DICOM ids are of this run only",
                  s->path);
}

/* ---- opening ---- */

eg_image_options eg_study_image_options(const eg_options *o, const eg_preprocess *p) {
    eg_image_options options = EG_IMAGE_OPTIONS_DEFAULT;
    if (o->max_pixels > 0) options.max_pixels = (size_t)o->max_pixels;
    if (p && o->decode && strcmp(o->decode, "fast") == 0)
        options.min_side = eg_preprocess_fast_side(p);
    return options;
}

eg_status eg_study_dataset_open(eg_dataset **out, const char *dir, const eg_options *o,
                                const eg_preprocess *p, const eg_events *ev, eg_error *err) {
    salt s = {0};
    eg_dataset *ds = NULL;
    eg_status status = find_salt(&s, o, err);
    if (status == EG_OK) {
        eg_dataset_options options = {.patients = o->patients,
                                      .columns = o->columns,
                                      .salt = s.bytes,
                                      .n_salt = s.n,
                                      .image_options = eg_study_image_options(o, p)};
        status = eg_dataset_open(&ds, dir, &options, err);
    }
    if (status == EG_OK && strcmp(ds->patient_rule, "dicom") == 0) keep_salt(&s, o->cache, ev);
    /* before bad images are dropped: the file speaks of all */
    if (status == EG_OK && o->split_file && *o->split_file)
        status = eg_dataset_split_read(ds, o->split_file, err);
    free_salt(&s);
    if (status == EG_OK)
        *out = ds;
    else
        eg_dataset_free(ds);
    return status;
}

/* ---- the split ---- */

static size_t count(const eg_dataset *ds, eg_split split) {
    size_t n = 0;
    for (size_t i = 0; i < ds->n_samples; i++) n += ds->samples[i].split == split;
    return n;
}

static eg_split_rule rule_of(const eg_options *o, double share, bool folds) {
    return (eg_split_rule){.by = o->val_by,
                           .share = share,
                           .folds = folds ? (int)o->folds : 0,
                           .fold = (int)o->fold,
                           .seed = (uint64_t)o->seed};
}

/* A set without any split gives a test split first: figures on validation choose the epoch, and flatter. */
static eg_status draw_test(eg_split_origin *out, eg_dataset *ds, const eg_options *o,
                           const eg_events *ev, eg_error *err) {
    if (o->test_share <= 0 || count(ds, EG_SPLIT_ALL) < ds->n_samples) return EG_OK;
    const eg_split_rule rule = rule_of(o, o->test_share, false);
    EG_TRY(eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST, &rule, err));
    out->test = "drawn";
    eg_study_note(ev,
                  "data: no splits there: %zu of %zu images, drawn by %s, are the test split "
                  "(--test-share)",
                  count(ds, EG_SPLIT_TEST), ds->n_samples, o->val_by);
    return EG_OK;
}

static eg_status draw_val(eg_split_origin *out, eg_dataset *ds, const eg_options *o,
                          eg_error *err) {
    if (count(ds, EG_SPLIT_VAL) == 0 && !ds->has_val) {
        const eg_split_rule rule = rule_of(o, o->val_share, true);
        out->val = "drawn";
        return eg_dataset_split(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, &rule, err);
    }
    if (o->folds == 0) return EG_OK;
    return eg_fail(err, EG_ERR_USAGE,
                   "--folds %lld: %s has a validation split already - take it away, or go without "
                   "--folds",
                   (long long)o->folds, ds->path);
}

eg_status eg_study_dataset_split(eg_split_origin *out, eg_dataset *ds, const eg_options *o,
                                 const eg_events *ev, eg_error *err) {
    const char *there = o->split_file && *o->split_file ? "file" : "own";
    *out = (eg_split_origin){.val = ds->has_val ? there : "none",
                             .test = ds->has_test ? there : "none"};
    EG_TRY(draw_test(out, ds, o, ev, err));
    /* what is left of a bare set trains as a whole */
    for (size_t i = 0; i < ds->n_samples; i++) {
        if (ds->samples[i].split == EG_SPLIT_ALL) ds->samples[i].split = EG_SPLIT_TRAIN;
    }
    if (ds->n_samples > 0 && count(ds, EG_SPLIT_TRAIN) == 0)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: has no training images, only %s - add train/ beside it, or give the "
                       "folder that holds all splits",
                       ds->path,
                       ds->has_val && ds->has_test ? "val and test"
                       : ds->has_val               ? "val"
                                                   : "test");
    EG_TRY(draw_val(out, ds, o, err));
    if (!o->allow_shared_patients) EG_TRY(eg_dataset_refuse_shared(ds, err));
    if (o->save_split && *o->save_split) return eg_dataset_split_write(ds, o->save_split, err);
    return EG_OK;
}

eg_status eg_study_split_restore(bool *restored, eg_dataset *ds, const char *run, eg_error *err) {
    json_t *config = NULL;
    *restored = false;
    char *path = eg_path_join(run, "split.csv");
    if (!path) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    eg_status status = EG_OK;
    if (eg_path_is_dir(run) && eg_path_exists(path) &&
        eg_study_file_read(&config, run, "config.json", NULL) == EG_OK) {
        const json_t *data = json_object_get(config, "data");
        const char *was = json_string_value(json_object_get(data, "fingerprint"));
        *restored = was && strcmp(was, ds->fingerprint) == 0;
        if (*restored) status = eg_dataset_split_restore(ds, path, err);
        json_decref(config);
    }
    eg_free(path);
    return status;
}

bool eg_study_is_dataset(const char *path) {
    static const char *const ends[] = {".csv", ".tsv", ".npz"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (strcasecmp(dot, ends[i]) == 0) return true;
    return eg_path_is_dir(path);
}
