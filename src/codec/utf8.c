/* UTF-8 check and safe display of text that comes from a file.
 *
 * Does not convert between encodings. Names of tensors and zip members are compared as bytes
 * everywhere; this file only decides whether they are text at all. */
#include "codec/utf8.h"

#include <string.h>

/* Length of the well-formed sequence at `s` (n bytes left), 0 when there is none. Table 3-7 of the
 * Unicode standard: the second byte's range depends on the first, which is what excludes overlong
 * forms and surrogates. */
static size_t sequence_length(const uint8_t *s, size_t n) {
    if (s[0] < 0x80) return 1;
    size_t length = s[0] >= 0xC2 && s[0] <= 0xDF   ? 2
                    : s[0] >= 0xE0 && s[0] <= 0xEF ? 3
                    : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
                                                   : 0;
    if (length == 0 || length > n) return 0;
    uint8_t low = 0x80, high = 0xBF;
    if (s[0] == 0xE0) low = 0xA0;
    if (s[0] == 0xED) high = 0x9F;
    if (s[0] == 0xF0) low = 0x90;
    if (s[0] == 0xF4) high = 0x8F;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    return length;
}

bool eg_codec_utf8_valid(const void *bytes, size_t n) {
    const uint8_t *s = bytes;
    for (size_t i = 0; i < n;) {
        size_t length = sequence_length(s + i, n - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

const char *eg_codec_printable(char *out, size_t capacity, const void *bytes, size_t n) {
    const uint8_t *s = bytes;
    size_t shown = n < capacity - 1 ? n : capacity - 1;
    for (size_t i = 0; i < shown; i++) out[i] = s[i] >= 0x20 && s[i] < 0x7F ? (char)s[i] : '?';
    out[shown] = 0;
    if (shown < n && shown >= 3) memcpy(out + shown - 3, "...", 3);
    return out;
}
