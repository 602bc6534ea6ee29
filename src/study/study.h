/* Door of the study room: where images meet networks and statistics. Its functions are public (engraft.h, sections 5
 * to 8, 10): eg_models, eg_train, eg_features, eg_eval, eg_predict, eg_study, eg_study_load, eg_inspect, eg_bench,
 * eg_version. */
#ifndef EG_STUDY_H
#define EG_STUDY_H

#include "data/data.h"
#include "net/net.h"
#include "stats/stats.h"

#endif
