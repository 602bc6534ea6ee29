/* Section A: the networks with their cost, the reasoned choice, and the pairs that were skipped. Read first: page.h. */
#include "report/page.h"

static void model_row(eg_page *p, const json_t *m) {
    eg_page_row_open(p);
    eg_page_cell_open(p);
    eg_page_text(p, eg_report_string(m, "name"));
    eg_page_cell_close(p);
    eg_page_cell_figure(p, eg_report_integer(m, "parameters"));
    eg_page_cell_figure(p, eg_report_large(m, "multiply_adds"));
    eg_page_cell_figure(p, eg_report_published(m, "imagenet_top1"));
    eg_page_cell_figure(p, eg_report_integer(m, "img_size"));
    eg_page_cell_figure(p, eg_report_integer(m, "features"));
    eg_page_cell_figure(p, eg_report_real(m, "measured_ms_per_image", 1));
    eg_page_cell_figure(p, eg_report_real(m, "measured_train_images_per_second", 1));
    eg_page_cell_figure(p, eg_report_bytes(m, "peak_bytes"));
    eg_page_cell_figure(p, eg_report_bytes(m, "file_bytes"));
    eg_page_row_close(p);
}

static void choice(eg_page *p) {
    const json_t *c = eg_report_at(p->study, "choice");
    const char *names[] = {eg_report_string(c, "first"), eg_report_string(c, "second")};
    if (c == NULL) return;
    eg_page_heading(p, 3, EG_TEXT_CHOICE);
    if (names[0] != NULL) {
        eg_page_raw(p, "<p><b>");
        eg_page_say(p, EG_TEXT_CHOICE_NAMES, names, 2);
        eg_page_raw(p, "</b></p>\n");
    }
    eg_page_sentences(p, eg_report_at(c, "text"));
}

static void skipped(eg_page *p) {
    static const eg_column columns[] = {
        {EG_TEXT_MODEL, false}, {EG_TEXT_MODE, false}, {EG_TEXT_REASON, false}};
    const json_t *all = eg_report_at(p->study, "skipped");
    if (json_array_size(all) == 0) return;
    eg_page_heading(p, 3, EG_TEXT_SKIPPED);
    eg_page_table_open(p, columns, 3, true);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *s = json_array_get(all, i);
        eg_page_row_open(p);
        eg_page_cell_text(p, eg_report_string(s, "model"));
        eg_page_cell_mode(p, s);
        eg_page_cell_text(p, eg_report_string(s, "reason"));
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
}

void eg_page_models(eg_page *p) {
    static const eg_column columns[] = {
        {EG_TEXT_MODEL, false},    {EG_TEXT_PARAMETERS, true},  {EG_TEXT_MULTIPLY_ADDS, true},
        {EG_TEXT_TOP1, true},      {EG_TEXT_INPUT_SIZE, true},  {EG_TEXT_FEATURES, true},
        {EG_TEXT_MS_IMAGE, true},  {EG_TEXT_TRAIN_SPEED, true}, {EG_TEXT_MEMORY, true},
        {EG_TEXT_FILE_SIZE, true},
    };
    const json_t *models = eg_report_at(p->study, "models");
    eg_page_section_open(p, "a", EG_TEXT_TASK_A, EG_TEXT_TASK_A_ASKS);
    eg_page_table_open(p, columns, sizeof columns / sizeof *columns, true);
    for (size_t i = 0; i < json_array_size(models); i++) model_row(p, json_array_get(models, i));
    eg_page_table_close(p);
    eg_page_note(p, EG_TEXT_MODELS_NOTE, NULL, 0);
    choice(p);
    skipped(p);
    eg_page_section_close(p);
}
