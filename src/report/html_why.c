/* Section E: why the test set is harder, cause by cause, each with its number. Read first: page.h.            */
#include "report/page.h"

static void gap(eg_page *p, const json_t *why) {
    static const eg_column columns[] = {
        {EG_TEXT_RUN, false},     {EG_TEXT_GAP_TRAIN, true}, {EG_TEXT_GAP_VAL, true},
        {EG_TEXT_GAP_TEST, true}, {EG_TEXT_GAP_LOST, true},  {EG_TEXT_VERDICT, false},
    };
    const json_t *all = eg_report_at(why, "gap");
    if (json_array_size(all) == 0) return;
    eg_page_heading(p, 3, EG_TEXT_GAP);
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, true);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *g = json_array_get(all, i);
        eg_page_row_open(p);
        eg_page_cell_run(p, eg_report_string(g, "run"));
        eg_page_cell_figure(p, eg_report_percent(g, "train"));
        eg_page_cell_figure(p, eg_report_percent(g, "val"));
        eg_page_cell_figure(p, eg_report_percent(g, "test"));
        eg_page_cell_interval(p, eg_report_points(g, "difference"),
                              eg_report_interval_points(g, "ci"));
        eg_page_cell_word(p, eg_report_string(g, "verdict"));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
}

static void balance(eg_page *p, const json_t *why) {
    eg_figure train = eg_report_percent(why, "balance.train_positive");
    eg_figure test = eg_report_percent(why, "balance.test_positive");
    eg_figure majority = eg_report_percent(why, "balance.majority_test");
    if (!train.known && !test.known && !majority.known) return;
    eg_page_heading(p, 3, EG_TEXT_SHIFT);
    eg_page_balance_bars(p);
    if (train.known && test.known) {
        const char *parts[] = {eg_page_positive(p), train.text, test.text};
        eg_page_raw(p, "<p>");
        eg_page_say(p, EG_TEXT_SHIFT_NOTE, parts, 3);
        eg_page_raw(p, "</p>\n");
    }
    if (majority.known) {
        const char *part = majority.text;
        eg_page_raw(p, "<p>");
        eg_page_say(p, EG_TEXT_BALANCE_NOTE, &part, 1);
        eg_page_raw(p, "</p>\n");
    }
}

static void two_figures(eg_page *p, eg_figure a, eg_figure b) {
    eg_page_cell_open(p);
    eg_page_figure(p, a);
    eg_page_raw(p, " / ");
    eg_page_figure(p, b);
    eg_page_cell_close(p);
}

static void operating_row(eg_page *p, const json_t *o) {
    eg_page_row_open(p);
    eg_page_cell_run(p, eg_report_string(o, "run"));
    eg_page_cell_figure(p, eg_report_percent(o, "test_accuracy_half"));
    two_figures(p, eg_report_percent(o, "test_sensitivity_half"),
                eg_report_percent(o, "test_specificity_half"));
    eg_page_cell_figure(p, eg_report_real(o, "threshold_val", 3));
    eg_page_cell_figure(p, eg_report_percent(o, "test_accuracy_threshold"));
    two_figures(p, eg_report_percent(o, "test_sensitivity_threshold"),
                eg_report_percent(o, "test_specificity_threshold"));
    eg_page_cell_figure(p, eg_report_percent(o, "prior_corrected_accuracy"));
    eg_page_cell_open(p);
    eg_page_raw(p, "<i class=\"never\">");
    eg_page_figure(p, eg_report_percent(o, "oracle_accuracy"));
    eg_page_raw(p, "</i>");
    eg_page_cell_close(p);
    eg_page_row_close(p);
}

static void operating(eg_page *p, const json_t *why) {
    static const eg_column columns[] = {
        {EG_TEXT_RUN, false},
        {EG_TEXT_AT_HALF, true},
        {EG_TEXT_SENS_SPEC_HALF, true},
        {EG_TEXT_VAL_THRESHOLD, true},
        {EG_TEXT_AT_THRESHOLD, true},
        {EG_TEXT_SENS_SPEC_THRESHOLD, true},
        {EG_TEXT_PRIOR_CORRECTED, true},
        {EG_TEXT_ORACLE, true},
    };
    const json_t *all = eg_report_at(why, "operating_point");
    if (json_array_size(all) == 0) return;
    eg_page_heading(p, 3, EG_TEXT_OPERATING);
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, true);
    for (size_t i = 0; i < json_array_size(all); i++) operating_row(p, json_array_get(all, i));
    eg_page_table_close(p);
    eg_page_note(p, EG_TEXT_OPERATING_NOTE, NULL, 0);
}

static void fit_row(eg_page *p, const json_t *f) {
    eg_page_row_open(p);
    eg_page_cell_run(p, eg_report_string(f, "run"));
    eg_page_cell_figure(p, eg_report_real(f, "train_loss", 3));
    eg_page_cell_figure(p, eg_report_real(f, "val_loss", 3));
    eg_page_cell_figure(p, eg_report_percent(f, "train_accuracy"));
    eg_page_cell_figure(p, eg_report_percent(f, "val_accuracy"));
    eg_page_cell_open(p);
    eg_page_raw(p, "<b>");
    eg_page_word(p, eg_report_string(f, "verdict"));
    eg_page_raw(p, "</b>");
    const char *text = eg_report_string(f, "text");
    if (text != NULL) {
        eg_page_raw(p, "<br><small class=\"why\" lang=\"en\">");
        eg_page_text(p, text);
        eg_page_raw(p, "</small>");
    }
    eg_page_cell_close(p);
    eg_page_row_close(p);
}

static void fit(eg_page *p, const json_t *why) {
    static const eg_column columns[] = {
        {EG_TEXT_RUN, false},           {EG_TEXT_TRAIN_LOSS, true},   {EG_TEXT_VAL_LOSS, true},
        {EG_TEXT_TRAIN_ACCURACY, true}, {EG_TEXT_VAL_ACCURACY, true}, {EG_TEXT_VERDICT, false},
    };
    const json_t *all = eg_report_at(why, "fit");
    if (json_array_size(all) == 0) return;
    eg_page_heading(p, 3, EG_TEXT_FIT);
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, true);
    for (size_t i = 0; i < json_array_size(all); i++) fit_row(p, json_array_get(all, i));
    eg_page_table_close(p);
}

void eg_page_why(eg_page *p) {
    const json_t *why = eg_report_at(p->study, "why");
    eg_page_section_open(p, "e", EG_TEXT_TASK_E, EG_TEXT_TASK_E_ASKS);
    gap(p, why);
    balance(p, why);
    if (eg_report_at(p->study, "data.patients") != NULL) {
        eg_page_heading(p, 3, EG_TEXT_OVERLAP);
        eg_page_patients(p);
    }
    operating(p, why);
    fit(p, why);
    if (eg_report_count(why, "text") > 0) eg_page_heading(p, 3, EG_TEXT_SUMMARY);
    eg_page_sentences(p, eg_report_at(why, "text"));
    eg_page_section_close(p);
}
