/* Pillow's filters and what they make of one axis: which source pixels an output takes and with
 * which weights, in the order of Pillow's floating-point operations (Resample.c, Geometry.c), for
 * that order decides the last bit. Touches no pixel. Read resize.h first. */
#include "data/resize.h"

#include <math.h>

/* ---- filters ---- */

/* Half open, as Pillow's: of two outputs that meet in a pixel's middle one takes it. */
static double box(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

/* A triangle of half-width 1. */
static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* The float constants are Pillow's. */
static double hamming(double x) {
    x = fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x = x * M_PI;
    return sin(x) / x * ((double)0.54f + (double)0.46f * cos(x));
}

/* Keys' cubic with a = -0.5. */
static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x) {
    if (x == 0.0) return 1.0;
    x = x * M_PI;
    return sin(x) / x;
}

/* Truncated sinc of three lobes. */
static double lanczos(double x) {
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

/* Half-width in source pixels at scale 1; shrinking widens it, which is the antialiasing. */
static const struct {
    double (*weight)(double x);
    double support;
} FILTERS[EG_INTERP_COUNT] = {
    [EG_INTERP_BILINEAR] = {bilinear, 1.0}, [EG_INTERP_BICUBIC] = {bicubic, 2.0},
    [EG_INTERP_NEAREST] = {box, 0.0}, /* not used as a filter: eg_data_axis_nearest */
    [EG_INTERP_BOX] = {box, 0.5},           [EG_INTERP_HAMMING] = {hamming, 1.0},
    [EG_INTERP_LANCZOS] = {lanczos, 3.0},
};

/* ---- axes ---- */

int eg_data_axis_max_taps(double scale, eg_interp interp) {
    if (interp == EG_INTERP_NEAREST) return 0;
    return (int)ceil(FILTERS[interp].support * fmax(scale, 1.0)) * 2 + 1;
}

size_t eg_data_axis_bytes(int n, int max_taps, bool deep) {
    const size_t k_bytes = deep ? sizeof(double) : sizeof(int32_t);
    return (size_t)n * (2 * sizeof(int) + (size_t)max_taps * k_bytes);
}

/* The coefficients, the widest members, come first. */
eg_data_axis eg_data_axis_carve(uint8_t *block, int n, int max_taps, bool deep) {
    eg_data_axis a = {.n = n, .max_taps = max_taps};
    const size_t n_k = (size_t)n * (size_t)max_taps;
    if (deep) {
        a.k_deep = (double *)(void *)block;
        a.first = (int *)(void *)(a.k_deep + n_k);
    } else {
        a.k = (int32_t *)(void *)block;
        a.first = (int *)(a.k + n_k);
    }
    a.n_taps = a.first + n;
    return a;
}

void eg_data_axis_fill(eg_data_axis *a, int in_size, float in0, float in1, int out_size, int start,
                       eg_interp interp, double *weights) {
    double (*const weight)(double) = FILTERS[interp].weight;
    double scale = (double)(in1 - in0) / out_size;
    double filter_scale = scale < 1.0 ? 1.0 : scale;
    double support = FILTERS[interp].support * filter_scale, inverse = 1.0 / filter_scale;
    for (int i = 0; i < a->n; i++) {
        double centre = in0 + (start + i + 0.5) * scale;
        int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
        if (first < 0) first = 0;
        if (end > in_size) end = in_size;
        int n = end - first;
        double sum = 0.0;
        for (int t = 0; t < n; t++) {
            double x = (t + first - centre + 0.5) * inverse;
            weights[t] = weight(x);
            sum += weights[t];
        }
        const size_t at = (size_t)i * (size_t)a->max_taps;
        for (int t = 0; t < n; t++) {
            double w = sum != 0.0 ? weights[t] / sum : weights[t];
            if (a->k_deep) {
                a->k_deep[at + (size_t)t] = w;
            } else {
                w *= 1 << EG_DATA_RESIZE_BITS;
                a->k[at + (size_t)t] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
            }
        }
        a->first[i] = first;
        a->n_taps[i] = n;
    }
}

/* Pillow steps through 8-bit pixels by adding the scale, and computes each place of 16-bit ones
 * anew: the same in mathematics, not always in the last bit. */
void eg_data_axis_nearest(eg_data_axis *a, int in_size, float in0, float in1, int out_size,
                          int start, bool deep) {
    const double scale = (double)(in1 - in0) / out_size;
    double x = in0 + scale * 0.5;
    for (int i = -start; i < a->n; i++) {
        if (deep) x = scale * (start + i + 0.5) + in0;
        if (i >= 0) {
            a->first[i] = x >= 0 && x < in_size ? (int)x : -1;
            a->n_taps[i] = 1;
        }
        if (!deep) x += scale;
    }
}
