/* Any bytes as torch's stacked pickles. The magic number, protocol and system information are put
 * in front, so that every change the fuzzer makes is one of the object, the keys or the data; the
 * bytes alone are tried too. */
#include "codec/torch_tree.h"
#include "fuzz/touch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t head[] =
    "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    "\x80\2M\xe9\3."
    "\x80\2}(X\x10\0\0\0protocol_versionM\xe9\3X\x0d\0\0\0little_endian\x88"
    "X\x0a\0\0\0type_sizes}(X\5\0\0\0shortK\2X\3\0\0\0intK\4X\4\0\0\0longK\4uu.";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    touch_read(eg_codec_torch_legacy_read, data, size);
    uint8_t *whole = malloc(sizeof head - 1 + size); /* exact: a read behind the end is seen */
    if (whole == NULL) return 0;
    memcpy(whole, head, sizeof head - 1);
    if (size > 0) memcpy(whole + sizeof head - 1, data, size);
    touch_read(eg_codec_torch_legacy_read, whole, sizeof head - 1 + size);
    free(whole);
    return 0;
}
