/* engraft data DIR: examine a data set; the page of --out; an exit code for --fail-on. */
#include "cli.h"

#include <string.h>

/* Findings of the weight that --fail-on names or more; 0: none, or it names none. */
static int count_findings(const eg_doc *doc, const char *fail_on) {
    double errors = 0, warnings = 0;
    if (strcmp(fail_on, "never") == 0) return 0;
    eg_doc_number(&errors, doc, "counts.error", NULL);
    eg_doc_number(&warnings, doc, "counts.warning", NULL);
    return (int)errors + (strcmp(fail_on, "warning") == 0 ? (int)warnings : 0);
}

eg_status eg_cli_cmd_DATA(eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    const eg_options *o = &line->options;
    eg_doc *doc = NULL;
    eg_status status = eg_data(&doc, line->arguments[0], o, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    const bool examined = strcmp(eg_doc_kind(doc), "data") == 0;
    const int n = examined ? count_findings(doc, o->fail_on) : 0;
    if (examined && o->out) status = eg_report_html(o->out, doc, o->lang, err);
    if (status != EG_OK) {
        eg_doc_free(doc);
        return status;
    }
    status = eg_cli_show(cli, doc, err);
    if (status != EG_OK) return status;
    if (examined && o->out) eg_cli_note(cli, "page: %s", o->out);
    if (n == 0) return EG_OK;
    err->status = EG_ERR_FINDINGS;
    err->offset = -1;
    snprintf(err->text, sizeof err->text, "%s: %d finding%s (--fail-on %s)", line->arguments[0], n,
             n == 1 ? "" : "s", o->fail_on);
    return EG_ERR_FINDINGS;
}
