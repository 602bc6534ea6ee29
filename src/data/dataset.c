/* Class-folder trees: {train,val,test}/CLASS/files or a bare tree of class folders, as
 * ImageFolder reads them, but nothing is passed over in silence: every odd folder is an error
 * that names it and says what to do. Images are not opened (dataset_check.c); patients come from
 * patients.c, the validation split from split.c. Read eg_dataset in data.h first, then
 * eg_dataset_open at the end. */
#include "data/dataset.h"
#include "data/patients.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_DEPTH         16 /* folders below a class folder */
#define ARENA_BLOCK_BYTES ((size_t)1 << 16)

static const char *const split_names[EG_SPLIT_COUNT] = {"train", "val", "test", "all"};

const char *eg_split_name(eg_split split) {
    return split_names[split];
}

/* Three levels, from the bottom up: a folder's entries, the images of a class, the classes of a
 * split; then the tree. Strings live in the data set's arena, lists on the heap while scanned. */

/* ---- one folder ---- */

typedef enum { ENTRY_FOLDER, ENTRY_FILE, ENTRY_DANGLING, ENTRY_OTHER } entry_kind;

typedef struct {
    const char *name; /* in the arena */
    entry_kind kind;
    int64_t size_bytes;
    dev_t device;
    ino_t inode;
} entry;

typedef struct {
    const char *file; /* relative to the root, in the arena */
    int64_t size_bytes;
    int label;
    eg_split split;
} found_image;

typedef struct {
    eg_dataset *ds;
    found_image *found;
    size_t n_found, capacity;
} scan;

/* Folders from a class folder down to here, so that a symbolic link that leads back is seen. */
typedef struct ancestor {
    const struct ancestor *parent;
    dev_t device;
    ino_t inode;
} ancestor;

/* Every failed allocation of the scan says the same. */
static eg_status no_memory(const scan *s, eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory while listing", s->ds->root);
}

/* "a/b" in the arena; b alone when a is empty. NULL: no memory. */
static char *join(eg_arena *arena, const char *a, const char *b) {
    size_t n_a = strlen(a), n_b = strlen(b);
    char *out = eg_arena_get(arena, n_a + n_b + 2);
    if (!out) return NULL;
    memcpy(out, a, n_a);
    if (n_a > 0 && a[n_a - 1] != '/') out[n_a++] = '/';
    memcpy(out + n_a, b, n_b + 1);
    return out;
}

/* strcmp compares bytes as unsigned, which for UTF-8 is the order by code point that Python's
 * sorted() has, and with it ImageFolder. */
static int compare_entries(const void *x, const void *y) {
    return strcmp(((const entry *)x)->name, ((const entry *)y)->name);
}

/* Names go into JSON, CSV and the weights file, all UTF-8. */
static bool is_utf8(const char *name) {
    bool ascii = true;
    for (const char *p = name; *p; p++) ascii &= (unsigned char)*p < 0x80;
    if (ascii) return true;
    json_t *text = json_string(name);
    json_decref(text);
    return text != NULL;
}

/* Follows symbolic links: data sets are often assembled from links. */
static entry_kind kind_of(int fd, const char *name, struct stat *st) {
    if (fstatat(fd, name, st, 0) != 0) {
        *st = (struct stat){0};
        return ENTRY_DANGLING; // a link to nothing or to itself: opening the image will say so
    }
    if (S_ISDIR(st->st_mode)) return ENTRY_FOLDER;
    return S_ISREG(st->st_mode) ? ENTRY_FILE : ENTRY_OTHER;
}

/* The likely reasons of a failed opendir, each with what to do about it; reads errno. */
static eg_status open_failed(const char *path, eg_error *err) {
    if (errno == ENOENT)
        return eg_fail(err, EG_ERR_NOT_FOUND,
                       "%s: missing folder - give the folder that holds train/ and test/", path);
    if (errno == ENOTDIR)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: not a folder - give the folder that holds train/ and test/", path);
    if (errno == ELOOP)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: a symbolic link that leads back to itself - remove it", path);
    return eg_fail(err, EG_ERR_IO, "%s: cannot be listed: %s - check its permissions", path,
                   strerror(errno));
}

/* Entries of `path` sorted by code point, hidden ones left out (hidden files are counted as
 * skipped). *out is eg_malloc'ed, its names live in the arena. */
static eg_status list_folder(entry **out, size_t *n, scan *s, const char *path, eg_error *err) {
    DIR *dir = opendir(path);
    if (!dir) return open_failed(path, err);
    entry *entries = NULL;
    size_t count = 0, capacity = 0;
    eg_status status = EG_OK;
    // readdir tells its end from an error by errno alone
    errno = 0;
    for (struct dirent *d = readdir(dir); d && status == EG_OK; d = readdir(dir)) {
        struct stat st;
        entry_kind kind = kind_of(dirfd(dir), d->d_name, &st);
        if (d->d_name[0] == '.') {
            s->ds->n_skipped += kind != ENTRY_FOLDER;
        } else if (!is_utf8(d->d_name)) {
            status =
                eg_fail(err, EG_ERR_INPUT, "%s: a file name is not valid UTF-8 - rename it", path);
        } else {
            if (count == capacity) {
                size_t grown = capacity ? capacity * 2 : 64;
                entry *moved =
                    eg_realloc(entries, capacity * sizeof *entries, grown * sizeof *entries);
                if (moved) entries = moved, capacity = grown;
            }
            const char *name = eg_arena_strdup(s->ds->arena, d->d_name, strlen(d->d_name));
            if (count == capacity || !name)
                status = no_memory(s, err);
            else
                entries[count++] = (entry){name, kind, st.st_size, st.st_dev, st.st_ino};
        }
        errno = 0;
    }
    if (status == EG_OK && errno != 0)
        status = eg_fail(err, EG_ERR_IO, "%s: cannot be listed: %s", path, strerror(errno));
    closedir(dir);
    if (status != EG_OK) {
        eg_free(entries);
        return status;
    }
    if (count > 1) qsort(entries, count, sizeof *entries, compare_entries);
    *out = entries;
    *n = count;
    return EG_OK;
}

/* ---- images of one class ---- */

/* torchvision's list: a .webp or .bmp is an image that cannot be decoded here, and is to be
 * named, not passed over. */
static bool has_image_extension(const char *name) {
    static const char *const extensions[] = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                             ".pgm", ".tif",  ".tiff", ".webp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof extensions / sizeof *extensions; i++)
        if (strcasecmp(dot, extensions[i]) == 0) return true;
    return false;
}

/* Indices of samples are 32 bits wide everywhere, hence the limit. */
static eg_status add_image(scan *s, const found_image *image, eg_error *err) {
    if (s->n_found == s->capacity) {
        size_t grown = s->capacity ? s->capacity * 2 : 1024;
        found_image *moved =
            eg_realloc(s->found, s->capacity * sizeof *moved, grown * sizeof *moved);
        if (!moved) return no_memory(s, err);
        s->found = moved;
        s->capacity = grown;
    }
    s->found[s->n_found++] = *image;
    if (s->n_found > UINT32_MAX / 2)
        return eg_fail(err, EG_ERR_LIMIT, "%s: more than %u images", s->ds->root, UINT32_MAX / 2);
    return EG_OK;
}

/* `where` gives label and split, and in `file` the folder's path relative to the root. */
static eg_status scan_images(scan *s, const found_image *where, const ancestor *parent, int depth,
                             eg_error *err) {
    const char *path = join(s->ds->arena, s->ds->root, where->file);
    if (!path) return no_memory(s, err);
    if (depth > MAX_DEPTH)
        return eg_fail(err, EG_ERR_LIMIT, "%s: more than %d folders deep - flatten it", path,
                       MAX_DEPTH);
    entry *entries = NULL;
    size_t n = 0;
    EG_TRY(list_folder(&entries, &n, s, path, err));
    eg_status status = EG_OK;
    for (size_t i = 0; i < n && status == EG_OK; i++) {
        const entry *e = &entries[i];
        found_image image = *where;
        image.file = join(s->ds->arena, where->file, e->name);
        image.size_bytes = e->size_bytes;
        if (!image.file) {
            status = no_memory(s, err);
        } else if (e->kind == ENTRY_FOLDER) {
            ancestor here = {parent, e->device, e->inode};
            for (const ancestor *a = parent; a && status == EG_OK; a = a->parent)
                if (a->device == e->device && a->inode == e->inode)
                    status = eg_fail(err, EG_ERR_INPUT,
                                     "%s/%s: a symbolic link to a folder above it - remove it",
                                     path, e->name);
            if (status == EG_OK) status = scan_images(s, &image, &here, depth + 1, err);
        } else if (!has_image_extension(e->name)) {
            s->ds->n_skipped++;
        } else if (e->kind == ENTRY_OTHER) { // opening a pipe would wait for ever
            status =
                eg_fail(err, EG_ERR_INPUT, "%s/%s: not a regular file - remove it", path, e->name);
        } else {
            status = add_image(s, &image, err);
        }
    }
    eg_free(entries);
    return status;
}

/* ---- one split ---- */

/* Classes of the set: those of the first split seen. `n` folders, sorted. */
static eg_status set_classes(scan *s, const entry *folders, size_t n, const char *path,
                             eg_error *err) {
    eg_dataset *ds = s->ds;
    if (n == 0)
        return eg_fail(
            err, EG_ERR_INPUT,
            "%s: no class folders - put the images of each class into a folder of its own, "
            "two or more",
            path);
    if (n == 1)
        return eg_fail(err, EG_ERR_INPUT, "%s: only one class folder (%s) - two or more are needed",
                       path, folders[0].name);
    if (n > 100000)
        return eg_fail(err, EG_ERR_LIMIT, "%s: %zu class folders - is this the right folder?", path,
                       n);
    ds->classes = eg_arena_get(ds->arena, n * sizeof *ds->classes);
    if (!ds->classes) return no_memory(s, err);
    for (size_t i = 0; i < n; i++) {
        ds->classes[i] = eg_arena_strdup(ds->arena, folders[i].name, strlen(folders[i].name));
        if (!ds->classes[i]) return no_memory(s, err);
    }
    ds->n_classes = (int)n;
    return EG_OK;
}

/* Both lists are sorted; the first difference is named. */
static eg_status check_classes(const scan *s, const entry *folders, size_t n, const char *path,
                               eg_error *err) {
    const eg_dataset *ds = s->ds;
    size_t n_classes = (size_t)ds->n_classes;
    for (size_t i = 0; i < n || i < n_classes; i++) {
        int order = i == n ? 1 : i == n_classes ? -1 : strcmp(folders[i].name, ds->classes[i]);
        if (order > 0)
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: no folder for class %s - every split needs the same classes", path,
                           ds->classes[i]);
        if (order < 0)
            return eg_fail(err, EG_ERR_INPUT,
                           "%s: class folder %s is in no other split - rename or remove it", path,
                           folders[i].name);
    }
    return EG_OK;
}

/* Keep the folders, count the files as skipped. */
static size_t keep_folders(scan *s, entry *entries, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].kind == ENTRY_FOLDER)
            entries[kept++] = entries[i];
        else
            s->ds->n_skipped++;
    }
    return kept;
}

/* All class folders of one split; `folder` is the split's folder below the root, "" for a bare
 * tree. The label is the position in the sorted list. */
static eg_status scan_classes(scan *s, eg_split split, const char *folder, const entry *folders,
                              size_t n, eg_error *err) {
    eg_dataset *ds = s->ds;
    const char *path = folder[0] ? join(ds->arena, ds->root, folder) : ds->root;
    if (!path) return no_memory(s, err);
    if (ds->n_classes == 0)
        EG_TRY(set_classes(s, folders, n, path, err));
    else
        EG_TRY(check_classes(s, folders, n, path, err));
    for (size_t c = 0; c < n; c++) {
        size_t before = s->n_found;
        found_image where = {join(ds->arena, folder, folders[c].name), 0, (int)c, split};
        ancestor top = {NULL, folders[c].device, folders[c].inode};
        if (!where.file) return no_memory(s, err);
        EG_TRY(scan_images(s, &where, &top, 1, err));
        if (s->n_found == before)
            return eg_fail(
                err, EG_ERR_INPUT,
                "%s/%s: no images (.jpeg .jpg .png ...) - remove the folder or add images", path,
                folders[c].name);
    }
    return EG_OK;
}

/* One of train, val, test. Files beside the class folders are stepped over and counted. */
static eg_status scan_split(scan *s, eg_split split, const char *folder, eg_error *err) {
    entry *entries = NULL;
    size_t n = 0;
    const char *path = join(s->ds->arena, s->ds->root, folder);
    if (!path) return no_memory(s, err);
    EG_TRY(list_folder(&entries, &n, s, path, err));
    n = keep_folders(s, entries, n);
    eg_status status = scan_classes(s, split, folder, entries, n, err);
    eg_free(entries);
    return status;
}

/* ---- the tree ---- */

/* EG_SPLIT_COUNT: the name means no split. */
static eg_split split_of(const char *name) {
    if (strcasecmp(name, "train") == 0) return EG_SPLIT_TRAIN;
    if (strcasecmp(name, "val") == 0 || strcasecmp(name, "valid") == 0 ||
        strcasecmp(name, "validation") == 0)
        return EG_SPLIT_VAL;
    return strcasecmp(name, "test") == 0 ? EG_SPLIT_TEST : EG_SPLIT_COUNT;
}

/* A likely slip: DIR holds one folder, and that one holds train/. */
static eg_status check_nesting(const scan *s, const entry *folders, size_t n, eg_error *err) {
    if (n != 1) return EG_OK;
    char *inner = join(s->ds->arena, s->ds->root, folders[0].name);
    char *train = inner ? join(s->ds->arena, inner, "train") : NULL;
    if (!train) return no_memory(s, err);
    if (!eg_path_is_dir(train)) return EG_OK;
    return eg_fail(err, EG_ERR_INPUT,
                   "%s: holds only %s - did you mean %s, which has train/ in it?", s->ds->root,
                   folders[0].name, inner);
}

/* A tree with train/ has splits, and so has one that holds nothing but split folders (test/
 * alone, for eval); otherwise a class may well be called "test". */
static eg_status scan_folders(scan *s, const entry *folders, size_t n, eg_error *err) {
    const char *by_split[EG_SPLIT_COUNT] = {NULL};
    bool all_splits = n > 0;
    for (size_t i = 0; i < n; i++) {
        eg_split split = split_of(folders[i].name);
        if (split == EG_SPLIT_COUNT) {
            all_splits = false;
            continue;
        }
        if (by_split[split])
            return eg_fail(err, EG_ERR_INPUT, "%s: %s and %s are both the %s split - remove one",
                           s->ds->root, by_split[split], folders[i].name, eg_split_name(split));
        by_split[split] = folders[i].name;
    }
    if (!by_split[EG_SPLIT_TRAIN] && !all_splits) {
        EG_TRY(check_nesting(s, folders, n, err));
        return scan_classes(s, EG_SPLIT_ALL, "", folders, n, err);
    }
    for (int split = EG_SPLIT_TRAIN; split <= EG_SPLIT_TEST; split++)
        if (by_split[split]) EG_TRY(scan_split(s, (eg_split)split, by_split[split], err));
    s->ds->has_val = by_split[EG_SPLIT_VAL] != NULL;
    s->ds->has_test = by_split[EG_SPLIT_TEST] != NULL;
    return EG_OK;
}

/* The root: splits or classes, scan_folders decides. */
static eg_status scan_tree(scan *s, eg_error *err) {
    entry *entries = NULL;
    size_t n = 0;
    EG_TRY(list_folder(&entries, &n, s, s->ds->root, err));
    n = keep_folders(s, entries, n);
    eg_status status = scan_folders(s, entries, n, err);
    eg_free(entries);
    return status;
}

static int compare_found(const void *x, const void *y) {
    return strcmp(((const found_image *)x)->file, ((const found_image *)y)->file);
}

/* SHA-256 over "relative path, size" lines sorted by path: another copy of the same tree gives
 * the same. */
static eg_status take_fingerprint(scan *s, eg_error *err) {
    eg_buffer lines = {0};
    qsort(s->found, s->n_found, sizeof *s->found, compare_found);
    for (size_t i = 0; i < s->n_found; i++)
        eg_buffer_printf(&lines, "%s, %lld\n", s->found[i].file, (long long)s->found[i].size_bytes);
    bool failed = lines.failed;
    if (!failed) eg_sha256_hex(s->ds->fingerprint, lines.data, lines.size);
    eg_buffer_free(&lines);
    return failed ? no_memory(s, err) : EG_OK;
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

/* The list becomes the data set's; sizes were needed for the fingerprint only. */
static eg_status take_samples(scan *s, eg_error *err) {
    eg_dataset *ds = s->ds;
    ds->samples = eg_malloc(s->n_found * sizeof *ds->samples);
    if (!ds->samples) return no_memory(s, err);
    for (size_t i = 0; i < s->n_found; i++) {
        const found_image *f = &s->found[i];
        ds->samples[i] = (eg_sample){.file = f->file, .label = f->label, .split = f->split};
    }
    ds->n_samples = s->n_found;
    eg_data_samples_sort(ds);
    return EG_OK;
}

eg_status eg_dataset_open(eg_dataset **out, const char *root, const char *patients, eg_error *err) {
    if (!root || !root[0])
        return eg_fail(err, EG_ERR_USAGE,
                       "no folder given - give the one that holds train/ and test/");
    eg_dataset *ds = eg_calloc(1, sizeof *ds);
    eg_arena *arena = ds ? eg_arena_new(ARENA_BLOCK_BYTES, 0) : NULL;
    size_t n = strlen(root);
    while (n > 1 && root[n - 1] == '/') n--; // "DIR/" and "DIR" are one set
    char *own_root = arena ? eg_arena_strdup(arena, root, n) : NULL;
    if (!own_root) {
        eg_arena_free(arena);
        eg_free(ds);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", root);
    }
    ds->arena = arena;
    ds->root = own_root;
    ds->patient_rule = "none";
    scan s = {.ds = ds};
    eg_status status = scan_tree(&s, err);
    if (status == EG_OK) status = take_fingerprint(&s, err);
    if (status == EG_OK) status = take_samples(&s, err);
    eg_free(s.found);
    if (status == EG_OK) status = eg_data_patients_assign(ds, patients, err);
    if (status != EG_OK) {
        eg_dataset_free(ds);
        return status;
    }
    *out = ds;
    return EG_OK;
}

void eg_dataset_free(eg_dataset *ds) {
    if (!ds) return;
    eg_arena_free(ds->arena);
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
