/* eg_compare (Task D): finished runs side by side from their folders. Figures with bootstrap intervals, by patients
 * where they are known; gaps between training, validation and test; cost; every pair tested; sentences. Looks at no
 * image: the test split was scored when the runs were made. Read first: compare.h, study_compare.c. */
#include "study/compare.h"
#include "study/evaluation.h"

#include <math.h>
#include <string.h>

enum { RESAMPLES = 2000, FEWER_RESAMPLES = 500, MANY_SCORES = 20000 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the comparison");
}

static json_t *interval(const double ci[2]) {
    if (isnan(ci[0]) || isnan(ci[1])) return json_null();
    return json_pack("[o,o]", eg_json_real(ci[0]), eg_json_real(ci[1]));
}

/* {metric: {"estimate", "ci", and of a difference "p"}}, the defined ones. */
static json_t *resampled_json(const eg_resampled *r, bool difference) {
    json_t *json = json_object();
    for (int v = 0; json && v < EG_METRIC_COUNT; v++) {
        if (isnan(r[v].estimate)) continue;
        json_t *one = json_pack("{s:o, s:o}", "estimate", eg_json_real(r[v].estimate), "ci",
                                interval(r[v].ci));
        bool ok = one && (!difference || json_object_set_new(one, "p", eg_json_real(r[v].p)) == 0);
        if (!ok || json_object_set(json, eg_metric_name((eg_metric)v), one) != 0) {
            json_decref(json);
            json = NULL;
        }
        json_decref(one);
    }
    return json;
}

/* ---- a run ---- */

static void counts(int64_t *correct, int64_t *n, const json_t *metrics) {
    double accuracy = eg_study_number(metrics, "accuracy"), total = eg_study_number(metrics, "n");
    *n = isnan(total) || isnan(accuracy) ? 0 : llround(total);
    *correct = *n > 0 ? llround(accuracy * (double)*n) : 0;
}

/* Accuracy of one split minus another's, other images: Newcombe's interval. */
static bool add_gap(json_t *gaps, const json_t *summary, const char *from, const char *to) {
    int64_t k1, n1, k2, n2;
    double d, ci[2];
    counts(&k1, &n1, json_object_get(summary, from));
    counts(&k2, &n2, json_object_get(summary, to));
    if (n1 == 0 || n2 == 0) return true;
    eg_difference_independent(&d, ci, k1, n1, k2, n2, 0.95);
    return json_array_append_new(gaps,
                                 json_pack("{s:s, s:s, s:o, s:o}", "from", from, "to", to,
                                           "difference", eg_json_real(d), "ci", interval(ci))) == 0;
}

/* Fields of the summary that are shown as they are; null where a run has none. */
static bool copy_fields(json_t *to, const json_t *summary) {
    static const char *const FIELDS[] = {"model",
                                         "mode",
                                         "dtype",
                                         "parameters",
                                         "trainable_parameters",
                                         "train_seconds",
                                         "feature_seconds",
                                         "images_per_second",
                                         "peak_bytes",
                                         "epochs",
                                         "best_epoch",
                                         "stopped",
                                         "train",
                                         "val",
                                         "test",
                                         "history"};
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        json_t *value = json_object_get(summary, FIELDS[i]);
        if (json_object_set_new(to, FIELDS[i], value ? json_incref(value) : json_null()) != 0)
            return false;
    }
    return true;
}

/* Training, and what a frozen trunk took to compute its features: without it the two modes would not be comparable. */
static double seconds_of(const json_t *summary) {
    double train = eg_study_number(summary, "train_seconds");
    double features = eg_study_number(summary, "feature_seconds");
    return train + (isnan(features) ? 0 : features);
}

static json_t *run_json(const eg_compared *c, size_t i, const eg_resampled *figures,
                        double target) {
    const eg_finished_run *run = &c->runs[i];
    json_t *gaps = json_array(), *settings = json_object_get(run->config, "settings");
    json_t *json = json_pack("{s:s, s:s, s:o, s:o}", "name", run->name, "dir", c->dir[i], "seed",
                             eg_json_real(eg_study_number(settings, "seed")), "seconds",
                             eg_json_real(seconds_of(run->summary)));
    bool ok =
        gaps && json && copy_fields(json, run->summary) &&
        add_gap(gaps, run->summary, "train", "val") && add_gap(gaps, run->summary, "val", "test") &&
        json_object_set(json, "gaps", gaps) == 0 &&
        json_object_set_new(json, "seconds_to_accuracy",
                            eg_json_real(eg_study_seconds_to_accuracy(run->summary, target))) ==
            0 &&
        json_object_set_new(json, "bootstrap", resampled_json(figures, false)) == 0 &&
        json_object_set_new(json, "calibration",
                            eg_study_calibration_json(&run->val, &run->test)) == 0 &&
        json_object_set_new(json, "operating_points",
                            eg_study_operating_points_json(&run->val, &run->test)) == 0;
    json_decref(gaps);
    if (ok) return json;
    json_decref(json);
    return NULL;
}

/* Validation accuracy that every run reaches: the lowest of their best epochs. */
static double common_accuracy(const eg_compared *c) {
    double least = NAN;
    for (size_t i = 0; i < c->n; i++) {
        double best = NAN;
        json_t *row;
        size_t k;
        json_array_foreach(json_object_get(c->runs[i].summary, "history"), k, row) {
            best = fmax(best, eg_study_number(row, "val_accuracy"));
        }
        least = i == 0 ? best : isnan(best) ? NAN : fmin(least, best);
    }
    return least;
}

/* ---- all areas at once ---- */

static json_t *all_equal_json(const eg_compared *c) {
    const eg_scores *s = eg_study_compared_scores(c, 0);
    if (c->n < 3 || s->n_classes != 2) return json_null();
    double **score = eg_calloc(c->n, sizeof *score);
    double *room = eg_malloc((c->n * c->n + c->n) * sizeof *room);
    eg_auc_test test;
    bool ok = score && room;
    for (size_t i = 0; ok && i < c->n; i++) {
        score[i] = eg_study_scores_positive(eg_study_compared_scores(c, i));
        ok = score[i] != NULL;
    }
    eg_status status =
        ok ? eg_auc_delong_many(room, room + c->n, &test, (const double *const *)score, c->n,
                                s->label, s->n, NULL)
           : EG_ERR_NO_MEMORY;
    json_t *json = status == EG_OK ? json_pack("{s:s, s:o, s:o, s:o}", "test", "DeLong", "chi2",
                                               eg_json_real(test.chi2), "df", eg_json_real(test.df),
                                               "p", eg_json_real(test.p))
                                   : NULL;
    if (status == EG_ERR_INPUT) json = json_null(); /* one class only */
    for (size_t i = 0; score && i < c->n; i++) eg_free(score[i]);
    eg_free(score);
    eg_free(room);
    return json;
}

/* ---- the document ---- */

static eg_status resample(eg_resampled *each, eg_resampled *pairs, const eg_compared *c,
                          eg_resample_options *o, const eg_options *options, eg_error *err) {
    const eg_scores *first = eg_study_compared_scores(c, 0);
    eg_predictions *p = eg_malloc(c->n * sizeof *p);
    if (!p) return no_memory(err);
    for (size_t i = 0; i < c->n; i++) {
        const eg_scores *s = eg_study_compared_scores(c, i);
        p[i] = (eg_predictions){s->prob, s->label, s->n, s->n_classes, NAN};
    }
    *o = (eg_resample_options){.stratum = first->label,
                               .cluster = c->patient,
                               .n_resamples =
                                   first->n * c->n > MANY_SCORES ? FEWER_RESAMPLES : RESAMPLES,
                               .seed = (uint64_t)options->seed};
    eg_status status = eg_metrics_resample(each, pairs, p, c->n, o, err);
    eg_free(p);
    return status;
}

/* Put the bootstrap's differences beside the tests of each pair; both are in the order 0-1, 0-2, ... 1-2, ... */
static bool attach(json_t *list, const eg_resampled *differences) {
    json_t *pair;
    size_t i;
    json_array_foreach(list, i, pair) {
        json_t *bootstrap = resampled_json(differences + i * EG_METRIC_COUNT, true);
        if (json_object_set_new(pair, "bootstrap", bootstrap) != 0) return false;
    }
    return true;
}

static eg_status document(json_t **out, const eg_compared *c, const eg_resampled *each,
                          json_t *pairs, const eg_resample_options *o, eg_error *err) {
    const eg_scores *first = eg_study_compared_scores(c, 0);
    double target = common_accuracy(c);
    json_t *runs = json_array();
    bool ok = runs != NULL;
    for (size_t i = 0; ok && i < c->n; i++)
        ok = json_array_append_new(runs, run_json(c, i, each + i * EG_METRIC_COUNT, target)) == 0;
    json_t *json =
        ok ? json_pack(
                 "{s:s, s:s, s:I, s:o, s:o, s:{s:i, s:s, s:I}, s:O, s:O, s:o}", "schema",
                 "engraft.compare/1", "split", c->test ? "test" : "val", "n", (json_int_t)first->n,
                 "classes",
                 json_deep_copy(json_object_get(
                     json_object_get(c->runs[0].summary, c->test ? "test" : "val"), "classes")),
                 "common_val_accuracy", eg_json_real(target), "resampling", "n", o->n_resamples,
                 "unit", c->patient ? "patient" : "image", "seed", (json_int_t)o->seed, "runs",
                 runs, "pairs", pairs, "all_equal", all_equal_json(c))
           : NULL;
    json_decref(runs);
    json_t *text = json ? eg_study_compare_text(json) : NULL;
    if (!text || json_object_set_new(json, "text", text) != 0) {
        json_decref(json);
        return no_memory(err);
    }
    *out = json;
    return EG_OK;
}

static eg_status compare(json_t **out, const eg_compared *c, const eg_options *options,
                         eg_error *err) {
    size_t n_pairs = c->n * (c->n - 1) / 2;
    json_t *pairs = NULL;
    eg_resample_options o;
    EG_TRY(eg_study_compare(&pairs, c->runs, c->n,
                            err)); /* finds out whether the images are the same */
    eg_resampled *each = eg_malloc((c->n + n_pairs) * EG_METRIC_COUNT * sizeof *each);
    eg_resampled *differences = each ? each + c->n * EG_METRIC_COUNT : NULL;
    eg_status status = each ? resample(each, differences, c, &o, options, err) : no_memory(err);
    if (status == EG_OK && !attach(pairs, differences)) status = no_memory(err);
    if (status == EG_OK) status = document(out, c, each, pairs, &o, err);
    json_decref(pairs);
    eg_free(each);
    return status;
}

/* ---- the audit beside a run ---- */

/* Test images and the larger class's share of the first run given, for the audit. */
static void test_facts(int64_t *n, double *majority, const eg_compared *c) {
    const eg_scores *s = eg_study_compared_scores(c, 0);
    size_t most = 0;
    for (int k = 0; k < s->n_classes; k++) {
        size_t count = 0;
        for (size_t i = 0; i < s->n; i++) count += s->label[i] == k;
        most = count > most ? count : most;
    }
    *n = (int64_t)s->n;
    *majority = s->n ? (double)most / (double)s->n : NAN;
}

static eg_status audit(eg_doc **out, const char *const *runs, size_t n, const eg_options *o,
                       eg_error *err) {
    int64_t n_test = 0;
    double majority = NAN;
    json_t *json = NULL;
    if (n > 0) {
        eg_compared c;
        EG_TRY(eg_study_compared_read(&c, runs, n, err));
        if (c.n > 0) test_facts(&n_test, &majority, &c);
        eg_study_compared_free(&c);
    }
    EG_TRY(eg_study_audit_published(&json, o->published, n_test, majority, err));
    *out = eg_doc_new(json, "published");
    return *out ? EG_OK : no_memory(err);
}

/* Every run's test predictions are read: a look at test for each ledger. */
static eg_status count_looks(const eg_compared *c, eg_error *err) {
    for (size_t i = 0; i < c->n; i++)
        EG_TRY(eg_study_ledger_add(c->dir[i],
                                   &(eg_test_look){"compare", NULL, "predictions-test.csv"}, err));
    return EG_OK;
}

eg_status eg_compare(eg_doc **out, const char *const *runs, size_t n, const eg_options *o,
                     const eg_events *ev, eg_error *err) {
    eg_compared c;
    json_t *json = NULL;
    if (o->published) return audit(out, runs, n, o, err);
    if (n == 0)
        return eg_fail(err, EG_ERR_USAGE,
                       "compare: RUN is missing - give two or more runs, a study, or --published "
                       "table.csv");
    EG_TRY(eg_study_compared_read(&c, runs, n, err));
    eg_status status = EG_OK;
    if (c.n < 2)
        status =
            eg_fail(err, EG_ERR_USAGE,
                    "compare: %s is one run - give two or more, or a study with several", runs[0]);
    if (status == EG_OK) {
        eg_study_note(ev, "comparing %zu runs on the %zu images of %s", c.n,
                      eg_study_compared_scores(&c, 0)->n, c.test ? "test" : "val");
        if (c.test) status = count_looks(&c, err);
        if (status == EG_OK) status = compare(&json, &c, o, err);
    }
    eg_study_compared_free(&c);
    EG_TRY(status);
    *out = eg_doc_new(json, "compare");
    return *out ? EG_OK : no_memory(err);
}
