/* Fuzz target: the PNG decoder and the header probe. Every byte of the result is read. */
#include "fuzz/touch_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    touch_image(eg_codec_png_decode, eg_codec_png_probe, 0, data, size);
    return 0;
}
