/* The recipe in the net room's terms: which tensors train and how fast, optimiser, schedule, class weights. Pure functions
 * of settings and epoch, so that a resumed run needs nothing of it kept. Users: trainer.c, head_recipe.c, memory_limit.c.
 * Read first: recipe.h. */
#include "study/recipe.h"
#include <stdio.h>
#include <string.h>

static const eg_emulation EMULATIONS[] = {
    /* requires_grad = False, then model.train(): every pass moves the running statistics, dropout is on */
    {"torch-tutorial", "stats", true, false},
    /* freeze_to(-1) with train_bn: the body's batch norms train with the head and their statistics move */
    {"fastai", "train", true, true},
    /* trainable = False: the layer runs in inference mode and nothing of it moves */
    {"keras", "frozen", false, false},
};

const eg_emulation *eg_study_emulation(const char *name) {
    for (size_t i = 0; name && i < sizeof EMULATIONS / sizeof *EMULATIONS; i++)
        if (strcmp(EMULATIONS[i].name, name) == 0) return &EMULATIONS[i];
    return NULL;
}

/* Scales and shifts of batch norms are the vectors beside a running mean. */
static void set_norms(eg_network *net, bool trainable) {
    size_t n;
    const eg_net_tensor *tensors = eg_network_tensors(net, &n);
    static const char SUFFIX[] = "running_mean";
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(tensors[i].name);
        if (length < sizeof SUFFIX ||
            strcmp(tensors[i].name + length - (sizeof SUFFIX - 1), SUFFIX) != 0)
            continue;
        for (int part = 0; part < 2; part++) {
            char *name = eg_format("%.*s%s", (int)(length - (sizeof SUFFIX - 1)), tensors[i].name,
                                   part ? "bias" : "weight");
            eg_net_tensor *t = name ? eg_network_tensor(net, name) : NULL;
            if (t) t->trainable = trainable;
            eg_free(name);
        }
    }
}

/* Blocks that are still locked in `epoch`: the head trains from the first epoch on, and after --unfreeze-epochs all do. */
static eg_status locked_blocks(int *out, eg_network *net, const eg_settings *s, int64_t epoch,
                               eg_error *err) {
    int64_t over = s->o.unfreeze_epochs;
    size_t n;
    *out = 0;
    if (over <= 0 || epoch > over || s->mode == EG_RUN_FROZEN) return EG_OK;
    (void)eg_network_tensors(net, &n);
    int *block = eg_malloc((n + 1) * sizeof *block);
    if (!block) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for training");
    int trunk = eg_network_blocks(block, net) - 1;
    eg_free(block);
    *out = trunk - (int)((int64_t)trunk * (epoch - 1) / over);
    return EG_OK;
}

eg_status eg_study_layers_set(eg_network *net, const eg_settings *s, int64_t epoch, eg_error *err) {
    const eg_emulation *emulation = eg_study_emulation(s->o.emulate);
    int locked = 0;
    eg_network_set_trainable(net, s->mode != EG_RUN_FROZEN, true);
    if (emulation && emulation->norms_trained) set_norms(net, true);
    if (s->bn == EG_BN_STATS) set_norms(net, false);
    EG_TRY(locked_blocks(&locked, net, s, epoch, err));
    EG_TRY(eg_network_layer_rates(net, s->o.layer_decay > 0 ? s->o.layer_decay : 1, locked, err));
    if (s->o.unfreeze_from && s->mode != EG_RUN_FROZEN)
        EG_TRY(eg_network_unfreeze_from(net, s->o.unfreeze_from, err));
    return EG_OK;
}

float *eg_study_class_weights(const eg_settings *s, const eg_data_stage *data) {
    int n_classes = data->ds->n_classes;
    float *weight = eg_malloc((size_t)n_classes * sizeof *weight);
    for (int k = 0; weight && k < n_classes; k++) {
        size_t count = 0;
        for (size_t i = 0; i < data->n_train; i++)
            count += data->ds->samples[data->train[i]].label == k;
        bool balanced = strcmp(s->o.class_weights, "balanced") == 0 && count > 0;
        weight[k] =
            balanced ? (float)((double)data->n_train / ((double)n_classes * (double)count)) : 1.0f;
    }
    return weight;
}

static eg_opt_kind kind_of(const eg_options *o) {
    return strcmp(o->opt, "sgd") == 0       ? EG_OPT_SGD
           : strcmp(o->opt, "rmsprop") == 0 ? EG_OPT_RMSPROP
                                            : EG_OPT_ADAMW;
}

eg_opt_options eg_study_optimizer_options(const eg_options *o) {
    return (eg_opt_options){.kind = kind_of(o),
                            .momentum = o->momentum,
                            .weight_decay = o->weight_decay,
                            .gathers = o->accumulate > 1};
}

int eg_study_moments(const eg_options *o) {
    int velocity = o->momentum > 0 ? 1 : 0, gathered = o->accumulate > 1 ? 1 : 0;
    switch (kind_of(o)) {
    case EG_OPT_SGD:
        return velocity + gathered;
    case EG_OPT_RMSPROP:
        return 1 + velocity + gathered;
    default:
        return 2 + gathered;
    }
}

int eg_study_copies(const eg_options *o) {
    return (o->ema > 0 ? 1 : 0) + (o->average > 0 ? 1 : 0);
}

eg_schedule eg_study_schedule(const eg_options *o, int64_t steps_per_epoch) {
    const char *name = o->sched;
    return (eg_schedule){.kind = strcmp(name, "constant") == 0   ? EG_SCHED_CONSTANT
                                 : strcmp(name, "step") == 0     ? EG_SCHED_STEP
                                 : strcmp(name, "onecycle") == 0 ? EG_SCHED_ONECYCLE
                                 : strcmp(name, "plateau") == 0  ? EG_SCHED_PLATEAU
                                                                 : EG_SCHED_COSINE,
                         .lr = o->lr,
                         .min_lr = o->min_lr,
                         .warmup_epochs = o->warmup_epochs,
                         .gamma = o->gamma,
                         .step_size = o->step_size,
                         .n_epochs = o->epochs,
                         .steps_per_epoch = steps_per_epoch,
                         .patience = o->plateau_patience};
}

/* A number as documents have it, with ten digits. */
static double as_written(double value) {
    char text[40];
    double back;
    snprintf(text, sizeof text, "%.10g", value);
    return eg_parse_real(&back, text) ? back : value;
}

eg_status eg_study_plateau_set(eg_schedule *s, const json_t *history, eg_error *err) {
    size_t i, n = json_array_size(history);
    json_t *row;
    if (s->kind != EG_SCHED_PLATEAU) return EG_OK;
    double *loss = eg_malloc((n + 1) * sizeof *loss);
    if (!loss) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for training");
    json_array_foreach(history, i, row) loss[i] = as_written(eg_study_number(row, "val_loss"));
    s->plateau_lr = eg_schedule_plateau(s, loss, n);
    eg_free(loss);
    return EG_OK;
}
