/* The HTML shapes that all sections share: escaped text, figures, sentences with places, sections and tables.
 *
 * A table carries its roles in words and each cell the head of its column: on a narrow screen the rows become cards
 * (html_style.c), where CSS prints that head and the browser would otherwise forget that this was a table.
 * Read first: page.h.                                                                                         */
#include "report/page.h"
#include <string.h>

/* ---- text ---- */

void eg_page_raw(eg_page *p, const char *markup) {
    eg_buffer_add(&p->out, markup, strlen(markup));
}

void eg_page_text(eg_page *p, const char *text) {
    if (text == NULL) {
        eg_page_raw(p, "–");
        return;
    }
    for (const char *s = text; *s != 0; s++) {
        unsigned char c = (unsigned char)*s;
        switch (c) {
        case '&':
            eg_page_raw(p, "&amp;");
            break;
        case '<':
            eg_page_raw(p, "&lt;");
            break;
        case '>':
            eg_page_raw(p, "&gt;");
            break;
        case '"':
            eg_page_raw(p, "&quot;");
            break;
        case ' ':
            eg_page_raw(p, s[1] == '%' ? "&nbsp;" : " ");
            break; /* "75.5 %" stays whole */
        case '\'':
            eg_page_raw(p, "&#39;");
            break;
        default:
            if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F) {
                eg_page_raw(p, "\xEF\xBF\xBD"); /* control characters are not allowed in HTML */
            } else {
                eg_buffer_add(&p->out, s, 1);
            }
        }
    }
}

void eg_page_word(eg_page *p, const char *word) {
    eg_page_text(p, word == NULL ? NULL : eg_report_word(word, p->lang));
}

void eg_page_figure(eg_page *p, eg_figure f) {
    if (!f.known) {
        eg_page_raw(p, "–");
        return;
    }
    for (const char *s = f.text; *s != 0; s++) {
        if (*s == '-' && s[1] >= '0' && s[1] <= '9') {
            eg_page_raw(p, "\u2212"); /* a minus sign, as wide as the plus */
        } else {
            char one[2] = {*s, 0};
            eg_page_text(p, (unsigned char)*s < 0x80 ? one : NULL);
        }
    }
}

void eg_page_string(eg_page *p, eg_text id) {
    eg_page_text(p, eg_report_say(id, p->lang));
}

void eg_page_say(eg_page *p, eg_text id, const char *const *parts, size_t n) {
    const char *s = eg_report_say(id, p->lang);
    while (*s != 0) {
        const char *brace = strchr(s, '{');
        if (brace == NULL) {
            eg_page_raw(p, s);
            return;
        }
        eg_buffer_add(&p->out, s, (size_t)(brace - s));
        size_t i = (size_t)(brace[1] - '0');
        eg_page_text(p, i < n ? parts[i] : NULL);
        s = brace + 3; /* "{0}" */
    }
}

void eg_page_note(eg_page *p, eg_text id, const char *const *parts, size_t n) {
    eg_page_raw(p, "<p class=\"note\">");
    eg_page_say(p, id, parts, n);
    eg_page_raw(p, "</p>\n");
}

void eg_page_heading(eg_page *p, int level, eg_text id) {
    eg_buffer_printf(&p->out, "<h%d>", level);
    eg_page_string(p, id);
    eg_buffer_printf(&p->out, "</h%d>\n", level);
}

void eg_page_sentences(eg_page *p, const json_t *texts) {
    if (json_array_size(texts) == 0) return;
    if (p->lang != EG_LANG_EN) eg_page_note(p, EG_TEXT_FROM_FILE, NULL, 0);
    eg_page_raw(p, "<ul class=\"said\" lang=\"en\">\n");
    for (size_t i = 0; i < json_array_size(texts); i++) {
        eg_page_raw(p, "<li>");
        eg_page_text(p, json_string_value(json_array_get(texts, i)));
        eg_page_raw(p, "</li>\n");
    }
    eg_page_raw(p, "</ul>\n");
}

/* ---- sections ---- */

void eg_page_section_open(eg_page *p, const char *anchor, eg_text heading, eg_text asks) {
    eg_buffer_printf(&p->out, "<section id=\"%s\">\n", anchor);
    eg_page_heading(p, 2, heading);
    eg_page_raw(p, "<p class=\"asks\">");
    eg_page_string(p, asks);
    eg_page_raw(p, "</p>\n");
}

void eg_page_section_close(eg_page *p) {
    eg_page_raw(p, "</section>\n");
}

/* ---- tables ---- */

void eg_page_table_open(eg_page *p, const eg_column *columns, int n, bool cards) {
    p->columns = columns;
    p->n_columns = n;
    eg_page_raw(p, "<div class=\"box\" tabindex=\"0\"><table role=\"table\"");
    if (cards) eg_page_raw(p, " class=\"cards\"");
    eg_page_raw(p, ">\n<thead role=\"rowgroup\"><tr role=\"row\">");
    for (int i = 0; i < n; i++) {
        eg_page_raw(p, "<th role=\"columnheader\" scope=\"col\"");
        if (columns[i].number) eg_page_raw(p, " class=\"n\"");
        eg_page_raw(p, ">");
        eg_page_string(p, columns[i].head);
        eg_page_raw(p, "</th>");
    }
    eg_page_raw(p, "</tr></thead>\n<tbody role=\"rowgroup\">\n");
}

void eg_page_table_close(eg_page *p) {
    eg_page_raw(p, "</tbody></table></div>\n");
    p->columns = NULL;
    p->n_columns = 0;
}

void eg_page_row_open(eg_page *p) {
    eg_page_raw(p, "<tr role=\"row\">");
    p->column = 0;
}

void eg_page_row_close(eg_page *p) {
    eg_page_raw(p, "</tr>\n");
}

void eg_page_cell_open(eg_page *p) {
    bool header = p->column == 0;
    const eg_column *column = p->column < p->n_columns ? &p->columns[p->column] : NULL;
    eg_page_raw(p, header ? "<th role=\"rowheader\" scope=\"row\"" : "<td role=\"cell\"");
    if (column != NULL && column->number) eg_page_raw(p, " class=\"n\"");
    if (column != NULL) {
        eg_page_raw(p, " data-l=\"");
        eg_page_string(p, column->head);
        eg_page_raw(p, "\"");
    }
    eg_page_raw(p, "><span>");
}

void eg_page_cell_close(eg_page *p) {
    eg_page_raw(p, p->column == 0 ? "</span></th>" : "</span></td>");
    p->column++;
}

void eg_page_cell_text(eg_page *p, const char *text) {
    eg_page_cell_open(p);
    eg_page_text(p, text);
    eg_page_cell_close(p);
}

void eg_page_cell_word(eg_page *p, const char *word) {
    eg_page_cell_open(p);
    eg_page_word(p, word);
    eg_page_cell_close(p);
}

void eg_page_cell_figure(eg_page *p, eg_figure f) {
    eg_page_cell_open(p);
    eg_page_figure(p, f);
    eg_page_cell_close(p);
}

void eg_page_cell_interval(eg_page *p, eg_figure f, eg_figure interval) {
    eg_page_cell_open(p);
    eg_page_raw(p, "<b>");
    eg_page_figure(p, f);
    eg_page_raw(p, "</b>");
    if (interval.known) {
        eg_page_raw(p, " <small>");
        eg_page_figure(p, interval);
        eg_page_raw(p, "</small>");
    }
    eg_page_cell_close(p);
}

void eg_page_cell_mode(eg_page *p, const json_t *run) {
    eg_page_cell_open(p);
    eg_page_word(p, eg_report_string(run, "mode"));
    eg_page_cell_close(p);
}

/* ---- runs by name ---- */

void eg_page_run_name(eg_page *p, const json_t *run) {
    const char *model = eg_report_string(run, "model"), *mode = eg_report_string(run, "mode");
    if (model == NULL || mode == NULL) {
        eg_page_text(p, eg_report_string(run, "name"));
        return;
    }
    eg_page_text(p, model);
    eg_page_raw(p, " <i>");
    eg_page_word(p, mode);
    eg_page_raw(p, "</i>");
}

const json_t *eg_page_run_find(const eg_page *p, const char *name) {
    for (size_t i = 0; name != NULL && i < json_array_size(p->runs); i++) {
        const json_t *run = json_array_get(p->runs, i);
        if (eg_report_is(run, "name", name)) return run;
    }
    return NULL;
}

const char *eg_page_positive(const eg_page *p) {
    const char *positive = eg_report_string(p->study, "data.positive");
    return positive != NULL ? positive : "-";
}

void eg_page_cell_run(eg_page *p, const char *name) {
    const json_t *run = eg_page_run_find(p, name);
    eg_page_cell_open(p);
    if (run != NULL) {
        eg_page_run_name(p, run);
    } else {
        eg_page_text(p, name);
    }
    eg_page_cell_close(p);
}
