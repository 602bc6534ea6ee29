/* Paths and small questions to the system: folders, joins, clock, peak memory. No file content here
 * (file.c). */
#include "base/base.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

/* Both follow links: a link to a folder is a folder, a dangling link does not exist. */
bool eg_path_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

bool eg_path_is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* As os.path.join: an absolute `b` stands alone, an empty `a` adds nothing. */
char *eg_path_join(const char *a, const char *b) {
    size_t n = strlen(a);
    if (n == 0 || b[0] == '/') return eg_strdup(b);
    return eg_format(a[n - 1] == '/' ? "%s%s" : "%s/%s", a, b);
}

/* One folder; being there already is success. */
static eg_status make_one(const char *path, eg_error *err) {
    if (mkdir(path, 0777) == 0) return EG_OK;
    int reason_code = errno;
    if (eg_path_is_dir(path)) return EG_OK; /* was there, or another process was faster */
    char reason[128];
    const char *text = strerror_r(reason_code, reason, sizeof reason);
    if (reason_code == EEXIST) text = "a file of this name is in the way";
    return eg_fail(err, EG_ERR_IO, "%s: cannot make the folder: %s", path, text);
}

/* Every prefix that ends before a slash, then the whole. */
eg_status eg_dir_make(const char *path, eg_error *err) {
    if (path[0] == 0) return eg_fail(err, EG_ERR_IO, "cannot make a folder with an empty name");
    char *part = eg_strdup(path);
    if (part == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", path);
    eg_status status = EG_OK;
    for (char *p = part + 1; *p != 0 && status == EG_OK; p++) {
        if (*p != '/') continue;
        *p = 0;
        status = make_one(part, err);
        *p = '/';
    }
    if (status == EG_OK) status = make_one(part, err);
    eg_free(part);
    return status;
}

/* Monotonic, so that a clock set back while training gives no negative time. */
double eg_time_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

size_t eg_process_peak_bytes(void) {
    FILE *file = fopen("/proc/self/status", "re");
    unsigned long kib = 0;
    if (file != NULL) {
        char line[256];
        while (fgets(line, sizeof line, file) != NULL) {
            if (sscanf(line, "VmHWM: %lu kB", &kib) == 1) break;
        }
        fclose(file);
    }
    if (kib == 0) { /* no /proc: the kernel's own count, in KiB on Linux */
        struct rusage usage;
        if (getrusage(RUSAGE_SELF, &usage) == 0) kib = (unsigned long)usage.ru_maxrss;
    }
    return (size_t)kib << 10;
}
