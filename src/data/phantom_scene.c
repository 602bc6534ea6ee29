/* The chest of one picture: drawing its numbers (who, how it stands before the tube, how ill), and
 * the density of every point. A sketch of the physics: each organ adds to or takes from the
 * thickness that the rays pass, lungs take most; an opacity gives back what the lung took, so it
 * cannot reach outside it. Shapes follow frontal radiographs of children; they carry no claim
 * beyond looking like one at a glance. Read first: phantom_scene.h. */
#include "data/phantom_scene.h"
#include "data/streams.h"

#include <math.h>

static float between(eg_random *r, float low, float high) {
    return low + (high - low) * (float)eg_random_uniform(r);
}

/* ---- small shapes ---- */

static float clamp01(float v) {
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* 0 below a, 1 above b, smooth between. */
static float smooth(float a, float b, float v) {
    float t = clamp01((v - a) / (b - a));
    return t * t * (3 - 2 * t);
}

/* 0 outside, rising to 1 inside with depth d/scale: how the path through a round body grows. */
static float depth(float d, float scale) {
    if (d <= 0) return 0;
    float s = d / scale;
    return 1 - 1 / (1 + s + s * s);
}

/* Bell without exp: 1 at 0, about 0.06 at 2. */
static float bell(float q) {
    float s = 1 + 0.5f * q * q;
    return 1 / (s * s * s);
}

/* A bone in section: flat, its edges (cortex) brighter, q = 1 at the edge. */
static float bone_band(float q) {
    q = fabsf(q);
    if (q > 1.3f) return 0;
    return (0.62f + 0.38f * q * q) * (1 - smooth(0.75f, 1.3f, q));
}

/* Hash of a lattice point to -1..1: three rounds of multiply and shift, no table. */
static float lattice(uint32_t seed, int32_t x, int32_t y) {
    uint32_t h = seed ^ (uint32_t)x * 0x9E3779B1u ^ (uint32_t)y * 0x85EBCA77u;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    h ^= h >> 15;
    return (float)h * (2.0f / 4294967296.0f) - 1;
}

/* Value noise: lattice values with a smooth step between, cheaper than gradients; those who use it
 * for texture turn and bend the axes, or the squares would show. */
float eg_data_phantom_noise(uint32_t seed, float x, float y) {
    float fx = floorf(x), fy = floorf(y);
    int32_t ix = (int32_t)fx, iy = (int32_t)fy;
    float tx = x - fx, ty = y - fy;
    tx = tx * tx * (3 - 2 * tx);
    ty = ty * ty * (3 - 2 * ty);
    float a = lattice(seed, ix, iy), b = lattice(seed, ix + 1, iy);
    float c = lattice(seed, ix, iy + 1), d = lattice(seed, ix + 1, iy + 1);
    float top = a + (b - a) * tx, bottom = c + (d - c) * tx;
    return top + (bottom - top) * ty;
}

/* ---- numbers of the patient and of the visit ---- */

/* Ranges leave the lungs inside the middle 76 % of the picture at any pose: what shows in the border
 * is then the same in both classes. */
static void draw_anatomy(eg_data_anatomy *a, const eg_data_phantom_spec *spec) {
    eg_random r = eg_random_make(spec->seed, spec->anatomy, 0, EG_DATA_STREAM_PHANTOM_ANATOMY);
    a->lung_width = between(&r, 0.57f, 0.65f);
    a->apex = between(&r, -0.66f, -0.61f);
    a->base = between(&r, 0.32f, 0.42f);
    a->dome = between(&r, 0.10f, 0.20f);
    a->step = between(&r, 0.01f, 0.06f);
    a->asymmetry = between(&r, -0.04f, 0.04f);
    a->heart_y = between(&r, 0.17f, 0.23f);
    a->heart_w = between(&r, 0.22f, 0.31f);
    a->heart_h = between(&r, 0.30f, 0.38f);
    a->mediastinum = between(&r, 0.11f, 0.15f);
    a->knob = between(&r, 0.02f, 0.05f);
    a->rib_gap = between(&r, 0.118f, 0.138f);
    a->rib_y = a->apex + between(&r, 0.02f, 0.07f);
    a->rib_drop = between(&r, 0.20f, 0.32f);
    a->rib_half = between(&r, 0.022f, 0.029f);
    for (int i = 0; i < EG_DATA_N_RIBS; i++) a->rib_shift[i] = between(&r, -0.05f, 0.05f);
    a->bone = between(&r, 0.75f, 1.25f);
    a->tissue = between(&r, 0.90f, 1.10f);
    a->body = between(&r, 0.76f, 0.86f);
    a->bend = between(&r, -0.02f, 0.02f);
    a->clavicle_y = a->apex + between(&r, 0.06f, 0.12f);
    a->clavicle_rise = between(&r, 0.04f, 0.12f);
    a->bubble_x = between(&r, 0.25f, 0.40f);
    a->bubble_y = a->base + between(&r, 0.22f, 0.30f);
    a->bubble_r = eg_random_uniform(&r) < 0.5 ? between(&r, 0.06f, 0.11f) : 0;
    a->armpit = between(&r, -0.25f, -0.05f);
    a->shoulder = between(&r, -0.98f, -0.86f);
    a->zoom = between(&r, 0.96f, 1.04f);
    a->shift_x = between(&r, -0.03f, 0.03f);
    a->shift_y = between(&r, -0.025f, 0.03f);
    a->gamma = between(&r, 0.92f, 1.14f);
    a->texture = eg_random_u32(&r);
}

/* Breath, pose, framing and exposure move a little between two pictures of one patient. */
static void draw_visit(eg_data_scene *s, const eg_data_phantom_spec *spec) {
    eg_random r =
        eg_random_make(spec->seed, spec->anatomy, spec->key, EG_DATA_STREAM_PHANTOM_VISIT);
    eg_data_anatomy *a = &s->a;
    float breath = between(&r, -0.03f, 0.03f);
    a->base += breath;
    a->bubble_y += breath;
    a->heart_y += 0.5f * breath;
    a->heart_w *= between(&r, 0.95f, 1.05f);
    a->rib_y += between(&r, -0.015f, 0.015f);
    a->clavicle_y += between(&r, -0.015f, 0.015f);
    a->clavicle_rise += between(&r, -0.02f, 0.02f);
    a->bend += between(&r, -0.01f, 0.01f);
    float angle = between(&r, -0.05f, 0.05f);
    s->cosine = cosf(angle);
    s->sine = sinf(angle);
    /* planted framing comes on top of the pose, which stays what it would have been */
    s->zoom = a->zoom * between(&r, 0.98f, 1.02f) * (float)spec->zoom;
    s->shift_x = a->shift_x + between(&r, -0.02f, 0.02f);
    s->shift_y = a->shift_y + between(&r, -0.02f, 0.02f) - 2 * (float)spec->lift / s->zoom;
    s->gain = between(&r, 0.94f, 1.06f) * (float)spec->exposure;
    s->gamma = a->gamma * between(&r, 0.95f, 1.05f);
    s->black = between(&r, 0.00f, 0.05f);
    s->noise = between(&r, 0.014f, 0.024f) * (float)spec->noise;
    s->haze = between(&r, 0.6f, 1.4f);
}

/* ---- opacities ---- */

/* A point well inside the lung and clear of the heart, drawn without a rim, since the lung's own edge
 * cuts what reaches over it: side -1 or 1, t from 0 (apex) to 1 (base), and somewhere across. */
static void place(const eg_data_anatomy *a, eg_random *r, float t_low, float t_high, float *x,
                  float *y) {
    float side = eg_random_uniform(r) < 0.5 ? -1.0f : 1.0f;
    float t = between(r, t_low, t_high);
    *y = a->apex + t * (a->base - a->apex);
    float inner = a->mediastinum + (side > 0 && t > 0.5f ? 0.16f : 0.08f);
    float outer = a->lung_width * (0.62f + 0.30f * t) - 0.06f;
    *x = side * between(r, inner, outer > inner ? outer : inner);
}

/* An ellipse with half axes in [low, high], turned anyhow, without a fissure. Numbers are drawn one a
 * statement: the order inside an initializer is the compiler's. */
static eg_data_blob make_blob(eg_random *r, float x, float y, float low, float high) {
    float angle = between(r, 0, 3.14159f), rx = between(r, low, high);
    float ry = between(r, low, high);
    return (eg_data_blob){.x = x,
                          .y = y,
                          .rx = rx,
                          .ry = ry,
                          .cosine = cosf(angle),
                          .sine = sinf(angle),
                          .fissure_at = 9};
}

/* The patient's disease, then what this visit makes of it: a bit larger, denser, elsewhere. */
static void draw_disease(eg_data_scene *s, const eg_data_phantom_spec *spec) {
    if (!spec->ill) return;
    eg_random r = eg_random_make(spec->seed, spec->anatomy, 0, EG_DATA_STREAM_PHANTOM_DISEASE);
    float severity = between(&r, 0.50f, 1.0f), x, y;
    s->kind = spec->kind;
    switch (spec->kind) {
    case EG_DATA_OPACITY_LOBAR: {
        place(&s->a, &r, 0.25f, 0.95f, &x, &y);
        s->blobs[s->n_blobs++] = make_blob(&r, x, y, 0.17f, 0.30f);
        eg_data_blob *b = s->blobs;
        /* a fissure above or below the middle, nearly level */
        float slope = between(&r, -0.35f, 0.35f), up = y < 0 ? 1.0f : -1.0f;
        float n = sqrtf(1 + slope * slope);
        b->fissure_x = slope / n;
        b->fissure_y = up / n;
        b->fissure_at = b->fissure_x * x + b->fissure_y * y + between(&r, 0.04f, 0.12f);
        break;
    }
    case EG_DATA_OPACITY_PATCHY: {
        int n = 2 + (int)eg_random_below(&r, 4);
        while (s->n_blobs < n) {
            place(&s->a, &r, 0.2f, 1.0f, &x, &y);
            s->blobs[s->n_blobs++] = make_blob(&r, x, y, 0.09f, 0.19f);
        }
        break;
    }
    case EG_DATA_OPACITY_DIFFUSE:
    default:
        for (float side = -1; side < 2; side += 2) {
            x = side * between(&r, 0.26f, 0.34f);
            s->blobs[s->n_blobs++] = make_blob(&r, x, between(&r, -0.1f, 0.15f), 0.20f, 0.32f);
        }
        severity *= 0.75f;
    }
    eg_random visit =
        eg_random_make(spec->seed, spec->anatomy, spec->key, EG_DATA_STREAM_PHANTOM_DISEASE);
    severity *= between(&visit, 0.85f, 1.15f);
    for (int i = 0; i < s->n_blobs; i++) {
        eg_data_blob *b = &s->blobs[i];
        float size = between(&visit, 0.9f, 1.1f);
        b->x += between(&visit, -0.02f, 0.02f);
        b->y += between(&visit, -0.02f, 0.02f);
        b->rx *= size;
        b->ry *= size;
        b->amplitude = clamp01(severity * between(&visit, 0.85f, 1.0f)) * (float)spec->contrast;
    }
    s->grain = (float)spec->grain;
}

void eg_data_scene_make(eg_data_scene *scene, const eg_data_phantom_spec *spec) {
    *scene = (eg_data_scene){0};
    draw_anatomy(&scene->a, spec);
    draw_disease(scene, spec);
    draw_visit(scene, spec);
}

/* Two octaves bend the outline, a ridge leaves dark branches (air bronchograms) in it. */
float eg_data_scene_opacity(const eg_data_scene *s, float x, float y) {
    if (s->n_blobs == 0) return 0;
    uint32_t seed = s->a.texture + 77;
    float sum = 0, warp_x = 0, warp_y = 0;
    bool warped = false;
    for (int i = 0; i < s->n_blobs; i++) {
        const eg_data_blob *b = &s->blobs[i];
        float dx = x - b->x, dy = y - b->y;
        float reach = 2.2f * (b->rx > b->ry ? b->rx : b->ry) + 0.06f;
        if (dx * dx + dy * dy > reach * reach) continue;
        if (!warped) {
            warp_x = 0.05f * eg_data_phantom_noise(seed, 7 * x, 7 * y);
            warp_y = 0.05f * eg_data_phantom_noise(seed + 1, 7 * x, 7 * y);
            warped = true;
        }
        dx += warp_x;
        dy += warp_y;
        float p = (b->cosine * dx + b->sine * dy) / b->rx;
        float q = (b->cosine * dy - b->sine * dx) / b->ry;
        float d = p * p + q * q, v = b->amplitude / (1 + d * d * (1 + 0.5f * d));
        if (b->fissure_at < 9) {
            float over = b->fissure_x * (x + warp_x * 0.3f) + b->fissure_y * (y + warp_y * 0.3f);
            v *= 1 - smooth(-0.02f, 0.02f, over - b->fissure_at);
        }
        sum = sum + v - sum * v; /* overlaps fill, never more than all */
    }
    if (sum < 0.01f) return 0;
    /* turned and bent, so that the lattice does not show */
    float tx = 0.82f * x + 0.57f * y + 0.8f * warp_y, ty = 0.82f * y - 0.57f * x + 0.8f * warp_x;
    float cloud = eg_data_phantom_noise(seed + 2, 14 * tx, 14 * ty);
    if (s->kind == EG_DATA_OPACITY_DIFFUSE) {
        float net = 1 - fabsf(eg_data_phantom_noise(seed + 4, 33 * tx, 33 * ty));
        float across = 1 - fabsf(eg_data_phantom_noise(seed + 6, 25 * x, 25 * y));
        sum *= 0.45f + 0.30f * cloud + 0.55f * net * net * across;
    } else {
        float ridge = 1 - fabsf(eg_data_phantom_noise(seed + 3, 13 * tx, 13 * ty));
        sum *= 1 + 0.20f * cloud - 0.28f * smooth(0.80f, 1, ridge);
    }
    if (s->grain > 0) {
        float fine = eg_data_phantom_noise(seed + 5, 62 * x, 62 * y);
        sum *= 1 - s->grain + s->grain * 1.6f * fine;
    }
    return sum;
}

/* ---- density ---- */

/* Side wall of the lung at height y, of the side with this sign. */
static float lung_wall(const eg_data_anatomy *a, float y, float side) {
    float t = (y - a->apex) / 1.05f;
    float rest = t < 1 ? 1 - t : 0;
    float w = a->lung_width * (1 - 0.72f * rest * rest * rest);
    if (t > 1) w *= 1 - 0.15f * (t - 1);
    return w * (1 + side * a->asymmetry);
}

/* 1 inside the heart, 0 outside, soft over its rim: from the great vessels it widens downwards, far
 * on the image's right (left ventricle), a little on its left (right atrium), and rounds off. */
static float heart_mask(const eg_data_anatomy *a, float x, float y) {
    float t = (y - a->heart_y + a->heart_h) / (2 * a->heart_h);
    if (t <= -0.25f || t >= 1.15f) return 0;
    float round = 1 - smooth(0.80f, 1.15f, t);
    float bulge = x > 0 ? a->heart_w * smooth(-0.25f, 0.72f, t)
                        : 0.26f * a->heart_w * bell((t - 0.62f) / 0.28f);
    float edge = a->mediastinum - 0.03f + bulge * round;
    return 1 - smooth(edge - 0.04f, edge + 0.015f, fabsf(x));
}

/* Behind the heart and beside the spine: great vessels, with the aortic arch on the image's right. */
static float mediastinum_mask(const eg_data_anatomy *a, float x, float y) {
    float half =
        a->mediastinum + 0.035f * smooth(0.1f, -0.5f, y) - 0.02f * bell((y + 0.1f) / 0.12f);
    float knob = (y + 0.24f) / 0.09f;
    if (x > 0) half += a->knob * bell(knob);
    return 1 - smooth(half - 0.045f, half + 0.035f, fabsf(x));
}

/* How deep the point lies in the lung; 0 outside. */
static float lung_air(const eg_data_anatomy *a, float x, float y, float wall) {
    float side = x < 0 ? -1.0f : 1.0f, ax = fabsf(x);
    float to_wall = wall - ax;
    if (to_wall <= 0) return 0;
    float along = (ax - 0.55f * a->lung_width) / (0.5f * a->lung_width);
    float floor_y = a->base + (side > 0 ? a->step : 0) + a->dome * along * along +
                    (along > 0 ? 0.10f * along * along * along : 0);
    float top = (ax - 0.45f * a->lung_width) / (0.35f * a->lung_width);
    float to_top = y - a->apex - 0.03f * top * top;
    if (to_top <= 0) return 0;
    float lung = depth(to_wall, 0.045f) * depth(to_top, 0.05f);
    /* sharp dome, and the thin recess behind it that shows through */
    float below = y - floor_y;
    return lung *
           (0.90f * (1 - smooth(-0.02f, 0.012f, below)) + 0.10f * (1 - smooth(0, 0.3f, below)));
}

static float ribs(const eg_data_anatomy *a, float x, float y, float wall) {
    float ax = fabsf(x), across = ax / wall;
    if (ax < 0.05f || across > 1.06f) return 0;
    float edge = 1 - smooth(0.99f, 1.06f, across), sum = 0;
    /* Ribs are equally spaced along y once the curve is taken off: the nearest one is found by
     * rounding. From the spine level or a little upwards, then down along the wall. */
    float curve = a->rib_drop * across * across * across - 0.05f * across;
    float k = (y - curve * (1 + 0.35f * y) - a->rib_y) / a->rib_gap;
    float nearest = floorf(k + 0.5f);
    if (nearest >= 0 && nearest < EG_DATA_N_RIBS - 2) {
        float q = (k - nearest - a->rib_shift[(int)nearest]) * a->rib_gap / a->rib_half;
        sum += bone_band(q) * (0.75f + 0.35f * across);
    }
    /* the front ends: from the wall down towards the breastbone, ending in cartilage */
    float front = 0.30f * (1 - across) + a->rib_drop - 0.05f;
    k = (y - front - a->rib_y - 0.4f * a->rib_gap) / (1.12f * a->rib_gap);
    nearest = floorf(k + 0.5f);
    if (nearest >= 0 && nearest < 6) {
        float q = (k - nearest) * a->rib_gap / (1.15f * a->rib_half);
        sum += 0.42f * bone_band(q) * smooth(0.42f, 0.75f, across);
    }
    /* turning round the side they are seen end on */
    return edge * (sum + 0.5f * bell((across - 1) / 0.022f));
}

static float spine(const eg_data_anatomy *a, float x, float y) {
    float q = (x - a->bend * sinf(2 * y)) / 0.085f, aq = fabsf(q);
    if (aq > 1.6f) return 0;
    float phase = (y + 2) / 0.092f, in = phase - floorf(phase); /* one vertebra */
    float body = smooth(0, 0.12f, in) * (1 - smooth(0.78f, 0.92f, in));
    float sides = 1 - smooth(0.85f, 1.1f, aq);
    float pedicles = bell((aq - 0.62f) / 0.16f) * bell((in - 0.35f) / 0.16f);
    return sides * (0.65f + 0.35f * body) + 0.35f * pedicles + 0.12f * bell(q / 0.12f);
}

static float clavicles(const eg_data_anatomy *a, float x, float y) {
    float ax = fabsf(x);
    if (ax < 0.07f || ax > 0.72f) return 0;
    float t = (ax - 0.07f) / 0.6f;
    float line = a->clavicle_y - a->clavicle_rise * t + 0.035f * sinf(6.0f * t);
    float half = 0.024f + 0.012f * fabsf(t - 0.5f);
    return bone_band((y - line) / half) * smooth(0.07f, 0.10f, ax) * (1 - smooth(0.66f, 0.72f, ax));
}

/* Depth in the soft tissue of trunk, shoulders and neck; negative in the air beside them. */
static float body_depth(const eg_data_anatomy *a, float x, float y) {
    float ax = fabsf(x);
    float trunk = a->body + 0.03f * y - ax;
    float shoulder = y - a->shoulder - 0.22f * ax * ax * ax;
    float neck = 0.30f - 0.10f * (y + 1) - ax;
    float armpit = a->armpit + 0.25f * (1 - ax) - y;
    float d = trunk < shoulder ? trunk : shoulder;
    float upper = shoulder < armpit ? shoulder : armpit; /* reaches beyond the picture */
    if (upper > d) d = upper;
    if (y < a->shoulder + 0.3f && neck > d) d = neck;
    return d;
}

float eg_data_scene_density(const eg_data_scene *s, float x, float y, float *lung) {
    const eg_data_anatomy *a = &s->a;
    float side = x < 0 ? -1.0f : 1.0f, ax = fabsf(x);
    float tissue = depth(body_depth(a, x, y), 0.10f);
    float wall = lung_wall(a, y, side);
    float air = lung_air(a, x, y, wall);
    float heart = heart_mask(a, x, y), middle = mediastinum_mask(a, x, y);
    float hidden = heart > middle ? heart : middle;
    air *= 1 - 0.90f * hidden; /* a little lung lies behind the heart and shows */
    *lung = air;
    float d = 0.62f * a->tissue * tissue;
    d -= 0.44f * air;
    d += tissue * (0.055f * heart * (1 - smooth(a->base, a->base + 0.15f, y)) + 0.075f * middle);
    /* trachea: air in the middle of the upper chest */
    d -= 0.07f * (1 - smooth(0.02f, 0.045f, fabsf(x - 0.01f))) * (1 - smooth(-0.25f, -0.12f, y));
    float abdomen =
        smooth(a->base - 0.02f, a->base + 0.16f, y) * (1 - smooth(0.8f * a->body, a->body, ax));
    d += 0.12f * abdomen * tissue;
    if (a->bubble_r > 0) {
        float dx = (x - a->bubble_x) / a->bubble_r, dy = (y - a->bubble_y) / (0.7f * a->bubble_r);
        d -= 0.16f * (1 - smooth(0.6f, 1.1f, sqrtf(dx * dx + dy * dy)));
    }
    float bone = (0.15f - 0.085f * abdomen) * (1 - 0.5f * hidden) * ribs(a, x, y, wall) +
                 0.12f * spine(a, x, y) + 0.14f * clavicles(a, x, y);
    /* shoulder blade, a faint sheet at the upper side */
    float bx = (ax - wall - 0.05f) / 0.13f, by = (y + 0.32f) / 0.22f;
    bone += 0.045f * (1 - smooth(0.75f, 1.05f, sqrtf(bx * bx + by * by)));
    return d + a->bone * bone * (tissue > 0 ? 1 : 0);
}
