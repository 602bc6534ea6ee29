/* eg_fetch_file: tries, goes on after breaks, starts over when the pieces cannot belong together,
 * and lets a file have its name only when its SHA-256 is right. One request is in exchange.c, the
 * file on the disk in part_file.c. */
#include "fetch/exchange.h"
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MAX_CONNECTIONS = 100, MAX_RESTARTS = 2 };

typedef struct {
    const eg_fetch_request *r;
    const eg_events *ev;
    eg_error *err;
    eg_part_file part;
    int n_connections, n_restarts;
    bool reached;
    bool discard; /* what came is of no use */
} fetch;

__attribute__((format(printf, 2, 3))) static void note(const fetch *f, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (f->ev && f->ev->progress)
        f->ev->progress(f->ev->context, &(eg_progress){.kind = EG_PROGRESS_NOTE, .text = text});
}

static bool stopped(const fetch *f) {
    return f->ev && f->ev->stop && *f->ev->stop;
}

/* Wait before a new connection, longer each time, in steps so that a signal is not kept waiting. */
static void pause_before(const fetch *f, int attempt) {
    const struct timespec step = {.tv_nsec = 50 * 1000 * 1000};
    int n = 10 << (attempt < 4 ? attempt : 4); /* half a second to eight */
    for (int i = 0; i < n && !stopped(f); i++) nanosleep(&step, NULL);
}

static eg_status restart(fetch *f) {
    if (++f->n_restarts > MAX_RESTARTS)
        return eg_fail(f->err, EG_ERR_IO,
                       "%s: the server gives pieces that do not belong together, again and again - "
                       "name a mirror with --url",
                       f->r->label);
    return eg_fetch_part_restart(&f->part, f->err);
}

/* Ask until the server says that the whole file is there. */
static eg_status get_all(fetch *f) {
    for (int idle = 0; f->n_connections < MAX_CONNECTIONS;) {
        uint64_t before = f->part.n_bytes;
        f->n_connections++;
        eg_exchange_outcome outcome = eg_fetch_exchange(&f->part, f->r, &f->reached, f->ev, f->err);
        switch (outcome) {
        case EG_EXCHANGE_DONE:
            return EG_OK;
        case EG_EXCHANGE_FAILED:
            return f->err->status;
        case EG_EXCHANGE_RESTART:
            note(f, "%s - starting over", f->err->text);
            EG_TRY(restart(f));
            continue;
        case EG_EXCHANGE_AGAIN:
            break;
        }
        idle = f->part.n_bytes > before ? 0 : idle + 1;
        if (f->r->retries == 0 || idle > f->r->retries) break;
        char amount[64];
        eg_fetch_amount(amount, sizeof amount, &f->part);
        note(f, "%s: broke off at %s, trying again", f->r->label, amount);
        pause_before(f, idle);
    }
    return f->err->status;
}

/* EG_OK with *right false: get it again from the start. */
static eg_status check(fetch *f, char sha256[65], bool *right) {
    size_t digits = strlen(f->r->sha256);
    EG_TRY(eg_sha256_file(sha256, f->part.path, f->err));
    *right = digits >= 8 && digits <= 64 && strncmp(sha256, f->r->sha256, digits) == 0;
    if (*right) return EG_OK;
    if (f->n_restarts == 0 && (f->part.kept_bytes > 0 || f->n_connections > 1)) {
        note(
            f,
            "%s: the pieces of several connections have the wrong SHA-256 together - starting over",
            f->r->label);
        return restart(f);
    }
    char url[256];
    unsigned long long n_bytes = f->part.n_bytes;
    eg_fetch_shown_url(url, sizeof url, f->r->url);
    f->discard = true;
    return eg_fail(f->err, EG_ERR_MISMATCH,
                   "%s: %llu bytes came with SHA-256 %.16s..., expected %.16s%s - damaged on the "
                   "way, cut off, or another file under this name; it was not kept",
                   url, n_bytes, sha256, f->r->sha256, digits > 16 ? "..." : "");
}

static eg_status run(fetch *f, eg_fetch_result *out) {
    char sha256[65];
    EG_TRY(eg_fetch_part_open(&f->part, f->r->path, f->r->url, f->err));
    if (f->part.total && f->part.n_bytes > f->part.total) EG_TRY(restart(f));
    if (f->part.kept_bytes > 0) {
        char amount[64];
        eg_fetch_amount(amount, sizeof amount, &f->part);
        note(f, "%s: going on from %s of an earlier download", f->r->label, amount);
    }
    for (bool right = false; !right;) {
        bool whole = f->part.total && f->part.n_bytes == f->part.total;
        if (!whole) EG_TRY(get_all(f));
        EG_TRY(check(f, sha256, &right));
    }
    EG_TRY(eg_fetch_part_finish(&f->part, f->r->path, f->err));
    *out = (eg_fetch_result){.n_bytes = f->part.n_bytes,
                             .kept_bytes = f->part.kept_bytes,
                             .n_connections = f->n_connections};
    memcpy(out->sha256, sha256, sizeof sha256);
    return EG_OK;
}

eg_status eg_fetch_file(eg_fetch_result *out, const eg_fetch_request *r, const eg_events *ev,
                        eg_error *err) {
    eg_error local = {.offset = -1}; /* the outcomes are read from it */
    fetch f = {.r = r, .ev = ev, .err = err ? err : &local, .part = {.fd = -1}};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return eg_fail(err, EG_ERR_INTERNAL, "libcurl cannot be started");
    eg_status status = run(&f, out);
    eg_fetch_part_close(&f.part, f.discard);
    curl_global_cleanup();
    return status;
}
