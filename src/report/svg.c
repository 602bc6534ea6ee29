/* SVG primitives: numbers, axes with round ticks, lines and cut text.
 *
 * Every coordinate is clamped to the plane: a figure in a damaged document may be 1e300, and must not push a line over
 * the page. Read first: svg.h.                                                                                */
#include "report/svg.h"
#include <math.h>
#include <string.h>

static const double plane_left = 42, plane_right = 272, plane_top = 22, plane_bottom = 188;

void eg_svg_number(eg_buffer *b, double v) {
    if (!(v > -1e6 && v < 1e6)) v = 0;
    long tenths = lround(v * 10);
    long whole = labs(tenths) / 10, rest = labs(tenths) % 10;
    eg_buffer_printf(b, rest != 0 ? "%s%ld.%ld" : "%s%ld", tenths < 0 ? "-" : "", whole, rest);
}

void eg_svg_open(eg_page *p, eg_text label, int width, int height) {
    eg_buffer_printf(&p->out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", width,
                     height);
    eg_page_string(p, label);
    eg_page_raw(p, "\">\n");
}

void eg_svg_close(eg_page *p) {
    eg_page_raw(p, "</svg>\n");
}

static double place(double v, double from, double to, double lo, double hi) {
    double t = to > from ? (v - from) / (to - from) : 0.5;
    if (!(t >= 0)) t = 0;
    if (t > 1) t = 1;
    return lo + t * (hi - lo);
}

double eg_svg_x(const eg_plane *plane, double x) {
    return place(x, plane->x0, plane->x1, plane_left, plane_right);
}

double eg_svg_y(const eg_plane *plane, double y) {
    return place(y, plane->y0, plane->y1, plane_bottom, plane_top);
}

double eg_svg_step(double span, int most, int *decimals) {
    *decimals = 0;
    if (!(span > 1e-9) || span > 1e12) return span > 0 ? span : 1;
    double power = pow(10, floor(log10(span / most)));
    double step = power;
    static const double factors[] = {1, 2, 5, 10};
    for (size_t i = 0; i < 4; i++) {
        step = power * factors[i];
        if (span / step <= most + 1e-9) break;
    }
    while (*decimals < 6 && step * pow(10, *decimals) < 0.999) (*decimals)++;
    return step;
}

void eg_svg_line(eg_page *p, double xa, double ya, double xb, double yb, const char *class_name) {
    const char *names[] = {"x1", "y1", "x2", "y2"};
    double values[] = {xa, ya, xb, yb};
    eg_buffer_printf(&p->out, "<line class=\"%s\"", class_name);
    for (int i = 0; i < 4; i++) {
        eg_buffer_printf(&p->out, " %s=\"", names[i]);
        eg_svg_number(&p->out, values[i]);
        eg_page_raw(p, "\"");
    }
    eg_page_raw(p, "/>\n");
}

void eg_svg_text(eg_page *p, double x, double y, const char *anchor, const char *text,
                 int columns) {
    eg_page_raw(p, "<text x=\"");
    eg_svg_number(&p->out, x);
    eg_page_raw(p, "\" y=\"");
    eg_svg_number(&p->out, y);
    eg_buffer_printf(&p->out, "\" text-anchor=\"%s\">", anchor);
    size_t whole = strlen(text), n = eg_report_prefix(text, columns);
    if (n < whole) n = eg_report_prefix(text, columns - 1);
    char *cut = eg_strndup(text, n);
    if (cut == NULL) p->out.failed = true;
    if (cut != NULL) eg_page_text(p, cut);
    if (n < whole) eg_page_raw(p, "…");
    eg_free(cut);
    eg_page_raw(p, "</text>\n");
}

/* A tick's number through the figures of fields.c, so that both look alike. */
static void tick_text(eg_page *p, double x, double y, const char *anchor, double v, int decimals,
                      bool percent) {
    json_t *number = eg_json_real(v);
    eg_figure f = percent ? eg_report_percent(number, "") : eg_report_real(number, "", decimals);
    char *point = percent ? strchr(f.text, '.') : NULL;
    if (point != NULL) { /* ticks stand at whole percents */
        point[0] = '%';
        point[1] = 0;
    }
    eg_svg_text(p, x, y, anchor, f.text, 12);
    json_decref(number);
}

void eg_svg_axes(eg_page *p, const eg_plane *plane) {
    enum { MAX_TICKS = 12 }; /* steps are chosen for fewer; a bound for damaged ranges */
    double y = ceil(plane->y0 / plane->y_step - 1e-6) * plane->y_step;
    for (int i = 0; i < MAX_TICKS && y <= plane->y1 + plane->y_step * 1e-6; i++) {
        double at = eg_svg_y(plane, y);
        eg_svg_line(p, plane_left, at, plane_right, at, "grid");
        tick_text(p, plane_left - 5, at + 4, "end", y, plane->y_decimals, plane->y_percent);
        y += plane->y_step;
    }
    double x = ceil(plane->x0 / plane->x_step - 1e-6) * plane->x_step;
    for (int i = 0; i < MAX_TICKS && x <= plane->x1 + plane->x_step * 1e-6; i++) {
        double at = eg_svg_x(plane, x);
        eg_svg_line(p, at, plane_bottom, at, plane_bottom + 4, "axis");
        tick_text(p, at, plane_bottom + 16, "middle", x, plane->x_decimals, false);
        x += plane->x_step;
    }
    eg_svg_line(p, plane_left, plane_bottom, plane_right, plane_bottom, "axis");
    eg_svg_text(p, 4, 11, "start", eg_report_say(plane->y_label, p->lang), 40);
    eg_svg_text(p, (plane_left + plane_right) / 2, EG_SVG_HEIGHT - 5, "middle",
                eg_report_say(plane->x_label, p->lang), 40);
}

eg_plane eg_svg_plane_of_shares(eg_text x_label, eg_text y_label) {
    return (eg_plane){.x1 = 1,
                      .y1 = 1,
                      .x_step = 0.2,
                      .y_step = 0.2,
                      .x_decimals = 1,
                      .y_percent = true,
                      .x_label = x_label,
                      .y_label = y_label};
}
