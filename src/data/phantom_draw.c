/* One radiograph of a phantom: density at every pixel, vessels, exposure, noise, and what is
 * planted on the pixels. The anatomy and the opacities are phantom_scene.c's; here is what a
 * detector makes of them. One thread; the same spec gives the same pixels. Read first:
 * phantom_scene.h. */
#include "data/phantom_scene.h"
#include "data/streams.h"

#include <math.h>
#include <string.h>

enum { N_VESSELS = 26 }; /* each with its twigs */

typedef struct {
    const eg_data_phantom_spec *spec;
    eg_data_scene scene;
    int width, height;
    float *density; /* (height, width); later gray, 0 to 1 */
    float *vessels; /* (height, width) */
} canvas;

/* ---- vessels ---- */

/* A soft dot of `radius` pixels; darker dots do not erase brighter ones. */
static void dab(const canvas *c, float px, float py, float radius, float value) {
    int reach = (int)(2 * radius) + 1;
    int x0 = (int)px - reach, x1 = (int)px + reach, y0 = (int)py - reach, y1 = (int)py + reach;
    if (x0 < 0) x0 = 0;
    if (y0 < 0) y0 = 0;
    if (x1 >= c->width) x1 = c->width - 1;
    if (y1 >= c->height) y1 = c->height - 1;
    for (int y = y0; y <= y1; y++) {
        for (int x = x0; x <= x1; x++) {
            float dx = ((float)x + 0.5f - px) / radius, dy = ((float)y + 0.5f - py) / radius;
            float s = 1 + 0.7f * (dx * dx + dy * dy), v = value / (s * s);
            float *at = &c->vessels[(size_t)y * (size_t)c->width + (size_t)x];
            if (v > *at) *at = v;
        }
    }
}

/* One branch from (x, y) in coordinates of the body; gives off a twig half way. */
static void draw_branch(const canvas *c, eg_random *r, float x, float y, float angle, float length,
                        float thick, int twigs) {
    float pixel = 2.0f / (float)c->width * 1.2f, bend = 0.9f * ((float)eg_random_uniform(r) - 0.5f);
    int n = (int)(length / pixel) + 1;
    for (int i = 0; i < n; i++) {
        float t = (float)i / (float)n, u, v;
        eg_data_scene_to_picture(&c->scene, x, y, &u, &v);
        float half = thick * (1 - 0.75f * t), radius = 0.5f * half * (float)c->width;
        /* thinner than a pixel: fainter instead */
        float value = (1 - 0.6f * t) * (radius < 0.6f ? radius / 0.6f : 1);
        dab(c, 0.5f * (u + 1) * (float)c->width, 0.5f * (v + 1) * (float)c->height,
            radius < 0.6f ? 0.6f : radius, value);
        x += cosf(angle) * pixel;
        y += sinf(angle) * pixel;
        angle += bend * pixel / length;
        if (twigs > 0 && i == n * 2 / 5)
            draw_branch(c, r, x, y, angle + (eg_random_uniform(r) < 0.5 ? 0.6f : -0.6f),
                        0.6f * length, 0.6f * thick, twigs - 1);
    }
}

/* Fans out of both hila, of the patient's own kind. */
static void draw_vessels(const canvas *c) {
    eg_random r =
        eg_random_make(c->spec->seed, c->spec->anatomy, 0, EG_DATA_STREAM_PHANTOM_VESSELS);
    for (int i = 0; i < N_VESSELS; i++) {
        float side = i % 2 ? 1.0f : -1.0f;
        float fan =
            -1.35f + 2.7f * ((float)(i / 2) + (float)eg_random_uniform(&r)) / (N_VESSELS / 2);
        float angle = side > 0 ? fan : 3.14159f - fan;
        float length = 0.22f + 0.30f * (float)eg_random_uniform(&r);
        float x = side * (c->scene.a.mediastinum + 0.005f), y = -0.06f + 0.09f * fan / 1.35f;
        draw_branch(c, &r, x, y, angle, length, 0.012f + 0.016f * (float)eg_random_uniform(&r), 2);
    }
}

/* ---- pixels ---- */

static void draw_densities(const canvas *c) {
    const eg_data_scene *s = &c->scene;
    uint32_t seed = s->a.texture;
    for (int py = 0; py < c->height; py++) {
        for (int px = 0; px < c->width; px++) {
            size_t i = (size_t)py * (size_t)c->width + (size_t)px;
            float u = ((float)px + 0.5f) / (float)c->width * 2 - 1, x;
            float v = ((float)py + 0.5f) / (float)c->height * 2 - 1, y, lung;
            eg_data_scene_to_body(s, u, v, &x, &y);
            float d = eg_data_scene_density(s, x, y, &lung);
            float filled = lung > 0 ? eg_data_scene_opacity(s, x, y) : 0;
            d += 0.12f * c->vessels[i] * lung * (1 - (filled > 0 ? filled : 0)) +
                 0.40f * filled * lung;
            /* muscles and skin folds; in the lung, the small things a picture does not resolve */
            d += d > 0.05f ? 0.022f * eg_data_phantom_noise(seed + 8, 3.1f * x, 3.7f * y) +
                                 0.012f * eg_data_phantom_noise(seed + 9, 11 * x, 11 * y)
                           : 0;
            d += 0.020f * lung * s->haze * eg_data_phantom_noise(seed + 10, 27 * x, 27 * y);
            c->density[i] = d;
        }
    }
}

/* Density to gray: what little passes thick parts is noisy there. Four bytes of one word sum to a
 * bell well enough for grain. */
static void expose(const canvas *c) {
    const eg_data_scene *s = &c->scene;
    eg_random r =
        eg_random_make(c->spec->seed, c->spec->anatomy, c->spec->key, EG_DATA_STREAM_PHANTOM_NOISE);
    size_t n = (size_t)c->width * (size_t)c->height;
    for (size_t i = 0; i < n; i++) {
        float d = c->density[i] + 0.02f;
        float level = d <= 0 ? 0 : d / 1.02f;
        float gray = s->black + (0.96f - s->black) * powf(level > 1.1f ? 1.1f : level, s->gamma);
        uint32_t w = eg_random_u32(&r);
        float bell = (float)((w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24)) - 510;
        gray += s->noise * (0.45f + 0.8f * gray) * bell * (1 / 147.8f); /* sd of the sum: 147.8 */
        c->density[i] = s->gain * gray;
    }
}

/* Gaussian in two passes, edges repeated. `c->vessels` is free by now. */
static void blur(const canvas *c, float sigma) {
    int reach = (int)(3 * sigma) + 1;
    float sum = 0, weights[256];
    if (reach > 127) reach = 127; /* sigma 42 pixels: past what is planted in 3,500 pixels */
    for (int k = -reach; k <= reach; k++) {
        weights[k + reach] = expf(-0.5f * (float)(k * k) / (sigma * sigma));
        sum += weights[k + reach];
    }
    for (int pass = 0; pass < 2; pass++) {
        const float *from = pass ? c->vessels : c->density;
        float *to = pass ? c->density : c->vessels;
        for (int y = 0; y < c->height; y++) {
            for (int x = 0; x < c->width; x++) {
                float v = 0;
                for (int k = -reach; k <= reach; k++) {
                    int qx = pass ? x : x + k, qy = pass ? y + k : y;
                    qx = qx < 0 ? 0 : qx >= c->width ? c->width - 1 : qx;
                    qy = qy < 0 ? 0 : qy >= c->height ? c->height - 1 : qy;
                    v += weights[k + reach] * from[(size_t)qy * (size_t)c->width + (size_t)qx];
                }
                to[(size_t)y * (size_t)c->width + (size_t)x] = v / sum;
            }
        }
    }
}

/* A letter of lead in the upper corner, a little elsewhere every time. */
static void draw_letter(const canvas *c) {
    static const char *const glyph[7] = {"####.", "#...#", "#...#", "####.",
                                         "#.#..", "#..#.", "#...#"};
    eg_random r = eg_random_make(c->spec->seed, c->spec->anatomy, c->spec->key,
                                 EG_DATA_STREAM_PHANTOM_LETTER);
    float size = 0.09f * (float)c->height, cell = size / 7;
    float left = (0.025f + 0.02f * (float)eg_random_uniform(&r)) * (float)c->width;
    float top = (0.02f + 0.015f * (float)eg_random_uniform(&r)) * (float)c->height;
    float bright = 0.90f + 0.08f * (float)eg_random_uniform(&r);
    for (int y = (int)top; y < c->height && (float)y < top + size; y++) {
        for (int x = (int)left; x < c->width && (float)x < left + 5 * cell; x++) {
            int row = (int)(((float)y + 0.5f - top) / cell),
                column = (int)(((float)x + 0.5f - left) / cell);
            if (row < 0 || row > 6 || column < 0 || column > 4 || glyph[row][column] != '#')
                continue;
            c->density[(size_t)y * (size_t)c->width + (size_t)x] = bright;
        }
    }
}

eg_status eg_data_phantom_draw(eg_image *out, const eg_data_phantom_spec *spec, eg_error *err) {
    size_t n = (size_t)spec->width * (size_t)spec->height;
    canvas c = {.spec = spec, .width = spec->width, .height = spec->height};
    c.density = eg_malloc(n * sizeof *c.density);
    c.vessels = eg_calloc(n, sizeof *c.vessels);
    uint8_t *pixels = eg_malloc(n);
    bool fits = c.density && c.vessels && pixels;
    if (fits) {
        eg_data_scene_make(&c.scene, spec);
        draw_vessels(&c);
        draw_densities(&c);
        expose(&c);
        if (spec->blur > 0) blur(&c, (float)spec->blur * (float)spec->width);
        if (spec->marker) draw_letter(&c);
        for (size_t i = 0; i < n; i++) {
            float v = c.density[i] * 255 + 0.5f;
            pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
        *out = (eg_image){
            .width = spec->width, .height = spec->height, .channels = 1, .pixels = pixels};
    } else {
        eg_free(pixels);
    }
    eg_free(c.density);
    eg_free(c.vessels);
    return fits ? EG_OK
                : eg_fail(err, EG_ERR_NO_MEMORY, "no memory to draw %d x %d pixels", spec->width,
                          spec->height);
}

void eg_data_phantom_locate(eg_data_phantom_opacity *out, const eg_data_phantom_spec *spec) {
    eg_data_scene s;
    *out = (eg_data_phantom_opacity){0};
    eg_data_scene_make(&s, spec);
    out->n = s.n_blobs;
    for (int i = 0; i < s.n_blobs; i++) {
        const eg_data_blob *b = &s.blobs[i];
        double radius = 0.5 * (double)(sqrtf(b->rx * b->ry) * s.zoom);
        if (radius <= out->radius) continue;
        float u, v;
        eg_data_scene_to_picture(&s, b->x, b->y, &u, &v);
        out->radius = radius;
        out->x = 0.5 * ((double)u + 1);
        out->y = 0.5 * ((double)v + 1);
        out->contrast = (double)b->amplitude;
    }
}
