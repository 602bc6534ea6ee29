/* Small helpers around eg_events: asking for a stop, reporting, notes for the log, and reading a
 * number of a JSON object. `ev` and its members may be NULL everywhere. */
#include "study/run.h"
#include <math.h>
#include <stdio.h>

bool eg_study_stopped(const eg_events *ev) {
    return ev && ev->stop && *ev->stop;
}

void eg_study_report(const eg_events *ev, const eg_progress *p) {
    if (ev && ev->progress) ev->progress(ev->context, p);
}

void eg_study_note(const eg_events *ev, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    eg_study_report(ev, &(eg_progress){.kind = EG_PROGRESS_NOTE, .stage = "note", .text = text});
}

double eg_study_number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

bool eg_study_say(json_t *sentences, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return json_array_append_new(sentences, json_string(text)) == 0;
}
