/* Private to the fetch room: one HTTP request and what came of it. */
#ifndef EG_FETCH_EXCHANGE_H
#define EG_FETCH_EXCHANGE_H

#include "fetch/part_file.h"

typedef enum {
    EG_EXCHANGE_DONE,    /* as far as the server says, the whole file is in the part */
    EG_EXCHANGE_AGAIN,   /* broke off, stalled, or the server is busy: what came is kept */
    EG_EXCHANGE_RESTART, /* the bytes that are there are no beginning of what the server has */
    EG_EXCHANGE_FAILED   /* trying again is of no use */
} eg_exchange_outcome;

/* Ask for the rest of the file (all of it, when the part is empty) and add it to the part. `err` is
 * set for every outcome but DONE. `reached`: the server has answered before in this call, so that a
 * name that cannot be found now is a break and no mistake; set to true when it answers. */
eg_exchange_outcome eg_fetch_exchange(eg_part_file *part, const eg_fetch_request *r, bool *reached,
                                      const eg_events *ev, eg_error *err);

/* ---- texts for the user (explain.c) ---- */

/* Host of an address, for messages; "" when it is none. */
void eg_fetch_host(char *out, size_t size, const char *url);
/* An HTTP status that is no success. */
eg_exchange_outcome eg_fetch_explain_http(long code, const char *url, eg_error *err);
/* A transfer that curl gave up. `at_url`: where redirects had led; `detail`: curl's own words. */
eg_exchange_outcome eg_fetch_explain_curl(int curl_code, const eg_fetch_request *r,
                                          const char *at_url, const char *detail, bool reached,
                                          const eg_part_file *part, eg_error *err);
/* "23.4 of 97.8 MB" or "23.4 MB" */
void eg_fetch_amount(char *out, size_t size, const eg_part_file *part);

#endif
