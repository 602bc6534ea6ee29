/* eg_why (Task E): why is the test set harder than validation? One table of causes, each measured by its own function on the
 * same case; then Holm's correction over all that were tested, a verdict each, and what would help most. The causes overlap
 * (a threshold mends what a shift breaks), so the points do not add up to the gap. Read first: why.h, doc/documents.md "why". */
#include "study/why.h"
#include "study/evaluation.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for why");
}

/* In the order in which they are measured: cheap ones first. One function may serve several names in a row (it is called for
 * each, and c->cause says for which). */
static const struct cause {
    const char *name, *words;
    eg_status (*measure)(eg_why_case *c, eg_error *err);
    const char *remedy;  /* NULL: nothing can be done about it */
    const char *command; /* that shows it another way; %1 RUN, %2 DIR; NULL: why itself */
} causes[] = {
    {"sampling_noise", "chance", eg_study_why_sampling_noise, NULL, NULL},
    {"threshold", "threshold", eg_study_why_threshold,
     "choose the threshold by Youden on validation instead of 0.5", NULL},
    {"prior_shift", "class shares differ", eg_study_why_prior_shift,
     "correct the probabilities to the class shares where the network is used", NULL},
    {"calibration", "calibration", eg_study_why_calibration,
     "calibrate the probabilities on validation", NULL},
    {"block_shift", "neighbouring ids are alike", eg_study_why_block_shift,
     "validate on contiguous ids, to see before the test what it will cost",
     "engraft train %2 --val-by block"},
    {"patient_leak", "patients on two sides", eg_study_why_patient_leak, "split by patient",
     "engraft data %2"},
    {"label_noise", "wrong labels", eg_study_why_label_noise,
     "have the suspects' labels read again", "engraft data %2 --json"},
    {"duplicates", "copies across splits", eg_study_why_duplicates, "remove the copies",
     "engraft data %2 --json"},
    {"few_images", "too few images", eg_study_why_few_images, "collect more images", NULL},
    {"imbalance", "classes of unequal size", eg_study_why_imbalance,
     "train with balanced class weights", "engraft train %2 --class-weights balanced"},
    {"capacity", "head too stiff", eg_study_why_penalty, "a weaker penalty, or fine-tuning",
     "engraft train %2 --mode frozen --C auto"},
    {"overfitting", "head too free", eg_study_why_penalty, "a stronger penalty",
     "engraft train %2 --mode frozen --C auto"},
    {"optimisation", "training not finished", eg_study_why_fit,
     "train longer, or find the learning rate", "engraft train %2 --find-lr"},
    {"hard_signal", "classes hard to tell apart", eg_study_why_hard_signal,
     "another network, a larger input, or fine-tuning", NULL},
    {"exposure_drift", "exposure", eg_study_why_looks,
     "equalise exposure and contrast, or augment with --jitter", "engraft data %2"},
    {"blur_drift", "sharpness", eg_study_why_looks, "augment with --blur", "engraft data %2"},
    {"noise_drift", "image noise", eg_study_why_looks, "augment with --noise", "engraft data %2"},
    {"framing_shift", "framing", eg_study_why_framing,
     "crop to the lungs, or augment with --zoom and --translate", "engraft data %2"},
    {"shortcut", "something at the border", eg_study_why_shortcut,
     "cover the border in training, or augment with --crop-min", "engraft explain %1 %2"},
    /* after the looks that have a name: it is what they leave */
    {"covariate_shift", "images of a class look different", eg_study_why_covariate_shift,
     "collect training images of this class like those of test", "engraft data %2 --json"},
};
enum { N_CAUSES = sizeof causes / sizeof *causes };

const char *eg_study_why_cause_name(const eg_why_case *c) {
    return causes[c->cause].name;
}

/* ---- rows ---- */

static json_t *points_pair(const double ci[2]) {
    if (!isfinite(ci[0]) || !isfinite(ci[1])) return json_null();
    return json_pack("[o,o]", eg_json_real(ci[0]), eg_json_real(ci[1]));
}

/* The words of the command with RUN and DIR in place of %1 and %2; eg_free. */
static char *command_text(const eg_why_case *c, const char *format) {
    eg_buffer b = {0};
    for (const char *p = format; *p; p++) {
        if (p[0] == '%' && (p[1] == '1' || p[1] == '2')) {
            eg_buffer_printf(&b, "%s", *++p == '1' ? c->run_dir : c->dir);
        } else {
            eg_buffer_add(&b, p, 1);
        }
    }
    eg_buffer_add(&b, "", 1);
    if (b.failed) eg_buffer_free(&b);
    return b.data;
}

/* Takes `details` over. `verdict` NULL: settled when all rows are there. */
static eg_status append(eg_why_case *c, const eg_why_row *row, const char *verdict,
                        const char *text, eg_error *err) {
    const struct cause *cause = &causes[c->cause];
    char own[64];
    snprintf(own, sizeof own, "engraft why %%1 %%2 --cause %s", cause->name);
    char *command = command_text(c, own),
         *other = cause->command ? command_text(c, cause->command) : NULL;
    const eg_why_effect *e = &row->effect;
    json_t *json =
        json_pack("{s:s, s:s, s:s?, s:o, s:o, s:o, s:o, s:s?, s:s?, s:s?, s:s?, s:s, s:O?}",
                  "cause", cause->name, "words", cause->words, "class", row->class_name,
                  "effect_points", eg_json_real(verdict ? NAN : e->points), "ci",
                  points_pair(e->ci), "p", eg_json_real(row->fact || verdict ? NAN : e->p),
                  "p_holm", json_null(), "verdict", verdict, "command", command, "see_also", other,
                  "remedy", cause->remedy, "text", text, "details", row->details);
    json_decref(row->details);
    eg_free(command);
    eg_free(other);
    /* how to judge it: taken out again by settle() */
    bool ok = json && json_object_set_new(json, "fact", json_boolean(row->fact)) == 0 &&
              json_object_set_new(json, "present", json_boolean(row->present)) == 0 &&
              json_object_set_new(json, "either", json_boolean(row->either)) == 0;
    return json_array_append_new(c->rows, json) == 0 && ok ? EG_OK : no_memory(err);
}

eg_status eg_study_why_add(eg_why_case *c, const eg_why_row *row, eg_error *err, const char *format,
                           ...) {
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return append(c, row, NULL, text, err);
}

eg_status eg_study_why_cannot(eg_why_case *c, eg_error *err, const char *format, ...) {
    char why[400], verdict[440];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    snprintf(verdict, sizeof verdict, "not measurable: %s", why);
    const eg_why_row row = {.effect = {NAN, {NAN, NAN}, NAN}};
    return append(c, &row, verdict, verdict, err);
}

/* ---- which ---- */

static bool listed(const char *list, const char *name) {
    const size_t n = strlen(name);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, name, n) == 0 && (p[n] == '\0' || p[n] == ',')) return true;
    return false;
}

static bool known(const char *word, size_t n) {
    for (size_t i = 0; i < N_CAUSES; i++)
        if (strlen(causes[i].name) == n && strncmp(causes[i].name, word, n) == 0) return true;
    return false;
}

/* Every word of --cause must be a cause. */
static eg_status check_list(const char *list, eg_error *err) {
    for (const char *p = list; p;) {
        const char *comma = strchr(p, ',');
        const size_t n = comma ? (size_t)(comma - p) : strlen(p);
        if (!known(p, n)) {
            eg_buffer names = {0};
            for (size_t i = 0; i < N_CAUSES; i++)
                eg_buffer_printf(&names, "%s%s", i ? ", " : "", causes[i].name);
            eg_status status =
                eg_fail(err, EG_ERR_USAGE, "--cause %.*s: no such cause; there are %s", (int)n, p,
                        names.data ? names.data : "");
            eg_buffer_free(&names);
            return status;
        }
        p = comma ? comma + 1 : NULL;
    }
    return EG_OK;
}

static eg_status measure(eg_why_case *c, eg_error *err) {
    for (c->cause = 0; c->cause < N_CAUSES; c->cause++) {
        const struct cause *cause = &causes[c->cause];
        if (c->o->cause && *c->o->cause && !listed(c->o->cause, cause->name)) continue;
        if (eg_study_stopped(c->ev))
            return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted before cause %s", cause->name);
        const double start = eg_time_now();
        const size_t before = json_array_size(c->rows);
        eg_error own = {0};
        eg_status status = cause->measure(c, &own);
        /* too few images for one figure are no reason to give none */
        if (status == EG_ERR_INPUT || status == EG_ERR_DIVERGED)
            status = eg_study_why_cannot(c, &own, "%s", own.text);
        if (status != EG_OK) {
            if (err) *err = own;
            return status;
        }
        const double seconds = eg_time_now() - start;
        if (json_array_size(c->rows) > before &&
            json_object_set_new(json_array_get(c->rows, before), "seconds",
                                eg_json_real(seconds)) != 0)
            return no_memory(err);
    }
    return EG_OK;
}

/* ---- verdicts ---- */

static bool flag(const json_t *row, const char *name) {
    return json_is_true(json_object_get(row, name));
}

/* Holm over all rows that have a p; then a word for each. */
static eg_status settle(json_t *rows, eg_error *err) {
    const size_t n = json_array_size(rows);
    double *p = eg_malloc((n + 1) * sizeof *p);
    size_t *which = eg_malloc((n + 1) * sizeof *which), m = 0;
    bool ok = p && which;
    for (size_t i = 0; ok && i < n; i++) {
        const double value = eg_study_number(json_array_get(rows, i), "p");
        if (isnan(value)) continue;
        p[m] = value;
        which[m++] = i;
    }
    if (ok) eg_holm(p, m);
    for (size_t i = 0; ok && i < m; i++)
        ok = json_object_set_new(json_array_get(rows, which[i]), "p_holm", eg_json_real(p[i])) == 0;
    for (size_t i = 0; ok && i < n; i++) {
        json_t *row = json_array_get(rows, i);
        const double points = eg_study_number(row, "effect_points");
        const double holm = eg_study_number(row, "p_holm");
        const bool beyond =
            flag(row, "fact") ? flag(row, "present")
                              : holm < 0.05 && (points > 0 || (flag(row, "either") && points != 0));
        if (json_is_null(json_object_get(row, "verdict")))
            ok = json_object_set_new(
                     row, "verdict",
                     json_string(beyond ? "cause" : "not distinguishable from none")) == 0;
        json_object_del(row, "present");
        json_object_del(row, "either");
    }
    eg_free(p);
    eg_free(which);
    return ok ? EG_OK : no_memory(err);
}

static bool is_cause(const json_t *row) {
    const char *verdict = json_string_value(json_object_get(row, "verdict"));
    return verdict && strcmp(verdict, "cause") == 0;
}

/* Causes first, each group with the largest effect first, what was not measured last. */
static int by_weight(const void *a, const void *b) {
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    if (is_cause(x) != is_cause(y)) return is_cause(x) ? -1 : 1;
    const double p = fabs(eg_study_number(x, "effect_points")),
                 q = fabs(eg_study_number(y, "effect_points"));
    if (isnan(p) || isnan(q)) return isnan(p) - isnan(q);
    return (p < q) - (p > q);
}

static eg_status sort_rows(json_t *rows, eg_error *err) {
    const size_t n = json_array_size(rows);
    json_t **list = eg_malloc((n + 1) * sizeof(json_t *));
    if (!list) return no_memory(err);
    for (size_t i = 0; i < n; i++) list[i] = json_incref(json_array_get(rows, i));
    qsort(list, n, sizeof *list, by_weight);
    bool ok = json_array_clear(rows) == 0;
    for (size_t i = 0; i < n; i++) ok = json_array_append_new(rows, list[i]) == 0 && ok;
    eg_free(list);
    return ok ? EG_OK : no_memory(err);
}

/* ---- the document ---- */

static json_t *gap_json(const eg_why_case *c, const eg_why_effect *gap) {
    double sum[2] = {0};
    for (size_t i = 0; i < c->val.n; i++) sum[0] += c->val_right[i];
    for (size_t i = 0; i < c->test.n; i++) sum[1] += c->test_right[i];
    const char *verdict = gap->p >= 0.05    ? "no gap beyond chance"
                          : gap->points > 0 ? "test is harder"
                                            : "test is easier";
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:s}", "val",
                     eg_json_real(sum[0] / (double)c->val.n), "test",
                     eg_json_real(sum[1] / (double)c->test.n), "n_val", (json_int_t)c->val.n,
                     "n_test", (json_int_t)c->test.n, "points", eg_json_real(gap->points), "ci",
                     points_pair(gap->ci), "p", eg_json_real(gap->p), "verdict", verdict);
}

/* What would help, from the rows that are causes, largest first. */
static json_t *help_json(const json_t *rows) {
    json_t *help = json_array(), *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        const char *remedy = json_string_value(json_object_get(row, "remedy"));
        if (!is_cause(row) || !remedy) continue;
        const char *class_name = json_string_value(json_object_get(row, "class"));
        char *text = eg_format("%s%s%s%s (%+.1f points)", remedy, class_name ? " (" : "",
                               class_name ? class_name : "", class_name ? ")" : "",
                               eg_study_number(row, "effect_points"));
        if (!text || json_array_append_new(help, json_string(text)) != 0) {
            eg_free(text);
            json_decref(help);
            return NULL;
        }
        eg_free(text);
    }
    return help;
}

static bool say_all(json_t *text, const json_t *gap, const json_t *rows, const json_t *help) {
    const double points = eg_study_number(gap, "points");
    size_t i, n = 0;
    json_t *row;
    bool ok = eg_study_say(
        text, "Accuracy is %.3f on validation and %.3f on test, a gap of %.1f points: %s.",
        eg_study_number(gap, "val"), eg_study_number(gap, "test"), points,
        json_string_value(json_object_get(gap, "verdict")));
    json_array_foreach(rows, i, row) {
        if (!is_cause(row)) continue;
        n++;
        ok = ok && eg_study_say(text, "%s", json_string_value(json_object_get(row, "text")));
    }
    if (n == 0)
        ok = ok &&
             eg_study_say(text, "None of the causes that were measured can be told from none.");
    if (n > 1)
        ok = ok &&
             eg_study_say(text, "The causes overlap, so their points do not add up to the gap.");
    return ok &&
           (json_array_size(help) == 0 || eg_study_say(text, "What would help most: %s.",
                                                       json_string_value(json_array_get(help, 0))));
}

static eg_status document(json_t **out, eg_why_case *c, double start, eg_error *err) {
    eg_why_effect effect;
    EG_TRY(eg_study_why_difference(&effect, c->val_right, c->val_unit, c->val.n, c->test_right,
                                   c->test_unit, c->test.n, (uint64_t)c->settings.o.seed, err));
    EG_TRY(settle(c->rows, err));
    EG_TRY(sort_rows(c->rows, err));
    json_t *gap = gap_json(c, &effect), *help = help_json(c->rows), *text = json_array();
    bool ok = gap && help && text && say_all(text, gap, c->rows, help);
    if (ok)
        *out = json_pack(
            "{s:s, s:s, s:s, s:O, s:O, s:O, s:O, s:s, s:o}", "schema", "engraft.why/1", "run",
            c->run_dir, "data", json_string_value(json_object_get(c->data.json, "root")), "gap",
            gap, "causes", c->rows, "help", help, "text", text, "test_labels",
            "measure the gap and what a change would have brought; nothing is chosen by them",
            "seconds", eg_json_real(eg_time_now() - start));
    json_decref(gap);
    json_decref(help);
    json_decref(text);
    if (!ok || !*out) return no_memory(err);
    return eg_study_ledger_note(*out, c->run_dir,
                                &(eg_test_look){.command = "why",
                                                .fingerprint = c->data.ds->fingerprint,
                                                .looked_at = "causes of the gap"},
                                err);
}

eg_status eg_why(eg_doc **out, const char *run, const char *dir, const eg_options *o,
                 const eg_events *ev, eg_error *err) {
    eg_why_case c;
    json_t *json = NULL;
    const double start = eg_time_now();
    if (o->cause && *o->cause) EG_TRY(check_list(o->cause, err));
    EG_TRY(eg_study_why_open(&c, run, dir, o, ev, err));
    eg_status status = measure(&c, err);
    if (status == EG_OK) status = document(&json, &c, start, err);
    eg_study_why_close(&c);
    if (status != EG_OK) {
        json_decref(json);
        return status;
    }
    *out = eg_doc_new(json, "why");
    return *out ? EG_OK : no_memory(err);
}
