/* eg_export: a trained network, or a plain weights file, in a format that others read. A run brings its classes,
 * preprocessing and threshold, which go into the metadata of safetensors and ONNX; of a plain file the architecture is
 * recognised by its tensors, or told with --model, and the preprocessing is the weights' own. The formats themselves
 * are the net and codec rooms'. Read first: checkpoint.c (what a run's file holds).                            */
#include "study/run.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- which format ---- */

typedef enum { FORMAT_PTH, FORMAT_SAFETENSORS, FORMAT_ONNX, FORMAT_COUNT } format;
static const char *const FORMAT_NAMES[FORMAT_COUNT] = {"pth", "safetensors", "onnx"};
static const char *const FORMAT_ENDINGS[FORMAT_COUNT] = {".pth", ".safetensors", ".onnx"};

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* --format, or else the ending of --out; .pt is as common as .pth. */
static eg_status settle_format(format *out, const eg_options *o, eg_error *err) {
    for (int f = 0; f < FORMAT_COUNT; f++)
        if (o->format ? strcmp(o->format, FORMAT_NAMES[f]) == 0
                      : ends_with(o->out, FORMAT_ENDINGS[f])) {
            *out = (format)f;
            return EG_OK;
        }
    if (!o->format && ends_with(o->out, ".pt")) {
        *out = FORMAT_PTH;
        return EG_OK;
    }
    return eg_fail(err, EG_ERR_USAGE,
                   "--out %s: its ending is no format - add --format pth, safetensors or onnx",
                   o->out);
}

/* Everything that can be refused before a file is read. */
static eg_status check_options(format *f, const eg_options *o, eg_error *err) {
    if (!o->out || !*o->out)
        return eg_fail(err, EG_ERR_USAGE, "export: --out is missing: the file to write");
    EG_TRY(settle_format(f, o, err));
    if (*f != FORMAT_ONNX && (o->keep_bn || o->with_preprocessing))
        return eg_fail(err, EG_ERR_USAGE, "--%s: goes with --format onnx only",
                       o->keep_bn ? "keep-bn" : "with-preprocessing");
    if (eg_path_is_dir(o->out))
        return eg_fail(err, EG_ERR_USAGE, "--out %s: is a directory; name a file", o->out);
    if (eg_path_exists(o->out) && !o->overwrite)
        return eg_fail(err, EG_ERR_USAGE,
                       "--out %s: exists - choose another name, or replace it with --overwrite",
                       o->out);
    return EG_OK;
}

/* ---- the network ---- */

/* Number of classes of a plain weights file: rows of the last layer. */
static eg_status count_classes(int *out, const eg_arch_info *arch, const eg_state_dict *sd,
                               eg_error *err) {
    eg_network *outline = NULL;
    size_t n;
    EG_TRY(eg_network_outline(&outline, arch, 1000, 0, err));
    const eg_net_tensor *t = eg_network_tensors(outline, &n);
    const eg_tensor *head = NULL;
    for (size_t i = 0; i < n && !head; i++)
        if (t[i].is_head && !t[i].is_aux) head = eg_network_bound(outline, sd, t[i].name);
    eg_network_free(outline);
    if (!head || head->n_dims < 1 || head->dims[0] < 1 || head->dims[0] > 100000)
        return eg_fail(err, EG_ERR_MISMATCH, "has no last layer of %s: nothing to give logits",
                       arch->name);
    *out = (int)head->dims[0];
    return EG_OK;
}

/* `r` is filled as far as a plain file says something: no class names, and so no threshold either (NaN). */
static eg_status load_plain(eg_opened_run *r, const eg_state_dict *sd, const eg_options *o,
                            eg_error *err) {
    const eg_arch_info *arch = o->model ? eg_arch_find(o->model) : eg_arch_guess(sd);
    char hint[EG_ARCH_HINT];
    bool head = false;
    if (!arch && o->model)
        return eg_fail(err, EG_ERR_NOT_FOUND, "network '%s' is unknown - %s", o->model,
                       eg_arch_hint(hint, o->model));
    if (!arch)
        return eg_fail(err, EG_ERR_MISMATCH,
                       "its tensors are those of no known network - name one with --model (see "
                       "engraft models)");
    EG_TRY(eg_study_preset(&r->preprocess, arch, "weights", o->img_size, err));
    EG_TRY(count_classes(&r->n_classes, arch, sd, err));
    r->threshold = NAN;
    r->model = eg_strdup(arch->name);
    if (!r->model) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    EG_TRY(eg_network_new(&r->net, arch->name, r->n_classes, r->preprocess.crop, err));
    EG_TRY(eg_network_load(r->net, sd, &head, err));
    if (!head) return eg_fail(err, EG_ERR_MISMATCH, "its last layer is not whole");
    return EG_OK;
}

/* A checkpoint of engraft train says everything itself. */
static eg_status load_run(eg_opened_run *r, const eg_state_dict *sd, const eg_options *o,
                          eg_error *err) {
    EG_TRY(eg_study_run_from(r, sd, err));
    if (o->model && strcmp(o->model, r->model) != 0)
        return eg_fail(err, EG_ERR_USAGE, "--model %s: the network is %s", o->model, r->model);
    if (o->img_size > 0 && o->img_size != r->preprocess.crop)
        return eg_fail(err, EG_ERR_USAGE, "--img-size %lld: it was trained with %d pixels",
                       (long long)o->img_size, r->preprocess.crop);
    return EG_OK;
}

/* A directory is a run; a file is a checkpoint when it carries class names, else plain weights. Usage errors are about
 * the command line, so they do not begin with the file. */
static eg_status load(eg_opened_run *r, const char *source, const eg_options *o, eg_error *err) {
    eg_state_dict *sd = NULL;
    if (!eg_path_exists(source))
        return eg_fail(err, EG_ERR_NOT_FOUND, "%s: no such run and no such file", source);
    char *path =
        eg_path_is_dir(source) ? eg_path_join(source, "best.safetensors") : eg_strdup(source);
    if (!path) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    eg_status status = eg_weights_read(&sd, path, err);
    if (status == EG_OK) {
        bool run = eg_state_dict_metadata(sd, "classes") != NULL;
        status = run ? load_run(r, sd, o, err) : load_plain(r, sd, o, err);
        if (status != EG_OK && status != EG_ERR_USAGE) status = eg_error_in(err, status, path);
    }
    eg_state_dict_free(sd);
    eg_free(path);
    return status;
}

/* ---- metadata ---- */

enum { MAX_METADATA = 9 };
typedef struct {
    char *classes, *preset, *description; /* eg_free; classes NULL: not known */
    char threshold[32];
    eg_text_pair pairs[MAX_METADATA];
    size_t n;
} metadata;

static void add_pair(metadata *m, const char *key, const char *value) {
    if (value) m->pairs[m->n++] = (eg_text_pair){key, value};
}

/* What the numbers mean, for people who open the file in a viewer. */
static char *describe(const eg_opened_run *r, const metadata *m, bool with_preprocessing) {
    const eg_preprocess *p = &r->preprocess;
    const char *filter = p->interp == EG_INTERP_BICUBIC ? "bicubic" : "bilinear";
    char fit[128];
    if (p->fit == EG_FIT_SQUASH)
        snprintf(fit, sizeof fit, "image resized to %d x %d (%s, antialiased)", p->crop, p->crop,
                 filter);
    else
        snprintf(fit, sizeof fit, "shorter side resized to %d (%s, antialiased), centre %d x %d",
                 p->resize, filter, p->crop, p->crop);
    return eg_format(
        "%s. Input: %s; RGB, %s. Output: logits of %d classes (no softmax)%s%s.", r->model, fit,
        with_preprocessing ? "uint8 0 to 255, (N,H,W,3); scaling and normalisation are "
                             "in the graph"
                           : "float32, (N,3,H,W), pixel / 255 minus mean, over std "
                             "(see metadata 'preprocessing')",
        r->n_classes, m->classes ? ": " : "", m->classes ? m->classes : "");
}

/* The keys are those of a checkpoint (checkpoint.c), so that an exported safetensors file works as one: engraft predict
 * takes it. `m` is to be freed after a failure too. */
static eg_status make_metadata(metadata *m, const eg_opened_run *r, const eg_options *o, format f,
                               eg_error *err) {
    json_t *preset = eg_study_preset_json(&r->preprocess);
    *m = (metadata){0};
    if (r->classes_json) m->classes = eg_json_text(r->classes_json, true);
    m->preset = preset ? eg_json_text(preset, true) : NULL;
    json_decref(preset);
    m->description = describe(r, m, o->with_preprocessing);
    if ((r->classes_json && !m->classes) || !m->preset || !m->description)
        return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    snprintf(m->threshold, sizeof m->threshold, "%.9g", r->threshold);
    add_pair(m, "engraft", ENGRAFT_VERSION);
    add_pair(m, "model", r->model);
    add_pair(m, "classes", m->classes);
    add_pair(m, "preprocessing", m->preset);
    if (!isnan(r->threshold)) add_pair(m, "threshold", m->threshold);
    add_pair(m, "dtype", r->dtype); /* a run's; predict goes on in it */
    if (f == FORMAT_ONNX)
        add_pair(m, "preprocessing_in_graph", o->with_preprocessing ? "scale,normalize" : "none");
    return EG_OK;
}

static void free_metadata(metadata *m) {
    eg_free(m->classes);
    eg_free(m->preset);
    eg_free(m->description);
}

/* ---- writing ---- */

static eg_status write_file(const eg_opened_run *r, const eg_options *o, format f,
                            const metadata *m, eg_error *err) {
    if (f == FORMAT_PTH) return eg_network_save_torch(r->net, o->out, err);
    if (f == FORMAT_SAFETENSORS) return eg_network_save(r->net, o->out, m->pairs, m->n, err);
    eg_onnx_options onnx = {.keep_bn = o->keep_bn,
                            .with_preprocessing = o->with_preprocessing,
                            .description = m->description};
    memcpy(onnx.mean, r->preprocess.mean, sizeof onnx.mean);
    memcpy(onnx.std, r->preprocess.std, sizeof onnx.std);
    return eg_network_save_onnx(r->net, o->out, &onnx, m->pairs, m->n, err);
}

/* What was written, read back from the disk: its size and SHA-256. */
static eg_status result_json(json_t **out, const char *source, const eg_opened_run *r,
                             const eg_options *o, format f, const metadata *m, eg_error *err) {
    char hash[65];
    eg_file_view view;
    EG_TRY(eg_sha256_file(hash, o->out, err));
    EG_TRY(eg_file_open(&view, o->out, (size_t)1 << 40, err));
    size_t bytes = view.size;
    eg_file_close(&view);
    *out = json_pack("{s:s, s:s, s:s, s:s, s:i, s:O?, s:I, s:I, s:s, s:s}", "file", o->out,
                     "format", FORMAT_NAMES[f], "source", source, "model", r->model, "n_classes",
                     r->n_classes, "classes", r->classes_json, "n_parameters",
                     (json_int_t)eg_network_parameters(r->net, false), "bytes", (json_int_t)bytes,
                     "sha256", hash, "description", m->description);
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

eg_status eg_export(eg_doc **out, const char *source, const eg_options *o, eg_error *err) {
    eg_opened_run r = {0};
    metadata m = {0};
    json_t *json = NULL;
    format f = FORMAT_PTH;
    EG_TRY(check_options(&f, o, err));
    eg_status status = load(&r, source, o, err);
    if (status == EG_OK) status = make_metadata(&m, &r, o, f, err);
    if (status == EG_OK) status = write_file(&r, o, f, &m, err);
    if (status == EG_OK) status = result_json(&json, source, &r, o, f, &m, err);
    free_metadata(&m);
    eg_study_run_close(&r);
    EG_TRY(status);
    *out = eg_doc_new(json, "export");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
