/* Private to the report room: the page being written, and the few HTML shapes its sections are made of.
 *
 * All text of a document goes through eg_page_text, which escapes; eg_page_raw is for our own markup only. Writers do
 * not return errors: the buffer remembers a failed allocation, and html.c looks once, at the end.             */
#ifndef EG_REPORT_PAGE_H
#define EG_REPORT_PAGE_H

#include "report/fields.h"
#include "report/strings.h"

enum { EG_PAGE_MAX_COLUMNS = 24 };

typedef struct {
    eg_text head;
    bool number; /* right-aligned */
} eg_column;

typedef struct {
    eg_buffer out;
    eg_lang lang;
    const json_t *study;      /* the study, or NULL when the document is one run */
    const json_t *runs;       /* array of runs; owned by html.c */
    const json_t *set;        /* a data set, or NULL; `study` is then {"data": set} */
    const eg_column *columns; /* of the open table */
    int n_columns, column;
} eg_page;

/* The whole page of a study or run into `out` (html.c); `path` only names it in errors. EG_ERR_MISMATCH: another kind,
 * EG_ERR_INPUT: no JSON object, EG_ERR_NO_MEMORY; `out` is untouched then. */
eg_status eg_page_build(eg_buffer *out, const eg_doc *doc, eg_lang lang, const char *path,
                        eg_error *err);

/* ---- text (page.c) ---- */

void eg_page_raw(eg_page *p, const char *markup);
void eg_page_text(eg_page *p, const char *text); /* escaped; NULL: a dash */
void eg_page_word(eg_page *p, const char *word); /* escaped, translated when known; NULL: a dash */
void eg_page_figure(eg_page *p, eg_figure f);    /* real minus signs, an en dash when not known */
void eg_page_string(eg_page *p, eg_text id);
/* The string with {0}..{n-1} replaced by `parts` (escaped; NULL: a dash). */
void eg_page_say(eg_page *p, eg_text id, const char *const *parts, size_t n);
/* <p class=note> around eg_page_say. */
void eg_page_note(eg_page *p, eg_text id, const char *const *parts, size_t n);
void eg_page_heading(eg_page *p, int level, eg_text id);
/* Sentences that the document brings (an array of strings, in English). */
void eg_page_sentences(eg_page *p, const json_t *texts);

/* ---- sections and tables ---- */

void eg_page_section_open(eg_page *p, const char *anchor, eg_text heading, eg_text asks);
void eg_page_section_close(eg_page *p);
/* A table that scrolls inside its own box; with `cards` its rows become cards on a narrow screen. */
void eg_page_table_open(eg_page *p, const eg_column *columns, int n, bool cards);
void eg_page_table_close(eg_page *p);
void eg_page_row_open(eg_page *p);
void eg_page_row_close(eg_page *p);
/* A cell in parts: open, write, close. The first of a row is its header. */
void eg_page_cell_open(eg_page *p);
void eg_page_cell_close(eg_page *p);
void eg_page_cell_text(eg_page *p, const char *text);
void eg_page_cell_word(eg_page *p, const char *word);
void eg_page_cell_figure(eg_page *p, eg_figure f);
/* A figure with its interval behind it. */
void eg_page_cell_interval(eg_page *p, eg_figure f, eg_figure interval);
void eg_page_cell_mode(eg_page *p, const json_t *run);
/* The name of a run without its dashes breaking badly: "model" + mode in the reader's language. */
void eg_page_run_name(eg_page *p, const json_t *run);
/* A cell with the name of the run called `name`; the name itself when there is no such run. */
void eg_page_cell_run(eg_page *p, const char *name);
const json_t *eg_page_run_find(const eg_page *p, const char *name); /* NULL: no such run */
/* Name of the positive class, "-" when there is none. */
const char *eg_page_positive(const eg_page *p);

/* ---- sections, in the order of the page ---- */

void eg_page_style(eg_page *p);        /* html_style.c */
void eg_page_glance(eg_page *p);       /* html_glance.c */
void eg_page_data(eg_page *p);         /* html_data.c */
void eg_page_patients(eg_page *p);     /* html_data.c: both readings of the patient overlap */
void eg_page_balance_bars(eg_page *p); /* html_data.c */
void eg_page_models(eg_page *p);       /* html_models.c */
/* Every run of `mode` (NULL: of any mode). html_runs.c */
void eg_page_runs(eg_page *p, const char *mode, const char *anchor, eg_text heading, eg_text asks);
bool eg_page_has_mode(const eg_page *p, const char *mode);
void eg_page_history(eg_page *p, const json_t *run); /* html_history.c */
void eg_page_compare(eg_page *p);                    /* html_compare.c */
void eg_page_why(eg_page *p);                        /* html_why.c */
void eg_page_recipe(eg_page *p);                     /* html_recipe.c: recipe and reproducibility */
void eg_page_set(eg_page *p);                        /* html_set.c: all sections of a data set */

#endif
