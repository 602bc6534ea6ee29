/* Private header of the study room: --max-memory. From what a command is about to do, the memory its process will take at
 * most, and the largest batch that stays below the limit. Nothing is allocated for it. Callers: train.c, study.c and
 * features.c (settings), evaluate.c, predict.c, bench.c.                                                              */
#ifndef EG_STUDY_MEMORY_LIMIT_H
#define EG_STUDY_MEMORY_LIMIT_H

#include "study/run.h"

/* What is about to run. Zeros: not there. */
typedef struct {
    eg_network *net;      /* an outline will do */
    eg_plan_options plan; /* its batch is the one that was asked for */
    int least_batch;      /* below this nothing is tried; 0 = 1 */
    bool validates;       /* TRAIN: a prediction plan of the same batch stands beside */
    size_t n_trained;     /* parameters that the optimiser moves */
    int n_moments;        /* numbers it keeps for each */
    size_t weights_bytes; /* of the file they are read from; the network is there beside it */
    bool proves_freeze;   /* at the end two such files and a second network beside the first */
    size_t kept_bytes;    /* what lies there all the time: features */
    size_t n_images;      /* of the data set: names and hashes */
    int n_loaders;       /* that are open together, each with threads and three batches of pixels */
    int n_workers;       /* decoding threads of each */
    size_t image_pixels; /* of the largest image */
} eg_memory_case;

/* The plan and the largest batch that fit into `limit` bytes (0: none, everything as it was asked). EG_ERR_LIMIT names the
 * least that would do. */
eg_status eg_study_memory_fit(eg_memory_fit *out, const eg_memory_case *c, size_t limit,
                              eg_error *err);
/* For a run or for features: s->o.batch_size (training), s->score_batch and s->fit are set by s->o.max_memory, and what
 * that changes is told on `ev`. `keep_batch`: a run that is continued, whose batch is settled. */
eg_status eg_study_memory_settle(eg_settings *s, const eg_dataset *ds, bool keep_batch,
                                 const eg_events *ev, eg_error *err);
/* The batch of a prediction of `n_images` images by a network that is there already. */
eg_status eg_study_memory_predict(int *batch, eg_network *net, const eg_scorer_options *o,
                                  size_t limit, const eg_events *ev, eg_error *err);
/* {limit_bytes, estimated_bytes, batch, batch_asked, recomputes} of a run, null without a limit. */
json_t *eg_study_memory_json(const eg_settings *s);
/* Bytes for decoded images that are kept: `usual`, or `share` of what the limit leaves. */
size_t eg_study_memory_cache(const eg_settings *s, size_t usual, double share);

#endif
