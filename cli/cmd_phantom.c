/* engraft phantom OUT: synthetic chest radiographs. */
#include "cli.h"

eg_status eg_cli_cmd_PHANTOM(eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    eg_doc *doc = NULL;
    eg_status status = eg_phantom(&doc, line->arguments[0], &line->options, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    return eg_cli_show(cli, doc, err);
}
