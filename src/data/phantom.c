/* engraft phantom: synthetic chest radiographs whose truth is known, with faults planted on request.
 * Here: the folder, its files (truth.csv first, then the images on all threads, phantom.json last,
 * so that a folder without it is unfinished) and the document. Who is in it: phantom_plan.c; what
 * it looks like: phantom_scene.c and phantom_draw.c. Read first: phantom.h. */
#include "data/phantom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 };                     /* images between two looks at the stop flag */
enum { MIN_SIDE = 16, MAX_SIDE = 8192 }; /* pixels */
enum { JPEG_QUALITY = 92, NEAR_QUALITY = 85 };

/* ---- options ---- */

/* "224x224", "1500x1200" or "224" for both. */
static eg_status parse_size(int *width, int *height, const char *text, eg_error *err) {
    char side[2][16] = {"", ""};
    const char *x = strchr(text, 'x');
    size_t n = x ? (size_t)(x - text) : strlen(text);
    int64_t w = 0, h = 0;
    if (n < sizeof side[0]) memcpy(side[0], text, n);
    snprintf(side[1], sizeof side[1], "%s", x ? x + 1 : side[0]);
    if (!eg_parse_int(&w, side[0]) || !eg_parse_int(&h, side[1]) || w < MIN_SIDE || h < MIN_SIDE ||
        w > MAX_SIDE || h > MAX_SIDE)
        return eg_fail(err, EG_ERR_USAGE,
                       "--size %s: expected WIDTHxHEIGHT in pixels, each side from %d to %d", text,
                       MIN_SIDE, MAX_SIDE);
    *width = (int)w;
    *height = (int)h;
    return EG_OK;
}

static eg_status read_options(eg_data_phantom_options *out, const eg_options *o, eg_error *err) {
    *out = (eg_data_phantom_options){
        .n_images = (size_t)o->n_images, .seed = (uint64_t)o->seed, .extension = o->image_format};
    EG_TRY(parse_size(&out->width, &out->height, o->size, err));
    return eg_data_faults_parse(&out->faults, o->plant, err);
}

/* ---- the folder ---- */

/* Remove "DIR/NAME" (a file, or an empty folder); nothing there is fine. */
static void drop(const char *dir, const char *name) {
    char *path = eg_path_join(dir, name);
    if (path && unlink(path) != 0 && errno == EISDIR) (void)rmdir(path);
    eg_free(path);
}

/* The folders that hold images, inner ones first. */
static void drop_folders(const char *dir) {
    char name[32];
    for (int s = 0; s < EG_SPLIT_ALL; s++) {
        for (int label = 0; label < 2; label++) {
            snprintf(name, sizeof name, "%s/%s", eg_split_name((eg_split)s),
                     eg_data_phantom_classes[label]);
            drop(dir, name);
        }
        drop(dir, eg_split_name((eg_split)s));
    }
}

/* Only a name that a phantom could have written: split/CLASS/IM-... */
static bool is_phantom_file(const char *file) {
    for (int s = 0; s < EG_SPLIT_ALL; s++) {
        for (int label = 0; label < 2; label++) {
            char start[40];
            int n = snprintf(start, sizeof start, "%s/%s/IM-", eg_split_name((eg_split)s),
                             eg_data_phantom_classes[label]);
            if (strncmp(file, start, (size_t)n) == 0) return strchr(file + n, '/') == NULL;
        }
    }
    return false;
}

/* Take away what an earlier phantom wrote, by the list in its truth.csv; nothing else. */
static eg_status remove_phantom(const char *dir, eg_error *err) {
    char *path = eg_path_join(dir, "truth.csv");
    if (!path) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", dir);
    eg_csv truth = {0};
    eg_status status = eg_path_exists(path) ? eg_csv_read(&truth, path, err) : EG_OK;
    int column = status == EG_OK && truth.n_columns ? eg_csv_column(&truth, "file") : -1;
    if (status == EG_OK) drop(dir, "phantom.json");
    for (size_t i = 0; column >= 0 && i < truth.n_rows; i++) {
        const char *file = truth.cells[i * truth.n_columns + (size_t)column];
        if (is_phantom_file(file)) drop(dir, file);
    }
    eg_csv_free(&truth);
    eg_free(path);
    EG_TRY(status);
    drop_folders(dir);
    drop(dir, "truth.csv");
    return EG_OK;
}

/* An empty or new folder, or with `overwrite` that of an earlier phantom. */
static eg_status prepare(const char *dir, bool overwrite, eg_error *err) {
    if (eg_path_exists(dir) && !eg_path_is_dir(dir))
        return eg_fail(err, EG_ERR_USAGE, "%s: is a file; name a folder", dir);
    if (eg_path_is_dir(dir) && overwrite) EG_TRY(remove_phantom(dir, err));
    /* what is left is not ours */
    if (eg_path_is_dir(dir) && rmdir(dir) != 0 && (errno == ENOTEMPTY || errno == EEXIST))
        return eg_fail(err, EG_ERR_USAGE,
                       overwrite ? "%s: holds files that no phantom wrote - name another folder"
                                 : "%s: exists and is not empty - name another folder, or replace "
                                   "a phantom that is there with --overwrite",
                       dir);
    eg_status status = EG_OK;
    for (int s = 0; s < EG_SPLIT_ALL && status == EG_OK; s++) {
        for (int label = 0; label < 2 && status == EG_OK; label++) {
            char *path = eg_format("%s/%s/%s", dir, eg_split_name((eg_split)s),
                                   eg_data_phantom_classes[label]);
            status = path ? eg_dir_make(path, err)
                          : eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", dir);
            eg_free(path);
        }
    }
    return status;
}

/* ---- truth.csv and phantom.json ---- */

/* "marker;blur_drift" */
static void add_causes(eg_buffer *b, uint32_t planted) {
    const char *between = "";
    for (int f = 0; f < EG_DATA_FAULT_COUNT; f++) {
        if (!(planted >> f & 1)) continue;
        eg_buffer_printf(b, "%s%s", between, eg_data_fault_name((eg_data_fault)f));
        between = ";";
    }
}

static void add_truth(eg_buffer *b, const eg_data_phantom_plan *plan,
                      const eg_data_phantom_image *image) {
    static const char *const kinds[] = {"lobar", "patchy", "diffuse"};
    eg_buffer_printf(b, "%s,%s,%s,IM-%04u,%s,", image->file, eg_data_phantom_classes[image->label],
                     eg_data_phantom_classes[image->true_label], image->patient + 1,
                     eg_split_name(image->split));
    add_causes(b, image->planted);
    eg_buffer_printf(b, ",%s,%s,", image->copy ? plan->images[image->copy_of].file : "",
                     image->copy == EG_DATA_COPY_EXACT  ? "exact"
                     : image->copy == EG_DATA_COPY_NEAR ? "near"
                                                        : "");
    const eg_data_phantom_opacity *o = &image->opacity;
    if (o->n)
        eg_buffer_printf(b, "%s,%d,%.4f,%.4f,%.4f,%.4f\n", kinds[image->spec.kind], o->n, o->x,
                         o->y, o->radius, o->contrast);
    else
        eg_buffer_printf(b, "none,0,,,,\n");
}

static eg_status write_truth(const char *dir, const eg_data_phantom_plan *plan, eg_error *err) {
    eg_buffer b = {0};
    eg_buffer_printf(&b, "file,label,true_label,patient,split,planted,copy_of,copy,opacity,"
                         "opacities,x,y,radius,contrast\n");
    for (size_t i = 0; i < plan->n_images; i++) add_truth(&b, plan, &plan->images[i]);
    char *path = eg_path_join(dir, "truth.csv");
    eg_status status = path && !b.failed
                           ? eg_file_write_atomic(path, &(eg_part){b.data, b.size}, 1, err)
                           : eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", dir);
    eg_free(path);
    eg_buffer_free(&b);
    return status;
}

static json_t *splits_json(const eg_data_phantom_plan *plan) {
    json_t *list = json_array();
    for (int s = 0; s < EG_SPLIT_ALL; s++)
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:{s:I, s:I}, s:I}", "split", eg_split_name((eg_split)s),
                            "images", (json_int_t)(plan->count[s][0] + plan->count[s][1]),
                            "classes", eg_data_phantom_classes[0], (json_int_t)plan->count[s][0],
                            eg_data_phantom_classes[1], (json_int_t)plan->count[s][1], "patients",
                            (json_int_t)plan->patients[s]));
    return list;
}

static json_t *planted_json(const eg_data_phantom_plan *plan, const eg_data_faults *faults) {
    json_t *list = json_array();
    for (int f = 0; f < EG_DATA_FAULT_COUNT; f++) {
        if (faults->strength[f] <= 0) continue;
        json_array_append_new(
            list, json_pack("{s:s, s:f, s:I, s:s}", "cause", eg_data_fault_name((eg_data_fault)f),
                            "strength", faults->strength[f], "images", (json_int_t)plan->planted[f],
                            "at_strength_1", eg_data_fault_text((eg_data_fault)f)));
    }
    return list;
}

/* Same options, same text: no path, no date, no machine. */
static json_t *phantom_json(const eg_data_phantom_plan *plan, const eg_data_phantom_options *o) {
    char size[32];
    snprintf(size, sizeof size, "%dx%d", o->width, o->height);
    return json_pack("{s:s, s:I, s:{s:I, s:s, s:s, s:I}, s:o, s:o}", "engraft", ENGRAFT_VERSION,
                     "images", (json_int_t)plan->n_images, "options", "images",
                     (json_int_t)o->n_images, "size", size, "image_format", o->extension, "seed",
                     (json_int_t)o->seed, "splits", splits_json(plan), "planted",
                     planted_json(plan, &o->faults));
}

/* ---- the images ---- */

typedef struct {
    const char *dir;
    const eg_data_phantom_plan *plan;
    bool jpeg;
    size_t first; /* of this chunk */
    eg_error errors[CHUNK];
} drawing;

/* One gray value brighter: the same picture to the eye, other bytes. */
static void brighten(eg_image *image) {
    size_t n = eg_image_bytes(image);
    for (size_t i = 0; i < n; i++)
        image->pixels[i] = (uint8_t)(image->pixels[i] + (image->pixels[i] < 255));
}

static eg_status draw_file(const drawing *d, const eg_data_phantom_image *image, eg_error *err) {
    eg_image picture;
    EG_TRY(eg_data_phantom_draw(&picture, &image->spec, err));
    bool near = image->copy == EG_DATA_COPY_NEAR;
    if (near) brighten(&picture);
    eg_buffer bytes = {0};
    eg_status status =
        d->jpeg ? eg_jpeg_encode(&bytes, &picture, near ? NEAR_QUALITY : JPEG_QUALITY, err)
                : eg_png_encode(&bytes, &picture, err);
    eg_image_free(&picture);
    char *path = status == EG_OK ? eg_path_join(d->dir, image->file) : NULL;
    if (status == EG_OK)
        status = path ? eg_file_write_atomic(path, &(eg_part){bytes.data, bytes.size}, 1, err)
                      : eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", d->dir);
    eg_free(path);
    eg_buffer_free(&bytes);
    return status;
}

static void draw_one(void *context, int i) {
    drawing *d = context;
    d->errors[i].status = EG_OK;
    (void)draw_file(d, &d->plan->images[d->first + (size_t)i], &d->errors[i]);
}

/* On the caller's thread, between two chunks. */
static eg_status report(const eg_events *ev, size_t done, size_t n, double start, eg_error *err) {
    if (!ev) return EG_OK;
    if (ev->progress) {
        double seconds = eg_time_now() - start, speed = seconds > 0 ? (double)done / seconds : 0;
        eg_progress p = {.kind = EG_PROGRESS_SCAN,
                         .stage = "draw",
                         .step = (int64_t)done,
                         .n_steps = (int64_t)n,
                         .images_per_second = speed,
                         .eta_seconds = speed > 0 ? (double)(n - done) / speed : 0};
        ev->progress(ev->context, &p);
    }
    if (!ev->stop || !*ev->stop) return EG_OK;
    return eg_fail(err, EG_ERR_INTERRUPTED,
                   "interrupted after %zu of %zu images - run again with --overwrite", done, n);
}

static eg_status draw_images(drawing *d, const eg_events *ev, eg_error *err) {
    double start = eg_time_now();
    size_t n = d->plan->n_images;
    for (d->first = 0; d->first < n;) {
        size_t count = n - d->first < CHUNK ? n - d->first : CHUNK;
        eg_pool_run(draw_one, d, (int)count);
        for (size_t i = 0; i < count; i++) {
            if (d->errors[i].status == EG_OK) continue;
            if (err) *err = d->errors[i];
            return d->errors[i].status;
        }
        d->first += count;
        EG_TRY(report(ev, d->first, n, start, err));
    }
    return EG_OK;
}

/* ---- the command ---- */

static eg_status write_all(json_t **out, const char *dir, const eg_data_phantom_plan *plan,
                           const eg_data_phantom_options *o, const eg_events *ev, eg_error *err) {
    EG_TRY(write_truth(dir, plan, err));
    drawing *d = eg_calloc(1, sizeof *d);
    if (!d) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", dir);
    *d = (drawing){.dir = dir, .plan = plan, .jpeg = strcmp(o->extension, "jpeg") == 0};
    eg_status status = draw_images(d, ev, err);
    eg_free(d);
    EG_TRY(status);
    json_t *json = phantom_json(plan, o);
    char *path = eg_path_join(dir, "phantom.json");
    status = json && path ? eg_json_write(path, json, err)
                          : eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", dir);
    eg_free(path);
    if (status == EG_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}

eg_status eg_phantom(eg_doc **out, const char *dir, const eg_options *o, const eg_events *ev,
                     eg_error *err) {
    eg_data_phantom_options options;
    eg_data_phantom_plan plan;
    json_t *json = NULL;
    EG_TRY(read_options(&options, o, err));
    EG_TRY(prepare(dir, o->overwrite, err));
    EG_TRY(eg_data_phantom_plan_make(&plan, &options, err));
    eg_status status = write_all(&json, dir, &plan, &options, ev, err);
    eg_data_phantom_plan_free(&plan);
    EG_TRY(status);
    /* only here: the file has no path in it */
    json_object_set_new(json, "out", json_string(dir));
    *out = eg_doc_new(json, "phantom");
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory", dir);
}
