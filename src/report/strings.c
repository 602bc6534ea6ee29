/* The string table of the page, and the words of documents that have a translation.
 *
 * A document stores fixed English words ("finetune", "patience"); the page shows them in the reader's language. A word
 * that is not in the list is shown as it is. Read first: strings.def.                                         */
#include "report/strings.h"
#include <string.h>

static const char *const texts[EG_TEXT_COUNT][2] = {
#define S(id, en, zh) [EG_TEXT_##id] = {en, zh},
#include "report/strings.def"
#undef S
};

const char *eg_report_say(eg_text id, eg_lang lang) {
    return texts[id][lang];
}

const char *eg_report_word(const char *word, eg_lang lang) {
    static const struct {
        const char *word;
        eg_text id;
    } words[] = {
        {"finetune", EG_TEXT_FINETUNE},
        {"frozen", EG_TEXT_FROZEN},
        {"scratch", EG_TEXT_FROM_SCRATCH},
        {"lp-ft", EG_TEXT_LP_FT},
        {"train", EG_TEXT_TRAIN},
        {"val", EG_TEXT_VAL},
        {"test", EG_TEXT_TEST},
        {"distinguishable", EG_TEXT_DISTINGUISHABLE},
        {"not distinguishable", EG_TEXT_NOT_DISTINGUISHABLE},
        {"overfitting", EG_TEXT_OVERFITTING},
        {"underfitting", EG_TEXT_UNDERFITTING},
        {"neither", EG_TEXT_NEITHER},
        {"test is harder", EG_TEXT_TEST_HARDER},
        {"test is easier", EG_TEXT_TEST_EASIER},
        {"no gap beyond chance", EG_TEXT_NO_GAP},
        {"no test split", EG_TEXT_NO_TEST},
        {"epochs", EG_TEXT_BY_EPOCHS},
        {"patience", EG_TEXT_BY_PATIENCE},
        {"converged", EG_TEXT_BY_CONVERGENCE},
        {"patient", EG_TEXT_BY_PATIENT},
        {"image", EG_TEXT_BY_IMAGE},
        {"yes", EG_TEXT_YES},
        {"no", EG_TEXT_NO},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].word, word) == 0) return eg_report_say(words[i].id, lang);
    }
    return word;
}
