/* Private to the report room: the drawings. Inline SVG whose colours are classes of html_style.c, so that one drawing
 * serves light, dark and print. Charts with a plane use a viewBox; rows of intervals use percent positions, so that
 * their text keeps its size at any width.                                                                     */
#ifndef EG_REPORT_SVG_H
#define EG_REPORT_SVG_H

#include "report/page.h"

/* ---- primitives (svg.c) ---- */

/* A number with one decimal and a '.', whatever the locale. */
void eg_svg_number(eg_buffer *b, double v);

/* A plane in a figure of EG_SVG_WIDTH x EG_SVG_HEIGHT units. */
enum { EG_SVG_WIDTH = 280, EG_SVG_HEIGHT = 224 };
typedef struct {
    double x0, x1, y0, y1; /* data range */
    double x_step, y_step; /* between ticks, data units */
    int x_decimals, y_decimals;
    bool y_percent; /* ticks of shares as percent */
    eg_text x_label, y_label;
} eg_plane;

/* Both axes 0 to 1 with ticks of 0.2, the upright one in percent. */
eg_plane eg_svg_plane_of_shares(eg_text x_label, eg_text y_label);
void eg_svg_open(eg_page *p, eg_text label, int width, int height);
void eg_svg_close(eg_page *p);
void eg_svg_axes(eg_page *p, const eg_plane *plane);
double eg_svg_x(const eg_plane *plane, double x); /* data -> figure units, clamped to the plane */
double eg_svg_y(const eg_plane *plane, double y);
/* A step of 1, 2 or 5 times a power of ten that gives at most `most` ticks over `span`; `decimals` to print it. */
double eg_svg_step(double span, int most, int *decimals);
void eg_svg_line(eg_page *p, double xa, double ya, double xb, double yb, const char *class_name);
/* anchor: "start", "middle" or "end"; text is escaped and cut to `columns`. */
void eg_svg_text(eg_page *p, double x, double y, const char *anchor, const char *text, int columns);

/* ---- figures: nothing is written when the document has nothing to draw ---- */

void eg_svg_curves(eg_page *p, const json_t *run, bool loss);  /* svg_curves.c */
void eg_svg_roc(eg_page *p, const json_t *metrics, bool test); /* svg_roc.c: one run */
void eg_svg_roc_all(eg_page *p); /* svg_roc.c: every run with a test curve */
void eg_svg_confusion(eg_page *p, const json_t *metrics, bool test);   /* svg_confusion.c */
void eg_svg_pr(eg_page *p, const json_t *metrics, bool test);          /* svg_pr.c */
void eg_svg_reliability(eg_page *p, const json_t *metrics, bool test); /* svg_reliability.c */
void eg_svg_forest(eg_page *p); /* svg_forest.c: differences */
void eg_svg_dots(eg_page *p);   /* svg_forest.c: test accuracies */

#endif
