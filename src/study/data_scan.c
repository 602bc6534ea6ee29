/* One pass over the images of a data set: each is read, decoded and boiled down to its facts on whatever thread is free;
 * images that cannot be decoded are listed and leave the set. Memory: 1.5 KB an image kept, and the decoded images of the
 * threads at work. Judges nothing. Read first: data_report.h.                                                     */
#include "study/data_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Images between two reports. MAX_GROUPS: splits x classes that get mean images (128 KB each). */
enum { CHUNK = 64, MAX_GROUPS = 64, MAX_FILE = 1 << 30, HISTOGRAM_UNIT = 1 << 20 };

typedef struct {
    const eg_dataset *ds;
    const uint32_t *indices;
    eg_image_facts *facts; /* of the whole set */
    uint8_t *portraits;    /* (CHUNK, EG_PORTRAIT, EG_PORTRAIT) */
    uint32_t histogram[CHUNK][EG_BINS];
    char *reasons[CHUNK];
    eg_status failures[CHUNK];
} scan_chunk;

/* ---- one image ---- */

/* First 16 bytes of a digest given in hex. */
static void take_key(uint8_t out[EG_KEY_BYTES], const char hex[65]) {
    for (int i = 0; i < EG_KEY_BYTES; i++) {
        unsigned v = 0;
        for (int k = 0; k < 2; k++) {
            char d = hex[2 * i + k];
            v = v * 16 + (unsigned)(d <= '9' ? d - '0' : d - 'a' + 10);
        }
        out[i] = (uint8_t)v;
    }
}

/* 8-bit gray of `image` (eg_malloc), as Pillow's convert("L"); a deep image by its high byte. *colour: the channels differ
 * somewhere. */
static uint8_t *gray_of(bool *colour, uint16_t *deep_max, const eg_image *image) {
    const size_t n = (size_t)image->width * (size_t)image->height, step = (size_t)image->channels;
    const uint16_t *deep = (const uint16_t *)(const void *)image->pixels;
    uint8_t *gray = eg_malloc(n);
    unsigned differ = 0, most = 0;
    for (size_t i = 0; gray && i < n; i++) {
        unsigned v[3];
        for (size_t c = 0; c < 3; c++) {
            size_t at = i * step + (step == 3 ? c : 0);
            v[c] = image->deep ? deep[at] : image->pixels[at];
            most = v[c] > most ? v[c] : most;
        }
        differ |= (v[0] ^ v[1]) | (v[0] ^ v[2]);
        if (image->deep)
            for (int c = 0; c < 3; c++) v[c] >>= 8;
        gray[i] = (uint8_t)((v[0] * 19595 + v[1] * 38470 + v[2] * 7471 + 0x8000) >> 16);
    }
    *colour = differ != 0;
    *deep_max = image->deep ? (uint16_t)most : 0;
    return gray;
}

static float quantile_of(const uint32_t counts[256], size_t n, double q) {
    size_t seen = 0;
    int v = 0;
    for (; v < 255; v++) {
        seen += counts[v];
        if ((double)seen > q * (double)n) break;
    }
    return (float)v / 255;
}

static void take_values(eg_image_facts *f, uint32_t histogram[EG_BINS], const uint8_t *gray,
                        size_t n) {
    uint32_t counts[4][256] = {{0}};
    for (size_t i = 0; i < n; i++) counts[i % 4][gray[i]]++;
    double sum = 0, squares = 0;
    uint64_t bins[EG_BINS] = {0};
    for (int v = 0; v < 256; v++) {
        uint32_t k = counts[0][v] += counts[1][v] + counts[2][v] + counts[3][v];
        sum += (double)k * v;
        squares += (double)k * v * v;
        bins[v / (256 / EG_BINS)] += k;
    }
    double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
    f->measure[EG_MEASURE_BRIGHTNESS] = (float)(mean / 255);
    f->measure[EG_MEASURE_CONTRAST] = (float)(sqrt(variance > 0 ? variance : 0) / 255);
    f->p5 = quantile_of(counts[0], n, 0.05);
    f->p95 = quantile_of(counts[0], n, 0.95);
    for (int b = 0; b < EG_BINS; b++) histogram[b] = (uint32_t)(bins[b] * HISTOGRAM_UNIT / n);
}

/* Noise: Immerkaer, "Fast noise variance estimation" (1996): a mask that is blind to planes and edges along the axes.
 * Sharpness: the share of the contrast that is in neighbouring pixels, mean |Laplacian| over the standard deviation. Both
 * of the pixels as they are: sizes are compared apart. */
static void take_detail(eg_image_facts *f, const uint8_t *gray, int width, int height) {
    double laplacian = 0, mask = 0;
    if (width < 3 || height < 3) return;
    for (int y = 1; y < height - 1; y++) {
        const uint8_t *a = gray + (size_t)(y - 1) * (size_t)width, *b = a + width, *c = b + width;
        uint32_t row_laplacian = 0,
                 row_mask = 0; /* at most 16 x 255 a pixel: sides stay below 2^20 */
        for (int x = 1; x < width - 1; x++) {
            int l = a[x] + c[x] + b[x - 1] + b[x + 1] - 4 * b[x];
            int m = a[x - 1] + a[x + 1] + c[x - 1] + c[x + 1] + 4 * b[x] -
                    2 * (a[x] + c[x] + b[x - 1] + b[x + 1]);
            row_laplacian += (uint32_t)(l < 0 ? -l : l);
            row_mask += (uint32_t)(m < 0 ? -m : m);
        }
        laplacian += row_laplacian;
        mask += row_mask;
    }
    const double n = (double)(width - 2) * (height - 2),
                 sd = (double)f->measure[EG_MEASURE_CONTRAST];
    f->measure[EG_MEASURE_NOISE] = (float)(mask * sqrt(M_PI / 2) / (6 * n) / 255);
    f->measure[EG_MEASURE_SHARPNESS] = sd > 0 ? (float)(laplacian / n / 255 / sd) : 0;
}

/* Where the brightness lies: first and second moments of the thumbnail. */
static void take_framing(eg_image_facts *f) {
    double sum = 1e-9, x1 = 0, y1 = 0, x2 = 0, y2 = 0;
    for (int y = 0; y < EG_THUMB; y++) {
        for (int x = 0; x < EG_THUMB; x++) {
            double v = f->thumb[y * EG_THUMB + x], u = (x + 0.5) / EG_THUMB,
                   w = (y + 0.5) / EG_THUMB;
            sum += v;
            x1 += v * u;
            y1 += v * w;
            x2 += v * u * u;
            y2 += v * w * w;
        }
    }
    x1 /= sum;
    y1 /= sum;
    f->measure[EG_MEASURE_CENTRE_X] = (float)x1;
    f->measure[EG_MEASURE_CENTRE_Y] = (float)y1;
    f->measure[EG_MEASURE_SPREAD_X] = (float)sqrt(fmax(x2 / sum - x1 * x1, 0));
    f->measure[EG_MEASURE_SPREAD_Y] = (float)sqrt(fmax(y2 / sum - y1 * y1, 0));
}

/* A PNG whose pixels can be transparent: colour type 4 or 6, or a tRNS chunk before the pixels. */
static bool has_alpha(const eg_file_view *view) {
    if (view->size < 33 || memcmp(view->data, "\x89PNG", 4) != 0) return false;
    if (view->data[25] == 4 || view->data[25] == 6) return true;
    const size_t head = view->size < 4096 ? view->size : 4096;
    return memmem(view->data + 33, head - 33, "tRNS", 4) != NULL;
}

/* Mean entry of the first quantisation table in front of the pixels of a JPEG: what its quality setting was, whatever the
 * picture shows. 0: no JPEG, or none found. */
static float quantiser_of(const eg_file_view *view) {
    eg_cursor c = {view->data, view->size, 0};
    uint8_t mark, kind;
    if (!eg_cursor_u8(&c, &mark) || mark != 0xFF || !eg_cursor_u8(&c, &kind) || kind != 0xD8)
        return 0;
    while (eg_cursor_u8(&c, &mark) && mark == 0xFF && eg_cursor_u8(&c, &kind) && kind != 0xDA) {
        uint8_t high, low, info;
        if (kind == 0xFF) {
            c.pos--; /* fill bytes */
            continue;
        }
        if (!eg_cursor_u8(&c, &high) || !eg_cursor_u8(&c, &low)) return 0;
        size_t length = (size_t)high << 8 | low;
        if (length < 2) return 0;
        if (kind == 0xDB && length >= 67 && eg_cursor_u8(&c, &info) && info >> 4 == 0) {
            const uint8_t *table = eg_cursor_take(&c, 64);
            double sum = 0;
            for (int i = 0; table && i < 64; i++) sum += table[i];
            return (float)(sum / 64);
        }
        if (kind == 0xDB || !eg_cursor_skip(&c, length - 2)) return 0;
    }
    return 0;
}

/* Does the extension name another format than the content has? No extension, or one of no format, is not wrong. */
static bool wrong_extension(const char *file, const char *format) {
    static const struct {
        const char *extension, *format;
    } known[] = {{"jpg", "JPEG"}, {"jpeg", "JPEG"}, {"jpe", "JPEG"},  {"png", "PNG"},
                 {"tif", "TIFF"}, {"tiff", "TIFF"}, {"bmp", "BMP"},   {"webp", "WebP"},
                 {"pgm", "PNM"},  {"ppm", "PNM"},   {"dcm", "DICOM"}, {"dicom", "DICOM"}};
    const char *dot = strrchr(file, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (strcasecmp(dot + 1, known[i].extension) == 0)
            return strcmp(known[i].format, format) != 0;
    return false;
}

/* What the file says without its pixels. */
static void take_header(eg_image_facts *f, const eg_dataset *ds, uint32_t index) {
    char hex[65];
    eg_image_info info = {0};
    eg_file_view view;
    f->format = "npz";
    f->n_frames = f->orientation = 1;
    f->bits = 8;
    if (ds->source == EG_SOURCE_NPZ) return;
    f->format = "?";
    char *path = eg_dataset_path(ds, index);
    if (path && eg_file_open(&view, path, MAX_FILE, NULL) == EG_OK) {
        eg_sha256_hex(hex, view.data, view.size);
        take_key(f->file_key, hex);
        f->bytes = (int64_t)view.size;
        f->alpha = has_alpha(&view);
        f->quantiser = quantiser_of(&view);
        eg_file_close(&view);
    }
    if (path && eg_image_probe(&info, path, NULL, 0, NULL) == EG_OK) {
        f->format = info.format;
        f->bits = info.bits;
        f->n_frames = info.n_frames;
        f->orientation = info.orientation;
        f->wrong_extension = wrong_extension(path, info.format);
    }
    eg_free(path);
}

/* Everything that needs pixels. */
static eg_status take_pixels(eg_image_facts *f, uint8_t *portrait, uint32_t histogram[EG_BINS],
                             const eg_image *image, eg_error *err) {
    char hex[65];
    uint8_t *gray = gray_of(&f->colour, &f->deep_max, image);
    if (!gray) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    f->width = image->width;
    f->height = image->height;
    f->channels = image->channels;
    eg_sha256_hex(hex, image->pixels, eg_image_bytes(image));
    take_key(f->pixel_key, hex);
    for (int i = 0; i < 4; i++) f->pixel_key[i] ^= (uint8_t)(image->width >> 8 * i);
    take_values(f, histogram, gray, (size_t)image->width * (size_t)image->height);
    take_detail(f, gray, image->width, image->height);
    const eg_image plain = {image->width, image->height, 1, gray, false};
    const eg_image middle = {EG_PORTRAIT, EG_PORTRAIT, 1, portrait, false};
    eg_status status =
        eg_resize(portrait, EG_PORTRAIT, EG_PORTRAIT, &plain, NULL, EG_INTERP_BOX, err);
    if (status == EG_OK)
        status = eg_resize(f->thumb, EG_THUMB, EG_THUMB, &middle, NULL, EG_INTERP_BOX, err);
    if (status == EG_OK) take_framing(f);
    eg_free(gray);
    return status;
}

static void scan_one(void *context, int i) {
    scan_chunk *c = context;
    const uint32_t index = c->indices[i];
    eg_image_facts *f = &c->facts[index];
    eg_error err = {0};
    eg_image image = {0};
    *f = (eg_image_facts){0};
    c->reasons[i] = NULL;
    take_header(f, c->ds, index);
    eg_status status = eg_dataset_image(&image, c->ds, index, &err);
    if (status == EG_OK)
        status = take_pixels(f, c->portraits + (size_t)i * EG_PORTRAIT * EG_PORTRAIT,
                             c->histogram[i], &image, &err);
    if (status == EG_OK && c->ds->source == EG_SOURCE_NPZ)
        memcpy(f->file_key, f->pixel_key, sizeof f->file_key);
    eg_image_free(&image);
    bool ours = status == EG_ERR_NO_MEMORY || status == EG_ERR_INTERNAL;
    c->failures[i] = ours ? status : EG_OK;
    if (status == EG_OK || ours) return;
    char *path = eg_dataset_path(c->ds, index);
    size_t n = path ? strlen(path) : 0; /* the list gives the file apart */
    bool named = path && strncmp(err.text, path, n) == 0 && strncmp(err.text + n, ": ", 2) == 0;
    c->reasons[i] = eg_strdup(err.text + (named ? n + 2 : 0));
    if (!c->reasons[i]) c->failures[i] = EG_ERR_NO_MEMORY;
    eg_free(path);
}

/* ---- the pass ---- */

eg_group_sums *eg_study_data_sums(const eg_data_case *c, eg_split split, int label) {
    return c->sums ? &c->sums[(size_t)split * (size_t)c->ds->n_classes + (size_t)label] : NULL;
}

/* A bad file into the list, a sound one into its group; frees the reasons in any case. */
static eg_status collect(eg_data_case *c, scan_chunk *k, size_t n, eg_error *err) {
    eg_status status = EG_OK;
    for (size_t i = 0; i < n; i++) {
        const eg_sample *sample = &c->ds->samples[k->indices[i]];
        if (status == EG_OK && k->failures[i] != EG_OK)
            status = eg_fail(err, k->failures[i], "%s/%s: %s", c->ds->root, sample->file,
                             eg_status_text(k->failures[i]));
        if (status == EG_OK && k->reasons[i]) {
            json_t *reason = json_string(k->reasons[i]);
            if (!reason) reason = json_string("cannot be decoded"); /* odd bytes in the text */
            json_t *item = json_pack("{s:s, s:o, s:s}", "file", sample->file, "reason", reason,
                                     "action", "left out");
            if (json_array_append_new(c->bad, item) != 0)
                status = eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", c->ds->root);
        }
        eg_group_sums *sums = eg_study_data_sums(c, sample->split, sample->label);
        if (status == EG_OK && !k->reasons[i] && sums) {
            const uint8_t *portrait = k->portraits + i * EG_PORTRAIT * EG_PORTRAIT;
            for (int p = 0; p < EG_PORTRAIT * EG_PORTRAIT; p++) sums->portrait[p] += portrait[p];
            for (int b = 0; b < EG_BINS; b++) sums->histogram[b] += k->histogram[i][b];
            sums->n++;
        }
        eg_free(k->reasons[i]);
    }
    return status;
}

static void report(const eg_data_case *c, size_t done, size_t n, double start) {
    double seconds = eg_time_now() - start, speed = seconds > 0 ? (double)done / seconds : 0;
    eg_study_report(c->ev,
                    &(eg_progress){.kind = EG_PROGRESS_SCAN,
                                   .stage = "examine",
                                   .step = (int64_t)done,
                                   .n_steps = (int64_t)n,
                                   .images_per_second = speed,
                                   .eta_seconds = speed > 0 ? (double)(n - done) / speed : 0});
}

static eg_status pass(eg_data_case *c, scan_chunk *k, const uint32_t *all, size_t n,
                      eg_error *err) {
    double start = eg_time_now();
    for (size_t done = 0; done < n;) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        k->indices = all + done;
        eg_pool_run(scan_one, k, (int)count);
        EG_TRY(collect(c, k, count, err));
        done += count;
        report(c, done, n, start);
        if (eg_study_stopped(c->ev))
            return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted while examining images");
    }
    return EG_OK;
}

/* Facts keep step with the samples that stay: eg_dataset_drop keeps their order. */
static void drop_bad(eg_data_case *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->ds->n_samples; i++)
        if (c->facts[i].width > 0) c->facts[kept++] = c->facts[i];
    eg_dataset_drop(c->ds, c->bad);
}

eg_status eg_study_data_scan(eg_data_case *c, eg_error *err) {
    uint32_t *all = NULL;
    size_t n = 0, groups = (size_t)EG_SPLIT_COUNT * (size_t)c->ds->n_classes;
    EG_TRY(eg_dataset_indices(&all, &n, c->ds, EG_SPLIT_ALL, err));
    scan_chunk *k = eg_calloc(1, sizeof *k);
    uint8_t *portraits = eg_malloc((size_t)CHUNK * EG_PORTRAIT * EG_PORTRAIT);
    c->bad = json_array();
    c->facts = eg_calloc(n, sizeof *c->facts);
    if (groups <= MAX_GROUPS) c->sums = eg_calloc(groups, sizeof *c->sums);
    bool ok = k && portraits && c->bad && c->facts && (c->sums || groups > MAX_GROUPS);
    eg_status status = EG_OK;
    if (ok) {
        k->ds = c->ds;
        k->facts = c->facts;
        k->portraits = portraits;
        status = pass(c, k, all, n, err);
    }
    if (ok && status == EG_OK) drop_bad(c);
    eg_free(portraits);
    eg_free(k);
    eg_free(all);
    if (!ok) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", c->ds->root);
    if (status == EG_OK && c->ds->n_samples == 0)
        status = eg_fail(err, EG_ERR_INPUT,
                         "%s: none of its %zu images can be read, the first: %s: %s", c->ds->root,
                         n, json_string_value(json_object_get(json_array_get(c->bad, 0), "file")),
                         json_string_value(json_object_get(json_array_get(c->bad, 0), "reason")));
    return status;
}

/* ---- patients as numbers ---- */

typedef struct {
    const char *id;
    uint32_t image;
} mention;

static int compare_mentions(const void *a, const void *b) {
    const mention *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order ? order : (x->image > y->image) - (x->image < y->image);
}

eg_status eg_study_data_units(eg_data_case *c, eg_error *err) {
    const size_t n = c->ds->n_samples;
    mention *m = eg_malloc((n + 1) * sizeof *m);
    c->unit = eg_malloc((n + 1) * sizeof *c->unit);
    c->n_units = 0;
    size_t known = 0;
    for (size_t i = 0; m && c->unit && i < n; i++) {
        if (c->ds->samples[i].patient)
            m[known++] = (mention){c->ds->samples[i].patient, (uint32_t)i};
        else
            c->unit[i] = (uint32_t)c->n_units++; /* each image its own */
    }
    if (m && c->unit) qsort(m, known, sizeof *m, compare_mentions);
    for (size_t i = 0; m && c->unit && i < known; i++) {
        if (i == 0 || strcmp(m[i].id, m[i - 1].id) != 0) c->n_units++;
        c->unit[m[i].image] = (uint32_t)(c->n_units - 1);
    }
    bool ok = m && c->unit;
    eg_free(m);
    return ok ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

void eg_study_data_case_free(eg_data_case *c) {
    eg_dataset_free(c->ds);
    eg_free(c->facts);
    eg_free(c->unit);
    eg_free(c->sums);
    eg_free(c->features);
    json_decref(c->bad);
    *c = (eg_data_case){0};
}

/* ---- small questions ---- */

size_t eg_study_data_count(const eg_data_case *c, eg_split split, int label) {
    size_t n = 0;
    for (size_t i = 0; i < c->ds->n_samples; i++)
        n += c->ds->samples[i].split == split && (label < 0 || c->ds->samples[i].label == label);
    return n;
}

eg_split eg_study_data_base(const eg_data_case *c) {
    return eg_study_data_count(c, EG_SPLIT_TRAIN, -1) > 0 ? EG_SPLIT_TRAIN : EG_SPLIT_ALL;
}

const char *eg_study_data_split_class(char out[160], const eg_data_case *c, uint32_t image) {
    const eg_sample *s = &c->ds->samples[image];
    snprintf(out, 160, "%s/%.120s", eg_split_name(s->split), c->ds->classes[s->label]);
    return out;
}
