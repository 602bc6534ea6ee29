/* eg_inspect: what a file is and what is in it: a weights file (container, pickle globals,
 * tensors), an image, an .npz, a run or a study. Recognised by content. Executes nothing: the
 * readers are the codec room's. A file that is refused is an error with its reason. */
#include "study/run.h"
#include <math.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

/* ---- weights ---- */

static json_t *shape_json(const int64_t *dims, int n_dims) {
    json_t *shape = json_array();
    bool ok = shape != NULL;
    for (int d = 0; ok && d < n_dims; d++)
        ok = json_array_append_new(shape, json_integer((json_int_t)dims[d])) == 0;
    if (ok) return shape;
    json_decref(shape);
    return NULL;
}

/* Name, type, shape and the range of values; `values` is scratch of at least the tensor's elements.
 * */
static json_t *tensor_json(const eg_tensor *t, float *values) {
    size_t n = eg_tensor_count(t), finite = 0, n_nan = 0;
    double low = INFINITY, high = -INFINITY, sum = 0;
    bool numbers = eg_tensor_to_f32(values, t);
    for (size_t i = 0; numbers && i < n; i++) {
        double v = (double)values[i];
        n_nan += isnan(v) != 0;
        if (!isfinite(v)) continue;
        finite++;
        sum += v;
        if (v < low) low = v;
        if (v > high) high = v;
    }
    bool any = numbers && finite > 0;
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "name", t->name, "dtype",
                     eg_dtype_name(t->dtype), "shape", shape_json(t->dims, t->n_dims), "min",
                     any ? eg_json_real(low) : json_null(), "max",
                     any ? eg_json_real(high) : json_null(), "mean",
                     any ? eg_json_real(sum / (double)finite) : json_null(), "finite",
                     numbers ? json_boolean(finite == n) : json_null(), "nan", (json_int_t)n_nan,
                     "inf", (json_int_t)(numbers ? n - finite - n_nan : 0));
}

static eg_status tensors_json(json_t **out, json_int_t *n_elements, const eg_state_dict *sd,
                              eg_error *err) {
    size_t largest = 1, n = eg_state_dict_count(sd);
    *n_elements = 0;
    for (size_t i = 0; i < n; i++) {
        size_t count = eg_tensor_count(eg_state_dict_at(sd, i));
        *n_elements += (json_int_t)count;
        if (count > largest) largest = count;
    }
    float *values = eg_malloc(largest * sizeof *values);
    json_t *list = json_array();
    bool ok = values && list;
    for (size_t i = 0; ok && i < n; i++)
        ok = json_array_append_new(list, tensor_json(eg_state_dict_at(sd, i), values)) == 0;
    eg_free(values);
    if (!ok) {
        json_decref(list);
        return no_memory(err);
    }
    *out = list;
    return EG_OK;
}

/* The metadata that engraft writes, and those of other writers that are common. */
static json_t *metadata_json(const eg_state_dict *sd) {
    static const char *const KEYS[] = {"engraft",        "model",     "mode",  "classes",
                                       "preprocessing",  "threshold", "epoch", "weights_sha256",
                                       "engraft.sha256", "format"};
    json_t *object = json_object();
    for (size_t i = 0; object && i < sizeof KEYS / sizeof *KEYS; i++) {
        const char *value = eg_state_dict_metadata(sd, KEYS[i]);
        if (value && json_object_set_new(object, KEYS[i], json_string(value)) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* What the guessed network makes of the file: its parameters, and the classes of its head there
 * (null: the file has none). */
static eg_status guess_json(json_t *entry, const eg_arch_info *guess, const eg_state_dict *sd,
                            eg_error *err) {
    eg_network *net = NULL;
    size_t n, parameters = 0;
    json_int_t classes = 0;
    if (!guess) return EG_OK;
    EG_TRY(eg_network_outline(&net, guess, 1000, 0, err));
    const eg_net_tensor *tensors = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++) {
        const eg_tensor *given = eg_network_bound(net, sd, tensors[i].name);
        if (!given || tensors[i].role != EG_TENSOR_PARAMETER) continue;
        parameters += eg_tensor_count(given);
        if (tensors[i].is_head && !tensors[i].is_aux && given->n_dims >= 2)
            classes = (json_int_t)given->dims[0];
    }
    eg_network_free(net);
    bool ok =
        json_object_set_new(entry, "n_parameters", json_integer((json_int_t)parameters)) == 0 &&
        json_object_set_new(entry, "n_classes", classes ? json_integer(classes) : json_null()) == 0;
    return ok ? EG_OK : no_memory(err);
}

/* The reader has checked CRCs, structure and the stored digest by the time it returns; `verified`
 * says that it did. */
static eg_status inspect_weights(json_t **out, const char *path, json_t *globals,
                                 const char *container, bool verified, eg_error *err) {
    eg_state_dict *sd = NULL;
    json_t *tensors = NULL;
    json_int_t n_elements = 0;
    char hash[65];
    EG_TRY(eg_weights_read(&sd, path, err));
    eg_status status = eg_sha256_file(hash, path, err);
    if (status == EG_OK) status = tensors_json(&tensors, &n_elements, sd, err);
    if (status == EG_OK) {
        const eg_arch_info *guess = eg_arch_guess(sd);
        *out = json_pack("{s:s, s:s, s:s, s:O, s:o, s:I, s:I, s:s?, s:o, s:s?, s:b, s:s}", "file",
                         path, "type", "weights", "container", container, "globals", globals,
                         "tensors", tensors, "n_tensors", (json_int_t)eg_state_dict_count(sd),
                         "n_elements", n_elements, "guess", guess ? guess->name : NULL, "metadata",
                         metadata_json(sd), "note", eg_state_dict_note(sd), "verified",
                         (int)verified, "sha256", hash);
        status = *out ? guess_json(*out, guess, sd, err) : no_memory(err);
        if (status != EG_OK) json_decref(*out);
    }
    eg_state_dict_free(sd);
    return status;
}

/* ---- images ---- */

static bool begins_with(const eg_file_view *view, const char *magic, size_t n) {
    return view->size >= n && memcmp(view->data, magic, n) == 0;
}

/* The header of any format that eg_image_read reads; with `verified` every pixel is decoded too. What
 * names a patient (DICOM) is not asked for. */
static eg_status inspect_image(json_t **out, const char *path, bool verified, eg_error *err) {
    eg_image_info info = {0};
    EG_TRY(eg_image_probe(&info, path, NULL, 0, err));
    if (verified) {
        eg_image image = {0};
        EG_TRY(eg_image_read(&image, path, NULL, err));
        eg_image_free(&image);
    }
    *out = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b}", "file", path,
                     "type", "image", "format", info.format, "width", info.width, "height",
                     info.height, "channels", info.channels, "bits", info.bits, "orientation",
                     info.orientation, "n_frames", info.n_frames, "inverted", (int)info.inverted,
                     "verified", (int)verified);
    return *out ? EG_OK : no_memory(err);
}

/* ---- .npz ---- */

/* Name, dtype and shape; for a member that is no array read here, why. With `verified` the data are
 * read for their check sum. */
static json_t *array_json(eg_npz *npz, size_t i, bool verified) {
    const eg_npy_array *a = eg_npz_at(npz, i);
    eg_error why = {0};
    eg_status status = EG_OK;
    if (a->descr[0] == 0 || verified) status = eg_npz_get(&a, npz, a->name, &why);
    bool known = a->descr[0] != 0;
    json_t *json = json_pack("{s:s, s:s?, s:o}", "name", a->name, "dtype", known ? a->descr : NULL,
                             "shape", known ? shape_json(a->dims, a->n_dims) : json_null());
    if (json && status != EG_OK && json_object_set_new(json, "error", json_string(why.text)) != 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static eg_status inspect_npz(json_t **out, const char *path, bool verified, eg_error *err) {
    eg_npz *npz = NULL;
    EG_TRY(eg_npz_read(&npz, path, err));
    json_t *arrays = json_array();
    bool ok = arrays != NULL;
    for (size_t i = 0; ok && i < eg_npz_count(npz); i++)
        ok = json_array_append_new(arrays, array_json(npz, i, verified)) == 0;
    *out = NULL;
    if (ok)
        *out =
            json_pack("{s:s, s:s, s:I, s:O, s:b}", "file", path, "type", "npz", "n_arrays",
                      (json_int_t)eg_npz_count(npz), "arrays", arrays, "verified", (int)verified);
    eg_npz_free(npz);
    json_decref(arrays);
    return *out ? EG_OK : no_memory(err);
}

/* ---- runs and studies ---- */

static bool has_file(const char *dir, const char *name) {
    char *path = eg_path_join(dir, name);
    bool there = path && eg_path_exists(path);
    eg_free(path);
    return there;
}

static eg_status inspect_dir(json_t **out, const char *dir, eg_error *err) {
    json_t *config = NULL, *summary = NULL;
    if (has_file(dir, "study.json")) {
        json_t *study = NULL;
        EG_TRY(eg_study_file_read(&study, dir, "study.json", err));
        *out = json_pack("{s:s, s:s, s:o}", "file", dir, "type", "study", "study", study);
        return *out ? EG_OK : no_memory(err);
    }
    if (!has_file(dir, "config.json"))
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: neither a run (config.json) nor a study (study.json)", dir);
    EG_TRY(eg_study_file_read(&config, dir, "config.json", err));
    eg_status status = EG_OK;
    if (has_file(dir, "summary.json"))
        status = eg_study_file_read(&summary, dir, "summary.json", err);
    if (status != EG_OK) {
        json_decref(config);
        return status;
    }
    /* summary null: the run was not finished */
    *out = json_pack("{s:s, s:s, s:o, s:o}", "file", dir, "type", "run", "summary",
                     summary ? summary : json_null(), "config", config);
    return *out ? EG_OK : no_memory(err);
}

/* A torch zip and an .npz are both zip files: only one of them has a member named *.npy. It is the
 * first member's name, or at the latest in the directory at the end: nothing between is read, a data
 * set may be many GiB. */
static bool looks_like_npz(const eg_file_view *view) {
    const size_t head = 4096, tail = (size_t)64 << 10;
    if (!begins_with(view, "PK\3\4", 4)) return false;
    if (memmem(view->data, view->size < head ? view->size : head, ".npy", 4)) return true;
    size_t from = view->size > tail ? view->size - tail : 0;
    return memmem(view->data + from, view->size - from, ".npy", 4) != NULL;
}

static eg_status inspect_file(json_t **out, const char *path, bool verified, eg_error *err) {
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, (size_t)1 << 40, err));
    bool image = eg_image_recognised(view.data, view.size < 132 ? view.size : 132);
    bool npz = looks_like_npz(&view);
    eg_file_close(&view);
    if (image) return inspect_image(out, path, verified, err);
    if (npz) return inspect_npz(out, path, verified, err);
    json_t *globals = NULL;
    const char *container = NULL;
    EG_TRY(eg_weights_scan(&globals, &container, path, err));
    eg_status status = inspect_weights(out, path, globals, container, verified, err);
    json_decref(globals);
    return status;
}

eg_status eg_inspect(eg_doc **out, const char *path, const eg_options *o, eg_error *err) {
    json_t *json = NULL;
    if (!eg_path_exists(path)) return eg_fail(err, EG_ERR_NOT_FOUND, "%s: no such file", path);
    EG_TRY(eg_path_is_dir(path) ? inspect_dir(&json, path, err)
                                : inspect_file(&json, path, o->verify, err));
    /* a terminal lists the first tensors only, unless asked */
    if (o->all && json_object_set_new(json, "list_all", json_true()) != 0) {
        json_decref(json);
        return no_memory(err);
    }
    *out = eg_doc_new(json, "inspect");
    return *out ? EG_OK : no_memory(err);
}
