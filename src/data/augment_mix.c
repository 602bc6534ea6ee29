/* Mixup (Zhang et al. 2017, arXiv:1710.09412) and cutmix (Yun et al. 2019, arXiv:1905.04899): two
 * normalised images into one, with the share of the first. Who is mixed with whom is the loader's
 * (each image with the next of its batch). Each image draws its own share, keyed by (seed, epoch,
 * sample) like every other change. Read pixels.h first. */
#include "data/pixels.h"
#include "data/streams.h"

#include <math.h>
#include <string.h>

/* Gamma(shape, 1) by Marsaglia and Tsang 2000; a shape below 1 through shape + 1. */
static double draw_gamma(eg_random *r, double shape) {
    if (shape < 1) {
        const double u = 1 - eg_random_uniform(r); /* in (0, 1] */
        return draw_gamma(r, shape + 1) * pow(u, 1 / shape);
    }
    const double d = shape - 1.0 / 3.0, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = eg_random_normal(r), cube = 1 + c * x;
        if (cube <= 0) continue;
        const double v = cube * cube * cube, u = 1 - eg_random_uniform(r);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}

/* Beta(alpha, alpha). For a tiny alpha both parts may vanish: then one of the ends. */
static double draw_beta(eg_random *r, double alpha) {
    const double a = draw_gamma(r, alpha), b = draw_gamma(r, alpha);
    return a + b > 0 ? a / (a + b) : (double)eg_random_below(r, 2);
}

/* torchvision's CutMix: a rectangle with the image's proportions about a random middle, cut off at
 * the edges; the share is what is left of the image. */
static void draw_rectangle(eg_data_mix *m, eg_random *r, int side) {
    const int x = (int)eg_random_below(r, (uint32_t)side);
    const int y = (int)eg_random_below(r, (uint32_t)side);
    const int half = (int)(0.5 * sqrt(1 - (double)m->lambda) * side);
    m->left = x > half ? x - half : 0;
    m->top = y > half ? y - half : 0;
    m->right = x + half < side ? x + half : side;
    m->bottom = y + half < side ? y + half : side;
    const double area = (double)(m->right - m->left) * (m->bottom - m->top);
    m->lambda = (float)(1 - area / ((double)side * side));
}

eg_data_mix eg_data_mix_draw(const eg_augment *a, int side, uint64_t seed, uint32_t epoch,
                             uint32_t sample) {
    eg_data_mix m = {.lambda = 1};
    if (a->mixup <= 0 && a->cutmix <= 0) return m;
    eg_random r = eg_random_make(seed, epoch, sample, EG_DATA_STREAM_MIX);
    const bool coin = eg_random_below(&r, 2) == 1;
    m.cut = a->cutmix > 0 && (a->mixup <= 0 || coin);
    m.lambda = (float)draw_beta(&r, m.cut ? a->cutmix : a->mixup);
    if (m.cut) draw_rectangle(&m, &r, side);
    return m;
}

void eg_data_mix_apply(float *x, const float *partner, int side, const eg_data_mix *m) {
    if (m->lambda == 1) return;
    if (m->cut) {
        const size_t bytes = (size_t)(m->right - m->left) * 3 * sizeof(float);
        for (int y = m->top; y < m->bottom; y++) {
            const size_t at = ((size_t)y * (size_t)side + (size_t)m->left) * 3;
            memcpy(x + at, partner + at, bytes);
        }
        return;
    }
    const float own = m->lambda, other = 1 - m->lambda;
    const size_t n = (size_t)side * (size_t)side * 3;
    for (size_t i = 0; i < n; i++) x[i] = own * x[i] + other * partner[i];
}
