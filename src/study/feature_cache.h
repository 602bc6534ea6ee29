/* Private header of the study room: rows of numbers about images, kept on disk between runs, and the features of a still
 * trunk computed through them. Users: data_stage.c (sizes of sound images), frozen.c, features.c, recommend.c (features).
 *
 * A row belongs to a key (SHA-256 of everything its bits depend on) and to the SHA-256 of an image file's bytes. Nothing
 * else about an image is kept: no name, no path, no patient.                                                          */
#ifndef EG_STUDY_FEATURE_CACHE_H
#define EG_STUDY_FEATURE_CACHE_H

#include "study/run.h"

/* ---- rows on disk (feature_cache.c) ---- */

/* What the folder may hold; beyond either the files used longest ago go. */
#define EG_ROW_CACHE_BYTES ((size_t)2 << 30)
enum { EG_ROW_CACHE_FILES = 4096, EG_ROW_KEY = 65 };

typedef struct {
    const char *folder;  /* borrowed; NULL: nothing is found, nothing kept */
    const eg_events *ev; /* for notes; may be NULL */
    size_t limit_bytes;  /* 0: EG_ROW_CACHE_BYTES */
    bool complained;     /* about a folder that cannot be used: once is enough */
} eg_row_cache;

/* The cache that the options ask for: o->feature_cache, unless o->no_feature_cache. */
eg_row_cache eg_study_row_cache(const eg_options *o, const eg_events *ev);
/* Key of a text. */
void eg_study_row_key(char key[EG_ROW_KEY], const char *text);

/* Rows of images: rows (n, width), row i of ds->samples[indices[i]], whose `content` is its name here ("": none). */
typedef struct {
    const eg_dataset *ds;
    const uint32_t *indices; /* (n) */
    size_t n, width;
    float *rows;
    bool *have; /* (n): row i is filled */
} eg_image_rows;
/* Fill the rows that are there and mark them in `have`; *found: how many. A damaged file is removed with a note. Fails for
 * lack of memory only. */
eg_status eg_study_rows_find(size_t *found, eg_image_rows *rows, eg_row_cache *cache,
                             const char *key, eg_error *err);
/* Keep rows positions[0 .. n), in files of some 8 MiB; images that changed since they were hashed are left out. A folder
 * that cannot be written is noted, not an error. */
void eg_study_rows_keep(eg_row_cache *cache, const char *key, const eg_image_rows *rows,
                        const uint32_t *positions, size_t n);
/* Rows of `width` floats that fill one file. */
size_t eg_study_rows_per_file(size_t width);

/* ---- features (feature_rows.c) ---- */

/* Features of the images of `o` (which asks for features) in order of its indices, from the cache where they are there, else
 * computed and kept. With all of them there, no image is opened and the network does not run. */
eg_status eg_study_features_get(eg_feature_store *out, eg_network *net, const eg_scorer_options *o,
                                eg_row_cache *cache, const eg_events *ev, eg_error *err);

#endif
