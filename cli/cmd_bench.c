/* engraft bench [MODEL]: time of a step, layer by layer, against what this machine can do. */
#include "cli.h"

eg_status eg_cli_cmd_BENCH(eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    eg_doc *doc = NULL;
    const char *model = line->n_arguments ? line->arguments[0] : NULL;
    eg_status status = eg_bench(&doc, model, &line->options, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    return eg_cli_show(cli, doc, err);
}
