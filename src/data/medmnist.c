/* An .npz in MedMNIST's layout: {train,val,test}_{images,labels}, or images and labels alone; gray (n,H,W) or RGB
 * (n,H,W,3) of 8 bit, labels (n) or (n,1) of any integer type. Rows stay where the file was read to: a sample is a view. The
 * classes are the labels that occur, in order of their value, since the file has no names for them. Multi-label and 3D sets
 * are refused with the reason. Unpacking is the codec room's (npz.c). Read dataset.h first. */
#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

/* In the order of eg_split. A set without splits has plain names. */
static const char *const prefixes[EG_SPLIT_COUNT] = {"train_", "val_", "test_", ""};

/* ---- labels ---- */

/* Bytes a value and sign of an integer or bool dtype in this machine's order or of one byte; 0: another dtype. */
static size_t integer_bytes(bool *is_signed, const char *descr) {
    if (!descr[0] || !descr[1] || !descr[2] || descr[3]) return 0;
    bool little = descr[0] == '<' || descr[0] == '=';
    size_t n = (size_t)(descr[2] - '0');
    *is_signed = descr[1] == 'i';
    if (descr[1] == 'b') return n == 1 ? 1 : 0;
    if (descr[1] != 'i' && descr[1] != 'u') return 0;
    if (n == 1) return descr[0] == '|' || little ? 1 : 0;
    return little && (n == 2 || n == 4 || n == 8) ? n : 0;
}

/* Element i of an array of integers. Unsigned values of 2^63 and more come out negative: distinct all the same. */
static int64_t integer_at(const void *data, size_t i, size_t n_bytes, bool is_signed) {
    uint64_t v = 0;
    memcpy(&v, (const char *)data + i * n_bytes, n_bytes); // little endian, as the file
    if (is_signed && n_bytes < 8 && (v >> (8 * n_bytes - 1)) & 1)
        v |= ~(uint64_t)0 << (8 * n_bytes);
    return (int64_t)v;
}

static int compare_values(const void *x, const void *y) {
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

/* ---- shapes ---- */

static eg_status refuse_shape(const eg_dataset *ds, const char *prefix, const eg_npy_array *a,
                              eg_error *err) {
    char shape[120] = "";
    size_t used = 0;
    for (int i = 0; i < a->n_dims && used + 24 < sizeof shape; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld", i ? "," : "",
                                 (long long)a->dims[i]);
    const char *why = "expected uint8 images (n,height,width) or (n,height,width,3)";
    if (a->n_dims >= 4 && a->dims[3] != 3 && a->dims[3] != 1)
        why = "volumes (3D sets of MedMNIST) are not read: 2D images (n,height,width) or "
              "(n,height,width,3) are";
    return eg_fail(err, EG_ERR_INPUT, "%s: %simages of shape (%s), dtype %s: %s", ds->path, prefix,
                   shape, a->descr, why);
}

static eg_status check_images(const eg_dataset *ds, const char *prefix, const eg_npy_array *a,
                              eg_error *err) {
    bool fits = a->n_dims == 3 || (a->n_dims == 4 && (a->dims[3] == 3 || a->dims[3] == 1));
    if (!fits || (strcmp(a->descr, "|u1") != 0 && strcmp(a->descr, "u1") != 0))
        return refuse_shape(ds, prefix, a, err);
    for (int i = 0; i < 3; i++)
        if (a->dims[i] < 1 || a->dims[i] > (i ? 1 << 16 : INT32_MAX))
            return refuse_shape(ds, prefix, a, err);
    return EG_OK;
}

static eg_status check_labels(const eg_dataset *ds, const char *prefix, const eg_npy_array *labels,
                              int64_t n, eg_error *err) {
    bool is_signed;
    if (labels->n_dims == 2 && labels->dims[1] > 1)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: %slabels has %lld labels an image (multi-label, as ChestMNIST): one "
                       "class an image is learned here - write an .npz whose labels are one of its "
                       "columns",
                       ds->path, prefix, (long long)labels->dims[1]);
    if (labels->n_dims < 1 || labels->n_dims > 2 || labels->dims[0] != n ||
        (labels->n_dims == 2 && labels->dims[1] != 1))
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: %slabels: %lld labels for %lld images, expected (n) or (n,1)", ds->path,
                       prefix, (long long)(labels->n_dims ? labels->dims[0] : 0), (long long)n);
    if (integer_bytes(&is_signed, labels->descr) == 0)
        return eg_fail(err, EG_ERR_INPUT, "%s: %slabels: dtype %s, expected integers", ds->path,
                       prefix, labels->descr);
    return EG_OK;
}

/* ---- samples ---- */

static eg_status add_rows(eg_data_scan *s, eg_split split, const eg_npy_array *images,
                          const eg_npy_array *labels, const int64_t *classes, eg_error *err) {
    eg_dataset *ds = s->ds;
    bool is_signed;
    const size_t n_bytes = integer_bytes(&is_signed, labels->descr);
    for (int64_t i = 0; i < images->dims[0]; i++) {
        char name[48];
        int n = snprintf(name, sizeof name, "%simages/%lld", prefixes[split], (long long)i);
        int64_t value = integer_at(labels->data, (size_t)i, n_bytes, is_signed);
        const int64_t *place =
            bsearch(&value, classes, (size_t)ds->n_classes, sizeof value, compare_values);
        eg_data_found found = {.sample = {.file = eg_arena_strdup(ds->arena, name, (size_t)n),
                                          .label = (int)(place - classes),
                                          .split = split,
                                          .width = (int)images->dims[2],
                                          .height = (int)images->dims[1],
                                          .row = i}};
        if (!found.sample.file) return eg_data_no_memory(ds, err);
        EG_TRY(eg_data_found_add(s, &found, err));
    }
    return EG_OK;
}

/* The distinct labels of all splits, ascending, in `values` (room for all labels), and the classes of the set. */
static eg_status take_classes(eg_dataset *ds, int64_t *values,
                              const eg_npy_array *const labels[EG_SPLIT_COUNT], eg_error *err) {
    size_t n = 0, n_distinct = 0;
    for (int split = 0; split < EG_SPLIT_COUNT; split++) {
        bool is_signed;
        if (!labels[split]) continue;
        size_t n_bytes = integer_bytes(&is_signed, labels[split]->descr);
        for (int64_t i = 0; i < labels[split]->dims[0]; i++)
            values[n++] = integer_at(labels[split]->data, (size_t)i, n_bytes, is_signed);
    }
    qsort(values, n, sizeof *values, compare_values);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || values[i] != values[n_distinct - 1]) values[n_distinct++] = values[i];
    if (n_distinct > 1000)
        return eg_fail(err, EG_ERR_INPUT, "%s: %zu different labels - are these classes?", ds->path,
                       n_distinct);
    char(*texts)[24] = eg_malloc(n_distinct * sizeof *texts);
    const char **names = eg_malloc(n_distinct * sizeof *names);
    eg_status status = texts && names ? EG_OK : eg_data_no_memory(ds, err);
    for (size_t i = 0; i < n_distinct && status == EG_OK; i++) {
        snprintf(texts[i], sizeof texts[i], "%lld", (long long)values[i]);
        names[i] = texts[i];
    }
    if (status == EG_OK)
        status = eg_data_classes_set(ds, names, n_distinct, ds->path, "class", err);
    eg_free(names);
    eg_free(texts);
    return status;
}

/* Pairs of images and labels that are there; *n images in all. Either all in splits, or one pair without. */
static eg_status find_arrays(eg_dataset *ds, const eg_npy_array *labels[EG_SPLIT_COUNT], size_t *n,
                             eg_error *err) {
    char name[32];
    *n = 0;
    for (int split = 0; split < EG_SPLIT_COUNT; split++) {
        if (split == EG_SPLIT_ALL && *n > 0) break;
        snprintf(name, sizeof name, "%simages", prefixes[split]);
        const eg_npy_array *images = eg_npz_find(ds->npz, name);
        snprintf(name, sizeof name, "%slabels", prefixes[split]);
        labels[split] = eg_npz_find(ds->npz, name);
        if (!images != !labels[split])
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: %simages and %slabels belong together: %s is not there", ds->path,
                           prefixes[split], prefixes[split], images ? "the latter" : "the former");
        if (!images) continue;
        if (images->n_dims > 0 && images->dims[0] == 0) { // an empty split is none
            labels[split] = NULL;
            continue;
        }
        /* the data: their check sum is compared, and deflated arrays are inflated */
        EG_TRY(eg_npz_get(&labels[split], ds->npz, name, err));
        snprintf(name, sizeof name, "%simages", prefixes[split]);
        EG_TRY(eg_npz_get(&images, ds->npz, name, err));
        EG_TRY(check_images(ds, prefixes[split], images, err));
        EG_TRY(check_labels(ds, prefixes[split], labels[split], images->dims[0], err));
        ds->arrays[split] = images;
        *n += (size_t)images->dims[0];
    }
    if (*n > 0) return EG_OK;
    return eg_fail(err, EG_ERR_INPUT,
                   "%s: no images: expected the arrays train_images, train_labels, test_images, "
                   "test_labels (MedMNIST), or images and labels",
                   ds->path);
}

static eg_status scan_arrays(eg_data_scan *s, int64_t **values, eg_error *err) {
    eg_dataset *ds = s->ds;
    const eg_npy_array *labels[EG_SPLIT_COUNT] = {NULL};
    size_t n;
    EG_TRY(find_arrays(ds, labels, &n, err));
    *values = eg_malloc(n * sizeof **values);
    if (!*values) return eg_data_no_memory(ds, err);
    EG_TRY(take_classes(ds, *values, labels, err));
    for (int split = 0; split < EG_SPLIT_COUNT; split++)
        if (labels[split])
            EG_TRY(add_rows(s, (eg_split)split, ds->arrays[split], labels[split], *values, err));
    return eg_data_classes_check(s, err);
}

eg_status eg_data_npz_scan(eg_data_scan *s, eg_error *err) {
    int64_t *values = NULL; /* classes by value */
    EG_TRY(eg_npz_read(&s->ds->npz, s->ds->path, err));
    eg_status status = scan_arrays(s, &values, err);
    eg_free(values);
    return status;
}

/* The array is told by the file's name, not by the sample's split, which may have been drawn anew. */
const uint8_t *eg_data_npz_row(size_t *n_bytes, const eg_dataset *ds, uint32_t index) {
    const eg_sample *sample = &ds->samples[index];
    int split = EG_SPLIT_TRAIN;
    while (split < EG_SPLIT_ALL &&
           strncmp(sample->file, prefixes[split], strlen(prefixes[split])) != 0)
        split++;
    const eg_npy_array *a = ds->arrays[split];
    *n_bytes = a->n_bytes / (size_t)a->dims[0];
    return (const uint8_t *)a->data + *n_bytes * (size_t)sample->row;
}
