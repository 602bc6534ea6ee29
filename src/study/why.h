/* Private to the study room: `engraft why`. One table of causes (why.c), one function a cause (why_points.c, why_shift.c,
 * why_probe.c, why_leak.c, why_head.c); what they share is opened once in the case (why_case.c) or computed when the first
 * cause asks for it: features, cross-validated heads (why_cross.c), the pass over the images of `engraft data`.
 *
 * Labels of the test split are used to measure: the gap, recalls, what a change of rule chosen elsewhere would have brought.
 * Nothing is chosen by them. Read first: why.c.                                                                     */
#ifndef EG_STUDY_WHY_H
#define EG_STUDY_WHY_H

#include "study/data_report.h"

/* ---- effects (why_effect.c) ---- */

/* In points of accuracy (0.01). Positive: so much of the gap, or so much to be had. */
typedef struct {
    double points, ci[2], p; /* two-sided, that it is 0; NaN: no test */
} eg_why_effect;

/* Mean of value (n) over cases, of which those of one cluster (a patient) are drawn together; value in [-1, 1]. The p is the
 * bootstrap's, and of fewer than 20 changed cases at least an exact sign test's: the former is too sure of a handful. */
eg_status eg_study_why_mean(eg_why_effect *out, const double *value, const uint32_t *cluster,
                            size_t n, uint64_t seed, eg_error *err);
/* Mean of a (n_a) minus mean of b (n_b), cases of two sets, bootstrapped within each. */
eg_status eg_study_why_difference(eg_why_effect *out, const double *a, const uint32_t *cluster_a,
                                  size_t n_a, const double *b, const uint32_t *cluster_b,
                                  size_t n_b, uint64_t seed, eg_error *err);
/* Is the most probable class the label? prob (n, K). right (n) becomes 0 or 1. */
void eg_study_why_right(double *right, const double *prob, const int32_t *label, size_t n,
                        int n_classes);

/* ---- the case ---- */

/* Heads on the still features of the training images, each image scored by a head that has not seen its fold. */
typedef struct {
    double *prob;  /* (n_train, K); NULL: not computed */
    double *right; /* (n_train) 0 or 1 */
    double accuracy, loss;
} eg_why_cross;

/* Error of held-out training images against the number that was learned from (why_head.c). */
enum { EG_WHY_SIZES = 4 };
typedef struct {
    bool done, fitted;
    double size[EG_WHY_SIZES], error[EG_WHY_SIZES], sigma[EG_WHY_SIZES];
    double floor;           /* error with endless images, by the power law */
    eg_resampled at_double; /* error at twice the images */
    eg_why_effect last;     /* what the second half of the images brought */
} eg_why_curve;

/* How the images of validation and test look to the network (why_looks.c). */
enum { EG_WHY_SAMPLE = 24, EG_WHY_THUMB = 32 };
typedef enum {
    EG_WHY_MEAN,
    EG_WHY_SPREAD,
    EG_WHY_NOISE,
    EG_WHY_SHARP,
    EG_WHY_MEASURES
} eg_why_measure;
typedef struct {
    bool done;
    double *right[2];                   /* of val, test: one view an image */
    float *measure[2][EG_WHY_MEASURES]; /* of each image; gray values in [0, 1] */
    double *portrait[2];                /* (K, THUMB, THUMB) sums over the images of a class */
    float *sample;                      /* (n_sample, side, side) gray images of validation */
    size_t n_sample;
    int side;
} eg_why_views;

typedef struct {
    const char *run_dir, *dir;
    const eg_options *o; /* of the command */
    const eg_events *ev;
    eg_opened_run run;
    eg_settings settings; /* of the run, from config.json */
    eg_options opening;   /* the options that open its data */
    eg_data_stage data;
    json_t *summary;                /* summary.json */
    bool own_data;                  /* DIR is the data of the run: its split, its predictions */
    eg_scores val, test;            /* in the order of data.val, data.test */
    double *val_right, *test_right; /* (n_val), (n_test) 0 or 1, at the headline rule */
    uint32_t *train_unit, *val_unit, *test_unit; /* patients, numbers below facts.n_units */
    eg_data_case
        facts; /* units; after eg_study_why_scan also facts of images; ds and features borrowed */
    json_t *found; /* "duplicates", "drift" of the data document; NULL before eg_study_why_scan */
    /* features of the pretrained network the run began with (eg_study_why_features) */
    bool features_tried;
    const char *no_features; /* why there are none; static; NULL: there are */
    float *features;         /* (n_samples, width) by dataset index */
    size_t width;
    float *x;       /* (n_train, width) rows of the training images */
    int32_t *label; /* (n_train) */
    double run_C;   /* inverse penalty of the run's exact head; 0.01 for other runs */
    double
        C; /* of the heads measured with: the best by cross-validation on train, from run_C by tens */
    double *run_right; /* (n_train) held-out images with run_C */
    double run_accuracy, run_loss;
    eg_why_cross by_patient;
    eg_why_curve curve;
    bool noisy; /* held-out training images are wrong more often than test images, beyond chance */
    eg_why_views views;
    double *explained; /* (K) points of each class's loss that a look with a name explains */
    /* the row being measured */
    size_t cause;  /* of the table */
    json_t *rows;  /* array of what was measured */
    json_t *tests; /* array of {p}: the family of Holm's correction is all rows with a p */
} eg_why_case;

eg_status eg_study_why_open(eg_why_case *c, const char *run, const char *dir, const eg_options *o,
                            const eg_events *ev, eg_error *err);
void eg_study_why_close(eg_why_case *c);
/* Compute once; later calls return at once. */
eg_status eg_study_why_features(eg_why_case *c, eg_error *err);
eg_status eg_study_why_scan(eg_why_case *c, eg_error *err);

/* ---- heads (why_cross.c) ---- */

enum { EG_WHY_FOLDS = 5 };
/* Fold 0 .. n_folds - 1 of each training image, cut by "patient", "image" or "block" as eg_dataset_split does it; fewer than 5
 * where a class has fewer patients. EG_ERR_INPUT: not even two. */
eg_status eg_study_why_folds(int *fold, int *n_folds, const eg_why_case *c, const char *by,
                             eg_error *err);
typedef struct {
    const char *by;           /* of the folds */
    double C;                 /* 0: c->C */
    double share;             /* of the patients of the training folds that are used; 0: all */
    const uint8_t *leave_out; /* (n_train) not learned from, still scored; NULL */
    bool balanced;            /* weights n / (K n_k) */
} eg_why_cross_options;
eg_status eg_study_why_cross_run(eg_why_cross *out, const eg_why_case *c,
                                 const eg_why_cross_options *o, eg_error *err);
/* c->curve, computed once (why_head.c). */
eg_status eg_study_why_curve_get(eg_why_case *c, eg_error *err);
/* c->by_patient and c->C, computed once. */
eg_status eg_study_why_cross_patient(eg_why_case *c, eg_error *err);
void eg_study_why_cross_free(eg_why_cross *x);
/* A head on all training images, and its probabilities (n, K) of the images `indices`. `by` and `share` are not looked at. */
eg_status eg_study_why_head(double *prob, const eg_why_case *c, const eg_why_cross_options *o,
                            const uint32_t *indices, size_t n, eg_error *err);

/* ---- changed images (why_probe.c) ---- */

/* Change image number i of the indices, of class `label`, before the network sees it: (side, side, 3) normalised; `room` is
 * as large. */
typedef void (*eg_why_change)(const void *context, float *image, float *room, int side, int label,
                              size_t i);
/* See it as it is. */
typedef void (*eg_why_look)(void *context, const float *image, int side, int label, size_t i);
typedef struct {
    const uint32_t *indices; /* (n) */
    size_t n;
    eg_why_change change; /* NULL: as they are */
    const void *change_context;
    eg_why_look look; /* NULL: not looked at */
    void *look_context;
    const char *stage;
} eg_why_probe_options;
/* Is the run's network right about the images? right (n) becomes 0 or 1. One view an image, whatever the run's --tta. */
eg_status eg_study_why_probe(double *right, const eg_why_case *c, const eg_why_probe_options *o,
                             eg_error *err);

void eg_study_why_views_free(eg_why_views *v); /* why_looks.c */

/* ---- rows ---- */

typedef struct {
    const char *class_name; /* NULL: not of one class */
    eg_why_effect effect;
    bool
        fact; /* seen by counting, not by a test: p is null and it is a cause when effect or `present` says so */
    bool present;    /* of a fact */
    bool either;     /* a negative effect counts too */
    json_t *details; /* figures behind it; taken over, also on failure */
} eg_why_row;
/* `format`: one sentence with the numbers. */
eg_status eg_study_why_add(eg_why_case *c, const eg_why_row *row, eg_error *err, const char *format,
                           ...) EG_PRINTF(4, 5);
/* Name of the cause that is being measured. */
const char *eg_study_why_cause_name(const eg_why_case *c);
/* "not measurable: why" */
eg_status eg_study_why_cannot(eg_why_case *c, eg_error *err, const char *format, ...)
    EG_PRINTF(3, 4);

/* ---- causes, one function a file's section ---- */
eg_status eg_study_why_sampling_noise(eg_why_case *c, eg_error *err);  /* why_points.c */
eg_status eg_study_why_threshold(eg_why_case *c, eg_error *err);       /* why_points.c */
eg_status eg_study_why_prior_shift(eg_why_case *c, eg_error *err);     /* why_points.c */
eg_status eg_study_why_calibration(eg_why_case *c, eg_error *err);     /* why_points.c */
eg_status eg_study_why_covariate_shift(eg_why_case *c, eg_error *err); /* why_shift.c */
eg_status eg_study_why_looks(eg_why_case *c, eg_error *err);           /* why_looks.c */
eg_status eg_study_why_framing(eg_why_case *c, eg_error *err);         /* why_looks.c */
eg_status eg_study_why_shortcut(eg_why_case *c, eg_error *err);        /* why_looks.c */
eg_status eg_study_why_block_shift(eg_why_case *c, eg_error *err);     /* why_leak.c */
eg_status eg_study_why_patient_leak(eg_why_case *c, eg_error *err);    /* why_leak.c */
eg_status eg_study_why_duplicates(eg_why_case *c, eg_error *err);      /* why_leak.c */
eg_status eg_study_why_label_noise(eg_why_case *c, eg_error *err);     /* why_head.c */
eg_status eg_study_why_few_images(eg_why_case *c, eg_error *err);      /* why_head.c */
eg_status eg_study_why_imbalance(eg_why_case *c, eg_error *err);       /* why_head.c */
eg_status eg_study_why_penalty(eg_why_case *c, eg_error *err);         /* why_fit.c */
eg_status eg_study_why_fit(eg_why_case *c, eg_error *err);             /* why_fit.c */
eg_status eg_study_why_hard_signal(eg_why_case *c, eg_error *err);     /* why_fit.c */

#endif
