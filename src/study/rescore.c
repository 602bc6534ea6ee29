/* eval --predictions: figures from a CSV of class probabilities, of a run or of anything else, without network or images.
 * Classes are the p_ columns in their order; the second is the positive one. Patients come from a split.csv beside the
 * file, as run folders have it. A run's predictions-test.csv is a look at its test set and goes into its ledger.
 * Read first: evaluation.h.                                                                                       */
#include "study/evaluation.h"

#include <math.h>
#include <string.h>

#define ROW_SUM_TOLERANCE 1e-3 /* of a row's probabilities against 1; files are often rounded */

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for predictions");
}

/* The run folder that the file lies in, eg_free; NULL: none, or no memory. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *dir =
        slash ? eg_format("%.*s", slash == path ? 1 : (int)(slash - path), path) : eg_strdup(".");
    char *config = dir ? eg_path_join(dir, "config.json") : NULL;
    bool is_run = config && eg_path_exists(config);
    eg_free(config);
    if (is_run) return dir;
    eg_free(dir);
    return NULL;
}

/* Of a run's own file: the split in its name. */
static const char *split_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return strcmp(name, "predictions-test.csv") == 0  ? "test"
           : strcmp(name, "predictions-val.csv") == 0 ? "val"
                                                      : NULL;
}

static eg_status check_sums(const eg_scores *s, const char *path, eg_error *err) {
    if (s->n == 0) return eg_fail(err, EG_ERR_INPUT, "%s: has no rows", path);
    for (size_t i = 0; i < s->n; i++) {
        double sum = 0;
        for (int k = 0; k < s->n_classes; k++) sum += s->prob[i * (size_t)s->n_classes + (size_t)k];
        if (fabs(sum - 1) > ROW_SUM_TOLERANCE)
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: row %zu: its probabilities add up to %.6g, expected 1", path, i + 2,
                           sum);
    }
    return EG_OK;
}

static eg_status rescore(json_t **out, eg_scores *s, eg_study_class_list *classes, const char *dir,
                         const eg_options *o, eg_error *err) {
    int32_t *patient = NULL;
    const char *path = o->predictions, *split = dir ? split_of(path) : NULL;
    char *val = NULL;
    EG_TRY(check_sums(s, path, err));
    if (dir) EG_TRY(eg_study_patients_read(&patient, dir, s, err));
    if (o->val_predictions && *o->val_predictions)
        val = eg_strdup(o->val_predictions);
    else if (dir)
        val = eg_path_join(dir, "predictions-val.csv");
    if (!val && (dir || o->val_predictions)) {
        eg_free(patient);
        return no_memory(err);
    }
    const eg_evaluation e = {.scored = s,
                             .classes = classes->names,
                             .split = split,
                             .val_path = val,
                             .patient = patient,
                             .o = o};
    eg_status status = eg_study_evaluation_json(out, &e, err);
    if (status == EG_OK && split && strcmp(split, "test") == 0)
        status = eg_study_ledger_note(
            *out, dir, &(eg_test_look){"eval", NULL, "metrics of predictions-test.csv"}, err);
    if (status == EG_OK) status = eg_study_evaluation_out_write(*out, s, classes->names, o, err);
    eg_free(val);
    eg_free(patient);
    return status;
}

eg_status eg_study_rescore(json_t **out, const eg_options *o, const eg_events *ev, eg_error *err) {
    eg_study_class_list classes;
    eg_scores s = {0};
    json_t *json = NULL;
    EG_TRY(eg_study_choice_check(o, split_of(o->predictions), 0, err));
    EG_TRY(eg_study_scores_classes(&classes, o->predictions, err));
    eg_status status = eg_study_scores_read(&s, o->predictions, classes.names, classes.n, err);
    if (status == EG_OK) {
        char *dir = folder_of(o->predictions);
        if (!dir)
            eg_study_note(ev, "%s: not in a run folder, so no ledger counts this look",
                          o->predictions);
        status = rescore(&json, &s, &classes, dir, o, err);
        eg_free(dir);
    }
    eg_study_scores_free(&s);
    eg_study_class_list_free(&classes);
    if (status == EG_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}
