/* What `why` measures of a network's input and changes in it: brightness, contrast, blur, noise, the border. Works on
 * normalised floats (side, side, 3); knows no split and no network. Read first: why_pixels.h. */
#include "study/why_pixels.h"

#include <math.h>
#include <string.h>

enum { STREAM_NOISE = 0x6e6f6973 /* "nois" */ };

void eg_study_why_gray(float *gray, const float *image, size_t n, const eg_preprocess *p) {
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (int ch = 0; ch < 3; ch++) sum += image[3 * i + (size_t)ch] * p->std[ch] + p->mean[ch];
        gray[i] = sum / 3;
    }
}

void eg_study_why_measures(float out[EG_WHY_MEASURES], const float *gray, int side) {
    const size_t w = (size_t)side, n = w * w;
    double mean = 0, square = 0, laplacian = 0, mask = 0;
    for (size_t i = 0; i < n; i++) mean += (double)gray[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        square += ((double)gray[i] - mean) * ((double)gray[i] - mean) / (double)n;
    for (size_t y = 1; y + 1 < w; y++) {
        for (size_t x = 1; x + 1 < w; x++) {
            const float *g = gray + y * w + x;
            const double cross = (double)(g[-1] + g[1] + *(g - w) + g[w]);
            const double corners = (double)(*(g - w - 1) + *(g - w + 1) + g[w - 1] + g[w + 1]);
            laplacian += fabs(cross - 4 * (double)*g);
            mask += fabs(corners - 2 * cross + 4 * (double)*g);
        }
    }
    const double inner = fmax(1, ((double)w - 2) * ((double)w - 2)), sd = sqrt(square);
    out[EG_WHY_MEAN] = (float)mean;
    out[EG_WHY_SPREAD] = (float)sd;
    out[EG_WHY_NOISE] = (float)(mask * sqrt(M_PI / 2) / (6 * inner));
    out[EG_WHY_SHARP] = sd > 0 ? (float)(laplacian / inner / sd) : 0;
}

void eg_study_why_portrait_add(double *sum, const float *gray, int side) {
    const double area = (double)EG_WHY_THUMB * EG_WHY_THUMB / ((double)side * side);
    for (int y = 0; y < side; y++) {
        double *row = sum + (size_t)(y * EG_WHY_THUMB / side) * EG_WHY_THUMB;
        for (int x = 0; x < side; x++)
            row[x * EG_WHY_THUMB / side] +=
                area * (double)gray[(size_t)y * (size_t)side + (size_t)x];
    }
}

/* ---- blur ---- */

enum { MOST_RADIUS = 24 };

/* Weights of a Gaussian at 0 .. radius, all 2 radius + 1 of them summing to 1. */
static int kernel_make(double weight[MOST_RADIUS + 1], double sigma) {
    int radius = (int)ceil(3 * sigma);
    if (radius > MOST_RADIUS) radius = MOST_RADIUS;
    double sum = 0;
    for (int k = 0; k <= radius; k++) {
        weight[k] = exp(-0.5 * k * k / (sigma * sigma));
        sum += (k ? 2 : 1) * weight[k];
    }
    for (int k = 0; k <= radius; k++) weight[k] /= sum;
    return radius;
}

static int clamped(int i, int side) {
    return i < 0 ? 0 : i >= side ? side - 1 : i;
}

/* One pass along x (step 1) or y: edges repeated, `channels` beside each other. */
static void blur_pass(float *to, const float *from, int side, int channels, bool along_y,
                      const double *weight, int radius) {
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            for (int ch = 0; ch < channels; ch++) {
                double sum = 0;
                for (int k = -radius; k <= radius; k++) {
                    const int yy = along_y ? clamped(y + k, side) : y;
                    const int xx = along_y ? x : clamped(x + k, side);
                    sum +=
                        weight[k < 0 ? -k : k] *
                        (double)from[((size_t)yy * (size_t)side + (size_t)xx) * (size_t)channels +
                                     (size_t)ch];
                }
                to[((size_t)y * (size_t)side + (size_t)x) * (size_t)channels + (size_t)ch] =
                    (float)sum;
            }
        }
    }
}

static void blur(float *image, float *room, int side, int channels, double sigma) {
    double weight[MOST_RADIUS + 1];
    const int radius = kernel_make(weight, sigma);
    blur_pass(room, image, side, channels, false, weight, radius);
    blur_pass(image, room, side, channels, true, weight, radius);
}

/* Mean over the images of sharpness after blur over sharpness before. */
static double sharpness_left(double sigma, const float *images, size_t n, int side, float *work) {
    const size_t pixels = (size_t)side * (size_t)side;
    double sum = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        float before[EG_WHY_MEASURES], after[EG_WHY_MEASURES];
        memcpy(work, images + i * pixels, pixels * sizeof *work);
        eg_study_why_measures(before, work, side);
        blur(work, work + pixels, side, 1, sigma);
        eg_study_why_measures(after, work, side);
        if (!(before[EG_WHY_SHARP] > 0)) continue;
        sum += (double)(after[EG_WHY_SHARP] / before[EG_WHY_SHARP]);
        count++;
    }
    return count > 0 ? sum / count : 1;
}

double eg_study_why_blur_for(double ratio, const float *images, size_t n, int side, bool *failed) {
    double low = 0.05, high = 8;
    float *work = eg_malloc(2 * (size_t)side * (size_t)side * sizeof *work);
    *failed = !work;
    for (int step = 0; work && step < 9; step++) { /* to 3 % of sigma */
        const double middle = sqrt(low * high);
        if (sharpness_left(middle, images, n, side, work) > ratio)
            low = middle;
        else
            high = middle;
    }
    eg_free(work);
    return sqrt(low * high);
}

/* ---- changes ---- */

static void expose(float *image, size_t n, const eg_why_pixel_change *c) {
    for (size_t ch = 0; ch < 3; ch++) {
        const double std = (double)c->preprocess->std[ch], shift = (double)c->preprocess->mean[ch];
        double mean = 0;
        for (size_t i = 0; i < n; i++)
            mean += ((double)image[3 * i + ch] * std + shift) / (double)n;
        for (size_t i = 0; i < n; i++) {
            double v = (double)image[3 * i + ch] * std + shift;
            v = (v - mean) * c->contrast + mean * c->brightness;
            image[3 * i + ch] = (float)((fmin(fmax(v, 0), 1) - shift) / std);
        }
    }
}

void eg_study_why_pixels_change(const void *change, float *image, float *room, int side, int label,
                                size_t i) {
    const eg_why_pixel_change *c = change;
    const size_t n = (size_t)side * (size_t)side;
    (void)label;
    if (c->brightness != 1 || c->contrast != 1) expose(image, n, c);
    if (c->blur > 0) blur(image, room, side, 3, c->blur);
    if (c->noise > 0) { /* the same in all channels: radiographs are gray */
        eg_random r = eg_random_make(c->seed, (uint32_t)i, 0, STREAM_NOISE);
        for (size_t k = 0; k < n; k++) {
            const double v = c->noise * eg_random_normal(&r);
            for (size_t ch = 0; ch < 3; ch++)
                image[3 * k + ch] += (float)(v / (double)c->preprocess->std[ch]);
        }
    }
}

void eg_study_why_border_cover(const void *unused, float *image, float *room, int side, int label,
                               size_t i) {
    const size_t n = (size_t)side * (size_t)side;
    const int edge = side / EG_WHY_BORDER;
    double mean[3] = {0};
    (void)unused, (void)room, (void)label, (void)i;
    for (size_t k = 0; k < n; k++)
        for (size_t ch = 0; ch < 3; ch++) mean[ch] += (double)image[3 * k + ch] / (double)n;
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            if (x >= edge && x < side - edge && y >= edge && y < side - edge) continue;
            float *p = image + 3 * ((size_t)y * (size_t)side + (size_t)x);
            for (int ch = 0; ch < 3; ch++) p[ch] = (float)mean[ch];
        }
    }
}
