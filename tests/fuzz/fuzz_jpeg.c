/* Fuzz target: the JPEG decoder and the header probe, whole and by DCT scaling. Every byte of the result is read. */
#include "fuzz/touch_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    touch_image(eg_codec_jpeg_decode, eg_codec_jpeg_probe, 0, data, size);
    touch_image(eg_codec_jpeg_decode, eg_codec_jpeg_probe, 9, data, size);
    return 0;
}
