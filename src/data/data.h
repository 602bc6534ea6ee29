/* Door of the data room: images on disk -> labelled float batches. Class folders, CSV manifests, .npz; patients, splits,
 * preprocessing exactly as Pillow and torchvision do it, augmentation keyed by (seed, epoch, sample), a loader that
 * decodes ahead, synthetic radiographs.
 * Knows no network and no statistic.                                                                          */
#ifndef EG_DATA_H
#define EG_DATA_H

#include "codec/codec.h"

/* ---- samples (dataset.c and its sources: tree.c, manifest.c, medmnist.c; patients.c) ---- */

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
    int64_t row;       /* of the split's array in an .npz (file = "train_images/17"); -1: a file */
} eg_sample;

/* A file that was stepped over. Both texts live in the set's arena. */
typedef struct {
    const char *path; /* relative to the root */
    const char *why;  /* static: "hidden", "no image", "outside the class folders" ... */
} eg_skipped;

/* Where samples came from: class folders, a CSV manifest, an .npz in MedMNIST's layout. */
typedef enum { EG_SOURCE_TREE, EG_SOURCE_MANIFEST, EG_SOURCE_NPZ } eg_source;

typedef struct {
    char *root; /* folder that files are relative to */
    char *path; /* what was opened: the folder, the CSV or the .npz */
    int n_classes;
    char **classes; /* sorted by code point (ImageFolder's rule) */
    size_t n_samples;
    eg_sample *samples;  /* sorted by split, class, file name */
    size_t n_skipped;    /* files of a tree stepped over: hidden (.DS_Store) or no image */
    eg_skipped *skipped; /* (n_listed) the first 10,000 of them, in no order */
    size_t n_listed;
    bool has_test, has_val; /* the tree's own splits */
    const char
        *patient_rule; /* static: what gave patients, "kermany"|"prefix"|"dicom"|"column"|"none" */
    char fingerprint
        [65]; /* SHA-256 over sorted "relative path, size" lines; of a manifest "path, size, label, split,
                             patient"; of an .npz the file's */
    int64_t hashed_at; /* when eg_dataset_hash first began, ns since 1970; 0: never */
    int width, height; /* of every sound image eg_dataset_check saw, pixels; 0: not checked, or they
                          differ */
    eg_source source;
    eg_npz *npz; /* EG_SOURCE_NPZ: holds the pixels */
    const eg_npy_array
        *arrays[EG_SPLIT_COUNT];    /* (n, H, W[, 3]) uint8 of the file's splits, or NULL */
    eg_image_options image_options; /* limits and accuracy of every decode of this set */
    eg_arena *arena;                /* owns the strings */
} eg_dataset;

typedef struct {
    const char *patients; /* auto | none | kermany | prefix | dicom | column; NULL = auto */
    const char *columns;  /* of a manifest: "path=NAME,label=NAME,patient=NAME,split=NAME"; NULL */
    const void *salt;     /* for hashes of DICOM patient ids; NULL: rule dicom is refused */
    size_t n_salt;
    eg_image_options image_options; /* all 0: the defaults */
} eg_dataset_options;

/* Open a data set: a folder {train,val|valid|validation,test}/CLASS/files, or a bare tree of class folders (all samples
 * EG_SPLIT_ALL, which training uses as train); a CSV or TSV file (columns path, label, and if there patient and split;
 * paths relative to the file's folder; without a split column EG_SPLIT_ALL); or an .npz file in MedMNIST's layout
 * ({train,val,test}_{images,labels}, labels (n) or (n,1), gray (n,H,W) or RGB (n,H,W,3)). `root` of the set is the folder,
 * or that of the file. Patients: kermany keys personN by subtype ("bacteria/person100", "IM-0115", "NORMAL2-IM-0381");
 * auto takes the manifest's column, else dicom when every image is a DICOM file with a patient id, else kermany when at
 * least 90 % of names match it, else none. Images are not decoded; files without a known extension are recognised by
 * their first bytes. `o` NULL: defaults. Errors, each naming the folder, line or member and what to do:
 * EG_ERR_NOT_FOUND missing; EG_ERR_INPUT one class only, an empty class, a test split with other classes than train, no
 * image at all, a label that is empty, a file that a manifest names and that is not there.                    */
eg_status eg_dataset_open(eg_dataset **out, const char *root, const eg_dataset_options *o,
                          eg_error *err);
/* Where image `index` lies, to open it or to name it in a message (eg_free; NULL: no memory): the file's path, of an
 * .npz "FILE.npz/train_images/17". */
char *eg_dataset_path(const eg_dataset *ds, uint32_t index);
/* Decode image `index` with ds->image_options; the text of an error begins with the file's path. Thread-safe. */
eg_status eg_dataset_image(eg_image *out, const eg_dataset *ds, uint32_t index, eg_error *err);
void eg_dataset_free(eg_dataset *ds);
/* How a split is drawn (split.c): stratified by class, and whole groups go to one side. by = "patient" (an image without
 * one stands alone), "image", or "block": patients in the order of their series and number, cut into contiguous runs,
 * as a split by date or by hospital would be. */
typedef struct {
    const char *by;
    double share;    /* moved; of folds = 0 only */
    int folds, fold; /* cut into `folds` parts of equal size and move part `fold`, from 1 */
    uint64_t seed;
} eg_split_rule;
/* Move samples of `from` (EG_SPLIT_TRAIN means EG_SPLIT_ALL too) to `to`; those that stay become `from`. Each class
 * keeps at least one sample on both sides or EG_ERR_INPUT, and the set is unchanged then. */
eg_status eg_dataset_split(eg_dataset *ds, eg_split from, eg_split to, const eg_split_rule *rule,
                           eg_error *err);
/* The split as a CSV file "file,split" (split_file.c), crash-safe, and back: every sample of the set must be in the file
 * once and the other way round (EG_ERR_MISMATCH names the first that is not). split "none" leaves an image out. Further
 * columns are stepped over, so that the split.csv of a run can be read too. */
eg_status eg_dataset_split_write(const eg_dataset *ds, const char *path, eg_error *err);
eg_status eg_dataset_split_read(eg_dataset *ds, const char *path, eg_error *err);
/* The same for the split.csv of a run: samples that it does not name (left out of the run) are dropped. */
eg_status eg_dataset_split_restore(eg_dataset *ds, const char *path, eg_error *err);
/* EG_ERR_INPUT when a patient has samples in two splits, with both counts, three names of files and what to do. */
eg_status eg_dataset_refuse_shared(const eg_dataset *ds, eg_error *err);
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

/* Pillow's filters; NEAREST does not antialias, the others do */
typedef enum {
    EG_INTERP_BILINEAR,
    EG_INTERP_BICUBIC,
    EG_INTERP_NEAREST,
    EG_INTERP_BOX,
    EG_INTERP_HAMMING,
    EG_INTERP_LANCZOS,
    EG_INTERP_COUNT
} eg_interp;
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

/* Resize to width x height with Pillow's filter (Resample.c: 8-bit path, PRECISION_BITS 22; deep: the 16-bit path of
 * mode I;16, double sums), bit for bit. `box` = source rectangle left, top, right, bottom in pixels, NULL = whole image.
 * dst (H,W,C), C and depth of src. */
eg_status eg_resize(void *dst, int width, int height, const eg_image *src, const double box[4],
                    eg_interp interp, eg_error *err);
/* uint8 result of resize + crop (before normalisation): (crop, crop, 3), gray replicated. What torchvision's
 * Resize + CenterCrop give on a PIL image: shorter side to `resize` (longer = int(resize * long / short)),
 * crop offset int(round((h - crop) / 2.0)) half to even, padding with 0 when the image is smaller. A deep image is
 * rounded to 8 bit at the end: for thumbnails. */
eg_status eg_preprocess_u8(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                           eg_error *err);
/* What a network takes: resize, crop, (v / full scale - mean) / std; (crop, crop, 3) float. Deep images keep their
 * depth up to the division. */
eg_status eg_preprocess_float(float *dst, const eg_image *src, const eg_preprocess *p,
                              eg_error *err);
/* --decode fast: the image_options.min_side that a network taking `p` is given, twice the side that it resizes to. */
int eg_preprocess_fast_side(const eg_preprocess *p);
/* (pixel / 255 - mean) / std, (H,W,3) uint8 -> (H,W,3) float. */
void eg_normalize(float *dst, const uint8_t *src, size_t n_pixels, const eg_preprocess *p);

/* ---- augmentation (augment*.c): training images only, keyed by (seed, epoch, sample) ---- */

typedef struct {
    double
        crop_min; /* smallest area share of the random resized crop (aspect 3/4..4/3, torchvision's sampling); 1 = off */
    double flip;  /* probability of a left-right flip */
    double
        jitter; /* brightness and contrast factor, each uniform in [1-j, 1+j], random order; 0 = off */
    /* all below: 0 = off */
    double rotate, translate, zoom; /* degrees +-; share of the window +-, each axis; scale 1 +- */
    double gamma_by;                /* exponent in [1/(1+g), 1+g], log-uniform */
    double blur, noise;             /* largest sigma: pixels of the result; share of full scale */
    double cutout;                  /* largest share of the image that a rectangle blanks */
    double randaugment;             /* strength 0 to 30 of two operations of torchvision's list */
    double mixup, cutmix; /* alpha of Beta(alpha, alpha); both on: one of them, drawn an image */
} eg_augment;
/* The values of a preset: "none", "light", "xray" or "strong"; false: no such name. */
bool eg_augment_preset(eg_augment *out, const char *name);
/* Augmented uint8 (crop, crop, 3) image: torchvision's RandomResizedCrop (antialiased) with rotation, shift and zoom in
 * one, flip, RandAugment, brightness and contrast with Pillow's ImageEnhance arithmetic, gamma, blur, noise, cutout;
 * mixup and cutmix are the loader's. Same bits for the same key on any thread. A deep image is rounded to 8 bit at the
 * end. */
eg_status eg_augment_u8(uint8_t *dst, const eg_image *src, const eg_preprocess *p,
                        const eg_augment *a, uint64_t seed, uint32_t epoch, uint32_t sample,
                        eg_error *err);
/* What a network takes, as eg_preprocess_float: a deep image keeps its depth up to the division. */
eg_status eg_augment_float(float *dst, const eg_image *src, const eg_preprocess *p,
                           const eg_augment *a, uint64_t seed, uint32_t epoch, uint32_t sample,
                           eg_error *err);
/* A picture sheet (augment_sheet.c): a row an image of `indices` (n, training images), first as it is preprocessed, then
 * `n_draws` times augmented, as epochs 1 to n_draws of `seed` would show it, mixed with the row below where mixup or
 * cutmix is on. *out: 8-bit RGB, eg_image_free. Errors name the file. */
eg_status eg_augment_sheet(eg_image *out, const eg_dataset *ds, const uint32_t *indices, size_t n,
                           int n_draws, const eg_preprocess *p, const eg_augment *a, uint64_t seed,
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
    /* a shuffled epoch has every class equally often (loader_order.c); decoded images are not kept then */
    bool balanced;
} eg_loader_options;

typedef struct eg_loader eg_loader;
typedef struct {
    const float *pixels;   /* (n, crop, crop, 3) normalised; valid until the next eg_loader_next */
    const int32_t *labels; /* (n) */
    const uint32_t *indices; /* (n) dataset indices */
    size_t n;                /* <= batch_size; 0 at the end of the epoch */
    double wait_seconds;     /* time this call waited */
    /* mixup or cutmix on: image i shows labels[i] with weight lambda[i] in [0, 1] and labels2[i] with 1 - lambda[i], so
     * its loss is lambda * CE(labels) + (1 - lambda) * CE(labels2); lambda 1 where nothing was mixed. Off: both NULL */
    const int32_t *labels2; /* (n) */
    const float *lambda;    /* (n) */
} eg_batch;
eg_status eg_loader_new(eg_loader **out, const eg_loader_options *o, eg_error *err);
/* Start an epoch: shuffled by (seed, epoch) when `shuffle`, else in order of `indices`. May be called mid-epoch. */
eg_status eg_loader_start(eg_loader *loader, uint32_t epoch, bool shuffle, eg_error *err);
/* Next batch. A corrupt image is EG_ERR_INPUT naming the file; never replaced silently. */
eg_status eg_loader_next(eg_batch *batch, eg_loader *loader, eg_error *err);
void eg_loader_free(eg_loader *loader); /* joins the threads */

#endif
