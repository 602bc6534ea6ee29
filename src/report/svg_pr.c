/* Precision over sensitivity (recall) of one run, with its average precision. The dashed line is what calling every image
 * positive gives: the share of positives, which is what a curve here must be read against.
 *
 * The points are those of the document (metrics.pr, [recall, precision]), each with its step: precision does not move in
 * a straight line between two thresholds, and average precision counts steps. Read first: svg.h.                 */
#include "report/svg.h"

/* Positives of all images: the last row of a confusion matrix of two classes; negative when it is not one. */
static double positive_share(const json_t *metrics) {
    const json_t *matrix = eg_report_at(metrics, "confusion");
    double total[2] = {0, 0};
    if (json_array_size(matrix) != 2) return -1;
    for (size_t i = 0; i < 2; i++) {
        const json_t *row = json_array_get(matrix, i);
        for (size_t j = 0; j < 2; j++) total[i] += json_number_value(json_array_get(row, j));
    }
    return total[0] + total[1] > 0 ? total[1] / (total[0] + total[1]) : -1;
}

static void steps(eg_page *p, const eg_plane *plane, const json_t *points) {
    bool first = true;
    double before = 0;
    eg_page_raw(p, "<path class=\"val\" d=\"");
    for (size_t i = 0; i < json_array_size(points); i++) {
        const json_t *point = json_array_get(points, i);
        const json_t *recall = json_array_get(point, 0), *precision = json_array_get(point, 1);
        if (!json_is_number(recall) || !json_is_number(precision)) continue;
        const double x = eg_svg_x(plane, json_number_value(recall));
        const double y = eg_svg_y(plane, json_number_value(precision));
        eg_page_raw(p, first ? "M" : "L");
        eg_svg_number(&p->out, first ? x : before);
        eg_page_raw(p, " ");
        eg_svg_number(&p->out, y);
        eg_page_raw(p, "L");
        eg_svg_number(&p->out, x);
        eg_page_raw(p, " ");
        eg_svg_number(&p->out, y);
        before = x;
        first = false;
    }
    eg_page_raw(p, "\"/>\n");
}

void eg_svg_pr(eg_page *p, const json_t *metrics, bool test) {
    const json_t *points = eg_report_at(metrics, "pr");
    if (json_array_size(points) == 0) return;
    eg_text title = test ? EG_TEXT_PR : EG_TEXT_PR_VAL;
    const eg_plane plane =
        eg_svg_plane_of_shares(EG_TEXT_TRUE_POSITIVE_RATE, EG_TEXT_PRECISION_AXIS);
    eg_page_raw(p, "<figure><figcaption><b>");
    eg_page_string(p, title);
    eg_page_raw(p, "</b> <span>AP ");
    eg_page_figure(p, eg_report_real(metrics, "ap", 3));
    eg_figure ci = eg_report_interval_real(metrics, "ap_ci", 3);
    if (ci.known) {
        eg_page_raw(p, " <small>");
        eg_page_figure(p, ci);
        eg_page_raw(p, "</small>");
    }
    eg_page_raw(p, "</span></figcaption>");
    eg_svg_open(p, title, EG_SVG_WIDTH, EG_SVG_HEIGHT);
    eg_svg_axes(p, &plane);
    const double share = positive_share(metrics);
    if (share >= 0)
        eg_svg_line(p, eg_svg_x(&plane, 0), eg_svg_y(&plane, share), eg_svg_x(&plane, 1),
                    eg_svg_y(&plane, share), "best");
    steps(p, &plane, points);
    eg_svg_close(p);
    eg_page_raw(p, "</figure>\n");
}
