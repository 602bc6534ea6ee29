/* Private header of the program. Everything here sits on include/engraft.h alone: the program can
 * do nothing that another user of the library could not. Read first: main.c, then parse.c. */
#ifndef EG_CLI_H
#define EG_CLI_H

#include <engraft.h>
#include <stdio.h>

/* ---- the command line (parse.c) ---- */

enum { EG_CLI_N_JOINED = 2 }; /* options whose repetitions add up: --weights, --plant */

typedef struct {
    eg_command command; /* EG_COMMAND_COUNT: none given */
    bool help;          /* --help, or `engraft help` */
    bool man;           /* `engraft help --man`: the manual page as troff */
    bool fake_console;  /* --fake-stderr-is-console (tests): draw progress as on a terminal */
    eg_options options;
    const char **arguments; /* what is not an option, in order */
    size_t n_arguments;
    char *joined[EG_CLI_N_JOINED]; /* values of repeated options; fields of `options` point here */
} eg_cli_line;

/* Read argv. EG_ERR_USAGE with one line for the user. Release with eg_cli_line_free also after a
 * failure. */
eg_status eg_cli_line_parse(eg_cli_line *line, int argc, char **argv, eg_error *err);
void eg_cli_line_free(eg_cli_line *line);
/* Write a usage error, printf style, and return EG_ERR_USAGE. */
eg_status eg_cli_usage(eg_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The word of `words` (NULL ends it) that is nearest to `word`, or NULL when none is near. */
const char *eg_cli_nearest(const char *word, const char *const *words);

/* ---- help (help.c) ---- */

void eg_cli_help_overview(FILE *to, int columns);
void eg_cli_help_command(FILE *to, eg_command command, int columns);
void eg_cli_help_man(FILE *to);
/* -v: every option of the command and its value, aligned. */
void eg_cli_help_values(FILE *to, eg_command command, const eg_options *o);

/* ---- progress (progress_line.c) ---- */

typedef struct {
    FILE *stream;
    bool console; /* carriage returns and at most 6 draws a second; else lines, one every 30 s */
    bool quiet;
    bool drawn; /* a progress line is on the screen and has to be cleared */
    int columns;
    double last; /* time of the last draw, monotonic seconds; 0 = none yet */
} eg_cli_progress;

void eg_cli_progress_show(void *progress, const eg_progress *p); /* eg_events.progress */
/* Take the progress line off the screen, before anything else is printed there. */
void eg_cli_progress_clear(eg_cli_progress *progress);

/* ---- signals (signals.c) ---- */

/* INT, TERM and HUP set the flag; a second INT ends the program at once. */
void eg_cli_signals_install(void);
const volatile sig_atomic_t *eg_cli_signals_stop(void);
/* Exit code for the signal that came, 0 when none did. */
int eg_cli_signals_exit_code(void);

/* ---- commands (cmd_*.c) ---- */

typedef struct {
    eg_cli_line line;
    eg_cli_progress progress;
    eg_events events;
    int columns; /* of stdout */
    bool colour; /* of stdout */
} eg_cli;

/* Print a result on stdout, as text or as JSON, and release it. */
eg_status eg_cli_show(const eg_cli *cli, eg_doc *doc, eg_error *err);
/* A line for the log on stderr; silent with -q. */
void eg_cli_note(const eg_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One function a command, eg_cli_cmd_TRAIN and so on. A command of EG_COMMAND_LIST that has none
 * does not link. */
#define EG_CLI_COMMAND(id, name, args, help) eg_status eg_cli_cmd_##id(eg_cli *cli, eg_error *err);
EG_COMMAND_LIST(EG_CLI_COMMAND)
#undef EG_CLI_COMMAND

#endif
