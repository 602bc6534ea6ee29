/* Any bytes as torch's zip archive: as they are, and again with every checksum put right, because a
 * fuzzer that has to guess a CRC32 never gets behind it. Deflated members keep theirs: the data they
 * unpack to is not known here. */
#include "codec/torch_tree.h"
#include "fuzz/touch.h"

#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LOCAL = 30, CENTRAL = 46, END = 22 };

static size_t get(const uint8_t *p, int n) {
    size_t v = 0;
    while (n-- > 0) v = v << 8 | p[n];
    return v;
}

/* The entry `c` of the directory: the CRC of its stored bytes into directory, header, descriptor. */
static void heal_entry(uint8_t *data, size_t size, uint8_t *c) {
    size_t at = get(c + 42, 4), n = get(c + 20, 4);
    if (get(c + 10, 2) != 0 || at > size || size - at < LOCAL) return;
    size_t begin = at + LOCAL + get(data + at + 26, 2) + get(data + at + 28, 2);
    if (begin > size || n > size - begin) return;
    uLong crc = crc32(0, NULL, 0);
    if (n > 0) crc = crc32(crc, data + begin, (uInt)n);
    for (int i = 0; i < 4; i++) {
        uint8_t byte = (uint8_t)(crc >> 8 * i);
        c[16 + i] = byte;
        if (get(data + at + 18, 4) != 0) data[at + 14 + (size_t)i] = byte;
        if ((c[8] & 8) && size - begin - n >= 16) data[begin + n + 4 + (size_t)i] = byte;
    }
}

/* Walks the directory that the end record names, as far as it makes sense. */
static void heal(uint8_t *data, size_t size) {
    if (size < END) return;
    size_t at = get(data + size - END + 16, 4);
    for (int i = 0; i < 64 && at < size && size - at >= CENTRAL; i++) {
        uint8_t *c = data + at;
        if (memcmp(c, "PK\1\2", 4) != 0) return;
        heal_entry(data, size, c);
        at += CENTRAL + get(c + 28, 2) + get(c + 30, 2) + get(c + 32, 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    touch_read(eg_codec_torch_zip_read, data, size);
    uint8_t *healed = malloc(size > 0 ? size : 1);
    if (healed == NULL) return 0;
    if (size > 0) memcpy(healed, data, size);
    heal(healed, size);
    touch_read(eg_codec_torch_zip_read, healed, size);
    free(healed);
    return 0;
}
