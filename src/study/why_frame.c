/* Where the mean image of a class lies on another split's: scale and shift of best correlation, found on 32 x 32 by trying
 * all of a grid and then its neighbourhood; and an image brought to such a frame. Read first: why_pixels.h. */
#include "study/why_pixels.h"

#include <math.h>
#include <string.h>

/* Value of a (h, h) picture at (y, x) in pixels, bilinear; false: outside. */
static bool sample(double *out, const double *a, int h, double y, double x) {
    if (!(y >= 0 && x >= 0 && y <= h - 1 && x <= h - 1)) return false;
    const int y0 = y < h - 1 ? (int)y : h - 2, x0 = x < h - 1 ? (int)x : h - 2;
    const double fy = y - y0, fx = x - x0;
    const double *p = a + (size_t)y0 * (size_t)h + (size_t)x0;
    *out = (1 - fy) * ((1 - fx) * p[0] + fx * p[1]) + fy * ((1 - fx) * p[h] + fx * p[h + 1]);
    return true;
}

/* Correlation of b with a seen through the frame, where both have pixels; -1: on less than half of the picture. */
static double correlate(const double *a, const double *b, const eg_why_frame *f) {
    const int h = EG_WHY_THUMB;
    double n = 0, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < h; x++) {
            const double u = (x + 0.5) / h - 0.5, v = (y + 0.5) / h - 0.5;
            double p;
            if (!sample(&p, a, h, (0.5 + v * f->scale + f->y) * h - 0.5,
                        (0.5 + u * f->scale + f->x) * h - 0.5))
                continue;
            const double q = b[y * h + x];
            n++;
            sa += p;
            sb += q;
            saa += p * p;
            sbb += q * q;
            sab += p * q;
        }
    }
    if (n < 0.5 * h * h) return -1;
    const double va = saa - sa * sa / n, vb = sbb - sb * sb / n;
    return va > 0 && vb > 0 ? (sab - sa * sb / n) / sqrt(va * vb) : -1;
}

static void try_frame(eg_why_frame *best, const double *a, const double *b, double scale, double x,
                      double y) {
    eg_why_frame f = {scale, x, y, 0, best->unmoved};
    f.correlation = correlate(a, b, &f);
    if (f.correlation > best->correlation + 1e-9) *best = f;
}

void eg_study_why_register(eg_why_frame *out, const double *a, const double *b) {
    eg_why_frame best = {1, 0, 0, 0, 0};
    best.correlation = best.unmoved = correlate(a, b, &best);
    for (int s = -10; s <= 10; s++)
        for (int y = -4; y <= 4; y++)
            for (int x = -4; x <= 4; x++)
                try_frame(&best, a, b, exp(0.03 * s), (double)x / EG_WHY_THUMB,
                          (double)y / EG_WHY_THUMB);
    for (double step = 0.5; step > 0.1; step /= 2) {
        const eg_why_frame from = best;
        for (int s = -1; s <= 1; s++)
            for (int y = -1; y <= 1; y++)
                for (int x = -1; x <= 1; x++)
                    try_frame(&best, a, b, from.scale * exp(0.03 * step * s),
                              from.x + step * x / EG_WHY_THUMB, from.y + step * y / EG_WHY_THUMB);
    }
    *out = best;
}

eg_why_frame eg_study_why_frame_inverse(const eg_why_frame *f) {
    return (eg_why_frame){1 / f->scale, -f->x / f->scale, -f->y / f->scale, f->correlation,
                          f->unmoved};
}

void eg_study_why_framing_apply(const void *change, float *image, float *room, int side, int label,
                                size_t i) {
    const eg_why_framing_change *c = change;
    const eg_why_frame *f = &c->frame;
    (void)i;
    if (label != c->label) return;
    memcpy(room, image, (size_t)side * (size_t)side * 3 * sizeof *room);
    for (int y = 0; y < side; y++) {
        const double v = (y + 0.5) / side - 0.5;
        const double sy = fmin(fmax((0.5 + v * f->scale + f->y) * side - 0.5, 0), side - 1);
        const int y0 = sy < side - 1 ? (int)sy : side - 2;
        for (int x = 0; x < side; x++) {
            const double u = (x + 0.5) / side - 0.5;
            const double sx = fmin(fmax((0.5 + u * f->scale + f->x) * side - 0.5, 0), side - 1);
            const int x0 = sx < side - 1 ? (int)sx : side - 2;
            const float fy = (float)(sy - y0), fx = (float)(sx - x0);
            const float *p = room + 3 * ((size_t)y0 * (size_t)side + (size_t)x0), *q = p + 3 * side;
            float *to = image + 3 * ((size_t)y * (size_t)side + (size_t)x);
            for (int ch = 0; ch < 3; ch++)
                to[ch] = (1 - fy) * ((1 - fx) * p[ch] + fx * p[ch + 3]) +
                         fy * ((1 - fx) * q[ch] + fx * q[ch + 3]);
        }
    }
}
