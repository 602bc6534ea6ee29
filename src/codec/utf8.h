/* Text from hostile files: is it UTF-8, and how to show it in a message. Private to the codec
 * room. */
#ifndef EG_CODEC_UTF8_H
#define EG_CODEC_UTF8_H

#include "codec/codec.h"

/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). NUL counts as
 * valid. */
bool eg_codec_utf8_valid(const void *bytes, size_t n);
/* At most `capacity` - 1 bytes of `bytes` into `out`, everything but printable ASCII as '?', cut
 * with "...": file names and keys of a hostile file must not reach a terminal as escape sequences.
 * Returns `out`. */
const char *eg_codec_printable(char *out, size_t capacity, const void *bytes, size_t n);

#endif
