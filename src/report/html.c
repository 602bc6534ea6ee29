/* The page: one self-contained HTML file of a study or a single run. No script, no network, no outside font.
 *
 * This file is the order of the sections and the frame around them; each section has its own html_*.c. The content
 * security policy in the head says the same to the browser: nothing but the styles in this file may load.
 * Read first: page.h, doc/documents.md.                                                                       */
#include "report/page.h"
#include "report/report.h"
#include <string.h>

static void title_text(eg_page *p) {
    const char *name = p->study != NULL ? eg_report_string(p->study, "data.root")
                                        : eg_report_string(json_array_get(p->runs, 0), "name");
    eg_page_say(p,
                p->set != NULL     ? EG_TEXT_TITLE_SET
                : p->study != NULL ? EG_TEXT_TITLE
                                   : EG_TEXT_TITLE_RUN,
                &name, 1);
}

static void head(eg_page *p) {
    eg_buffer_printf(&p->out,
                     "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n",
                     p->lang == EG_LANG_ZH ? "zh-Hant-TW" : "en");
    eg_page_raw(p, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                   "style-src 'unsafe-inline'; img-src data:\">\n"
                   "<meta name=\"color-scheme\" content=\"light dark\">\n"
                   "<link rel=\"icon\" href=\"data:,\">\n<title>");
    title_text(p);
    eg_page_raw(p, "</title>\n<style>\n");
    eg_page_style(p);
    eg_page_raw(p, "</style>\n</head>\n<body>\n");
}

/* "engraft 0.1.0 · seed 0 · 2 threads · avx512 · AMD EPYC", with what is known of it. */
static void subtitle(eg_page *p) {
    const char *version = eg_report_string(p->study, "engraft");
    const char *isa = eg_report_string(p->study, "isa"), *cpu = eg_report_string(p->study, "cpu");
    eg_figure seed = eg_report_scalar(eg_report_at(p->study, "seed"));
    eg_figure threads = eg_report_scalar(eg_report_at(p->study, "threads"));
    const char *seed_text = seed.text, *threads_text = threads.text;
    eg_page_raw(p, "<p class=\"sub\">engraft");
    if (version != NULL) {
        eg_page_raw(p, " ");
        eg_page_text(p, version);
    }
    if (seed.known) {
        eg_page_raw(p, " · ");
        eg_page_say(p, EG_TEXT_SEED, &seed_text, 1);
    }
    if (threads.known) {
        eg_page_raw(p, " · ");
        eg_page_say(p, EG_TEXT_THREADS, &threads_text, 1);
    }
    const char *rest[] = {isa, cpu};
    for (int i = 0; i < 2; i++) {
        if (rest[i] == NULL) continue;
        eg_page_raw(p, " · ");
        eg_page_text(p, rest[i]);
    }
    eg_page_raw(p, "</p>\n");
}

static void nav(eg_page *p) {
    const struct {
        const char *anchor;
        eg_text name;
        bool shown;
    } links[] = {
        {"data", EG_TEXT_DATA, true},
        {"a", EG_TEXT_NAV_A, true},
        {"b", EG_TEXT_NAV_B, eg_page_has_mode(p, "finetune")},
        {"c", EG_TEXT_NAV_C, eg_page_has_mode(p, "frozen")},
        {"scratch", EG_TEXT_SCRATCH, eg_page_has_mode(p, "scratch")},
        {"d", EG_TEXT_NAV_D, true},
        {"e", EG_TEXT_NAV_E, true},
        {"recipe", EG_TEXT_RECIPE, true},
        {"again", EG_TEXT_AGAIN, true},
    };
    eg_page_raw(p, "<nav aria-label=\"");
    eg_page_string(p, EG_TEXT_CONTENTS);
    eg_page_raw(p, "\">");
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        if (!links[i].shown) continue;
        eg_buffer_printf(&p->out, "<a href=\"#%s\">", links[i].anchor);
        eg_page_string(p, links[i].name);
        eg_page_raw(p, "</a> ");
    }
    eg_page_raw(p, "</nav>\n");
}

static void study_sections(eg_page *p) {
    nav(p);
    eg_page_raw(p, "</header>\n<main>\n");
    eg_page_glance(p);
    eg_page_data(p);
    eg_page_models(p);
    eg_page_runs(p, "finetune", "b", EG_TEXT_TASK_B, EG_TEXT_TASK_B_ASKS);
    eg_page_runs(p, "frozen", "c", EG_TEXT_TASK_C, EG_TEXT_TASK_C_ASKS);
    eg_page_runs(p, "scratch", "scratch", EG_TEXT_SCRATCH, EG_TEXT_SCRATCH_ASKS);
    eg_page_compare(p);
    eg_page_why(p);
    eg_page_recipe(p);
}

static void page_write(eg_page *p) {
    head(p);
    eg_page_raw(p, "<header>\n<h1>");
    title_text(p);
    eg_page_raw(p, "</h1>\n");
    if (p->set != NULL) {
        eg_page_raw(p, "</header>\n<main>\n");
        eg_page_set(p);
    } else if (p->study != NULL) {
        subtitle(p);
        study_sections(p);
    } else {
        eg_page_raw(p, "</header>\n<main>\n");
        eg_page_runs(p, NULL, "run", EG_TEXT_THE_RUN, EG_TEXT_THE_RUN_ASKS);
    }
    eg_page_raw(p, "</main>\n<footer>");
    eg_page_string(p, p->set != NULL     ? EG_TEXT_SET_FOOTER
                      : p->study != NULL ? EG_TEXT_FOOTER
                                         : EG_TEXT_FOOTER_RUN);
    eg_page_raw(p, "</footer>\n</body>\n</html>\n");
}

/* A study brings its runs; a run becomes a list of one. A new reference; NULL: no memory. */
static json_t *runs_of(const json_t *root, bool study) {
    json_t *runs = (json_t *)(uintptr_t)eg_report_at(root, "runs");
    if (study && json_is_array(runs)) return json_incref(runs);
    json_t *list = json_array();
    if (study || list == NULL) return list;
    if (json_array_append(list, (json_t *)(uintptr_t)root) != 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

eg_status eg_page_build(eg_buffer *out, const eg_doc *doc, eg_lang lang, const char *path,
                        eg_error *err) {
    bool study = strcmp(doc->kind, "study") == 0, set = strcmp(doc->kind, "data") == 0;
    if (!study && !set && strcmp(doc->kind, "train") != 0) {
        return eg_fail(err, EG_ERR_MISMATCH,
                       "%s: a page shows a study or a run, found a document of kind '%s' - give "
                       "the directory that 'engraft study' or 'engraft train' wrote",
                       path, doc->kind);
    }
    if (!json_is_object(doc->root)) {
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: the document is not a JSON object, so it is no study and no run - "
                       "see doc/documents.md",
                       path);
    }
    json_t *runs = runs_of(doc->root, study || set);
    json_t *around = set ? json_pack("{s:O}", "data", doc->root) : NULL;
    if (runs == NULL || (set && around == NULL)) {
        json_decref(runs);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for the page", path);
    }
    eg_page p = {.lang = lang, .study = study ? doc->root : around, .runs = runs};
    p.set = set ? doc->root : NULL;
    page_write(&p);
    json_decref(runs);
    json_decref(around);
    if (p.out.failed) {
        eg_buffer_free(&p.out);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for the page", path);
    }
    *out = p.out;
    return EG_OK;
}

eg_status eg_report_html(const char *path, const eg_doc *study, const char *lang, eg_error *err) {
    bool chinese = lang != NULL && strcmp(lang, "zh-TW") == 0;
    if (lang != NULL && !chinese && strcmp(lang, "en") != 0) {
        return eg_fail(err, EG_ERR_USAGE, "lang: found '%s', expected en or zh-TW", lang);
    }
    eg_buffer page = {0};
    EG_TRY(eg_page_build(&page, study, chinese ? EG_LANG_ZH : EG_LANG_EN, path, err));
    eg_part part = {.data = page.data, .size = page.size};
    eg_status status = eg_file_write_atomic(path, &part, 1, err);
    eg_buffer_free(&page);
    return status;
}
