/* Door of the data room: images on disk -> labelled float batches. Folders, patients, splits, preprocessing exactly as
 * Pillow and torchvision do it, augmentation keyed by (seed, epoch, sample), a loader that decodes ahead.
 * Knows no network and no statistic.                                                                          */
#ifndef EG_DATA_H
#define EG_DATA_H

#include "codec/codec.h"

/* ---- samples of a class-folder tree (dataset.c, patients.c, split.c) ---- */

typedef enum { EG_SPLIT_TRAIN, EG_SPLIT_VAL, EG_SPLIT_TEST, EG_SPLIT_ALL, EG_SPLIT_COUNT } eg_split;
const char *
eg_split_name(eg_split split); /* "train", "val", "test", "all" (a bare tree without splits) */

typedef struct {
    const char
        *file; /* path relative to the root, '/' separated, e.g. "train/NORMAL/IM-0115-0001.jpeg" */
    const char *
        patient; /* id that is unique over the set, e.g. "bacteria/person100"; NULL: each image its own */
    int label; /* index into classes */
    eg_split split;
    int width, height; /* pixels, of a file that was decoded whole once; 0: not yet */
    char content[65];  /* SHA-256 of the file's bytes (eg_dataset_hash); "": not known */
} eg_sample;

typedef struct {
    char *root;
    int n_classes;
    char **classes; /* sorted by code point (ImageFolder's rule) */
    size_t n_samples;
    eg_sample *samples;     /* sorted by split, class, file name */
    size_t n_skipped;       /* files stepped over: hidden (.DS_Store) or not an image extension */
    bool has_test, has_val; /* the tree's own splits */
    const char
        *patient_rule;    /* static: the rule that gave patients, "kermany" | "prefix" | "none" */
    char fingerprint[65]; /* SHA-256 over sorted "relative path, size" lines */
    int64_t hashed_at;    /* when eg_dataset_hash first began, ns since 1970; 0: never */
    int width, height; /* of every sound image eg_dataset_check saw, pixels; 0: not checked, or they
                          differ */
    eg_arena *arena;   /* owns the strings */
} eg_dataset;

/* Scan `root`: {train,val|valid|validation,test}/CLASS/files, or a bare tree of class folders (all samples EG_SPLIT_ALL,
 * which training uses as train). `patients`: auto | none | kermany | prefix (conventions: kermany keys personN by
 * subtype, "IM-0115", "NORMAL2-IM-0381"; auto takes kermany when at least 90 % of names match it, else none).
 * Images are not opened. Errors, each naming the folder and what to do: EG_ERR_NOT_FOUND missing folder;
 * EG_ERR_INPUT one class only, an empty class, a test split with other classes than train, no image at all.    */
eg_status eg_dataset_open(eg_dataset **out, const char *root, const char *patients, eg_error *err);
void eg_dataset_free(eg_dataset *ds);
/* Move `share` of the train samples to EG_SPLIT_VAL, stratified by class, seeded; whole patients when by = "patient"
 * (single images when "image"). Each class keeps at least one sample on both sides or EG_ERR_INPUT. No-op if has_val. */
eg_status eg_dataset_split_val(eg_dataset *ds, double share, const char *by, uint64_t seed,
                               eg_error *err);
/* Indices of one split, in order; *out is eg_malloc'ed by the call. EG_SPLIT_ALL means every sample. */
eg_status eg_dataset_indices(uint32_t **out, size_t *n, const eg_dataset *ds, eg_split split,
                             eg_error *err);
/* Patients that have samples in both splits: truly (`shared`), and as the common regex person(\d+) would count them
 * (`apparent`, the false reading of this data set; 0 for other rules).                                        */
void eg_dataset_patient_overlap(size_t *shared, size_t *apparent, const eg_dataset *ds, eg_split a,
                                eg_split b);
/* Hash the bytes of every file of `n` indices into its sample's `content`, "" for a file that cannot be read. Progress as
 * EG_PROGRESS_SCAN. Runs on all threads. */
eg_status eg_dataset_hash(eg_dataset *ds, const uint32_t *indices, size_t n, const eg_events *ev,
                          eg_error *err);
/* Open every image of `n` indices whose size is not known yet; a list of {file, reason} for those that cannot be decoded
 * (JSON array, caller owns). Progress as EG_PROGRESS_SCAN. Runs on all threads. Sets the samples' width and height, and
 * those of ds where all agree.                                                                                */
eg_status eg_dataset_check(json_t **bad, eg_dataset *ds, const uint32_t *indices, size_t n,
                           const eg_events *ev, eg_error *err);
/* Drop the samples whose `file` is in `bad` (--skip-bad). */
void eg_dataset_drop(eg_dataset *ds, const json_t *bad);

/* ---- preprocessing (resize.c, preprocess.c) ---- */

typedef enum { EG_INTERP_BILINEAR, EG_INTERP_BICUBIC } eg_interp;
typedef enum {
    EG_FIT_CROP,  /* shorter side to `resize`, centre crop `crop` (torchvision's presets) */
    EG_FIT_SQUASH /* both sides to `crop`, aspect ratio not kept */
} eg_fit;
typedef struct {
    eg_fit fit;
    int resize, crop; /* pixels */
    eg_interp interp;
    float mean[3], std[3]; /* of pixels / 255 */
} eg_preprocess;

/* Resize to width x height with Pillow's antialiased filter (Resample.c, 8-bit path, PRECISION_BITS 22), bit for bit.
 * `box` = source rectangle left, top, right, bottom in pixels, NULL = whole image. dst (H,W,C), C of src.     */
eg_status eg_resize(uint8_t *dst, int width, int height, const eg_image *src, const double box[4],
                    eg_interp interp, eg_error *err);
/* uint8 result of resize + crop (before normalisation): (crop, crop, 3), gray replicated. What torchvision's
 * Resize + CenterCrop give on a PIL image: shorter side to `resize` (longer = int(resize * long / short)),
 * crop offset int(round((h - crop) / 2.0)) half to even, padding with 0 when the image is smaller.            */
eg_status eg_preprocess_u8(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                           eg_error *err);
/* (pixel / 255 - mean) / std, (H,W,3) uint8 -> (H,W,3) float. */
void eg_normalize(float *dst, const uint8_t *src, size_t n_pixels, const eg_preprocess *p);

/* ---- augmentation (augment.c): training images only, keyed by (seed, epoch, sample) ---- */

typedef struct {
    double
        crop_min; /* smallest area share of the random resized crop (aspect 3/4..4/3, torchvision's sampling); 1 = off */
    double flip;  /* probability of a left-right flip */
    double
        jitter; /* brightness and contrast factor, each uniform in [1-j, 1+j], random order; 0 = off */
} eg_augment;
/* Augmented uint8 (crop, crop, 3) image; torchvision's RandomResizedCrop (antialiased), flip, then ColorJitter's
 * brightness and contrast with Pillow's ImageEnhance arithmetic. Same bits for the same key on any thread.    */
eg_status eg_augment_u8(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                        const eg_augment *a, uint64_t seed, uint32_t epoch, uint32_t sample,
                        eg_error *err);

/* ---- loader (loader.c): decodes ahead on its own threads; order and pixels independent of their number ---- */

typedef struct {
    const eg_dataset *dataset;
    const uint32_t *indices; /* borrowed for the loader's life; sample keys are dataset indices */
    size_t n;
    size_t batch_size;
    eg_preprocess preprocess;
    const eg_augment *augment; /* NULL: none */
    uint64_t seed;
    int workers;        /* 0 = automatic */
    size_t cache_bytes; /* budget for keeping decoded images in memory over epochs; 0 = none */
} eg_loader_options;

typedef struct eg_loader eg_loader;
typedef struct {
    const float *pixels;   /* (n, crop, crop, 3) normalised; valid until the next eg_loader_next */
    const int32_t *labels; /* (n) */
    const uint32_t *indices; /* (n) dataset indices */
    size_t n;                /* <= batch_size; 0 at the end of the epoch */
    double wait_seconds;     /* time this call waited */
} eg_batch;
eg_status eg_loader_new(eg_loader **out, const eg_loader_options *o, eg_error *err);
/* Start an epoch: shuffled by (seed, epoch) when `shuffle`, else in order of `indices`. May be called mid-epoch. */
eg_status eg_loader_start(eg_loader *loader, uint32_t epoch, bool shuffle, eg_error *err);
/* Next batch. A corrupt image is EG_ERR_INPUT naming the file; never replaced silently. */
eg_status eg_loader_next(eg_batch *batch, eg_loader *loader, eg_error *err);
void eg_loader_free(eg_loader *loader); /* joins the threads */

#endif
