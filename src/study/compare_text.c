/* The sentences of a comparison, from the finished document: nothing is computed here that is not a figure in it, and
 * where a test does not tell two runs apart the sentence says so. Read first: compare.h, doc/documents.md "compare". */
#include "study/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static double end_of(const json_t *object, const char *key, size_t end) {
    return json_number_value(json_array_get(json_object_get(object, key), end));
}

static const json_t *bootstrap_of(const json_t *object, const char *metric) {
    return json_object_get(json_object_get(object, "bootstrap"), metric);
}

/* "p < 0.001" or "p = 0.012" */
static const char *p_text(char text[32], double p) {
    if (p < 0.001)
        snprintf(text, 32, "p < 0.001");
    else
        snprintf(text, 32, "p = %.3f", p);
    return text;
}

static bool say_best(json_t *text, const json_t *document) {
    const char *split = text_of(document, "split");
    const json_t *best = NULL;
    json_t *run;
    size_t i;
    json_array_foreach(json_object_get(document, "runs"), i, run) {
        double accuracy = eg_study_number(json_object_get(run, split), "accuracy");
        if (!best || accuracy > eg_study_number(json_object_get(best, split), "accuracy"))
            best = run;
    }
    const json_t *metrics = json_object_get(best, split);
    return eg_study_say(
        text,
        "Highest accuracy on the %.0f images of %s: %s with %.1f %% (95 %% interval %.1f to %.1f).",
        eg_study_number(document, "n"), split, text_of(best, "name"),
        100 * eg_study_number(metrics, "accuracy"), 100 * end_of(metrics, "accuracy_ci", 0),
        100 * end_of(metrics, "accuracy_ci", 1));
}

/* What one test says of one pair. unit: 100 for points. */
typedef struct {
    const char *what, *test, *unit;
    double scale, difference, low, high, p_holm, n_needed;
} finding;

static bool say_pair(json_t *text, const json_t *pair, size_t n_pairs, const finding *f) {
    char p[32], figures[200], needed[160] = "";
    bool a_first = f->difference >= 0;
    const char *first = text_of(pair, a_first ? "a" : "b"),
               *second = text_of(pair, a_first ? "b" : "a");
    double sign = a_first ? f->scale : -f->scale;
    int decimals = f->scale > 1 ? 1 : 3;
    if (isnan(f->p_holm)) return true;
    snprintf(figures, sizeof figures, "%.*f%s (95 %% interval %.*f to %.*f; %s, %s%s)", decimals,
             sign * f->difference, f->unit, decimals, sign * (a_first ? f->low : f->high), decimals,
             sign * (a_first ? f->high : f->low), f->test, p_text(p, f->p_holm),
             n_pairs > 1 ? " after Holm" : "");
    if (f->p_holm < 0.05)
        return eg_study_say(text, "%s: %s is ahead of %s by %s.", f->what, first, second, figures);
    if (!isnan(f->n_needed))
        snprintf(needed, sizeof needed,
                 "; if the difference is what it seems, about %.0f images would tell them apart "
                 "with 80 %% power",
                 f->n_needed);
    return eg_study_say(text, "%s: %s and %s are not distinguishable, difference %s%s.", f->what,
                        first, second, figures, needed);
}

static bool say_pairs(json_t *text, const json_t *pairs) {
    size_t n = json_array_size(pairs), i;
    json_t *pair;
    bool ok = true;
    json_array_foreach(pairs, i, pair) {
        finding accuracy = {.what = "Accuracy",
                            .test = "exact McNemar",
                            .unit = " points",
                            .scale = 100,
                            .difference = eg_study_number(pair, "difference"),
                            .low = end_of(pair, "ci", 0),
                            .high = end_of(pair, "ci", 1),
                            .p_holm = eg_study_number(pair, "p_holm"),
                            .n_needed = eg_study_number(pair, "n_needed")};
        finding auc = {.what = "AUC",
                       .test = "DeLong",
                       .unit = "",
                       .scale = 1,
                       .difference = eg_study_number(pair, "auc_difference"),
                       .low = end_of(pair, "auc_ci", 0),
                       .high = end_of(pair, "auc_ci", 1),
                       .p_holm = eg_study_number(pair, "auc_p_holm"),
                       .n_needed = eg_study_number(pair, "auc_n_needed")};
        ok = ok && say_pair(text, pair, n, &accuracy) && say_pair(text, pair, n, &auc);
    }
    return ok;
}

/* An interval that treats images of one patient as independent is too narrow; said where the figures show it. */
static bool say_patients(json_t *text, const json_t *document) {
    const char *split = text_of(document, "split");
    if (strcmp(text_of(json_object_get(document, "resampling"), "unit"), "patient") != 0)
        return true;
    json_t *run;
    size_t i, n = json_array_size(json_object_get(document, "runs"));
    double ratio = 0;
    json_array_foreach(json_object_get(document, "runs"), i, run) {
        const json_t *metrics = json_object_get(run, split);
        const json_t *whole = bootstrap_of(run, "accuracy");
        double single = end_of(metrics, "accuracy_ci", 1) - end_of(metrics, "accuracy_ci", 0);
        double grouped = end_of(whole, "ci", 1) - end_of(whole, "ci", 0);
        ratio += single > 0 ? grouped / single / (double)n : 0;
    }
    return eg_study_say(
        text,
        ratio > 1.1 ? "Several images are of one patient. Drawn patient by patient, intervals of "
                      "accuracy are %.2f times as wide as those that count every image as "
                      "independent: the tests above are too sure by about that much."
                    : "Several images are of one patient; drawn patient by patient, intervals of "
                      "accuracy are %.2f times as wide as by images, so that this hardly matters "
                      "here.",
        ratio);
}

static bool say_gaps(json_t *text, const json_t *run) {
    json_t *gap;
    size_t i;
    bool ok = true;
    json_array_foreach(json_object_get(run, "gaps"), i, gap) {
        double low = end_of(gap, "ci", 0), high = end_of(gap, "ci", 1);
        const char *from = text_of(gap, "from"), *to = text_of(gap, "to");
        double d = 100 * eg_study_number(gap, "difference");
        if (low > 0)
            ok = ok && eg_study_say(text,
                                    "%s: accuracy falls by %.1f points from %s to %s (95 %% "
                                    "interval %.1f to %.1f).",
                                    text_of(run, "name"), d, from, to, 100 * low, 100 * high);
        else if (high < 0)
            ok = ok && eg_study_say(text,
                                    "%s: accuracy rises by %.1f points from %s to %s (95 %% "
                                    "interval %.1f to %.1f).",
                                    text_of(run, "name"), -d, from, to, -100 * high, -100 * low);
    }
    return ok;
}

/* Cheapest and costliest by one figure; nothing where they are within 5 %. */
static bool say_cost(json_t *text, const json_t *runs, const char *field, const char *of,
                     const char *unit, int decimals) {
    const json_t *most = NULL, *least = NULL;
    json_t *run;
    size_t i;
    json_array_foreach(runs, i, run) {
        double v = eg_study_number(run, field);
        if (isnan(v)) continue;
        if (!most || v > eg_study_number(most, field)) most = run;
        if (!least || v < eg_study_number(least, field)) least = run;
    }
    double high = eg_study_number(most, field), low = eg_study_number(least, field);
    if (!(low > 0) || !(high > 1.05 * low)) return true;
    return eg_study_say(text, "%s: %s %.*f%s, %s %.*f%s, %.1f times as much.", of,
                        text_of(least, "name"), decimals, low, unit, text_of(most, "name"),
                        decimals, high, unit, high / low);
}

static bool say_all_equal(json_t *text, const json_t *test) {
    char p[32];
    double value = eg_study_number(test, "p");
    if (isnan(value)) return true;
    p_text(p, value);
    return eg_study_say(text,
                        value < 0.05 ? "The areas of all runs together are not equal (DeLong, "
                                       "chi-square %.1f with %.0f degrees of freedom, %s)."
                                     : "The areas of all runs together are not distinguishable "
                                       "from equal ones (DeLong, chi-square %.1f with %.0f degrees "
                                       "of freedom, %s).",
                        eg_study_number(test, "chi2"), eg_study_number(test, "df"), p);
}

json_t *eg_study_compare_text(const json_t *document) {
    json_t *text = json_array(), *run, *runs = json_object_get(document, "runs");
    size_t i;
    bool ok =
        text && say_best(text, document) && say_pairs(text, json_object_get(document, "pairs")) &&
        say_all_equal(text, json_object_get(document, "all_equal")) && say_patients(text, document);
    json_array_foreach(runs, i, run) ok = ok && say_gaps(text, run);
    ok = ok && say_cost(text, runs, "trainable_parameters", "Parameters trained", "", 0) &&
         say_cost(text, runs, "seconds", "Training time, features included", " s", 1) &&
         say_cost(text, runs, "seconds_to_accuracy",
                  "Time until the validation accuracy that all runs reach", " s", 1);
    if (ok) return text;
    json_decref(text);
    return NULL;
}
