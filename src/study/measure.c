/* Speed of a network on this machine: prediction and one training step on random numbers and random
 * weights, the median of repeats. Memory is planned, not measured: activations of a training step,
 * weights, gradients and AdamW's two moments; it does not vary from run to run. A step that would
 * not fit into the free memory is refused before its memory is touched. */
#include "study/stepper.h"
#include "study/task_a.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_REPEATS = 15, MIN_REPEATS = 3 };
#define ENOUGH_SECONDS 1.0 /* stop repeating after this, when MIN_REPEATS are done */
/* a longer step is timed once: short disturbances even out in it */
#define LONG_SECONDS 2.0

static eg_status once(double *seconds, eg_stepper *b, eg_error *err) {
    double start = eg_time_now();
    EG_TRY(eg_plan_forward(b->plan, b->batch, b->step++, err));
    if (b->opt) {
        eg_loss_result loss;
        EG_TRY(eg_plan_backward(&loss, b->plan, b->labels, &(eg_loss_options){0}, err));
        eg_optimizer_step(b->opt, 1e-6, 1.0);
    }
    *seconds = eg_time_now() - start;
    return EG_OK;
}

/* Median seconds of a step, after one to warm up. */
static eg_status median(double *out, eg_stepper *b, eg_error *err) {
    double seconds[MAX_REPEATS], total = 0, first;
    int n = 0;
    EG_TRY(once(&first, b, err));
    int least = first > LONG_SECONDS ? 1 : MIN_REPEATS;
    while (n < MAX_REPEATS && (n < least || total < ENOUGH_SECONDS)) {
        EG_TRY(once(&seconds[n], b, err));
        total += seconds[n++];
    }
    *out = eg_study_median(seconds, (size_t)n);
    return EG_OK;
}

/* ---- free memory ---- */

/* The number behind `key` in a file of "key: number" lines or of one number; 0 when there is none. */
static size_t number_in(const char *path, const char *key) {
    char line[256];
    unsigned long long value = 0;
    FILE *file = fopen(path, "r");
    size_t n = strlen(key);
    while (file && value == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, n) == 0) sscanf(line + n, " %llu", &value);
    if (file) fclose(file);
    return (size_t)value;
}

size_t eg_study_memory_free(void) {
    size_t bytes = number_in("/proc/meminfo", "MemAvailable:") * 1024;
    size_t limit = number_in("/sys/fs/cgroup/memory.max", ""); /* "max" reads as 0 */
    size_t used = number_in("/sys/fs/cgroup/memory.current", "");
    /* pages of files read before count as used, but are given up on demand */
    size_t cached = number_in("/sys/fs/cgroup/memory.stat", "inactive_file");
    used -= cached < used ? cached : used;
    if (limit > 0 && (bytes == 0 || (limit > used ? limit - used : 1) < bytes))
        bytes = limit > used ? limit - used : 1;
    return bytes;
}

/* ---- one network ---- */

/* Bytes a step of b->plan takes in all. */
static size_t step_bytes(const eg_stepper *b, bool train) {
    return eg_plan_arena_bytes(b->plan) +
           (train ? 4 : 1) * eg_network_parameters(b->net, false) * sizeof(float);
}

/* Time one mode into *seconds, or leave NaN and say why in `refused`. Making a plan reserves its
 * arena without touching it, so its size can be looked at first. */
static eg_status time_mode(double *seconds, size_t *bytes, char refused[320], eg_stepper *b,
                           eg_plan_mode mode, size_t free_bytes, eg_error *err) {
    bool train = mode == EG_PLAN_TRAIN;
    eg_error why = {0};
    eg_plan_options o = {
        .mode = mode, .batch = b->batch, .stochastic = true, .dropout = -1, .bf16 = b->bf16};
    *seconds = NAN;
    *bytes = 0;
    eg_status status = eg_plan_new(&b->plan, b->net, &o, &why);
    if (status == EG_OK) *bytes = step_bytes(b, train);
    if (status == EG_ERR_NO_MEMORY || (free_bytes > 0 && *bytes > free_bytes)) {
        snprintf(refused, 320,
                 "%s not measured: a %s step at batch %d needs %.1f GB, %.1f GB are free - use a "
                 "smaller --batch-size",
                 eg_network_info(b->net)->name, train ? "training" : "prediction", b->batch,
                 (double)*bytes / 1e9, (double)free_bytes / 1e9);
        if (status != EG_OK) snprintf(refused, 320, "not measured: %.300s", why.text);
        status = EG_OK;
    } else if (status != EG_OK) {
        if (err) *err = why;
    } else {
        eg_opt_options opt = {.kind = EG_OPT_ADAMW, .weight_decay = 1e-2};
        if (train) status = eg_optimizer_for(&b->opt, b->net, &opt, err);
        eg_study_stepper_fill(b);
        if (status == EG_OK) status = median(seconds, b, err);
    }
    eg_plan_free(b->plan);
    b->plan = NULL;
    return status;
}

static json_t *ms_of(double seconds, int batch) {
    return eg_json_real(1e3 * seconds / batch); /* NaN: null */
}

static eg_status measure(json_t *entry, eg_stepper *b, const eg_arch_info *arch, int n_classes,
                         const char *dtype, eg_error *err) {
    double predict = NAN, train = NAN, side = eg_study_number(entry, "img_size");
    size_t predict_bytes = 0, bytes = 0, free_bytes = eg_study_memory_free();
    char refused[320] = "";
    eg_network *outline = NULL;
    eg_dtype_choice choice = {0};
    int input = isnan(side) ? 0 : (int)side;
    EG_TRY(eg_network_outline(&outline, arch, n_classes, input, err));
    size_t least = 4 * eg_network_parameters(outline, false) * sizeof(float);
    eg_status status = eg_study_dtype_choose(&choice, dtype, outline, true, err);
    eg_network_free(outline);
    EG_TRY(status);
    if (free_bytes > 0 && least > free_bytes) {
        snprintf(refused, sizeof refused,
                 "%s not measured: its weights, gradients and moments alone need %.1f GB, %.1f GB "
                 "are free",
                 arch->name, (double)least / 1e9, (double)free_bytes / 1e9);
    } else {
        EG_TRY(eg_study_stepper_open(b, arch->name, n_classes, input, b->batch, err));
        b->bf16 = choice.bf16;
        EG_TRY(time_mode(&predict, &predict_bytes, refused, b, EG_PLAN_PREDICT, free_bytes, err));
        EG_TRY(time_mode(&train, &bytes, refused, b, EG_PLAN_TRAIN, free_bytes, err));
    }
    bool ok =
        json_object_set_new(entry, "measured_ms_per_image", ms_of(predict, b->batch)) == 0 &&
        json_object_set_new(entry, "measured_train_ms_per_image", ms_of(train, b->batch)) == 0 &&
        json_object_set_new(entry, "measured_train_images_per_second",
                            eg_json_real(b->batch / train)) == 0 &&
        json_object_set_new(entry, "peak_bytes",
                            bytes ? json_integer((json_int_t)bytes) : json_null()) == 0 &&
        json_object_set_new(entry, "measured_batch", json_integer(b->batch)) == 0 &&
        json_object_set_new(entry, "measured_dtype",
                            json_string(eg_study_dtype_name(choice.bf16))) == 0;
    if (ok && refused[0]) ok = json_object_set_new(entry, "refused", json_string(refused)) == 0;
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

eg_status eg_study_measure(json_t *entry, const eg_arch_info *arch, int n_classes,
                           const eg_options *o, eg_error *err) {
    eg_stepper b = {.batch = o->batch_size > 0 ? (int)o->batch_size : 16};
    eg_status status = measure(entry, &b, arch, n_classes, o->dtype, err);
    eg_study_stepper_close(&b);
    return status;
}
