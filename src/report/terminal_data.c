/* The examination of a data set on a terminal: what is in it, what is wrong with it, and the figures behind that; also the
 * mistakes of preprocessing and the sheet of augmented images. Read first: terminal.h, doc/documents.md (data). */
#include "report/terminal.h"
#include <stdio.h>
#include <string.h>

enum { NAME_WIDTH = 12, MOST_WHERE = 4, MOST_FILES = 8, MOST_SHIFTS = 12 };

/* ---- findings ---- */

static void finding(eg_term *t, const json_t *f) {
    const char *weight = eg_report_string(f, "severity"), *kind = eg_report_string(f, "kind");
    const char *text = eg_report_string(f, "text");
    const json_t *where = eg_report_at(f, "where");
    bool grave = weight != NULL && strcmp(weight, "note") != 0;
    eg_term_style(t, grave ? EG_STYLE_BAD : EG_STYLE_DIM);
    eg_term_text(t, weight);
    eg_term_style(t, EG_STYLE_PLAIN);
    eg_term_text(t, " ");
    eg_term_style(t, EG_STYLE_BOLD);
    eg_term_text(t, kind);
    eg_term_style(t, EG_STYLE_PLAIN);
    eg_buffer_add(&t->out, "\n", 1);
    eg_term_paragraph(t, "  ", text);
    eg_buffer places = {0};
    size_t n = json_array_size(where);
    for (size_t i = 0; i < n && i < MOST_WHERE; i++) {
        const char *place = json_string_value(json_array_get(where, i));
        eg_buffer_printf(&places, "%s%s", i > 0 ? ", " : "", place != NULL ? place : "-");
    }
    if (n > MOST_WHERE) eg_buffer_printf(&places, ", ...");
    if (places.size > 0) {
        eg_term_style(t, EG_STYLE_DIM);
        eg_term_paragraph(t, "  ", places.data);
        eg_term_style(t, EG_STYLE_PLAIN);
    }
    if (places.failed) t->out.failed = true;
    eg_buffer_free(&places);
}

static void findings(eg_term *t, const json_t *root) {
    static const char *const keys[] = {"counts.error", "counts.warning", "counts.note"};
    static const char *const names[] = {"error", "warning", "note"};
    const json_t *all = eg_report_at(root, "findings");
    char heading[260] = "Findings:";
    for (int i = 0; i < 3; i++) {
        eg_figure n = eg_report_integer(root, keys[i]);
        size_t used = strlen(heading);
        snprintf(heading + used, sizeof heading - used, "%s %s %s%s", i > 0 ? "," : "", n.text,
                 names[i], strcmp(n.text, "1") == 0 ? "" : "s");
    }
    eg_term_heading(t, heading);
    for (size_t i = 0; i < json_array_size(all); i++) finding(t, json_array_get(all, i));
    if (json_array_size(all) == 0) eg_term_paragraph(t, "", "Nothing was found.");
}

/* ---- what is there ---- */

static void counts(eg_term *t, const json_t *root) {
    const json_t *groups = eg_report_at(root, "groups");
    static const char *const heads[] = {"split",    "class",     "images", "brightness",
                                        "contrast", "sharpness", "noise"};
    eg_table table = {.n_keys = 2};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        eg_table_column(&table, heads[i], i >= 2);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *g = json_array_get(groups, i);
        eg_table_cell(&table, eg_report_string(g, "split"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(g, "class"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_integer(g, "n"));
        for (size_t k = 3; k < sizeof heads / sizeof *heads; k++)
            eg_table_figure(&table, eg_report_real(g, heads[k], k == 6 ? 4 : 3));
    }
    eg_table_write(t, &table);
}

/* "JPEG, 8 bit, gray 5,840" and so on in one line. */
static void formats(eg_term *t, const json_t *root) {
    eg_buffer line = {0};
    const char *name;
    json_t *n;
    json_object_foreach((json_t *)(uintptr_t)eg_report_at(root, "formats"), name, n) {
        eg_buffer_printf(&line, "%s%s %s", line.size > 0 ? "; " : "", eg_report_integer(n, "").text,
                         name);
    }
    eg_term_pair(t, NAME_WIDTH, "formats", line.data);
    if (line.failed) t->out.failed = true;
    eg_buffer_free(&line);
    const json_t *s = eg_report_at(root, "sizes");
    eg_figure w[] = {eg_report_scalar(eg_report_at(s, "width.min")),
                     eg_report_scalar(eg_report_at(s, "width.median")),
                     eg_report_scalar(eg_report_at(s, "width.max"))};
    eg_figure h[] = {eg_report_scalar(eg_report_at(s, "height.min")),
                     eg_report_scalar(eg_report_at(s, "height.median")),
                     eg_report_scalar(eg_report_at(s, "height.max"))};
    char text[600];
    if (eg_report_is(s, "", "") || strcmp(eg_report_integer(s, "distinct").text, "1") == 0)
        snprintf(text, sizeof text, "all %s x %s pixels", w[0].text, h[0].text);
    else
        snprintf(text, sizeof text,
                 "width %s to %s (median %s), height %s to %s (median %s), %s sizes", w[0].text,
                 w[2].text, w[1].text, h[0].text, h[2].text, h[1].text,
                 eg_report_integer(s, "distinct").text);
    eg_term_pair(t, NAME_WIDTH, "sizes", text);
}

/* One line a kind of copies. */
static void duplicates(eg_term *t, const json_t *root) {
    static const struct {
        const char *path, *name;
    } kinds[] = {{"duplicates", "same file"},
                 {"duplicates.same_pixels", "same pixels"},
                 {"duplicates.near", "near copies"},
                 {"duplicates.features", "by features"}};
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "copies", false);
    eg_table_column(&table, "groups", true);
    eg_table_column(&table, "files", true);
    eg_table_column(&table, "across splits", true);
    eg_table_column(&table, "across classes", true);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *k = eg_report_at(root, kinds[i].path);
        if (k == NULL) continue;
        eg_table_cell(&table, kinds[i].name, EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_integer(k, "groups"));
        eg_table_figure(&table, eg_report_integer(k, "files"));
        eg_table_figure(&table, eg_report_integer(k, "across_splits"));
        eg_table_figure(&table, eg_report_integer(k, "across_classes"));
    }
    eg_term_heading(t, "Copies");
    eg_table_write(t, &table);
}

static void patients(eg_term *t, const json_t *root) {
    const json_t *text = eg_report_at(root, "patients.text");
    eg_term_heading(t, "Patients");
    const char *split;
    json_t *n;
    json_object_foreach((json_t *)(uintptr_t)eg_report_at(root, "patients.splits"), split, n) {
        eg_term_pair(t, NAME_WIDTH, split, eg_report_integer(n, "").text);
    }
    for (size_t i = 0; i < json_array_size(text); i++)
        eg_term_paragraph(t, "- ", json_string_value(json_array_get(text, i)));
}

static void drift(eg_term *t, const json_t *root) {
    const json_t *all = eg_report_at(root, "drift");
    if (json_array_size(all) == 0) return;
    static const char *const heads[] = {"class", "from",   "to",    "seen on",
                                        "AUC",   "halves", "p Holm"};
    eg_table table = {.n_keys = 1};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        eg_table_column(&table, heads[i], i >= 4);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *d = json_array_get(all, i);
        eg_table_cell(&table, eg_report_string(d, "class"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(d, "from"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(d, "to"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(d, "on"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_real(d, "auc", 3));
        eg_table_figure(&table, eg_report_real(d, "control_auc", 3));
        eg_table_figure(&table, eg_report_p(d, "p_holm"));
    }
    eg_term_heading(t, "Can the splits be told apart? (AUC; 0.5: no)");
    eg_table_write(t, &table);
}

static void shortcuts(eg_term *t, const json_t *root) {
    const json_t *all = eg_report_at(root, "shortcuts"),
                 *known = eg_report_at(root, "labels.separable");
    if (json_array_size(all) + json_array_size(known) == 0) return;
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "class", false);
    eg_table_column(&table, "told from the rest by", false);
    eg_table_column(&table, "AUC", true);
    eg_table_column(&table, "p", true);
    for (size_t i = 0; i < json_array_size(known) + json_array_size(all); i++) {
        bool whole = i < json_array_size(known);
        const json_t *s =
            whole ? json_array_get(known, i) : json_array_get(all, i - json_array_size(known));
        eg_table_cell(&table, eg_report_string(s, "class"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(whole ? eg_report_at(root, "labels") : s, "on"),
                      EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_real(s, "auc", 3));
        eg_table_figure(&table, eg_report_p(s, "p"));
    }
    eg_term_heading(t, "Can the classes be told apart? (cross-validated)");
    eg_table_write(t, &table);
}

static void files(eg_term *t, const char *heading, const json_t *list) {
    if (json_array_size(list) == 0) return;
    eg_term_heading(t, heading);
    for (size_t i = 0; i < json_array_size(list) && i < MOST_FILES; i++) {
        const json_t *f = json_array_get(list, i);
        const char *file = eg_report_string(f, "file"), *reason = eg_report_string(f, "reason");
        char *line = eg_format("%s: %s", file != NULL ? file : "-", reason != NULL ? reason : "-");
        if (line == NULL) t->out.failed = true;
        eg_term_paragraph(t, "- ", line);
        eg_free(line);
    }
    if (json_array_size(list) > MOST_FILES) {
        char more[80];
        snprintf(more, sizeof more, "and %zu more (--json lists them)",
                 json_array_size(list) - MOST_FILES);
        eg_term_paragraph(t, "  ", more);
    }
}

void eg_term_data(eg_term *t, const json_t *root) {
    char heading[300];
    const char *name = eg_report_string(root, "root");
    snprintf(heading, sizeof heading, "%.120s: %s images, %s", name != NULL ? name : "-",
             eg_report_integer(root, "images").text, eg_report_seconds(root, "seconds").text);
    eg_term_heading(t, heading);
    formats(t, root);
    counts(t, root);
    findings(t, root);
    duplicates(t, root);
    patients(t, root);
    drift(t, root);
    shortcuts(t, root);
    files(t, "Left out: cannot be read", eg_report_at(root, "bad_files"));
    files(t, "Files stepped over", eg_report_at(root, "skipped_files.files"));
}

/* ---- --preprocessing, --show-augmentation ---- */

void eg_term_mistakes(eg_term *t, const json_t *root) {
    const json_t *rows = eg_report_at(root, "mistakes");
    const bool scored = eg_report_at(root, "right.accuracy") != NULL;
    eg_term_pair(t, NAME_WIDTH, "model", eg_report_string(root, "model"));
    eg_term_pair(t, NAME_WIDTH, "right", eg_report_string(root, "right.text"));
    eg_term_pair(t, NAME_WIDTH, "images", eg_report_string(root, "images_text"));
    eg_buffer_add(&t->out, "\n", 1);
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "mistake", false);
    if (scored) {
        eg_table_column(&table, "accuracy", true);
        eg_table_column(&table, "points", true);
        eg_table_column(&table, "loss", true);
        eg_table_column(&table, "AUC", true);
    }
    eg_table_column(&table, "pixel change", true);
    if (eg_report_at(root, "right.cosine") != NULL) eg_table_column(&table, "feature cosine", true);
    for (size_t i = 0; i <= json_array_size(rows); i++) {
        const json_t *m = i == 0 ? eg_report_at(root, "right") : json_array_get(rows, i - 1);
        eg_table_cell(&table, i == 0 ? "none: as trained" : eg_report_string(m, "name"),
                      i == 0 ? EG_STYLE_BOLD : EG_STYLE_PLAIN);
        if (scored) {
            eg_table_figure(&table, eg_report_percent(m, "accuracy"));
            eg_table_figure(&table, eg_report_points(m, "difference"));
            eg_table_figure(&table, eg_report_real(m, "loss", 3));
            eg_table_figure(&table, eg_report_real(m, "auc", 3));
        }
        eg_table_figure(&table, eg_report_real(m, "pixel_change", 3));
        if (eg_report_at(root, "right.cosine") != NULL)
            eg_table_figure(&table, eg_report_real(m, "cosine", 3));
    }
    eg_table_write(t, &table);
    eg_term_paragraph(t, "", eg_report_string(root, "note"));
}

void eg_term_augmentation(eg_term *t, const json_t *root) {
    eg_term_pair(t, NAME_WIDTH, "sheet", eg_report_string(root, "file"));
    eg_term_pair(t, NAME_WIDTH, "preset", eg_report_string(root, "preset"));
    eg_term_pair(t, NAME_WIDTH, "images", eg_report_integer(root, "images").text);
    eg_term_pair(t, NAME_WIDTH, "draws", eg_report_integer(root, "draws").text);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)eg_report_at(root, "values"), name, value) {
        eg_term_pair(t, NAME_WIDTH, name, eg_report_short(value, "").text);
    }
}
