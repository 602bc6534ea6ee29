/* Progress on stderr. On a terminal one line that is drawn over itself, at most six times a
 * second; elsewhere (a log file, CI) plain lines: one an epoch and one every half minute. Epoch
 * results and notes always stay as lines. */
#include "cli.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define DRAW_SECONDS 0.166
#define LOG_SECONDS  30.0

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A line under construction; what does not fit is cut off. */
typedef struct {
    char text[512];
    size_t used;
} line_text;

__attribute__((format(printf, 2, 3))) static void add(line_text *line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line->text + line->used, sizeof line->text - line->used, format, args);
    va_end(args);
    if (n > 0) line->used += (size_t)n;
    if (line->used >= sizeof line->text) line->used = sizeof line->text - 1;
}

static void add_duration(line_text *line, const char *name, double seconds) {
    if (!isfinite(seconds) || seconds < 0) return;
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        add(line, "  %s %ld:%02ld:%02ld", name, s / 3600, s / 60 % 60, s % 60);
    else
        add(line, "  %s %ld:%02ld", name, s / 60, s % 60);
}

/* `before`, name and value; left out when the value is not known */
static void add_number(line_text *line, const char *name, const char *before, double value,
                       int digits) {
    if (isfinite(value)) add(line, "%s%s %.*f", before, name, digits, value);
}

static void add_position(line_text *line, const eg_progress *p) {
    add(line, "%s", p->stage ? p->stage : "");
    if (p->n_epochs > 0) add(line, " epoch %lld/%lld", (long long)p->epoch, (long long)p->n_epochs);
}

/* A download: the amounts in MB as file sizes are given, 10^6 bytes. */
static void fetch_line(line_text *line, const eg_progress *p) {
    add(line, "%s  %.1f", p->stage ? p->stage : "", 1e-6 * (double)p->step);
    if (p->n_steps > 0)
        add(line, "/%.1f MB %3d%%", 1e-6 * (double)p->n_steps,
            (int)(100.0 * (double)p->step / (double)p->n_steps));
    else
        add(line, " MB");
    if (p->bytes_per_second > 0) add(line, "  %.1f MB/s", 1e-6 * p->bytes_per_second);
    if (p->eta_seconds > 0) add_duration(line, "ETA", p->eta_seconds);
}

/* The most wanted first: a narrow terminal cuts the end off. */
static void step_line(line_text *line, const eg_progress *p) {
    add_position(line, p);
    if (p->n_steps > 0)
        add(line, "  %s %lld/%lld %3d%%", p->kind == EG_PROGRESS_SCAN ? "image" : "step",
            (long long)p->step, (long long)p->n_steps,
            (int)(100.0 * (double)p->step / (double)p->n_steps));
    if (p->eta_seconds > 0) add_duration(line, "ETA", p->eta_seconds);
    if (p->kind == EG_PROGRESS_SCAN) return;
    /* stages without a loss (features) leave it 0, a stage that trains never does */
    if (isfinite(p->loss) && p->loss != 0) {
        add(line, "  loss %.4f", p->loss);
        if (isfinite(p->mean_loss)) add(line, " (mean %.4f)", p->mean_loss);
    }
    if (p->images_per_second > 0) add(line, "  %.1f img/s", p->images_per_second);
    if (p->lr > 0) add(line, "  lr %.1e", p->lr);
    if (p->data_wait_seconds >= 0.05) add(line, "  wait %.1f s", p->data_wait_seconds);
}

static void epoch_line(line_text *line, const eg_progress *p) {
    add_position(line, p);
    add_number(line, "loss", "  train ", p->mean_loss != 0 ? p->mean_loss : p->loss, 4);
    add_number(line, "accuracy", " ", p->accuracy, 4);
    if (isfinite(p->val_loss)) {
        add_number(line, "loss", "  val ", p->val_loss, 4);
        add_number(line, "accuracy", " ", p->val_accuracy, 4);
        add_number(line, "AUC", " ", p->val_auc, 4);
    }
    if (p->lr > 0) add(line, "  lr %.1e", p->lr);
    if (p->images_per_second > 0) add(line, "  %.1f img/s", p->images_per_second);
    if (p->eta_seconds > 0) add_duration(line, "ETA", p->eta_seconds);
}

/* Draw over the line that is there, cut to the width so that it never wraps. */
static void draw(eg_cli_progress *progress, line_text *line) {
    size_t room = progress->columns > 1 ? (size_t)progress->columns - 1 : 1;
    if (line->used > room) line->text[room] = '\0';
    fprintf(progress->stream, "\r%s\033[K", line->text);
    fflush(progress->stream);
    progress->drawn = true;
}

static void print_line(eg_cli_progress *progress, const char *text) {
    eg_cli_progress_clear(progress);
    fprintf(progress->stream, "%s\n", text);
    fflush(progress->stream);
}

void eg_cli_progress_clear(eg_cli_progress *progress) {
    if (!progress->drawn) return;
    fputs("\r\033[K", progress->stream);
    fflush(progress->stream);
    progress->drawn = false;
}

void eg_cli_progress_show(void *context, const eg_progress *p) {
    eg_cli_progress *progress = context;
    if (progress->quiet) return;
    line_text line = {.used = 0};
    if (p->kind == EG_PROGRESS_NOTE) {
        if (p->text) print_line(progress, p->text);
        return;
    }
    /* iterations of a solver, whose number nobody knows before: passing news, like steps */
    bool iteration = p->kind == EG_PROGRESS_EPOCH && p->n_epochs <= 0;
    if (p->kind == EG_PROGRESS_EPOCH && !iteration) {
        epoch_line(&line, p);
        print_line(progress, line.text);
        progress->last = now();
        return;
    }
    double t = now();
    /* a log starts counting at the first step: short stages leave no line in it */
    if (!progress->console && progress->last == 0) progress->last = t;
    if (t - progress->last < (progress->console ? DRAW_SECONDS : LOG_SECONDS)) return;
    progress->last = t;
    if (p->kind == EG_PROGRESS_FETCH)
        fetch_line(&line, p);
    else if (iteration)
        epoch_line(&line, p);
    else
        step_line(&line, p);
    if (progress->console)
        draw(progress, &line);
    else
        print_line(progress, line.text);
}
