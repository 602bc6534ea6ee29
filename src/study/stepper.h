/* Private header of the study room: a network that steps on random numbers with random weights, for timing. Users:
 * measure.c (Task A's figures), bench.c (layer by layer). Trains nothing of worth and reads no image.             */
#ifndef EG_STUDY_STEPPER_H
#define EG_STUDY_STEPPER_H

#include "study/run.h"

typedef struct {
    eg_network *net;
    eg_plan *plan;
    eg_optimizer *opt; /* NULL: prediction */
    int32_t *labels;   /* (batch) */
    int batch;
    bool bf16; /* what its plans are asked for */
    uint64_t step;
} eg_stepper;

/* Network and labels; `side` 0: the network's own. Release with eg_study_stepper_close also after a failure. */
eg_status eg_study_stepper_open(eg_stepper *s, const char *model, int n_classes, int side,
                                int batch, eg_error *err);
/* Uniform numbers in [-1, 1) into the plan's input. */
void eg_study_stepper_fill(eg_stepper *s);
void eg_study_stepper_close(eg_stepper *s);
/* Sorts `values` (n > 0) and returns the median. */
double eg_study_median(double *values, size_t n);

#endif
