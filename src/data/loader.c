/* The loader: threads of its own decode, augment and normalise images into a ring of batch slots
 * ahead of the consumer. Work is handed out one image at a time in epoch order; where an image
 * lands and what is done to it depend on its position and on (seed, epoch, sample) only, so the
 * batches are the same bits for any number of threads. One mutex guards all bookkeeping, three
 * conditions carry the waiting; nothing spins. Knows no network. Read `struct eg_loader`, then
 * work() (a thread) and eg_loader_next() (the consumer). */
#include "data/pixels.h"
#include "data/streams.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#define N_SLOTS          3 /* one with the consumer, two ahead */
#define MAX_AUTO_WORKERS 4
#define MAX_WORKERS      256

typedef struct {
    float *pixels;     /* (batch_size, crop, crop, 3) */
    int32_t *labels;   /* (batch_size) */
    uint32_t *indices; /* (batch_size) */
    size_t n_done;     /* images finished, with or without success */
    size_t failed_at;  /* position in the batch of `error`; SIZE_MAX: none */
    eg_error error;    /* of the first image in order that failed */
} slot;

/* A decoded image (augmentation on) or a finished crop (off), kept over the epochs. */
typedef struct {
    uint8_t *pixels; /* NULL: not kept */
    int width, height, channels;
} kept_image;

typedef struct {
    eg_loader *loader;
    pthread_t thread;
    eg_data_scratch scratch;
    uint8_t *crop; /* (crop, crop, 3) */
    char *path;    /* root/file */
} worker;

struct eg_loader {
    /* fixed after eg_loader_new */
    eg_loader_options o;
    eg_augment augment;
    size_t n_batches, crop_floats, path_bytes;
    int n_workers; /* threads running */
    worker *workers;
    kept_image *kept; /* by position in o.indices; one thread touches an entry in an epoch */

    /* guarded by mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work_ready;  /* to the workers: a slot is free, an epoch began, or quit */
    pthread_cond_t batch_ready; /* to the consumer: a slot is full */
    pthread_cond_t idle;        /* to eg_loader_start: no worker is inside an image */
    uint32_t *order;            /* positions in o.indices, as this epoch visits them */
    uint32_t epoch;
    size_t next; /* next place of `order` to hand out */
    size_t end;  /* places to hand out: n, or 0 before the first epoch and while one is abandoned */
    size_t next_batch; /* batch that eg_loader_next gives next */
    size_t n_released; /* batches whose slots the consumer has given back */
    int n_active;      /* workers inside an image */
    size_t kept_bytes;
    bool quit;
    slot slots[N_SLOTS];
};

/* The last batch of an epoch may be short. */
static size_t batch_count(const eg_loader *l, size_t batch) {
    size_t first = batch * l->o.batch_size;
    return l->o.n - first < l->o.batch_size ? l->o.n - first : l->o.batch_size;
}

/* ---- one image ---- */

/* Copy into the cache while the budget lasts; without memory it is simply not kept. */
static void keep(eg_loader *l, kept_image *kept, const uint8_t *pixels, int width, int height,
                 int channels) {
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    pthread_mutex_lock(&l->mutex);
    bool fits = bytes <= l->o.cache_bytes - l->kept_bytes;
    if (fits) l->kept_bytes += bytes;
    pthread_mutex_unlock(&l->mutex);
    if (!fits) return;
    uint8_t *copy = eg_malloc(bytes);
    if (!copy) return;
    memcpy(copy, pixels, bytes);
    *kept = (kept_image){copy, width, height, channels};
}

/* Gray pictures saved as colour become one channel here: a third of the work and of the cache. */
static eg_status decode(eg_image *image, worker *w, const eg_sample *sample, eg_error *err) {
    const char *root = w->loader->o.dataset->root;
    snprintf(w->path, w->loader->path_bytes, "%s/%s", root, sample->file);
    EG_TRY(eg_image_read(image, w->path, &EG_IMAGE_LIMITS_DEFAULT, err));
    eg_data_collapse_gray(image);
    return EG_OK;
}

/* Without augmentation: the crop itself is kept, so that a later epoch only normalises. */
static eg_status load_plain(worker *w, kept_image *kept, const eg_sample *sample, eg_error *err) {
    eg_loader *l = w->loader;
    const eg_preprocess *p = &l->o.preprocess;
    const size_t n_pixels = (size_t)p->crop * (size_t)p->crop;
    int channels = kept->channels;
    if (kept->pixels) {
        memcpy(w->crop, kept->pixels, n_pixels * (size_t)channels);
    } else {
        eg_image image = {0};
        EG_TRY(decode(&image, w, sample, err));
        channels = image.channels;
        eg_status status = eg_data_fit(w->crop, &image, p, &w->scratch, err);
        eg_image_free(&image);
        if (status != EG_OK) return eg_error_in(err, status, w->path);
        keep(l, kept, w->crop, p->crop, p->crop, channels);
    }
    if (channels == 1) eg_data_replicate_gray(w->crop, n_pixels);
    return EG_OK;
}

/* With augmentation: the decoded image is kept, and each epoch draws anew. */
static eg_status load_augmented(worker *w, kept_image *kept, const eg_sample *sample,
                                uint32_t epoch, uint32_t index, eg_error *err) {
    eg_loader *l = w->loader;
    eg_image image = {kept->width, kept->height, kept->channels, kept->pixels};
    const bool was_kept = kept->pixels != NULL;
    if (!was_kept) {
        image = (eg_image){0};
        EG_TRY(decode(&image, w, sample, err));
        keep(l, kept, image.pixels, image.width, image.height, image.channels);
    }
    eg_data_augment_draw draw =
        eg_data_augment_sample(image.width, image.height, &l->augment, l->o.seed, epoch, index);
    eg_status status =
        eg_data_augment_apply(w->crop, &image, &l->o.preprocess, &draw, &w->scratch, err);
    if (!was_kept) eg_image_free(&image);
    if (status == EG_OK) return EG_OK;
    snprintf(w->path, l->path_bytes, "%s/%s", l->o.dataset->root, sample->file);
    return eg_error_in(err, status, w->path);
}

/* Image at `place` of the epoch into its slot. Runs without the mutex: nobody else touches this
 * part of the slot. */
static eg_status load_one(worker *w, slot *s, size_t at, uint32_t position, uint32_t epoch,
                          eg_error *err) {
    eg_loader *l = w->loader;
    uint32_t index = l->o.indices[position];
    const eg_sample *sample = &l->o.dataset->samples[index];
    kept_image *kept = &l->kept[position];
    s->labels[at] = sample->label;
    s->indices[at] = index;
    EG_TRY(l->o.augment ? load_augmented(w, kept, sample, epoch, index, err)
                        : load_plain(w, kept, sample, err));
    eg_normalize(s->pixels + at * l->crop_floats, w->crop, l->crop_floats / 3, &l->o.preprocess);
    return EG_OK;
}

/* ---- a worker ---- */

/* There is an image left, and its batch has a slot: the ring holds N_SLOTS batches from the first
 * that the consumer has not given back. */
static bool can_work(const eg_loader *l) {
    return l->next < l->end && l->next / l->o.batch_size < l->n_released + N_SLOTS;
}

/* A thread: takes the next image of the epoch, works on it without the mutex, books it. */
static void *work(void *argument) {
    worker *w = argument;
    eg_loader *l = w->loader;
    pthread_mutex_lock(&l->mutex);
    for (;;) {
        while (!l->quit && !can_work(l)) pthread_cond_wait(&l->work_ready, &l->mutex);
        if (l->quit) break;
        const size_t place = l->next++, batch = place / l->o.batch_size;
        const size_t at = place % l->o.batch_size;
        const uint32_t position = l->order[place], epoch = l->epoch;
        slot *s = &l->slots[batch % N_SLOTS];
        l->n_active++;
        pthread_mutex_unlock(&l->mutex);

        eg_error error = {.offset = -1};
        eg_status status = load_one(w, s, at, position, epoch, &error);

        pthread_mutex_lock(&l->mutex);
        if (status != EG_OK && at < s->failed_at) { // the first in order, not in time
            s->failed_at = at;
            s->error = error;
        }
        if (++s->n_done == batch_count(l, batch)) pthread_cond_signal(&l->batch_ready);
        if (--l->n_active == 0) pthread_cond_signal(&l->idle);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* ---- making and freeing ---- */

/* Decoding is light beside training: more threads would only take time from the compute. */
static int automatic_workers(void) {
    cpu_set_t allowed;
    int n = 1;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) n = CPU_COUNT(&allowed);
    return n < MAX_AUTO_WORKERS ? n : MAX_AUTO_WORKERS;
}

/* Everything but threads, mutex and conditions; fit for a loader that is only half made. */
static void free_memory(eg_loader *l) {
    for (size_t i = 0; l->kept && i < l->o.n; i++) eg_free(l->kept[i].pixels);
    for (int i = 0; l->workers && i < l->o.workers; i++) {
        eg_data_scratch_free(&l->workers[i].scratch);
        eg_free(l->workers[i].crop);
        eg_free(l->workers[i].path);
    }
    for (int i = 0; i < N_SLOTS; i++) {
        eg_free(l->slots[i].pixels);
        eg_free(l->slots[i].labels);
        eg_free(l->slots[i].indices);
    }
    eg_free(l->kept);
    eg_free(l->workers);
    eg_free(l->order);
    eg_free(l);
}

/* All that an epoch needs, once. False: no memory; what was got is freed by free_memory. */
static bool get_memory(eg_loader *l) {
    const size_t side = (size_t)l->o.preprocess.crop, n = l->o.n;
    bool ok = true;
    l->crop_floats = side * side * 3;
    for (int i = 0; i < N_SLOTS; i++) {
        slot *s = &l->slots[i];
        size_t floats, bytes;
        if (!eg_mul(&floats, l->crop_floats, l->o.batch_size) ||
            !eg_mul(&bytes, floats, sizeof(float)))
            return false;
        s->pixels = eg_malloc(bytes);
        s->labels = eg_calloc(l->o.batch_size, sizeof *s->labels);
        s->indices = eg_calloc(l->o.batch_size, sizeof *s->indices);
        ok = ok && s->pixels && s->labels && s->indices;
    }
    size_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(l->o.dataset->samples[l->o.indices[i]].file);
        if (length > longest) longest = length;
    }
    l->path_bytes = strlen(l->o.dataset->root) + 1 + longest + 1;
    l->order = eg_calloc(n, sizeof *l->order);
    l->kept = eg_calloc(n, sizeof *l->kept);
    l->workers = eg_calloc((size_t)l->o.workers, sizeof *l->workers);
    if (!ok || !l->order || !l->kept || !l->workers) return false;
    for (int i = 0; i < l->o.workers; i++) {
        worker *w = &l->workers[i];
        w->loader = l;
        w->crop = eg_malloc(l->crop_floats);
        w->path = eg_malloc(l->path_bytes);
        ok = ok && w->crop && w->path;
    }
    return ok;
}

/* Signals stay with the program's own threads, whose system calls they are meant to break off. */
static eg_status start_threads(eg_loader *l, eg_error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    while (l->n_workers < l->o.workers && failure == 0) {
        worker *w = &l->workers[l->n_workers];
        failure = pthread_create(&w->thread, NULL, work, w);
        if (failure == 0) l->n_workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0) return EG_OK;
    return eg_fail(err, EG_ERR_NO_MEMORY,
                   "loader: thread %d of %d could not be started: %s - try fewer "
                   "--workers",
                   l->n_workers + 1, l->o.workers, strerror(failure));
}

/* Before anything is allocated. */
static eg_status check_options(const eg_loader_options *o, eg_error *err) {
    if (o->n == 0)
        return eg_fail(err, EG_ERR_INPUT, "%s: no images to load in this split", o->dataset->root);
    if (o->batch_size == 0 || o->preprocess.crop < 1 || o->preprocess.crop > EG_DATA_MAX_SIDE_PX ||
        o->workers < 0 || o->workers > MAX_WORKERS)
        return eg_fail(err, EG_ERR_USAGE,
                       "loader: batch size %zu, crop %d px, %d workers (0 to %d)", o->batch_size,
                       o->preprocess.crop, o->workers, MAX_WORKERS);
    for (size_t i = 0; i < o->n; i++)
        if (o->indices[i] >= o->dataset->n_samples)
            return eg_fail(err, EG_ERR_INTERNAL, "loader: index %u of %zu samples", o->indices[i],
                           o->dataset->n_samples);
    return EG_OK;
}

eg_status eg_loader_new(eg_loader **out, const eg_loader_options *o, eg_error *err) {
    EG_TRY(check_options(o, err));
    eg_loader *l = eg_calloc(1, sizeof *l);
    if (!l) return eg_fail(err, EG_ERR_NO_MEMORY, "loader: out of memory");
    l->o = *o;
    if (o->augment) {
        l->augment = *o->augment; // a copy: the caller's may die before the loader
        l->o.augment = &l->augment;
    }
    if (l->o.workers == 0) l->o.workers = automatic_workers();
    if (l->o.batch_size > o->n) l->o.batch_size = o->n;
    l->n_batches = (o->n + l->o.batch_size - 1) / l->o.batch_size;
    if (!get_memory(l)) {
        free_memory(l);
        return eg_fail(err, EG_ERR_NO_MEMORY,
                       "loader: out of memory for %d batches of %zu images - try a smaller "
                       "--batch-size",
                       N_SLOTS, o->batch_size);
    }
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work_ready, NULL);
    pthread_cond_init(&l->batch_ready, NULL);
    pthread_cond_init(&l->idle, NULL);
    eg_status status = start_threads(l, err);
    if (status != EG_OK) {
        eg_loader_free(l);
        return status;
    }
    *out = l;
    return EG_OK;
}

void eg_loader_free(eg_loader *l) {
    if (!l) return;
    pthread_mutex_lock(&l->mutex);
    l->quit = true;
    pthread_cond_broadcast(&l->work_ready);
    pthread_mutex_unlock(&l->mutex);
    for (int i = 0; i < l->n_workers; i++) pthread_join(l->workers[i].thread, NULL);
    pthread_cond_destroy(&l->idle);
    pthread_cond_destroy(&l->batch_ready);
    pthread_cond_destroy(&l->work_ready);
    pthread_mutex_destroy(&l->mutex);
    free_memory(l);
}

/* ---- the consumer ---- */

/* Every worker gets the scratch that the hungriest needed so far, so that an image that changes
 * hands in a later epoch finds it large enough. Called while no worker is inside an image. */
static bool level_scratch(eg_loader *l) {
    size_t most = 0;
    for (int i = 0; i < l->n_workers; i++)
        if (l->workers[i].scratch.size_bytes > most) most = l->workers[i].scratch.size_bytes;
    for (int i = 0; i < l->n_workers; i++)
        if (!eg_data_scratch_reserve(&l->workers[i].scratch, most)) return false;
    return true;
}

/* Ready for the next batch. */
static void clear_slot(slot *s) {
    s->n_done = 0;
    s->failed_at = SIZE_MAX;
}

eg_status eg_loader_start(eg_loader *l, uint32_t epoch, bool shuffle, eg_error *err) {
    pthread_mutex_lock(&l->mutex);
    l->end = 0; // hand out nothing more of an epoch under way
    while (l->n_active > 0) pthread_cond_wait(&l->idle, &l->mutex);
    bool ok = level_scratch(l);
    if (ok) {
        for (size_t i = 0; i < l->o.n; i++) l->order[i] = (uint32_t)i;
        if (shuffle) {
            eg_random random = eg_random_make(l->o.seed, epoch, 0, EG_DATA_STREAM_SHUFFLE);
            eg_random_shuffle(&random, l->order, l->o.n);
        }
        for (int i = 0; i < N_SLOTS; i++) clear_slot(&l->slots[i]);
        l->epoch = epoch;
        l->next = l->next_batch = l->n_released = 0;
        l->end = l->o.n;
        pthread_cond_broadcast(&l->work_ready);
    }
    pthread_mutex_unlock(&l->mutex);
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "loader: out of memory");
}

eg_status eg_loader_next(eg_batch *batch, eg_loader *l, eg_error *err) {
    pthread_mutex_lock(&l->mutex);
    if (l->end == 0) {
        pthread_mutex_unlock(&l->mutex);
        return eg_fail(err, EG_ERR_INTERNAL, "loader: eg_loader_start comes before eg_loader_next");
    }
    if (l->next_batch > l->n_released) { // the batch given last time goes back into the ring
        clear_slot(&l->slots[l->n_released % N_SLOTS]);
        l->n_released++;
        pthread_cond_broadcast(&l->work_ready);
    }
    if (l->next_batch == l->n_batches) {
        pthread_mutex_unlock(&l->mutex);
        *batch = (eg_batch){0};
        return EG_OK;
    }
    slot *s = &l->slots[l->next_batch % N_SLOTS];
    const size_t n = batch_count(l, l->next_batch);
    double start = eg_time_now();
    while (s->n_done < n) pthread_cond_wait(&l->batch_ready, &l->mutex);
    double waited = eg_time_now() - start;
    l->next_batch++;
    eg_status status = EG_OK;
    if (s->failed_at != SIZE_MAX)
        status =
            eg_fail(err, s->error.status,
                    "%.500s - repair the file, or leave it out with --skip-bad", s->error.text);
    pthread_mutex_unlock(&l->mutex);
    if (status != EG_OK) return status;
    *batch = (eg_batch){s->pixels, s->labels, s->indices, n, waited};
    return EG_OK;
}
