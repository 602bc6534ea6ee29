/* --max-memory: how much the process will take, estimated from plans that are made without their memory, and
 * the largest batch that stays below. The estimate depends on options and data only, not on what this process
 * has used so far, so that the same command settles on the same batch every time. It counts
 *   program, libraries and primitives (a constant, measured), names of the images, what the caller keeps,
 *   weights and statistics, and the larger of
 *     reading weights files     the mapped file(s), and what the C library holds back of what ran before
 *     running                   moments, arenas of the plans, batches and images of the loaders
 * and, in training, gradients.
 * Read first: memory_limit.h, then estimate(). */
#include "study/memory_limit.h"
#include "study/recipe.h"
#include <string.h>
#include <sys/stat.h>

/* Code and data of the program and its libraries, oneDNN's generated kernels. */
#define BASE_BYTES ((size_t)64 << 20)
/* Stack and heap of one compute thread. */
#define THREAD_BYTES ((size_t)1 << 20)
/* The C library keeps as much of what was freed, at most, before it gives pages back (its trim threshold grows to
 * twice the largest block that it mapped, of at most 32 MiB). */
#define KEPT_BYTES ((size_t)64 << 20)
/* Name, hash, score and JSON of one image. */
#define IMAGE_BYTES ((size_t)1024)
/* Where the size of images is not known before they are read: 4 megapixels. */
#define USUAL_PIXELS ((size_t)4 << 20)
/* Decoding: 3 bytes a pixel, as many to resize, and the coefficients of a progressive JPEG. */
enum { PIXEL_BYTES = 12, LOADER_BATCHES = 3, TRIES = 8, AUTO_WORKERS = 4 };

/* ---- the estimate ---- */

typedef struct {
    size_t values, parameters; /* bytes of all tensors, and of those with a gradient */
} tensor_bytes;

static tensor_bytes count_tensors(eg_network *net) {
    size_t n;
    tensor_bytes bytes = {0};
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++) {
        bytes.values += t[i].count * sizeof(float) + 64;
        if (t[i].role == EG_TENSOR_PARAMETER) bytes.parameters += t[i].count * sizeof(float) + 64;
    }
    return bytes;
}

static size_t loader_bytes(const eg_memory_case *c, int batch) {
    size_t side = (size_t)eg_network_side(c->net), crop = side * side * 3;
    size_t pixels = c->image_pixels ? c->image_pixels : USUAL_PIXELS;
    size_t workers = (size_t)(c->n_workers > 0 ? c->n_workers : AUTO_WORKERS);
    return (size_t)c->n_loaders * (LOADER_BATCHES * (size_t)batch * crop * sizeof(float) +
                                   workers * (crop + PIXEL_BYTES * pixels));
}

static eg_status estimate(size_t *out, const eg_memory_case *c, int batch, bool recompute,
                          eg_error *err) {
    const bool train = c->plan.mode == EG_PLAN_TRAIN;
    tensor_bytes tensors = count_tensors(c->net);
    eg_plan_options plan = c->plan;
    size_t arena, validation = 0;
    plan.batch = batch;
    plan.recompute = recompute ? EG_RECOMPUTE_ALL : EG_RECOMPUTE_CHEAP;
    EG_TRY(eg_plan_need(&arena, c->net, &plan, err));
    if (c->validates) {
        eg_plan_options predict = {.mode = EG_PLAN_PREDICT,
                                   .batch = batch,
                                   .dropout = -1,
                                   .bf16 = plan.bf16,
                                   .deterministic = plan.deterministic};
        EG_TRY(eg_plan_need(&validation, c->net, &predict, err));
    }
    size_t run = arena + validation + loader_bytes(c, batch), read = c->weights_bytes;
    if (train) run += c->n_trained * (size_t)c->n_moments * sizeof(float);
    if (c->proves_freeze) read += c->weights_bytes + tensors.values;
    read += run < KEPT_BYTES ? run : KEPT_BYTES; /* files are read after the plans as well */
    *out = BASE_BYTES + (size_t)eg_pool_threads() * THREAD_BYTES + c->n_images * IMAGE_BYTES +
           c->kept_bytes + tensors.values + (train ? tensors.parameters : 0) +
           (run > read ? run : read);
    return EG_OK;
}

/* ---- the largest batch that fits ---- */

/* "1.24 GiB" */
static const char *size_text(char out[32], size_t bytes) {
    double mib = (double)bytes / 1048576.0;
    if (mib < 1)
        snprintf(out, 32, "%zu bytes", bytes);
    else
        snprintf(out, 32, mib < 1000 ? "%.0f MiB" : "%.2f GiB", mib < 1000 ? mib : mib / 1024);
    return out;
}

static eg_status too_small(const eg_memory_case *c, size_t limit, int least, size_t bytes,
                           eg_error *err) {
    char have[32], need[32];
    return eg_fail(err, EG_ERR_LIMIT,
                   "--max-memory %s: %s needs at least %s here (batch %d, %d x %d pixels) - allow "
                   "more, or take a smaller --img-size or network",
                   size_text(have, limit), eg_network_info(c->net)->name,
                   size_text(need, bytes + ((size_t)1 << 20)), least, eg_network_side(c->net),
                   eg_network_side(c->net));
}

/* Between a batch that fits and one that does not, by the straight line through their needs. */
static eg_status search(eg_memory_fit *fit, const eg_memory_case *c, size_t limit, int high,
                        size_t high_bytes, eg_error *err) {
    for (int i = 0; i < TRIES && high - fit->batch > 1; i++) {
        double slope = ((double)high_bytes - (double)fit->bytes) / (high - fit->batch);
        double more = slope > 0 ? (double)(limit - fit->bytes) / slope : 0;
        int guess = fit->batch + (more < high - fit->batch ? (int)more : 0);
        size_t bytes;
        if (guess <= fit->batch) guess = fit->batch + 1;
        if (guess >= high) guess = high - 1;
        EG_TRY(estimate(&bytes, c, guess, fit->recomputes, err));
        if (bytes <= limit) {
            fit->batch = guess;
            fit->bytes = bytes;
        } else {
            high = guess;
            high_bytes = bytes;
        }
    }
    return EG_OK;
}

eg_status eg_study_memory_fit(eg_memory_fit *out, const eg_memory_case *c, size_t limit,
                              eg_error *err) {
    int asked = c->plan.batch, least = c->least_batch > 1 ? c->least_batch : 1;
    eg_memory_fit fit = {.batch = asked, .batch_asked = asked};
    EG_TRY(estimate(&fit.bytes, c, asked, false, err));
    fit.bytes_asked = fit.bytes;
    if (limit > 0 && fit.bytes > limit && c->plan.mode == EG_PLAN_TRAIN) {
        size_t bytes; /* first what changes no result: values made again instead of kept */
        EG_TRY(estimate(&bytes, c, asked, true, err));
        fit.recomputes = bytes < fit.bytes;
        if (fit.recomputes) fit.bytes = bytes;
    }
    if (limit > 0 && fit.bytes > limit) {
        size_t whole = fit.bytes;
        if (least >= asked) return too_small(c, limit, asked, whole, err);
        fit.batch = least;
        EG_TRY(estimate(&fit.bytes, c, least, fit.recomputes, err));
        if (fit.bytes > limit) return too_small(c, limit, least, fit.bytes, err);
        EG_TRY(search(&fit, c, limit, asked, whole, err));
    }
    fit.spare = limit > 0 ? limit - fit.bytes : 0;
    *out = fit;
    return EG_OK;
}

/* ---- what commands ask ---- */

static size_t largest_image(const eg_dataset *ds) {
    size_t most = 0;
    for (size_t i = 0; i < ds->n_samples; i++) {
        size_t pixels = (size_t)ds->samples[i].width * (size_t)ds->samples[i].height;
        if (pixels > most) most = pixels;
    }
    return most;
}

static size_t file_bytes(const char *path) {
    struct stat st;
    return path && stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

/* A run that trains by epochs: one plan trains, one validates, each with a loader. */
static void live_case(eg_memory_case *c, const eg_settings *s) {
    const eg_options *o = &s->o;
    c->plan = (eg_plan_options){.mode = EG_PLAN_TRAIN,
                                .batch = (int)o->batch_size,
                                .bn = s->bn,
                                .stochastic = s->stochastic,
                                .dropout = o->dropout,
                                .bf16 = s->bf16,
                                .deterministic = o->deterministic};
    c->least_batch = s->bn == EG_BN_FROZEN ? 1 : 2; /* one image has no statistics of a batch */
    c->validates = true;
    c->n_trained = eg_network_parameters(c->net, true);
    c->n_moments = eg_study_moments(o);
    c->n_loaders = 2;
    c->kept_bytes = (size_t)eg_study_copies(o) * count_tensors(c->net).values;
    if (s->mode == EG_RUN_LPFT) /* the features of the linear probe, freed before training */
        c->kept_bytes += 2 * c->n_images * (size_t)eg_network_features(c->net) * sizeof(float);
}

/* Features once: rows by image, and those of the training images again for the solver. */
static void still_case(eg_memory_case *c, const eg_settings *s) {
    c->plan = (eg_plan_options){.mode = EG_PLAN_PREDICT,
                                .batch = s->score_batch,
                                .dropout = -1,
                                .features_only = true,
                                .bf16 = s->bf16,
                                .deterministic = s->o.deterministic};
    c->kept_bytes = (1 + (size_t)s->o.views) * c->n_images * (size_t)eg_network_features(c->net) *
                    sizeof(float);
    c->n_loaders = 1;
}

static void tell(const eg_memory_fit *fit, size_t limit, bool recipe, const eg_events *ev) {
    char most[32], wanted[32], now[32];
    if (fit->batch == fit->batch_asked && fit->recomputes)
        eg_study_note(ev,
                      "--max-memory %s: values are made again in the backward pass instead of kept "
                      "(at most %s instead of %s): slower, with the same results",
                      size_text(most, limit), size_text(now, fit->bytes),
                      size_text(wanted, fit->bytes_asked));
    if (fit->batch == fit->batch_asked) return;
    eg_study_note(
        ev, "--max-memory %s: batches of %d images (at most %s), not %d (%s): %s",
        size_text(most, limit), fit->batch, size_text(now, fit->bytes), fit->batch_asked,
        size_text(wanted, fit->bytes_asked),
        recipe ? "fewer images a step and more steps an epoch are another recipe, and its results "
                 "are not those of the batch that was asked for"
               : "slower, with the same results but for rounding");
}

eg_status eg_study_memory_settle(eg_settings *s, const eg_dataset *ds, bool keep_batch,
                                 const eg_events *ev, eg_error *err) {
    size_t limit = (size_t)s->o.max_memory;
    eg_network *net = NULL;
    if (limit == 0) return EG_OK;
    EG_TRY(eg_network_outline(&net, s->arch, ds->n_classes, s->preprocess.crop, err));
    eg_status marked = eg_study_layers_set(net, s, 1, err);
    if (marked != EG_OK) {
        eg_network_free(net);
        return marked;
    }
    eg_memory_case c = {.net = net,
                        .n_images = ds->n_samples,
                        .image_pixels = largest_image(ds),
                        .n_workers = (int)s->o.workers,
                        .weights_bytes = file_bytes(s->o.weights),
                        .proves_freeze = s->mode == EG_RUN_FROZEN};
    if (s->live)
        live_case(&c, s);
    else
        still_case(&c, s);
    if (s->live && keep_batch) c.least_batch = c.plan.batch;
    eg_status status = eg_study_memory_fit(&s->memory, &c, limit, err);
    eg_network_free(net);
    EG_TRY(status);
    s->score_batch = s->memory.batch;
    if (s->live) s->o.batch_size = s->memory.batch;
    tell(&s->memory, limit, s->live, ev);
    return EG_OK;
}

eg_status eg_study_memory_predict(int *batch, eg_network *net, const eg_scorer_options *o,
                                  size_t limit, const eg_events *ev, eg_error *err) {
    eg_memory_fit fit;
    *batch = o->batch;
    if (limit == 0) return EG_OK;
    eg_memory_case c = {.net = net,
                        .plan = {.mode = EG_PLAN_PREDICT,
                                 .batch = o->batch,
                                 .dropout = -1,
                                 .bf16 = o->bf16,
                                 .deterministic = o->deterministic},
                        .weights_bytes = count_tensors(net).values,
                        .n_images = o->n,
                        .n_loaders = 1,
                        .n_workers = o->workers,
                        .image_pixels = o->ds ? largest_image(o->ds) : 0};
    EG_TRY(eg_study_memory_fit(&fit, &c, limit, err));
    tell(&fit, limit, false, ev);
    *batch = fit.batch;
    return EG_OK;
}

json_t *eg_study_memory_json(const eg_settings *s) {
    const eg_memory_fit *fit = &s->memory;
    if (fit->batch == 0) return json_null();
    return json_pack("{s:I, s:I, s:i, s:i, s:b}", "limit_bytes", (json_int_t)s->o.max_memory,
                     "estimated_bytes", (json_int_t)fit->bytes, "batch", fit->batch, "batch_asked",
                     fit->batch_asked, "recomputes", (int)fit->recomputes);
}

size_t eg_study_memory_cache(const eg_settings *s, size_t usual, double share) {
    double left = share * (double)s->memory.spare;
    return s->memory.batch > 0 && left < (double)usual ? (size_t)left : usual;
}
