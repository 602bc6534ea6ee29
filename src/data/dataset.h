/* What the sources of a data set share: tree.c (class folders), manifest.c (CSV), medmnist.c (.npz) gather samples through
 * a scan, dataset.c finishes them. Also what split.c, split_file.c and dataset_check.c need. Private to the data room; the
 * public side is data.h. */
#ifndef EG_DATA_DATASET_H
#define EG_DATA_DATASET_H

#include "data/data.h"

/* ---- gathering ---- */

/* A sample on its way, with what only the fingerprint needs. Texts live in the set's arena. */
typedef struct {
    eg_sample sample;
    int64_t size_bytes; /* of the file */
} eg_data_found;

typedef struct {
    eg_dataset *ds;
    eg_data_found *found; /* eg_free */
    size_t n_found, capacity;
} eg_data_scan;

/* EG_ERR_LIMIT: more samples than indices have bits for. */
eg_status eg_data_found_add(eg_data_scan *s, const eg_data_found *found, eg_error *err);
/* Count a file that is stepped over, and keep its name (copied; `why` static) while the list has room. */
eg_status eg_data_skipped_add(eg_dataset *ds, const char *path, const char *why, eg_error *err);
/* The classes of the set, copied. Fewer than two, or more than 100,000: EG_ERR_INPUT with `what` ("class folder"). */
eg_status eg_data_classes_set(eg_dataset *ds, const char *const *names, size_t n, const char *where,
                              const char *what, eg_error *err);
/* "out of memory while reading" with the path of the set. */
eg_status eg_data_no_memory(const eg_dataset *ds, eg_error *err);
/* Does a name follow UTF-8? Names go into JSON, CSV and the weights file. */
bool eg_data_is_utf8(const char *name);
/* The split that a word of a folder or a CSV means (case ignored): train, training, val, valid, validation, dev, test,
 * testing. EG_SPLIT_COUNT: none. */
eg_split eg_data_split_of(const char *word);
/* Every class must be in train when the set has splits; names the first that is not. */
eg_status eg_data_classes_check(const eg_data_scan *s, eg_error *err);

/* ---- the sources: each fills ds->classes and the scan; ds->path is set, root is for them to set ---- */

eg_status eg_data_tree_scan(eg_data_scan *s, eg_error *err);
eg_status eg_data_manifest_scan(eg_data_scan *s, const char *columns, eg_error *err);
eg_status eg_data_npz_scan(eg_data_scan *s, eg_error *err);
/* Pixels of sample `index` of an .npz: (H, W, channels) uint8, borrowed from the set. */
const uint8_t *eg_data_npz_row(size_t *n_bytes, const eg_dataset *ds, uint32_t index);

/* ---- samples ---- */

/* Restore the order of eg_dataset.samples: split, class, path by code point. */
void eg_data_samples_sort(eg_dataset *ds);
/* Set has_val and has_test from the samples. */
void eg_data_splits_note(eg_dataset *ds);

#endif
