/* Shared by the tests of the report room: sample documents, and walks over every place of one. */
#ifndef REPORT_SAMPLE_H
#define REPORT_SAMPLE_H

#include "codec/codec.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *file, *kind;
} report_samples[] = {
    {"study", "study"},
    {"compare", "compare"},
    {"published", "published"},
    {"train", "train"},
    {"metrics", "metrics"},
    {"models", "models"},
    {"recommendation", "recommendation"},
    {"pull", "pull"},
    {"phantom", "phantom"},
    {"phantom_clean", "phantom"},
    {"predictions", "predictions"},
    {"features", "features"},
    {"inspect", "inspect"},
    {"inspect_image", "inspect"},
    {"inspect_run", "inspect"},
    {"version", "version"},
    {"bench", "bench"},
};
enum { N_REPORT_SAMPLES = sizeof report_samples / sizeof *report_samples };

static inline json_t *sample_read(const char *name) {
    char path[512];
    json_t *root = NULL;
    eg_error err = {0};
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/data/report/%s.json", name);
    if (eg_json_read(&root, path, &err) != EG_OK) fail_msg("%s", err.text);
    return root;
}

/* Long arrays cut to their first `n` elements, so that a walk over every place stays quick. */
static inline void sample_shorten(json_t *node, size_t n) {
    const char *key;
    json_t *value;
    size_t i;
    while (json_array_size(node) > n) json_array_remove(node, json_array_size(node) - 1);
    json_array_foreach(node, i, value) sample_shorten(value, n);
    json_object_foreach(node, key, value) sample_shorten(value, n);
}

/* Calls visit(root) once with each change of each place: the key deleted, null, and each wrong type. Undone after. */
typedef void (*sample_visit)(const json_t *root, const char *kind);

static inline size_t sample_walk(json_t *root, json_t *node, sample_visit visit, const char *kind) {
    static const char *const wrong[] = {"null", "\"text\"", "1e300",     "-7",
                                        "[]",   "{}",       "[null, 1]", "true"};
    size_t n = 0;
    size_t length = json_is_array(node) ? json_array_size(node) : json_object_size(node);
    void *it = json_object_iter(node);
    for (size_t i = 0; i < length; i++) {
        char *key = it != NULL ? strdup(json_object_iter_key(it)) : NULL;
        json_t *value = it != NULL ? json_object_iter_value(it) : json_array_get(node, i);
        json_incref(value);
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
            json_t *other = json_loads(wrong[w], JSON_DECODE_ANY, NULL);
            if (key != NULL) json_object_set_new(node, key, other);
            if (key == NULL) json_array_set_new(node, i, other);
            visit(root, kind);
            n++;
        }
        if (key != NULL) { /* deleted, then put back: the order of keys changes, and may */
            json_object_del(node, key);
            visit(root, kind);
            json_object_set(node, key, value);
            n++;
        } else {
            json_array_set(node, i, value);
        }
        n += sample_walk(root, value, visit, kind);
        json_decref(value);
        /* the key moved behind the others, so the next one is first */
        it = key != NULL ? json_object_iter(node) : NULL;
        free(key);
    }
    return n;
}

/* Every text of the document becomes `text`, except those that decide what is drawn. */
static inline void sample_poison(json_t *node, const char *text) {
    const char *key;
    json_t *value;
    size_t i;
    json_array_foreach(node, i, value) {
        if (json_is_string(value)) json_array_set_new(node, i, json_string(text));
        sample_poison(value, text);
    }
    json_object_foreach(node, key, value) {
        bool kept =
            strcmp(key, "mode") == 0 || strcmp(key, "head") == 0 || strcmp(key, "type") == 0;
        if (json_is_string(value) && !kept) json_object_set_new(node, key, json_string(text));
        sample_poison(value, text);
    }
}

#endif
