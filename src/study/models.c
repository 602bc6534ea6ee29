/* eg_models: the zoo as a table (Task A). Parameters and multiply-adds are counted on the built
 * network, not copied from a paper; accuracies are the publisher's. Which rows: model_select.c;
 * timing: measure.c; the choice of two: recommend.c. */
#include "study/task_a.h"
#include <math.h>
#include <string.h>

/* Without names, --measure times the networks that no other beats in both accuracy and
 * multiply-adds, so many of them, none dearer than this. */
enum { MEASURED_UNASKED = 6 };

/* Classes a table row is counted with: ImageNet's for pretrained networks, two for one that starts
 * from scratch. */
static int table_classes(const eg_arch_info *arch) {
    return arch->scratch_only ? 2 : 1000;
}

static json_t *percent_or_null(double value) {
    return value > 0 ? eg_json_real(value) : json_null();
}

eg_status eg_study_row(json_t **out, const eg_arch_info *arch, int side, eg_error *err) {
    eg_network *net = NULL; /* an outline: 110 networks' weights would be gigabytes to clear */
    EG_TRY(eg_network_outline(&net, arch, table_classes(arch), side, err));
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:s?, s:s?, s:s?, s:o, s:i, s:i, s:s, s:i, s:i}",
        "name", arch->name, "family", arch->family, "description", arch->description, "parameters",
        (json_int_t)eg_network_parameters(net, false), "multiply_adds",
        (json_int_t)llround(eg_network_multiply_adds(net)), "imagenet_top1",
        percent_or_null(arch->top1), "imagenet_top5", percent_or_null(arch->top5), "weights",
        arch->weights, "weights_file", arch->weights_file, "weights_sha256", arch->weights_sha256,
        "file_bytes", arch->file_bytes ? json_integer((json_int_t)arch->file_bytes) : json_null(),
        "img_size", eg_network_side(net), "resize", arch->resize, "interpolation",
        arch->bicubic ? "bicubic" : "bilinear", "features", eg_network_features(net), "classes",
        table_classes(arch));
    eg_network_free(net);
    if (!json) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    *out = json;
    return EG_OK;
}

eg_status eg_study_model_json(json_t **out, const eg_arch_info *arch, const eg_options *o,
                              eg_error *err) {
    json_t *json = NULL;
    EG_TRY(eg_study_row(&json, arch, 0, err));
    eg_status status = eg_study_measure(json, arch, table_classes(arch), o, err);
    if (status == EG_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}

eg_status eg_study_rows_make(json_t *rows, const eg_arch_info *const *list, size_t n,
                             const eg_options *o, const eg_events *ev, eg_error *err) {
    for (size_t i = 0; i < n; i++) {
        json_t *row = NULL;
        eg_error why = {0};
        eg_status status = eg_study_row(&row, list[i], (int)o->img_size, &why);
        if (status == EG_ERR_NO_MEMORY || (status != EG_OK && (n == 1 || o->img_size == 0))) {
            if (err) *err = why;
            return status;
        }
        if (status != EG_OK)
            eg_study_note(ev, "left out: %s", why.text);
        else if (json_array_append_new(rows, row) != 0)
            return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    return EG_OK;
}

/* Leave the rows that are worth timing when the user named none. */
static eg_status keep_sensible(json_t *rows, const eg_events *ev, eg_error *err) {
    size_t n = json_array_size(rows);
    eg_candidate *c = eg_calloc(n + 1, sizeof *c);
    bool *keep = eg_calloc(n + 1, sizeof *keep);
    if (!c || !keep) {
        eg_free(c);
        eg_free(keep);
        return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        c[i].family = json_string_value(json_object_get(row, "family"));
        c[i].top1 = eg_study_number(row, "imagenet_top1");
        c[i].multiply_adds = eg_study_number(row, "multiply_adds");
    }
    size_t kept = eg_study_shortlist(keep, c, n, MEASURED_UNASKED);
    for (size_t i = n; i-- > 0;)
        if (!keep[i]) json_array_remove(rows, i);
    eg_free(c);
    eg_free(keep);
    eg_study_note(ev,
                  "no network was named: measuring %zu of %zu, those with the best ImageNet "
                  "accuracy for their multiply-adds (--models NAMES chooses others)",
                  kept, n);
    return EG_OK;
}

static eg_status measure_rows(json_t *rows, const eg_options *o, const eg_events *ev,
                              eg_error *err) {
    size_t i, refused = 0;
    json_t *row;
    json_array_foreach(rows, i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        const eg_arch_info *arch = eg_arch_find(name);
        if (eg_study_stopped(ev)) return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted");
        eg_study_note(ev, "measuring %s (%zu of %zu)", name, i + 1, json_array_size(rows));
        EG_TRY(eg_study_measure(row, arch, table_classes(arch), o, err));
        const char *why = json_string_value(json_object_get(row, "refused"));
        if (why) eg_study_note(ev, "%s", why);
        refused += why != NULL;
    }
    if (refused > 0 && refused == json_array_size(rows))
        return eg_fail(err, EG_ERR_LIMIT, "%s",
                       json_string_value(json_object_get(json_array_get(rows, 0), "refused")));
    return EG_OK;
}

static eg_status table(json_t **out, const eg_arch_info *const *list, size_t n, bool named,
                       const eg_options *o, const eg_events *ev, eg_error *err) {
    json_t *rows = json_array();
    eg_status status = rows ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    if (status == EG_OK) status = eg_study_rows_make(rows, list, n, o, ev, err);
    /* first by name: a wrong column shows before anything is timed */
    if (status == EG_OK && o->sort) status = eg_study_rows_sort(rows, o->sort, err);
    if (status == EG_OK && o->measure && !named) status = keep_sensible(rows, ev, err);
    if (status == EG_OK && o->measure) status = measure_rows(rows, o, ev, err);
    if (status == EG_OK && o->measure && o->sort) status = eg_study_rows_sort(rows, o->sort, err);
    if (status == EG_OK)
        *out = rows;
    else
        json_decref(rows);
    return status;
}

eg_status eg_models(eg_doc **out, const char *name, const eg_options *o, const eg_events *ev,
                    eg_error *err) {
    const eg_arch_info **list = NULL;
    size_t n = 0;
    json_t *json = NULL;
    if (name && o->models)
        return eg_fail(err, EG_ERR_USAGE, "models %s: give names there or in --models, not both",
                       name);
    if (o->sort && strcmp(o->sort + (*o->sort == '-'), "score") == 0 && !o->recommend)
        return eg_fail(err, EG_ERR_USAGE, "--sort %s: only --recommend gives scores", o->sort);
    if (o->sort && eg_study_sort_is_measured(o->sort) && !o->measure && !o->recommend)
        return eg_fail(err, EG_ERR_USAGE, "--sort %s: nothing was measured; add --measure",
                       o->sort);
    if (o->recommend && !o->data)
        return eg_fail(err, EG_ERR_USAGE,
                       "--recommend: --data DIR is missing: the time depends on "
                       "the number of images");
    if (!o->recommend && (o->data || o->transferability))
        return eg_fail(err, EG_ERR_USAGE, "--%s: belongs to --recommend, which is missing",
                       o->data ? "data" : "transferability");
    if (!name) name = o->models;
    EG_TRY(eg_study_select(&list, &n, name, o->family, err));
    bool named = name || o->family;
    eg_status status = o->recommend ? eg_study_recommend(&json, list, n, named, o, ev, err)
                                    : table(&json, list, n, named, o, ev, err);
    eg_free(list);
    EG_TRY(status);
    *out = eg_doc_new(json, o->recommend ? "recommendation" : "models");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
