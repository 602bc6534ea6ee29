/* The loader: threads of its own decode, augment and normalise images into a ring of batch slots
 * ahead of the consumer. Work is handed out one image at a time in epoch order; where an image
 * lands and what is done to it depend on its position and on (seed, epoch, sample) only, so the
 * batches are the same bits for any number of threads. With mixup or cutmix the thread that
 * finishes a batch mixes it, each image with the next. One mutex guards all bookkeeping, three
 * conditions carry the waiting; nothing spins. Knows no network. Read `struct eg_loader`, then
 * work() (a thread) and eg_loader_next() (the consumer). */
#include "data/pixels.h"
#include "data/streams.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#define ROUND_SHIFT      20 /* epochs stay below 2^20 */
#define N_SLOTS          3  /* one with the consumer, two ahead */
#define MAX_AUTO_WORKERS 4
#define MAX_WORKERS      256

typedef struct {
    float *pixels;     /* (batch_size, crop, crop, 3) */
    int32_t *labels;   /* (batch_size) */
    uint32_t *indices; /* (batch_size) */
    int32_t *labels2;  /* (batch_size), NULL when nothing is mixed */
    float *lambda;     /* (batch_size), NULL likewise */
    size_t n_done;     /* images finished, with or without success */
    bool ready;        /* all of them, and mixed */
    size_t failed_at;  /* position in the batch of `error`; SIZE_MAX: none */
    eg_error error;    /* of the first image in order that failed */
} slot;

/* A decoded image (augmentation on) or a finished crop (off), kept over the epochs. */
typedef struct {
    uint8_t *pixels; /* NULL: not kept */
    int width, height, channels;
    bool deep;
} kept_image;

typedef struct {
    eg_loader *loader;
    pthread_t thread;
    eg_data_work memory;
    uint16_t *crop; /* (crop, crop, 3), deep or 8 bit */
    float *first;   /* (crop, crop, 3): a batch's first image before it was mixed; or NULL */
} worker;

struct eg_loader {
    /* fixed after eg_loader_new */
    eg_loader_options o;
    eg_augment augment;
    eg_dataset dataset; /* the caller's, with the accuracy of decoding that this network needs */
    bool mixes;         /* mixup or cutmix */
    size_t n_batches, crop_floats;
    int n_workers; /* threads running */
    worker *workers;
    kept_image *kept; /* by position in o.indices; one thread touches an entry in an epoch */

    /* guarded by mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work_ready;  /* to the workers: a slot is free, an epoch began, or quit */
    pthread_cond_t batch_ready; /* to the consumer: a slot is full */
    pthread_cond_t idle;        /* to eg_loader_start: no worker is inside an image */
    uint32_t *order;            /* positions in o.indices, as this epoch visits them */
    uint32_t *rounds; /* by place, balanced only: times the image came before; else NULL */
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
static void keep(eg_loader *l, kept_image *kept, const eg_image *image) {
    const size_t bytes = eg_image_bytes(image);
    pthread_mutex_lock(&l->mutex);
    /* balanced: two threads may have the same image */
    bool fits = !l->rounds && bytes <= l->o.cache_bytes - l->kept_bytes;
    if (fits) l->kept_bytes += bytes;
    pthread_mutex_unlock(&l->mutex);
    if (!fits) return;
    uint8_t *copy = eg_malloc(bytes);
    if (!copy) return;
    memcpy(copy, image->pixels, bytes);
    *kept = (kept_image){copy, image->width, image->height, image->channels, image->deep};
}

/* Gray pictures saved as colour become one channel here: a third of the work and of the cache. */
static eg_status decode(eg_image *image, const eg_loader *l, uint32_t index, eg_error *err) {
    EG_TRY(eg_dataset_image(image, &l->dataset, index, err));
    eg_data_collapse_gray(image);
    return EG_OK;
}

/* Put the file's path in front of an error that does not name it. */
static eg_status name_file(const eg_loader *l, uint32_t index, eg_status status, eg_error *err) {
    if (status == EG_OK) return EG_OK;
    char *path = eg_dataset_path(&l->dataset, index);
    status = eg_error_in(err, status, path ? path : l->dataset.samples[index].file);
    eg_free(path);
    return status;
}

/* Without augmentation: the crop itself is kept, so that a later epoch only normalises. */
static eg_status load_plain(eg_data_canvas *c, worker *w, kept_image *kept, uint32_t index,
                            eg_error *err) {
    eg_loader *l = w->loader;
    if (kept->pixels) {
        *c = (eg_data_canvas){kept->pixels, kept->width, kept->channels, kept->deep};
        return EG_OK;
    }
    eg_image image = {0};
    const int side = l->o.preprocess.crop;
    EG_TRY(decode(&image, l, index, err));
    *c = (eg_data_canvas){w->crop, side, image.channels, image.deep};
    eg_status status = eg_data_fit(w->crop, &image, &l->o.preprocess, &w->memory.resize, err);
    eg_image_free(&image);
    if (status != EG_OK) return name_file(l, index, status, err);
    keep(l, kept, &(eg_image){side, side, c->channels, (uint8_t *)w->crop, c->deep});
    return EG_OK;
}

/* With augmentation: the decoded image is kept, and each epoch draws anew. */
static eg_status load_augmented(eg_data_canvas *c, worker *w, kept_image *kept, uint32_t epoch,
                                uint32_t index, eg_error *err) {
    eg_loader *l = w->loader;
    eg_image image = {kept->width, kept->height, kept->channels, kept->pixels, kept->deep};
    const bool was_kept = kept->pixels != NULL;
    if (!was_kept) {
        image = (eg_image){0};
        EG_TRY(decode(&image, l, index, err));
        keep(l, kept, &image);
    }
    eg_data_augment_draw draw =
        eg_data_augment_sample(image.width, image.height, &l->augment, l->o.seed, epoch, index);
    *c = (eg_data_canvas){.pixels = w->crop};
    eg_status status = eg_data_augment_apply(c, &image, &l->o.preprocess, &draw, &w->memory, err);
    if (!was_kept) eg_image_free(&image);
    return name_file(l, index, status, err);
}

/* Image at `place` of the epoch into its slot. Runs without the mutex: nobody else touches this
 * part of the slot. */
static eg_status load_one(worker *w, slot *s, size_t at, uint32_t position, uint32_t epoch,
                          eg_error *err) {
    eg_loader *l = w->loader;
    uint32_t index = l->o.indices[position];
    kept_image *kept = &l->kept[position];
    eg_data_canvas c;
    s->labels[at] = l->dataset.samples[index].label;
    s->indices[at] = index;
    EG_TRY(l->o.augment ? load_augmented(&c, w, kept, epoch, index, err)
                        : load_plain(&c, w, kept, index, err));
    eg_data_canvas_float(s->pixels + at * l->crop_floats, &c, &l->o.preprocess);
    return EG_OK;
}

/* Each image of a full batch with the next, the last with the first, which is copied before it
 * changes. Runs without the mutex: the batch's images are done and the consumer does not have it. */
static void mix_batch(worker *w, slot *s, size_t n, uint32_t epoch) {
    const eg_loader *l = w->loader;
    const int side = l->o.preprocess.crop;
    memcpy(w->first, s->pixels, l->crop_floats * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        const size_t partner = i + 1 < n ? i + 1 : 0;
        const float *other = partner ? s->pixels + partner * l->crop_floats : w->first;
        eg_data_mix mix = eg_data_mix_draw(&l->augment, side, l->o.seed, epoch, s->indices[i]);
        eg_data_mix_apply(s->pixels + i * l->crop_floats, other, side, &mix);
        s->labels2[i] = s->labels[partner];
        s->lambda[i] = mix.lambda;
    }
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
        /* an image that comes again in an epoch is drawn anew */
        const uint32_t draw = epoch + (l->rounds ? l->rounds[place] << ROUND_SHIFT : 0);
        slot *s = &l->slots[batch % N_SLOTS];
        l->n_active++;
        pthread_mutex_unlock(&l->mutex);

        eg_error error = {.offset = -1};
        eg_status status = load_one(w, s, at, position, draw, &error);

        pthread_mutex_lock(&l->mutex);
        if (status != EG_OK && at < s->failed_at) { // the first in order, not in time
            s->failed_at = at;
            s->error = error;
        }
        const size_t n = batch_count(l, batch);
        if (++s->n_done == n) { // the last of its batch
            if (l->mixes && s->failed_at == SIZE_MAX) {
                pthread_mutex_unlock(&l->mutex);
                mix_batch(w, s, n, epoch);
                pthread_mutex_lock(&l->mutex);
            }
            s->ready = true;
            pthread_cond_signal(&l->batch_ready);
        }
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
        eg_data_work_free(&l->workers[i].memory);
        eg_free(l->workers[i].crop);
        eg_free(l->workers[i].first);
    }
    for (int i = 0; i < N_SLOTS; i++) {
        eg_free(l->slots[i].pixels);
        eg_free(l->slots[i].labels);
        eg_free(l->slots[i].indices);
        eg_free(l->slots[i].labels2);
        eg_free(l->slots[i].lambda);
    }
    eg_free(l->kept);
    eg_free(l->rounds);
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
        if (!l->mixes) continue;
        s->labels2 = eg_calloc(l->o.batch_size, sizeof *s->labels2);
        s->lambda = eg_calloc(l->o.batch_size, sizeof *s->lambda);
        ok = ok && s->labels2 && s->lambda;
    }
    l->order = eg_calloc(n, sizeof *l->order);
    l->kept = eg_calloc(n, sizeof *l->kept);
    l->workers = eg_calloc((size_t)l->o.workers, sizeof *l->workers);
    if (l->o.balanced) l->rounds = eg_calloc(n, sizeof *l->rounds);
    ok = ok && (!l->o.balanced || l->rounds);
    if (!ok || !l->order || !l->kept || !l->workers) return false;
    for (int i = 0; i < l->o.workers; i++) {
        worker *w = &l->workers[i];
        w->loader = l;
        w->crop = eg_malloc(l->crop_floats * sizeof *w->crop);
        ok = ok && w->crop;
        if (!l->mixes) continue;
        w->first = eg_malloc(l->crop_floats * sizeof *w->first);
        ok = ok && w->first;
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
        l->mixes = l->augment.mixup > 0 || l->augment.cutmix > 0;
    }
    l->dataset = *o->dataset; // borrows the samples, as the caller's
    if (l->dataset.image_options.min_side >
        0) // reduced decoding is allowed: as far as it goes here
        l->dataset.image_options.min_side = eg_preprocess_fast_side(&o->preprocess);
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
    eg_data_work *memory[MAX_WORKERS];
    for (int i = 0; i < l->n_workers; i++) memory[i] = &l->workers[i].memory;
    return eg_data_work_level(memory, (size_t)l->n_workers);
}

/* Ready for the next batch. */
static void clear_slot(slot *s) {
    s->n_done = 0;
    s->ready = false;
    s->failed_at = SIZE_MAX;
}

eg_status eg_loader_start(eg_loader *l, uint32_t epoch, bool shuffle, eg_error *err) {
    pthread_mutex_lock(&l->mutex);
    l->end = 0; // hand out nothing more of an epoch under way
    while (l->n_active > 0) pthread_cond_wait(&l->idle, &l->mutex);
    bool ok = level_scratch(l);
    if (ok) {
        for (size_t i = 0; i < l->o.n; i++) l->order[i] = (uint32_t)i;
        if (l->rounds) memset(l->rounds, 0, l->o.n * sizeof *l->rounds);
        if (shuffle && l->rounds) {
            ok = eg_data_order_balanced(l->order, l->rounds, &l->dataset, l->o.indices, l->o.n,
                                        l->o.seed, epoch);
        } else if (shuffle) {
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
    const double start = eg_time_now();
    while (!s->ready) pthread_cond_wait(&l->batch_ready, &l->mutex);
    double waited = eg_time_now() - start;
    l->next_batch++;
    eg_status status = EG_OK;
    if (s->failed_at != SIZE_MAX)
        status =
            eg_fail(err, s->error.status,
                    "%.500s - repair the file, or leave it out with --skip-bad", s->error.text);
    pthread_mutex_unlock(&l->mutex);
    if (status != EG_OK) return status;
    *batch = (eg_batch){s->pixels, s->labels, s->indices, n, waited, s->labels2, s->lambda};
    return EG_OK;
}
