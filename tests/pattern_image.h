/* Generated images for tests of pixels: the same formula as pattern() of
 * scripts/make_resize_golden.py, so that the golden files hold hashes and no pictures. Header
 * only; include after cmocka.h. */
#ifndef TEST_PATTERN_IMAGE_H
#define TEST_PATTERN_IMAGE_H

#include "codec/codec.h"

/* Every bit of the result depends on the place, the channel and the seed. */
static inline uint32_t pattern_hash(uint32_t x, uint32_t y, uint32_t c, uint32_t seed) {
    uint32_t h = x * 2654435761u ^ y * 2246822519u ^ (c + 1) * 3266489917u ^ seed * 668265263u;
    h ^= h >> 15;
    h *= 2246822519u;
    return h ^ h >> 13;
}

/* Noise for even seeds, a gradient with noise for odd ones. Free with eg_image_free. */
static inline eg_image pattern_image(int width, int height, int channels, uint32_t seed) {
    eg_image image = {width, height, channels, NULL, false};
    image.pixels = eg_malloc((size_t)width * (size_t)height * (size_t)channels);
    assert_non_null(image.pixels);
    uint8_t *p = image.pixels;
    for (uint32_t y = 0; y < (uint32_t)height; y++)
        for (uint32_t x = 0; x < (uint32_t)width; x++)
            for (uint32_t c = 0; c < (uint32_t)channels; c++) {
                uint32_t value = pattern_hash(x, y, c, seed) >> 24;
                if (seed % 2) value = (((x * 3 + y * 2 + c * 40 + seed) & 255) * 3 + value) / 4;
                *p++ = (uint8_t)value;
            }
    return image;
}

/* The same in 16 bits: deep_pattern() of the script for one channel. */
static inline eg_image pattern_image_deep(int width, int height, int channels, uint32_t seed) {
    eg_image image = {width, height, channels, NULL, true};
    image.pixels = eg_malloc(eg_image_bytes(&image));
    assert_non_null(image.pixels);
    uint16_t *p = (uint16_t *)(void *)image.pixels;
    for (uint32_t y = 0; y < (uint32_t)height; y++)
        for (uint32_t x = 0; x < (uint32_t)width; x++)
            for (uint32_t c = 0; c < (uint32_t)channels; c++) {
                uint32_t value = pattern_hash(x, y, c, seed) >> 16;
                if (seed % 2)
                    value = (((x * 811 + y * 523 + c * 9973 + seed * 257) & 65535) * 3 + value) / 4;
                *p++ = (uint16_t)value;
            }
    return image;
}

#endif
