/* Class-folder trees: {train,val,test}/CLASS/files or a bare tree of class folders, as ImageFolder reads them, but nothing
 * is passed over in silence: every odd folder is an error that names it and says what to do, and files that are no images
 * are listed with the reason. A file counts by its extension, one without a known extension by its first bytes; no image is
 * decoded. Read dataset.h first, then eg_data_tree_scan at the end. */
#include "data/dataset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 16 /* folders below a class folder */

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

/* Folders from a class folder down to here, so that a symbolic link that leads back is seen. */
typedef struct ancestor {
    const struct ancestor *parent;
    dev_t device;
    ino_t inode;
} ancestor;

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

/* Step over a file of the folder `relative`. */
static eg_status skip(eg_data_scan *s, const char *relative, const char *name, const char *why,
                      eg_error *err) {
    const char *file = join(s->ds->arena, relative, name);
    return file ? eg_data_skipped_add(s->ds, file, why, err) : eg_data_no_memory(s->ds, err);
}

/* Entries of the folder `relative` below the root, sorted by code point, hidden ones left out (hidden files are listed as
 * skipped). *out is eg_malloc'ed, its names live in the arena. */
static eg_status list_folder(entry **out, size_t *n, eg_data_scan *s, const char *relative,
                             eg_error *err) {
    const char *path = relative[0] ? join(s->ds->arena, s->ds->root, relative) : s->ds->root;
    if (!path) return eg_data_no_memory(s->ds, err);
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
            if (kind != ENTRY_FOLDER && eg_data_is_utf8(d->d_name))
                status = skip(s, relative, d->d_name, "hidden", err);
        } else if (!eg_data_is_utf8(d->d_name)) {
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
                status = eg_data_no_memory(s->ds, err);
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

/* torchvision's list and ours: a file of such a name is an image, and one that cannot be decoded is to be named, not
 * passed over. */
static bool has_image_extension(const char *name) {
    static const char *const extensions[] = {".jpg", ".jpeg", ".png",  ".ppm",  ".bmp", ".pgm",
                                             ".pnm", ".tif",  ".tiff", ".webp", ".dcm", ".dicom"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof extensions / sizeof *extensions; i++)
        if (strcasecmp(dot, extensions[i]) == 0) return true;
    return false;
}

/* Exports of a scanner are often called IM000001: the first bytes decide. NULL: an image; else why it is none. */
static const char *why_no_image(const char *path, const char *name) {
    unsigned char head[132];
    if (strcasecmp(name, "DICOMDIR") == 0) return "index of a DICOM export";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return "cannot be opened";
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    return n > 0 && eg_image_recognised(head, (size_t)n) ? NULL : "no image";
}

/* One file of a class: a sample, a file stepped over, or trouble. */
static eg_status take_file(eg_data_scan *s, const eg_data_found *where, const entry *e,
                           const char *path, eg_error *err) {
    eg_data_found image = *where;
    image.sample.file = join(s->ds->arena, where->sample.file, e->name);
    image.size_bytes = e->size_bytes;
    if (!image.sample.file) return eg_data_no_memory(s->ds, err);
    if (!has_image_extension(e->name)) {
        const char *why = e->kind == ENTRY_OTHER ? "not a regular file" : "a link to nothing";
        if (e->kind == ENTRY_FILE) {
            char *full = eg_path_join(path, e->name);
            if (!full) return eg_data_no_memory(s->ds, err);
            why = why_no_image(full, e->name);
            eg_free(full);
        }
        if (why) return eg_data_skipped_add(s->ds, image.sample.file, why, err);
    } else if (e->kind == ENTRY_OTHER) { // opening a pipe would wait for ever
        return eg_fail(err, EG_ERR_INPUT, "%s/%s: not a regular file - remove it", path, e->name);
    }
    return eg_data_found_add(s, &image, err);
}

/* `where` gives label and split, and in `file` the folder's path relative to the root. */
static eg_status scan_images(eg_data_scan *s, const eg_data_found *where, const ancestor *parent,
                             int depth, eg_error *err) {
    const char *path = join(s->ds->arena, s->ds->root, where->sample.file);
    if (!path) return eg_data_no_memory(s->ds, err);
    if (depth > MAX_DEPTH)
        return eg_fail(err, EG_ERR_LIMIT, "%s: more than %d folders deep - flatten it", path,
                       MAX_DEPTH);
    entry *entries = NULL;
    size_t n = 0;
    EG_TRY(list_folder(&entries, &n, s, where->sample.file, err));
    eg_status status = EG_OK;
    for (size_t i = 0; i < n && status == EG_OK; i++) {
        const entry *e = &entries[i];
        if (e->kind != ENTRY_FOLDER) {
            status = take_file(s, where, e, path, err);
            continue;
        }
        eg_data_found below = *where;
        below.sample.file = join(s->ds->arena, where->sample.file, e->name);
        if (!below.sample.file) status = eg_data_no_memory(s->ds, err);
        ancestor here = {parent, e->device, e->inode};
        for (const ancestor *a = parent; a && status == EG_OK; a = a->parent)
            if (a->device == e->device && a->inode == e->inode)
                status = eg_fail(err, EG_ERR_INPUT,
                                 "%s/%s: a symbolic link to a folder above it - remove it", path,
                                 e->name);
        if (status == EG_OK) status = scan_images(s, &below, &here, depth + 1, err);
    }
    eg_free(entries);
    return status;
}

/* ---- one split ---- */

/* Classes of the set: those of the first split seen. `n` folders, sorted. */
static eg_status set_classes(eg_data_scan *s, const entry *folders, size_t n, const char *path,
                             eg_error *err) {
    eg_dataset *ds = s->ds;
    if (n == 0)
        return eg_fail(
            err, EG_ERR_INPUT,
            "%s: no class folders - put the images of each class into a folder of its own, "
            "two or more",
            path);
    const char **names = eg_malloc(n * sizeof *names);
    if (!names) return eg_data_no_memory(ds, err);
    for (size_t i = 0; i < n; i++) names[i] = folders[i].name;
    eg_status status = eg_data_classes_set(ds, names, n, path, "class folder", err);
    eg_free(names);
    return status;
}

/* Both lists are sorted; the first difference is named. */
static eg_status check_classes(const eg_data_scan *s, const entry *folders, size_t n,
                               const char *path, eg_error *err) {
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

/* List a folder whose files mean nothing: its folders are kept, its files stepped over. */
static eg_status list_subfolders(entry **out, size_t *n, eg_data_scan *s, const char *relative,
                                 eg_error *err) {
    size_t n_entries = 0, kept = 0;
    EG_TRY(list_folder(out, &n_entries, s, relative, err));
    entry *entries = *out;
    eg_status status = EG_OK;
    for (size_t i = 0; i < n_entries && status == EG_OK; i++) {
        if (entries[i].kind == ENTRY_FOLDER)
            entries[kept++] = entries[i];
        else
            status = skip(s, relative, entries[i].name, "outside the class folders", err);
    }
    *n = kept;
    if (status != EG_OK) eg_free(entries);
    return status;
}

/* All class folders of one split; `folder` is the split's folder below the root, "" for a bare
 * tree. The label is the position in the sorted list. */
static eg_status scan_classes(eg_data_scan *s, eg_split split, const char *folder,
                              const entry *folders, size_t n, eg_error *err) {
    eg_dataset *ds = s->ds;
    const char *path = folder[0] ? join(ds->arena, ds->root, folder) : ds->root;
    if (!path) return eg_data_no_memory(s->ds, err);
    if (ds->n_classes == 0)
        EG_TRY(set_classes(s, folders, n, path, err));
    else
        EG_TRY(check_classes(s, folders, n, path, err));
    for (size_t c = 0; c < n; c++) {
        size_t before = s->n_found;
        const char *file = join(ds->arena, folder, folders[c].name);
        eg_data_found where = {
            .sample = {.file = file, .label = (int)c, .split = split, .row = -1}};
        ancestor top = {NULL, folders[c].device, folders[c].inode};
        if (!file) return eg_data_no_memory(s->ds, err);
        EG_TRY(scan_images(s, &where, &top, 1, err));
        if (s->n_found == before)
            return eg_fail(
                err, EG_ERR_INPUT,
                "%s/%s: no images (.jpeg .jpg .png ...) - remove the folder or add images", path,
                folders[c].name);
    }
    return EG_OK;
}

/* One of train, val, test. Files beside the class folders are stepped over and listed. */
static eg_status scan_split(eg_data_scan *s, eg_split split, const char *folder, eg_error *err) {
    entry *entries = NULL;
    size_t n = 0;
    EG_TRY(list_subfolders(&entries, &n, s, folder, err));
    eg_status status = scan_classes(s, split, folder, entries, n, err);
    eg_free(entries);
    return status;
}

/* ---- the tree ---- */

/* A likely slip: DIR holds one folder, and that one holds train/. */
static eg_status check_nesting(const eg_data_scan *s, const entry *folders, size_t n,
                               eg_error *err) {
    if (n != 1) return EG_OK;
    char *inner = join(s->ds->arena, s->ds->root, folders[0].name);
    char *train = inner ? join(s->ds->arena, inner, "train") : NULL;
    if (!train) return eg_data_no_memory(s->ds, err);
    if (!eg_path_is_dir(train)) return EG_OK;
    return eg_fail(err, EG_ERR_INPUT,
                   "%s: holds only %s - did you mean %s, which has train/ in it?", s->ds->root,
                   folders[0].name, inner);
}

/* A tree with train/ has splits, and so has one that holds nothing but split folders (test/
 * alone, for eval); otherwise a class may well be called "test". */
static eg_status scan_folders(eg_data_scan *s, const entry *folders, size_t n, eg_error *err) {
    const char *by_split[EG_SPLIT_COUNT] = {NULL};
    bool all_splits = n > 0;
    for (size_t i = 0; i < n; i++) {
        eg_split split = eg_data_split_of(folders[i].name);
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
    return EG_OK;
}

/* The root: splits or classes, scan_folders decides. */
eg_status eg_data_tree_scan(eg_data_scan *s, eg_error *err) {
    entry *entries = NULL;
    size_t n = 0;
    EG_TRY(list_subfolders(&entries, &n, s, "", err));
    eg_status status = scan_folders(s, entries, n, err);
    eg_free(entries);
    return status;
}
