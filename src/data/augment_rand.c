/* RandAugment (Cubuk et al. 2019, arXiv:1909.13719) with the list and the magnitudes of
 * torchvision's RandAugment (31 bins, nearest, black fill): each operation gives an 8-bit picture
 * the bytes that torchvision gives a PIL image. Deep pictures follow the same formulas at their own
 * depth; Equalize takes its histogram over 256 classes there. A gray picture is worked on in one
 * channel, which is what three equal ones would become. Read pixels.h first. */
#include "data/pixels.h"

#include <math.h>
#include <string.h>

typedef enum {
    IDENTITY,
    SHEAR_X,
    SHEAR_Y,
    TRANSLATE_X,
    TRANSLATE_Y,
    ROTATE,
    BRIGHTNESS,
    COLOR,
    CONTRAST,
    SHARPNESS,
    POSTERIZE,
    SOLARIZE,
    AUTOCONTRAST,
    EQUALIZE,
    N_OPS
} rand_op;

/* In torchvision's order. A magnitude is `at_0 + (at_30 - at_0) * strength / 30`, its sign drawn
 * where `is_signed`. Translation: shares of the side, 150 pixels of 331 (AutoAugment's networks). */
static const struct {
    const char *name;
    double at_0, at_30;
    bool is_signed;
} OPS[N_OPS] = {
    [IDENTITY] = {"Identity", 0, 0, false},
    [SHEAR_X] = {"ShearX", 0, 0.3, true},
    [SHEAR_Y] = {"ShearY", 0, 0.3, true},
    [TRANSLATE_X] = {"TranslateX", 0, 150.0 / 331.0, true},
    [TRANSLATE_Y] = {"TranslateY", 0, 150.0 / 331.0, true},
    [ROTATE] = {"Rotate", 0, 30, true},
    [BRIGHTNESS] = {"Brightness", 0, 0.9, true},
    [COLOR] = {"Color", 0, 0.9, true},
    [CONTRAST] = {"Contrast", 0, 0.9, true},
    [SHARPNESS] = {"Sharpness", 0, 0.9, true},
    [POSTERIZE] = {"Posterize", 8, 4, false}, /* bits kept, rounded */
    [SOLARIZE] = {"Solarize", 255, 0, false}, /* threshold */
    [AUTOCONTRAST] = {"AutoContrast", 0, 0, false},
    [EQUALIZE] = {"Equalize", 0, 0, false},
};

int eg_data_rand_find(const char *name) {
    for (int i = 0; i < N_OPS; i++)
        if (strcmp(OPS[i].name, name) == 0) return i;
    return -1;
}

eg_data_rand_op eg_data_rand_draw(eg_random *stream, double strength) {
    eg_data_rand_op op = {.op = (int)eg_random_below(stream, N_OPS)};
    const bool negative = eg_random_below(stream, 2) == 1;
    op.magnitude = OPS[op.op].at_0 + (OPS[op.op].at_30 - OPS[op.op].at_0) * strength / 30;
    if (OPS[op.op].is_signed && negative) op.magnitude = -op.magnitude;
    return op;
}

/* ---- geometry: Pillow's affine transform, nearest, in 16.16 fixed point (Geometry.c) ---- */

/* Source place of a result place: x' = m[0] x + m[1] y + m[2], y' = m[3] x + m[4] y + m[5]. */
static void affine(eg_data_canvas *c, const double m[6], void *copy) {
    const size_t bytes = eg_data_pixel_bytes(c->channels, c->deep), side = (size_t)c->side;
    int32_t f[6];
    const double v[6] = {m[0], m[1], m[2] + m[0] * 0.5 + m[1] * 0.5,
                         m[3], m[4], m[5] + m[3] * 0.5 + m[4] * 0.5};
    for (int i = 0; i < 6; i++) f[i] = (int32_t)floor(v[i] * 65536.0 + 0.5);
    memcpy(copy, c->pixels, side * side * bytes);
    uint8_t *to = c->pixels;
    for (int y = 0; y < c->side; y++)
        for (int x = 0; x < c->side; x++, to += bytes) {
            // 64 bit: far outside, 32 would wrap
            const int64_t sx = ((int64_t)f[0] * x + (int64_t)f[1] * y + f[2]) >> 16;
            const int64_t sy = ((int64_t)f[3] * x + (int64_t)f[4] * y + f[5]) >> 16;
            if (sx < 0 || sy < 0 || sx >= c->side || sy >= c->side)
                memset(to, 0, bytes);
            else
                memcpy(to, (const uint8_t *)copy + ((size_t)sy * side + (size_t)sx) * bytes, bytes);
        }
}

/* Pillow's Image.rotate about the middle, counter-clockwise for positive degrees. */
static void rotate(eg_data_canvas *c, double degrees, void *copy) {
    if (degrees == 0) return;
    const double radians = -(fmod(fmod(degrees, 360) + 360, 360) * (M_PI / 180));
    const double cosine = rint(cos(radians) * 1e15) / 1e15, sine = rint(sin(radians) * 1e15) / 1e15;
    const double middle = c->side / 2.0;
    const double m[6] = {cosine, sine,   cosine * -middle + sine * -middle + middle,
                         -sine,  cosine, -sine * -middle + cosine * -middle + middle};
    affine(c, m, copy);
}

/* ---- values ---- */

/* Pillow's ImageEnhance.Color: each pixel against its own gray. */
static void saturate(eg_data_canvas *c, double factor) {
    if (c->channels == 1) return;
    const size_t n = (size_t)c->side * (size_t)c->side;
    const float alpha = (float)factor, full = c->deep ? 65535.0f : 255.0f;
    for (size_t i = 0; i < n; i++) {
        const int gray = (int)eg_data_gray_at(c, i);
        for (size_t k = 0; k < 3; k++) {
            const int v = (int)eg_data_sample(c, 3 * i + k);
            const float value = (float)gray + alpha * (float)(v - gray);
            eg_data_sample_set(c, 3 * i + k,
                               (unsigned)(value <= 0.0f   ? 0.0f
                                          : value >= full ? full
                                                          : value));
        }
    }
}

/* Pillow's ImageEnhance.Sharpness: against ImageFilter.SMOOTH (3 x 3, the middle five times,
 * divided by 13), which leaves the outermost pixels. */
static void sharpen(eg_data_canvas *c, double factor, void *copy) {
    const size_t n_ch = (size_t)c->channels, row = (size_t)c->side * n_ch, side = (size_t)c->side;
    const float alpha = (float)factor, full = c->deep ? 65535.0f : 255.0f;
    eg_data_canvas before = {copy, c->side, c->channels, c->deep};
    memcpy(copy, c->pixels, eg_data_canvas_samples(c) * eg_data_pixel_bytes(1, c->deep));
    for (size_t y = 1; y + 1 < side; y++)
        for (size_t x = n_ch; x + n_ch < row; x++) {
            const size_t at = y * row + x;
            unsigned sum = 4 * eg_data_sample(&before, at);
            for (size_t t = 0; t < 9; t++)
                sum += eg_data_sample(&before, at + (t / 3) * row + (t % 3) * n_ch - row - n_ch);
            const int smooth = (int)((2 * sum + 13) / 26); /* never half way: 13 is odd */
            const int v = (int)eg_data_sample(&before, at);
            const float value = (float)smooth + alpha * (float)(v - smooth);
            eg_data_sample_set(c, at,
                               (unsigned)(value <= 0.0f   ? 0.0f
                                          : value >= full ? full
                                                          : value));
        }
}

/* The top `bits` of 8; of a deep sample too. */
static void posterize(eg_data_canvas *c, int bits, uint16_t *table) {
    const int total = c->deep ? 16 : 8, levels = 1 << total;
    const unsigned mask = ~((1u << (total - bits)) - 1);
    for (int v = 0; v < levels; v++) table[v] = (uint16_t)((unsigned)v & mask);
    eg_data_map(c, table);
}

/* Values from the threshold on are inverted. */
static void solarize(eg_data_canvas *c, double threshold, uint16_t *table) {
    const int full = c->deep ? 65535 : 255;
    if (c->deep) threshold *= 257;
    for (int v = 0; v <= full; v++) table[v] = (uint16_t)(v < threshold ? v : full - v);
    eg_data_map(c, table);
}

/* One channel through a table. */
static void map_channel(eg_data_canvas *c, size_t channel, const uint16_t *table) {
    const size_t n_ch = (size_t)c->channels, n = eg_data_canvas_samples(c);
    for (size_t i = channel; i < n; i += n_ch)
        eg_data_sample_set(c, i, table[eg_data_sample(c, i)]);
}

/* ImageOps.autocontrast without a cutoff: each channel's darkest to 0, its brightest to full. */
static void autocontrast(eg_data_canvas *c, uint16_t *table) {
    const int full = c->deep ? 65535 : 255;
    const size_t n = eg_data_canvas_samples(c);
    for (size_t k = 0; k < (size_t)c->channels; k++) {
        int low = full, high = 0;
        for (size_t i = k; i < n; i += (size_t)c->channels) {
            const int v = (int)eg_data_sample(c, i);
            if (v < low) low = v;
            if (v > high) high = v;
        }
        if (high <= low) continue;
        const double scale = (double)full / (high - low), offset = -low * scale;
        for (int v = 0; v <= full; v++) {
            const int value = (int)(v * scale + offset);
            table[v] = (uint16_t)(value < 0 ? 0 : value > full ? full : value);
        }
        map_channel(c, k, table);
    }
}

/* ImageOps.equalize of each channel. Deep: 256 classes of the upper byte, straight lines between. */
static void equalize(eg_data_canvas *c, uint16_t *table) {
    const size_t n = eg_data_canvas_samples(c);
    for (size_t k = 0; k < (size_t)c->channels; k++) {
        uint64_t histogram[256] = {0}, sum = 0, last = 0, steps[257];
        int n_used = 0;
        for (size_t i = k; i < n; i += (size_t)c->channels)
            histogram[eg_data_sample(c, i) >> (c->deep ? 8 : 0)]++;
        for (int v = 0; v < 256; v++) {
            if (histogram[v] == 0) continue;
            n_used++;
            sum += histogram[v];
            last = histogram[v];
        }
        const uint64_t step = (sum - last) / 255;
        if (n_used <= 1 || step == 0) continue;
        steps[0] = step / 2;
        for (int v = 0; v < 256; v++) steps[v + 1] = steps[v] + histogram[v];
        for (int v = 0; v < 256 && !c->deep; v++) {
            const uint64_t value = steps[v] / step;
            table[v] = (uint16_t)(value > 255 ? 255 : value);
        }
        for (int v = 0; v < 65536 && c->deep; v++) {
            const double below = (double)steps[v >> 8], above = (double)steps[(v >> 8) + 1];
            const double value = (below + (above - below) * (v & 255) / 256) / (double)step * 257;
            table[v] = (uint16_t)(value > 65535 ? 65535 : value);
        }
        map_channel(c, k, table);
    }
}

void eg_data_rand_apply(eg_data_canvas *c, const eg_data_rand_op *op, void *copy, uint16_t *table) {
    const double by = op->magnitude;
    switch ((rand_op)op->op) {
    case SHEAR_X:
        affine(c, (const double[6]){1, by, 0, 0, 1, 0}, copy);
        return;
    case SHEAR_Y:
        affine(c, (const double[6]){1, 0, 0, by, 1, 0}, copy);
        return;
    case TRANSLATE_X:
        affine(c, (const double[6]){1, 0, -trunc(by * c->side), 0, 1, 0}, copy);
        return;
    case TRANSLATE_Y:
        affine(c, (const double[6]){1, 0, 0, 0, 1, -trunc(by * c->side)}, copy);
        return;
    case ROTATE:
        rotate(c, by, copy);
        return;
    case BRIGHTNESS:
        eg_data_augment_brightness(c, 1 + by, table);
        return;
    case COLOR:
        saturate(c, 1 + by);
        return;
    case CONTRAST:
        eg_data_augment_contrast(c, 1 + by, table);
        return;
    case SHARPNESS:
        sharpen(c, 1 + by, copy);
        return;
    case POSTERIZE:
        posterize(c, (int)rint(by), table);
        return;
    case SOLARIZE:
        solarize(c, by, table);
        return;
    case AUTOCONTRAST:
        autocontrast(c, table);
        return;
    case EQUALIZE:
        equalize(c, table);
        return;
    case IDENTITY:
    case N_OPS:
        return;
    }
}
