/* engraft models [NAME]: the zoo (Task A). */
#include "cli.h"

eg_status eg_cli_cmd_MODELS(eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    eg_doc *doc = NULL;
    const char *name = line->n_arguments ? line->arguments[0] : NULL;
    eg_status status = eg_models(&doc, name, &line->options, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    return eg_cli_show(cli, doc, err);
}
