/* The last sections: the settings of every mode, and what is needed to get the same numbers again.
 *
 * The options of a recipe are shown under their own names, which are those of the command line: a reader types them.
 * Read first: page.h.                                                                                         */
#include "report/page.h"
#include <string.h>

static const char *const modes[] = {"finetune", "lp-ft", "frozen", "scratch"};
enum { N_MODES = 4 };

/* Is `key` in a recipe before the m-th? Then its row is written already. */
static bool seen_before(const json_t *recipe, const char *key, int m) {
    for (int i = 0; i < m; i++) {
        if (json_object_get(eg_report_at(recipe, modes[i]), key) != NULL) return true;
    }
    return false;
}

static void scalar_cell(eg_page *p, const json_t *value) {
    const char *text = json_string_value(value);
    eg_page_cell_open(p);
    if (text != NULL) { /* whole, however long */
        eg_page_text(p, text);
    } else if (json_is_boolean(value)) {
        eg_page_word(p, json_is_true(value) ? "yes" : "no");
    } else {
        eg_page_figure(p, eg_report_scalar(value));
    }
    eg_page_cell_close(p);
}

static void option_row(eg_page *p, const json_t *recipe, const char *key) {
    eg_page_row_open(p);
    eg_page_cell_open(p);
    eg_page_raw(p, "<code>");
    eg_page_text(p, key);
    eg_page_raw(p, "</code>");
    eg_page_cell_close(p);
    for (int m = 0; m < N_MODES; m++) {
        if (eg_report_at(recipe, modes[m]) == NULL) continue;
        scalar_cell(p, json_object_get(eg_report_at(recipe, modes[m]), key));
    }
    eg_page_row_close(p);
}

static void recipe_table(eg_page *p, const json_t *recipe) {
    static const eg_text heads[] = {EG_TEXT_FINETUNE, EG_TEXT_LP_FT, EG_TEXT_FROZEN,
                                    EG_TEXT_FROM_SCRATCH};
    eg_column columns[1 + N_MODES] = {{EG_TEXT_OPTION, false}};
    int n = 1;
    for (int m = 0; m < N_MODES; m++) {
        if (eg_report_at(recipe, modes[m]) != NULL) columns[n++] = (eg_column){heads[m], true};
    }
    eg_page_table_open(p, columns, n, false);
    for (int m = 0; m < N_MODES; m++) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)eg_report_at(recipe, modes[m]), key, value) {
            if (!seen_before(recipe, key, m)) option_row(p, recipe, key);
        }
    }
    eg_page_table_close(p);
}

/* One term of the definition list, as code when it is a hash. */
static void term(eg_page *p, eg_text name, const char *value, bool code) {
    eg_page_raw(p, "<dt>");
    eg_page_string(p, name);
    eg_page_raw(p, code ? "</dt><dd><code>" : "</dt><dd>");
    eg_page_text(p, value);
    eg_page_raw(p, code ? "</code></dd>\n" : "</dd>\n");
}

static void hash_table(eg_page *p, const json_t *list, eg_text what, const char *name_key,
                       const char *file_key) {
    const eg_column columns[] = {{what, false}, {EG_TEXT_FILE, false}, {EG_TEXT_SHA, false}};
    bool file = file_key != NULL;
    const eg_column two[] = {columns[0], columns[2]};
    if (json_array_size(list) == 0) return;
    eg_page_table_open(p, file ? columns : two, file ? 3 : 2, true);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        eg_page_row_open(p);
        eg_page_cell_text(p, eg_report_string(item, name_key));
        if (file) {
            const char *name = eg_report_string(item, file_key);
            eg_page_cell_text(p, name != NULL ? name : eg_report_string(item, "weights"));
        }
        eg_page_cell_open(p);
        eg_page_raw(p, "<code>");
        eg_page_text(p, eg_report_string(item, "weights_sha256"));
        eg_page_raw(p, "</code>");
        eg_page_cell_close(p);
        eg_page_row_close(p);
    }
    eg_page_table_close(p);
}

static void again(eg_page *p) {
    eg_page_section_open(p, "again", EG_TEXT_AGAIN, EG_TEXT_AGAIN_ASKS);
    eg_figure seed = eg_report_scalar(eg_report_at(p->study, "seed"));
    eg_figure threads = eg_report_scalar(eg_report_at(p->study, "threads"));
    eg_page_raw(p, "<dl>\n");
    term(p, EG_TEXT_VERSION, eg_report_string(p->study, "engraft"), false);
    term(p, EG_TEXT_SEED_HEAD, seed.known ? seed.text : NULL, false);
    term(p, EG_TEXT_THREADS_HEAD, threads.known ? threads.text : NULL, false);
    term(p, EG_TEXT_ISA, eg_report_string(p->study, "isa"), false);
    term(p, EG_TEXT_CPU, eg_report_string(p->study, "cpu"), false);
    term(p, EG_TEXT_FINGERPRINT, eg_report_string(p->study, "data.fingerprint"), true);
    eg_page_raw(p, "</dl>\n");
    eg_page_note(p, EG_TEXT_AGAIN_NOTE, NULL, 0);
    eg_page_heading(p, 3, EG_TEXT_WEIGHTS);
    hash_table(p, eg_report_at(p->study, "models"), EG_TEXT_MODEL, "name", "weights_file");
    eg_page_heading(p, 3, EG_TEXT_CHECKPOINTS);
    hash_table(p, p->runs, EG_TEXT_RUN, "name", NULL);
    eg_page_section_close(p);
}

void eg_page_recipe(eg_page *p) {
    eg_page_section_open(p, "recipe", EG_TEXT_RECIPE, EG_TEXT_RECIPE_ASKS);
    recipe_table(p, eg_report_at(p->study, "recipe"));
    eg_page_section_close(p);
    again(p);
}
