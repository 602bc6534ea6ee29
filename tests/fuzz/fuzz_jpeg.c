/* Fuzz target: the JPEG decoder and the header probe. Every byte of the result is read. */
#include "codec/image_formats.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const eg_image_limits limits = {.max_file_bytes = 1 << 20, .max_pixels = 1 << 20};
    eg_image image = {0}, header = {0};
    eg_error err = {0};
    eg_status probed = eg_codec_jpeg_probe(&header, data, size, NULL);
    if (eg_codec_jpeg_decode(&image, data, size, &limits, &err) != EG_OK) return 0;
    if (probed != EG_OK || header.width != image.width) abort(); /* the probe must agree */
    char digest[65];
    eg_sha256_hex(digest, image.pixels,
                  (size_t)image.width * (size_t)image.height * (size_t)image.channels);
    eg_image_free(&image);
    return 0;
}
