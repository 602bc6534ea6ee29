/* The file that a download grows in. It belongs to one process at a time (flock); its size is the
 * number of bytes that came; room that was reserved behind them is given back on closing. The info
 * file is a hint only: with a wrong or missing one the SHA-256 at the end still decides. Knows no
 * HTTP. Read first: part_file.h. */
#include "fetch/part_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char INFO_HEAD[] = "engraft-part 1";

static eg_status fail_disk(eg_error *err, const eg_part_file *part, const char *what, int code) {
    char reason[128];
    bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
    return eg_fail(err, EG_ERR_IO, "%s: %s: %s - %llu bytes are kept there; %s", part->path, what,
                   strerror_r(code, reason, sizeof reason), (unsigned long long)part->n_bytes,
                   full ? "free space and run the same command again, it goes on from there"
                        : "check the folder and its permissions, then run the same command again");
}

/* Take lines "head", url hash, total, validator; anything else counts as no info. */
static void read_info(eg_part_file *part) {
    eg_file_view view;
    char text[512], url[65] = "", validator[EG_VALIDATOR_BYTES] = "";
    unsigned long long total = 0;
    if (eg_file_open(&view, part->info_path, sizeof text - 1, NULL) != EG_OK) return;
    if (view.size > 0) memcpy(text, view.data, view.size);
    text[view.size] = '\0';
    eg_file_close(&view);
    size_t head = strlen(INFO_HEAD);
    if (strncmp(text, INFO_HEAD, head) != 0) return;
    int n = sscanf(text + head, "\n%64[0-9a-f]\n%llu\n%255[^\n]", url, &total, validator);
    if (n < 2) return;
    part->total = total;
    /* another server's ETag means nothing to this one */
    if (n == 3 && strcmp(url, part->url_sha256) == 0)
        memcpy(part->validator, validator, sizeof validator);
}

static eg_status open_and_lock(eg_part_file *part, eg_error *err) {
    struct stat st;
    /* no symbolic link: in a folder that others write to, it could name any file of the user */
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
    part->fd = open(part->path, flags, 0666);
    if (part->fd < 0 && errno == ELOOP)
        return eg_fail(err, EG_ERR_IO, "%s: is a symbolic link - move it away", part->path);
    if (part->fd < 0 || fstat(part->fd, &st) != 0)
        return fail_disk(err, part, "cannot be made", errno);
    if (!S_ISREG(st.st_mode))
        return eg_fail(err, EG_ERR_IO, "%s: is not a regular file - move it away", part->path);
    if (flock(part->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return eg_fail(err, EG_ERR_IO,
                       "%s: another process is downloading this file - wait for it, or stop it",
                       part->path);
    /* behind the lock: the other process may have added to it, or finished and renamed it */
    struct stat there;
    if (fstat(part->fd, &st) != 0 || stat(part->path, &there) != 0 || there.st_ino != st.st_ino ||
        there.st_dev != st.st_dev)
        return eg_fail(err, EG_ERR_IO, "%s: another process has just finished it - run again",
                       part->path);
    part->n_bytes = part->kept_bytes = (uint64_t)st.st_size;
    if (lseek(part->fd, 0, SEEK_END) < 0) return fail_disk(err, part, "cannot be used", errno);
    return EG_OK;
}

eg_status eg_fetch_part_open(eg_part_file *out, const char *target, const char *url,
                             eg_error *err) {
    eg_part_file part = {.path = eg_format("%s.part", target),
                         .info_path = eg_format("%s.part.info", target),
                         .fd = -1};
    eg_status status = EG_OK;
    eg_sha256_hex(part.url_sha256, url, strlen(url));
    if (!part.path || !part.info_path)
        status = eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", target);
    if (status == EG_OK) status = open_and_lock(&part, err);
    if (status == EG_OK) {
        if (part.n_bytes > 0) read_info(&part);
        *out = part;
        return EG_OK;
    }
    if (part.fd >= 0) close(part.fd);
    eg_free(part.path);
    eg_free(part.info_path);
    return status;
}

void eg_fetch_part_describe(eg_part_file *part, uint64_t total, const char *validator) {
    char text[512];
    struct stat st;
    part->total = total;
    snprintf(part->validator, sizeof part->validator, "%s", validator);
    int n = snprintf(text, sizeof text, "%s\n%s\n%llu\n%s\n", INFO_HEAD, part->url_sha256,
                     (unsigned long long)total, part->validator);
    eg_part all = {text, (size_t)n};
    /* writing would follow a link, as for the user's own files */
    if (lstat(part->info_path, &st) == 0 && !S_ISREG(st.st_mode)) unlink(part->info_path);
    (void)eg_file_write_atomic(part->info_path, &all, 1, NULL);
}

eg_status eg_fetch_part_reserve(eg_part_file *part, uint64_t total, eg_error *err) {
    if (total <= part->n_bytes || total > INT64_MAX) return EG_OK;
    int code = 0;
    do {
        code = fallocate(part->fd, FALLOC_FL_KEEP_SIZE, (off_t)part->n_bytes,
                         (off_t)(total - part->n_bytes)) == 0
                   ? 0
                   : errno;
    } while (code == EINTR);
    /* a file system that cannot reserve shows a full disk while writing */
    if (code != ENOSPC && code != EDQUOT) return EG_OK;
    char what[64];
    snprintf(what, sizeof what, "no room for the %llu bytes that are to come",
             (unsigned long long)(total - part->n_bytes));
    return fail_disk(err, part, what, code);
}

eg_status eg_fetch_part_append(eg_part_file *part, const void *data, size_t n, eg_error *err) {
    const char *p = data;
    while (n > 0) {
        ssize_t done = write(part->fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return fail_disk(err, part, "cannot write", done < 0 ? errno : EIO);
        part->n_bytes += (uint64_t)done;
        p += done;
        n -= (size_t)done;
    }
    return EG_OK;
}

eg_status eg_fetch_part_restart(eg_part_file *part, eg_error *err) {
    part->n_bytes = part->kept_bytes = part->total = 0;
    part->validator[0] = '\0';
    unlink(part->info_path);
    if (ftruncate(part->fd, 0) != 0 || lseek(part->fd, 0, SEEK_SET) < 0)
        return fail_disk(err, part, "cannot be emptied", errno);
    return EG_OK;
}

eg_status eg_fetch_part_finish(eg_part_file *part, const char *target, eg_error *err) {
    eg_status status = EG_OK;
    if (ftruncate(part->fd, (off_t)part->n_bytes) != 0 || fsync(part->fd) != 0)
        status = fail_disk(err, part, "cannot sync", errno);
    if (status == EG_OK) status = eg_file_rename(part->path, target, err);
    if (status == EG_OK) unlink(part->info_path);
    close(part->fd); /* after the rename: the lock covers it */
    part->fd = -1;
    return status;
}

void eg_fetch_part_close(eg_part_file *part, bool discard) {
    if (part->fd >= 0) {
        if (discard || part->n_bytes == 0) {
            unlink(part->path);
            unlink(part->info_path);
        } else {
            /* gives reserved room back; when it cannot, the room stays with the file */
            (void)!ftruncate(part->fd, (off_t)part->n_bytes);
        }
        close(part->fd);
    }
    eg_free(part->path);
    eg_free(part->info_path);
    *part = (eg_part_file){.fd = -1};
}
