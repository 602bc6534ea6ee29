/* Runs side by side, and the audit of printed figures, on a terminal. The sentences are the document's own.
 * Read first: terminal.h, doc/documents.md "compare" and "published".                                         */
#include "report/terminal.h"
#include <stdio.h>
#include <string.h>

static void sentences(eg_term *t, const char *heading, const json_t *texts) {
    if (json_array_size(texts) == 0) return;
    eg_term_heading(t, heading);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        eg_term_paragraph(t, "- ", json_string_value(json_array_get(texts, i)));
    }
}

/* A field of one split of a run: "test.accuracy". */
static const json_t *split_of(const json_t *run, const char *split) {
    return split != NULL ? eg_report_at(run, split) : NULL;
}

static void run_row(eg_table *table, const json_t *run, const char *split) {
    const json_t *metrics = split_of(run, split);
    eg_table_cell(table, eg_report_string(run, "name"), EG_STYLE_PLAIN);
    eg_table_figure(table, eg_report_percent(run, "train.accuracy"));
    eg_table_figure(table, eg_report_percent(run, "val.accuracy"));
    eg_table_figure(table, eg_report_percent(run, "test.accuracy"));
    eg_table_cell(table, eg_report_interval_percent(metrics, "accuracy_ci").text, EG_STYLE_PLAIN);
    eg_table_interval(table, eg_report_real(metrics, "auc", 3),
                      eg_report_interval_real(metrics, "auc_ci", 3));
    eg_table_figure(table, eg_report_real(metrics, "loss", 3));
    eg_table_interval(table, eg_report_percent(run, "bootstrap.balanced_accuracy.estimate"),
                      eg_report_interval_percent(run, "bootstrap.balanced_accuracy.ci"));
    eg_table_figure(table, eg_report_integer(run, "trainable_parameters"));
    eg_table_figure(table, eg_report_integer(run, "epochs"));
    eg_table_figure(table, eg_report_seconds(run, "seconds"));
    eg_table_figure(table, eg_report_seconds(run, "seconds_to_accuracy"));
    eg_table_figure(table, eg_report_bytes(run, "peak_bytes"));
}

static void runs(eg_term *t, const json_t *root) {
    static const char *const heads[] = {"run",      "train acc", "val acc", "test acc",
                                        "interval", "AUC",       "loss",    "balanced accuracy",
                                        "trained",  "epochs",    "time",    "time to common",
                                        "memory"};
    const json_t *all = eg_report_at(root, "runs");
    const char *split = eg_report_string(root, "split");
    eg_table table = {.n_keys = 1};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        eg_table_column(&table, heads[i], i > 0);
    for (size_t i = 0; i < json_array_size(all); i++)
        run_row(&table, json_array_get(all, i), split);
    char heading[160];
    snprintf(heading, sizeof heading, "Runs on the %s images of %.20s",
             eg_report_integer(root, "n").text, split != NULL ? split : "-");
    eg_term_heading(t, heading);
    eg_table_write(t, &table);
    eg_figure common = eg_report_percent(root, "common_val_accuracy");
    const char *unit = eg_report_string(root, "resampling.unit");
    char *note = eg_format(
        "time: training and features; time to common: until validation accuracy %s, which all runs "
        "reach; balanced accuracy: bootstrap by %s, %s draws",
        common.text, unit != NULL ? unit : "-", eg_report_integer(root, "resampling.n").text);
    if (note == NULL) t->out.failed = true;
    eg_term_style(t, EG_STYLE_DIM);
    eg_term_paragraph(t, "", note);
    eg_term_style(t, EG_STYLE_PLAIN);
    eg_free(note);
}

static void verdict_cell(eg_table *table, const json_t *pair, const char *path) {
    const char *verdict = eg_report_string(pair, path);
    bool apart = verdict != NULL && strcmp(verdict, "distinguishable") == 0;
    eg_table_cell(table, verdict, apart ? EG_STYLE_BOLD : EG_STYLE_DIM);
}

static void pairs(eg_term *t, const json_t *root) {
    static const char *const heads[] = {"run",      "minus",    "points",  "interval",
                                        "Holm p",   "accuracy", "needed",  "AUC",
                                        "interval", "Holm p",   "ranking", "needed"};
    const json_t *all = eg_report_at(root, "pairs");
    if (json_array_size(all) == 0) return;
    eg_table table = {.n_keys = 2};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        eg_table_column(&table, heads[i], i > 1 && i != 5 && i != 10);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *pair = json_array_get(all, i);
        eg_table_cell(&table, eg_report_string(pair, "a"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(pair, "b"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_points(pair, "difference"));
        eg_table_figure(&table, eg_report_interval_points(pair, "ci"));
        eg_table_figure(&table, eg_report_p(pair, "p_holm"));
        verdict_cell(&table, pair, "verdict");
        eg_table_figure(&table, eg_report_integer(pair, "n_needed"));
        eg_table_figure(&table, eg_report_real(pair, "auc_difference", 3));
        eg_table_figure(&table, eg_report_interval_real(pair, "auc_ci", 3));
        eg_table_figure(&table, eg_report_p(pair, "auc_p_holm"));
        verdict_cell(&table, pair, "auc_verdict");
        eg_table_figure(&table, eg_report_integer(pair, "auc_n_needed"));
    }
    eg_term_heading(t, "Differences (accuracy: exact McNemar; ranking: DeLong)");
    eg_table_write(t, &table);
    eg_term_style(t, EG_STYLE_DIM);
    eg_term_paragraph(t, "",
                      "needed: images that would tell them apart with 80 % power, if the "
                      "difference is what it seems");
    eg_term_style(t, EG_STYLE_PLAIN);
}

void eg_term_compare(eg_term *t, const json_t *root) {
    runs(t, root);
    pairs(t, root);
    sentences(t, "What it says", eg_report_at(root, "text"));
}

/* "yes", "no" in red, or a dash. */
static void flag_cell(eg_table *table, const json_t *row, const char *path, bool good) {
    const json_t *value = eg_report_at(row, path);
    if (!json_is_boolean(value)) {
        eg_table_cell(table, NULL, EG_STYLE_PLAIN);
        return;
    }
    bool yes = json_is_true(value);
    eg_table_cell(table, yes ? "yes" : "no", yes == good ? EG_STYLE_PLAIN : EG_STYLE_BAD);
}

void eg_term_published(eg_term *t, const json_t *root) {
    static const char *const heads[] = {"row",           "name",  "printed", "loss",
                                        "alone from n",  "n",     "k / n",   "< majority",
                                        "loss possible", "> ln 2"};
    const json_t *all = eg_report_at(root, "rows");
    eg_table table = {.n_keys = 2};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        eg_table_column(&table, heads[i], i != 1 && i < 6);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *row = json_array_get(all, i);
        char number[24];
        snprintf(number, sizeof number, "%zu", i + 1);
        eg_table_cell(&table, number, EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(row, "name"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(row, "printed"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_real(row, "loss", 4));
        eg_table_figure(&table, eg_report_integer(row, "smallest_n"));
        eg_table_figure(&table, eg_report_integer(row, "n"));
        flag_cell(&table, row, "possible", true);
        flag_cell(&table, row, "below_majority", false);
        flag_cell(&table, row, "loss_possible", true);
        flag_cell(&table, row, "above_coin", false);
    }
    const char *file = eg_report_string(root, "file");
    char heading[160];
    snprintf(heading, sizeof heading, "Printed figures of %.100s", file != NULL ? file : "-");
    eg_term_heading(t, heading);
    eg_table_write(t, &table);
    sentences(t, "What they can be", eg_report_at(root, "text"));
}
