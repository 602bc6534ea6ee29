/* From the figures of a data set to findings: what is wrong, how bad it is, where. Reads the other members of the document
 * and nothing else, so what is judged can be seen; every threshold stands in one table with its reason. Three weights:
 * an error makes test figures wrong, a warning makes them mean something else than they seem to, a note is good to know.
 * Read first: data_report.h, doc/documents.md.                                                                    */
#include "study/data_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* X(NAME, value, why) */
#define THRESHOLD_LIST(X)                                                                          \
    X(RATIO_WARN, 3,                                                                               \
      "largest to smallest class: below, accuracy and balanced accuracy differ by "                \
      "little; above, a network that never names the rare class looks good")                       \
    X(RATIO_NOTE, 2, "the same, worth a word")                                                     \
    X(PRIOR, 0.08,                                                                                 \
      "change of a class's share between splits: moves accuracy at a fixed "                       \
      "threshold by a few points")                                                                 \
    X(PRIOR_P, 0.001, "chance of it when both splits are drawn alike")                             \
    X(FEW_TRAIN, 50,                                                                               \
      "images of a class: a five-fold fit has 40, fewer than most heads have "                     \
      "directions to overfit in")                                                                  \
    X(FEW_TEST, 20, "images of a class: a 95 % interval of recall is 35 points wide or more")      \
    X(DRIFT_AUC, 0.65,                                                                             \
      "two of three pairs put in order: random halves stay below 0.6 with a "                      \
      "hundred images")                                                                            \
    X(DRIFT_P, 0.005, "after Holm, so about one clean set in 200 is flagged")                      \
    X(SHIFT_AUC, 0.20,                                                                             \
      "distance of a single measure's AUC from 0.5: 0.7 is three quarters of a "                   \
      "standard deviation")                                                                        \
    X(SHIFT_P, 0.001, "after Holm")                                                                \
    X(FRAME_AUC, 0.75,                                                                             \
      "classes told apart by the outer 12 %: organs reach into the frame, so "                     \
      "some of it is honest")                                                                      \
    X(FILE_AUC, 0.75,                                                                              \
      "classes told apart by size, format or quality of the file: no honest "                      \
      "reason for that")                                                                           \
    X(BYTES_AUC, 0.95, "the same by bytes a pixel, which detail in the picture moves too")         \
    X(SHORTCUT_P, 0.002, "chance of it")                                                           \
    X(NOISE_SHARE, 0.03,                                                                           \
      "images on the wrong side beyond those expected, as a share of a class: "                    \
      "less cannot be told from hard cases")                                                       \
    X(NOISE_P, 0.0001, "chance of so many")                                                        \
    X(WEAK_AUC, 0.6, "classes told apart from thumbnails: below, the signal is fine or faint")

enum threshold {
#define THRESHOLD_ENUM(name, value, why) AT_##name,
    THRESHOLD_LIST(THRESHOLD_ENUM)
#undef THRESHOLD_ENUM
        N_THRESHOLDS
};
static const double limit[N_THRESHOLDS] = {
#define THRESHOLD_VALUE(name, value, why) value,
    THRESHOLD_LIST(THRESHOLD_VALUE)
#undef THRESHOLD_VALUE
};

typedef enum { NOTE, WARNING, ERROR, N_SEVERITIES } severity;
static const char *const severity_names[] = {"note", "warning", "error"};

typedef struct {
    const json_t *doc;
    json_t *list[N_SEVERITIES]; /* errors come first in the document */
    bool failed;
} judge;

/* ---- reading ---- */

static const json_t *at(const json_t *node, const char *key) {
    return json_object_get(node, key);
}

static double number(const json_t *node, const char *key) {
    return eg_study_number(node, key);
}

static const char *text_of(const json_t *node, const char *key) {
    const char *text = json_string_value(at(node, key));
    return text ? text : "?";
}

/* `count`: images, groups or patients; `where`: array of places, taken over (NULL: none). */
static void found(judge *j, severity weight, const char *kind, double count, json_t *where,
                  const char *format, ...) EG_PRINTF(6, 7);
static void found(judge *j, severity weight, const char *kind, double count, json_t *where,
                  const char *format, ...) {
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *item = json_pack("{s:s, s:s, s:s, s:o, s:o}", "kind", kind, "severity",
                             severity_names[weight], "text", text, "count",
                             isnan(count) ? json_null() : json_integer((json_int_t)count), "where",
                             where ? where : json_array());
    if (json_array_append_new(j->list[weight], item) != 0) j->failed = true;
}

/* Up to five strings of `key` of the items of an array, or the strings themselves. */
static json_t *names_of(const json_t *items, const char *key) {
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(items) && i < 5; i++) {
        const json_t *item = json_array_get(items, i);
        json_array_append(out, key ? json_object_get(item, key) : (json_t *)(uintptr_t)item);
    }
    return out;
}

static const char *plural(double n, const char *one, const char *many) {
    return n == 1 ? one : many;
}

/* ---- files ---- */

static void judge_files(judge *j) {
    const json_t *bad = at(j->doc, "bad_files"), *odd = at(j->doc, "odd_files");
    double n = (double)json_array_size(bad);
    if (n > 0)
        found(j, ERROR, "corrupt", n, names_of(bad, "file"),
              "%.0f %s cannot be read and %s left out here; training refuses the set until %s or "
              "--skip-bad is given.",
              n, plural(n, "image", "images"), plural(n, "is", "are"),
              plural(n, "it is repaired or removed", "they are repaired or removed"));
    for (size_t i = 0; i < json_array_size(odd); i++) {
        const json_t *item = json_array_get(odd, i);
        const char *kind = text_of(item, "kind");
        bool grave = strcmp(kind, "constant") == 0 || strcmp(kind, "range") == 0;
        char name[40];
        snprintf(name, sizeof name, "odd_%.20s", kind);
        found(j, grave ? WARNING : NOTE, name, number(item, "count"),
              names_of(at(item, "examples"), NULL), "%.0f %s: %s.", number(item, "count"),
              plural(number(item, "count"), "image", "images"), text_of(item, "text"));
    }
}

/* ---- duplicates ---- */

static json_t *copies_where(const json_t *duplicates, const char *flag) {
    const json_t *all = at(duplicates, "examples");
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(all) && json_array_size(out) < 6; i++) {
        const json_t *group = json_array_get(all, i);
        if (flag && !json_is_true(at(group, flag))) continue;
        for (size_t k = 0; k < 2; k++)
            json_array_append(out, json_array_get(at(group, "files"), k));
    }
    return out;
}

static void judge_duplicates(judge *j) {
    const json_t *d = at(j->doc, "duplicates");
    const json_t *kinds[] = {d, at(d, "same_pixels"), at(d, "near")};
    double splits = 0, classes = 0, groups = 0, files = 0;
    for (size_t i = 0; i < 3; i++) {
        splits += fmax(number(kinds[i], "across_splits"), 0);
        classes += fmax(number(kinds[i], "across_classes"), 0);
        groups += fmax(number(kinds[i], "groups"), 0);
        files += fmax(number(kinds[i], "files"), 0);
    }
    if (splits > 0)
        found(j, ERROR, "duplicates_across_splits", splits, copies_where(d, "across_splits"),
              "%.0f %s in more than one split: what was learned by heart is counted as found.",
              splits, plural(splits, "image is", "images are"));
    if (classes > 0)
        found(j, ERROR, "duplicates_across_classes", classes, copies_where(d, "across_classes"),
              "%.0f %s under two labels: one of them is wrong.", classes,
              plural(classes, "image is", "images are"));
    if (groups - splits > 0)
        found(
            j, WARNING, "duplicates", groups, copies_where(d, NULL),
            "%.0f %s of copies with %.0f files, near copies counted: they weigh more in training, "
            "and a split by image would put them on both sides.",
            groups, plural(groups, "group", "groups"), files);
    double near = number(at(d, "features"), "across_splits");
    if (near > 0)
        found(j, NOTE, "feature_neighbours", near, NULL,
              "%.0f more %s of images in different splits that the network sees as almost the "
              "same.",
              near, plural(near, "group", "groups"));
}

/* ---- patients ---- */

static void judge_patients(judge *j) {
    const json_t *p = at(j->doc, "patients");
    double shared = number(p, "shared");
    if (shared > 0)
        found(j, ERROR, "patient_leak", shared, names_of(at(p, "shared_names"), NULL),
              "%.0f %s in more than one split, with %.0f images outside training: figures on them "
              "are flattered. Draw the split anew by patient (--val-by patient), or move them.",
              shared, plural(shared, "patient is", "patients are"), number(p, "shared_images"));
    double mixed = number(at(p, "mixed"), "patients");
    if (mixed > 0)
        found(
            j, WARNING, "mixed_patients", mixed, names_of(at(at(p, "mixed"), "names"), NULL),
            "%.0f of %.0f patients with several training images have them under two labels: right "
            "where a disease comes and goes or a patient has two eyes, else wrong labels.",
            mixed, number(at(p, "mixed"), "of"));
    if (strcmp(text_of(p, "rule"), "none") == 0 && json_array_size(at(p, "pairs")) > 0)
        found(j, NOTE, "patients_unknown", NAN, NULL,
              "Nothing gives patients, so a leak cannot be seen: --patients names a rule, a CSV "
              "may have a column patient.");
}

/* ---- balance ---- */

/* Images of a split, and of one class in it. */
static double total_of(const json_t *counts) {
    double n = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)counts, name, value) n += json_number_value(value);
    return n;
}

static const char *base_name(const judge *j) {
    return at(at(j->doc, "splits"), "train") ? "train" : "all";
}

static void judge_balance(judge *j) {
    const json_t *counts = at(at(j->doc, "splits"), base_name(j));
    const char *name, *most_name = "", *least_name = "";
    double most = -1, least = INFINITY;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)counts, name, value) {
        double n = json_number_value(value);
        if (n > most) most_name = name;
        if (n < least) least_name = name;
        most = fmax(most, n);
        least = fmin(least, n);
    }
    if (!(least > 0) || most / least < limit[AT_RATIO_NOTE]) return;
    found(j, most / least >= limit[AT_RATIO_WARN] ? WARNING : NOTE, "imbalance", most - least,
          json_pack("[s]", base_name(j)),
          "%s has %.0f images, %s %.0f, %.1f times as many: look at balanced accuracy and AUC, and "
          "at --class-weights.",
          least_name, least, most_name, most, most / least);
}

static void judge_few(judge *j) {
    const char *split;
    json_t *counts;
    json_object_foreach((json_t *)(uintptr_t)at(j->doc, "splits"), split, counts) {
        bool base = strcmp(split, base_name(j)) == 0;
        double enough = limit[base ? AT_FEW_TRAIN : AT_FEW_TEST];
        const char *name, *least_name = "";
        double least = INFINITY;
        json_t *value;
        json_object_foreach(counts, name, value) {
            if (json_number_value(value) >= least) continue;
            least = json_number_value(value);
            least_name = name;
        }
        if (least >= enough) continue;
        found(j, WARNING, base ? "few_images" : "few_test_images", least, json_pack("[s]", split),
              "%.0f %s of %s in %s, fewer than %.0f: %s", least, plural(least, "image", "images"),
              least_name, split, enough,
              base ? "what is learned will depend on which they are."
                   : "figures of it will have intervals too wide to choose by.");
    }
}

/* Largest change of a class's share from `base`, its chance by the normal approximation of two proportions. */
static void judge_prior(judge *j) {
    const json_t *splits = at(j->doc, "splits"), *base = at(splits, base_name(j));
    const char *split;
    json_t *counts;
    double n0 = total_of(base);
    json_object_foreach((json_t *)(uintptr_t)splits, split, counts) {
        double n1 = total_of(counts), worst = 0, from = 0, to = 0, p = 1;
        const char *name, *worst_name = "";
        json_t *value;
        if (counts == base || !(n0 > 0) || !(n1 > 0)) continue;
        json_object_foreach(counts, name, value) {
            double k1 = json_number_value(value), k0 = number(base, name);
            double all = (k0 + k1) / (n0 + n1), d = k1 / n1 - k0 / n0;
            double sd = sqrt(all * (1 - all) * (1 / n0 + 1 / n1));
            if (!(fabs(d) > worst) || !(sd > 0)) continue;
            worst = fabs(d);
            worst_name = name;
            from = k0 / n0;
            to = k1 / n1;
            p = 2 * (1 - eg_normal_cdf(worst / sd));
        }
        if (worst < limit[AT_PRIOR] || p > limit[AT_PRIOR_P]) continue;
        found(j, WARNING, "prior_shift", fabs(to - from) * n1, json_pack("[s]", split),
              "%s is %.1f %% of %s and %.1f %% of %s: a threshold that is right for one is wrong "
              "for the other.",
              worst_name, 100 * from, base_name(j), 100 * to, split);
    }
}

/* ---- drift ---- */

static void judge_drift(judge *j) {
    const json_t *all = at(j->doc, "drift");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *d = json_array_get(all, i);
        if (!(number(d, "auc") >= limit[AT_DRIFT_AUC]) ||
            !(number(d, "p_holm") <= limit[AT_DRIFT_P]))
            continue;
        found(
            j, WARNING, "drift", number(d, "n_to"),
            json_pack("[s, s]", text_of(d, "class"), text_of(d, "to")),
            "%s of %s can be told from %s of %s by %s alone: AUC %.2f, random halves %.2f, p %.3g "
            "after Holm. They were not drawn from the same images.",
            text_of(d, "class"), text_of(d, "to"), text_of(d, "class"), text_of(d, "from"),
            text_of(d, "on"), number(d, "auc"), number(d, "control_auc"), number(d, "p_holm"));
    }
}

static const struct {
    const char *name, *more, *less;
} measures[EG_MEASURE_COUNT] = {
#define MEASURE_ROW(id, name, more, less) {name, more, less},
    EG_MEASURE_LIST(MEASURE_ROW)
#undef MEASURE_ROW
};

/* Finding that a measure belongs to. */
static const char *kind_of_measure(const char *measure) {
    static const struct {
        const char *measure, *kind;
    } kinds[] = {{"brightness", "exposure_drift"},
                 {"contrast", "exposure_drift"},
                 {"sharpness", "sharpness_drift"},
                 {"noise", "noise_drift"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].measure, measure) == 0) return kinds[i].kind;
    return "framing_shift";
}

/* One finding a kind, with every class, split and measure it shows in. */
static void judge_shifts(judge *j) {
    static const char *const kinds[] = {"exposure_drift", "sharpness_drift", "noise_drift",
                                        "framing_shift"};
    const json_t *all = at(j->doc, "shifts");
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char text[400] = "";
        size_t used = 0, n = 0;
        json_t *where = json_array();
        for (size_t i = 0; i < json_array_size(all); i++) {
            const json_t *s = json_array_get(all, i);
            double away = number(s, "auc") - 0.5;
            const char *name = text_of(s, "measure"), *word = "different";
            if (strcmp(kind_of_measure(name), kinds[k]) != 0 ||
                !(fabs(away) >= limit[AT_SHIFT_AUC]) || !(number(s, "p_holm") <= limit[AT_SHIFT_P]))
                continue;
            for (int m = 0; m < EG_MEASURE_COUNT; m++)
                if (strcmp(measures[m].name, name) == 0)
                    word = away > 0 ? measures[m].more : measures[m].less;
            if (used < sizeof text - 120)
                used += (size_t)snprintf(text + used, sizeof text - used,
                                         "%s%.30s of %s is %s (%s %.3g, was %.3g)", n ? "; " : "",
                                         text_of(s, "class"), text_of(s, "to"), word, name,
                                         number(s, "to_median"), number(s, "from_median"));
            char place[120];
            snprintf(place, sizeof place, "%s/%.80s", text_of(s, "to"), text_of(s, "class"));
            json_array_append_new(where, json_string(place));
            n++;
        }
        if (n > 0)
            found(j, WARNING, kinds[k], (double)n, where, "%s.", text);
        else
            json_decref(where);
    }
}

/* ---- labels ---- */

static void judge_shortcuts(judge *j) {
    const json_t *all = at(j->doc, "shortcuts");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *s = json_array_get(all, i);
        const char *on = text_of(s, "on");
        bool frame = strcmp(on, "frame") == 0;
        double enough = limit[frame                              ? AT_FRAME_AUC
                              : strcmp(on, "bytes a pixel") == 0 ? AT_BYTES_AUC
                                                                 : AT_FILE_AUC];
        if (!(number(s, "auc") >= enough) || !(number(s, "p") <= limit[AT_SHORTCUT_P])) continue;
        json_t *where = json_pack("[s, s]", text_of(s, "class"), on);
        if (frame)
            found(
                j, WARNING, "shortcut", NAN, where,
                "%s can be told from the rest by the outer 12 %% of the picture alone (AUC %.2f): "
                "letters, collimation or framing may be learned in place of the disease.",
                text_of(s, "class"), number(s, "auc"));
        else
            found(
                j, WARNING, "shortcut_file", NAN, where,
                "%s can be told from the rest by the %s of the files alone (AUC %.2f): the classes "
                "come from different sources.",
                text_of(s, "class"), on, number(s, "auc"));
    }
}

static void judge_labels(judge *j) {
    const json_t *labels = at(j->doc, "labels"), *sides = at(labels, "wrong_side");
    for (size_t i = 0; i < json_array_size(sides); i++) {
        const json_t *s = json_array_get(sides, i);
        double n = number(s, "n"), extra = number(s, "beyond") - number(s, "expected");
        if (!(extra >= limit[AT_NOISE_SHARE] * n) || !(number(s, "p") <= limit[AT_NOISE_P]))
            continue;
        found(
            j, WARNING, "label_noise", number(s, "beyond"),
            names_of(at(labels, "suspects"), "file"),
            "%.0f of %.0f images labelled %s lie beyond the middle of the other side (by %s, held "
            "out), %.1f were expected: look at the suspects.",
            number(s, "beyond"), n, text_of(s, "class"), text_of(labels, "on"),
            number(s, "expected"));
    }
    const json_t *known = at(labels, "separable");
    for (size_t i = 0; i < json_array_size(known); i++) {
        const json_t *s = json_array_get(known, i);
        if (!(number(s, "auc") < limit[AT_WEAK_AUC])) continue;
        found(j, NOTE, "weak_signal", NAN, json_pack("[s]", text_of(s, "class")),
              "%s cannot be told from the rest by %s (AUC %.2f): its signs are fine or faint, so "
              "keep the resolution, and expect to need many images.",
              text_of(s, "class"), text_of(labels, "on"), number(s, "auc"));
    }
}

/* ---- all ---- */

eg_status eg_study_data_findings(json_t *doc, eg_error *err) {
    judge j = {.doc = doc, .list = {json_array(), json_array(), json_array()}};
    json_t *all = json_array(), *counts = json_object();
    bool ok = all && counts && j.list[0] && j.list[1] && j.list[2];
    if (ok) {
        judge_files(&j);
        judge_duplicates(&j);
        judge_patients(&j);
        judge_few(&j);
        judge_balance(&j);
        judge_prior(&j);
        judge_drift(&j);
        judge_shifts(&j);
        judge_shortcuts(&j);
        judge_labels(&j);
    }
    for (int s = N_SEVERITIES; ok && s-- > 0;) {
        ok = json_array_extend(all, j.list[s]) == 0 &&
             json_object_set_new(counts, severity_names[s],
                                 json_integer((json_int_t)json_array_size(j.list[s]))) == 0;
    }
    ok = ok && !j.failed && json_object_set(doc, "findings", all) == 0 &&
         json_object_set(doc, "counts", counts) == 0;
    for (int s = 0; s < N_SEVERITIES; s++) json_decref(j.list[s]);
    json_decref(all);
    json_decref(counts);
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory judging the data set");
}
