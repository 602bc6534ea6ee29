/* engraft version, engraft --version: versions, processor, kernels. */
#include "cli.h"

eg_status eg_cli_cmd_VERSION(eg_cli *cli, eg_error *err) {
    eg_doc *doc = NULL;
    eg_status status = eg_version(&doc, &cli->line.options, err);
    return status == EG_OK ? eg_cli_show(cli, doc, err) : status;
}
