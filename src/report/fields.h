/* Private to the report room: reading of documents that may lack any field, and numbers as short texts.
 *
 * Every reader takes (node, path): `node` may be NULL or of any type, `path` is dotted keys ("test.accuracy") or ""
 * for the node itself. Nothing here fails: a missing or null field gives NULL, false, or a figure not `known`.  */
#ifndef EG_REPORT_FIELDS_H
#define EG_REPORT_FIELDS_H

#include "codec/codec.h"

/* A number as it is shown. `text` is "-" when the document has no such number. ASCII; '.' is the decimal point
 * whatever the locale of the process is. */
typedef struct {
    char text[64];
    bool known;
} eg_figure;

const json_t *eg_report_at(const json_t *node, const char *path);   /* NULL: absent or null */
const char *eg_report_string(const json_t *node, const char *path); /* NULL: absent or no text */
bool eg_report_number(double *out, const json_t *node,
                      const char *path);                      /* false: absent; out untouched */
size_t eg_report_count(const json_t *node, const char *path); /* length of an array, else 0 */
bool eg_report_is(const json_t *node, const char *path,
                  const char *text); /* is the text at path `text`? */

eg_figure eg_report_percent(const json_t *node, const char *path); /* 0.9134 -> "91.3%" */
eg_figure eg_report_published(const json_t *node,
                              const char *path); /* 80.858, in percent already -> "80.9%" */
eg_figure eg_report_real(const json_t *node, const char *path, int decimals);
eg_figure eg_report_short(const json_t *node,
                          const char *path); /* four significant digits: "0.0005" */
eg_figure eg_report_integer(const json_t *node, const char *path); /* 4652008 -> "4,652,008" */
eg_figure eg_report_large(const json_t *node, const char *path);   /* 407000000 -> "407 M" */
eg_figure eg_report_seconds(const json_t *node,
                            const char *path); /* "12.3 s", "3 min 12 s", "1 h 02 min" */
eg_figure eg_report_bytes(const json_t *node, const char *path); /* 18200000 -> "18.2 MB" */
eg_figure eg_report_p(const json_t *node, const char *path);     /* "0.012", "<0.001" */
eg_figure eg_report_points(const json_t *node,
                           const char *path); /* 0.0133 -> "+1.3": percentage points */
eg_figure eg_report_interval_percent(const json_t *node, const char *path); /* "[88.9, 93.3]" */
eg_figure eg_report_interval_points(const json_t *node, const char *path);  /* "[-0.9, +3.3]" */
eg_figure eg_report_interval_real(const json_t *node, const char *path, int decimals);
/* Two integers as "350/350". */
eg_figure eg_report_ratio(const json_t *node, const char *path, const char *of_path);
/* Any scalar: text as it is (cut to fit), booleans "yes"/"no", numbers short. */
eg_figure eg_report_scalar(const json_t *value);

/* Columns that `text` takes on a terminal (East Asian wide characters take two). */
int eg_report_width(const char *text);
/* Bytes of the longest prefix of `text` that is at most `columns` wide; never cuts inside a character. */
size_t eg_report_prefix(const char *text, int columns);

#endif
