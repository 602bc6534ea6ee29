/* What split.c and dataset_check.c share with dataset.c. Private to the data room; the public
 * side is data.h. */
#ifndef EG_DATA_DATASET_H
#define EG_DATA_DATASET_H

#include "data/data.h"

/* Restore the order of eg_dataset.samples: split, class, path by code point. */
void eg_data_samples_sort(eg_dataset *ds);

#endif
