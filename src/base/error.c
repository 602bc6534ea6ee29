/* Errors: filling the caller's eg_error, status texts and exit codes.
 *
 * Nothing here allocates: an error must be reportable when memory is gone. Texts may quote names
 * found in hostile files, so control characters are made harmless here, in the one place where all
 * messages pass. Read first: engraft.h section 1. */
#include "base/base.h"
#include <stdio.h>
#include <string.h>

/* A value outside the list can only be our own mistake, and must still not end as exit code 0. */
int eg_status_exit_code(eg_status status) {
    static const int codes[EG_STATUS_COUNT] = {
#define EG_STATUS_CODE(name, code, text) code,
        EG_STATUS_LIST(EG_STATUS_CODE)
#undef EG_STATUS_CODE
    };
    return (unsigned)status < EG_STATUS_COUNT ? codes[status] : codes[EG_ERR_INTERNAL];
}

const char *eg_status_text(eg_status status) {
    static const char *const texts[EG_STATUS_COUNT] = {
#define EG_STATUS_TEXT(name, code, text) text,
        EG_STATUS_LIST(EG_STATUS_TEXT)
#undef EG_STATUS_TEXT
    };
    return (unsigned)status < EG_STATUS_COUNT ? texts[status] : texts[EG_ERR_INTERNAL];
}

/* Escape sequences in a file name must not reach the user's terminal; lists may have line breaks
 * inside. */
static void clean_text(char *text) {
    for (unsigned char *p = (unsigned char *)text; *p != 0; p++) {
        if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f) *p = '?';
    }
    for (size_t n = strlen(text); n > 0 && text[n - 1] == '\n'; n--) text[n - 1] = 0;
}

/* Put `text`, cut to the room in `out`, but never inside a UTF-8 sequence: the result is printed
 * and put into JSON. */
static void copy_text(char *out, size_t room, const char *text) {
    size_t n = strlen(text);
    if (n >= room) {
        n = room - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    }
    memcpy(out, text, n);
    out[n] = 0;
}

/* Via a local copy, because callers may quote err->text in its own replacement. */
static eg_status fail_va(eg_error *err, eg_status status, int64_t offset, const char *format,
                         va_list args) EG_PRINTF(4, 0);
static eg_status fail_va(eg_error *err, eg_status status, int64_t offset, const char *format,
                         va_list args) {
    if (err == NULL) return status;
    char text[2 * sizeof err->text];
    if (vsnprintf(text, sizeof text, format, args) < 0) text[0] = 0;
    clean_text(text);
    copy_text(err->text, sizeof err->text, text);
    err->status = status;
    err->offset = offset;
    return status;
}

/* Returns its own argument, so that the caller's `return eg_fail(...)` needs no second line. */
eg_status eg_fail(eg_error *err, eg_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail_va(err, status, -1, format, args);
    va_end(args);
    return status;
}

eg_status eg_fail_at(eg_error *err, eg_status status, int64_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail_va(err, status, offset, format, args);
    va_end(args);
    return status;
}

/* The offset stays: it still belongs to the file that is named now. */
eg_status eg_error_in(eg_error *err, eg_status status, const char *name) {
    if (err == NULL) return status;
    char text[2 * sizeof err->text];
    int n = snprintf(text, sizeof text, "%.600s: %s", name, err->text);
    if (n < 0) return status;
    clean_text(text);
    copy_text(err->text, sizeof err->text, text);
    err->status = status;
    return status;
}
