/* The page of a data set: findings first, then what is there with mean images and examples, copies, patients, drift,
 * shortcuts and suspects, odd files. Pictures are in the document as PNG in base64; a name without a picture is shown as
 * a name. Read first: page.h, doc/documents.md (data).                                                            */
#include "report/page.h"
#include "report/svg.h"
#include <string.h>

enum { MOST_GROUPS = 12, OF_GROUP = 4, MOST_SUSPECTS = 16, MOST_FILES = 40, BINS_HEIGHT = 60 };

/* ---- pictures ---- */

/* Base64 and nothing else, so that a damaged document cannot leave the attribute. */
static bool is_base64(const char *text) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strspn(text, digits);
    return n > 0 && strspn(text + n, "=") == strlen(text + n);
}

static void picture(eg_page *p, const char *base64, const char *name, bool mean) {
    eg_page_raw(p, mean ? "<figure class=\"mean\">" : "<figure>");
    if (base64 != NULL && is_base64(base64)) {
        eg_page_raw(p, "<img alt=\"");
        eg_page_text(p, name);
        eg_page_raw(p, "\" src=\"data:image/png;base64,");
        eg_page_raw(p, base64);
        eg_page_raw(p, "\">");
    }
    eg_page_raw(p, "<figcaption>");
    eg_page_text(p, name);
    eg_page_raw(p, "</figcaption></figure>");
}

static void file_picture(eg_page *p, const char *file) {
    const json_t *pictures = eg_report_at(p->set, "pictures.files"); /* names may hold dots */
    if (file == NULL) return;
    picture(p, json_string_value(json_object_get(pictures, file)), file, false);
}

/* ---- findings ---- */

static void finding(eg_page *p, const json_t *f) {
    const char *weight = eg_report_string(f, "severity");
    bool known = weight != NULL && (strcmp(weight, "error") == 0 || strcmp(weight, "warning") == 0);
    const json_t *where = eg_report_at(f, "where");
    eg_buffer_printf(&p->out, "<div class=\"find %s\"><p><b>", known ? weight : "note");
    eg_page_word(p, weight);
    eg_page_raw(p, " · ");
    eg_page_text(p, eg_report_string(f, "kind"));
    eg_page_raw(p, "</b></p><p>");
    eg_page_text(p, eg_report_string(f, "text"));
    eg_page_raw(p, "</p>");
    if (json_array_size(where) > 0) eg_page_raw(p, "<p class=\"note\">");
    for (size_t i = 0; i < json_array_size(where); i++) {
        if (i > 0) eg_page_raw(p, ", ");
        eg_page_text(p, json_string_value(json_array_get(where, i)));
    }
    if (json_array_size(where) > 0) eg_page_raw(p, "</p>");
    eg_page_raw(p, "</div>\n");
}

static void findings(eg_page *p) {
    const json_t *all = eg_report_at(p->set, "findings");
    eg_page_section_open(p, "findings", EG_TEXT_SET_FINDINGS, EG_TEXT_SET_FINDINGS_ASKS);
    for (size_t i = 0; i < json_array_size(all); i++) finding(p, json_array_get(all, i));
    if (json_array_size(all) == 0) eg_page_note(p, EG_TEXT_SET_NOTHING, NULL, 0);
    eg_page_section_close(p);
}

/* ---- what is there ---- */

static void formats(eg_page *p) {
    static const eg_column columns[] = {{EG_TEXT_SET_FORMAT, false}, {EG_TEXT_IMAGES, true}};
    const char *name;
    json_t *n;
    eg_page_table_open(p, columns, 2, false);
    json_object_foreach((json_t *)(uintptr_t)eg_report_at(p->set, "formats"), name, n) {
        eg_page_row_open(p);
        eg_page_cell_text(p, name);
        eg_page_cell_figure(p, eg_report_integer(n, ""));
        eg_page_row_close(p);
    }
    const json_t *sizes = eg_report_at(p->set, "sizes.common");
    for (size_t i = 0; i < json_array_size(sizes); i++) {
        const json_t *s = json_array_get(sizes, i);
        eg_page_row_open(p);
        eg_page_cell_open(p);
        eg_page_figure(p, eg_report_integer(s, "width"));
        eg_page_raw(p, " × ");
        eg_page_figure(p, eg_report_integer(s, "height"));
        eg_page_cell_close(p);
        eg_page_cell_figure(p, eg_report_integer(s, "n"));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
}

static void groups_table(eg_page *p) {
    static const eg_column columns[] = {
        {EG_TEXT_SPLIT, false},         {EG_TEXT_SET_CLASS, false},   {EG_TEXT_IMAGES, true},
        {EG_TEXT_SET_BRIGHTNESS, true}, {EG_TEXT_SET_CONTRAST, true}, {EG_TEXT_SET_SHARPNESS, true},
        {EG_TEXT_SET_NOISE, true}};
    static const char *const keys[] = {"brightness", "contrast", "sharpness", "noise"};
    const json_t *groups = eg_report_at(p->set, "groups");
    eg_page_table_open(p, columns, 7, true);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *g = json_array_get(groups, i);
        eg_page_row_open(p);
        eg_page_cell_word(p, eg_report_string(g, "split"));
        eg_page_cell_text(p, eg_report_string(g, "class"));
        eg_page_cell_figure(p, eg_report_integer(g, "n"));
        for (int k = 0; k < 4; k++)
            eg_page_cell_figure(p, eg_report_real(g, keys[k], k == 3 ? 4 : 3));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
}

/* One curve a split, of one class; heights are shares of the highest bin of all. */
static void histogram(eg_page *p, const char *class_name, double top) {
    static const char *const styles[] = {"train", "val", "test", "all"};
    const json_t *groups = eg_report_at(p->set, "groups");
    eg_page_raw(p, "<figure><figcaption><b>");
    eg_page_text(p, class_name);
    eg_page_raw(p, "</b>");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *g = json_array_get(groups, i);
        if (!eg_report_is(g, "class", class_name)) continue;
        eg_page_raw(p, "<span class=\"k ");
        for (int k = 0; k < 4; k++)
            if (eg_report_is(g, "split", styles[k])) eg_buffer_printf(&p->out, "k%d", k);
        eg_page_raw(p, "\"></span> <span>");
        eg_page_word(p, eg_report_string(g, "split"));
        eg_page_raw(p, "</span> &ensp; ");
    }
    eg_page_raw(p, "</figcaption>");
    eg_svg_open(p, EG_TEXT_SET_HISTOGRAM, 256, BINS_HEIGHT + 4);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *g = json_array_get(groups, i), *bins = eg_report_at(g, "histogram");
        size_t n = json_array_size(bins);
        if (!eg_report_is(g, "class", class_name) || n < 2) continue;
        eg_page_raw(p, "<path class=\"");
        for (int k = 0; k < 4; k++)
            if (eg_report_is(g, "split", styles[k])) eg_buffer_printf(&p->out, "c%d", k);
        eg_page_raw(p, "\" d=\"");
        for (size_t b = 0; b < n; b++) {
            double v = json_number_value(json_array_get(bins, b));
            eg_page_raw(p, b == 0 ? "M" : "L");
            eg_svg_number(&p->out, 256.0 * (double)b / (double)(n - 1));
            eg_page_raw(p, " ");
            eg_svg_number(&p->out,
                          BINS_HEIGHT + 2 - BINS_HEIGHT * (v >= 0 && v <= top ? v / top : 1));
        }
        eg_page_raw(p, "\"/>");
    }
    eg_svg_close(p);
    eg_page_raw(p, "</figure>\n");
}

static void histograms(eg_page *p) {
    const json_t *groups = eg_report_at(p->set, "groups"),
                 *classes = eg_report_at(p->set, "classes");
    double top = 0;
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *bins = eg_report_at(json_array_get(groups, i), "histogram");
        for (size_t b = 0; b < json_array_size(bins); b++) {
            double v = json_number_value(json_array_get(bins, b));
            if (v > top) top = v;
        }
    }
    if (!(top > 0)) return;
    eg_page_heading(p, 3, EG_TEXT_SET_HISTOGRAM);
    eg_page_raw(p, "<div class=\"figures\">\n");
    for (size_t k = 0; k < json_array_size(classes) && k < 24; k++) {
        const char *name = json_string_value(json_array_get(classes, k));
        if (name != NULL) histogram(p, name, top);
    }
    eg_page_raw(p, "</div>\n");
}

static void means(eg_page *p) {
    const json_t *groups = eg_report_at(p->set, "pictures.groups");
    if (json_array_size(groups) == 0) return;
    eg_page_heading(p, 3, EG_TEXT_SET_MEANS);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *g = json_array_get(groups, i), *files = eg_report_at(g, "files");
        const char *split = eg_report_string(g, "split"), *name = eg_report_string(g, "class");
        char *label = eg_format("%s / %s", split != NULL ? eg_report_word(split, p->lang) : "-",
                                name != NULL ? name : "-");
        if (label == NULL) p->out.failed = true;
        eg_page_raw(p, "<div class=\"thumbs\">");
        picture(p, eg_report_string(g, "mean"), label, true);
        for (size_t k = 0; k < json_array_size(files); k++)
            file_picture(p, json_string_value(json_array_get(files, k)));
        eg_page_raw(p, "</div>\n");
        eg_free(label);
    }
}

static void contents(eg_page *p) {
    eg_page_section_open(p, "data", EG_TEXT_SET_WHAT, EG_TEXT_SET_WHAT_ASKS);
    eg_page_balance_bars(p);
    groups_table(p);
    means(p);
    histograms(p);
    formats(p);
    eg_page_section_close(p);
}

/* ---- copies ---- */

static void copies(eg_page *p) {
    static const eg_column columns[] = {{EG_TEXT_SET_KIND, false},
                                        {EG_TEXT_SET_GROUPS, true},
                                        {EG_TEXT_SET_FILES, true},
                                        {EG_TEXT_SET_ACROSS_SPLITS, true},
                                        {EG_TEXT_SET_ACROSS_CLASSES, true}};
    static const struct {
        const char *path;
        eg_text name;
    } kinds[] = {{"duplicates", EG_TEXT_SET_SAME_FILE},
                 {"duplicates.same_pixels", EG_TEXT_SET_SAME_PIXELS},
                 {"duplicates.near", EG_TEXT_SET_NEAR},
                 {"duplicates.features", EG_TEXT_SET_BY_FEATURES}};
    eg_page_section_open(p, "copies", EG_TEXT_SET_COPIES, EG_TEXT_SET_COPIES_ASKS);
    eg_page_table_open(p, columns, 5, true);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *k = eg_report_at(p->set, kinds[i].path);
        if (k == NULL) continue;
        eg_page_row_open(p);
        eg_page_cell_open(p);
        eg_page_string(p, kinds[i].name);
        eg_page_cell_close(p);
        eg_page_cell_figure(p, eg_report_integer(k, "groups"));
        eg_page_cell_figure(p, eg_report_integer(k, "files"));
        eg_page_cell_figure(p, eg_report_integer(k, "across_splits"));
        eg_page_cell_figure(p, eg_report_integer(k, "across_classes"));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
    const json_t *examples = eg_report_at(p->set, "duplicates.examples");
    for (size_t g = 0; g < json_array_size(examples) && g < MOST_GROUPS; g++) {
        const json_t *files = eg_report_at(json_array_get(examples, g), "files");
        eg_page_raw(p, "<div class=\"thumbs\">");
        for (size_t i = 0; i < json_array_size(files) && i < OF_GROUP; i++)
            file_picture(p, json_string_value(json_array_get(files, i)));
        eg_page_raw(p, "</div>\n");
    }
    eg_page_section_close(p);
}

static void patients(eg_page *p) {
    static const eg_column columns[] = {{EG_TEXT_SPLIT, false}, {EG_TEXT_PATIENTS, true}};
    const char *split;
    json_t *n;
    eg_page_section_open(p, "patients", EG_TEXT_PATIENTS, EG_TEXT_SET_PATIENTS_ASKS);
    eg_page_table_open(p, columns, 2, false);
    json_object_foreach((json_t *)(uintptr_t)eg_report_at(p->set, "patients.splits"), split, n) {
        eg_page_row_open(p);
        eg_page_cell_word(p, split);
        eg_page_cell_figure(p, eg_report_integer(n, ""));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
    eg_page_raw(p, "<ul class=\"said\" lang=\"en\">\n");
    const json_t *text = eg_report_at(p->set, "patients.text");
    for (size_t i = 0; i < json_array_size(text); i++) {
        eg_page_raw(p, "<li>");
        eg_page_text(p, json_string_value(json_array_get(text, i)));
        eg_page_raw(p, "</li>\n");
    }
    eg_page_raw(p, "</ul>\n");
    eg_page_section_close(p);
}

/* ---- drift ---- */

static void drift(eg_page *p) {
    static const eg_column columns[] = {{EG_TEXT_SET_CLASS, false}, {EG_TEXT_SET_FROM, false},
                                        {EG_TEXT_SET_TO, false},    {EG_TEXT_SET_SEEN_ON, false},
                                        {EG_TEXT_AUC, true},        {EG_TEXT_SET_HALVES, true},
                                        {EG_TEXT_P_HOLM, true}};
    static const eg_column moved[] = {{EG_TEXT_SET_CLASS, false},   {EG_TEXT_SET_TO, false},
                                      {EG_TEXT_SET_MEASURE, false}, {EG_TEXT_SET_WAS, true},
                                      {EG_TEXT_SET_IS, true},       {EG_TEXT_AUC, true},
                                      {EG_TEXT_P_HOLM, true}};
    const json_t *all = eg_report_at(p->set, "drift"), *shifts = eg_report_at(p->set, "shifts");
    if (json_array_size(all) + json_array_size(shifts) == 0) return;
    eg_page_section_open(p, "drift", EG_TEXT_SET_DRIFT, EG_TEXT_SET_DRIFT_ASKS);
    eg_page_table_open(p, columns, 7, true);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *d = json_array_get(all, i);
        eg_page_row_open(p);
        eg_page_cell_text(p, eg_report_string(d, "class"));
        eg_page_cell_word(p, eg_report_string(d, "from"));
        eg_page_cell_word(p, eg_report_string(d, "to"));
        eg_page_cell_text(p, eg_report_string(d, "on"));
        eg_page_cell_figure(p, eg_report_real(d, "auc", 3));
        eg_page_cell_figure(p, eg_report_real(d, "control_auc", 3));
        eg_page_cell_figure(p, eg_report_p(d, "p_holm"));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
    eg_page_table_open(p, moved, 7, true);
    for (size_t i = 0; i < json_array_size(shifts); i++) {
        const json_t *s = json_array_get(shifts, i);
        double holm = 1;
        if (!eg_report_number(&holm, s, "p_holm") || holm > 0.05) continue; /* the file has all */
        eg_page_row_open(p);
        eg_page_cell_text(p, eg_report_string(s, "class"));
        eg_page_cell_word(p, eg_report_string(s, "to"));
        eg_page_cell_text(p, eg_report_string(s, "measure"));
        eg_page_cell_figure(p, eg_report_short(s, "from_median"));
        eg_page_cell_figure(p, eg_report_short(s, "to_median"));
        eg_page_cell_figure(p, eg_report_real(s, "auc", 3));
        eg_page_cell_figure(p, eg_report_p(s, "p_holm"));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
    eg_page_section_close(p);
}

static void shortcut_row(eg_page *p, const json_t *s, const char *on) {
    eg_page_row_open(p);
    eg_page_cell_text(p, eg_report_string(s, "class"));
    eg_page_cell_text(p, on);
    eg_page_cell_figure(p, eg_report_real(s, "auc", 3));
    eg_page_cell_figure(p, eg_report_p(s, "p"));
    eg_page_row_close(p);
}

static void shortcuts(eg_page *p) {
    static const eg_column columns[] = {{EG_TEXT_SET_CLASS, false},
                                        {EG_TEXT_SET_SEEN_ON, false},
                                        {EG_TEXT_AUC, true},
                                        {EG_TEXT_P_VALUE, true}};
    const json_t *all = eg_report_at(p->set, "shortcuts"),
                 *known = eg_report_at(p->set, "labels.separable"),
                 *suspects = eg_report_at(p->set, "labels.suspects");
    if (json_array_size(all) + json_array_size(known) == 0) return;
    eg_page_section_open(p, "labels", EG_TEXT_SET_SHORTCUTS, EG_TEXT_SET_SHORTCUTS_ASKS);
    eg_page_table_open(p, columns, 4, true);
    for (size_t i = 0; i < json_array_size(known); i++)
        shortcut_row(p, json_array_get(known, i), eg_report_string(p->set, "labels.on"));
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *s = json_array_get(all, i);
        shortcut_row(p, s, eg_report_string(s, "on"));
    }
    eg_page_table_close(p);
    if (json_array_size(suspects) > 0) {
        eg_page_heading(p, 3, EG_TEXT_SET_SUSPECTS);
        eg_page_raw(p, "<div class=\"thumbs\">");
    }
    for (size_t i = 0; i < json_array_size(suspects) && i < MOST_SUSPECTS; i++)
        file_picture(p, eg_report_string(json_array_get(suspects, i), "file"));
    if (json_array_size(suspects) > 0) eg_page_raw(p, "</div>\n");
    eg_page_section_close(p);
}

/* ---- files ---- */

static void file_table(eg_page *p, eg_text heading, const json_t *list) {
    static const eg_column columns[] = {{EG_TEXT_FILE, false}, {EG_TEXT_REASON, false}};
    if (json_array_size(list) == 0) return;
    eg_page_heading(p, 3, heading);
    eg_page_table_open(p, columns, 2, true);
    for (size_t i = 0; i < json_array_size(list) && i < MOST_FILES; i++) {
        const json_t *f = json_array_get(list, i);
        const json_t *examples = eg_report_at(f, "examples");
        eg_page_row_open(p);
        eg_page_cell_open(p);
        if (eg_report_string(f, "file") != NULL) eg_page_text(p, eg_report_string(f, "file"));
        for (size_t k = 0; k < json_array_size(examples); k++) {
            if (k > 0) eg_page_raw(p, ", ");
            eg_page_text(p, json_string_value(json_array_get(examples, k)));
        }
        eg_page_cell_close(p);
        const char *reason = eg_report_string(f, "reason");
        eg_page_cell_text(p, reason != NULL ? reason : eg_report_string(f, "text"));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
}

static void files(eg_page *p) {
    const json_t *bad = eg_report_at(p->set, "bad_files"), *odd = eg_report_at(p->set, "odd_files"),
                 *skipped = eg_report_at(p->set, "skipped_files.files");
    if (json_array_size(bad) + json_array_size(odd) + json_array_size(skipped) == 0) return;
    eg_page_section_open(p, "files", EG_TEXT_SET_ODD, EG_TEXT_SET_ODD_ASKS);
    file_table(p, EG_TEXT_SET_LEFT_OUT, bad);
    file_table(p, EG_TEXT_SET_UNUSUAL, odd);
    file_table(p, EG_TEXT_SET_STEPPED_OVER, skipped);
    eg_page_section_close(p);
}

void eg_page_set(eg_page *p) {
    findings(p);
    contents(p);
    copies(p);
    patients(p);
    drift(p);
    shortcuts(p);
    files(p);
}
