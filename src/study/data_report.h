/* Private header of the study room: `engraft data`. One pass over the images leaves 1.5 KB of facts an image
 * (data_scan.c); everything else is worked out from the facts, in the order of this page, each part giving its piece of
 * the "data" document of doc/documents.md and what data_findings.c judges it by. No text of a DICOM header is in here:
 * patients are the hashes that the data room makes. Read first: data_report.c.                                    */
#ifndef EG_STUDY_DATA_REPORT_H
#define EG_STUDY_DATA_REPORT_H

#include "study/run.h"

/* ---- facts of an image (data_scan.c) ---- */

enum { EG_THUMB = 32, EG_PORTRAIT = 128, EG_BINS = 32, EG_KEY_BYTES = 16 };

/* Numbers that splits and classes are compared by. X(ID, name in the document, what more of it means, what less) */
#define EG_MEASURE_LIST(X)                                                                         \
    X(BRIGHTNESS, "brightness", "brighter", "darker")                                              \
    X(CONTRAST, "contrast", "more contrast", "less contrast")                                      \
    X(SHARPNESS, "sharpness", "sharper", "blurred")                                                \
    X(NOISE, "noise", "noisier", "smoother")                                                       \
    X(CENTRE_X, "centre_x", "further right", "further left")                                       \
    X(CENTRE_Y, "centre_y", "lower", "higher")                                                     \
    X(SPREAD_X, "spread_x", "brightness further out sideways", "brightness nearer the middle")     \
    X(SPREAD_Y, "spread_y", "brightness further out up and down", "brightness nearer the middle")
typedef enum {
#define EG_MEASURE_ENUM(id, name, more, less) EG_MEASURE_##id,
    EG_MEASURE_LIST(EG_MEASURE_ENUM)
#undef EG_MEASURE_ENUM
        EG_MEASURE_COUNT
} eg_measure;

typedef struct {
    uint8_t thumb[EG_THUMB * EG_THUMB]; /* gray, squashed, box filter */
    uint8_t
        file_key[EG_KEY_BYTES]; /* first half of SHA-256 of the file (of an .npz: of the pixels) */
    uint8_t pixel_key[EG_KEY_BYTES]; /* of size and decoded pixels */
    float measure
        [EG_MEASURE_COUNT]; /* brightness, contrast, noise of full scale 1; places in shares of the side */
    float p5, p95;          /* of the gray values, full scale 1 */
    int64_t bytes;          /* of the file; 0: a row of an .npz */
    const char *format; /* static, as eg_image_info; "npz" */
    int width, height;
    int channels;                    /* as decoded */
    int bits, n_frames, orientation; /* as eg_image_info */
    float
        quantiser; /* JPEG: mean of the first quantisation table, larger for lower quality; 0: no JPEG */
    uint16_t deep_max;    /* largest 16-bit sample; 0: not deep */
    bool colour;          /* three channels that differ somewhere */
    bool alpha;           /* PNG with an alpha channel or transparent colour, dropped on reading */
    bool wrong_extension; /* names another format than the content */
} eg_image_facts;

/* Sums over the images of a split and class, for pictures and histograms. Whole numbers: no order matters. */
typedef struct {
    uint64_t portrait[EG_PORTRAIT * EG_PORTRAIT]; /* gray */
    uint64_t histogram[EG_BINS];                  /* 2^20 shared out over the bins, an image */
    size_t n;
} eg_group_sums;

typedef struct {
    eg_dataset *ds;        /* without the bad images */
    eg_image_facts *facts; /* (ds->n_samples) */
    uint32_t *unit;        /* (ds->n_samples) number of the patient, or of the image itself */
    size_t n_units;
    eg_group_sums *sums; /* (EG_SPLIT_COUNT, n_classes); NULL: too many classes for pictures */
    json_t *bad;         /* [{file, reason, action}] */
    float *features;     /* (ds->n_samples, n_features) of the frozen network, or NULL */
    size_t n_features;
    const char *model; /* that gave them */
    const eg_options *o;
    const eg_events *ev;
} eg_data_case;

/* Read every image once, on all threads; bad ones go to c->bad and leave the set. Progress as EG_PROGRESS_SCAN. */
eg_status eg_study_data_scan(eg_data_case *c, eg_error *err);
/* c->unit from the patients of the set. */
eg_status eg_study_data_units(eg_data_case *c, eg_error *err);
void eg_study_data_case_free(eg_data_case *c);
eg_group_sums *eg_study_data_sums(const eg_data_case *c, eg_split split, int label);
/* Images of a split (EG_SPLIT_ALL: of the bare tree only) and class; label -1: of any class. */
size_t eg_study_data_count(const eg_data_case *c, eg_split split, int label);
/* The split that others are compared with: train, or all of a bare tree. */
eg_split eg_study_data_base(const eg_data_case *c);
const char *eg_study_data_split_class(char out[160], const eg_data_case *c, uint32_t image);

/* ---- parts of the document: each sets members of `doc`; EG_ERR_NO_MEMORY ---- */

/* splits, sizes, formats, odd_files, skipped_files, groups (data_facts.c) */
eg_status eg_study_data_facts(json_t *doc, const eg_data_case *c, eg_error *err);
/* duplicates (data_duplicates.c) */
eg_status eg_study_data_duplicates(json_t *doc, const eg_data_case *c, eg_error *err);
/* patients (data_patients.c) */
eg_status eg_study_data_patients(json_t *doc, const eg_data_case *c, eg_error *err);
/* drift, shifts (data_drift.c) */
eg_status eg_study_data_drift(json_t *doc, const eg_data_case *c, eg_error *err);
/* shortcuts, labels (data_labels.c) */
eg_status eg_study_data_labels(json_t *doc, const eg_data_case *c, eg_error *err);
/* pictures: mean images and examples as PNG in base64 (data_pictures.c) */
eg_status eg_study_data_pictures(json_t *doc, const eg_data_case *c, eg_error *err);
/* findings and counts, from the other members of `doc` alone (data_findings.c) */
eg_status eg_study_data_findings(json_t *doc, eg_error *err);

/* ---- features for statistics (data_drift.c) ---- */

/* Low frequencies of the thumbnail: 136 coefficients of its cosine transform; the frame of 12 % around it. */
enum { EG_LOW_DIAGONALS = 16, EG_LOW = EG_LOW_DIAGONALS * (EG_LOW_DIAGONALS + 1) / 2 };
void eg_study_data_low(float out[EG_LOW], const uint8_t thumb[EG_THUMB * EG_THUMB]);

/* Rows of some images for eg_domain_test. */
typedef struct {
    float *x;
    int32_t *label;
    uint32_t *unit, *image; /* (n) */
    size_t n, D;
    size_t n_units[2], count[2]; /* of each label */
} eg_domain_rows;
typedef enum { EG_ROWS_LOW, EG_ROWS_FRAME, EG_ROWS_FEATURES } eg_rows_kind;
/* Does image i take part, and with which label? -1: no. */
typedef int (*eg_rows_choice)(const eg_data_case *c, uint32_t image, const void *context);
/* At most `most` images of each label, whole patients. Free with eg_study_data_rows_free. */
eg_status eg_study_data_rows(eg_domain_rows *out, const eg_data_case *c, eg_rows_kind kind,
                             eg_rows_choice choice, const void *context, eg_error *err);
void eg_study_data_rows_free(eg_domain_rows *rows);

/* ---- whole commands ---- */

/* --preprocessing RUN|MODEL: kind "mistakes" (data_mistakes.c) */
eg_status eg_study_data_mistakes(eg_doc **out, const char *dir, const eg_options *o,
                                 const eg_events *ev, eg_error *err);
/* --show-augmentation: kind "augmentation" (data_sheet.c) */
eg_status eg_study_data_sheet(eg_doc **out, const char *dir, const eg_options *o,
                              const eg_events *ev, eg_error *err);
/* --model: c->features (data_features.c) */
eg_status eg_study_data_features(eg_data_case *c, eg_error *err);

#endif
