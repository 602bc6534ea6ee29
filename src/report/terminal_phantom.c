/* What engraft phantom wrote, on a terminal: images and patients of each split, what was planted on
 * how many images, and where the truth lies. Read first: terminal.h. */
#include "report/terminal.h"

static void split_table(eg_term *t, const json_t *splits) {
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "split", false);
    eg_table_column(&table, "images", true);
    eg_table_column(&table, "NORMAL", true);
    eg_table_column(&table, "PNEUMONIA", true);
    eg_table_column(&table, "patients", true);
    for (size_t i = 0; i < json_array_size(splits); i++) {
        const json_t *split = json_array_get(splits, i);
        eg_table_cell(&table, eg_report_string(split, "split"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_integer(split, "images"));
        eg_table_figure(&table, eg_report_integer(split, "classes.NORMAL"));
        eg_table_figure(&table, eg_report_integer(split, "classes.PNEUMONIA"));
        eg_table_figure(&table, eg_report_integer(split, "patients"));
    }
    eg_table_write(t, &table);
}

static void planted_table(eg_term *t, const json_t *planted) {
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "planted", false);
    eg_table_column(&table, "strength", true);
    eg_table_column(&table, "images", true);
    eg_table_column(&table, "at strength 1", false);
    for (size_t i = 0; i < json_array_size(planted); i++) {
        const json_t *fault = json_array_get(planted, i);
        eg_table_cell(&table, eg_report_string(fault, "cause"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_short(fault, "strength"));
        eg_table_figure(&table, eg_report_integer(fault, "images"));
        eg_table_cell(&table, eg_report_string(fault, "at_strength_1"), EG_STYLE_PLAIN);
    }
    eg_table_write(t, &table);
}

void eg_term_phantom(eg_term *t, const json_t *root) {
    const char *out = eg_report_string(root, "out");
    split_table(t, eg_report_at(root, "splits"));
    eg_buffer_printf(&t->out, "\n");
    if (eg_report_count(root, "planted") > 0) {
        planted_table(t, eg_report_at(root, "planted"));
        eg_buffer_printf(&t->out, "\n");
    } else {
        eg_term_paragraph(t, "", "Nothing is planted: the classes differ by opacities only.");
    }
    eg_term_paragraph(t, "", "What every image shows is in truth.csv, in:");
    eg_buffer_printf(&t->out, "  ");
    eg_term_text(t, out ? out : "-");
    eg_buffer_printf(&t->out, "\n");
}
