/* One run, and one set of metrics, on a terminal. Read first: terminal.h.                                     */
#include "report/terminal.h"

#include <stdio.h>
#include <string.h>

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

/* What was chosen, and on which images: never on those of the figures above it. */
static void choices(eg_term *t, const json_t *m) {
    const char *rule = eg_report_string(m, "operating_point.rule"),
               *kind = eg_report_string(m, "calibration.kind");
    if (rule != NULL) {
        eg_figure n = eg_report_integer(m, "operating_point.n");
        eg_term_pair(t, NAME_WIDTH, "threshold by", rule);
        eg_term_pair(t, NAME_WIDTH, "chosen on", "validation");
        figure_pair(t, "validation images", n);
    }
    if (kind != NULL) {
        eg_term_pair(t, NAME_WIDTH, "calibrated by", kind);
        figure_pair(t, "temperature", eg_report_real(m, "calibration.temperature", 3));
    }
    const json_t *n = eg_report_at(m, "test_looks");
    if (!json_is_integer(n)) return;
    char text[64];
    snprintf(text, sizeof text, "looked at %lld time%s by this run",
             (long long)json_integer_value(n), json_integer_value(n) == 1 ? "" : "s");
    eg_term_pair(t, NAME_WIDTH, "test set", text);
}

/* Bootstrap over patients, where images of one patient are more alike than others. */
static void by_patient(eg_term *t, const json_t *m) {
    static const struct {
        const char *name, *at;
        bool percent;
    } rows[] = {{"accuracy", "bootstrap.ci.accuracy", true},
                {"balanced accuracy", "bootstrap.ci.balanced_accuracy", true},
                {"AUC", "bootstrap.ci.auc", false},
                {"sensitivity", "bootstrap.ci.sensitivity", true},
                {"specificity", "bootstrap.ci.specificity", true}};
    const char *by = eg_report_string(m, "bootstrap.by");
    if (by == NULL || strcmp(by, "patient") != 0) return;
    eg_term_heading(t, "Intervals with a patient's images drawn together");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        figure_pair(t, rows[i].name,
                    rows[i].percent ? eg_report_interval_percent(m, rows[i].at)
                                    : eg_report_interval_real(m, rows[i].at, 3));
    }
}

void eg_term_metrics(eg_term *t, const json_t *m) {
    static const struct {
        const char *name, *field, *ci;
        int decimals; /* 0: percent */
    } rows[] = {{"loss", "loss", "loss_ci", 4},
                {"AUC", "auc", "auc_ci", 3},
                {"average precision", "ap", "ap_ci", 3},
                {"sensitivity", "sensitivity", "sensitivity_ci", 0},
                {"specificity", "specificity", "specificity_ci", 0},
                {"balanced accuracy", "balanced_accuracy", "balanced_accuracy_ci", 0},
                {"PPV", "ppv", "ppv_ci", 0},
                {"NPV", "npv", "npv_ci", 0},
                {"F1", "f1", "f1_ci", 3},
                {"MCC", "mcc", "mcc_ci", 3},
                {"kappa", "kappa", "kappa_ci", 3},
                {"Brier score", "brier", "brier_ci", 3},
                {"calibration error", "ece", "ece_ci", 3}};
    interval_pair(t, "accuracy", eg_report_percent(m, "accuracy"),
                  eg_report_interval_percent(m, "accuracy_ci"));
    figure_pair(t, "images", eg_report_integer(m, "n"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int d = rows[i].decimals;
        interval_pair(t, rows[i].name,
                      d ? eg_report_real(m, rows[i].field, d) : eg_report_percent(m, rows[i].field),
                      d ? eg_report_interval_real(m, rows[i].ci, d)
                        : eg_report_interval_percent(m, rows[i].ci));
    }
    figure_pair(t, "threshold", eg_report_real(m, "threshold", 3));
    figure_pair(t, "computed in", eg_report_scalar(eg_report_at(m, "dtype")));
    choices(t, m);
    confusion(t, m);
    by_patient(t, m);
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
