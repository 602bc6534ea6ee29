/* engraft data DIR --show-augmentation: a picture of what --augment and its options do to the training images: a row an
 * image, first as it is, then as some epochs would show it. The pixels are the data room's (augment_sheet.c); images of
 * all classes in turn, evenly over the files. Read first: data_report.h.                                          */
#include "study/data_report.h"

#include <string.h>

enum { ROWS = 6, DRAWS = 7, SIDE = 224 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory drawing augmented images");
}

/* Up to ROWS images, the classes in turn. */
static size_t choose(uint32_t out[ROWS], const eg_data_case *c) {
    size_t n = 0;
    const eg_split base = eg_study_data_base(c);
    for (size_t round = 0; n < ROWS && round < ROWS; round++) {
        for (int k = 0; k < c->ds->n_classes && n < ROWS; k++) {
            size_t all = eg_study_data_count(c, base, k), seen = 0;
            size_t wanted = round * all / ROWS; /* of this class */
            if (round >= all) continue;
            for (size_t i = 0; i < c->ds->n_samples; i++) {
                const eg_sample *s = &c->ds->samples[i];
                if (s->split != base || s->label != k || seen++ != wanted) continue;
                out[n++] = (uint32_t)i;
                break;
            }
        }
    }
    return n;
}

/* The square that the network would take; without a model a small one with the usual margin. */
static eg_status square_of(eg_preprocess *p, const eg_options *o, eg_error *err) {
    int side = o->img_size > 0 ? (int)o->img_size : SIDE;
    *p = (eg_preprocess){.fit = EG_FIT_CROP,
                         .resize = side * 8 / 7,
                         .crop = side,
                         .interp = EG_INTERP_BILINEAR,
                         .std = {1, 1, 1}};
    if (!o->model) return EG_OK;
    const eg_arch_info *arch = eg_arch_find(o->model);
    char hint[EG_ARCH_HINT];
    if (!arch)
        return eg_fail(err, EG_ERR_USAGE, "--model %s: no such network - %s", o->model,
                       eg_arch_hint(hint, o->model));
    return eg_study_preset(p, arch, "weights", o->img_size, err);
}

static json_t *values_json(const eg_augment *a) {
    const struct {
        const char *name;
        double value;
    } all[] = {{"crop-min", a->crop_min},      {"flip", a->flip},   {"jitter", a->jitter},
               {"rotate", a->rotate},          {"zoom", a->zoom},   {"translate", a->translate},
               {"gamma-by", a->gamma_by},      {"blur", a->blur},   {"noise", a->noise},
               {"cutout", a->cutout},          {"mixup", a->mixup}, {"cutmix", a->cutmix},
               {"randaugment", a->randaugment}};
    json_t *out = json_object();
    for (size_t i = 0; out && i < sizeof all / sizeof *all; i++)
        json_object_set_new(out, all[i].name, eg_json_real(all[i].value));
    return out;
}

static json_t *rows_json(const eg_data_case *c, const uint32_t *indices, size_t n) {
    json_t *out = json_array();
    for (size_t i = 0; out && i < n; i++) {
        const eg_sample *s = &c->ds->samples[indices[i]];
        json_array_append_new(
            out, json_pack("{s:s, s:s}", "file", s->file, "class", c->ds->classes[s->label]));
    }
    return out;
}

static eg_status sheet_write(eg_image *sheet, const char *path, eg_error *err) {
    eg_buffer png = {0};
    eg_status status = eg_png_encode(&png, sheet, err);
    if (status == EG_OK) {
        eg_part part = {png.data, png.size};
        status = eg_file_write_atomic(path, &part, 1, err);
    }
    eg_buffer_free(&png);
    return status;
}

static eg_status draw(json_t **out, const eg_data_case *c, const char *path, const eg_preprocess *p,
                      eg_error *err) {
    uint32_t indices[ROWS];
    eg_augment a;
    eg_image sheet = {0};
    const eg_options *o = c->o;
    const char *preset = eg_study_is_auto(o->augment) ? "xray" : o->augment;
    if (!eg_augment_preset(&a, preset))
        return eg_fail(err, EG_ERR_USAGE, "--augment %s: expected none, light, xray or strong",
                       preset);
    eg_study_augment(&a, o, preset);
    size_t n = choose(indices, c);
    EG_TRY(eg_augment_sheet(&sheet, c->ds, indices, n, DRAWS, p, &a, (uint64_t)o->seed, err));
    eg_status status = sheet_write(&sheet, path, err);
    const int width = sheet.width, height = sheet.height;
    eg_image_free(&sheet);
    EG_TRY(status);
    *out = json_pack("{s:s, s:s, s:i, s:i, s:s, s:o, s:I, s:i, s:o}", "schema",
                     "engraft.augmentation/1", "file", path, "width", width, "height", height,
                     "preset", preset, "values", values_json(&a), "images", (json_int_t)n, "draws",
                     DRAWS, "rows", rows_json(c, indices, n));
    return *out ? EG_OK : no_memory(err);
}

eg_status eg_study_data_sheet(eg_doc **out, const char *dir, const eg_options *o,
                              const eg_events *ev, eg_error *err) {
    eg_data_case c = {.o = o, .ev = ev};
    eg_preprocess p;
    json_t *doc = NULL;
    const char *path = o->out && *o->out ? o->out : "augmentation.png";
    if (eg_path_is_dir(path))
        return eg_fail(err, EG_ERR_USAGE, "--out %s: is a directory; name a .png file", path);
    EG_TRY(square_of(&p, o, err)); /* before the images: a wrong name shows at once */
    EG_TRY(eg_study_dataset_open(&c.ds, dir, o, NULL, ev, err));
    eg_status status = draw(&doc, &c, path, &p, err);
    eg_study_data_case_free(&c);
    EG_TRY(status);
    *out = eg_doc_new(doc, "augmentation");
    return *out ? EG_OK : no_memory(err);
}
