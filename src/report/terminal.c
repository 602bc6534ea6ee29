/* Terminal text of any document: one writer a kind; what has none is shown as JSON.
 *
 * ANSI colour only when asked: whether the output is a terminal, and NO_COLOR, are the program's business.
 * Read first: terminal.h, doc/documents.md.                                                                   */
#include "report/terminal.h"
#include "report/report.h"
#include <string.h>

enum { MIN_COLUMNS = 60 };

static const struct {
    const char *kind;
    void (*write)(eg_term *t, const json_t *root);
} writers[] = {
    {"recommendation", eg_term_recommendation},
    {"study", eg_term_study},
    {"compare", eg_term_compare},
    {"published", eg_term_published},
    {"why", eg_term_why},
    {"train", eg_term_train},
    {"metrics", eg_term_metrics},
    {"seeds", eg_term_seeds},
    {"lr_finder", eg_term_lr_finder},
    {"models", eg_term_models},
    {"features", eg_term_features},
    {"predictions", eg_term_predictions},
    {"explain", eg_term_explain},
    {"pull", eg_term_pull},
    {"phantom", eg_term_phantom},
    {"inspect", eg_term_inspect},
    {"version", eg_term_version},
    {"export", eg_term_inspect},
    {"bench", eg_term_bench},
    {"data", eg_term_data},
    {"mistakes", eg_term_mistakes},
    {"augmentation", eg_term_augmentation},
};

eg_status eg_report_terminal(char **out, const eg_doc *doc, int columns, bool colour,
                             eg_error *err) {
    eg_term t = {.columns = columns < MIN_COLUMNS ? MIN_COLUMNS : columns, .colour = colour};
    bool written = false;
    for (size_t i = 0; i < sizeof writers / sizeof *writers && !written; i++) {
        if (strcmp(writers[i].kind, doc->kind) != 0) continue;
        writers[i].write(&t, doc->root);
        written = true;
    }
    if (!written) { /* a kind added later is still better shown than refused */
        char *json = eg_doc_json(doc);
        if (json == NULL) t.out.failed = true;
        if (json != NULL) eg_buffer_add(&t.out, json, strlen(json));
        eg_text_free(json);
    }
    eg_buffer_add(&t.out, "", 0);
    if (t.out.failed) {
        eg_buffer_free(&t.out);
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the text of a %s document", doc->kind);
    }
    *out = t.out.data;
    return EG_OK;
}
