/* Tables and paragraphs for a terminal: widths in terminal columns (wide characters count two), folded to fit.
 *
 * A table that is wider than the terminal is written as several blocks that repeat the key columns, so that every row
 * stays readable and nothing is dropped. Read first: terminal.h.                                              */
#include "report/terminal.h"
#include <string.h>

static const int gap = 2; /* blanks between columns */

/* ---- text ---- */

void eg_term_style(eg_term *t, eg_style style) {
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[2m", "\033[32m", "\033[31m"};
    if (t->colour) eg_buffer_add(&t->out, codes[style], strlen(codes[style]));
}

static void blanks(eg_term *t, int n) {
    while (n-- > 0) eg_buffer_add(&t->out, " ", 1);
}

/* `n` bytes with every control character (C0, DEL and C1) replaced. */
static void add_clean(eg_term *t, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xC2 && i + 1 < n && (unsigned char)text[i + 1] < 0xA0;
        if (c < 0x20 || c == 0x7F || c1) {
            eg_buffer_add(&t->out, "?", 1);
            i += c1;
        } else {
            eg_buffer_add(&t->out, text + i, 1);
        }
    }
}

void eg_term_text(eg_term *t, const char *text) {
    if (text == NULL) text = "-";
    add_clean(t, text, strlen(text));
}

void eg_term_heading(eg_term *t, const char *text) {
    if (t->out.size > 0) eg_buffer_add(&t->out, "\n", 1);
    eg_term_style(t, EG_STYLE_BOLD);
    eg_term_text(t, text);
    eg_term_style(t, EG_STYLE_PLAIN);
    eg_buffer_add(&t->out, "\n", 1);
}

/* Bytes of the next line of `text`: up to the last blank that fits, or as much as fits of one long word. */
static size_t line_length(const char *text, int columns) {
    size_t fits = eg_report_prefix(text, columns);
    if (text[fits] == 0) return fits;
    size_t n = fits;
    while (n > 0 && text[n] != ' ') n--;
    if (n > 0) return n;
    return fits > 0 ? fits : strlen(text);
}

/* `text` broken to the width behind `indent` blanks, which the caller has filled in the first line. */
static void wrapped(eg_term *t, int indent, const char *text) {
    int room = t->columns - indent > 10 ? t->columns - indent : 10;
    for (bool first = true; first || *text != 0; first = false) {
        size_t n = line_length(text, room);
        if (!first) blanks(t, indent);
        add_clean(t, text, n);
        eg_buffer_add(&t->out, "\n", 1);
        text += n;
        while (*text == ' ') text++;
    }
}

void eg_term_paragraph(eg_term *t, const char *bullet, const char *text) {
    if (text == NULL) return;
    eg_buffer_add(&t->out, bullet, strlen(bullet));
    wrapped(t, eg_report_width(bullet), text);
}

void eg_term_pair(eg_term *t, int width, const char *name, const char *value) {
    eg_term_style(t, EG_STYLE_DIM);
    eg_term_text(t, name);
    eg_term_style(t, EG_STYLE_PLAIN);
    int used = eg_report_width(name);
    blanks(t, used < width ? width - used + gap : gap);
    wrapped(t, (used < width ? width : used) + gap, value != NULL ? value : "-");
}

/* ---- tables ---- */

void eg_table_column(eg_table *t, const char *head, bool number) {
    if (t->n_columns == EG_TERM_MAX_COLUMNS) return;
    t->heads[t->n_columns] = head;
    t->number[t->n_columns] = number;
    t->n_columns++;
}

void eg_table_cell(eg_table *t, const char *text, eg_style style) {
    size_t start = t->text.size;
    char lead = (char)style;
    eg_buffer_add(&t->starts, &start, sizeof start);
    eg_buffer_add(&t->text, &lead, 1);
    if (text == NULL) text = "-";
    eg_buffer_add(&t->text, text, strlen(text) + 1);
}

void eg_table_figure(eg_table *t, eg_figure f) {
    eg_table_cell(t, f.text, EG_STYLE_PLAIN);
}

void eg_table_interval(eg_table *t, eg_figure f, eg_figure interval) {
    char both[2 * sizeof f.text];
    size_t n = strlen(f.text);
    memcpy(both, f.text, n + 1);
    if (interval.known) {
        both[n] = ' ';
        memcpy(both + n + 1, interval.text, strlen(interval.text) + 1);
    }
    eg_table_cell(t, both, EG_STYLE_PLAIN);
}

static size_t n_rows(const eg_table *t) {
    return t->n_columns == 0 ? 0 : t->starts.size / sizeof(size_t) / (size_t)t->n_columns;
}

static const char *cell_at(const eg_table *t, size_t row, int column, eg_style *style) {
    size_t start, index = row * (size_t)t->n_columns + (size_t)column;
    memcpy(&start, t->starts.data + index * sizeof start, sizeof start);
    *style = (eg_style)t->text.data[start];
    return t->text.data + start + 1;
}

static int column_width(const eg_table *t, int column) {
    int width = eg_report_width(t->heads[column]);
    for (size_t row = 0; row < n_rows(t); row++) {
        eg_style style;
        int w = eg_report_width(cell_at(t, row, column, &style));
        if (w > width) width = w;
    }
    return width;
}

/* One cell padded to `width`, cut with a '~' when longer. The last of a line gets no blanks behind it. */
static void write_cell(eg_term *t, const char *text, int width, bool number, eg_style style,
                       bool last) {
    int w = eg_report_width(text);
    size_t n = strlen(text);
    bool cut = w > width;
    if (cut) {
        n = eg_report_prefix(text, width - 1);
        w = width;
    }
    if (number) blanks(t, width - w);
    if (style != EG_STYLE_PLAIN) eg_term_style(t, style);
    add_clean(t, text, n);
    if (cut) eg_buffer_add(&t->out, "~", 1);
    if (style != EG_STYLE_PLAIN) eg_term_style(t, EG_STYLE_PLAIN);
    if (!number && !last) blanks(t, width - w);
}

/* A line of the block made of the key columns and the columns [from, to). row < 0: the heads. */
static void write_line(eg_term *t, const eg_table *table, const int *widths, int from, int to,
                       long row) {
    for (int c = 0; c < to; c++) {
        if (c >= table->n_keys && c < from) continue;
        eg_style style = EG_STYLE_DIM;
        const char *text = row < 0 ? table->heads[c] : cell_at(table, (size_t)row, c, &style);
        if (c > 0) blanks(t, gap);
        write_cell(t, text, widths[c], table->number[c], style, c == to - 1);
    }
    eg_buffer_add(&t->out, "\n", 1);
}

/* Widths of all columns; returns that of the keys with their gaps. Keys leave room for the widest other column, as
 * long as that takes no more than half of the terminal; the widest key gives way first. */
static int fit_widths(const eg_term *t, const eg_table *table, int *widths) {
    int keys = 0, widest = 0, n_keys = table->n_keys;
    for (int c = 0; c < table->n_columns; c++) {
        widths[c] = column_width(table, c);
        if (c < n_keys) keys += widths[c] + gap;
        if (c >= n_keys && widths[c] > widest) widest = widths[c];
    }
    int room = t->columns - widest > t->columns / 2 ? t->columns - widest : t->columns / 2;
    while (keys > room) {
        int at = 0;
        for (int c = 1; c < n_keys; c++) at = widths[c] > widths[at] ? c : at;
        widths[at]--;
        keys--;
    }
    for (int c = n_keys; c < table->n_columns; c++) {
        if (widths[c] > t->columns - keys) widths[c] = t->columns - keys;
    }
    return keys;
}

void eg_table_write(eg_term *t, eg_table *table) {
    int widths[EG_TERM_MAX_COLUMNS];
    if (table->text.failed || table->starts.failed) {
        t->out.failed = true;
    } else {
        int keys = fit_widths(t, table, widths);
        int from = table->n_keys;
        do {
            int to = from, width = keys - gap;
            while (to < table->n_columns &&
                   (to == from || width + gap + widths[to] <= t->columns)) {
                width += gap + widths[to++];
            }
            if (from > table->n_keys) eg_buffer_add(&t->out, "\n", 1);
            for (long row = -1; row < (long)n_rows(table); row++) {
                write_line(t, table, widths, from, to, row);
            }
            from = to;
        } while (from < table->n_columns);
    }
    eg_buffer_free(&table->text);
    eg_buffer_free(&table->starts);
    *table = (eg_table){0};
}
