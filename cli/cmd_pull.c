/* engraft pull MODEL...: pretrained weights into the cache. */
#include "cli.h"

eg_status eg_cli_cmd_PULL(eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    eg_doc *doc = NULL;
    eg_status status =
        eg_pull(&doc, line->arguments, line->n_arguments, &line->options, &cli->events, err);
    eg_cli_progress_clear(&cli->progress);
    return status == EG_OK ? eg_cli_show(cli, doc, err) : status;
}
