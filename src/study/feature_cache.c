/* Rows of numbers about images in a folder of files that are written once, whole, and never changed: two
 * processes cannot spoil each other's, and a kill leaves no half one (eg_file_write_atomic). A file is
 *   magic (16 bytes) | u64 width | u64 n | key (64 hex digits) | n contents (64 each) | n x width float32 |
 *   SHA-256 of all before (64)
 * in this machine's byte order, and is called <half the key>-<start of that SHA-256>.rows. What the rows mean
 * is the caller's business. Read first: feature_cache.h; then eg_study_rows_find, eg_study_rows_keep. */
#include "study/feature_cache.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char MAGIC[16] = "engraft rows 1\n";
static const char SUFFIX[] = ".rows";
enum { DIGITS = 64, HEAD = 16 + 8 + 8 + DIGITS, NAME_KEY = 32 };
#define FILE_BYTES  ((size_t)8 << 20)
#define STALE_HOURS 24 /* a temporary file this old has no process behind it */

eg_row_cache eg_study_row_cache(const eg_options *o, const eg_events *ev) {
    bool wanted = !o->no_feature_cache && o->feature_cache && *o->feature_cache;
    return (eg_row_cache){.folder = wanted ? o->feature_cache : NULL, .ev = ev};
}

void eg_study_row_key(char key[EG_ROW_KEY], const char *text) {
    eg_sha256_hex(key, text, strlen(text));
}

size_t eg_study_rows_per_file(size_t width) {
    size_t n = FILE_BYTES / (DIGITS + width * sizeof(float));
    return n > 0 ? n : 1;
}

static bool has_suffix(const char *name) {
    size_t n = strlen(name), suffix = sizeof SUFFIX - 1;
    return n > suffix && strcmp(name + n - suffix, SUFFIX) == 0;
}

static void complain(eg_row_cache *cache, const char *what, const char *reason) {
    if (!cache->complained)
        eg_study_note(cache->ev, "cache of features: %s (%s): goes on without it", what, reason);
    cache->complained = true;
}

/* ---- finding ---- */

/* Positions of the wanted images, sorted by content. */
typedef struct {
    eg_image_rows *rows;
    uint32_t *order; /* (n) */
    size_t n, found;
} wanted;

static const char *content_of(const eg_image_rows *rows, uint32_t position) {
    return rows->ds->samples[rows->indices[position]].content;
}

static int by_content(const void *a, const void *b, void *context) {
    const eg_image_rows *rows = context;
    return strcmp(content_of(rows, *(const uint32_t *)a), content_of(rows, *(const uint32_t *)b));
}

/* First place of the order whose content is not below `content`. */
static size_t place_of(const wanted *w, const char *content) {
    size_t low = 0, high = w->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strncmp(content_of(w->rows, w->order[middle]), content, DIGITS) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A file's parts, checked: size, key, checksum. */
typedef struct {
    size_t n;
    const char *contents; /* (n, DIGITS) */
    const float *rows;    /* (n, width) */
} row_file;

static bool parse(row_file *out, const eg_file_view *view, const char *key, size_t width) {
    uint64_t shape[2];
    size_t row, body;
    char sum[65];
    if (view->size < HEAD + DIGITS || memcmp(view->data, MAGIC, sizeof MAGIC) != 0) return false;
    memcpy(shape, view->data + 16, sizeof shape);
    if (shape[0] != width || memcmp(view->data + 32, key, DIGITS) != 0) return false;
    row = DIGITS + width * sizeof(float);
    if (!eg_mul(&body, shape[1], row) || body != view->size - HEAD - DIGITS) return false;
    eg_sha256_hex(sum, view->data, view->size - DIGITS);
    if (memcmp(sum, view->data + view->size - DIGITS, DIGITS) != 0) return false;
    out->n = shape[1];
    out->contents = (const char *)view->data + HEAD;
    /* HEAD and DIGITS are multiples of 4 and a view starts a page: aligned */
    out->rows = (const float *)(const void *)(out->contents + out->n * DIGITS);
    return true;
}

/* Copy what is wanted of a file; returns whether anything was. */
static bool take_rows(wanted *w, const row_file *file) {
    const eg_image_rows *rows = w->rows;
    size_t before = w->found;
    for (size_t i = 0; i < file->n; i++) {
        const char *content = file->contents + i * DIGITS;
        for (size_t k = place_of(w, content); k < w->n; k++) {
            uint32_t position = w->order[k];
            if (strncmp(content_of(rows, position), content, DIGITS) != 0) break;
            if (rows->have[position]) continue;
            memcpy(rows->rows + position * rows->width, file->rows + i * rows->width,
                   rows->width * sizeof(float));
            rows->have[position] = true;
            w->found++;
        }
    }
    return w->found > before;
}

static void read_file(wanted *w, eg_row_cache *cache, const char *name, const char *key) {
    char *path = eg_path_join(cache->folder, name);
    eg_file_view view = {0};
    row_file file;
    if (path && eg_file_open(&view, path, EG_ROW_CACHE_BYTES, NULL) == EG_OK) {
        if (!parse(&file, &view, key, w->rows->width)) {
            eg_study_note(cache->ev,
                          "cache of features: %s is damaged: removed, its rows are computed again",
                          path);
            unlink(path);
        } else if (take_rows(w, &file)) {
            utimensat(AT_FDCWD, path, NULL, 0); /* used just now: the last to go */
        }
        eg_file_close(&view);
    }
    eg_free(path);
}

eg_status eg_study_rows_find(size_t *found, eg_image_rows *rows, eg_row_cache *cache,
                             const char *key, eg_error *err) {
    char reason[128];
    *found = 0;
    if (!cache->folder || rows->n == 0) return EG_OK;
    DIR *folder = opendir(cache->folder);
    if (!folder) {
        if (errno != ENOENT)
            complain(cache, cache->folder, strerror_r(errno, reason, sizeof reason));
        return EG_OK;
    }
    wanted w = {rows, eg_malloc(rows->n * sizeof(uint32_t)), 0, 0};
    for (size_t i = 0; w.order && i < rows->n; i++)
        if (!rows->have[i] && content_of(rows, (uint32_t)i)[0]) w.order[w.n++] = (uint32_t)i;
    if (w.order) qsort_r(w.order, w.n, sizeof *w.order, by_content, rows);
    for (struct dirent *entry; w.order && (entry = readdir(folder));)
        if (strncmp(entry->d_name, key, NAME_KEY) == 0 && has_suffix(entry->d_name))
            read_file(&w, cache, entry->d_name, key);
    closedir(folder);
    *found = w.found;
    bool ok = w.order != NULL;
    eg_free(w.order);
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for cached rows");
}

/* ---- keeping ---- */

/* One file of the folder, for the choice of what goes. */
typedef struct {
    char *name; /* owned */
    size_t bytes;
    int64_t used; /* ns since 1970 */
} kept_file;

static int64_t nanoseconds(struct timespec t) {
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_age(const void *a, const void *b) {
    const kept_file *x = a, *y = b;
    if (x->used != y->used) return x->used < y->used ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* A temporary that eg_file_write_atomic left behind when its process was killed. */
static bool is_stale(const char *name, int64_t used) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return name[0] == '.' && strstr(name, ".rows.tmp.") &&
           nanoseconds(now) - used > (int64_t)STALE_HOURS * 3600 * 1000000000;
}

/* The files of the folder; entries of `*list` are the caller's to free. Without memory: fewer. */
static size_t list_files(kept_file **list, DIR *folder) {
    size_t n = 0, capacity = 0;
    *list = NULL;
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct stat st;
        const char *name = entry->d_name;
        if (fstatat(dirfd(folder), name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (is_stale(name, nanoseconds(st.st_mtim))) unlinkat(dirfd(folder), name, 0);
        if (name[0] == '.' || !has_suffix(name)) continue;
        if (n == capacity) {
            size_t more = capacity ? 2 * capacity : 64;
            kept_file *grown = eg_realloc(*list, n * sizeof *grown, more * sizeof *grown);
            if (!grown) break;
            *list = grown;
            capacity = more;
        }
        (*list)[n] = (kept_file){eg_strdup(name), (size_t)st.st_size, nanoseconds(st.st_mtim)};
        if ((*list)[n].name) n++;
    }
    return n;
}

/* Bring the folder below its limits, the files used longest ago first. Another process may do the same: a file
 * that is gone already is as good. */
static void make_room(const eg_row_cache *cache) {
    DIR *folder = opendir(cache->folder);
    if (!folder) return;
    kept_file *list;
    size_t n = list_files(&list, folder), total = 0, left = n;
    size_t limit = cache->limit_bytes ? cache->limit_bytes : EG_ROW_CACHE_BYTES;
    if (n > 0) qsort(list, n, sizeof *list, by_age);
    for (size_t i = 0; i < n; i++) total += list[i].bytes;
    for (size_t i = 0; i < n; i++) {
        if (total > limit || left > EG_ROW_CACHE_FILES) {
            unlinkat(dirfd(folder), list[i].name, 0);
            total -= list[i].bytes;
            left--;
        }
        eg_free(list[i].name);
    }
    eg_free(list);
    closedir(folder);
}

/* The clock of files ticks in steps of up to 10 ms, so a write just after the hash may look older than it. */
#define TICK_NS ((int64_t)20 * 1000000)

/* The image still is what was hashed: a file that changed meanwhile would give its features to the old content.
 * The change time moves with every write and rename, and no program can set it back. */
static bool unchanged(const eg_dataset *ds, uint32_t index) {
    struct stat st;
    if (ds->samples[index].row >= 0) return true; /* of an .npz: in memory since it was opened */
    char *path = eg_dataset_path(ds, index);
    bool same = path && stat(path, &st) == 0 && nanoseconds(st.st_ctim) < ds->hashed_at - TICK_NS;
    eg_free(path);
    return same;
}

/* The bytes of a file with the kept of positions[0 .. n); NULL: no memory. *n_kept 0: none is worth it. */
static char *make_file(size_t *size, size_t *n_kept, const char *key, const eg_image_rows *rows,
                       const uint32_t *positions, size_t n) {
    size_t row = rows->width * sizeof(float), most = HEAD + n * (DIGITS + row) + DIGITS + 1;
    uint32_t *kept = eg_malloc(n * sizeof *kept);
    char *data = kept ? eg_malloc(most) : NULL;
    *n_kept = 0;
    for (size_t i = 0; data && i < n; i++) {
        if (content_of(rows, positions[i])[0] && unchanged(rows->ds, rows->indices[positions[i]]))
            kept[(*n_kept)++] = positions[i];
    }
    if (data) {
        uint64_t shape[2] = {rows->width, *n_kept};
        memcpy(data, MAGIC, sizeof MAGIC);
        memcpy(data + 16, shape, sizeof shape);
        memcpy(data + 32, key, DIGITS);
        char *contents = data + HEAD, *values = contents + *n_kept * DIGITS;
        for (size_t i = 0; i < *n_kept; i++) {
            memcpy(contents + i * DIGITS, content_of(rows, kept[i]), DIGITS);
            memcpy(values + i * row, rows->rows + kept[i] * rows->width, row);
        }
        char *end = values + *n_kept * row; /* DIGITS and the NUL that comes with them fit */
        eg_sha256_hex(end, data, (size_t)(end - data));
        *size = (size_t)(end - data) + DIGITS;
    }
    eg_free(kept);
    return data;
}

static bool make_folder(eg_row_cache *cache) {
    eg_error err = {0};
    if (eg_path_is_dir(cache->folder)) return true;
    if (eg_dir_make(cache->folder, &err) == EG_OK) {
        chmod(cache->folder, 0700); /* numbers about patients' images: the user's alone */
        return true;
    }
    complain(cache, cache->folder, err.text);
    return false;
}

static bool keep_file(eg_row_cache *cache, const char *key, const eg_image_rows *rows,
                      const uint32_t *positions, size_t n) {
    size_t size, n_kept;
    eg_error err = {.text = "out of memory"};
    char *data = make_file(&size, &n_kept, key, rows, positions, n);
    char *path = data ? eg_format("%s/%.*s-%.16s%s", cache->folder, NAME_KEY, key,
                                  data + size - DIGITS, SUFFIX)
                      : NULL;
    bool ok = path != NULL;
    if (ok && n_kept > 0) ok = eg_file_write_atomic(path, &(eg_part){data, size}, 1, &err) == EG_OK;
    if (!ok) complain(cache, "nothing is kept", err.text);
    eg_free(path);
    eg_free(data);
    return ok;
}

void eg_study_rows_keep(eg_row_cache *cache, const char *key, const eg_image_rows *rows,
                        const uint32_t *positions, size_t n) {
    size_t most = eg_study_rows_per_file(rows->width);
    if (!cache->folder || n == 0 || cache->complained || !make_folder(cache)) return;
    for (size_t done = 0; done < n; done += most) {
        size_t now = n - done < most ? n - done : most;
        if (!keep_file(cache, key, rows, positions + done, now)) return;
    }
    make_room(cache);
}
