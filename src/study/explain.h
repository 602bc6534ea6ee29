/* Private to study: heat maps of what a network looked at (explain_map.c), their pictures (overlay.c), used by the command
 * (explain.c). */
#ifndef EG_STUDY_EXPLAIN_H
#define EG_STUDY_EXPLAIN_H

#include "study/run.h"

typedef enum { EG_EXPLAIN_GRADCAM, EG_EXPLAIN_GRADCAM_PP, EG_EXPLAIN_OCCLUSION } eg_explain_method;

/* One map: how much each place speaks for the target class. Where nothing does, all 0. */
typedef struct {
    int height, width;
    float *value; /* (height, width) >= 0, largest 1 */
} eg_heat;

/* What makes maps of one network; open once, use for many images. */
typedef struct {
    eg_explain_method method;
    eg_network *net; /* borrowed */
    eg_plan *plan;   /* gradcam: of one training step; occlusion: of a batch of predictions */
    int patch;       /* occlusion: side of the covered square, pixels of the network's input */
    int batch;
    int map[3];            /* height, width, channels of the feature map */
    float *values, *grads; /* (map) */
} eg_explainer;

/* EG_ERR_UNSUPPORTED: gradcam with a network that has no feature map in front of its last layer. */
eg_status eg_study_explainer_open(eg_explainer *out, eg_network *net, eg_explain_method method,
                                  int patch, eg_error *err);
void eg_study_explainer_close(eg_explainer *x);
/* Rows and columns of its maps. */
void eg_study_explainer_shape(int *height, int *width, const eg_explainer *x);
/* Logits (K) of a normalised input (side, side, 3). */
eg_status eg_study_explainer_logits(float *logits, eg_explainer *x, const float *input,
                                    eg_error *err);
/* The map of class `target` of that input into heat->value, which the caller gives. */
eg_status eg_study_explainer_map(eg_heat *heat, eg_explainer *x, const float *input, int target,
                                 eg_error *err);
/* Share of a map's sum outside the central box of half the area. NaN: the map is all 0. A blunt sign of a shortcut: what
 * lies at the rim of a radiograph is rarely lung. */
double eg_study_heat_outside(const eg_heat *heat);

/* The input beside the input under the map, as PNG. pixels (side, side, 3). */
eg_status eg_study_overlay_png(eg_buffer *out, const uint8_t *pixels, int side, const eg_heat *heat,
                               eg_error *err);

#endif
