/* Private to the report room: the words of the page in two languages. The list itself is strings.def. */
#ifndef EG_REPORT_STRINGS_H
#define EG_REPORT_STRINGS_H

#include "base/base.h"

typedef enum {
#define S(id, en, zh) EG_TEXT_##id,
#include "report/strings.def"
#undef S
    EG_TEXT_COUNT
} eg_text;

typedef enum { EG_LANG_EN, EG_LANG_ZH } eg_lang;

/* The text in that language; static storage, UTF-8. */
const char *eg_report_say(eg_text id, eg_lang lang);
/* A word of a document ("finetune", "overfitting", "not distinguishable") for the reader; itself when not known. */
const char *eg_report_word(const char *word, eg_lang lang);

#endif
