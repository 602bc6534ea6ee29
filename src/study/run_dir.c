/* The run directory: made ready, and the small files in it (config.json, history.jsonl, split.csv,
 * JSON documents). Checkpoints are in checkpoint.c, the state for --resume in resume.c. An existing
 * directory is never emptied of files that a run did not write. */
#include "study/run.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static eg_status no_memory(const char *dir, eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", dir);
}

static bool is_empty_dir(const char *dir) {
    DIR *d = opendir(dir);
    bool empty = d != NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) empty = false;
    }
    if (d) closedir(d);
    return empty;
}

/* Remove what a former run wrote, by name; the summary first, so that a half-emptied run never
 * counts as complete. ledger.jsonl stays: the looks at test were taken, whatever is trained next. */
static void remove_run_files(const char *dir) {
    static const char *const NAMES[] = {
        "summary.json",         "metrics.json",     "config.json", "history.jsonl",
        "best.safetensors",     "last.safetensors", "split.csv",   "predictions-val.csv",
        "predictions-test.csv", "features.npz",     "freeze.json", "lr_finder.json",
        "lr_finder.csv",        "lr_finder.svg"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char *path = eg_path_join(dir, NAMES[i]);
        if (path) unlink(path);
        eg_free(path);
    }
    eg_study_resume_clear(dir);
}

eg_status eg_study_dir_prepare(const char *dir, bool overwrite, eg_error *err) {
    if (eg_path_exists(dir) && !eg_path_is_dir(dir))
        return eg_fail(err, EG_ERR_USAGE, "--out %s: is a file; give a directory", dir);
    if (eg_path_is_dir(dir) && !is_empty_dir(dir)) {
        if (!overwrite)
            return eg_fail(err, EG_ERR_USAGE,
                           "--out %s: exists and is not empty - choose another --out, replace it "
                           "with --overwrite, "
                           "or go on with --resume %s",
                           dir, dir);
        remove_run_files(dir);
    }
    return eg_dir_make(dir, err);
}

json_t *eg_study_config_json(const eg_settings *s, const json_t *data) {
    json_t *preset = eg_study_preset_json(&s->preprocess);
    /* data by its identity only: a study compares this document to know whether a run can be kept
     * */
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "engraft", ENGRAFT_VERSION, "model",
                     s->arch->name, "mode", eg_study_mode_name(s->mode), "settings",
                     eg_study_settings_json(s), "preprocessing", preset, "data",
                     json_deep_copy(data), "machine", eg_study_machine_json(false));
}

eg_status eg_study_file_write(const char *dir, const char *name, const json_t *json,
                              eg_error *err) {
    char *path = eg_path_join(dir, name);
    eg_status status = path && json ? eg_json_write(path, json, err) : no_memory(dir, err);
    eg_free(path);
    return status;
}

eg_status eg_study_file_read(json_t **out, const char *dir, const char *name, eg_error *err) {
    char *path = eg_path_join(dir, name);
    eg_status status = path ? eg_json_read(out, path, err) : no_memory(dir, err);
    eg_free(path);
    return status;
}

eg_status eg_study_split_write(const eg_run *run, eg_error *err) {
    const eg_dataset *ds = run->data->ds;
    eg_buffer b = {0};
    eg_buffer_printf(&b, "file,label,split,patient\n");
    for (size_t i = 0; i < ds->n_samples; i++) {
        const eg_sample *s = &ds->samples[i];
        eg_csv_add(&b, s->file);
        eg_buffer_add(&b, ",", 1);
        eg_csv_add(&b, ds->classes[s->label]);
        eg_buffer_printf(&b, ",%s,", eg_split_name(s->split));
        eg_csv_add(&b, s->patient ? s->patient : "");
        eg_buffer_add(&b, "\n", 1);
    }
    char *path = eg_path_join(run->dir, "split.csv");
    eg_status status = !path || b.failed
                           ? no_memory(run->dir, err)
                           : eg_file_write_atomic(path, &(eg_part){b.data, b.size}, 1, err);
    eg_free(path);
    eg_buffer_free(&b);
    return status;
}

eg_status eg_study_history_add(eg_run *run, const eg_history_row *row, eg_error *err) {
    json_t *json = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "epoch",
                             (json_int_t)row->epoch, "train_loss", eg_json_real(row->train_loss),
                             "train_accuracy", eg_json_real(row->train_accuracy), "val_loss",
                             eg_json_real(row->val.loss), "val_accuracy",
                             eg_json_real(row->val.accuracy), "val_auc", eg_json_real(row->val.auc),
                             "lr", eg_json_real(row->lr), "seconds", eg_json_real(row->seconds),
                             "images_per_second", eg_json_real(row->images_per_second));
    char *text = json ? eg_json_text(json, true) : NULL;
    char *path = eg_path_join(run->dir, "history.jsonl");
    if (!text || !path || json_array_append(run->history, json) != 0) {
        eg_free(text);
        eg_free(path);
        json_decref(json);
        return no_memory(run->dir, err);
    }
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '\n') text[--n] = '\0'; /* eg_file_append ends the line */
    eg_status status = eg_file_append(path, text, err);
    eg_free(text);
    eg_free(path);
    json_decref(json);
    return status;
}

eg_status eg_study_history_rewrite(const eg_run *run, eg_error *err) {
    eg_buffer b = {0};
    size_t i;
    json_t *row;
    json_array_foreach(run->history, i, row) {
        char *text = eg_json_text(row, true);
        size_t n = text ? strlen(text) : 0;
        while (n > 0 && text[n - 1] == '\n') n--;
        eg_buffer_add(&b, text ? text : "", n);
        eg_buffer_add(&b, "\n", 1);
        b.failed = b.failed || !text;
        eg_free(text);
    }
    char *path = eg_path_join(run->dir, "history.jsonl");
    eg_status status =
        !path || b.failed
            ? no_memory(run->dir, err)
            : eg_file_write_atomic(path, &(eg_part){b.data ? b.data : "", b.size}, 1, err);
    eg_free(path);
    eg_buffer_free(&b);
    return status;
}
