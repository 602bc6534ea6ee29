/* Pictures for the page: the mean image of every split and class, some images of each, and those that a finding names, as
 * PNG in base64, because a page has no other files. Only made when a page is asked for. Read first: data_report.h. */
#include "study/data_report.h"

#include <string.h>

/* SIDE: pixels of the longer side. EXAMPLES: of a split and class. MOST: pictures of files in all. */
enum { SIDE = 112, EXAMPLES = 4, GROUPS = 12, OF_GROUP = 4, SUSPECTS = 16, MOST = 240 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory drawing pictures");
}

/* RFC 4648, with padding. */
static void base64_add(eg_buffer *b, const void *data, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        if (i + 1 < n) v |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < n) v |= p[i + 2];
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], '=', '='};
        if (i + 1 < n) four[2] = digits[v >> 6 & 63];
        if (i + 2 < n) four[3] = digits[v & 63];
        eg_buffer_add(b, four, sizeof four);
    }
}

/* A JSON string, NULL: no memory. */
static json_t *picture_json(const eg_image *image) {
    eg_buffer png = {0}, text = {0};
    json_t *out = NULL;
    if (eg_png_encode(&png, image, NULL) == EG_OK) {
        base64_add(&text, png.data, png.size);
        if (!text.failed && text.data) out = json_string(text.data);
    }
    eg_buffer_free(&png);
    eg_buffer_free(&text);
    return out;
}

static json_t *mean_json(const eg_group_sums *sums) {
    static _Thread_local uint8_t pixels[EG_PORTRAIT * EG_PORTRAIT];
    for (int i = 0; i < EG_PORTRAIT * EG_PORTRAIT; i++)
        pixels[i] = (uint8_t)((sums->portrait[i] + sums->n / 2) / sums->n);
    return picture_json(&(eg_image){EG_PORTRAIT, EG_PORTRAIT, 1, pixels, false});
}

/* The image small and not distorted; null when it cannot be had any more. */
static json_t *small_json(const eg_data_case *c, uint32_t index) {
    eg_image image = {0};
    uint8_t pixels[SIDE * SIDE * 3];
    if (eg_dataset_image(&image, c->ds, index, NULL) != EG_OK) return json_null();
    const double longer = image.width > image.height ? image.width : image.height;
    int width = (int)(image.width * SIDE / longer), height = (int)(image.height * SIDE / longer);
    width = width < 1 ? 1 : width;
    height = height < 1 ? 1 : height;
    eg_image flat = {width, height, image.channels, pixels, false};
    if (image.deep) { /* the high bytes do for a thumbnail */
        const uint16_t *deep = (const uint16_t *)(const void *)image.pixels;
        size_t n = (size_t)image.width * (size_t)image.height * (size_t)image.channels;
        for (size_t i = 0; i < n; i++) image.pixels[i] = (uint8_t)(deep[i] >> 8);
        image.deep = false;
    }
    bool ok = eg_resize(pixels, width, height, &image, NULL, EG_INTERP_BOX, NULL) == EG_OK;
    json_t *out = ok ? picture_json(&flat) : json_null();
    eg_image_free(&image);
    return out;
}

/* ---- which files ---- */

static void ask_for(json_t *files, const char *file) {
    if (file && json_object_size(files) < MOST) json_object_set_new(files, file, json_null());
}

/* Files that the rest of the document names, then some of every split and class. */
static eg_status choose(json_t *groups, json_t *files, const json_t *doc, const eg_data_case *c) {
    const json_t *copies = json_object_get(json_object_get(doc, "duplicates"), "examples");
    const json_t *suspects = json_object_get(json_object_get(doc, "labels"), "suspects");
    for (size_t g = 0; g < json_array_size(copies) && g < GROUPS; g++) {
        const json_t *names = json_object_get(json_array_get(copies, g), "files");
        for (size_t i = 0; i < json_array_size(names) && i < OF_GROUP; i++)
            ask_for(files, json_string_value(json_array_get(names, i)));
    }
    for (size_t i = 0; i < json_array_size(suspects) && i < SUSPECTS; i++)
        ask_for(files, json_string_value(json_object_get(json_array_get(suspects, i), "file")));
    for (size_t g = 0; g < json_array_size(groups); g++) {
        json_t *group = json_array_get(groups, g), *examples = json_object_get(group, "files");
        size_t n = (size_t)json_integer_value(json_object_get(group, "n")), seen = 0, taken = 0;
        const char *split = json_string_value(json_object_get(group, "split"));
        const char *name = json_string_value(json_object_get(group, "class"));
        for (size_t i = 0; i < c->ds->n_samples && taken < EXAMPLES; i++) {
            const eg_sample *s = &c->ds->samples[i];
            if (strcmp(eg_split_name(s->split), split) != 0 ||
                strcmp(c->ds->classes[s->label], name) != 0)
                continue;
            /* evenly over the files: the first, one after a quarter, ... */
            if (seen++ != taken * n / EXAMPLES) continue;
            taken++;
            ask_for(files, s->file);
            if (json_array_append_new(examples, json_string(s->file)) != 0) return EG_ERR_NO_MEMORY;
        }
    }
    return EG_OK;
}

/* All pictures at once, each task its own file. */
typedef struct {
    const eg_data_case *c;
    uint32_t index[MOST];
    json_t *picture[MOST];
} draw_job;

static void draw_one(void *context, int i) {
    draw_job *j = context;
    j->picture[i] = small_json(j->c, j->index[i]);
}

static bool draw(json_t *files, const eg_data_case *c) {
    draw_job job = {.c = c};
    const char *names[MOST];
    int n = 0;
    for (size_t i = 0; i < c->ds->n_samples && n < MOST; i++) {
        if (!json_object_get(files, c->ds->samples[i].file)) continue;
        names[n] = c->ds->samples[i].file;
        job.index[n++] = (uint32_t)i;
    }
    eg_pool_run(draw_one, &job, n);
    bool ok = true;
    for (int i = 0; i < n; i++)
        ok = json_object_set_new(files, names[i], job.picture[i]) == 0 && ok;
    return ok;
}

eg_status eg_study_data_pictures(json_t *doc, const eg_data_case *c, eg_error *err) {
    json_t *groups = json_array(), *files = json_object();
    bool ok = groups && files;
    for (int s = 0; ok && s < EG_SPLIT_COUNT; s++) {
        for (int k = 0; ok && k < c->ds->n_classes; k++) {
            const eg_group_sums *sums = eg_study_data_sums(c, (eg_split)s, k);
            if (!sums || sums->n == 0) continue;
            ok = json_array_append_new(
                     groups, json_pack("{s:s, s:s, s:I, s:o, s:[]}", "split",
                                       eg_split_name((eg_split)s), "class", c->ds->classes[k], "n",
                                       (json_int_t)sums->n, "mean", mean_json(sums), "files")) == 0;
        }
    }
    ok = ok && choose(groups, files, doc, c) == EG_OK && draw(files, c) &&
         json_object_set_new(doc, "pictures",
                             json_pack("{s:O, s:O}", "groups", groups, "files", files)) == 0;
    json_decref(groups);
    json_decref(files);
    return ok ? EG_OK : no_memory(err);
}
