/* Growing byte buffer for building text and files. Start from `eg_buffer b = {0}`.
 *
 * A failed add sets `failed`, keeps what was there, and turns every later add into nothing: writers
 * check once, at the end. A NUL is kept behind the content so that text can be used in place. */
#include "base/base.h"
#include <stdio.h>
#include <string.h>

/* Room for `n` more bytes and the NUL; grows by halves so that n adds cost O(n). */
static bool buffer_room(eg_buffer *b, size_t n) {
    size_t need;
    if (b->failed || !eg_add(&need, b->size, n) || !eg_add(&need, need, 1)) {
        b->failed = true;
        return false;
    }
    if (need <= b->capacity) return true;
    size_t capacity = b->capacity + b->capacity / 2;
    if (capacity < need) capacity = need;
    if (capacity < 256) capacity = 256;
    char *data = eg_realloc(b->data, b->size, capacity);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

/* `data` may be NULL when n is 0. */
void eg_buffer_add(eg_buffer *b, const void *data, size_t n) {
    if (!buffer_room(b, n)) return;
    if (n > 0) memcpy(b->data + b->size, data, n);
    b->size += n;
    b->data[b->size] = 0;
}

void eg_buffer_printf(eg_buffer *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) b->failed = true;
    if (n < 0 || !buffer_room(b, (size_t)n)) return;
    va_start(args, format);
    vsnprintf(b->data + b->size, (size_t)n + 1, format, args);
    va_end(args);
    b->size += (size_t)n;
}

void eg_buffer_free(eg_buffer *b) {
    if (b == NULL) return;
    eg_free(b->data);
    *b = (eg_buffer){0};
}
