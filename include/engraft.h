/* engraft: transfer learning for biomedical images. The one public header.
 *
 * Sections follow the user's order: status and errors, options, progress, documents, the zoo (Task A), data sets, training
 * (Tasks B, C), evaluation and prediction, the whole study (A to E), reports, files, versions.
 *
 * The library never exits, never prints, never reads the environment, and touches the network in eg_pull only (proxies
 * are libcurl's: https_proxy, no_proxy). Every function that can fail returns eg_status and writes nothing to its
 * outputs on failure. Objects are made by *_new/_open or by an eg_status function with an `eg_doc **out`, and released
 * by the matching *_free (NULL allowed).                                                                          */
#ifndef ENGRAFT_H
#define ENGRAFT_H

#include <engraft_options.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1. Status and errors ---------------------------------------------------------------------------------- */

/* X(NAME, exit code of the program, text) */
#define EG_STATUS_LIST(X)                                                                          \
    X(OK, 0, "done")                                                                               \
    X(ERR_INTERNAL, 1, "internal error")                                                           \
    X(ERR_NO_MEMORY, 1, "out of memory")                                                           \
    X(ERR_UNSUPPORTED, 1, "not supported")                                                         \
    X(ERR_FINDINGS, 1, "findings")                                                                 \
    X(ERR_USAGE, 2, "usage")                                                                       \
    X(ERR_INPUT, 3, "bad input")                                                                   \
    X(ERR_MISMATCH, 3, "input does not fit")                                                       \
    X(ERR_LIMIT, 3, "limit exceeded")                                                              \
    X(ERR_NOT_FOUND, 3, "not found")                                                               \
    X(ERR_DIVERGED, 4, "training diverged")                                                        \
    X(ERR_IO, 5, "input/output error")                                                             \
    X(ERR_INTERRUPTED, 130, "interrupted")

typedef enum {
#define EG_STATUS_ENUM(name, code, text) EG_##name,
    EG_STATUS_LIST(EG_STATUS_ENUM)
#undef EG_STATUS_ENUM
        EG_STATUS_COUNT
} eg_status;

/* Detail of a failure; owned by the caller, never allocates. Set once, where the trouble is found. */
typedef struct {
    eg_status status;
    int64_t offset; /* byte offset in the file at fault, -1 when there is none */
    char text[640]; /* what, where, found, expected, hint; no newline at the end */
} eg_error;

/* Exit code of the program for a status (README, "Exit codes"). */
int eg_status_exit_code(eg_status status);
/* Short English name of a status; static storage. */
const char *eg_status_text(eg_status status);

/* ---- 2. Options: one table, many readers (commands and fields: engraft_options.h) --------------------------- */

/* The table; `*n` gets its length. Static storage. */
const eg_option *eg_option_table(size_t *n);
/* Name, arguments and help of a command; static storage. */
const char *eg_command_name(eg_command command);
const char *eg_command_arguments(eg_command command);
const char *eg_command_help(eg_command command);
/* Set every field of `o` to its default. */
void eg_options_init(eg_options *o);
/* Set one option from text (strict: no trailing junk, inside the range). `value` is borrowed, except that it is
 * parsed at once for INT, REAL, FLAG and CHOICE. Returns EG_ERR_USAGE with one line naming option and range.   */
eg_status eg_options_set(eg_options *o, const eg_option *option, const char *value, eg_error *err);
/* The option that `name` (canonical, or an alias; '_' counts as '-') means for `command`, or NULL. */
const eg_option *eg_option_find(const char *name, eg_command command);

/* ---- 3. Progress ------------------------------------------------------------------------------------------- */

typedef enum {
    EG_PROGRESS_NOTE,
    EG_PROGRESS_STEP,
    EG_PROGRESS_EPOCH,
    EG_PROGRESS_SCAN,
    EG_PROGRESS_FETCH
} eg_progress_kind;

typedef struct {
    eg_progress_kind kind;
    const char *stage;       /* "train", "validate", "features", "test", "decode" ... */
    const char *text;        /* NOTE: a line for the log, else NULL */
    int64_t epoch, n_epochs; /* 1-based */
    int64_t step, n_steps;   /* 1-based; images for SCAN, bytes for FETCH (n_steps 0: not known) */
    double loss, mean_loss;  /* STEP: now and mean of the epoch; EPOCH: of train */
    double accuracy;         /* EPOCH: of train */
    double val_loss, val_accuracy, val_auc; /* EPOCH; NaN when undefined */
    double images_per_second, bytes_per_second, lr;
    double data_wait_seconds; /* time the compute waited for images, this epoch */
    double eta_seconds;       /* for the whole stage */
} eg_progress;

/* How a long call reports and is stopped. All fields may be zero. */
typedef struct {
    void (*progress)(void *context, const eg_progress *p); /* called on the caller's thread */
    void *context;
    const volatile sig_atomic_t *stop; /* non-zero: EG_ERR_INTERRUPTED at the next step's end */
} eg_events;

/* ---- 4. Documents: what every command returns -------------------------------------------------------------- */

typedef struct eg_doc eg_doc; /* an immutable JSON document with a kind: "models", "train" ... */

void eg_doc_free(eg_doc *doc);
/* Static name of what the document is; decides how eg_report_terminal draws it. */
const char *eg_doc_kind(const eg_doc *doc);
/* The JSON text, UTF-8, newline at the end; owned by the caller, release with eg_text_free. NULL: no memory. */
char *eg_doc_json(const eg_doc *doc);
/* A number in the document by path, e.g. "runs.0.test.accuracy". EG_ERR_NOT_FOUND when absent or null. */
eg_status eg_doc_number(double *value, const eg_doc *doc, const char *path, eg_error *err);
void eg_text_free(char *text);

/* ---- 5. The zoo: Task A ------------------------------------------------------------------------------------ */

/* List of networks (kind "models"): a JSON array of {name, family, parameters, multiply_adds, imagenet_top1,
 * imagenet_top5, weights, weights_sha256, file_bytes, img_size, resize, interpolation}, or one of them by `name`
 * (NULL = all). With o->measure also {measured_ms_per_image, measured_train_images_per_second, peak_bytes}. */
eg_status eg_models(eg_doc **out, const char *name, const eg_options *o, const eg_events *ev,
                    eg_error *err);
/* Get the weights files of models (or of addresses whose file name ends in -SHA256DIGITS.pth) into o->cache, where
 * they are not in o->torch_cache or o->cache already (kind "pull"). Wrong bytes never get a file's name; a broken
 * download is continued by the next call. EG_ERR_MISMATCH: another file than expected; EG_ERR_IO: network, disk. */
eg_status eg_pull(eg_doc **out, const char *const *names, size_t n, const eg_options *o,
                  const eg_events *ev, eg_error *err);

/* ---- 6. Data sets ------------------------------------------------------------------------------------------ */

/* Examine the data set `dir` (class folders, a CSV manifest, an .npz): counts, balance, sizes, bad files, duplicates,
 * patients and drift across splits, and what of it is a finding (kind "data"). An HTML page too with o->out. With
 * o->preprocessing_run: what mistakes of preprocessing change; with o->show_augmentation: a sheet at o->out. */
eg_status eg_data(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                  eg_error *err);
/* Write o->n_images synthetic radiographs in two classes, with the faults of o->plant, into the new folder `dir`:
 * class folders, truth.csv and phantom.json (kind "phantom"). The same bytes for the same options. */
eg_status eg_phantom(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                     eg_error *err);

/* ---- 7. Training: Tasks B and C ---------------------------------------------------------------------------- */

/* Train o->model on the class folders of `dir` and write a run directory at o->out (kind "train": the run's summary,
 * as in study.json "runs"). The test split, when there is one, is scored once, after training. On EG_ERR_INTERRUPTED
 * and EG_ERR_DIVERGED the last good checkpoint stays and err->text says how to go on.                         */
eg_status eg_train(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                   eg_error *err);
/* Pooled features of every image of `dir` into the .npz file o->out (kind "features": counts). */
eg_status eg_features(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                      eg_error *err);

/* ---- 8. Evaluation and prediction -------------------------------------------------------------------------- */

/* Score the run in directory `run` on split o->split of `dir` (kind "metrics"); with o->predictions that file instead, `run`
 * and `dir` NULL. o->operating_point and o->calibration are chosen on validation predictions only: EG_ERR_USAGE,
 * EG_ERR_MISMATCH when these are what is scored. A look at test is a line of ledger.jsonl in the run folder. With o->out
 * metrics.json and predictions.csv there. */
eg_status eg_eval(eg_doc **out, const char *run, const char *dir, const eg_options *o,
                  const eg_events *ev, eg_error *err);
/* Class probabilities of `n` image files (kind "predictions"). */
eg_status eg_predict(eg_doc **out, const char *run, const char *const *images, size_t n,
                     const eg_options *o, const eg_events *ev, eg_error *err);

/* Pictures of what the run's network looked at, one PNG an image and explain.json, in the folder o->out (kind
 * "explain"): `n` image files, or one data set, of which the run's worst errors and least certain images are taken. */
eg_status eg_explain(eg_doc **out, const char *run, const char *const *images, size_t n,
                     const eg_options *o, const eg_events *ev, eg_error *err);

/* Finished runs (run folders, or studies, whose runs are all taken) side by side, from their files alone: figures with
 * bootstrap intervals by patient, gaps between splits, cost, every pair tested with Holm's correction, sentences (kind
 * "compare"). With o->published the audit of a table of printed figures instead (kind "published"); a run then gives
 * the number of test images and the larger class's share. */
eg_status eg_compare(eg_doc **out, const char *const *runs, size_t n, const eg_options *o,
                     const eg_events *ev, eg_error *err);

/* Why the test split of `dir` is harder for the run than its validation split: each cause with its effect in points of
 * accuracy, interval, p, verdict and the command that measures it again, largest first; then what would help (kind "why").
 * Trains heads on frozen features and asks the run's network about changed images; test labels measure, nothing is chosen
 * by them. o->cause: only these. EG_ERR_INPUT: no test split; EG_ERR_MISMATCH: other classes than the run's. */
eg_status eg_why(eg_doc **out, const char *run, const char *dir, const eg_options *o,
                 const eg_events *ev, eg_error *err);

/* ---- 9. The study: Tasks A to E ---------------------------------------------------------------------------- */

/* Every model x mode on `dir` into the directory o->out: study.json and runs/<model>-<mode>/ (kind "study"). */
eg_status eg_study(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                   eg_error *err);
/* Read STUDY/study.json back. */
eg_status eg_study_load(eg_doc **out, const char *study_dir, eg_error *err);

/* ---- 10. Reports -------------------------------------------------------------------------------------------- */

/* A document as terminal text, at most `columns` wide, with ANSI colour when `colour`. Release with eg_text_free. */
eg_status eg_report_terminal(char **out, const eg_doc *doc, int columns, bool colour,
                             eg_error *err);
/* A study (or a single run) as one self-contained HTML file at `path`; language "en" or "zh-TW". */
eg_status eg_report_html(const char *path, const eg_doc *study, const char *lang, eg_error *err);
/* The curves of a document of kind "metrics" as files in the folder `dir`: confusion.svg and, of two classes, roc.svg, pr.svg,
 * reliability.svg. Only those that the document has points for. */
eg_status eg_report_pictures(const char *dir, const eg_doc *metrics, eg_error *err);

/* ---- 11. Files --------------------------------------------------------------------------------------------- */

/* What is in the file (kind "inspect"): weights container, pickle globals, tensors; image size; or a run. Executes
 * nothing. With o->verify every byte is read and every checksum compared.                                     */
eg_status eg_inspect(eg_doc **out, const char *path, const eg_options *o, eg_error *err);
/* Write the network of a run, a checkpoint or a plain weights file (o->model, or recognised by its tensors) to o->out
 * (kind "export"). Metadata of safetensors and ONNX hold classes, preprocessing and threshold; a .pth has no place for
 * them. EG_ERR_UNSUPPORTED: no ONNX form of an operator. */
eg_status eg_export(eg_doc **out, const char *source, const eg_options *o, eg_error *err);

/* ---- 12. Versions and the processor ------------------------------------------------------------------------ */

/* Time of a step (o->bench_mode) of `model` (NULL: efficientnet_b0), by layer, and of this machine's limits (kind "bench"). */
eg_status eg_bench(eg_doc **out, const char *model, const eg_options *o, const eg_events *ev,
                   eg_error *err);
/* Versions, processor, instruction set in use (kind "version"); with o->kernels the kernel table. */
eg_status eg_version(eg_doc **out, const eg_options *o, eg_error *err);
/* Cap the kernels at an instruction set: "scalar", "avx2", "avx512", "avx512bf16". Call before anything else, once. */
eg_status eg_isa_limit(const char *isa, eg_error *err);
/* Number of threads for compute; 0 = as many as the process may use. Call before anything else, once. */
void eg_threads_set(int n);

#ifdef __cplusplus
}
#endif
#endif
