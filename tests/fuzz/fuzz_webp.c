/* Fuzz target: the WebP decoder and the header probe. The RIFF length in front is also set to what
 * there is, because every input that grew or shrank would be refused for it alone. */
#include "fuzz/touch_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    touch_image(eg_codec_webp_decode, eg_codec_webp_probe, 0, data, size);
    if (size < 12) return 0;
    uint8_t *fitting = malloc(size); /* of the exact size: a read behind the end is seen */
    if (fitting == NULL) return 0;
    memcpy(fitting, data, size);
    for (int i = 0; i < 4; i++) fitting[4 + i] = (uint8_t)((size - 8) >> 8 * i);
    touch_image(eg_codec_webp_decode, eg_codec_webp_probe, 0, fitting, size);
    free(fitting);
    return 0;
}
