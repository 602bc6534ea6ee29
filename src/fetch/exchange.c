/* One HTTP request by libcurl. The answer is judged when its first byte (or its end) is there, and
 * before anything on the disk is touched: status, range, size, and whether it is a web page. Only
 * https and http are spoken; an address that begins with https leads by redirects to https only.
 * What the failures mean in words is in explain.c. Sources: RFC 9110 sections 13.1.5 (If-Range), 14 (ranges), 15.3.7
 * (206), 15.5.17 (416). */
#include "fetch/exchange.h"
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const uint64_t MAX_BYTES = (uint64_t)16 << 30; /* where no size is published */
enum { CONNECT_SECONDS = 20, SLOW_BYTES_PER_SECOND = 16, MAX_REDIRECTS = 8 };

typedef struct {
    const eg_fetch_request *r;
    const eg_events *ev;
    eg_part_file *part;
    eg_error *err;
    CURL *curl;
    uint64_t asked_from; /* first byte asked for */
    bool *reached;
    /* headers of the answer that is coming in */
    char etag[EG_VALIDATOR_BYTES], modified[EG_VALIDATOR_BYTES], type[64];
    bool has_range;
    unsigned long long range_first, range_total; /* total 0: "*" */
    /* what became of it */
    bool judged;
    bool refused;  /* `outcome` is decided */
    bool complete; /* 416: the part is the whole file already, the body is but an error text */
    eg_exchange_outcome outcome;
    uint64_t limit; /* of the whole file, bytes */
    double start;
    uint64_t bytes_at_start;
} exchange;

static size_t refuse(exchange *x, eg_exchange_outcome outcome) {
    x->refused = true;
    x->outcome = outcome;
    return 0; /* what a write function returns to end the transfer */
}

/* ---- headers ---- */

static void copy_value(char *out, size_t size, const char *value, size_t n) {
    while (n > 0 && (*value == ' ' || *value == '\t')) value++, n--;
    while (n > 0 && (unsigned char)value[n - 1] <= ' ') n--;
    if (n >= size) n = 0; /* one that long is not worth keeping, and half of it is none */
    memcpy(out, value, n);
    out[n] = '\0';
}

/* curl's header function: one line, not terminated. A new status line (after a redirect) starts
 * over. */
static size_t on_header(char *line, size_t size, size_t count, void *context) {
    exchange *x = context;
    size_t n = size * count;
    const char *colon = memchr(line, ':', n);
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        x->etag[0] = x->modified[0] = x->type[0] = '\0';
        x->has_range = false;
        *x->reached = true;
        return n;
    }
    if (!colon) return n;
    size_t name = (size_t)(colon - line), rest = n - name - 1;
    char range[96];
    if (name == 4 && strncasecmp(line, "etag", 4) == 0)
        copy_value(x->etag, sizeof x->etag, colon + 1, rest);
    else if (name == 13 && strncasecmp(line, "last-modified", 13) == 0)
        copy_value(x->modified, sizeof x->modified, colon + 1, rest);
    else if (name == 12 && strncasecmp(line, "content-type", 12) == 0)
        copy_value(x->type, sizeof x->type, colon + 1, rest);
    else if (name == 13 && strncasecmp(line, "content-range", 13) == 0) {
        copy_value(range, sizeof range, colon + 1, rest);
        x->range_first = x->range_total = 0;
        x->has_range =
            sscanf(range, "bytes %llu-%*u/%llu", &x->range_first, &x->range_total) >= 1 ||
            sscanf(range, "bytes */%llu", &x->range_total) == 1;
    }
    return n;
}

/* What If-Range may carry: a strong ETag, else the date. */
static const char *validator_of(const exchange *x) {
    return x->etag[0] == '"' ? x->etag : x->modified;
}

/* ---- judging an answer ---- */

/* Text that a browser would show, where a weights file was asked for. No container of weights
 * starts like this. */
static bool is_page(const exchange *x, const char *data, size_t n) {
    size_t at = 0;
    while (at < n && (data[at] == ' ' || data[at] == '\n' || data[at] == '\r' || data[at] == '\t'))
        at++;
    const char *p = data + at;
    size_t left = n - at;
    if (left > 0 && *p == '<' && strncasecmp(x->type, "text/html", 9) == 0) return true;
    return (left >= 9 && strncasecmp(p, "<!doctype", 9) == 0) ||
           (left >= 5 && strncasecmp(p, "<html", 5) == 0);
}

static eg_exchange_outcome fail_page(exchange *x) {
    char url[256];
    eg_fetch_shown_url(url, sizeof url, x->r->url);
    eg_fail(x->err, EG_ERR_MISMATCH,
            "%s: the answer is a web page, not the file - a log-in page of the network, or a wrong "
            "mirror? Open the address in a browser; nothing of it was kept",
            url);
    return EG_EXCHANGE_FAILED;
}

/* `total` bytes announced (0: not said) against the published size. */
static bool plausible(exchange *x, uint64_t total) {
    uint64_t about = x->r->about_bytes, slack = about / 50 + (1 << 20);
    x->limit = about ? about + slack : MAX_BYTES;
    if (total == 0) return true;
    if (total <= x->limit && (about == 0 || total + slack >= about)) return true;
    char url[256];
    eg_fetch_shown_url(url, sizeof url, x->r->url);
    eg_fail(x->err, EG_ERR_MISMATCH,
            "%s: the server announces %llu bytes, %s %llu - it has another file under this "
            "name; nothing of it was kept",
            url, (unsigned long long)total, about ? "the file has about" : "the limit is",
            (unsigned long long)(about ? about : x->limit));
    return false;
}

/* 206: is it the rest that was asked for? */
static eg_exchange_outcome judge_rest(exchange *x, uint64_t length) {
    uint64_t total = x->range_total ? x->range_total : length ? x->asked_from + length : 0;
    if (!x->has_range || x->range_first != x->asked_from ||
        (x->part->total && total && total != x->part->total)) {
        eg_fail(x->err, EG_ERR_IO, "the server sends another range than the one asked for");
        return EG_EXCHANGE_RESTART;
    }
    if (!plausible(x, total)) return EG_EXCHANGE_FAILED;
    eg_fetch_part_describe(x->part, total, validator_of(x));
    return eg_fetch_part_reserve(x->part, total, x->err) == EG_OK ? EG_EXCHANGE_DONE
                                                                  : EG_EXCHANGE_FAILED;
}

/* 200: the whole file from its first byte, whatever was asked for. */
static eg_exchange_outcome judge_whole(exchange *x, uint64_t total) {
    if (!plausible(x, total)) return EG_EXCHANGE_FAILED;
    if (x->part->n_bytes > 0) {
        char text[256];
        snprintf(text, sizeof text,
                 "%s: the server sends the whole file again (it cannot go on in the middle, or has "
                 "a newer one)",
                 x->r->label);
        if (x->ev && x->ev->progress)
            x->ev->progress(x->ev->context, &(eg_progress){.kind = EG_PROGRESS_NOTE, .text = text});
        if (eg_fetch_part_restart(x->part, x->err) != EG_OK) return EG_EXCHANGE_FAILED;
    }
    x->bytes_at_start = 0;
    eg_fetch_part_describe(x->part, total, validator_of(x));
    return eg_fetch_part_reserve(x->part, total, x->err) == EG_OK ? EG_EXCHANGE_DONE
                                                                  : EG_EXCHANGE_FAILED;
}

/* 416: nothing lies behind what is there already. That is the end, when the sizes agree. */
static eg_exchange_outcome judge_no_range(exchange *x) {
    x->complete = x->has_range && x->range_total == x->part->n_bytes;
    if (x->complete) return EG_EXCHANGE_DONE;
    eg_fail(x->err, EG_ERR_IO, "the server has less of the file than is here already");
    return EG_EXCHANGE_RESTART;
}

/* Decide on the answer by its headers and the first `n` bytes of its body. DONE: take the body. */
static eg_exchange_outcome judge(exchange *x, const char *data, size_t n) {
    long code = 0;
    curl_off_t announced = -1;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(x->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    uint64_t length = announced > 0 ? (uint64_t)announced : 0;
    x->judged = true;
    if (code == 416 && x->asked_from > 0) return judge_no_range(x);
    if (code != 200 && !(code == 206 && x->asked_from > 0)) {
        char *url = NULL;
        curl_easy_getinfo(x->curl, CURLINFO_EFFECTIVE_URL, &url);
        return eg_fetch_explain_http(code, url ? url : x->r->url, x->err);
    }
    if (is_page(x, data, n)) return fail_page(x);
    return code == 206 ? judge_rest(x, length) : judge_whole(x, length);
}

/* ---- the transfer ---- */

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    exchange *x = context;
    size_t n = size * count;
    if (n == 0) return 0;
    if (!x->judged) {
        eg_exchange_outcome outcome = judge(x, data, n);
        if (outcome != EG_EXCHANGE_DONE || x->complete) return refuse(x, outcome);
    }
    if (x->part->n_bytes + n > x->limit) {
        eg_fail(x->err, EG_ERR_MISMATCH,
                "%s: more than %llu bytes came - this is another file; nothing of it was kept",
                x->r->label, (unsigned long long)x->limit);
        eg_fetch_part_restart(x->part, NULL);
        return refuse(x, EG_EXCHANGE_FAILED);
    }
    if (eg_fetch_part_append(x->part, data, n, x->err) != EG_OK)
        return refuse(x, EG_EXCHANGE_FAILED);
    return n;
}

/* Also called about once a second while nothing comes. */
static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up) {
    exchange *x = context;
    (void)total, (void)now, (void)up_total, (void)up;
    if (x->ev && x->ev->stop && *x->ev->stop) return 1;
    if (!x->judged || !x->ev || !x->ev->progress) return 0;
    double seconds = eg_time_now() - x->start;
    uint64_t got = x->part->n_bytes - x->bytes_at_start, whole = x->part->total;
    double rate = seconds > 0.2 ? (double)got / seconds : 0;
    x->ev->progress(x->ev->context,
                    &(eg_progress){.kind = EG_PROGRESS_FETCH,
                                   .stage = x->r->label,
                                   .step = (int64_t)x->part->n_bytes,
                                   .n_steps = (int64_t)whole,
                                   .bytes_per_second = rate,
                                   .eta_seconds = rate > 0 && whole > x->part->n_bytes
                                                      ? (double)(whole - x->part->n_bytes) / rate
                                                      : 0});
    return 0;
}

/* `*headers` gets the If-Range line, to be released after the transfer. */
static bool set_up(exchange *x, struct curl_slist **headers, char *detail) {
    CURL *c = x->curl;
    const eg_fetch_request *r = x->r;
    char range[32], condition[EG_VALIDATOR_BYTES + 16];
    /* all but what says http is kept on https: an address curl takes for one must not lead down */
    bool secure = strncasecmp(r->url, "http:", 5) != 0, ok = true;
#define SET(option, value) ok = ok && curl_easy_setopt(c, option, value) == CURLE_OK
    SET(CURLOPT_URL, r->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_DEFAULT_PROTOCOL, "https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USERAGENT, "engraft/" ENGRAFT_VERSION);
    SET(CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_SECOND);
    SET(CURLOPT_LOW_SPEED_TIME, (long)(r->stall_seconds > 0 ? r->stall_seconds : 30));
    SET(CURLOPT_ERRORBUFFER, detail);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's answer is not the server's */
    SET(CURLOPT_HEADERDATA, x);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, x);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, x);
    SET(CURLOPT_NOPROGRESS, 0L);
    if (r->ca_file) SET(CURLOPT_CAINFO, r->ca_file);
    if (x->asked_from > 0) {
        /* not CURLOPT_RESUME_FROM: that fails when the server sends all of it */
        snprintf(range, sizeof range, "%llu-", (unsigned long long)x->asked_from);
        SET(CURLOPT_RANGE, range);
        if (x->part->validator[0]) {
            snprintf(condition, sizeof condition, "If-Range: %s", x->part->validator);
            *headers = curl_slist_append(NULL, condition);
            ok = ok && *headers;
            SET(CURLOPT_HTTPHEADER, *headers);
        }
    }
#undef SET
    return ok;
}

static eg_exchange_outcome perform(exchange *x, const char *detail) {
    CURLcode code = curl_easy_perform(x->curl);
    char *at = NULL;
    if (code == CURLE_OK && !x->judged) { /* an answer without a body */
        eg_exchange_outcome outcome = judge(x, "", 0);
        if (outcome != EG_EXCHANGE_DONE) return outcome;
    }
    if (x->complete) x->part->total = x->part->n_bytes; /* whatever was announced before */
    if (x->complete) return EG_EXCHANGE_DONE;
    if (x->refused) return x->outcome;
    if (code == CURLE_OK && x->part->total && x->part->n_bytes < x->part->total)
        code = CURLE_PARTIAL_FILE;
    if (code == CURLE_OK) return EG_EXCHANGE_DONE;
    if (code == CURLE_UNSUPPORTED_PROTOCOL) /* the place that was not gone to */
        curl_easy_getinfo(x->curl, CURLINFO_REDIRECT_URL, &at);
    if (!at) curl_easy_getinfo(x->curl, CURLINFO_EFFECTIVE_URL, &at);
    return eg_fetch_explain_curl((int)code, x->r, at ? at : x->r->url, detail, *x->reached, x->part,
                                 x->err);
}

eg_exchange_outcome eg_fetch_exchange(eg_part_file *part, const eg_fetch_request *r, bool *reached,
                                      const eg_events *ev, eg_error *err) {
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    exchange x = {.r = r,
                  .ev = ev,
                  .part = part,
                  .err = err,
                  .curl = curl_easy_init(),
                  .asked_from = part->n_bytes,
                  .reached = reached,
                  .limit = MAX_BYTES,
                  .start = eg_time_now(),
                  .bytes_at_start = part->n_bytes};
    eg_exchange_outcome outcome = EG_EXCHANGE_FAILED;
    if (x.curl && set_up(&x, &headers, detail))
        outcome = perform(&x, detail);
    else
        eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for the transfer", r->label);
    curl_easy_cleanup(x.curl);
    curl_slist_free_all(headers);
    return outcome;
}
