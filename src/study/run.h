/* Private header of the study room: the settings of a run, what a run holds while it goes, and the
 * pieces that train, score, write and compare runs. Read it from the top: settings, data, scoring,
 * the run directory, training, the run, documents. Only files of src/study include it. */
#ifndef EG_STUDY_RUN_H
#define EG_STUDY_RUN_H

#include "study/study.h"

/* ---- settings (settings.c, preset.c, weights_option.c) ---- */

typedef enum {
    EG_RUN_FINETUNE,
    EG_RUN_FROZEN,
    EG_RUN_SCRATCH,
    EG_RUN_LPFT, /* fine-tuning from the exact head (linear probe first; Kumar et al. 2022) */
    EG_RUN_MODE_COUNT
} eg_run_mode;

/* What --max-memory came to (memory_limit.c). */
typedef struct {
    int batch;                 /* to be used; 0: no limit was given */
    int batch_asked;           /* by the options */
    size_t bytes;              /* the process at `batch`, estimated: an upper bound */
    size_t bytes_asked, spare; /* the same at `batch_asked`; limit - bytes */
    bool recomputes;           /* the plan gives time for memory */
} eg_memory_fit;

/* Everything a run does, with no "auto" left. `o` is what config.json keeps; the rest is derived
 * from it. */
typedef struct {
    eg_options o; /* resolved; texts live in `arena`; o.weights is one path or NULL */
    eg_arena *arena;
    const eg_arch_info *arch;
    eg_run_mode mode;
    const char *weights_note; /* where they were found without --weights, for the log; or NULL */
    const char *dtype_note;  /* why the number format is not what was asked for, or slow; or NULL */
    char weights_sha256[65]; /* of the whole input file, "" without one */
    eg_preprocess preprocess;
    eg_bn_mode bn;
    eg_memory_fit memory;
    int score_batch; /* of predictions; o.batch_size but for --max-memory */
    bool bf16;       /* o.dtype is bf16, and the network's plans take it */
    bool live;       /* the trunk runs in every epoch; false: features are computed once */
    bool lbfgs;      /* the exact head */
    bool augmented;
    eg_augment augment;
    bool stochastic;    /* dropout and stochastic depth are on in training */
    double focal_gamma; /* of the loss; 0: cross-entropy */
} eg_settings;

const char *eg_study_mode_name(eg_run_mode mode);
bool eg_study_mode_parse(eg_run_mode *out, const char *name);
/* Settings of `model` in `mode` from the user's options. Weights are looked up and hashed here.
 * EG_ERR_USAGE says which option is wrong; EG_ERR_NOT_FOUND names a missing weights file. */
eg_status eg_study_settings_resolve(eg_settings *out, const eg_options *o, const char *model,
                                    const char *mode, eg_error *err);
/* Settle --preprocessing auto on a checked data set: images that all have exactly the network's
 * input size are taken as they are ("squash", which then changes no pixel), because the preset
 * would enlarge them and cut their border off; others get the weights' preset. Says so on `ev`. */
eg_status eg_study_settings_fit(eg_settings *s, const eg_dataset *ds, const eg_events *ev,
                                eg_error *err);
/* Settings back from "settings" of config.json (--resume). */
eg_status eg_study_settings_read(eg_settings *out, const json_t *settings, eg_error *err);
/* Every option that matters to the result, under its option's name; NULL: no memory. */
json_t *eg_study_settings_json(const eg_settings *s);
/* Tell the notes of `s` that those of `before` (NULL: none) did not tell already. */
void eg_study_settings_say(const eg_settings *s, const eg_settings *before, const eg_events *ev);
void eg_study_settings_free(eg_settings *s);
/* The path that --weights gives for `model`: a MODEL=FILE entry, else the plain FILE; *out NULL
 * when there is none. */
eg_status eg_study_weights_find(char **out, const char *spec, const char *model, eg_error *err);

/* ---- number format (run_dtype.c) ---- */

typedef struct {
    bool bf16;
    char note[160]; /* for the user: it is not what was asked for, or slow; "" = nothing to say */
} eg_dtype_choice;
/* "f32" | "bf16" */
const char *eg_study_dtype_name(bool bf16);
/* NULL, "" and "auto" */
bool eg_study_is_auto(const char *word);
/* What --dtype `word` is for a network (an outline will do) that predicts and, with `train`, is
 * trained. EG_ERR_USAGE: no such word. */
eg_status eg_study_dtype_choose(eg_dtype_choice *out, const char *word, eg_network *net, bool train,
                                eg_error *err);
/* The same for a network that is not made yet. */
eg_status eg_study_dtype_for(eg_dtype_choice *out, const char *word, const eg_arch_info *arch,
                             int side, bool train, eg_error *err);

/* ---- weights on this machine (weights_cache.c) ---- */

typedef struct {
    char *path;        /* owned; NULL: none */
    const char *place; /* "PyTorch's cache" | "the cache" */
    char sha256[65];
    bool full;       /* all 64 digits were known and compared, not 8 */
    char wrong[400]; /* for the user: a file of the name that was not used; "" = none */
} eg_cached_weights;
/* Look for `file` (and for what `model` was called earlier) in o->torch_cache, then o->cache. The
 * file's SHA-256 must begin with `sha256`. */
eg_status eg_study_weights_cached(eg_cached_weights *out, const char *model, const char *file,
                                  const char *sha256, const eg_options *o, eg_error *err);
/* An earlier name of the model's file and the digits in it; NULL: it has none. */
const char *eg_study_weights_old_name(const char *model, const char **digits);
/* Does `sha256` begin with the 8 to 64 digits of `expected`? *full: all 64 were compared. */
bool eg_study_weights_match(bool *full, const char *sha256, const char *expected);

/* --augment and the options that override its values; `preset` is what auto means. */
void eg_study_augment(eg_augment *out, const eg_options *o, const char *preset);
/* Preprocessing as named in o->preprocessing and o->img_size for a network with the weights of its
 * row in the zoo. */
eg_status eg_study_preset(eg_preprocess *out, const eg_arch_info *arch, const char *name,
                          int64_t img_size, eg_error *err);
/* The same for the weights file of this SHA-256 (NULL, "": that of the row): torchvision's other
 * weights of a network come with another resize, crop or filter. */
eg_status eg_study_preset_of(eg_preprocess *out, const eg_arch_info *arch, const char *sha256,
                             const char *name, int64_t img_size, eg_error *err);
/* Pixels a side that these weights were trained with. */
int eg_study_preset_side(const eg_arch_info *arch, const char *sha256);
json_t *eg_study_preset_json(const eg_preprocess *p);
eg_status eg_study_preset_parse(eg_preprocess *out, const json_t *json, eg_error *err);

/* ---- data (dataset_open.c, data_stage.c) ---- */

/* Limits and accuracy of decoding by --max-pixels and --decode. `p`: what the network takes, for the smallest side of a fast
 * decode; NULL: exact. */
eg_image_options eg_study_image_options(const eg_options *o, const eg_preprocess *p);
/* Open what a command calls DIR (class folders, a CSV, an .npz) with its options, and take --split-file. Every command opens
 * its data here. */
eg_status eg_study_dataset_open(eg_dataset **out, const char *dir, const eg_options *o,
                                const eg_preprocess *p, const eg_events *ev, eg_error *err);
/* Is it something eg_dataset_open takes, by its name: a folder, .csv, .tsv or .npz? For commands that take images too. */
bool eg_study_is_dataset(const char *path);
/* Where a split came from: "own" | "file" | "drawn" | "none"; of a run that goes on: "run". Static texts. */
typedef struct {
    const char *val, *test;
} eg_split_origin;
/* Make what is missing: a test split of a set without any (--test-share), then validation (--val-share, --folds); refuse
 * patients on two sides unless --allow-shared-patients; write --save-split. After the check of the images. */
eg_status eg_study_dataset_split(eg_split_origin *out, eg_dataset *ds, const eg_options *o,
                                 const eg_events *ev, eg_error *err);
/* Take the split.csv of a run whose data these are (same fingerprint); *restored false: they are not, nothing changed. */
eg_status eg_study_split_restore(bool *restored, eg_dataset *ds, const char *run, eg_error *err);

/* A data set opened, checked and split, and its "data" JSON of doc/documents.md. */
typedef struct {
    eg_dataset *ds;
    json_t *json;
    uint32_t *train, *val, *test; /* dataset indices */
    size_t n_train, n_val, n_test;
} eg_data_stage;
/* `p` as in eg_study_dataset_open. `run`: a run that goes on, whose own split is used; NULL: none. */
eg_status eg_study_data_open(eg_data_stage *out, const char *dir, const eg_options *o,
                             const eg_preprocess *p, const char *run, const eg_events *ev,
                             eg_error *err);
void eg_study_data_free(eg_data_stage *data);
/* The checking half of it, for commands without a split: bad files are refused, or dropped with
 * --skip-bad. With a cache of features, files are hashed, and those known to be sound not decoded. */
eg_status eg_study_data_check(json_t **bad, eg_dataset *ds, const eg_options *o,
                              const eg_events *ev, eg_error *err);
/* The split that `name` means; false: none. */
bool eg_study_split_parse(eg_split *out, const char *name);

/* ---- scoring (scorer.c, scores.c) ---- */

typedef struct {
    const eg_dataset *ds;
    const uint32_t *indices; /* borrowed while the scorer lives */
    size_t n;
    eg_preprocess preprocess;
    int batch, workers;
    bool features;            /* rows are pooled features instead of logits */
    size_t cache_bytes;       /* for decoded images, when it runs once an epoch */
    bool deterministic, bf16; /* as eg_plan_options */
    int tta;                  /* logits: of the mean probability over so many shifted views; 0: 1 */
    const eg_augment *augment; /* features: of the images as view `view` shows them; NULL: as is */
    uint32_t view;
    uint64_t seed; /* of `augment` */
} eg_scorer_options;
typedef struct {
    eg_scorer_options o;
    eg_plan *plan;
    eg_loader *loader;
    size_t width; /* of a row: classes or features */
    float *rows;  /* tta: (batch, width), logarithms of mean probabilities; NULL: no tta */
    double *prob; /* tta: (2, batch, width) */
} eg_scorer;
eg_status eg_study_scorer_open(eg_scorer *out, eg_network *net, const eg_scorer_options *o,
                               eg_error *err);
/* Rows (n, width) in the order of the indices, with the network's present weights. */
eg_status eg_study_scorer_run(float *rows, eg_scorer *s, const char *stage, const eg_events *ev,
                              eg_error *err);
/* The same, each batch's rows (n, width) given to `take` while they last. */
typedef void (*eg_row_taker)(void *context, const float *rows, size_t n);
eg_status eg_study_scorer_each(eg_row_taker take, void *context, eg_scorer *s, const char *stage,
                               const eg_events *ev, eg_error *err);
void eg_study_scorer_close(eg_scorer *s);

/* Class probabilities of the images of one split. */
typedef struct {
    size_t n;
    int n_classes;
    char **file;    /* (n) relative paths */
    int32_t *label; /* (n) */
    double *prob;   /* (n, n_classes) */
} eg_scores;
eg_status eg_study_scores_new(eg_scores *out, const eg_dataset *ds, const uint32_t *indices,
                              size_t n, eg_error *err);
void eg_study_scores_free(eg_scores *s);
/* Open a scorer, run it, take the softmax. */
eg_status eg_study_scores_of(eg_scores *out, eg_network *net, const eg_scorer_options *o,
                             const char *stage, const eg_events *ev, eg_error *err);
/* predictions-*.csv, and back (the study compares what the files say, so that a run kept from
 * earlier counts alike). */
eg_status eg_study_scores_write(const eg_scores *s, const char *path, char *const *classes,
                                eg_error *err);
eg_status eg_study_scores_read(eg_scores *out, const char *path, char *const *classes,
                               int n_classes, eg_error *err);
/* Class names of a predictions file, from its p_ columns. */
typedef struct {
    char **names; /* (n) owned */
    int n;
} eg_study_class_list;
eg_status eg_study_scores_classes(eg_study_class_list *out, const char *path, eg_error *err);
void eg_study_class_list_free(eg_study_class_list *list);
/* Patients of the images of `s` from split.csv of the run folder `dir`, as numbers; *out NULL: not known for all of them, or
 * every image is another patient's (compare_read.c). */
eg_status eg_study_patients_read(int32_t **out, const char *dir, const eg_scores *s, eg_error *err);
/* The positive class's column (n), eg_free; NULL: no memory or not two classes. */
double *eg_study_scores_positive(const eg_scores *s);
/* Threshold with the best accuracy on these (validation) scores; 0.5 unless there are two classes.
 * */
double eg_study_scores_threshold(const eg_scores *s);
/* Mean loss, accuracy and AUC only: what an epoch's line needs. */
typedef struct {
    double loss, accuracy, auc;
} eg_brief;
eg_status eg_study_scores_brief(eg_brief *out, const eg_scores *s, eg_error *err);
/* M of doc/documents.md. `threshold` NaN: argmax (0.5), the headline figures. */
eg_status eg_study_metrics_json(json_t **out, const eg_scores *s, char *const *classes,
                                double threshold, eg_error *err);

/* ---- progress (progress.c) ---- */

bool eg_study_stopped(const eg_events *ev);
void eg_study_report(const eg_events *ev, const eg_progress *p);
void eg_study_note(const eg_events *ev, const char *format, ...) EG_PRINTF(2, 3);

/* ---- a run while it goes ---- */

/* Features of images, computed once by a frozen trunk (feature_rows.c). */
typedef struct {
    float *rows; /* (n, width) */
    size_t width, n;
    size_t n_cached;    /* rows that came from the cache on disk */
    size_t arena_bytes; /* of the plan that computed the others; 0: all came from the cache */
    double seconds;
    bool bf16; /* computed in */
} eg_feature_store;

typedef struct {
    const eg_settings *s;
    const eg_data_stage *data;
    const char *dir;
    const eg_events *ev; /* may be NULL */
    bool resume;
    eg_feature_store *store; /* frozen runs: of every sample, by dataset index; empty in others */
    eg_network *net;
    json_t *history; /* array of rows */
    /* results */
    double train_seconds, images_per_second, feature_seconds;
    size_t peak_bytes; /* activations, weights, gradients, moments: planned, not measured */
    bool bf16;         /* what its plans really run in */
    int64_t best_epoch, epochs;
    const char *stopped; /* "epochs" | "patience" | "converged" */
    double best_loss;
    /* of the recipe (recipe.h); NULL: not there */
    struct eg_weights_copy *ema, *mean; /* while training by epochs */
    json_t *average, *probe, *penalty;  /* owned; for summary.json */
} eg_run;

/* Train by epochs, trunk included (trainer.c). Writes best and last checkpoint, history, resume
 * state. */
eg_status eg_study_train_live(eg_run *run, eg_error *err);
/* Train the head on features computed once (frozen.c, head_exact.c, head_recipe.c). */
eg_status eg_study_train_frozen(eg_run *run, eg_error *err);
/* Head tensors of a network: weight (K, D) and bias (K). */
eg_status eg_study_head_find(eg_net_tensor **weight, eg_net_tensor **bias, eg_network *net,
                             eg_error *err);
/* Scores of `indices` from the stored features and the network's present head. */
eg_status eg_study_frozen_scores(eg_scores *out, eg_run *run, const uint32_t *indices, size_t n,
                                 eg_error *err);
/* features.npz: features, labels, files, and split when `with_split`. */
eg_status eg_study_features_write(const char *path, const float *rows, size_t width,
                                  const eg_dataset *ds, bool with_split, eg_error *err);

/* ---- the run directory (run_dir.c, checkpoint.c, resume.c) ---- */

/* Make it ready: new or empty, or emptied of a former run's files with `overwrite`; else
 * EG_ERR_USAGE. */
eg_status eg_study_dir_prepare(const char *dir, bool overwrite, eg_error *err);
json_t *eg_study_config_json(const eg_settings *s, const json_t *data);
eg_status eg_study_file_write(const char *dir, const char *name, const json_t *json, eg_error *err);
eg_status eg_study_file_read(json_t **out, const char *dir, const char *name, eg_error *err);
eg_status eg_study_split_write(const eg_run *run, eg_error *err);
/* One row of history, kept in run->history and appended to history.jsonl. */
typedef struct {
    int64_t epoch;
    double train_loss, train_accuracy;
    eg_brief val;
    double lr, seconds, images_per_second; /* NaN: does not apply */
} eg_history_row;
eg_status eg_study_history_add(eg_run *run, const eg_history_row *row, eg_error *err);
/* history.jsonl again from run->history (start, and resume: rows after the resumed epoch go). */
eg_status eg_study_history_rewrite(const eg_run *run, eg_error *err);

/* Save the network with classes, preprocessing and threshold in its metadata. */
eg_status eg_study_checkpoint_save(const eg_run *run, const char *path, int64_t epoch,
                                   double threshold, eg_error *err);
/* Load a checkpoint of the same network back into it. */
eg_status eg_study_checkpoint_load(eg_network *net, const char *path, eg_error *err);
/* A run opened for use. */
typedef struct {
    eg_network *net;
    char *model;
    json_t *classes_json;
    char **classes; /* (n_classes) borrowed from classes_json */
    int n_classes;
    double threshold;
    const char *dtype; /* what it was trained in: "f32" | "bf16" */
    int tta;           /* views whose probabilities it was scored by; at least 1 */
    eg_preprocess preprocess;
} eg_opened_run;
eg_status eg_study_run_open(eg_opened_run *out, const char *run, eg_error *err);
/* The same from a checkpoint that is read already. */
eg_status eg_study_run_from(eg_opened_run *out, const eg_state_dict *sd, eg_error *err);
void eg_study_run_close(eg_opened_run *r);
/* The format its network is used in: --dtype `word`, and for "auto" that of the run. Tells the note. */
eg_status eg_study_dtype_of_run(eg_dtype_choice *out, const eg_opened_run *run, const char *word,
                                const eg_events *ev, eg_error *err);

/* What must be known to go on after an epoch, besides network and moments. */
typedef struct {
    int64_t epoch, best_epoch, bad_epochs;
    double best_loss, train_seconds;
} eg_resume_state;
/* Save epoch's network, moments and state in two alternating slots: a kill at any moment leaves one
 * whole. last (and best, when `is_best`) become links to the slot's network. */
eg_status eg_study_resume_save(eg_run *run, const eg_optimizer *opt, const eg_resume_state *state,
                               double threshold, bool is_best, eg_error *err);
/* *state.epoch = 0: nothing saved yet, start anew. Also restores run->history. */
eg_status eg_study_resume_load(eg_resume_state *state, eg_run *run, eg_optimizer *opt,
                               eg_error *err);
void eg_study_resume_clear(const char *dir);

/* Freeze proof: the saved network against the input weights file, tensor by tensor, bit by bit
 * (freeze.c). A trunk tensor that differs is EG_ERR_INTERNAL naming it when `strict`, else only
 * counted. *out: freeze.json. */
eg_status eg_study_freeze_prove(json_t **out, const char *checkpoint, const char *weights,
                                const eg_settings *s, int n_classes, bool strict, eg_error *err);

/* ---- one run from start to end (run.c) ---- */

/* Train, score, write: *out is R of doc/documents.md, also in summary.json. The directory must be
 * prepared. */
eg_status eg_study_run_execute(json_t **out, eg_run *run, eg_error *err);

/* ---- documents of the study ---- */

/* Entry of the zoo for `models`, timed on random numbers with o->batch_size and o->dtype (models.c,
 * measure.c). */
eg_status eg_study_model_json(json_t **out, const eg_arch_info *arch, const eg_options *o,
                              eg_error *err);
eg_status eg_study_measure(json_t *entry, const eg_arch_info *arch, int n_classes,
                           const eg_options *o, eg_error *err);

/* One finished run as the comparison sees it. */
typedef struct {
    const char *name; /* "<model>-<mode>" */
    json_t *summary;  /* R */
    json_t *config;
    eg_scores val, test; /* test.n = 0 without a test split */
} eg_finished_run;
/* Task A: the numbers as sentences, and the two models they speak for. NULL: no memory. */
json_t *eg_study_choice(const json_t *models);
/* Task D: every pair of runs on the same images. Task E: why test lags validation, first form. */
eg_status eg_study_compare(json_t **out, const eg_finished_run *runs, size_t n, eg_error *err);
eg_status eg_study_why(json_t **out, const eg_finished_run *runs, size_t n, const json_t *data,
                       eg_error *err);

/* A growing array of sentences; false: no memory. */
bool eg_study_say(json_t *sentences, const char *format, ...) EG_PRINTF(2, 3);
/* Number at a key of an object; NaN when absent or null. */
double eg_study_number(const json_t *object, const char *key);
json_t *eg_study_machine_json(bool kernels); /* cpu, isa, threads ... (version.c) */

#endif
