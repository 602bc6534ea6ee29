/* Task D: every pair of runs on the same images. Accuracy by McNemar's exact test with an interval
 * of the difference, ranking by the paired DeLong test, p-values of each adjusted by Holm over all
 * pairs, and how many images would tell a pair apart if its difference is what it seems. On the test
 * split; on validation when there is none. The tests themselves are the stats room's. */
#include "study/run.h"
#include <math.h>
#include <string.h>

static const eg_scores *scores_of(const eg_finished_run *run, bool test) {
    return test ? &run->test : &run->val;
}

/* Right by the headline rule: the most probable class. */
static uint8_t *correct_of(const eg_scores *s) {
    uint8_t *correct = eg_malloc(s->n + 1);
    for (size_t i = 0; correct && i < s->n; i++) {
        const double *p = s->prob + i * (size_t)s->n_classes;
        int best = 0;
        for (int k = 1; k < s->n_classes; k++) {
            if (p[k] > p[best]) best = k;
        }
        correct[i] = best == s->label[i];
    }
    return correct;
}

static eg_status check_same_images(const eg_finished_run *a, const eg_finished_run *b, bool test,
                                   eg_error *err) {
    const eg_scores *x = scores_of(a, test), *y = scores_of(b, test);
    bool same = x->n == y->n && x->n_classes == y->n_classes;
    for (size_t i = 0; same && i < x->n; i++)
        same = x->label[i] == y->label[i] && strcmp(x->file[i], y->file[i]) == 0;
    return same ? EG_OK
                : eg_fail(err, EG_ERR_MISMATCH,
                          "%s and %s were not scored on the same images: they cannot be compared",
                          a->name, b->name);
}

static json_t *interval(const double ci[2]) {
    if (isnan(ci[0]) || isnan(ci[1])) return json_null();
    return json_pack("[o,o]", eg_json_real(ci[0]), eg_json_real(ci[1]));
}

typedef struct {
    const eg_finished_run *a, *b;
    bool test;
    eg_paired paired;
    double auc_difference, auc_ci[2], auc_p;
} comparison;

static eg_status compare_pair(comparison *c, eg_error *err) {
    const eg_scores *x = scores_of(c->a, c->test), *y = scores_of(c->b, c->test);
    EG_TRY(check_same_images(c->a, c->b, c->test, err));
    uint8_t *right_x = correct_of(x), *right_y = correct_of(y);
    double *score_x = eg_study_scores_positive(x), *score_y = eg_study_scores_positive(y);
    c->auc_difference = c->auc_ci[0] = c->auc_ci[1] = c->auc_p = NAN;
    bool ok = right_x && right_y && (x->n_classes != 2 || (score_x && score_y));
    if (ok) eg_mcnemar(&c->paired, right_x, right_y, x->n, 0.95);
    if (ok && x->n_classes == 2)
        eg_auc_delong_paired(&c->auc_difference, c->auc_ci, &c->auc_p, score_x, score_y, x->label,
                             x->n, 0.95);
    eg_free(right_x);
    eg_free(right_y);
    eg_free(score_x);
    eg_free(score_y);
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the comparison");
}

/* Images for 80 % power at the 5 % level; NaN without a difference. */
static double images_needed(const eg_paired *p) {
    double discordant = p->n > 0 ? (double)(p->only_a + p->only_b) / (double)p->n : NAN;
    return eg_sample_size_paired(discordant, p->difference, 0.95, 0.8);
}

static double images_needed_auc(const comparison *c) {
    double se = 0.5 * (c->auc_ci[1] - c->auc_ci[0]) / eg_normal_quantile(0.975);
    return eg_sample_size_scaled(c->auc_difference, se, (size_t)c->paired.n, 0.95, 0.8);
}

static const char *verdict(double p_holm) {
    return p_holm < 0.05 ? "distinguishable" : "not distinguishable";
}

static json_t *comparison_json(const comparison *c, double p_holm, double auc_p_holm) {
    const eg_paired *p = &c->paired;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:s, s:o}",
        "a", c->a->name, "b", c->b->name, "split", c->test ? "test" : "val", "test",
        "McNemar exact", "difference", eg_json_real(p->difference), "ci", interval(p->ci), "p",
        eg_json_real(p->p), "p_holm", eg_json_real(p_holm), "only_a", (json_int_t)p->only_a,
        "only_b", (json_int_t)p->only_b, "n", (json_int_t)p->n, "auc_difference",
        eg_json_real(c->auc_difference), "auc_ci", interval(c->auc_ci), "auc_p",
        eg_json_real(c->auc_p), "auc_p_holm", eg_json_real(auc_p_holm), "n_needed",
        eg_json_real(images_needed(p)), "auc_n_needed", eg_json_real(images_needed_auc(c)),
        "verdict", verdict(p_holm), "auc_verdict",
        isnan(auc_p_holm) ? json_null() : json_string(verdict(auc_p_holm)));
}

/* p: room for two p-values a pair. */
static eg_status compare_all(json_t *list, comparison *all, double *p, const eg_finished_run *runs,
                             size_t n, eg_error *err) {
    size_t count = 0;
    double *auc_p = p + n * (n > 0 ? n - 1 : 0) / 2;
    bool test = true;
    for (size_t i = 0; i < n; i++) test = test && runs[i].test.n > 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++, count++) {
            all[count] = (comparison){.a = &runs[i], .b = &runs[j], .test = test};
            EG_TRY(compare_pair(&all[count], err));
            p[count] = all[count].paired.p;
            auc_p[count] = all[count].auc_p;
        }
    }
    eg_holm(p, count);
    eg_holm(auc_p, count);
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(list, comparison_json(&all[i], p[i], auc_p[i])) != 0)
            return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the comparison");
    }
    return EG_OK;
}

eg_status eg_study_compare(json_t **out, const eg_finished_run *runs, size_t n, eg_error *err) {
    size_t n_pairs = n * (n > 0 ? n - 1 : 0) / 2;
    comparison *all = eg_malloc((n_pairs + 1) * sizeof *all);
    double *p = eg_malloc((2 * n_pairs + 1) * sizeof *p);
    json_t *list = json_array();
    eg_status status = all && p && list
                           ? compare_all(list, all, p, runs, n, err)
                           : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the comparison");
    eg_free(all);
    eg_free(p);
    if (status == EG_OK)
        *out = list;
    else
        json_decref(list);
    return status;
}
