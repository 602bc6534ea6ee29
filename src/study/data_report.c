/* engraft data: examine a data set. One pass over the images (data_scan.c), then one part of the document after the other
 * from what the pass kept. Trains nothing, changes nothing, writes nothing: the page of --out is drawn by the report room
 * from the document. The two other questions of the command, --preprocessing and --show-augmentation, are answered in
 * data_mistakes.c and data_sheet.c. Read first: data_report.h.                                                    */
#include "study/data_report.h"

#include <string.h>

static const char *source_name(eg_source source) {
    return source == EG_SOURCE_TREE ? "folders" : source == EG_SOURCE_MANIFEST ? "table" : "npz";
}

/* What there is to say without an image. */
static eg_status head_json(json_t *doc, const eg_data_case *c, eg_error *err) {
    const char *path = c->ds->path ? c->ds->path : c->ds->root;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/') from--;
    bool ok =
        json_object_set_new(doc, "schema", json_string("engraft.data/1")) == 0 &&
        json_object_set_new(doc, "root", json_stringn(path + from, n - from)) == 0 &&
        json_object_set_new(doc, "source", json_string(source_name(c->ds->source))) == 0 &&
        json_object_set_new(doc, "fingerprint", json_string(c->ds->fingerprint)) == 0 &&
        json_object_set_new(doc, "model", c->features ? json_string(c->model) : json_null()) == 0;
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

/* A split is drawn only when its file is asked for or a fold is named: else the set is examined as it is. Before the images
 * are read, since a split file speaks of all of them. */
static eg_status draw_split(eg_data_case *c, eg_error *err) {
    eg_split_origin origin;
    if (!(c->o->save_split && *c->o->save_split) && c->o->folds == 0) return EG_OK;
    return eg_study_dataset_split(&origin, c->ds, c->o, c->ev, err);
}

static eg_status examine(json_t *doc, eg_data_case *c, eg_error *err) {
    EG_TRY(eg_study_data_scan(c, err));
    EG_TRY(eg_study_data_units(c, err));
    if (c->o->model) EG_TRY(eg_study_data_features(c, err));
    EG_TRY(head_json(doc, c, err));
    EG_TRY(eg_study_data_facts(doc, c, err));
    EG_TRY(eg_study_data_duplicates(doc, c, err));
    EG_TRY(eg_study_data_patients(doc, c, err));
    EG_TRY(eg_study_data_drift(doc, c, err));
    EG_TRY(eg_study_data_labels(doc, c, err));
    EG_TRY(eg_study_data_findings(doc, err));
    return c->o->out ? eg_study_data_pictures(doc, c, err) : EG_OK;
}

eg_status eg_data(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                  eg_error *err) {
    if (o->preprocessing_run) return eg_study_data_mistakes(out, dir, o, ev, err);
    if (o->show_augmentation) return eg_study_data_sheet(out, dir, o, ev, err);
    eg_data_case c = {.o = o, .ev = ev};
    double start = eg_time_now();
    json_t *doc = json_object();
    if (!doc) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    eg_status status = eg_study_dataset_open(&c.ds, dir, o, NULL, ev, err);
    if (status == EG_OK) status = draw_split(&c, err);
    if (status == EG_OK) status = examine(doc, &c, err);
    eg_study_data_case_free(&c);
    if (status == EG_OK &&
        (json_object_set_new(doc, "seconds", eg_json_real(eg_time_now() - start)) != 0 ||
         json_object_set_new(doc, "peak_bytes",
                             json_integer((json_int_t)eg_process_peak_bytes())) != 0))
        status = eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    if (status != EG_OK) {
        json_decref(doc);
        return status;
    }
    *out = eg_doc_new(doc, "data");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}
