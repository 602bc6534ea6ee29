/* --dtype: which number format a network's values are computed in. "auto" is bf16 where the processor
 * multiplies it natively, else f32; a network with an operator that has no bf16 code stays in f32,
 * whatever was asked. Decided here once for training and scoring alike, before anything runs, so that
 * what config.json and results say is what was used. Knows no run; settings.c keeps the word. */
#include "study/run.h"
#include <stdio.h>
#include <string.h>

const char *eg_study_dtype_name(bool bf16) {
    return bf16 ? "bf16" : "f32";
}

/* Can the network predict, and with `train` also be trained, in bf16? */
static eg_status takes_bf16(bool *out, eg_network *net, bool train, eg_error *err) {
    eg_plan_options o = {.mode = EG_PLAN_PREDICT, .batch = 1, .dropout = -1};
    EG_TRY(eg_plan_takes_bf16(out, net, &o, err));
    if (!train || !*out) return EG_OK;
    o.mode = EG_PLAN_TRAIN;
    o.stochastic = true;
    return eg_plan_takes_bf16(out, net, &o, err);
}

eg_status eg_study_dtype_choose(eg_dtype_choice *out, const char *word, eg_network *net, bool train,
                                eg_error *err) {
    bool native = eg_net_bf16_native(), asked, able = false;
    *out = (eg_dtype_choice){0};
    if (eg_study_is_auto(word))
        asked = native;
    else if (strcmp(word, "bf16") == 0 || strcmp(word, "f32") == 0)
        asked = word[0] == 'b';
    else
        return eg_fail(err, EG_ERR_USAGE, "--dtype %s: expected auto, f32 or bf16", word);
    if (!asked) return EG_OK;
    EG_TRY(takes_bf16(&able, net, train, err));
    out->bf16 = able;
    if (!able)
        snprintf(out->note, sizeof out->note,
                 "%s: computed in f32, for one of its operators has no bf16 form",
                 eg_network_info(net)->name);
    else if (!native)
        snprintf(out->note, sizeof out->note,
                 "bf16: this processor has no instructions for it, so it is imitated and slow - "
                 "--dtype f32 is faster here");
    return EG_OK;
}

eg_status eg_study_dtype_for(eg_dtype_choice *out, const char *word, const eg_arch_info *arch,
                             int side, bool train, eg_error *err) {
    eg_network *outline = NULL;
    EG_TRY(eg_network_outline(&outline, arch, 2, side, err));
    eg_status status = eg_study_dtype_choose(out, word, outline, train, err);
    eg_network_free(outline);
    return status;
}

eg_status eg_study_dtype_of_run(eg_dtype_choice *out, const eg_opened_run *run, const char *word,
                                const eg_events *ev, eg_error *err) {
    EG_TRY(eg_study_dtype_choose(out, eg_study_is_auto(word) ? run->dtype : word, run->net, false,
                                 err));
    if (out->note[0]) eg_study_note(ev, "%s", out->note);
    return EG_OK;
}
