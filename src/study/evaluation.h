/* Private to src/study: what `eval` does with predictions once there are any, and the ledger of looks at test. The rule of
 * both: what is chosen (threshold, calibration) is chosen on validation predictions, what is scored is other images, and
 * whoever computes or reads test figures leaves a line in the run folder first. Read first: run.h, scoring.           */
#ifndef EG_STUDY_EVALUATION_H
#define EG_STUDY_EVALUATION_H

#include "study/run.h"

/* ---- figures of one set of predictions (evaluation.c, operating_point.c) ---- */

typedef struct {
    eg_scores *scored;      /* calibrated in place */
    char *const *classes;   /* (scored->n_classes) */
    const char *split;      /* "test", "val", "train"; NULL: not known, a file from elsewhere */
    const char *val_path;   /* validation predictions; NULL or not there: nothing can be chosen */
    const int32_t *patient; /* (n) number of each image's patient, or NULL */
    const eg_options *o;    /* operating_point, calibration, seed */
} eg_evaluation;
/* M of doc/documents.md with what only eval has: intervals of every figure, operating point, calibration. EG_ERR_USAGE: an
 * option that cannot be followed; EG_ERR_MISMATCH: images that are scored are among those of the choice. */
eg_status eg_study_evaluation_json(json_t **out, const eg_evaluation *e, eg_error *err);
/* Can --operating-point and --calibration be followed on this split and number of classes (0: not known yet)? Asked before
 * images are read. */
eg_status eg_study_choice_check(const eg_options *o, const char *split, int n_classes,
                                eg_error *err);
/* Are there validation predictions for what is to be chosen? EG_ERR_NOT_FOUND; asked before images are read, too. */
eg_status eg_study_choice_ready(const eg_options *o, const char *val_path, eg_error *err);
/* --calibration fitted on `val`, applied to both. *out: its document, null for none. */
eg_status eg_study_calibrate(json_t **out, eg_scores *val, eg_scores *scored, const eg_options *o,
                             eg_error *err);
/* The threshold that --operating-point means on `val`; NaN: none was asked for. *out: its document or null. */
eg_status eg_study_operating_point(double *threshold, json_t **out, const eg_scores *val,
                                   const eg_options *o, eg_error *err);
/* `eval --predictions`: no run, no images (rescore.c). */
eg_status eg_study_rescore(json_t **out, const eg_options *o, const eg_events *ev, eg_error *err);
/* --out of eval: is the folder free for a metrics.json (before the work), and write it with the predictions. */
eg_status eg_study_evaluation_out_check(const eg_options *o, eg_error *err);
eg_status eg_study_evaluation_out_write(const json_t *json, const eg_scores *s,
                                        char *const *classes, const eg_options *o, eg_error *err);

/* ---- the ledger of looks at test (ledger.c) ---- */

typedef struct {
    const char *command;     /* "train", "eval", "why", ... */
    const char *fingerprint; /* of the data; NULL: that of the run's config.json */
    const char *looked_at;   /* "metrics", "predictions-test.csv", ... */
} eg_test_look;
/* Add a line to ledger.jsonl of the run folder. `run` may be a checkpoint file: the ledger is then the folder's it lies in,
 * when that is a run's. A checkpoint alone has no ledger: EG_OK, nothing written. EG_ERR_IO: it cannot be written, and
 * the caller then shows no figure of test. */
eg_status eg_study_ledger_add(const char *run, const eg_test_look *look, eg_error *err);
/* Lines that are a look at test; 0 without a ledger. EG_ERR_INPUT: a damaged line. `fingerprint` NULL: of any data. */
eg_status eg_study_ledger_count(int64_t *out, const char *run, const char *fingerprint,
                                eg_error *err);
/* Both for a document of test figures: add the look, then set "test_looks" in `metrics` (absent without a ledger). */
eg_status eg_study_ledger_note(json_t *metrics, const char *run, const eg_test_look *look,
                               eg_error *err);

#endif
