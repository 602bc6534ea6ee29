/* The program: read the command line, run one command, print its result, turn its status into an
 * exit code. The only place that reads the environment. Results go to stdout, progress and errors
 * to stderr. Read first: cli.h. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FOLDER_BYTES = 4096 };

static eg_status (*const run[EG_COMMAND_COUNT])(eg_cli *cli, eg_error *err) = {
#define COMMAND_FUNCTION(id, name, args, help) eg_cli_cmd_##id,
    EG_COMMAND_LIST(COMMAND_FUNCTION)
#undef COMMAND_FUNCTION
};

/* Width of the terminal behind `fd`: $COLUMNS, else what the terminal says, else 100. */
static int columns_of(int fd) {
    const char *text = getenv("COLUMNS");
    int n = text ? atoi(text) : 0; /* a shell's own variable; junk counts as not set */
    struct winsize size;
    if (n < 20 && ioctl(fd, TIOCGWINSZ, &size) == 0) n = size.ws_col;
    return n < 20 ? 100 : n > 400 ? 400 : n;
}

static bool colour_wanted(void) {
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(none && *none) && terminal && strcmp(terminal, "dumb") != 0;
}

/* Flush stdout and find out whether all of it arrived: a full disk must not look like success. */
static eg_status stdout_check(eg_error *err) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return EG_OK;
    err->status = EG_ERR_IO;
    err->offset = -1;
    /* a reader that went away (`engraft models | head`) needs no message */
    if (errno == EPIPE)
        err->text[0] = '\0';
    else
        snprintf(err->text, sizeof err->text, "stdout: %s - the result was not written whole",
                 errno ? strerror(errno) : "write failed");
    return EG_ERR_IO;
}

eg_status eg_cli_show(const eg_cli *cli, eg_doc *doc, eg_error *err) {
    char *text = NULL;
    eg_status status = EG_OK;
    if (cli->line.options.json) {
        text = eg_doc_json(doc);
        if (!text) status = EG_ERR_NO_MEMORY;
    } else {
        status = eg_report_terminal(&text, doc, cli->columns, cli->colour, err);
    }
    eg_doc_free(doc);
    if (status == EG_OK) {
        fputs(text, stdout);
        status = stdout_check(err);
    }
    eg_text_free(text);
    return status;
}

void eg_cli_note(const eg_cli *cli, const char *format, ...) {
    if (cli->line.options.quiet) return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static eg_status run_help(const eg_cli *cli, eg_error *err) {
    const eg_cli_line *line = &cli->line;
    if (line->man)
        eg_cli_help_man(stdout);
    else if (line->command == EG_COMMAND_COUNT)
        eg_cli_help_overview(stdout, cli->columns);
    else
        eg_cli_help_command(stdout, line->command, cli->columns);
    return stdout_check(err);
}

/* `name` of the environment joined with `tail` into `out`; false when it is not set, empty or too
 * long. */
static bool folder_of(char out[FOLDER_BYTES], const char *name, const char *tail) {
    const char *value = getenv(name);
    if (!value || !*value) return false;
    int n = snprintf(out, FOLDER_BYTES, "%s%s", value, tail);
    return n > 0 && n < FOLDER_BYTES;
}

/* The environment's share of the options: where weights lie (PyTorch's rule for its own folder),
 * the mirror, the trusted certificates. What the command line says goes first. */
static void take_environment(eg_options *o) {
    static char torch[FOLDER_BYTES], cache[FOLDER_BYTES], features[FOLDER_BYTES];
    if (!o->torch_cache && (folder_of(torch, "TORCH_HOME", "/hub/checkpoints") ||
                            folder_of(torch, "XDG_CACHE_HOME", "/torch/hub/checkpoints") ||
                            folder_of(torch, "HOME", "/.cache/torch/hub/checkpoints")))
        o->torch_cache = torch;
    if (!o->cache && (folder_of(cache, "ENGRAFT_CACHE", "") ||
                      folder_of(cache, "XDG_CACHE_HOME", "/engraft/weights") ||
                      folder_of(cache, "HOME", "/.cache/engraft/weights")))
        o->cache = cache;
    if (!o->feature_cache && (folder_of(features, "ENGRAFT_FEATURE_CACHE", "") ||
                              folder_of(features, "XDG_CACHE_HOME", "/engraft/features") ||
                              folder_of(features, "HOME", "/.cache/engraft/features")))
        o->feature_cache = features;
    const char *mirror = getenv("ENGRAFT_MIRROR"), *trusted = getenv("SSL_CERT_FILE");
    if (!o->url && mirror && *mirror) o->url = mirror;
    if (!o->ca_file && trusted && *trusted) o->ca_file = trusted;
}

/* What holds for every command, then the command itself. */
static eg_status run_command(eg_cli *cli, eg_error *err) {
    const eg_options *o = &cli->line.options;
    const char *isa = getenv("ENGRAFT_ISA");
    if (isa && *isa) {
        eg_status status = eg_isa_limit(isa, err);
        if (status != EG_OK) return status;
    }
    take_environment(&cli->line.options);
    eg_threads_set((int)o->threads);
    if (o->verbose) eg_cli_help_values(stderr, cli->line.command, o);
    return run[cli->line.command](cli, err);
}

int main(int argc, char **argv) {
    eg_cli cli = {0};
    eg_error err = {.offset = -1};
    eg_cli_signals_install();
    cli.columns = columns_of(STDOUT_FILENO);
    cli.colour = colour_wanted();
    eg_status status = eg_cli_line_parse(&cli.line, argc, argv, &err);
    if (status == EG_OK) {
        cli.progress = (eg_cli_progress){
            .stream = stderr,
            .console = cli.line.fake_console || isatty(STDERR_FILENO),
            .quiet = cli.line.options.quiet,
            .columns = columns_of(STDERR_FILENO),
        };
        cli.events = (eg_events){eg_cli_progress_show, &cli.progress, eg_cli_signals_stop()};
        status = cli.line.help ? run_help(&cli, &err) : run_command(&cli, &err);
        eg_cli_progress_clear(&cli.progress);
    }
    int code = eg_status_exit_code(status);
    if (status != EG_OK) {
        bool quiet_end = status == EG_ERR_IO && !err.text[0]; /* the reader of stdout went away */
        if (!quiet_end)
            fprintf(stderr, "engraft: %s\n", err.text[0] ? err.text : eg_status_text(status));
        if (status == EG_ERR_INTERRUPTED && eg_cli_signals_exit_code())
            code = eg_cli_signals_exit_code();
    }
    eg_cli_line_free(&cli.line);
    return code;
}
