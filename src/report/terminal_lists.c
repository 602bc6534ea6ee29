/* Models, predictions, feature files and versions on a terminal. Read first: terminal.h.                      */
#include "report/terminal.h"
#include <stdio.h>

enum { NAME_WIDTH = 14 };

/* ---- models ---- */

static void model_row(eg_table *table, const json_t *m, bool measured) {
    eg_table_cell(table, eg_report_string(m, "name"), EG_STYLE_PLAIN);
    eg_table_figure(table, eg_report_integer(m, "parameters"));
    eg_table_figure(table, eg_report_large(m, "multiply_adds"));
    eg_table_figure(table, eg_report_published(m, "imagenet_top1"));
    eg_table_figure(table, eg_report_published(m, "imagenet_top5"));
    eg_table_figure(table, eg_report_integer(m, "img_size"));
    eg_table_figure(table, eg_report_bytes(m, "file_bytes"));
    if (measured) {
        eg_table_figure(table, eg_report_real(m, "measured_ms_per_image", 1));
        eg_table_figure(table, eg_report_real(m, "measured_train_images_per_second", 1));
        eg_table_figure(table, eg_report_bytes(m, "peak_bytes"));
    }
    eg_table_cell(table, eg_report_string(m, "weights"), EG_STYLE_PLAIN);
}

void eg_term_models(eg_term *t, const json_t *root) {
    static const char *const heads[] = {"model", "parameters", "mult-adds", "top-1",
                                        "top-5", "px",         "file"};
    static const char *const measures[] = {"ms/image", "train img/s", "memory"};
    json_t *list = json_is_array(root) ? json_incref((json_t *)(uintptr_t)root) : json_array();
    if (json_is_object(root)) json_array_append(list, (json_t *)(uintptr_t)root);
    bool measured = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        measured |= eg_report_at(json_array_get(list, i), "measured_ms_per_image") != NULL;
    }
    eg_table table = {.n_keys = 1};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        eg_table_column(&table, heads[i], i > 0);
    }
    for (size_t i = 0; measured && i < 3; i++) eg_table_column(&table, measures[i], true);
    eg_table_column(&table, "weights", false);
    for (size_t i = 0; i < json_array_size(list); i++) {
        model_row(&table, json_array_get(list, i), measured);
    }
    eg_table_write(t, &table);
    json_decref(list);
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
    if (!threshold.known) return;
    char note[120];
    snprintf(note, sizeof note, "decided at threshold %s, chosen on validation", threshold.text);
    eg_term_paragraph(t, "", note);
}

/* ---- features ---- */

void eg_term_features(eg_term *t, const json_t *root) {
    eg_term_pair(t, NAME_WIDTH, "file", eg_report_string(root, "file"));
    eg_term_pair(t, NAME_WIDTH, "model", eg_report_string(root, "model"));
    eg_term_pair(t, NAME_WIDTH, "images", eg_report_integer(root, "n").text);
    eg_term_pair(t, NAME_WIDTH, "features", eg_report_integer(root, "features").text);
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
