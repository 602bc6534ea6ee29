/* One run, and one set of metrics, on a terminal. Read first: terminal.h.                                     */
#include "report/terminal.h"

enum { NAME_WIDTH = 20 };

static void figure_pair(eg_term *t, const char *name, eg_figure f) {
    if (f.known) eg_term_pair(t, NAME_WIDTH, name, f.text);
}

static void interval_pair(eg_term *t, const char *name, eg_figure f, eg_figure interval) {
    if (!f.known) return;
    eg_term_style(t, EG_STYLE_DIM);
    eg_buffer_printf(&t->out, "%-*s", NAME_WIDTH, name);
    eg_term_style(t, EG_STYLE_PLAIN);
    eg_buffer_printf(&t->out, interval.known ? "  %s %s\n" : "  %s%s\n", f.text,
                     interval.known ? interval.text : "");
}

/* Rows truth, columns prediction. */
static void confusion(eg_term *t, const json_t *m) {
    const json_t *matrix = eg_report_at(m, "confusion"), *classes = eg_report_at(m, "classes");
    size_t k = json_array_size(matrix);
    if (k == 0 || k > EG_TERM_MAX_COLUMNS - 1) return;
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "truth \\ predicted", false);
    for (size_t i = 0; i < k; i++) {
        const char *name = json_string_value(json_array_get(classes, i));
        eg_table_column(&table, name != NULL ? name : "-", true);
    }
    for (size_t i = 0; i < k; i++) {
        const json_t *row = json_array_get(matrix, i);
        eg_table_cell(&table, json_string_value(json_array_get(classes, i)), EG_STYLE_PLAIN);
        for (size_t j = 0; j < k; j++) {
            eg_table_figure(&table, eg_report_integer(json_array_get(row, j), ""));
        }
    }
    eg_term_heading(t, "Confusion matrix");
    eg_table_write(t, &table);
}

void eg_term_metrics(eg_term *t, const json_t *m) {
    interval_pair(t, "accuracy", eg_report_percent(m, "accuracy"),
                  eg_report_interval_percent(m, "accuracy_ci"));
    figure_pair(t, "images", eg_report_integer(m, "n"));
    figure_pair(t, "loss", eg_report_real(m, "loss", 4));
    interval_pair(t, "AUC", eg_report_real(m, "auc", 3), eg_report_interval_real(m, "auc_ci", 3));
    interval_pair(t, "sensitivity", eg_report_percent(m, "sensitivity"),
                  eg_report_interval_percent(m, "sensitivity_ci"));
    interval_pair(t, "specificity", eg_report_percent(m, "specificity"),
                  eg_report_interval_percent(m, "specificity_ci"));
    figure_pair(t, "balanced accuracy", eg_report_percent(m, "balanced_accuracy"));
    figure_pair(t, "PPV", eg_report_percent(m, "ppv"));
    figure_pair(t, "NPV", eg_report_percent(m, "npv"));
    figure_pair(t, "F1", eg_report_real(m, "f1", 3));
    figure_pair(t, "MCC", eg_report_real(m, "mcc", 3));
    figure_pair(t, "Brier score", eg_report_real(m, "brier", 3));
    figure_pair(t, "calibration error", eg_report_real(m, "ece", 3));
    figure_pair(t, "threshold", eg_report_real(m, "threshold", 3));
    figure_pair(t, "computed in", eg_report_scalar(eg_report_at(m, "dtype")));
    confusion(t, m);
}

static void split_row(eg_table *table, const json_t *run, const char *split) {
    const json_t *m = eg_report_at(run, split);
    if (m == NULL) return;
    eg_table_cell(table, split, EG_STYLE_PLAIN);
    eg_table_figure(table, eg_report_integer(m, "n"));
    eg_table_interval(table, eg_report_percent(m, "accuracy"),
                      eg_report_interval_percent(m, "accuracy_ci"));
    eg_table_figure(table, eg_report_real(m, "loss", 3));
    eg_table_interval(table, eg_report_real(m, "auc", 3), eg_report_interval_real(m, "auc_ci", 3));
    eg_table_figure(table, eg_report_percent(m, "sensitivity"));
    eg_table_figure(table, eg_report_percent(m, "specificity"));
}

void eg_term_train(eg_term *t, const json_t *run) {
    const char *name = eg_report_string(run, "name");
    eg_term_heading(t, name != NULL ? name : "run");
    figure_pair(t, "computed in", eg_report_scalar(eg_report_at(run, "dtype")));
    figure_pair(t, "parameters", eg_report_integer(run, "parameters"));
    figure_pair(t, "trainable", eg_report_integer(run, "trainable_parameters"));
    figure_pair(t, "training time", eg_report_seconds(run, "train_seconds"));
    figure_pair(t, "feature time", eg_report_seconds(run, "feature_seconds"));
    figure_pair(t, "from the cache", eg_report_integer(run, "features_cached"));
    figure_pair(t, "images/s", eg_report_real(run, "images_per_second", 1));
    figure_pair(t, "peak memory", eg_report_bytes(run, "peak_bytes"));
    figure_pair(t, "epochs", eg_report_integer(run, "epochs"));
    figure_pair(t, "best epoch", eg_report_integer(run, "best_epoch"));
    figure_pair(t, "ended by", eg_report_scalar(eg_report_at(run, "stopped")));
    figure_pair(t, "threshold (val)", eg_report_real(run, "threshold", 3));
    figure_pair(t, "frozen, identical", eg_report_ratio(run, "freeze.identical", "freeze.checked"));
    static const char *const heads[] = {"split", "images", "accuracy", "loss",
                                        "AUC",   "sens",   "spec"};
    eg_table table = {.n_keys = 1};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        eg_table_column(&table, heads[i], i > 0);
    }
    split_row(&table, run, "train");
    split_row(&table, run, "val");
    split_row(&table, run, "test");
    eg_term_heading(t, "Results");
    eg_table_write(t, &table);
    confusion(t, eg_report_at(run, eg_report_at(run, "test") != NULL ? "test" : "val"));
}
