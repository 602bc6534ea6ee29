/* engraft compare RUN RUN...: runs side by side, or --published: figures printed elsewhere. */
#include "cli.h"

eg_status eg_cli_cmd_COMPARE(eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    eg_doc *doc = NULL;
    eg_status status =
        eg_compare(&doc, line->arguments, line->n_arguments, &line->options, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    return eg_cli_show(cli, doc, err);
}
