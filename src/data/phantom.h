/* Private to the data room: what the files of the phantom share. A data set is made in three steps:
 * phantom_faults.c reads what is to be planted, phantom_plan.c decides every image before one is
 * drawn, phantom_draw.c draws one image from its line of the plan; phantom.c runs them and writes.
 * A picture is a function of its line and the seed alone, so any thread may draw it. */
#ifndef EG_DATA_PHANTOM_H
#define EG_DATA_PHANTOM_H

#include "data/data.h"

/* ---- faults (phantom_faults.c) of EG_FAULT_LIST: parser, plan, truth.csv and help read it ---- */

typedef enum {
#define FAULT_ENUM(id, name, what) EG_DATA_FAULT_##id,
    EG_FAULT_LIST(FAULT_ENUM)
#undef FAULT_ENUM
        EG_DATA_FAULT_COUNT
} eg_data_fault;

/* Strength of each fault, 0 to 1; 0: not planted. */
typedef struct {
    double strength[EG_DATA_FAULT_COUNT];
} eg_data_faults;

const char *eg_data_fault_name(eg_data_fault fault);
const char *eg_data_fault_text(eg_data_fault fault);
/* Read "CAUSE[=STRENGTH]" lines ('\n' between them; NULL: none). EG_ERR_USAGE lists the causes. */
eg_status eg_data_faults_parse(eg_data_faults *out, const char *plant, eg_error *err);

/* ---- one image (phantom_draw.c, phantom_scene.c) ---- */

typedef enum {
    EG_DATA_OPACITY_LOBAR,  /* one large consolidation, cut off sharply at a fissure */
    EG_DATA_OPACITY_PATCHY, /* a few soft spots */
    EG_DATA_OPACITY_DIFFUSE /* both lungs, a fine net around the hila */
} eg_data_opacity_kind;

/* All that a picture depends on. */
typedef struct {
    uint64_t seed;
    uint32_t anatomy; /* stream of the patient: two images of it resemble each other */
    uint32_t key;     /* stream of the image: pose, exposure, noise */
    int width, height;
    bool ill; /* has opacities */
    eg_data_opacity_kind kind;
    double contrast;   /* of the opacities; 1: clean */
    double grain;      /* 0: opacities are areas; 1: fine grain of mean 0 */
    double zoom, lift; /* factor on the framing; upwards, share of the height; clean: 1, 0 */
    double exposure;   /* factor on the gray values; clean: 1 */
    double blur;       /* sigma, share of the width; clean: 0 */
    double noise;      /* factor on the noise; clean: 1 */
    bool marker;       /* a letter in the corner */
} eg_data_phantom_spec;

/* Where the largest opacity of an image lies; n 0: none. */
typedef struct {
    int n;
    double x, y, radius; /* centre as a share of width and height; radius as a share of the width */
    double contrast;     /* share of the lung's darkness that is filled at the centre */
} eg_data_phantom_opacity;

void eg_data_phantom_locate(eg_data_phantom_opacity *out, const eg_data_phantom_spec *spec);
/* Draw into `out`, one channel of 8 bits (eg_image_free). EG_ERR_NO_MEMORY. */
eg_status eg_data_phantom_draw(eg_image *out, const eg_data_phantom_spec *spec, eg_error *err);

/* ---- the plan (phantom_plan.c) ---- */

typedef enum { EG_DATA_COPY_NONE, EG_DATA_COPY_EXACT, EG_DATA_COPY_NEAR } eg_data_copy;

typedef struct {
    eg_split split;
    int label, true_label; /* folder; what was drawn: 0 NORMAL, 1 PNEUMONIA */
    uint32_t patient;      /* index */
    uint32_t planted;      /* bits 1u << eg_data_fault that touch this image by itself */
    eg_data_copy copy;
    uint32_t copy_of; /* index of the image copied, of copy != NONE */
    eg_data_phantom_spec spec;
    eg_data_phantom_opacity opacity;
    char file[64]; /* "train/NORMAL/IM-0115-0001.png" */
} eg_data_phantom_image;

typedef struct {
    size_t n_images;
    eg_data_phantom_image *images; /* sorted by file; owned */
    uint32_t n_patients;
    size_t count[EG_SPLIT_ALL][2];       /* images of each split and class folder */
    size_t patients[EG_SPLIT_ALL];       /* with an image in the split */
    size_t planted[EG_DATA_FAULT_COUNT]; /* images a fault touches */
} eg_data_phantom_plan;

typedef struct {
    size_t n_images;
    int width, height;
    uint64_t seed;
    const char *extension; /* "png" | "jpeg" */
    eg_data_faults faults;
} eg_data_phantom_options;

/* Release with eg_data_phantom_plan_free. EG_ERR_NO_MEMORY. */
eg_status eg_data_phantom_plan_make(eg_data_phantom_plan *out, const eg_data_phantom_options *o,
                                    eg_error *err);
void eg_data_phantom_plan_free(eg_data_phantom_plan *plan);
extern const char *const eg_data_phantom_classes[2]; /* "NORMAL", "PNEUMONIA" */

#endif
