/* Any bytes as torch's tar container of 2017: as they are, and again with every header's sum put
 * right, which is what changed names and sizes need to be looked at. */
#include "codec/torch_tree.h"
#include "fuzz/touch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCK = 512, SUM = 148 };

/* The sum of one header (POSIX 1003.1 ustar): all its bytes, those of the sum itself as blanks. */
static void heal_header(uint8_t *h) {
    unsigned sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= SUM && i < SUM + 8 ? ' ' : h[i];
    char text[8];
    snprintf(text, sizeof text, "%06o", sum);
    memcpy(h + SUM, text, 7);
    h[SUM + 7] = ' ';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    touch_read(eg_codec_torch_tar_read, data, size);
    uint8_t *healed = malloc(size > 0 ? size : 1);
    if (healed == NULL) return 0;
    if (size > 0) memcpy(healed, data, size);
    for (size_t at = 0; at + BLOCK <= size;) {
        if (memcmp(healed + at + 257, "ustar", 5) == 0) heal_header(healed + at);
        char digits[13] = {0};
        memcpy(digits, healed + at + 124, 12);
        unsigned long long n = strtoull(digits, NULL, 8);
        if (n > size) break;
        at += BLOCK + ((size_t)n + BLOCK - 1) / BLOCK * BLOCK;
    }
    touch_read(eg_codec_torch_tar_read, healed, size);
    free(healed);
    return 0;
}
