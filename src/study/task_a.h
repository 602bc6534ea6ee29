/* Private header of Task A: which networks a call is about, their rows, what they cost here, and the
 * choice of two. The rule itself (eg_study_recommend_rank) is pure: figures in, figures out. */
#ifndef EG_STUDY_TASK_A_H
#define EG_STUDY_TASK_A_H

#include "study/run.h"

/* ---- which networks, in which order (model_select.c) ---- */

/* Networks whose name fits one of `names` ("resnet*,vgg16"; NULL: all) and whose family fits one of
 * `family`; upper and lower case count alike. *out (*n) is eg_free'd by the caller. EG_ERR_USAGE: a
 * word fits nothing; the text offers names that begin alike. */
eg_status eg_study_select(const eg_arch_info ***out, size_t *n, const char *names,
                          const char *family, eg_error *err);
/* Order rows by "COLUMN" or "-COLUMN" (the other way); figures that are missing stay last. */
eg_status eg_study_rows_sort(json_t *rows, const char *sort, eg_error *err);
/* Is `sort` a column that exists only with --measure? */
bool eg_study_sort_is_measured(const char *sort);

/* ---- measuring (measure.c) ---- */

/* Bytes this process can still get: available memory, less where a control group says so; 0: not
 * known. */
size_t eg_study_memory_free(void);

/* ---- the choice (recommend.c) ---- */

typedef struct {
    const char *name, *family;
    double top1;          /* percent */
    double multiply_adds; /* an image */
    double minutes;       /* on the user's data; NaN: not measured */
    double bytes;         /* of a training step; NaN: not measured */
    double score;         /* out */
    bool fits;            /* out: measured, and inside both budgets */
} eg_candidate;
/* Networks worth measuring: beaten in accuracy and multiply-adds by no network of their own family
 * and by at most one other family; of these the `most` with the best accuracy for their
 * multiply-adds, at most 2 of a kind (families whose names begin alike: EfficientNet,
 * EfficientNet-Lite). keep (n). Returns how many. */
size_t eg_study_shortlist(bool *keep, const eg_candidate *c, size_t n, size_t most);
/* score = top1 - 2 log2(minutes). *first: best score inside the budgets; *second: best of another
 * kind, else of any. -1: there is none. */
void eg_study_recommend_rank(int *first, int *second, eg_candidate *c, size_t n, double max_minutes,
                             double max_bytes);
/* eg_models with o->recommend. */
eg_status eg_study_recommend(json_t **out, const eg_arch_info *const *archs, size_t n, bool named,
                             const eg_options *o, const eg_events *ev, eg_error *err);
/* One network's figures at an input of `side` pixels (0: its own). EG_ERR_USAGE: it does not take it. */
eg_status eg_study_row(json_t **out, const eg_arch_info *arch, int side, eg_error *err);
/* A row for every network that takes --img-size; the others are left out aloud, but one alone is an
 * error. */
eg_status eg_study_rows_make(json_t *rows, const eg_arch_info *const *list, size_t n,
                             const eg_options *o, const eg_events *ev, eg_error *err);

#endif
