/* JSON: the documents that commands return, and reading and writing of JSON files, over jansson.
 *
 * The text is reproducible: keys in the order they were put in, reals with 10 significant digits,
 * NaN and infinities as null (JSON has no word for them). jansson keeps its own heap; only the text
 * passes eg_malloc. Read first: codec.h, "JSON documents"; doc/documents.md for what is in them. */
#include "codec/codec.h"
#include <math.h>
#include <string.h>

enum { REAL_DIGITS = 10 };
static const size_t max_json_bytes = (size_t)256 << 20;

/* ---- documents ---- */

eg_doc *eg_doc_new(json_t *root, const char *kind) {
    if (root == NULL) return NULL;
    eg_doc *doc = eg_malloc(sizeof *doc);
    if (doc == NULL) {
        json_decref(root);
        return NULL;
    }
    *doc = (eg_doc){.root = root, .kind = kind};
    return doc;
}

void eg_doc_free(eg_doc *doc) {
    if (doc == NULL) return;
    json_decref(doc->root);
    eg_free(doc);
}

const char *eg_doc_kind(const eg_doc *doc) {
    return doc->kind;
}

/* The text of the file that eg_json_write would write. */
char *eg_doc_json(const eg_doc *doc) {
    return eg_json_text(doc->root, false);
}

void eg_text_free(char *text) {
    eg_free(text);
}

/* One step of a path: a key of an object, or a decimal index of an array. NULL: not there. */
static const json_t *step_into(const json_t *node, const char *key, size_t n) {
    if (json_is_object(node)) {
        const char *name;
        json_t *value;
        /* jansson 2.14's own lookup needs a NUL behind the key; objects here are small */
        json_object_foreach((json_t *)(uintptr_t)node, name, value) {
            if (strlen(name) == n && memcmp(name, key, n) == 0) return value;
        }
        return NULL;
    }
    if (!json_is_array(node) || n == 0 || n > 9) return NULL;
    size_t index = 0;
    for (size_t i = 0; i < n; i++) {
        if (key[i] < '0' || key[i] > '9') return NULL;
        index = index * 10 + (size_t)(key[i] - '0');
    }
    return json_array_get(node, index); /* NULL beyond the end */
}

eg_status eg_doc_number(double *value, const eg_doc *doc, const char *path, eg_error *err) {
    const json_t *node = doc->root;
    for (const char *key = path; node != NULL;) {
        size_t n = strcspn(key, ".");
        node = step_into(node, key, n);
        if (key[n] == 0) break;
        key += n + 1;
    }
    if (node == NULL || json_is_null(node)) {
        return eg_fail(err, EG_ERR_NOT_FOUND, "%s: the document (%s) has no figure of this name",
                       path, doc->kind);
    }
    if (!json_is_number(node)) {
        return eg_fail(err, EG_ERR_INPUT, "%s: is not a number in the document (%s)", path,
                       doc->kind);
    }
    *value = json_number_value(node);
    return EG_OK;
}

/* ---- reading ---- */

/* jansson's own limits hold too: nesting of 2048, integers of 64 bits, valid UTF-8. */
eg_status eg_json_parse(json_t **out, const char *text, size_t size, eg_error *err) {
    if (size > max_json_bytes) {
        return eg_fail(err, EG_ERR_LIMIT, "JSON of %zu bytes, the limit is %zu", size,
                       max_json_bytes);
    }
    json_error_t e;
    json_t *root = json_loadb(size > 0 ? text : "", size, JSON_REJECT_DUPLICATES, &e);
    if (root == NULL) {
        if (json_error_code(&e) == json_error_out_of_memory) {
            return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the JSON document");
        }
        return eg_fail_at(err, EG_ERR_INPUT, e.position, "bad JSON in line %d, column %d: %s",
                          e.line, e.column, e.text);
    }
    *out = root;
    return EG_OK;
}

eg_status eg_json_read(json_t **out, const char *path, eg_error *err) {
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, max_json_bytes, err));
    eg_status status = eg_json_parse(out, (const char *)view.data, view.size, err);
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_file_close(&view);
    return status;
}

/* ---- writing ---- */

/* jansson's output in pieces; -1 makes it stop. */
static int add_to_buffer(const char *text, size_t n, void *context) {
    eg_buffer *b = context;
    eg_buffer_add(b, text, n);
    return b->failed ? -1 : 0;
}

/* JSON_ENCODE_ANY: a document may be a lone null, when a command has nothing to say. */
char *eg_json_text(const json_t *root, bool compact) {
    eg_buffer b = {0};
    size_t flags = JSON_REAL_PRECISION(REAL_DIGITS) | JSON_ENCODE_ANY;
    flags |= compact ? JSON_COMPACT : JSON_INDENT(1);
    int failed = json_dump_callback(root, add_to_buffer, &b, flags);
    if (!compact) eg_buffer_add(&b, "\n", 1);
    if (failed != 0 || b.failed) {
        eg_buffer_free(&b);
        return NULL;
    }
    return b.data;
}

eg_status eg_json_write(const char *path, const json_t *root, eg_error *err) {
    char *text = eg_json_text(root, false);
    if (text == NULL) {
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for the JSON text", path);
    }
    eg_part part = {.data = text, .size = strlen(text)};
    eg_status status = eg_file_write_atomic(path, &part, 1, err);
    eg_free(text);
    return status;
}

json_t *eg_json_real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}
