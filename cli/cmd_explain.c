/* engraft explain RUN IMAGE...|DIR: pictures of what the network looked at. */
#include "cli.h"

eg_status eg_cli_cmd_EXPLAIN(eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    eg_doc *doc = NULL;
    eg_status status = eg_explain(&doc, line->arguments[0], line->arguments + 1,
                                  line->n_arguments - 1, &line->options, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    return eg_cli_show(cli, doc, err);
}
