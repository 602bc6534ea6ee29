/* Private to the drawing of phantoms: the anatomy of one picture and what each point of it lets
 * through. Coordinates of the body: x from -1 to 1 over the width of a picture in standard framing,
 * 0 the spine; y from -1 to 1 downwards. Densities: 0 air, about 1 bone over soft tissue. */
#ifndef EG_DATA_PHANTOM_SCENE_H
#define EG_DATA_PHANTOM_SCENE_H

#include "data/phantom.h"

enum { EG_DATA_MAX_BLOBS = 6, EG_DATA_N_RIBS = 12 };

/* One patient at one visit. Lengths in coordinates of the body. */
typedef struct {
    float lung_width; /* half width of the chest inside the ribs at its widest */
    float apex, base; /* y of the tops of the lungs and of the diaphragm's dome */
    float dome, step; /* depth of the dome; how much lower the image's right one is */
    float asymmetry;  /* the image's right lung is wider by this share */
    float heart_y, heart_w, heart_h;
    float mediastinum, knob;                  /* half width; how far the aortic arch stands out */
    float rib_gap, rib_y, rib_drop, rib_half; /* spacing, first rib, fall to the side, half width */
    float rib_shift[EG_DATA_N_RIBS];
    float bone, tissue, body; /* contrasts of bone and soft tissue; half width of the trunk */
    float bend;               /* of the spine */
    float clavicle_y, clavicle_rise;
    float bubble_x, bubble_y, bubble_r; /* gas in the stomach; r 0: none */
    float shoulder,
        armpit; /* y of the top of the shoulders; of the armpits at the picture's edge */
    float zoom, shift_x, shift_y, gamma; /* how this patient is usually taken */
    uint32_t texture;                    /* seed of the lattice noises */
} eg_data_anatomy;

typedef struct {
    float x, y, rx, ry, cosine, sine;       /* an ellipse, turned */
    float amplitude;                        /* share of the lung's darkness that is filled */
    float fissure_x, fissure_y, fissure_at; /* sharp edge: nothing where n.p > at; at 9: none */
} eg_data_blob;

typedef struct {
    eg_data_anatomy a;
    int n_blobs;
    eg_data_blob blobs[EG_DATA_MAX_BLOBS];
    eg_data_opacity_kind kind;
    float grain;
    /* picture -> body: (x, y) = zoom^-1 R (u, v) - shift, u and v from -1 to 1 */
    float cosine, sine, zoom, shift_x, shift_y;
    /* density -> gray */
    float gain, gamma, black, noise, haze;
} eg_data_scene;

void eg_data_scene_make(eg_data_scene *scene, const eg_data_phantom_spec *spec);
/* Density at (x, y); `lung` gets how much air is there, 0 to about 1 (before any opacity). */
float eg_data_scene_density(const eg_data_scene *scene, float x, float y, float *lung);
/* Share of the lung's air that is filled at (x, y), about -0.3 to 1. */
float eg_data_scene_opacity(const eg_data_scene *scene, float x, float y);
/* Smooth noise of unit spacing, -1 to 1. */
float eg_data_phantom_noise(uint32_t seed, float x, float y);
static inline void eg_data_scene_to_body(const eg_data_scene *s, float u, float v, float *x,
                                         float *y) {
    *x = (s->cosine * u + s->sine * v) / s->zoom - s->shift_x;
    *y = (s->cosine * v - s->sine * u) / s->zoom - s->shift_y;
}
static inline void eg_data_scene_to_picture(const eg_data_scene *s, float x, float y, float *u,
                                            float *v) {
    float px = (x + s->shift_x) * s->zoom, py = (y + s->shift_y) * s->zoom;
    *u = s->cosine * px - s->sine * py;
    *v = s->cosine * py + s->sine * px;
}

#endif
