/* Private header of the study room: what a recipe consists of beyond the loop that trains. Named recipes, the recipe in
 * the net room's terms, weights averaged beside those that are trained, shifted views of an image, the penalty of the
 * exact head, the sweep of the learning rate, several seeds. Users: settings.c, train.c, run.c, trainer.c, frozen.c,
 * head_*.c, scorer.c, predict.c. Read run.h first.                                                              */
#ifndef EG_STUDY_RECIPE_H
#define EG_STUDY_RECIPE_H

#include "study/run.h"

/* ---- named recipes (recipe.c) ---- */

/* Values of --recipe for `mode` into the options that the user left alone: not set by eg_options_set, and still at their
 * fallback. EG_ERR_INTERNAL: a row of the table names no option, or a value that it refuses. */
eg_status eg_study_recipe_apply(eg_options *o, eg_run_mode mode, eg_error *err);

/* ---- a recipe in the net room's terms (recipe_terms.c) ---- */

/* What --emulate stands for. */
typedef struct {
    const char *name;   /* "torch-tutorial", ... */
    const char *bn;     /* what --bn is then */
    bool stochastic;    /* dropout and stochastic depth are on, as model.train() leaves them */
    bool norms_trained; /* scales and shifts of the trunk's batch norms are trained with the head */
} eg_emulation;
/* NULL: none. */
const eg_emulation *eg_study_emulation(const char *name);

/* Mark what the optimiser may change, and each tensor's factor on the learning rate, in epoch `epoch` (from 1): mode, bn,
 * --unfreeze-from, --layer-decay, --unfreeze-epochs. What is trainable does not depend on the epoch, so a plan made for
 * one serves all. */
eg_status eg_study_layers_set(eg_network *net, const eg_settings *s, int64_t epoch, eg_error *err);
eg_opt_options eg_study_optimizer_options(const eg_options *o);
/* Numbers that the optimiser keeps for each trained parameter. */
int eg_study_moments(const eg_options *o);
/* Copies of all weights that are kept beside the network (averaging.c). */
int eg_study_copies(const eg_options *o);
/* `steps_per_epoch` of the optimiser. */
eg_schedule eg_study_schedule(const eg_options *o, int64_t steps_per_epoch);
/* The rate of `plateau` for the epoch after those of `history`: its validation losses as the documents have them, so that a
 * resumed run sees the same. */
eg_status eg_study_plateau_set(eg_schedule *s, const json_t *history, eg_error *err);
/* Class weights of the loss: n / (K n_k) when balanced, else all 1 (eg_free); NULL: no memory. */
float *eg_study_class_weights(const eg_settings *s, const eg_data_stage *data);

/* ---- averaged weights (averaging.c) ---- */

/* A copy of a network's parameters and running statistics that follows them. Counters of batches are not in it. */
typedef struct eg_weights_copy eg_weights_copy;
eg_status eg_study_copy_new(eg_weights_copy **out, eg_network *net, eg_error *err);
void eg_study_copy_free(eg_weights_copy *copy);
/* copy += share (network - copy); share 1 takes the network's bits. Allocates nothing; the same bits for any threads. */
void eg_study_copy_follow(eg_weights_copy *copy, double share);
/* Exchange the copy and the network's values: twice is nothing. */
void eg_study_copy_swap(eg_weights_copy *copy);
/* Share with which a moving average of `decay` follows after `step` steps (from 0): the decay comes in as
 * min(decay, (1 + step) / (10 + step)), so that the start does not linger. */
double eg_study_ema_share(double decay, int64_t step);

/* ---- shifted views (views.c) ---- */

/* View `view` of a network's input (side, side, 3): 0 the image itself, others moved by a few pixels, the edge repeated.
 * A function of the pixels alone, so that eval and predict see the same. */
void eg_study_view(float *dst, const float *src, int side, int view);

/* ---- the head on still features (frozen.c, head_penalty.c, head_knn.c) ---- */

/* The training images of a run as rows: n images times n_views, view after view. */
typedef struct {
    const float *x;       /* (n_views, n, width) */
    const int32_t *label; /* (n) */
    size_t n, n_views, width;
} eg_head_rows;
eg_status eg_study_head_exact(eg_run *run, const eg_head_rows *rows, eg_error *err);
eg_status eg_study_head_recipe(eg_run *run, const eg_head_rows *rows, eg_error *err);
/* The penalty whose heads lose least on held-out training images (5 folds, patients whole); *table: what was tried. */
eg_status eg_study_penalty_choose(double *C, json_t **table, const eg_run *run,
                                  const eg_head_rows *rows, eg_error *err);
/* Features of every sample into run->store, and the training images' rows; eg_study_head_rows_free. */
eg_status eg_study_head_rows_get(eg_head_rows *rows, eg_run *run, eg_error *err);
void eg_study_head_rows_free(eg_head_rows *rows);
/* lp-ft: the exact head on the features of the network as it is, written into it; run->probe says how good it is. */
eg_status eg_study_linear_probe(eg_run *run, eg_error *err);
/* Training-free control: the k nearest training images by cosine, their votes weighted. *out {k, val, test}. */
eg_status eg_study_knn_json(json_t **out, const eg_run *run, eg_error *err);

/* ---- around a run (emulation.c, lr_finder.c, seeds.c) ---- */

/* With --emulate: how many trunk tensors changed and, when any did, the same run with a still trunk beside it, trained into
 * run->dir/still. *out stays NULL without --emulate. `freeze`, `val`, `test`: this run's. */
eg_status eg_study_emulation_cost(json_t **out, const eg_run *run, const json_t *freeze,
                                  const json_t *val, const json_t *test, eg_error *err);

/* Sweep the learning rate over steps of training and suggest one; writes lr_finder.json (also *out), .csv and .svg into
 * run->dir. Trains on run->net, which is of no use afterwards. */
eg_status eg_study_find_lr(json_t **out, eg_run *run, eg_error *err);
/* run->net with its weights and a new head (run.c). */
eg_status eg_study_run_network(eg_run *run, eg_error *err);
/* o->seeds runs, one in each OUT/seed-N; *out: seeds.json. */
eg_status eg_study_seeds(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                         eg_error *err);

/* ---- what the trainer and the finder of learning rates share (trainer.c) ---- */

/* Plan, steps an epoch, and loader of the run's training images; the loader keeps no images. */
eg_plan_options eg_study_train_plan(const eg_run *run);
int64_t eg_study_train_batches(const eg_run *run);
eg_loader_options eg_study_train_loader(const eg_run *run);

#endif
