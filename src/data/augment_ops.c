/* Changes of a training image that keep its size: flip, brightness, contrast, gamma, blur, noise,
 * a blanked rectangle. In place, on 8-bit and on deep samples, with the strength given: what is
 * drawn at random is augment.c's. Changes of a sample by its value alone go through a table of
 * all values. Read pixels.h first. */
#include "data/pixels.h"

#include <math.h>
#include <string.h>

static int full_scale(const eg_data_canvas *c) {
    return c->deep ? 65535 : 255;
}

/* ---- by value ---- */

void eg_data_map(eg_data_canvas *c, const uint16_t *table) {
    const size_t n = eg_data_canvas_samples(c);
    if (c->deep) {
        uint16_t *p = c->pixels;
        for (size_t i = 0; i < n; i++) p[i] = table[p[i]];
    } else {
        uint8_t *p = c->pixels;
        for (size_t i = 0; i < n; i++) p[i] = (uint8_t)table[p[i]];
    }
}

void eg_data_blend_table(uint16_t *table, bool deep, int base, double factor) {
    const float alpha = (float)factor, full = deep ? 65535.0f : 255.0f;
    for (int v = 0; v <= (int)full; v++) {
        float value = (float)base + alpha * (float)(v - base);
        table[v] = (uint16_t)(value <= 0.0f ? 0.0f : value >= full ? full : value);
    }
}

void eg_data_augment_brightness(eg_data_canvas *c, double factor, uint16_t *table) {
    eg_data_blend_table(table, c->deep, 0, factor);
    eg_data_map(c, table);
}

/* Mean of Pillow's convert("L"), int(mean + 0.5). */
static int mean_gray(const eg_data_canvas *c) {
    const size_t n_pixels = (size_t)c->side * (size_t)c->side;
    uint64_t sum = 0;
    for (size_t i = 0; i < n_pixels; i++) {
        uint64_t value = eg_data_gray_at(c, i);
        sum += value;
    }
    return (int)((double)sum / (double)n_pixels + 0.5);
}

void eg_data_augment_contrast(eg_data_canvas *c, double factor, uint16_t *table) {
    eg_data_blend_table(table, c->deep, mean_gray(c), factor);
    eg_data_map(c, table);
}

void eg_data_augment_gamma(eg_data_canvas *c, double exponent, uint16_t *table) {
    const int full = full_scale(c);
    for (int v = 0; v <= full; v++)
        table[v] = (uint16_t)(full * pow((double)v / full, exponent) + 0.5);
    eg_data_map(c, table);
}

/* ---- by place ---- */

/* Left to right, a pixel at a time: the channels of a pixel keep their order. */
void eg_data_augment_flip(eg_data_canvas *c) {
    const size_t bytes = eg_data_pixel_bytes(c->channels, c->deep), side = (size_t)c->side;
    uint8_t kept[3 * sizeof(uint16_t)];
    for (size_t y = 0; y < side; y++) {
        uint8_t *row = (uint8_t *)c->pixels + y * side * bytes;
        for (size_t l = 0, r = side - 1; l < r; l++, r--) {
            memcpy(kept, row + l * bytes, bytes);
            memcpy(row + l * bytes, row + r * bytes, bytes);
            memcpy(row + r * bytes, kept, bytes);
        }
    }
}

enum { MAX_RADIUS = 60 }; /* of a blur, pixels: three sigma of the option's largest */

/* Weights of exp(-x^2 / 2 sigma^2), their sum 1; the radius. */
static int gauss(float weights[2 * MAX_RADIUS + 1], double sigma) {
    int radius = (int)ceil(3 * sigma);
    if (radius > MAX_RADIUS) radius = MAX_RADIUS;
    double sum = 0;
    for (int t = -radius; t <= radius; t++) sum += exp(-t * t / (2 * sigma * sigma));
    for (int t = -radius; t <= radius; t++)
        weights[t + radius] = (float)(exp(-t * t / (2 * sigma * sigma)) / sum);
    return radius;
}

static inline size_t clamp(int at, int side) {
    return (size_t)(at < 0 ? 0 : at >= side ? side - 1 : at);
}

/* Rows into floats, then columns back; the edge is repeated outwards. between: a float a sample. */
void eg_data_augment_blur(eg_data_canvas *c, double sigma, float *between) {
    float weights[2 * MAX_RADIUS + 1];
    const int radius = gauss(weights, sigma), side = c->side;
    const size_t n_ch = (size_t)c->channels, row = (size_t)side * n_ch;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (size_t k = 0; k < n_ch; k++) {
                float sum = 0;
                for (int t = -radius; t <= radius; t++)
                    sum +=
                        weights[t + radius] *
                        (float)eg_data_sample(c, (size_t)y * row + clamp(x + t, side) * n_ch + k);
                between[(size_t)y * row + (size_t)x * n_ch + k] = sum;
            }
    for (int y = 0; y < side; y++)
        for (size_t x = 0; x < row; x++) {
            float sum = 0;
            for (int t = -radius; t <= radius; t++)
                sum += weights[t + radius] * between[clamp(y + t, side) * row + x];
            eg_data_sample_set(c, (size_t)y * row + x, (unsigned)(sum + 0.5f));
        }
}

/* Sum of four uniform numbers, scaled to standard deviation 1: close to the normal distribution and
 * never beyond 3.5; two of them from one block of the generator. */
static float near_normal(eg_random *r) {
    const uint32_t a = eg_random_u32(r), b = eg_random_u32(r);
    const uint32_t sum = (a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16);
    return ((float)sum - 131070.0f) / 37837.2f; /* 65536 * sqrt(4 / 12) */
}

/* The gray image gets one field of noise, which then is gray too. */
void eg_data_augment_noise(eg_data_canvas *c, double sigma, eg_random stream) {
    const size_t n = eg_data_canvas_samples(c);
    const float full = (float)full_scale(c), scale = (float)sigma * full;
    for (size_t i = 0; i < n; i++) {
        float value = (float)eg_data_sample(c, i) + scale * near_normal(&stream) + 0.5f;
        eg_data_sample_set(c, i, (unsigned)(value <= 0 ? 0 : value >= full ? full : value));
    }
}

/* Blanked with the mean of the preprocessing, which becomes (nearly) 0 behind it. */
void eg_data_augment_cutout(eg_data_canvas *c, const double cut[4], const eg_preprocess *p) {
    const int side = c->side;
    const int left = (int)rint(cut[0] * side), right = (int)rint(cut[2] * side);
    const int top = (int)rint(cut[1] * side), bottom = (int)rint(cut[3] * side);
    float mean[3];
    memcpy(mean, p->mean, sizeof mean);
    if (c->channels == 1) mean[0] = (p->mean[0] + p->mean[1] + p->mean[2]) / 3;
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++)
            for (int k = 0; k < c->channels; k++) {
                size_t at = ((size_t)y * (size_t)side + (size_t)x) * (size_t)c->channels;
                eg_data_sample_set(c, at + (size_t)k,
                                   (unsigned)(mean[k] * (float)full_scale(c) + 0.5f));
            }
}
