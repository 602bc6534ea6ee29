/* Private to `why`: gray values and their measures, changes of a network's input, and how two mean images lie on each other
 * (why_pixels.c, why_frame.c). Users: why_looks.c. */
#ifndef EG_STUDY_WHY_PIXELS_H
#define EG_STUDY_WHY_PIXELS_H

#include "study/why.h"

/* Gray values in [0, 1] of a normalised image of n pixels (mean of its channels). */
void eg_study_why_gray(float *gray, const float *image, size_t n, const eg_preprocess *p);
/* Mean, standard deviation, noise (Immerkaer 1996: sigma), sharpness (mean |Laplacian| over the deviation). */
void eg_study_why_measures(float out[EG_WHY_MEASURES], const float *gray, int side);
/* Add the image, brought to 32 x 32 by means of boxes. */
void eg_study_why_portrait_add(double *sum, const float *gray, int side);

typedef struct {
    const eg_preprocess *preprocess;
    double brightness, contrast; /* factors on mean and deviation */
    double blur;                 /* sigma, pixels; 0: none */
    double noise;                /* sigma of gray values in [0, 1]; 0: none */
    uint64_t seed;
    bool failed; /* no memory while blur was searched for */
} eg_why_pixel_change;
void eg_study_why_pixels_change(const void *change, float *image, float *room, int side, int label,
                                size_t i); /* eg_why_change */
/* Sigma of the Gaussian that multiplies the sharpness of the n images by `ratio` < 1 (median), at most 8. */
double eg_study_why_blur_for(double ratio, const float *images, size_t n, int side, bool *failed);

/* The outer 1 / EG_WHY_BORDER of each side becomes the image's mean. */
enum { EG_WHY_BORDER = 6 };
void eg_study_why_border_cover(const void *unused, float *image, float *room, int side, int label,
                               size_t i);

/* b(u) looks like a(0.5 + (u - 0.5) scale + shift), u in shares of the side. */
typedef struct {
    double scale, x, y;
    double correlation, unmoved; /* of the two there, and as they lie */
} eg_why_frame;
/* Sums of class images (32 x 32). Scale within 0.74 to 1.35, shifts within an eighth. */
void eg_study_why_register(eg_why_frame *out, const double *a, const double *b);
eg_why_frame eg_study_why_frame_inverse(const eg_why_frame *f);
typedef struct {
    eg_why_frame frame;
    int label; /* images of other classes stay */
} eg_why_framing_change;
/* The image becomes what the frame shows of it, edges repeated. eg_why_change */
void eg_study_why_framing_apply(const void *change, float *image, float *room, int side, int label,
                                size_t i);

#endif
