/* Door of the fetch room: one file from an HTTP server to the disk, whole and checked, or not at all. The only room
 * that touches the network, and it does so only when it is called. Knows no weights and no cache: who asks for which
 * file is the study room's business (pull.c). Proxies are libcurl's: it reads http_proxy, https_proxy and no_proxy. */
#ifndef EG_FETCH_H
#define EG_FETCH_H

#include "base/base.h"

typedef struct {
    const char *url;  /* http:// or https:// (also when nothing stands in front) */
    const char *path; /* target; PATH.part and PATH.part.info lie beside it while it is under way */
    const char *label;  /* stage of the progress events */
    const char *sha256; /* 8 to 64 lower-case hex digits: what the file's SHA-256 begins with */
    uint64_t
        about_bytes; /* its size as published, perhaps rounded; 0: not known. An answer of another size (more than
                           * 2 % and 1 MiB away) is refused before a byte of it is kept. */
    const char *ca_file; /* PEM file of trusted certificates; NULL: the system's */
    int stall_seconds;   /* a connection that brings nothing for so long is given up; 0: 30 */
    int retries; /* new connections in a row that bring nothing more; 0: none after a break */
} eg_fetch_request;

typedef struct {
    char sha256[65];     /* of the file that is now at `path` */
    uint64_t n_bytes;    /* its size */
    uint64_t kept_bytes; /* of these, already there from an earlier call */
    int n_connections;   /* requests it took */
} eg_fetch_result;

/* Get r->url to r->path. Bytes are collected in PATH.part; after a break (in this call or an earlier one) the rest is
 * asked for by Range, guarded by ETag or Last-Modified where the server gives one. Only a file whose SHA-256 begins
 * with r->sha256 is synced and renamed to r->path, so that `path` is always the old file or the whole new one.
 * Events: notes and EG_PROGRESS_FETCH; ev->stop is looked at about once a second. Errors, with the bytes so far kept
 * unless said otherwise:
 *   EG_ERR_IO          no network, a server that answers with an error, breaks off or stalls; a full disk
 *   EG_ERR_NOT_FOUND   404, 410
 *   EG_ERR_MISMATCH    a web page or a file of another size or SHA-256 (nothing of it is kept)
 *   EG_ERR_USAGE       not a http or https address
 *   EG_ERR_INTERRUPTED ev->stop                                                                               */
eg_status eg_fetch_file(eg_fetch_result *out, const eg_fetch_request *r, const eg_events *ev,
                        eg_error *err);
/* The address as it may be shown and stored: without user, password and query, which may be secrets. */
void eg_fetch_shown_url(char *out, size_t size, const char *url);

#endif
