/* The first section: every run in one table, and its test accuracy as a row of intervals. Read first: page.h. */
#include "report/svg.h"

static void glance_row(eg_page *p, const json_t *run) {
    const json_t *test = eg_report_at(run, "test");
    eg_page_row_open(p);
    eg_page_cell_text(p, eg_report_string(run, "model"));
    eg_page_cell_mode(p, run);
    eg_page_cell_figure(p, eg_report_integer(run, "trainable_parameters"));
    eg_page_cell_figure(p, eg_report_integer(run, "epochs"));
    eg_page_cell_figure(p, eg_report_seconds(run, "train_seconds"));
    eg_page_cell_figure(p, eg_report_percent(run, "val.accuracy"));
    eg_page_cell_interval(p, eg_report_percent(test, "accuracy"),
                          eg_report_interval_percent(test, "accuracy_ci"));
    eg_page_cell_figure(p, eg_report_real(test, "loss", 3));
    eg_page_cell_interval(p, eg_report_real(test, "auc", 3),
                          eg_report_interval_real(test, "auc_ci", 3));
    eg_page_row_close(p);
}

void eg_page_glance(eg_page *p) {
    static const eg_column columns[] = {
        {EG_TEXT_MODEL, false},        {EG_TEXT_MODE, false},     {EG_TEXT_TRAINABLE, true},
        {EG_TEXT_EPOCHS, true},        {EG_TEXT_TIME, true},      {EG_TEXT_VAL_ACCURACY, true},
        {EG_TEXT_TEST_ACCURACY, true}, {EG_TEXT_TEST_LOSS, true}, {EG_TEXT_TEST_AUC, true},
    };
    eg_page_section_open(p, "glance", EG_TEXT_GLANCE, EG_TEXT_GLANCE_ASKS);
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, true);
    for (size_t i = 0; i < json_array_size(p->runs); i++) {
        glance_row(p, json_array_get(p->runs, i));
    }
    eg_page_table_close(p);
    eg_svg_dots(p);
    eg_page_section_close(p);
}
