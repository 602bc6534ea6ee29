/* engraft features DIR: pooled features of every image into an .npz file. */
#include "cli.h"

eg_status eg_cli_cmd_FEATURES(eg_cli *cli, eg_error *err) {
    eg_options *o = &cli->line.options;
    if (!o->model)
        return eg_cli_usage(err, "features: --model is missing - see engraft models for names");
    if (!o->out) o->out = "features.npz";
    eg_doc *doc = NULL;
    eg_status status = eg_features(&doc, cli->line.arguments[0], o, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    return eg_cli_show(cli, doc, err);
}
