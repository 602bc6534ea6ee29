/* ROC curves: one run with its AUC, or all runs over each other.
 *
 * The points are those of the document (metrics.roc); the line between them is drawn straight, as the area counts it.
 * Read first: svg.h.                                                                                          */
#include "report/svg.h"

enum { N_STYLES = 6 }; /* colours c0..c5 with their dashes in html_style.c */

static eg_plane roc_plane(void) {
    return (eg_plane){.x1 = 1,
                      .y1 = 1,
                      .x_step = 0.2,
                      .y_step = 0.2,
                      .x_decimals = 1,
                      .y_percent = true,
                      .x_label = EG_TEXT_FALSE_POSITIVE_RATE,
                      .y_label = EG_TEXT_TRUE_POSITIVE_RATE};
}

static void draw_curve(eg_page *p, const eg_plane *plane, const json_t *roc,
                       const char *class_name) {
    bool first = true;
    eg_buffer_printf(&p->out, "<path class=\"%s\" d=\"", class_name);
    for (size_t i = 0; i < json_array_size(roc); i++) {
        const json_t *point = json_array_get(roc, i);
        const json_t *x = json_array_get(point, 0), *y = json_array_get(point, 1);
        if (!json_is_number(x) || !json_is_number(y)) continue;
        eg_page_raw(p, first ? "M" : "L");
        eg_svg_number(&p->out, eg_svg_x(plane, json_number_value(x)));
        eg_page_raw(p, " ");
        eg_svg_number(&p->out, eg_svg_y(plane, json_number_value(y)));
        first = false;
    }
    eg_page_raw(p, "\"/>\n");
}

static void draw_chance(eg_page *p, const eg_plane *plane) {
    eg_svg_line(p, eg_svg_x(plane, 0), eg_svg_y(plane, 0), eg_svg_x(plane, 1), eg_svg_y(plane, 1),
                "best");
}

/* AUC and interval behind a caption. */
static void auc_text(eg_page *p, const json_t *metrics) {
    eg_page_raw(p, "AUC ");
    eg_page_figure(p, eg_report_real(metrics, "auc", 3));
    eg_figure ci = eg_report_interval_real(metrics, "auc_ci", 3);
    if (!ci.known) return;
    eg_page_raw(p, " <small>");
    eg_page_figure(p, ci);
    eg_page_raw(p, "</small>");
}

void eg_svg_roc(eg_page *p, const json_t *metrics, bool test) {
    const json_t *roc = eg_report_at(metrics, "roc");
    if (json_array_size(roc) == 0) return;
    eg_text title = test ? EG_TEXT_ROC : EG_TEXT_ROC_VAL;
    eg_plane plane = roc_plane();
    eg_page_raw(p, "<figure><figcaption><b>");
    eg_page_string(p, title);
    eg_page_raw(p, "</b> <span>");
    auc_text(p, metrics);
    eg_page_raw(p, "</span></figcaption>");
    eg_svg_open(p, title, EG_SVG_WIDTH, EG_SVG_HEIGHT);
    eg_svg_axes(p, &plane);
    draw_chance(p, &plane);
    draw_curve(p, &plane, roc, "val");
    eg_svg_close(p);
    eg_page_raw(p, "</figure>\n");
}

void eg_svg_roc_all(eg_page *p) {
    size_t n = json_array_size(p->runs), n_curves = 0;
    for (size_t i = 0; i < n; i++) {
        n_curves += eg_report_count(json_array_get(p->runs, i), "test.roc") > 0;
    }
    if (n_curves < 2) return;
    eg_plane plane = roc_plane();
    eg_page_raw(p, "<div class=\"pair\"><figure class=\"wide\"><figcaption><b>");
    eg_page_string(p, EG_TEXT_ROC_ALL);
    eg_page_raw(p, "</b></figcaption>");
    eg_svg_open(p, EG_TEXT_ROC_ALL, EG_SVG_WIDTH, EG_SVG_HEIGHT);
    eg_svg_axes(p, &plane);
    draw_chance(p, &plane);
    for (size_t i = 0; i < n; i++) {
        static const char *const styles[N_STYLES] = {"c0", "c1", "c2", "c3", "c4", "c5"};
        draw_curve(p, &plane, eg_report_at(json_array_get(p->runs, i), "test.roc"),
                   styles[i % N_STYLES]);
    }
    eg_svg_close(p);
    eg_page_raw(p, "</figure>\n<ul class=\"legend\">\n");
    for (size_t i = 0; i < n; i++) {
        const json_t *run = json_array_get(p->runs, i);
        if (eg_report_count(run, "test.roc") == 0) continue;
        eg_buffer_printf(&p->out,
                         "<li><svg width=\"34\" height=\"10\" aria-hidden=\"true\"><path "
                         "class=\"c%zu\" d=\"M1 5L33 5\"/></svg> <span>",
                         i % N_STYLES);
        eg_page_run_name(p, run);
        eg_page_raw(p, "<br>");
        auc_text(p, eg_report_at(run, "test"));
        eg_page_raw(p, "</span></li>\n");
    }
    eg_page_raw(p, "</ul></div>\n");
}
