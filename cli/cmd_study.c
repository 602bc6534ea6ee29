/* engraft study DIR: tasks A to E. The library writes study.json and the runs; the report is drawn
 * here, in the language asked for, and in Traditional Chinese beside an English one. */
#include "cli.h"

#include <string.h>

static eg_status write_report(const eg_doc *doc, const char *dir, const char *file,
                              const char *lang, eg_error *err) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, file) >= (int)sizeof path)
        return eg_cli_usage(err, "--out %.60s...: path too long", dir);
    return eg_report_html(path, doc, lang, err);
}

eg_status eg_cli_cmd_STUDY(eg_cli *cli, eg_error *err) {
    eg_options *o = &cli->line.options;
    if (!o->models)
        return eg_cli_usage(err, "study: --models is missing - see engraft models for names");
    if (!o->out) o->out = "study";
    eg_doc *doc = NULL;
    eg_status status = eg_study(&doc, cli->line.arguments[0], o, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    status = write_report(doc, o->out, "report.html", o->lang, err);
    if (status == EG_OK && strcmp(o->lang, "en") == 0)
        status = write_report(doc, o->out, "report.zh-TW.html", "zh-TW", err);
    if (status != EG_OK) {
        eg_doc_free(doc);
        return status;
    }
    status = eg_cli_show(cli, doc, err);
    if (status == EG_OK)
        eg_cli_note(cli, "report: %s/report.html  figures: %s/study.json  runs: %s/runs", o->out,
                    o->out, o->out);
    return status;
}
