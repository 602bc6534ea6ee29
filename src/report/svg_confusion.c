/* Confusion matrix: rows are the truth, columns the prediction; the shade is the share of the row.
 *
 * Counts only: the shares that matter (sensitivity, specificity) stand in the table with their intervals.
 * Read first: svg.h.                                                                                          */
#include "report/svg.h"

enum { MAX_CLASSES = 12 }; /* beyond this the numbers no longer fit their cells */

static const double grid_left = 86, grid_top = 40, grid_side_x = 184, grid_side_y = 140;

static double row_total(const json_t *row, size_t k) {
    double total = 0;
    for (size_t j = 0; j < k; j++) total += json_number_value(json_array_get(row, j));
    return total;
}

static void cell(eg_page *p, const json_t *count, double share, size_t i, size_t j, size_t k) {
    double w = grid_side_x / (double)k, h = grid_side_y / (double)k;
    double x = grid_left + w * (double)j, y = grid_top + h * (double)i;
    if (!(share >= 0)) share = 0;
    if (share > 1) share = 1;
    const double values[] = {x + 1, y + 1, w - 2, h - 2};
    static const char *const names[] = {"x", "y", "width", "height"};
    eg_page_raw(p, "<rect class=\"cell\" rx=\"3\"");
    for (int a = 0; a < 4; a++) {
        eg_buffer_printf(&p->out, " %s=\"", names[a]);
        eg_svg_number(&p->out, values[a]);
        eg_page_raw(p, "\"");
    }
    int hundredths = (int)(share * 100 + 0.5);
    eg_buffer_printf(&p->out, " fill-opacity=\"%d.%02d\"/>\n", hundredths / 100, hundredths % 100);
    eg_page_raw(p, share > 0.7 ? "<g class=\"on\">" : "<g class=\"count\">");
    eg_figure f = eg_report_integer(count, "");
    eg_svg_text(p, x + w / 2, y + h / 2 + 5, "middle", f.text, k <= 3 ? 12 : 5);
    eg_page_raw(p, "</g>\n");
}

static const char *class_name(const json_t *metrics, size_t i) {
    const char *name = json_string_value(json_array_get(eg_report_at(metrics, "classes"), i));
    return name != NULL ? name : "-";
}

void eg_svg_confusion(eg_page *p, const json_t *metrics, bool test) {
    const json_t *matrix = eg_report_at(metrics, "confusion");
    size_t k = json_array_size(matrix);
    if (k == 0 || k > MAX_CLASSES) return;
    eg_text title = test ? EG_TEXT_CONFUSION : EG_TEXT_CONFUSION_VAL;
    eg_page_raw(p, "<figure><figcaption><b>");
    eg_page_string(p, title);
    eg_page_raw(p, "</b></figcaption>");
    eg_svg_open(p, title, EG_SVG_WIDTH, 190);
    eg_svg_text(p, grid_left + grid_side_x / 2, 14, "middle",
                eg_report_say(EG_TEXT_PREDICTED, p->lang), 20);
    eg_svg_text(p, grid_left - 8, 32, "end", eg_report_say(EG_TEXT_TRUTH, p->lang), 12);
    int columns = k <= 2 ? 12 : k == 3 ? 8 : 4;
    for (size_t i = 0; i < k; i++) {
        const json_t *row = json_array_get(matrix, i);
        double w = grid_side_x / (double)k, h = grid_side_y / (double)k;
        double total = row_total(row, k);
        eg_svg_text(p, grid_left + w * ((double)i + 0.5), 32, "middle", class_name(metrics, i),
                    columns);
        eg_svg_text(p, grid_left - 8, grid_top + h * ((double)i + 0.5) + 4, "end",
                    class_name(metrics, i), 12);
        for (size_t j = 0; j < k; j++) {
            const json_t *count = json_array_get(row, j);
            double share = total > 0 ? json_number_value(count) / total : 0;
            cell(p, count, share, i, j, k);
        }
    }
    eg_svg_close(p);
    eg_page_raw(p, "</figure>\n");
}
