/* The causes of a gap on a terminal: the gap, one row a cause, what each figure is of, what would help. The sentences are the
 * document's own. Read first: terminal.h, doc/documents.md "why". */
#include "report/terminal.h"
#include <stdio.h>
#include <string.h>

static bool is_cause(const json_t *row) {
    return eg_report_is(row, "verdict", "cause");
}

static bool is_measured(const json_t *row) {
    const char *verdict = eg_report_string(row, "verdict");
    return verdict != NULL && strncmp(verdict, "not measurable", 14) != 0;
}

/* Points are in the document as they are shown: "[-0.3, 2.5]". */
static void interval_cell(eg_table *table, const json_t *row) {
    const json_t *ci = eg_report_at(row, "ci");
    char text[48];
    if (json_array_size(ci) != 2) {
        eg_table_cell(table, NULL, EG_STYLE_PLAIN);
        return;
    }
    snprintf(text, sizeof text, "[%+.1f, %+.1f]", json_number_value(json_array_get(ci, 0)),
             json_number_value(json_array_get(ci, 1)));
    eg_table_cell(table, text, EG_STYLE_PLAIN);
}

static void cause_row(eg_table *table, const json_t *row) {
    double points;
    char text[32] = "-";
    if (eg_report_number(&points, row, "effect_points"))
        snprintf(text, sizeof text, "%+.1f", points);
    eg_table_cell(table, eg_report_string(row, "cause"),
                  is_cause(row) ? EG_STYLE_BOLD : EG_STYLE_PLAIN);
    eg_table_cell(table, eg_report_string(row, "class"), EG_STYLE_PLAIN);
    eg_table_cell(table, text, EG_STYLE_PLAIN);
    interval_cell(table, row);
    eg_table_figure(table, eg_report_p(row, "p_holm"));
    eg_table_cell(table, is_measured(row) ? eg_report_string(row, "verdict") : "not measurable",
                  is_cause(row) ? EG_STYLE_BAD : EG_STYLE_DIM);
}

static void causes(eg_term *t, const json_t *all) {
    static const char *const heads[] = {"cause", "class", "points", "95 %", "Holm p", "verdict"};
    eg_table table = {.n_keys = 1};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        eg_table_column(&table, heads[i], i > 1 && i < 5);
    for (size_t i = 0; i < json_array_size(all); i++) cause_row(&table, json_array_get(all, i));
    eg_term_heading(t, "Causes (points of accuracy; they overlap and do not add up)");
    eg_table_write(t, &table);
}

/* What each row measured, with its name in front. */
static void sentences(eg_term *t, const json_t *all) {
    eg_term_heading(t, "What was measured");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *row = json_array_get(all, i);
        const char *name = eg_report_string(row, "cause"), *text = eg_report_string(row, "text");
        char *line = eg_format("%s: %s", name != NULL ? name : "-", text != NULL ? text : "-");
        if (line == NULL) t->out.failed = true;
        eg_term_paragraph(t, "- ", line);
        eg_free(line);
    }
}

void eg_term_why(eg_term *t, const json_t *root) {
    const json_t *all = eg_report_at(root, "causes"), *text = eg_report_at(root, "text"),
                 *help = eg_report_at(root, "help");
    eg_term_heading(t, "Why is the test set harder?");
    for (size_t i = 0; i < json_array_size(text) && i < 1; i++)
        eg_term_paragraph(t, "", json_string_value(json_array_get(text, i)));
    causes(t, all);
    sentences(t, all);
    if (json_array_size(help) > 0) eg_term_heading(t, "What would help most, in order");
    for (size_t i = 0; i < json_array_size(help); i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu. ", i + 1);
        eg_term_paragraph(t, number, json_string_value(json_array_get(help, i)));
    }
    eg_term_style(t, EG_STYLE_DIM);
    eg_term_paragraph(
        t, "",
        "Labels of the test images measure the gap and what a change would have "
        "brought; nothing is chosen by them. Verdicts after Holm's correction over all "
        "rows with a p. One cause again: engraft why RUN DIR --cause NAME");
    eg_term_style(t, EG_STYLE_PLAIN);
}
