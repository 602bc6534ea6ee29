/* Byte cursor: little-endian reads of a borrowed range that cannot run over its end.
 *
 * A failed read leaves the position where it was, so that it can be reported as the offset of the
 * trouble. */
#include "base/base.h"

/* Compared by subtraction: pos + n could wrap around. */
const uint8_t *eg_cursor_take(eg_cursor *c, size_t n) {
    if (c->pos > c->size || n > c->size - c->pos) return NULL;
    const uint8_t *p = c->data + c->pos;
    c->pos += n;
    return p;
}

bool eg_cursor_skip(eg_cursor *c, size_t n) {
    if (c->pos > c->size || n > c->size - c->pos) return false;
    c->pos += n;
    return true;
}

/* Assembled byte by byte: no alignment or host byte order is assumed. */
static bool read_le(eg_cursor *c, size_t n, uint64_t *v) {
    if (c->pos > c->size || n > c->size - c->pos) return false;
    uint64_t value = 0;
    for (size_t i = n; i-- > 0;) value = value << 8 | c->data[c->pos + i];
    c->pos += n;
    *v = value;
    return true;
}

bool eg_cursor_u8(eg_cursor *c, uint8_t *v) {
    uint64_t value;
    if (!read_le(c, 1, &value)) return false;
    *v = (uint8_t)value;
    return true;
}

bool eg_cursor_u16le(eg_cursor *c, uint16_t *v) {
    uint64_t value;
    if (!read_le(c, 2, &value)) return false;
    *v = (uint16_t)value;
    return true;
}

bool eg_cursor_u32le(eg_cursor *c, uint32_t *v) {
    uint64_t value;
    if (!read_le(c, 4, &value)) return false;
    *v = (uint32_t)value;
    return true;
}

bool eg_cursor_u64le(eg_cursor *c, uint64_t *v) {
    return read_le(c, 8, v);
}
