/* Files: read-only views, crash-safe replacement, appended lines.
 *
 * eg_file_write_atomic is what checkpoints and results hang on: after a kill, a full disk or a
 * power loss the file is wholly old or wholly new. Order of its steps: temporary beside the target,
 * preallocate (a full disk shows before the first byte), write, fsync, rename, fsync of the folder.
 * A failed fsync is never tried again: the kernel may have dropped the pages. A view maps the file;
 * someone who cuts it short meanwhile kills the reader (SIGBUS). */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- views ---- */

/* Missing is the user's mistake in a name; everything else is the system's trouble. */
static eg_status fail_open(eg_error *err, const char *path, int code) {
    bool missing = code == ENOENT || code == ENOTDIR;
    char reason[128];
    return eg_fail(err, missing ? EG_ERR_NOT_FOUND : EG_ERR_IO, "%s: cannot open: %s", path,
                   strerror_r(code, reason, sizeof reason));
}

static eg_status map_fd(eg_file_view *out, int fd, const char *path, size_t max_bytes,
                        eg_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) return fail_open(err, path, errno);
    if (S_ISDIR(st.st_mode)) {
        return eg_fail(err, EG_ERR_INPUT, "%s: is a folder, expected a file", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return eg_fail(err, EG_ERR_INPUT, "%s: is not a regular file", path);
    }
    if ((uintmax_t)st.st_size > max_bytes) {
        return eg_fail(err, EG_ERR_LIMIT, "%s: %jd bytes, the limit here is %zu", path,
                       (intmax_t)st.st_size, max_bytes);
    }
    *out = (eg_file_view){0};
    if (st.st_size == 0) return EG_OK;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        eg_status status = errno == ENOMEM ? EG_ERR_NO_MEMORY : EG_ERR_IO;
        char reason[128];
        return eg_fail(err, status, "%s: cannot map: %s", path,
                       strerror_r(errno, reason, sizeof reason));
    }
    *out = (eg_file_view){.data = p, .size = (size_t)st.st_size};
    return EG_OK;
}

eg_status eg_file_open(eg_file_view *out, const char *path, size_t max_bytes, eg_error *err) {
    /* O_NONBLOCK: a named pipe called x.jpg is refused and not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return fail_open(err, path, errno);
    eg_status status = map_fd(out, fd, path, max_bytes, err);
    close(fd);
    return status;
}

void eg_file_close(eg_file_view *view) {
    if (view == NULL) return;
    if (view->data != NULL) munmap((void *)(uintptr_t)view->data, view->size);
    *view = (eg_file_view){0};
}

/* ---- crash-safe replacement ---- */

/* One replacement under way. */
typedef struct {
    const char *path; /* as the caller named it, for messages */
    char *target;     /* links resolved: the link stays a link */
    char *folder;     /* of target */
    char *temporary;  /* beside target; "" until created */
    int fd;           /* of temporary, -1 when closed */
    size_t n_bytes;
    bool had_old; /* target existed before */
    mode_t mode;  /* of the old file */
} replacement;

/* What the user can do about it. */
static const char *write_hint(int code) {
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return "free space and run again";
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
        return "check the folder and its permissions, and run again";
    default:
        return "check the disk and run again";
    }
}

/* Every failure before the rename: the old file, if any, is still whole. */
static eg_status fail_write(eg_error *err, const replacement *r, int code) {
    char reason[128];
    return eg_fail(err, EG_ERR_IO, "%s: cannot write %zu bytes: %s - %s; %s", r->path, r->n_bytes,
                   strerror_r(code, reason, sizeof reason),
                   r->had_old ? "the previous file is unchanged" : "no file was made",
                   write_hint(code));
}

/* Where the bytes go. A device or pipe must never be renamed over. */
static eg_status find_target(replacement *r, eg_error *err) {
    struct stat st;
    char resolved[PATH_MAX];
    const char *target = r->path;
    if (lstat(r->path, &st) == 0 && S_ISLNK(st.st_mode)) {
        if (realpath(r->path, resolved) == NULL) return fail_write(err, r, errno);
        target = resolved;
    }
    if (stat(target, &st) == 0) {
        if (!S_ISREG(st.st_mode)) {
            return eg_fail(err, EG_ERR_IO, "%s: is %s, cannot be replaced by a file", r->path,
                           S_ISDIR(st.st_mode) ? "a folder" : "not a regular file");
        }
        r->had_old = true;
        r->mode = st.st_mode & 0777;
    }
    const char *slash = strrchr(target, '/');
    r->target = eg_strdup(target);
    r->folder = slash == NULL     ? eg_strdup(".")
                : slash == target ? eg_strdup("/")
                                  : eg_strndup(target, (size_t)(slash - target));
    if (r->target == NULL || r->folder == NULL) {
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", r->path);
    }
    return EG_OK;
}

/* .NAME.tmp.PID. A leftover of a killed process that had our number (always 1 in a container) must
 * not block us for ever, and may be another container's: it is left alone and the next free name
 * taken. */
static eg_status make_temporary(replacement *r, eg_error *err) {
    const char *slash = strrchr(r->target, '/');
    const char *name = slash == NULL ? r->target : slash + 1;
    for (int attempt = 0; attempt < 100; attempt++) {
        eg_free(r->temporary);
        r->temporary =
            attempt == 0 ? eg_format("%s/.%s.tmp.%ld", r->folder, name, (long)getpid())
                         : eg_format("%s/.%s.tmp.%ld.%d", r->folder, name, (long)getpid(), attempt);
        if (r->temporary == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", r->path);
        r->fd = open(r->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (r->fd >= 0) {
            if (r->had_old) (void)fchmod(r->fd, r->mode); /* a courtesy, not a promise */
            return EG_OK;
        }
        if (errno != EEXIST) break;
    }
    return fail_write(err, r, errno);
}

/* All bytes or an errno; short writes and interruptions are gone on with. */
static int write_all(int fd, const void *data, size_t size) {
    const char *p = data;
    while (size > 0) {
        /* Linux writes at most 2^31 - 4096 bytes a call anyway. */
        ssize_t n = write(fd, p, size < ((size_t)1 << 30) ? size : (size_t)1 << 30);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return EIO;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Reserve, write, sync, close. On failure the caller removes the temporary. */
static eg_status fill_temporary(replacement *r, const eg_part *parts, size_t n_parts,
                                eg_error *err) {
    if (r->n_bytes > 0) {
        int code;
        do {
            code = posix_fallocate(r->fd, 0, (off_t)r->n_bytes);
        } while (code == EINTR);
        /* Not every file system can reserve; then the full disk shows while writing. */
        bool cannot = code == EOPNOTSUPP || code == EINVAL || code == ENOSYS;
        if (code != 0 && !cannot) return fail_write(err, r, code);
    }
    for (size_t i = 0; i < n_parts; i++) {
        int code = write_all(r->fd, parts[i].data, parts[i].size);
        if (code != 0) return fail_write(err, r, code);
    }
    if (fsync(r->fd) != 0) return fail_write(err, r, errno);
    int fd = r->fd;
    r->fd = -1;
    if (close(fd) != 0) return fail_write(err, r, errno);
    return EG_OK;
}

/* After the rename the new file is in place; without this the *name* could still be lost with the
 * power. */
static eg_status sync_folder(const char *path, const char *folder, eg_error *err) {
    int code = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) code = errno;
    if (fd >= 0) close(fd);
    /* a folder that may not be read, or a file system without folder sync: nothing more can be
     * done */
    if (code == 0 || code == EINVAL || code == EACCES) return EG_OK;
    char reason[128];
    return eg_fail(err, EG_ERR_IO, "%s: written, but its folder could not be synced: %s", path,
                   strerror_r(code, reason, sizeof reason));
}

eg_status eg_file_write_atomic(const char *path, const eg_part *parts, size_t n_parts,
                               eg_error *err) {
    replacement r = {.path = path, .fd = -1};
    for (size_t i = 0; i < n_parts; i++) {
        if (!eg_add(&r.n_bytes, r.n_bytes, parts[i].size) || r.n_bytes > INT64_MAX) {
            return eg_fail(err, EG_ERR_LIMIT, "%s: too large to write", path);
        }
    }
    eg_status status = find_target(&r, err);
    if (status == EG_OK) status = make_temporary(&r, err);
    bool made = status == EG_OK;
    if (status == EG_OK) status = fill_temporary(&r, parts, n_parts, err);
    if (status == EG_OK && rename(r.temporary, r.target) != 0) status = fail_write(err, &r, errno);
    if (made && status != EG_OK) {
        if (r.fd >= 0) close(r.fd);
        unlink(r.temporary);
    }
    if (status == EG_OK) status = sync_folder(path, r.folder, err);
    eg_free(r.target);
    eg_free(r.folder);
    eg_free(r.temporary);
    return status;
}

eg_status eg_file_rename(const char *from, const char *to, eg_error *err) {
    char reason[128];
    const char *slash = strrchr(to, '/');
    char *folder = slash == NULL ? eg_strdup(".") : eg_strndup(to, (size_t)(slash - to) + 1);
    if (folder == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", to);
    eg_status status = EG_OK;
    if (rename(from, to) != 0)
        status = eg_fail(err, EG_ERR_IO, "%s: cannot be renamed to %s: %s - it is kept as it is",
                         from, to, strerror_r(errno, reason, sizeof reason));
    if (status == EG_OK) status = sync_folder(to, folder, err);
    eg_free(folder);
    return status;
}

/* ---- appended lines ---- */

/* A line that does not fit on the disk is taken back, so that the next reader finds no half
 * line. */
static int append_line(int fd, const char *text) {
    struct stat st;
    if (fstat(fd, &st) != 0) return errno;
    size_t n = strlen(text);
    int code = write_all(fd, text, n);
    if (code == 0 && (n == 0 || text[n - 1] != '\n')) code = write_all(fd, "\n", 1);
    if (code != 0 && S_ISREG(st.st_mode) && ftruncate(fd, st.st_size) != 0) return code;
    if (code == 0 && S_ISREG(st.st_mode) && fdatasync(fd) != 0) code = errno;
    return code;
}

eg_status eg_file_append(const char *path, const char *text, eg_error *err) {
    char reason[128];
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return eg_fail(err, EG_ERR_IO, "%s: cannot open for appending: %s", path,
                       strerror_r(errno, reason, sizeof reason));
    }
    int code = append_line(fd, text);
    if (close(fd) != 0 && code == 0) code = errno;
    if (code == 0) return EG_OK;
    return eg_fail(err, EG_ERR_IO, "%s: cannot append a line: %s - the lines before it are kept",
                   path, strerror_r(code, reason, sizeof reason));
}
