/* Named recipes: rows of option values, put where the user said nothing. A recipe is data, so that config.json shows all of
 * it and `--recipe xray --lr 1e-4` is what it says. How a value acts: settings.c and recipe_terms.c. */
#include "study/recipe.h"
#include <string.h>

/* name=value pairs by mode, as they are typed. Frozen values are for the exact head on cached features. Epochs and rates of
 * `xray` are to be settled by cross-validation on training images; see README. */
static const struct {
    const char *name, *finetune, *frozen, *scratch;
} RECIPES[] = {
    {"default", "", "", ""},
    /* a first look: half the epochs, one view */
    {"quick", "epochs=2 sched=onecycle warmup-epochs=0.6", "head=lbfgs C=0.01",
     "epochs=3 sched=onecycle warmup-epochs=0.9"},
    /* chest radiographs: no flips (the heart has a side), layers near the input move little, the average of the weights
     * is kept, the head starts where the frozen features put it (see --mode lp-ft) */
    {"xray",
     "epochs=12 lr=3e-4 layer-decay=0.85 weight-decay=0.05 label-smoothing=0.05 ema=0.99 "
     "clip-grad=1 augment=xray mixup=0.2 tta=5",
     "views=8 augment=xray C=auto tta=5", "epochs=20 lr=1e-3 ema=0.99 augment=xray tta=5"},
    /* long, with everything that keeps a network from learning its images by heart */
    {"strong",
     "epochs=30 lr=3e-4 layer-decay=0.8 weight-decay=0.05 label-smoothing=0.1 ema=0.998 "
     "clip-grad=1 augment=strong mixup=0.2 cutmix=1 average=5 tta=9",
     "views=16 augment=strong C=auto tta=9",
     "epochs=60 lr=1e-3 ema=0.998 label-smoothing=0.1 augment=strong mixup=0.2 cutmix=1 tta=9"},
};

/* Is the option's field what eg_options_init would have left? */
static bool is_fallback(const eg_options *o, const eg_option *option) {
    eg_options fresh;
    eg_options_init(&fresh);
    const char *a = (const char *)o + option->offset, *b = (const char *)&fresh + option->offset;
    switch (option->type) {
    case EG_OPTION_FLAG:
        return *(const bool *)(const void *)a == *(const bool *)(const void *)b;
    case EG_OPTION_INT:
    case EG_OPTION_SIZE:
        return *(const int64_t *)(const void *)a == *(const int64_t *)(const void *)b;
    case EG_OPTION_REAL: /* a NaN was given by nobody */
        return !(*(const double *)(const void *)a < *(const double *)(const void *)b) &&
               !(*(const double *)(const void *)a > *(const double *)(const void *)b);
    case EG_OPTION_TEXT:
    case EG_OPTION_CHOICE:
    default: {
        const char *s = *(const char *const *)(const void *)a;
        const char *t = *(const char *const *)(const void *)b;
        return s == t || (s && t && strcmp(s, t) == 0);
    }
    }
}

static eg_status apply_one(eg_options *o, const char *pair, size_t n, eg_error *err) {
    char text[64];
    size_t n_rows;
    const eg_option *table = eg_option_table(&n_rows);
    if (n >= sizeof text) return eg_fail(err, EG_ERR_INTERNAL, "recipe: '%s' is too long", pair);
    memcpy(text, pair, n);
    text[n] = '\0';
    char *value = strchr(text, '=');
    if (!value) return eg_fail(err, EG_ERR_INTERNAL, "recipe: '%s' is no pair", text);
    *value++ = '\0';
    const eg_option *option = eg_option_find(text, EG_COMMAND_TRAIN);
    if (!option) return eg_fail(err, EG_ERR_INTERNAL, "recipe: --%s is no option", text);
    if (o->given[option - table] || !is_fallback(o, option)) return EG_OK;
    EG_TRY(eg_options_set(o, option, value, err));
    o->given[option - table] = 0;
    return EG_OK;
}

eg_status eg_study_recipe_apply(eg_options *o, eg_run_mode mode, eg_error *err) {
    const char *name = o->recipe ? o->recipe : "default", *pairs = NULL;
    for (size_t i = 0; i < sizeof RECIPES / sizeof *RECIPES; i++) {
        if (strcmp(RECIPES[i].name, name) != 0) continue;
        pairs = mode == EG_RUN_FROZEN    ? RECIPES[i].frozen
                : mode == EG_RUN_SCRATCH ? RECIPES[i].scratch
                                         : RECIPES[i].finetune;
    }
    if (!pairs)
        return eg_fail(err, EG_ERR_USAGE, "--recipe %s: expected default, quick, xray or strong",
                       name);
    while (*pairs) {
        size_t n = strcspn(pairs, " ");
        if (n > 0) EG_TRY(apply_one(o, pairs, n, err));
        pairs += n + (pairs[n] == ' ');
    }
    return EG_OK;
}
