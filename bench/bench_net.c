/* bench_net MODEL train|predict BATCH REPEATS [[--dtype] f32|bf16]: seconds of each repeat of a training step (forward, backward, SGD with
 * momentum) or of a prediction batch, random weights, 224 pixels, one warm-up before; a JSON line on stdout.
 * bench/compare.py runs it beside PyTorch. Not a test: nothing here passes or fails.                             */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"

static int fail(const eg_error *err) {
    fprintf(stderr, "bench_net: %s\n", err->text);
    return 1;
}

int main(int argc, char **argv) {
    eg_error err;
    bool named = argc == 7 && strcmp(argv[5], "--dtype") == 0;
    const char *dtype = argc == 6 || named ? argv[argc - 1] : "f32";
    if ((argc != 5 && argc != 6 && !named) ||
        (strcmp(dtype, "f32") != 0 && strcmp(dtype, "bf16") != 0)) {
        fprintf(stderr,
                "usage: bench_net MODEL train|predict BATCH REPEATS [[--dtype] f32|bf16]\n");
        return 2;
    }
    bool train = strcmp(argv[2], "train") == 0;
    int batch = atoi(argv[3]), repeats = atoi(argv[4]);
    eg_network *net = NULL;
    eg_plan *plan = NULL;
    eg_optimizer *opt = NULL;
    if (eg_network_new(&net, argv[1], 2, 224, &err) != EG_OK) return fail(&err);
    eg_network_init(net, 0);
    eg_plan_options o = {.mode = train ? EG_PLAN_TRAIN : EG_PLAN_PREDICT,
                         .batch = batch,
                         .stochastic = true,
                         .dropout = -1,
                         .bf16 = strcmp(dtype, "bf16") == 0};
    eg_opt_options sgd = {.kind = EG_OPT_SGD, .momentum = 0.9};
    if (eg_plan_new(&plan, net, &o, &err) != EG_OK) return fail(&err);
    if (train && eg_optimizer_for(&opt, net, &sgd, &err) != EG_OK) return fail(&err);
    eg_random r = eg_random_make(1, 2, 3, 4);
    float *x = eg_plan_input(plan);
    for (size_t i = 0; i < (size_t)batch * 224 * 224 * 3; i++)
        x[i] = (float)eg_random_uniform(&r) * 4 - 2;
    int32_t *labels = eg_calloc((size_t)batch, sizeof *labels);
    for (int i = 0; i < batch; i++) labels[i] = i % 2;
    printf("{\"model\": \"%s\", \"mode\": \"%s\", \"batch\": %d, \"dtype\": \"%s\", "
           "\"arena_bytes\": %zu, \"seconds\": [",
           argv[1], argv[2], batch, eg_plan_is_bf16(plan) ? "bf16" : "f32",
           eg_plan_arena_bytes(plan));
    for (int i = -1; i < repeats; i++) {
        double start = eg_time_now();
        eg_loss_result loss;
        if (eg_plan_forward(plan, batch, (uint64_t)(i + 1), &err) != EG_OK) return fail(&err);
        if (train) {
            if (eg_plan_backward(&loss, plan, labels, NULL, &err) != EG_OK) return fail(&err);
            eg_optimizer_step(opt, 1e-3, 1);
        }
        if (i >= 0) printf("%s%.6f", i ? ", " : "", eg_time_now() - start);
    }
    printf("], \"peak_bytes\": %zu}\n", eg_process_peak_bytes());
    eg_free(labels);
    eg_optimizer_free(opt);
    eg_plan_free(plan);
    eg_network_free(net);
    return 0;
}
