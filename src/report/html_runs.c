/* Sections B and C (and runs from scratch): each run with its curves, confusion matrix, ROC curve and results table.
 * Read first: page.h, svg.h.                                                                                  */
#include "report/svg.h"
#include <string.h>

/* lp-ft is fine-tuning with another start: it stands with it. */
static bool run_in(const json_t *run, const char *mode) {
    return mode == NULL || eg_report_is(run, "mode", mode) ||
           (strcmp(mode, "finetune") == 0 && eg_report_is(run, "mode", "lp-ft"));
}

bool eg_page_has_mode(const eg_page *p, const char *mode) {
    for (size_t i = 0; i < json_array_size(p->runs); i++) {
        if (run_in(json_array_get(p->runs, i), mode)) return true;
    }
    return false;
}

/* Trainable parameters, epochs, time and number format in one line. */
static void facts(eg_page *p, const json_t *run) {
    eg_figure f[] = {eg_report_integer(run, "trainable_parameters"),
                     eg_report_integer(run, "parameters"), eg_report_integer(run, "epochs"),
                     eg_report_integer(run, "best_epoch"), eg_report_seconds(run, "train_seconds")};
    const char *parts[5];
    for (int i = 0; i < 5; i++) parts[i] = f[i].known ? f[i].text : NULL;
    bool exact = eg_report_is(run, "head", "lbfgs");
    eg_page_raw(p, "<p class=\"facts\">");
    eg_page_say(p, exact ? EG_TEXT_FACTS_LBFGS : EG_TEXT_FACTS, parts, 5);
    eg_figure features = eg_report_seconds(run, "feature_seconds");
    if (features.known) {
        const char *part = features.text;
        eg_page_raw(p, p->lang == EG_LANG_ZH ? "\uFF1B" : "; ");
        eg_page_say(p, EG_TEXT_FACTS_FEATURES, &part, 1);
    }
    double n_cached = 0;
    if (eg_report_number(&n_cached, run, "features_cached") && n_cached > 0) {
        eg_figure cached = eg_report_integer(run, "features_cached");
        const char *part = cached.text;
        eg_page_raw(p, p->lang == EG_LANG_ZH ? "\uFF1B" : "; ");
        eg_page_say(p, EG_TEXT_FACTS_CACHED, &part, 1);
    }
    const char *dtype = eg_report_string(run, "dtype");
    if (dtype != NULL) {
        eg_page_raw(p, p->lang == EG_LANG_ZH ? "\uFF1B" : "; ");
        eg_page_say(p, EG_TEXT_FACTS_DTYPE, &dtype, 1);
    }
    const char *stopped = eg_report_string(run, "stopped");
    if (stopped != NULL) {
        eg_page_raw(p, p->lang == EG_LANG_ZH ? "\uFF1B" : "; ");
        eg_page_word(p, stopped);
    }
    eg_page_raw(p, "</p>\n");
}

static void freeze(eg_page *p, const json_t *run) {
    eg_figure ratio = eg_report_ratio(run, "freeze.identical", "freeze.checked");
    if (!ratio.known) return;
    double checked = 0, identical = 0;
    bool good = eg_report_number(&checked, run, "freeze.checked") &&
                eg_report_number(&identical, run, "freeze.identical") && checked == identical &&
                checked > 0;
    const char *part = ratio.text;
    eg_page_raw(p, good ? "<p class=\"proof good\">✓ " : "<p class=\"proof bad\">✗ ");
    eg_page_say(p, good ? EG_TEXT_FREEZE_GOOD : EG_TEXT_FREEZE_BAD, &part, 1);
    eg_page_raw(p, "</p>\n");
}

static void result_row(eg_page *p, const json_t *run, const char *split) {
    const json_t *m = eg_report_at(run, split);
    if (m == NULL) return;
    eg_page_row_open(p);
    eg_page_cell_word(p, split);
    eg_page_cell_figure(p, eg_report_integer(m, "n"));
    eg_page_cell_interval(p, eg_report_percent(m, "accuracy"),
                          eg_report_interval_percent(m, "accuracy_ci"));
    eg_page_cell_figure(p, eg_report_real(m, "loss", 3));
    eg_page_cell_interval(p, eg_report_real(m, "auc", 3), eg_report_interval_real(m, "auc_ci", 3));
    eg_page_cell_interval(p, eg_report_percent(m, "sensitivity"),
                          eg_report_interval_percent(m, "sensitivity_ci"));
    eg_page_cell_interval(p, eg_report_percent(m, "specificity"),
                          eg_report_interval_percent(m, "specificity_ci"));
    eg_page_row_close(p);
}

static void result_table(eg_page *p, const json_t *run) {
    static const eg_column columns[] = {
        {EG_TEXT_SPLIT, false},      {EG_TEXT_IMAGES, true}, {EG_TEXT_ACCURACY, true},
        {EG_TEXT_LOSS, true},        {EG_TEXT_AUC, true},    {EG_TEXT_SENSITIVITY, true},
        {EG_TEXT_SPECIFICITY, true},
    };
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, true);
    result_row(p, run, "train");
    result_row(p, run, "val");
    result_row(p, run, "test");
    eg_page_table_close(p);
}

static void more_row(eg_page *p, const json_t *run, const char *split) {
    const json_t *m = eg_report_at(run, split);
    if (m == NULL) return;
    eg_page_row_open(p);
    eg_page_cell_word(p, split);
    eg_page_cell_figure(p, eg_report_percent(m, "balanced_accuracy"));
    eg_page_cell_figure(p, eg_report_percent(m, "ppv"));
    eg_page_cell_figure(p, eg_report_percent(m, "npv"));
    eg_page_cell_figure(p, eg_report_real(m, "f1", 3));
    eg_page_cell_figure(p, eg_report_real(m, "mcc", 3));
    eg_page_cell_figure(p, eg_report_real(m, "brier", 3));
    eg_page_cell_figure(p, eg_report_real(m, "ece", 3));
    eg_page_cell_figure(p, eg_report_real(m, "threshold", 2));
    eg_page_row_close(p);
}

static void more_table(eg_page *p, const json_t *run) {
    static const eg_column columns[] = {
        {EG_TEXT_SPLIT, false}, {EG_TEXT_BALANCED, true}, {EG_TEXT_PPV, true},
        {EG_TEXT_NPV, true},    {EG_TEXT_F1, true},       {EG_TEXT_MCC, true},
        {EG_TEXT_BRIER, true},  {EG_TEXT_ECE, true},      {EG_TEXT_THRESHOLD, true},
    };
    eg_page_raw(p, "<details><summary>");
    eg_page_string(p, EG_TEXT_OTHER_FIGURES);
    eg_page_raw(p, "</summary>\n");
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, true);
    more_row(p, run, "train");
    more_row(p, run, "val");
    more_row(p, run, "test");
    eg_page_table_close(p);
    eg_page_raw(p, "</details>\n");
}

/* How often the sealed split was opened: "test_looks" of a run's test figures. */
static void looks(eg_page *p, const json_t *metrics) {
    const json_t *n = eg_report_at(metrics, "test_looks");
    if (!json_is_integer(n)) return;
    eg_figure f = eg_report_integer(metrics, "test_looks");
    const char *parts[] = {f.text};
    eg_page_note(p, json_integer_value(n) == 1 ? EG_TEXT_TEST_LOOKS_ONE : EG_TEXT_TEST_LOOKS, parts,
                 1);
}

static void run_card(eg_page *p, const json_t *run) {
    bool test = eg_report_at(run, "test") != NULL;
    const json_t *metrics = eg_report_at(run, test ? "test" : "val");
    eg_page_raw(p, "<article>\n<h3>");
    eg_page_run_name(p, run);
    eg_page_raw(p, "</h3>\n");
    facts(p, run);
    freeze(p, run);
    result_table(p, run);
    eg_page_raw(p, "<div class=\"figures\">\n");
    eg_svg_curves(p, run, true);
    eg_svg_curves(p, run, false);
    eg_svg_confusion(p, metrics, test);
    eg_svg_roc(p, metrics, test);
    eg_svg_pr(p, metrics, test);
    eg_svg_reliability(p, metrics, test);
    eg_page_raw(p, "</div>\n");
    looks(p, metrics);
    if (eg_report_count(run, "history") == 0) eg_page_note(p, EG_TEXT_NO_HISTORY, NULL, 0);
    more_table(p, run);
    eg_page_history(p, run);
    eg_page_raw(p, "</article>\n");
}

void eg_page_runs(eg_page *p, const char *mode, const char *anchor, eg_text heading, eg_text asks) {
    if (!eg_page_has_mode(p, mode)) return;
    eg_page_section_open(p, anchor, heading, asks);
    for (size_t i = 0; i < json_array_size(p->runs); i++) {
        const json_t *run = json_array_get(p->runs, i);
        if (run_in(run, mode)) run_card(p, run);
    }
    eg_page_section_close(p);
}
