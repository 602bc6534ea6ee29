/* The data section: images by split and class, patients, unreadable files, fingerprint. Read first: page.h.   */
#include "report/page.h"
#include <string.h>

static const char *const split_names[] = {"train", "val", "test"};
enum { N_SPLITS = 3, N_COLOURS = 6 };

static const char *class_at(const eg_page *p, size_t i) {
    return json_string_value(json_array_get(eg_report_at(p->study, "data.classes"), i));
}

/* Not eg_report_at: a class name may hold a dot. */
static const json_t *class_count(const eg_page *p, const char *split, size_t i) {
    const char *name = class_at(p, i);
    const json_t *counts = eg_report_at(eg_report_at(p->study, "data.splits"), split);
    const json_t *count = name == NULL ? NULL : json_object_get(counts, name);
    return json_is_null(count) ? NULL : count;
}

/* Bars whose parts grow by the counts themselves (flex-grow), so nothing is computed here. */
void eg_page_balance_bars(eg_page *p) {
    size_t n_classes = eg_report_count(p->study, "data.classes");
    if (n_classes == 0) return;
    eg_page_raw(p, "<div class=\"bars\">\n");
    for (int s = 0; s < N_SPLITS; s++) {
        if (eg_report_at(eg_report_at(p->study, "data.splits"), split_names[s]) == NULL) continue;
        eg_page_raw(p, "<div>");
        eg_page_word(p, split_names[s]);
        eg_page_raw(p, "</div><div class=\"bar\">");
        for (size_t i = 0; i < n_classes; i++) {
            const json_t *count = class_count(p, split_names[s], i);
            double v;
            if (!eg_report_number(&v, count, "") || !(v > 0) || v > 1e9) continue;
            eg_figure f = eg_report_integer(count, "");
            eg_buffer_printf(&p->out, "<span class=\"k%zu\" style=\"flex-grow:%.0f\">",
                             i % N_COLOURS, v);
            eg_page_figure(p, f);
            eg_page_raw(p, "</span>");
        }
        eg_page_raw(p, "</div>\n");
    }
    eg_page_raw(p, "</div>\n<p class=\"keys\">");
    for (size_t i = 0; i < n_classes; i++) {
        eg_buffer_printf(&p->out, "<span class=\"k k%zu\"></span> ", i % N_COLOURS);
        eg_page_text(p, class_at(p, i));
        eg_page_raw(p, " &ensp; ");
    }
    eg_page_raw(p, "</p>\n");
}

void eg_page_patients(eg_page *p) {
    const json_t *patients = eg_report_at(p->study, "data.patients");
    eg_figure val = eg_report_integer(patients, "shared_train_val");
    eg_figure test = eg_report_integer(patients, "shared_train_test");
    eg_figure apparent = eg_report_integer(patients, "apparent_shared_train_test");
    if (!val.known && !test.known) return;
    const char *shared[] = {val.known ? val.text : NULL, test.known ? test.text : NULL};
    eg_page_raw(p, "<p>");
    eg_page_say(p, EG_TEXT_SHARED, shared, 2);
    eg_page_raw(p, "</p>\n");
    if (!apparent.known || !test.known || strcmp(apparent.text, test.text) == 0) return;
    const char *readings[] = {apparent.text, test.text};
    bool clean = strcmp(test.text, "0") == 0;
    eg_page_raw(p, "<p>");
    eg_page_say(p, clean ? EG_TEXT_SHARED_APPARENT : EG_TEXT_SHARED_BOTH, readings, 2);
    eg_page_raw(p, "</p>\n");
}

/* Patients and the share of the positive class, a row a split. */
static void split_table(eg_page *p) {
    static const eg_column columns[] = {
        {EG_TEXT_SPLIT, false}, {EG_TEXT_PATIENTS, true}, {EG_TEXT_POSITIVE_SHARE, true}};
    static const char *const shares[] = {"why.balance.train_positive", "why.balance.val_positive",
                                         "why.balance.test_positive"};
    const json_t *patients = eg_report_at(p->study, "data.patients");
    const char *positive = eg_page_positive(p);
    eg_page_raw(p, "<div class=\"box\"><table class=\"small\"><thead><tr><th scope=\"col\">");
    eg_page_string(p, columns[0].head);
    eg_page_raw(p, "</th><th scope=\"col\" class=\"n\">");
    eg_page_string(p, columns[1].head);
    eg_page_raw(p, "</th><th scope=\"col\" class=\"n\">");
    eg_page_say(p, columns[2].head, &positive, 1);
    eg_page_raw(p, "</th></tr></thead><tbody>\n");
    for (int s = 0; s < N_SPLITS; s++) {
        eg_page_raw(p, "<tr><th scope=\"row\">");
        eg_page_word(p, split_names[s]);
        eg_page_raw(p, "</th><td class=\"n\">");
        eg_page_figure(p, eg_report_integer(patients, split_names[s]));
        eg_page_raw(p, "</td><td class=\"n\">");
        eg_page_figure(p, eg_report_percent(p->study, shares[s]));
        eg_page_raw(p, "</td></tr>\n");
    }
    eg_page_raw(p, "</tbody></table></div>\n");
}

static void bad_files(eg_page *p) {
    static const eg_column columns[] = {{EG_TEXT_FILE, false}, {EG_TEXT_REASON, false}};
    const json_t *bad = eg_report_at(p->study, "data.bad_files");
    eg_figure skipped = eg_report_integer(p->study, "data.skipped_files");
    const char *part = skipped.text;
    if (skipped.known && strcmp(skipped.text, "0") != 0) {
        eg_page_note(p, EG_TEXT_SKIPPED_FILES, &part, 1);
    }
    if (json_array_size(bad) == 0) return;
    eg_page_raw(p, "<details><summary>");
    eg_page_string(p, EG_TEXT_BAD_FILES);
    eg_page_raw(p, "</summary>\n");
    eg_page_table_open(p, columns, 2, true);
    for (size_t i = 0; i < json_array_size(bad); i++) {
        eg_page_row_open(p);
        eg_page_cell_text(p, eg_report_string(json_array_get(bad, i), "file"));
        eg_page_cell_text(p, eg_report_string(json_array_get(bad, i), "reason"));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
    eg_page_raw(p, "</details>\n");
}

/* How validation came about, and which class is the positive one. */
static void notes(eg_page *p) {
    eg_figure share = eg_report_percent(p->study, "data.val_share");
    const char *by = eg_report_string(p->study, "data.val_by");
    const char *positive = eg_report_string(p->study, "data.positive");
    if (by != NULL && share.known) {
        const char *parts[] = {share.text, eg_report_word(by, p->lang)};
        eg_page_note(p, EG_TEXT_VAL_MADE, parts, 2);
    }
    if (positive != NULL) eg_page_note(p, EG_TEXT_POSITIVE, &positive, 1);
}

void eg_page_data(eg_page *p) {
    eg_page_section_open(p, "data", EG_TEXT_DATA, EG_TEXT_DATA_ASKS);
    eg_page_balance_bars(p);
    split_table(p);
    eg_page_patients(p);
    notes(p);
    bad_files(p);
    const char *fingerprint = eg_report_string(p->study, "data.fingerprint");
    if (fingerprint != NULL) {
        eg_page_raw(p, "<p class=\"note\">");
        eg_page_string(p, EG_TEXT_FINGERPRINT);
        eg_page_raw(p, ": <code>");
        eg_page_text(p, fingerprint);
        eg_page_raw(p, "</code></p>\n");
    }
    eg_page_section_close(p);
}
