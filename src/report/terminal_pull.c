/* What `engraft pull` did, on a terminal: a line a file, and its path on a line of its own, whole,
 * because it is there to be copied. Read first: terminal.h. */
#include "report/terminal.h"

/* "downloaded, 46.8 MB, checked by SHA-256"; NULL: no memory. */
static char *outcome(const json_t *file) {
    eg_figure size = eg_report_bytes(file, "bytes");
    const char *source = eg_report_string(file, "source"),
               *checked = eg_report_string(file, "checked");
    bool hashed = eg_report_string(file, "sha256") != NULL && checked != NULL;
    return eg_format("%s%s%s%s%s", source ? source : "-", size.known ? ", " : "",
                     size.known ? size.text : "", hashed ? ", checked by " : "",
                     hashed ? checked : "");
}

void eg_term_pull(eg_term *t, const json_t *root) {
    const json_t *files = eg_report_at(root, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *f = json_array_get(files, i);
        const char *name = eg_report_string(f, "model"), *path = eg_report_string(f, "path");
        if (name == NULL) name = eg_report_string(f, "file"); /* an address */
        if (name == NULL) name = "-";
        char *text = outcome(f);
        if (text == NULL) {
            t->out.failed = true;
            return;
        }
        eg_term_style(t, EG_STYLE_BOLD);
        eg_term_text(t, name);
        eg_term_style(t, EG_STYLE_PLAIN);
        eg_term_text(t, ":");
        bool fits = eg_report_width(name) + 2 + eg_report_width(text) <= t->columns;
        if (!fits) eg_buffer_printf(&t->out, "\n");
        eg_term_paragraph(t, fits ? " " : "  ", text);
        eg_buffer_printf(&t->out, "  ");
        eg_term_text(t, path ? path : "-");
        eg_buffer_printf(&t->out, "\n");
        eg_free(text);
    }
}
