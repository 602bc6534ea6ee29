/* Private to codec: the two image formats behind eg_image_decode, each on a borrowed range of
 * bytes. */
#ifndef EG_CODEC_IMAGE_FORMATS_H
#define EG_CODEC_IMAGE_FORMATS_H

#include "codec/codec.h"

/* Decode; `limits` not NULL. On failure *out is untouched. Error texts have no path in front. */
eg_status eg_codec_jpeg_decode(eg_image *out, const uint8_t *data, size_t size,
                               const eg_image_limits *limits, eg_error *err);
eg_status eg_codec_png_decode(eg_image *out, const uint8_t *data, size_t size,
                              const eg_image_limits *limits, eg_error *err);
/* Size and channels (as decoding would give them) from the header; no pixel is decoded or
 * allocated. */
eg_status eg_codec_jpeg_probe(eg_image *out, const uint8_t *data, size_t size, eg_error *err);
eg_status eg_codec_png_probe(eg_image *out, const uint8_t *data, size_t size, eg_error *err);
/* Memory for an image whose width, height and channels are set: checks the limits first, then
 * allocates pixels. */
eg_status eg_codec_image_alloc(eg_image *image, const eg_image_limits *limits, eg_error *err);

#endif
