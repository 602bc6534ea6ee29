/* Private to the fetch room: the file that a download grows in, PATH.part, and the few lines beside
 * it, PATH.part.info, that tell a later call what the bytes are a beginning of. */
#ifndef EG_FETCH_PART_FILE_H
#define EG_FETCH_PART_FILE_H

#include "fetch/fetch.h"

enum { EG_VALIDATOR_BYTES = 256 };

typedef struct {
    char *path, *info_path;
    char url_sha256[65]; /* the address may hold a password, so the info file keeps its hash only */
    int fd;              /* locked as long as it is open; -1: closed */
    uint64_t n_bytes;    /* on the disk so far */
    uint64_t kept_bytes; /* of these, from an earlier call; restarting makes it 0 */
    uint64_t total;      /* size of the whole file as the server said; 0: not known */
    char validator[EG_VALIDATOR_BYTES]; /* strong ETag or Last-Modified, as sent; "": none */
} eg_part_file;

/* Open or make PATH.part for the download of `url` and read what is known about it. A beginning
 * that came from another address keeps its bytes and its total, but no validator. EG_ERR_IO: cannot
 * be made, or another process is downloading to it. */
eg_status eg_fetch_part_open(eg_part_file *out, const char *target, const char *url, eg_error *err);
/* Remember what the server said about the file, for the next call. Only a hint: that the disk
 * refuses it is no failure. */
void eg_fetch_part_describe(eg_part_file *part, uint64_t total, const char *validator);
/* Reserve the room up to `total` without changing the size: a full disk shows before the wait. */
eg_status eg_fetch_part_reserve(eg_part_file *part, uint64_t total, eg_error *err);
eg_status eg_fetch_part_append(eg_part_file *part, const void *data, size_t n, eg_error *err);
/* Back to no bytes, nothing known. */
eg_status eg_fetch_part_restart(eg_part_file *part, eg_error *err);
/* Sync and rename to `target`, remove the info file. The part is closed, also after a failure. */
eg_status eg_fetch_part_finish(eg_part_file *part, const char *target, eg_error *err);
/* Close and keep what is there; with no bytes, or with `discard`, both files go. Safe after finish
 * and after a failed open. */
void eg_fetch_part_close(eg_part_file *part, bool discard);

#endif
