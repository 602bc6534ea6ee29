/* What went wrong on the way, in words: which host, what it did, what is kept and what to do. Also
 * decides whether another try makes sense. Reads nothing and changes nothing. */
#include "fetch/exchange.h"
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

/* What to do without a network; the library's callers know the option names. */
#define NO_NETWORK                                                                                 \
    "check the connection (behind a proxy: set https_proxy), name a mirror with --url, or copy "   \
    "the file here from another machine and give --weights FILE"

/* Any scheme is looked at, and an address without one means https as in the transfer. */
enum { AS_GIVEN = CURLU_NON_SUPPORT_SCHEME | CURLU_DEFAULT_SCHEME };

void eg_fetch_host(char *out, size_t size, const char *url) {
    CURLU *parts = curl_url();
    char *host = NULL;
    if (parts && curl_url_set(parts, CURLUPART_URL, url, AS_GIVEN) == CURLUE_OK)
        curl_url_get(parts, CURLUPART_HOST, &host, 0);
    snprintf(out, size, "%s", host ? host : "");
    curl_free(host);
    curl_url_cleanup(parts);
}

void eg_fetch_shown_url(char *out, size_t size, const char *url) {
    CURLU *parts = curl_url();
    char *shown = NULL;
    if (parts && curl_url_set(parts, CURLUPART_URL, url, AS_GIVEN) == CURLUE_OK) {
        curl_url_set(parts, CURLUPART_USER, NULL, 0);
        curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
        curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
        curl_url_get(parts, CURLUPART_URL, &shown, 0);
    }
    snprintf(out, size, "%s", shown ? shown : "(not an address)");
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127) *p = '?'; /* nothing may reach a terminal */
    curl_free(shown);
    curl_url_cleanup(parts);
}

void eg_fetch_amount(char *out, size_t size, const eg_part_file *part) {
    const double mega = 1e-6; /* as the table of models counts */
    if (part->total > 0)
        snprintf(out, size, "%.1f of %.1f MB", (double)part->n_bytes * mega,
                 (double)part->total * mega);
    else
        snprintf(out, size, "%.1f MB", (double)part->n_bytes * mega);
}

eg_exchange_outcome eg_fetch_explain_http(long code, const char *url, eg_error *err) {
    char shown[256];
    eg_fetch_shown_url(shown, sizeof shown, url);
    switch (code) {
    case 404:
    case 410:
        eg_fail(err, EG_ERR_NOT_FOUND,
                "%s: the server has no such file (HTTP %ld) - check the address; a mirror given "
                "with --url must hold the files under their own names",
                shown, code);
        return EG_EXCHANGE_FAILED;
    case 401:
    case 403:
    case 407:
        eg_fail(err, EG_ERR_IO,
                "%s: access refused (HTTP %ld) - some servers say so for a file they do not have: "
                "check the address, and whether a proxy or firewall stands between",
                shown, code);
        return EG_EXCHANGE_FAILED;
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        eg_fail(err, EG_ERR_IO,
                "%s: the server is busy or out of order (HTTP %ld) - run the same command again "
                "later, or name a mirror with --url",
                shown, code);
        return EG_EXCHANGE_AGAIN;
    default:
        eg_fail(err, EG_ERR_IO,
                "%s: the server answers HTTP %ld and sends no file - check the address, or name a "
                "mirror with --url",
                shown, code);
        return EG_EXCHANGE_FAILED;
    }
}

/* The connection was there and ended too early. */
static eg_exchange_outcome broke_off(int code, const eg_fetch_request *r, const char *host,
                                     const char *detail, const eg_part_file *part, eg_error *err) {
    char amount[64], stalled[64];
    int seconds = r->stall_seconds > 0 ? r->stall_seconds : 30;
    eg_fetch_amount(amount, sizeof amount, part);
    snprintf(stalled, sizeof stalled, "nothing came for %d s", seconds);
    eg_fail(err, EG_ERR_IO,
            "%s: the download of %s broke off at %s: %s - what came is kept in %s; the same "
            "command goes on from there",
            host, r->label, amount, code == CURLE_OPERATION_TIMEDOUT ? stalled : detail,
            part->path);
    return EG_EXCHANGE_AGAIN;
}

/* The other side did not prove who it is. Nothing was asked of it. */
static eg_exchange_outcome not_trusted(const eg_fetch_request *r, const char *host,
                                       const char *detail, eg_error *err) {
    if (r->ca_file)
        eg_fail(err, EG_ERR_IO,
                "%s: no trusted connection: %s - trusted are the certificates in %s (--ca-file or "
                "SSL_CERT_FILE) alone: give the one that signed this server's, or leave it out to "
                "trust the system's; is the clock right?",
                host, detail, r->ca_file);
    else
        eg_fail(err, EG_ERR_IO,
                "%s: no trusted connection: %s - is the package ca-certificates installed and the "
                "clock right? Behind a proxy that looks inside, or for a server of your own, give "
                "its certificate with --ca-file",
                host, detail);
    return EG_EXCHANGE_FAILED;
}

/* No TLS at all: no certificate was seen, so trust is not the question. */
static eg_exchange_outcome no_tls(const char *host, const char *detail, eg_error *err) {
    eg_fail(err, EG_ERR_IO,
            "%s: no TLS connection: %s - does the server speak http only, or does something "
            "between cut https off? %s",
            host, detail, NO_NETWORK);
    return EG_EXCHANGE_FAILED;
}

static eg_exchange_outcome wrong_protocol(const eg_fetch_request *r, const char *at_url,
                                          eg_error *err) {
    char from[200], to[200];
    eg_fetch_shown_url(from, sizeof from, r->url);
    eg_fetch_shown_url(to, sizeof to, at_url);
    if (strcmp(at_url, r->url) != 0) {
        eg_fail(err, EG_ERR_IO,
                "%s: redirects to %s, which is not followed: a https address may lead to https "
                "only, others to http or https - name another mirror with --url",
                from, to);
    } else {
        eg_fail(err, EG_ERR_USAGE, "%s: expected an address that starts with https:// or http://",
                to);
    }
    return EG_EXCHANGE_FAILED;
}

eg_exchange_outcome eg_fetch_explain_curl(int code, const eg_fetch_request *r, const char *at_url,
                                          const char *detail, bool reached,
                                          const eg_part_file *part, eg_error *err) {
    char host[128], amount[64];
    eg_fetch_host(host, sizeof host, at_url);
    if (!detail[0]) detail = curl_easy_strerror((CURLcode)code);
    switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
        eg_fetch_amount(amount, sizeof amount, part);
        eg_fail(err, EG_ERR_INTERRUPTED,
                "interrupted: %s of %s are kept in %s - the same command goes on from there",
                amount, r->label, part->path);
        return EG_EXCHANGE_FAILED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return wrong_protocol(r, at_url, err);
    case CURLE_TOO_MANY_REDIRECTS:
        eg_fail(err, EG_ERR_IO,
                "%s: sends from one address to the next without end - open the address in a "
                "browser, or name a mirror with --url",
                host);
        return EG_EXCHANGE_FAILED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return not_trusted(r, host, detail, err);
    case CURLE_SSL_CACERT_BADFILE:
        eg_fail(err, EG_ERR_IO, "%s: no certificates can be read there: expected a PEM file - %s",
                r->ca_file ? r->ca_file : "the system's certificates",
                r->ca_file ? "check --ca-file and SSL_CERT_FILE"
                           : "install the package ca-certificates, or give --ca-file");
        return EG_EXCHANGE_FAILED;
    case CURLE_SSL_CONNECT_ERROR:
        if (reached) break; /* the same server spoke TLS before: the network broke */
        return no_tls(host, detail, err);
    case CURLE_OUT_OF_MEMORY:
        eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for the transfer", r->label);
        return EG_EXCHANGE_FAILED;
    default:
        break;
    }
    if (reached) return broke_off(code, r, host, detail, part, err);
    eg_fail(err, EG_ERR_IO, "%s: cannot be reached: %s - %s", host, detail, NO_NETWORK);
    return EG_EXCHANGE_FAILED;
}
