/* The command line: argv -> command, options, arguments. What options exist comes from the
 * library's table; this file knows only how they are written: --name value, --name=value,
 * --no-flag, -n value, -nvalue, flags in a cluster (-qv), name=value as in YOLO, and -- which ends
 * options. Strict: an unknown name is an error with the nearest known one, never ignored. */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Spellings of the DIR argument that are widely typed as an option. */
static const char *const dir_names[] = {"data", "data-dir", "data-path", NULL};

/* What the functions below share while argv is read. */
typedef struct {
    eg_cli_line *line;
    int argc, i;
    char **argv;
    const char *dir; /* --data-dir, put among the arguments at the end */
    eg_error *err;
} reader;

eg_status eg_cli_usage(eg_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->status = EG_ERR_USAGE;
    err->offset = -1;
    return EG_ERR_USAGE;
}

/* Edit distance of two words (Levenshtein); words longer than the buffer count as far apart. */
static size_t distance(const char *a, const char *b) {
    size_t row[64], n = strlen(a), m = strlen(b);
    if (n >= 64 || m >= 64) return 64;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t step = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = change < step ? change : step;
        }
    }
    return row[m];
}

const char *eg_cli_nearest(const char *word, const char *const *words) {
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 1; /* a third of the letters may be wrong */
    for (; *words; words++) {
        size_t d = distance(word, *words);
        if (d > best_distance || d >= strlen(word) || (best && d == best_distance)) continue;
        best = *words;
        best_distance = d;
    }
    return best;
}

static eg_status fail_unknown_option(const reader *r, const char *name) {
    const char *names[256];
    size_t n, used = 0;
    const eg_option *table = eg_option_table(&n);
    eg_command command = r->line->command;
    for (size_t i = 0; i < n && used < 250; i++)
        if (table[i].commands & 1u << command) names[used++] = table[i].name;
    names[used++] = "help";
    names[used] = NULL;
    for (int c = 0; c < EG_COMMAND_COUNT; c++)
        if (eg_option_find(name, (eg_command)c))
            return eg_cli_usage(r->err, "%s: --%s is an option of %s, not of %s",
                                eg_command_name(command), name, eg_command_name((eg_command)c),
                                eg_command_name(command));
    const char *near = eg_cli_nearest(name, names);
    if (near)
        return eg_cli_usage(r->err, "%s: unknown option --%s - did you mean --%s?",
                            eg_command_name(command), name, near);
    return eg_cli_usage(r->err, "%s: unknown option --%s - see engraft %s --help",
                        eg_command_name(command), name, eg_command_name(command));
}

/* Options that add up when they are repeated, joined by '\n' as engraft_options.h asks; of any other
 * the last one counts. Each keeps its text in the line's place for it. */
static char **find_joined(eg_cli_line *line, const eg_option *option) {
    static const char *const names[EG_CLI_N_JOINED] = {"weights", "plant"};
    if (option->type != EG_OPTION_TEXT) return NULL;
    for (int i = 0; i < EG_CLI_N_JOINED; i++)
        if (strcmp(option->name, names[i]) == 0) return &line->joined[i];
    return NULL;
}

static eg_status add_value(eg_cli_line *line, char **joined, const eg_option *option,
                           const char *value, eg_error *err) {
    size_t old = *joined ? strlen(*joined) : 0, n = strlen(value);
    char *longer = realloc(*joined, old + n + 2);
    if (!longer) return EG_ERR_NO_MEMORY;
    if (old) longer[old++] = '\n';
    memcpy(longer + old, value, n + 1);
    *joined = longer;
    return eg_options_set(&line->options, option, longer, err);
}

static eg_status set_option(reader *r, const eg_option *option, const char *value) {
    char **joined = find_joined(r->line, option);
    if (joined && value && *value) return add_value(r->line, joined, option, value, r->err);
    return eg_options_set(&r->line->options, option, value, r->err);
}

/* The value of an option written without '=': the next word, unless that is an option itself. */
static eg_status next_value(reader *r, const char **value, const char *written) {
    if (r->i + 1 >= r->argc) return eg_cli_usage(r->err, "%s: expected a value after it", written);
    const char *next = r->argv[r->i + 1];
    if (next[0] == '-' && next[1] == '-')
        return eg_cli_usage(r->err, "%s: expected a value, found %s - write %s=%s if it is meant",
                            written, next, written, next);
    *value = next;
    r->i++;
    return EG_OK;
}

static bool is_dir_name(const reader *r, const char *name) {
    if (!strstr(eg_command_arguments(r->line->command), "DIR")) return false;
    for (const char *const *d = dir_names; *d; d++)
        if (strcmp(name, *d) == 0) return true;
    return false;
}

/* --name, --name=value, --no-name */
static eg_status read_long(reader *r, const char *word) {
    char name[64], written[68];
    const char *equals = strchr(word, '='), *value = equals ? equals + 1 : NULL;
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    if (n >= sizeof name) return eg_cli_usage(r->err, "unknown option --%.60s...", word);
    memcpy(name, word, n);
    name[n] = '\0';
    snprintf(written, sizeof written, "--%s", name);
    if (strcmp(name, "help") == 0) {
        r->line->help = true;
        return EG_OK;
    }
    if (strcmp(name, "fake-stderr-is-console") == 0) {
        r->line->fake_console = true;
        return EG_OK;
    }
    const eg_option *option = eg_option_find(name, r->line->command);
    if (!option && is_dir_name(r, name)) {
        if (value) {
            r->dir = value;
            return EG_OK;
        }
        return next_value(r, &r->dir, written);
    }
    if (!option && strncmp(name, "no-", 3) == 0 && !value) {
        option = eg_option_find(name + 3, r->line->command);
        if (option && option->type == EG_OPTION_FLAG) return set_option(r, option, "no");
        if (option)
            return eg_cli_usage(r->err, "--%s: --%s takes a value and cannot be negated", name,
                                option->name);
    }
    if (!option) return fail_unknown_option(r, name);
    if (option->type != EG_OPTION_FLAG && !value) {
        eg_status status = next_value(r, &value, written);
        if (status != EG_OK) return status;
    }
    return set_option(r, option, value);
}

/* -n value, -nvalue, -qv */
static eg_status read_short(reader *r, const char *letters) {
    for (; *letters; letters++) {
        if (*letters == 'h') {
            r->line->help = true;
            continue;
        }
        size_t n;
        const eg_option *table = eg_option_table(&n), *option = NULL;
        for (size_t i = 0; i < n; i++)
            if (table[i].letter == *letters && table[i].commands & 1u << r->line->command)
                option = &table[i];
        if (!option)
            return eg_cli_usage(r->err, "%s: unknown option -%c - see engraft %s --help",
                                eg_command_name(r->line->command), *letters,
                                eg_command_name(r->line->command));
        if (option->type == EG_OPTION_FLAG) {
            eg_status status = set_option(r, option, NULL);
            if (status != EG_OK) return status;
            continue;
        }
        const char *value = letters + 1;
        if (*value == '=') value++;
        char written[3] = {'-', *letters, '\0'};
        if (!letters[1]) {
            eg_status status = next_value(r, &value, written);
            if (status != EG_OK) return status;
        }
        return set_option(r, option, value);
    }
    return EG_OK;
}

/* name=value without dashes, when `name` is an option of this command; a file of such a name is
 * given as ./name=... */
static bool is_assignment(const reader *r, const char *word) {
    char name[64];
    const char *equals = strchr(word, '=');
    if (!equals || equals == word || (size_t)(equals - word) >= sizeof name) return false;
    memcpy(name, word, (size_t)(equals - word));
    name[equals - word] = '\0';
    return eg_option_find(name, r->line->command) || is_dir_name(r, name);
}

static eg_status read_words(reader *r) {
    bool options_ended = false;
    for (; r->i < r->argc; r->i++) {
        const char *word = r->argv[r->i];
        eg_status status = EG_OK;
        if (options_ended || word[0] != '-' || !word[1]) {
            if (!options_ended && is_assignment(r, word))
                status = read_long(r, word);
            else
                r->line->arguments[r->line->n_arguments++] = word;
        } else if (strcmp(word, "--") == 0) {
            options_ended = true;
        } else {
            status = word[1] == '-' ? read_long(r, word + 2) : read_short(r, word + 1);
        }
        if (status != EG_OK) return status;
    }
    return EG_OK;
}

/* Put --data-dir where DIR stands among the arguments of the command ("RUN DIR": second). */
static eg_status place_dir(reader *r) {
    if (!r->dir) return EG_OK;
    eg_cli_line *line = r->line;
    size_t at = 0;
    const char *a = eg_command_arguments(line->command);
    for (const char *dir = strstr(a, "DIR"); a < dir; a++) at += *a == ' ';
    if (at > line->n_arguments)
        return eg_cli_usage(r->err, "%s: too few arguments - usage: engraft %s %s [options]",
                            eg_command_name(line->command), eg_command_name(line->command),
                            eg_command_arguments(line->command));
    memmove(line->arguments + at + 1, line->arguments + at,
            (line->n_arguments - at) * sizeof *line->arguments);
    line->arguments[at] = r->dir;
    line->n_arguments++;
    return EG_OK;
}

/* The arguments against the command's own description: "RUN IMAGE...", "[NAME]". */
static eg_status check_arguments(const eg_cli_line *line, eg_error *err) {
    const char *name = eg_command_name(line->command),
               *described = eg_command_arguments(line->command);
    size_t given = line->n_arguments;
    /* a file of predictions stands for both arguments */
    if (line->command == EG_COMMAND_EVAL && !given && line->options.predictions) return EG_OK;
    for (const char *a = described; *a;) {
        size_t n = strcspn(a, " ");
        bool repeated = n > 3 && strncmp(a + n - 3, "...", 3) == 0;
        if (!given && *a != '[')
            return eg_cli_usage(err, "%s: %.*s is missing - usage: engraft %s %s [options]", name,
                                (int)(repeated ? n - 3 : n), a, name, described);
        given = repeated || !given ? 0 : given - 1;
        a += n + (a[n] == ' ');
    }
    if (given)
        return eg_cli_usage(err, "%s: unexpected argument %s - usage: engraft %s %s%s[options]",
                            name, line->arguments[line->n_arguments - given], name, described,
                            *described ? " " : "");
    return EG_OK;
}

static eg_status find_command(eg_command *out, const char *name, eg_error *err) {
    const char *names[EG_COMMAND_COUNT + 2];
    for (int c = 0; c < EG_COMMAND_COUNT; c++) {
        names[c] = eg_command_name((eg_command)c);
        if (strcmp(name, names[c]) != 0) continue;
        *out = (eg_command)c;
        return EG_OK;
    }
    names[EG_COMMAND_COUNT] = "help";
    names[EG_COMMAND_COUNT + 1] = NULL;
    const char *near = eg_cli_nearest(name, names);
    if (near) return eg_cli_usage(err, "unknown command %s - did you mean %s?", name, near);
    return eg_cli_usage(err, "unknown command %s - see engraft help", name);
}

/* `engraft help [COMMAND]` */
static eg_status read_help(eg_cli_line *line, int argc, char **argv, eg_error *err) {
    line->help = true;
    if (argc < 3) return EG_OK;
    if (strcmp(argv[2], "--man") == 0) {
        line->man = true;
        return EG_OK;
    }
    return find_command(&line->command, argv[2], err);
}

eg_status eg_cli_line_parse(eg_cli_line *line, int argc, char **argv, eg_error *err) {
    memset(line, 0, sizeof *line);
    eg_options_init(&line->options);
    line->command = EG_COMMAND_COUNT;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        line->help = true;
        return EG_OK;
    }
    if (strcmp(argv[1], "help") == 0) return read_help(line, argc, argv, err);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        line->command = EG_COMMAND_VERSION;
    else if (argv[1][0] == '-')
        return eg_cli_usage(err, "%s: expected a command first - see engraft help", argv[1]);
    else if (find_command(&line->command, argv[1], err) != EG_OK)
        return EG_ERR_USAGE;
    /* one place more than argv: --data-dir becomes an argument */
    line->arguments = calloc((size_t)argc + 1, sizeof *line->arguments);
    if (!line->arguments) return EG_ERR_NO_MEMORY;
    reader r = {.line = line, .argc = argc, .i = 2, .argv = argv, .err = err};
    eg_status status = read_words(&r);
    if (status != EG_OK || line->help) return status;
    status = place_dir(&r);
    if (status != EG_OK) return status;
    return check_arguments(line, err);
}

void eg_cli_line_free(eg_cli_line *line) {
    free(line->arguments);
    for (int i = 0; i < EG_CLI_N_JOINED; i++) free(line->joined[i]);
}
