/* Task A: the numbers of the chosen networks as sentences, and which two they speak for. The rule
 * stands in the text, so that a reader can disagree with it: among pretrained networks within a few
 * points of the best ImageNet accuracy, the one with the fewest multiply-adds; then the most
 * accurate of the others. Times are told, but do not decide, so that the choice is the same on
 * every run. */
#include "study/run.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define POINTS_GIVEN 4.0 /* points of ImageNet top-1 that fewer multiply-adds may cost */

static const char *name_of(const json_t *model) {
    const char *name = model ? json_string_value(json_object_get(model, "name")) : NULL;
    return model && !name ? "a network" : name;
}

static bool describe(json_t *text, const json_t *model) {
    const char *name = name_of(model);
    double top1 = eg_study_number(model, "imagenet_top1"),
           ms = eg_study_number(model, "measured_ms_per_image");
    double rate = eg_study_number(model, "measured_train_images_per_second");
    const char *dtype = json_string_value(json_object_get(model, "measured_dtype"));
    char accuracy[80] = "no pretrained weights", time[120] = "";
    if (!isnan(top1)) snprintf(accuracy, sizeof accuracy, "ImageNet top-1 %.1f %%", top1);
    if (!isnan(ms))
        snprintf(time, sizeof time,
                 "; here%s%.8s %.1f ms per image in prediction and %.0f images/s in training",
                 dtype ? " in " : "", dtype ? dtype : "", ms, rate);
    return eg_study_say(text,
                        "%s: %.2f million parameters, %.3f billion multiply-adds per image, %s%s.",
                        name ? name : "?", eg_study_number(model, "parameters") / 1e6,
                        eg_study_number(model, "multiply_adds") / 1e9, accuracy, time);
}

/* Pretrained model with the best top-1, other than `except`. */
static const json_t *most_accurate(const json_t *models, const json_t *except) {
    const json_t *best = NULL;
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *m = json_array_get(models, i);
        double top1 = eg_study_number(m, "imagenet_top1");
        if (m == except || isnan(top1)) continue;
        if (!best || top1 > eg_study_number(best, "imagenet_top1")) best = m;
    }
    return best;
}

static const json_t *lightest_within(const json_t *models, double least_top1) {
    const json_t *best = NULL;
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *m = json_array_get(models, i);
        if (!(eg_study_number(m, "imagenet_top1") >= least_top1)) continue;
        if (!best || eg_study_number(m, "multiply_adds") < eg_study_number(best, "multiply_adds"))
            best = m;
    }
    return best;
}

static bool explain_pair(json_t *text, const json_t *first, const json_t *second) {
    double top_a = eg_study_number(first, "imagenet_top1"),
           top_b = eg_study_number(second, "imagenet_top1");
    double work =
        eg_study_number(second, "multiply_adds") / eg_study_number(first, "multiply_adds");
    double time = eg_study_number(second, "measured_ms_per_image") /
                  eg_study_number(first, "measured_ms_per_image");
    const char *a = name_of(first), *b = name_of(second);
    bool ok = eg_study_say(
        text,
        "Second choice %s: ImageNet top-1 %.1f %% against %.1f %% of %s, with %.2f times its "
        "multiply-adds.",
        b, top_b, top_a, a, work);
    if (isnan(time)) return ok;
    ok = ok && eg_study_say(text, "Measured here, %s takes %.2f times the time of %s per image.", b,
                            time, a);
    /* work and time disagree: worth telling, for tables quote the former */
    if (work > 1.3 * time || time > 1.3 * work)
        ok = ok &&
             eg_study_say(
                 text,
                 "Multiply-adds alone would mislead: their ratio is %.2f, the ratio of times %.2f.",
                 work, time);
    return ok;
}

static bool explain(json_t *text, const json_t *models, const json_t *first, const json_t *second) {
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(models); i++)
        ok = describe(text, json_array_get(models, i));
    if (!first)
        return ok && eg_study_say(text, "None of these networks has pretrained weights, so there "
                                        "is nothing to transfer.");
    ok = ok && eg_study_say(text,
                            "First choice %s: the fewest multiply-adds among the networks within "
                            "%.0f points of the "
                            "best ImageNet top-1 (%.1f %%).",
                            name_of(first), POINTS_GIVEN,
                            eg_study_number(most_accurate(models, NULL), "imagenet_top1"));
    return second ? ok && explain_pair(text, first, second) : ok;
}

json_t *eg_study_choice(const json_t *models) {
    const json_t *best = most_accurate(models, NULL);
    const json_t *first =
        best ? lightest_within(models, eg_study_number(best, "imagenet_top1") - POINTS_GIVEN)
             : NULL;
    const json_t *second = most_accurate(models, first);
    json_t *text = json_array();
    if (!text || !explain(text, models, first, second)) {
        json_decref(text);
        return NULL;
    }
    return json_pack("{s:o, s:s?, s:s?}", "text", text, "first", name_of(first), "second",
                     name_of(second));
}
