/* Opens every image once, on all threads, and lists those that cannot be decoded, so that a run
 * is refused before it starts and not in its third epoch. Decodes fully (a truncated JPEG has a
 * sound header); keeps no pixel. The list has the order of the indices, whatever thread found
 * what. An image whose size somebody knows already (from a cache of earlier checks, by its
 * content) is not opened again. Read dataset.c first. */
#include "data/dataset.h"

#include <string.h>
#include <time.h>

/* Images between two reports: about a tenth of a second of work. */
#define CHUNK 64

typedef struct {
    const eg_dataset *ds;
    const uint32_t *indices;         /* of this chunk */
    char *reasons[CHUNK];            /* NULL: sound */
    int width[CHUNK], height[CHUNK]; /* pixels; 0: not decoded */
    eg_status failures[CHUNK];       /* what ends the whole check; EG_OK: nothing */
} chunk;

/* Without the path in front, which the list gives separately. */
static const char *reason_in(const char *text, const char *path) {
    size_t n = strlen(path);
    return strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

/* One image; writes to place i only, so the result does not depend on the threads. */
static void check_one(void *context, int i) {
    chunk *c = context;
    eg_error err = {0};
    eg_image image = {0};
    const eg_sample *sample = &c->ds->samples[c->indices[i]];
    c->reasons[i] = NULL;
    c->width[i] = sample->width;
    c->height[i] = sample->height;
    c->failures[i] = EG_OK;
    if (sample->width > 0) return;
    char *path = eg_dataset_path(c->ds, c->indices[i]);
    if (!path) c->failures[i] = EG_ERR_NO_MEMORY;
    if (!path) return;
    eg_status status = eg_dataset_image(&image, c->ds, c->indices[i], &err);
    eg_image_info info = {.width = image.width, .height = image.height};
    if (status == EG_OK && c->ds->image_options.min_side > 0) // decoded small: the true size
        status = eg_image_probe(&info, path, NULL, 0, &err);
    c->width[i] = status == EG_OK ? info.width : 0;
    c->height[i] = status == EG_OK ? info.height : 0;
    eg_image_free(&image);
    if (status == EG_ERR_NO_MEMORY || status == EG_ERR_INTERNAL) {
        c->failures[i] = status; // our trouble, not the file's
    } else if (status != EG_OK) {
        c->reasons[i] = eg_strdup(reason_in(err.text, path));
        if (!c->reasons[i]) c->failures[i] = EG_ERR_NO_MEMORY;
    }
    eg_free(path);
}

/* Move the findings of a chunk into the list; frees the reasons in any case. */
static eg_status collect(json_t *list, chunk *c, size_t n, eg_error *err) {
    eg_status status = EG_OK;
    for (size_t i = 0; i < n; i++) {
        const char *file = c->ds->samples[c->indices[i]].file;
        if (status == EG_OK && c->failures[i] != EG_OK)
            status = eg_fail(err, c->failures[i], "%s: %s: %s while checking", c->ds->path, file,
                             eg_status_text(c->failures[i]));
        if (c->reasons[i] && status == EG_OK) {
            json_t *item = json_object();
            json_t *name = json_string(file); // valid UTF-8: the scan saw to it
            json_t *reason = json_string(c->reasons[i]);
            if (!reason) reason = json_string("cannot be decoded"); // a reason with odd bytes
            if (json_object_set_new(item, "file", name) != 0 ||
                json_object_set_new(item, "reason", reason) != 0 ||
                json_array_append(list, item) != 0)
                status = eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", c->ds->path);
            json_decref(item);
        }
        eg_free(c->reasons[i]);
    }
    return status;
}

static bool all_known(const eg_dataset *ds, const uint32_t *indices, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (ds->samples[indices[i]].width == 0) return false;
    return true;
}

/* Sizes into the samples, and the size all images share so far: 0 x 0 before the first, -1 once
 * two differ. */
static void take_sizes(int *width, int *height, eg_dataset *ds, const chunk *c, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (c->width[i] == 0) continue;
        ds->samples[c->indices[i]].width = c->width[i];
        ds->samples[c->indices[i]].height = c->height[i];
        if (*width == 0) {
            *width = c->width[i];
            *height = c->height[i];
        } else if (*width != c->width[i] || *height != c->height[i]) {
            *width = *height = -1;
        }
    }
}

/* On the caller's thread, between two chunks. */
static void report(const eg_events *ev, const char *stage, size_t done, size_t n, double start) {
    if (!ev || !ev->progress) return;
    double seconds = eg_time_now() - start;
    double speed = seconds > 0 ? (double)done / seconds : 0;
    eg_progress p = {.kind = EG_PROGRESS_SCAN,
                     .stage = stage,
                     .step = (int64_t)done,
                     .n_steps = (int64_t)n,
                     .images_per_second = speed,
                     .eta_seconds = speed > 0 ? (double)(n - done) / speed : 0};
    ev->progress(ev->context, &p);
}

eg_status eg_dataset_check(json_t **bad, eg_dataset *ds, const uint32_t *indices, size_t n,
                           const eg_events *ev, eg_error *err) {
    json_t *list = json_array();
    if (!list) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", ds->path);
    double start = eg_time_now();
    eg_status status = EG_OK;
    chunk c = {.ds = ds};
    int width = 0, height = 0;
    for (size_t done = 0; done < n && status == EG_OK;) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        c.indices = indices + done;
        const bool known = all_known(ds, c.indices, count);
        eg_pool_run(check_one, &c, (int)count);
        status = collect(list, &c, count, err);
        take_sizes(&width, &height, ds, &c, count);
        done += count;
        if (status == EG_OK && !known) report(ev, "decode", done, n, start);
        if (status == EG_OK && ev && ev->stop && *ev->stop)
            status = eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while checking images");
    }
    if (status == EG_OK) {
        *bad = list;
        ds->width = width > 0 ? width : 0;
        ds->height = width > 0 ? height : 0;
    } else {
        json_decref(list);
    }
    return status;
}

typedef struct {
    eg_dataset *ds;
    const uint32_t *indices; /* of this chunk */
} hash_chunk;

/* A file that cannot be read stays without a hash: the check says what is wrong with it. Of an .npz the row's bytes. */
static void hash_one(void *context, int i) {
    const hash_chunk *c = context;
    eg_sample *sample = &c->ds->samples[c->indices[i]];
    if (sample->row >= 0) {
        size_t n;
        const uint8_t *row = eg_data_npz_row(&n, c->ds, c->indices[i]);
        eg_sha256_hex(sample->content, row, n);
        return;
    }
    char *path = eg_dataset_path(c->ds, c->indices[i]);
    if (!path || eg_sha256_file(sample->content, path, NULL) != EG_OK) sample->content[0] = '\0';
    eg_free(path);
}

eg_status eg_dataset_hash(eg_dataset *ds, const uint32_t *indices, size_t n, const eg_events *ev,
                          eg_error *err) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ds->hashed_at == 0) ds->hashed_at = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    double start = eg_time_now();
    for (size_t done = 0; done < n;) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        hash_chunk c = {ds, indices + done};
        eg_pool_run(hash_one, &c, (int)count);
        done += count;
        report(ev, "read", done, n, start);
        if (ev && ev->stop && *ev->stop)
            return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while reading images");
    }
    return EG_OK;
}
