/* eg_models: the zoo as a table (Task A). Parameters and multiply-adds are counted on the built
 * network, not copied from a paper; accuracies are the publisher's. Timing is in measure.c. */
#include "study/run.h"
#include <math.h>
#include <string.h>

/* Classes a table row is counted with: ImageNet's for pretrained networks, two for one that starts
 * from scratch. */
static int table_classes(const eg_arch_info *arch) {
    return arch->scratch_only ? 2 : 1000;
}

static json_t *percent_or_null(double value) {
    return value > 0 ? eg_json_real(value) : json_null();
}

eg_status eg_study_model_json(json_t **out, const eg_arch_info *arch, int64_t measure_batch,
                              eg_error *err) {
    eg_network *net = NULL;
    EG_TRY(eg_network_new(&net, arch->name, table_classes(arch), 0, err));
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:s?, s:s?, s:s?, s:o, s:i, s:i, s:s, s:i, s:i}",
        "name", arch->name, "family", arch->family, "description", arch->description, "parameters",
        (json_int_t)eg_network_parameters(net, false), "multiply_adds",
        (json_int_t)llround(eg_network_multiply_adds(net)), "imagenet_top1",
        percent_or_null(arch->top1), "imagenet_top5", percent_or_null(arch->top5), "weights",
        arch->weights, "weights_file", arch->weights_file, "weights_sha256", arch->weights_sha256,
        "file_bytes", arch->file_bytes ? json_integer((json_int_t)arch->file_bytes) : json_null(),
        "img_size", arch->img_size, "resize", arch->resize, "interpolation",
        arch->bicubic ? "bicubic" : "bilinear", "features", eg_network_features(net), "classes",
        table_classes(arch));
    eg_network_free(net);
    if (!json) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    eg_status status = EG_OK;
    if (measure_batch > 0)
        status = eg_study_measure(json, arch, table_classes(arch), (int)measure_batch, err);
    if (status == EG_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}

/* Order of two rows by a column: names up, accuracy down (best first), other numbers up; missing
 * figures last. */
static bool comes_after(const json_t *a, const json_t *b, const char *column) {
    if (strcmp(column, "name") == 0)
        return strcmp(json_string_value(json_object_get(a, column)),
                      json_string_value(json_object_get(b, column))) > 0;
    double x = eg_study_number(a, column), y = eg_study_number(b, column);
    if (isnan(x) || isnan(y)) return isnan(x) && !isnan(y);
    return strncmp(column, "imagenet", 8) == 0 ? x < y : x > y;
}

static eg_status sort_rows(json_t *rows, const char *column, eg_error *err) {
    size_t n = json_array_size(rows);
    for (size_t i = 1; i < n; i++) {
        json_t *row = json_incref(json_array_get(rows, i));
        size_t at = i;
        while (at > 0 && comes_after(json_array_get(rows, at - 1), row, column)) at--;
        bool ok = json_array_remove(rows, i) == 0 && json_array_insert_new(rows, at, row) == 0;
        if (!ok) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    return EG_OK;
}

static eg_status add_rows(json_t *rows, const char *name, const eg_options *o, const eg_events *ev,
                          eg_error *err) {
    for (size_t i = 0; i < eg_arch_count(); i++) {
        const eg_arch_info *arch = eg_arch_at(i);
        json_t *row = NULL;
        if (name && strcmp(name, arch->name) != 0) continue;
        if (eg_study_stopped(ev)) return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted");
        if (o->measure) eg_study_note(ev, "measuring %s", arch->name);
        EG_TRY(eg_study_model_json(&row, arch,
                                   o->measure ? (o->batch_size > 0 ? o->batch_size : 16) : 0, err));
        if (json_array_append_new(rows, row) != 0)
            return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    return EG_OK;
}

eg_status eg_models(eg_doc **out, const char *name, const eg_options *o, const eg_events *ev,
                    eg_error *err) {
    if (name && !eg_arch_find(name))
        return eg_fail(err, EG_ERR_USAGE, "models %s: unknown; known models: %s", name,
                       eg_arch_names());
    if (o->sort && strncmp(o->sort, "measured", 8) == 0 && !o->measure)
        return eg_fail(err, EG_ERR_USAGE, "--sort %s: nothing was measured; add --measure",
                       o->sort);
    json_t *rows = json_array();
    eg_status status = rows ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    if (status == EG_OK) status = add_rows(rows, name, o, ev, err);
    if (status == EG_OK && o->sort) status = sort_rows(rows, o->sort, err);
    if (status != EG_OK) {
        json_decref(rows);
        return status;
    }
    *out = eg_doc_new(rows, "models");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
