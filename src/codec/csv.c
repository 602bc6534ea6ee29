/* CSV text (RFC 4180): tables of text cells, read whole, and one field written, quoted when it
 * needs it.
 *
 * The reader decodes into one block as long as the file: a field without its quotes is never longer
 * than with them, and its NUL takes the place of the separator behind it. Cells are texts; numbers
 * and classes are the caller's affair. Read first: codec.h, "tables". */
#include "codec/utf8.h"

#include <string.h>
#include <strings.h>

static const size_t max_file_bytes = (size_t)256 << 20;
/* 256 MiB of pointers: a file of nothing but commas must not ask for eight times its size */
static const size_t max_cells = (size_t)32 << 20;

static const char byte_order_mark[] = "\xEF\xBB\xBF";

/* ---- writing ---- */

/* Also semicolon and tab are quoted, so that a reader that guesses the separator (ours does) finds
 * the comma; and a leading byte order mark, which the first field of a file would lose. */
void eg_csv_add(eg_buffer *b, const char *text) {
    if (!strpbrk(text, ",;\t\"\r\n") && strncmp(text, byte_order_mark, 3) != 0) {
        eg_buffer_printf(b, "%s", text);
        return;
    }
    eg_buffer_add(b, "\"", 1);
    for (const char *c = text; *c; c++) {
        if (*c == '"') eg_buffer_add(b, "\"", 1);
        eg_buffer_add(b, c, 1);
    }
    eg_buffer_add(b, "\"", 1);
}

/* ---- reading ---- */

/* Position in the text, and where the decoded fields go. */
typedef struct {
    const char *start, *at, *end;
    size_t line; /* of `at`, from 1 */
    char separator;
    char *to; /* next free byte of the decoded text */
    eg_error *err;
} csv_reader;

static eg_status fail_line(const csv_reader *r, size_t line, const char *what) {
    return eg_fail_at(r->err, EG_ERR_INPUT, (int64_t)(r->at - r->start), "line %zu: %s", line,
                      what);
}

/* The encoding of the whole text: line by line, since no UTF-8 sequence holds a line break. */
static eg_status check_text(csv_reader *r) {
    size_t size = (size_t)(r->end - r->at);
    if (size >= 2 && (memcmp(r->at, "\xFF\xFE", 2) == 0 || memcmp(r->at, "\xFE\xFF", 2) == 0))
        return fail_line(r, 1, "the text is UTF-16, expected UTF-8 - save it as 'CSV UTF-8'");
    csv_reader scan = *r;
    for (; scan.at < scan.end; scan.line++) {
        const char *stop = memchr(scan.at, '\n', (size_t)(scan.end - scan.at));
        size_t n = stop ? (size_t)(stop - scan.at) + 1 : (size_t)(scan.end - scan.at);
        if (memchr(scan.at, 0, n))
            return fail_line(&scan, scan.line,
                             "a NUL byte - a CSV file is text, is this another kind of file?");
        if (!eg_codec_utf8_valid(scan.at, n))
            return fail_line(&scan, scan.line, "not UTF-8 - save the table as 'CSV UTF-8'");
        scan.at += n;
    }
    return EG_OK;
}

/* The separator that the first line has most of outside quotes; a comma when it has none. */
static char find_separator(const csv_reader *r) {
    static const char candidates[] = ",\t;";
    size_t counts[3] = {0};
    bool quoted = false;
    for (const char *c = r->at; c < r->end && (quoted || (*c != '\n' && *c != '\r')); c++) {
        const char *found = strchr(candidates, *c);
        if (*c == '"') quoted = !quoted;
        if (!quoted && found) counts[found - candidates]++;
    }
    int best = 0;
    for (int i = 1; i < 3; i++)
        if (counts[i] > counts[best]) best = i;
    return candidates[best];
}

/* Step over a line break: CR LF, LF, or the lone CR of old systems. false: there is none here. */
static bool eat_break(csv_reader *r) {
    if (r->at >= r->end || (*r->at != '\r' && *r->at != '\n')) return false;
    if (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n') r->at++;
    r->at++;
    r->line++;
    return true;
}

/* From the opening quote to behind the closing one. */
static eg_status take_quoted(csv_reader *r) {
    size_t opened = r->line;
    for (r->at++; r->at < r->end; r->at++) {
        if (*r->at == '"') {
            if (r->at + 1 >= r->end || r->at[1] != '"') break;
            r->at++; /* a doubled quote stands for one */
        }
        r->line += *r->at == '\n';
        *r->to++ = *r->at;
    }
    if (r->at >= r->end) return fail_line(r, opened, "a quoted field begins here and never ends");
    r->at++;
    bool ends = r->at >= r->end || *r->at == r->separator || *r->at == '\r' || *r->at == '\n';
    if (ends) return EG_OK;
    return fail_line(r, r->line,
                     "text behind a closing quote - a quote inside a field is written twice");
}

/* One field with its NUL; *last: the line (or the text) ends behind it. The NUL fits: it stands for
 * the separator or break that is stepped over, and the block has one byte more for the text's
 * end. */
static eg_status take_field(csv_reader *r, const char **field, bool *last) {
    *field = r->to;
    if (r->at < r->end && *r->at == '"') {
        EG_TRY(take_quoted(r));
    } else {
        while (r->at < r->end && *r->at != r->separator && *r->at != '\r' && *r->at != '\n')
            *r->to++ = *r->at++;
    }
    *r->to++ = 0;
    *last = r->at >= r->end || eat_break(r);
    if (!*last) r->at++;
    return EG_OK;
}

/* The names, then row by row; lines with nothing on them are stepped over. `cells` has room for
 * every field that the text can have, `lines` for every row. */
static eg_status take_rows(eg_csv *t, csv_reader *r, const char **cells, size_t *lines) {
    size_t n_cells = 0;
    for (bool named = false;;) {
        while (eat_break(r)) continue;
        if (r->at >= r->end) break;
        size_t line = r->line, n = 0;
        for (bool last = false; !last; n++) EG_TRY(take_field(r, &cells[n_cells + n], &last));
        if (!named) {
            t->names = cells;
            t->n_columns = n;
            cells += n; /* the rows begin behind the names */
            named = true;
            continue;
        }
        if (n != t->n_columns)
            return eg_fail_at(
                r->err, EG_ERR_INPUT, (int64_t)(r->at - r->start),
                "line %zu: %zu fields, expected %zu as in the first line%s", line, n, t->n_columns,
                n > t->n_columns ? " - a field with a separator in it needs quotes" : "");
        n_cells += n;
        lines[t->n_rows++] = line;
    }
    t->cells = cells;
    t->lines = lines;
    if (t->n_columns > 0) return EG_OK;
    return eg_fail_at(r->err, EG_ERR_INPUT, 0,
                      "the table is empty - expected a first line with the names of the columns");
}

eg_status eg_csv_parse(eg_csv *out, const char *text, size_t size, eg_error *err) {
    if (size > max_file_bytes)
        return eg_fail(err, EG_ERR_LIMIT, "%zu bytes, a table may have %zu", size, max_file_bytes);
    csv_reader r = {.start = text, .at = text, .end = text + size, .line = 1, .err = err};
    if (size >= 3 && memcmp(text, byte_order_mark, 3) == 0) r.at += 3;
    EG_TRY(check_text(&r));
    r.separator = find_separator(&r);
    size_t room = 2; /* fields: what ends each of them, and the end of the text */
    size_t n_lines = 1;
    for (const char *c = r.at; c < r.end; c++) {
        n_lines += *c == '\n' || *c == '\r';
        room += *c == r.separator || *c == '\n' || *c == '\r';
    }
    if (room > max_cells)
        return eg_fail(err, EG_ERR_LIMIT, "more than %zu cells in one table", max_cells);
    eg_csv t = {.arena = eg_arena_new(0, 0)};
    const char **cells = NULL;
    size_t *lines = NULL;
    if (t.arena != NULL) {
        cells = eg_arena_get(t.arena, room * sizeof *cells);
        r.to = eg_arena_get(t.arena, size + 1);
        lines = eg_arena_get(t.arena, n_lines * sizeof *lines);
    }
    eg_status status = EG_OK;
    if (cells == NULL || r.to == NULL || lines == NULL)
        status = eg_fail(err, EG_ERR_NO_MEMORY, "no memory for a table of %zu bytes", size);
    if (status == EG_OK) status = take_rows(&t, &r, cells, lines);
    if (status == EG_OK)
        *out = t;
    else
        eg_csv_free(&t);
    return status;
}

eg_status eg_csv_read(eg_csv *out, const char *path, eg_error *err) {
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, max_file_bytes, err));
    /* an empty file has no bytes to point at */
    const char *text = view.data != NULL ? (const char *)view.data : "";
    eg_status status = eg_csv_parse(out, text, view.size, err);
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_file_close(&view);
    return status;
}

void eg_csv_free(eg_csv *table) {
    if (table == NULL) return;
    eg_arena_free(table->arena);
    *table = (eg_csv){0};
}

/* Blanks around a name do not count ("path, label" is common); the first of two equal names wins. */
int eg_csv_column(const eg_csv *table, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < table->n_columns; i++) {
        const char *have = table->names[i] + strspn(table->names[i], " ");
        size_t n = strlen(have);
        while (n > 0 && have[n - 1] == ' ') n--;
        if (n == length && strncasecmp(have, name, n) == 0) return (int)i;
    }
    return -1;
}
