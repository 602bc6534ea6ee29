/* What `engraft pull` did, on a terminal: a line a file, and its path on a line of its own, whole,
 * because it is there to be copied. Read first: terminal.h. */
#include "report/terminal.h"

void eg_term_pull(eg_term *t, const json_t *root) {
    const json_t *files = eg_report_at(root, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *f = json_array_get(files, i);
        const char *model = eg_report_string(f, "model");
        eg_term_style(t, EG_STYLE_BOLD);
        eg_term_text(t, model ? model : eg_report_string(f, "file"));
        eg_term_style(t, EG_STYLE_PLAIN);
        eg_term_text(t, ": ");
        eg_term_text(t, eg_report_string(f, "source"));
        eg_figure size = eg_report_bytes(f, "bytes");
        if (size.known) {
            eg_term_text(t, ", ");
            eg_term_text(t, size.text);
        }
        if (eg_report_string(f, "sha256")) {
            eg_term_text(t, ", checked by ");
            eg_term_text(t, eg_report_string(f, "checked"));
        }
        eg_buffer_printf(&t->out, "\n  ");
        eg_term_text(t, eg_report_string(f, "path"));
        eg_buffer_printf(&t->out, "\n");
    }
}
