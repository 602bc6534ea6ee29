/* Rows of intervals on one axis: differences between runs (forest plot) and test accuracies.
 *
 * Positions are percents of the row's width, without a viewBox: the page may be 400 or 1280 px wide, and neither text
 * nor line is ever scaled. Read first: svg.h.                                                                 */
#include "report/svg.h"
#include <math.h>
#include <string.h>

typedef struct {
    double lo, hi, step; /* the axis */
    int decimals;
    double mark; /* the dashed line: zero, or the accuracy of the larger class; NaN: none */
} axis;

typedef struct {
    double value, lo, hi;
} span;

/* Position on the axis in percent of the width; 4 % stay free on both sides for the tick text. */
static double at(const axis *a, double v) {
    double t = (v - a->lo) / (a->hi - a->lo);
    if (!(t >= 0)) t = 0;
    if (t > 1) t = 1;
    return 4 + t * 92;
}

static void bar(eg_page *p, double xa, double ya, double xb, double yb, const char *class_name) {
    eg_buffer_printf(&p->out, "<line class=\"%s\" x1=\"", class_name);
    eg_svg_number(&p->out, xa);
    eg_page_raw(p, "%\" x2=\"");
    eg_svg_number(&p->out, xb);
    eg_page_raw(p, "%\" y1=\"");
    eg_svg_number(&p->out, ya);
    eg_page_raw(p, "\" y2=\"");
    eg_svg_number(&p->out, yb);
    eg_page_raw(p, "\"/>");
}

static bool span_read(span *s, const json_t *node, const char *value, const char *ci) {
    const json_t *pair = eg_report_at(node, ci);
    const json_t *lo = json_array_get(pair, 0), *hi = json_array_get(pair, 1);
    if (!eg_report_number(&s->value, node, value)) return false;
    s->lo = json_is_number(lo) ? json_number_value(lo) : s->value;
    s->hi = json_is_number(hi) ? json_number_value(hi) : s->value;
    return fabs(s->value) <= 1 && fabs(s->lo) <= 1 && fabs(s->hi) <= 1; /* shares only */
}

static void axis_round(axis *a) {
    if (a->hi - a->lo < 0.02) {
        a->lo -= 0.01;
        a->hi += 0.01;
    }
    a->step = eg_svg_step(a->hi - a->lo, 5, &a->decimals);
    a->lo = floor(a->lo / a->step + 1e-9) * a->step;
    a->hi = ceil(a->hi / a->step - 1e-9) * a->step;
}

static void row_plot(eg_page *p, const axis *a, const span *s, const char *class_name) {
    eg_page_raw(p, "<svg class=\"row\" height=\"26\" aria-hidden=\"true\">");
    for (double v = a->lo; v <= a->hi + a->step / 2; v += a->step) {
        bar(p, at(a, v), 0, at(a, v), 26, "grid");
    }
    if (!isnan(a->mark)) bar(p, at(a, a->mark), 0, at(a, a->mark), 26, "best");
    bar(p, at(a, s->lo), 13, at(a, s->hi), 13, class_name);
    bar(p, at(a, s->lo), 9, at(a, s->lo), 17, class_name);
    bar(p, at(a, s->hi), 9, at(a, s->hi), 17, class_name);
    eg_buffer_printf(&p->out, "<circle class=\"%s\" r=\"4.5\" cy=\"13\" cx=\"", class_name);
    eg_svg_number(&p->out, at(a, s->value));
    eg_page_raw(p, "%\"/></svg>");
}

/* "+10.0" -> "+10", "60.0%" -> "60%", "+0.0" -> "0" where the ticks stand at whole points. */
static void short_tick(char *text, double step) {
    char *point = strstr(text, ".0");
    if (point == NULL || step < 0.0099) return;
    memmove(point, point + 2, strlen(point + 2) + 1);
    if (strcmp(text, "+0") == 0) memmove(text, text + 1, 2);
}

/* The last row: the numbers under the grid lines. */
static void axis_row(eg_page *p, const axis *a, bool points) {
    eg_page_raw(p, "<div></div><svg class=\"row\" height=\"20\" aria-hidden=\"true\">");
    for (double v = a->lo; v <= a->hi + a->step / 2; v += a->step) {
        json_t *number = eg_json_real(v);
        eg_figure f = points ? eg_report_points(number, "") : eg_report_percent(number, "");
        json_decref(number);
        short_tick(f.text, a->step);
        eg_page_raw(p, "<text y=\"14\" text-anchor=\"middle\" x=\"");
        eg_svg_number(&p->out, at(a, v));
        eg_page_raw(p, "%\">");
        eg_page_figure(p, f);
        eg_page_raw(p, "</text>");
    }
    eg_page_raw(p, "</svg><div></div>\n");
}

/* The label is written already; value and interval close the row. */
static void row_figures(eg_page *p, eg_figure value, eg_figure ci) {
    eg_page_raw(p, "<div class=\"n\"><b>");
    eg_page_figure(p, value);
    eg_page_raw(p, "</b> <small>");
    eg_page_figure(p, ci);
    eg_page_raw(p, "</small></div>\n");
}

static void forest_name(eg_page *p, const json_t *comparison, const char *side) {
    const char *name = eg_report_string(comparison, side);
    const json_t *run = eg_page_run_find(p, name);
    if (run != NULL) {
        eg_page_run_name(p, run);
    } else {
        eg_page_text(p, name);
    }
}

void eg_svg_forest(eg_page *p) {
    const json_t *all = eg_report_at(p->study, "comparisons");
    axis a = {.mark = 0};
    size_t n_known = 0;
    span s;
    for (size_t i = 0; i < json_array_size(all); i++) {
        if (!span_read(&s, json_array_get(all, i), "difference", "ci")) continue;
        a.lo = fmin(a.lo, fmin(s.lo, s.value));
        a.hi = fmax(a.hi, fmax(s.hi, s.value));
        n_known++;
    }
    if (n_known == 0) return;
    axis_round(&a);
    eg_page_heading(p, 3, EG_TEXT_FOREST);
    eg_page_note(p, EG_TEXT_FOREST_NOTE, NULL, 0);
    eg_page_raw(p, "<div class=\"forest\">\n");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *c = json_array_get(all, i);
        if (!span_read(&s, c, "difference", "ci")) continue;
        bool apart = s.lo > 0 || s.hi < 0;
        eg_page_raw(p, "<div>");
        forest_name(p, c, "a");
        eg_page_raw(p, " <span class=\"minus\">\u2212</span> ");
        forest_name(p, c, "b");
        eg_page_raw(p, "</div>");
        row_plot(p, &a, &s, apart ? "apart" : "same");
        row_figures(p, eg_report_points(c, "difference"), eg_report_interval_points(c, "ci"));
    }
    axis_row(p, &a, true);
    eg_page_raw(p, "</div>\n");
}

void eg_svg_dots(eg_page *p) {
    axis a = {.lo = 1, .hi = 1, .mark = NAN};
    size_t n_known = 0;
    span s;
    if (eg_report_number(&s.value, p->study, "why.balance.majority_test") && s.value >= 0 &&
        s.value <= 1) {
        a.mark = s.value;
        a.lo = fmin(a.lo, a.mark);
    }
    for (size_t i = 0; i < json_array_size(p->runs); i++) {
        const json_t *run = json_array_get(p->runs, i);
        if (!span_read(&s, run, "test.accuracy", "test.accuracy_ci")) continue;
        a.lo = fmin(a.lo, fmin(s.lo, s.value));
        n_known++;
    }
    if (n_known == 0) return;
    axis_round(&a);
    eg_page_heading(p, 3, EG_TEXT_DOTS);
    eg_page_raw(p, "<div class=\"forest\">\n");
    for (size_t i = 0; i < json_array_size(p->runs); i++) {
        const json_t *run = json_array_get(p->runs, i);
        if (!span_read(&s, run, "test.accuracy", "test.accuracy_ci")) continue;
        eg_page_raw(p, "<div>");
        eg_page_run_name(p, run);
        eg_page_raw(p, "</div>");
        row_plot(p, &a, &s, "apart");
        row_figures(p, eg_report_percent(run, "test.accuracy"),
                    eg_report_interval_percent(run, "test.accuracy_ci"));
    }
    axis_row(p, &a, false);
    eg_page_raw(p, "</div>\n");
    if (isnan(a.mark)) return;
    eg_figure base = eg_report_percent(p->study, "why.balance.majority_test");
    const char *part = base.text;
    eg_page_note(p, EG_TEXT_DOTS_BASE, &part, 1);
}
