/* A profile of `engraft bench` on a terminal: the whole step, what each kind of op takes, the ten costliest steps. The
 * rest of the steps is in --json. Read first: terminal.h; the figures: doc/documents.md, bench.                     */
#include "report/terminal.h"
#include <stdio.h>

enum { NAME_WIDTH = 12, SHOWN = 10 };

/* "1.32" ms */
static eg_figure ms(const json_t *node, const char *path) {
    double seconds = 0;
    eg_report_number(&seconds, node, path);
    json_t *value = json_real(1e3 * seconds);
    eg_figure f = eg_report_real(eg_report_at(node, path) ? value : NULL, "", 2);
    json_decref(value);
    return f;
}

static void rate_columns(eg_table *table) {
    eg_table_column(table, "GFLOP/s", true);
    eg_table_column(table, "GB/s", true);
    eg_table_column(table, "of peak", true);
}

static void rate_cells(eg_table *table, const json_t *pass) {
    double flops = 0;
    eg_report_number(&flops, pass, "flops");
    if (flops > 0)
        eg_table_figure(table, eg_report_real(pass, "gflops", 1));
    else
        eg_table_cell(table, NULL, EG_STYLE_PLAIN);
    eg_table_figure(table, eg_report_real(pass, "gbytes_per_second", 1));
    eg_table_figure(table, eg_report_percent(pass, "share_of_peak"));
}

static void whole(eg_term *t, const json_t *root) {
    char text[320]; /* of figures only, which are short */
    eg_term_pair(t, NAME_WIDTH, "model", eg_report_string(root, "model"));
    eg_term_pair(t, NAME_WIDTH, "mode", eg_report_string(root, "mode"));
    eg_term_pair(t, NAME_WIDTH, "dtype", eg_report_string(root, "dtype"));
    snprintf(text, sizeof text, "%s images of %s pixels, %s threads",
             eg_report_integer(root, "batch").text, eg_report_integer(root, "img_size").text,
             eg_report_integer(root, "threads").text);
    eg_term_pair(t, NAME_WIDTH, "batch", text);
    eg_term_pair(t, NAME_WIDTH, "kernels", eg_report_string(root, "isa"));
    eg_term_pair(t, NAME_WIDTH, "products", eg_report_string(root, "compute"));
    snprintf(text, sizeof text, "%s ms, %s images/s", ms(root, "seconds").text,
             eg_report_real(root, "images_per_second", 1).text);
    eg_term_pair(t, NAME_WIDTH, "step", text);
    if (eg_report_at(root, "deterministic.cost")) {
        snprintf(text, sizeof text, "%s times the %s ms of the default mode, timed in turn",
                 eg_report_real(root, "deterministic.cost", 3).text,
                 ms(root, "deterministic.default_seconds").text);
        eg_term_pair(t, NAME_WIDTH, "determinism", text);
    }
    snprintf(text, sizeof text, "forward %s ms, backward %s ms, optimiser %s ms, other %s ms",
             ms(root, "forward_seconds").text, ms(root, "backward_seconds").text,
             ms(root, "optimizer_seconds").text, ms(root, "other_seconds").text);
    eg_term_pair(t, NAME_WIDTH, "of it", text);
    snprintf(text, sizeof text, "%s GFLOP/s, %s of what the peaks allow",
             eg_report_real(root, "gflops", 1).text, eg_report_percent(root, "share_of_peak").text);
    eg_term_pair(t, NAME_WIDTH, "speed", text);
    snprintf(text, sizeof text, "%s GFLOP/s, %s GB/s (measured now)",
             eg_report_real(root, "peak.gflops", 1).text,
             eg_report_real(root, "peak.gbytes_per_second", 1).text);
    eg_term_pair(t, NAME_WIDTH, "peaks", text);
    snprintf(text, sizeof text, "%s arena, %s the process at its peak",
             eg_report_bytes(root, "arena_bytes").text, eg_report_bytes(root, "peak_bytes").text);
    eg_term_pair(t, NAME_WIDTH, "memory", text);
}

static void kinds(eg_term *t, const json_t *list) {
    eg_table table = {.n_keys = 1};
    eg_table_column(&table, "op", false);
    eg_table_column(&table, "steps", true);
    eg_table_column(&table, "ms", true);
    eg_table_column(&table, "share", true);
    rate_columns(&table);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *k = json_array_get(list, i);
        eg_table_cell(&table, eg_report_string(k, "op"), EG_STYLE_PLAIN);
        eg_table_figure(&table, eg_report_integer(k, "steps"));
        eg_table_figure(&table, ms(k, "seconds"));
        eg_table_figure(&table, eg_report_percent(k, "share"));
        rate_cells(&table, k);
    }
    eg_term_heading(t, "Ops");
    eg_table_write(t, &table);
}

/* "56x56x144" */
static void shape_cell(eg_table *table, const json_t *shape) {
    char text[3 * sizeof(eg_figure)];
    eg_figure side[3];
    for (size_t i = 0; i < 3; i++) side[i] = eg_report_real(json_array_get(shape, i), "", 0);
    snprintf(text, sizeof text, "%sx%sx%s", side[0].text, side[1].text, side[2].text);
    eg_table_cell(table, text, EG_STYLE_PLAIN);
}

static void pass_cells(eg_table *table, const json_t *pass) {
    eg_table_figure(table, ms(pass, "seconds"));
    rate_cells(table, pass);
}

static void costliest(eg_term *t, const json_t *list, bool backward) {
    eg_table table = {.n_keys = 1};
    size_t n = json_array_size(list);
    eg_table_column(&table, "step", false);
    eg_table_column(&table, "op", false);
    eg_table_column(&table, "output", true);
    eg_table_column(&table, "share", true);
    eg_table_column(&table, "fwd ms", true);
    rate_columns(&table);
    if (backward) {
        eg_table_column(&table, "bwd ms", true);
        rate_columns(&table);
    }
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        const json_t *step = json_array_get(list, i);
        eg_table_cell(&table, eg_report_string(step, "name"), EG_STYLE_PLAIN);
        eg_table_cell(&table, eg_report_string(step, "op"), EG_STYLE_PLAIN);
        shape_cell(&table, eg_report_at(step, "output"));
        eg_table_figure(&table, eg_report_percent(step, "share"));
        pass_cells(&table, eg_report_at(step, "forward"));
        if (backward) pass_cells(&table, eg_report_at(step, "backward"));
    }
    eg_term_heading(t, "Costliest steps");
    eg_table_write(t, &table);
    if (n > SHOWN) {
        char note[80];
        snprintf(note, sizeof note, "and %zu more: --json lists all", n - SHOWN);
        eg_term_paragraph(t, "", note);
    }
}

void eg_term_bench(eg_term *t, const json_t *root) {
    whole(t, root);
    kinds(t, eg_report_at(root, "kinds"));
    costliest(t, eg_report_at(root, "steps"), !eg_report_is(root, "mode", "predict"));
    eg_term_paragraph(t, "",
                      "GFLOP/s: multiply-adds of convolutions and dense layers, two each. GB/s: "
                      "every value and weight of the step once. of peak: the time that the peaks "
                      "allow over the time taken; above 100% where values still lie in a cache.");
}
