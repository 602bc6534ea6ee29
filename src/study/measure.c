/* Speed of a network on this machine: prediction and one training step on random numbers and random
 * weights, the median of repeats. Memory is what the plan asks for, which does not vary from run to
 * run. */
#include "study/run.h"
#include <math.h>
#include <string.h>

enum { MAX_REPEATS = 15, MIN_REPEATS = 3 };
#define ENOUGH_SECONDS 1.0 /* stop repeating after this, when MIN_REPEATS are done */

typedef struct {
    eg_network *net;
    eg_plan *plan;
    eg_optimizer *opt; /* NULL: prediction */
    int32_t *labels;
    int batch;
    uint64_t step;
} bench;

static eg_status once(double *seconds, bench *b, eg_error *err) {
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

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of a step, after one to warm up. */
static eg_status median(double *out, bench *b, eg_error *err) {
    double seconds[MAX_REPEATS], total = 0, first;
    int n = 0;
    EG_TRY(once(&first, b, err));
    while (n < MAX_REPEATS && (n < MIN_REPEATS || total < ENOUGH_SECONDS)) {
        EG_TRY(once(&seconds[n], b, err));
        total += seconds[n++];
    }
    qsort(seconds, (size_t)n, sizeof *seconds, compare_doubles);
    *out = n % 2 ? seconds[n / 2] : 0.5 * (seconds[n / 2 - 1] + seconds[n / 2]);
    return EG_OK;
}

static eg_status time_mode(double *seconds, size_t *bytes, bench *b, eg_plan_mode mode,
                           eg_error *err) {
    eg_plan_options o = {.mode = mode, .batch = b->batch, .stochastic = true, .dropout = -1};
    EG_TRY(eg_plan_new(&b->plan, b->net, &o, err));
    if (mode == EG_PLAN_TRAIN) {
        eg_opt_options opt = {.kind = EG_OPT_ADAMW, .weight_decay = 1e-2};
        EG_TRY(eg_optimizer_for(&b->opt, b->net, &opt, err));
    }
    size_t side = (size_t)eg_network_side(b->net), n = (size_t)b->batch * side * side * 3;
    float *input = eg_plan_input(b->plan);
    eg_random random = eg_random_make(0, 0, 0, 0);
    for (size_t i = 0; i < n; i++) input[i] = (float)(2 * eg_random_uniform(&random) - 1);
    EG_TRY(median(seconds, b, err));
    *bytes = eg_plan_arena_bytes(b->plan);
    eg_plan_free(b->plan);
    b->plan = NULL;
    return EG_OK;
}

static eg_status measure(json_t *entry, bench *b, const eg_arch_info *arch, int n_classes,
                         eg_error *err) {
    double predict, train;
    size_t predict_bytes, train_bytes;
    EG_TRY(eg_network_new(&b->net, arch->name, n_classes, 0, err));
    eg_network_init(b->net, 0);
    b->labels = eg_malloc((size_t)b->batch * sizeof *b->labels);
    if (!b->labels) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    for (int i = 0; i < b->batch; i++) b->labels[i] = i % n_classes;
    EG_TRY(time_mode(&predict, &predict_bytes, b, EG_PLAN_PREDICT, err));
    EG_TRY(time_mode(&train, &train_bytes, b, EG_PLAN_TRAIN, err));
    /* weights, gradients and AdamW's two moments beside the activations */
    size_t bytes = train_bytes + 4 * eg_network_parameters(b->net, false) * sizeof(float);
    bool ok = json_object_set_new(entry, "measured_ms_per_image",
                                  eg_json_real(1e3 * predict / b->batch)) == 0 &&
              json_object_set_new(entry, "measured_train_images_per_second",
                                  eg_json_real(b->batch / train)) == 0 &&
              json_object_set_new(entry, "peak_bytes", json_integer((json_int_t)bytes)) == 0 &&
              json_object_set_new(entry, "measured_batch", json_integer(b->batch)) == 0;
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

eg_status eg_study_measure(json_t *entry, const eg_arch_info *arch, int n_classes, int batch,
                           eg_error *err) {
    bench b = {.batch = batch};
    eg_status status = measure(entry, &b, arch, n_classes, err);
    eg_plan_free(b.plan);
    eg_optimizer_free(b.opt);
    eg_network_free(b.net);
    eg_free(b.labels);
    return status;
}
