/* Checkpoints: the whole network as safetensors with what is needed to use it (classes,
 * preprocessing, operating threshold) in its metadata, and a run opened from one. Nothing about
 * time or place goes in, so that the same seed gives the same bytes. */
#include "study/run.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

eg_status eg_study_checkpoint_save(const eg_run *run, const char *path, int64_t epoch,
                                   double threshold, eg_error *err) {
    char epoch_text[24], threshold_text[32], tta_text[24];
    snprintf(tta_text, sizeof tta_text, "%lld", (long long)run->s->o.tta);
    snprintf(epoch_text, sizeof epoch_text, "%lld", (long long)epoch);
    snprintf(threshold_text, sizeof threshold_text, "%.9g", threshold);
    json_t *preprocessing = eg_study_preset_json(&run->s->preprocess);
    char *classes = eg_json_text(json_object_get(run->data->json, "classes"), true);
    char *preset = preprocessing ? eg_json_text(preprocessing, true) : NULL;
    eg_status status = EG_OK;
    if (!classes || !preset) {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", path);
    } else {
        const eg_text_pair metadata[] = {
            {"engraft", ENGRAFT_VERSION},
            {"model", run->s->arch->name},
            {"mode", eg_study_mode_name(run->s->mode)},
            {"classes", classes},
            {"preprocessing", preset},
            {"threshold", threshold_text},
            {"epoch", epoch_text},
            {"weights_sha256", run->s->weights_sha256},
            {"dtype", eg_study_dtype_name(run->s->bf16)},
            {"tta", tta_text},
        };
        status = eg_network_save(run->net, path, metadata, sizeof metadata / sizeof *metadata, err);
    }
    eg_free(classes);
    eg_free(preset);
    json_decref(preprocessing);
    return status;
}

eg_status eg_study_checkpoint_load(eg_network *net, const char *path, eg_error *err) {
    eg_state_dict *sd = NULL;
    bool head = false;
    EG_TRY(eg_weights_read(&sd, path, err));
    eg_status status = eg_network_load(net, sd, &head, err);
    if (status == EG_OK && !head)
        status = eg_fail(err, EG_ERR_MISMATCH, "the last layer has another number of classes");
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_state_dict_free(sd);
    return status;
}

/* Metadata that is JSON. */
static eg_status metadata_json(json_t **out, const eg_state_dict *sd, const char *key,
                               eg_error *err) {
    const char *text = eg_state_dict_metadata(sd, key);
    if (!text)
        return eg_fail(err, EG_ERR_INPUT,
                       "metadata has no '%s': this is not a checkpoint of engraft train - give a "
                       "run directory",
                       key);
    eg_status status = eg_json_parse(out, text, strlen(text), err);
    return status == EG_OK ? status : eg_error_in(err, status, key);
}

static eg_status read_classes(eg_opened_run *r, const eg_state_dict *sd, eg_error *err) {
    EG_TRY(metadata_json(&r->classes_json, sd, "classes", err));
    size_t n = json_array_size(r->classes_json);
    if (n < 2 || n > 100000)
        return eg_fail(err, EG_ERR_INPUT, "metadata 'classes' lists %zu classes", n);
    r->n_classes = (int)n;
    r->classes = eg_calloc(n, sizeof *r->classes);
    if (!r->classes) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    for (size_t k = 0; k < n; k++) {
        const json_t *name = json_array_get(r->classes_json, k);
        if (!json_is_string(name))
            return eg_fail(err, EG_ERR_INPUT, "metadata 'classes': not all are names");
        r->classes[k] = (char *)json_string_value(name);
    }
    return EG_OK;
}

static eg_status open_into(eg_opened_run *r, const eg_state_dict *sd, eg_error *err) {
    json_t *preset = NULL;
    bool head = false;
    EG_TRY(read_classes(r, sd, err));
    EG_TRY(metadata_json(&preset, sd, "preprocessing", err));
    eg_status status = eg_study_preset_parse(&r->preprocess, preset, err);
    json_decref(preset);
    EG_TRY(status);
    const char *threshold = eg_state_dict_metadata(sd, "threshold");
    if (!threshold || !eg_parse_real(&r->threshold, threshold)) r->threshold = 0.5;
    const char *dtype = eg_state_dict_metadata(sd, "dtype"); /* absent: there was only f32 then */
    r->dtype = eg_study_dtype_name(dtype && strcmp(dtype, "bf16") == 0);
    const char *tta =
        eg_state_dict_metadata(sd, "tta"); /* absent: images were scored as they are */
    int64_t n_views;
    r->tta = tta && eg_parse_int(&n_views, tta) && n_views >= 1 && n_views <= 64 ? (int)n_views : 1;
    const char *model = eg_state_dict_metadata(sd, "model");
    if (!model) return eg_fail(err, EG_ERR_INPUT, "metadata has no 'model'");
    r->model = eg_strdup(model);
    if (!r->model) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    EG_TRY(eg_network_new(&r->net, model, r->n_classes, r->preprocess.crop, err));
    EG_TRY(eg_network_load(r->net, sd, &head, err));
    if (!head)
        return eg_fail(err, EG_ERR_MISMATCH,
                       "the last layer does not have the %d classes of the metadata", r->n_classes);
    return EG_OK;
}

eg_status eg_study_run_from(eg_opened_run *out, const eg_state_dict *sd, eg_error *err) {
    eg_opened_run r = {.threshold = 0.5};
    eg_status status = open_into(&r, sd, err);
    if (status == EG_OK)
        *out = r;
    else
        eg_study_run_close(&r);
    return status;
}

eg_status eg_study_run_open(eg_opened_run *out, const char *run, eg_error *err) {
    eg_state_dict *sd = NULL;
    if (!eg_path_exists(run))
        return eg_fail(err, EG_ERR_NOT_FOUND,
                       "%s: no such run - give the directory engraft train wrote", run);
    char *path = eg_path_is_dir(run) ? eg_path_join(run, "best.safetensors") : eg_strdup(run);
    if (!path) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    eg_status status = eg_weights_read(&sd, path, err);
    if (status == EG_OK) {
        status = eg_study_run_from(out, sd, err);
        if (status != EG_OK) status = eg_error_in(err, status, path);
    }
    eg_state_dict_free(sd);
    eg_free(path);
    return status;
}

void eg_study_run_close(eg_opened_run *r) {
    eg_network_free(r->net);
    eg_free(r->model);
    eg_free(r->classes);
    json_decref(r->classes_json);
    *r = (eg_opened_run){0};
}
