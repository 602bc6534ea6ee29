/* engraft train DIR: one run (Tasks B and C). Without --out the run goes to runs/MODEL-MODE. */
#include "cli.h"

eg_status eg_cli_cmd_TRAIN(eg_cli *cli, eg_error *err) {
    eg_options *o = &cli->line.options;
    char out[256];
    /* a resumed run brings its own model and place along */
    if (!o->resume && !o->model)
        return eg_cli_usage(err, "train: --model is missing - see engraft models for names");
    if (!o->resume && !o->out) {
        if (snprintf(out, sizeof out, "runs/%s-%s", o->model, o->mode) >= (int)sizeof out)
            return eg_cli_usage(err, "--model %.40s...: no such model", o->model);
        o->out = out;
    }
    eg_doc *doc = NULL;
    eg_status status = eg_train(&doc, cli->line.arguments[0], o, &cli->events, err);
    if (status != EG_OK) return status;
    eg_cli_progress_clear(&cli->progress);
    status = eg_cli_show(cli, doc, err);
    if (status == EG_OK && o->find_lr) {
        eg_cli_note(cli, "sweep: %s (lr_finder.json, lr_finder.csv, lr_finder.svg)", o->out);
    } else if (status == EG_OK && o->seeds > 1 && !o->resume) {
        eg_cli_note(cli, "runs: %s/seed-%lld and on (seeds.json)", o->out, (long long)o->seed);
    } else if (status == EG_OK) {
        const char *run = o->out ? o->out : o->resume;
        eg_cli_note(cli, "run: %s (best.safetensors, metrics.json, predictions-test.csv)", run);
    }
    return status;
}
