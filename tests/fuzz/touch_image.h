/* What the targets of image formats do: probe, decode under a limit, look at every byte of the pixels,
 * so that a sanitizer sees what was not written. Header only: each target is one program. */
#ifndef EG_FUZZ_TOUCH_IMAGE_H
#define EG_FUZZ_TOUCH_IMAGE_H

#include "codec/image_formats.h"

#include <stdlib.h>
#include <string.h>

typedef eg_status (*fuzz_decoder)(eg_image *, const uint8_t *, size_t, const eg_image_options *,
                                  eg_error *);
typedef eg_status (*fuzz_prober)(eg_image_info *, const uint8_t *, size_t, eg_error *);

/* What is decoded must be what the probe promised (`min_side` 0), and a refusal has a reason. */
static inline void touch_image(fuzz_decoder decode, fuzz_prober probe, int min_side,
                               const uint8_t *data, size_t size) {
    const eg_image_options options = {
        .max_file_bytes = 1 << 20, .max_pixels = 1 << 20, .min_side = min_side};
    eg_image image = {0};
    eg_image_info info = {0};
    eg_error err = {0};
    eg_status probed = probe(&info, data, size, NULL);
    if (decode(&image, data, size, &options, &err) != EG_OK) {
        if (err.text[0] == 0 || image.pixels != NULL) abort();
        return;
    }
    if (probed != EG_OK || info.channels != image.channels) abort();
    if (min_side == 0 && (info.width != image.width || info.height != image.height)) abort();
    if (image.deep != (info.bits > 8)) abort();
    char digest[65];
    eg_sha256_hex(digest, image.pixels, eg_image_bytes(&image));
    eg_image_free(&image);
}

#endif
