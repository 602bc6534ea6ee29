/* The pairs of a study: models x modes in the user's order, each with resolved settings, and the
 * pairs that make no sense with the reason why. Opens the weights files (to hash them), no images.
 * */
#include "study/study_plan.h"
#include <stdio.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

/* Next name of "a, b,c" into `name`; false at the end. */
static bool next_name(char name[64], const char **at) {
    *at += strspn(*at, ", ");
    size_t n = strcspn(*at, ", ");
    if (n == 0) return false;
    snprintf(name, 64, "%.*s", (int)(n < 64 ? n : 63), *at);
    *at += n;
    return true;
}

static eg_status parse_models(eg_study_plan *p, const char *text, eg_error *err) {
    char name[64], hint[EG_ARCH_HINT];
    p->models = eg_calloc(eg_arch_count() + 1, sizeof *p->models);
    if (!p->models) return no_memory(err);
    for (const char *at = text ? text : ""; next_name(name, &at);) {
        const eg_arch_info *arch = eg_arch_find(name);
        bool repeated = false;
        if (!arch)
            return eg_fail(err, EG_ERR_USAGE, "--models: %s is unknown; %s", name,
                           eg_arch_hint(hint, name));
        for (size_t i = 0; i < p->n_models; i++) repeated = repeated || p->models[i] == arch;
        if (!repeated) p->models[p->n_models++] = arch;
    }
    if (p->n_models == 0)
        return eg_fail(err, EG_ERR_USAGE, "--models: name at least one, for example --models %s,%s",
                       eg_arch_at(0)->name, eg_arch_at(eg_arch_count() - 1)->name);
    return EG_OK;
}

static eg_status parse_modes(eg_run_mode modes[EG_RUN_MODE_COUNT], size_t *n, const char *text,
                             eg_error *err) {
    char name[64];
    *n = 0;
    for (const char *at = text ? text : "finetune,frozen"; next_name(name, &at);) {
        eg_run_mode mode;
        bool repeated = false;
        if (!eg_study_mode_parse(&mode, name))
            return eg_fail(err, EG_ERR_USAGE,
                           "--modes: %s is unknown; expected finetune, frozen, scratch, lp-ft",
                           name);
        for (size_t i = 0; i < *n; i++) repeated = repeated || modes[i] == mode;
        if (!repeated) modes[(*n)++] = mode;
    }
    return *n > 0 ? EG_OK
                  : eg_fail(err, EG_ERR_USAGE,
                            "--modes: name at least one of finetune, frozen, scratch, lp-ft");
}

/* Why a pair makes no sense; *reason NULL when it does. */
static eg_status reason_to_skip(const char **reason, const eg_arch_info *arch, eg_run_mode mode,
                                const eg_options *o, const eg_events *ev, eg_error *err) {
    char *path = NULL;
    *reason = NULL;
    if (mode == EG_RUN_SCRATCH) return EG_OK;
    if (arch->scratch_only) {
        *reason = "no pretrained weights of this network exist: mode scratch only";
        return EG_OK;
    }
    EG_TRY(eg_study_weights_find(&path, o->weights, arch->name, err));
    if (!path) {
        eg_cached_weights found;
        EG_TRY(eg_study_weights_cached(&found, arch->name, arch->weights_file, arch->weights_sha256,
                                       o, err));
        path = found.path;
        if (!path && found.wrong[0]) eg_study_note(ev, "%s", found.wrong);
    }
    if (!path)
        *reason =
            arch->weights_url
                ? "no pretrained weights here: engraft pull gets them, or --weights MODEL=FILE"
                : "no pretrained weights here: scripts/fetch_weights gets them, or --weights "
                  "MODEL=FILE";
    eg_free(path);
    return EG_OK;
}

static eg_status add_pair(eg_study_plan *p, const eg_arch_info *arch, eg_run_mode mode,
                          const eg_options *o, const eg_events *ev, eg_error *err) {
    const char *reason, *name = eg_study_mode_name(mode);
    EG_TRY(reason_to_skip(&reason, arch, mode, o, ev, err));
    if (!reason) {
        eg_settings *s = &p->runs[p->n_runs];
        EG_TRY(eg_study_settings_resolve(s, o, arch->name, name, err));
        eg_study_settings_say(s, p->n_runs > 0 ? s - 1 : NULL, ev);
        p->n_runs++;
        return EG_OK;
    }
    eg_study_note(ev, "skipped: %s-%s: %s", arch->name, name, reason);
    json_t *json =
        json_pack("{s:s, s:s, s:s}", "model", arch->name, "mode", name, "reason", reason);
    return json_array_append_new(p->skipped, json) == 0 ? EG_OK : no_memory(err);
}

/* A plain --weights FILE cannot belong to two networks. */
static eg_status check_plain(const eg_study_plan *p, eg_error *err) {
    for (size_t i = 0; i < p->n_runs; i++) {
        for (size_t j = 0; j < i; j++) {
            const eg_settings *a = &p->runs[j], *b = &p->runs[i];
            if (a->arch != b->arch && a->o.weights && b->o.weights &&
                strcmp(a->o.weights, b->o.weights) == 0)
                return eg_fail(
                    err, EG_ERR_USAGE,
                    "--weights %s: stands for both %s and %s; write --weights MODEL=FILE",
                    a->o.weights, a->arch->name, b->arch->name);
        }
    }
    return EG_OK;
}

static eg_status make(eg_study_plan *p, const eg_options *o, const eg_events *ev, eg_error *err) {
    eg_run_mode modes[EG_RUN_MODE_COUNT];
    size_t n_modes;
    EG_TRY(parse_models(p, o->models, err));
    EG_TRY(parse_modes(modes, &n_modes, o->modes, err));
    p->skipped = json_array();
    p->runs = eg_calloc(p->n_models * n_modes, sizeof *p->runs);
    if (!p->skipped || !p->runs) return no_memory(err);
    for (size_t m = 0; m < p->n_models; m++) {
        for (size_t k = 0; k < n_modes; k++)
            EG_TRY(add_pair(p, p->models[m], modes[k], o, ev, err));
    }
    if (p->n_runs == 0)
        return eg_fail(err, EG_ERR_USAGE,
                       "study: no pair of --models and --modes is left: %s-%s: %s",
                       p->models[0]->name, eg_study_mode_name(modes[0]),
                       json_string_value(json_object_get(json_array_get(p->skipped, 0), "reason")));
    return check_plain(p, err);
}

eg_status eg_study_plan_make(eg_study_plan *out, const eg_options *o, const eg_events *ev,
                             eg_error *err) {
    eg_study_plan p = {0};
    eg_status status = make(&p, o, ev, err);
    if (status == EG_OK)
        *out = p;
    else
        eg_study_plan_free(&p);
    return status;
}

void eg_study_plan_free(eg_study_plan *plan) {
    for (size_t i = 0; i < plan->n_runs; i++) eg_study_settings_free(&plan->runs[i]);
    eg_free(plan->runs);
    eg_free(plan->models);
    json_decref(plan->skipped);
    *plan = (eg_study_plan){0};
}
