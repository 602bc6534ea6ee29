/* Help texts, all made from the library's tables: the overview, the help of one command, the
 * manual page, and the table of settings that -v prints. No option is described in this file. */
#include "cli.h"

#include <string.h>

#define NAME_WIDTH 28 /* column where the help of an option starts */

/* Print `text` word by word; lines after the first start at column `indent`. `at` = column now. */
static void print_wrapped(FILE *to, const char *text, int at, int indent, int columns) {
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (at + n > columns && at > indent) {
            fprintf(to, "\n%*s", indent, "");
            at = indent;
        }
        fprintf(to, "%.*s", n, text);
        at += n;
        text += n;
        if (*text == ' ') {
            text++;
            /* the blank is dropped where the line breaks */
            if (at + 1 + (int)strcspn(text, " ") <= columns)
                fputc(' ', to), at++;
            else
                at = columns;
        }
    }
    fputc('\n', to);
}

/* What stands for the value: "N", "X", "FILE", "a|b"; empty for a flag. */
static const char *value_name(const eg_option *option) {
    switch (option->type) {
    case EG_OPTION_FLAG:
        return "";
    case EG_OPTION_INT:
        return "N";
    case EG_OPTION_SIZE:
        return "SIZE";
    case EG_OPTION_REAL:
        return "X";
    case EG_OPTION_TEXT:
        return option->unit ? option->unit : "TEXT";
    case EG_OPTION_CHOICE:
    default:
        return "WORD";
    }
}

/* Help, range, choices, default and other spellings of one option, as one line of text. */
static void describe(char *text, size_t size, const eg_option *option) {
    size_t n = (size_t)snprintf(text, size, "%s", option->help);
#define ADD(...)                                                                                   \
    if (n < size) n += (size_t)snprintf(text + n, size - n, __VA_ARGS__)
    if (option->choices) ADD(" [%s]", option->choices);
    if (option->type == EG_OPTION_INT) ADD(" [%.0f to %.0f", option->min, option->max);
    if (option->type == EG_OPTION_REAL) ADD(" [%g to %g", option->min, option->max);
    if (option->type == EG_OPTION_INT || option->type == EG_OPTION_REAL) {
        if (option->unit) ADD(" %s", option->unit);
        ADD("]");
    }
    if (option->fallback) ADD(" (default %s)", option->fallback);
    if (option->aliases) ADD(" (also --%s)", option->aliases);
#undef ADD
    /* aliases are "a,b" in the table */
    char *also = option->aliases ? strstr(text, "(also --") : NULL;
    for (; also && (also = strchr(also, ',')); also++) *also = '|';
}

static void print_option(FILE *to, const eg_option *option, int columns) {
    char name[96], text[640];
    const char *value = value_name(option);
    char letter[5] = "    ";
    if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    int at =
        snprintf(name, sizeof name, "  %s--%s%s%s", letter, option->name, *value ? " " : "", value);
    describe(text, sizeof text, option);
    fputs(name, to);
    if (at + 2 > NAME_WIDTH) {
        fputc('\n', to);
        at = 0;
    }
    fprintf(to, "%*s", NAME_WIDTH - at, "");
    print_wrapped(to, text, NAME_WIDTH, NAME_WIDTH, columns);
}

void eg_cli_help_overview(FILE *to, int columns) {
    fputs("engraft: transfer learning for biomedical images\n\n"
          "usage: engraft COMMAND [arguments] [options]\n\n",
          to);
    for (int c = 0; c < EG_COMMAND_COUNT; c++) {
        char name[64];
        int at = snprintf(name, sizeof name, "  %s %s", eg_command_name((eg_command)c),
                          eg_command_arguments((eg_command)c));
        fprintf(to, "%s%*s", name, NAME_WIDTH - at, "");
        print_wrapped(to, eg_command_help((eg_command)c), NAME_WIDTH, NAME_WIDTH, columns);
    }
    fputs("\nengraft help COMMAND lists the options of a command.\n"
          "Results go to stdout (--json for machines), progress to stderr (-q for none).\n"
          "Exit codes: 0 done, 1 failed, 2 usage, 3 bad input, 4 diverged, 5 input/output,\n"
          "130 and 143 stopped by a signal.\n",
          to);
}

/* The causes of phantom --plant. */
static const struct {
    const char *name, *what;
} causes[] = {
#define CAUSE_ROW(id, name, what) {name, what},
    EG_FAULT_LIST(CAUSE_ROW)
#undef CAUSE_ROW
};
enum { N_CAUSES = sizeof causes / sizeof *causes };

static void print_causes(FILE *to, int columns) {
    fputs("\ncauses, at strength 1:\n", to);
    for (int i = 0; i < N_CAUSES; i++) {
        fprintf(to, "  %s%*s", causes[i].name, NAME_WIDTH - 2 - (int)strlen(causes[i].name), "");
        print_wrapped(to, causes[i].what, NAME_WIDTH, NAME_WIDTH, columns);
    }
}

void eg_cli_help_command(FILE *to, eg_command command, int columns) {
    const char *arguments = eg_command_arguments(command);
    fprintf(to, "usage: engraft %s %s%s[options]\n\n", eg_command_name(command), arguments,
            *arguments ? " " : "");
    print_wrapped(to, eg_command_help(command), 0, 0, columns);
    fputc('\n', to);
    size_t n;
    const eg_option *table = eg_option_table(&n);
    for (size_t i = 0; i < n; i++)
        if (table[i].commands & 1u << command) print_option(to, &table[i], columns);
    fputs("  -h, --help", to);
    fprintf(to, "%*sthis text\n", NAME_WIDTH - 12, "");
    if (command == EG_COMMAND_PHANTOM) print_causes(to, columns);
    fputs("\n--name value, --name=value and name=value are the same; --no-name clears a flag; --\n"
          "ends the options.\n",
          to);
}

/* troff text: a leading '.' or '\'' and every '-' and '\' need care */
static void print_troff(FILE *to, const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", to);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else
            fputc(*text, to);
    }
}

/* The commands that take an option, "train, study"; "all" when every one does. */
static void print_takers(FILE *to, const eg_option *option) {
    const char *between = "";
    if (option->commands == (1u << EG_COMMAND_COUNT) - 1u) {
        fputs("all commands", to);
        return;
    }
    for (int c = 0; c < EG_COMMAND_COUNT; c++) {
        if (!(option->commands & 1u << c)) continue;
        fprintf(to, "%s%s", between, eg_command_name((eg_command)c));
        between = ", ";
    }
}

void eg_cli_help_man(FILE *to) {
    fputs(".TH ENGRAFT 1\n.SH NAME\nengraft \\- transfer learning for biomedical images\n"
          ".SH SYNOPSIS\n.B engraft\n.I COMMAND\n[arguments] [options]\n.SH COMMANDS\n",
          to);
    for (int c = 0; c < EG_COMMAND_COUNT; c++) {
        fprintf(to, ".TP\n.B %s %s\n", eg_command_name((eg_command)c),
                eg_command_arguments((eg_command)c));
        print_troff(to, eg_command_help((eg_command)c));
        fputc('\n', to);
    }
    fputs(".SH OPTIONS\n", to);
    size_t n;
    const eg_option *table = eg_option_table(&n);
    for (size_t i = 0; i < n; i++) {
        char text[640];
        fputs(".TP\n.B ", to);
        if (table[i].letter) fprintf(to, "\\-%c, ", table[i].letter);
        fputs("\\-\\-", to);
        print_troff(to, table[i].name);
        fprintf(to, " %s\n", value_name(&table[i]));
        describe(text, sizeof text, &table[i]);
        print_troff(to, text);
        fputs(". Commands: ", to);
        print_takers(to, &table[i]);
        fputs(".\n", to);
    }
    fputs(".SH CAUSES\nof phantom \\-\\-plant, at strength 1\n", to);
    for (int i = 0; i < N_CAUSES; i++) {
        fprintf(to, ".TP\n.B %s\n", causes[i].name);
        print_troff(to, causes[i].what);
        fputc('\n', to);
    }
    fputs(".SH ENVIRONMENT\n.TP\n.B ENGRAFT_ISA\nhighest instruction set to use: scalar, avx2, "
          "avx512\n.TP\n.B NO_COLOR\nno colour in tables\n.TP\n.B COLUMNS\nwidth of tables\n"
          ".SH EXIT STATUS\n0 done, 1 failed, 2 usage, 3 bad input, 4 training diverged, "
          "5 input/output, 130 and 143 stopped by a signal.\n",
          to);
}

void eg_cli_help_values(FILE *to, eg_command command, const eg_options *o) {
    size_t n;
    const eg_option *table = eg_option_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (!(table[i].commands & 1u << command)) continue;
        const void *field = (const char *)o + table[i].offset;
        fprintf(to, "  %-16s ", table[i].name);
        switch (table[i].type) {
        case EG_OPTION_FLAG:
            fputs(*(const bool *)field ? "yes\n" : "no\n", to);
            break;
        case EG_OPTION_INT:
        case EG_OPTION_SIZE:
            fprintf(to, "%lld\n", (long long)*(const int64_t *)field);
            break;
        case EG_OPTION_REAL:
            fprintf(to, "%g\n", *(const double *)field);
            break;
        case EG_OPTION_TEXT:
        case EG_OPTION_CHOICE:
        default: {
            const char *text = *(const char *const *)field;
            fprintf(to, "%s\n", text ? text : "-");
        }
        }
    }
}
