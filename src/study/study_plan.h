/* Private to the study room: which runs a study makes. */
#ifndef EG_STUDY_PLAN_H
#define EG_STUDY_PLAN_H

#include "study/run.h"

typedef struct {
    const eg_arch_info **models; /* in the user's order, without repeats */
    size_t n_models;
    eg_settings *runs; /* models x modes that make sense */
    size_t n_runs;
    json_t *skipped; /* [{model, mode, reason}] */
} eg_study_plan;

/* From --models, --modes and --weights. EG_ERR_USAGE: an unknown name, or no pair left. Skipped
 * pairs are also noted. */
eg_status eg_study_plan_make(eg_study_plan *out, const eg_options *o, const eg_events *ev,
                             eg_error *err);
void eg_study_plan_free(eg_study_plan *plan);

#endif
