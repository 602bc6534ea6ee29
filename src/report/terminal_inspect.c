/* What is in a file, on a terminal: weights (globals of the pickle first, then tensors), an image, a run, others.
 *
 * Fields that this writer does not know are listed as they are: a new file type needs no change here.
 * Read first: terminal.h.                                                                                     */
#include "report/terminal.h"
#include <string.h>

enum { NAME_WIDTH = 14, SHOWN = 12 };

/* Every scalar of an object as "name value"; objects and arrays are left to others. */
static void scalars(eg_term *t, const json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        if (json_is_object(value) || json_is_array(value)) continue;
        const char *text = json_string_value(value);
        eg_figure f = eg_report_scalar(value);
        bool bytes = strstr(key, "bytes") != NULL;
        if (bytes) f = eg_report_bytes(value, "");
        if (json_is_integer(value) && strncmp(key, "n_", 2) == 0) f = eg_report_integer(value, "");
        eg_term_pair(t, NAME_WIDTH, key, text != NULL ? text : f.text);
    }
}

static void globals(eg_term *t, const json_t *list) {
    if (json_array_size(list) == 0) return;
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "pickle global", false);
    eg_table_column(&table, "at byte", true);
    eg_table_column(&table, "verdict", false);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *g = json_array_get(list, i);
        const json_t *allowed = eg_report_at(g, "allowed");
        eg_table_cell(&table, eg_report_string(g, "name"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_scalar(eg_report_at(g, "offset")));
        if (json_is_boolean(allowed)) {
            bool good = json_is_true(allowed);
            eg_table_cell(&table, good ? "allowed" : "NOT ALLOWED",
                          good ? EG_STYLE_GOOD : EG_STYLE_BAD);
        } else {
            eg_table_cell(&table, NULL, EG_STYLE_PLAIN);
        }
    }
    eg_term_heading(t, "Pickle globals");
    eg_table_write(t, &table);
}

/* "32x3x3x3", or "scalar" for no dimensions. */
static void shape_cell(eg_term *t, eg_table *table, const json_t *shape) {
    eg_buffer b = {0};
    for (size_t i = 0; i < json_array_size(shape); i++) {
        eg_buffer_printf(&b, "%s%s", i > 0 ? "x" : "",
                         eg_report_scalar(json_array_get(shape, i)).text);
    }
    bool scalar = json_is_array(shape) && json_array_size(shape) == 0;
    eg_table_cell(table, scalar ? "scalar" : b.data, EG_STYLE_PLAIN);
    if (b.failed) t->out.failed = true;
    eg_buffer_free(&b);
}

/* Not finite values over all tensors: what a broken checkpoint shows first. */
static void broken(eg_term *t, const json_t *list) {
    size_t n = 0;
    const char *first = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);
        if (!json_is_false(eg_report_at(x, "finite"))) continue;
        if (n++ == 0) first = eg_report_string(x, "name");
    }
    if (n == 0) return;
    char *line = eg_format("tensors with NaN or infinity: %zu, first %s", n, first ? first : "-");
    if (line == NULL) t->out.failed = true;
    eg_term_paragraph(t, "! ", line);
    eg_free(line);
}

/* A scalar says little about a network: the short list leaves counters out. */
static bool has_dims(const json_t *tensor) {
    return json_array_size(eg_report_at(tensor, "shape")) > 0;
}

static void tensors(eg_term *t, const json_t *list, bool all) {
    size_t n = json_array_size(list), shown = 0;
    if (n == 0) return;
    all = all || n <= SHOWN;
    broken(t, list);
    static const char *const heads[] = {"tensor", "dtype", "shape", "min", "max", "mean", "finite"};
    eg_table table = {.n_keys = 1};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        eg_table_column(&table, heads[i], i >= 2 && i < 6);
    }
    for (size_t i = 0; i < n && (all || shown < SHOWN); i++) {
        const json_t *x = json_array_get(list, i);
        if (!all && !has_dims(x)) continue;
        shown++;
        eg_table_cell(&table, eg_report_string(x, "name"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(x, "dtype"), EG_STYLE_PLAIN);
        shape_cell(t, &table, eg_report_at(x, "shape"));
        eg_table_figure(&table, eg_report_short(x, "min"));
        eg_table_figure(&table, eg_report_short(x, "max"));
        eg_table_figure(&table, eg_report_short(x, "mean"));
        bool broken = json_is_false(eg_report_at(x, "finite"));
        eg_table_cell(&table, eg_report_scalar(eg_report_at(x, "finite")).text,
                      broken ? EG_STYLE_BAD : EG_STYLE_PLAIN);
    }
    eg_term_heading(t, "Tensors");
    eg_table_write(t, &table);
    if (shown == n) return;
    char *line = eg_format("%zu more: --all lists them, --json has every figure", n - shown);
    if (line == NULL) t->out.failed = true;
    eg_term_paragraph(t, "... ", line);
    eg_free(line);
}

/* The arrays of an .npz; a reason in the last column only where there is one. */
static void arrays(eg_term *t, const json_t *list) {
    size_t n = json_array_size(list), n_errors = 0;
    if (n == 0) return;
    for (size_t i = 0; i < n; i++)
        n_errors += eg_report_string(json_array_get(list, i), "error") != NULL;
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "array", false);
    eg_table_column(&table, "dtype", false);
    eg_table_column(&table, "shape", true);
    if (n_errors > 0) eg_table_column(&table, "error", false);
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(list, i);
        eg_table_cell(&table, eg_report_string(x, "name"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(x, "dtype"), EG_STYLE_PLAIN);
        shape_cell(t, &table, eg_report_at(x, "shape"));
        if (n_errors > 0) eg_table_cell(&table, eg_report_string(x, "error"), EG_STYLE_BAD);
    }
    eg_term_heading(t, "Arrays");
    eg_table_write(t, &table);
}

void eg_term_inspect(eg_term *t, const json_t *root) {
    scalars(t, root);
    const json_t *metadata = eg_report_at(root, "metadata"), *config = eg_report_at(root, "config");
    if (json_object_size(metadata) > 0) {
        eg_term_heading(t, "Metadata");
        scalars(t, metadata);
    }
    globals(t, eg_report_at(root, "globals"));
    arrays(t, eg_report_at(root, "arrays"));
    tensors(t, eg_report_at(root, "tensors"), eg_report_at(root, "list_all") != NULL);
    if (eg_report_at(root, "summary") != NULL) eg_term_train(t, eg_report_at(root, "summary"));
    if (json_object_size(config) > 0) {
        eg_term_heading(t, "Configuration");
        scalars(t, config);
    }
}
