/* Terminal text of what stands around a run: several seeds, and the sweep of the learning rate. Read first: terminal.h. */
#include "report/terminal.h"
#include <stdio.h>

enum { NAME_WIDTH = 14 };

static void seed_row(eg_table *table, const json_t *run) {
    eg_table_figure(table, eg_report_integer(run, "seed"));
    eg_table_figure(table, eg_report_percent(run, "val.accuracy"));
    eg_table_figure(table, eg_report_percent(run, "test.accuracy"));
    eg_table_figure(table, eg_report_real(run, "test.auc", 4));
    eg_table_figure(table, eg_report_real(run, "test.loss", 4));
    eg_table_figure(table, eg_report_seconds(run, "train_seconds"));
}

/* A figure of a split over the runs, as a row of the second table. */
static void spread_row(eg_table *table, const json_t *root, const char *split, const char *name) {
    char path[64], label[64];
    snprintf(label, sizeof label, "%s %s", split, name);
    eg_table_cell(table, label, EG_STYLE_PLAIN);
    static const char *const PARTS[] = {"mean", "sd", "ci", "min", "max"};
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        snprintf(path, sizeof path, "%s.%s.%s", split, name, PARTS[i]);
        eg_table_figure(table, i == 2 ? eg_report_interval_real(root, path, 4)
                                      : eg_report_real(root, path, 4));
    }
}

void eg_term_seeds(eg_term *t, const json_t *root) {
    static const char *const HEADS[] = {"seed", "val", "test", "AUC", "loss", "time"};
    static const char *const SPREAD[] = {"", "mean", "sd", "95 %", "min", "max"};
    static const char *const FIGURES[] = {"accuracy", "auc", "loss"};
    eg_table table = {.n_keys = 1};
    eg_term_heading(t, eg_report_string(root, "model"));
    for (size_t i = 0; i < sizeof HEADS / sizeof *HEADS; i++)
        eg_table_column(&table, HEADS[i], true);
    size_t i;
    json_t *run;
    json_array_foreach((json_t *)(uintptr_t)eg_report_at(root, "runs"), i, run)
        seed_row(&table, run);
    eg_table_write(t, &table);
    eg_buffer_add(&t->out, "\n", 1);
    table = (eg_table){.n_keys = 1};
    for (i = 0; i < sizeof SPREAD / sizeof *SPREAD; i++) eg_table_column(&table, SPREAD[i], i > 0);
    for (i = 0; i < 2 * sizeof FIGURES / sizeof *FIGURES; i++)
        spread_row(&table, root, i < 3 ? "val" : "test", FIGURES[i % 3]);
    eg_table_write(t, &table);
}

void eg_term_lr_finder(eg_term *t, const json_t *root) {
    char rate[32] = "none: the loss did not fall";
    const json_t *suggestion = eg_report_at(root, "suggestion");
    if (json_is_number(suggestion))
        snprintf(rate, sizeof rate, "%.2g", json_number_value(suggestion));
    eg_term_pair(t, NAME_WIDTH, "model", eg_report_string(root, "model"));
    eg_term_pair(t, NAME_WIDTH, "optimiser", eg_report_string(root, "opt"));
    eg_term_pair(t, NAME_WIDTH, "steps", eg_report_integer(root, "steps").text);
    eg_term_pair(t, NAME_WIDTH, "learning rate", rate);
}
