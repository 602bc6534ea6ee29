/* Private to the report room: terminal text. Tables without boxes, numbers to the right, at most `columns` wide; a
 * table that is too wide is folded into blocks that repeat its key columns.                                    */
#ifndef EG_REPORT_TERMINAL_H
#define EG_REPORT_TERMINAL_H

#include "report/fields.h"

typedef enum { EG_STYLE_PLAIN, EG_STYLE_BOLD, EG_STYLE_DIM, EG_STYLE_GOOD, EG_STYLE_BAD } eg_style;

typedef struct {
    eg_buffer out;
    int columns;
    bool colour;
} eg_term;

enum { EG_TERM_MAX_COLUMNS = 24 };

/* Cells are collected first, since widths are known only at the end. */
typedef struct {
    eg_buffer text;        /* each cell: style byte, UTF-8 text, NUL */
    eg_buffer starts;      /* size_t offsets into `text` */
    int n_columns, n_keys; /* the first n_keys columns are repeated in every block */
    const char *heads[EG_TERM_MAX_COLUMNS];
    bool number[EG_TERM_MAX_COLUMNS];
} eg_table;

/* ---- writing (terminal_table.c) ---- */

void eg_term_style(eg_term *t, eg_style style); /* nothing without colour; PLAIN resets */
/* Text of a document: control characters become '?', so that a file cannot send commands to the terminal. */
void eg_term_text(eg_term *t, const char *text);
void eg_term_heading(eg_term *t, const char *text);
/* A paragraph broken at spaces, its lines behind `indent` blanks, the first behind `bullet`. */
void eg_term_paragraph(eg_term *t, const char *bullet, const char *text);
/* "name      value" with the names in a column of `width`; NULL: a dash. */
void eg_term_pair(eg_term *t, int width, const char *name, const char *value);

void eg_table_column(eg_table *t, const char *head, bool number);
void eg_table_cell(eg_table *t, const char *text, eg_style style); /* NULL: a dash */
void eg_table_figure(eg_table *t, eg_figure f);
/* "91.3% [88.9, 93.3]" */
void eg_table_interval(eg_table *t, eg_figure f, eg_figure interval);
/* Write the table and empty it. */
void eg_table_write(eg_term *t, eg_table *table);

/* ---- documents ---- */

void eg_term_study(eg_term *t, const json_t *root);          /* terminal_study.c */
void eg_term_compare(eg_term *t, const json_t *root);        /* terminal_compare.c */
void eg_term_published(eg_term *t, const json_t *root);      /* terminal_compare.c */
void eg_term_train(eg_term *t, const json_t *root);          /* terminal_run.c */
void eg_term_metrics(eg_term *t, const json_t *root);        /* terminal_run.c */
void eg_term_seeds(eg_term *t, const json_t *root);          /* terminal_seeds.c */
void eg_term_lr_finder(eg_term *t, const json_t *root);      /* terminal_seeds.c */
void eg_term_models(eg_term *t, const json_t *root);         /* terminal_lists.c */
void eg_term_recommendation(eg_term *t, const json_t *root); /* terminal_lists.c */
void eg_term_predictions(eg_term *t, const json_t *root);    /* terminal_lists.c */
void eg_term_explain(eg_term *t, const json_t *root);
void eg_term_features(eg_term *t, const json_t *root);     /* terminal_lists.c */
void eg_term_pull(eg_term *t, const json_t *root);         /* terminal_pull.c */
void eg_term_phantom(eg_term *t, const json_t *root);      /* terminal_phantom.c */
void eg_term_version(eg_term *t, const json_t *root);      /* terminal_lists.c */
void eg_term_inspect(eg_term *t, const json_t *root);      /* terminal_inspect.c */
void eg_term_data(eg_term *t, const json_t *root);         /* terminal_data.c */
void eg_term_mistakes(eg_term *t, const json_t *root);     /* terminal_data.c */
void eg_term_augmentation(eg_term *t, const json_t *root); /* terminal_data.c */
void eg_term_why(eg_term *t, const json_t *root);          /* terminal_why.c */
void eg_term_bench(eg_term *t, const json_t *root);        /* terminal_bench.c */

#endif
