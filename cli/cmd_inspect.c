/* engraft inspect FILE: what is in a weights file, an image or a run. Executes nothing of it. */
#include "cli.h"

eg_status eg_cli_cmd_INSPECT(eg_cli *cli, eg_error *err) {
    eg_doc *doc = NULL;
    eg_status status = eg_inspect(&doc, cli->line.arguments[0], &cli->line.options, err);
    return status == EG_OK ? eg_cli_show(cli, doc, err) : status;
}
