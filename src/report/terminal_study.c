/* The study on a terminal: the table a student copies, the comparisons, the choice of models, the first reasons.
 * Read first: terminal.h.                                                                                     */
#include "report/terminal.h"
#include <stdio.h>
#include <string.h>

enum { MAX_REASONS = 6 };

static void freeze_cell(eg_table *table, const json_t *run) {
    eg_figure ratio = eg_report_ratio(run, "freeze.identical", "freeze.checked");
    if (!ratio.known) {
        eg_table_cell(table, NULL, EG_STYLE_PLAIN);
        return;
    }
    double checked = 0, identical = 0;
    bool same = eg_report_number(&checked, run, "freeze.checked") &&
                eg_report_number(&identical, run, "freeze.identical") && checked == identical;
    char text[80];
    snprintf(text, sizeof text, "%s identical", ratio.text);
    eg_table_cell(table, text, same ? EG_STYLE_GOOD : EG_STYLE_BAD);
}

static void run_row(eg_table *table, const json_t *run) {
    const json_t *test = eg_report_at(run, "test");
    eg_table_cell(table, eg_report_string(run, "model"), EG_STYLE_PLAIN);
    eg_table_cell(table, eg_report_string(run, "mode"), EG_STYLE_PLAIN);
    eg_table_figure(table, eg_report_integer(run, "trainable_parameters"));
    eg_table_figure(table, eg_report_integer(run, "epochs"));
    eg_table_figure(table, eg_report_seconds(run, "train_seconds"));
    eg_table_figure(table, eg_report_percent(run, "val.accuracy"));
    eg_table_interval(table, eg_report_percent(test, "accuracy"),
                      eg_report_interval_percent(test, "accuracy_ci"));
    eg_table_figure(table, eg_report_real(test, "loss", 3));
    eg_table_interval(table, eg_report_real(test, "auc", 3),
                      eg_report_interval_real(test, "auc_ci", 3));
    eg_table_figure(table, eg_report_percent(test, "sensitivity"));
    eg_table_figure(table, eg_report_percent(test, "specificity"));
    freeze_cell(table, run);
    eg_table_cell(table, eg_report_string(run, "dtype"), EG_STYLE_PLAIN);
}

static void runs(eg_term *t, const json_t *root) {
    const json_t *all = eg_report_at(root, "runs");
    eg_table table = {.n_keys = 2};
    static const char *const heads[] = {"model",    "mode",    "trainable",     "epochs",
                                        "time",     "val acc", "test accuracy", "test loss",
                                        "test AUC", "sens",    "spec",          "frozen tensors",
                                        "dtype"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        eg_table_column(&table, heads[i], i >= 2 && i < 11);
    }
    for (size_t i = 0; i < json_array_size(all); i++) run_row(&table, json_array_get(all, i));
    const char *name = eg_report_string(root, "data.root");
    char heading[160];
    snprintf(heading, sizeof heading, "Results%s%.120s", name != NULL ? " on " : "",
             name != NULL ? name : "");
    eg_term_heading(t, heading);
    eg_table_write(t, &table);
}

/* Two lines a pair, the names first: two names of runs seldom leave room for figures beside them. */
static void comparison(eg_term *t, const json_t *c) {
    const char *a = eg_report_string(c, "a"), *b = eg_report_string(c, "b");
    const char *verdict = eg_report_string(c, "verdict");
    bool apart = verdict != NULL && strcmp(verdict, "distinguishable") == 0;
    char *pair = eg_format("%s minus %s", a != NULL ? a : "-", b != NULL ? b : "-");
    if (pair == NULL) t->out.failed = true;
    eg_term_paragraph(t, "", pair);
    eg_free(pair);
    eg_figure difference = eg_report_points(c, "difference");
    eg_figure ci = eg_report_interval_points(c, "ci"), holm = eg_report_p(c, "p_holm");
    eg_buffer_printf(&t->out, "%8s %-15s  p %-6s  Holm %s", difference.text,
                     ci.known ? ci.text : "", eg_report_p(c, "p").text, holm.text);
    int blanks = 8 - (int)strlen(holm.text);
    if (t->columns < 72) { /* no room beside the figures */
        eg_buffer_add(&t->out, "\n", 1);
        blanks = 9;
    }
    eg_buffer_printf(&t->out, "%*s", blanks > 2 ? blanks : 2, "");
    eg_term_style(t, apart ? EG_STYLE_BOLD : EG_STYLE_DIM);
    eg_term_text(t, verdict);
    eg_term_style(t, EG_STYLE_PLAIN);
    eg_buffer_add(&t->out, "\n", 1);
}

static void comparisons(eg_term *t, const json_t *root) {
    const json_t *all = eg_report_at(root, "comparisons");
    if (json_array_size(all) == 0) return;
    const char *test = eg_report_string(json_array_get(all, 0), "test");
    char heading[120];
    snprintf(heading, sizeof heading, "Differences in test accuracy, points%s%.60s%s",
             test != NULL ? " (" : "", test != NULL ? test : "", test != NULL ? ")" : "");
    eg_term_heading(t, heading);
    for (size_t i = 0; i < json_array_size(all); i++) comparison(t, json_array_get(all, i));
}

static void sentences(eg_term *t, const char *heading, const json_t *texts, size_t most) {
    size_t n = json_array_size(texts);
    if (n == 0) return;
    eg_term_heading(t, heading);
    for (size_t i = 0; i < n && i < most; i++) {
        eg_term_paragraph(t, "- ", json_string_value(json_array_get(texts, i)));
    }
}

static void skipped(eg_term *t, const json_t *all) {
    if (json_array_size(all) == 0) return;
    eg_term_heading(t, "Skipped");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *s = json_array_get(all, i);
        const char *parts[] = {eg_report_string(s, "model"), eg_report_string(s, "mode"),
                               eg_report_string(s, "reason")};
        for (int k = 0; k < 3; k++) {
            if (parts[k] == NULL) parts[k] = "-";
        }
        char *line = eg_format("%s, %s: %s", parts[0], parts[1], parts[2]);
        if (line == NULL) t->out.failed = true;
        eg_term_paragraph(t, "- ", line);
        eg_free(line);
    }
}

void eg_term_study(eg_term *t, const json_t *root) {
    runs(t, root);
    comparisons(t, root);
    sentences(t, "Choice of models (task A)", eg_report_at(root, "choice.text"), SIZE_MAX);
    sentences(t, "Why is the test set harder? (task E)", eg_report_at(root, "why.text"),
              MAX_REASONS);
    skipped(t, eg_report_at(root, "skipped"));
}
