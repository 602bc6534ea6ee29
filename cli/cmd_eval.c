/* engraft eval RUN DIR: score a run on one split of DIR; --predictions: score a file again. The pictures of --out are
 * drawn here, by the report room, from the document that is printed. */
#include "cli.h"

eg_status eg_cli_cmd_EVAL(eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    const eg_options *o = &line->options;
    const bool file = line->n_arguments == 0; /* then --predictions is there: parse.c */
    eg_doc *doc = NULL;
    if (!file && o->predictions)
        return eg_cli_usage(err,
                            "eval: --predictions %s is scored instead of a run: leave out RUN and "
                            "DIR",
                            o->predictions);
    eg_status status = eg_eval(&doc, file ? NULL : line->arguments[0],
                               file ? NULL : line->arguments[1], o, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    if (o->out) status = eg_report_pictures(o->out, doc, err);
    if (status != EG_OK) {
        eg_doc_free(doc);
        return status;
    }
    status = eg_cli_show(cli, doc, err);
    if (status == EG_OK && o->out)
        eg_cli_note(cli, "metrics.json, predictions.csv and pictures: %s", o->out);
    return status;
}
