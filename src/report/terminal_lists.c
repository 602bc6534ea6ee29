/* Models, predictions, feature files and versions on a terminal. Read first: terminal.h.                      */
#include "report/terminal.h"
#include <stdio.h>
#include <string.h>

enum { NAME_WIDTH = 14 };

/* ---- models ---- */

/* Below a table with measured columns: why some are missing, and what the columns are. */
static void measured_notes(eg_term *t, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++)
        eg_term_paragraph(t, "- ", eg_report_string(json_array_get(list, i), "refused"));
    eg_term_paragraph(t, "",
                      "ms, train ms: per image, median on this machine, computed in dtype. memory: "
                      "planned for a training step: activations, weights, gradients, AdamW's "
                      "moments.");
}

/* Does an entry of the list have `key` (with the value false, when `is_false`)? */
static bool any_has(const json_t *list, const char *key, bool is_false) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = eg_report_at(json_array_get(list, i), key);
        if (value != NULL && (!is_false || json_is_false(value))) return true;
    }
    return false;
}

static void measured_columns(eg_table *table) {
    eg_table_column(table, "ms", true);
    eg_table_column(table, "train ms", true);
    eg_table_column(table, "memory", true);
    eg_table_column(table, "dtype", false);
}

static void measured_cells(eg_table *table, const json_t *m) {
    eg_table_figure(table, eg_report_real(m, "measured_ms_per_image", 1));
    eg_table_figure(table, eg_report_real(m, "measured_train_ms_per_image", 1));
    eg_table_figure(table, eg_report_bytes(m, "peak_bytes"));
    eg_table_cell(table, eg_report_string(m, "measured_dtype"), EG_STYLE_PLAIN);
}

static void model_table(eg_term *t, const json_t *list) {
    bool measured = any_has(list, "measured_batch", false);
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "model", false);
    eg_table_column(&table, "family", false);
    eg_table_column(&table, "params", true);
    eg_table_column(&table, "mult-adds", true);
    eg_table_column(&table, "top-1", true);
    eg_table_column(&table, "top-5", true);
    if (measured) measured_columns(&table);
    eg_table_column(&table, "file", true);
    eg_table_column(&table, "px", true);
    eg_table_column(&table, "weights", false);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        eg_table_cell(&table, eg_report_string(m, "name"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(m, "family"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_large(m, "parameters"));
        eg_table_figure(&table, eg_report_large(m, "multiply_adds"));
        eg_table_figure(&table, eg_report_published(m, "imagenet_top1"));
        eg_table_figure(&table, eg_report_published(m, "imagenet_top5"));
        if (measured) measured_cells(&table, m);
        eg_table_figure(&table, eg_report_bytes(m, "file_bytes"));
        eg_table_figure(&table, eg_report_integer(m, "img_size"));
        eg_table_cell(&table, eg_report_string(m, "weights"), EG_STYLE_PLAIN);
    }
    eg_table_write(t, &table);
    if (measured) measured_notes(t, list);
}

/* What decides stands left, so that it is in the first block where the table is folded. */
static void short_list(eg_term *t, const json_t *root) {
    const json_t *list = eg_report_at(root, "shortlist");
    const char *first = eg_report_string(root, "first"), *second = eg_report_string(root, "second");
    bool logme = any_has(list, "logme", false), some_unfit = any_has(list, "fits", true);
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "model", false);
    eg_table_column(&table, "score", true);
    eg_table_column(&table, "top-1", true);
    eg_table_column(&table, "minutes", true);
    if (some_unfit) eg_table_column(&table, "fits", false);
    if (logme) eg_table_column(&table, "LogME", true);
    measured_columns(&table);
    eg_table_column(&table, "params", true);
    eg_table_column(&table, "mult-adds", true);
    eg_table_column(&table, "weights here", false);
    eg_table_column(&table, "family", false);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        const char *name = eg_report_string(m, "name");
        bool chosen = name != NULL && ((first != NULL && strcmp(name, first) == 0) ||
                                       (second != NULL && strcmp(name, second) == 0));
        eg_table_cell(&table, name, chosen ? EG_STYLE_BOLD : EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_real(m, "score", 1));
        eg_table_figure(&table, eg_report_published(m, "imagenet_top1"));
        eg_table_figure(&table, eg_report_real(m, "minutes", 1));
        if (some_unfit)
            eg_table_cell(&table, eg_report_scalar(eg_report_at(m, "fits")).text, EG_STYLE_PLAIN);
        if (logme) eg_table_figure(&table, eg_report_real(m, "logme", 3));
        measured_cells(&table, m);
        eg_table_figure(&table, eg_report_large(m, "parameters"));
        eg_table_figure(&table, eg_report_large(m, "multiply_adds"));
        eg_table_cell(&table, eg_report_scalar(eg_report_at(m, "weights_here")).text,
                      EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(m, "family"), EG_STYLE_PLAIN);
    }
    eg_table_write(t, &table);
    measured_notes(t, list);
}

void eg_term_models(eg_term *t, const json_t *root) {
    json_t *list = json_is_array(root) ? json_incref((json_t *)(uintptr_t)root) : json_array();
    if (json_is_object(root)) json_array_append(list, (json_t *)(uintptr_t)root);
    model_table(t, list);
    json_decref(list);
}

void eg_term_recommendation(eg_term *t, const json_t *root) {
    const json_t *text = eg_report_at(root, "text");
    eg_term_heading(t, "Rule");
    eg_term_paragraph(t, "", eg_report_string(root, "rule"));
    eg_term_heading(t, "Short list");
    short_list(t, root);
    eg_term_heading(t, "Choice");
    for (size_t i = 0; i < json_array_size(text); i++)
        eg_term_paragraph(t, "- ", json_string_value(json_array_get(text, i)));
    const json_t *commands = eg_report_at(root, "commands");
    if (json_array_size(commands) > 0) eg_term_heading(t, "Next");
    for (size_t i = 0; i < json_array_size(commands); i++) {
        const char *line = json_string_value(json_array_get(commands, i));
        eg_term_text(t, line ? line : "-"); /* whole: there to be copied */
        eg_buffer_printf(&t->out, "\n");
    }
}

/* ---- predictions ---- */

void eg_term_predictions(eg_term *t, const json_t *root) {
    const json_t *classes = eg_report_at(root, "classes"), *images = eg_report_at(root, "images");
    eg_table table = {.n_keys = 1};
    size_t n_classes = json_array_size(classes);
    if (n_classes > EG_TERM_MAX_COLUMNS - 2) n_classes = EG_TERM_MAX_COLUMNS - 2;
    eg_table_column(&table, "image", false);
    eg_table_column(&table, "class", false);
    for (size_t i = 0; i < n_classes; i++) {
        const char *name = json_string_value(json_array_get(classes, i));
        eg_table_column(&table, name != NULL ? name : "-", true);
    }
    for (size_t i = 0; i < json_array_size(images); i++) {
        const json_t *image = json_array_get(images, i);
        eg_table_cell(&table, eg_report_string(image, "file"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(image, "class"), EG_STYLE_BOLD);
        for (size_t k = 0; k < n_classes; k++) {
            const json_t *p = json_array_get(eg_report_at(image, "p"), k);
            eg_table_figure(&table, eg_report_real(p, "", 4));
        }
    }
    eg_table_write(t, &table);
    eg_figure threshold = eg_report_real(root, "threshold", 3);
    eg_figure dtype = eg_report_scalar(eg_report_at(root, "dtype"));
    if (!threshold.known) return;
    char note[200];
    snprintf(note, sizeof note, "decided at threshold %s, chosen on validation%s%s", threshold.text,
             dtype.known ? "; computed in " : "", dtype.known ? dtype.text : "");
    eg_term_paragraph(t, "", note);
}

/* ---- explain ---- */

void eg_term_explain(eg_term *t, const json_t *root) {
    const json_t *images = eg_report_at(root, "images");
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "image", false);
    eg_table_column(&table, "truth", false);
    eg_table_column(&table, "predicted", false);
    eg_table_column(&table, "p", true);
    eg_table_column(&table, "outside centre", true);
    eg_table_column(&table, "picture", false);
    for (size_t i = 0; i < json_array_size(images); i++) {
        const json_t *image = json_array_get(images, i);
        const char *truth = json_string_value(eg_report_at(image, "truth"));
        eg_table_cell(&table, eg_report_string(image, "file"), EG_STYLE_PLAIN);
        eg_table_cell(&table, truth ? truth : "-", EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(image, "predicted"), EG_STYLE_BOLD);
        eg_table_figure(&table, eg_report_real(image, "p", 3));
        eg_table_figure(&table, eg_report_percent(image, "outside_centre"));
        eg_table_cell(&table, eg_report_string(image, "picture"), EG_STYLE_PLAIN);
    }
    eg_table_write(t, &table);
    char note[400];
    snprintf(
        note, sizeof note,
        "pictures in %s/ by %s. Outside centre: share of the map beyond the central half of the "
        "area; an even map has 50 %%. A map shows where the score comes from, not why.",
        eg_report_string(root, "folder"), eg_report_string(root, "method"));
    eg_term_paragraph(t, "", note);
}

/* ---- features ---- */

void eg_term_features(eg_term *t, const json_t *root) {
    eg_term_pair(t, NAME_WIDTH, "file", eg_report_string(root, "file"));
    eg_term_pair(t, NAME_WIDTH, "model", eg_report_string(root, "model"));
    eg_term_pair(t, NAME_WIDTH, "images", eg_report_integer(root, "n").text);
    eg_term_pair(t, NAME_WIDTH, "features", eg_report_integer(root, "features").text);
    eg_figure cached = eg_report_integer(root, "cached");
    if (cached.known) eg_term_pair(t, NAME_WIDTH, "from the cache", cached.text);
    eg_term_pair(t, NAME_WIDTH, "computed in", eg_report_string(root, "dtype"));
    eg_term_pair(t, NAME_WIDTH, "time", eg_report_seconds(root, "seconds").text);
    eg_term_pair(t, NAME_WIDTH, "images/s", eg_report_real(root, "images_per_second", 1).text);
}

/* ---- version ---- */

void eg_term_version(eg_term *t, const json_t *root) {
    eg_term_pair(t, NAME_WIDTH, "engraft", eg_report_string(root, "engraft"));
    eg_term_pair(t, NAME_WIDTH, "compiler", eg_report_string(root, "compiler"));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)eg_report_at(root, "libraries"), key, value) {
        eg_term_pair(t, NAME_WIDTH, key, json_string_value(value));
    }
    eg_term_pair(t, NAME_WIDTH, "processor", eg_report_string(root, "cpu"));
    eg_term_pair(t, NAME_WIDTH, "threads", eg_report_integer(root, "threads").text);
    eg_term_pair(t, NAME_WIDTH, "kernels", eg_report_string(root, "isa"));
    eg_buffer available = {0};
    for (size_t i = 0; i < eg_report_count(root, "isa_available"); i++) {
        const json_t *isa = json_array_get(eg_report_at(root, "isa_available"), i);
        eg_buffer_printf(&available, "%s%s", i > 0 ? ", " : "",
                         json_is_string(isa) ? json_string_value(isa) : "-");
    }
    if (available.size > 0) eg_term_pair(t, NAME_WIDTH, "available", available.data);
    if (available.failed) t->out.failed = true;
    eg_buffer_free(&available);
    const json_t *kernels = eg_report_at(root, "kernels");
    if (json_array_size(kernels) == 0) return;
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "kernel", false);
    eg_table_column(&table, "compiled for", false);
    for (size_t i = 0; i < json_array_size(kernels); i++) {
        eg_table_cell(&table, eg_report_string(json_array_get(kernels, i), "name"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(json_array_get(kernels, i), "isa"), EG_STYLE_PLAIN);
    }
    eg_term_heading(t, "Kernels");
    eg_table_write(t, &table);
}
