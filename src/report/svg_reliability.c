/* Reliability: of the images given a probability near p, how many are positive? A dot per bin with the Wilson interval of its
 * share; on the dashed diagonal the probabilities mean what they say. Empty bins are not in the document, so nothing is
 * drawn where there are no images. Read first: svg.h; metrics.reliability in doc/documents.md.                   */
#include "report/svg.h"

static void dot(eg_page *p, double x, double y) {
    eg_page_raw(p, "<circle class=\"val\" cx=\"");
    eg_svg_number(&p->out, x);
    eg_page_raw(p, "\" cy=\"");
    eg_svg_number(&p->out, y);
    eg_page_raw(p, "\" r=\"3.2\"/>\n");
}

static void draw_bin(eg_page *p, const eg_plane *plane, const json_t *bin) {
    const json_t *mean = eg_report_at(bin, "mean"), *rate = eg_report_at(bin, "rate");
    const json_t *ci = eg_report_at(bin, "ci");
    if (!json_is_number(mean) || !json_is_number(rate)) return;
    const double x = eg_svg_x(plane, json_number_value(mean));
    const json_t *low = json_array_get(ci, 0), *high = json_array_get(ci, 1);
    if (json_is_number(low) && json_is_number(high))
        eg_svg_line(p, x, eg_svg_y(plane, json_number_value(low)), x,
                    eg_svg_y(plane, json_number_value(high)), "axis");
    dot(p, x, eg_svg_y(plane, json_number_value(rate)));
}

void eg_svg_reliability(eg_page *p, const json_t *metrics, bool test) {
    const json_t *bins = eg_report_at(metrics, "reliability");
    if (json_array_size(bins) == 0) return;
    eg_text title = test ? EG_TEXT_RELIABILITY : EG_TEXT_RELIABILITY_VAL;
    const eg_plane plane =
        eg_svg_plane_of_shares(EG_TEXT_PROBABILITY_AXIS, EG_TEXT_POSITIVE_SHARE_AXIS);
    eg_page_raw(p, "<figure><figcaption><b>");
    eg_page_string(p, title);
    eg_page_raw(p, "</b> <span>ECE ");
    eg_page_figure(p, eg_report_real(metrics, "ece", 3));
    eg_page_raw(p, "</span></figcaption>");
    eg_svg_open(p, title, EG_SVG_WIDTH, EG_SVG_HEIGHT);
    eg_svg_axes(p, &plane);
    eg_svg_line(p, eg_svg_x(&plane, 0), eg_svg_y(&plane, 0), eg_svg_x(&plane, 1),
                eg_svg_y(&plane, 1), "best");
    for (size_t i = 0; i < json_array_size(bins); i++) draw_bin(p, &plane, json_array_get(bins, i));
    eg_svg_close(p);
    eg_page_raw(p, "</figure>\n");
}
