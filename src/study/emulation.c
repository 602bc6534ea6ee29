/* What another program's meaning of "frozen" costs: the same run again with a trunk that stays still, into DIR/still, and both
 * side by side. How each meaning is trained: recipe_terms.c; which tensors it changed: freeze.c. Read first: recipe.h. */
#include "study/recipe.h"
#include <math.h>
#include <string.h>

/* {figure of this run, the still run's, difference} of one split; null without it. */
static json_t *beside(const json_t *here, const json_t *still) {
    static const char *const FIGURES[] = {"accuracy", "auc", "loss"};
    if (!json_is_object(here) || !json_is_object(still)) return json_null();
    json_t *object = json_object();
    for (size_t i = 0; object && i < sizeof FIGURES / sizeof *FIGURES; i++) {
        double a = eg_study_number(here, FIGURES[i]), b = eg_study_number(still, FIGURES[i]);
        json_t *row = json_pack("{s:o, s:o, s:o}", "emulated", eg_json_real(a), "still",
                                eg_json_real(b), "difference", eg_json_real(a - b));
        json_object_set_new(object, FIGURES[i], row);
    }
    return object;
}

/* The head by the same recipe on a trunk that does not move. */
static eg_status run_still(json_t **out, const eg_run *run, eg_error *err) {
    eg_settings still = *run->s;
    still.o.emulate = "none";
    still.o.bn = "frozen";
    still.bn = EG_BN_FROZEN;
    still.stochastic = false;
    still.live = still.augmented || still.arch->conv_head;
    char *dir = eg_path_join(run->dir, "still");
    if (!dir) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    eg_study_note(run->ev, "--emulate %s: the same recipe with a still trunk, for comparison (%s)",
                  run->s->o.emulate, dir);
    eg_run other = {.s = &still, .data = run->data, .dir = dir, .ev = run->ev};
    eg_status status = eg_study_dir_prepare(dir, true, err);
    if (status == EG_OK) status = eg_study_run_execute(out, &other, err);
    eg_free(dir);
    return status;
}

eg_status eg_study_emulation_cost(json_t **out, const eg_run *run, const json_t *freeze,
                                  const json_t *val, const json_t *test, eg_error *err) {
    json_t *still = NULL;
    if (!eg_study_emulation(run->s->o.emulate)) return EG_OK;
    double checked = eg_study_number(freeze, "checked");
    double changed = checked - eg_study_number(freeze, "identical");
    if (changed > 0) EG_TRY(run_still(&still, run, err)); /* else it is that run */
    json_t *here = beside(val, json_object_get(still, "val"));
    double cost = eg_study_number(json_object_get(here, "loss"), "difference");
    if (still)
        eg_study_note(run->ev,
                      "--emulate %s: %.0f of %.0f tensors of the frozen trunk changed; validation "
                      "loss %+.4f against a still trunk",
                      run->s->o.emulate, changed, checked, cost);
    *out = json_pack("{s:s, s:I, s:I, s:o, s:o}", "emulate", run->s->o.emulate, "changed",
                     (json_int_t)changed, "checked", (json_int_t)checked, "val", here, "test",
                     beside(test, json_object_get(still, "test")));
    json_decref(still);
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
