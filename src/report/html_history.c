/* The history of a run as a table that opens on a click: the numbers behind the curves. Read first: page.h.   */
#include "report/page.h"

static void history_row(eg_page *p, const json_t *row) {
    eg_page_row_open(p);
    eg_page_cell_figure(p, eg_report_integer(row, "epoch"));
    eg_page_cell_figure(p, eg_report_real(row, "train_loss", 4));
    eg_page_cell_figure(p, eg_report_percent(row, "train_accuracy"));
    eg_page_cell_figure(p, eg_report_real(row, "val_loss", 4));
    eg_page_cell_figure(p, eg_report_percent(row, "val_accuracy"));
    eg_page_cell_figure(p, eg_report_real(row, "val_auc", 3));
    eg_page_cell_figure(p, eg_report_short(row, "lr"));
    eg_page_cell_figure(p, eg_report_seconds(row, "seconds"));
    eg_page_cell_figure(p, eg_report_real(row, "images_per_second", 1));
    eg_page_row_close(p);
}

void eg_page_history(eg_page *p, const json_t *run) {
    const eg_column columns[] = {
        {eg_report_is(run, "head", "lbfgs") ? EG_TEXT_ITERATION_HEAD : EG_TEXT_EPOCH_HEAD, true},
        {EG_TEXT_TRAIN_LOSS, true},
        {EG_TEXT_TRAIN_ACCURACY, true},
        {EG_TEXT_VAL_LOSS, true},
        {EG_TEXT_VAL_ACCURACY, true},
        {EG_TEXT_VAL_AUC, true},
        {EG_TEXT_RATE_HEAD, true},
        {EG_TEXT_SECONDS, true},
        {EG_TEXT_SPEED, true},
    };
    const json_t *history = eg_report_at(run, "history");
    if (json_array_size(history) == 0) return;
    eg_page_raw(p, "<details><summary>");
    eg_page_string(p, EG_TEXT_HISTORY);
    eg_page_raw(p, "</summary>\n");
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, false);
    for (size_t i = 0; i < json_array_size(history); i++) {
        history_row(p, json_array_get(history, i));
    }
    eg_page_table_close(p);
    eg_page_raw(p, "</details>\n");
}
