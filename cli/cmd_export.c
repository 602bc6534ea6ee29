/* engraft export RUN|FILE: write a network as .pth, safetensors or ONNX. */
#include "cli.h"

eg_status eg_cli_cmd_EXPORT(eg_cli *cli, eg_error *err) {
    eg_doc *doc = NULL;
    eg_status status = eg_export(&doc, cli->line.arguments[0], &cli->line.options, err);
    return status == EG_OK ? eg_cli_show(cli, doc, err) : status;
}
