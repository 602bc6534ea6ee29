/* Private to the study room: runs read from their folders for `compare` (compare_read.c), what is said of them
 * (compare_text.c), and the audit of printed figures (published.c). The tests of pairs: study_compare.c. */
#ifndef EG_STUDY_COMPARE_H
#define EG_STUDY_COMPARE_H

#include "study/run.h"

/* The runs of a comparison. */
typedef struct {
    eg_finished_run *runs; /* (n); names are texts of `arena` */
    char **dir;            /* (n) folders, texts of `arena` */
    size_t n;
    bool test;        /* the split compared: test, or validation where a run has no test */
    int32_t *patient; /* (images of that split) numbers that stand for patients; NULL: not known */
    eg_arena *arena;
} eg_compared;
/* Read `n` run folders, or study folders, whose runs are all taken. Two runs of one name are called by their folders.
 * EG_ERR_NOT_FOUND: a folder that holds no finished run; EG_ERR_MISMATCH: other classes. */
eg_status eg_study_compared_read(eg_compared *out, const char *const *folders, size_t n,
                                 eg_error *err);
void eg_study_compared_free(eg_compared *c);
const eg_scores *eg_study_compared_scores(const eg_compared *c, size_t run);
/* Seconds of training until validation accuracy first reaches `accuracy`, features included; NaN: never. */
double eg_study_seconds_to_accuracy(const json_t *summary, double accuracy);

/* Calibrations and operating points fitted on `val` and scored on `test` (compare_calibration.c); json null where one of
 * them is empty; NULL: no memory. */
json_t *eg_study_calibration_json(const eg_scores *val, const eg_scores *test);
json_t *eg_study_operating_points_json(const eg_scores *val, const eg_scores *test);

/* What the figures of a comparison say, one sentence each (array); NULL: no memory. */
json_t *eg_study_compare_text(const json_t *document);

/* The audit of a table of printed figures: columns name, accuracy, loss, and if there n (test images) and majority
 * (share of the larger class). n_test and majority: of a run that stands beside it; 0 and NaN: none. *out: doc/documents.md,
 * "published". EG_ERR_INPUT names line and column. */
eg_status eg_study_audit_published(json_t **out, const char *csv_path, int64_t n_test,
                                   double majority, eg_error *err);

#endif
