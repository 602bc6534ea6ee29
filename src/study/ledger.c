/* ledger.jsonl of a run folder: one line for each time figures or predictions of a test split were computed or read, by
 * which command, on which data, with which weights. It outlives --overwrite and --resume: a network trained again in the
 * same folder was still scored on the same test set before. It counts; it forbids nothing and it is no proof against
 * somebody who edits the file. Read first: evaluation.h.                                                         */
#include "study/evaluation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LEDGER       "ledger.jsonl"
#define LEDGER_BYTES ((size_t)64 << 20) /* a line is 300 bytes */

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for " LEDGER);
}

static bool has(const char *dir, const char *name) {
    char *path = eg_path_join(dir, name);
    bool there = path && eg_path_exists(path);
    eg_free(path);
    return there;
}

/* The run folder that `run` means, eg_free: itself, or the one its checkpoint file lies in. *out NULL: no run folder. */
static eg_status folder_of(char **out, const char *run, eg_error *err) {
    *out = NULL;
    if (eg_path_is_dir(run)) {
        *out = eg_strdup(run);
        return *out ? EG_OK : no_memory(err);
    }
    const char *slash = strrchr(run, '/');
    char *dir =
        slash ? eg_format("%.*s", slash == run ? 1 : (int)(slash - run), run) : eg_strdup(".");
    if (!dir) return no_memory(err);
    if (has(dir, "config.json"))
        *out = dir;
    else
        eg_free(dir);
    return EG_OK;
}

/* Time of day in UTC, "2026-01-31T12:34:56Z". */
static void now_text(char out[32]) {
    time_t now = time(NULL);
    struct tm parts;
    if (!gmtime_r(&now, &parts) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(out, 32, "unknown");
}

/* SHA-256 of the checkpoint looked at; null when there is none (predictions read from a file). */
static json_t *checkpoint_json(const char *run, const char *dir) {
    char digest[65];
    char *best = eg_path_join(dir, "best.safetensors");
    const char *path = eg_path_is_dir(run) ? best : run;
    bool known = path && eg_path_exists(path) && eg_sha256_file(digest, path, NULL) == EG_OK;
    eg_free(best);
    return known ? json_string(digest) : json_null();
}

/* The data of the run, as config.json knows them. */
static json_t *own_fingerprint(const char *dir) {
    json_t *config = NULL;
    if (!has(dir, "config.json") || eg_study_file_read(&config, dir, "config.json", NULL) != EG_OK)
        return json_null();
    json_t *found = json_object_get(json_object_get(config, "data"), "fingerprint");
    json_t *out = json_is_string(found) ? json_incref(found) : json_null();
    json_decref(config);
    return out;
}

static eg_status append(const char *dir, json_t *line, eg_error *err) {
    char *path = eg_path_join(dir, LEDGER);
    char *text = line ? eg_json_text(line, true) : NULL;
    size_t n = text ? strlen(text) : 0;
    while (n > 0 && text[n - 1] == '\n') text[--n] = '\0'; /* eg_file_append ends the line */
    eg_status status = path && text ? eg_file_append(path, text, err) : no_memory(err);
    if (status == EG_ERR_IO)
        status = eg_error_in(err, status, "the look at test could not be counted");
    eg_free(text);
    eg_free(path);
    return status;
}

eg_status eg_study_ledger_add(const char *run, const eg_test_look *look, eg_error *err) {
    char *dir, when[32];
    EG_TRY(folder_of(&dir, run, err));
    if (!dir) return EG_OK;
    now_text(when);
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:o, s:s, s:o, s:s}", "when", when, "command", look->command, "engraft",
        ENGRAFT_VERSION, "data",
        look->fingerprint ? json_string(look->fingerprint) : own_fingerprint(dir), "split", "test",
        "checkpoint", checkpoint_json(run, dir), "looked_at", look->looked_at);
    eg_status status = append(dir, line, err);
    json_decref(line);
    eg_free(dir);
    return status;
}

/* One line, `n` bytes without its end: is it a look at test of these data? */
static eg_status read_line(bool *counts, const char *text, size_t n, const char *fingerprint,
                           size_t number, const char *dir, eg_error *err) {
    json_t *line = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    const char *split = json_string_value(json_object_get(line, "split")),
               *data = json_string_value(json_object_get(line, "data"));
    *counts = split && strcmp(split, "test") == 0 &&
              (!fingerprint || !data || strcmp(data, fingerprint) == 0);
    bool sound = split != NULL;
    json_decref(line);
    return sound ? EG_OK
                 : eg_fail(err, EG_ERR_INPUT,
                           "%s/" LEDGER ": line %zu is not a look at a split - the file is written "
                           "by engraft only; put it back as it was",
                           dir, number);
}

eg_status eg_study_ledger_count(int64_t *out, const char *run, const char *fingerprint,
                                eg_error *err) {
    char *dir;
    *out = 0;
    EG_TRY(folder_of(&dir, run, err));
    if (!dir || !has(dir, LEDGER)) {
        eg_free(dir);
        return EG_OK;
    }
    eg_file_view file;
    char *path = eg_path_join(dir, LEDGER);
    eg_status status = path ? eg_file_open(&file, path, LEDGER_BYTES, err) : no_memory(err);
    eg_free(path);
    if (status == EG_OK) {
        const char *text = (const char *)file.data;
        size_t number = 0;
        for (size_t at = 0; status == EG_OK && at < file.size;) {
            const char *end = memchr(text + at, '\n', file.size - at);
            size_t n = end ? (size_t)(end - text) - at : file.size - at;
            bool counts = false;
            number++;
            if (n > 0) status = read_line(&counts, text + at, n, fingerprint, number, dir, err);
            *out += counts;
            at += n + 1;
        }
        eg_file_close(&file);
    }
    eg_free(dir);
    return status;
}

eg_status eg_study_ledger_note(json_t *metrics, const char *run, const eg_test_look *look,
                               eg_error *err) {
    int64_t n = 0;
    EG_TRY(eg_study_ledger_add(run, look, err));
    EG_TRY(eg_study_ledger_count(&n, run, look->fingerprint, err));
    if (n > 0 && json_object_set_new(metrics, "test_looks", json_integer((json_int_t)n)) != 0)
        return no_memory(err);
    return EG_OK;
}
