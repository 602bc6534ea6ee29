/* Causes of `why` that are seen in the pixels: exposure, sharpness, noise, framing, something at the border. Each is an
 * experiment: validation images are made to look like test in that one respect (or, where that needs pixels that are not
 * there, test like validation), and the run's network is asked again. The amounts are medians and mean images of the splits;
 * all of exposure, sharpness and noise that is not common to the classes is left alone. Nothing is trained, nothing chosen.
 * The pictures themselves: why_pixels.c. Read first: why.h, why_probe.c. */
#include "study/why_pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for why");
}

void eg_study_why_views_free(eg_why_views *v) {
    for (int s = 0; s < 2; s++) {
        eg_free(v->right[s]);
        eg_free(v->portrait[s]);
        for (int m = 0; m < EG_WHY_MEASURES; m++) eg_free(v->measure[s][m]);
    }
    eg_free(v->sample);
    *v = (eg_why_views){0};
}

/* ---- the first look ---- */

typedef struct {
    eg_why_case *c;
    int split;   /* 0 val, 1 test */
    float *gray; /* (side, side) */
    size_t n;
} looking;

static void look(void *context, const float *image, int side, int label, size_t i) {
    const looking *l = context;
    eg_why_views *v = &l->c->views;
    const size_t n = (size_t)side * (size_t)side;
    eg_study_why_gray(l->gray, image, n, &l->c->run.preprocess);
    float measure[EG_WHY_MEASURES];
    eg_study_why_measures(measure, l->gray, side);
    for (int m = 0; m < EG_WHY_MEASURES; m++) v->measure[l->split][m][i] = measure[m];
    eg_study_why_portrait_add(v->portrait[l->split] + (size_t)label * EG_WHY_THUMB * EG_WHY_THUMB,
                              l->gray, side);
    /* evenly spread over validation */
    if (l->split == 0 && v->n_sample < EG_WHY_SAMPLE && i * EG_WHY_SAMPLE >= v->n_sample * l->n)
        memcpy(v->sample + v->n_sample++ * n, l->gray, n * sizeof *l->gray);
}

static eg_status views_make(eg_why_case *c, eg_error *err) {
    eg_why_views *v = &c->views;
    v->side = c->run.preprocess.crop;
    const size_t pixels = (size_t)v->side * (size_t)v->side;
    v->sample = eg_malloc(EG_WHY_SAMPLE * pixels * sizeof *v->sample);
    float *gray = eg_malloc(pixels * sizeof *gray);
    eg_status status = v->sample && gray ? EG_OK : no_memory(err);
    for (int s = 0; status == EG_OK && s < 2; s++) {
        const size_t n = s ? c->data.n_test : c->data.n_val;
        v->right[s] = eg_malloc((n + 1) * sizeof(double));
        v->portrait[s] =
            eg_calloc((size_t)c->run.n_classes * EG_WHY_THUMB * EG_WHY_THUMB, sizeof(double));
        bool ok = v->right[s] && v->portrait[s];
        for (int m = 0; m < EG_WHY_MEASURES; m++) {
            v->measure[s][m] = eg_malloc((n + 1) * sizeof(float));
            ok = ok && v->measure[s][m];
        }
        looking l = {c, s, gray, n};
        const eg_why_probe_options o = {.indices = s ? c->data.test : c->data.val,
                                        .n = n,
                                        .look = look,
                                        .look_context = &l,
                                        .stage = s ? "looks of test" : "looks of validation"};
        status = ok ? eg_study_why_probe(v->right[s], c, &o, err) : no_memory(err);
    }
    eg_free(gray);
    v->done = status == EG_OK;
    return status;
}

/* ---- differences between the splits ---- */

static int compare_floats(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Median of a measure over the images of class k of a split; NaN: none. */
static double median_of(const eg_why_case *c, int split, int measure, int k, float *room) {
    const eg_scores *s = split ? &c->test : &c->val;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->label[i] == k) room[n++] = c->views.measure[split][measure][i];
    if (n == 0) return NAN;
    qsort(room, n, sizeof *room, compare_floats);
    return (double)(room[n / 2] + room[(n - 1) / 2]) / 2;
}

/* Test over validation, as far as all classes agree: 1 when one goes up and another down. */
static double common_ratio(const eg_why_case *c, int measure, float *room) {
    double least = INFINITY, sign = 0;
    for (int k = 0; k < c->run.n_classes; k++) {
        const double ratio = median_of(c, 1, measure, k, room) / median_of(c, 0, measure, k, room);
        if (!isfinite(ratio) || !(ratio > 0)) continue;
        const double step = log(ratio);
        if (sign * step < 0) return 1;
        if (step != 0) sign = step;
        if (fabs(step) < fabs(least)) least = step;
    }
    return isfinite(least) ? exp(least) : 1;
}

/* Weight of a validation image of class k so that the classes count as on test. */
static void test_weights(double *weight, const eg_why_case *c) {
    const int K = c->run.n_classes;
    for (int k = 0; k < K; k++) {
        double val = 0, test = 0;
        for (size_t i = 0; i < c->val.n; i++) val += c->val.label[i] == k;
        for (size_t i = 0; i < c->test.n; i++) test += c->test.label[i] == k;
        weight[k] = val > 0 ? test / (double)c->test.n / (val / (double)c->val.n) : 0;
    }
}

/* What `change` costs on validation, in points of test accuracy; kept as explained, class by class, when it is no chance. */
static eg_status cost_on_val(eg_why_effect *out, eg_why_case *c, eg_why_change change,
                             const void *context, const char *stage, eg_error *err) {
    const size_t n = c->val.n;
    const int K = c->run.n_classes;
    double *value = eg_malloc((n + (size_t)K + 1) * sizeof *value);
    if (!value) return no_memory(err);
    double *weight = value + n;
    test_weights(weight, c);
    const eg_why_probe_options o = {.indices = c->data.val,
                                    .n = n,
                                    .change = change,
                                    .change_context = context,
                                    .stage = stage};
    eg_status status = eg_study_why_probe(value, c, &o, err);
    for (size_t i = 0; status == EG_OK && i < n; i++)
        value[i] = weight[c->val.label[i]] * (c->views.right[0][i] - value[i]);
    if (status == EG_OK)
        status = eg_study_why_mean(out, value, c->val_unit, n, (uint64_t)c->settings.o.seed, err);
    if (status == EG_OK && out->p < 0.05 && out->points > 0)
        for (size_t i = 0; i < n; i++) c->explained[c->val.label[i]] += 100 * value[i] / (double)n;
    eg_free(value);
    return status;
}

/* ---- exposure, sharpness, noise ---- */

/* Looks that differ by less, as a logarithm, are the same. */
#define LEAST_RATIO 0.02

/* "exposure_drift", "blur_drift" and "noise_drift", by the name of the row. */
eg_status eg_study_why_looks(eg_why_case *c, eg_error *err) {
    const char *name = eg_study_why_cause_name(c);
    const char *what = "brightness";
    if (!c->views.done) EG_TRY(views_make(c, err));
    const size_t most = c->val.n > c->test.n ? c->val.n : c->test.n;
    float *room = eg_malloc((most + 1) * sizeof *room);
    if (!room) return no_memory(err);
    eg_why_pixel_change change = {.preprocess = &c->run.preprocess,
                                  .brightness = 1,
                                  .contrast = 1,
                                  .seed = (uint64_t)c->settings.o.seed};
    double ratio;
    if (strcmp(name, "exposure_drift") == 0) {
        ratio = change.brightness = common_ratio(c, EG_WHY_MEAN, room);
        change.contrast = common_ratio(c, EG_WHY_SPREAD, room);
    } else if (strcmp(name, "blur_drift") == 0) {
        what = "sharpness";
        ratio = common_ratio(c, EG_WHY_SHARP, room);
        if (ratio < 1)
            change.blur = eg_study_why_blur_for(ratio, c->views.sample, c->views.n_sample,
                                                c->views.side, &change.failed);
    } else {
        what = "noise";
        ratio = common_ratio(c, EG_WHY_NOISE, room);
        double noise = 0; /* of validation: mean of the classes' medians */
        for (int k = 0; k < c->run.n_classes; k++) {
            const double median = median_of(c, 0, EG_WHY_NOISE, k, room);
            if (isfinite(median)) noise += median / c->run.n_classes;
        }
        if (ratio > 1) change.noise = noise * sqrt(ratio * ratio - 1);
    }
    eg_free(room);
    if (change.failed) return no_memory(err);
    eg_why_row row = {.effect = {0, {0, 0}, NAN}}; /* nothing to test */
    if (fabs(log(change.brightness)) > LEAST_RATIO || fabs(log(change.contrast)) > LEAST_RATIO ||
        fabs(log(ratio)) > LEAST_RATIO)
        EG_TRY(cost_on_val(&row.effect, c, eg_study_why_pixels_change, &change, name, err));
    row.details =
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "ratio", eg_json_real(ratio), "brightness",
                  eg_json_real(change.brightness), "contrast", eg_json_real(change.contrast),
                  "blur_px", eg_json_real(change.blur), "noise", eg_json_real(change.noise));
    return eg_study_why_add(
        c, &row, err,
        "Test images have %.2f times the %s of validation (the part all classes "
        "share); validation images changed likewise lose %.1f points.",
        ratio, what, row.effect.points);
}

/* ---- framing ---- */

/* Frames that differ by less are the same: a change of scale, and a shift in shares of the side. */
#define LEAST_SCALE 0.05
#define LEAST_SHIFT 0.02

/* Images of one class of a split. */
typedef struct {
    uint32_t *index, *unit; /* (n) */
    double *moved, *still;  /* (n) right about them in the frame, and resampled without one */
    size_t n;
    double share; /* of the class on test */
} class_images;

static void class_free(class_images *m) {
    eg_free(m->index);
    eg_free(m->unit);
    eg_free(m->moved);
    eg_free(m->still);
}

static eg_status class_take(class_images *m, const eg_why_case *c, int split, int k,
                            eg_error *err) {
    const eg_scores *s = split ? &c->test : &c->val;
    *m = (class_images){.index = eg_malloc((s->n + 1) * sizeof *m->index),
                        .unit = eg_malloc((s->n + 1) * sizeof *m->unit),
                        .moved = eg_calloc(s->n + 1, sizeof *m->moved),
                        .still = eg_calloc(s->n + 1, sizeof *m->still)};
    if (!m->index || !m->unit || !m->moved || !m->still) {
        class_free(m);
        return no_memory(err);
    }
    for (size_t i = 0; i < s->n; i++) {
        if (s->label[i] != k) continue;
        m->index[m->n] = split ? c->data.test[i] : c->data.val[i];
        m->unit[m->n++] = split ? c->test_unit[i] : c->val_unit[i];
    }
    for (size_t i = 0; i < c->test.n; i++) m->share += (c->test.label[i] == k) / (double)c->test.n;
    return EG_OK;
}

static eg_status ask(double *right, const eg_why_case *c, const class_images *m, eg_why_frame frame,
                     int k, eg_error *err) {
    const eg_why_framing_change change = {.frame = frame, .label = k};
    const eg_why_probe_options o = {.indices = m->index,
                                    .n = m->n,
                                    .change = eg_study_why_framing_apply,
                                    .change_context = &change,
                                    .stage = "framing"};
    return eg_study_why_probe(right, c, &o, err);
}

/* Gain of class k in the frame over the same images resampled half a pixel away: a network may live on grain that resampling
 * smooths, and that is not framing. sign -1: the loss. */
static eg_status framing_effect(eg_why_effect *out, const eg_why_case *c, int split, int k,
                                const eg_why_frame *frame, double sign, eg_error *err) {
    class_images m;
    EG_TRY(class_take(&m, c, split, k, err));
    const double half = 0.5 / c->run.preprocess.crop;
    eg_status status = m.n > 0 ? ask(m.moved, c, &m, *frame, k, err) : EG_OK;
    if (status == EG_OK && m.n > 0)
        status = ask(m.still, c, &m, (eg_why_frame){1, half, half, 0, 0}, k, err);
    for (size_t i = 0; i < m.n; i++) m.moved[i] = sign * (m.moved[i] - m.still[i]);
    if (status == EG_OK)
        status = eg_study_why_mean(out, m.moved, m.unit, m.n, (uint64_t)c->settings.o.seed, err);
    out->points *= m.share;
    out->ci[0] *= m.share;
    out->ci[1] *= m.share;
    class_free(&m);
    return status;
}

static eg_status framing_of(eg_why_case *c, int k, eg_error *err) {
    const size_t thumb = (size_t)EG_WHY_THUMB * EG_WHY_THUMB;
    eg_why_frame frame;
    eg_study_why_register(&frame, c->views.portrait[0] + (size_t)k * thumb,
                          c->views.portrait[1] + (size_t)k * thumb);
    eg_why_row row = {.class_name = c->run.classes[k], .effect = {0, {0, 0}, NAN}};
    /* the side whose pixels are all there: the wider one is brought to the closer one's frame */
    const bool on_test = frame.scale > 1;
    const eg_why_frame used = on_test ? eg_study_why_frame_inverse(&frame) : frame;
    const bool differ = fabs(log(frame.scale)) > LEAST_SCALE || fabs(frame.x) > LEAST_SHIFT ||
                        fabs(frame.y) > LEAST_SHIFT;
    if (differ) EG_TRY(framing_effect(&row.effect, c, on_test, k, &used, on_test ? 1 : -1, err));
    if (differ && row.effect.p < 0.05 && row.effect.points > 0)
        c->explained[k] += row.effect.points;
    row.details = json_pack("{s:o, s:o, s:o, s:o, s:o, s:s}", "scale", eg_json_real(frame.scale),
                            "shift_x", eg_json_real(frame.x), "shift_y", eg_json_real(frame.y),
                            "correlation", eg_json_real(frame.correlation), "correlation_unmoved",
                            eg_json_real(frame.unmoved), "changed",
                            !differ   ? "nothing"
                            : on_test ? "test"
                                      : "val");
    if (!differ)
        return eg_study_why_add(c, &row, err,
                                "%s: the mean images of validation and test lie on each other "
                                "(scale %.2f, shift %.1f %% across and %.1f %% down).",
                                c->run.classes[k], frame.scale, 100 * frame.x, 100 * frame.y);
    return eg_study_why_add(
        c, &row, err,
        "%s: the mean image of test shows %.2f times the width that validation's shows, %.1f %% of "
        "it further down; %s images framed like %s %s %.1f points.",
        c->run.classes[k], frame.scale, 100 * frame.y, on_test ? "test" : "validation",
        on_test ? "validation" : "test", on_test ? "win" : "lose", row.effect.points);
}

eg_status eg_study_why_framing(eg_why_case *c, eg_error *err) {
    if (!c->views.done) EG_TRY(views_make(c, err));
    for (int k = 0; k < c->run.n_classes; k++) EG_TRY(framing_of(c, k, err));
    return EG_OK;
}

/* ---- the border ---- */

static eg_status border_losses(double *value, const eg_why_case *c, int split, eg_error *err) {
    const size_t n = split ? c->test.n : c->val.n;
    const eg_why_probe_options o = {.indices = split ? c->data.test : c->data.val,
                                    .n = n,
                                    .change = eg_study_why_border_cover,
                                    .stage = "covered borders"};
    EG_TRY(eg_study_why_probe(value, c, &o, err));
    for (size_t i = 0; i < n; i++) value[i] = c->views.right[split][i] - value[i];
    return EG_OK;
}

eg_status eg_study_why_shortcut(eg_why_case *c, eg_error *err) {
    const size_t n = c->val.n, m = c->test.n;
    if (!c->views.done) EG_TRY(views_make(c, err));
    double *value = eg_malloc((n + m + (size_t)c->run.n_classes + 1) * sizeof *value);
    if (!value) return no_memory(err);
    double *weight = value + n + m, lost[2] = {0};
    test_weights(weight, c);
    eg_why_row row = {0};
    eg_status status = border_losses(value, c, 0, err);
    if (status == EG_OK) status = border_losses(value + n, c, 1, err);
    for (size_t i = 0; status == EG_OK && i < n; i++) {
        value[i] *= weight[c->val.label[i]];
        lost[0] += 100 * value[i] / (double)n;
    }
    for (size_t i = 0; status == EG_OK && i < m; i++) lost[1] += 100 * value[n + i] / (double)m;
    if (status == EG_OK)
        status = eg_study_why_difference(&row.effect, value, c->val_unit, n, value + n,
                                         c->test_unit, m, (uint64_t)c->settings.o.seed, err);
    eg_free(value);
    EG_TRY(status);
    double explained = 0; /* a test set that is spoilt already has nothing to lose at its border */
    for (int k = 0; k < c->run.n_classes; k++) explained += c->explained[k];
    const double se = (row.effect.ci[1] - row.effect.ci[0]) / (2 * 1.959964);
    row.effect.points -= explained;
    for (int end = 0; end < 2; end++) row.effect.ci[end] -= explained;
    if (explained > 0 && se > 0)
        row.effect.p = fmax(row.effect.p, 2 * (1 - eg_normal_cdf(fabs(row.effect.points) / se)));
    row.details = json_pack("{s:o, s:o, s:o, s:o}", "explained_points", eg_json_real(explained),
                            "lost_val", eg_json_real(lost[0]), "lost_test", eg_json_real(lost[1]),
                            "covered", eg_json_real(1.0 / EG_WHY_BORDER));
    return eg_study_why_add(
        c, &row, err,
        "With the outer sixth of the image covered validation loses %.1f points and "
        "test %.1f: %.1f points of the gap come from what is at the border.",
        lost[0], lost[1], row.effect.points);
}
