/* Generated images for tests of pixels: the same formula as pattern() of
 * scripts/make_resize_golden.py, so that the golden files hold hashes and no pictures. Header
 * only; include after cmocka.h. */
#ifndef TEST_PATTERN_IMAGE_H
#define TEST_PATTERN_IMAGE_H

#include "codec/codec.h"

/* Noise for even seeds, a gradient with noise for odd ones. Free with eg_image_free. */
static inline eg_image pattern_image(int width, int height, int channels, uint32_t seed) {
    eg_image image = {width, height, channels, NULL};
    image.pixels = eg_malloc((size_t)width * (size_t)height * (size_t)channels);
    assert_non_null(image.pixels);
    uint8_t *p = image.pixels;
    for (uint32_t y = 0; y < (uint32_t)height; y++)
        for (uint32_t x = 0; x < (uint32_t)width; x++)
            for (uint32_t c = 0; c < (uint32_t)channels; c++) {
                uint32_t h =
                    x * 2654435761u ^ y * 2246822519u ^ (c + 1) * 3266489917u ^ seed * 668265263u;
                h ^= h >> 15;
                h *= 2246822519u;
                h ^= h >> 13;
                uint32_t value = h >> 24;
                if (seed % 2) value = (((x * 3 + y * 2 + c * 40 + seed) & 255) * 3 + value) / 4;
                *p++ = (uint8_t)value;
            }
    return image;
}

#endif
