/* eg_report_pictures: the drawings of one set of metrics as SVG files. They are the page's own drawings, cut out of their
 * figure, with plain colours written into each file: many viewers of SVG know no CSS variables, and the page's light and
 * dark palettes are made of them. Read first: svg.h.                                                              */
#include "report/report.h"
#include "report/svg.h"

#include <string.h>

static const char head[] =
    "<style>text{font:11px sans-serif;fill:#5b6470}.count text{font-size:14px;fill:#1c2430;"
    "font-weight:600}.on text{font-size:14px;fill:#fff;font-weight:600}.grid{stroke:#dfe3e8}"
    ".axis{stroke:#5b6470}.best{stroke:#5b6470;stroke-dasharray:3 3}"
    "path{fill:none;stroke-width:2;stroke-linejoin:round}path.val{stroke:#1f5f99}"
    "circle.val{fill:#1f5f99}.cell{fill:#2b6ea6;stroke:#dfe3e8}</style>\n"
    "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";

static eg_status no_memory(const char *dir, eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for pictures", dir);
}

/* The <svg> of the figure in `page` (NUL-terminated) as a file of its own; no figure: no file. */
static eg_status write_svg(const char *dir, const char *name, const char *page, eg_error *err) {
    static const char opening[] = "<svg ";
    const char *svg = page ? strstr(page, opening) : NULL;
    const char *end = svg ? strstr(svg, "</svg>") : NULL;
    const char *body = svg ? strchr(svg, '\n') : NULL; /* eg_svg_open ends its line */
    if (!end || !body || body > end) return EG_OK;
    eg_buffer b = {0};
    eg_buffer_printf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" ");
    eg_buffer_add(&b, svg + strlen(opening), (size_t)(body + 1 - svg) - strlen(opening));
    eg_buffer_add(&b, head, strlen(head));
    eg_buffer_add(&b, body + 1, (size_t)(end - body - 1));
    eg_buffer_printf(&b, "</svg>\n");
    char *path = eg_path_join(dir, name);
    eg_status status = b.failed || !path
                           ? no_memory(dir, err)
                           : eg_file_write_atomic(path, &(eg_part){b.data, b.size}, 1, err);
    eg_free(path);
    eg_buffer_free(&b);
    return status;
}

eg_status eg_report_pictures(const char *dir, const eg_doc *metrics, eg_error *err) {
    static const struct {
        const char *name;
        void (*draw)(eg_page *p, const json_t *metrics, bool test);
    } PICTURES[] = {{"confusion.svg", eg_svg_confusion},
                    {"roc.svg", eg_svg_roc},
                    {"pr.svg", eg_svg_pr},
                    {"reliability.svg", eg_svg_reliability}};
    if (strcmp(metrics->kind, "metrics") != 0)
        return eg_fail(err, EG_ERR_MISMATCH,
                       "%s: pictures are drawn of a document of kind 'metrics', found '%s'", dir,
                       metrics->kind);
    EG_TRY(eg_dir_make(dir, err));
    const char *split = eg_report_string(metrics->root, "split");
    const bool test = !split || strcmp(split, "val") != 0;
    for (size_t i = 0; i < sizeof PICTURES / sizeof *PICTURES; i++) {
        eg_page p = {.lang = EG_LANG_EN};
        PICTURES[i].draw(&p, metrics->root, test);
        eg_buffer_add(&p.out, "", 1); /* the NUL that strstr needs */
        eg_status status =
            p.out.failed ? no_memory(dir, err) : write_svg(dir, PICTURES[i].name, p.out.data, err);
        eg_buffer_free(&p.out);
        EG_TRY(status);
    }
    return EG_OK;
}
