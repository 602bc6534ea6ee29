/* engraft report STUDY: draw the HTML report of a study again from its study.json, and show the
 * table of its results. */
#include "cli.h"

eg_status eg_cli_cmd_REPORT(eg_cli *cli, eg_error *err) {
    const eg_options *o = &cli->line.options;
    const char *study = cli->line.arguments[0];
    char path[4096];
    if (snprintf(path, sizeof path, "%s/report.html", study) >= (int)sizeof path)
        return eg_cli_usage(err, "%.60s...: path too long", study);
    eg_doc *doc = NULL;
    eg_status status = eg_study_load(&doc, study, err);
    if (status != EG_OK) return status;
    status = eg_report_html(o->out ? o->out : path, doc, o->lang, err);
    if (status != EG_OK) {
        eg_doc_free(doc);
        return status;
    }
    status = eg_cli_show(cli, doc, err);
    if (status == EG_OK) eg_cli_note(cli, "report: %s", o->out ? o->out : path);
    return status;
}
