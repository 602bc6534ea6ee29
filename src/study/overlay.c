/* A heat map over the image it belongs to, as a PNG: the image in gray beside the same image tinted by the map, whose
 * values are interpolated between the centres of its cells. Knows no network. Read first: explain.h. */
#include "study/explain.h"

#include <math.h>

/* The map at a point of the unit square, bilinear, constant beyond the outermost centres. */
static double heat_at(const eg_heat *heat, double u, double v) {
    double x = fmin(fmax(u * heat->width - 0.5, 0), heat->width - 1);
    double y = fmin(fmax(v * heat->height - 0.5, 0), heat->height - 1);
    int x0 = (int)x, y0 = (int)y;
    int x1 = x0 + 1 < heat->width ? x0 + 1 : x0, y1 = y0 + 1 < heat->height ? y0 + 1 : y0;
    double fx = x - x0, fy = y - y0;
    const float *row0 = heat->value + (size_t)y0 * (size_t)heat->width;
    const float *row1 = heat->value + (size_t)y1 * (size_t)heat->width;
    return (1 - fy) * ((1 - fx) * (double)row0[x0] + fx * (double)row0[x1]) +
           fy * ((1 - fx) * (double)row1[x0] + fx * (double)row1[x1]);
}

/* Black to red to yellow to white, as the "hot" scale of plotting programs; component c of value t. */
static double hot(double t, int c) {
    return fmin(fmax(3 * t - c, 0), 1);
}

eg_status eg_study_overlay_png(eg_buffer *out, const uint8_t *pixels, int side, const eg_heat *heat,
                               eg_error *err) {
    const size_t n = (size_t)side;
    eg_image image = {.width = 2 * side, .height = side, .channels = 3};
    image.pixels = eg_malloc(2 * n * n * 3);
    if (!image.pixels) return eg_fail(err, EG_ERR_NO_MEMORY, "explain: out of memory");
    for (size_t y = 0; y < n; y++)
        for (size_t x = 0; x < n; x++) {
            const uint8_t *from = pixels + 3 * (y * n + x);
            uint8_t *plain = image.pixels + 3 * (2 * n * y + x), *tinted = plain + 3 * n;
            double t = heat_at(heat, ((double)x + 0.5) / side, ((double)y + 0.5) / side);
            /* weak places stay untouched: the picture must remain readable */
            double cover = 0.6 * fmin(1, fmax(0, (t - 0.15) / 0.35));
            for (int c = 0; c < 3; c++) {
                plain[c] = from[c];
                tinted[c] = (uint8_t)lrint((1 - cover) * from[c] + cover * 255 * hot(t, c));
            }
        }
    eg_status status = eg_png_encode(out, &image, err);
    eg_image_free(&image);
    return status;
}
