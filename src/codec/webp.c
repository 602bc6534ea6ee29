/* WebP through libwebp, lossy and lossless, to RGB (the format has no gray); alpha is dropped and
 * not blended, as in Pillow's convert("RGB"). Animations are refused: which frame is meant is not
 * for us to say. libwebp is optional at build time (ENGRAFT_WEBP); without it there is one clear
 * error. libwebp's own memory is bounded by the size of the picture, which is checked first, and by
 * the format (16,383 pixels a side). Read first: image_formats.h. */
#include "codec/image_formats.h"

#if ENGRAFT_WEBP

#    include <string.h>
#    include <webp/decode.h>

/* Size and kind. The RIFF length is checked here: libwebp fills up a short lossy stream silently. */
static eg_status read_header(WebPBitstreamFeatures *features, const uint8_t *data, size_t size,
                             eg_error *err) {
    if (size < 12 || memcmp(data, "RIFF", 4) != 0 || memcmp(data + 8, "WEBP", 4) != 0) {
        return eg_fail_at(err, EG_ERR_INPUT, 0, "bad WebP data at byte 0: no RIFF header");
    }
    size_t length = (size_t)data[4] | (size_t)data[5] << 8 | (size_t)data[6] << 16 |
                    (size_t)data[7] << 24; /* of what follows these 8 bytes */
    VP8StatusCode code = WebPGetFeatures(data, size, features);
    if (length > size - 8 || code == VP8_STATUS_NOT_ENOUGH_DATA) {
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)size,
                          "unexpected end of WebP data at byte %zu - the file is cut short", size);
    }
    if (code == VP8_STATUS_OUT_OF_MEMORY) {
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to read the WebP");
    }
    if (code != VP8_STATUS_OK) return eg_fail(err, EG_ERR_INPUT, "bad WebP data in its header");
    return EG_OK;
}

eg_status eg_codec_webp_decode(eg_image *out, const uint8_t *data, size_t size,
                               const eg_image_options *options, eg_error *err) {
    WebPBitstreamFeatures features;
    EG_TRY(read_header(&features, data, size, err));
    if (features.has_animation) {
        return eg_fail(err, EG_ERR_UNSUPPORTED,
                       "an animated WebP - save the frame that is meant as PNG");
    }
    eg_image image = {features.width, features.height, 3, NULL, false};
    EG_TRY(eg_codec_image_alloc(&image, options, err));
    if (WebPDecodeRGBInto(data, size, image.pixels, eg_image_bytes(&image), image.width * 3) ==
        NULL) {
        eg_image_free(&image);
        return eg_fail(err, EG_ERR_INPUT, "bad WebP data - the file is damaged");
    }
    *out = image;
    return EG_OK;
}

eg_status eg_codec_webp_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err) {
    WebPBitstreamFeatures features;
    EG_TRY(read_header(&features, data, size, err));
    *out = (eg_image_info){.format = "WebP",
                           .width = features.width,
                           .height = features.height,
                           .channels = 3,
                           .bits = 8,
                           .orientation = 1,
                           .n_frames = 1};
    return EG_OK;
}

#else

static eg_status fail_absent(eg_error *err) {
    return eg_fail(
        err, EG_ERR_UNSUPPORTED,
        "a WebP image, and this build has no WebP - install libwebp-dev and build again, "
        "or convert the image to PNG");
}

eg_status eg_codec_webp_decode(eg_image *out, const uint8_t *data, size_t size,
                               const eg_image_options *options, eg_error *err) {
    (void)out;
    (void)data;
    (void)size;
    (void)options;
    return fail_absent(err);
}

eg_status eg_codec_webp_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err) {
    (void)out;
    (void)data;
    (void)size;
    return fail_absent(err);
}

#endif
