/* Loss and accuracy of one run over its epochs (or L-BFGS iterations), training and validation, best epoch marked.
 *
 * A missing value breaks the line; it is never drawn as zero. Read first: svg.h.                              */
#include "report/svg.h"
#include <math.h>

enum { MAX_DOTS = 25 }; /* beyond this many epochs dots would merge into a band */

typedef struct {
    const char *train, *val; /* keys of a history row */
} curve_keys;

static bool row_point(const json_t *history, size_t i, const char *key, double *x, double *y) {
    const json_t *row = json_array_get(history, i);
    return eg_report_number(x, row, "epoch") && eg_report_number(y, row, key);
}

/* Ranges of the plane; false when not one point is known. */
static bool plane_fit(eg_plane *plane, const json_t *history, curve_keys keys) {
    size_t n = json_array_size(history);
    plane->x0 = plane->y0 = INFINITY;
    plane->x1 = plane->y1 = -INFINITY;
    for (size_t i = 0; i < 2 * n; i++) {
        double x, y;
        if (!row_point(history, i / 2, i % 2 == 0 ? keys.train : keys.val, &x, &y)) continue;
        plane->x0 = fmin(plane->x0, x);
        plane->x1 = fmax(plane->x1, x);
        plane->y0 = fmin(plane->y0, y);
        plane->y1 = fmax(plane->y1, y);
    }
    if (!(plane->x1 >= plane->x0)) return false;
    if (plane->x1 - plane->x0 < 1) {
        plane->x0 -= 0.5;
        plane->x1 += 0.5;
    }
    return true;
}

/* One line through the known points, with dots when there is room for them. */
static void draw_line(eg_page *p, const eg_plane *plane, const json_t *history, const char *key,
                      const char *class_name) {
    size_t n = json_array_size(history);
    bool pen_down = false;
    eg_buffer_printf(&p->out, "<path class=\"%s\" d=\"", class_name);
    for (size_t i = 0; i < n; i++) {
        double x, y;
        if (!row_point(history, i, key, &x, &y)) {
            pen_down = false;
            continue;
        }
        eg_page_raw(p, pen_down ? "L" : "M");
        eg_svg_number(&p->out, eg_svg_x(plane, x));
        eg_page_raw(p, " ");
        eg_svg_number(&p->out, eg_svg_y(plane, y));
        pen_down = true;
    }
    eg_page_raw(p, "\"/>\n");
    for (size_t i = 0; i < n && n <= MAX_DOTS; i++) {
        double x, y;
        if (!row_point(history, i, key, &x, &y)) continue;
        eg_buffer_printf(&p->out, "<circle class=\"%s\" r=\"2.6\" cx=\"", class_name);
        eg_svg_number(&p->out, eg_svg_x(plane, x));
        eg_page_raw(p, "\" cy=\"");
        eg_svg_number(&p->out, eg_svg_y(plane, y));
        eg_page_raw(p, "\"/>\n");
    }
}

/* A dashed line at the epoch that was kept, and its number. */
static void draw_best(eg_page *p, const eg_plane *plane, const json_t *run) {
    double best;
    if (!eg_report_number(&best, run, "best_epoch")) return;
    if (best < plane->x0 || best > plane->x1) return;
    double x = eg_svg_x(plane, best);
    eg_svg_line(p, x, eg_svg_y(plane, plane->y0), x, eg_svg_y(plane, plane->y1), "best");
}

static void legend(eg_page *p, const json_t *run, eg_text title) {
    eg_page_raw(p, "<figcaption><b>");
    eg_page_string(p, title);
    eg_page_raw(p, "</b> <span class=\"key train\">");
    eg_page_string(p, EG_TEXT_TRAIN);
    eg_page_raw(p, "</span> <span class=\"key val\">");
    eg_page_string(p, EG_TEXT_VAL);
    eg_page_raw(p, "</span>");
    eg_figure best = eg_report_integer(run, "best_epoch");
    if (best.known) {
        const char *part = best.text;
        eg_page_raw(p, " <span class=\"key best\">");
        eg_page_say(p, EG_TEXT_BEST, &part, 1);
        eg_page_raw(p, "</span>");
    }
    eg_page_raw(p, "</figcaption>");
}

void eg_svg_curves(eg_page *p, const json_t *run, bool loss) {
    static const curve_keys loss_keys = {"train_loss", "val_loss"};
    static const curve_keys accuracy_keys = {"train_accuracy", "val_accuracy"};
    curve_keys keys = loss ? loss_keys : accuracy_keys;
    const json_t *history = eg_report_at(run, "history");
    eg_plane plane = {.y_percent = !loss};
    if (!plane_fit(&plane, history, keys)) return;
    plane.x_label = eg_report_is(run, "head", "lbfgs") ? EG_TEXT_ITERATION : EG_TEXT_EPOCH;
    plane.y_label = loss ? EG_TEXT_LOSS_AXIS : EG_TEXT_ACCURACY_AXIS;
    if (loss) { /* from zero, so that heights compare */
        plane.y0 = 0;
        plane.y1 = plane.y1 > 0 ? plane.y1 * 1.04 : 1;
    } else { /* from the last whole ten percent below the data to 100 % */
        plane.y0 = fmax(0, floor(fmin(plane.y0, 0.9) * 10 + 1e-9) / 10);
        plane.y1 = 1;
    }
    plane.y_step = eg_svg_step(plane.y1 - plane.y0, 5, &plane.y_decimals);
    plane.x_step = fmax(1, eg_svg_step(plane.x1 - plane.x0, 6, &plane.x_decimals));
    plane.x_decimals = 0;
    eg_text title = loss ? EG_TEXT_CURVE_LOSS : EG_TEXT_CURVE_ACCURACY;
    eg_page_raw(p, "<figure>");
    legend(p, run, title);
    eg_svg_open(p, title, EG_SVG_WIDTH, EG_SVG_HEIGHT);
    eg_svg_axes(p, &plane);
    draw_best(p, &plane, run);
    draw_line(p, &plane, history, keys.train, "train");
    draw_line(p, &plane, history, keys.val, "val");
    eg_svg_close(p);
    eg_page_raw(p, "</figure>\n");
}
