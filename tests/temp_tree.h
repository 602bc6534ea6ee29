/* Folders and files for tests that read trees: made below TEST_BINARY_DIR, removed afterwards.
 * Header only; include after cmocka.h. */
#ifndef TEST_TEMP_TREE_H
#define TEST_TEMP_TREE_H

#include "base/base.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Path of the tree in use. */
static char tree_root[512];

static inline int tree_remove_entry(const char *path, const struct stat *st, int flag,
                                    struct FTW *ftw) {
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

/* A new empty folder; the root of the following calls. */
static inline void tree_begin(void) {
    snprintf(tree_root, sizeof tree_root, "%s/tree-XXXXXX", TEST_BINARY_DIR);
    assert_non_null(mkdtemp(tree_root));
}

static inline void tree_end(void) {
    nftw(tree_root, tree_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The same two as fixtures of a cmocka test. */
static inline int tree_setup(void **state) {
    (void)state;
    tree_begin();
    return 0;
}

static inline int tree_teardown(void **state) {
    (void)state;
    tree_end();
    return 0;
}

/* "a/b/c" below the root, in static storage. */
static inline const char *tree_path(const char *relative) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", tree_root, relative);
    return path;
}

static inline void tree_folder(const char *relative) {
    assert_int_equal(eg_dir_make(tree_path(relative), NULL), EG_OK);
}

/* A file with `size` bytes of `data`; its folders are made. */
static inline void tree_write(const char *relative, const void *data, size_t size) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s", relative);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
        tree_folder(folder);
    }
    FILE *file = fopen(tree_path(relative), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void tree_file(const char *relative) {
    tree_write(relative, "x", 1);
}

#endif
