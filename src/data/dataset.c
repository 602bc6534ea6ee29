/* A data set, whatever it came from: the source is chosen by what the path is (a folder: tree.c, a zip file: medmnist.c,
 * any other file: manifest.c), its samples are sorted and fingerprinted, patients given (patients.c). Also the pixels of
 * one sample. Nothing is passed over in silence: what is odd is an error that names it and says what to do. Images are
 * not decoded on opening (dataset_check.c does); splits are drawn in split.c. Read eg_dataset in data.h first, then
 * eg_dataset_open. */
#include "data/dataset.h"
#include "data/patients.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_BLOCK_BYTES ((size_t)1 << 16)
#define MAX_LISTED        10000 /* names of files stepped over */

static const char *const split_names[EG_SPLIT_COUNT] = {"train", "val", "test", "all"};

const char *eg_split_name(eg_split split) {
    return split_names[split];
}

eg_split eg_data_split_of(const char *word) {
    static const struct {
        const char *word;
        eg_split split;
    } words[] = {{"train", EG_SPLIT_TRAIN}, {"training", EG_SPLIT_TRAIN},
                 {"val", EG_SPLIT_VAL},     {"valid", EG_SPLIT_VAL},
                 {"dev", EG_SPLIT_VAL},     {"validation", EG_SPLIT_VAL},
                 {"test", EG_SPLIT_TEST},   {"testing", EG_SPLIT_TEST}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(word, words[i].word) == 0) return words[i].split;
    return EG_SPLIT_COUNT;
}

/* ---- what the sources share ---- */

eg_status eg_data_no_memory(const eg_dataset *ds, eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory while listing", ds->path);
}

bool eg_data_is_utf8(const char *name) {
    bool ascii = true;
    for (const char *p = name; *p; p++) ascii &= (unsigned char)*p < 0x80;
    if (ascii) return true;
    json_t *text = json_string(name);
    json_decref(text);
    return text != NULL;
}

/* Indices of samples are 32 bits wide everywhere, hence the limit. */
eg_status eg_data_found_add(eg_data_scan *s, const eg_data_found *found, eg_error *err) {
    if (s->n_found == s->capacity) {
        size_t grown = s->capacity ? s->capacity * 2 : 1024;
        eg_data_found *moved =
            eg_realloc(s->found, s->capacity * sizeof *moved, grown * sizeof *moved);
        if (!moved) return eg_data_no_memory(s->ds, err);
        s->found = moved;
        s->capacity = grown;
    }
    s->found[s->n_found++] = *found;
    if (s->n_found > UINT32_MAX / 2)
        return eg_fail(err, EG_ERR_LIMIT, "%s: more than %u images", s->ds->path, UINT32_MAX / 2);
    return EG_OK;
}

eg_status eg_data_skipped_add(eg_dataset *ds, const char *path, const char *why, eg_error *err) {
    ds->n_skipped++;
    if (ds->n_listed == MAX_LISTED) return EG_OK;
    /* doubles at every power of two from 16 on */
    size_t n = ds->n_listed;
    if (n == 0 || (n >= 16 && (n & (n - 1)) == 0)) {
        eg_skipped *moved =
            eg_realloc(ds->skipped, n * sizeof *moved, (n == 0 ? 16 : 2 * n) * sizeof *moved);
        if (!moved) return eg_data_no_memory(ds, err);
        ds->skipped = moved;
    }
    const char *copy = eg_arena_strdup(ds->arena, path, strlen(path));
    if (!copy) return eg_data_no_memory(ds, err);
    ds->skipped[ds->n_listed++] = (eg_skipped){copy, why};
    return EG_OK;
}

eg_status eg_data_classes_set(eg_dataset *ds, const char *const *names, size_t n, const char *where,
                              const char *what, eg_error *err) {
    if (n == 1)
        return eg_fail(err, EG_ERR_INPUT, "%s: only one %s (%s) - two or more are needed", where,
                       what, names[0]);
    if (n > 100000)
        return eg_fail(err, EG_ERR_LIMIT, "%s: %zu %ss - is this the right data set?", where, n,
                       what);
    ds->classes = eg_arena_get(ds->arena, n * sizeof *ds->classes);
    if (!ds->classes) return eg_data_no_memory(ds, err);
    for (size_t i = 0; i < n; i++) {
        ds->classes[i] = eg_arena_strdup(ds->arena, names[i], strlen(names[i]));
        if (!ds->classes[i]) return eg_data_no_memory(ds, err);
    }
    ds->n_classes = (int)n;
    return EG_OK;
}

eg_status eg_data_classes_check(const eg_data_scan *s, eg_error *err) {
    const eg_dataset *ds = s->ds;
    bool *trained = eg_calloc((size_t)ds->n_classes, sizeof *trained), any = false;
    if (!trained) return eg_data_no_memory(ds, err);
    for (size_t i = 0; i < s->n_found; i++) {
        const eg_sample *sample = &s->found[i].sample;
        if (sample->split == EG_SPLIT_VAL || sample->split == EG_SPLIT_TEST) continue;
        trained[sample->label] = any = true;
    }
    eg_status status = EG_OK;
    for (size_t i = 0; i < s->n_found && any && status == EG_OK; i++) {
        const eg_sample *sample = &s->found[i].sample;
        if (trained[sample->label]) continue;
        status = eg_fail(
            err, EG_ERR_INPUT,
            "%s: class %s is in %s (%s) but has no training image - mend the labels or "
            "the split",
            ds->path, ds->classes[sample->label], eg_split_name(sample->split), sample->file);
    }
    eg_free(trained);
    return status;
}

/* ---- finishing ---- */

static int compare_found(const void *x, const void *y) {
    return strcmp(((const eg_data_found *)x)->sample.file, ((const eg_data_found *)y)->sample.file);
}

/* Lines sorted by path: another copy of the same set gives the same. Of a tree the path says label and split too; of a
 * manifest they are written out. The .npz has its own hash already. */
static eg_status take_fingerprint(eg_data_scan *s, eg_error *err) {
    eg_dataset *ds = s->ds;
    eg_buffer lines = {0};
    if (ds->source == EG_SOURCE_NPZ) return eg_sha256_file(ds->fingerprint, ds->path, err);
    if (s->n_found > 1) qsort(s->found, s->n_found, sizeof *s->found, compare_found);
    for (size_t i = 0; i < s->n_found; i++) {
        const eg_sample *f = &s->found[i].sample;
        eg_buffer_printf(&lines, "%s, %lld", f->file, (long long)s->found[i].size_bytes);
        if (ds->source == EG_SOURCE_MANIFEST)
            eg_buffer_printf(&lines, ", %s, %s, %s", ds->classes[f->label], eg_split_name(f->split),
                             f->patient ? f->patient : "");
        eg_buffer_add(&lines, "\n", 1);
    }
    bool failed = lines.failed;
    if (!failed) eg_sha256_hex(ds->fingerprint, lines.data, lines.size);
    eg_buffer_free(&lines);
    return failed ? eg_data_no_memory(ds, err) : EG_OK;
}

/* Order of eg_dataset.samples. No two are equal, so qsort need not be stable. */
static int compare_samples(const void *x, const void *y) {
    const eg_sample *a = x, *b = y;
    if (a->split != b->split) return a->split < b->split ? -1 : 1;
    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    return strcmp(a->file, b->file);
}

void eg_data_samples_sort(eg_dataset *ds) {
    if (ds->n_samples > 1) qsort(ds->samples, ds->n_samples, sizeof *ds->samples, compare_samples);
}

void eg_data_splits_note(eg_dataset *ds) {
    ds->has_val = ds->has_test = false;
    for (size_t i = 0; i < ds->n_samples; i++) {
        ds->has_val |= ds->samples[i].split == EG_SPLIT_VAL;
        ds->has_test |= ds->samples[i].split == EG_SPLIT_TEST;
    }
}

static eg_status take_samples(eg_data_scan *s, eg_error *err) {
    eg_dataset *ds = s->ds;
    ds->samples = eg_malloc(s->n_found * sizeof *ds->samples);
    if (!ds->samples) return eg_data_no_memory(ds, err);
    for (size_t i = 0; i < s->n_found; i++) ds->samples[i] = s->found[i].sample;
    ds->n_samples = s->n_found;
    eg_data_samples_sort(ds);
    eg_data_splits_note(ds);
    return EG_OK;
}

/* ---- opening ---- */

/* The source by what the path is; the first bytes decide between the two kinds of file. */
static eg_status choose_source(eg_dataset *ds, eg_error *err) {
    struct stat st;
    unsigned char head[132];
    if (stat(ds->path, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return eg_fail(err, EG_ERR_NOT_FOUND,
                           "%s: missing folder - give the folder that holds train/ and test/, a "
                           "CSV file, or an .npz file",
                           ds->path);
        return eg_fail(err, EG_ERR_IO, "%s: cannot be opened: %s - check its permissions", ds->path,
                       strerror(errno));
    }
    ds->source = EG_SOURCE_TREE;
    if (S_ISDIR(st.st_mode)) return EG_OK;
    if (!S_ISREG(st.st_mode)) // reading a pipe would wait for ever
        return eg_fail(err, EG_ERR_INPUT, "%s: neither a folder nor a file", ds->path);
    int fd = open(ds->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    int reason = errno;
    if (fd >= 0) close(fd);
    if (n < 0)
        return eg_fail(err, EG_ERR_IO, "%s: cannot be read: %s - check its permissions", ds->path,
                       strerror(reason));
    bool zip = n >= 4 && memcmp(head, "PK\3\4", 4) == 0;
    if (!zip && eg_image_recognised(head, (size_t)n))
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: one image, not a data set - give the folder of class folders, a CSV "
                       "file, or an .npz file (engraft predict takes images)",
                       ds->path);
    ds->source = zip ? EG_SOURCE_NPZ : EG_SOURCE_MANIFEST;
    return EG_OK;
}

/* Files are relative to the folder of the CSV or .npz; "" would be the root of the file system, so ".". */
static eg_status take_root(eg_dataset *ds, eg_error *err) {
    if (ds->source == EG_SOURCE_TREE) {
        ds->root = ds->path;
        return EG_OK;
    }
    const char *slash = strrchr(ds->path, '/');
    size_t n = slash ? (size_t)(slash - ds->path) : 0;
    if (slash && n == 0) n = 1; // a file in "/"
    ds->root = n ? eg_arena_strdup(ds->arena, ds->path, n) : eg_arena_strdup(ds->arena, ".", 1);
    return ds->root ? EG_OK : eg_data_no_memory(ds, err);
}

static eg_status scan_source(eg_data_scan *s, const eg_dataset_options *o, eg_error *err) {
    switch (s->ds->source) {
    case EG_SOURCE_MANIFEST:
        return eg_data_manifest_scan(s, o->columns, err);
    case EG_SOURCE_NPZ:
        return eg_data_npz_scan(s, err);
    case EG_SOURCE_TREE:
        break;
    }
    return eg_data_tree_scan(s, err);
}

static eg_status fill(eg_dataset *ds, const eg_dataset_options *o, eg_error *err) {
    eg_data_scan s = {.ds = ds};
    ds->patient_rule = "none";
    ds->image_options = o->image_options;
    if (!ds->image_options.max_pixels)
        ds->image_options.max_pixels = EG_IMAGE_OPTIONS_DEFAULT.max_pixels;
    if (!ds->image_options.max_file_bytes)
        ds->image_options.max_file_bytes = EG_IMAGE_OPTIONS_DEFAULT.max_file_bytes;
    EG_TRY(choose_source(ds, err));
    EG_TRY(take_root(ds, err));
    eg_status status = scan_source(&s, o, err);
    if (status == EG_OK) status = take_fingerprint(&s, err);
    if (status == EG_OK) status = take_samples(&s, err);
    eg_free(s.found);
    return status == EG_OK ? eg_data_patients_assign(ds, o, err) : status;
}

eg_status eg_dataset_open(eg_dataset **out, const char *root, const eg_dataset_options *o,
                          eg_error *err) {
    if (!root || !root[0])
        return eg_fail(err, EG_ERR_USAGE,
                       "no data set given - give the folder that holds train/ and test/, a CSV "
                       "file, or an .npz file");
    eg_dataset *ds = eg_calloc(1, sizeof *ds);
    eg_arena *arena = ds ? eg_arena_new(ARENA_BLOCK_BYTES, 0) : NULL;
    size_t n = strlen(root);
    while (n > 1 && root[n - 1] == '/') n--; // "DIR/" and "DIR" are one set
    char *path = arena ? eg_arena_strdup(arena, root, n) : NULL;
    if (!path) {
        eg_arena_free(arena);
        eg_free(ds);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", root);
    }
    ds->arena = arena;
    ds->path = path;
    eg_status status = fill(ds, o ? o : &(eg_dataset_options){0}, err);
    if (status != EG_OK) {
        eg_dataset_free(ds);
        return status;
    }
    *out = ds;
    return EG_OK;
}

void eg_dataset_free(eg_dataset *ds) {
    if (!ds) return;
    eg_npz_free(ds->npz);
    eg_arena_free(ds->arena);
    eg_free(ds->skipped);
    eg_free(ds->samples);
    eg_free(ds);
}

/* Few files are bad, so each sample looks through the whole list. */
void eg_dataset_drop(eg_dataset *ds, const json_t *bad) {
    size_t kept = 0;
    for (size_t i = 0; i < ds->n_samples; i++) {
        bool drop = false;
        for (size_t b = 0; b < json_array_size(bad) && !drop; b++) {
            const char *file = json_string_value(json_object_get(json_array_get(bad, b), "file"));
            drop = file && strcmp(file, ds->samples[i].file) == 0;
        }
        if (!drop) ds->samples[kept++] = ds->samples[i];
    }
    ds->n_samples = kept;
}

/* ---- one image ---- */

char *eg_dataset_path(const eg_dataset *ds, uint32_t index) {
    return eg_path_join(ds->source == EG_SOURCE_NPZ ? ds->path : ds->root, ds->samples[index].file);
}

/* A copy: an eg_image owns its pixels, and callers change them. */
static eg_status copy_row(eg_image *out, const eg_dataset *ds, uint32_t index, eg_error *err) {
    const eg_sample *sample = &ds->samples[index];
    size_t n;
    const uint8_t *row = eg_data_npz_row(&n, ds, index);
    if ((size_t)sample->width * (size_t)sample->height > ds->image_options.max_pixels)
        return eg_fail(err, EG_ERR_LIMIT,
                       "%s/%s: %d x %d pixels, at most %zu are read (--max-pixels)", ds->path,
                       sample->file, sample->width, sample->height, ds->image_options.max_pixels);
    uint8_t *pixels = eg_malloc(n);
    if (!pixels)
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s/%s: out of memory", ds->path, sample->file);
    memcpy(pixels, row, n);
    int channels = (int)(n / ((size_t)sample->width * (size_t)sample->height));
    *out = (eg_image){sample->width, sample->height, channels, pixels, false};
    return EG_OK;
}

eg_status eg_dataset_image(eg_image *out, const eg_dataset *ds, uint32_t index, eg_error *err) {
    if (ds->samples[index].row >= 0) return copy_row(out, ds, index, err);
    char *path = eg_dataset_path(ds, index);
    if (!path) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", ds->path);
    eg_status status = eg_image_read(out, path, &ds->image_options, err);
    eg_free(path);
    return status;
}
