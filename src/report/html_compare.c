/* Section D: runs against each other on the same test images. Read first: page.h, svg.h.                      */
#include "report/svg.h"
#include <string.h>

static void verdict_cell(eg_page *p, const char *verdict) {
    eg_page_cell_open(p);
    bool apart = verdict != NULL && strcmp(verdict, "distinguishable") == 0;
    eg_page_raw(p, apart ? "<b class=\"apart\">" : "<b class=\"same\">");
    eg_page_word(p, verdict);
    eg_page_raw(p, "</b>");
    eg_page_cell_close(p);
}

static void compare_row(eg_page *p, const json_t *c) {
    eg_page_row_open(p);
    eg_page_cell_run(p, eg_report_string(c, "a"));
    eg_page_cell_run(p, eg_report_string(c, "b"));
    eg_page_cell_interval(p, eg_report_points(c, "difference"), eg_report_interval_points(c, "ci"));
    eg_page_cell_open(p);
    eg_page_figure(p, eg_report_integer(c, "only_a"));
    eg_page_raw(p, " : ");
    eg_page_figure(p, eg_report_integer(c, "only_b"));
    eg_page_cell_close(p);
    eg_page_cell_figure(p, eg_report_p(c, "p"));
    eg_page_cell_figure(p, eg_report_p(c, "p_holm"));
    eg_page_cell_interval(p, eg_report_real(c, "auc_difference", 3),
                          eg_report_interval_real(c, "auc_ci", 3));
    eg_page_cell_figure(p, eg_report_p(c, "auc_p"));
    verdict_cell(p, eg_report_string(c, "verdict"));
    eg_page_row_close(p);
}

static void compare_table(eg_page *p, const json_t *all) {
    static const eg_column columns[] = {
        {EG_TEXT_FIRST, false},         {EG_TEXT_SECOND, false}, {EG_TEXT_DIFFERENCE, true},
        {EG_TEXT_ONLY_RIGHT, true},     {EG_TEXT_P_VALUE, true}, {EG_TEXT_P_HOLM, true},
        {EG_TEXT_AUC_DIFFERENCE, true}, {EG_TEXT_AUC_P, true},   {EG_TEXT_VERDICT, false},
    };
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, true);
    for (size_t i = 0; i < json_array_size(all); i++) compare_row(p, json_array_get(all, i));
    eg_page_table_close(p);
    eg_page_note(p, EG_TEXT_COMPARE_NOTE, NULL, 0);
}

void eg_page_compare(eg_page *p) {
    const json_t *all = eg_report_at(p->study, "comparisons");
    eg_page_section_open(p, "d", EG_TEXT_TASK_D, EG_TEXT_TASK_D_ASKS);
    if (json_array_size(all) == 0) {
        eg_page_note(p, EG_TEXT_NO_COMPARISON, NULL, 0);
    } else {
        compare_table(p, all);
        eg_svg_forest(p);
    }
    eg_svg_roc_all(p);
    eg_page_section_close(p);
}
