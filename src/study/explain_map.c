/* Heat maps: Grad-CAM (Selvaraju et al. 2017, ICCV), Grad-CAM++ (Chattopadhay et al. 2018, WACV) on the last feature map,
 * and occlusion (Zeiler & Fergus 2014) on the input. No picture is drawn here (overlay.c). The gradients: net/saliency.c.
 * Read first: explain.h. */
#include "study/explain.h"

#include <math.h>
#include <string.h>

enum { OCCLUSION_BATCH = 16 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "explain: out of memory");
}

/* Batch norm as in prediction, dropout off, float: the gradient of what predict computes. */
static eg_status open_gradcam(eg_explainer *x, eg_error *err) {
    eg_plan_options o = {.mode = EG_PLAN_TRAIN,
                         .batch = 1,
                         .bn = EG_BN_FROZEN,
                         .dropout = -1,
                         .recompute = EG_RECOMPUTE_NONE,
                         .keep_map = true};
    EG_TRY(eg_plan_new(&x->plan, x->net, &o, err));
    if (!eg_plan_map_shape(x->map, x->plan))
        return eg_fail(err, EG_ERR_UNSUPPORTED,
                       "%s has no feature map in front of its last layer - use --method occlusion",
                       eg_network_info(x->net)->name);
    size_t n = (size_t)x->map[0] * (size_t)x->map[1] * (size_t)x->map[2];
    x->values = eg_malloc(n * sizeof *x->values);
    x->grads = eg_malloc(n * sizeof *x->grads);
    return x->values && x->grads ? EG_OK : no_memory(err);
}

eg_status eg_study_explainer_open(eg_explainer *out, eg_network *net, eg_explain_method method,
                                  int patch, eg_error *err) {
    eg_explainer x = {.method = method, .net = net, .patch = patch, .batch = 1};
    eg_status status;
    if (method == EG_EXPLAIN_OCCLUSION) {
        x.batch = OCCLUSION_BATCH;
        eg_plan_options o = {.mode = EG_PLAN_PREDICT, .batch = x.batch, .dropout = -1};
        status = patch >= 1 && patch <= eg_network_side(net)
                     ? eg_plan_new(&x.plan, net, &o, err)
                     : eg_fail(err, EG_ERR_USAGE, "--patch %d: expected 1 to %d pixels", patch,
                               eg_network_side(net));
    } else {
        status = open_gradcam(&x, err);
    }
    if (status == EG_OK)
        *out = x;
    else
        eg_study_explainer_close(&x);
    return status;
}

void eg_study_explainer_close(eg_explainer *x) {
    eg_plan_free(x->plan);
    eg_free(x->values);
    eg_free(x->grads);
    *x = (eg_explainer){0};
}

/* Occlusion moves by half a patch. */
static int occlusion_stride(const eg_explainer *x) {
    return x->patch > 1 ? x->patch / 2 : 1;
}

void eg_study_explainer_shape(int *height, int *width, const eg_explainer *x) {
    if (x->method == EG_EXPLAIN_OCCLUSION) {
        int stride = occlusion_stride(x);
        *height = *width = (eg_network_side(x->net) + stride - 1) / stride;
    } else {
        *height = x->map[0];
        *width = x->map[1];
    }
}

static size_t input_floats(const eg_explainer *x) {
    size_t side = (size_t)eg_network_side(x->net);
    return side * side * 3;
}

eg_status eg_study_explainer_logits(float *logits, eg_explainer *x, const float *input,
                                    eg_error *err) {
    memcpy(eg_plan_input(x->plan), input, input_floats(x) * sizeof *input);
    EG_TRY(eg_plan_forward(x->plan, 1, 0, err));
    memcpy(logits, eg_plan_logits(x->plan), (size_t)eg_network_classes(x->net) * sizeof *logits);
    return EG_OK;
}

/* Largest becomes 1; what is negative or NaN, 0. */
static void normalise(eg_heat *heat) {
    size_t n = (size_t)heat->height * (size_t)heat->width;
    float most = 0;
    for (size_t i = 0; i < n; i++) most = heat->value[i] > most ? heat->value[i] : most;
    for (size_t i = 0; i < n; i++)
        heat->value[i] = most > 0 && heat->value[i] > 0 ? heat->value[i] / most : 0;
}

/* Weight of a channel: the mean of its gradient; ++: of its positive gradient, each place by
 *   a = g^2 / (2 g^2 + sum(A) g^3)
 * which is the paper's closed form for a score that goes through exp. */
static double channel_weight(const eg_explainer *x, size_t c) {
    const size_t pixels = (size_t)x->map[0] * (size_t)x->map[1], C = (size_t)x->map[2];
    double sum = 0, activation = 0;
    if (x->method == EG_EXPLAIN_GRADCAM) {
        for (size_t p = 0; p < pixels; p++) sum += (double)x->grads[p * C + c];
        return sum / (double)pixels;
    }
    for (size_t p = 0; p < pixels; p++) activation += (double)x->values[p * C + c];
    for (size_t p = 0; p < pixels; p++) {
        double g = (double)x->grads[p * C + c];
        double below = 2 * g * g + activation * g * g * g;
        if (g > 0 && below != 0) sum += g * g / below * g;
    }
    return sum;
}

static eg_status gradcam(eg_heat *heat, eg_explainer *x, const float *input, int target,
                         eg_error *err) {
    const int32_t targets[1] = {target};
    memcpy(eg_plan_input(x->plan), input, input_floats(x) * sizeof *input);
    EG_TRY(eg_plan_forward(x->plan, 1, 0, err));
    EG_TRY(eg_plan_saliency(x->values, x->grads, x->plan, targets, err));
    const size_t pixels = (size_t)x->map[0] * (size_t)x->map[1], C = (size_t)x->map[2];
    memset(heat->value, 0, pixels * sizeof *heat->value);
    for (size_t c = 0; c < C; c++) {
        float weight = (float)channel_weight(x, c);
        for (size_t p = 0; p < pixels; p++) heat->value[p] += weight * x->values[p * C + c];
    }
    normalise(heat);
    return EG_OK;
}

/* The square of the normalised input around place (row, column) becomes 0, the training images' mean. */
static void cover(float *pixels, int side, int centre_y, int centre_x, int patch) {
    for (int y = centre_y - patch / 2; y < centre_y - patch / 2 + patch; y++) {
        if (y < 0 || y >= side) continue;
        for (int px = centre_x - patch / 2; px < centre_x - patch / 2 + patch; px++)
            if (px >= 0 && px < side)
                memset(pixels + 3 * ((size_t)y * (size_t)side + (size_t)px), 0, 3 * sizeof *pixels);
    }
}

static double probability(const float *logits, int K, int target) {
    double top = -INFINITY, sum = 0;
    for (int k = 0; k < K; k++) top = fmax(top, (double)logits[k]);
    for (int k = 0; k < K; k++) sum += exp((double)logits[k] - top);
    return exp((double)logits[target] - top) / sum;
}

/* How much the target's probability falls when the place is covered. */
static eg_status occlusion(eg_heat *heat, eg_explainer *x, const float *input, int target,
                           eg_error *err) {
    const int side = eg_network_side(x->net), K = eg_network_classes(x->net);
    const int stride = occlusion_stride(x), n = heat->height * heat->width;
    const size_t floats = input_floats(x);
    float *batch = eg_plan_input(x->plan);
    memcpy(batch, input, floats * sizeof *batch);
    EG_TRY(eg_plan_forward(x->plan, 1, 0, err));
    const double before = probability(eg_plan_logits(x->plan), K, target);
    for (int done = 0; done < n; done += x->batch) {
        int now = n - done < x->batch ? n - done : x->batch;
        for (int i = 0; i < now; i++) {
            float *one = batch + (size_t)i * floats;
            memcpy(one, input, floats * sizeof *one);
            int row = (done + i) / heat->width, column = (done + i) % heat->width;
            cover(one, side, row * stride + stride / 2, column * stride + stride / 2, x->patch);
        }
        EG_TRY(eg_plan_forward(x->plan, now, 0, err));
        const float *logits = eg_plan_logits(x->plan);
        for (int i = 0; i < now; i++)
            heat->value[done + i] =
                (float)(before - probability(logits + (size_t)i * (size_t)K, K, target));
    }
    normalise(heat);
    return EG_OK;
}

eg_status eg_study_explainer_map(eg_heat *heat, eg_explainer *x, const float *input, int target,
                                 eg_error *err) {
    eg_study_explainer_shape(&heat->height, &heat->width, x);
    return x->method == EG_EXPLAIN_OCCLUSION ? occlusion(heat, x, input, target, err)
                                             : gradcam(heat, x, input, target, err);
}

/* Cells that the box's edge cuts count by the part of their area that lies outside. */
double eg_study_heat_outside(const eg_heat *heat) {
    const double margin = (1 - sqrt(0.5)) / 2;
    double sum = 0, outside = 0;
    for (int y = 0; y < heat->height; y++)
        for (int x = 0; x < heat->width; x++) {
            const double h = heat->height, w = heat->width;
            double top = fmax(y / h, margin), bottom = fmin((y + 1) / h, 1 - margin);
            double left = fmax(x / w, margin), right = fmin((x + 1) / w, 1 - margin);
            double inside = fmax(0, bottom - top) * h * fmax(0, right - left) * w;
            double value = (double)heat->value[y * heat->width + x];
            sum += value;
            outside += value * (1 - inside);
        }
    return sum > 0 ? outside / sum : NAN;
}
